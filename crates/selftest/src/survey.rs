//! What this machine can do: which back ends load rules, and which words their kernel and tools know.

use std::collections::{BTreeMap, BTreeSet};

use model::netfilter::Hook;
use plumbing::Namespace;

use crate::case::{Backend, Base, Case, Chain, Piece, Rule, Ruleset, Table};
use crate::cloud::Cloud;
use crate::draw::{self, Menu, Pool};
use crate::error::SelftestError;
use crate::random::Random;
use crate::tools;

/// What may be drawn here, and why the rest may not.
pub(crate) struct Survey {
    pub(crate) menu: Menu,
    /// Name of what is left out, and what its tool said.
    pub(crate) left_out: Vec<(String, String)>,
}

/// Looks at this machine.
pub(crate) fn survey(unmodelled: bool) -> Result<Survey, SelftestError> {
    let (cloud, pool) = sample()?;
    let ns = cloud.namespaces.first().ok_or_else(|| SelftestError::NoTools { said: String::new() })?;
    let mut menu = Menu {
        v6: ns.has_sysctl("ipv6/conf/all/forwarding")?,
        br_netfilter: ns.has_sysctl("bridge/bridge-nf-call-iptables")?,
        unmodelled,
        refused: BTreeSet::new(),
        backends: Vec::new(),
    };
    let mut left_out = Vec::new();
    if !menu.v6 {
        left_out.push(("IPv6".to_owned(), "net.ipv6 does not exist".to_owned()));
    }
    if !menu.br_netfilter {
        left_out.push(("br_netfilter".to_owned(), "modprobe br_netfilter loads it".to_owned()));
    }
    for backend in Backend::ALL {
        match ns.inside(|| tools::load(&smallest(backend), "survey"))? {
            Ok(()) => menu.backends.push(backend),
            Err(error) => left_out.push((backend.name().to_owned(), error.to_string())),
        }
    }
    for backend in menu.backends.clone() {
        for (name, said) in refused_words(ns, &pool, &menu, backend)? {
            left_out.push((format!("{} {name}", backend.name()), said));
            menu.refused.insert((backend, name));
        }
    }
    if menu.backends.is_empty() {
        let said = left_out.pop().map(|(_, said)| said).unwrap_or_default();
        return Err(SelftestError::NoTools { said });
    }
    Ok(Survey { menu, left_out })
}

/// A host to load rules into, and the names and addresses of the cloud around it. Any will do.
fn sample() -> Result<(Cloud, Pool), SelftestError> {
    let case = Case { probes: Vec::new(), ..draw::draw(0, &Menu { v6: true, ..Menu::default() }) };
    let v6 = std::path::Path::new("/proc/sys/net/ipv6").exists();
    let case = if v6 { case } else { draw::draw(0, &Menu::default()) };
    let pool = Pool::of(&case, 0);
    Ok((Cloud::build(&case)?, pool))
}

/// Words that a back end's tool or kernel refuses wherever they could stand, with what it says.
fn refused_words(
    ns: &Namespace,
    pool: &Pool,
    menu: &Menu,
    backend: Backend,
) -> Result<BTreeMap<&'static str, String>, SelftestError> {
    let words = each_word(pool, menu, backend);
    let refused = ns.inside(|| refusals(&words))?;
    Ok(refused.into_iter().collect())
}

/// A ruleset with each word of a back end, at the first place where it may stand.
fn each_word(pool: &Pool, menu: &Menu, backend: Backend) -> Vec<(&'static str, Ruleset)> {
    let mut random = Random::new(0);
    let menu = Menu { unmodelled: true, ..menu.clone() };
    let mut first: BTreeMap<&'static str, Ruleset> = BTreeMap::new();
    for place in draw::places(backend) {
        for (name, ruleset) in place.rulesets(&mut random, &menu, pool) {
            first.entry(name).or_insert(ruleset);
        }
    }
    first.into_iter().collect()
}

