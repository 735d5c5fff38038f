//! Our own probes, watched at every device of their predicted way while they are under way.

mod journeys;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, PipeWriter, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::thread::{self, JoinHandle};

use capture::filter::{self, LinkLayer};
use capture::session::{self, Event, Limits};
use capture::vantage::{self, Room, Selection, Vantage, Watched};
use model::journey::QuestionSeen;
use model::path::Exchange;
use model::probe::{ClientSeen, DeviceWatch, FrameSeen, NeighbourSeen, ProbeResult, ProbeSeen, SideEcho};
use model::sighting::Sighting;
use model::snapshot::Gap;
use model::{Mac, Path};
use parse::dissect::Options;
use parse::neighbour::{self, Neighbour};

use crate::gather::Facts;
use crate::probes::Probe;
use crate::sightings::{self, Half};
use crate::site_file::Site;
use crate::vantages;

/// Of a packet the headers are enough, whatever tags it wears.
const SNAP: u32 = 128;
/// A few thousand packets at each device, more of the kind than pass while a few of ours do; and eight blocks that
/// are handed over after 40 ms each, full or not, so that a machine that is busy for a while loses none.
const ROOM: Room = Room { snap: SNAP, ring_bytes: 1 << 20, delay_ms: 40, settle_ms: 0, pause_ms: 250 };

/// What is looked for: pings, DHCP, DNS, TCP from our own ports, and who has an address. Of these only what bears one
/// of our marks is kept, or is about an address that is sought.
fn wanted(probes: &[Probe], sought: &BTreeSet<IpAddr>) -> String {
    let (mut own, mut of_names) = (BTreeSet::new(), BTreeSet::new());
    for ((exchange, number), port) in probes.iter().flat_map(Probe::marks) {
        match exchange {
            Exchange::Tcp => drop(own.insert(number)),
            // Servers for names that are asked elsewhere than at DNS's port.
            Exchange::Dns => of_names.extend(port.map(u32::from)),
            Exchange::Icmp | Exchange::Arp | Exchange::Dhcp | Exchange::Udp | Exchange::None => {}
        }
    }
    let is_over_ipv6 = probes.iter().map(|probe| &probe.to).chain(sought).any(IpAddr::is_ipv6);
    let pings = if is_over_ipv6 { "icmp or icmp6" } else { "icmp" };
    let rest = format!("arp or {pings} or udp port 53 or (udp and portrange 67-68)");
    format!("{rest}{}{}", at_ports("udp", &of_names, NAME_PORTS_MAX), at_ports("tcp", &own, PORTS_MAX))
}

fn at_ports(protocol: &str, ports: &BTreeSet<u32>, max: usize) -> String {
    match (ports.first(), ports.last()) {
        (Some(first), Some(last)) if ports.len() > max => {
            format!(" or {protocol} portrange {first}-{last}")
        }
        _ => ports.iter().fold(String::new(), |text, port| format!("{text} or {protocol} port {port}")),
    }
}

/// Ports that are looked for one by one, at most: the kernel takes programs of no more than 4096 instructions, and
/// each costs some fifty.
const PORTS_MAX: usize = 32;
const NAME_PORTS_MAX: usize = 4;

/// What is kept of what passes.
#[derive(Debug)]
struct Sought {
    /// Whom each of our probes asks, by the mark that its packets bear; the port tells of names alone.
    marks: BTreeMap<(Exchange, u32), SocketAddr>,
    /// Identifiers of the echoes that may be sent beside them.
    sides: BTreeSet<u16>,
    /// Who has these addresses.
    addresses: BTreeSet<IpAddr>,
}

impl Sought {
    /// The mark of a packet that is ours, and which half of its conversation it is.
    fn ours(&self, seen: &Sighting) -> Option<((Exchange, u32), Half)> {
        let is_side =
            |(number, _): &(u32, Half)| u16::try_from(number >> 16).is_ok_and(|id| self.sides.contains(&id));
        if let Some((number, half)) = sightings::side(seen.kind, seen.detail, seen.quoted).filter(is_side) {
            return Some(((Exchange::Icmp, number), half));
        }
        let (exchange, number, half) = sightings::mark(seen)?;
        // A stranger's question may bear the same number.
        let is_ours =
            |asked: &SocketAddr| exchange != Exchange::Dns || sightings::is_with(seen, half, *asked);
        let mark = (exchange, number);
        self.marks.get(&mark).is_some_and(is_ours).then_some((mark, half))
    }
}

