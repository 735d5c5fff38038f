//! All captures as one file: in the order of one clock, an interface a vantage, a comment at each packet that
//! matters. The files are read once more for it, so memory does not depend on their length.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use ::capture::pcapng::{Copied, Interface, Writer};
use ::capture::replace::Replacement;
use parse::capture::{self, Capture, Opened, Remarks};
use parse::dissect;
use report::Note;

use super::source::{Place, Source};
use super::{Joined, warn};
use crate::failure::Failure;

/// Packets of one file may be out of order by so much: rings of several devices are emptied one after another.
const DISORDER_NS: i64 = 500_000_000;
/// Octets that may wait for their turn, with those that each packet costs besides; beyond, they are written as
/// they are.
const WAITING_MAX: usize = 32 << 20;
const WAITING_COST: usize = 128;
/// Places told apart in one file; more share their interface's.
const PLACES_MAX: usize = 1024;

/// Where all is written, settled before anything is read.
pub(super) struct Aim {
    path: PathBuf,
    out: Out,
}

enum Out {
    /// A file, which appears when it is whole.
    File(Replacement),
    /// A device or pipe, which stays what it is.
    Other(File),
}

impl Aim {
    /// Refuses to write over what is read, and to read twice what can be read once.
    pub(super) fn of(path: &Path, inputs: &[PathBuf]) -> Result<Aim, Failure> {
        let place = path.display();
        let old = std::fs::metadata(path).ok();
        for input in inputs {
            // What cannot be read is told of where it is opened.
            let Ok(about) = std::fs::metadata(input) else { continue };
            if old.as_ref().is_some_and(|old| (old.dev(), old.ino()) == (about.dev(), about.ino())) {
                return Err(Failure::new(format!("{place} is one of the captures that are read"))
                    .hint("give -w a name of its own"));
            }
            if !about.is_file() && !about.is_dir() {
                let input = input.display();
                return Err(Failure::new(format!("{input} cannot be read twice, which -w needs"))
                    .hint("write it to a file first"));
            }
        }
        let out = match old {
            Some(old) if !old.is_file() => OpenOptions::new().write(true).open(path).map(Out::Other),
            Some(_) | None => Replacement::of(path).map(Out::File),
        };
        Ok(Aim { path: path.to_owned(), out: out.map_err(|error| cannot(path, &error))? })
    }
}

fn cannot(path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("cannot write {}: {error}", path.display()))
}

/// Writes what was read, with `notes`, which are sorted.
pub(super) fn write(aim: Aim, joined: &Joined, notes: &[Note]) -> Result<(), Failure> {
    let inputs = inputs(&aim, joined, notes)?;
    let failed = |error: io::Error| cannot(&aim.path, &error);
    match aim.out {
        Out::File(replacement) => {
            merge(inputs, joined, &replacement.file).map_err(failed)?;
            replacement.commit().map_err(failed)
        }
        Out::Other(file) => merge(inputs, joined, &file).map_err(failed),
    }
}

/// A file read once more.
struct Input<'n> {
    source: usize,
    capture: Box<Capture<File>>,
    /// Nanoseconds that its clock is ahead.
    ahead_ns: i64,
    notes: std::iter::Peekable<std::slice::Iter<'n, Note>>,
    places: BTreeMap<Place, u32>,
    /// The latest stamp read of it, by the common clock.
    latest: i64,
    is_over: bool,
}

fn inputs<'n>(aim: &Aim, joined: &Joined, notes: &'n [Note]) -> Result<Vec<Input<'n>>, Failure> {
    let out = aim.path.display();
    if joined.sources.iter().all(Source::is_listing) {
        return Err(Failure::new(format!("nothing can be written to {out}: listings have no octets"))
            .hint("-w needs at least one capture"));
    }
    let mut inputs = Vec::new();
    for (source, known) in joined.sources.iter().enumerate() {
        let file = &known.file;
        if known.is_listing() {
            warn(&format!("{file} is a listing: it has no octets to copy and is left out of {out}"));
            continue;
        }
        let changed = || Failure::new(format!("{file} is no longer the capture that it was"));
        let opened =
            File::open(file).map_err(|error| Failure::new(format!("cannot read {file}: {error}")))?;
        let Ok(Opened::Capture(capture)) = capture::open(opened) else { return Err(changed()) };
        let ahead_ns = ahead(joined, source).unwrap_or_else(|| {
            warn(&format!("{file}: how far its clock is ahead is not known; its stamps stay as they are"));
            0
        });
        let first = notes.partition_point(|note| usize::from(note.source) < source);
        let end = notes.partition_point(|note| usize::from(note.source) <= source);
        let notes = notes.get(first..end).unwrap_or_default().iter().peekable();
        inputs.push(Input {
            source,
            capture,
            ahead_ns,
            notes,
            places: BTreeMap::new(),
            latest: i64::MIN,
            is_over: false,
        });
    }
    Ok(inputs)
}

