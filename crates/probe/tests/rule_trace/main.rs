//! The rules that packets really meet, in namespaces `ht-rt-PID-N-a`, `-r` and `-b`: the kernel tells,
//! the owners' own tools print. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod bounds;
mod hostile;
mod named;
mod nothing_left;
mod ours_alone;
mod wires;
