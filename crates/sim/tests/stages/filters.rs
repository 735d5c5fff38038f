//! Netfilter's verdicts: chains, policies, tables, matches, three values.

use model::netfilter::Dialect;
use model::path::{Direction, Stop};
use sim::Protocol;

use crate::cloud::{Cloud, rule_of, stop_of, unknown};

const SERVER: &str = "198.51.100.10";

/// With these rules in the filter table, what stops g1's ping to the server, if anything.
fn stopped_by(rules: &str) -> Option<String> {
    let mut cloud = Cloud::new();
    cloud.filter(rules);
    let answer = cloud.ping("g1", SERVER);
    let stop = answer.paths.iter().find_map(model::Path::stop).map(|(_, stop)| stop.clone());
    assert_eq!(stop.is_none(), answer.answered, "{answer:#?}");
    stop.map(rule_of)
}

#[test]
fn policy_and_rule_are_told_apart() {
    assert_eq!(stopped_by(":FORWARD DROP").as_deref(), Some("policy of FORWARD"));
    assert_eq!(stopped_by(":FORWARD ACCEPT\n-A FORWARD -j DROP").as_deref(), Some("FORWARD 1"));
    assert_eq!(stopped_by(":FORWARD DROP\n-A FORWARD -j ACCEPT"), None);
    assert_eq!(stopped_by(":FORWARD ACCEPT\n-A FORWARD -j REJECT").as_deref(), Some("FORWARD 1"));
}

#[test]
fn jump_comes_back_goto_does_not_return_goes_one_up() {
    let chains = ":FORWARD ACCEPT\n:a - [0:0]\n:b - [0:0]\n";
    for (rules, expected) in [
        ("-A FORWARD -j a\n-A FORWARD -j DROP\n-A a -j b\n-A b -j RETURN", Some("FORWARD 2")),
        ("-A FORWARD -g a\n-A FORWARD -j DROP\n-A a -j RETURN", None),
        ("-A FORWARD -j a\n-A FORWARD -j DROP\n-A a -g b\n-A a -j ACCEPT\n-A b -j RETURN", Some("FORWARD 2")),
        ("-A FORWARD -j a\n-A a -j b\n-A a -j DROP\n-A b -j RETURN\n-A b -j ACCEPT", Some("FORWARD → a 2")),
        ("-A FORWARD -j a\n-A FORWARD -j DROP\n-A a -j b\n-A b -j ACCEPT", None),
        ("-A FORWARD -j RETURN\n-A FORWARD -j DROP", None),
    ] {
        assert_eq!(stopped_by(&format!("{chains}{rules}")).as_deref(), expected, "{rules}");
    }
}

#[test]
fn accept_ends_its_own_base_chain_only() {
    let mut cloud = Cloud::new();
    cloud.filter(":FORWARD ACCEPT\n-A FORWARD -j ACCEPT");
    cloud.iptables(Dialect::IptablesLegacy, "*filter\n:FORWARD ACCEPT\n-A FORWARD -j DROP\nCOMMIT\n");
    match cloud.stop("g1", SERVER) {
        Stop::Rule(rule) => assert_eq!(rule.dialect, Dialect::IptablesLegacy),
        other => panic!("{other:?}"),
    }
}

