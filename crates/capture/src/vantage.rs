//! A vantage: a device of a namespace, at which packets are seen through a ring of its own.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;

use nix::net::if_::if_nametoindex;
use sys::netns::{self, NetnsError, NetnsFd};
use sys::packet_ring::{Ring, RingSize};

use crate::beyond::{self, BeyondError};
use crate::filter::{self, Expr, Instruction, LinkLayer, TooLong};

/// Devices whose frames start with an Ethernet header, and those that carry bare IP (`ARPHRD_*`,
/// linux/if_arp.h; what libpcap takes them for, too).
const ETHERNET: [u16; 2] = [libc::ARPHRD_ETHER, libc::ARPHRD_LOOPBACK];
const BARE_IP: [u16; 5] =
    [libc::ARPHRD_TUNNEL, libc::ARPHRD_TUNNEL6, libc::ARPHRD_SIT, ARPHRD_RAWIP, libc::ARPHRD_NONE];
const ARPHRD_RAWIP: u16 = 519;

/// Where packets can be seen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Vantage {
    /// Host, or instance whose inside is meant.
    pub host: String,
    /// Empty for the host's main namespace.
    pub netns: String,
    /// Device.
    pub device: String,
    /// How the namespace is entered: its name under /run/netns; `None` for this process's own.
    pub enter: Option<String>,
}

impl fmt::Display for Vantage {
    /// `host/netns/device`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.host, self.netns, self.device)
    }
}

/// What is caught.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// What this filter says.
    Filter(Expr),
    /// What this filter of tcpdump's says; it is compiled by that.
    Beyond(String),
}

/// How much is kept of a packet, and of all of them until they are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes of a packet, at most.
    pub snap: u32,
    /// Bytes of each vantage's ring.
    pub ring_bytes: u32,
    /// A packet is handed over after this time at the latest.
    pub delay_ms: u32,
    /// After the first packets, those of other vantages are waited for so long, so that most are told in
    /// order; 0 where the rings must be emptied as fast as can be.
    pub settle_ms: u32,
    /// Packets or none, after this time `Event::Pause` is told at the latest, and it is asked what has gone.
    pub pause_ms: u32,
}

