//! # rules-flushed
//!
//! The netfilter rules of nova are gone from a host that runs instances.
//!
//! ## What it means
//! Somebody ran `iptables -F` (or restored a ruleset without nova's): no NAT, so nothing reaches the
//! outside and floating IPs are answered by the host itself; no metadata; security groups stand open.
//! Nothing is dropped anywhere, and no counter moves: the fault is an absence.
//!
//! ## How hopline knows
//! nova's chains are there and empty, or nova.conf says that nova-network manages the host and its
//! chains are not there at all.
//!
//! ## What it looks like
//! `iptables-save` lists `:nova-network-...` chains without a single `-A nova-...` line.
//!
//! ## Nearest look-alikes
//! * `float-dnat-missing`, `float-snat-missing`: one rule is missing, the others stand. They are not
//!   reported beside this one.
//!
//! ## Fix
//! Restart nova-network and nova-compute: each writes its own chains again. No undo needed.
//!
//! ## References
//! OpenStack Operations Guide, "Network Troubleshooting" (nova manages iptables); nova
//! `linux_net.py` `IptablesManager`.

use model::Netns;
use model::finding::Confidence;
use model::netfilter::{Dialect, Family, Table};
use model::path::{Direction, Stage};
use model::snapshot::Host;

use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::ladder::Purpose;
use crate::nova;
use crate::restart;
use crate::uplinks;
use crate::view::{Stopped, View};

/// Looks for hosts with instances and without nova's rules.
pub fn check(view: &View) -> Vec<Found> {
    let bare = view.hosts().filter(|(host, ns)| {
        view.vifs().any(|seat| [seat.host, seat.server].iter().any(|of| of.name == host.name))
            && nova::manages(host, ns)
            && is_bare(ns)
            && is_told(ns)
    });
    bare.flat_map(|(host, ns)| {
        stops(view, ns).into_iter().map(|s| finding(view, host, ns, s)).collect::<Vec<_>>()
    })
    .collect()
}

/// What the absence stops: the way of a packet with an address that no answer finds, and a question for metadata that
/// nobody leads on. Of one cause, they are told once.
fn stops<'v>(view: &View<'v>, ns: &Netns) -> Vec<Option<Stopped<'v>>> {
    let of_metadata = |s: &Stopped| s.rung.purpose == Purpose::Metadata;
    let direct = view.stop(|s| s.is_in(ns) && !of_metadata(s)).or_else(|| {
        // Nothing dies on this host: the packet leaves with an address that no answer finds.
        let lost = |s: &Stopped| s.rung.answer.source_seen.is_none() || s.direction == Direction::Reply;
        view.stop(|s| lost(s) && !of_metadata(s))
    });
    let first = direct.or_else(|| view.stops().next());
    let metadata = view.stop(of_metadata).filter(|s| first.is_none_or(|first| first.order != s.order));
    [first].into_iter().chain(metadata.map(Some)).collect()
}

fn finding(view: &View, host: &Host, ns: &Netns, stopped: Option<Stopped>) -> Found {
    let uplink = uplinks::all(view).into_iter().find(|(n, _)| std::ptr::eq(*n, ns));
    let device = uplink.map(|(_, link)| link.name.clone()).unwrap_or_default();
    let dialect = nova::iptables(ns).next().map_or(Dialect::IptablesNft, |t| t.dialect);
    let chains: usize = nova::iptables(ns).map(|t| nova::weight(t).0).sum();
    let source = evidence::within(ns, dialect.save_command(Family::Ip));
    let text = format!("{chains} chains of nova's, and not one rule in the tables that were emptied");
    let fault = Fault {
        code: "rules-flushed",
        hop: at(ns, &device, Stage::Filter),
        summary: format!(
            "nova's rules are gone from {}: no NAT, no floating IPs, no security groups",
            host.name
        ),
        cause: "nova's chains are empty or gone; somebody flushed them, \
                and nova writes them only at its next change or restart"
            .to_owned(),
        confidence: Confidence::Proven,
        evidence: vec![evidence::record(model::finding::EvidenceKind::Rule, source, text)],
        owner: "nova-network",
        remedy: restart::both(view, &host.name, "writes its own chains again"),
        instances: view.instances_on(&host.name),
        stopped,
        mend: Vec::new(),
    };
    fault.found()
}

/// One of filter and nat has lost every rule of nova's. A table that nova never touched does not
/// count: with no chain of nova's in any table, both are bare.
pub(crate) fn is_bare(ns: &Netns) -> bool {
    let weights: Vec<(usize, usize)> =
        nova::iptables(ns).filter(|t| t.name == "filter" || t.name == "nat").map(nova::weight).collect();
    let emptied = weights.iter().any(|(chains, rules)| *chains >= 3 && *rules == 0);
    let absent = weights.iter().all(|(chains, _)| *chains == 0);
    emptied || absent
}

/// Nova's rules were looked for where they would be. What iptables' own tool did not tell, nft lists by the same names.
fn is_told(ns: &Netns) -> bool {
    let listed = |table: &Table| table.family == Family::Ip && nova::weight(table).0 > 0;
    ns.ruleset.unread_of(Family::Ip).is_none()
        && (nova::iptables(ns).any(|t| nova::weight(t).0 > 0) || !ns.ruleset.tables.iter().any(listed))
}

#[cfg(test)]
mod tests {
    use model::netfilter::{Dialect, Family, Unread};

    use crate::fixture::{broken, codes, healthy, lacks};

    #[test]
    fn fires_on_empty_chains() {
        assert_eq!(codes(&broken("rules-flushed").diagnose("web1")), ["rules-flushed compute1//eth0"]);
    }

    #[test]
    fn fires_when_only_the_nat_table_was_flushed() {
        let mut cloud = healthy();
        let tables = cloud.netns("compute1").ruleset.tables.iter_mut().filter(|t| t.name == "nat");
        tables.flat_map(|t| &mut t.chains).for_each(|c| c.rules.clear());
        assert_eq!(codes(&cloud.diagnose("web1")), ["rules-flushed compute1//eth0"]);
    }

    #[test]
    fn fires_when_the_chains_are_gone_too() {
        let mut cloud = healthy();
        cloud.netns("compute1").ruleset.tables.clear();
        assert_eq!(codes(&cloud.diagnose("web1")), ["rules-flushed compute1//eth0"]);
    }

    #[test]
    fn stays_silent_where_the_rules_are_told_by_nft_alone_or_by_nobody() {
        let mut listed = healthy();
        for table in &mut listed.netns("compute1").ruleset.tables {
            table.dialect = Dialect::Nft;
        }
        assert!(lacks(&listed.diagnose("web1"), "rules-flushed"));
        let mut unread = healthy();
        let ruleset = &mut unread.netns("compute1").ruleset;
        ruleset.tables.clear();
        let (what, would_need) = ("iptables' rules".to_owned(), "iptables-save -c".to_owned());
        ruleset.unread.push(Unread { family: Family::Ip, what, would_need });
        assert_eq!(codes(&unread.diagnose("web1")), Vec::<String>::new());
    }

    #[test]
    fn stays_silent_when_one_rule_is_missing() {
        for other in ["float-dnat-missing", "float-snat-missing"] {
            assert!(lacks(&broken(other).diagnose("web1"), "rules-flushed"), "{other}");
        }
    }
}
