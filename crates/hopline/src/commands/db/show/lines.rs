//! The lines of one instance's sheet, in the order in which a packet would ask for them.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use cloud::InfoCache;
use ipnet::Ipv6Net;
use model::Intent;
use model::intent::{Instance, Network, SecurityGroup, SecurityGroupRule, Vif};
use model::snapshot::Host;
use report::{Line, OnHost};

use super::seen::Seen;

/// What the database alone tells.
pub(super) struct OfDatabase<'r> {
    pub(super) leased: &'r BTreeMap<Ipv4Addr, bool>,
    /// By a network's number.
    pub(super) dns: &'r BTreeMap<u64, Vec<Ipv4Addr>>,
    pub(super) cache: &'r InfoCache,
    /// Tables of security groups that there are not.
    pub(super) missing_tables: &'r [String],
}

/// All of them.
pub(super) fn of(instance: &Instance, intent: &Intent, told: &OfDatabase<'_>, seen: &Seen<'_>) -> Vec<Line> {
    let mut lines = Vec::new();
    identity(instance, seen, &mut lines);
    if instance.vifs.is_empty() {
        lines.push(alone("VIF", "none".to_owned()));
    }
    for vif in &instance.vifs {
        let mac = vif.mac.map_or_else(|| "of no MAC: its row is gone".to_owned(), |mac| mac.to_string());
        lines.push(line("VIF", mac, seen.tap(instance, vif)));
        let network = vif.network.and_then(|at| intent.networks.get(at));
        addresses(instance, vif, network, told, seen, &mut lines);
        if let Some(network) = network {
            of_network(instance, network, told, seen, &mut lines);
            if let Some(range) = network.cidr_v6 {
                of_v6(vif, (range, network.gateway_v6), seen, &mut lines);
            }
        }
    }
    groups(instance, told, seen, &mut lines);
    lines.push(alone("info cache", cached(told.cache)));
    lines
}

fn line(what: &'static str, value: String, hosts: Vec<OnHost>) -> Line {
    Line { what, value, hosts }
}

fn alone(what: &'static str, value: String) -> Line {
    line(what, value, Vec::new())
}

fn identity(instance: &Instance, seen: &Seen<'_>, lines: &mut Vec<Line>) {
    let number = instance.id.map(|id| format!("instances {id}"));
    let names = [Some(instance.name.clone()), instance.uuid.clone(), number];
    lines.push(alone("instance", names.into_iter().flatten().collect::<Vec<_>>().join(", ")));
    let state = instance.vm_state.as_deref().unwrap_or("not recorded");
    let task = instance.task.as_deref().map_or_else(String::new, |task| format!(", {task} at the moment"));
    lines.push(alone("state", format!("{state}{task}")));
    let host = instance.recorded_host.as_deref().unwrap_or("none");
    lines.push(line("host", host.to_owned(), seen.domain(instance)));
    lines.push(alone("project", instance.project.clone().unwrap_or_else(|| "none".to_owned())));
}

fn addresses(
    instance: &Instance,
    vif: &Vif,
    network: Option<&Network>,
    told: &OfDatabase<'_>,
    seen: &Seen<'_>,
    lines: &mut Vec<Line>,
) {
    if vif.fixed.is_empty() {
        lines.push(alone("fixed IP", "none".to_owned()));
    }
    for address in &vif.fixed {
        let leased = told.leased.get(address).copied().unwrap_or(false);
        let value = format!("{address}, {}", if leased { "leased" } else { "not leased" });
        let hosts = network.map(|network| seen.fixed(network, instance, vif, (*address, leased)));
        lines.push(line("fixed IP", value, hosts.unwrap_or_default()));
        for floating in vif.floating.iter().filter(|floating| floating.fixed == *address) {
            let host = floating.host.as_deref();
            let value = format!("{} on {address}, host {}", floating.address, host.unwrap_or("none"));
            lines.push(line("floating IP", value, seen.floating(host.unwrap_or(&instance.host), floating)));
        }
    }
}

