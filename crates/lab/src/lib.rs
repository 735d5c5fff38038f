//! A small real cloud in network namespaces, and the faults to break it with.
//!
//! `up` builds hosts, a switch, two routers and an external server; nova's database says what networks and
//! instances there are; and nova-like services make the hosts match it: bridges, dnsmasq, iptables, domains.
//! Everything is inside namespaces of the lab's own or under its state directory, so `down` can remove it whatever
//! happened in between. It refuses to touch what is not its own.

mod await_lease;
mod badly_ended;
mod break_heal;
mod command;
mod database;
mod dhcp_client;
mod dhcp_release;
mod down;
mod env;
mod error;
mod faults;
mod guest;
mod kernel;
pub mod layout;
mod libvirt;
mod machine;
pub mod manager;
mod memory;
mod namespace;
mod nova;
pub mod operations;
mod overlay;
mod place;
mod process;
pub mod realm;
mod record;
mod rig;
mod scene;
mod seed;
mod servers;
mod shape;
mod site;
mod status;
mod tools;
mod up;
mod whole_file;

pub use break_heal::{break_fault, heal, open};
pub use down::{Removed, down};
pub use env::{enter_command, env, shell_quote};
pub use error::LabError;
pub use faults::{Fault, faults, faults_of};
pub use nova::dhcpbridge::dhcpbridge;
pub use novadb::{NewRule, rows};
pub use place::{Lab, MAX_NAME, state_of};
pub use shape::{GuestKind, MAX_HOSTS, Manager, Shape};
pub use status::{Condition, Status, status};
pub use up::{Options, up};
