//! How nova's chains on a host differ from what the intent calls for, rule by rule.
//!
//! What the intent does not tell is not judged: then whatever nova may have written is right. Neither
//! are counters, the order between nova's processes, and what some version of nova leaves out.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use model::Netns;
use model::intent::Intent;
use model::netfilter::{Dialect, NfRule};
use model::snapshot::Host;

use crate::mend::Mend;
use crate::nova::line::Line;
use crate::nova::plan::{self, Here, Others, Plan, Process, Wanted};

/// How one chain differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Drift {
    /// Back end whose table it is.
    pub(crate) dialect: Dialect,
    /// Table.
    pub(crate) table: &'static str,
    /// Chain.
    pub(crate) chain: String,
    /// What differs; never empty.
    pub(crate) lines: Vec<DriftLine>,
    /// The chain's rules as they would be after the process has written its own again.
    pub(crate) repaired: Vec<NfRule>,
}

/// One rule that differs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DriftLine {
    /// The process whose next write, or restart, puts it right.
    pub(crate) process: Process,
    /// How it differs.
    pub(crate) kind: DriftKind,
    /// The rule as `iptables-save` prints it, or would.
    pub(crate) text: String,
    /// The instance that it concerns, by its place in the intent; `None` for the whole host.
    pub(crate) instance: Option<usize>,
}

/// How a rule differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum DriftKind {
    /// It is called for, and not there.
    Missing,
    /// It is there, and nova would not write it.
    Extra,
    /// It stands behind rules that nova writes behind it, or before such as belong before it.
    Moved,
}

impl DriftKind {
    /// In one word.
    pub(crate) fn name(self) -> &'static str {
        match self {
            DriftKind::Missing => "missing",
            DriftKind::Extra => "extra",
            DriftKind::Moved => "out of order",
        }
    }
}

impl Drift {
    /// The model's share of a restart of the process.
    pub(crate) fn mend(&self, ns: &Netns) -> Mend {
        Mend::RewriteChain {
            machine: ns.machine.clone(),
            dialect: self.dialect,
            table: self.table.to_owned(),
            chain: self.chain.clone(),
            rules: self.repaired.clone(),
        }
    }
}

/// The drift of every chain of nova-network and nova-compute on a host, and of the chains that call
/// them. Empty where neither has a chain.
pub(crate) fn of(host: &Host, ns: &Netns, intent: &Intent) -> Vec<Drift> {
    let Some(here) = Here::of(host, ns, intent) else { return Vec::new() };
    let drift = |plan: &Plan| {
        let drift = compare(&here, plan);
        (!drift.lines.is_empty()).then_some(drift)
    };
    plan::plans(&here).iter().filter_map(drift).collect()
}

/// A rule that is there, once it is told what it is.
struct Found<'r> {
    rule: &'r NfRule,
    place: Place,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// One of nova's, with its rank and, where one is called for, which of the wanted.
    Ours {
        rank: u8,
        wanted: Option<usize>,
    },
    Extra,
    /// Somebody else's in a chain that is everybody's.
    Others,
}

impl Place {
    fn wanted(self) -> Option<usize> {
        match self {
            Place::Ours { wanted, .. } => wanted,
            Place::Extra | Place::Others => None,
        }
    }
}

fn compare(here: &Here, plan: &Plan) -> Drift {
    let rules = here.rules(plan.table, &plan.chain);
    let found = recognise(plan, rules);
    let met: BTreeSet<usize> = found.iter().filter_map(|f| f.place.wanted()).collect();
    let lost = |(at, wanted): &(usize, &Wanted)| wanted.must && !met.contains(at);
    let missing: Vec<&Wanted> =
        plan.wanted.iter().enumerate().filter(lost).map(|(_, wanted)| wanted).collect();
    let mut lines = Vec::new();
    if plan.stray {
        let text = format!(":{} - [0:0]", plan.chain);
        lines.push(DriftLine { process: plan.process, kind: DriftKind::Extra, text, instance: None });
    }
    lines.extend(missing.iter().filter_map(|wanted| {
        let text = wanted.lines.first()?.text(&plan.chain);
        Some(DriftLine { process: wanted.process, kind: DriftKind::Missing, text, instance: wanted.instance })
    }));
    let moved = out_of_order(&found);
    for (at, Found { rule, place }) in found.iter().enumerate() {
        let kind = match place {
            Place::Extra if !plan.stray => DriftKind::Extra,
            Place::Ours { .. } if moved.contains(&at) => DriftKind::Moved,
            Place::Extra | Place::Ours { .. } | Place::Others => continue,
        };
        let wanted = place.wanted().and_then(|at| plan.wanted.get(at));
        let (process, instance) = match wanted {
            Some(wanted) => (wanted.process, wanted.instance),
            None => (plan.process, plan.instance.or_else(|| concerned(here, &Line::of(rule)?))),
        };
        lines.push(DriftLine { process, kind, text: rule.text.clone(), instance });
    }
    let repaired = repair(plan, &found, &missing);
    Drift { dialect: here.dialect, table: plan.table, chain: plan.chain.clone(), lines, repaired }
}

