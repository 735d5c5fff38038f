//! Instances whose packets leave, under which address, and whether an answer finds back to that.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use model::Netns;
use model::finding::{Evidence, EvidenceKind};
use model::link::Link;
use model::netfilter::{Action, Chain, NfRule, Table};
use model::path::{Direction, Disposition, Exchange};
use model::probe::ProbeResult;

use crate::catalogue::firewall::rules_flushed;
use crate::drift;
use crate::evidence;
use crate::floats;
use crate::found::Found;
use crate::ladder::{Purpose, Rung};
use crate::mend::Mend;
use crate::nova;
use crate::nova::line::{Line, Then, always};
use crate::said;
use crate::uplinks;
use crate::view::{Seat, Stopped, View};

/// A NIC, and what its packets look like outside.
pub(crate) struct Left<'v> {
    pub(crate) seat: Seat<'v>,
    /// The uplink of the host that leads it out.
    pub(crate) uplink: &'v Link,
    /// Whom it asked.
    pub(crate) to: IpAddr,
    /// The address that the outside answers to.
    pub(crate) seen: Ipv4Addr,
    /// Its question, and the place of that in the ladder.
    pub(crate) rung: &'v Rung,
    nth: usize,
    /// The answer is not known to come back to its host.
    is_unanswered: bool,
    /// Where the answer dies; beyond a switch that nobody looks into only who asks learns that it does.
    pub(crate) stopped: Option<Stopped<'v>>,
    /// Our own question was not answered.
    pub(crate) silent: Option<&'v ProbeResult>,
}

/// Every NIC whose pings arrive outside and whose answers are not known to come back to its host.
pub(crate) fn unanswered<'v>(view: &View<'v>) -> Vec<Left<'v>> {
    all(view).into_iter().filter(|left| left.is_unanswered).collect()
}

/// Every NIC whose pings arrive outside, or leave the site.
pub(crate) fn all<'v>(view: &View<'v>) -> Vec<Left<'v>> {
    by(view, |purpose| purpose == Purpose::Outside)
}

/// The same of what else is asked beyond the site: rules may take what goes to some of it alone.
pub(crate) fn by_services<'v>(view: &View<'v>) -> Vec<Left<'v>> {
    by(view, |purpose| matches!(purpose, Purpose::OutsideBy(_) | Purpose::UpstreamBy(..)))
}

/// Every NIC, and the first of such questions that arrives outside or leaves the site.
fn by<'v>(view: &View<'v>, is_meant: impl Fn(Purpose) -> bool) -> Vec<Left<'v>> {
    let uplinks = uplinks::all(view);
    let left = view.vifs().filter_map(|seat| {
        let (_, uplink) = *uplinks.iter().find(|(ns, _)| ns.machine == seat.server_ns.machine)?;
        let at = view.intent().instances.iter().position(|i| std::ptr::eq(i, seat.instance))?;
        let is_its = |rung: &Rung| rung.instance == at && is_meant(rung.purpose);
        let (nth, rung) = view.rungs.iter().enumerate().find(|(_, rung)| is_its(rung))?;
        let Some(IpAddr::V4(seen)) = rung.answer.source_seen else { return None };
        let stopped = view.stop(|s| std::ptr::eq(s.rung, rung) && s.direction == Direction::Reply);
        let is_back = stopped.is_some_and(|s| s.is_in(seat.server_ns) || s.is_in(seat.ns));
        let is_bare = rules_flushed::is_bare(seat.server_ns);
        (!is_bare).then(|| Left {
            seat,
            uplink,
            to: rung.to,
            seen,
            rung,
            nth,
            is_unanswered: !rung.answer.answered && !is_back,
            stopped,
            silent: view.silent(rung),
        })
    });
    left.collect()
}

impl Left<'_> {
    /// How it is known that answers are lost.
    pub(crate) fn evidence(&self) -> Option<Evidence> {
        let walk = |s: Stopped| {
            evidence::record(EvidenceKind::State, "the walk of the answer", s.hop.detail.clone())
        };
        self.stopped.map(walk).or_else(|| self.silent.map(said::evidence))
    }

    /// The packet does not die at the rule, it goes astray: that breaks the exchange all the same.
    pub(crate) fn breaks(&self, found: Found) -> Found {
        if self.stopped.is_none() { self.met(found, Direction::Reply) } else { found }
    }

    /// What is wrong with it is met on its question's way, and concerns this half of the conversation.
    pub(crate) fn met(&self, mut found: Found, direction: Direction) -> Found {
        found.order = Some((self.nth, 0, 0));
        let asked = self.rung.answer.paths.iter().map(|path| path.exchange).find(|of| *of != Exchange::Arp);
        (found.finding.exchange, found.finding.direction) = (asked.unwrap_or(Exchange::Icmp), direction);
        found
    }

    /// It left the site, beyond which nobody is known who would send an answer.
    pub(crate) fn is_beyond(&self) -> bool {
        self.rung.answer.paths.iter().any(|path| path.disposition == Disposition::LeftSite)
    }
}

