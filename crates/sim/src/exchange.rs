//! Questions and answers: does this get there, and does the answer come back?
//!
//! A question is walked as one packet; where it arrives, the receiver's answer is walked back over
//! what the question taught (connections tracked, addresses learned).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use model::Mac;
use model::netfilter::RejectWith;
use model::packet::{Frame, Packet, Payload, Segment, Transport};
use model::path::{Direction, Disposition, Exchange, Path, Place, Stage, Stop};

use crate::beyond;
use crate::guest;
use crate::ip;
use crate::refusal::{self, Word};
use crate::trail::{Carried, Choices, Outcome, Skb, Trail, stop_text};
use crate::wire;
use crate::world::{FarEnd, World};

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// A machine whose inside was read: index into `Snapshot::netns`.
    Machine(usize),
    /// An instance that cannot be entered: index into `Intent::instances`. Its stack is taken to be
    /// in order: address and gateway as the cloud means them.
    Instance(usize),
    /// The same over IPv6, with this address of its own.
    InstanceOver6(usize, Ipv6Addr),
    /// Somebody outside of all that was read, with this address: what they send comes in by the link by which the site
    /// sends to them.
    Beyond(Ipv4Addr),
}

impl Endpoint {
    /// An instance, entered where its inside was read.
    pub fn instance(world: &World, instance: usize) -> Endpoint {
        world.inside(instance).map_or(Endpoint::Instance(instance), Endpoint::Machine)
    }

    /// Name of the machine.
    pub fn name<'w>(&self, world: &'w World) -> &'w str {
        match *self {
            Endpoint::Machine(ns) => &world.ns(ns).machine,
            Endpoint::Instance(at) | Endpoint::InstanceOver6(at, _) => {
                world.intent.instances.get(at).map_or("", |i| &i.name)
            }
            Endpoint::Beyond(_) => beyond::NAME,
        }
    }
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Who has the next hop towards the destination?
    Arp,
    /// Echo request and reply.
    Icmp,
    /// The same in packets of this many octets, IP header included, that nobody may fragment.
    WholeIcmp(u16),
    /// An echo request of so few hops, as traceroute sends it.
    Traced {
        /// Its TTL.
        ttl: u8,
        /// Who beyond the site said that it ran out there; `None` where nobody did.
        router: Option<Ipv4Addr>,
    },
    /// SYN and SYN-ACK to a port.
    Tcp(u16),
    /// A datagram to a port, and one back.
    Udp(u16),
}

impl Protocol {
    /// The exchange it makes.
    pub fn exchange(self) -> Exchange {
        match self {
            Protocol::Arp => Exchange::Arp,
            Protocol::Icmp | Protocol::WholeIcmp(_) | Protocol::Traced { .. } => Exchange::Icmp,
            Protocol::Tcp(_) => Exchange::Tcp,
            Protocol::Udp(53) => Exchange::Dns,
            Protocol::Udp(_) => Exchange::Udp,
        }
    }
}

/// One question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    /// Who asks.
    pub from: Endpoint,
    /// Whom.
    pub to: IpAddr,
    /// What.
    pub protocol: Protocol,
    /// Whether the answer's way back is walked too.
    pub reply: bool,
}

/// What became of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The question's path, then the answer's where there is one. A path that died asking for a
    /// neighbour is preceded by the path of that ARP question or answer.
    pub paths: Vec<Path>,
    /// Who received the question; `None` where it did not arrive.
    pub received_by: Option<String>,
    /// The source that the receiver saw.
    pub source_seen: Option<IpAddr>,
    /// The answer reached the asker.
    pub answered: bool,
    /// A rule refused the question and the asker was told: how.
    pub refused: Option<RejectWith>,
    /// Where a router could not pass the question on whole: the way of its word of that, ICMP's "fragmentation needed"
    /// (`ip_forward`, RFC 1191). Not among `paths`: a sender that gets it loses nothing.
    pub too_big_told: Option<Path>,
}

impl Answer {
    /// Nobody received it, nor said anything.
    pub fn of(paths: Vec<Path>) -> Answer {
        Answer {
            paths,
            received_by: None,
            source_seen: None,
            answered: false,
            refused: None,
            too_big_told: None,
        }
    }
}

