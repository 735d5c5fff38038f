//! Ctrl-C as something to wait for, so that a session ends in order: with its summary.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// Readable once SIGINT, SIGTERM or SIGHUP has come.
#[derive(Debug)]
pub struct Stop {
    signals: SigSet,
    pending: SignalFd,
}

impl Stop {
    /// From now on these signals do not end the process. Programs started afterwards by this thread would
    /// inherit that.
    pub fn listen() -> io::Result<Stop> {
        let signals: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect();
        signals.thread_block()?;
        let pending = SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        Ok(Stop { signals, pending })
    }

    /// From now on these signals end the process again; those that came until now have done what they should.
    pub fn unlisten(self) {
        while let Ok(Some(_)) = self.pending.read_signal() {}
        // It fails for no set of signals (pthread_sigmask(3)).
        let _ = self.signals.thread_unblock();
    }
}

impl AsFd for Stop {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pending.as_fd()
    }
}
