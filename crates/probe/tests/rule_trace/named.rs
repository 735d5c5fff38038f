//! Every back end's rules, each exactly, in the order met, printed as its owner prints it.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

use model::netfilter::{Dialect, RejectWith};
use probe::rule_trace::{self, Flow, Identity, RuleMet, Traced, Why};
use sys::netns::{self, NetnsFd};

use crate::wires::{PATIENCE, Wires, addresses, lines, text_in};

const ID: u16 = 0x4a11;
/// Enough for what is dropped not to come.
const SILENCE: Duration = Duration::from_millis(200);

/// The rule that the owner's save command prints as the n-th of its chain must be the one named.
fn agree_with(wires: &Wires, save: &str, met: &[RuleMet]) {
    let printed = text_in(&wires.r, &[save]);
    for rule in met.iter().map(|met| met.rule.as_ref().unwrap()).filter(|rule| rule.number > 0) {
        let table = printed.split('*').find(|part| part.starts_with(&format!("{}\n", rule.table))).unwrap();
        let of_chain = format!("-A {} ", rule.chain());
        let lines: Vec<&str> = table.lines().filter(|line| line.starts_with(&of_chain)).collect();
        let line = lines.get(rule.number as usize - 1).copied();
        // The policy of ebtables' user chains is a rule that its save command does not print.
        let hidden = format!("(policy of {})", rule.chain());
        assert_eq!(line.unwrap_or(&hidden), rule.text, "{save}");
    }
}

#[test]
fn iptables_nested_chains_gotos_and_nat() {
    let wires = Wires::routed();
    let rules = "*raw
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A PREROUTING -p icmp -m comment --comment \"what comes\"
COMMIT
*nat
:POSTROUTING ACCEPT [0:0]
-A POSTROUTING -s 198.51.100.0/24 -j MASQUERADE
-A POSTROUTING -s 192.0.2.0/25 -o vb -j SNAT --to-source 192.0.2.129
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:top -
:local -
:inst-1 -
:inst-2 -
-A FORWARD -s 198.51.100.0/24 -j DROP
-A FORWARD -j top
-A FORWARD -i vb -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A top -j local
-A top -i va -j ACCEPT
-A local -d 192.0.2.131/32 -j inst-1
-A local -d 192.0.2.130/32 -g inst-2
-A local -j DROP -i va
-A inst-1 -j ACCEPT
-A inst-2 -p tcp -j ACCEPT
-A inst-2 -p icmp -m mark --mark 0x0 -j MARK --set-xmark 0x7/0xffffffff
-A inst-2 -j RETURN
COMMIT
";
    wires.load(&["iptables-nft-restore"], rules);
    let replies = Flow { destination: None, ..wires.request(ID).reply() };
    let trace = wires.trace(&[wires.request(ID), replies]);
    wires.ping_through(ID);
    let met = wires.named(&trace.finish().unwrap());
    let expected = [
        "raw PREROUTING #1: -A PREROUTING -p icmp -m comment --comment \"what comes\" => continue",
        "raw PREROUTING #0: :PREROUTING ACCEPT => accept",
        "filter FORWARD #2: -A FORWARD -j top => jump top",
        "filter FORWARD → top #1: -A top -j local => jump local",
        "filter FORWARD → top → local #2: -A local -d 192.0.2.130/32 -g inst-2 => goto inst-2",
        "filter FORWARD → top → local → inst-2 #2: -A inst-2 -p icmp -m mark --mark 0x0 \
         -j MARK --set-xmark 0x7/0xffffffff => continue",
        "filter FORWARD → top → local → inst-2 #3: -A inst-2 -j RETURN => return",
        "filter FORWARD → top #2: -A top -i va -j ACCEPT => accept",
        "nat POSTROUTING #2: -A POSTROUTING -s 192.0.2.0/25 -o vb -j SNAT --to-source 192.0.2.129 => accept",
        "raw PREROUTING #1: -A PREROUTING -p icmp -m comment --comment \"what comes\" => continue",
        "raw PREROUTING #0: :PREROUTING ACCEPT => accept",
        "filter FORWARD #2: -A FORWARD -j top => jump top",
        "filter FORWARD → top #1: -A top -j local => jump local",
        "filter FORWARD #3: -A FORWARD -i vb -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT => accept",
    ];
    assert_eq!(lines(&met), expected);
    agree_with(&wires, "iptables-nft-save", &met);
    assert!(met.iter().all(|met| met.rule.as_ref().unwrap().dialect == Dialect::IptablesNft));
    let (a, b, r) = (IpAddr::V4(wires.a_ip), IpAddr::V4(wires.b_ip), IpAddr::from([192, 0, 2, 129]));
    assert_eq!((addresses(&met[0]), addresses(&met[9])), ((a, b), (b, r)), "as they come");
    assert_eq!(addresses(&met[11]), (b, a), "the reply, translated back");
    assert_eq!(
        met.iter().map(|met| met.mark).collect::<Vec<_>>(),
        [0, 0, 0, 0, 0, 7, 7, 7, 7, 0, 0, 0, 0, 0]
    );
    // va is made before vb, after lo.
    let (va, vb) = (met[0].iif, met[2].oif);
    assert!(va < vb && va.is_some() && met[0].oif.is_none() && met[9].iif == vb, "{va:?} {vb:?}");
}

