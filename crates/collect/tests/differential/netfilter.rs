//! Netfilter: that every table which somebody made is in the ruleset once, by the right tool, and
//! that reading makes none.

use std::collections::BTreeSet;

use model::Netns;
use model::netfilter::{Dialect, Family, Table};

use crate::scratch::Scratch;

fn table(netns: &Netns, dialect: Dialect, family: Family, name: &str) -> Table {
    let tables = || netns.ruleset.tables.iter();
    let all: Vec<_> = tables().map(|t| (t.dialect, t.family, t.name.clone())).collect();
    let of_name = tables().filter(|t| t.family == family && t.name == name && t.dialect == dialect);
    let found: Vec<&Table> = of_name.collect();
    assert_eq!(found.len(), 1, "{dialect:?} {family:?} {name} among {all:?}");
    found[0].clone()
}

fn rules(table: &Table, chain: &str) -> Vec<String> {
    table.chain(chain).expect("the chain").rules.iter().map(|rule| rule.text.clone()).collect()
}

#[test]
fn a_namespace_without_tables_has_none_afterwards_either() {
    let scratch = Scratch::new("nf");
    assert_eq!(scratch.read().ruleset.tables, []);
    assert_eq!(scratch.text("nft list tables"), "");
    for names in ["ip_tables_names", "ip6_tables_names"] {
        assert_eq!(scratch.text(&format!("cat /proc/net/{names}")), "", "{names}");
    }
}

#[test]
fn every_back_end_is_read_by_its_own_tool() {
    let scratch = Scratch::new("nf");
    scratch
        .run("iptables-legacy -A FORWARD -s 10.0.0.1 -j DROP")
        .run("iptables-nft -A FORWARD -s 10.0.0.2 -j DROP")
        .run("iptables-nft -t nat -A POSTROUTING -s 10.0.0.3 -j MASQUERADE")
        .run("ip6tables-nft -A FORWARD -s 2001:db8::4 -j DROP")
        .run("ebtables-nft -A FORWARD -s 02:00:00:00:00:05 -j DROP")
        .run("nft add table inet ours")
        .run("nft add chain inet ours mine { type filter hook forward priority 7 ; }")
        .run("nft add rule inet ours mine ip saddr 10.0.0.6 drop");
    let netns = scratch.read();
    for (dialect, family, name, chain) in [
        (Dialect::IptablesLegacy, Family::Ip, "filter", "FORWARD"),
        (Dialect::IptablesNft, Family::Ip, "filter", "FORWARD"),
        (Dialect::IptablesNft, Family::Ip, "nat", "POSTROUTING"),
        (Dialect::IptablesNft, Family::Ip6, "filter", "FORWARD"),
        (Dialect::EbtablesNft, Family::Bridge, "filter", "FORWARD"),
        (Dialect::Nft, Family::Inet, "ours", "mine"),
    ] {
        let table = table(&netns, dialect, family, name);
        assert_eq!(rules(&table, chain).len(), 1, "{dialect:?} {family:?} {name}");
    }
    let distinct: BTreeSet<_> =
        netns.ruleset.tables.iter().map(|t| (t.dialect, t.family, t.name.clone())).collect();
    assert_eq!(distinct.len(), netns.ruleset.tables.len(), "no table twice");
}

#[test]
fn counters_are_read() {
    let scratch = Scratch::new("nf");
    scratch.ip("link set lo up").run("iptables-nft -A OUTPUT -d 127.0.0.9 -p icmp -j ACCEPT");
    scratch.run("ping -c 2 -i 0.2 -q 127.0.0.9");
    let table = table(&scratch.read(), Dialect::IptablesNft, Family::Ip, "filter");
    let counters = table.chain("OUTPUT").unwrap().rules[0].counters.expect("a dump with counters");
    assert_eq!(counters.packets, 2);
}

#[test]
fn arptables_rules_are_not_lost() {
    let scratch = Scratch::new("nf");
    scratch.run("arptables-nft -A INPUT -s 10.0.0.7 -j DROP");
    let netns = scratch.read();
    let arp: Vec<&Table> = netns.ruleset.tables.iter().filter(|t| t.family == Family::Arp).collect();
    assert_eq!(arp.len(), 1, "{:?}", netns.ruleset);
    assert!(arp[0].chains.iter().any(|chain| !chain.rules.is_empty()), "{arp:?}");
}

#[test]
fn a_table_that_iptables_cannot_show_is_shown_by_nft() {
    for family in ["ip", "ip6"] {
        let scratch = Scratch::new("nf");
        scratch
            .run(&format!("nft add table {family} filter"))
            .run(&format!(
                "nft add chain {family} filter FORWARD {{ type filter hook forward priority 0 ; }}"
            ))
            .run(&format!("nft add rule {family} filter FORWARD ct state established drop"));
        let netns = scratch.read();
        let family = if family == "ip" { Family::Ip } else { Family::Ip6 };
        let table = table(&netns, Dialect::Nft, family, "filter");
        assert_eq!(rules(&table, "FORWARD").len(), 1, "{table:?}");
    }
}

#[test]
fn a_table_that_ip_cannot_show_does_not_cost_ip6_its_own() {
    let scratch = Scratch::new("nf");
    scratch
        .run("nft add table ip filter")
        .run("nft add chain ip filter FORWARD { type filter hook forward priority 0 ; }")
        .run("nft add rule ip filter FORWARD ct state established drop")
        .run("ip6tables-nft -A FORWARD -s 2001:db8::4 -j DROP");
    let netns = scratch.read();
    table(&netns, Dialect::Nft, Family::Ip, "filter");
    table(&netns, Dialect::IptablesNft, Family::Ip6, "filter");
    assert_eq!(netns.ruleset.tables.len(), 2, "none twice");
}
