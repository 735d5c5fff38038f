//! What the system needs said in its own words: entering namespaces, packet rings and their filters, BPF programs,
//! devices made to receive, a socket option, what drivers do, where programs are.
//! `unsafe` is needed here and nowhere else.
//!
//! Every function says what it leaves behind. Nothing here outlives the process but what its name
//! says (`create`).

pub mod bpf;
pub mod ebpf;
pub mod ethtool;
pub mod ingress;
pub mod netns;
pub mod packet_ring;
pub mod programs;
mod socket_option;
pub mod tap;
pub mod tcp;
pub mod userns;
pub mod whole_packets;
