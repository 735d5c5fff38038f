//! What the tests of filters share: a machine for classic BPF, and packets.

#![allow(dead_code, reason = "each test program uses its own part")]

pub(crate) mod machine;
pub(crate) mod namespaces;
pub(crate) mod packets;
