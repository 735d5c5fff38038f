//! A rule's statements (libnftables-json(5), STATEMENTS) as conditions and what is then done.

use model::netfilter::{Action, Because, Counters, Elements, Family, Match, Test};
use serde_json::Value;

use super::action::{self, Deed};
use super::{condition, lookup, text};

/// What a rule's statements come to.
pub(super) struct Read {
    pub(super) matches: Vec<Match>,
    pub(super) counters: Option<Counters>,
    pub(super) action: Action,
    /// Sets that it adds to or deletes from.
    pub(super) updates: Vec<String>,
}

/// Whether the table's set of this name has no room for one more; `None` where it is not known.
pub(super) type IsFull<'f> = &'f dyn Fn(&str) -> Option<bool>;

/// Reads the statements in order.
///
/// A rule of ours has conditions, then deeds. Where a statement that changes the packet is followed by
/// a condition, which decides only what comes after it, the whole is not modelled.
pub(super) fn read(family: Family, statements: &[Value], is_full: IsFull<'_>) -> Read {
    let mut rule =
        Read { matches: Vec::new(), counters: None, action: Action::Continue, updates: updates(statements) };
    let mut deeds: Vec<Deed> = Vec::new();
    for statement in statements {
        let entry = statement.as_object().filter(|map| map.len() == 1).and_then(|map| map.iter().next());
        let taken = entry.and_then(|(name, body)| {
            rule.take(family, (name.as_str(), body), statement, &mut deeds, is_full)
        });
        if taken.is_none() {
            rule.action = Action::Unmodelled(text::rule(family, statements));
            return rule;
        }
    }
    for deed in &deeds {
        deed.demands.iter().for_each(|test| condition::demand(&mut rule.matches, test.clone()));
    }
    rule.action = together(deeds.into_iter().map(|deed| deed.action).collect());
    rule
}

impl Read {
    /// One more statement; `None` where it cannot be said together with those before.
    fn take(
        &mut self,
        family: Family,
        (name, body): (&str, &Value),
        statement: &Value,
        deeds: &mut Vec<Deed>,
        is_full: IsFull<'_>,
    ) -> Option<()> {
        if let Some(demands) = sure_update(family, (name, body), &self.matches, is_full) {
            let action = Action::NonTerminal(text::statement(family, statement));
            deeds.push(Deed { demands, action, may_end_rule: false });
            return Some(());
        }
        let is_remark = |deed: &Deed| matches!(deed.action, Action::NonTerminal(_));
        // A look-up that finds nothing ends the rule.
        let may_have_ended = deeds.iter().any(|deed| deed.may_end_rule);
        let object = mapped_object(body);
        if object.is_some() || lets_only_some_pass(name, body) {
            // A log before a condition does not decide, so it gives way.
            if may_have_ended || !deeds.iter().all(is_remark) {
                return None;
            }
            let demands = deeds.drain(..).flat_map(|deed| deed.demands);
            demands.for_each(|test| condition::demand(&mut self.matches, test));
        }
        if let Some(map) = object {
            add_object(family, map, statement, &mut self.matches);
        }
        if lets_only_some_pass(name, body) {
            add_condition(family, (name, body), statement, &mut self.matches);
            return Some(());
        }
        if matches!(name, "counter" | "last") {
            self.counters = counters(body).or(self.counters);
            return Some(());
        }
        let mut deed = action::read(family, (name, body), statement, &self.matches);
        deed.may_end_rule &= object.is_none();
        let demanded = |test: &Test| deeds.iter().any(|deed| deed.demands.contains(test));
        let holds =
            |test: &Test| demanded(test) || self.matches.iter().any(|m| !m.negated && m.test == *test);
        let demands_more = !deed.demands.iter().all(holds);
        let is_first = deeds.iter().all(is_remark);
        if demands_more && !is_first && is_remark(&deed) {
            // Nothing that came before hangs on it, but all that follows.
            deed = Deed { demands: Vec::new(), may_end_rule: true, ..deed };
        } else if (may_have_ended && !is_remark(&deed)) || (demands_more && !is_first) {
            return None;
        }
        deeds.push(deed);
        Some(())
    }
}

