//! Queueing disciplines and filters of links (`RTM_GETQDISC`, `RTM_GETTFILTER`; linux/rtnetlink.h, linux/pkt_sched.h,
//! linux/pkt_cls.h). Read byte by byte: of most kinds the messages' options are a structure that no crate knows.

use std::collections::BTreeMap;

use model::link::Link;
use model::queueing::{Qdisc, QdiscPlace, QdiscStats, QueueLimit, Rate, TcFilter, TcProgram, TcSide};
use netlink_packet_core::NlasIterator;
use netlink_sys::protocols::NETLINK_ROUTE;

use super::attribute::{text, value};
use super::{Channel, NetlinkError};

const RTM_NEWQDISC: u16 = 36;
const RTM_GETQDISC: u16 = 38;
const RTM_NEWTFILTER: u16 = 44;
const RTM_GETTFILTER: u16 = 46;

/// Length of `struct tcmsg`.
const HEADER_BYTES: usize = 20;

const TCA_KIND: u16 = 1;
const TCA_OPTIONS: u16 = 2;
const TCA_STATS2: u16 = 7;
const TCA_STATS_BASIC: u16 = 1;
const TCA_STATS_QUEUE: u16 = 3;
const TCA_STATS_PKT64: u16 = 8;

const TC_H_ROOT: u32 = 0xffff_ffff;
/// `TC_H_INGRESS`, and `TC_H_CLSACT` likewise.
const TC_H_INGRESS: u32 = 0xffff_fff1;
const TC_H_MIN_INGRESS: u32 = 0xffff_fff2;
const TC_H_MIN_EGRESS: u32 = 0xffff_fff3;

/// A tick of the traffic control's clock in nanoseconds (`PSCHED_SHIFT`, include/net/pkt_sched.h).
const TICK_NS: u128 = 64;

/// The queueing disciplines of the calling thread's namespace by ifindex, the root first.
pub fn read() -> Result<BTreeMap<u32, Vec<Qdisc>>, NetlinkError> {
    qdiscs(&mut Channel::open(NETLINK_ROUTE)?)
}

/// Adds what waits and filters to links, read in the calling thread's namespace.
pub(crate) fn add_to(links: &mut [Link]) -> Result<(), NetlinkError> {
    let mut channel = Channel::open(NETLINK_ROUTE)?;
    let mut qdiscs = qdiscs(&mut channel)?;
    for link in links {
        link.qdiscs = qdiscs.remove(&link.index).unwrap_or_default();
        link.filters = filters(&mut channel, link)?;
    }
    Ok(())
}

fn qdiscs(channel: &mut Channel) -> Result<BTreeMap<u32, Vec<Qdisc>>, NetlinkError> {
    let each = |all: &mut BTreeMap<u32, Vec<Qdisc>>, kind, body: &[u8]| {
        if let Some((link, qdisc)) = (kind == RTM_NEWQDISC).then(|| qdisc(body)).flatten() {
            all.entry(link).or_default().push(qdisc);
        }
    };
    let mut all: BTreeMap<u32, Vec<Qdisc>> = channel.dump(RTM_GETQDISC, &[0; HEADER_BYTES], each)?;
    all.values_mut().for_each(|of_link| of_link.sort_by_key(|qdisc| qdisc.place != QdiscPlace::Root));
    Ok(all)
}

/// Those of `clsact` and `ingress`, and of a root that asks filters for a class or a flow.
fn filters(channel: &mut Channel, link: &Link) -> Result<Vec<TcFilter>, NetlinkError> {
    let mut sides = Vec::new();
    for qdisc in &link.qdiscs {
        match (qdisc.place, qdisc.kind.as_str()) {
            (QdiscPlace::Filters, "clsact") => {
                sides.extend([(TcSide::Ingress, TC_H_MIN_INGRESS), (TcSide::Egress, TC_H_MIN_EGRESS)]);
            }
            (QdiscPlace::Filters, _) => sides.push((TcSide::Ingress, TC_H_MIN_INGRESS)),
            (QdiscPlace::Root, kind) if takes_filters(kind) => sides.push((TcSide::Root, qdisc.handle)),
            (QdiscPlace::Root | QdiscPlace::Class(_), _) => {}
        }
    }
    let mut filters = Vec::new();
    for (side, parent) in sides {
        let mut header = [0; HEADER_BYTES];
        header[4..8].copy_from_slice(&link.index.to_ne_bytes());
        header[12..16].copy_from_slice(&parent.to_ne_bytes());
        let each = |all: &mut Vec<TcFilter>, kind, body: &[u8]| {
            all.extend((kind == RTM_NEWTFILTER).then(|| filter(side, body)).flatten());
        };
        filters.extend(channel.dump::<Vec<TcFilter>>(RTM_GETTFILTER, &header, each)?);
    }
    filters.sort_by_key(|filter| (filter.side, filter.priority));
    Ok(filters)
}

