//! A word on stderr when something takes long, so that nobody wonders whether it hangs.

use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

/// What takes less than this is not worth a word.
const PATIENCE: Duration = Duration::from_secs(1);

/// Tells what is being done until it is dropped.
pub(crate) struct Progress {
    /// Hanging up ends the teller.
    _done: Option<Sender<()>>,
}

/// Starts to watch the time; says something after a second, and only to a terminal.
pub(crate) fn start(what: &'static str) -> Progress {
    if !io::stderr().is_terminal() {
        return Progress { _done: None };
    }
    let (done, hung_up) = mpsc::channel::<()>();
    thread::spawn(move || {
        if hung_up.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            // Progress that cannot be shown is not missed.
            let _ = writeln!(io::stderr(), "hopline: {what} ...");
        }
    });
    Progress { _done: Some(done) }
}

/// Tells each step of a long work, once that has taken more than a second.
pub(crate) struct Steps {
    what: &'static str,
    started: Instant,
    is_watched: bool,
}

impl Steps {
    /// Starts to watch the time; says nothing but to a terminal.
    pub(crate) fn start(what: &'static str) -> Steps {
        Steps { what, started: Instant::now(), is_watched: io::stderr().is_terminal() }
    }

    /// The next step begins.
    pub(crate) fn step(&self, step: &str) {
        if self.is_watched && self.started.elapsed() >= PATIENCE {
            // Progress that cannot be shown is not missed.
            let _ = writeln!(io::stderr(), "hopline: {} {step} ...", self.what);
        }
    }
}
