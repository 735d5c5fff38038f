//! What nova-network writes: `nova/network/linux_net.py` (`init_host`, `add_snat_rule`,
//! `metadata_forward`, `floating_forward_rules`, `get_gateway_rules`, `_add_dnsmasq_accept_rules`,
//! `_add_dhcp_mangle_rule`).

use std::net::Ipv4Addr;

use ipnet::IpNet;
use model::intent::Floating;

use super::line::{Line, TCP, Then, UDP, always, calls};
use super::options::{Forwarding, PublicLink, SourceAddress};
use super::plan::{Here, Plan, Process, Served, Wanted, prefix};
use super::shape;

/// The plans of nova-network's own chains.
pub(super) fn plans<'h>(here: &'h Here<'h>) -> Vec<Plan<'h>> {
    let mut plans = vec![input(here), forward(here)];
    if here.table("nat").is_some() {
        plans.extend([destinations(here, "PREROUTING"), destinations(here, "OUTPUT")]);
        plans.extend([postrouting(here), source(here), floating_source(here)]);
    }
    if here.table("mangle").is_some() {
        plans.push(checksums(here));
    }
    plans
}

fn plan<'h>(table: &'static str, chain: &str) -> Plan<'h> {
    Plan::new(Process::Network, table, format!("nova-network-{chain}"))
}

/// DHCP and DNS from each bridge that a dnsmasq serves.
fn input<'h>(here: &'h Here<'h>) -> Plan<'h> {
    let mut plan = plan("filter", "INPUT");
    for served in here.networks() {
        let services = [(UDP, 67), (TCP, 67), (UDP, 53), (TCP, 53)];
        let lines = services.map(|(protocol, port)| shape::service(served.bridge, protocol, port));
        let some = lines.iter().any(|line| here.has("filter", &plan.chain, line));
        let must = served.must && (some || here.serves_dhcp(served));
        lines.into_iter().for_each(|line| plan.want(0, must, vec![line]));
    }
    let port = here.options.known.then_some(here.options.metadata_port);
    plan.allow(0, move |line| shape::is_metadata_accept(line, port));
    plan
}

/// What each bridge may send and receive.
fn forward<'h>(here: &'h Here<'h>) -> Plan<'h> {
    let mut plan = plan("filter", "FORWARD");
    for served in here.networks() {
        bridge_forwards(here, &mut plan, served);
    }
    plan.allow(0, shape::is_vpn_accept);
    plan
}

/// `get_gateway_rules`: accepts for a network with a gateway, drops for one without. Where
/// `forward_bridge_interface` is not known to be left alone, its rules are as good.
fn bridge_forwards<'h>(here: &Here<'h>, plan: &mut Plan<'h>, served: Served<'h>) {
    let bridge = served.bridge;
    let one_way = |then: &Then| {
        [shape::bridge(Some(bridge), None, then.clone()), shape::bridge(None, Some(bridge), then.clone())]
    };
    let (accepts, drops) = (one_way(&Then::Accept), one_way(&here.options.drop));
    let within = shape::bridge(Some(bridge), Some(bridge), Then::Accept);
    let named = match here.options.forwarding {
        Forwarding::Anywhere => false,
        Forwarding::Named => true,
        Forwarding::Unknown => here.has("filter", &plan.chain, &within),
    };
    if named {
        plan.want(0, served.must, vec![within]);
        drops.into_iter().for_each(|line| plan.want(1, served.must, vec![line]));
    } else {
        let isolated = here.intent.from_database && served.network.gateway.is_none();
        let pairs = accepts.into_iter().zip(drops);
        for (accept, drop) in pairs {
            let lines = if isolated { vec![drop, accept] } else { vec![accept] };
            plan.want(0, served.must, lines);
        }
    }
    if here.options.forwarding != Forwarding::Anywhere {
        plan.allow(0, move |line| {
            let (input, output) = (line.input.as_deref(), line.output.as_deref());
            *line == shape::bridge(input, output, Then::Accept) && [input, output].contains(&Some(bridge))
        });
    }
}

