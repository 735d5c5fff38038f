//! The chains and rules of each nova service, in the order in which it makes them (nova/network/linux_net.py
//! `IptablesManager.__init__`, nova/virt/firewall.py `IptablesFirewallDriver`). `iptables` puts them among
//! those of the others.

use std::net::{Ipv4Addr, SocketAddrV4};

use ipnet::Ipv4Net;

use super::iptables::{Rule, Table};
use super::wanted::{ComputeService, FloatingRule, GroupRule, HostInstance, NetworkService, Nic, Served};
use crate::layout::UPLINK;

/// A service's chains and rules in the tables filter, nat and mangle, and the prefix of its chains: its
/// script's name, cut to 16 characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ruleset {
    /// The prefix.
    pub prefix: &'static str,
    /// The tables.
    pub tables: [Table; 3],
}

/// What every service of nova makes, mostly empty.
fn common(prefix: &'static str) -> Ruleset {
    let mut filter = Table::new("filter");
    filter.shared.push("nova-filter-top".to_owned());
    for chain in ["FORWARD", "OUTPUT"] {
        filter.rules.push(Rule::on_top(format!("{chain} -j nova-filter-top")));
    }
    filter.chains.push("local".to_owned());
    filter.push(format!("nova-filter-top -j {prefix}-local"));
    wrap(&mut filter, prefix, &["INPUT", "OUTPUT", "FORWARD"]);

    let mut nat = Table::new("nat");
    wrap(&mut nat, prefix, &["PREROUTING", "OUTPUT", "POSTROUTING"]);
    nat.shared.push("nova-postrouting-bottom".to_owned());
    nat.push("POSTROUTING -j nova-postrouting-bottom".to_owned());
    nat.chains.extend(["snat", "float-snat"].map(str::to_owned));
    nat.push(format!("nova-postrouting-bottom -j {prefix}-snat"));
    // The jump comes first in snat: floating addresses go before the range's common source.
    nat.push(format!("{prefix}-snat -j {prefix}-float-snat"));

    let mut mangle = Table::new("mangle");
    wrap(&mut mangle, prefix, &["POSTROUTING"]);
    Ruleset { prefix, tables: [filter, nat, mangle] }
}

fn wrap(table: &mut Table, prefix: &str, chains: &[&str]) {
    for chain in chains {
        table.chains.push((*chain).to_owned());
        table.push(format!("{chain} -j {prefix}-{chain}"));
    }
}

/// nova-api-metadata: it may be asked where it listens.
pub(crate) fn of_metadata(listens: SocketAddrV4) -> Ruleset {
    let mut rules = common("nova-api-metadat");
    let [filter, _, _] = &mut rules.tables;
    filter.push(format!(
        "nova-api-metadat-INPUT -d {}/32 -p tcp -m tcp --dport {} -j ACCEPT",
        listens.ip(),
        listens.port()
    ));
    rules
}

/// nova-network: forwarding, DHCP and DNS for its bridges, NAT for their networks and floating addresses.
/// `source` is `routing_source_ip`, `metadata` is `metadata_host` and `metadata_port`.
pub(crate) fn of_network(service: &NetworkService, source: Ipv4Addr, metadata: SocketAddrV4) -> Ruleset {
    let mut rules = common("nova-network");
    let [filter, nat, mangle] = &mut rules.tables;
    for Served { bridge, cidr, .. } in &service.networks {
        let bridge = &bridge.name;
        filter.push(format!("nova-network-FORWARD -i {bridge} -j ACCEPT"));
        filter.push(format!("nova-network-FORWARD -o {bridge} -j ACCEPT"));
        for port in [67, 53] {
            for protocol in ["udp", "tcp"] {
                filter.push(format!(
                    "nova-network-INPUT -i {bridge} -p {protocol} -m {protocol} --dport {port} -j ACCEPT"
                ));
            }
        }
        nat.push(format!("nova-network-POSTROUTING -s {cidr} -d {}/32 -j ACCEPT", metadata.ip()));
        nat.push(format!(
            "nova-network-POSTROUTING -s {cidr} -d {cidr} -m conntrack ! --ctstate DNAT -j ACCEPT"
        ));
        nat.push(format!("nova-network-snat -s {cidr} -o {UPLINK} -j SNAT --to-source {source}"));
        // Old DHCP clients drop answers whose checksum is left to hardware that a tap does not have.
        mangle.push(format!(
            "nova-network-POSTROUTING -o {bridge} -p udp -m udp --dport 68 -j CHECKSUM --checksum-fill"
        ));
    }
    nat.push(format!(
        "nova-network-PREROUTING -d 169.254.169.254/32 -p tcp -m tcp --dport 80 -j DNAT \
         --to-destination {metadata}"
    ));
    service.floating.iter().flat_map(floating_rules).for_each(|rule| nat.push(rule));
    rules
}

