//! A file of packets, as batches of sightings.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use model::sighting::Sighting;
use parse::capture::{self, Capture, Damage, Interface, Opened};
use parse::dissect::{self, Options};
use parse::tcpdump;

use crate::failure::Failure;

/// Sightings of a batch: few enough to stay in a cache until they are joined.
const BATCH: usize = 2048;
/// Listings are for people; what is longer is no listing.
const LISTING_MAX: u64 = 64 << 20;
/// Packets of several processors are stamped a little out of order.
const BACKWARDS_NS: i64 = 100_000_000;
/// Places told apart within one file; more share the last one's name.
const PLACES_MAX: usize = 1024;

/// A file being read.
pub(crate) struct Source {
    /// As it was given.
    pub(crate) file: String,
    /// Several devices may be in one vantage: packets of `tcpdump -i any` without their link.
    pub(crate) is_mixed: bool,
    /// Where it broke.
    pub(crate) damage: Option<Damage>,
    /// The first frame at which time runs backwards, and by how much.
    pub(super) backwards: Option<(u32, i64)>,
    stem: String,
    reading: Reading,
    options: Options,
    /// By what the file itself tells of the link: the number of the vantage.
    places: BTreeMap<Place, u16>,
    names: Vec<String>,
    /// The latest stamp, by vantage.
    latest: Vec<i64>,
}

enum Reading {
    Capture(Box<Capture<Octets>>),
    Listing(Vec<Sighting>),
}

/// What a file tells of the link: index of an interface block, and ifindex of cooked packets.
pub(super) type Place = (u32, Option<u32>);

/// A capture's octets, from wherever they come.
pub(crate) type Octets = Box<dyn Read + Send>;

// Numbers of tcpdump.org/linktypes.html: Linux cooked, which `-i any` had before SLL2.
const LINK_SLL: u32 = 113;

/// Opens every file, and makes what they tell comparable.
pub(super) fn open_all(files: &[PathBuf]) -> Result<Vec<Source>, Failure> {
    let sources = files.iter().map(|file| open(file)).collect::<Result<Vec<Source>, Failure>>()?;
    Ok(comparable(sources))
}

/// Makes what several sources tell comparable, and names their vantages.
pub(crate) fn comparable(mut sources: Vec<Source>) -> Vec<Source> {
    let captures = |source: &Source| match &source.reading {
        Reading::Capture(capture) => capture.snap_length(),
        Reading::Listing(_) => None,
    };
    let mut options = Options::for_snap_length(sources.iter().filter_map(captures).min());
    options.as_listed = sources.iter().any(|source| matches!(source.reading, Reading::Listing(_)));
    sources.iter_mut().for_each(|source| source.options = options);
    name(&mut sources);
    sources
}

/// Opens a file.
pub(crate) fn open(path: &Path) -> Result<Source, Failure> {
    let file = path.display().to_string();
    let failed = |why: &str| Failure::new(format!("cannot read {file}: {why}"));
    let opened = File::open(path).map_err(|error| failed(&error.to_string()))?;
    let about = opened.metadata().map_err(|error| failed(&error.to_string()))?;
    if about.is_dir() {
        return Err(failed("it is a directory").hint("give the captures in it: hopline correlate DIR/*.pcap"));
    }
    of_octets(file, Box::new(opened))
}

/// What is in these octets, which `file` stands for.
pub(crate) fn of_octets(file: String, octets: Octets) -> Result<Source, Failure> {
    let failed = |why: &str| Failure::new(format!("cannot read {file}: {why}"));
    let reading = match capture::open(octets).map_err(|damage| broken(&file, &damage))? {
        Opened::Capture(capture) => (Reading::Capture(capture), Vec::new()),
        Opened::Unknown { head, rest } if head.is_empty() => {
            drop(rest);
            return Err(failed("it is empty").hint("was the capture stopped before it was written?"));
        }
        Opened::Unknown { head, rest } => listing(&file, head, rest)?,
    };
    let (reading, names) = reading;
    let is_mixed = match &reading {
        Reading::Capture(capture) => capture.interfaces().iter().any(|link| link.link_type == LINK_SLL),
        Reading::Listing(_) => names.is_empty(),
    };
    Ok(Source {
        file,
        is_mixed,
        damage: None,
        backwards: None,
        stem: String::new(),
        reading,
        options: Options::for_snap_length(None),
        places: BTreeMap::new(),
        names,
        latest: Vec::new(),
    })
}

