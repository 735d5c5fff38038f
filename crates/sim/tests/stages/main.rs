//! Each stage of the walk on a small cloud made by hand: what the kernel does, one fact a test.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![expect(clippy::cast_possible_truncation, reason = "a handful of links")]

mod bridges;
mod cloud;
mod dhcp;
mod endings;
mod filters;
mod neighbours;
mod routes;
mod rulesets;
mod translation;
mod vlans;
