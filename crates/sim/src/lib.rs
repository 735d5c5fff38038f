//! An imagined packet sent through a snapshot, stage by stage, as the kernel would send it.
//!
//! [`World`] is a snapshot made searchable; [`exchange`] asks a question of it (does this echo get
//! there and back?) and answers with [`model::Path`]s. Inside, one file a stage, in the order a frame
//! meets them: [`wire`], [`bridge`], [`ip`] (receive, route, reverse path, forward, output,
//! neighbour), [`netfilter`] at its hooks, then the wire again.
//!
//! Three values everywhere: what is not known or not modelled ends a path as *unknown*, named, and
//! is never guessed. No I/O, no clock: the same snapshot gives the same paths.

mod beyond;
mod bond;
pub mod bridge;
pub mod dhcp;
pub mod exchange;
mod guest;
pub mod ip;
pub mod netfilter;
mod refusal;
mod resolution;
mod trail;
mod vxlan;
mod wire;
mod wiring;
pub mod world;

pub use beyond::{NAME as OUTSIDE, ROUTER as OUTSIDE_ROUTER, WayIn, way_in};
pub use exchange::{Answer, Endpoint, Protocol, Question, TRACE_OCTETS, ask};
pub use trail::stop_text;
pub use world::{FarEnd, LinkId, World};
