//! Netlink, synchronously: one socket belongs to one namespace and one thread at a time; one file a
//! kind of object turns the kernel's messages into the model.

mod error;
mod exchange;
mod socket;

pub mod addresses;
pub mod attribute;
mod bonds;
pub(crate) mod bridge_vlans;
pub mod bridges;
pub(crate) mod links;
pub(crate) mod neighbour_tables;
pub(crate) mod neighbours;
pub mod nftables;
pub(crate) mod peers;
pub mod queues;
pub(crate) mod routes;
pub(crate) mod rules;

pub use error::NetlinkError;
pub use exchange::{Change, Channel};
pub use socket::Socket;