#[test]
fn a_policy_that_drops() {
    let wires = Wires::routed();
    wires.load(
        &["iptables-nft-restore"],
        "*filter\n:FORWARD DROP [0:0]\n-A FORWARD -p tcp -j ACCEPT\nCOMMIT\n",
    );
    let trace = wires.trace(&[wires.request(ID)]);
    assert_eq!(wires.ping(ID, SILENCE).replies, []);
    let met = wires.named(&trace.finish().unwrap());
    assert_eq!(lines(&met), ["filter FORWARD #0: :FORWARD DROP => drop"]);
}

#[test]
fn a_rule_that_rejects() {
    let wires = Wires::routed();
    let reject = "-A FORWARD -p icmp -j REJECT --reject-with icmp-host-prohibited";
    wires.load(&["iptables-nft-restore"], &format!("*filter\n:FORWARD ACCEPT [0:0]\n{reject}\nCOMMIT\n"));
    let trace = wires.trace(&[wires.request(ID), wires.request(ID).reply()]);
    assert!(wires.ping(ID, PATIENCE).error.is_some());
    let met = wires.named(&trace.finish().unwrap());
    assert_eq!(lines(&met), [format!("filter FORWARD #1: {reject} => drop")]);
    assert_eq!(met[0].rule.as_ref().unwrap().rejects_with, Some(RejectWith::Icmp(10)));
}