/// What is demanded for an update of a set that cannot fail: there is room, and nothing else decides
/// about it (`nft_dynset_eval`).
fn sure_update(
    family: Family,
    (name, body): (&str, &Value),
    before: &[Match],
    is_full: IsFull<'_>,
) -> Option<Vec<Test>> {
    if !matches!(name, "set" | "map") {
        return None;
    }
    let set = body.get(name)?.as_str()?.trim_start_matches('@');
    let has_room = body.get("op")?.as_str()? == "delete" || is_full(set) == Some(false);
    let statements = body.get("stmt").and_then(Value::as_array).into_iter().flatten();
    let only_counts = statements.into_iter().all(|statement| statement.get("counter").is_some());
    let element = body.get("elem")?;
    let key = element.get("elem").and_then(|kept| kept.get("val")).unwrap_or(element);
    let alone = std::slice::from_ref(key);
    let parts = key.get("concat").and_then(Value::as_array).map_or(alone, Vec::as_slice);
    let mut demands = Vec::new();
    for field in parts.iter().filter(|part| part.is_object()) {
        demands.extend(lookup::fields(family, field, before, false).ok()?.demands);
    }
    (has_room && only_counts).then_some(demands)
}

/// Statements that are only a condition. `set` and `map` stop the rule where they cannot add
/// (`nft_dynset_eval`).
fn lets_only_some_pass(name: &str, body: &Value) -> bool {
    match name {
        "match" | "limit" | "quota" | "ct count" | "set" | "map" | "meter" => true,
        "xt" => body.get("type").and_then(Value::as_str) == Some("match"),
        _ => false,
    }
}

/// `counter name tcp dport map { ... }`: where the map names no object, the rule ends
/// (`nft_objref_map_eval`).
fn mapped_object(body: &Value) -> Option<&Value> {
    body.get("map").filter(|map| map.is_object())
}

fn add_object(family: Family, map: &Value, statement: &Value, matches: &mut Vec<Match>) {
    let key = map.get("key").and_then(|key| lookup::fields(family, key, matches, false).ok());
    let demands = key.as_ref().map(|key| key.demands.clone()).unwrap_or_default();
    let lookup = key.zip(map.get("data")).and_then(|(key, data)| lookup::of(key, data));
    let lookup = lookup.map(|mut lookup| {
        if let Elements::Anonymous(elements) = lookup.elements {
            lookup.elements = Elements::Anonymous(lookup::without_data(elements));
        }
        lookup
    });
    demands.into_iter().for_each(|test| condition::demand(matches, test));
    let test = lookup.map_or_else(|| Test::Unmodelled(text::statement(family, statement)), Test::InSet);
    matches.push(Match { negated: false, test });
}

fn add_condition(family: Family, (name, body): (&str, &Value), statement: &Value, matches: &mut Vec<Match>) {
    let text = || text::statement(family, statement);
    let test = match name {
        "match" => return condition::add(family, body, matches),
        "limit" | "quota" | "ct count" | "meter" => Test::Unpredictable(text(), Because::Rate),
        "set" | "map" => {
            let limits = ["limit", "quota", "ct count"];
            let kept = body.get("stmt").and_then(Value::as_array).into_iter().flatten();
            let is_rate = kept.into_iter().any(|one| limits.iter().any(|limit| one.get(limit).is_some()));
            Test::Unpredictable(text(), if is_rate { Because::Rate } else { Because::History })
        }
        _ => Test::Unmodelled(text()),
    };
    matches.push(Match { negated: false, test });
}

/// What does not decide gives way to what does.
fn together(mut actions: Vec<Action>) -> Action {
    actions.retain(|action| *action != Action::Continue);
    let last_remark = actions.iter().rposition(|action| matches!(action, Action::NonTerminal(_)));
    if actions.iter().all(|action| matches!(action, Action::NonTerminal(_))) {
        return last_remark.map_or(Action::Continue, |at| actions.swap_remove(at));
    }
    actions.retain(|action| !matches!(action, Action::NonTerminal(_)));
    match actions.pop() {
        Some(only) if actions.is_empty() => only,
        Some(last) => {
            actions.push(last);
            Action::Several(actions)
        }
        None => Action::Continue,
    }
}

fn counters(body: &Value) -> Option<Counters> {
    Some(Counters { packets: body.get("packets")?.as_u64()?, bytes: body.get("bytes")?.as_u64()? })
}

fn updates(statements: &[Value]) -> Vec<String> {
    let name = |statement: &Value| {
        let body = ["set", "map", "meter"].iter().find_map(|kind| statement.get(kind))?;
        let name = ["set", "map", "name"].iter().find_map(|key| body.get(key))?.as_str()?;
        Some(name.trim_start_matches('@').to_owned())
    };
    statements.iter().filter_map(name).collect()
}
