//! `nft -j -a list ruleset` (libnftables-json(5)).
//!
//! Objects are read one by one, so that neither a cut-off dump nor an object of a newer nft costs
//! more than itself, and an expression that is not modelled becomes a test or an action that says so
//! with its own JSON. Rules' texts are rendered as `nft list ruleset` prints them, but for counters'
//! numbers; JSON has no text.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use model::netfilter::{Action, BaseChain, Chain, ChainKind, Dialect, Family, Hook, NfRule, Policy, Table};
use serde_json::Value;

use crate::{Parsed, Problem};
use objects::Object;

mod expression;
mod objects;
mod rule;
mod text;

/// Reads a ruleset, except for the tables that `skip` names: those of iptables-nft and ebtables-nft,
/// which their own save commands show in full where JSON hides what an `xt` expression says.
pub fn parse(text: &str, skip: &dyn Fn(Family, &str) -> bool) -> Parsed<Vec<Table>> {
    let Parsed { value: objects, mut problems } = objects::read(text);
    let mut tables = Tables { list: Vec::new(), places: HashMap::new(), chains: HashMap::new() };
    for object in &objects {
        match object.kind.as_str() {
            "table" => {
                if let Some((family, name)) = family(object).zip(field(object, "name")) {
                    tables.place(family, name);
                } else {
                    problems.push(object.problem("a table without family and name"));
                }
            }
            "chain" => problems.extend(add_chain(&mut tables, object)),
            _ => {}
        }
    }
    for object in objects.iter().filter(|o| o.kind == "rule") {
        problems.extend(add_rule(&mut tables, object, skip));
    }
    let mut list = tables.list;
    list.retain(|table| !skip(table.family, &table.name));
    for table in &mut list {
        problems.extend(lost_jumps(table));
    }
    Parsed { value: list, problems }
}

/// Tables under construction, with the places of what was added.
struct Tables {
    list: Vec<Table>,
    places: HashMap<(Family, String), usize>,
    chains: HashMap<(usize, String), usize>,
}

impl Tables {
    fn place(&mut self, family: Family, name: &str) -> usize {
        *self.places.entry((family, name.to_owned())).or_insert_with(|| {
            let name = name.to_owned();
            self.list.push(Table {
                family,
                name,
                dialect: Dialect::Nft,
                chains: Vec::new(),
                sets: Vec::new(),
            });
            self.list.len() - 1
        })
    }

    /// The chain, added where it is not there yet.
    fn chain(&mut self, table: usize, name: &str) -> Option<&mut Chain> {
        let chains = &mut self.list.get_mut(table)?.chains;
        let place = *self.chains.entry((table, name.to_owned())).or_insert_with(|| {
            chains.push(Chain { name: name.to_owned(), base: None, rules: Vec::new() });
            chains.len() - 1
        });
        chains.get_mut(place)
    }
}

fn field<'o>(object: &'o Object, name: &str) -> Option<&'o str> {
    object.body.get(name)?.as_str()
}

fn family(object: &Object) -> Option<Family> {
    let wanted = field(object, "family")?;
    let all = [Family::Ip, Family::Ip6, Family::Inet, Family::Arp, Family::Bridge, Family::Netdev];
    all.into_iter().find(|family| family.name() == wanted)
}

fn add_chain(tables: &mut Tables, object: &Object) -> Option<Problem> {
    let Some(((family, table), name)) = family(object).zip(field(object, "table")).zip(field(object, "name"))
    else {
        return Some(object.problem("a chain without family, table and name"));
    };
    let table = tables.place(family, table);
    let chain = tables.chain(table, name)?;
    object.body.get("hook")?;
    chain.base = base_chain(object);
    let problem =
        || object.problem(&format!("base chain {name} hangs on a hook, or is of a type, not known here"));
    chain.base.is_none().then(problem)
}

fn base_chain(object: &Object) -> Option<BaseChain> {
    let hook = match field(object, "hook")? {
        "ingress" => Hook::Ingress,
        "egress" => Hook::Egress,
        "prerouting" => Hook::Prerouting,
        "input" => Hook::Input,
        "forward" => Hook::Forward,
        "output" => Hook::Output,
        "postrouting" => Hook::Postrouting,
        _ => return None,
    };
    let kind = match field(object, "type")? {
        "filter" => ChainKind::Filter,
        "nat" => ChainKind::Nat,
        "route" => ChainKind::Route,
        _ => return None,
    };
    let policy = match object.body.get("policy").and_then(Value::as_str) {
        Some("accept") | None => Policy::Accept,
        Some("drop") => Policy::Drop,
        Some(_) => return None,
    };
    let priority = i32::try_from(object.body.get("prio")?.as_i64()?).ok()?;
    Some(BaseChain { hook, priority, kind, policy, policy_counters: None, devices: devices(object) })
}

/// One device or several; nft 1.0.6 prints none at all of several.
fn devices(object: &Object) -> Vec<String> {
    match object.body.get("dev") {
        Some(Value::String(name)) => vec![name.clone()],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Some(_) | None => Vec::new(),
    }
}

fn add_rule(tables: &mut Tables, object: &Object, skip: &dyn Fn(Family, &str) -> bool) -> Option<Problem> {
    let place = family(object).zip(field(object, "table")).zip(field(object, "chain"));
    let Some(((family, table), chain)) = place else {
        return Some(object.problem("a rule without family, table and chain"));
    };
    if skip(family, table) {
        return None;
    }
    let empty = Vec::new();
    let statements = object.body.get("expr").and_then(Value::as_array);
    let read = rule::read(family, statements.unwrap_or(&empty));
    let mut text = text::rule(family, statements.unwrap_or(&empty));
    if let Some(comment) = field(object, "comment") {
        let _ = write!(text, " comment \"{comment}\"");
    }
    let handle = object.body.get("handle").and_then(Value::as_u64);
    let (matches, counters, action) = match statements {
        Some(_) => (read.matches, read.counters, read.action),
        None => (Vec::new(), None, Action::Unmodelled(object.body.to_string())),
    };
    let table = tables.place(family, table);
    tables.chain(table, chain)?.rules.push(NfRule { text, counters, handle, line: 0, matches, action });
    statements.is_none().then(|| object.problem("a rule without `expr`"))
}

/// Jumps to chains that the dump does not have: cut short, or changed while it was made.
fn lost_jumps(table: &mut Table) -> Vec<Problem> {
    let names: HashSet<String> = table.chains.iter().map(|chain| chain.name.clone()).collect();
    let mut problems = Vec::new();
    for chain in &mut table.chains {
        for rule in &mut chain.rules {
            let (Action::Jump(to) | Action::Goto(to)) = &rule.action else { continue };
            if !names.contains(to) {
                let what =
                    format!("chain {} of table {} jumps to {to}, which is missing", chain.name, table.name);
                problems.push(Problem { line: 1, column: 1, what });
                rule.action = Action::Unmodelled(format!("jump {to}"));
            }
        }
    }
    problems
}
