//! What the kernel said of the packets of a question that was lost: which of its drops is the loss, and the evidence.

use model::finding::{Evidence, EvidenceKind, Finding};
use model::kernel_drop::KernelDrop;
use model::path::{Direction, Exchange, Hop, Path, Place, Stage};
use model::probe::ProbeResult;

use crate::diagnose::{Case, probe_of};
use crate::drop_reasons::{self, Meaning, Weight};
use crate::ladder::Rung;
use crate::ranking::{Rank, Ranked};

/// Lines of evidence that one finding gets, at most.
const LINES_MAX: usize = 4;

/// A drop that tells where a question was lost.
#[derive(Debug, Clone)]
pub(crate) struct Telling<'c> {
    pub(crate) drop: &'c KernelDrop,
    pub(crate) meaning: Meaning,
    /// The device, and the stage that the function is of.
    pub(crate) at: Place,
    /// The walk foresaw that the packet comes there.
    pub(crate) is_on_way: bool,
}

/// The drop that tells best where this question was lost: on its way rather than beside it, where a flooded copy may
/// have died; of the answer rather than of the question, which then has arrived; and of more packets rather than fewer.
pub(crate) fn telling<'c>(case: &Case<'c>, rung: &Rung, probe: &ProbeResult) -> Option<Telling<'c>> {
    let of_it = of_question(case, rung, probe).filter_map(|drop| told(rung, drop));
    let is_loss = |(weight, told): &(Weight, Telling)| match weight {
        // Of what goes to everybody each machine drops its copy: only its server's stack loses it, or a device of the
        // way itself.
        Weight::Place if is_for_everybody(told.drop) => {
            let is_stack = matches!(told.meaning.stage, Stage::Filter | Stage::Local | Stage::Route);
            told.is_on_way && (!is_stack || is_end(rung, &told.at))
        }
        // Somebody else may ask for the same neighbour, too.
        Weight::Place => told.is_on_way || told.drop.exchange != Exchange::Arp,
        Weight::Flooded => told.is_on_way,
        Weight::Noise | Weight::Consequence => false,
    };
    let losses = of_it.filter(is_loss);
    let best = losses.max_by_key(|(weight, told)| {
        (
            told.is_on_way,
            *weight,
            told.drop.exchange != Exchange::Arp,
            told.drop.direction == Direction::Reply,
            told.drop.count,
        )
    });
    best.map(|(_, told)| told)
}

fn is_for_everybody(drop: &KernelDrop) -> bool {
    drop.exchange == Exchange::Dhcp && drop.direction == Direction::Request
}

/// The question is for this machine, or ends there.
fn is_end(rung: &Rung, at: &Place) -> bool {
    let there = rung.answer.paths.iter().filter(|path| path.direction == Direction::Request);
    let mut ends = there.filter_map(|path| path.hops.last());
    ends.any(|hop| hop.at.host == at.host && hop.at.netns == at.netns)
}

fn told<'c>(rung: &Rung, drop: &'c KernelDrop) -> Option<(Weight, Telling<'c>)> {
    let meaning = drop_reasons::meaning(&drop.reason, &drop.function);
    let weight = drop_reasons::weight(&meaning, &drop.reason, (drop.exchange, drop.direction));
    let owner = drop.owner.as_ref()?;
    let is_there = |hop: &&Hop| hop.at.host == owner.machine && hop.at.netns == owner.netns;
    let way = || {
        // ARP goes to the neighbour and back by the same devices, on whichever way it is asked.
        let is_leg = |path: &&Path| path.direction == drop.direction || drop.exchange == Exchange::Arp;
        let paths = rung.answer.paths.iter().filter(is_leg);
        paths.flat_map(|path| &path.hops).filter(is_there).collect::<Vec<_>>()
    };
    // What a local socket sends has no device yet, and leaves by the first of its way there.
    let device = if drop.device.is_empty() {
        way().first().map(|hop| hop.at.device.clone()).unwrap_or_default()
    } else {
        drop.device.clone()
    };
    let is_on_way = way().iter().any(|hop| hop.at.device == device);
    let (host, netns) = (owner.machine.clone(), owner.netns.clone());
    let at = Place { host, netns, device, stage: meaning.stage };
    Some((weight, Telling { drop, meaning, at, is_on_way }))
}

/// What was dropped of this question's packets, and of ARP that they wait for.
fn of_question<'c>(
    case: &Case<'c>,
    rung: &Rung,
    probe: &ProbeResult,
) -> impl Iterator<Item = &'c KernelDrop> {
    let askers = askers(case, rung, probe);
    let is_arp = move |drop: &KernelDrop| drop.exchange == Exchange::Arp && askers.contains(&drop.from);
    case.drops.iter().filter(move |drop| is_of(drop, probe) || is_arp(drop))
}

/// Addresses of those who ask for a neighbour before they send this question's packets on: where these were seen to
/// wait in vain, and the instance that its host speaks for.
fn askers(case: &Case, rung: &Rung, probe: &ProbeResult) -> Vec<String> {
    let is_waiting = |drop: &&KernelDrop| {
        is_of(drop, probe)
            && drop_reasons::meaning(&drop.reason, &drop.function).weight == Weight::Consequence
    };
    let owners = case.drops.iter().filter(is_waiting).filter_map(|drop| drop.owner.as_ref());
    let netns = owners.filter_map(|owner| {
        case.snapshot.netns.iter().find(|ns| ns.machine == owner.machine && ns.name == owner.netns)
    });
    let waiting = netns.flat_map(|ns| &ns.addresses).map(|address| address.net.addr().to_string());
    let instance = case.intent.instances.get(rung.instance).filter(|_| probe.by_host);
    let fixed = instance.into_iter().flat_map(|instance| instance.vifs.iter().flat_map(|vif| &vif.fixed));
    waiting.chain(fixed.map(ToString::to_string)).collect()
}

