//! One ARP exchange, there and back: who answers for an address, and does the answer arrive? IPv6 asks
//! by neighbour discovery, which comes to the same.

use std::net::Ipv4Addr;

use model::Mac;
use model::netfilter::{Family, Hook};
use model::packet::{Arp, Frame, Packet, Payload, Transport};
use model::path::{Direction, Disposition, Exchange, Path, Stop};

use crate::netfilter::{self, Around};
use crate::trail::{Outcome, Skb, Trail};
use crate::wire;
use crate::world::{FarEnd, LinkId, World};

/// Who asks, and by which link.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asker {
    /// A machine's own link; of an instance that cannot be entered, the host's side of its NIC.
    pub(crate) link: LinkId,
    /// The question starts inside the instance behind the link.
    pub(crate) guest: bool,
    pub(crate) mac: Mac,
    pub(crate) ip: Ipv4Addr,
}

/// What became of a question and, where it was received, of its answer.
pub(crate) struct Resolution {
    pub(crate) question: Outcome,
    pub(crate) answer: Option<Outcome>,
}

impl Resolution {
    /// The MAC that the asker learns.
    pub(crate) fn mac(&self) -> Option<Mac> {
        let answer = self.answer.as_ref()?;
        match (&answer.disposition, &answer.frame.payload) {
            (Disposition::Delivered { .. }, Payload::Arp(arp)) => Some(arp.sender_mac),
            (
                Disposition::Delivered { .. },
                Payload::Ip(Packet { transport: Transport::Neighbour { mac, .. }, .. }),
            ) => Some(*mac),
            (Disposition::Delivered { .. }, Payload::Ip(_))
            | (Disposition::Dropped(_) | Disposition::LeftSite | Disposition::Unknown { .. }, _) => None,
        }
    }

    /// Why it cannot be told whether the asker learns a MAC, and what would settle it.
    pub(crate) fn unknown(&self) -> Option<(String, String)> {
        let last = self.answer.as_ref().unwrap_or(&self.question);
        match &last.disposition {
            Disposition::Unknown { why, would_need } => Some((why.clone(), would_need.clone())),
            Disposition::Delivered { .. } | Disposition::Dropped(_) | Disposition::LeftSite => None,
        }
    }

    /// Either of the two died on its way, and not for want of anybody who hears it.
    pub(crate) fn is_dropped(&self) -> bool {
        let last = self.answer.as_ref().unwrap_or(&self.question);
        matches!(last.disposition, Disposition::Dropped(_))
    }

    /// The question left what was read, and nobody there heard it.
    pub(crate) fn has_left(&self) -> bool {
        self.question.disposition == Disposition::LeftSite
    }

    /// The path that did not get through: the answer's where there is one, else the question's.
    pub(crate) fn died_on(self) -> Path {
        match self.answer {
            Some(answer) => path(answer, Direction::Reply),
            None => path(self.question, Direction::Request),
        }
    }

    /// Both paths.
    pub(crate) fn paths(self) -> Vec<Path> {
        let answer = self.answer.map(|answer| path(answer, Direction::Reply));
        [path(self.question, Direction::Request)].into_iter().chain(answer).collect()
    }
}

