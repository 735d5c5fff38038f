//! What a packet in flight carries along: hops so far, connections tracked, addresses learned.

use std::cell::Cell;
use std::net::IpAddr;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;

use model::link::Link;
use model::netfilter::Family;
use model::packet::{Frame, Packet, Payload};
use model::path::{Disposition, Hop, Observed, Place, Predicted, Stage, Step, Stop};
use model::{Mac, Netns};

use crate::netfilter::conntrack::{Conntrack, CtRef};
use crate::refusal::Refused;
use crate::world::LinkId;

/// Hops after which a walk is a loop: more than a packet can make before its TTL runs out. Each is some
/// frames of the stack, and a thread's may be two MiB.
const HOPS_MAX: usize = 300;
/// Hops of all ways of a walk together: a flood through twenty hosts of a thousand instances each makes some 120,000.
/// Where the way forks at every turn of a circle (bonds, far ends of an overlay), this is what ends it.
const ALL_HOPS_MAX: u32 = 200_000;
/// Questions for a neighbour that are asked for the sake of another, at most.
const ASKING_MAX: u8 = 3;

/// The packet's way so far. Cloned where it forks. Boxed, since it is handed on at every step and the steps of
/// a long way are all on the stack at once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trail(Box<Carried>);

impl Deref for Trail {
    type Target = Carried;

    fn deref(&self) -> &Carried {
        &self.0
    }
}

impl DerefMut for Trail {
    fn deref_mut(&mut self) -> &mut Carried {
        &mut self.0
    }
}

impl From<Carried> for Trail {
    fn from(carried: Carried) -> Trail {
        Trail(Box::new(carried))
    }
}

/// What a trail holds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Carried {
    pub(crate) hops: Vec<Hop>,
    /// What the last hop tells the packet to be.
    pub(crate) told: Option<Payload>,
    /// Connections that this exchange opened, in every namespace it crossed.
    pub(crate) conntrack: Conntrack,
    /// MACs learned from this exchange's own frames: they overrule older FDB entries.
    pub(crate) learned: Vec<Learned>,
    /// Neighbours that asked for one of this machine's addresses in this exchange.
    pub(crate) neighbours: Vec<(LinkId, IpAddr, Mac)>,
    /// Frames that a bridge has had: having one again means that the ports are a ring.
    pub(crate) bridged: Vec<(LinkId, Frame)>,
    /// Where the kernel may choose, and this walk did.
    pub(crate) choices: Choices,
    /// Neighbours that are being asked for, one for the sake of the other.
    pub(crate) asking: u8,
    /// The code point of an echo request as it was received, which its reply has too (`icmp_reply`,
    /// `icmpv6_echo_reply`).
    pub(crate) echoed_dscp: u8,
    /// A rule refused the packet, or it is too large to be passed on, and its sender is told.
    pub(crate) refused: Option<Box<Refused>>,
    /// Overlays that the packet is inside of.
    pub(crate) overlays: u8,
    /// The address that the first packet was sent from, where answers are waited for.
    pub(crate) asker: Option<IpAddr>,
    /// Hops that were walked on any way, this one and all that forked from where it did.
    pub(crate) walked: Rc<Cell<u32>>,
}

/// A MAC that a bridge was shown, or a VXLAN device: in which VLAN, and behind what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Learned {
    pub(crate) device: LinkId,
    pub(crate) vid: u16,
    pub(crate) mac: Mac,
    pub(crate) behind: Behind,
}

/// Behind what a MAC was learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behind {
    /// A port of the bridge, by ifindex.
    Port(u32),
    /// The far end that sent it through the overlay.
    FarEnd(IpAddr),
}

/// A frame inside a packet of an overlay.
#[derive(Debug, Clone)]
pub(crate) struct Wrapped {
    /// VXLAN network identifier.
    pub(crate) vni: u32,
    /// The frame, as it was handed to the overlay.
    pub(crate) skb: Skb,
}

/// Choices that the kernel makes and nobody can foresee (an address of a NAT range): the walk follows
/// a plan, and whoever asked walks again by the next plan.
#[derive(Debug, Clone, Default)]
pub(crate) struct Choices {
    plan: Vec<usize>,
    /// How many alternatives each choice so far had.
    met: Vec<usize>,
    /// Namespaces where legacy and nft chains hang at one hook with one priority, and whether the legacy
    /// ones are taken to run first.
    orders: Vec<(usize, bool)>,
}

