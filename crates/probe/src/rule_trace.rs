//! The rules that our own probes really meet, told by the kernel itself (nftrace).
//!
//! A trace is a table of nf_tables in front of all others, whose only rules set `meta nftrace` on the
//! packets of given flows; from then on the kernel tells every rule of every later table that matches
//! them, be it nft's, iptables-nft's or ebtables-nft's. The table has `NFT_TABLE_F_OWNER`: it belongs to
//! a socket of ours, nobody else can change it, `nft flush ruleset` passes it over, and the kernel
//! removes it with the socket, however the process ends (`net/netfilter/nf_tables_api.c
//! nft_rcv_nl_event`; kernels from 5.12 on). Only the namespace that it is made in is traced: a packet
//! loses the mark on its way into another (`net/core/skbuff.c skb_scrub_packet`).
//!
//! Rules of the legacy tables are **not** told here: the kernel logs them (`net/ipv4/netfilter/
//! ip_tables.c trace_packet`, `nf_log_trace`). To read that log by netlink, nfnetlink_log must be made
//! the logger of the whole namespace, and stays so after the process that asked for it was killed. So
//! legacy rules are proved by their counters. Where the kernel's own logger is bound in the machine's
//! main namespace (`net.netfilter.nf_log.2` is `nf_log_ipv4`), it writes a line into the kernel's log
//! for each legacy rule that a traced packet matches.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};

use collect::netlink::{Channel, NetlinkError, nftables};
use model::netfilter::Family;
use netlink_sys::protocols::NETLINK_NETFILTER;
use sys::netns::{self, NetnsError, NetnsFd};

use event::Kind;
use listen::{Heard, Listener};
use sieve::Sieve;

pub mod event;
mod listen;
mod met;
mod sieve;
mod table;

pub use event::TraceEvent;
pub use met::{RuleMet, Unnamed, Why, met};

/// Flows of one trace at most: their rules must go to the kernel in one message.
pub const FLOWS_MAX: usize = 128;
/// Events kept of one trace at most: some hundred probes through some hundred rules each.
pub const EVENTS_MAX: usize = 20_000;
/// `NFNL_SUBSYS_NFTABLES` (`linux/netfilter/nfnetlink.h`).
const SUBSYSTEM: u8 = 10;

/// One direction of a conversation of ours. Narrow, so that no other packet is traced: at least one
/// address, and the echo identifier or a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flow {
    /// Source address, where it is the same all the way.
    pub source: Option<IpAddr>,
    /// Destination address, likewise.
    pub destination: Option<IpAddr>,
    /// What tells this conversation from others between these addresses.
    pub identity: Identity,
}

/// What tells one conversation from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// The identifier of ICMP's or ICMPv6's echo.
    Echo(u16),
    /// TCP ports, source and destination.
    Tcp(Option<u16>, Option<u16>),
    /// UDP ports, source and destination.
    Udp(Option<u16>, Option<u16>),
}

impl Flow {
    /// An echo request's.
    pub fn echo(source: IpAddr, destination: IpAddr, id: u16) -> Flow {
        Flow { source: Some(source), destination: Some(destination), identity: Identity::Echo(id) }
    }

    /// The flow of the answers.
    #[must_use]
    pub fn reply(self) -> Flow {
        let identity = match self.identity {
            Identity::Echo(id) => Identity::Echo(id),
            Identity::Tcp(source, destination) => Identity::Tcp(destination, source),
            Identity::Udp(source, destination) => Identity::Udp(destination, source),
        };
        Flow { source: self.destination, destination: self.source, identity }
    }

    /// Whether all of its packets are IPv6; `None` where it names no address, or one of each kind.
    fn is_ipv6(self) -> Option<bool> {
        let source = self.source.map(|ip| ip.is_ipv6());
        let destination = self.destination.map(|ip| ip.is_ipv6());
        match (source, destination) {
            (Some(source), Some(destination)) => (source == destination).then_some(source),
            (one, other) => one.or(other),
        }
    }

    fn is_narrow(self) -> bool {
        let has_identity = match self.identity {
            Identity::Echo(_) => true,
            Identity::Tcp(source, destination) | Identity::Udp(source, destination) => {
                source.or(destination).is_some()
            }
        };
        has_identity && self.is_ipv6().is_some()
    }
}

/// Why rules cannot be traced. Counters before and after tell something without.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The namespace could not be entered.
    #[error("cannot enter the network namespace whose rules are to be traced")]
    Enter {
        /// Why.
        source: NetnsError,
    },
    /// A flow names no address, addresses of both kinds, or neither echo identifier nor port.
    #[error(
        "cannot trace {flow:?}: it would cover packets of others; it needs an address, and an identifier or port"
    )]
    TooWide {
        /// The flow.
        flow: Flow,
    },
    /// Too many flows.
    #[error("cannot trace {count} flows at once, at most {FLOWS_MAX}")]
    TooMany {
        /// Flows asked for.
        count: usize,
    },
    /// The caller lacks a privilege.
    #[error(
        "cannot trace rules without root or CAP_NET_ADMIN in the namespace; their counters can be compared instead"
    )]
    Privilege {
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel has no nf_tables, or no tables that vanish with their owner.
    #[error(
        "this kernel cannot trace rules without leaving something behind ({source}): that takes Linux 5.12 \
         with nf_tables; the rules' counters can be compared instead"
    )]
    Unsupported {
        /// What the kernel said.
        source: NetlinkError,
    },
    /// Anything else that failed.
    #[error("cannot {step}: {source}")]
    Failed {
        /// `make the table that marks our probes`.
        step: &'static str,
        /// Why.
        source: NetlinkError,
    },
    /// The events could not be listened to.
    #[error("cannot {step}: {source}")]
    Listen {
        /// `listen to the kernel's trace events`.
        step: &'static str,
        /// Why.
        source: io::Error,
    },
}