/// The five rules of a floating address (three up to Folsom).
fn floating_rules(rule: &FloatingRule) -> [String; 5] {
    let FloatingRule { floating, fixed, .. } = rule;
    [
        format!("nova-network-PREROUTING -d {floating}/32 -j DNAT --to-destination {fixed}"),
        format!("nova-network-OUTPUT -d {floating}/32 -j DNAT --to-destination {fixed}"),
        format!("nova-network-float-snat -s {fixed}/32 -d {fixed}/32 -j SNAT --to-source {floating}"),
        format!("nova-network-float-snat -s {fixed}/32 -o {UPLINK} -j SNAT --to-source {floating}"),
        format!(
            "nova-network-POSTROUTING -s {fixed}/32 -m conntrack --ctstate DNAT -j SNAT \
             --to-source {floating}"
        ),
    ]
}

/// nova-compute: security groups. Only what goes to an instance is filtered.
pub(crate) fn of_compute(service: &ComputeService) -> Ruleset {
    let mut rules = common("nova-compute");
    let [filter, _, _] = &mut rules.tables;
    filter.chains.push("sg-fallback".to_owned());
    filter.push("nova-compute-sg-fallback -j DROP".to_owned());
    for chain in ["INPUT", "FORWARD"] {
        filter.push(format!(
            "nova-compute-{chain} -s 0.0.0.0/32 -d 255.255.255.255/32 -p udp -m udp --sport 68 --dport 67 \
             -j ACCEPT"
        ));
    }
    for instance in &service.instances {
        filter.chains.push(format!("inst-{}", instance.id));
        let chain = instance_chain(instance.id);
        for fixed in instance.nics.iter().flat_map(|nic| &nic.fixed) {
            filter.push(format!("nova-compute-local -d {fixed}/32 -j {chain}"));
        }
        chain_of(instance).into_iter().for_each(|rule| filter.push(format!("{chain} {rule}")));
    }
    rules
}

/// The chain's number is decimal, while libvirt's name for the same instance is hexadecimal.
pub(crate) fn instance_chain(id: u32) -> String {
    format!("nova-compute-inst-{id}")
}

fn chain_of(instance: &HostInstance) -> Vec<String> {
    let mut rules = vec![
        "-m state --state INVALID -j DROP".to_owned(),
        "-m state --state RELATED,ESTABLISHED -j ACCEPT".to_owned(),
    ];
    for Nic { dhcp_server, .. } in &instance.nics {
        let server = dhcp_server.iter();
        rules.extend(
            server.map(|server| format!("-s {server}/32 -p udp -m udp --sport 67 --dport 68 -j ACCEPT")),
        );
    }
    let mut cidrs: Vec<Ipv4Net> = instance.nics.iter().map(|nic| nic.cidr).collect();
    cidrs.dedup();
    rules.extend(cidrs.iter().map(|cidr| format!("-s {cidr} -j ACCEPT")));
    for rule in instance.groups.iter().map(group_rule) {
        // Two groups may let in the same; the manager weeds out the twin.
        if !rules.contains(&rule) {
            rules.push(rule);
        }
    }
    rules.push("-j nova-compute-sg-fallback".to_owned());
    rules
}

/// In the words in which iptables-save prints it.
fn group_rule(rule: &GroupRule) -> String {
    let mut words = String::new();
    if rule.source.prefix_len() > 0 {
        words.push_str(&format!("-s {} ", rule.source));
    }
    let ports = (rule.from_port.unwrap_or(-1), rule.to_port.unwrap_or(-1));
    match (rule.protocol.as_deref(), ports) {
        (None, _) => {}
        (Some("icmp"), (-1, _)) => words.push_str("-p icmp "),
        (Some("icmp"), (kind, -1)) => words.push_str(&format!("-p icmp -m icmp --icmp-type {kind} ")),
        (Some("icmp"), (kind, code)) => {
            words.push_str(&format!("-p icmp -m icmp --icmp-type {kind}/{code} "));
        }
        (Some(protocol), (-1, _)) => words.push_str(&format!("-p {protocol} -m {protocol} ")),
        (Some(protocol), (first, last)) if first == last => {
            words.push_str(&format!("-p {protocol} -m {protocol} --dport {first} "));
        }
        (Some(protocol), (first, last)) => {
            words.push_str(&format!("-p {protocol} -m multiport --dports {first}:{last} "));
        }
    }
    words.push_str("-j ACCEPT");
    words
}

#[cfg(test)]
mod tests {
    use super::super::wanted::Bridge;
    use super::*;

    fn bridge() -> Bridge {
        Bridge { name: "br100".to_owned(), interface: "eth1".to_owned(), vlan: None }
    }

