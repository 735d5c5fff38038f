//! Writes to the kernel: links, addresses, routes and neighbours, one small function each.
//!
//! Each goes through a socket of the namespace that it changes, so nothing is entered for it.

pub(crate) mod address;
pub(crate) mod bridge;
pub(crate) mod link;
pub(crate) mod neighbour;
pub(crate) mod route;
pub(crate) mod veth;