#[test]
fn tables_run_by_priority() {
    let mut cloud = Cloud::new();
    cloud.filter(":FORWARD ACCEPT\n-A FORWARD -j DROP");
    cloud.iptables(Dialect::IptablesNft, "*mangle\n:FORWARD ACCEPT\n-A FORWARD -j DROP\nCOMMIT\n");
    match cloud.stop("g1", SERVER) {
        Stop::Rule(rule) => assert_eq!(rule.table, "mangle"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn matches_and_their_negations() {
    for (matches, holds) in [
        ("-i br1 -o up0", true),
        ("-i br+", true),
        ("! -i br+", false),
        ("-i b+ ! -o br1", true),
        ("-s 10.0.0.0/24 ! -d 10.0.0.0/8", true),
        ("-p icmp -m icmp --icmp-type 8", true),
        ("-p icmp -m icmp --icmp-type 0 -s 10.0.0.11/32", false),
        ("-p tcp -m tcp ! --dport 80", false),
        ("-m iprange --src-range 10.0.0.11-10.0.0.11", true),
        ("-m mac --mac-source fa:16:3e:00:00:11", true),
        ("-m mac ! --mac-source fa:16:3e:00:00:11 -s 10.0.0.11/32", false),
        ("-m addrtype --dst-type LOCAL", false),
        ("-m addrtype ! --dst-type LOCAL", true),
        ("-m physdev --physdev-is-in", false),
        ("-m physdev ! --physdev-is-in", true),
        ("-m conntrack --ctstate NEW", true),
        ("-m conntrack --ctstate INVALID", false),
        ("-m comment --comment x", true),
        ("-m dscp --dscp 0x00", true),
        ("-m ttl --ttl-lt 64", true),
        ("-m ttl --ttl-gt 63", false),
        ("-m length --length 84", true),
        ("-m length ! --length 0:128", false),
        ("-m conntrack --ctproto 1", true),
        ("-m conntrack ! --ctproto 1", false),
        ("-m conntrack --ctorigsrc 10.0.0.0/24 --ctdir ORIGINAL", true),
        ("-m conntrack --ctstatus SEEN_REPLY", false),
        ("-m connmark --mark 0x0", true),
        ("-m rpfilter --invert", false),
    ] {
        let mut cloud = Cloud::new();
        cloud.filter(&format!(":FORWARD ACCEPT\n-A FORWARD {matches} -j DROP"));
        let dropped = cloud.ping("g1", SERVER).received_by.is_none();
        assert_eq!(dropped, holds, "{matches}");
    }
}

#[test]
fn what_cannot_be_told_matters_only_where_fates_differ() {
    let unmodelled = "-m recent --rcheck --name x";
    let same = format!(":FORWARD ACCEPT\n-A FORWARD {unmodelled} -j DROP\n-A FORWARD -j DROP");
    assert_eq!(stopped_by(&same).as_deref(), Some("FORWARD 2"));
    let harmless =
        format!(":FORWARD ACCEPT\n-A FORWARD {unmodelled} -j LOG\n-A FORWARD {unmodelled} -j ACCEPT");
    assert_eq!(stopped_by(&harmless), None);
    for rules in [
        ":FORWARD ACCEPT\n-A FORWARD RECENT -j DROP",
        ":FORWARD ACCEPT\n-A FORWARD RECENT -j RETURN\n-A FORWARD -j DROP",
        ":FORWARD ACCEPT\n:a - [0:0]\n-A FORWARD -j a\n-A a RECENT -j RETURN\n-A a -j DROP",
        ":FORWARD ACCEPT\n:a - [0:0]\n-A FORWARD RECENT -g a\n-A FORWARD -j DROP\n-A a -s 9.9.9.9/32 -j DROP",
    ] {
        let mut cloud = Cloud::new();
        cloud.filter(&rules.replace("RECENT", unmodelled));
        let why = unknown(&cloud.ping("g1", SERVER));
        assert!(why.contains("recent"), "{why}");
    }
}

#[test]
fn connections_that_were_there_before_are_known() {
    let listed = "icmp 1 29 src=10.0.0.11 dst=198.51.100.10 type=8 code=0 id=49152 \
                  src=198.51.100.10 dst=10.0.0.11 type=0 code=0 id=49152 mark=5 zone=ZONE use=2";
    let stopped = |zone: &str| {
        let mut cloud = Cloud::new();
        cloud.ns("h").conntrack = parse::conntrack_list::parse(&listed.replace("ZONE", zone)).value;
        cloud.filter(
            ":FORWARD ACCEPT\n-A FORWARD -m conntrack --ctstate ESTABLISHED -m connmark --mark 0x5 -j DROP",
        );
        !cloud.ping("g1", SERVER).answered
    };
    assert!(stopped("0"));
    assert!(!stopped("3"), "another zone's is another connection");
}

/// What nft's `inet` rules write to is only there in packets of one family, or one protocol.
#[test]
fn what_is_written_to_one_protocol_leaves_the_others_alone() {
    let at = |statement: &str| {
        let mut cloud = Cloud::new();
        let chain = "type filter hook prerouting priority -300; policy accept;";
        cloud.nft(&format!("table inet t {{\nchain c {{\n{chain}\n{statement}\n}}\n}}"));
        cloud
    };
    at("ip6 hoplimit set 1").passes("g1", SERVER);
    assert_eq!(at("ip ttl set 1").stop("g1", SERVER), Stop::TtlExceeded);
    at("ip6 hoplimit set 1 drop").passes("g1", SERVER);
    at("tcp option maxseg size set 1000 drop").passes("g1", SERVER);
    // Which port that is, is not followed; of whom, is.
    let written = at("tcp dport set 81");
    written.passes("g1", SERVER);
    assert!(unknown(&written.ask("g1", SERVER, Protocol::Tcp(80))).contains("tcp dport set 81"));
}

/// As seen on a kernel: nft's `iiftype` is that of the link that the packet is at, and only what routing
/// has seen has a next hop.
#[test]
fn links_have_types_and_routed_packets_a_next_hop() {
    let at = |hook: &str, statement: &str| {
        let mut cloud = Cloud::new();
        let chain = format!("type filter hook {hook} priority 0; policy accept;\n{statement} drop");
        cloud.nft(&format!("table inet t {{\nchain c {{\n{chain}\n}}\n}}"));
        cloud.ping("g1", SERVER).answered
    };
    assert!(!at("forward", "meta iiftype ether"));
    assert!(at("forward", "meta iiftype loopback"));
    assert!(!at("postrouting", "meta iiftype ether"));
    assert!(!at("forward", &format!("rt ip nexthop {SERVER}")));
    assert!(at("forward", &format!("rt ip nexthop != {{ {SERVER}, 10.0.0.11 }}")));
    assert!(at("prerouting", &format!("rt ip nexthop != {SERVER}")));
    let mut cloud = Cloud::new();
    let chain = "type filter hook output priority 0; policy accept;\nmeta iiftype != 5 drop";
    cloud.nft(&format!("table inet t {{\nchain c {{\n{chain}\n}}\n}}"));
    cloud.passes("h", SERVER);
}

#[test]
fn a_code_point_goes_along_with_the_packet() {
    let mangled = |rules: &str| {
        let mut cloud = Cloud::new();
        cloud.iptables(Dialect::IptablesNft, &format!("*mangle\n:PREROUTING ACCEPT\n{rules}\nCOMMIT\n"));
        cloud.filter(":FORWARD ACCEPT\n-A FORWARD -m dscp --dscp 0x0a -j DROP");
        cloud.ping("g1", SERVER)
    };
    let stop = stop_of(&mangled("-A PREROUTING -j DSCP --set-dscp 0x0a"), Direction::Request);
    assert_eq!(rule_of(stop), "FORWARD 1");
    let cleared = "-A PREROUTING -j TOS --set-tos 0x28/0xfc\n-A PREROUTING -j TOS --set-tos 0x00/0x20";
    assert!(mangled(cleared).answered);
}

#[test]
fn a_rule_that_never_matches_is_no_riddle() {
    assert_eq!(stopped_by(":FORWARD ACCEPT\n-A FORWARD -p tcp -m recent --rcheck --name x -j DROP"), None);
}

#[test]
fn replies_are_established_and_strange_answers_invalid() {
    let established = ":FORWARD DROP\n-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
                       -A FORWARD -i br1 -m conntrack --ctstate NEW -j ACCEPT";
    assert_eq!(stopped_by(established), None);
    // The question goes another way, so that the host only sees the answer.
    let mut cloud = Cloud::new();
    cloud.cable(("g1", "eth9", "02:00:00:00:09:01"), ("s", "eth9", "02:00:00:00:09:02"));
    cloud.route("g1", "198.51.100.10/32", None, "eth9").preferred_source = Some("10.0.0.11".parse().unwrap());
    cloud.address("s", "eth9", "192.0.2.2/24");
    cloud.filter(":FORWARD ACCEPT\n-A FORWARD -m conntrack --ctstate INVALID -j DROP");
    for protocol in [Protocol::Icmp, Protocol::Tcp(80)] {
        let answer = cloud.ask("g1", SERVER, protocol);
        assert_eq!(answer.received_by.as_deref(), Some("s"));
        assert_eq!(rule_of(stop_of(&answer, Direction::Reply)), "FORWARD 1");
    }
    assert!(cloud.ask("g1", SERVER, Protocol::Udp(9)).answered, "any datagram opens a connection");
}

#[test]
fn before_tracking_all_is_invalid_and_notrack_is_untracked() {
    let raw = |rules: &str| {
        let mut cloud = Cloud::new();
        let text = format!("*raw\n:PREROUTING ACCEPT\n{rules}\nCOMMIT\n");
        cloud.iptables(Dialect::IptablesLegacy, &text);
        cloud
    };
    let cloud = raw("-A PREROUTING -m conntrack --ctstate INVALID -j DROP");
    assert_eq!(rule_of(cloud.stop("g1", SERVER)), "PREROUTING 1");
    let mut cloud =
        raw("-A PREROUTING -j CT --notrack\n-A PREROUTING -m conntrack --ctstate INVALID -j DROP");
    cloud.passes("g1", SERVER);
    cloud.nat("-A POSTROUTING -j MASQUERADE");
    assert_eq!(
        cloud.ping("g1", SERVER).source_seen,
        Some(crate::cloud::ip("10.0.0.11").into()),
        "no NAT untracked"
    );
    cloud.filter(":FORWARD ACCEPT\n-A FORWARD -m conntrack --ctstate UNTRACKED -j DROP");
    assert_eq!(rule_of(cloud.stop("g1", SERVER)), "FORWARD 1");
}

#[test]
fn what_a_machine_sends_itself_meets_input_on_lo() {
    let mut cloud = Cloud::new();
    cloud.filter(":INPUT ACCEPT\n-A INPUT -i lo -m mac ! --mac-source fa:16:3e:00:00:11 -j DROP");
    cloud.passes("h", "10.0.0.1");
    cloud.filter(":INPUT ACCEPT\n-A INPUT -i lo -j DROP");
    assert_eq!(rule_of(cloud.stop("h", "10.0.0.1")), "INPUT 1");
}

#[test]
fn a_mark_in_outputs_route_chain_reroutes() {
    let mut cloud = Cloud::new();
    cloud.rule("h", 100, model::route::RuleAction::Prohibit).fwmark = Some((1, 1));
    cloud.filter(":OUTPUT ACCEPT\n-A OUTPUT -j MARK --set-xmark 0x1/0x1");
    cloud.passes("h", SERVER);
    cloud.iptables(
        Dialect::IptablesNft,
        "*mangle\n:OUTPUT ACCEPT\n-A OUTPUT -j MARK --set-xmark 0x1/0x1\nCOMMIT\n",
    );
    assert!(matches!(cloud.stop("h", SERVER), Stop::RouteRefuses(_)));
}
