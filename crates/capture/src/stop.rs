//! Ctrl-C as something to wait for, so that a session ends in order: with its summary.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// Readable once SIGINT, SIGTERM or SIGHUP has come.
#[derive(Debug)]
pub struct Stop(SignalFd);

impl Stop {
    /// From now on these signals do not end the process. Programs started afterwards by this thread would
    /// inherit that.
    pub fn listen() -> io::Result<Stop> {
        let signals: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect();
        signals.thread_block()?;
        Ok(Stop(SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?))
    }
}

impl AsFd for Stop {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
