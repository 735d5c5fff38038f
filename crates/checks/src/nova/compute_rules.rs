//! What nova-compute writes: `nova/virt/firewall.py` `IptablesFirewallDriver`.

use std::collections::BTreeSet;

use ipnet::IpNet;
use model::intent::{Instance, SecurityGroupRule, Vif};

use super::line::{ICMP, Line, TCP, Then, UDP, always, calls};
use super::plan::{Here, Plan, Process, Wanted, prefix};
use super::shape;

const FALLBACK: &str = "nova-compute-sg-fallback";
const PROVIDER: &str = "nova-compute-provider";
const LOCAL: &str = "nova-compute-local";

/// Ranks in an instance's chain.
const INVALID: u8 = 0;
const KNOWN: u8 = 1;
const PROVIDERS: u8 = 2;
const DHCP: u8 = 3;
const SAME_NETWORK: u8 = 4;
const GROUPS: u8 = 5;
const LAST: u8 = 6;

/// The plans of nova-compute's own chains.
pub(super) fn plans<'h>(here: &'h Here<'h>) -> Vec<Plan<'h>> {
    let mut plans = vec![discover(here, "INPUT"), discover(here, "FORWARD"), local(here), fallback(here)];
    plans.extend(instances(here));
    if here.chain("filter", PROVIDER).is_some() {
        // What its rules are is in no table that is read.
        let mut provider = Plan::new(Process::Compute, "filter", PROVIDER);
        provider.others = super::plan::Others::Anybodys;
        plans.push(provider);
    }
    if here.chain("nat", "nova-compute-snat").is_some() {
        let mut snat = Plan::new(Process::Compute, "nat", "nova-compute-snat");
        snat.want(
            0,
            here.chain("nat", "nova-compute-float-snat").is_some(),
            vec![calls("nova-compute-float-snat")],
        );
        plans.push(snat);
    }
    plans
}

/// The first question of DHCP clients. Both chains have the rule or neither, in versions that know it,
/// once an instance has come. In FORWARD nova-compute also has the rules of bridges that it made itself.
fn discover<'h>(here: &'h Here<'h>, hook: &str) -> Plan<'h> {
    let mut plan = Plan::new(Process::Compute, "filter", format!("nova-compute-{hook}"));
    let line = shape::discover();
    let chains = ["nova-compute-INPUT", "nova-compute-FORWARD"];
    let written = chains.iter().any(|chain| here.has("filter", chain, &line));
    let own = here.chain("filter", &plan.chain).is_some();
    plan.want(0, own && (written || (here.is_modern() && here.options.dhcp == Some(true))), vec![line]);
    if hook == "FORWARD" {
        let bridges: Vec<&str> = here.networks().iter().map(|served| served.bridge).collect();
        plan.allow(0, move |line| {
            let (input, output) = (line.input.as_deref(), line.output.as_deref());
            let known = [input, output].into_iter().flatten().any(|link| bridges.contains(&link));
            known && *line == shape::bridge(input, output, line.then.clone())
        });
    }
    plan
}

fn fallback<'h>(here: &'h Here<'h>) -> Plan<'h> {
    let mut plan = Plan::new(Process::Compute, "filter", FALLBACK);
    let must = here.chain("filter", FALLBACK).is_some();
    plan.want(0, must, vec![always(here.options.drop.clone())]);
    if !here.options.known {
        plan.allow(0, |line| matches!(&line.then, Then::Call(to) if *line == calls(to.clone())));
    }
    plan
}

fn chain_of(id: u64) -> String {
    format!("nova-compute-inst-{id}")
}

/// nova-compute filters instances on this host: nova.conf says so, or it does for some.
fn filters(here: &Here) -> bool {
    let chains = here.table("filter").map(|table| table.chains.as_slice()).unwrap_or_default();
    here.options.filters || chains.iter().any(|chain| super::is_instance_chain(&chain.name))
}

/// The way into each instance's chain, by its fixed addresses.
fn local<'h>(here: &'h Here<'h>) -> Plan<'h> {
    let mut plan = Plan::new(Process::Compute, "filter", LOCAL);
    let filters = filters(here);
    for (at, instance, runs) in here.instances() {
        let Some(id) = instance.id else { continue };
        for fixed in instance.fixed() {
            let line = shape::dispatch(fixed, &chain_of(id));
            plan.wanted.push(wanted(at, 0, runs && filters, vec![line]));
        }
    }
    plan.allow(0, |line| {
        shape::dispatched(line)
            .is_some_and(|(_, chain)| here.chain("filter", chain).is_some() && !is_known(here, chain))
    });
    plan
}

/// Whether the intent tells what stands in this instance's chain: an instance that is moving has one on
/// each host, and without a database a chain's number tells nothing.
fn is_known(here: &Here, chain: &str) -> bool {
    let id = chain.strip_prefix("nova-compute-inst-").and_then(|id| id.parse().ok());
    let owner = id.and_then(|id| here.instance(id));
    here.intent.from_database && owner.is_none_or(|instance| instance.host == here.host.name)
}

