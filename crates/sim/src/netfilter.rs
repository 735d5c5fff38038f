//! Netfilter: base chains at their hooks in the kernel's order, conntrack and NAT between them
//! (`nf_hook_slow`, `nf_conntrack_in`, `nf_nat_inet_fn`).
//!
//! An accept ends only its own base chain, a drop ends all. The first packet of a connection decides
//! its NAT; every later one, and every reply, is translated by the connection, not by rules.

mod chain;
pub(crate) mod conntrack;
mod fib;
mod fib_v6;
mod fields;
mod guard;
pub(crate) mod hooks;
mod look;
mod marking;
mod nat;
mod sets;
mod tracking;

use std::net::IpAddr;

use model::netfilter::{ChainKind, Family, Hook, Unread};
use model::packet::{Frame, Payload};
use model::path::{Place, RuleRef, Stage, Step, Stop};

use crate::refusal::{Refused, Word};
use crate::trail::{Outcome, Skb, Trail, place};
use crate::world::{LinkId, World};
use chain::{Effect, Ending};
use conntrack::{CtRef, Manip};
use hooks::BaseRef;
use marking::Marking;

/// Conntrack looks at packets at this priority (`NF_IP_PRI_CONNTRACK`).
const PRIORITY_CONNTRACK: i32 = -200;

/// The links around a packet at a hook.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Around {
    pub(crate) indev: Option<u32>,
    pub(crate) outdev: Option<u32>,
    pub(crate) physin: Option<u32>,
    pub(crate) physout: Option<u32>,
    /// The gateway that the packet goes to, where it goes to one.
    pub(crate) via: Option<IpAddr>,
    /// The packet is bridged, not routed.
    pub(crate) bridged: bool,
    /// The bridge, at bridge-family hooks.
    pub(crate) bridge: Option<u32>,
}

impl Around {
    pub(crate) fn bridge(bridge: u32) -> Around {
        Around { bridge: Some(bridge), bridged: true, ..Around::default() }
    }
}

/// The packet's way ends at a hook. Boxed: it is rare and large.
#[derive(Debug)]
pub(crate) struct End(Box<EndAt>);

#[derive(Debug)]
struct EndAt {
    place: Place,
    how: How,
    steps: Vec<Step>,
    refused: Option<Refused>,
}

#[derive(Debug)]
enum How {
    Dropped(Stop),
    Unknown { why: String, would_need: String },
}

impl End {
    /// Dropped between hooks.
    pub(crate) fn dropped(world: &World, at: LinkId, stage: Stage, stop: Stop) -> End {
        let place = place(world.ns(at.ns), world.link(at), stage);
        End(Box::new(EndAt { place, how: How::Dropped(stop), steps: Vec::new(), refused: None }))
    }

    /// Undecided between hooks.
    pub(crate) fn unknown(world: &World, at: LinkId, stage: Stage, why: String, would_need: String) -> End {
        let place = place(world.ns(at.ns), world.link(at), stage);
        let how = How::Unknown { why, would_need };
        End(Box::new(EndAt { place, how, steps: Vec::new(), refused: None }))
    }

    pub(crate) fn finish(self, mut trail: Trail, frame: &Frame) -> Outcome {
        let EndAt { place, how, steps, refused } = *self.0;
        trail.refused = refused.map(Box::new);
        match how {
            How::Dropped(stop) => trail.drop(place, frame, stop, steps),
            How::Unknown { why, would_need } => trail.unknown(place, frame, why, would_need),
        }
    }
}