/// What was seen at a vantage.
#[derive(Debug, Clone, Default)]
struct Seen {
    /// Questions and answers, by the mark that their packets bear.
    ours: BTreeMap<(Exchange, u32), (u32, u32)>,
    /// Whom the frames of these were for, by the same mark.
    frames: BTreeMap<(Exchange, u32), BTreeSet<FrameSeen>>,
    /// The same of other DHCP clients, by transaction: an instance that has no address goes on asking for one.
    clients: BTreeMap<u32, (u32, u32)>,
    /// Who sent the questions of a transaction.
    senders: BTreeMap<u32, Mac>,
    /// Questions who has an address that is sought, and their answers, by asker and address.
    neighbours: BTreeMap<(IpAddr, IpAddr), (u32, u32)>,
}

/// What was seen at all vantages, each by its number.
#[derive(Debug, Default)]
struct Noted {
    vantages: Vec<Seen>,
    /// Every packet of ours; none where there were too many to be kept: somebody forges them.
    packets: Option<Vec<Sighting>>,
}

/// Transactions of others that are counted at a vantage, and askers for neighbours, at most.
const TRANSACTIONS_MAX: usize = 1024;
/// Different stations and addresses that the frames of a question were for, at most: a handful where bridges translate.
const STATIONS_MAX: usize = 16;
/// Sightings of our own packets that are kept: some dozens for each of the questions that may be asked at once.
const SIGHTINGS_MAX: usize = 65_536;

/// Devices that are watched. Nothing of it outlives the process.
pub(crate) struct Watching {
    vantages: Vec<Vantage>,
    stop: PipeWriter,
    session: JoinHandle<io::Result<(Noted, session::Outcome)>>,
}

/// Starts to watch. What cannot be watched is left out: without root nothing can, and the diagnosis goes on.
pub(crate) fn start(
    site: &Site,
    facts: &mut Facts,
    ways: &[Path],
    (probes, sides): (&[Probe], BTreeSet<u16>),
    addresses: BTreeSet<IpAddr>,
) -> Option<Watching> {
    let filter = Selection::Filter(filter::parse(&wanted(probes, &addresses)).ok()?);
    let (mut vantages, mut watched, mut gaps) = (Vec::new(), Vec::new(), Vec::new());
    let wanted = vantages::on(ways, site, facts);
    for (at, opened) in wanted.iter().cloned().zip(vantage::open_all(&wanted, &filter, ROOM)) {
        match opened {
            Ok(open) => {
                watched.push(open);
                vantages.push(at);
            }
            Err(error) => gaps.push(Gap {
                what: format!("whether our probes pass {at}"),
                why: crate::failure::Failure::of(&error).to_string(),
                would_need: if error.is_permission() { "root" } else { "`ip -d link` there" }.to_owned(),
            }),
        }
    }
    if watched.is_empty() {
        return None;
    }
    facts.snapshot.gaps.extend(gaps);
    let (stopped, stop) = io::pipe().ok()?;
    let of_probe = |probe: &Probe| {
        let to = SocketAddr::new(probe.to, probe.server_port);
        probe.marks().into_iter().map(move |(mark, _)| (mark, to))
    };
    let sought = Sought { marks: probes.iter().flat_map(of_probe).collect(), sides, addresses };
    let session = thread::spawn(move || {
        let vantages = vec![Seen::default(); watched.len()];
        let mut noted = Noted { vantages, packets: Some(Vec::new()) };
        let link_types: Vec<u16> = watched.iter().map(|w: &Watched| w.layer.link_type()).collect();
        let limits = Limits { stop: Some(stopped.as_fd()), ..Limits::default() };
        let outcome = session::run(watched, ROOM, limits, &mut |event| {
            noted.note(event, &link_types, &sought);
            Ok(())
        })?;
        Ok((noted, outcome))
    });
    Some(Watching { vantages, stop, session })
}

