//! Packets seen at many vantages at once: which of them are wanted, caught in the kernel, written as pcapng.
//!
//! A vantage is a device of a namespace of a host. Each gets a ring of its own, opened inside the namespace
//! and owned by this process, so that nothing outlives it, however it ends.

mod beyond;
pub mod filter;
mod line;
pub mod pcapng;
pub mod replace;
pub mod session;
pub mod stop;
pub mod vantage;

pub use line::line;
