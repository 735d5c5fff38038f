//! Probes really sent, and what is heard of them.
//!
//! Raw sockets in every namespace are handed what the machine takes for itself after INPUT has let it
//! pass (`raw_local_deliver`): hearing a packet there is having it delivered. Veth hands packets over in
//! the sender's own task, so that what is going to arrive mostly has when the send returns.

mod ears;
mod heard;
mod send;

use std::time::{Duration, Instant};

use plumbing::{Namespace, neighbour, route};
use serde::{Deserialize, Serialize};

use crate::case::{Case, Kind, Probe, TCP_PORTS, UDP_PORTS};
use crate::error::SelftestError;

use ears::Ears;
pub(crate) use heard::number;
pub use heard::{Arrived, Refusal};
use heard::{Heard, What};
use send::Sender;

/// Time between two looks for a packet that is still to come.
const POLL: Duration = Duration::from_micros(200);

/// What became of a probe.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Seen {
    /// Who received it, and the packet as it was received.
    pub received: Option<(String, Arrived)>,
    /// Others that received it too: a bridge floods what it does not know the place of.
    pub also: Vec<(String, Arrived)>,
    /// The answer as the sender received it from the address that was asked.
    pub answer: Option<Arrived>,
    /// The answer was taken: by the sender's TCP, or by whoever sent the echo request, the datagram or
    /// the ARP question.
    pub answered: bool,
    /// Refusal that came back to the sender.
    pub refused: Option<Refusal>,
}

/// Probes on their way through a built case.
pub(crate) struct Wire {
    ears: Vec<Ears>,
    probes: Vec<Probe>,
    names: Vec<String>,
    senders: Vec<Sender>,
    /// Number of the first probe; the others follow.
    first: u32,
    seen: Vec<Seen>,
}

impl Wire {
    /// Opens every machine's ears, and the sockets that the probes will be sent from.
    pub(crate) fn open(namespaces: &[Namespace], case: &Case) -> Result<Wire, SelftestError> {
        let count = u32::try_from(case.probes.len()).unwrap_or(u32::MAX);
        let first = number(count);
        let (mut ears, mut numbered) = (Vec::new(), Vec::new());
        for (at, ns) in namespaces.iter().enumerate() {
            let probes = (first..).zip(&case.probes).enumerate().filter(|(_, (_, probe))| probe.from == at);
            let opened = ns.inside(|| {
                let senders = probes.map(|(nth, (number, probe))| Ok((nth, Sender::open(probe, number)?)));
                let senders = senders.collect::<Result<Vec<_>, _>>()?;
                Ok::<_, Failed>((Ears::open(case.v6)?, senders))
            })?;
            let (own, senders) = opened.map_err(|Failed { what, source }| {
                let netns = ns.name.clone();
                SelftestError::Socket { what, netns, source }
            })?;
            ears.push(own);
            numbered.extend(senders);
        }
        numbered.sort_by_key(|(nth, _)| *nth);
        Ok(Wire {
            ears,
            probes: case.probes.clone(),
            names: case.machines.iter().map(|m| m.name.clone()).collect(),
            senders: numbered.into_iter().map(|(_, sender)| sender).collect(),
            first,
            seen: vec![Seen::default(); case.probes.len()],
        })
    }

    /// Sends all probes, one after the other, and listens until nothing more comes and `enough` says that
    /// nothing is missing, or for as long as given.
    pub(crate) fn send(
        &mut self,
        namespaces: &mut [Namespace],
        patience: Duration,
        enough: impl Fn(&[Seen]) -> bool,
    ) -> Result<(), SelftestError> {
        for (nth, probe) in self.probes.clone().into_iter().enumerate() {
            match (probe.kind, self.senders.get(nth), namespaces.get_mut(probe.from)) {
                (Kind::Arp, _, Some(ns)) => self.ask_arp(nth, probe, ns)?,
                (_, Some(sender), _) => sender.send(&probe),
                (_, _, _) => {}
            }
            self.listen();
        }
        let deadline = Instant::now() + patience;
        while !enough(&self.seen) && Instant::now() < deadline {
            std::thread::sleep(POLL);
            self.listen();
        }
        Ok(())
    }

