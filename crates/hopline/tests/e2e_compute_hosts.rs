//! The usual site, of compute hosts alone: what somebody changed on a host is named without anybody outside who could
//! be asked, and the printed fix mends it. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli_support;
mod support;

use support::closed::Closed;
use support::report::list;
use support::typed;

/// What is typed on compute1, and what is found then.
const CHANGES: [(&str, &str); 6] = [
    ("iptables -t nat -I POSTROUTING -o eth0 -j MASQUERADE", "foreign-rule-bends compute1//eth0"),
    ("iptables -t nat -I POSTROUTING -s 10.0.0.0/16 -j ACCEPT", "snat-missing compute1//eth0"),
    ("iptables -I FORWARD -p tcp --dport 22 -j DROP", "rule-order-wrong compute1//eth0"),
    (
        "iptables -t nat -I PREROUTING -i br100 -p udp --dport 53 -j DNAT --to 198.51.100.77",
        "foreign-rule-bends compute1//br100",
    ),
    ("iptables -t raw -I PREROUTING -i eth0 -j CT --notrack", "foreign-rule-bends compute1//br100"),
    ("ip link set eth1 mtu 1400", "flatif-mtu-small compute1//eth1"),
];

#[test]
fn what_somebody_changed_is_named_and_its_fix_mends_it() {
    let closed = Closed::without_outside("co");
    for (change, found) in CHANGES {
        closed.on_host(change);
        let report = closed.report(&["diagnose", "web1"]);
        report.assert_finds(&[found], change);
        let fixes = list(&report.json["findings"]).iter().map(|finding| &finding["remedy"][0]["command"]);
        assert_eq!(typed(fixes), Vec::<String>::new(), "{change}");
        // Connections keep the translation that they began with.
        closed.on_host("conntrack -F");
        closed.report(&["diagnose", "web1"]).assert_healthy(change);
    }
}
