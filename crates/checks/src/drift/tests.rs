//! A drift for each way to differ, and the ways to differ that are none.

use std::net::Ipv4Addr;

use model::intent::SecurityGroupRule;

use super::*;
use crate::fixture::{Cloud, drops, from, healthy, minicloud, queens};
use crate::nova::line::{Then, always};

/// Every line of drift on a host: `KIND RULE`.
fn drift(cloud: &Cloud, host: &str) -> Vec<String> {
    let (snapshot, intent) = (&cloud.snapshot, &cloud.intent);
    let drifts = of(snapshot.host(host).unwrap(), snapshot.main_netns(host).unwrap(), intent);
    let lines = drifts.iter().flat_map(|drift| &drift.lines);
    lines.map(|line| format!("{} {}", line.kind.name(), line.text)).collect()
}

/// What is said after this is done to the lab's compute host.
fn after(change: impl FnOnce(&mut Cloud)) -> Vec<String> {
    let mut cloud = healthy();
    change(&mut cloud);
    drift(&cloud, "compute1")
}

/// The same of the recorded host of nova 17.
fn after_in_queens(change: impl FnOnce(&mut Cloud)) -> Vec<String> {
    let mut cloud = queens();
    change(&mut cloud);
    drift(&cloud, "compute01")
}

fn remove(cloud: &mut Cloud, table: &str, chain: &str, text: &str) {
    let host = cloud.snapshot.hosts[0].name.clone();
    let rules = &mut cloud.chain(&host, table, chain).rules;
    let before = rules.len();
    rules.retain(|rule| !rule.text.contains(text));
    assert_eq!(rules.len() + 1, before, "{chain} has one rule with `{text}`");
}

fn set(cloud: &mut Cloud, option: &str, value: &str) {
    let host = &mut cloud.snapshot.hosts[0];
    host.nova.as_mut().unwrap().values.insert(option.to_owned(), value.to_owned());
}

const NONE: [&str; 0] = [];

#[test]
fn healthy_hosts_show_none() {
    assert_eq!(drift(&healthy(), "compute1"), NONE);
    assert_eq!(drift(&minicloud(), "host"), NONE);
    assert_eq!(drift(&minicloud(), "host2"), NONE);
    assert_eq!(drift(&queens(), "compute01"), NONE);
}

#[test]
fn every_rule_that_nova_must_have_written_is_missed() {
    let full = healthy();
    // The common source of a multi-host network, and what belongs to another process.
    let not_judged = ["-A nova-network-snat -s 10.0.0.0/16", "nova-api-metadat"];
    let tables = &full.snapshot.main_netns("compute1").unwrap().ruleset.tables;
    for (table_at, table) in tables.iter().enumerate() {
        for (chain_at, chain) in table.chains.iter().enumerate() {
            for (at, rule) in chain.rules.iter().enumerate() {
                let mut cloud = full.clone();
                let tables = &mut cloud.netns("compute1").ruleset.tables;
                tables[table_at].chains[chain_at].rules.remove(at);
                let expected = if not_judged.iter().any(|text| rule.text.contains(text)) {
                    Vec::new()
                } else {
                    vec![format!("missing {}", rule.text)]
                };
                assert_eq!(drift(&cloud, "compute1"), expected, "without {}", rule.text);
            }
        }
    }
}

#[test]
fn a_chain_of_which_a_listing_does_not_tell_all_is_not_judged() {
    let renamed = |text: &str| {
        after(|cloud| {
            remove(cloud, "filter", "nova-network-INPUT", "-p udp -m udp --dport 53 ");
            cloud.chain("compute1", "filter", "nova-network-INPUT").rules[0].text = text.to_owned();
        })
    };
    let missing = "missing -A nova-network-INPUT -i br100 -p udp -m udp --dport 53 -j ACCEPT";
    assert_eq!(renamed("-A nova-network-INPUT -i br100"), [missing]);
    assert_eq!(renamed("iifname \"br100\" xt match \"multiport\" accept"), NONE);
}

#[test]
fn what_nova_would_not_write_is_extra_in_its_own_chains_alone() {
    for chain in ["nova-network-FORWARD", "nova-compute-local", "nova-compute-inst-1", "nova-filter-top"] {
        let text = format!("-A {chain} -s 1.2.3.4/32 -j DROP");
        let inserted = |cloud: &mut Cloud| {
            let rule = drops(&text, vec![from("1.2.3.4/32")]);
            cloud.chain("compute1", "filter", chain).rules.insert(0, rule);
        };
        assert_eq!(after(inserted), [format!("extra {text}")]);
    }
    for chain in ["FORWARD", "INPUT"] {
        let inserted = |cloud: &mut Cloud| {
            let rule = drops(&format!("-A {chain} -s 1.2.3.4/32 -j DROP"), vec![from("1.2.3.4/32")]);
            cloud.chain("compute1", "filter", chain).rules.insert(0, rule);
        };
        assert_eq!(after(inserted), NONE);
    }
}