/// Why a vantage cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its namespace.
    #[error("{vantage}: {source}")]
    Netns {
        /// Where.
        vantage: String,
        /// Why.
        source: NetnsError,
    },
    /// There is no such device.
    #[error("{vantage}: there is no device `{device}`; `ip link` there shows those that are")]
    NoDevice {
        /// Where.
        vantage: String,
        /// Its name.
        device: String,
    },
    /// The caller may not.
    #[error("{vantage}: capturing is not permitted: it needs root, or CAP_NET_RAW over the namespace")]
    Permission {
        /// Where.
        vantage: String,
    },
    /// Its frames are of a kind that is not read.
    #[error("{vantage}: its frames are neither Ethernet nor bare IP (link type {hardware}, linux/if_arp.h)")]
    LinkType {
        /// Where.
        vantage: String,
        /// `ARPHRD_*`.
        hardware: u16,
    },
    /// The filter is too much for the kernel.
    #[error("{vantage}: {source}")]
    TooLong {
        /// Where.
        vantage: String,
        /// How long it is.
        source: TooLong,
    },
    /// tcpdump did not compile the filter.
    #[error("{vantage}: {source}")]
    Beyond {
        /// Where.
        vantage: String,
        /// Why.
        source: BeyondError,
    },
    /// A step failed.
    #[error("{vantage}: could not {step}: {source}")]
    Step {
        /// Where.
        vantage: String,
        /// `open a packet ring`, `bind it to the device`, ...
        step: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl OpenError {
    /// What is missing is a privilege.
    pub fn is_permission(&self) -> bool {
        match self {
            OpenError::Permission { .. } => true,
            OpenError::Netns { source, .. } => source.is_permission(),
            OpenError::NoDevice { .. }
            | OpenError::LinkType { .. }
            | OpenError::TooLong { .. }
            | OpenError::Beyond { .. }
            | OpenError::Step { .. } => false,
        }
    }
}

/// A vantage that is watched.
#[derive(Debug)]
pub struct Watched {
    /// Which.
    pub vantage: Vantage,
    /// What its frames start with.
    pub layer: LinkLayer,
    pub(crate) ring: Ring,
    /// `None` for this process's own, which cannot go.
    netns_inode: Option<u64>,
}

/// Blocks of a ring: enough that one is filled while others are looked at.
const BLOCKS: u32 = 8;
/// Larger than any packet: 64 KiB of a TCP segment not yet cut, and headers.
const BLOCK_BYTES_MIN: u32 = 128 << 10;

impl Room {
    fn ring(self) -> RingSize {
        let block_bytes = (self.ring_bytes / BLOCKS).max(BLOCK_BYTES_MIN).next_power_of_two();
        RingSize { block_bytes, blocks: (self.ring_bytes / block_bytes).max(2), retire_ms: self.delay_ms }
    }
}

/// Watches a vantage from now on. No packet that the filter does not take is ever seen.
pub fn open(vantage: &Vantage, selection: &Selection, room: Room) -> Result<Watched, OpenError> {
    let name = vantage.to_string();
    let of_netns = |source| OpenError::Netns { vantage: name.clone(), source };
    let netns = vantage.enter.as_deref().map(NetnsFd::named).transpose().map_err(of_netns)?;
    let (ring, hardware) = match &netns {
        Some(netns) => netns::within(netns, || bound(vantage, room)).map_err(of_netns)??,
        // Entering even the own one would need more than capturing does.
        None => bound(vantage, room)?,
    };
    let layer = match hardware {
        kind if ETHERNET.contains(&kind) => LinkLayer::Ethernet,
        kind if BARE_IP.contains(&kind) => LinkLayer::Ip,
        hardware => return Err(OpenError::LinkType { vantage: name, hardware }),
    };
    let program = program(selection, layer, netns.as_ref(), vantage, room.snap)?;
    ring.filter(&program).map_err(|source| OpenError::Step {
        vantage: name,
        step: "hang the filter on its ring",
        source,
    })?;
    Ok(Watched { vantage: vantage.clone(), layer, ring, netns_inode: netns.map(|netns| netns.inode()) })
}

/// The same for many at once: the kernel lets a moment pass before a ring is bound (`synchronize_net`,
/// net/packet/af_packet.c), and all wait for the same one.
pub fn open_all(vantages: &[Vantage], selection: &Selection, room: Room) -> Vec<Result<Watched, OpenError>> {
    thread::scope(|scope| {
        let open = |vantage| scope.spawn(move || open(vantage, selection, room));
        let running: Vec<_> = vantages.iter().map(open).collect();
        let ended = running.into_iter().map(thread::ScopedJoinHandle::join);
        ended.map(|result| result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}

/// A ring on the device that takes nothing yet, and what kind of device that is.
fn bound(vantage: &Vantage, room: Room) -> Result<(Ring, u16), OpenError> {
    let failed = |step: &'static str, source: io::Error| match source.kind() {
        io::ErrorKind::PermissionDenied => OpenError::Permission { vantage: vantage.to_string() },
        _ => OpenError::Step { vantage: vantage.to_string(), step, source },
    };
    let no_device = || OpenError::NoDevice { vantage: vantage.to_string(), device: vantage.device.clone() };
    let ring = Ring::open(room.ring()).map_err(|e| failed("open a packet ring", e))?;
    let index = if_nametoindex(vantage.device.as_str()).map_err(|_| no_device())?;
    ring.bind(index).map_err(|error| match error.raw_os_error() {
        Some(libc::ENODEV) => no_device(),
        _ => failed("bind the ring to the device", error),
    })?;
    let bound = ring.bound().map_err(|e| failed("ask what the ring is bound to", e))?;
    Ok((ring, bound.hardware))
}

fn program(
    selection: &Selection,
    layer: LinkLayer,
    netns: Option<&NetnsFd>,
    vantage: &Vantage,
    snap: u32,
) -> Result<Vec<Instruction>, OpenError> {
    match selection {
        Selection::Filter(expr) => filter::compile(expr, layer, snap)
            .map_err(|source| OpenError::TooLong { vantage: vantage.to_string(), source }),
        Selection::Beyond(text) => beyond::compile(netns, &vantage.device, text, snap)
            .map_err(|source| OpenError::Beyond { vantage: vantage.to_string(), source }),
    }
}

impl Watched {
    /// Why nothing more will be seen here; `None` while something may. The device is asked for where it is
    /// suspect; `inodes` are those of namespaces by now, each asked once for all their vantages.
    pub(crate) fn ended<'w>(
        &'w self,
        is_suspect: bool,
        inodes: &mut BTreeMap<&'w str, Option<u64>>,
    ) -> Option<String> {
        match is_suspect.then(|| self.ring.bound()) {
            Some(Ok(bound)) if bound.index.is_none() => {
                return Some(format!("the device `{}` has gone", self.vantage.device));
            }
            Some(Err(error)) => return Some(format!("the ring no longer tells its device: {error}")),
            Some(Ok(_)) | None => {}
        }
        // The ring would keep a namespace alive that somebody wants gone.
        let name = self.vantage.enter.as_deref()?;
        let ask = || std::fs::metadata(Path::new(netns::NAMED).join(name)).map(|about| about.ino()).ok();
        let inode = *inodes.entry(name).or_insert_with(ask);
        (inode != self.netns_inode).then(|| format!("the namespace `{name}` was deleted"))
    }
}