/// Metadata and floating addresses, led inside. What this machine sends meets the latter only.
fn destinations<'h>(here: &'h Here<'h>, hook: &str) -> Plan<'h> {
    let mut plan = plan("nat", hook);
    if hook == "PREROUTING" {
        match here.options.metadata_target() {
            Some(action) => {
                let must = here.networks().iter().any(|served| served.must);
                plan.want(0, must, vec![shape::metadata_forward(action)]);
            }
            None => plan.allow(0, shape::is_metadata_forward),
        }
    }
    for Float { instance, floating, must } in floats(here) {
        let line = Line {
            destination: Some(shape::host(floating.address)),
            ..always(Then::Dnat(floating.fixed, None))
        };
        plan.wanted.push(wanted(Some(instance), 0, must, vec![line]));
    }
    plan.allow(0, |line| shape::float_dnat(line).is_some_and(|(float, fixed)| may_be(here, float, fixed)));
    plan.allow(0, shape::is_vpn_dnat);
    plan
}

/// What keeps its source, and what instances send themselves over a floating address.
fn postrouting<'h>(here: &'h Here<'h>) -> Plan<'h> {
    let mut plan = plan("nat", "POSTROUTING");
    for served in here.networks() {
        let range = range(here, served);
        let towards =
            |net: IpNet| Line { source: Some(range), destination: Some(net), ..always(Then::Accept) };
        let outside = here.options.metadata_host.map(shape::host).into_iter().chain(here.options.dmz.clone());
        outside.for_each(|net| plan.want(0, served.must, vec![towards(net)]));
        // Essex did not look at the state.
        let within = Line { state: Some((true, shape::DNAT)), ..towards(range) };
        plan.want(0, served.must, vec![within, towards(range)]);
        if here.options.metadata_host.is_none() {
            plan.allow(0, move |line| line.source == Some(range) && shape::is_unrewritten(line));
        }
    }
    let some = here.is_modern() || here.lines("nat", &plan.chain).any(|line| shape::is_float_reply(&line));
    for Float { instance, floating, must } in floats(here) {
        plan.wanted.push(wanted(
            Some(instance),
            0,
            must && some,
            vec![reply(floating.address, floating.fixed)],
        ));
    }
    plan.allow(0, |line| {
        let floating = shape::snat_to(line).zip(line.source.and_then(shape::only));
        floating.is_some_and(|(float, fixed)| *line == reply(float, fixed) && may_be(here, float, fixed))
    });
    plan
}

/// Up to Folsom there is no such rule.
fn reply(floating: Ipv4Addr, fixed: Ipv4Addr) -> Line {
    Line {
        source: Some(shape::host(fixed)),
        state: Some((false, shape::DNAT)),
        ..always(Then::Snat(floating))
    }
}

/// The range's common source behind the floating ones. On a multi-host network it is written when
/// nova-network starts, and not when the host's first instance comes: its absence is not judged here.
fn source<'h>(here: &'h Here<'h>) -> Plan<'h> {
    let mut plan = plan("nat", "snat");
    plan.want(0, true, vec![calls("nova-network-float-snat")]);
    for served in here.networks() {
        let range = range(here, served);
        let link = match &here.options.public_link {
            PublicLink::Is(link) => Some(Some(link.clone())),
            PublicLink::Any => Some(None),
            PublicLink::Unknown => None,
        };
        if let (SourceAddress::Is(address), Some(output)) = (here.options.source, link) {
            let external = served.network.multi_host && !served.network.share_address;
            let line = Line { source: Some(range), output, ..always(Then::Snat(address)) };
            plan.want(1, served.must && !external, vec![line]);
        }
        let wanted = here.options.source;
        plan.allow(1, move |line| {
            let address = match wanted {
                SourceAddress::Unknown => shape::snat_to(line),
                SourceAddress::None => None,
                SourceAddress::Is(address) => Some(address).filter(|_| shape::snat_to(line) == Some(address)),
            };
            address.is_some()
                && line.source == Some(range)
                && line.state.is_none()
                && shape::is_source_nat(line)
        });
    }
    plan
}

/// Each floating address as the source of what leaves its instance.
fn floating_source<'h>(here: &'h Here<'h>) -> Plan<'h> {
    let mut plan = plan("nat", "float-snat");
    let some = here.is_modern() || here.lines("nat", &plan.chain).any(|line| shape::is_hairpin(&line));
    for Float { instance, floating, must } in floats(here) {
        plan.wanted.push(wanted(Some(instance), 0, must && some, hairpin(floating)));
        if let PublicLink::Is(link) = &here.options.public_link {
            let output = Some(link.clone());
            let line = Line {
                source: Some(shape::host(floating.fixed)),
                output,
                ..always(Then::Snat(floating.address))
            };
            plan.wanted.push(wanted(Some(instance), 0, must, vec![line]));
        }
    }
    // `floating_ips.interface` may name another link, and so may who gave the host a second one.
    plan.allow(0, |line| {
        let floating = shape::snat_to(line).zip(line.source.and_then(shape::only));
        shape::is_source_nat(line) && floating.is_some_and(|(float, fixed)| may_be(here, float, fixed))
    });
    plan
}