fn of_network(
    instance: &Instance,
    network: &Network,
    told: &OfDatabase<'_>,
    seen: &Seen<'_>,
    lines: &mut Vec<Line>,
) {
    let server = network.server_for(&instance.host);
    let mode = if network.multi_host { "multi-host".to_owned() } else { format!("served by {server}") };
    let cidr = network.cidr.map_or_else(|| "no prefix".to_owned(), |cidr| cidr.to_string());
    let gateway = network.gateway_on(&instance.host);
    let value = format!("{}, {cidr}, {mode}", network.label);
    lines.push(line("network", value, seen.prefix(server, gateway, network.cidr)));
    if let Some(bridge) = &network.bridge {
        let lower = network.bridge_interface.as_deref().map(|lower| format!(" over {lower}"));
        let value = format!("{bridge}{}", lower.unwrap_or_default());
        lines.push(line("bridge", value, seen.bridge(&instance.host, bridge)));
    }
    if let Some(vlan) = network.vlan {
        lines.push(line("VLAN", vlan.to_string(), seen.vlan(instance, network, vlan)));
    }
    match gateway {
        Some(gateway) => {
            lines.push(line("gateway", gateway.to_string(), seen.address(server, gateway)));
        }
        None => lines.push(alone("gateway", "none".to_owned())),
    }
    let listens = gateway.or(network.dhcp_server);
    if let Some(listens) = listens {
        lines.push(line("DHCP server", listens.to_string(), seen.dhcp_server(server, listens)));
    }
    let dns = network.id.and_then(|id| told.dns.get(&id)).map_or(&[][..], Vec::as_slice);
    let value = match dns {
        [] => "the DHCP server itself".to_owned(),
        servers => servers.iter().map(Ipv4Addr::to_string).collect::<Vec<_>>().join(", "),
    };
    lines.push(line("DNS", value, seen.dns(server, listens, dns)));
}

/// The range, and the address that the instance is to give itself in it: no table has that.
fn of_v6(vif: &Vif, (range, gateway): (Ipv6Net, Option<Ipv6Addr>), seen: &Seen<'_>, lines: &mut Vec<Line>) {
    let gateway = gateway.map_or_else(|| "no gateway".to_owned(), |ip| format!("gateway {ip}"));
    lines.push(alone("IPv6 network", format!("{}, {gateway}", range.trunc())));
    let option =
        |host: &Host| host.nova.as_ref().and_then(|nova| nova.get("ipv6_backend").map(str::to_owned));
    let backend = seen.snapshot.hosts.iter().find_map(option);
    let value = match (backend.as_deref(), vif.mac) {
        (None | Some("rfc2462"), Some(mac)) => format!("{}, of its MAC", mac.made_v6(range.addr())),
        (Some(backend), _) => format!("not known: nova makes it by {backend}"),
        (None, None) => "none: its NIC's row is gone".to_owned(),
    };
    lines.push(alone("IPv6 address", value));
}

fn groups(instance: &Instance, told: &OfDatabase<'_>, seen: &Seen<'_>, lines: &mut Vec<Line>) {
    if !told.missing_tables.is_empty() {
        let why = format!("not known: the database has no table {}", told.missing_tables.join(", "));
        lines.push(line("security group", why, seen.chain(instance)));
        return;
    }
    if instance.security_groups.is_empty() {
        lines.push(line("security group", "none: nothing is let in".to_owned(), seen.chain(instance)));
    }
    for (at, group) in instance.security_groups.iter().enumerate() {
        // The chain is made of all groups together.
        let last = at + 1 == instance.security_groups.len();
        let hosts = if last { seen.chain(instance) } else { Vec::new() };
        lines.push(line("security group", of_group(group), hosts));
    }
}

fn of_group(group: &SecurityGroup) -> String {
    let rules: Vec<String> = group.rules.iter().map(rule).collect();
    match rules.as_slice() {
        [] => format!("{}: no rule", group.name),
        rules => format!("{}: {}", group.name, rules.join("; ")),
    }
}

/// As `nova secgroup-list-rules` has its columns: protocol, ports, source.
fn rule(rule: &SecurityGroupRule) -> String {
    let protocol = rule.protocol.as_deref().unwrap_or("all");
    let ports = match (rule.from_port, rule.to_port) {
        (None | Some(-1), _) | (_, None) => String::new(),
        (Some(from), Some(to)) if protocol == "icmp" => format!(" type {from} code {to}"),
        (Some(from), Some(to)) if from == to => format!(" {from}"),
        (Some(from), Some(to)) => format!(" {from}-{to}"),
    };
    let source = match (&rule.cidr, &rule.group) {
        (Some(cidr), _) => cidr.to_string(),
        (None, Some(group)) => format!("group {group}"),
        (None, None) => "anywhere".to_owned(),
    };
    format!("{protocol}{ports} from {source}")
}

fn cached(cache: &InfoCache) -> String {
    match cache {
        InfoCache::Absent => "none".to_owned(),
        InfoCache::Unreadable => "no JSON that can be read".to_owned(),
        InfoCache::Same(said) => format!("{said}, as the tables have it"),
        InfoCache::Differs { cache, tables } => format!("{cache}; the tables have {tables}"),
    }
}