/// A running trace. Dropping it ends it and leaves nothing behind.
pub struct Trace {
    /// Owns the table.
    owner: Channel,
    /// Reads handles, once the table is gone.
    reader: Channel,
    listener: JoinHandle<Heard>,
    /// Tells the listener, by being dropped, that no more is to come.
    stop: Sender<()>,
}

/// Handles of the rules of chains, in the chains' order, by family, table and chain.
pub type Handles = BTreeMap<(Family, String, String), Vec<u64>>;

/// What a trace told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Traced {
    /// In the kernel's order, those of traces' own tables left out.
    pub events: Vec<TraceEvent>,
    /// Events are missing: the kernel's buffer ran over, one could not be read, or there were more than
    /// [`EVENTS_MAX`]. Rules may have been met that are not told.
    pub lost: bool,
    /// The handles of each chain that a rule was met in, as they are now.
    pub handles: Handles,
}

/// Starts to trace the packets of these flows in a namespace: from now on, until [`Trace::finish`].
///
/// The rules of the bridge are traced where the kernel has nf_tables for bridges. Neighbours' packets
/// (ARP) and fragments other than the first are not traced.
///
/// While it runs, `nft -j` 1.0.6 prints the table that it makes, which has an owner, with flags from a wrong
/// place in its memory, or breaks off at it; nft's text is right.
pub fn start(netns: &NetnsFd, flows: &[Flow]) -> Result<Trace, TraceError> {
    if flows.len() > FLOWS_MAX {
        return Err(TraceError::TooMany { count: flows.len() });
    }
    if let Some(flow) = flows.iter().find(|flow| !flow.is_narrow()) {
        return Err(TraceError::TooWide { flow: *flow });
    }
    let table = table::unique_name();
    let opened = netns::within(netns, || -> Result<_, TraceError> {
        // Listens before anything is marked, so that no event is missed.
        let listener = Listener::open()?;
        let reader = Channel::open(NETLINK_NETFILTER).map_err(refused)?;
        Ok((listener, reader, own(&table, flows)?))
    });
    let (listener, reader, owner) = opened.map_err(|source| TraceError::Enter { source })??;
    let (stop, stopped) = mpsc::channel();
    let sieve = Sieve::new(table, flows.to_vec());
    let listening = thread::Builder::new().spawn(move || listener.hear(&stopped, sieve, EVENTS_MAX));
    let listener =
        listening.map_err(|source| TraceError::Listen { step: "start a thread for trace events", source })?;
    Ok(Trace { owner, reader, listener, stop })
}

impl Trace {
    /// Ends it and returns everything that was told until now.
    pub fn finish(mut self) -> Result<Traced, TraceError> {
        // No packet is marked from here on, so that the listener comes to an end.
        drop(self.owner);
        drop(self.stop);
        let heard = self.listener.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        if let Some(source) = heard.failed {
            return Err(TraceError::Listen { step: "read the kernel's trace events", source });
        }
        let mut handles = Handles::new();
        for (family, table, chain) in chains(&heard.events) {
            // A chain that keeps changing while it is read is left out: its rules are told without names.
            if let Ok(list) = nftables::rule_handles(&mut self.reader, family, &table, &chain) {
                handles.insert((family, table, chain), list);
            }
        }
        Ok(Traced { events: heard.events, lost: heard.lost, handles })
    }
}

/// The chains that a rule was met in.
fn chains(events: &[TraceEvent]) -> BTreeSet<(Family, String, String)> {
    let of_rules = events.iter().filter(|event| matches!(event.kind, Kind::Rule { .. }));
    of_rules.map(|event| (event.family, event.table.clone(), event.chain.clone())).collect()
}

/// Makes the tables in the calling thread's namespace. They live as long as the channel.
fn own(name: &str, flows: &[Flow]) -> Result<Channel, TraceError> {
    let mut owner = Channel::open(NETLINK_NETFILTER).map_err(refused)?;
    owner.batch(SUBSYSTEM, &table::changes(Family::Inet, name, flows)).map_err(refused)?;
    match owner.batch(SUBSYSTEM, &table::changes(Family::Bridge, name, flows)).map_err(refused) {
        // A kernel without nf_tables for bridges has none of their rules either.
        Ok(()) | Err(TraceError::Unsupported { .. }) => Ok(owner),
        Err(other) => Err(other),
    }
}

fn refused(source: NetlinkError) -> TraceError {
    match source.errno() {
        Some(errno @ (libc::EPERM | libc::EACCES)) => {
            TraceError::Privilege { source: io::Error::from_raw_os_error(errno) }
        }
        // EINVAL: an unknown table flag. The others: a protocol, subsystem or family that was not built.
        Some(
            libc::EINVAL
            | libc::EOPNOTSUPP
            | libc::ENOENT
            | libc::EAFNOSUPPORT
            | libc::EPROTONOSUPPORT
            | libc::EPFNOSUPPORT,
        ) => TraceError::Unsupported { source },
        _ => TraceError::Failed { step: "make the table that marks our probes", source },
    }
}
