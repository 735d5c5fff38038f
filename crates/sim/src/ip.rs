//! The IP layer of one namespace: received packets, routing, neighbours, packets made here.

pub mod arp;
mod deliver;
mod local;
pub(crate) mod neighbour;
pub(crate) mod neighbour_discovery;
mod output_v6;
mod receive;
mod receive_v6;
pub mod reverse_path;
pub mod route;
mod route_v6;
pub(crate) mod scope;
pub(crate) mod source_v6;

pub(crate) use local::{From, answer, answer_on, has_route_out, next_hop, send, send_frame};
pub(crate) use receive::{receive, turned_back};
pub(crate) use receive_v6::redirected;
