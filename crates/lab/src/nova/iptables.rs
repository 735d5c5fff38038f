//! nova's chains and rules as input for iptables-restore, in the order in which nova leaves them
//! (nova/network/linux_net.py `IptablesManager`, nova/virt/firewall.py `IptablesFirewallDriver`).

use plumbing::Namespace;

use super::ruleset::{FloatingRule, GroupRule, HostRules, InstanceRules, Traffic};
use crate::command::{command, run};
use crate::error::LabError;

/// Chain prefixes of the processes on a compute host: the script's name cut to 16 characters.
const PROCESSES: [&str; 3] = ["nova-network", "nova-compute", "nova-api-metadat"];

/// Replaces every rule of the tables filter, nat and mangle by these.
pub(crate) fn apply(ns: &Namespace, rules: &HostRules) -> Result<(), LabError> {
    run(ns, command("iptables-nft-restore", [""; 0]), &restore_input(rules))
}

/// Runs `iptables ARGS`, as an operator would.
pub(crate) fn iptables(ns: &Namespace, args: &[&str]) -> Result<(), LabError> {
    run(ns, command("iptables-nft", args.iter().copied()), "")
}

/// The three tables as iptables-restore reads them.
pub(crate) fn restore_input(rules: &HostRules) -> String {
    let mut lines = Vec::new();
    for (name, table) in [("filter", filter(rules)), ("nat", nat(rules)), ("mangle", mangle(rules))] {
        lines.push(format!("*{name}"));
        lines.extend(built_in(name).iter().map(|chain| format!(":{chain} ACCEPT [0:0]")));
        lines.extend(table.chains.iter().map(|chain| format!(":{chain} - [0:0]")));
        lines.extend(table.rules.iter().map(|rule| format!("-A {rule}")));
        lines.push("COMMIT\n".to_owned());
    }
    lines.join("\n")
}

/// A table's own chains, and its rules without the leading `-A `.
#[derive(Default)]
struct Table {
    chains: Vec<String>,
    rules: Vec<String>,
}

fn built_in(table: &str) -> &'static [&'static str] {
    match table {
        "nat" => &["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"],
        "mangle" => &["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"],
        _ => &["INPUT", "FORWARD", "OUTPUT"],
    }
}

fn filter(host: &HostRules) -> Table {
    let mut table = Table::default();
    for process in PROCESSES {
        for chain in ["FORWARD", "INPUT", "OUTPUT", "local"] {
            table.chains.push(format!("{process}-{chain}"));
        }
    }
    table.chains.push("nova-compute-sg-fallback".to_owned());
    table.chains.extend(host.instances.iter().map(instance_chain));
    table.chains.push("nova-filter-top".to_owned());

    let rules = &mut table.rules;
    jump_to_each(rules, "INPUT", "INPUT");
    for hook in ["FORWARD", "OUTPUT"] {
        rules.push(format!("{hook} -j nova-filter-top"));
        jump_to_each(rules, hook, hook);
    }
    jump_to_each(rules, "nova-filter-top", "local");
    let metadata = host.metadata;
    rules.push(format!(
        "nova-api-metadat-INPUT -d {}/32 -p tcp -m tcp --dport {} -j ACCEPT",
        metadata.ip(),
        metadata.port()
    ));
    filter_of_compute(host, rules);
    filter_of_network(&host.bridge, rules);
    table
}

/// Security groups: only what goes to an instance is filtered.
fn filter_of_compute(host: &HostRules, rules: &mut Vec<String>) {
    for chain in ["FORWARD", "INPUT"] {
        rules.push(format!(
            "nova-compute-{chain} -s 0.0.0.0/32 -d 255.255.255.255/32 -p udp -m udp --sport 68 --dport 67 \
             -j ACCEPT"
        ));
    }
    for instance in &host.instances {
        let chain = instance_chain(instance);
        rules.push(format!("nova-compute-local -d {}/32 -j {chain}", instance.fixed));
        rules.push(format!("{chain} -m state --state INVALID -j DROP"));
        rules.push(format!("{chain} -m state --state RELATED,ESTABLISHED -j ACCEPT"));
        rules.push(format!(
            "{chain} -s {}/32 -p udp -m udp --sport 67 --dport 68 -j ACCEPT",
            host.dhcp_server
        ));
        rules.push(format!("{chain} -s {} -j ACCEPT", host.network));
        rules.extend(instance.groups.iter().map(|rule| group_rule(&chain, rule)));
        rules.push(format!("{chain} -j nova-compute-sg-fallback"));
    }
    rules.push("nova-compute-sg-fallback -j DROP".to_owned());
}

/// Forwarding for the bridge, and DHCP and DNS of the host's dnsmasq.
fn filter_of_network(bridge: &str, rules: &mut Vec<String>) {
    rules.push(format!("nova-network-FORWARD -i {bridge} -j ACCEPT"));
    rules.push(format!("nova-network-FORWARD -o {bridge} -j ACCEPT"));
    for port in [67, 53] {
        for protocol in ["udp", "tcp"] {
            rules.push(format!(
                "nova-network-INPUT -i {bridge} -p {protocol} -m {protocol} --dport {port} -j ACCEPT"
            ));
        }
    }
}

