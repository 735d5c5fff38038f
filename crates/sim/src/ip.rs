//! The IP layer of one namespace: received packets, routing, neighbours, packets made here.

mod arp;
mod local;
pub(crate) mod neighbour;
mod receive;
pub mod reverse_path;
pub mod route;

pub(crate) use local::{answer_on, next_hop, send, send_frame};
pub(crate) use receive::{receive, turns_back};