/// Those of several rulesets of one back end that are refused in the calling thread's namespace. Each
/// load waits until the kernel's readers of the old rules are done, so all are loaded at once, and halves
/// of them only where that fails.
fn refusals(rulesets: &[(&'static str, Ruleset)]) -> Vec<(&'static str, String)> {
    let Some(((name, first), rest)) = rulesets.split_first() else { return Vec::new() };
    let mut all = first.clone();
    for table in rest.iter().flat_map(|(_, ruleset)| &ruleset.tables) {
        match all.tables.iter_mut().find(|t| (t.family, &t.name) == (table.family, &table.name)) {
            Some(same) => add_chains(same, table),
            None => all.tables.push(table.clone()),
        }
    }
    match (tools::load(&all, "the survey"), rest) {
        (Ok(()), _) => Vec::new(),
        (Err(error), []) => vec![(*name, error.to_string())],
        (Err(_), _) => {
            let (one, other) = rulesets.split_at(rulesets.len() / 2);
            [refusals(one), refusals(other)].concat()
        }
    }
}

fn add_chains(to: &mut Table, from: &Table) {
    for chain in &from.chains {
        match to.chains.iter_mut().find(|c| c.name == chain.name) {
            Some(same) => same.rules.extend(chain.rules.iter().cloned()),
            None => to.chains.push(chain.clone()),
        }
    }
}

/// The least that a back end can be asked to load: one base chain with one rule.
fn smallest(backend: Backend) -> Ruleset {
    let native = backend == Backend::Nft;
    let (family, text) = if native { ("ip", "accept") } else { ("", "-j ACCEPT") };
    let verdict = Piece { name: "", text: text.to_owned(), needs: None };
    let base = Base {
        hook: Hook::Input,
        kind: "filter",
        priority: 0,
        policy: model::netfilter::Policy::Accept,
        device: None,
    };
    let chain = Chain {
        name: "INPUT".to_owned(),
        base: Some(base),
        rules: vec![Rule { conditions: Vec::new(), verdict }],
    };
    let name = if native { "t" } else { "filter" }.to_owned();
    Ruleset { backend, tables: vec![Table { family, name, chains: vec![chain] }] }
}

#[cfg(test)]
mod tests {
    use sys::netns;

    use super::*;
    use crate::words::{
        ARP_CONDITIONS, ARP_VERDICTS, BRIDGE_CONDITIONS, BRIDGE_VERDICTS, CONDITIONS, SET_CONDITIONS,
        SET_VERDICTS, VERDICTS, Word,
    };

    /// Every word, at every place where it may stand, filled in several ways.
    #[test]
    fn every_word_is_taken_by_its_tool_wherever_it_may_stand() {
        let found = survey(true).unwrap();
        let mut offences: Vec<String> =
            found.left_out.into_iter().map(|(name, said)| format!("{name}: {said}")).collect();
        // Kernels may be built without these; a misspelt word would be refused by all.
        let rare = ["ebtables-legacy:", "eb logical-in", "eb logical-out", "NFQUEUE"];
        offences.retain(|offence| !rare.iter().any(|name| offence.contains(name)));
        let (cloud, pool) = sample().unwrap();
        for backend in found.menu.backends.clone() {
            let mut random = Random::new(9);
            for place in draw::places(backend) {
                let mut rulesets = place.rulesets(&mut random, &found.menu, &pool);
                rulesets.extend(place.rulesets(&mut random, &found.menu, &pool));
                let refused = cloud.namespaces[0].inside(|| refusals(&rulesets)).unwrap();
                offences.extend(refused.into_iter().map(|(name, said)| format!("{name}: {said}")));
            }
        }
        assert!(offences.is_empty(), "{}\n{} refused", offences.join("\n"), offences.len());
    }

    /// What is drawn by default is what the walk can be held to.
    #[test]
    fn words_are_modelled_where_their_table_says_so() {
        let found = survey(true).unwrap();
        let (cloud, pool) = sample().unwrap();
        let all: [&[Word]; 8] = [
            CONDITIONS,
            SET_CONDITIONS,
            VERDICTS,
            SET_VERDICTS,
            BRIDGE_CONDITIONS,
            BRIDGE_VERDICTS,
            ARP_CONDITIONS,
            ARP_VERDICTS,
        ];
        let said = |name: &str| all.iter().copied().flatten().any(|word| word.name == name && word.modelled);
        let known: Vec<&netns::NetnsFd> = cloud.namespaces.iter().map(|ns| &ns.handle).collect();
        let mut offences = Vec::new();
        for backend in found.menu.backends.clone() {
            for (name, ruleset) in each_word(&pool, &found.menu, backend) {
                let ns = netns::unnamed("word").unwrap();
                let ruleset = without_links(ruleset);
                netns::within(&ns, || tools::load(&ruleset, "word")).unwrap().unwrap();
                let (facts, gaps) = collect::namespace("word", &ns, &known).unwrap();
                let read = serde_json::to_string(&facts.ruleset).unwrap();
                // An ipset says so of itself where nothing of it is unmodelled.
                let read = read.replace(r#""unmodelled":null"#, "");
                let strange =
                    ["unmodelled", "unpredictable", "elsewhere"].iter().any(|way| read.contains(way));
                if strange == said(name) || !gaps.is_empty() || facts.ruleset.tables.is_empty() {
                    let text = crate::text::of(&ruleset);
                    offences.push(format!("{} {name}: {gaps:?}\n{text}{read}\n", backend.name()));
                }
            }
        }
        assert!(offences.is_empty(), "{}", offences.join("\n"));
    }

    /// nft looks the links of `iif` up, which an empty namespace has not got.
    fn without_links(mut ruleset: Ruleset) -> Ruleset {
        let rules = ruleset.tables.iter_mut().flat_map(|t| &mut t.chains).flat_map(|c| &mut c.rules);
        for piece in rules.flat_map(|rule| &mut rule.conditions) {
            if matches!(piece.name, "iif" | "oif") {
                piece.text = format!("{} lo", piece.name);
            }
        }
        ruleset
    }
}
