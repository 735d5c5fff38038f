//! The walk against this machine's kernel.
//!
//! Small clouds are drawn from a seed, built for real in network namespaces without names, and read as
//! hopline reads a site. Then packets are really sent, and each must fare as the walk said. What fares
//! otherwise is tried again alone, shrunk to the least that still shows it, and kept as a fixture that
//! replays without root. Where the walk says *unknown*, nothing is compared, only counted.

mod case;
mod cloud;
mod coverage;
mod draw;
mod error;
mod fixture;
mod judge;
mod random;
mod run;
mod shrink;
mod survey;
mod text;
mod tools;
mod trial;
mod wire;
mod words;

use nix::unistd::geteuid;
use sys::userns;

/// Makes an ordinary user root of a user namespace, with a /run of its own for the tools' locks. Root needs
/// none.
///
/// Must be called while the process has a single thread (unshare(2), `CLONE_NEWUSER`).
pub fn enter_realm() -> Result<(), SelftestError> {
    if geteuid().is_root() {
        return Ok(());
    }
    userns::create(&[]).map_err(|source| SelftestError::NoRealm { source, remedy: userns::remedy() })
}

pub use case::Kind;
pub use coverage::{Count, Coverage};
pub use error::SelftestError;
pub use fixture::Fixture;
pub use judge::{Asked, Fate, Refused, Said};
pub use run::{Options, Packets, Report, Wrong, run};
pub use wire::{Arrived, Refusal, Seen};