/// The instance whose fixed or floating address a rule names.
fn concerned(here: &Here, line: &Line) -> Option<usize> {
    use crate::nova::shape::{float_dnat, only, snat_to};
    let floating = float_dnat(line).map(|(_, fixed)| fixed).or_else(|| snat_to(line));
    let named = [line.source.and_then(only), line.destination.and_then(only), floating];
    here.intent.instances.iter().position(|instance| {
        let floating = instance.floating().map(|f| f.address);
        instance.fixed().chain(floating).any(|ip| named.contains(&Some(ip)))
    })
}

/// Tells of each rule what it is. Of two that are alike nova leaves the last.
fn recognise<'r>(plan: &Plan, rules: &'r [NfRule]) -> Vec<Found<'r>> {
    // By addresses first: a network host has thousands of floating addresses in one chain.
    let mut index: BTreeMap<(Option<IpNet>, Option<IpNet>), Vec<usize>> = BTreeMap::new();
    for (at, wanted) in plan.wanted.iter().enumerate() {
        for line in &wanted.lines {
            index.entry((line.source, line.destination)).or_default().push(at);
        }
    }
    let is = |at: &usize, line: &Line| plan.wanted.get(*at).is_some_and(|w| w.lines.contains(line));
    let mut met = vec![false; plan.wanted.len()];
    let mut found: Vec<Found> = Vec::new();
    // What the model took out has no text any more.
    for rule in rules.iter().rev().filter(|rule| !rule.text.is_empty()) {
        let line = Line::of(rule);
        let wanted = line.as_ref().and_then(|line| {
            let alike = index.get(&(line.source, line.destination))?;
            alike.iter().find(|at| is(at, line)).copied()
        });
        let rank_of = |at: usize| plan.wanted.get(at).map_or(0, |wanted| wanted.rank);
        let place = match (wanted, &line) {
            (Some(at), _) if !met.get(at).copied().unwrap_or_default() => {
                met.get_mut(at).into_iter().for_each(|met| *met = true);
                Place::Ours { rank: rank_of(at), wanted: Some(at) }
            }
            (Some(_), _) => Place::Extra,
            (None, Some(line)) => match plan.may.iter().find(|may| (may.holds)(line)) {
                Some(may) => Place::Ours { rank: may.rank, wanted: None },
                None => foreign(plan),
            },
            (None, None) => foreign(plan),
        };
        found.push(Found { rule, place });
    }
    found.reverse();
    found
}

fn foreign(plan: &Plan) -> Place {
    match plan.others {
        Others::None => Place::Extra,
        Others::Anybodys => Place::Others,
    }
}

/// The fewest of nova's rules that would have to move for the ranks to rise: those outside the longest
/// run of ranks that never fall.
fn out_of_order(found: &[Found]) -> BTreeSet<usize> {
    let rank = |f: &Found| match f.place {
        Place::Ours { rank, .. } => Some(rank),
        Place::Extra | Place::Others => None,
    };
    let ranked: Vec<(usize, u8)> =
        found.iter().enumerate().filter_map(|(at, f)| Some((at, rank(f)?))).collect();
    // Of each rank the longest run that ends with it: how long, and which rule is its last.
    let mut runs: BTreeMap<u8, (usize, usize)> = BTreeMap::new();
    // The rule before each in its run.
    let mut before: BTreeMap<usize, Option<usize>> = BTreeMap::new();
    for (at, rank) in &ranked {
        let longest = runs.range(..=*rank).map(|(_, run)| *run).max_by_key(|(length, _)| *length);
        before.insert(*at, longest.map(|(_, last)| last));
        runs.insert(*rank, (longest.map_or(0, |(length, _)| length) + 1, *at));
    }
    let mut outside: BTreeSet<usize> = ranked.iter().map(|(at, _)| *at).collect();
    let mut next = runs.into_values().max_by_key(|(length, _)| *length).map(|(_, last)| last);
    while let Some(at) = next {
        outside.remove(&at);
        next = before.get(&at).copied().flatten();
    }
    outside
}

/// The chain as nova would leave it: its own rules in their order before everybody else's, nothing that
/// nova would not write in a chain of its own.
fn repair(plan: &Plan, found: &[Found], missing: &[&Wanted]) -> Vec<NfRule> {
    if plan.stray {
        return Vec::new();
    }
    let mut ours: Vec<(u8, NfRule)> = Vec::new();
    let mut others = Vec::new();
    for Found { rule, place } in found {
        match place {
            Place::Ours { rank, .. } => ours.push((*rank, (*rule).clone())),
            Place::Others => others.push((*rule).clone()),
            Place::Extra => {}
        }
    }
    let rule = |wanted: &&Wanted| Some((wanted.rank, wanted.lines.first()?.rule(&plan.chain)));
    ours.extend(missing.iter().filter_map(rule));
    ours.sort_by_key(|(rank, _)| *rank);
    ours.into_iter().map(|(_, rule)| rule).chain(others).collect()
}

#[cfg(test)]
mod tests {
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
    fn what_nova_would_not_write_is_extra_in_its_own_chains_alone() {
        for chain in ["nova-network-FORWARD", "nova-compute-local", "nova-compute-inst-1", "nova-filter-top"]
        {
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
}
