//! The second proof: which rules our own pings really met, as the kernel traced them, and how far the
//! counters moved meanwhile.

use std::net::IpAddr;

use collect::{At, MachinePlan};
use model::Path;
use model::intent::Instance;
use model::probe::{MetRule, RulesSeen};
use probe::as_instance::Asks;
use probe::rule_trace::{self, Flow, Handles, Identity, Trace, TraceEvent};
use sys::netns::NetnsFd;

use crate::failure::Failure;
use crate::gather::Facts;
use crate::probes::{self, Probe};
use crate::site_file::Site;

/// Namespaces that are watched at once, at most: a diagnosis of one instance crosses a handful.
const WATCHED_MAX: usize = 16;

/// A machine whose rules are watched while pings are under way.
pub(crate) struct Watch<'s> {
    plan: &'s MachinePlan,
    sent: u32,
    trace: Result<Trace, String>,
}

/// Starts to watch the rules of every host that the predicted paths of these pings cross.
pub(crate) fn start<'s>(
    site: &'s Site,
    facts: &Facts,
    ways: &[Path],
    probes: &[Probe<'s>],
) -> Vec<Watch<'s>> {
    let crossed = |plan: &&MachinePlan| {
        !plan.instance
            && ways.iter().flat_map(|p| &p.hops).any(|h| h.at.host == plan.name && h.at.netns.is_empty())
    };
    let pings = || probes.iter().filter(|probe| matches!(probe.asks, Asks::Echo(_)));
    let flows: Vec<Flow> = pings().flat_map(|ping| flows(facts, ping)).collect();
    let sent = u32::try_from(pings().count()).unwrap_or(u32::MAX).saturating_mul(probes::COUNT);
    let watched = site.machines.iter().filter(crossed).take(WATCHED_MAX);
    watched.map(|plan| Watch { plan, sent, trace: trace(facts, plan, &flows) }).collect()
}

/// A ping and its answers, whatever NAT does to the far end's address; by the fixed address too where
/// a floating one is pinged.
fn flows(facts: &Facts, ping: &Probe) -> Vec<Flow> {
    let instances = facts.intent.instances.iter();
    let fixed =
        instances.flat_map(Instance::floating).find(|f| ping.to == f.address).map(|f| IpAddr::V4(f.fixed));
    let towards = |peer: IpAddr| {
        let identity = Identity::Echo(ping.id);
        let asked = Flow { source: None, destination: Some(peer), identity };
        [asked, asked.reply()]
    };
    [Some(ping.to), fixed].into_iter().flatten().flat_map(towards).collect()
}

fn trace(facts: &Facts, plan: &MachinePlan, flows: &[Flow]) -> Result<Trace, String> {
    let tables =
        facts.snapshot.main_netns(&plan.name).map(|ns| ns.ruleset.tables.as_slice()).unwrap_or_default();
    // Of traced packets the kernel writes a line into its log for each legacy rule, in the machine's own
    // namespace (`nf_log_all_netns`, net/netfilter/nf_log.c): too much for a quiet look.
    if plan.at == At::Local && tables.iter().any(|table| table.dialect.is_legacy()) {
        return Err(
            "legacy tables would fill the kernel's log; their counters are compared instead".to_owned()
        );
    }
    let netns = match &plan.at {
        At::Local => NetnsFd::current(),
        At::Netns(name) => NetnsFd::named(name),
    };
    let netns = netns.map_err(|error| error.to_string())?;
    rule_trace::start(&netns, flows).map_err(|error| Failure::of(&error).to_string())
}

/// Ends the watch: what was met, and the counters as they are now.
pub(crate) fn finish(facts: &Facts, watched: Vec<Watch>) -> Vec<RulesSeen> {
    watched.into_iter().map(|watch| seen(facts, watch)).collect()
}

fn seen(facts: &Facts, watch: Watch) -> RulesSeen {
    let Watch { plan, sent, trace } = watch;
    let traced = trace.and_then(|trace| trace.finish().map_err(|error| Failure::of(&error).to_string()));
    let met = traced.and_then(|traced| {
        if traced.lost {
            return Err("the kernel lost events of the trace".to_owned());
        }
        Ok(met(facts, plan, &traced.events, &traced.handles))
    });
    // Rules that could not be read again prove nothing and cost nothing.
    let after = collect::ruleset(plan).ok().map(|(ruleset, _)| ruleset);
    RulesSeen { machine: plan.name.clone(), netns: String::new(), sent, after, met }
}

/// In the order met. A rule that cannot be named for certain is left out.
fn met(facts: &Facts, plan: &MachinePlan, events: &[TraceEvent], handles: &Handles) -> Vec<MetRule> {
    let Some(ns) = facts.snapshot.main_netns(&plan.name) else { return Vec::new() };
    let all = rule_trace::met(events, &ns.ruleset, handles).into_iter();
    all.filter_map(|met| {
        let drops = met.verdict == rule_trace::event::Verdict::Drop;
        let ends = met.headers.map(|h| (h.source, h.destination));
        Some(MetRule { packet: met.id, rule: met.rule.ok()?, ends, verdict: met.verdict.to_string(), drops })
    })
    .collect()
}
