//! VXLAN devices: which overlay they are an end of, and where their entries lead (RFC 7348, ip-link(8), bridge(8)).

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// Settings of a VXLAN device (`IFLA_VXLAN_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct VxlanDevice {
    /// VXLAN network identifier, 0 to 2^24 - 1: frames of another are not taken.
    pub vni: u32,
    /// Source of the outer packets; `None` where the route to the far end chooses it.
    pub local: Option<IpAddr>,
    /// Far end, or multicast group, of frames that no entry of its own tells the way of.
    pub remote: Option<IpAddr>,
    /// UDP port that it listens at and sends to. IANA's is 4789, the kernel's default 8472.
    pub port: u16,
    /// ifindex of the link that outer packets have to take; `None` where their route alone decides.
    pub underlay: Option<u32>,
    /// Inode of the namespace that outer packets travel in, which is the one that the device was made in; `None`
    /// where it could not be told.
    pub underlay_netns: Option<u64>,
    /// It learns from frames received which far end a MAC is behind.
    pub learning: bool,
    /// `proxy` or `rsc`: it answers ARP itself, or routes, out of the neighbour table.
    pub answers_itself: bool,
    /// `external`: VNI and far end come with each packet, from routes or filters, and `vni` means nothing.
    pub external: bool,
}

/// The kernel's own defaults (drivers/net/vxlan, `vxlan_nl2conf`).
impl Default for VxlanDevice {
    fn default() -> VxlanDevice {
        VxlanDevice {
            vni: 0,
            local: None,
            remote: None,
            port: LINUX_PORT,
            underlay: None,
            underlay_netns: None,
            learning: true,
            answers_itself: false,
            external: false,
        }
    }
}

/// What Linux takes where no port is told (`udp_port` of drivers/net/vxlan).
const LINUX_PORT: u16 = 8472;

/// Where an entry of a VXLAN device sends frames (`struct vxlan_rdst`). What it leaves out is the device's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct VxlanRemote {
    /// Address of the far end, or a multicast group.
    pub ip: IpAddr,
    /// UDP port of the far end, where it is not the device's.
    #[serde(default)]
    pub port: Option<u16>,
    /// VNI that frames leave with, where it is not the device's.
    #[serde(default)]
    pub vni: Option<u32>,
    /// ifindex of the link that outer packets have to take, where that is told.
    #[serde(default)]
    pub via: Option<u32>,
}

impl fmt::Display for VxlanRemote {
    /// `203.0.113.35 port 4790 vni 9`, as bridge(8) prints it; a link has only a number here, so it stays out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.ip)?;
        if let Some(port) = self.port {
            write!(f, " port {port}")?;
        }
        if let Some(vni) = self.vni {
            write!(f, " vni {vni}")?;
        }
        Ok(())
    }
}