#[test]
fn a_second_copy_is_extra() {
    let doubled = |cloud: &mut Cloud| {
        let rules = &mut cloud.chain("compute1", "filter", "nova-network-FORWARD").rules;
        rules.push(rules[0].clone());
    };
    assert_eq!(after(doubled), ["extra -A nova-network-FORWARD -i br100 -j ACCEPT"]);
}

#[test]
fn a_rule_for_another_address_is_missing_and_extra() {
    let led_astray = |cloud: &mut Cloud| {
        let rules = &mut cloud.chain("compute1", "nat", "nova-network-PREROUTING").rules;
        let rule = rules.iter_mut().find(|r| r.text.contains("203.0.113.30")).unwrap();
        rule.text = rule.text.replace("10.0.2.24", "10.0.2.25");
        rule.action = always(Then::Dnat(Ipv4Addr::new(10, 0, 2, 25), None)).rule("").action;
    };
    let found = after(led_astray);
    let rule =
        |fixed| format!("-A nova-network-PREROUTING -d 203.0.113.30/32 -j DNAT --to-destination {fixed}");
    let expected = [format!("missing {}", rule("10.0.2.24")), format!("extra {}", rule("10.0.2.25"))];
    assert_eq!(found, expected);
}

#[test]
fn the_order_within_a_chain_counts_where_nova_has_one() {
    let turned = |chain: &'static str, from: usize, to: usize| {
        after(move |cloud| {
            let rules = &mut cloud.chain("compute1", "filter", chain).rules;
            let rule = rules.remove(from);
            rules.insert(to, rule);
        })
    };
    let last = "-A nova-compute-inst-1 -j nova-compute-sg-fallback";
    assert_eq!(turned("nova-compute-inst-1", 7, 4), [format!("out of order {last}")]);
    assert_eq!(turned("FORWARD", 0, 3), ["out of order -A FORWARD -j nova-filter-top"]);
    // Groups, bridges and processes have none.
    assert_eq!(turned("nova-compute-inst-1", 5, 6), NONE);
    assert_eq!(turned("nova-network-FORWARD", 0, 1), NONE);
    assert_eq!(turned("FORWARD", 1, 3), NONE);
}

#[test]
fn groups_are_judged_where_the_database_tells_them() {
    let icmp = "-A nova-compute-inst-2 -p icmp -j ACCEPT";
    let widened = |cloud: &mut Cloud| {
        let groups = &mut cloud.intent.instances[1].security_groups;
        groups[0].rules.retain(|rule| rule.protocol.as_deref() != Some("icmp"));
    };
    assert_eq!(after(widened), [format!("extra {icmp}")]);
    let unknown = |cloud: &mut Cloud| {
        cloud.intent.instances[1].security_groups.clear();
        remove(cloud, "filter", "nova-compute-inst-2", "-p icmp");
    };
    assert_eq!(after(unknown), NONE);
}

#[test]
fn members_of_a_source_group_are_not_judged_and_its_ports_are() {
    let of_group =
        |cloud: &mut Cloud| remove(cloud, "filter", "nova-compute-inst-1", "-s 192.168.100.4/32 -p tcp");
    assert_eq!(after_in_queens(of_group), NONE);
    let without = |cloud: &mut Cloud| {
        let rules = cloud.intent.instances[0].security_groups.iter_mut().flat_map(|g| &mut g.rules);
        rules
            .filter(|rule| rule.group.is_some())
            .for_each(|rule: &mut SecurityGroupRule| rule.to_port = Some(8011));
    };
    assert_eq!(after_in_queens(without).len(), 2);
}

#[test]
fn a_chain_of_an_instance_that_is_gone_is_extra_and_of_one_that_moves_is_not() {
    let gone = |cloud: &mut Cloud| cloud.intent.instances.truncate(1);
    assert_eq!(
        after(gone),
        [
            "extra -A nova-compute-local -d 10.0.2.25/32 -j nova-compute-inst-2",
            "extra :nova-compute-inst-2 - [0:0]",
        ]
    );
    let moving = |cloud: &mut Cloud| "compute2".clone_into(&mut cloud.intent.instances[1].host);
    assert_eq!(after(moving), NONE);
}

