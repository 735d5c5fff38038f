//! The diagnosis: climb the ladder, let every check look, mend in the model, climb again.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use model::finding::{Confidence, Coverage, Diagnosis, Evidence, EvidenceKind, Finding, Outcome};
use model::path::{Direction, Exchange, Place, Stage};
use model::probe::{Asked, DeviceWatch, MetRule, ProbeResult, RulesSeen};
use model::snapshot::Gap;
use model::{Intent, Snapshot};
use sim::{Endpoint, Protocol, Question, World};

use crate::catalogue::CATALOGUE;
use crate::found::Found;
use crate::ladder::{self, Purpose, Rung, Symptom};
use crate::mend;
use crate::proved;
use crate::said;
use crate::scope::{Scope, Subject, switched_off};
use crate::view::{Claim, Order, View};
use crate::watched;

/// What is known.
#[derive(Clone, Copy)]
pub struct Case<'c> {
    /// What the machines would do.
    pub snapshot: &'c Snapshot,
    /// What is meant.
    pub intent: &'c Intent,
    /// What came of what was really asked; empty when nothing was.
    pub probes: &'c [ProbeResult],
    /// What that met of the rules on its way.
    pub rules: &'c [RulesSeen],
    /// What was seen of it at devices that were watched meanwhile.
    pub watches: &'c [DeviceWatch],
}

/// What is asked.
#[derive(Debug, Clone)]
pub struct Request {
    /// About whom.
    pub subject: Subject,
    /// The destination complained of.
    pub to: Option<Ipv4Addr>,
    /// What is complained of.
    pub symptom: Symptom,
}

/// Each round mends at least one fault; more than this many at once are not told apart.
const ROUNDS_MAX: usize = 12;

/// Finds what is wrong, in path order.
pub fn diagnose(case: &Case, request: &Request) -> Diagnosis {
    let scope = Scope::of(case, &request.subject);
    let mut snapshot = case.snapshot.clone();
    let mut log = Log::default();
    let mut first: Option<Vec<Rung>> = None;
    for round in 0..ROUNDS_MAX {
        let world = World::new(&snapshot, case.intent);
        let climb = |i: &usize| ladder::climb(&world, *i, request.to, request.symptom);
        let rungs: Vec<Rung> = scope.instances.iter().flat_map(climb).collect();
        let mut view = View {
            world: &world,
            read: case.snapshot,
            rungs: &rungs,
            hosts: &scope.hosts,
            instances: &scope.instances,
            probes: case.probes,
            rules: case.rules,
            claimed: None,
        };
        let mut taken = log.take(look(&view), &view, round);
        if taken.is_none() {
            // Nothing more is known by name: what still dies must be said too.
            let claims = log.claims.clone();
            view.claimed = Some(&claims);
            taken = log.take(look(&view), &view, round);
        }
        first.get_or_insert(rungs);
        let Some(mends) = taken else { break };
        for mend in &mends {
            mend::apply(&mut snapshot, mend);
        }
    }
    let rungs = first.unwrap_or_default();
    let mut findings = log.into_findings(case, &rungs);
    if let Some(only) = &scope.only {
        findings.retain(|f| only.contains(&f.hop.host));
    }
    conclude(case, request, &scope, rungs, findings)
}

/// The ladder's questions about the facts as they were read, and what the walk predicts of each.
pub fn climb(case: &Case, request: &Request) -> Vec<Rung> {
    let scope = Scope::of(case, &request.subject);
    let world = World::new(case.snapshot, case.intent);
    let climb = |at: &usize| ladder::climb(&world, *at, request.to, request.symptom);
    scope.instances.iter().flat_map(climb).collect()
}

fn look(view: &View) -> Vec<Found> {
    CATALOGUE.iter().flat_map(|check| (check.run)(view)).collect()
}

/// Findings as they come in, round by round.
#[derive(Default)]
struct Log {
    /// What stops packets, in path order; of the first round, with the rung that it stops.
    findings: Vec<(Finding, Option<usize>)>,
    /// What is wrong and stops nothing.
    idle: Vec<Finding>,
    /// The stops that the findings account for.
    claims: Vec<Claim>,
}

