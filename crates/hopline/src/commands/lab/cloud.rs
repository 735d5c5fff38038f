//! What the lab's users and operators do: boot, delete, addresses, groups, networks, restarts.

use std::io::{self, Write};

use lab::operations::{self, Boot};
use lab::rows::{Cloud, Floating, GroupRule, Instance, Network};
use lab::{Lab, LabError, NewRule, manager};
use serde_json::{Value, json};

use crate::cli_lab::{CloudCommand, FloatingCommand, NetworkCommand, RuleCommand, SecgroupCommand, Service};
use crate::failure::Failure;
use crate::{output, progress};

pub(super) fn run(lab: &Lab, command: &CloudCommand, json: bool) -> Result<(), Failure> {
    match command {
        CloudCommand::Restart { service, which } => restart(lab, *service, which.as_deref()),
        CloudCommand::Reconcile => {
            done(operations::reconcile(lab))?;
            say("the hosts are as the database says")
        }
        CloudCommand::Boot { instance, host, network, address, groups } => {
            let wanted = Boot {
                name: instance.clone(),
                host: host.clone(),
                network: network.clone(),
                address: *address,
                groups: groups.clone(),
            };
            let progress = progress::start("booting the instance");
            let booted = done(operations::boot(lab, &wanted))?;
            drop(progress);
            say(&format!("{} runs on {} with {}", booted.name, booted.host, addresses(&booted)))
        }
        CloudCommand::Delete { instance, unclean: false } => {
            done(operations::delete(lab, instance))?;
            say(&format!("{instance} is terminated"))
        }
        CloudCommand::Delete { instance, unclean: true } => {
            done(operations::delete_unclean(lab, instance))?;
            say(&format!("{instance} has ended badly: its addresses are still its own in the database"))
        }
        CloudCommand::Stop { instance } => {
            done(operations::stop(lab, instance))?;
            say(&format!("{instance} is switched off"))
        }
        CloudCommand::Start { instance } => {
            let progress = progress::start("starting the instance");
            done(operations::start(lab, instance))?;
            drop(progress);
            say(&format!("{instance} runs"))
        }
        CloudCommand::Console { instance } => {
            let log = done(operations::console(lab, instance))?;
            output::print(|out| write!(out, "{log}"))
        }
        CloudCommand::Floating(command) => floating(lab, command),
        CloudCommand::Secgroup(command) => secgroup(lab, command, json),
        CloudCommand::Network(NetworkCommand::Create { label, cidr, project }) => {
            let id = done(operations::network_create(lab, label, *cidr, project.as_deref()))?;
            say(&format!("network {label} is made, number {id}"))
        }
        CloudCommand::Network(NetworkCommand::List) => {
            let cloud = done(operations::show(lab))?;
            if json {
                return output::json(&networks_json(&cloud));
            }
            output::print(|out| networks(out, &cloud))
        }
        CloudCommand::Show => show(lab, json),
    }
}

fn done<T>(result: Result<T, LabError>) -> Result<T, Failure> {
    result.map_err(|error| Failure::of(&error))
}

fn say(line: &str) -> Result<(), Failure> {
    output::print(|out| writeln!(out, "{line}"))
}

fn restart(lab: &Lab, service: Service, which: Option<&str>) -> Result<(), Failure> {
    let _progress = progress::start("restarting");
    let restarted = done(match service {
        Service::NovaNetwork => operations::restart(lab, manager::Service::Network, which),
        Service::NovaCompute => operations::restart(lab, manager::Service::Compute, which),
        Service::NovaApiMetadata => operations::restart(lab, manager::Service::Metadata, which),
        Service::Dnsmasq => operations::restart_dnsmasq(lab, which),
    })?;
    output::print(|out| match restarted.as_slice() {
        [] => writeln!(out, "nothing to restart: it runs on none of them"),
        restarted => restarted.iter().try_for_each(|what| writeln!(out, "restarted {what}")),
    })
}

fn floating(lab: &Lab, command: &FloatingCommand) -> Result<(), Failure> {
    match command {
        FloatingCommand::Allocate => say(&done(operations::floating_allocate(lab))?.to_string()),
        FloatingCommand::Associate { address, instance } => {
            done(operations::floating_associate(lab, *address, instance))?;
            say(&format!("{address} leads to {instance}"))
        }
        FloatingCommand::Disassociate { address } => {
            done(operations::floating_disassociate(lab, *address))?;
            say(&format!("{address} leads nowhere"))
        }
        FloatingCommand::Release { address } => {
            done(operations::floating_release(lab, *address))?;
            say(&format!("{address} is back in the pool"))
        }
    }
}

fn secgroup(lab: &Lab, command: &SecgroupCommand, json: bool) -> Result<(), Failure> {
    match command {
        SecgroupCommand::Create { group } => {
            done(operations::group_create(lab, group))?;
            say(&format!("group {group} is made; it lets nothing in yet"))
        }
        SecgroupCommand::Rule(RuleCommand::Add { group, protocol, ports, cidr, from_group }) => {
            let protocol = Some(protocol.clone()).filter(|protocol| protocol != "any");
            let source = if from_group.is_some() { None } else { Some(cidr.unwrap_or_default()) };
            let (from_port, to_port) = (Some(ports.0), Some(ports.1));
            let rule = NewRule { protocol, from_port, to_port, cidr: source, group: from_group.clone() };
            let id = done(operations::group_rule_add(lab, group, &rule))?;
            say(&format!("rule {id} is added to {group}"))
        }
        SecgroupCommand::Rule(RuleCommand::Del { rule }) => {
            done(operations::group_rule_delete(lab, *rule))?;
            say(&format!("rule {rule} is gone"))
        }
        SecgroupCommand::List => {
            let cloud = done(operations::show(lab))?;
            if json {
                return output::json(&groups_json(&cloud));
            }
            output::print(|out| groups(out, &cloud))
        }
    }
}

