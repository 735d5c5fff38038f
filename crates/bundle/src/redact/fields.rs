//! The fields of a site's facts that hold a name and nothing else.

use cloud::Records;
use collect::Machine;
use model::intent::Instance;
use model::service::DhcpMessage;
use model::snapshot::Host;

use super::names::Kind;
use crate::manifest::CloudFacts;

/// Sees a name, and may change it.
pub(super) type Visit<'v> = dyn FnMut(Kind, &mut String) + 'v;

/// Of a machine. The inside of an instance is called as the instance is.
pub(super) fn of_machine(machine: &mut Machine, visit: &mut Visit<'_>) {
    let kind = if machine.netns.instance { Kind::Instance } else { Kind::Host };
    visit(kind, &mut machine.netns.machine);
    if let Some(host) = &mut machine.host {
        of_host(host, kind, visit);
    }
}

fn of_host(host: &mut Host, kind: Kind, visit: &mut Visit<'_>) {
    visit(kind, &mut host.name);
    for process in &mut host.processes {
        visit(Kind::User, &mut process.user);
    }
    for server in &mut host.dnsmasq {
        server.domain.iter_mut().for_each(|domain| visit(Kind::Domain, domain));
        server.options.iter_mut().for_each(|option| of_option(option, visit));
        for entry in server.hosts.iter_mut().flatten() {
            entry.hostname.iter_mut().for_each(|name| hostname(name, visit));
        }
        for line in &mut server.named {
            line.names.iter_mut().for_each(|name| hostname(name, visit));
        }
        for lease in server.leases.iter_mut().flatten() {
            hostname(&mut lease.hostname, visit);
        }
    }
    // Of who takes a lease, the log tells the guest's own name.
    for line in host.dhcp_log.iter_mut().filter(|line| line.kind == DhcpMessage::Ack) {
        if !line.rest.contains(char::is_whitespace) {
            hostname(&mut line.rest, visit);
        }
    }
    for domain in &mut host.domains {
        domain.display_name.iter_mut().for_each(|name| visit(Kind::Instance, name));
        visit(Kind::Instance, &mut domain.name);
    }
    if let Some(nova) = &mut host.nova {
        for (option, kind) in
            [("host", Kind::Host), ("dhcp_domain", Kind::Domain), ("my_hostname", Kind::Host)]
        {
            nova.values.get_mut(option).into_iter().for_each(|value| visit(kind, value));
        }
    }
}

/// DHCP options that name domains (RFC 2132, 3.17 and 8.1; RFC 3397), as dnsmasq(8), `--dhcp-option`, calls them.
const DOMAIN_OPTIONS: [&str; 6] =
    ["15", "40", "119", "option:domain-name", "option:nis-domain", "option:domain-search"];

/// The domains of `tag:blue,option:domain-name,corp.acme.example`.
pub(super) fn of_option(option: &mut String, visit: &mut Visit<'_>) {
    let mut parts: Vec<String> = option.split(',').map(str::to_owned).collect();
    let is_ahead = |part: &&String| part.trim().starts_with("tag:") || part.trim().starts_with("set:");
    let ahead = parts.iter().take_while(is_ahead).count();
    if parts.get(ahead).is_some_and(|number| DOMAIN_OPTIONS.contains(&number.trim())) {
        parts.iter_mut().skip(ahead + 1).for_each(|domain| visit(Kind::Domain, domain));
        *option = parts.join(",");
    }
}

/// A guest's own name, unless nova made it of an address.
fn hostname(name: &mut String, visit: &mut Visit<'_>) {
    let short = name.split('.').next().unwrap_or_default();
    let numbers = short.split('-').filter(|part| part.parse::<u8>().is_ok()).count();
    if numbers < 4 && name != "*" {
        visit(Kind::Instance, name);
    }
}

/// Of the cloud.
pub(super) fn of_cloud(cloud: &mut CloudFacts, visit: &mut Visit<'_>) {
    if let Some(records) = &mut cloud.records {
        of_records(records, visit);
    }
    if let Some(contradictions) = &mut cloud.contradictions {
        contradictions.each_cell(|cell| {
            if let Some(kind) = kind_of(cell.column) {
                visit(kind, cell.text);
            }
        });
    }
    for entry in &mut cloud.entries {
        visit(Kind::Instance, &mut entry.name);
        entry.host.iter_mut().for_each(|host| visit(Kind::Host, host));
    }
}

/// What a column of `hopline db check` names, where it is a name and nothing else.
fn kind_of(column: &str) -> Option<Kind> {
    Some(match column {
        "instance" => Kind::Instance,
        "host" | "right host" | "instance's host" => Kind::Host,
        "project" | "network's project" | "project_id" => Kind::Project,
        "group" | "source group" => Kind::Group,
        "label" | "network" | "other" => Kind::Network,
        _ => return None,
    })
}

fn of_records(records: &mut Records, visit: &mut Visit<'_>) {
    records.instances.iter_mut().for_each(|instance| of_instance(instance, visit));
    for network in &mut records.networks {
        visit(Kind::Network, &mut network.label);
        network.host.iter_mut().for_each(|host| visit(Kind::Host, host));
        network.host_addresses.iter_mut().for_each(|(host, _)| visit(Kind::Host, host));
    }
    for tied in &mut records.remains.floating {
        tied.name.iter_mut().for_each(|name| visit(Kind::Instance, name));
        tied.floating.host.iter_mut().for_each(|host| visit(Kind::Host, host));
    }
    for leaked in &mut records.remains.fixed {
        leaked.name.iter_mut().for_each(|name| visit(Kind::Instance, name));
    }
}

fn of_instance(instance: &mut Instance, visit: &mut Visit<'_>) {
    visit(Kind::Instance, &mut instance.name);
    instance.libvirt_name.iter_mut().for_each(|name| visit(Kind::Instance, name));
    visit(Kind::Host, &mut instance.host);
    instance.recorded_host.iter_mut().for_each(|host| visit(Kind::Host, host));
    instance.project.iter_mut().for_each(|project| visit(Kind::Project, project));
    for floating in instance.vifs.iter_mut().flat_map(|vif| &mut vif.floating) {
        floating.host.iter_mut().for_each(|host| visit(Kind::Host, host));
    }
    for group in &mut instance.security_groups {
        visit(Kind::Group, &mut group.name);
        for rule in &mut group.rules {
            rule.group.iter_mut().for_each(|name| visit(Kind::Group, name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By its column each is a name, whatever common word it is.
    #[test]
    fn every_column_of_names_is_known() {
        for (column, kind) in [
            ("network", Some(Kind::Network)),
            ("label", Some(Kind::Network)),
            ("other", Some(Kind::Network)),
            ("network's project", Some(Kind::Project)),
            ("source group", Some(Kind::Group)),
            ("right host", Some(Kind::Host)),
            ("range", None),
            ("network_id", None),
        ] {
            assert_eq!(kind_of(column), kind, "{column}");
        }
    }
}