impl Log {
    /// Takes in what stops an instance's packets first, and returns what would mend it; what stops
    /// nothing is taken once nothing stops any. `None` where nothing new stops a packet.
    fn take(&mut self, found: Vec<Found>, view: &View, round: usize) -> Option<Vec<mend::Mend>> {
        let (known, mut new): (Vec<Found>, Vec<Found>) =
            found.into_iter().partition(|f| self.knows(&f.finding));
        // What cannot be mended in the model goes on stopping packets, and accounts for those too.
        let orders: Vec<Order> = known.iter().filter_map(|f| f.order).collect();
        let again = view.stops().filter(|s| orders.contains(&s.order));
        self.claims.extend(again.map(|s| (s.hop.at.clone(), s.stop.clone())));
        new.sort_by_key(|f| f.order.unwrap_or((usize::MAX, 0, 0)));
        let mut firsts: BTreeMap<usize, Order> = BTreeMap::new();
        for order in new.iter().filter_map(|f| f.order) {
            let instance = view.rungs.get(order.0).map_or(usize::MAX, |r| r.instance);
            let first = firsts.entry(instance).or_insert(order);
            *first = order.min(*first);
        }
        if firsts.is_empty() {
            let mends = (!new.is_empty()).then(|| new.iter().flat_map(|f| f.mend.clone()).collect());
            self.idle.extend(new.into_iter().map(|f| f.finding));
            return mends;
        }
        let mut mends = Vec::new();
        for found in new {
            let Some(order) = found.order.filter(|o| firsts.values().any(|f| f == o)) else { continue };
            let claimed = view.stops().filter(|s| s.order == order);
            self.claims.extend(claimed.map(|s| (s.hop.at.clone(), s.stop.clone())));
            mends.extend(found.mend);
            self.findings.push((found.finding, (round == 0).then_some(order.0)));
        }
        Some(mends)
    }

    /// All findings, each with what a probe of its question said.
    fn into_findings(self, case: &Case, rungs: &[Rung]) -> Vec<Finding> {
        let probed = |(mut finding, rung): (Finding, Option<usize>)| {
            let probe = rung.and_then(|nth| rungs.get(nth)).and_then(|rung| probe_of(case, rung));
            finding.evidence.extend(probe.map(said::evidence));
            finding
        };
        self.findings.into_iter().map(probed).chain(self.idle).collect()
    }

    fn knows(&self, finding: &Finding) -> bool {
        let mut known = self.findings.iter().map(|(finding, _)| finding).chain(&self.idle);
        known.any(|k| k.code == finding.code && k.hop.same_device(&finding.hop) && k.cause == finding.cause)
    }
}

/// Sets what was predicted beside what was seen, and says what came out.
fn conclude(
    case: &Case,
    request: &Request,
    scope: &Scope,
    rungs: Vec<Rung>,
    mut findings: Vec<Finding>,
) -> Diagnosis {
    let mut gaps: Vec<Gap> = case.snapshot.gaps.clone();
    let off = switched_off(case, &request.subject);
    let mut undecided = off.is_some();
    gaps.extend(off);
    let mut paths = Vec::new();
    for rung in rungs {
        let probe = probe_of(case, &rung);
        if let Some((why, would_need)) = rung.undecided() {
            match probe {
                Some(probe) if probe.received > 0 => {}
                Some(_) | None => {
                    undecided = true;
                    let what = format!("whether {} reaches {}", rung.from, rung.to);
                    gaps.push(Gap { what, why: why.to_owned(), would_need: would_need.to_owned() });
                }
            }
        }
        let instance = case.intent.instances.get(rung.instance).map_or("", |i| &i.name);
        if let Some(contradiction) =
            probe.and_then(|p| contradicted(case, &rung, instance, p, &mut findings, &mut gaps))
        {
            findings.push(contradiction);
        }
        paths.extend(watched::observed(case, rung, probe));
    }
    gaps.sort();
    gaps.dedup();
    let outcome = match (findings.is_empty(), undecided) {
        (false, _) => Outcome::Fault,
        (true, true) => Outcome::Undetermined,
        (true, false) => Outcome::Healthy,
    };
    let command = match request.subject {
        Subject::Instance(_) | Subject::AllInstances => "diagnose",
        Subject::Hosts(_) => "check",
    };
    Diagnosis {
        command: command.to_owned(),
        subject: scope.subject.clone(),
        outcome,
        findings,
        paths,
        coverage: Coverage { looked_at: looked_at(case), gaps },
    }
}

