//! What the database has of the instance that was asked about, or of those that are hit: its rows, a table at a time.
//! Where no database was read, nothing is said.
//!
//! A network's bridge and the link in it are left out: nova.conf has the last word on them, and what is meant no longer
//! tells which of the two wrote them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use model::Diagnosis;
use model::intent::{Floating, Instance, Intent, Network, SecurityGroup, SecurityGroupRule, Vif};

use crate::clean::clean;
use crate::escape::Escaped;

use super::findings::pre;

/// Rows of one table that are spelt out: a group may have hundreds of rules.
const ROWS_MAX: usize = 10;
/// Instances that are hit whose rows are told: where all of a host are, the rows are not what is wrong.
const HIT_MAX: usize = 20;

/// What was recorded, and of whom a page tells it.
#[derive(Debug, Clone, Copy)]
pub struct Recorded<'i> {
    /// What is meant, and whether a database told it.
    pub intent: &'i Intent,
    /// The one that was asked about; `None` where all were.
    pub asked: Option<&'i Instance>,
}

/// The section of the rows.
pub(super) fn rows(out: &mut String, diagnosis: &Diagnosis, recorded: Recorded<'_>) {
    let Recorded { intent, asked } = recorded;
    let is_recorded = |instance: &Instance| intent.from_database && instance.id.is_some();
    if let Some(instance) = asked {
        if is_recorded(instance) {
            out.push_str("<section><h2>Its rows in the database</h2>\n");
            of_one(out, intent, instance);
            out.push_str("</section>\n");
        }
        return;
    }
    let hit = hit(diagnosis, intent);
    let hit: Vec<&Instance> = hit.into_iter().filter(|instance| is_recorded(instance)).collect();
    if hit.is_empty() {
        return;
    }
    out.push_str("<section><h2>Rows in the database of those that are hit</h2>\n");
    for instance in hit.iter().take(HIT_MAX) {
        let _ = writeln!(out, "<details><summary>{}</summary>", Escaped(&instance.name));
        of_one(out, intent, instance);
        out.push_str("</details>\n");
    }
    if hit.len() > HIT_MAX {
        let _ = writeln!(out, "<p class=\"dim\">and those of {} more</p>", hit.len() - HIT_MAX);
    }
    out.push_str("</section>\n");
}

/// Those that a finding names, in the findings' order, each once; several may have one name.
fn hit<'i>(diagnosis: &Diagnosis, intent: &'i Intent) -> Vec<&'i Instance> {
    let mut by_name: BTreeMap<&str, Vec<&Instance>> = BTreeMap::new();
    for instance in &intent.instances {
        by_name.entry(&instance.name).or_default().push(instance);
    }
    let names = diagnosis.findings.iter().flat_map(|finding| &finding.instances);
    names.filter_map(|name| by_name.remove(name.as_str())).flatten().collect()
}

fn of_one(out: &mut String, intent: &Intent, instance: &Instance) {
    out.push_str("<dl class=\"evidence\">\n");
    for (table, mut rows) in tables(intent, instance) {
        if rows.is_empty() {
            continue;
        }
        let more = rows.len().saturating_sub(ROWS_MAX);
        rows.truncate(ROWS_MAX);
        if more > 0 {
            rows.push(format!("and {more} more"));
        }
        let _ = write!(out, "<dt><code>{}</code></dt><dd>", Escaped(table));
        // A line is a row, whatever a name holds.
        pre(out, "lines", &rows.iter().map(|row| clean(row)).collect::<Vec<_>>().join("\n"));
        out.push_str("</dd>\n");
    }
    out.push_str("</dl>\n");
}

fn tables(intent: &Intent, instance: &Instance) -> [(&'static str, Vec<String>); 6] {
    // A NIC that libvirt alone tells of has no address: an instance of the database has those from nowhere else.
    let vifs: Vec<&Vif> = instance.vifs.iter().filter(|vif| !vif.fixed.is_empty()).collect();
    let network = |vif: &Vif| intent.networks.get(vif.network?).filter(|network| network.id.is_some());
    let mut networks: Vec<&Network> = vifs.iter().filter_map(|vif| network(vif)).collect();
    networks.dedup();
    let fixed = |vif: &&Vif| {
        let label = network(vif).map(|network| network.label.clone());
        let row = |address| row(&[("address", Some(text(address))), ("network", label.clone())]);
        vif.fixed.iter().map(row).collect::<Vec<_>>()
    };
    [
        ("instances", vec![of_instance(instance)]),
        (
            "virtual_interfaces",
            vifs.iter().filter_map(|vif| Some(row(&[("address", Some(text(vif.mac?)))]))).collect(),
        ),
        ("fixed_ips", vifs.iter().flat_map(fixed).collect()),
        ("floating_ips", vifs.iter().flat_map(|vif| &vif.floating).map(of_floating).collect()),
        ("networks", networks.into_iter().map(of_network).collect()),
        ("security_group_rules", instance.security_groups.iter().flat_map(of_group).collect()),
    ]
}

fn of_instance(instance: &Instance) -> String {
    row(&[
        ("id", instance.id.map(text)),
        ("uuid", instance.uuid.clone()),
        ("name", Some(instance.name.clone())),
        ("host", instance.recorded_host.clone()),
        ("vm_state", instance.vm_state.clone()),
        ("task_state", instance.task.clone()),
        ("project", instance.project.clone()),
    ])
}

fn of_floating(floating: &Floating) -> String {
    row(&[
        ("address", Some(text(floating.address))),
        ("of", Some(text(floating.fixed))),
        ("host", floating.host.clone()),
    ])
}

fn of_network(network: &Network) -> String {
    row(&[
        ("id", network.id.map(text)),
        ("label", Some(network.label.clone())),
        ("cidr", network.cidr.map(text)),
        ("vlan", network.vlan.map(text)),
        ("gateway", network.gateway.map(text)),
        ("dhcp_server", network.dhcp_server.map(text)),
        ("dhcp_start", network.dhcp_start.map(text)),
        ("multi_host", Some(text(network.multi_host))),
        ("host", network.host.clone()),
    ])
}

/// Each of a group's rules; of a group without any, that it has none.
fn of_group(group: &SecurityGroup) -> Vec<String> {
    if group.rules.is_empty() {
        return vec![row(&[("group", Some(group.name.clone()))]) + ", no rules: nothing gets in"];
    }
    group.rules.iter().map(|rule| of_rule(group, rule)).collect()
}

fn of_rule(group: &SecurityGroup, rule: &SecurityGroupRule) -> String {
    row(&[
        ("group", Some(group.name.clone())),
        ("protocol", rule.protocol.clone()),
        ("from_port", rule.from_port.map(text)),
        ("to_port", rule.to_port.map(text)),
        ("cidr", rule.cidr.map(text)),
        ("source_group", rule.group.clone()),
    ])
}

fn text<T: ToString>(value: T) -> String {
    value.to_string()
}

/// `id 7, host compute1`: of the columns those that hold anything.
fn row(columns: &[(&str, Option<String>)]) -> String {
    let told = columns.iter().filter_map(|(name, value)| Some(format!("{name} {}", value.as_ref()?)));
    told.collect::<Vec<_>>().join(", ")
}
