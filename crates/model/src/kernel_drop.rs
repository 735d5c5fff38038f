//! Packets of our own questions that the kernel freed before their end, as it tells it itself.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::path::{Direction, Exchange};

/// Packets of one question of ours, or answers to them, or ARP that they wait for, that were dropped at one place for
/// one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelDrop {
    /// Who asked: host or instance, as in [`ProbeResult`](crate::probe::ProbeResult); of ARP, the address that did.
    pub from: String,
    /// Whom, likewise; of ARP, the address that is asked for.
    pub to: IpAddr,
    /// The kind of conversation.
    pub exchange: Exchange,
    /// Of an echo, the length of its packets, as in [`Asked::octets`](crate::probe::Asked::octets).
    pub octets: Option<u16>,
    /// Of a name or a connection, the port that was asked, as in
    /// [`Asked::service_port`](crate::probe::Asked::service_port), whatever NAT made of it.
    pub port: Option<u16>,
    /// Which half of it: never both.
    pub direction: Direction,
    /// Whose namespace it was; `None` for one that is not of this site.
    pub owner: Option<Owner>,
    /// The device that they were at; empty where they had none: what a local socket sends, and no device has yet.
    pub device: String,
    /// The drop reason, as the kernel names it without prefix (`enum skb_drop_reason`): `IP_RPFILTER`.
    pub reason: String,
    /// The kernel's function that freed them: `nft_do_chain`.
    pub function: String,
    /// The first of them: `10.0.0.11 > 198.51.100.10 ICMP echo request ttl 64`.
    pub packet: String,
    /// How many.
    pub count: u32,
}

/// A namespace by its place in the site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Host, or instance whose inside is meant.
    pub machine: String,
    /// Empty for its main namespace.
    pub netns: String,
}
