//! Real packets, sent as a host or from inside an instance that may be entered.
//!
//! A probe is a socket of its own, opened inside the namespace that it speaks for: nothing is
//! configured, and the kernel removes it with the process, however that ends. Needs `CAP_NET_RAW`
//! in the namespace it sends from.

mod echo;
mod icmp;

pub use echo::{EchoPlan, ProbeError, echo};