    fn web1() -> HostInstance {
        let any = |protocol: &str, port: i32| GroupRule {
            protocol: Some(protocol.to_owned()),
            from_port: Some(port),
            to_port: Some(port),
            source: Ipv4Net::default(),
        };
        HostInstance {
            id: 1,
            uuid: String::new(),
            name: "web1".to_owned(),
            runs: true,
            nics: vec![Nic {
                mac: model::Mac([0; 6]),
                bridge: bridge(),
                fixed: vec![Ipv4Addr::new(10, 0, 2, 24)],
                cidr: "10.0.0.0/16".parse().unwrap(),
                dhcp_server: Some(Ipv4Addr::new(10, 0, 0, 42)),
            }],
            groups: vec![any("icmp", -1), any("tcp", 22), any("tcp", 80), any("tcp", 22)],
        }
    }

    fn of_chain<'r>(rules: &'r Ruleset, chain: &str) -> Vec<&'r str> {
        let every = rules.tables.iter().flat_map(|table| &table.rules);
        every.filter_map(|rule| rule.text.strip_prefix(chain)?.strip_prefix(' ')).collect()
    }

    #[test]
    fn an_instances_chain_has_novas_order() {
        let rules = of_compute(&ComputeService { instances: vec![web1()] });
        assert_eq!(
            of_chain(&rules, "nova-compute-inst-1"),
            [
                "-m state --state INVALID -j DROP",
                "-m state --state RELATED,ESTABLISHED -j ACCEPT",
                "-s 10.0.0.42/32 -p udp -m udp --sport 67 --dport 68 -j ACCEPT",
                "-s 10.0.0.0/16 -j ACCEPT",
                "-p icmp -j ACCEPT",
                "-p tcp -m tcp --dport 22 -j ACCEPT",
                "-p tcp -m tcp --dport 80 -j ACCEPT",
                "-j nova-compute-sg-fallback",
            ]
        );
        assert_eq!(of_chain(&rules, "nova-compute-local"), ["-d 10.0.2.24/32 -j nova-compute-inst-1"]);
    }

    #[test]
    fn a_floating_address_comes_before_the_common_source() {
        let served = Served {
            id: 1,
            label: "novanetwork".to_owned(),
            bridge: bridge(),
            cidr: "10.0.0.0/16".parse().unwrap(),
            gateway: Ipv4Addr::new(10, 0, 0, 42),
            dhcp_start: Ipv4Addr::new(10, 0, 0, 2),
            is_shared: false,
            entries: Vec::new(),
        };
        let (floating, fixed) = (Ipv4Addr::new(203, 0, 113, 30), Ipv4Addr::new(10, 0, 2, 24));
        let inside = ("br100".to_owned(), served.cidr);
        let floating = vec![FloatingRule { floating, fixed, inside }];
        let host = Ipv4Addr::new(203, 0, 113, 34);
        let service = NetworkService { networks: vec![served], floating };
        let rules = of_network(&service, host, SocketAddrV4::new(host, 8775));
        assert_eq!(
            of_chain(&rules, "nova-network-snat"),
            ["-j nova-network-float-snat", "-s 10.0.0.0/16 -o eth0 -j SNAT --to-source 203.0.113.34"]
        );
        let of_floating = rules.tables.iter().flat_map(|table| &table.rules);
        assert_eq!(of_floating.filter(|rule| rule.text.contains("203.0.113.30")).count(), 5);
    }

    #[test]
    fn group_rules_have_novas_shapes() {
        let rule = |protocol: Option<&str>, from: i32, to: i32, source: &str| {
            group_rule(&GroupRule {
                protocol: protocol.map(str::to_owned),
                from_port: Some(from),
                to_port: Some(to),
                source: source.parse().unwrap(),
            })
        };
        for (given, expected) in [
            (
                rule(Some("tcp"), 8000, 8010, "10.0.9.0/24"),
                "-s 10.0.9.0/24 -p tcp -m multiport --dports 8000:8010 -j ACCEPT",
            ),
            (rule(Some("icmp"), 8, -1, "0.0.0.0/0"), "-p icmp -m icmp --icmp-type 8 -j ACCEPT"),
            (rule(Some("icmp"), 3, 4, "0.0.0.0/0"), "-p icmp -m icmp --icmp-type 3/4 -j ACCEPT"),
            (rule(Some("udp"), 53, 53, "10.0.0.7/32"), "-s 10.0.0.7/32 -p udp -m udp --dport 53 -j ACCEPT"),
            (rule(None, -1, -1, "10.0.0.7/32"), "-s 10.0.0.7/32 -j ACCEPT"),
        ] {
            assert_eq!(given, expected);
        }
    }
}
