//! Journeys on stdout: on a terminal those that are over go up, and the open ones stand below, redrawn as they
//! grow; elsewhere each is a line once it is over.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use correlate::Journey;
use terminal_size::{Height, Width, terminal_size};

/// Open journeys shown at a time.
const OPEN_MAX: usize = 10;
/// Between two drawings.
const REST: Duration = Duration::from_millis(100);
/// On less nothing is redrawn.
const ROWS_MIN: usize = 6;
const COLUMNS_MIN: usize = 20;

/// What is on the screen.
pub(super) struct Screen {
    is_terminal: bool,
    color: bool,
    /// Lines to be put above the open journeys.
    over: String,
    /// Lines of open journeys that stand there now.
    drawn: usize,
    rested: Instant,
}

impl Screen {
    pub(super) fn new(color: bool) -> Screen {
        let is_dumb = std::env::var_os("TERM").is_none_or(|name| name.is_empty() || name == "dumb");
        let is_terminal = io::stdout().is_terminal() && !is_dumb;
        Screen { is_terminal, color, over: String::new(), drawn: 0, rested: Instant::now() }
    }

    /// A journey is over; where it was expected, if it is lost.
    pub(super) fn over(
        &mut self,
        journey: &Journey,
        names: &[String],
        expected_at: Option<u16>,
    ) -> io::Result<()> {
        self.over.push_str(&report::journey_text(journey, names, expected_at, self.color));
        self.over.push('\n');
        // In a flood, what is told must not be kept.
        if self.over.len() > 64 << 10 { self.write("") } else { Ok(()) }
    }

    /// It is time to draw again: the eye is slow, and so are some terminals.
    pub(super) fn is_due(&self) -> bool {
        !self.is_terminal || self.rested.elapsed() >= REST
    }

    /// How many open journeys there is room for.
    pub(super) fn room(&self) -> usize {
        let (rows, columns) = size();
        let has_room = self.is_terminal && rows >= ROWS_MIN && columns >= COLUMNS_MIN;
        if has_room { OPEN_MAX.min(rows / 2) } else { 0 }
    }

    /// Shows what is over, and the open ones below.
    pub(super) fn draw(&mut self, open: &[Journey], names: &[String]) -> io::Result<()> {
        if open.is_empty() && self.over.is_empty() && self.drawn == 0 {
            return Ok(());
        }
        // One column is left free: at the last one some terminals wrap and some do not.
        let (_, columns) = size();
        let mut below = String::new();
        for journey in open {
            below.push_str(&report::journey_fitting(journey, names, columns.saturating_sub(1)));
            below.push('\n');
        }
        self.write(&below)?;
        self.drawn = open.len();
        self.rested = Instant::now();
        Ok(())
    }

    /// Takes the open journeys off the screen, for others to write.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        if self.drawn > 0 || !self.over.is_empty() { self.write("") } else { Ok(()) }
    }

    fn write(&mut self, below: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if self.drawn > 0 {
            // Up to where they begin, and everything below away (ECMA-48: CUU, ED).
            write!(out, "\r\x1b[{}A\x1b[J", self.drawn)?;
            self.drawn = 0;
        }
        out.write_all(self.over.as_bytes())?;
        self.over.clear();
        out.write_all(below.as_bytes())?;
        out.flush()
    }
}

/// Rows and columns now: a window may change while we run.
fn size() -> (usize, usize) {
    match terminal_size() {
        Some((Width(columns), Height(rows))) => (rows.into(), columns.into()),
        None => (24, 80),
    }
}