/// Those of the kernel that take filters; asking others for theirs is refused.
fn takes_filters(kind: &str) -> bool {
    const WITH_CLASSES: [&str; 10] =
        ["htb", "prio", "drr", "hfsc", "multiq", "ets", "qfq", "dsmark", "cbq", "atm"];
    // Without classes that are configured, these sort flows by filters, and drop what one of its actions drops.
    const BY_FLOWS: [&str; 4] = ["fq_codel", "sfq", "sfb", "cake"];
    WITH_CLASSES.contains(&kind) || BY_FLOWS.contains(&kind)
}

/// Ifindex and queueing discipline of a message, where it is whole.
fn qdisc(body: &[u8]) -> Option<(u32, Qdisc)> {
    let header = Header::of(body)?;
    let attributes = body.get(HEADER_BYTES..)?;
    let kind = text(attributes, TCA_KIND)?;
    let place = match header.parent {
        TC_H_ROOT => QdiscPlace::Root,
        TC_H_INGRESS => QdiscPlace::Filters,
        parent => QdiscPlace::Class(parent),
    };
    let options = value(attributes, TCA_OPTIONS).unwrap_or_default();
    let (limit, rate) = match kind.as_str() {
        "pfifo" => (number(options, 0).map(QueueLimit::Packets), None),
        "bfifo" => (number(options, 0).map(QueueLimit::Octets), None),
        "tbf" => bucket(options),
        _ => (None, None),
    };
    let stats = value(attributes, TCA_STATS2).map(stats).unwrap_or_default();
    Some((header.link, Qdisc { kind, handle: header.handle, place, limit, rate, stats }))
}

/// `struct gnet_stats_basic`, `struct gnet_stats_queue`.
fn stats(nested: &[u8]) -> QdiscStats {
    let basic = value(nested, TCA_STATS_BASIC).unwrap_or_default();
    let queue = value(nested, TCA_STATS_QUEUE).unwrap_or_default();
    let many = value(nested, TCA_STATS_PKT64).and_then(|packets| long(packets, 0));
    QdiscStats {
        packets: many.map_or_else(
            || number(basic, 8).unwrap_or_default(),
            |many| u32::try_from(many).unwrap_or(u32::MAX),
        ),
        backlog_packets: number(queue, 0).unwrap_or_default(),
        backlog_octets: number(queue, 4).unwrap_or_default(),
        drops: number(queue, 8).unwrap_or_default(),
        overlimits: number(queue, 16).unwrap_or_default(),
    }
}

const TCA_TBF_PARMS: u16 = 1;
const TCA_TBF_RATE64: u16 = 4;

/// A tbf's limit, rate and burst (`struct tc_tbf_qopt`: two `struct tc_ratespec` of twelve octets each, then limit and
/// buffer). The buffer is told as the time that it takes to send, in ticks.
fn bucket(options: &[u8]) -> (Option<QueueLimit>, Option<Rate>) {
    let Some(parameters) = value(options, TCA_TBF_PARMS) else { return (None, None) };
    let limit = number(parameters, 24).map(QueueLimit::Octets);
    let rate = value(options, TCA_TBF_RATE64)
        .and_then(|rate| long(rate, 0))
        .or_else(|| number(parameters, 8).map(u64::from));
    let rate = rate.zip(number(parameters, 28)).map(|(octets_per_s, ticks)| {
        let burst = u128::from(octets_per_s) * (u128::from(ticks) + 1) * TICK_NS / 1_000_000_000 + 1;
        Rate { octets_per_s, burst_octets: u64::try_from(burst).unwrap_or(u64::MAX) }
    });
    (limit, rate)
}

const TCA_BPF_NAME: u16 = 7;
const TCA_BPF_FLAGS: u16 = 8;
const TCA_BPF_ID: u16 = 11;
/// `TCA_BPF_FLAG_ACT_DIRECT`.
const ACT_DIRECT: u32 = 1;

/// A filter of a message. `None` for one that announces a priority or a hash table, and filters nothing by itself.
fn filter(side: TcSide, body: &[u8]) -> Option<TcFilter> {
    let header = Header::of(body)?;
    let attributes = body.get(HEADER_BYTES..)?;
    let kind = text(attributes, TCA_KIND)?;
    let options = value(attributes, TCA_OPTIONS).filter(|options| !options.is_empty())?;
    if header.handle == 0 || (kind == "u32" && value(options, TCA_U32_SEL).is_none()) {
        return None;
    }
    let program = (kind == "bpf").then(|| TcProgram {
        name: text(options, TCA_BPF_NAME).unwrap_or_default(),
        id: value(options, TCA_BPF_ID).and_then(|id| number(id, 0)),
        decides: value(options, TCA_BPF_FLAGS)
            .and_then(|flags| number(flags, 0))
            .is_some_and(|flags| flags & ACT_DIRECT != 0),
    });
    let actions = actions_of(&kind).and_then(|attribute| value(options, attribute)).unwrap_or_default();
    let each = NlasIterator::new(actions).map_while(Result::ok);
    let mut actions: Vec<String> = each.filter_map(|action| text(action.value(), TCA_ACT_KIND)).collect();
    // A policer of the old form stands beside the actions, and drops what is over its rate as one of theirs does.
    let is_policed = police_of(&kind).and_then(|attribute| value(options, attribute)).is_some();
    actions.extend(is_policed.then(|| "police".to_owned()));
    let priority = u16::try_from(header.info >> 16).unwrap_or_default();
    Some(TcFilter { side, kind, priority, program, actions })
}

