//! Netfilter: that every table which somebody made is in the ruleset once, by the right tool, and
//! that reading makes none.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use model::Netns;
use model::netfilter::{Dialect, Family, Hook, Table};

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
        .run("ip6tables-legacy -A FORWARD -s 2001:db8::3 -j DROP")
        .run("ip6tables-nft -A FORWARD -s 2001:db8::4 -j DROP")
        .run("ebtables-nft -A FORWARD -s 02:00:00:00:00:05 -j DROP")
        .run("nft add table inet ours")
        .run("nft add chain inet ours mine { type filter hook forward priority 7 ; }")
        .run("nft add rule inet ours mine ip saddr 10.0.0.6 drop");
    let netns = scratch.read();
    for (dialect, family, name, chain) in [
        (Dialect::IptablesLegacy, Family::Ip, "filter", "FORWARD"),
        (Dialect::IptablesLegacy, Family::Ip6, "filter", "FORWARD"),
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
fn arptables_rules_are_as_their_tool_shows_them_and_as_the_kernel_has_them() {
    let scratch = Scratch::new("nf");
    scratch
        .run("arptables-nft -A INPUT -s 10.0.0.7 -j DROP")
        .run("arptables-nft -A INPUT --source-mac 02:00:00:00:00:01/ff:ff:00:00:00:00 -j DROP");
    let netns = scratch.read();
    let table = table(&netns, Dialect::ArptablesNft, Family::Arp, "filter");
    assert_eq!(rules(&table, "INPUT"), ["-A INPUT -j DROP -s 10.0.0.7", "-A INPUT -j DROP"]);
    let input = &table.chain("INPUT").expect("the chain").rules;
    assert_eq!((input[0].matches.len(), input[1].matches.len()), (1, 1), "{input:?}");
    assert!(input.iter().all(|rule| rule.handle.is_some() && rule.counters.is_some()), "{input:?}");
    assert_eq!(netns.ruleset.tables.len(), 1, "not once more from nft");
}

#[test]
fn a_native_arp_table_stays_nfts() {
    let scratch = Scratch::new("nf");
    scratch
        .run("nft add table arp filter")
        .run("nft add chain arp filter INPUT { type filter hook input priority 5 ; }")
        .run("nft add rule arp filter INPUT meta mark 5 drop");
    let netns = scratch.read();
    let table = table(&netns, Dialect::Nft, Family::Arp, "filter");
    assert_eq!(rules(&table, "INPUT").len(), 1);
}

/// The tool would ask a name server about the address that a rule writes: whoever reads must not send.
#[test]
fn reading_arptables_asks_no_name_server() {
    let scratch = Scratch::new("rdns");
    scratch
        .run("ip link add r0 type veth peer name r1")
        .run("ip addr add 10.255.255.1/24 dev r0")
        .run("ip link set r0 up")
        .run("ip link set r1 up")
        .run("ip route add default via 10.255.255.2")
        .run("arptables-nft -A OUTPUT -s 10.0.0.0/8 -j mangle --mangle-ip-s 203.0.113.1");
    assert_eq!(
        rules(&table(&scratch.read(), Dialect::ArptablesNft, Family::Arp, "filter"), "OUTPUT"),
        ["-A OUTPUT -j mangle -s 10.0.0.0/8 --mangle-ip-s 203.0.113.1"]
    );
    assert_eq!(scratch.text("ip neigh show dev r0"), "", "nobody was looked for");
}

#[test]
fn legacy_arptables_are_listed() {
    let scratch = Scratch::new("nf");
    scratch.run("arptables-legacy -A FORWARD -d 10.0.0.7 -i eth+ -j DROP");
    let table = table(&scratch.read(), Dialect::ArptablesLegacy, Family::Arp, "filter");
    assert_eq!(rules(&table, "FORWARD"), ["-A FORWARD -j DROP -i eth+ -d 10.0.0.7"]);
    let base = table.chain("FORWARD").and_then(|chain| chain.base.as_ref()).expect("it is built in");
    assert_eq!(base.hook, Hook::Forward);
}

#[test]
fn ipsets_are_read_where_rules_ask_for_them() {
    let scratch = Scratch::new("nf");
    scratch.run("ipset create friends hash:net").run("ipset add friends 10.0.0.0/8");
    scratch.run("ipset add friends 10.1.0.0/16 nomatch").run("ipset create grown hash:ip");
    assert_eq!(scratch.read().ruleset.ipsets, [], "nothing asks for them");
    scratch
        .run("iptables-legacy -A INPUT -m set --match-set friends src -j ACCEPT")
        .run("iptables-legacy -A INPUT -m set --match-set grown src -j DROP")
        .run("iptables-legacy -A INPUT -p tcp -j SET --add-set grown src");
    let ipsets = scratch.read().ruleset.ipsets;
    let names: Vec<_> = ipsets.iter().map(|set| (set.name.as_str(), set.unmodelled.is_some())).collect();
    assert_eq!(names, [("friends", false), ("grown", true)], "what rules add to is not what was dumped");
    assert_eq!(ipsets[0].elements.len(), 2);
    assert_eq!(ipsets[0].elements.iter().filter(|element| element.excluded).count(), 1);
}

#[test]
fn tracked_connections_are_those_that_conntrack_lists() {
    let scratch = Scratch::new("nf");
    scratch
        .ip("link set lo up")
        .ip("addr add 10.66.0.1/24 dev lo")
        .run("iptables-nft -t nat -A OUTPUT -d 10.66.0.9 -j DNAT --to-destination 10.66.0.1")
        .run("iptables-nft -t mangle -A OUTPUT -d 10.66.0.9 -j CONNMARK --set-xmark 5")
        .run("ip6tables-nft -A OUTPUT -m conntrack --ctstate NEW -j ACCEPT")
        .run("ping -c 1 -q 10.66.0.9")
        .run("ping -c 1 -q ::1");
    let netns = scratch.read();
    let listed =
        ["ipv4", "ipv6"].map(|family| scratch.text(&format!("conntrack -L -o extended -f {family}")));
    let listed = parse::conntrack_list::parse(&listed.concat());
    assert_eq!(listed.problems, []);
    let ends = |entries: &[model::conntrack::CtEntry]| {
        let mut ends: Vec<_> = entries
            .iter()
            .map(|e| format!("{} {:?} {:?} {} {}", e.protocol, e.original, e.reply, e.mark, e.unreplied))
            .collect();
        ends.sort();
        ends
    };
    assert_eq!(ends(&netns.conntrack), ends(&listed.value));
    let translated = netns.conntrack.iter().find(|entry| entry.mark == 5).expect("the first ping's");
    assert_eq!(translated.original.destination.to_string(), "10.66.0.9");
    assert_eq!(translated.reply.source.to_string(), "10.66.0.1");
    assert_eq!(netns.conntrack.len(), 2, "{:?}", netns.conntrack);
}

#[test]
fn an_ebtables_table_that_its_tool_cannot_show_is_shown_by_nft() {
    let scratch = Scratch::new("nf");
    scratch
        .run("nft add table bridge filter")
        .run("nft add chain bridge filter FORWARD { type filter hook forward priority -200 ; }")
        .run("nft add rule bridge filter FORWARD ether type vlan vlan id 5 vlan type arp drop");
    let netns = scratch.read();
    assert_eq!(netns.ruleset.tables.len(), 1, "{:?}", netns.ruleset);
    let table = &netns.ruleset.tables[0];
    assert_eq!(rules(table, "FORWARD").len(), 1, "{table:?}");
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

/// JSON of nft 1.0.6 has no devices.
#[test]
fn chains_of_devices_hang_on_theirs() {
    let scratch = Scratch::new("nf");
    scratch
        .ip("link add d0 type veth peer name d1")
        .run("nft add table netdev gate")
        .run("nft add chain netdev gate in { type filter hook ingress device d0 priority 0 ; }")
        .run("nft add chain netdev gate out { type filter hook egress devices = { d0, d1 } priority 5 ; }")
        .run("nft add rule netdev gate in ip ttl 3 drop")
        .run("nft add table inet late")
        .run("nft add chain inet late in { type filter hook ingress device d1 priority -1 ; }");
    let expected = [
        (Family::Netdev, "gate", "in", (Hook::Ingress, 0), vec!["d0"]),
        (Family::Netdev, "gate", "out", (Hook::Egress, 5), vec!["d0", "d1"]),
        (Family::Inet, "late", "in", (Hook::Ingress, -1), vec!["d1"]),
    ];
    let check = || {
        let netns = scratch.read();
        for (family, name, chain, at, devices) in &expected {
            let table = table(&netns, Dialect::Nft, *family, name);
            let base = table.chain(chain).and_then(|chain| chain.base.clone()).expect("a base chain");
            assert_eq!((base.hook, base.priority), *at, "{name} {chain}");
            assert_eq!(base.devices, *devices, "{name} {chain}");
        }
    };
    check();
    // So many that nft is asked for all of them at once.
    for number in 0..8 {
        scratch.run(&format!("nft add table ip more{number}"));
    }
    check();
}

/// An `nft -i` that owns a table for as long as it lives.
struct Owner {
    nft: Child,
}

impl Owner {
    fn new(scratch: &Scratch, table: &str) -> Owner {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &scratch.name, "nft", "-i"]);
        let mut nft = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let stdin = nft.stdin.as_mut().unwrap();
        writeln!(stdin, "add table inet {table} {{ flags owner; }}").unwrap();
        let give_up = Instant::now() + Duration::from_secs(10);
        while !scratch.text("nft list tables").contains(table) {
            assert!(Instant::now() < give_up, "nft never made {table}");
        }
        Owner { nft }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let _ = self.nft.kill();
        let _ = self.nft.wait();
    }
}

/// A table of ours that traces is nobody's rule; what somebody gave such a name is.
#[test]
fn traces_of_our_own_probes_are_left_out() {
    let scratch = Scratch::new("nf");
    scratch.run("nft add table inet hopline_1_2").run("nft add table inet ours");
    let owner = Owner::new(&scratch, "hopline_77_0");
    let names = |netns: &Netns| {
        let mut names: Vec<_> = netns.ruleset.tables.iter().map(|t| t.name.clone()).collect();
        names.sort();
        names
    };
    let listed = scratch.text("nft list tables");
    assert!(listed.contains("hopline_77_0"), "{listed}");
    assert_eq!(names(&scratch.read()), ["hopline_1_2", "ours"]);
    for number in 0..8 {
        scratch.run(&format!("nft add table ip more{number}"));
    }
    let all = names(&scratch.read());
    assert_eq!(all.len(), 10, "{all:?}");
    assert!(!all.contains(&"hopline_77_0".to_owned()), "{all:?}");
    drop(owner);
    assert!(!scratch.text("nft list tables").contains("hopline_77_0"));
}
