//! Tables, chains and rules put together from libnftables' objects, wherever these were read.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use model::netfilter::{Action, BaseChain, Chain, ChainKind, Dialect, Family, Hook, NfRule, Policy, Table};
use serde_json::Value;

use super::objects::Object;
use super::{rule, text};
use crate::Problem;

/// Tables under construction, with the places of what was added.
pub(crate) struct Assembly<'s> {
    skip: &'s dyn Fn(Family, &str) -> bool,
    tables: Vec<Table>,
    places: HashMap<(Family, String), usize>,
    chains: HashMap<(usize, String), usize>,
    problems: Vec<Problem>,
}

impl<'s> Assembly<'s> {
    /// Nothing yet; tables that `skip` names will be left out.
    pub(crate) fn new(skip: &'s dyn Fn(Family, &str) -> bool) -> Assembly<'s> {
        let (places, chains) = (HashMap::new(), HashMap::new());
        Assembly { skip, tables: Vec::new(), places, chains, problems: Vec::new() }
    }

    /// Adds one object; kinds that are not known here add nothing.
    pub(crate) fn add(&mut self, object: &Object) {
        let problem = match object.kind.as_str() {
            "table" => self.add_table(object),
            "chain" => self.add_chain(object),
            "rule" => self.add_rule(object),
            _ => None,
        };
        self.problems.extend(problem);
    }

    /// The tables, and in `problems` what could not be read of them.
    pub(crate) fn finish(mut self, problems: &mut Vec<Problem>) -> Vec<Table> {
        problems.append(&mut self.problems);
        self.tables.retain(|table| !(self.skip)(table.family, &table.name));
        for table in &mut self.tables {
            problems.extend(lost_jumps(table));
        }
        self.tables
    }

    fn place(&mut self, family: Family, name: &str) -> usize {
        *self.places.entry((family, name.to_owned())).or_insert_with(|| {
            let name = name.to_owned();
            let (chains, sets) = (Vec::new(), Vec::new());
            self.tables.push(Table { family, name, dialect: Dialect::Nft, chains, sets });
            self.tables.len() - 1
        })
    }

    /// The chain, added where it is not there yet.
    fn chain(&mut self, table: usize, name: &str) -> Option<&mut Chain> {
        let chains = &mut self.tables.get_mut(table)?.chains;
        let place = *self.chains.entry((table, name.to_owned())).or_insert_with(|| {
            chains.push(Chain { name: name.to_owned(), base: None, rules: Vec::new() });
            chains.len() - 1
        });
        chains.get_mut(place)
    }

    fn add_table(&mut self, object: &Object) -> Option<Problem> {
        match family(object).zip(field(object, "name")) {
            Some((family, name)) => {
                self.place(family, name);
                None
            }
            None => Some(object.problem("a table without family and name")),
        }
    }

    fn add_chain(&mut self, object: &Object) -> Option<Problem> {
        let place = family(object).zip(field(object, "table")).zip(field(object, "name"));
        let Some(((family, table), name)) = place else {
            return Some(object.problem("a chain without family, table and name"));
        };
        let table = self.place(family, table);
        let chain = self.chain(table, name)?;
        object.body.get("hook")?;
        chain.base = base_chain(object);
        let problem =
            || object.problem(&format!("base chain {name} hangs on a hook, or is of a type, not known here"));
        chain.base.is_none().then(problem)
    }

    fn add_rule(&mut self, object: &Object) -> Option<Problem> {
        let place = family(object).zip(field(object, "table")).zip(field(object, "chain"));
        let Some(((family, table), chain)) = place else {
            return Some(object.problem("a rule without family, table and chain"));
        };
        if (self.skip)(family, table) {
            return None;
        }
        let listed = object.body.get("expr").and_then(Value::as_array);
        let statements = expanded(family, listed.map(Vec::as_slice).unwrap_or_default());
        let read = rule::read(family, &statements);
        let text =
            object.text.clone().unwrap_or_else(|| rendered(family, object, listed.unwrap_or(&statements)));
        let handle = object.body.get("handle").and_then(Value::as_u64);
        let (matches, counters, action) = match listed {
            Some(_) => (read.matches, read.counters, read.action),
            None => (Vec::new(), None, Action::Unmodelled(object.body.to_string())),
        };
        let line = if object.text.is_some() { object.line } else { 0 };
        let table = self.place(family, table);
        self.chain(table, chain)?.rules.push(NfRule { text, counters, handle, line, matches, action });
        listed.is_none().then(|| object.problem("a rule without `expr`"))
    }
}

/// Statements for which nft has no JSON stand in it as their text.
fn expanded(family: Family, statements: &[Value]) -> Vec<Value> {
    let read = |statement: &Value| crate::nft_text::statements_of(statement.as_str()?, family);
    statements.iter().flat_map(|one| read(one).unwrap_or_else(|| vec![one.clone()])).collect()
}

/// A rule's text, which JSON does not have.
fn rendered(family: Family, object: &Object, statements: &[Value]) -> String {
    let mut text = text::rule(family, statements);
    if let Some(comment) = field(object, "comment") {
        let _ = write!(text, " comment \"{comment}\"");
    }
    text
}

fn field<'o>(object: &'o Object, name: &str) -> Option<&'o str> {
    object.body.get(name)?.as_str()
}

fn family(object: &Object) -> Option<Family> {
    let wanted = field(object, "family")?;
    let all = [Family::Ip, Family::Ip6, Family::Inet, Family::Arp, Family::Bridge, Family::Netdev];
    all.into_iter().find(|family| family.name() == wanted)
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

/// One device or several; nft 1.0.6 prints none at all in JSON.
fn devices(object: &Object) -> Vec<String> {
    match object.body.get("dev") {
        Some(Value::String(name)) => vec![name.clone()],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Some(_) | None => Vec::new(),
    }
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
                problems.push(Problem { line: rule.line.max(1), column: 1, what });
                rule.action = Action::Unmodelled(format!("jump {to}"));
            }
        }
    }
    problems
}