/// Runs every base chain of a hook over a packet, rewriting it as NAT decides.
pub(crate) fn run(
    world: &World,
    trail: &mut Trail,
    ns: usize,
    family: Family,
    hook: Hook,
    skb: &mut Skb,
    around: &Around,
) -> Result<(), End> {
    let hooks = world.hooks(ns);
    let bases = hooks.at(family, hook, || trail.choices.legacy_first(ns));
    let unread = world.ns(ns).ruleset.unread_of(family);
    let tracks = skb.packet().is_some() && world.tracks(ns, family);
    if bases.is_empty() && !tracks && unread.is_none() {
        return Ok(());
    }
    let mut stages = Stages { world, ns, hook, around, tracked: false, translated: false, steps: Vec::new() };
    if let Some(Unread { what, would_need, .. }) = unread {
        let why = format!("what becomes of it by {what}, which were not read");
        return Err(stages.end(Stage::Filter, How::Unknown { why, would_need: would_need.clone() }, None));
    }
    let before = skb.packet().copied();
    for base in bases {
        if !stages.hangs_here(base) {
            continue;
        }
        if tracks {
            stages.up_to(base.priority(), trail, skb);
        }
        match base.base.kind {
            // A packet without a connection has none that could be translated.
            ChainKind::Nat if is_ip(family) && !(tracks && stages.wants_nat(trail, skb)) => continue,
            ChainKind::Nat | ChainKind::Filter | ChainKind::Route => {}
        }
        stages.run_base(base, trail, skb)?;
    }
    if tracks {
        stages.up_to(i32::MAX, trail, skb);
        if matches!(hook, Hook::Postrouting | Hook::Input)
            && let Err(why) = conntrack::confirm(&mut trail.conntrack, skb)
        {
            let would_need = "the connection's entry in `conntrack -L`".to_owned();
            return Err(stages.end(Stage::Nat, How::Unknown { why, would_need }, None));
        }
    }
    let Stages { steps, .. } = stages;
    record(world, trail, (ns, hook, around), (before, skb), steps);
    Ok(())
}

fn is_ip(family: Family) -> bool {
    match family {
        Family::Ip | Family::Ip6 => true,
        Family::Inet | Family::Arp | Family::Bridge | Family::Netdev => false,
    }
}

/// Where a hook's run has come to.
struct Stages<'w, 'a> {
    world: &'w World<'a>,
    ns: usize,
    hook: Hook,
    around: &'w Around,
    tracked: bool,
    translated: bool,
    steps: Vec<Step>,
}

