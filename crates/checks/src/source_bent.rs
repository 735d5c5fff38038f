//! Rules of nat POSTROUTING that nova did not write and that come before its own: what they take leaves as another, or
//! as it is.

use std::net::IpAddr;

use model::Netns;
use model::finding::Confidence;
use model::netfilter::{Action, Chain, ChainKind, Hook, Table};
use model::path::{Direction, RuleRef, Stage};

use crate::catalogue::firewall::snat_wrong_address;
use crate::evidence;
use crate::floats;
use crate::found::{Fault, Found, at};
use crate::ladder::{self, Purpose, Rung};
use crate::left_as::{self, Left};
use crate::mend::Mend;
use crate::view::View;
use crate::{nova, owner, removal, rules};

/// Rules of one host that are tried at most, each of which copies all facts.
const TRIES_MAX: usize = 64;

/// Instances that are given another source than their floating address by such rules: one finding a set of rules.
pub(crate) fn given_another(view: &View) -> Vec<Found> {
    let mut found: Vec<(Vec<RuleRef>, Found)> = Vec::new();
    for left in left_as::all(view).into_iter().chain(left_as::by_services(view)) {
        // Two other findings tell of what leaves as it is, and of what leaves as nobody of its host.
        let is_told = left.seat.vif.fixed.contains(&left.seen) || is_told_as_strangers(view, &left);
        if is_told || is_as_meant(view, &left, left.seen.into()) {
            continue;
        }
        let rules = match found.iter().find(|(known, _)| is_met(view, &left, known)) {
            Some((known, _)) => known.clone(),
            None => before_novas(view, &left),
        };
        match found.iter_mut().find(|(known, _)| *known == rules) {
            Some((_, known)) if known.finding.instances.contains(&left.seat.instance.name) => {}
            Some((_, known)) => known.finding.instances.push(left.seat.instance.name.clone()),
            None => found.extend(finding(view, &left, &rules).map(|new| (rules, new))),
        }
    }
    found.into_iter().map(|(_, found)| found).chain(back_as_itself(view)).collect()
}

/// Instances to which comes back as their own what they send to their own floating address, by such rules: one finding
/// a set of rules.
fn back_as_itself(view: &View) -> Vec<Found> {
    let mut found: Vec<(Vec<RuleRef>, Found)> = Vec::new();
    for seat in view.vifs() {
        let is_its = |rung: &&Rung| matches!(rung.purpose, Purpose::Itself(_)) && !rung.answer.answered;
        let Some(rung) = view.rungs_of(seat.instance).find(is_its) else { continue };
        let ns = seat.server_ns;
        let is_heard = |rules: &[RuleRef]| {
            let again = ladder::again_with_all(view, rung, &mends(ns, rules));
            again.is_some_and(|again| again.answer.answered)
        };
        let rules = needed(all_before(ns), is_heard);
        let Some(rule) = rules.first() else { continue };
        let name = &seat.instance.name;
        if let Some((_, known)) = found.iter_mut().find(|(known, _)| *known == rules) {
            known.finding.instances.push(name.clone());
            continue;
        }
        let owner = owner::of(ns, rule);
        let named = rules::named(rule);
        let fault = Fault {
            code: "foreign-rule-bends",
            hop: at(ns, seat.bridge_name().unwrap_or_default(), Stage::Nat),
            summary: format!(
                "{name} does not reach itself by {}: {named}, which nova did not write, comes before nova's",
                rung.to
            ),
            cause: format!(
                "`{}`, {}, leaves it {name}'s own address, and nobody hears what comes from himself",
                rule.text,
                owner.wrote()
            ),
            confidence: Confidence::Proven,
            evidence: rules.iter().flat_map(|rule| evidence::rule(ns, rule)).collect(),
            owner: owner.name(),
            remedy: rules.iter().map(|rule| removal::of(ns, rule)).collect(),
            instances: vec![name.clone()],
            stopped: view.stop(|stopped| std::ptr::eq(stopped.rung, rung)),
            mend: mends(ns, &rules),
        };
        found.push((rules, fault.found()));
    }
    found.into_iter().map(|(_, found)| found).collect()
}

