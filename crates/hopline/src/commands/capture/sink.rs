//! Where packets go: lines on stdout, a pcapng file, or both.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::time::{Duration, Instant};

use capture::filter::LinkLayer;
use capture::pcapng::{Statistics, Writer};
use capture::session::{Counts, Event};
use report::clean;
use sys::packet_ring::{Frame, Way};

use super::warn;
use crate::failure::Failure;

/// How often a file's readers get what there is.
const FLUSH: Duration = Duration::from_secs(1);

/// Where packets go.
pub(super) struct Sink<'s> {
    pub(super) names: &'s [(String, LinkLayer)],
    pub(super) file: Option<Writer<BufWriter<File>>>,
    pub(super) live: bool,
    /// Of the longest name.
    pub(super) width: usize,
    /// What is wrong with the file.
    pub(super) failure: Option<Failure>,
    pub(super) flushed: Instant,
}

impl Sink<'_> {
    pub(super) fn take(&mut self, event: Event<'_>) -> io::Result<()> {
        match event {
            Event::Packet { vantage, frame, lost_before } => {
                if self.live {
                    self.show(vantage, &frame)?;
                }
                let Some(file) = &mut self.file else { return Ok(()) };
                let lost = (lost_before > 0).then(|| {
                    format!(
                        "the kernel dropped {lost_before} packets at this vantage shortly before this one"
                    )
                });
                let number = u32::try_from(vantage).unwrap_or(u32::MAX);
                let written = file.packet(number, &frame, lost.as_deref());
                self.written(written)
            }
            Event::Pause => {
                if self.live {
                    io::stdout().flush()?;
                }
                if self.file.is_some() && self.flushed.elapsed() >= FLUSH {
                    self.flushed = Instant::now();
                    let written = self.file.as_mut().map_or(Ok(()), Writer::flush);
                    return self.written(written);
                }
                Ok(())
            }
            Event::Ended { vantage, why } => {
                let name = self.names.get(vantage).map_or("", |(name, _)| name.as_str());
                warn(&format!("{name}: {why}; nothing more is seen there"));
                Ok(())
            }
        }
    }

    /// A file that takes no more ends the capture, and is why.
    fn written(&mut self, result: io::Result<()>) -> io::Result<()> {
        result.map_err(|error| {
            self.failure = Some(Failure::new(format!("cannot write the capture file: {error}")));
            io::ErrorKind::BrokenPipe.into()
        })
    }

    fn show(&self, vantage: usize, frame: &Frame<'_>) -> io::Result<()> {
        let Some((name, layer)) = self.names.get(vantage) else { return Ok(()) };
        let way = match frame.way {
            Way::Out => "out",
            Way::In | Way::Broadcast | Way::Multicast | Way::OtherHost => "in",
            Way::Unknown(_) => "?",
        };
        let (seconds, nanoseconds) = (frame.time_ns / 1_000_000_000, frame.time_ns % 1_000_000_000);
        let (hours, minutes, seconds) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        let said = capture::line(frame, *layer);
        let (micros, width, name) = (nanoseconds / 1000, self.width, clean(name));
        let time = format!("{hours:02}:{minutes:02}:{seconds:02}.{micros:06}");
        writeln!(io::stdout(), "{time} {name:<width$} {way:<3} {said}")
    }

    pub(super) fn close(&mut self, counts: &[Counts], times_ns: (u64, u64)) -> Result<(), Failure> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let mut all = || -> io::Result<()> {
            for (number, counts) in (0..).zip(counts) {
                let Counts { packets, drops, .. } = *counts;
                file.statistics(number, Statistics { times_ns, received: packets + drops, dropped: drops })?;
            }
            file.flush()
        };
        all().map_err(|e| Failure::new(format!("cannot write the capture file: {e}")))
    }
}
