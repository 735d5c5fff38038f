//! Real packets, sent as a host, from inside an instance that may be entered, or as one that may not, and the
//! rules that they meet.
//!
//! A probe is a socket of its own, opened inside the namespace that it speaks for; a rule trace is a
//! table that belongs to a socket, and what tells of [`drops`] is a program that belongs to a descriptor.
//! Nothing else is configured, and the kernel removes all of it with the process, however that ends. Needs
//! `CAP_NET_RAW` in the namespace it sends from, and `CAP_NET_ADMIN` in the one whose rules it traces.
//!
//! Questions ([`echo()`], [`neighbour`], [`dns`], [`tcp`], [`udp`], [`trace`](mod@trace), [`sized`](mod@sized)) are
//! asked by an [`Asker`] and block until they are settled or the time is up: several at once are several threads. What
//! the network does with one is an outcome of a closed set, never an error. DNS, TCP and UDP need no privilege but
//! that of entering the namespace.

mod arp;
pub mod as_instance;
pub mod dhcp;
pub mod dns;
pub mod drops;
mod echo;
mod ethernet;
pub mod greeting;
pub mod http;
mod icmp;
mod icmp6;
mod icmp_error;
mod mark;
pub mod neighbour;
mod raw_echo;
mod received;
pub mod rule_trace;
pub mod sized;
mod socket;
pub mod tcp;
pub mod trace;
pub mod udp;

pub use echo::{EchoPlan, EchoResult, EchoSize, echo, echo_and_tell};
pub use icmp_error::IcmpError;
pub use mark::is_marked;
pub use received::{Received, received};
pub use socket::{Arrival, AskError, Asker, NotSent, Took};
