//! Writes to the kernel: links, addresses, routes, FIB rules, neighbours, FDB entries, IPsec policies, queues and
//! sysctls of a network namespace, one small function each; what `collect` reads, the other way round.
//!
//! Each goes through a socket of the namespace that it changes, so nothing is entered for it. The
//! exceptions are sysctls: /proc/sys/net shows a thread the namespace that it is in.

pub mod address;
pub mod bond;
pub mod bridge;
pub mod fdb;
pub mod ipsec;
pub mod link;
pub mod neighbour;
pub mod queue;
pub mod route;
pub mod rule;
pub mod veth;
pub mod vlan;
pub mod vxlan;

mod error;
mod namespace;

pub use error::PlumbingError;
pub use namespace::{Namespace, write_sysctl};