/// Every instance's chain: of those that should be here, and those that are.
fn instances<'h>(here: &'h Here<'h>) -> Vec<Plan<'h>> {
    let filters = filters(here);
    let mut plans = Vec::new();
    for (at, instance, runs) in here.instances() {
        let Some(id) = instance.id else { continue };
        let there = here.chain("filter", &chain_of(id)).is_some();
        if there || (runs && filters) {
            plans.push(of_instance(here, (at, instance), chain_of(id), runs));
        }
    }
    let chains = here.table("filter").map(|table| table.chains.as_slice()).unwrap_or_default();
    let planned: BTreeSet<String> = plans.iter().map(|plan: &Plan| plan.chain.clone()).collect();
    for chain in
        chains.iter().filter(|c| super::is_instance_chain(&c.name) && c.name.starts_with("nova-compute-"))
    {
        if planned.contains(&chain.name) {
            continue;
        }
        let mut plan = Plan::new(Process::Compute, "filter", chain.name.clone());
        plan.stray = is_known(here, &chain.name);
        skeleton(&mut plan, None, !here.intent.from_database);
        plan.allow(DHCP, shape::is_dhcp_answer);
        plan.allow(GROUPS, shape::is_group);
        plans.push(plan);
    }
    plans
}

/// First and last of every instance's chain.
fn skeleton(plan: &mut Plan, instance: Option<usize>, must: bool) {
    let mut want = |rank, line| {
        plan.wanted.push(Wanted { process: Process::Compute, lines: vec![line], rank, must, instance });
    };
    want(INVALID, shape::state(shape::INVALID, Then::Drop));
    want(KNOWN, shape::state(shape::KNOWN, Then::Accept));
    want(LAST, calls(FALLBACK));
    plan.allow(PROVIDERS, |line| *line == calls(PROVIDER));
}

fn of_instance<'h>(
    here: &'h Here<'h>,
    (at, instance): (usize, &'h Instance),
    chain: String,
    must: bool,
) -> Plan<'h> {
    let mut plan = Plan { instance: Some(at), ..Plan::new(Process::Compute, "filter", chain) };
    skeleton(&mut plan, Some(at), must);
    instance.vifs.iter().for_each(|vif| of_vif(here, &mut plan, vif, (at, must)));
    let groups = &instance.security_groups;
    let rules: Vec<&SecurityGroupRule> = groups.iter().flat_map(|group| &group.rules).collect();
    if groups.is_empty() {
        // Unknown, and not empty.
        plan.allow(GROUPS, shape::is_group);
    }
    for rule in rules {
        match (group_line(rule), rule.cidr) {
            (Some(line), Some(cidr)) => {
                let source = (cidr.prefix_len() > 0).then(|| prefix(cidr));
                plan.wanted.push(wanted(at, GROUPS, must, vec![Line { source, ..line }]));
            }
            // One rule for each member of the source group, whom nova takes from its cache.
            (Some(line), None) => plan.allow(GROUPS, move |found| {
                let source = found.source.filter(|net| shape::only(*net).is_some());
                source.is_some() && *found == Line { source, ..line.clone() }
            }),
            (None, _) => plan.allow(GROUPS, shape::is_group),
        }
    }
    plan
}

/// The DHCP server's answers, and the instance's own network.
fn of_vif<'h>(here: &'h Here<'h>, plan: &mut Plan<'h>, vif: &Vif, (at, must): (usize, bool)) {
    let network = vif.network.and_then(|at| here.intent.networks.get(at));
    let Some((network, cidr)) = network.and_then(|network| Some((network, network.cidr?))) else {
        plan.allow(DHCP, shape::is_dhcp_answer);
        plan.allow(SAME_NETWORK, |line| line.source.is_some_and(|net| *line == from(net)));
        return;
    };
    let servers =
        network.gateway_on(&here.host.name).into_iter().chain(network.dhcp_server).chain(network.gateway);
    let others = network.host_addresses.iter().map(|(_, ip)| *ip);
    let answers: Vec<Line> = servers.chain(others).map(shape::dhcp_answer).collect();
    let dhcp = must && here.options.dhcp == Some(true) && !answers.is_empty();
    plan.wanted.push(wanted(at, DHCP, dhcp, answers));
    match here.options.same_network {
        Some(true) => plan.wanted.push(wanted(at, SAME_NETWORK, must, vec![from(prefix(cidr))])),
        Some(false) => {}
        None => plan.allow(SAME_NETWORK, move |line| *line == from(prefix(cidr))),
    }
}

fn from(net: IpNet) -> Line {
    Line { source: Some(net), ..always(Then::Accept) }
}

/// What a group's rule lets in, from anywhere; `None` for a row that nova would make no sense of.
fn group_line(rule: &SecurityGroupRule) -> Option<Line> {
    let accept = always(Then::Accept);
    let number = match rule.protocol.as_deref() {
        None => return Some(accept),
        Some("icmp") => ICMP,
        Some("tcp") => TCP,
        Some("udp") => UDP,
        Some(_) => return None,
    };
    let accept = Line { protocol: Some(number), ..accept };
    let (first, last) = (rule.from_port?, rule.to_port?);
    if number == ICMP {
        let kind = match first {
            -1 => None,
            kind => Some((u8::try_from(kind).ok()?, u8::try_from(last).ok())),
        };
        return Some(Line { icmp: kind, ..accept });
    }
    let ports = (u16::try_from(first).ok()?, u16::try_from(last).ok()?);
    Some(Line { ports: Some(ports), ..accept })
}

fn wanted(instance: usize, rank: u8, must: bool, lines: Vec<Line>) -> Wanted {
    Wanted { process: Process::Compute, lines, rank, must, instance: Some(instance) }
}