/// Port and echo identifier that imagined questions come from: any high one behaves the same.
pub(crate) const ASKING_PORT: u16 = 49_152;
/// Linux's default of what it sends.
const TTL: u8 = 64;
/// Length of an echo request that is traced, in octets: the headers, and the mark that each of ours bears.
pub const TRACE_OCTETS: u16 = 44;
/// Walks of one question at most, one for each way in which the kernel may choose.
const WALKS_MAX: usize = 16;

/// Walks a question, and its answer. Where the kernel may choose (an address of a NAT range), every
/// choice is walked; what does not fare the same by all of them is undecided.
pub fn ask(world: &World, question: &Question) -> Answer {
    let (mut answer, mut choices) = walk(world, question, Choices::default());
    for _ in 1..WALKS_MAX {
        let Some(next) = choices.next() else { return answer };
        let (other, met) = walk(world, question, next);
        if let Some(at) = parting(&answer, &other, met.were_of_order()) {
            undecide(&mut answer, at, &met);
            return answer;
        }
        tell_other_stops(&mut answer, &other);
        choices = met;
    }
    if choices.next().is_some() {
        undecide(&mut answer, 0, &choices);
    }
    answer
}

fn walk(world: &World, question: &Question, choices: Choices) -> (Answer, Choices) {
    let exchange = question.protocol.exchange();
    let Some(transport) = asking(question.protocol) else {
        return (ask_arp(world, question), Choices::default());
    };
    let source = unspecified(question.to);
    let length = match question.protocol {
        Protocol::WholeIcmp(octets) => octets,
        Protocol::Traced { .. } => TRACE_OCTETS,
        Protocol::Arp | Protocol::Icmp | Protocol::Tcp(_) | Protocol::Udp(_) => {
            length(question.to, transport)
        }
    };
    let ttl = if let Protocol::Traced { ttl, .. } = question.protocol { ttl } else { TTL };
    let packet = Packet { source, destination: question.to, ttl, length, transport };
    let asked = send(world, Trail::from(Carried { choices, ..Carried::default() }), question.from, packet);
    let mut answer = Answer::of(Vec::new());
    let received = received_packet(&asked);
    if let Disposition::Delivered { machine } = &asked.disposition {
        answer.received_by = Some(machine.clone());
    }
    answer.source_seen = received.map(|p| p.source);
    let mut met = asked.trail.choices.clone();
    let back = if question.reply { reply(world, &asked) } else { None };
    let word = refusal::walk(world, &asked);
    let (mut too_big, mut traced, mut refusal) = (None, None, None);
    match asked.disposition {
        Disposition::Dropped(Stop::TooBig { .. }) => too_big = word,
        Disposition::Dropped(Stop::TtlExceeded) => traced = word,
        Disposition::LeftSite => traced = router(question).and_then(|by| word_from_beyond(world, &asked, by)),
        Disposition::Dropped(_) | Disposition::Delivered { .. } | Disposition::Unknown { .. } => {
            refusal = word.filter(|told| reaches(world, question, told));
        }
    }
    answer.too_big_told = too_big.and_then(|told| path(told, exchange, Direction::Reply).pop());
    let traced = traced.filter(|_| matches!(question.protocol, Protocol::Traced { .. }));
    let refused = asked.trail.refused.as_deref().and_then(|refused| match refused.with {
        Word::Rejected(with) => Some(with),
        Word::TimeExceeded => None,
    });
    answer.paths.extend(path(asked, exchange, Direction::Request));
    answer.paths.extend(traced.into_iter().flat_map(|told| path(told, exchange, Direction::Reply)));
    if let Some(told) = refusal {
        answer.refused = refused;
        answer.paths.extend(path(told, exchange, Direction::Reply));
    }
    if let Some(mut back) = back {
        met = back.trail.choices.clone();
        answer.answered = is_back(world, question, &back);
        end_where_nobody_asked(world, question, &mut back);
        answer.paths.extend(path(back, exchange, Direction::Reply));
    }
    (answer, met)
}