/// What was really sent for a rung's question.
fn probe_of<'c>(case: &Case<'c>, rung: &Rung) -> Option<&'c ProbeResult> {
    case.probes.iter().find(|probe| is_probe_of(probe, rung))
}

/// The probe asks what the rung asks.
pub(crate) fn is_probe_of(probe: &ProbeResult, rung: &Rung) -> bool {
    let same = rung.answer.paths.iter().any(|p| p.exchange == probe.asked.exchange());
    let tried = probe.sent > 0 || probe.send_error.is_some();
    same && tried && probe.from == rung.from && IpAddr::V4(probe.to) == rung.to
}

/// Prediction and probe disagree: predicted to be answered and was not, which is a finding by
/// itself; or predicted to die and was answered, which takes the prediction back.
fn contradicted(
    case: &Case,
    rung: &Rung,
    instance: &str,
    probe: &ProbeResult,
    findings: &mut Vec<Finding>,
    gaps: &mut Vec<Gap>,
) -> Option<Finding> {
    let exchange = probe.asked.exchange();
    let open = rung.answer.answered || rung.undecided().is_some();
    if open && probe.received == 0 && findings.is_empty() {
        // What the walk cannot tell, or tells otherwise, the kernel's trace of our packet does.
        let traced = proved::traced_drop(case.rules, rung.to).filter(|_| exchange == Exchange::Icmp);
        if let Some((seen, met)) = traced {
            return Some(traced_to(seen, met, (rung, instance, probe)));
        }
        if !rung.answer.answered {
            return None;
        }
        if let Some(parted) = watched::parted(case, rung) {
            return Some(watched::finding(case, &parted, (rung, instance, probe)));
        }
        let last = rung.answer.paths.iter().filter_map(|p| p.hops.last()).next_back();
        let hop = last.map_or_else(|| start_of(rung), |h| h.at.clone());
        return Some(Finding {
            code: "lost-at-hop".to_owned(),
            hop,
            direction: Direction::Both,
            exchange,
            summary: format!(
                "{} gets no answer {}, though everything that was read would let it pass",
                probe.from,
                said::answer_from(probe)
            ),
            cause: "something on the way that hopline does not read or model drops it".to_owned(),
            confidence: Confidence::Possible,
            evidence: vec![said::evidence(probe)],
            owner: "unknown".to_owned(),
            remedy: Vec::new(),
            instances: vec![instance.to_owned()],
        });
    }
    let dies = rung.answer.paths.iter().any(|p| p.stop().is_some());
    if dies && is_answered(case, rung, probe) {
        findings.retain(|f| f.exchange != exchange || f.confidence == Confidence::Proven);
        gaps.push(Gap {
            what: format!("why {} reaches {}", probe.from, probe.to),
            why: format!("the walk says that it dies, and yet {}", said::text(probe)),
            would_need: "a capture at each hop of the path".to_owned(),
        });
    }
    None
}

/// Whom the question was meant for has answered: of DHCP, where anybody may, the network's own server.
fn is_answered(case: &Case, rung: &Rung, probe: &ProbeResult) -> bool {
    let Asked::Address { offers, .. } = &probe.asked else { return probe.received > 0 };
    let instance = case.intent.instances.get(rung.instance);
    let networks = || {
        let vifs = instance.into_iter().flat_map(|i| &i.vifs);
        vifs.filter_map(|vif| case.intent.networks.get(vif.network?))
    };
    let meant = |server| {
        instance.is_some_and(|i| networks().any(|network| network.gateway_on(&i.host) == Some(server)))
    };
    offers.iter().any(|heard| meant(heard.reply.server.unwrap_or(heard.from)))
}