/// The drop is of this question's packets.
pub(crate) fn is_of(drop: &KernelDrop, probe: &ProbeResult) -> bool {
    (&drop.from, drop.to, drop.exchange, drop.octets, drop.port)
        == (&probe.from, probe.to, probe.asked.exchange(), probe.asked.octets(), probe.asked.service_port())
}

/// All that the kernel said of this question's packets that is no noise, as evidence.
pub(crate) fn of(case: &Case, rung: &Rung, probe: &ProbeResult) -> Vec<Evidence> {
    let of_it = of_question(case, rung, probe).filter(|drop| !is_noise(drop));
    of_it.take(LINES_MAX).map(evidence).collect()
}

pub(crate) fn is_noise(drop: &KernelDrop) -> bool {
    let meaning = drop_reasons::meaning(&drop.reason, &drop.function);
    let weight = drop_reasons::weight(&meaning, &drop.reason, (drop.exchange, drop.direction));
    matches!(weight, Weight::Noise | Weight::Flooded)
}

/// A drop, and the command that shows it to others: perf-trace(1) prints reason and function of each.
pub(crate) fn evidence(drop: &KernelDrop) -> Evidence {
    let KernelDrop { device, reason, function, packet, count, .. } = drop;
    let machine = match &drop.owner {
        Some(owner) if owner.netns.is_empty() => owner.machine.clone(),
        Some(owner) => format!("{}/{}", owner.machine, owner.netns),
        None => "a namespace that is not of this site".to_owned(),
    };
    let at = if device.is_empty() { String::new() } else { format!("{device} of ") };
    let meaning = drop_reasons::meaning(reason, function);
    let is_arp = drop.exchange == Exchange::Arp;
    let whose = if is_arp { "ARP's packets that ours wait for" } else { "our packets" };
    Evidence {
        kind: EvidenceKind::Capture,
        source: "perf trace -a -e skb:kfree_skb".to_owned(),
        text: format!(
            "the kernel dropped {count} of {whose} at {at}{machine}: {reason} in {function}, because {}; the \
             first: {packet}",
            meaning.words
        ),
    }
}

/// Adds to each finding what the kernel said of our packets that died at its device.
pub(crate) fn attach(case: &Case, rungs: &[Rung], findings: &mut [Ranked]) {
    for Ranked { rank, finding, .. } in findings.iter_mut().filter(|ranked| ranked.rank != Rank::Idle) {
        let rung = match rank {
            Rank::Rung(nth) => rungs.get(*nth),
            Rank::Behind | Rank::Idle => None,
        };
        let of_it: Vec<&KernelDrop> = match rung.and_then(|rung| Some((rung, probe_of(case, rung)?))) {
            Some((rung, probe)) => of_question(case, rung, probe).collect(),
            None => case.drops.iter().collect(),
        };
        let is_there = |drop: &&KernelDrop| is_at(drop, finding) && !is_noise(drop);
        let said = of_it.into_iter().filter(is_there).take(LINES_MAX).map(evidence);
        let new: Vec<Evidence> = said.filter(|said| !finding.evidence.contains(said)).collect();
        finding.evidence.extend(new);
    }
}

/// It was dropped at the finding's device; where it had none yet, on its machine.
fn is_at(drop: &KernelDrop, finding: &Finding) -> bool {
    let is_there = |owner: &model::kernel_drop::Owner| {
        (&owner.machine, &owner.netns) == (&finding.hop.host, &finding.hop.netns)
    };
    let is_device = drop.device.is_empty() || drop.device == finding.hop.device;
    drop.owner.as_ref().is_some_and(is_there) && is_device
}

#[cfg(test)]
mod tests {
    use model::kernel_drop::KernelDrop;
    use model::path::Exchange;
    use model::probe::{Asked, ProbeResult};

    use super::is_of;
    use crate::fixture::{connected, dropped_at, looked_up};

    /// The same question of the server at this port of the same address.
    fn at_port(port: u16) -> ProbeResult {
        let mut probe = looked_up("web1", [1, 2, 3, 4].into(), None);
        if let Asked::Name { server_port, .. } = &mut probe.asked {
            *server_port = port;
        }
        probe
    }

    #[test]
    fn what_one_server_of_an_address_loses_is_not_anothers() {
        let drop = dropped_at("compute1", "eth0", ("XFRM_POLICY", "ip_forward"));
        let named = |exchange, port| KernelDrop { exchange, octets: None, port: Some(port), ..drop.clone() };
        for (one, other) in [(53, 5353), (5353, 53)] {
            assert!(is_of(&named(Exchange::Dns, one), &at_port(one)), "{one}");
            assert!(!is_of(&named(Exchange::Dns, one), &at_port(other)), "{one} {other}");
        }
        let to = |port| connected("web1", [1, 2, 3, 4].into(), port, false);
        assert!(is_of(&named(Exchange::Tcp, 80), &to(80)));
        assert!(!is_of(&named(Exchange::Tcp, 80), &to(443)));
    }
}