/// The rules but for which nova's own would give what leaves the source that is meant; none where that has it, or would
/// not have it without them either.
pub(crate) fn before_novas(view: &View, left: &Left) -> Vec<RuleRef> {
    if is_as_meant(view, left, left.seen.into()) {
        return Vec::new();
    }
    needed(all_before(left.seat.server_ns), |rules| is_met(view, left, rules))
}

/// Rules of a host that may stand in the way.
fn all_before(ns: &Netns) -> Vec<RuleRef> {
    ns.ruleset.tables.iter().flat_map(candidates).take(TRIES_MAX).collect()
}

/// Those of the rules that all have to go for it to be well; none where it is not well without all of them either.
fn needed(mut rules: Vec<RuleRef>, is_well_without: impl Fn(&[RuleRef]) -> bool) -> Vec<RuleRef> {
    if rules.is_empty() || !is_well_without(&rules) {
        return Vec::new();
    }
    let mut at = 0;
    while at < rules.len() {
        let kept = rules.remove(at);
        if !is_well_without(&rules) {
            rules.insert(at, kept);
            at += 1;
        }
    }
    rules
}

/// In the model, they are gone.
pub(crate) fn mends(ns: &Netns, rules: &[RuleRef]) -> Vec<Mend> {
    let remove = |rule: &RuleRef| Mend::RemoveRule { machine: ns.machine.clone(), rule: rule.clone() };
    rules.iter().map(remove).collect()
}

/// Without these rules it leaves as is meant.
fn is_met(view: &View, left: &Left, rules: &[RuleRef]) -> bool {
    let again = ladder::again_with_all(view, left.rung, &mends(left.seat.server_ns, rules));
    again.and_then(|again| again.answer.source_seen).is_some_and(|seen| is_as_meant(view, left, seen))
}

/// An instance with a floating address leaves with that; one without, as somebody whom its host is.
fn is_as_meant(view: &View, left: &Left, seen: IpAddr) -> bool {
    let IpAddr::V4(seen) = seen else { return false };
    let all = floats::all(view);
    let mut own = all
        .iter()
        .filter(|(seat, _, ns)| {
            std::ptr::eq(seat.instance, left.seat.instance) && std::ptr::eq(*ns, left.seat.server_ns)
        })
        .peekable();
    if own.peek().is_some() {
        return own.any(|(_, floating, _)| floating.address == seen);
    }
    !left.seat.vif.fixed.contains(&seen) && !snat_wrong_address::is_strangers(&left.seat, seen)
}

fn is_told_as_strangers(view: &View, left: &Left) -> bool {
    let unanswered = left_as::unanswered(view);
    unanswered.iter().any(|other| std::ptr::eq(other.rung, left.rung)) && snat_wrong_address::is_wrong(left)
}

/// The rules of a table's chains for NAT after routing that end a packet's way through it, nova's own left out.
fn candidates(table: &Table) -> impl Iterator<Item = RuleRef> {
    let is_outward = |chain: &Chain| {
        chain.base.as_ref().is_some_and(|b| b.hook == Hook::Postrouting && b.kind == ChainKind::Nat)
    };
    let has_outward = table.chains.iter().any(is_outward);
    let is_it = move |chain: &&Chain| {
        let is_called = chain.base.is_none() && has_outward;
        (is_called || is_outward(chain)) && !nova::is_chain(&chain.name)
    };
    table.chains.iter().filter(is_it).flat_map(move |chain| {
        let numbered = chain.rules.iter().zip(1_u32..).filter(|(rule, _)| ends(&rule.action));
        numbered.filter_map(move |(rule, number)| rules::reference(table, chain, rule, number))
    })
}