impl<'a> Stages<'_, 'a> {
    /// Does what the kernel's own hooks do before a chain of this priority: track the connection,
    /// translate by it.
    fn up_to(&mut self, priority: i32, trail: &mut Trail, skb: &mut Skb) {
        let first = matches!(self.hook, Hook::Prerouting | Hook::Output);
        if first && !self.tracked && priority > PRIORITY_CONNTRACK {
            self.tracked = true;
            conntrack::track(&mut trail.conntrack, self.ns, self.world.connections(self.ns), skb);
        }
        if let Some((manip, at)) = manip_of(self.hook)
            && !self.translated
            && priority > at
        {
            self.translated = true;
            conntrack::translate(&mut trail.conntrack, manip, skb);
        }
    }

    /// Chains of devices hang on theirs only.
    fn hangs_here(&self, base: &BaseRef) -> bool {
        let device = match self.hook {
            Hook::Ingress => self.around.indev,
            Hook::Egress => self.around.outdev,
            Hook::Prerouting | Hook::Input | Hook::Forward | Hook::Output | Hook::Postrouting => return true,
        };
        let link = device.and_then(|link| self.world.link(LinkId { ns: self.ns, link }));
        link.is_some_and(|link| base.base.devices.contains(&link.name))
    }

    /// NAT chains see the first packet of a connection only, until one of them has decided.
    fn wants_nat(&self, trail: &Trail, skb: &Skb) -> bool {
        let Some((manip, _)) = manip_of(self.hook) else { return false };
        conntrack::undecided(&trail.conntrack, manip, skb)
    }

    fn run_base(&mut self, base: &BaseRef<'a>, trail: &mut Trail, skb: &mut Skb) -> Result<(), End> {
        let look = look::Look::new(self.world, self.ns, self.around, base, (trail, skb));
        let endings = chain::run(self.world.hooks(self.ns), base, &look);
        match decide(endings) {
            Decision::One(ending) => {
                skb.remarked |= base.base.kind == ChainKind::Route && reroutes(&ending.marking, skb);
                self.apply(*ending, trail, skb)
            }
            Decision::Nothing => Ok(()),
            Decision::Undecided(why) => Err(self.end(
                Stage::Filter,
                How::Unknown {
                    why: format!("whether {} lets it pass depends on {why}", base.chain.name),
                    would_need: format!(
                        "the counters of that rule before and after a probe ({})",
                        base.table.dialect.save_command(base.table.family)
                    ),
                },
                None,
            )),
        }
    }

    fn apply(&mut self, ending: Ending, trail: &mut Trail, skb: &mut Skb) -> Result<(), End> {
        let Ending { effect, by, marking, assumed: _ } = ending;
        mark(marking, trail, skb);
        match effect {
            Effect::Accept | Effect::PolicyAccept => {
                if let (Effect::Accept, Some(by)) = (effect, by) {
                    self.steps.push(Step::Rule(by));
                }
                Ok(())
            }
            Effect::Drop | Effect::Reject(_) => {
                let Some(by) = by else { return Ok(()) };
                Err(self.end(Stage::Filter, How::Dropped(Stop::Rule(by)), skb.ct))
            }
            Effect::PolicyDrop => {
                let Some(by) = by else { return Ok(()) };
                Err(self.end(Stage::Filter, How::Dropped(Stop::Policy(by)), None))
            }
            Effect::Dnat(target) => {
                self.steps.extend(by.map(Step::Rule));
                self.bind(Manip::Destination, target, trail, skb)
            }
            Effect::Snat(target) => {
                self.steps.extend(by.map(Step::Rule));
                self.bind(Manip::Source, target, trail, skb)
            }
        }
    }

    fn bind(
        &mut self,
        manip: Manip,
        target: model::netfilter::NatTarget,
        trail: &mut Trail,
        skb: &Skb,
    ) -> Result<(), End> {
        let chosen = match nat::chosen(&target, manip, skb, &mut trail.choices) {
            Ok(chosen) => chosen,
            Err(why) => {
                let would_need = "the connection's entry in `conntrack -L`".to_owned();
                return Err(self.end(Stage::Nat, How::Unknown { why, would_need }, None));
            }
        };
        conntrack::bind(&mut trail.conntrack, manip, chosen, skb);
        Ok(())
    }

    fn end(&mut self, stage: Stage, how: How, ct: Option<CtRef>) -> End {
        let facts = self.world.ns(self.ns);
        // What the kernel's own drop reports name: the port of a bridged packet, else the link of arrival.
        let port = if self.around.bridged { self.around.physin } else { None };
        let device = port.or(self.around.indev).or(self.around.outdev);
        let link = device.and_then(|link| facts.link(link));
        let place = place(facts, link, stage);
        let refused = match &how {
            How::Dropped(Stop::Rule(rule)) => rule.rejects_with.map(|with| Refused {
                ns: self.ns,
                link: self.around.indev,
                port: self.around.physin,
                ct,
                with: Word::Rejected(with),
            }),
            How::Dropped(_) | How::Unknown { .. } => None,
        };
        End(Box::new(EndAt { place, how, steps: std::mem::take(&mut self.steps), refused }))
    }
}

/// What chains of type route look at again after their rules (`ipt_mangle_out`, `ip6t_mangle_out`).
fn reroutes(marking: &Marking, skb: &Skb) -> bool {
    let hop_limit = skb.packet().filter(|packet| packet.is_v6()).map(|packet| packet.ttl);
    let differs = marking.mark != skb.mark || marking.dscp != skb.dscp;
    differs || hop_limit.is_some_and(|limit| limit != marking.ttl)
}