fn broken(file: &str, damage: &Damage) -> Failure {
    Failure::new(format!("cannot read {file}: at {}: {}", damage.offset, damage.why))
}

/// A listing of tcpdump, and the links that it names.
fn listing(file: &str, head: Vec<u8>, rest: Box<dyn Read + Send>) -> Result<(Reading, Vec<String>), Failure> {
    let no_capture = || {
        Failure::new(format!("{file} is neither a capture nor a listing of packets")).hint(
            "hopline correlate reads pcap, pcapng, either packed with gzip or zstd, and `tcpdump -n -v`",
        )
    };
    if head.contains(&0) {
        return Err(no_capture());
    }
    let mut octets = head;
    let read = rest.take(LISTING_MAX).read_to_end(&mut octets);
    read.map_err(|error| Failure::new(format!("cannot read {file}: {error}")))?;
    let listed = tcpdump::parse("", &String::from_utf8_lossy(&octets));
    if listed.value.is_empty() {
        return Err(no_capture());
    }
    let mut links: Vec<String> = Vec::new();
    let mut sightings = Vec::new();
    for packet in &listed.value {
        let link = packet.interface.as_ref().map(|(link, _)| link);
        let place = link.map_or(0, |link| match links.iter().position(|known| known == link) {
            Some(at) => at,
            None => {
                if links.len() < PLACES_MAX {
                    links.push(link.clone());
                }
                links.len() - 1
            }
        });
        sightings.push(tcpdump::seen(packet, u16::try_from(place).unwrap_or_default()));
    }
    Ok((Reading::Listing(sightings), links))
}

/// Names each vantage: by the interface where the file names one, else by the file; where several files would
/// have the same name, by more of their paths.
fn name(sources: &mut [Source]) {
    let mut stems: Vec<String> = sources.iter().map(|source| stem(Path::new(&source.file))).collect();
    let twice = |names: &[String], name: &String| names.iter().filter(|other| *other == name).count() > 1;
    for at in 0..stems.len() {
        if let (Some(stem), Some(source)) = (stems.get(at).cloned(), sources.get(at))
            && twice(&stems, &stem)
            && let Some(place) = stems.get_mut(at)
        {
            place.clone_from(&source.file);
        }
    }
    let interfaces: Vec<String> = sources.iter().flat_map(Source::interface_names).collect();
    for (source, stem) in sources.iter_mut().zip(stems) {
        if let Reading::Listing(_) = source.reading {
            source.names.iter_mut().for_each(|link| *link = format!("{stem}/{link}"));
        }
        let names = source.interface_names();
        for (index, link) in (0_u32..).zip(names) {
            if !link.is_empty() {
                let name = if twice(&interfaces, &link) { format!("{stem}/{link}") } else { link };
                source.place((index, None), name);
            }
        }
        source.stem = stem;
    }
}

/// The file's name without what tells its format: `eth0` of `captures/eth0.pcap.gz`.
fn stem(path: &Path) -> String {
    let mut stem = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    for packed in [".gz", ".zst"] {
        stem = stem.strip_suffix(packed).map_or(stem.clone(), str::to_owned);
    }
    match stem.rsplit_once('.') {
        Some((name, _)) if !name.is_empty() => name.to_owned(),
        Some(_) | None => stem,
    }
}

impl Source {
    /// What the file tells of the interface that a vantage is, by the vantage's number; `None` where it tells nothing.
    pub(crate) fn interface(&self, number: u16) -> Option<&Interface> {
        let Reading::Capture(capture) = &self.reading else { return None };
        let (index, _) = self.places.iter().find(|(_, known)| **known == number)?.0;
        capture.interfaces().get(*index as usize)
    }