#[test]
fn an_instance_that_does_not_run_may_have_no_rules() {
    let stopped = |cloud: &mut Cloud| {
        cloud.intent.instances[1].vm_state = Some("stopped".to_owned());
        remove(cloud, "filter", "nova-compute-local", "10.0.2.25");
    };
    assert_eq!(after(stopped), NONE);
}

#[test]
fn options_decide_what_is_called_for() {
    let same = |cloud: &mut Cloud| set(cloud, "allow_same_net_traffic", "False");
    assert_eq!(after(same).len(), 2);
    let dmz = |cloud: &mut Cloud| set(cloud, "dmz_cidr", "10.9.0.0/16");
    let rule = "-A nova-network-POSTROUTING -s 10.0.0.0/16 -d 10.9.0.0/16 -j ACCEPT";
    assert_eq!(after(dmz), [format!("missing {rule}")]);
    let named = |cloud: &mut Cloud| set(cloud, "forward_bridge_interface", "eth0");
    assert_eq!(after(named).len(), 3);
    let flat = |cloud: &mut Cloud| {
        set(cloud, "network_manager", "nova.network.manager.FlatManager");
        remove(cloud, "filter", "nova-compute-inst-1", "--dport 68");
    };
    assert_eq!(after(flat), NONE);
    let local = |cloud: &mut Cloud| set(cloud, "metadata_host", "127.0.0.1");
    let found = after(local);
    let redirect = "missing -A nova-network-PREROUTING -d 169.254.169.254/32 -p tcp -m tcp --dport 80 \
                    -j REDIRECT --to-ports 8775";
    assert!(found.iter().any(|line| line == redirect), "{found:#?}");
}

#[test]
fn a_second_link_and_vpn_rules_are_not_judged() {
    let second = |cloud: &mut Cloud| {
        for chain in ["nova-network-snat", "nova-network-float-snat"] {
            let rules = &mut cloud.chain("compute1", "nat", chain).rules;
            let mut rule = rules.last().unwrap().clone();
            let out = rule.matches.iter_mut().find(|m| matches!(m.test, model::netfilter::Test::Out(_)));
            out.unwrap().test = model::netfilter::Test::Out("eth2".to_owned());
            rules.push(rule);
        }
    };
    assert_eq!(after(second), NONE);
    let vpn = |cloud: &mut Cloud| {
        let line = Line {
            destination: Some("10.0.0.2/32".parse().unwrap()),
            protocol: Some(17),
            ports: Some((1194, 1194)),
            ..always(Then::Accept)
        };
        let rule = line.rule("nova-network-FORWARD");
        cloud.chain("compute1", "filter", "nova-network-FORWARD").rules.push(rule);
    };
    assert_eq!(after(vpn), NONE);
}

#[test]
fn a_floating_address_of_the_database_is_not_given_to_another_instance() {
    let stolen = |cloud: &mut Cloud| cloud.intent.instances[0].vifs[0].floating.clear();
    let found = after(stolen);
    assert_eq!(found.len(), 5, "{found:#?}");
    // Whose it is, is not known: nova-network writes rules for rows that hang on a deleted instance.
    let ghost = |cloud: &mut Cloud| {
        cloud.intent.instances.remove(0);
    };
    let found = after(ghost);
    assert!(found.iter().all(|line| !line.contains("203.0.113.30")), "{found:#?}");
}

#[test]
fn a_repaired_chain_shows_none_any_more() {
    let mut cloud = healthy();
    remove(&mut cloud, "filter", "nova-compute-inst-1", "--state INVALID");
    remove(&mut cloud, "filter", "FORWARD", "nova-filter-top");
    let rule = drops("-A FORWARD -s 1.2.3.4/32 -j DROP", vec![from("1.2.3.4/32")]);
    cloud.chain("compute1", "filter", "FORWARD").rules.insert(0, rule);
    let snapshot = cloud.snapshot.clone();
    let ns = snapshot.main_netns("compute1").unwrap();
    let drifts = of(snapshot.host("compute1").unwrap(), ns, &cloud.intent);
    assert_eq!(drifts.len(), 2);
    for drift in drifts {
        cloud.chain("compute1", drift.table, &drift.chain).rules = drift.repaired;
    }
    assert_eq!(drift(&cloud, "compute1"), NONE);
    // nova writes its calls above what others put there.
    let forward = cloud.chain("compute1", "filter", "FORWARD");
    assert_eq!(forward.rules.first().unwrap().text, "-A FORWARD -j nova-filter-top");
    assert_eq!(forward.rules.last().unwrap().text, "-A FORWARD -s 1.2.3.4/32 -j DROP");
}
