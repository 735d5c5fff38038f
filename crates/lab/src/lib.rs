//! A small real cloud in network namespaces, and the faults to break it with.
//!
//! `up` builds nova-network's FlatDHCPManager in multi-host mode out of kernel parts: a compute host
//! with two instances, a switch, two routers and an external server. Everything it makes is inside
//! its own namespaces or under its state directory, so `down` can remove it whatever happened in
//! between. It refuses to touch what is not its own.

mod break_heal;
mod command;
mod down;
mod env;
mod error;
mod faults;
pub mod layout;
mod namespace;
mod nova;
mod place;
mod process;
pub mod realm;
mod record;
mod services;
mod site;
mod status;
mod tools;
mod up;
mod wiring;

pub use break_heal::{break_fault, heal, open};
pub use down::{Removed, down};
pub use env::{enter_command, env, shell_quote};
pub use error::LabError;
pub use faults::{Fault, faults};
pub use nova::dhcpbridge::dhcpbridge;
pub use place::{Lab, MAX_NAME, state_of};
pub use status::{Condition, Status, status};
pub use up::{Options, up};