/// In the model, the translation of what leaves a host as nova means it: its chains written again where they are known
/// to differ, else the host's own address for the whole network; and each floating address for its instance.
pub(crate) fn restored(view: &View, left: &Left) -> Vec<Mend> {
    let ns = left.seat.server_ns;
    let host = left.seat.server;
    let is_outward =
        |chain: &str| ["POSTROUTING", "postrouting-bottom", "snat"].iter().any(|end| chain.ends_with(end));
    let drifts = drift::of(host, ns, view.intent());
    let mut mends: Vec<Mend> = drifts
        .iter()
        .filter(|drift| drift.table == "nat" && is_outward(&drift.chain))
        .map(|drift| drift.mend(ns))
        .collect();
    mends.extend(to_own_address(left));
    if mends.is_empty() {
        mends.extend(left.seat.network.and_then(|network| own_rule(left, network.cidr?.into())));
    }
    let lost = floats::all(view)
        .into_iter()
        .filter(|(_, floating, of)| std::ptr::eq(*of, ns) && !floats::has_snat(ns, floating));
    mends.extend(lost.flat_map(|(_, floating, _)| {
        [floats::snat_rule(floating, &left.uplink.name), floats::own_snat_rule(floating)]
            .map(|rule| insert(ns, rule))
    }));
    mends
}

fn insert(ns: &Netns, rule: NfRule) -> Mend {
    Mend::InsertRule {
        machine: ns.machine.clone(),
        table: "nat".to_owned(),
        chain: "nova-network-float-snat".to_owned(),
        rule: Box::new(rule),
    }
}

/// The rule that gives what leaves this address, where one does, and the chain and table it is in.
pub(crate) fn rule_to(ns: &Netns, address: Ipv4Addr) -> Option<(&Table, &Chain, &NfRule)> {
    let address = IpAddr::V4(address);
    nova::iptables(ns).filter(|table| table.name == "nat").find_map(|table| {
        table.chains.iter().find_map(|chain| {
            let rule = chain.rules.iter().find(|rule| gives(rule, address))?;
            Some((table, chain, rule))
        })
    })
}

/// Some rule of the host, of whatever kind, gives what leaves this address. What is given by a router beyond it tells
/// nothing of the host.
pub(crate) fn is_given(ns: &Netns, address: Ipv4Addr) -> bool {
    let chains = ns.ruleset.tables.iter().flat_map(|table| &table.chains);
    chains.flat_map(|chain| &chain.rules).any(|rule| match rule.action {
        Action::Snat(to) => {
            to.addresses.is_some_and(|(low, high)| (low..=high).contains(&IpAddr::V4(address)))
        }
        _ => false,
    })
}

fn gives(rule: &NfRule, address: IpAddr) -> bool {
    matches!(rule.action, Action::Snat(to) if to.addresses == Some((address, address)))
}

/// The host's own address on its uplink.
pub(crate) fn own_address(ns: &Netns, uplink: &Link) -> Option<Ipv4Addr> {
    ns.addresses_of(uplink.index).filter(|own| own.net.prefix_len() < 32).find_map(|own| {
        match own.net.addr() {
            IpAddr::V4(ip) => Some(ip),
            IpAddr::V6(_) => None,
        }
    })
}

/// The same rules, where they give what is nobody's of this host, giving its own address.
fn to_own_address(left: &Left) -> Option<Mend> {
    let ns = left.seat.server_ns;
    let (table, chain, _) = rule_to(ns, left.seen)?;
    let own = own_address(ns, left.uplink)?;
    let mut rules = chain.rules.clone();
    for rule in rules.iter_mut().filter(|rule| gives(rule, left.seen.into())) {
        let line = Line::of(rule).map(|line| Line { then: Then::Snat(own), ..line })?;
        *rule = line.rule(&chain.name);
    }
    Some(rewritten(ns, table, &chain.name, rules))
}

/// `-A POSTROUTING -s NETWORK -o UPLINK -j SNAT --to-source HOST`, behind everything that is there.
fn own_rule(left: &Left, network: IpNet) -> Option<Mend> {
    let ns = left.seat.server_ns;
    let own = own_address(ns, left.uplink)?;
    let output = Some(left.uplink.name.clone());
    let line = Line { source: Some(network), output, ..always(Then::Snat(own)) };
    let table = nova::iptables(ns).find(|table| table.name == "nat")?;
    let mut rules = table.chain("POSTROUTING")?.rules.clone();
    rules.push(line.rule("POSTROUTING"));
    Some(rewritten(ns, table, "POSTROUTING", rules))
}

fn rewritten(ns: &Netns, table: &Table, chain: &str, rules: Vec<NfRule>) -> Mend {
    let (machine, dialect) = (ns.machine.clone(), table.dialect);
    Mend::RewriteChain { machine, dialect, table: table.name.clone(), chain: chain.to_owned(), rules }
}
