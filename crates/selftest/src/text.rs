//! Rulesets as the tools that load them read them.

use model::netfilter::Policy;

use crate::case::{Backend, Base, Chain, Ruleset, Table};
use crate::words::Language;

/// What the back end's restore command, or `nft -f`, is fed with.
pub(crate) fn of(ruleset: &Ruleset) -> String {
    let language = ruleset.backend.language();
    let table = match language {
        Language::Nft => native,
        // ebtables' user chains have policies too (ebtables-nft(8)).
        Language::Ebtables => |table: &Table| restored(table, "ACCEPT"),
        Language::Iptables | Language::Ip6tables | Language::Arptables => {
            |table: &Table| restored(table, "-")
        }
    };
    ruleset.tables.iter().map(table).collect()
}

/// The ipsets of a machine's rulesets, as ipset(8) restores them.
pub(crate) fn ipsets(rulesets: &[Ruleset]) -> String {
    let xtables = rulesets.iter().filter(|ruleset| ruleset.backend != Backend::Nft);
    let mut text = String::new();
    for set in xtables.flat_map(|ruleset| needed(&ruleset.tables)) {
        text.push_str(set);
        text.push('\n');
    }
    text
}

/// What the rules of tables need, once each: of two of one name the first.
fn needed(tables: &[Table]) -> Vec<&str> {
    let mut found: Vec<&str> = Vec::new();
    let name = |set: &str| set.split([' ', '\n']).take(2).collect::<Vec<_>>().join(" ");
    for rule in tables.iter().flat_map(|table| &table.chains).flat_map(|chain| &chain.rules) {
        for set in rule.needs() {
            if !found.iter().any(|known| name(known) == name(set)) {
                found.push(set);
            }
        }
    }
    found
}

fn policy(policy: Policy) -> &'static str {
    match policy {
        Policy::Accept => "ACCEPT",
        Policy::Drop => "DROP",
    }
}

/// A table in the `-save` format (iptables-save(8)).
fn restored(table: &Table, of_user_chains: &str) -> String {
    let mut text = format!("*{}\n", table.name);
    for Chain { name, base, .. } in &table.chains {
        let policy = base.as_ref().map_or(of_user_chains, |base| policy(base.policy));
        text.push_str(&format!(":{name} {policy} [0:0]\n"));
    }
    for chain in &table.chains {
        for rule in &chain.rules {
            let conditions = rule.conditions.iter().chain([&rule.verdict]);
            let words: Vec<&str> = conditions.map(|piece| piece.text.as_str()).collect();
            text.push_str(&format!("-A {} {}\n", chain.name, words.join(" ")));
        }
    }
    text.push_str("COMMIT\n");
    text
}

/// A table in nft's language (nft(8)). Chains that others go to stand first, as nft wants them.
fn native(table: &Table) -> String {
    let mut text = format!("table {} {} {{\n", table.family, table.name);
    for set in needed(std::slice::from_ref(table)) {
        text.push_str(&format!("  {set}\n"));
    }
    for chain in table.chains.iter().rev() {
        text.push_str(&format!("  chain {} {{\n", chain.name));
        if let Some(base) = &chain.base {
            text.push_str(&format!("    {}\n", hooked(base)));
        }
        for rule in &chain.rules {
            let conditions = rule.conditions.iter().chain([&rule.verdict]);
            let words: Vec<&str> = conditions.map(|piece| piece.text.as_str()).collect();
            text.push_str(&format!("    {}\n", words.join(" ")));
        }
        text.push_str("  }\n");
    }
    text.push_str("}\n");
    text
}

fn hooked(base: &Base) -> String {
    let Base { hook, kind, priority, policy, device } = base;
    let hook = hook.builtin().to_lowercase();
    let device = device.as_ref().map(|name| format!(" device \"{name}\"")).unwrap_or_default();
    let policy = match policy {
        Policy::Accept => "accept",
        Policy::Drop => "drop",
    };
    format!("type {kind} hook {hook}{device} priority {priority}; policy {policy};")
}