const TCA_U32_SEL: u16 = 5;
const TCA_ACT_KIND: u16 = 1;

/// The attribute that a kind of filter has its actions in (`TCA_*_ACT`).
fn actions_of(kind: &str) -> Option<u16> {
    match kind {
        "bpf" => Some(1),
        "matchall" => Some(2),
        "flower" | "basic" => Some(3),
        "fw" => Some(4),
        "u32" => Some(7),
        "route" => Some(6),
        "cgroup" => Some(1),
        _ => None,
    }
}

/// The attribute that a kind of filter has a policer of the old form in (`TCA_*_POLICE`): `police` without `action`, as
/// libvirt writes it for what an instance may send.
fn police_of(kind: &str) -> Option<u16> {
    match kind {
        "bpf" | "fw" => Some(2),
        "basic" => Some(4),
        "route" => Some(5),
        "u32" => Some(6),
        "cgroup" => Some(2),
        _ => None,
    }
}

/// `struct tcmsg`.
struct Header {
    link: u32,
    handle: u32,
    parent: u32,
    /// Of a filter, its priority in the upper half.
    info: u32,
}

impl Header {
    fn of(body: &[u8]) -> Option<Header> {
        Some(Header {
            link: number(body, 4)?,
            handle: number(body, 8)?,
            parent: number(body, 12)?,
            info: number(body, 16)?,
        })
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::super::attribute::{attribute, nested, terminated};
    use super::*;

    fn message(handle: u32, parent: u32, info: u32, attributes: &[Vec<u8>]) -> Vec<u8> {
        let header = [0, 7, handle, parent, info].map(u32::to_ne_bytes).concat();
        [header, attributes.concat()].concat()
    }

    fn tbf() -> Vec<u8> {
        let words = |words: &[u32]| words.iter().flat_map(|word| word.to_ne_bytes()).collect::<Vec<u8>>();
        // 64kbit, burst 1600, limit 3000 as Linux 6.18 tells them.
        let parameters = words(&[0, 0, 8000, 0, 0, 0, 3000, 3_125_000, 0]);
        let stats = [
            attribute(TCA_STATS_BASIC, &words(&[2280, 0, 4, 0])),
            attribute(TCA_STATS_QUEUE, &words(&[1, 1514, 5, 0, 9])),
        ];
        let options = nested(TCA_OPTIONS, &[attribute(TCA_TBF_PARMS, &parameters)]);
        let kind = attribute(TCA_KIND, &terminated("tbf"));
        message(0x8001_0000, TC_H_ROOT, 2, &[kind, options, nested(TCA_STATS2, &stats)])
    }

    #[test]
    fn a_token_bucket_is_read_with_its_counters() {
        let (link, read) = qdisc(&tbf()).unwrap();
        assert_eq!((link, read.place), (7, QdiscPlace::Root));
        assert_eq!(read.to_string(), "tbf 8001: rate 64000bit burst 1601b limit 3000b");
        let stats =
            QdiscStats { packets: 4, drops: 5, overlimits: 9, backlog_packets: 1, backlog_octets: 1514 };
        assert_eq!(read.stats, stats);
    }

    /// As libvirt limits what an instance sends: `police` without `action`, which a kernel without the module for it
    /// cannot be asked to show.
    #[test]
    fn a_policer_of_the_old_form_is_one_of_the_actions() {
        let policed = |kind: &str, police: u16| {
            let options =
                nested(TCA_OPTIONS, &[attribute(TCA_U32_SEL, &[0; 16]), attribute(police, &[0; 60])]);
            let kind = attribute(TCA_KIND, &terminated(kind));
            let body = message(0x8000_0800, 0xffff_0000, 1 << 16, &[kind, options]);
            filter(TcSide::Ingress, &body).map(|filter| (filter.to_string(), filter.may_drop()))
        };
        assert_eq!(policed("u32", 6), Some(("u32 action police".to_owned(), true)));
        assert_eq!(policed("basic", 4), Some(("basic action police".to_owned(), true)));
        assert_eq!(policed("u32", 8), Some(("u32".to_owned(), false)));
    }

    #[test]
    fn what_is_cut_off_or_damaged_is_left_out_and_never_panics() {
        let whole = tbf();
        for end in 0..whole.len() {
            let _ = qdisc(&whole[..end]);
            let _ = filter(TcSide::Ingress, &whole[..end]);
        }
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut damaged = whole.clone();
                damaged[at] ^= 1 << bit;
                let _ = qdisc(&damaged);
                let _ = filter(TcSide::Egress, &damaged);
            }
        }
        assert!(qdisc(&whole[..HEADER_BYTES]).is_none());
    }
}