impl Noted {
    fn note(&mut self, event: Event<'_>, link_types: &[u16], sought: &Sought) {
        let Event::Packet { vantage, frame, .. } = event else { return };
        let (Some(link_type), Ok(number)) = (link_types.get(vantage), u16::try_from(vantage)) else { return };
        let Some(seen) = self.vantages.get_mut(vantage) else { return };
        if let Some(neighbour) =
            neighbour::read(frame.bytes).filter(|_| *link_type == LinkLayer::Ethernet.link_type())
        {
            if sought.addresses.contains(&neighbour.asked) {
                seen.note_neighbour(&neighbour);
            }
            return;
        }
        let options = Options::for_snap_length(Some(SNAP));
        let Some(sighting) = sightings::of(&frame, *link_type, number, 0, &options) else { return };
        let Some((mark, half)) = sought.ours(&sighting) else {
            if let Some((Exchange::Dhcp, number, half)) = sightings::mark(&sighting) {
                seen.note_client(number, (half == Half::Question).then_some(sighting.sender));
            }
            return;
        };
        let is_question = half == Half::Question;
        let (questions, answers) = seen.ours.entry(mark).or_default();
        *(if is_question { questions } else { answers }) += 1;
        if *link_type == LinkLayer::Ethernet.link_type() {
            let destination = sighting.destination.to_ip();
            seen.note_frame(mark, frame.bytes, (destination, half));
        }
        if let Some(packets) = &mut self.packets {
            packets.push(sighting);
        }
        self.packets.take_if(|packets| packets.len() > SIGHTINGS_MAX);
    }
}

impl Seen {
    /// Whom an Ethernet frame of ours is for.
    fn note_frame(&mut self, mark: (Exchange, u32), frame: &[u8], (destination, half): (IpAddr, Half)) {
        let Some(station) = frame.first_chunk().copied().map(Mac) else { return };
        let known = self.frames.entry(mark).or_default();
        if known.len() < STATIONS_MAX {
            known.insert(FrameSeen { station, destination, is_answer: half == Half::Answer });
        }
    }

    fn note_neighbour(&mut self, half: &Neighbour) {
        let key = (half.asker, half.asked);
        if self.neighbours.len() >= TRANSACTIONS_MAX && !self.neighbours.contains_key(&key) {
            return;
        }
        let (questions, answers) = self.neighbours.entry(key).or_default();
        *(if half.is_question { questions } else { answers }) += 1;
    }

    /// A packet of another's DHCP, a client's with its MAC as a number.
    fn note_client(&mut self, transaction: u32, sender: Option<u64>) {
        if self.clients.len() >= TRANSACTIONS_MAX && !self.clients.contains_key(&transaction) {
            return;
        }
        let (questions, answers) = self.clients.entry(transaction).or_default();
        match sender {
            Some(sender) => {
                *questions += 1;
                let [_, _, mac @ ..] = sender.to_be_bytes();
                self.senders.insert(transaction, Mac(mac));
            }
            None => *answers += 1,
        }
    }
}

/// Ends the watch: what was seen at each device, and the way of each packet over them; of what was asked beside them it
/// is told there. A device at which packets were
/// dropped, or that went away, tells nothing.
pub(crate) fn finish(
    watching: Watching,
    facts: &Facts,
    probes: &[Probe],
    sides: &mut [SideEcho],
) -> (Vec<DeviceWatch>, Vec<QuestionSeen>) {
    let Watching { vantages, mut stop, session } = watching;
    // The reader is the session: if it has ended, there is nobody to stop.
    let _ = stop.write_all(&[0]);
    let ended = session.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    let Ok((Noted { vantages: seen, packets }, outcome)) = ended else { return Default::default() };
    let is_whole: Vec<bool> =
        outcome.counts.iter().map(|counts| counts.drops == 0 && counts.ended.is_none()).collect();
    let whole = vantages.iter().zip(&is_whole).map(|(at, whole)| whole.then_some(at)).collect::<Vec<_>>();
    let ways =
        packets.map(|packets| journeys::of(packets, &whole, facts, (probes, sides))).unwrap_or_default();
    // Who asks is seen where the question is, and the answer may come by where that was not.
    let senders: BTreeMap<u32, Mac> =
        seen.iter().flat_map(|seen| &seen.senders).map(|(k, v)| (*k, *v)).collect();
    for side in sides {
        let watched = whole.iter().zip(&seen).filter_map(|(at, seen)| Some(beside((*at)?, seen, side)));
        side.watches = watched.collect();
    }
    let watched = vantages.into_iter().zip(seen).zip(is_whole).filter(|(_, is_whole)| *is_whole);
    let devices = watched.map(|((vantage, seen), _)| device(vantage, &seen, probes, &senders)).collect();
    (devices, ways)
}

