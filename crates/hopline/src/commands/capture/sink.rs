//! Where packets go: lines on stdout, journeys, a pcapng file.

use std::fs::File;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use capture::filter::LinkLayer;
use capture::pcapng::{Statistics, Writer};
use capture::session::{Counts, Event};
use correlate::{Journey, Report};
use report::{Sequence, clean};
use sys::packet_ring::{Frame, Way};

use super::live::Live;
use super::screen::Screen;
use super::{now_ns, warn};
use crate::failure::Failure;

/// How often a file's readers get what there is.
const FLUSH: Duration = Duration::from_secs(1);

/// Where packets go.
pub(super) struct Sink<'s> {
    pub(super) names: &'s [(String, LinkLayer)],
    pub(super) file: Option<Writer<File>>,
    /// Each packet at each vantage is shown.
    pub(super) shows_packets: bool,
    /// Packets are joined.
    pub(super) live: Option<Live>,
    /// Journeys are shown.
    pub(super) screen: Option<Screen>,
    /// Journeys that are over are kept here, where a picture is asked for.
    pub(super) sequence: Option<Sequence>,
    /// Of the longest name.
    pub(super) width: usize,
    /// What is wrong with the file.
    pub(super) failure: Option<Failure>,
    pub(super) flushed: Instant,
    /// The latest stamp.
    pub(super) latest_ns: u64,
}

impl Sink<'_> {
    pub(super) fn take(&mut self, event: Event<'_>) -> io::Result<()> {
        match event {
            Event::Packet { vantage, frame, lost_before } => {
                self.latest_ns = self.latest_ns.max(frame.time_ns);
                if self.shows_packets {
                    self.show(vantage, &frame)?;
                }
                if let Some(live) = &mut self.live {
                    live.see(vantage, &frame, &mut teller(&mut self.screen, &mut self.sequence))?;
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
            Event::Pause => self.pause(),
            Event::Ended { vantage, why } => {
                self.screen.as_mut().map_or(Ok(()), Screen::clear)?;
                let name = self.names.get(vantage).map_or("", |(name, _)| name.as_str());
                warn(&format!("{name}: {why}; nothing more is seen there"));
                Ok(())
            }
        }
    }

    fn pause(&mut self) -> io::Result<()> {
        if self.shows_packets {
            io::stdout().flush()?;
        }
        if let Some(live) = &mut self.live {
            live.pause(Instant::now(), now_ns(), &mut teller(&mut self.screen, &mut self.sequence))?;
        }
        if let (Some(live), Some(screen)) = (&self.live, &mut self.screen)
            && screen.is_due()
        {
            let (open, names) = live.open(screen.room());
            screen.draw(&open, names)?;
        }
        if self.file.is_some() && self.flushed.elapsed() >= FLUSH {
            self.flushed = Instant::now();
            let written = self.file.as_mut().map_or(Ok(()), Writer::flush);
            return self.written(written);
        }
        Ok(())
    }

    /// Ends the journeys; `settle` says of the whole what is to be believed.
    pub(super) fn story(
        &mut self,
        settle: impl FnOnce(&mut Report),
    ) -> io::Result<Option<(Report, Vec<String>)>> {
        let Some(live) = self.live.take() else { return Ok(None) };
        let story = live.finish(settle, &mut teller(&mut self.screen, &mut self.sequence))?;
        self.screen.as_mut().map_or(Ok(()), Screen::clear)?;
        Ok(Some(story))
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

    /// Ends the file.
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

/// Shows journeys that are over, where journeys are shown, and keeps them, where a picture is asked for.
fn teller(
    screen: &mut Option<Screen>,
    sequence: &mut Option<Sequence>,
) -> impl FnMut(&Journey, &[String], Option<u16>) -> io::Result<()> {
    move |journey, names, expected_at| {
        if let Some(sequence) = sequence {
            sequence.see(journey);
        }
        match screen {
            Some(screen) => screen.over(journey, names, expected_at),
            None => Ok(()),
        }
    }
}
