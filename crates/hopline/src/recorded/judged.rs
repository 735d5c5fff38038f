//! What the captures tell of one question: where on its way its packets were seen, where they were not, and whether an
//! answer came.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use checks::Rung;
use model::Snapshot;
use model::dns::Strays;
use model::journey::QuestionSeen;
use model::path::{Direction, Exchange};
use model::probe::{Asked, DeviceWatch, PING_OCTETS, ProbeResult, ProbeSeen, Recorded};
use model::sighting::Address;

use super::given::Given;
use super::journeys;
use super::seen::{At, Packet};
use super::spots::Spot;
use super::tally::{Tally, Times, Watcher};
use crate::gather::Facts;

/// Facts and packets further apart than this, in nanoseconds, may be of different states of the site.
pub(crate) const APART_NS: i64 = 300_000_000_000;

/// Captures, placed.
pub(crate) struct Placed<'p> {
    pub(crate) facts: &'p Facts,
    pub(crate) given: &'p [Given],
    pub(crate) times: Times<'p>,
}

impl Placed<'_> {
    /// `None` where they do not tell.
    pub(crate) fn judge(
        &self,
        (rung, exchange): (&Rung, Exchange),
        packets: &[Packet],
    ) -> Option<(ProbeResult, Vec<DeviceWatch>, QuestionSeen)> {
        let all = self.watchers(rung, exchange);
        let clocks: BTreeSet<u16> = all.iter().map(|watcher| watcher.spot.clock).collect();
        let told =
            clocks.into_iter().filter_map(|clock| Some((clock, self.times.by_clock(clock, &all, packets)?)));
        let (clock, (tally, watchers)) = told.min_by_key(|(_, (tally, _))| Reverse(tally.keys.len()))?;
        let last = self.last(rung, &watchers)?;
        let first = tally.asked.iter().flat_map(|packet| self.times.by(clock, packet));
        let first = first.min_by_key(|(time, _)| *time)?.1;
        let is_old =
            self.times.common(first).abs_diff(taken_ns(&self.facts.snapshot)) > APART_NS.unsigned_abs();
        let is_telling = !is_old && self.is_home(rung, last);
        let sent = count(tally.keys.len());
        let received = tally.at(last).1.min(sent);
        let port = super::asked::conversation(rung)?.1;
        let probe = ProbeResult {
            from: rung.from.clone(),
            by_host: self.facts.intent.instances.iter().any(|instance| instance.name == rung.from),
            to: rung.to,
            asked: question(exchange, port, received)?,
            sent,
            received,
            reply_ttl: None,
            rtt_us: None,
            errors: Vec::new(),
            send_error: None,
            recorded: Some(Recorded {
                shown_by: self.shown_by(first, (exchange, rung), false),
                packet: self.packet(first),
                is_telling,
            }),
        };
        let ways = journeys::of(self, &probe, &tally, &watchers);
        let mut watches: Vec<DeviceWatch> = Vec::new();
        for Watcher { spot, .. } in &watchers {
            let seen = self.seen((rung, exchange), (spot, first), &tally);
            add(&mut watches, spot, seen);
        }
        Some((probe, watches, ways))
    }

    /// Where an answer is counted: where the way back is known, at the last device on it that recorded; else at one of
    /// who asks.
    fn last<'p>(&self, rung: &Rung, watchers: &[Watcher<'p>]) -> Option<&'p Spot> {
        if !rung.answer.answered && rung.undecided().is_none() {
            return watchers.iter().map(|watcher| watcher.spot).find(|spot| self.is_home(rung, spot));
        }
        let back = watchers.iter().filter(|watcher| watcher.last.1 != Direction::Request);
        let last = back.max_by_key(|watcher| watcher.last.0).map(|watcher| watcher.spot);
        last.or_else(|| watchers.iter().map(|watcher| watcher.spot).find(|spot| self.is_home(rung, spot)))
    }

    /// What a vantage has of a question whose first packet is `first`.
    fn seen(
        &self,
        (rung, exchange): (&Rung, Exchange),
        (spot, first): (&Spot, &At),
        tally: &Tally,
    ) -> ProbeSeen {
        let (requests, replies) = tally.at(spot);
        let here = tally.packets.iter().flat_map(|packet| &packet.sightings).filter(|at| spot.has(at));
        let here = here.min_by_key(|at| at.time_ns);
        let nobody = At { vantage: spot.vantage(), ..*first };
        let recorded = Recorded {
            shown_by: self.shown_by(here.unwrap_or(&nobody), (exchange, rung), true),
            packet: here.map(|at| self.packet(at)).unwrap_or_default(),
            is_telling: true,
        };
        ProbeSeen {
            from: rung.from.clone(),
            to: rung.to,
            exchange,
            octets: (exchange == Exchange::Icmp).then(|| rung.octets()),
            port: super::asked::conversation(rung)
                .map(|(_, port)| port)
                .filter(|_| exchange == Exchange::Tcp),
            requests,
            replies,
            frames: Vec::new(),
            recorded: Some(recorded),
        }
    }

    /// The vantages on a question's way that would have kept its packets.
    fn watchers(&self, rung: &Rung, exchange: Exchange) -> Vec<Watcher<'_>> {
        let mut found: Vec<Watcher> = Vec::new();
        let mut order = 0;
        for path in rung.answer.paths.iter().filter(|path| path.exchange == exchange) {
            for group in path.hops.chunk_by(|a, b| a.at.same_device(&b.at)) {
                order += 1;
                if !checks::shows(&self.facts.snapshot, group) {
                    continue;
                }
                for spot in self.times.spots.iter().filter(|spot| spot.is_at(group)) {
                    let admits = spot.admits(rung, exchange, group);
                    look(&mut found, spot, admits, (order, path.direction));
                }
            }
        }
        found
    }

    /// It is a device of who asks: inside, or the host's side of an instance's NIC.
    fn is_home(&self, rung: &Rung, spot: &Spot) -> bool {
        let (machine, _, device) = &spot.device;
        let own = self.facts.intent.instances.get(rung.instance).filter(|own| own.name == rung.from);
        let is_nic = own.is_some_and(|own| {
            let mut nics = own.vifs.iter().filter_map(|vif| vif.device.as_ref());
            own.host == *machine && nics.any(|nic| nic == device)
        });
        *machine == rung.from || is_nic
    }

    /// `packet 17 of a.pcap, 2026-11-24T02:24:42.435672000Z`.
    pub(crate) fn packet(&self, at: &At) -> String {
        let file = self.given.get(usize::from(at.vantage.source)).map(Given::name).unwrap_or_default();
        format!("packet {} of {file}, {}", at.frame, report::stamp(at.time_ns))
    }

    /// The command that shows a question's packets in the file of this one; at its vantage alone where that is wanted.
    fn shown_by(&self, at: &At, (exchange, rung): (Exchange, &Rung), is_here: bool) -> String {
        let Some(given) = self.given.get(usize::from(at.vantage.source)) else { return String::new() };
        let name = self.times.spot_of(at).and_then(|spot| spot.name.as_deref());
        // Either end may have another address there.
        let far = if at.source == Address::from(rung.to) { at.source } else { at.destination };
        let ip = if far.to_ip().is_ipv4() { "ip" } else { "ipv6" };
        let port = super::asked::conversation(rung).map_or(0, |(_, port)| port);
        let (tshark, tcpdump) = match exchange {
            Exchange::Icmp if ip == "ip" => {
                (format!("icmp && ip.addr == {far}"), format!("icmp and host {far}"))
            }
            Exchange::Icmp => (format!("icmpv6 && ipv6.addr == {far}"), format!("icmp6 and host {far}")),
            Exchange::Dhcp => ("dhcp".to_owned(), "udp and portrange 67-68".to_owned()),
            Exchange::Dns => (format!("dns && {ip}.addr == {far}"), format!("port 53 and host {far}")),
            Exchange::Tcp => (
                format!("tcp.port == {port} && {ip}.addr == {far}"),
                format!("tcp port {port} and host {far}"),
            ),
            Exchange::Udp | Exchange::Arp | Exchange::None => {
                (format!("{ip}.addr == {far}"), format!("host {far}"))
            }
        };
        let of_one = name.filter(|_| is_here);
        let tshark = match of_one {
            Some(name) => {
                format!("frame.interface_name == \"{}\" && {tshark}", name.replace(['"', '\\'], "?"))
            }
            None => tshark,
        };
        given.shown_by(name.is_none(), (&tshark, &tcpdump))
    }
}