    /// What has been seen so far, by probe.
    pub(crate) fn seen(&self) -> &[Seen] {
        &self.seen
    }

    /// The port that a probe is sent from.
    pub(crate) fn own_port(&self, nth: usize) -> u16 {
        self.senders.get(nth).map_or(0, Sender::port)
    }

    /// Takes in what has arrived, answers datagrams, and goes on while that brings more.
    pub(crate) fn listen(&mut self) {
        loop {
            let mut heard = Vec::new();
            for (at, ears) in self.ears.iter().enumerate() {
                ears.drain(|one| heard.push((at, one)));
            }
            if heard.is_empty() {
                break;
            }
            for (at, one) in heard {
                self.book(at, &one);
            }
        }
        for ((seen, sender), probe) in self.seen.iter_mut().zip(&self.senders).zip(&self.probes) {
            if matches!(probe.kind, Kind::Tcp(_)) {
                seen.answered |= sender.is_connected();
            }
        }
    }

    /// Books what a machine heard on its probe.
    fn book(&mut self, at: usize, heard: &Heard) {
        let Some(nth) = heard.number.checked_sub(self.first).and_then(|n| usize::try_from(n).ok()) else {
            return;
        };
        let (Some(probe), Some(seen)) = (self.probes.get(nth), self.seen.get_mut(nth)) else { return };
        let is_back = at == probe.from && heard.packet.source == probe.to;
        match heard.what {
            What::Question if !is_listened_to(probe.kind, heard.packet.port) => {}
            What::Question => {
                let name = self.names.get(at).cloned().unwrap_or_default();
                match &seen.received {
                    None => seen.received = Some((name, heard.packet.clone())),
                    Some((first, _)) if *first == name || seen.also.iter().any(|(who, _)| *who == name) => {}
                    Some(_) => seen.also.push((name, heard.packet.clone())),
                }
                if let (Kind::Udp(_), Some(ears)) = (probe.kind, self.ears.get(at)) {
                    ears.answer(heard);
                }
            }
            What::Answer if is_back => {
                seen.answered |= match probe.kind {
                    Kind::Echo => true,
                    // What comes from the port that was asked. Of TCP also where the packet after it has the
                    // connection reset.
                    Kind::Tcp(port) | Kind::Udp(port) => {
                        let own = self.senders.get(nth).map(Sender::port);
                        heard.packet.source_port == port && Some(heard.packet.port) == own
                    }
                    Kind::Arp => false,
                };
                seen.answer.get_or_insert_with(|| heard.packet.clone());
            }
            What::Answer => {}
            What::Refused(refusal) if at == probe.from => {
                seen.refused.get_or_insert(refusal);
            }
            What::Refused(_) => {}
        }
    }

    /// Has the kernel ask for the next hop towards an address, and looks whether it knows it then.
    fn ask_arp(&mut self, nth: usize, probe: Probe, ns: &mut Namespace) -> Result<(), SelftestError> {
        let Some((link, next)) = route::next_hop(ns, probe.to)? else { return Ok(()) };
        neighbour::ask(ns, &link, next)?;
        self.listen();
        if let Some(seen) = self.seen.get_mut(nth) {
            seen.answered = neighbour::mac_of(ns, &link, next)?.is_some();
        }
        Ok(())
    }
}

/// Whether anybody receives what comes to a port: raw sockets also hear what nobody does.
fn is_listened_to(kind: Kind, port: u16) -> bool {
    match kind {
        Kind::Tcp(_) => TCP_PORTS.contains(&port),
        Kind::Udp(_) => UDP_PORTS.contains(&port),
        Kind::Echo | Kind::Arp => true,
    }
}

/// A socket could not be opened or set.
struct Failed {
    what: &'static str,
    source: std::io::Error,
}

/// Names what an I/O error was about.
fn failed<E: Into<std::io::Error>>(what: &'static str) -> impl FnOnce(E) -> Failed {
    move |source| Failed { what, source: source.into() }
}