/// The rules behind it are not asked any more; what it calls is looked at by itself.
fn ends(action: &Action) -> bool {
    match action {
        Action::Accept
        | Action::Return
        | Action::Snat(_)
        | Action::SnatMap(_)
        | Action::Masquerade(_)
        | Action::Netmap(_) => true,
        Action::Several(actions) => actions.iter().any(ends),
        Action::Continue
        | Action::Drop
        | Action::Reject(_)
        | Action::Jump(_)
        | Action::Goto(_)
        | Action::VerdictMap(_)
        | Action::Notrack
        | Action::CtZone(_)
        | Action::Ttl(_)
        | Action::Dnat(_)
        | Action::DnatMap(_)
        | Action::Redirect(_)
        | Action::Ether(_)
        | Action::Arp(_)
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

fn finding(view: &View, left: &Left, in_the_way: &[RuleRef]) -> Option<Found> {
    let rule = in_the_way.first()?;
    let (ns, name) = (left.seat.server_ns, &left.seat.instance.name);
    let meant = floats::all(view)
        .into_iter()
        .find(|(seat, _, _)| std::ptr::eq(seat.instance, left.seat.instance))
        .map_or_else(|| "its host's own".to_owned(), |(_, floating, _)| floating.address.to_string());
    let owner = owner::of(ns, rule);
    let fault = Fault {
        code: "foreign-rule-bends",
        hop: at(ns, &left.uplink.name, Stage::Nat),
        summary: format!(
            "{name} leaves {} as {} in place of {meant}: {}, which nova did not write, comes first",
            ns.machine,
            left.seen,
            rules::named(rule),
        ),
        cause: format!("without `{}`, {}, nova's own rules would give it {meant}", rule.text, owner.wrote()),
        confidence: Confidence::Proven,
        evidence: in_the_way
            .iter()
            .flat_map(|rule| evidence::rule(ns, rule))
            .chain([evidence::state(ns, "conntrack -L", format!("source seen outside: {}", left.seen))])
            .collect(),
        owner: owner.name(),
        remedy: in_the_way.iter().map(|rule| removal::of(ns, rule)).collect(),
        instances: vec![name.clone()],
        stopped: None,
        mend: mends(ns, in_the_way),
    };
    Some(left.met(fault.found(), Direction::Request))
}

#[cfg(test)]
mod tests {
    use model::netfilter::{Action, Match, NfRule, Test};

    use crate::fixture::{Cloud, codes, drops, from, healthy, to};

    /// The cloud with rules above nova's calls in nat POSTROUTING; whole, or its compute host alone.
    fn above(rules: Vec<NfRule>, is_whole: bool) -> Cloud {
        let mut cloud = healthy();
        let chain = cloud.chain("compute1", "nat", "POSTROUTING");
        chain.rules.splice(0..0, rules);
        if !is_whole {
            cloud.leave_only(&["compute1"]);
        }
        cloud
    }

    fn by_uplink() -> Vec<Match> {
        vec![Match { negated: false, test: Test::Out("eth0".to_owned()) }]
    }

    fn masquerades() -> NfRule {
        let text = "-A POSTROUTING -o eth0 -j MASQUERADE";
        NfRule { action: Action::Masquerade(None), ..drops(text, by_uplink()) }
    }

    fn accepts(prefix: &str) -> NfRule {
        let text = format!("-A POSTROUTING -s {prefix} -j ACCEPT");
        NfRule { action: Action::Accept, ..drops(&text, vec![from(prefix)]) }
    }

    #[test]
    fn what_leaves_as_its_host_is_told_with_the_rule_that_comes_first() {
        for is_whole in [true, false] {
            let found = above(vec![masquerades()], is_whole).diagnose_all();
            assert_eq!(codes(&found), ["foreign-rule-bends compute1//eth0"], "{is_whole}");
            let finding = &found.findings[0];
            assert_eq!(finding.instances, ["web1"], "web2 has no floating IP");
            let remedy = &finding.remedy[0];
            assert!(remedy.command.ends_with("-t nat -D POSTROUTING -o eth0 -j MASQUERADE"), "{remedy:?}");
            assert!(remedy.undo.ends_with("-t nat -I POSTROUTING 1 -o eth0 -j MASQUERADE"), "{remedy:?}");
        }
    }

    #[test]
    fn of_several_each_is_told_that_is_in_the_way() {
        let found = above(vec![accepts("192.0.2.0/24"), masquerades(), masquerades()], true).diagnose("web1");
        assert_eq!(codes(&found), ["foreign-rule-bends compute1//eth0"]);
        assert_eq!(found.findings[0].remedy.len(), 2, "{:#?}", found.findings[0].remedy);
    }

    #[test]
    fn what_leaves_as_it_is_is_told_with_or_without_somebody_outside() {
        for is_whole in [true, false] {
            let found = above(vec![accepts("10.0.0.0/16")], is_whole).diagnose_all();
            assert_eq!(codes(&found), ["snat-missing compute1//eth0"], "{is_whole}");
            let finding = &found.findings[0];
            assert_eq!(finding.instances, ["web1", "web2"], "{is_whole}");
            assert_eq!(finding.owner, "operator");
            let delete = "-t nat -D POSTROUTING -s 10.0.0.0/16 -j ACCEPT";
            assert!(finding.remedy[0].command.ends_with(delete), "{:?}", finding.remedy);
        }
    }

    #[test]
    fn stays_silent_where_it_takes_others_or_stands_behind_novas() {
        let aside = NfRule {
            action: Action::Accept,
            ..drops("-A POSTROUTING -d 198.18.0.0/15 -j ACCEPT", vec![to("198.18.0.0/15")])
        };
        for is_whole in [true, false] {
            let found = above(vec![accepts("192.168.122.0/24"), aside.clone()], is_whole).diagnose_all();
            assert_eq!(codes(&found), [""; 0], "{is_whole}");
            let mut cloud = above(Vec::new(), is_whole);
            cloud.chain("compute1", "nat", "POSTROUTING").rules.push(masquerades());
            assert_eq!(codes(&cloud.diagnose_all()), [""; 0], "{is_whole}");
        }
    }

    /// As `dmz_cidr` has it, or a range that `force_snat_range` leaves out: nova's own rules give nothing there.
    #[test]
    fn stays_silent_where_nova_itself_leaves_it_as_it_is() {
        let mut cloud = above(vec![accepts("10.0.0.0/16")], false);
        for chain in ["nova-network-snat", "nova-network-float-snat"] {
            cloud.chain("compute1", "nat", chain).rules.retain(|rule| !rule.text.contains("SNAT"));
        }
        let nova = cloud.host("compute1").nova.as_mut().unwrap();
        nova.values.insert("dmz_cidr".to_owned(), "0.0.0.0/0".to_owned());
        let found = codes(&cloud.diagnose_all());
        assert!(found.iter().all(|code| !code.starts_with("snat-missing")), "{found:?}");
    }

    /// What an instance sends to its own floating address must not come back as its own.
    #[test]
    fn an_instance_that_cannot_be_entered_does_not_hear_itself_either() {
        let inside = NfRule {
            action: Action::Accept,
            ..drops("-A POSTROUTING -d 10.0.0.0/16 -j ACCEPT", vec![to("10.0.0.0/16")])
        };
        let mut cloud = above(vec![inside], true);
        cloud.close("web1");
        let found = cloud.diagnose("web1");
        assert_eq!(codes(&found), ["foreign-rule-bends compute1//br100"]);
        let command = &found.findings[0].remedy[0].command;
        assert!(command.ends_with("-D POSTROUTING -d 10.0.0.0/16 -j ACCEPT"), "{command}");
    }
}