/// An instance reaches itself; Grizzly and later. Some asked for the state too.
fn hairpin(floating: &Floating) -> Vec<Line> {
    let fixed = Some(shape::host(floating.fixed));
    let plain = Line { source: fixed, destination: fixed, ..always(Then::Snat(floating.address)) };
    vec![plain.clone(), Line { state: Some((false, shape::DNAT)), ..plain }]
}

/// Not before Folsom, and up to Grizzly on multi-host networks only: missed where it stands for another
/// bridge, or where nova is known to be younger.
fn checksums<'h>(here: &'h Here<'h>) -> Plan<'h> {
    let mut plan = plan("mangle", "POSTROUTING");
    let some = here.is_modern() || here.lines("mangle", &plan.chain).any(|line| shape::is_checksum(&line));
    for served in here.networks() {
        plan.want(0, served.must && some && here.serves_dhcp(served), vec![shape::checksum(served.bridge)]);
    }
    plan
}

/// The prefix that nova's rules name for a network: `fixed_range` in old versions, which the rules
/// themselves tell where no file does.
fn range(here: &Here, served: Served) -> IpNet {
    let own = prefix(served.cidr);
    let holds = |net: &IpNet| net.contains(&own);
    let told = here.options.fixed_range.filter(holds);
    let within = |line: Line| line.source.filter(|net| line.destination == Some(*net) && holds(net));
    let written = || here.lines("nat", "nova-network-POSTROUTING").find_map(within);
    told.or_else(written).unwrap_or(own)
}

/// A floating address of the intent.
#[derive(Clone, Copy)]
struct Float<'h> {
    instance: usize,
    floating: &'h Floating,
    /// This host carries it, and not only may.
    must: bool,
}

/// The floating addresses that this host carries or may carry: while an instance moves, the database
/// names no host.
fn floats<'h>(here: &Here<'h>) -> Vec<Float<'h>> {
    let mut all = Vec::new();
    for (instance, owner) in here.intent.instances.iter().enumerate() {
        let all_of_it =
            owner.vifs.iter().flat_map(|vif| vif.floating.iter().map(move |floating| (vif, floating)));
        for (vif, floating) in all_of_it {
            let of_instance = if here.intent.from_database { None } else { Some(owner.host.as_str()) };
            let carrier = floating.host.as_deref().or(of_instance);
            let must = carrier == Some(here.host.name.as_str());
            // Its rules stand where it works, and after a restart where it is recorded: which is told as such.
            let right = here.intent.misrecorded(owner, vif, floating);
            let must = must && right.is_none();
            if must || may_carry(here, carrier, right) {
                all.push(Float { instance, floating, must });
            }
        }
    }
    all
}

/// It is recorded here, or nowhere, or belongs here.
fn may_carry(here: &Here, recorded: Option<&str>, right: Option<&str>) -> bool {
    let is_here = |host: &str| host == here.host.name;
    right.is_some_and(is_here) || recorded.is_none_or(is_here)
}

/// Nothing in the intent speaks against this pair. A floating address whose instance is gone is not in
/// the intent, and nova-network writes its rules all the same.
fn may_be(here: &Here, floating: Ipv4Addr, fixed: Ipv4Addr) -> bool {
    let instances = &here.intent.instances;
    let vifs = instances.iter().flat_map(|owner| owner.vifs.iter().map(move |vif| (owner, vif)));
    let known = vifs.flat_map(|(owner, vif)| vif.floating.iter().map(move |of| (owner, vif, of)));
    match known.into_iter().find(|(_, _, of)| of.address == floating) {
        Some((owner, vif, known)) => {
            let right = here.intent.misrecorded(owner, vif, known);
            known.fixed == fixed && may_carry(here, known.host.as_deref(), right)
        }
        None => !here.intent.from_database || instances.iter().all(|i| i.fixed().all(|ip| ip != fixed)),
    }
}

fn wanted(instance: Option<usize>, rank: u8, must: bool, lines: Vec<Line>) -> Wanted {
    Wanted { process: Process::Network, lines, rank, must, instance }
}
