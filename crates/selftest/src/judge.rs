//! What the walk says of a probe, and whether the kernel did so.

use std::net::{IpAddr, Ipv4Addr};

use model::netfilter::RejectWith;
use model::path::{Direction, Disposition, RuleRef, Step, Stop};
use model::{Intent, Path, Snapshot};
use serde::{Deserialize, Serialize};
use sim::{Endpoint, Question, World};

use crate::case::Kind;
use crate::wire::{Arrived, Refusal, Seen};

/// Source port of the walk's imagined packets: one that is still there was not rewritten.
const ASKING_PORT: u16 = 49_152;

/// A probe, told without the case that it was drawn for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Name of the machine that sends.
    pub from: String,
    /// To whom.
    pub to: IpAddr,
    /// What.
    pub kind: Kind,
}

/// How a probe's way to its receiver ends, as the walk says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// Received by this machine, looking so.
    Received(String, Arrived),
    /// It does not arrive.
    Lost,
    /// The walk does not know: why.
    Unknown(String),
}

/// What the walk says of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The sender is told this.
    Told(Refusal),
    /// A rule refuses, and its word does not reach the sender.
    Untold,
    /// Nothing: no rule refuses, and of other refusals the walk does not speak.
    Unsaid,
}

/// What the walk says of a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// How its way ends.
    pub fate: Fate,
    /// Whether the answer comes back; `None` where the walk does not know.
    pub answered: Option<bool>,
    /// Why the walk does not know whether the answer comes back.
    pub unsure: Option<String>,
    /// The answer as it comes back.
    pub answer: Option<Arrived>,
    /// What refuses it, as the sender is told; `None` where the walk does not say.
    pub refused: Refused,
    /// The paths, for people.
    pub told: Vec<String>,
    /// Rules that decided or rewrote, with the index of their namespace in the snapshot.
    pub rules: Vec<(String, RuleRef)>,
}

impl Said {
    /// Undecided in any part.
    pub fn is_unknown(&self) -> bool {
        matches!(self.fate, Fate::Unknown(_)) || self.answered.is_none()
    }

    /// Why it is undecided.
    pub(crate) fn why_unknown(&self) -> Option<&str> {
        match &self.fate {
            Fate::Unknown(why) => Some(why),
            Fate::Received(..) | Fate::Lost if self.answered.is_some() => None,
            Fate::Received(..) | Fate::Lost => Some(self.unsure.as_deref().unwrap_or("no path back")),
        }
    }

    /// Whether all that is said to come has come.
    pub(crate) fn has_come(&self, seen: &Seen) -> bool {
        let question = match &self.fate {
            Fate::Received(..) => seen.received.is_some(),
            Fate::Lost | Fate::Unknown(_) => true,
        };
        let refusal = !matches!(self.refused, Refused::Told(_)) || seen.refused.is_some();
        question && refusal && (self.answered != Some(true) || seen.answered)
    }

    /// Whether it went as said, as far as anything was said.
    pub fn agrees(&self, seen: &Seen, kind: Kind, own_port: u16) -> bool {
        let question = match (&self.fate, kind) {
            // The kernel asks and takes the answer by itself: only the outcome is seen.
            (_, Kind::Arp) => true,
            (Fate::Received(by, said), _) => {
                let mut receivers = seen.received.iter().chain(&seen.also);
                receivers.any(|(who, packet)| who == by && same(said, packet, own_port))
            }
            (Fate::Lost, _) => seen.received.is_none(),
            (Fate::Unknown(_), _) => true,
        };
        let refused = match self.refused {
            Refused::Told(refusal) => seen.refused == Some(refusal),
            Refused::Untold => seen.refused.is_none(),
            Refused::Unsaid => true,
        };
        let answer = match (&self.answer, &seen.answer) {
            (Some(said), Some(seen)) => same(said, seen, own_port),
            (Some(_) | None, _) => true,
        };
        question && answer && refused && self.answered.is_none_or(|said| said == seen.answered)
    }
}

/// The same packet, whatever port the probe was really sent from.
fn same(said: &Arrived, seen: &Arrived, own_port: u16) -> bool {
    let port = |said: u16, seen: u16| said == seen || (said == ASKING_PORT && seen == own_port);
    (said.source, said.destination, said.ttl) == (seen.source, seen.destination, seen.ttl)
        && port(said.source_port, seen.source_port)
        && port(said.port, seen.port)
}

/// Asks the walk about probes, one by one.
pub(crate) fn ask(snapshot: &Snapshot, probes: &[Asked]) -> Vec<Said> {
    let intent = Intent::default();
    let world = World::new(snapshot, &intent);
    probes.iter().map(|probe| ask_one(&world, probe)).collect()
}

fn unknown(why: impl Into<String>) -> Said {
    Said {
        fate: Fate::Unknown(why.into()),
        answered: None,
        unsure: None,
        answer: None,
        refused: Refused::Unsaid,
        told: Vec::new(),
        rules: Vec::new(),
    }
}