impl Choices {
    /// One of so many.
    pub(crate) fn choose(&mut self, alternatives: usize) -> usize {
        let planned = self.plan.get(self.met.len()).copied().unwrap_or(0);
        self.met.push(alternatives);
        planned
    }

    /// Whether legacy chains run before nft's of equal priority in a namespace: who was registered last
    /// does (`nf_hook_entries_grow`), and neither's dump tells when that was.
    pub(crate) fn legacy_first(&mut self, ns: usize) -> bool {
        if let Some((_, first)) = self.orders.iter().find(|(known, _)| *known == ns) {
            return *first;
        }
        let first = self.choose(2) == 0;
        self.orders.push((ns, first));
        first
    }

    /// A choice was one of order, which may change what the packet looks like and not only its fate.
    pub(crate) fn were_of_order(&self) -> bool {
        !self.orders.is_empty()
    }

    /// The plan that comes after the one followed; `None` after the last.
    pub(crate) fn next(&self) -> Option<Choices> {
        let taken = |nth: usize| self.plan.get(nth).copied().unwrap_or(0);
        let last = (0..self.met.len()).rev().find(|nth| taken(*nth) + 1 < self.met[*nth])?;
        let plan = (0..last).map(taken).chain([taken(last) + 1]).collect();
        Some(Choices { plan, ..Choices::default() })
    }
}

/// A packet at one moment of its way, inside one namespace: what `struct sk_buff` knows.
#[derive(Debug, Clone)]
pub(crate) struct Skb {
    pub(crate) frame: Frame,
    /// Link it came in by, `None` for locally made.
    pub(crate) indev: Option<u32>,
    /// Bridge port it came in by.
    pub(crate) physin: Option<u32>,
    /// `skb->mark`.
    pub(crate) mark: u32,
    /// Connection and direction, once tracked in this namespace.
    pub(crate) ct: Option<CtRef>,
    /// A rule has exempted it from tracking: `IP_CT_UNTRACKED`.
    pub(crate) untracked: bool,
    /// A chain of type route changed its mark: it is routed anew.
    pub(crate) remarked: bool,
    /// PREROUTING was already run for it by br_netfilter (`ip_sabotage_in`).
    pub(crate) prerouted: bool,
    /// Conntrack zone.
    pub(crate) zone: u16,
    /// The destination that the frame arrived with: what rules write there later does not change whose it
    /// is taken for, but ebtables' dnat and redirect do.
    pub(crate) addressed_to: Mac,
    /// A rule of ebtables gave it to a station other than the bridge, whose stack ignores it then
    /// (`ebt_dnat_tg`).
    pub(crate) other_host: bool,
    /// A link below the VLAN device that it is at took the frame for its own: so it is this machine's,
    /// whatever the device's own address (`vlan_do_receive`).
    pub(crate) taken_below: bool,
    /// Differentiated services code point; other than what the machine keeps of a packet, it goes along
    /// to the next.
    pub(crate) dscp: u8,
    /// The packet that an ICMP error quotes.
    pub(crate) quoted: Option<Packet>,
    /// The frame that it carries through an overlay.
    pub(crate) wrapped: Option<Box<Wrapped>>,
}

impl Skb {
    pub(crate) fn new(frame: Frame) -> Skb {
        Skb {
            frame,
            indev: None,
            physin: None,
            mark: 0,
            ct: None,
            untracked: false,
            remarked: false,
            prerouted: false,
            addressed_to: frame.destination,
            other_host: false,
            taken_below: false,
            zone: 0,
            dscp: 0,
            quoted: None,
            wrapped: None,
        }
    }

    /// The family of hooks that an IP packet meets.
    pub(crate) fn family(&self) -> Family {
        if self.packet().is_some_and(Packet::is_v6) { Family::Ip6 } else { Family::Ip }
    }

    /// Bridge port of arrival as iptables sees it: only what br_netfilter met has one
    /// (`nf_bridge_get_physindev`).
    pub(crate) fn physin_of_iptables(&self) -> Option<u32> {
        self.physin.filter(|_| self.prerouted)
    }

    /// The same frame arriving in another namespace: everything but the bytes is forgotten
    /// (`skb_scrub_packet`).
    pub(crate) fn scrubbed(&self) -> Skb {
        Skb { quoted: self.quoted, dscp: self.dscp, wrapped: self.wrapped.clone(), ..Skb::new(self.frame) }
    }

    pub(crate) fn packet(&self) -> Option<&Packet> {
        match &self.frame.payload {
            Payload::Ip(packet) => Some(packet),
            Payload::Arp(_) => None,
        }
    }

