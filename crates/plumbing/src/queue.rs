//! Queueing disciplines and filters of a link (tc-tbf(8), tc-pfifo(8), tc-bpf(8); linux/pkt_sched.h, linux/pkt_cls.h).

use std::os::fd::{AsRawFd, BorrowedFd};

use collect::netlink::attribute::{attribute, terminated};
use netlink_packet_core::DefaultNla;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::tc::{TcAttribute, TcHandle, TcHeader, TcMessage};

use crate::{Namespace, PlumbingError, link};

const TCA_OPTIONS: u16 = 2;
const TCA_TBF_PARMS: u16 = 1;
const TCA_TBF_BURST: u16 = 6;
const TCA_BPF_FD: u16 = 6;
const TCA_BPF_NAME: u16 = 7;
const TCA_BPF_FLAGS: u16 = 8;
/// `ETH_P_ALL`, as the network has it.
const ALL_PROTOCOLS: u16 = 3_u16.to_be();
/// `TC_LINKLAYER_ETHERNET`.
const ETHERNET: u8 = 1;
/// A tick of the traffic control's clock in nanoseconds.
const TICK_NS: u64 = 64;

/// A token bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// Octets a second.
    pub octets_per_s: u32,
    /// Octets that may pass at once.
    pub burst_octets: u32,
    /// Octets that wait, at most.
    pub limit_octets: u32,
}

/// `tc qdisc add dev LINK root tbf`.
pub fn add_tbf(ns: &mut Namespace, link: &str, bucket: Bucket) -> Result<(), PlumbingError> {
    let Bucket { octets_per_s, burst_octets, limit_octets } = bucket;
    let ticks = u64::from(burst_octets) * 1_000_000_000 / u64::from(octets_per_s.max(1)) / TICK_NS;
    let ticks = u32::try_from(ticks).unwrap_or(u32::MAX);
    // `struct tc_tbf_qopt`: rate, no peak rate, limit, buffer, mtu.
    let rate = [&[0, ETHERNET, 0, 0, 0, 0, 0, 0], &octets_per_s.to_ne_bytes()[..]].concat();
    let rest = [limit_octets, ticks, 0].map(u32::to_ne_bytes).concat();
    let parameters = [rate, vec![0; 12], rest].concat();
    let options =
        [attribute(TCA_TBF_PARMS, &parameters), attribute(TCA_TBF_BURST, &burst_octets.to_ne_bytes())];
    add(ns, link, TcHandle::ROOT, "tbf", &options.concat())
}

/// `tc qdisc add dev LINK root pfifo limit PACKETS`.
pub fn add_pfifo(ns: &mut Namespace, link: &str, limit_packets: u32) -> Result<(), PlumbingError> {
    add(ns, link, TcHandle::ROOT, "pfifo", &limit_packets.to_ne_bytes())
}

/// `tc qdisc add dev LINK clsact; tc filter add dev LINK ingress bpf direct-action`, a program by its descriptor. What
/// is attached outlives the descriptor.
pub fn add_ingress_program(
    ns: &mut Namespace,
    link: &str,
    name: &str,
    program: BorrowedFd,
) -> Result<(), PlumbingError> {
    add(ns, link, TcHandle::CLSACT, "clsact", &[])?;
    let descriptor = u32::try_from(program.as_raw_fd()).unwrap_or_default();
    let options = [
        attribute(TCA_BPF_FD, &descriptor.to_ne_bytes()),
        attribute(TCA_BPF_NAME, &terminated(name)),
        // `TCA_BPF_FLAG_ACT_DIRECT`.
        attribute(TCA_BPF_FLAGS, &1_u32.to_ne_bytes()),
    ];
    let parent = TcHandle { major: TcHandle::CLSACT.major, minor: TcHandle::MIN_INGRESS };
    let mut message = message(ns, link, parent, "bpf", &options.concat())?;
    message.header.info = 1 << 16 | u32::from(ALL_PROTOCOLS);
    ns.make(
        format!("have a program filter what {link} receives"),
        RouteNetlinkMessage::NewTrafficFilter(message),
    )
}

/// `tc qdisc del dev LINK root`: the kernel's own takes its place.
pub fn remove_root(ns: &mut Namespace, link: &str) -> Result<(), PlumbingError> {
    remove(ns, link, TcHandle::ROOT)
}

/// `tc qdisc del dev LINK clsact`, with its filters.
pub fn remove_filters(ns: &mut Namespace, link: &str) -> Result<(), PlumbingError> {
    remove(ns, link, TcHandle::CLSACT)
}

fn add(
    ns: &mut Namespace,
    link: &str,
    parent: TcHandle,
    kind: &str,
    options: &[u8],
) -> Result<(), PlumbingError> {
    let message = message(ns, link, parent, kind, options)?;
    ns.put(format!("give {link} a {kind}"), RouteNetlinkMessage::NewQueueDiscipline(message))
}

/// Where the link is gone, so is what it had.
fn remove(ns: &mut Namespace, link: &str, parent: TcHandle) -> Result<(), PlumbingError> {
    if !link::exists(ns, link)? {
        return Ok(());
    }
    let index = index(ns, link)?;
    let header = TcHeader { index, parent, ..TcHeader::default() };
    let message = TcMessage::from_parts(header, Vec::new());
    ns.remove(format!("take the queue of {link} away"), RouteNetlinkMessage::DelQueueDiscipline(message))
}

fn message(
    ns: &mut Namespace,
    link: &str,
    parent: TcHandle,
    kind: &str,
    options: &[u8],
) -> Result<TcMessage, PlumbingError> {
    let index = index(ns, link)?;
    let handle =
        if parent == TcHandle::CLSACT { TcHandle { major: u16::MAX, minor: 0 } } else { TcHandle::UNSPEC };
    let mut attributes = vec![TcAttribute::Kind(kind.to_owned())];
    if !options.is_empty() {
        attributes.push(TcAttribute::Other(DefaultNla::new(TCA_OPTIONS, options.to_vec())));
    }
    Ok(TcMessage::from_parts(TcHeader { index, handle, parent, ..TcHeader::default() }, attributes))
}

fn index(ns: &mut Namespace, link: &str) -> Result<i32, PlumbingError> {
    Ok(i32::try_from(link::index_of(ns, link)?).unwrap_or_default())
}