fn ask_one(world: &World, probe: &Asked) -> Said {
    let protocol = match probe.kind {
        Kind::Echo => sim::Protocol::Icmp,
        Kind::Tcp(port) => sim::Protocol::Tcp(port),
        Kind::Udp(port) => sim::Protocol::Udp(port),
        Kind::Arp => sim::Protocol::Arp,
    };
    let Some(ns) = world.main_ns(&probe.from) else { return unknown("the sender was not read") };
    let answer =
        sim::ask(world, &Question { from: Endpoint::Machine(ns), to: probe.to, protocol, reply: true });
    let exchange = protocol.exchange();
    let of = |direction| {
        answer.paths.iter().find(move |p: &&Path| p.exchange == exchange && p.direction == direction)
    };
    let told = answer.paths.iter().flat_map(tell).collect();
    let rules = answer.paths.iter().flat_map(rules).collect();
    let Some(request) = of(Direction::Request) else {
        // Where no route leads out by a link, nobody is asked for.
        let asked_nobody = Said { fate: Fate::Lost, answered: Some(false), ..unknown("") };
        return match probe.kind {
            Kind::Arp => Said { told, rules, ..asked_nobody },
            Kind::Echo | Kind::Tcp(_) | Kind::Udp(_) => {
                Said { told, rules, ..unknown("no path of this kind") }
            }
        };
    };
    let fate = fate(request);
    let back = of(Direction::Reply);
    let undecided = back.and_then(|p| undecided(&p.disposition));
    let answered = match (&fate, &undecided) {
        (Fate::Unknown(_), _) | (Fate::Received(..), Some(_)) => None,
        (Fate::Lost, _) | (Fate::Received(..), None) => Some(answer.answered),
    };
    let refused = match (answer.refused, &request.disposition) {
        (Some(with), _) => refusal(with, probe.to.is_ipv6()).map_or(Refused::Unsaid, Refused::Told),
        (None, Disposition::Dropped(Stop::Rule(rule)))
            if rule.rejects_with.is_some() && undecided.is_none() =>
        {
            Refused::Untold
        }
        (None, _) => Refused::Unsaid,
    };
    let back = back.filter(|_| answer.answered && probe.kind != Kind::Arp);
    Said { fate, answered, unsure: undecided, answer: back.and_then(arrived), refused, told, rules }
}

/// Why a path's end is not known.
fn undecided(disposition: &Disposition) -> Option<String> {
    match disposition {
        Disposition::Unknown { why, .. } => Some(why.clone()),
        Disposition::LeftSite => Some("it left the site".to_owned()),
        Disposition::Delivered { .. } | Disposition::Dropped(_) => None,
    }
}

/// A refusal as the sender's sockets are told it (`nft_reject_icmp_code`, `nft_reject_icmpv6_code`).
fn refusal(with: RejectWith, v6: bool) -> Option<Refusal> {
    Some(match (with, v6) {
        (RejectWith::TcpReset, _) => Refusal::Reset,
        (RejectWith::Icmp(code), false) => Refusal::Icmp(3, code),
        (RejectWith::Icmp6(code), true) => Refusal::Icmpv6(1, code),
        (RejectWith::Icmpx(code), false) => Refusal::Icmp(3, *[0, 3, 1, 13].get(usize::from(code))?),
        (RejectWith::Icmpx(code), true) => Refusal::Icmpv6(1, *[0, 4, 3, 1].get(usize::from(code))?),
        (RejectWith::Icmp(_), true) | (RejectWith::Icmp6(_), false) => return None,
    })
}

fn fate(path: &Path) -> Fate {
    match &path.disposition {
        Disposition::Delivered { machine } => match arrived(path) {
            Some(packet) => Fate::Received(machine.clone(), packet),
            None => Fate::Lost,
        },
        // It is received, and not answered.
        Disposition::Dropped(Stop::Unanswered(_) | Stop::NotAsked { .. }) => {
            match (path.hops.last(), arrived(path)) {
                (Some(last), Some(packet)) => Fate::Received(last.at.host.clone(), packet),
                _ => Fate::Lost,
            }
        }
        Disposition::Dropped(_) => Fate::Lost,
        Disposition::LeftSite | Disposition::Unknown { .. } => {
            Fate::Unknown(undecided(&path.disposition).unwrap_or_default())
        }
    }
}

/// A path as text: where it went, and how it ended.
fn tell(path: &Path) -> Vec<String> {
    let title = format!("{:?} {:?}: {:?}", path.exchange, path.direction, path.disposition);
    let hop = |h: &model::path::Hop| format!("  {} {:?}: {} [{}]", h.at, h.at.stage, h.detail, h.packet);
    std::iter::once(title).chain(path.hops.iter().map(hop)).collect()
}

/// Rules that a path names, with the machine that has them.
fn rules(path: &Path) -> Vec<(String, RuleRef)> {
    let mut rules = Vec::new();
    for hop in &path.hops {
        let steps = hop.steps.iter().filter_map(|s| if let Step::Rule(rule) = s { Some(rule) } else { None });
        rules.extend(steps.map(|rule| (hop.at.host.clone(), rule.clone())));
    }
    if let (Disposition::Dropped(Stop::Rule(rule) | Stop::Policy(rule)), Some(last)) =
        (&path.disposition, path.hops.last())
    {
        rules.push((last.at.host.clone(), rule.clone()));
    }
    rules
}

/// The packet at a path's end: `10.0.0.11:1024 > 198.51.100.10:80 TCP SYN ttl 62`, read back.
fn arrived(path: &Path) -> Option<Arrived> {
    let words: Vec<&str> = path.hops.last()?.packet.split(' ').collect();
    let end = |text: &str| -> Option<(IpAddr, u16)> {
        if let Ok(whole) = text.parse::<IpAddr>() {
            return Some((whole, 0));
        }
        let (address, port) = text.rsplit_once(':')?;
        Some((address.trim_matches(['[', ']']).parse().ok()?, port.parse().ok()?))
    };
    if words.first() == Some(&"ARP") || words.contains(&"neighbour") {
        let nobody = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        return Some(Arrived { source: nobody, destination: nobody, source_port: 0, port: 0, ttl: 0 });
    }
    let ((source, source_port), (destination, port)) = (end(words.first()?)?, end(words.get(2)?)?);
    Some(Arrived { source, destination, source_port, port, ttl: words.last()?.parse().ok()? })
}