    pub(crate) fn packet_mut(&mut self) -> Option<&mut Packet> {
        match &mut self.frame.payload {
            Payload::Ip(packet) => Some(packet),
            Payload::Arp(_) => None,
        }
    }
}

/// How one way through the site ends.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) trail: Trail,
    pub(crate) disposition: Disposition,
    /// The frame as it was at the end.
    pub(crate) frame: Frame,
    /// Where it ended: the receiving link of a delivery, the last link of a departure.
    pub(crate) at: Option<LinkId>,
}

impl Outcome {
    /// What arrived is thrown away where it arrived.
    pub(crate) fn is_lost(&mut self, stop: Stop) {
        if let Some(last) = self.trail.hops.last_mut() {
            last.predicted = Predicted::Drop;
            last.detail = stop_text(&stop);
        }
        self.disposition = Disposition::Dropped(stop);
    }

    fn is_for_asker(&self) -> bool {
        match self.frame.payload {
            Payload::Ip(packet) => self.trail.asker == Some(packet.destination),
            Payload::Arp(_) => false,
        }
    }
}

impl Trail {
    /// The way of a question that is asked on this one's behalf: for a neighbour, or a neighbour's answer.
    pub(crate) fn aside(&self) -> Trail {
        Trail::from(Carried {
            learned: self.learned.clone(),
            asking: self.asking,
            walked: Rc::clone(&self.walked),
            ..Carried::default()
        })
    }

    /// Its hops.
    pub(crate) fn into_hops(self) -> Vec<Hop> {
        self.0.hops
    }

    /// Appends a hop that passes.
    pub(crate) fn pass(&mut self, place: Place, frame: &Frame, detail: impl Into<String>, steps: Vec<Step>) {
        self.hop(place, Predicted::Pass, frame, detail.into(), steps);
    }

    /// Appends that the frame left by this device, unless a hop at it says where it goes already.
    pub(crate) fn sent(&mut self, place: Place, frame: &Frame) {
        if !self.hops.last().is_some_and(|last| last.at.same_device(&place)) {
            self.pass(place, frame, "sent", Vec::new());
        }
    }

    fn hop(&mut self, at: Place, predicted: Predicted, frame: &Frame, detail: String, steps: Vec<Step>) {
        // Most hops leave the packet as it was: its text is copied, not spelt again.
        let packet = match self.hops.last() {
            Some(last) if self.told == Some(frame.payload) => last.packet.clone(),
            Some(_) | None => frame.payload.to_string(),
        };
        self.told = Some(frame.payload);
        self.walked.set(self.walked.get().saturating_add(1));
        self.hops.push(Hop { at, predicted, observed: Observed::NotWatched, packet, detail, steps });
    }

    /// The walk has gone on for so long that it must be going in circles.
    pub(crate) fn is_loop(&self) -> bool {
        self.hops.len() > HOPS_MAX
    }

    /// There are more ways than can be walked.
    pub(crate) fn forks_too_often(&self) -> bool {
        self.walked.get() > ALL_HOPS_MAX
    }

    /// Answers to questions for neighbours need neighbours themselves: past this they go in circles.
    pub(crate) fn asks_too_much(&self) -> bool {
        self.asking > ASKING_MAX
    }

    /// Ends here, dropped.
    pub(crate) fn drop(mut self, place: Place, frame: &Frame, stop: Stop, steps: Vec<Step>) -> Outcome {
        self.hop(place, Predicted::Drop, frame, stop_text(&stop), steps);
        Outcome { trail: self, disposition: Disposition::Dropped(stop), frame: *frame, at: None }
    }

    /// Ends here, undecided.
    pub(crate) fn unknown(
        mut self,
        place: Place,
        frame: &Frame,
        why: impl Into<String>,
        would_need: impl Into<String>,
    ) -> Outcome {
        let why = why.into();
        self.hop(place, Predicted::Unknown, frame, why.clone(), Vec::new());
        let disposition = Disposition::Unknown { why, would_need: would_need.into() };
        Outcome { trail: self, disposition, frame: *frame, at: None }
    }