/// Writes on the packet and its connection what rules changed of them.
fn mark(marking: Marking, trail: &mut Trail, skb: &mut Skb) {
    skb.mark = marking.mark;
    skb.untracked = marking.untracked;
    skb.zone = marking.zone;
    skb.dscp = marking.dscp;
    skb.frame.source = marking.ether_source;
    skb.frame.destination = marking.ether_destination;
    skb.addressed_to = marking.addressed_to;
    skb.other_host = marking.other_host;
    if let Some(arp) = marking.arp {
        skb.frame.payload = Payload::Arp(arp);
    }
    if let Some(packet) = skb.packet_mut() {
        packet.ttl = marking.ttl;
    }
    conntrack::set_mark(&mut trail.conntrack, skb, marking.ct_mark);
}

/// Which half of the address pair NAT rewrites at a hook, and at what priority.
fn manip_of(hook: Hook) -> Option<(Manip, i32)> {
    let manip = match hook {
        Hook::Prerouting | Hook::Output => Manip::Destination,
        Hook::Postrouting | Hook::Input => Manip::Source,
        Hook::Forward | Hook::Ingress | Hook::Egress => return None,
    };
    Some((manip, hooks::nat_priority(hook)?))
}

enum Decision {
    Nothing,
    One(Box<Ending>),
    Undecided(String),
}

/// Several possible endings that do the same are one; that do different things are undecided.
fn decide(mut endings: Vec<Ending>) -> Decision {
    let Some(last) = endings.pop() else { return Decision::Nothing };
    if endings.iter().all(|e| e.same_fate(&last)) {
        return Decision::One(Box::new(last));
    }
    let assumed = endings.into_iter().chain([last]).find_map(|e| e.assumed);
    Decision::Undecided(assumed.unwrap_or_default())
}

/// Writes down what the hook did, where it did anything worth a line.
fn record(
    world: &World,
    trail: &mut Trail,
    (ns, hook, around): (usize, Hook, &Around),
    (before, skb): (Option<model::Packet>, &Skb),
    mut steps: Vec<Step>,
) {
    let facts = world.ns(ns);
    let rewritten = before.zip(skb.packet().copied()).filter(|(a, b)| endpoints(a) != endpoints(b));
    let (stage, detail) = match (&rewritten, steps.first()) {
        (Some((from, to)), _) => (Stage::Nat, rewriting(from, to)),
        (None, Some(Step::Rule(rule))) if hook == Hook::Forward || hook == Hook::Input => {
            (Stage::Filter, accepted(rule))
        }
        (None, _) => return,
    };
    if let Some((from, to)) = rewritten {
        steps.push(Step::Rewritten(from.to_string(), to.to_string()));
    }
    let device = match hook {
        Hook::Postrouting | Hook::Output => around.outdev,
        Hook::Prerouting | Hook::Input | Hook::Forward | Hook::Ingress | Hook::Egress => around.indev,
    };
    let link = device.and_then(|link| world.link(LinkId { ns, link }));
    trail.pass(place(facts, link, stage), &skb.frame, detail, steps);
}

fn endpoints(packet: &model::Packet) -> (IpAddr, IpAddr, (u16, u16)) {
    (packet.source, packet.destination, packet.transport.ports())
}

fn rewriting(from: &model::Packet, to: &model::Packet) -> String {
    let mut parts = Vec::new();
    let (from_ports, to_ports) = (from.transport.ports(), to.transport.ports());
    if from.source != to.source || from_ports.0 != to_ports.0 {
        parts.push(format!("source {} becomes {}", from.source, to.source));
    }
    if from.destination != to.destination || from_ports.1 != to_ports.1 {
        let port = if from_ports.1 == to_ports.1 { String::new() } else { format!(":{}", to_ports.1) };
        parts.push(format!("destination {} becomes {}{port}", from.destination, to.destination));
    }
    parts.join(", ")
}

fn accepted(rule: &RuleRef) -> String {
    format!("accepted by {} rule {}", rule.chain_path(), rule.number)
}