#[test]
fn native_tables_with_verdict_maps_and_sets() {
    let wires = Wires::routed();
    let rules = "table inet corp {
  set bad { type ipv4_addr; flags interval; elements = { 192.0.2.128/30 } }
  map ways { type ifname : verdict; elements = { \"va\" : jump from-a, \"vb\" : goto from-b } }
  chain early { type filter hook prerouting priority -2000; ip protocol icmp counter; }
  chain first {
    type filter hook forward priority -10; policy accept;
    ip daddr 198.51.100.1 drop
    iifname vmap @ways
    counter
  }
  chain from-a {
    icmp type { echo-request, echo-reply } counter comment \"counted\"
    meta l4proto vmap { tcp : accept, icmp : jump deeper }
  }
  chain deeper { return; }
  chain from-b { ip saddr @bad counter; }
  chain second {
    type filter hook forward priority 10; policy drop;
    ip saddr . ip daddr { 192.0.2.2 . 192.0.2.130 } accept
  }
}
";
    wires.load(&["nft", "-f", "-"], rules);
    let trace = wires.trace(&[wires.request(ID), wires.request(ID).reply()]);
    assert_eq!(wires.ping(ID, SILENCE).replies, []);
    let met = wires.named(&trace.finish().unwrap());
    let early = "corp early #1: ip protocol icmp counter => continue";
    let end_of_early = "corp early #0: :early ACCEPT => accept";
    let expected = [
        early,
        end_of_early,
        "corp first #2: iifname vmap @ways => jump from-a",
        "corp first → from-a #1: icmp type { echo-reply, echo-request } counter comment \"counted\" => continue",
        "corp first → from-a #2: meta l4proto vmap { icmp : jump deeper, tcp : accept } => jump deeper",
        "corp first → from-a → deeper #1: return => return",
        "corp first #3: counter => continue",
        "corp first #0: :first ACCEPT => accept",
        "corp second #1: ip saddr . ip daddr { 192.0.2.2 . 192.0.2.130 } accept => accept",
        early,
        end_of_early,
        "corp first #2: iifname vmap @ways => goto from-b",
        "corp first → from-b #1: ip saddr @bad counter => continue",
        "corp first #0: :first ACCEPT => accept",
        "corp second #0: :second DROP => drop",
    ];
    let printed = text_in(&wires.r, &["nft", "-s", "-a", "list", "ruleset"]);
    for rule in met.iter().map(|met| met.rule.as_ref().unwrap()).filter(|rule| rule.number > 0) {
        let line = format!("{} # handle {}", rule.text, rule.handle.unwrap());
        assert!(printed.lines().any(|printed| printed.trim() == line), "{line} in {printed}");
    }
    assert_eq!(lines(&met), expected);
}

#[test]
fn ebtables_on_a_bridge_with_the_hidden_policy_of_a_user_chain() {
    let wires = Wires::bridged();
    for argv in [
        &["-t", "nat", "-A", "PREROUTING", "-i", "va", "-j", "CONTINUE"][..],
        &["-N", "guests", "-P", "RETURN"],
        &["-N", "closed", "-P", "ACCEPT"],
        &["-A", "guests", "-p", "ARP", "-j", "ACCEPT"],
        &["-A", "guests", "-p", "IPv4", "-i", "va", "-j", "closed"],
        &["-A", "closed", "-p", "IPv4", "--ip-proto", "tcp", "-j", "DROP"],
        &["-A", "FORWARD", "-p", "IPv6", "-j", "DROP"],
        &["-A", "FORWARD", "-j", "guests"],
    ] {
        text_in(&wires.r, &[&["ebtables-nft"], argv].concat());
    }
    let trace = wires.trace(&[wires.request(ID), wires.request(ID).reply()]);
    wires.ping_through(ID);
    let met = wires.named(&trace.finish().unwrap());
    let expected = [
        "nat PREROUTING #1: -A PREROUTING -i va -j CONTINUE => continue",
        "nat PREROUTING #0: :PREROUTING ACCEPT => accept",
        "filter FORWARD #2: -A FORWARD -j guests => jump guests",
        "filter FORWARD → guests #2: -A guests -p IPv4 -i va -j closed => jump closed",
        "filter FORWARD → guests → closed #2: (policy of closed) => accept",
        "nat PREROUTING #0: :PREROUTING ACCEPT => accept",
        "filter FORWARD #2: -A FORWARD -j guests => jump guests",
        "filter FORWARD #0: :FORWARD ACCEPT => accept",
    ];
    assert_eq!(lines(&met), expected);
    agree_with(&wires, "ebtables-nft-save", &met);
}

/// `bridge-nf-call-iptables`: a bridged frame goes through ebtables and through iptables, in the kernel's
/// order (`br_netfilter_hooks.c`; ebtables' filter at -200, the detour at 0).
#[test]
fn a_bridged_frame_that_iptables_sees_too() {
    let wires = Wires::bridged();
    text_in(&wires.r, &["sh", "-c", "echo 1 > /proc/sys/net/bridge/bridge-nf-call-iptables"]);
    text_in(&wires.r, &["ebtables-nft", "-A", "FORWARD", "-p", "IPv4", "-j", "CONTINUE"]);
    let rules = "*filter\n:FORWARD DROP [0:0]\n:guests -\n\
                 -A FORWARD -m physdev --physdev-in va --physdev-is-bridged -j guests\n\
                 -A guests -m physdev --physdev-out vb --physdev-is-bridged -j ACCEPT\nCOMMIT\n\
                 *raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -i br0 -j RETURN\nCOMMIT\n";
    wires.load(&["iptables-nft-restore"], rules);
    let trace = wires.trace(&[wires.request(ID), wires.request(ID).reply()]);
    assert_eq!(wires.ping(ID, SILENCE).replies, []);
    let met = wires.named(&trace.finish().unwrap());
    let expected = [
        "raw PREROUTING #1: -A PREROUTING -i br0 -j RETURN => return",
        "raw PREROUTING #0: :PREROUTING ACCEPT => accept",
        "filter FORWARD #1: -A FORWARD -p IPv4 -j CONTINUE => continue",
        "filter FORWARD #0: :FORWARD ACCEPT => accept",
        "filter FORWARD #1: -A FORWARD -m physdev --physdev-in va --physdev-is-bridged -j guests => jump guests",
        "filter FORWARD → guests #1: -A guests -m physdev --physdev-out vb --physdev-is-bridged -j ACCEPT => accept",
        "raw PREROUTING #1: -A PREROUTING -i br0 -j RETURN => return",
        "raw PREROUTING #0: :PREROUTING ACCEPT => accept",
        "filter FORWARD #1: -A FORWARD -p IPv4 -j CONTINUE => continue",
        "filter FORWARD #0: :FORWARD ACCEPT => accept",
        "filter FORWARD #0: :FORWARD DROP => drop",
    ];
    assert_eq!(lines(&met), expected);
}

/// A frame whose destination the bridge has not learned is copied to every port; copies have ids of their
/// own, which our table never tells.
#[test]
fn a_flooded_frame_is_followed_to_every_port() {
    let wires = Wires::bridged();
    for argv in [
        &["ip", "link", "add", "vc", "type", "veth", "peer", "name", "end"][..],
        &["ip", "link", "set", "end", "up"],
        &["ip", "link", "set", "vc", "master", "br0", "up"],
        &["ip", "link", "set", "vb", "type", "bridge_slave", "learning", "off"],
        &["ip", "link", "set", "vb", "type", "bridge_slave", "fdb_flush"],
        &["ebtables-nft", "-A", "FORWARD", "-o", "vb", "-j", "ACCEPT"],
        &["ebtables-nft", "-A", "FORWARD", "-o", "vc", "-j", "DROP"],
    ] {
        text_in(&wires.r, argv);
    }
    let deadline = Instant::now() + PATIENCE;
    while !text_in(&wires.r, &["bridge", "link", "show", "dev", "vc"]).contains("state forwarding") {
        assert!(Instant::now() < deadline, "port vc never forwards");
    }
    let trace = wires.trace(&[wires.request(ID)]);
    wires.ping_through(ID);
    let met = wires.named(&trace.finish().unwrap());
    let mut lines = lines(&met);
    lines.sort();
    let expected = [
        "filter FORWARD #1: -A FORWARD -o vb -j ACCEPT => accept",
        "filter FORWARD #2: -A FORWARD -o vc -j DROP => drop",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn own_packets_of_the_namespace_and_ports() {
    let wires = Wires::routed();
    let rules = "*filter\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -p udp -m udp --dport 4789 -j DROP\n\
                 -A OUTPUT -p udp -m udp --dport 4790 -j ACCEPT\nCOMMIT\n";
    wires.load(&["iptables-nft-restore"], rules);
    let to = Some(IpAddr::V4(wires.b_ip));
    let flow = Flow { source: None, destination: to, identity: Identity::Udp(None, Some(4790)) };
    let trace = wires.trace(&[flow]);
    netns::within(&NetnsFd::named(&wires.r).unwrap(), || {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        for port in [4788, 4790, 4791] {
            socket.send_to(b"x", (wires.b_ip, port)).unwrap();
        }
        // Dropped by the first rule, which the socket is told (EPERM).
        assert!(socket.send_to(b"x", (wires.b_ip, 4789)).is_err());
    })
    .unwrap();
    let met = wires.named(&trace.finish().unwrap());
    let expected = ["filter OUTPUT #2: -A OUTPUT -p udp -m udp --dport 4790 -j ACCEPT => accept"];
    assert_eq!(lines(&met), expected);
}

#[test]
fn ipv6_in_both_families() {
    let wires = Wires::bridged();
    for (end, own) in [(&wires.a, "2001:db8::a/64"), (&wires.b, "2001:db8::b/64")] {
        text_in(end, &["ip", "addr", "add", own, "dev", "v", "nodad"]);
    }
    text_in(&wires.r, &["ip", "addr", "add", "2001:db8::1/64", "dev", "br0", "nodad"]);
    wires.load(
        &["nft", "-f", "-"],
        "table bridge t { chain f { type filter hook forward priority 0; ether type ip6 accept; }; }\n\
         table ip6 u { chain i { type filter hook input priority 0; icmpv6 type echo-request accept; }; }\n",
    );
    let (from, id): (IpAddr, u16) = ("2001:db8::a".parse().unwrap(), ID);
    for to in ["2001:db8::b", "2001:db8::1"] {
        let trace = wires.trace(&[Flow::echo(from, to.parse().unwrap(), id)]);
        text_in(&wires.a, &["ping", "-c", "1", "-e", &id.to_string(), "-W", "10", to]);
        let met = wires.named(&trace.finish().unwrap());
        let expected = match to {
            "2001:db8::b" => "t f #1: ether type ip6 accept => accept",
            _ => "u i #1: icmpv6 type echo-request accept => accept",
        };
        assert_eq!(lines(&met), [expected]);
        assert_eq!(addresses(&met[0]), (from, to.parse().unwrap()));
    }
}

/// The kernel tells them by the namespace's logger alone, which a trace leaves as it is.
#[test]
fn legacy_rules_are_not_told_but_counted() {
    let wires = Wires::routed();
    wires.load(
        &["iptables-legacy-restore"],
        "*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -p icmp -j ACCEPT\nCOMMIT\n",
    );
    let logger = || text_in(&wires.r, &["cat", "/proc/net/netfilter/nf_log"]);
    let before = logger();
    let trace = wires.trace(&[wires.request(ID), wires.request(ID).reply()]);
    wires.ping_through(ID);
    assert_eq!(trace.finish().unwrap(), Traced::default());
    assert_eq!(logger(), before);
    let counted = text_in(&wires.r, &["iptables-legacy-save", "-c"]);
    assert!(counted.contains("[2:168] -A FORWARD -p icmp -j ACCEPT"), "{counted}");
}

/// A rule before the one that is met was added, and what now stands at its number says the same.
#[test]
fn rules_that_were_changed_are_not_guessed() {
    let wires = Wires::routed();
    let run = |words: &str| {
        text_in(&wires.r, &words.split(' ').collect::<Vec<_>>());
    };
    run("iptables-nft -A FORWARD -p icmp -j ACCEPT");
    run("iptables-nft -A FORWARD -p tcp -j ACCEPT");
    let read = wires.ruleset();
    run("iptables-nft -I FORWARD -s 198.51.100.1 -j DROP");
    let trace = wires.trace(&[wires.request(ID)]);
    wires.ping_through(ID);
    let traced = trace.finish().unwrap();
    let met = rule_trace::met(&traced.events, &read, &traced.handles);
    let unnamed = met[0].rule.as_ref().unwrap_err();
    assert_eq!(unnamed.why, Why::Changed, "{unnamed}");
    assert!(unnamed.to_string().starts_with("rule of handle "), "{unnamed}");
    assert!(unnamed.to_string().contains(" in ip filter FORWARD: the rules were changed"), "{unnamed}");
}