/// What was seen of an echo beside a silent question.
fn beside(vantage: &Vantage, seen: &Seen, side: &SideEcho) -> DeviceWatch {
    let ProbeResult { from, to, asked, .. } = &side.came;
    let probe = |(requests, replies): &(u32, u32)| ProbeSeen {
        from: from.clone(),
        to: *to,
        exchange: Exchange::Icmp,
        octets: asked.octets(),
        port: None,
        requests: *requests,
        replies: *replies,
        frames: Vec::new(),
        recorded: None,
    };
    let probes = seen.ours.get(&(Exchange::Icmp, side.number)).map(probe).into_iter().collect();
    let Vantage { host: machine, netns, device, .. } = vantage.clone();
    let (clients, neighbours) = (Vec::new(), Vec::new());
    DeviceWatch { machine, netns, device, probes, clients, neighbours, is_recorded: false }
}

fn device(vantage: Vantage, seen: &Seen, probes: &[Probe], senders: &BTreeMap<u32, Mac>) -> DeviceWatch {
    let of_mark = |probe: &Probe, (exchange, number): (Exchange, u32), port| {
        let (requests, replies) = *seen.ours.get(&(exchange, number))?;
        let (from, to, octets) = (probe.sender().to_owned(), probe.to, probe.octets());
        let frames = seen.frames.get(&(exchange, number)).into_iter().flatten().copied().collect();
        Some(ProbeSeen { from, to, exchange, octets, port, requests, replies, frames, recorded: None })
    };
    let marked = |probe: &'_ Probe| {
        probe.marks().into_iter().filter_map(|(mark, port)| of_mark(probe, mark, port)).collect::<Vec<_>>()
    };
    let mut seen_of: Vec<ProbeSeen> = Vec::new();
    for one in probes.iter().flat_map(marked) {
        // The same question asked many times more bears another mark, and so do connections to one port.
        let is_same = |known: &&mut ProbeSeen| {
            let is_echo = one.octets.is_some() && one.octets == known.octets;
            let is_connection = one.exchange == Exchange::Tcp && one.exchange == known.exchange;
            let is_one = is_echo || (is_connection && one.port == known.port);
            is_one && (&known.from, known.to) == (&one.from, one.to)
        };
        match seen_of.iter_mut().find(is_same) {
            Some(known) => {
                known.requests += one.requests;
                known.replies += one.replies;
                known.frames.extend(one.frames);
            }
            None => seen_of.push(one),
        }
    }
    let probes = seen_of;
    let mut clients: Vec<ClientSeen> = Vec::new();
    for (transaction, (questions, answers)) in &seen.clients {
        let Some(mac) = senders.get(transaction).copied() else { continue };
        match clients.iter_mut().find(|known| known.mac == mac) {
            Some(known) => {
                known.questions += questions;
                known.answers += answers;
            }
            None => clients.push(ClientSeen { mac, questions: *questions, answers: *answers }),
        }
    }
    let neighbours = seen.neighbours.iter().map(|((asker, asked), (questions, answers))| NeighbourSeen {
        asker: *asker,
        asked: *asked,
        questions: *questions,
        answers: *answers,
    });
    let neighbours = neighbours.collect();
    let Vantage { host: machine, netns, device, .. } = vantage;
    DeviceWatch { machine, netns, device, probes, clients, neighbours, is_recorded: false }
}