fn nat(host: &HostRules) -> Table {
    let mut table = Table::default();
    for process in PROCESSES {
        for chain in ["OUTPUT", "POSTROUTING", "PREROUTING", "float-snat", "snat"] {
            table.chains.push(format!("{process}-{chain}"));
        }
    }
    table.chains.push("nova-postrouting-bottom".to_owned());

    let rules = &mut table.rules;
    for hook in ["PREROUTING", "OUTPUT", "POSTROUTING"] {
        jump_to_each(rules, hook, hook);
    }
    rules.push("POSTROUTING -j nova-postrouting-bottom".to_owned());
    jump_to_each(rules, "nova-postrouting-bottom", "snat");
    // The jump comes first in snat: floating addresses go before the range's common source.
    for process in PROCESSES {
        rules.push(format!("{process}-snat -j {process}-float-snat"));
    }
    let HostRules { network, metadata, .. } = host;
    rules.push(format!("nova-network-POSTROUTING -s {network} -d {}/32 -j ACCEPT", metadata.ip()));
    rules.push(format!(
        "nova-network-POSTROUTING -s {network} -d {network} -m conntrack ! --ctstate DNAT -j ACCEPT"
    ));
    rules.push(format!(
        "nova-network-PREROUTING -d 169.254.169.254/32 -p tcp -m tcp --dport 80 -j DNAT \
         --to-destination {metadata}"
    ));
    for floating in &host.floating {
        rules.extend(floating_rules(*floating, &host.public_link));
    }
    rules.push(format!(
        "nova-network-snat -s {network} -o {} -j SNAT --to-source {}",
        host.public_link, host.source
    ));
    table
}

/// The five rules of a floating address (three up to Folsom).
fn floating_rules(rule: FloatingRule, public_link: &str) -> [String; 5] {
    let FloatingRule { floating, fixed } = rule;
    [
        format!("nova-network-PREROUTING -d {floating}/32 -j DNAT --to-destination {fixed}"),
        format!("nova-network-OUTPUT -d {floating}/32 -j DNAT --to-destination {fixed}"),
        format!("nova-network-float-snat -s {fixed}/32 -d {fixed}/32 -j SNAT --to-source {floating}"),
        format!("nova-network-float-snat -s {fixed}/32 -o {public_link} -j SNAT --to-source {floating}"),
        format!(
            "nova-network-POSTROUTING -s {fixed}/32 -m conntrack --ctstate DNAT -j SNAT \
             --to-source {floating}"
        ),
    ]
}

fn mangle(host: &HostRules) -> Table {
    let mut table = Table::default();
    table.chains.extend(PROCESSES.iter().map(|process| format!("{process}-POSTROUTING")));
    jump_to_each(&mut table.rules, "POSTROUTING", "POSTROUTING");
    // Old DHCP clients drop answers whose checksum is left to hardware that a tap does not have.
    table.rules.push(format!(
        "nova-network-POSTROUTING -o {} -p udp -m udp --dport 68 -j CHECKSUM --checksum-fill",
        host.bridge
    ));
    table
}

fn jump_to_each(rules: &mut Vec<String>, from: &str, suffix: &str) {
    rules.extend(PROCESSES.iter().map(|process| format!("{from} -j {process}-{suffix}")));
}

/// The chain's number is decimal, while libvirt's name for the same instance is hexadecimal.
pub(crate) fn instance_chain(instance: &InstanceRules) -> String {
    format!("nova-compute-inst-{}", instance.id)
}

fn group_rule(chain: &str, rule: &GroupRule) -> String {
    let source = if rule.source.prefix_len() == 0 { String::new() } else { format!(" -s {}", rule.source) };
    match rule.traffic {
        Traffic::Icmp => format!("{chain}{source} -p icmp -j ACCEPT"),
        Traffic::Tcp(first, last) if first == last => {
            format!("{chain}{source} -p tcp -m tcp --dport {first} -j ACCEPT")
        }
        Traffic::Tcp(first, last) => {
            format!("{chain}{source} -p tcp -m multiport --dports {first}:{last} -j ACCEPT")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nova::ruleset;

    #[test]
    fn an_instances_chain_has_novas_order() {
        let input = restore_input(&ruleset::healthy());
        let chain: Vec<_> = input.lines().filter(|l| l.starts_with("-A nova-compute-inst-1 ")).collect();
        assert_eq!(
            chain,
            [
                "-A nova-compute-inst-1 -m state --state INVALID -j DROP",
                "-A nova-compute-inst-1 -m state --state RELATED,ESTABLISHED -j ACCEPT",
                "-A nova-compute-inst-1 -s 10.0.0.42/32 -p udp -m udp --sport 67 --dport 68 -j ACCEPT",
                "-A nova-compute-inst-1 -s 10.0.0.0/16 -j ACCEPT",
                "-A nova-compute-inst-1 -p icmp -j ACCEPT",
                "-A nova-compute-inst-1 -p tcp -m tcp --dport 22 -j ACCEPT",
                "-A nova-compute-inst-1 -p tcp -m tcp --dport 80 -j ACCEPT",
                "-A nova-compute-inst-1 -j nova-compute-sg-fallback",
            ]
        );
    }

    #[test]
    fn a_floating_address_comes_before_the_common_source() {
        let input = restore_input(&ruleset::healthy());
        let snat: Vec<_> = input.lines().filter(|l| l.starts_with("-A nova-network-snat ")).collect();
        assert_eq!(
            snat,
            [
                "-A nova-network-snat -j nova-network-float-snat",
                "-A nova-network-snat -s 10.0.0.0/16 -o eth0 -j SNAT --to-source 203.0.113.34",
            ]
        );
        assert_eq!(input.matches("203.0.113.30").count(), 5);
    }

    #[test]
    fn a_range_of_ports_needs_multiport() {
        let rule = GroupRule { traffic: Traffic::Tcp(8000, 8010), source: "10.0.9.0/24".parse().unwrap() };
        assert_eq!(
            group_rule("c", &rule),
            "c -s 10.0.9.0/24 -p tcp -m multiport --dports 8000:8010 -j ACCEPT"
        );
    }
}