/// Length in bytes of the imagined packets: ping's default, and a SYN with the usual options.
fn length(to: IpAddr, transport: Transport) -> u16 {
    let header = if to.is_ipv4() { 20 } else { 40 };
    match transport {
        Transport::Tcp { .. } => header + 40,
        Transport::Echo { .. }
        | Transport::Udp { .. }
        | Transport::IcmpError { .. }
        | Transport::Neighbour { .. } => header + 64,
    }
}

/// The first path at which two walks of a question fare differently, if they do; or, where asked for, at
/// which the packet looks different then. Lost is lost, whatever it is lost to.
fn parting(one: &Answer, other: &Answer, looks: bool) -> Option<usize> {
    if one.refused != other.refused {
        return Some(0);
    }
    let paths = one.paths.len().max(other.paths.len());
    let end = |answer: &Answer, at: usize| {
        answer.paths.get(at).map(|path| {
            let lost = match &path.disposition {
                // It arrives, as whatever it looks like by then.
                Disposition::Dropped(Stop::Unanswered(_)) => false,
                Disposition::Dropped(_) => true,
                Disposition::Delivered { .. } | Disposition::LeftSite | Disposition::Unknown { .. } => false,
            };
            let packet = path.hops.last().filter(|_| looks && !lost).map(|hop| hop.packet.clone());
            (path.direction, (!lost).then(|| path.disposition.clone()), packet)
        })
    };
    (0..paths).find(|at| end(one, *at) != end(other, *at))
}

/// Where the same packet is lost to something else by another choice, both are said.
fn tell_other_stops(answer: &mut Answer, other: &Answer) {
    for (path, elsewhere) in answer.paths.iter_mut().zip(&other.paths) {
        let (Disposition::Dropped(stop), Disposition::Dropped(or)) =
            (&path.disposition, &elsewhere.disposition)
        else {
            continue;
        };
        if stop != or
            && let Some(last) = path.hops.last_mut()
        {
            let or = format!("; or, as the kernel may choose, {}", stop_text(or));
            if !last.detail.ends_with(&or) {
                last.detail.push_str(&or);
            }
        }
    }
}

/// What happens from this path on hangs on the kernel's choice.
fn undecide(answer: &mut Answer, at: usize, choices: &Choices) {
    answer.answered = false;
    answer.refused = None;
    // Where only one of the walks asks in vain for a neighbour, it is still the question that is undecided.
    let own = answer.paths.iter().skip(at).position(|path| path.exchange != Exchange::Arp);
    answer.paths.truncate(at + own.unwrap_or_default() + 1);
    if let Some(last) = answer.paths.last_mut() {
        let (why, would_need) = if choices.were_of_order() {
            let why = "legacy and nft chains hang at one hook with one priority, and which run first \
                       cannot be seen";
            (why, "`nft list hooks` in that namespace")
        } else {
            let why = "NAT picks one of several addresses, and not all of them fare alike";
            (why, "the connection's entry in `conntrack -L`")
        };
        last.disposition = Disposition::Unknown { why: why.to_owned(), would_need: would_need.to_owned() };
    }
}

/// A refusal arrived where the question came from.
fn reaches(world: &World, question: &Question, told: &Outcome) -> bool {
    is_at(world, question.from, &told.disposition)
}

/// It has come to who asked; what leaves the site for somebody outside is theirs.
fn is_at(world: &World, asker: Endpoint, disposition: &Disposition) -> bool {
    match (asker, disposition) {
        (Endpoint::Beyond(_), Disposition::LeftSite) => true,
        (_, Disposition::Delivered { machine }) => machine == asker.name(world),
        (_, Disposition::LeftSite | Disposition::Dropped(_) | Disposition::Unknown { .. }) => false,
    }
}

/// Sends a packet from an endpoint's own stack.
pub(crate) fn send(world: &World, trail: Trail, from: Endpoint, packet: Packet) -> Outcome {
    match from {
        Endpoint::Machine(ns) => ip::send(world, trail, ns, packet),
        Endpoint::Instance(at) => guest::send(world, trail, at, packet),
        Endpoint::InstanceOver6(at, own) => {
            guest::send(world, trail, at, Packet { source: own.into(), ..packet })
        }
        Endpoint::Beyond(own) => beyond::send(world, trail, own, packet),
    }
}

