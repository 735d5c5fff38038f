//! Which journey a sighting belongs to.

mod live;

use model::sighting::{Address, Kind, Sighting};

use crate::close::{Closing, is_only_answer};
use crate::journey::{Journey, Stop, may_be_sent_again};
use crate::open::{OpenJourneys, StopAt};
use crate::prelude;
use crate::report::{Nat, Report};
use crate::{Merge, Options, Vantage};

/// Sightings between two looks at the clocks; fewer where they take longer than this.
const CLOCKS_EVERY: u64 = 1 << 16;
const CLOCKS_EVERY_NS: i64 = 10_000_000_000;
/// Through NAT that leaves the TTL alone, a packet is looked for only this far away.
const BRIDGED_NAT_NS: u64 = 10_000_000;

/// Joins sightings, and learns from each journey that is over.
#[derive(Debug)]
pub struct Correlator {
    options: Options,
    open: OpenJourneys,
    closing: Closing,
    journey: Journey,
    pushed: u64,
    /// When the clocks were looked at: after how many sightings, and at what time.
    looked: (u64, i64),
}

/// How well a sighting fits a journey.
enum Fit {
    Not,
    /// A copy of this stop.
    Copy(StopAt),
    /// Seen at one more place; the higher the better.
    New(i32),
}

impl Correlator {
    /// `is_mixed` says of each source whether several devices may be in one of its vantages without a name:
    /// `tcpdump -i any` in the formats that do not tell the link.
    pub fn new(options: Options, is_mixed: Vec<bool>) -> Correlator {
        let closing = Closing::new(options, is_mixed);
        let (open, journey) = (OpenJourneys::new(), Journey::blank());
        Correlator { options, open, closing, journey, pushed: 0, looked: (0, i64::MIN) }
    }

    /// Addresses that are known to be translated, before any packet tells it: both ends of one may be at once, and
    /// then nothing but this joins the two sides.
    pub fn give_nat(&mut self, pairs: impl IntoIterator<Item = Nat>) {
        self.closing.give_nat(pairs);
    }

    /// An order that is known beforehand: packets for `destination` come from the vantage `at` to `next`, if they come
    /// so far. Nothing is expected for that: `next` may have been watched another time, or for other packets. The
    /// numbers are those of [`Merge::introduce`].
    pub fn teach_order(&mut self, at: u16, destination: Address, next: u16) {
        self.closing.teach_order(at, destination, next);
    }

    /// Learns of the clocks from what waits in `merge`, before anything is joined. Sources whose clocks are far
    /// apart would not meet within the window otherwise.
    pub fn look_ahead(&mut self, merge: &mut Merge, sources: usize) {
        for (source, (ahead_ns, is_bounded)) in prelude::look(merge, sources).into_iter().enumerate() {
            merge.set_ahead(source, ahead_ns);
            self.closing.begin(source, ahead_ns, is_bounded);
        }
    }

    /// Joins all that can be taken from `merge`; `each` is shown every journey that is over, with the vantages so far.
    pub fn drain(&mut self, merge: &mut Merge, each: &mut impl FnMut(&Journey, &[Vantage])) {
        while let Some((sighting, vantage, now)) = merge.take() {
            if usize::from(sighting.vantage) == self.closing.vantages.len() {
                self.closing.vantages.push(vantage);
            }
            self.push(sighting, now, each);
            self.pushed += 1;
            let since = self.pushed - self.looked.0;
            // A look takes a time that is in proportion to the cube of the sources, however the time runs.
            let is_long = now.saturating_sub(self.looked.1) >= CLOCKS_EVERY_NS
                && since >= self.closing.sources().pow(2);
            if since >= CLOCKS_EVERY || is_long {
                self.looked = (self.pushed, now);
                self.closing.look_at_clocks();
                for (source, ahead_ns) in self.closing.ahead.iter().enumerate() {
                    merge.set_ahead(source, *ahead_ns);
                }
            }
        }
    }

    /// Closes what is open and tells what was learned.
    pub fn finish(mut self, merge: &Merge, each: &mut impl FnMut(&Journey, &[Vantage])) -> Report {
        while self.open.oldest_opened().is_some() {
            self.close(each);
        }
        self.closing.meet(merge.vantages());
        self.closing.report(merge.unplaced())
    }

    fn push(&mut self, seen: &Sighting, now: i64, each: &mut impl FnMut(&Journey, &[Vantage])) {
        while let Some(opened) = self.open.oldest_opened() {
            let is_early = self.open.kept() >= self.options.open_max;
            let age = now.saturating_sub(opened);
            if age <= self.options.window_ns && !is_early {
                break;
            }
            if is_early {
                self.closing.shortened(age);
            }
            self.close(each);
        }
        self.closing.saw(seen);
        let mut copy = None;
        let mut best = None;
        for journey in self.open.alike(seen.identity) {
            match self.fit(journey, seen) {
                Fit::Not => {}
                Fit::Copy(stop) => copy = copy.or(Some(stop)),
                Fit::New(fit) => match best {
                    Some((known, younger)) if fit < known || fit == known && self.again(journey, younger) => {
                    }
                    Some(_) | None => best = Some((fit, journey)),
                },
            }
        }
        match (best, copy) {
            (Some((_, journey)), _) => self.open.extend(journey, seen),
            (None, Some(stop)) => self.copy(stop, seen),
            (None, None) => self.open.begin(seen, now),
        }
    }

