//! # foreign-rule-bends
//!
//! A rule that nova did not write changes packets, and so they get lost somewhere else, or pass for another's.
//!
//! ## What it means
//! The rule drops nothing. It exempts packets from tracking, so that no address is translated and no rule for
//! established connections holds; it leads them to another address or port; it takes their TTL; it rewrites the
//! addresses of frames. Where the packets die everything is in order. Or it stands before nova's and gives what leaves
//! another source than the floating IP: answers come back, and the outside takes the instance for its host.
//!
//! ## How hopline knows
//! The walk dies. Each rule that changed its packets and is none of nova's is taken out of the model, and the same
//! question is walked again: without this one it is answered. Of what leaves with another source than is meant, the
//! rules that end the way through nat POSTROUTING are taken out: without these it has the right one. What a rule leads
//! out of the site may be answered there: it is likely where nobody has answered for real, and a host of the site would
//! have heard it without the rule.
//!
//! ## What it looks like
//! The rule's counter rises with each packet. `conntrack -L` lacks what is exempt from tracking; a capture behind the
//! rule shows other addresses, ports or TTLs than before it.
//!
//! ## Nearest look-alikes
//! * `snat-missing`: what leaves keeps its fixed address, as the rule that translates is not there or passed over.
//! * `float-snat-missing`: what gives the floating IP is gone; here it is there, and comes too late.
//! * `foreign-rule-drop`: the packet dies at the rule itself.
//! * `policy-route-wrong`: a rule marks the packet, and what the mark picks leads astray.
//!
//! ## Fix
//! Delete the rule, or narrow it to what it was meant for. Undo: insert it again.
//!
//! ## References
//! iptables-extensions(8), CT, TTL, DNAT, REDIRECT; `nf_conntrack_in`, net/netfilter/nf_conntrack_core.c.

use std::cell::LazyCell;

use model::Netns;
use model::finding::Confidence;
use model::netfilter::{Action, Family, Hook};
use model::path::{Hop, Place, RuleRef, Stage};
use sim::World;

use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::ladder::{self, Rung};
use crate::mend::Mend;
use crate::view::{Stopped, View};
use crate::{led_out, nova, owner, removal, rules, source_bent};

/// Tries of one diagnosis, each of which copies all facts.
const TRIES_MAX: usize = 64;

/// Looks for rules without which a walk would get on: one finding a rule.
pub fn check(view: &View) -> Vec<Found> {
    let mut found: Vec<(RuleRef, Found)> = Vec::new();
    let mut tried: Vec<(&Place, usize)> = Vec::new();
    let mut tries = 0;
    let world = LazyCell::new(|| World::new(view.snapshot(), view.intent()));
    for stopped in view.stops() {
        // What did not help one question of an instance helps none that dies in one place.
        let place = (&stopped.hop.at, stopped.rung.instance);
        if tried.contains(&place) {
            continue;
        }
        tried.push(place);
        // Which rules had a part in a walk is told only while it is walked.
        if ladder::again_by(&world, stopped.rung).is_none() {
            continue;
        }
        for (ns, rule) in met(view, &world, stopped.rung) {
            let is_known = found.iter().any(|(known, _)| rules::is_same(known, &rule));
            let mend = Mend::RemoveRule { machine: ns.machine.clone(), rule: rule.clone() };
            if is_known || tries == TRIES_MAX {
                continue;
            }
            tries += 1;
            if gets_on_without(view, &stopped, &mend) {
                let bent = bent(view, ns, stopped, &rule, mend);
                found.push((rule, bent));
            }
        }
    }
    found
        .into_iter()
        .map(|(_, f)| f)
        .chain(source_bent::given_another(view))
        .chain(led_out::unanswered(view))
        .collect()
}

/// The rules that changed packets on the machines of its way, nova's own left out.
pub(crate) fn met<'v>(view: &View<'v>, world: &World, rung: &'v Rung) -> Vec<(&'v Netns, RuleRef)> {
    let hops = rung.answer.paths.iter().flat_map(|path| &path.hops);
    let mut way: Vec<&Netns> = hops.filter_map(|hop| view.netns_at(&hop.at)).collect();
    way.dedup_by(|a, b| std::ptr::eq(*a, *b));
    let mut met: Vec<(&Netns, RuleRef)> = Vec::new();
    for ns in way.into_iter().filter(|ns| !ns.instance && ns.name.is_empty()) {
        if met.iter().any(|(known, _)| std::ptr::eq(*known, ns)) {
            continue;
        }
        let all =
            ns.ruleset.tables.iter().flat_map(|table| table.chains.iter().map(move |chain| (table, chain)));
        let bending = all.flat_map(|(table, chain)| {
            let numbered = chain.rules.iter().zip(1_u32..);
            let numbered = numbered.filter(|(rule, _)| bends(&rule.action) && world.is_changer(rule));
            numbered.filter_map(move |(rule, number)| rules::reference(table, chain, rule, number))
        });
        // What stands in nova's chains has findings of its own.
        met.extend(bending.filter(|rule| !nova::is_chain(rule.chain())).map(|rule| (ns, rule)));
    }
    met
}