/// What the question carries above IP; `None` for ARP, which has no IP.
fn asking(protocol: Protocol) -> Option<Transport> {
    Some(match protocol {
        Protocol::Arp => return None,
        Protocol::Icmp | Protocol::WholeIcmp(_) | Protocol::Traced { .. } => {
            Transport::Echo { reply: false, id: ASKING_PORT, sequence: 1 }
        }
        Protocol::Tcp(port) => {
            Transport::Tcp { source: ASKING_PORT, destination: port, segment: Segment::Syn }
        }
        Protocol::Udp(port) => Transport::Udp { source: ASKING_PORT, destination: port },
    })
}

/// The ARP exchange for the next hop towards the destination. Where the question cannot even be
/// asked (no route, no NIC), an echo's path says why.
fn ask_arp(world: &World, question: &Question) -> Answer {
    let walked = match question.from {
        Endpoint::Machine(ns) => ip::next_hop(world, ns, question.to)
            .map(|(egress, next)| ip::neighbour::paths(world, egress, next)),
        Endpoint::Instance(at) => guest::arp_paths(world, at, question.to),
        // Who asks for the next hop out there is their router.
        Endpoint::Beyond(_) | Endpoint::InstanceOver6(..) => None,
    };
    let Some(mut paths) = walked else {
        return ask(world, &Question { protocol: Protocol::Icmp, reply: false, ..*question });
    };
    let received_by = paths.first().and_then(|p| match &p.disposition {
        Disposition::Delivered { machine } => Some(machine.clone()),
        Disposition::Dropped(_) | Disposition::LeftSite | Disposition::Unknown { .. } => None,
    });
    let answered =
        paths.len() > 1 && paths.iter().all(|p| matches!(p.disposition, Disposition::Delivered { .. }));
    paths.truncate(if question.reply { 2 } else { 1 });
    Answer { received_by, answered, ..Answer::of(paths) }
}

