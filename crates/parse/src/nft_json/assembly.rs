//! Tables, chains and rules put together from libnftables' objects, wherever these were read.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use model::netfilter::{Action, BaseChain, Chain, ChainKind, Dialect, Family, Hook, NfRule, Policy, Table};
use serde_json::Value;

use super::objects::Object;
use super::set::{self, Declared, INCOMPLETE};
use super::{rule, text};
use crate::Problem;

/// Tables under construction, with the places of what was added.
pub(crate) struct Assembly<'s> {
    skip: &'s dyn Fn(Family, &str) -> bool,
    tables: Vec<Table>,
    places: HashMap<(Family, String), usize>,
    /// Places of chains, by table and name.
    chains: HashMap<usize, HashMap<String, usize>>,
    /// Chains without a name, with their table; they come behind all others.
    nameless: Vec<(usize, Chain)>,
    /// Tables whose base chains hang on no hook.
    dormant: HashSet<usize>,
    /// Whether sets have no room for one more, by table and name.
    full: HashMap<(usize, String), bool>,
    /// Sets that rules add to, with their table.
    updated: HashSet<(usize, String)>,
    problems: Vec<Problem>,
}

impl<'s> Assembly<'s> {
    /// Nothing yet; tables that `skip` names will be left out.
    pub(crate) fn new(skip: &'s dyn Fn(Family, &str) -> bool) -> Assembly<'s> {
        Assembly {
            skip,
            tables: Vec::new(),
            places: HashMap::new(),
            chains: HashMap::new(),
            nameless: Vec::new(),
            dormant: HashSet::new(),
            full: HashMap::new(),
            updated: HashSet::new(),
            problems: Vec::new(),
        }
    }

    /// Adds one object; kinds that are not known here add nothing.
    pub(crate) fn add(&mut self, object: Object) {
        let problem = match object.kind.as_str() {
            "table" => self.add_table(&object),
            "chain" => self.add_chain(&object),
            "rule" => self.add_rule(object),
            "set" | "map" | "meter" => self.add_set(&object),
            _ => None,
        };
        self.problems.extend(problem);
    }

    /// The tables, and in `problems` what could not be read of them.
    pub(crate) fn finish(mut self, problems: &mut Vec<Problem>) -> Vec<Table> {
        problems.append(&mut self.problems);
        for (table, chain) in self.nameless {
            self.tables.get_mut(table).into_iter().for_each(|table| table.chains.push(chain.clone()));
        }
        for (table, name) in &self.updated {
            let sets = self.tables.get_mut(*table).map(|table| &mut table.sets);
            sets.into_iter().flatten().filter(|set| set.name == *name).for_each(|set| set.dynamic = true);
        }
        for (at, table) in self.tables.iter_mut().enumerate() {
            if self.dormant.contains(&at) {
                table.chains.iter_mut().for_each(|chain| chain.base = None);
            }
        }
        self.tables.retain(|table| !(self.skip)(table.family, &table.name));
        for table in &mut self.tables {
            problems.extend(lost_jumps(table));
        }
        self.tables
    }

    fn place(&mut self, family: Family, name: &str) -> usize {
        // Rules of one table come together.
        let last = self.tables.len().saturating_sub(1);
        if self.tables.get(last).is_some_and(|table| table.family == family && table.name == name) {
            return last;
        }
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
        let known = self.chains.get(&table).and_then(|places| places.get(name)).copied();
        let place = known.unwrap_or_else(|| {
            chains.push(Chain { name: name.to_owned(), base: None, rules: Vec::new() });
            self.chains.entry(table).or_default().insert(name.to_owned(), chains.len() - 1);
            chains.len() - 1
        });
        chains.get_mut(place)
    }

    fn add_table(&mut self, object: &Object) -> Option<Problem> {
        let Some((family, name)) = family(object).zip(field(object, "name")) else {
            return Some(object.problem("a table without family and name"));
        };
        let place = self.place(family, name);
        let flags = match object.body.get("flags") {
            Some(Value::Array(flags)) => flags.as_slice(),
            Some(flag) => std::slice::from_ref(flag),
            None => &[],
        };
        if flags.iter().any(|flag| flag.as_str() == Some("dormant")) {
            self.dormant.insert(place);
        }
        let known =
            |flag: &Value| flag.as_str().is_some_and(|f| ["dormant", "owner", "persist"].contains(&f));
        // nft 1.0.6 frees a single flag before it prints it.
        let strange = flags.iter().find(|flag| !known(flag))?;
        let what = format!("table {name} has the flag {strange}, so whether it is dormant is not known");
        Some(object.problem(&what))
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

    fn add_rule(&mut self, mut object: Object) -> Option<Problem> {
        let listed = match object.body.get_mut("expr").map(Value::take) {
            Some(Value::Array(listed)) => Some(listed),
            Some(_) | None => None,
        };
        let place = family(&object).zip(field(&object, "table")).zip(field(&object, "chain"));
        let Some(((family, table), chain)) = place else {
            return Some(object.problem("a rule without family, table and chain"));
        };
        if (self.skip)(family, table) {
            return None;
        }
        let lacks = listed.is_none().then(|| object.problem("a rule without `expr`"));
        let listed = listed.unwrap_or_default();
        let line = if object.text.is_some() { object.line } else { 0 };
        let text = object.text.clone().unwrap_or_else(|| rendered(family, &object, &listed));
        let mut statements = expanded(family, listed);
        let table = self.place(family, table);
        if statements.iter().any(|statement| nameless(statement).is_some()) {
            let number = self.chain(table, chain)?.rules.len() + 1;
            self.name_chains(family, table, &mut statements, &format!("{chain}#{number}"), line);
        }
        let mut rule = self.rule(family, table, &statements, (text, line));
        rule.handle = object.body.get("handle").and_then(Value::as_u64);
        if lacks.is_some() {
            rule.action = Action::Unmodelled(object.body.to_string());
        }
        self.chain(table, chain)?.rules.push(rule);
        lacks
    }

    /// A rule of these statements.
    fn rule(
        &mut self,
        family: Family,
        table: usize,
        statements: &[Value],
        (text, line): (String, u32),
    ) -> NfRule {
        let full = &self.full;
        let read = rule::read(family, statements, &|set| full.get(&(table, set.to_owned())).copied());
        self.updated.extend(read.updates.into_iter().map(|name| (table, name)));
        let (counters, matches, action) = (read.counters, read.matches, read.action);
        NfRule { text, counters, handle: None, line, matches, action }
    }

    /// Chains that are written where they are jumped to get a name, that of the rule, and become
    /// chains like others. The kernel's own name for them is not listed.
    fn name_chains(&mut self, family: Family, table: usize, statements: &mut [Value], name: &str, line: u32) {
        for statement in statements {
            let Some(jump) = nameless(statement).and_then(|kind| statement.get_mut(kind)) else { continue };
            let Some(Value::Array(rules)) = jump.get_mut("chain").map(Value::take) else { continue };
            let mut chain = Chain { name: name.to_owned(), base: None, rules: Vec::new() };
            for (at, rule) in rules.into_iter().enumerate() {
                let Value::Array(mut statements) = rule else { continue };
                let text = text::rule(family, &statements);
                self.name_chains(family, table, &mut statements, &format!("{name}#{}", at + 1), line);
                chain.rules.push(self.rule(family, table, &statements, (text, line)));
            }
            self.nameless.push((table, chain));
            *jump = serde_json::json!({"target": name});
        }
    }

    fn add_set(&mut self, object: &Object) -> Option<Problem> {
        let place = family(object).zip(field(object, "table")).zip(field(object, "name"));
        let Some(((family, table), name)) = place else {
            return Some(object.problem("a set without family, table and name"));
        };
        if (self.skip)(family, table) {
            return None;
        }
        let place = self.place(family, table);
        self.full.insert((place, name.to_owned()), set::is_full(&object.body));
        match set::read(family, name, &object.body) {
            Declared::Set(set) => {
                self.tables.get_mut(place)?.sets.push(set);
                None
            }
            Declared::OfUnknownType => None,
            // Whoever read it has said so.
            Declared::Unreadable if object.body.get(INCOMPLETE).is_some() => None,
            Declared::Unreadable => Some(object.problem(&format!(
                "set {name} of table {table} holds what is not understood here, so what is in it is not known"
            ))),
        }
    }
}

/// Statements for which nft has no JSON stand in it as their text.
fn expanded(family: Family, mut statements: Vec<Value>) -> Vec<Value> {
    if !statements.iter().any(Value::is_string) {
        return statements;
    }
    let read = |statement: Value| {
        let read = statement.as_str().and_then(|text| crate::nft_text::statements_of(text, family));
        read.unwrap_or_else(|| vec![statement])
    };
    statements.drain(..).flat_map(read).collect()
}

/// `jump` or `goto`, where it goes to a chain that is written there.
fn nameless(statement: &Value) -> Option<&'static str> {
    ["jump", "goto"]
        .into_iter()
        .find(|kind| statement.get(kind).is_some_and(|body| body.get("chain").is_some()))
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
            for action in actions(&mut rule.action) {
                let (Action::Jump(to) | Action::Goto(to)) = &*action else { continue };
                if names.contains(to) {
                    continue;
                }
                let what =
                    format!("chain {} of table {} jumps to {to}, which is missing", chain.name, table.name);
                problems.push(Problem { line: rule.line.max(1), column: 1, what });
                *action = Action::Unmodelled(format!("jump {to}"));
            }
        }
    }
    problems
}

/// One action, or those of several.
fn actions(action: &mut Action) -> &mut [Action] {
    match action {
        Action::Several(actions) => actions,
        one => std::slice::from_mut(one),
    }
}
