//! nova's own handwriting in a ruleset: which chains and rules nova-network and nova-compute write
//! (`nova/network/linux_net.py`, `nova/virt/firewall.py`).

mod compute_rules;
pub(crate) mod line;
mod network_rules;
pub(crate) mod options;
pub(crate) mod plan;
pub(crate) mod shape;

use model::Netns;
use model::netfilter::{Dialect, Family, Table};
use model::path::RuleRef;
use model::snapshot::Host;

/// Chains that nova's processes write: by the process's name, cut to 16 characters.
const PREFIXES: [&str; 6] = [
    "nova-network-",
    "nova-compute-",
    "nova-api-",
    "nova-filter-top",
    "nova-postrouting-bottom",
    "nova-manage-",
];

/// A chain of nova's.
pub(crate) fn is_chain(name: &str) -> bool {
    PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// The shared chain at which every security group ends.
pub(crate) fn is_fallback(chain: &str) -> bool {
    chain.ends_with("-sg-fallback")
}

/// The chain of one instance's security groups: `nova-compute-inst-10`.
pub(crate) fn is_instance_chain(chain: &str) -> bool {
    chain.contains("-inst-")
}

/// Rules that drop and that nova itself writes: the fallback, INVALID, and both directions of a
/// bridge without gateway or with `forward_bridge_interface`.
pub(crate) fn wrote(rule: &RuleRef) -> bool {
    let chain = rule.chain();
    if is_fallback(chain) {
        return rule.text.ends_with("-j DROP");
    }
    if is_instance_chain(chain) {
        return rule.text.contains("--state INVALID") || rule.text.contains("--ctstate INVALID");
    }
    let of_network = chain.starts_with("nova-network-FORWARD");
    let words: Vec<&str> = rule.text.split_whitespace().collect();
    of_network && matches!(words.as_slice(), ["-A", _, "-i" | "-o", _, "-j", "DROP"])
}

/// The IPv4 tables of iptables in a namespace.
pub(crate) fn iptables(ns: &Netns) -> impl Iterator<Item = &Table> {
    ns.ruleset.tables.iter().filter(|t| {
        t.family == Family::Ip && matches!(t.dialect, Dialect::IptablesLegacy | Dialect::IptablesNft)
    })
}

/// Rules that stand in nova's chains of a table, and the number of such chains.
pub(crate) fn weight(table: &Table) -> (usize, usize) {
    let own = || table.chains.iter().filter(|c| is_chain(&c.name));
    (own().count(), own().map(|c| c.rules.len()).sum())
}

/// nova-network manages this host: its configuration says so, or its chains are there.
pub(crate) fn manages(host: &Host, ns: &Netns) -> bool {
    let configured = host
        .nova
        .as_ref()
        .is_some_and(|n| n.get("network_manager").is_some() || n.get("flat_network_bridge").is_some());
    configured || iptables(ns).any(|t| weight(t).0 > 0)
}

/// The link that carries floating addresses and the way out: nova.conf's `public_interface` where
/// that link exists, else the link of the default route, else the one that carries a floating address.
pub(crate) fn uplink<'n>(
    host: &Host,
    ns: &'n Netns,
    floating: &[std::net::Ipv4Addr],
) -> Option<&'n model::link::Link> {
    let configured = host.nova.as_ref().and_then(|n| ns.link_named(n.public_interface()));
    let of_default = || {
        let default = ns.routes.iter().find(|r| {
            r.is_default() && r.destination.addr().is_ipv4() && r.table == model::route::TABLE_MAIN
        })?;
        ns.link(default.nexthops.first()?.link)
    };
    let of_floating = || {
        let carried = ns.addresses.iter().find(|a| floating.iter().any(|f| a.net.addr() == *f))?;
        ns.link(carried.link)
    };
    // Left: a cable with a routed address that is no bridge and no port of one.
    let of_kind = || {
        let routed = |l: &&model::link::Link| {
            l.master.is_none()
                && matches!(
                    l.kind,
                    model::link::LinkKind::Physical
                        | model::link::LinkKind::Veth
                        | model::link::LinkKind::Bond
                )
                && ns.addresses_of(l.index).any(|a| a.net.addr().is_ipv4() && a.scope == "global")
        };
        ns.links.iter().find(routed)
    };
    configured.or_else(of_default).or_else(of_floating).or_else(of_kind)
}