/// It lets the packet go on as another. What gives it another source is looked at by itself (`source_bent`), and what
/// picks a table has findings of its own.
fn bends(action: &Action) -> bool {
    match action {
        Action::Notrack
        | Action::CtZone(_)
        | Action::Ttl(_)
        | Action::Dnat(_)
        | Action::DnatMap(_)
        | Action::Redirect(_)
        | Action::Netmap(_)
        | Action::Ether(_)
        | Action::Arp(_) => true,
        Action::Several(actions) => actions.iter().any(bends),
        Action::Continue
        | Action::Accept
        | Action::Drop
        | Action::Reject(_)
        | Action::Return
        | Action::Jump(_)
        | Action::Goto(_)
        | Action::VerdictMap(_)
        | Action::Snat(_)
        | Action::SnatMap(_)
        | Action::Masquerade(_)
        | Action::SetMark { .. }
        | Action::SetMarkMap(_)
        | Action::SetCtMark { .. }
        | Action::SaveMark { .. }
        | Action::RestoreMark { .. }
        | Action::Dscp { .. }
        | Action::NonTerminal(_)
        | Action::Elsewhere(..)
        | Action::Unmodelled(_) => false,
    }
}

fn gets_on_without(view: &View, stopped: &Stopped, change: &Mend) -> bool {
    ladder::is_answered_with(view, stopped.rung, change)
}

/// A packet that meets the rule is there, or nearly: before its route is known it is at the link by which it came, and
/// afterwards at the one by which it leaves.
fn is_met_at(rule: &RuleRef, stage: Stage) -> bool {
    let is_bridges = matches!(rule.family, Family::Bridge | Family::Netdev | Family::Arp);
    match stage {
        Stage::Route | Stage::Local => !is_bridges && matches!(rule.hook, Hook::Prerouting | Hook::Input),
        Stage::Filter => !is_bridges && matches!(rule.hook, Hook::Input | Hook::Forward),
        Stage::Nat | Stage::Neighbour => !is_bridges && matches!(rule.hook, Hook::Output | Hook::Postrouting),
        Stage::Instance | Stage::Bridge | Stage::Service | Stage::Wire => false,
    }
}

fn bent<'v>(view: &View<'v>, ns: &Netns, stopped: Stopped<'v>, rule: &RuleRef, mend: Mend) -> Found {
    let owner = owner::of(ns, rule);
    let own = |hop: &&Hop| hop.at.host == ns.machine && hop.at.netns == ns.name;
    let hops = || stopped.rung.answer.paths.iter().flat_map(|path| &path.hops).filter(own);
    let device = hops().find(|hop| is_met_at(rule, hop.at.stage)).or_else(|| hops().next());
    let device = device.map_or_else(|| view.inner_link(ns), |hop| &hop.at.device);
    let stage = if rule.table == "nat" { Stage::Nat } else { Stage::Filter };
    let dies = &stopped.hop.at;
    let fault = Fault {
        code: "foreign-rule-bends",
        hop: at(ns, device, stage),
        summary: format!(
            "what {} sends to {} is changed on {} and dies at {} {}: {}, which nova did not write",
            stopped.rung.from,
            stopped.rung.to,
            ns.machine,
            dies.host,
            dies.device,
            rules::named(rule),
        ),
        cause: format!("without `{}`, {}, it would be answered", rule.text, owner.wrote()),
        confidence: Confidence::Proven,
        evidence: evidence::rule(ns, rule),
        owner: owner.name(),
        remedy: vec![removal::of(ns, rule)],
        instances: rules::victims(view, &stopped),
        stopped: Some(stopped),
        mend: vec![mend],
    };
    let mut found = fault.found();
    if found.finding.instances.is_empty() {
        found.finding.instances = view.hit_at(dies);
    }
    found
}

#[cfg(test)]
mod tests {
    use model::netfilter::{Action, TtlChange};

    use crate::fixture::{broken, codes, to};

    /// What is found where the rule does this to what web1 sends.
    fn found(action: Action) -> Vec<String> {
        let mut cloud = broken("foreign-rule-bends");
        cloud.chain("compute1", "raw", "PREROUTING").rules[0].action = action;
        codes(&cloud.diagnose("web1"))
    }

    #[test]
    fn fires_on_what_is_not_tracked_and_so_not_translated() {
        let found = broken("foreign-rule-bends").diagnose("web1");
        assert_eq!(codes(&found), ["foreign-rule-bends compute1//br100"]);
        assert!(
            found.findings[0].remedy[0]
                .command
                .ends_with("-t raw -D PREROUTING -s 10.0.2.24/32 -j CT --notrack"),
            "{found:#?}"
        );
    }

    #[test]
    fn fires_on_a_packet_that_lives_too_short() {
        assert_eq!(found(Action::Ttl(TtlChange::Set(2))), ["foreign-rule-bends compute1//br100"]);
    }

    #[test]
    fn stays_silent_where_the_packet_arrives_all_the_same() {
        assert_eq!(found(Action::Ttl(TtlChange::Set(64))), [""; 0]);
    }

    /// As on a host with a hundred floating IPs whose rules some other program wrote.
    #[test]
    fn fires_however_many_rules_for_others_stand_before_it() {
        let mut cloud = broken("foreign-rule-bends");
        let rules = &mut cloud.chain("compute1", "raw", "PREROUTING").rules;
        let mut others = vec![rules[0].clone(); 100];
        for other in &mut others {
            other.matches.push(to("192.0.2.1/32"));
        }
        rules.splice(0..0, others);
        assert_eq!(codes(&cloud.diagnose("web1")), ["foreign-rule-bends compute1//br100"]);
    }
}