    /// Of two that fit as well, the older mostly comes first, as packets that look alike keep their order; unless
    /// the younger is the same sent again, after which the older is not to be expected any more.
    fn again(&self, older: u32, younger: u32) -> bool {
        let opened = |journey| self.open.opened(journey).unwrap_or(i64::MIN);
        opened(younger).saturating_sub(opened(older)) > self.options.duplicate_ns
    }

    fn copy(&mut self, stop: StopAt, seen: &Sighting) {
        let Some(stop) = self.open.stop_mut(stop) else { return };
        stop.last_ns = u32::try_from(seen.time_ns.saturating_sub(stop.time_ns).max(0)).unwrap_or(u32::MAX);
        match stop.copies.checked_add(1) {
            Some(copies) => stop.copies = copies,
            None if may_be_sent_again(seen.kind, seen.ip_id) => self.closing.uncounted_repeats += 1,
            None => self.closing.uncounted_copies += 1,
        }
    }

    fn close(&mut self, each: &mut impl FnMut(&Journey, &[Vantage])) {
        self.open.end_oldest(&mut self.journey);
        self.closing.close(&mut self.journey);
        each(&self.journey, &self.closing.vantages);
    }

    fn fit(&self, journey: u32, seen: &Sighting) -> Fit {
        let mut best = None;
        for (index, stop) in self.open.stops(journey) {
            if stop.vantage == seen.vantage {
                match self.same_place(index, stop, seen) {
                    Fit::New(fit) => best = best.max(Some(fit)),
                    Fit::Copy(at)
                        if is_only_answer(seen.kind) && self.open.is_of_another(journey, at, seen) =>
                    {
                        return Fit::Not;
                    }
                    fit @ (Fit::Not | Fit::Copy(_)) => return fit,
                }
            } else if let Some(fit) = self.other_place(stop, seen) {
                best = best.max(Some(fit));
            }
        }
        best.map_or(Fit::Not, Fit::New)
    }

    /// At the same vantage once more: a copy, the packet after it was routed, or another packet.
    fn same_place(&self, index: StopAt, stop: &Stop, seen: &Sighting) -> Fit {
        let is_routed = stop.ttl != seen.ttl && stop.ttl != 0 && seen.ttl != 0;
        if stop.ip_id != seen.ip_id && stop.ip_id != 0 && seen.ip_id != 0 {
            return Fit::Not;
        }
        let ports = (stop.source_port, stop.destination_port);
        let is_same = stop.ends() == (seen.source, seen.destination);
        if is_same && ports != (seen.source_port, seen.destination_port) {
            return Fit::Not;
        }
        if is_routed {
            return self.other_place(stop, seen).map_or(Fit::Not, Fit::New);
        }
        let gap = seen.time_ns.saturating_sub(stop.time_ns).saturating_sub(i64::from(stop.last_ns));
        if is_same && gap.saturating_abs() <= self.options.duplicate_ns { Fit::Copy(index) } else { Fit::Not }
    }

    /// How well a sighting fits one at another place; `None` where it does not.
    fn other_place(&self, stop: &Stop, seen: &Sighting) -> Option<i32> {
        let by_id = match (stop.ip_id, seen.ip_id) {
            (0, _) | (_, 0) => 0,
            (here, there) if here == there => 4,
            // Some firewalls choose ids anew.
            _ => -2,
        };
        let is_routed = stop.ttl != seen.ttl;
        let (source, destination) = (stop.source == seen.source, stop.destination == seen.destination);
        let ports = (stop.source_port, stop.destination_port) == (seen.source_port, seen.destination_port);
        let by_address = match (source, destination) {
            (true, true) if ports => 4,
            (true, true) => return None,
            (true, false) | (false, true) if is_routed => 3,
            (true, false) | (false, true) => self.bridged_nat(stop, seen)?,
            (false, false) if self.closing.is_nat(stop, seen) => 1,
            (false, false) => return None,
        };
        Some(by_id + by_address).filter(|fit| *fit > 0)
    }

    /// Addresses differ and the TTL does not: rather another packet that looks alike, unless its kind makes
    /// that unlikely and it is near.
    fn bridged_nat(&self, stop: &Stop, seen: &Sighting) -> Option<i32> {
        let is_distinct = match seen.kind {
            Kind::EchoRequest | Kind::EchoReply | Kind::Tcp | Kind::DnsQuery | Kind::DnsResponse => true,
            Kind::Udp => seen.length >= 44,
            Kind::Icmp | Kind::DhcpClient | Kind::DhcpServer | Kind::ArpRequest | Kind::ArpReply => false,
            Kind::Fragment | Kind::Other => false,
        };
        let times = [(seen.vantage, seen.time_ns), (stop.vantage, stop.time_ns)];
        let [here, there] = times.map(|(vantage, time_ns)| self.closing.common(vantage, time_ns));
        (is_distinct && here.abs_diff(there) <= BRIDGED_NAT_NS).then_some(1)
    }
}
