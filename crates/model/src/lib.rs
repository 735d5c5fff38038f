//! The nouns of hopline: what a machine would do with a packet, what is meant, what is predicted,
//! what was seen, and what follows from it.
//!
//! Plain data without behaviour beyond look-ups and printing. Depends on nothing of ours; does no
//! I/O, reads no clock. Everything serialises, so a fixture or a bundle is these types as JSON.

pub mod addr;
pub mod bond;
pub mod conntrack;
pub mod dhcp;
pub mod dns;
pub mod few;
pub mod finding;
pub mod http;
pub mod intent;
pub mod journey;
pub mod kernel_drop;
pub mod link;
pub mod listing;
pub mod netfilter;
pub mod netns;
pub mod packet;
pub mod path;
pub mod probe;
pub mod queueing;
pub mod route;
pub mod service;
pub mod shell;
pub mod sighting;
pub mod snapshot;
pub mod ssh;
pub mod vlan;
pub mod vxlan;

pub use addr::Mac;
pub use finding::{Diagnosis, Finding};
pub use intent::Intent;
pub use netns::Netns;
pub use packet::Packet;
pub use path::Path;
pub use snapshot::Snapshot;