    /// Names of the interfaces that are described so far; empty where one has none.
    fn interface_names(&self) -> Vec<String> {
        match &self.reading {
            Reading::Capture(capture) => {
                capture.interfaces().iter().map(|link| link.name.clone().unwrap_or_default()).collect()
            }
            Reading::Listing(_) => Vec::new(),
        }
    }

    /// The number of a new vantage.
    fn place(&mut self, place: Place, name: String) -> u16 {
        if self.names.len() < PLACES_MAX {
            self.names.push(name);
        }
        let number = u16::try_from(self.names.len() - 1).unwrap_or_default();
        if self.places.len() < PLACES_MAX {
            self.places.insert(place, number);
        }
        number
    }

    /// It is text, and has no octets of packets.
    pub(crate) fn is_listing(&self) -> bool {
        match self.reading {
            Reading::Capture(_) => false,
            Reading::Listing(_) => true,
        }
    }

    /// What the vantage of a place is called.
    pub(super) fn called(&self, place: Place) -> String {
        let known = self.places.get(&place).and_then(|number| self.names.get(usize::from(*number)));
        known.cloned().unwrap_or_else(|| self.nameless(place))
    }

    /// Names of the vantages so far, by number.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// The next sightings; empty at the end.
    pub(super) fn batch(&mut self) -> Vec<Sighting> {
        let batch = match &mut self.reading {
            Reading::Listing(sightings) => std::mem::take(sightings),
            Reading::Capture(_) => self.captured(),
        };
        if self.names.is_empty() {
            self.names.push(self.stem.clone());
        }
        batch
    }

    fn captured(&mut self) -> Vec<Sighting> {
        let mut batch = Vec::with_capacity(BATCH);
        let mut last: Option<(Place, u16)> = None;
        while batch.len() < BATCH {
            let Reading::Capture(capture) = &mut self.reading else { break };
            let frame = match capture.next_frame() {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(damage) => {
                    self.damage = Some(damage);
                    break;
                }
            };
            let place = (frame.interface, dissect::cooked_interface(frame.link_type, frame.data));
            let known = last.filter(|(known, _)| *known == place).map(|(_, number)| number);
            let number = known.or_else(|| self.places.get(&place).copied());
            let seen = dissect::sighting(&frame, number.unwrap_or_default(), &self.options);
            let Some(mut seen) = seen else { continue };
            if number.is_none() {
                let name = self.nameless(place);
                seen.vantage = self.place(place, name);
            }
            last = Some((place, seen.vantage));
            self.watch_time(&seen);
            batch.push(seen);
        }
        batch
    }

    /// Each device's packets are in order; those of several are written as their rings were emptied.
    fn watch_time(&mut self, seen: &Sighting) {
        let place = usize::from(seen.vantage);
        if self.latest.len() <= place {
            self.latest.resize(place + 1, i64::MIN);
        }
        let Some(latest) = self.latest.get_mut(place) else { return };
        if seen.time_ns < latest.saturating_sub(BACKWARDS_NS) && self.backwards.is_none() {
            self.backwards = Some((seen.frame, latest.saturating_sub(seen.time_ns)));
        }
        *latest = (*latest).max(seen.time_ns);
    }

    /// A vantage that no interface block names.
    fn nameless(&self, (index, ifindex): Place) -> String {
        let named = self.interface_names().get(index as usize).filter(|name| !name.is_empty()).cloned();
        match (named, ifindex, index) {
            (Some(name), Some(ifindex), _) => format!("{name}/if{ifindex}"),
            (Some(name), None, _) => name,
            (None, Some(ifindex), _) => format!("{}/if{ifindex}", self.stem),
            (None, None, 0) => self.stem.clone(),
            (None, None, index) => format!("{}/{index}", self.stem),
        }
    }
}
