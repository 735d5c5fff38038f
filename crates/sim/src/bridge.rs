//! A Linux bridge: ports, forwarding database, flooding (`net/bridge/br_input.c`, `br_forward.c`).

mod br_netfilter;
pub mod fdb;
mod forward;
pub(crate) mod vlan;

pub(crate) use forward::{input, output};