/// Asks for an address. Bridges on the way learn what `trail` then knows.
pub(crate) fn ask(world: &World, trail: &mut Trail, asker: Asker, ip: Ipv4Addr) -> Resolution {
    let own = asker.ip;
    let question =
        Arp { reply: false, sender_mac: asker.mac, sender_ip: own, target_mac: Mac::ZERO, target_ip: ip };
    let frame = Frame::untagged(asker.mac, Mac::BROADCAST, Payload::Arp(question));
    let asked = send(world, trail, asker.link, asker.guest, frame);
    let (Disposition::Delivered { .. }, Some(at)) = (&asked.disposition, asked.at) else {
        return Resolution { question: asked, answer: None };
    };
    // Rules may have rewritten it on its way.
    let Payload::Arp(heard) = asked.frame.payload else {
        return Resolution { question: asked, answer: None };
    };
    if heard.target_ip != ip {
        let mut question = asked;
        let why = format!("rules make the question ask for {} in place of {ip}", heard.target_ip);
        let would_need = "`ip neigh` after a probe".to_owned();
        question.disposition = Disposition::Unknown { why, would_need };
        return Resolution { question, answer: None };
    }
    trail.learned.clone_from(&asked.trail.learned);
    if !heard.sender_ip.is_unspecified() {
        // Who answers a question remembers who asked (`arp_process`, `neigh_event_ns`).
        trail.neighbours.push((at, heard.sender_ip.into(), heard.sender_mac));
    }
    let mac = world.answering_mac(at).unwrap_or_default();
    let answer = Arp {
        reply: true,
        sender_mac: mac,
        sender_ip: heard.target_ip,
        target_mac: heard.sender_mac,
        target_ip: heard.sender_ip,
    };
    let frame = Frame::untagged(mac, heard.sender_mac, Payload::Arp(answer));
    let by_guest = matches!(world.far_end(at), FarEnd::Guest(..));
    let mut answered = send(world, trail, at, by_guest, frame);
    settle_rewritten(&mut answered, (heard.sender_ip, own), ip);
    settle_astray(&mut answered, asker);
    if matches!(answered.disposition, Disposition::Delivered { .. }) {
        trail.learned.clone_from(&answered.trail.learned);
    }
    Resolution { question: asked, answer: Some(answered) }
}

/// An answer that rules made tell of another address leaves the asker as it was (`arp_process`: no entry is
/// looked for under the one asked for). One to another address than the asker's is taken by an asker that
/// waits for it, but of that the way of a frame says nothing.
fn settle_rewritten(answered: &mut Outcome, (told, own): (Ipv4Addr, Ipv4Addr), asked: Ipv4Addr) {
    let tells = matches!(answered.frame.payload, Payload::Arp(arp) if arp.sender_ip == asked);
    match &answered.disposition {
        Disposition::Delivered { .. } if !tells => {
            answered.is_lost(Stop::OtherHost);
        }
        Disposition::Dropped(Stop::OtherHost) if told != own => {
            let why = format!("rules make {told} ask in place of {own}, which is answered");
            let would_need = "`ip neigh` after a probe".to_owned();
            answered.disposition = Disposition::Unknown { why, would_need };
        }
        Disposition::Delivered { .. }
        | Disposition::Dropped(_)
        | Disposition::LeftSite
        | Disposition::Unknown { .. } => {}
    }
}

/// An answer that comes back by another link than the question left by changes no entry: those belong to
/// their link (`arp_process`, `__neigh_lookup`).
fn settle_astray(answered: &mut Outcome, asker: Asker) {
    let elsewhere = answered.at.is_some_and(|at| at.ns == asker.link.ns && at != asker.link);
    if !asker.guest && elsewhere && matches!(answered.disposition, Disposition::Delivered { .. }) {
        answered.is_lost(Stop::OtherHost);
    }
}

/// A guest's frame arrives at the host's side of its NIC; a machine's own leaves by its link.
fn send(world: &World, trail: &Trail, link: LinkId, from_guest: bool, frame: Frame) -> Outcome {
    let mut trail = trail.aside();
    let mut skb = Skb::new(frame);
    if from_guest {
        return wire::receive(world, trail, link, &skb);
    }
    // `arp_xmit`: arptables' OUTPUT.
    let around = Around { outdev: Some(link.link), ..Around::default() };
    match netfilter::run(world, &mut trail, link.ns, Family::Arp, Hook::Output, &mut skb, &around) {
        Ok(()) => wire::transmit(world, trail, link, &skb),
        Err(end) => end.finish(trail, &skb.frame),
    }
}

fn path(outcome: Outcome, direction: Direction) -> Path {
    let Outcome { trail, disposition, .. } = outcome;
    Path { exchange: Exchange::Arp, direction, hops: trail.into_hops(), disposition }
}