/// The walk would let it pass, or could not tell, and the kernel's own trace shows the rule at which it
/// died.
fn traced_to(
    seen: &RulesSeen,
    met: &MetRule,
    (rung, instance, probe): (&Rung, &str, &ProbeResult),
) -> Finding {
    let rule = &met.rule;
    let at_seen = |hop: &&model::path::Hop| hop.at.host == seen.machine && hop.at.netns == seen.netns;
    let hops = rung.answer.paths.iter().flat_map(|p| &p.hops);
    let hop = hops.filter(at_seen).map(|h| h.at.clone()).next().unwrap_or_else(|| start_of(rung));
    let named = if rule.number == 0 {
        format!("the policy of {}", rule.chain())
    } else {
        format!("rule {} of {}", rule.number, rule.chain_path())
    };
    let source = format!("nftrace of our own pings on {}", seen.machine);
    Finding {
        code: "lost-at-hop".to_owned(),
        hop: Place { stage: Stage::Filter, ..hop },
        direction: Direction::Both,
        exchange: Exchange::Icmp,
        summary: format!(
            "what {} sends to {} dies on {}: {named} in {} {}",
            probe.from,
            probe.to,
            seen.machine,
            rule.family.name(),
            rule.table
        ),
        cause: format!("the kernel traced our own packet to `{}`, which dropped it", rule.text),
        confidence: Confidence::Proven,
        evidence: vec![
            Evidence { kind: EvidenceKind::Rule, source: rule.shown_by(), text: rule.text.clone() },
            Evidence { kind: EvidenceKind::Rule, source, text: format!("it said {}", met.verdict) },
            said::evidence(probe),
        ],
        owner: "unknown".to_owned(),
        remedy: Vec::new(),
        instances: vec![instance.to_owned()],
    }
}

/// The asker, where not one hop of its question is known.
pub(crate) fn start_of(rung: &Rung) -> Place {
    Place { host: rung.from.clone(), netns: String::new(), device: String::new(), stage: Stage::Instance }
}

fn looked_at(case: &Case) -> Vec<String> {
    let of = |ns: &model::Netns| {
        let rules: usize = ns.ruleset.tables.iter().flat_map(|t| &t.chains).map(|c| c.rules.len()).sum();
        format!(
            "{}: {} links, {} routes, {} netfilter rules",
            ns.machine,
            ns.links.len(),
            ns.routes.len(),
            rules
        )
    };
    let intents = case.intent.sources.iter().cloned();
    case.snapshot.netns.iter().map(of).chain(intents).collect()
}

/// The predicted way from one place to another, there and, where asked, back; and what stops it.
pub fn path(case: &Case, from: Endpoint, to: IpAddr, protocol: Protocol, reply: bool) -> Diagnosis {
    let world = World::new(case.snapshot, case.intent);
    let answer = sim::ask(&world, &Question { from, to, protocol, reply });
    let name = from.name(&world).to_owned();
    let instance = case.intent.instances.iter().position(|i| i.name == name);
    let rungs = [Rung {
        instance: instance.unwrap_or(usize::MAX),
        purpose: Purpose::Outside,
        from: name.clone(),
        to,
        answer,
    }];
    let hosts: Vec<String> = case.snapshot.hosts.iter().map(|h| h.name.clone()).collect();
    let instances: Vec<usize> = instance.into_iter().collect();
    let mut view = View {
        world: &world,
        read: case.snapshot,
        rungs: &rungs,
        hosts: &hosts,
        instances: &instances,
        probes: &[],
        rules: &[],
        claimed: None,
    };
    let mut found = stopping(&view);
    if found.is_empty() {
        view.claimed = Some(&[]);
        found = stopping(&view);
    }
    let findings: Vec<Finding> = found.into_iter().map(|f| f.finding).collect();
    let [rung] = rungs;
    let subject = format!("{name} {to}");
    let mut gaps = case.snapshot.gaps.clone();
    gaps.extend(rung.undecided().map(|(why, would_need)| Gap {
        what: format!("the way of {subject}"),
        why: why.to_owned(),
        would_need: would_need.to_owned(),
    }));
    let dies = rung.answer.paths.iter().any(|p| p.stop().is_some());
    let outcome = match (dies, rung.undecided().is_some()) {
        (true, _) => Outcome::Fault,
        (false, true) => Outcome::Undetermined,
        (false, false) => Outcome::Healthy,
    };
    Diagnosis {
        command: "path".to_owned(),
        subject,
        outcome,
        findings,
        paths: rung.answer.paths,
        coverage: Coverage { looked_at: looked_at(case), gaps },
    }
}

/// What stops the path that is looked at; what is wrong elsewhere was not asked for.
fn stopping(view: &View) -> Vec<Found> {
    look(view).into_iter().filter(|found| found.order.is_some()).collect()
}