    /// Leaves the site by this link. What becomes of a frame inside an overlay's packet then cannot be told: its far
    /// end was not read.
    pub(crate) fn left_site(self, place: Place, skb: &Skb, by: LinkId) -> Outcome {
        if let Some(packet) = skb.packet().filter(|_| skb.wrapped.is_some()) {
            let far_end = packet.destination;
            let why = format!("what the overlay's far end {far_end} does with it, which was not read");
            return self.unknown(
                place,
                &skb.frame,
                why,
                format!("a site file that names the host of {far_end}"),
            );
        }
        Outcome { trail: self, disposition: Disposition::LeftSite, frame: skb.frame, at: Some(by) }
    }

    /// Ends here, received.
    pub(crate) fn delivered(self, machine: &str, frame: &Frame, at: Option<LinkId>) -> Outcome {
        let disposition = Disposition::Delivered { machine: machine.to_owned() };
        Outcome { trail: self, disposition, frame: *frame, at }
    }
}

/// A place at a link; the instance's own stage where the namespace is an instance's inside.
pub(crate) fn place(ns: &Netns, link: Option<&Link>, stage: Stage) -> Place {
    Place {
        host: ns.machine.clone(),
        netns: ns.name.clone(),
        device: link.map(|l| l.name.clone()).unwrap_or_default(),
        stage: if ns.instance { Stage::Instance } else { stage },
    }
}

/// A stop in a few words, for the hop's detail.
pub fn stop_text(stop: &Stop) -> String {
    match stop {
        Stop::LinkDown => "administratively down".to_owned(),
        Stop::NoCarrier => "up, but no carrier".to_owned(),
        Stop::DeviceMissing => "no such device".to_owned(),
        Stop::NotEnslaved => "not a port of any bridge".to_owned(),
        Stop::BridgeDown => "the bridge is administratively down".to_owned(),
        Stop::PortState(state) => format!("port state {}", format!("{state:?}").to_lowercase()),
        Stop::NoTarget(why) => why.clone(),
        Stop::VlanNotTaken(tag) => format!("no VLAN device here takes frames of VLAN {tag}"),
        Stop::VniNotTaken { vni, port } => format!("no device for VNI {vni} at udp port {port}"),
        Stop::VlanRefused(why) => why.clone(),
        Stop::OtherHost => "not for this station".to_owned(),
        Stop::NoRoute(what) => format!("no route to {what}"),
        Stop::RouteRefuses(route) => format!("refused by route: {route}"),
        Stop::ForwardingOff => "IP forwarding is off".to_owned(),
        Stop::ReversePath { value, back } => format!("rp_filter={value}, but the way back is: {back}"),
        Stop::MartianSource => "impossible source address".to_owned(),
        Stop::BeyondScope => "its link-local source must not leave its link".to_owned(),
        Stop::Ipv6Off(why) => format!("no IPv6 here: {why}"),
        Stop::TtlExceeded => "TTL exceeded".to_owned(),
        Stop::NeighbourUnresolved { ip: ip @ IpAddr::V4(_), .. } => format!("nobody answers ARP for {ip}"),
        Stop::NeighbourUnresolved { ip: ip @ IpAddr::V6(_), .. } => format!("nobody answers for {ip}"),
        Stop::Rule(rule) => format!("{} rule {}: {}", rule.chain_path(), rule.number, rule.text),
        Stop::Policy(rule) => format!("policy of {}", rule.chain()),
        Stop::NoListener { protocol, port } => {
            let name = if *protocol == 6 { "tcp" } else { "udp" };
            format!("nothing listens on {name} port {port}")
        }
        Stop::NotAsked { machine } => format!("received by {machine} itself, which did not ask"),
        Stop::Unanswered(why) => why.clone(),
        Stop::TooBig { mtu } => format!("larger than the MTU of {mtu} bytes"),
        Stop::QueueRefuses(qdisc) => format!("the queue takes none like it: {qdisc}"),
        Stop::Loop => "goes round in a circle".to_owned(),
    }
}

/// Of several ways (flooding, unknown matches), the one that tells most: delivered before
/// undecided before departed before dropped, and of drops the one that got farthest.
pub(crate) fn best(outcomes: Vec<Outcome>) -> Option<Outcome> {
    let rank = |o: &Outcome| match &o.disposition {
        // Of several that receive a copy, who waits for it; others throw it away.
        Disposition::Delivered { .. } => (3, usize::from(o.is_for_asker())),
        Disposition::Unknown { .. } => (2, 0),
        Disposition::LeftSite => (1, 0),
        Disposition::Dropped(_) => (0, o.trail.hops.len()),
    };
    // The first of equals, so that ports are preferred in order of ifindex.
    outcomes.into_iter().rev().max_by_key(rank)
}