fn show(lab: &Lab, json: bool) -> Result<(), Failure> {
    let cloud = done(operations::show(lab))?;
    if json {
        return output::json(&json!({
            "networks": networks_json(&cloud), "instances": instances_json(&cloud),
            "floating": floating_json(&cloud), "secgroups": groups_json(&cloud),
        }));
    }
    output::print(|out| {
        networks(out, &cloud)?;
        writeln!(out)?;
        for instance in &cloud.instances {
            let (name, host, state) = (&instance.name, &instance.host, &instance.vm_state);
            writeln!(out, "instance {name:16} {host:10} {state:8} {}", addresses(instance))?;
        }
        writeln!(out)?;
        let taken = |floating: &&Floating| floating.project.is_some();
        for floating in cloud.floating.iter().filter(taken) {
            let leads = floating.fixed.map_or("nowhere".to_owned(), |fixed| fixed.to_string());
            let host = floating.host.as_deref().unwrap_or("no host");
            writeln!(out, "floating {:15} leads to {leads} on {host}", floating.address)?;
        }
        let free = cloud.floating.len() - cloud.floating.iter().filter(taken).count();
        writeln!(out, "floating addresses free in the pool: {free}")
    })
}

fn addresses(instance: &Instance) -> String {
    let fixed = instance.vifs.iter().flat_map(|vif| &vif.fixed).map(|fixed| fixed.address.to_string());
    fixed.collect::<Vec<_>>().join(" ")
}

fn networks(out: &mut dyn Write, cloud: &Cloud) -> io::Result<()> {
    cloud.networks.iter().try_for_each(|network| {
        let Network { label, cidr, bridge, .. } = network;
        let vlan = network.vlan.map(|vlan| format!(" vlan {vlan}")).unwrap_or_default();
        let mode = match (network.multi_host, network.share_address, &network.host) {
            (true, true, _) => "multi-host, shared address".to_owned(),
            (true, false, _) => "multi-host".to_owned(),
            (false, _, host) => format!("on {}", host.as_deref().unwrap_or("no host yet")),
        };
        writeln!(out, "network  {label:16} {cidr:18} {bridge}{vlan}  {mode}")
    })
}

fn groups(out: &mut dyn Write, cloud: &Cloud) -> io::Result<()> {
    for group in &cloud.groups {
        writeln!(out, "group {} of project {}", group.name, group.project)?;
        for rule in &group.rules {
            let GroupRule { id, protocol, from_port, to_port, .. } = rule;
            let protocol = protocol.as_deref().unwrap_or("any");
            let ports = match (from_port.unwrap_or(-1), to_port.unwrap_or(-1)) {
                (-1, _) => String::new(),
                (from, to) if from == to => format!(" {from}"),
                (from, to) => format!(" {from}:{to}"),
            };
            let source = match (rule.cidr, rule.group) {
                (Some(cidr), _) => cidr.to_string(),
                (None, Some(id)) => cloud.groups.iter().find(|group| group.id == id).map_or_else(
                    || format!("group {id}, which is gone"),
                    |group| format!("members of {}", group.name),
                ),
                (None, None) => "anywhere".to_owned(),
            };
            writeln!(out, "  {id:4}  {protocol}{ports} from {source}")?;
        }
    }
    Ok(())
}

fn networks_json(cloud: &Cloud) -> Value {
    let network = |network: &Network| {
        json!({
            "id": network.id, "label": network.label, "cidr": network.cidr, "bridge": network.bridge,
            "vlan": network.vlan, "gateway": network.gateway, "multi_host": network.multi_host,
            "share_address": network.share_address, "host": network.host, "project": network.project,
        })
    };
    cloud.networks.iter().map(network).collect()
}

fn instances_json(cloud: &Cloud) -> Value {
    let instance = |instance: &Instance| {
        let fixed: Vec<_> =
            instance.vifs.iter().flat_map(|vif| &vif.fixed).map(|fixed| fixed.address).collect();
        let macs: Vec<_> = instance.vifs.iter().map(|vif| vif.mac.to_string()).collect();
        json!({
            "id": instance.id, "uuid": instance.uuid, "name": instance.name, "host": instance.host,
            "project": instance.project, "state": instance.vm_state, "addresses": fixed, "macs": macs,
        })
    };
    cloud.instances.iter().map(instance).collect()
}

fn floating_json(cloud: &Cloud) -> Value {
    let floating = |floating: &Floating| {
        json!({
            "address": floating.address, "fixed": floating.fixed, "host": floating.host,
            "project": floating.project, "pool": floating.pool,
        })
    };
    cloud.floating.iter().map(floating).collect()
}

fn groups_json(cloud: &Cloud) -> Value {
    let rule = |rule: &GroupRule| {
        json!({
            "id": rule.id, "protocol": rule.protocol, "from_port": rule.from_port, "to_port": rule.to_port,
            "cidr": rule.cidr, "group": rule.group,
        })
    };
    let groups = cloud.groups.iter().map(|group| {
        let rules: Vec<Value> = group.rules.iter().map(rule).collect();
        json!({ "id": group.id, "name": group.name, "project": group.project, "rules": rules })
    });
    groups.collect()
}