/// How far a source's clock is ahead of the reference: the middle of what is known.
fn ahead(joined: &Joined, source: usize) -> Option<i64> {
    if source == joined.report.reference || joined.sources.len() == 1 {
        return Some(0);
    }
    let vantages = &joined.report.vantages;
    // Nothing was read of it, so nothing is to be aligned.
    let Some(vantage) = vantages.iter().find(|vantage| usize::from(vantage.source) == source) else {
        return Some(0);
    };
    vantage.offset.map(|offset| offset.low + (offset.high - offset.low) / 2)
}

/// A packet that waits for its turn.
struct Waiting {
    interface: u32,
    octets: Vec<u8>,
    length: u32,
    flags: Option<u32>,
    comments: Vec<String>,
}

impl Waiting {
    /// Octets that it takes in memory, about.
    fn weight(&self) -> usize {
        self.octets.len() + WAITING_COST + self.comments.iter().map(String::len).sum::<usize>()
    }
}

/// Takes from the file that is behind the others, and writes what no file can have anything before any more.
fn merge(mut inputs: Vec<Input<'_>>, joined: &Joined, file: &File) -> io::Result<()> {
    let mut writer = Writer::new(file, &[])?;
    let mut waiting: BTreeMap<(i64, u64), Waiting> = BTreeMap::new();
    let (mut octets, mut number, mut interfaces) = (0, 0_u64, 0_u32);
    while let Some(input) = inputs.iter_mut().filter(|i| !i.is_over).min_by_key(|i| i.latest) {
        match input.next(joined, &mut writer, &mut interfaces)? {
            Some((time, packet)) => {
                octets += packet.weight();
                number += 1;
                waiting.insert((time, number), packet);
            }
            None => input.is_over = true,
        }
        let behind = inputs.iter().filter(|input| !input.is_over).map(|input| input.latest).min();
        let settled = behind.unwrap_or(i64::MAX).saturating_sub(DISORDER_NS);
        while let Some(first) = waiting.first_entry()
            && (first.key().0 <= settled || octets > WAITING_MAX)
        {
            let time = first.key().0;
            let packet = first.remove();
            octets -= packet.weight();
            put(&mut writer, time, &packet)?;
        }
    }
    waiting.iter().try_for_each(|((time, _), packet)| put(&mut writer, *time, packet))?;
    writer.flush()
}

fn put(writer: &mut Writer<impl Write>, time: i64, packet: &Waiting) -> io::Result<()> {
    let Waiting { interface, octets, length, flags, comments } = packet;
    let time_ns = u64::try_from(time).unwrap_or_default();
    let copied = Copied { time_ns, bytes: octets, length: *length, flags: *flags, comments };
    writer.copied(*interface, &copied)
}

impl Input<'_> {
    /// The next packet with its time by the common clock; where it is at a place that is new, that is written as
    /// one interface more. `None` at the end, and where the file breaks, which has been told.
    fn next(
        &mut self,
        joined: &Joined,
        writer: &mut Writer<impl Write>,
        interfaces: &mut u32,
    ) -> io::Result<Option<(i64, Waiting)>> {
        let Ok(Some(frame)) = self.capture.next_frame() else { return Ok(None) };
        let place = (frame.interface, dissect::cooked_interface(frame.link_type, frame.data));
        let (number, time) = (frame.number, frame.time_ns.saturating_sub(self.ahead_ns));
        let (octets, length) = (frame.data.to_vec(), frame.length);
        // What was said at it before is kept.
        let Remarks { mut comments, flags } = self.capture.remarks();
        let is_full = self.places.len() >= PLACES_MAX;
        let place = if is_full && !self.places.contains_key(&place) { (place.0, None) } else { place };
        let interface = match self.places.get(&place) {
            Some(interface) => *interface,
            None => {
                let known = self.capture.interfaces().get(place.0 as usize).cloned().unwrap_or_default();
                writer.interface(&Interface {
                    name: joined.sources.get(self.source).map(|s| s.called(place)).unwrap_or_default(),
                    link_type: u16::try_from(known.link_type).unwrap_or(u16::MAX),
                    snap: known.snap_length,
                    filter: String::new(),
                })?;
                *interfaces += 1;
                self.places.insert(place, *interfaces - 1);
                *interfaces - 1
            }
        };
        while self.notes.next_if(|note| note.frame < number).is_some() {}
        if let Some(note) = self.notes.next_if(|note| note.frame == number)
            && !comments.contains(&note.text)
        {
            comments.push(note.text.clone());
        }
        self.latest = self.latest.max(time);
        Ok(Some((time, Waiting { interface, octets, length, flags, comments })))
    }
}