/// Of two captures of one device each packet was there that one of them has.
fn add(watches: &mut Vec<DeviceWatch>, spot: &Spot, seen: ProbeSeen) {
    let (machine, netns, device) = spot.device.clone();
    let is_here = |w: &&mut DeviceWatch| (&w.machine, &w.netns, &w.device) == (&machine, &netns, &device);
    match watches.iter_mut().find(is_here).and_then(|watch| watch.probes.first_mut()) {
        Some(known) if known.requests + known.replies >= seen.requests + seen.replies => {}
        Some(known) => *known = seen,
        None => {
            let (probes, clients) = (vec![seen], Vec::new());
            watches.push(DeviceWatch {
                machine,
                netns,
                device,
                probes,
                clients,
                neighbours: Vec::new(),
                is_recorded: true,
            });
        }
    }
}

/// A vantage on the way: once, as the last device that it is at, and not at all where it would not keep the packets.
fn look<'p>(found: &mut Vec<Watcher<'p>>, spot: &'p Spot, admits: bool, last: (usize, Direction)) {
    let known = found.iter().position(|watcher| std::ptr::eq(watcher.spot, spot));
    match known {
        // What it would not keep of the way back it tells nothing of.
        Some(at) if !admits => drop(found.remove(at)),
        Some(at) => {
            if let Some(watcher) = found.get_mut(at) {
                watcher.last = last;
            }
        }
        None if admits => found.push(Watcher { spot, last }),
        None => {}
    }
}

/// When the facts were read, in nanoseconds since the epoch.
pub(crate) fn taken_ns(snapshot: &Snapshot) -> i64 {
    i64::try_from(snapshot.taken_at).unwrap_or(i64::MAX).saturating_mul(1_000_000_000)
}

pub(crate) fn count(packets: usize) -> u32 {
    u32::try_from(packets).unwrap_or(u32::MAX)
}

/// What was asked, as far as packets tell that were only seen to pass.
fn question(exchange: Exchange, port: u16, received: u32) -> Option<Asked> {
    Some(match exchange {
        Exchange::Icmp => Asked::Echo { octets: PING_OCTETS },
        Exchange::Dhcp => Asked::Address { offers: Vec::new(), unreadable: Vec::new() },
        Exchange::Dns => Asked::Name {
            question: String::new(),
            server_port: 53,
            over_tcp: false,
            cut_short: false,
            answer: None,
            unreadable: None,
            strays: Strays::default(),
        },
        Exchange::Tcp => Asked::Connection { port, accepted: received > 0, page: None, greeting: None },
        Exchange::Udp | Exchange::Arp | Exchange::None => return None,
    })
}