/// The address that says "not chosen yet", of the other's family.
pub(crate) fn unspecified(like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

fn received_packet(outcome: &Outcome) -> Option<Packet> {
    let arrived = matches!(outcome.disposition, Disposition::Delivered { .. } | Disposition::LeftSite);
    match outcome.frame.payload {
        Payload::Ip(packet) if arrived => Some(packet),
        Payload::Ip(_) | Payload::Arp(_) => None,
    }
}

/// The receiver's answer, walked from where the question arrived. A question that left the site is
/// taken to be answered: the answer comes back by the link it left by.
fn reply(world: &World, asked: &Outcome) -> Option<Outcome> {
    let received = received_packet(asked)?;
    let packet = Packet {
        source: received.destination,
        destination: received.source,
        ttl: TTL,
        length: received.length,
        transport: answering(received.transport),
    };
    let trail = after(&asked.trail);
    let at = asked.at?;
    match &asked.disposition {
        Disposition::LeftSite => {
            let back_to = asked.frame.source;
            let answer = Frame::untagged(Mac::ZERO, back_to, Payload::Ip(packet));
            let frame = Frame { tags: asked.frame.tags, ..answer };
            Some(wire::receive(world, trail, at, &Skb::new(frame)))
        }
        Disposition::Delivered { .. } => match world.far_end(at) {
            FarEnd::Guest(instance, _) if !world.ns(at.ns).has_address(received.destination) => {
                Some(guest::send(world, trail, instance, packet))
            }
            FarEnd::Guest(..) | FarEnd::Link(_) | FarEnd::Beyond => {
                Some(ip::answer(world, trail, at, packet))
            }
        },
        Disposition::Dropped(_) | Disposition::Unknown { .. } => None,
    }
}

/// What a question has taught of its way is known to what comes back.
fn after(asked: &Trail) -> Trail {
    Trail::from(Carried {
        conntrack: asked.conntrack.clone(),
        learned: asked.learned.clone(),
        neighbours: asked.neighbours.clone(),
        choices: asked.choices.clone(),
        asker: asked.asker,
        echoed_dscp: asked.echoed_dscp,
        ..Carried::default()
    })
}

fn router(question: &Question) -> Option<Ipv4Addr> {
    if let Protocol::Traced { router, .. } = question.protocol { router } else { None }
}

/// The word of a router beyond the site that a packet's TTL ran out there, which quotes it as it left.
fn word_from_beyond(world: &World, asked: &Outcome, by: Ipv4Addr) -> Option<Outcome> {
    let quoted = received_packet(asked)?;
    let transport = Transport::IcmpError { kind: refusal::TIME_EXCEEDED, code: 0 };
    let (source, destination) = (by.into(), quoted.source);
    let length = quoted.length.saturating_add(refusal::ERROR_OCTETS);
    let word = Packet { source, destination, ttl: TTL, length, transport };
    let answer = Frame::untagged(Mac::ZERO, asked.frame.source, Payload::Ip(word));
    let frame = Frame { tags: asked.frame.tags, ..answer };
    let skb = Skb { quoted: Some(quoted), ..Skb::new(frame) };
    Some(wire::receive(world, after(&asked.trail), asked.at?, &skb))
}

fn answering(transport: Transport) -> Transport {
    match transport {
        Transport::Echo { id, sequence, .. } => Transport::Echo { reply: true, id, sequence },
        Transport::Tcp { source, destination, .. } => {
            Transport::Tcp { source: destination, destination: source, segment: Segment::SynAck }
        }
        Transport::Udp { source, destination } => Transport::Udp { source: destination, destination: source },
        Transport::IcmpError { .. } | Transport::Neighbour { .. } => transport,
    }
}

/// The asker takes an answer only from the address and port that it asked, and at the port that it asked from; of TCP
/// and UDP also only at the address that its socket has, which is the one that it sent from before any NAT.
fn is_back(world: &World, question: &Question, back: &Outcome) -> bool {
    let is_told = |p: &Packet| match question.from {
        Endpoint::Beyond(own) => p.destination == IpAddr::V4(own),
        Endpoint::Machine(_) | Endpoint::Instance(_) | Endpoint::InstanceOver6(..) => true,
    };
    let to_socket = |p: &Packet| match question.protocol {
        Protocol::Tcp(port) | Protocol::Udp(port) => {
            p.transport.ports() == (port, ASKING_PORT) && back.trail.asker == Some(p.destination)
        }
        Protocol::Arp | Protocol::Icmp | Protocol::WholeIcmp(_) | Protocol::Traced { .. } => true,
    };
    is_at(world, question.from, &back.disposition)
        && received_packet(back).is_some_and(|p| p.source == question.to && is_told(&p) && to_socket(&p))
}

/// An answer that another machine takes for its own, as it does where no connection is known that the answer belongs
/// to, is thrown away there.
fn end_where_nobody_asked(world: &World, question: &Question, back: &mut Outcome) {
    if let Disposition::Delivered { machine } = &back.disposition
        && machine != question.from.name(world)
    {
        let machine = machine.clone();
        back.is_lost(Stop::NotAsked { machine });
    }
}

/// An outcome as paths: what it says of itself, after the ARP path that it died on.
pub(crate) fn path(outcome: Outcome, exchange: Exchange, direction: Direction) -> Vec<Path> {
    let Outcome { trail, disposition, .. } = outcome;
    let arp = match &disposition {
        Disposition::Dropped(Stop::NeighbourUnresolved { because: Some(arp), .. }) => Some((**arp).clone()),
        Disposition::Dropped(_)
        | Disposition::Delivered { .. }
        | Disposition::LeftSite
        | Disposition::Unknown { .. } => None,
    };
    let own = Path { exchange, direction, hops: trail.into_hops(), disposition };
    arp.into_iter().chain([own]).collect()
}

/// The place of an instance's own NIC, seen from outside.
pub(crate) fn instance_place(name: &str) -> Place {
    Place { host: name.to_owned(), netns: String::new(), device: String::new(), stage: Stage::Instance }
}
