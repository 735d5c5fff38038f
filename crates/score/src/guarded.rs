//! Labs are removed whatever ends the run: the work is done by a second process, which ends when its standard input
//! does.
//!
//! Signals are for the first, which does nothing else. They cannot be blocked or caught where the work is done: what is
//! started there would inherit it, and a dnsmasq that SIGHUP does not reach is a fault of its own.

use std::env;
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use nix::sys::signal::{SigSet, Signal};

static STOP: AtomicBool = AtomicBool::new(false);

/// Has this very program do the work, and lets it end in order at SIGINT, SIGTERM or SIGHUP. Called while there is one
/// thread, whose mask the others have.
pub(crate) fn run() -> io::Result<ExitCode> {
    let mut command = Command::new(env::current_exe()?);
    // Out of reach of the terminal's Ctrl-C.
    command.arg("--guarded").args(env::args_os().skip(1)).process_group(0).stdin(Stdio::piped());
    let mut child = command.spawn()?;
    let lifeline = child.stdin.take();
    let signals: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect();
    signals.thread_block()?;
    thread::spawn(move || {
        // It fails for no set of signals (sigwait(3)).
        let _ = signals.wait();
        drop(lifeline);
    });
    let code = child.wait()?.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// Set when the other process is gone, or wants the end: what has begun is ended, and nothing else is begun.
pub(crate) fn stop() -> &'static AtomicBool {
    thread::spawn(|| {
        // Nothing is ever written to it.
        let _ = io::stdin().read(&mut [0]);
        STOP.store(true, Ordering::Relaxed);
    });
    &STOP
}
