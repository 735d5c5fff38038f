//! Targets (`-j`, ebtables(8)) as actions. Those that rewrite the frame also carry a verdict, which is
//! ACCEPT unless said otherwise (`ebt_redirect.c`, `ebt_dnat.c`, `ebt_snat.c`, `ebt_mark.c`).

use std::collections::HashMap;

use model::Mac;
use model::netfilter::{Action, ArpChange, Choice, Dialect, EtherChange};

use crate::iptables_save::values;
use crate::iptables_save::words::Words;

/// What DROP means in table broute (ebtables(8), TABLES).
pub(super) const BROUTE_DROP: &str = "DROP in broute (the frame is routed instead of bridged)";

/// Reads the target whose `-j` is word number `start`, to the rule's end. Also says what is wrong
/// with it.
pub(super) fn read(
    words: &mut Words<'_>,
    start: usize,
    (table, dialect): (&str, Dialect),
    chains: &HashMap<&str, usize>,
) -> (Action, Option<String>) {
    let name = words.value().unwrap_or_default();
    let options = words.at();
    words.skip_all();
    let text = words.text_since(start).to_owned();
    if let Some(verdict) = verdict(&name, table) {
        return (verdict, None);
    }
    if chains.contains_key(name.as_ref()) {
        return (Action::Jump(name.into_owned()), None);
    }
    words.rewind(options);
    let read = match name.as_ref() {
        // In BROUTING of the legacy kernel the port's own address, not the bridge's.
        "redirect" if table == "broute" && dialect == Dialect::EbtablesLegacy => {
            let to_the_port = || Action::Elsewhere(text.clone(), Choice::Port);
            text.ends_with("--redirect-target DROP").then(to_the_port)
        }
        "redirect" => rewriting(words, table, "--redirect-target", redirect),
        "dnat" => rewriting(words, table, "--dnat-target", dnat),
        "snat" => source(words, table),
        "mark" => rewriting(words, table, "--mark-target", mark),
        // It makes a frame, and drops the question (`ebt_arpreply_tg`).
        "arpreply" => Some(Action::Elsewhere(text.clone(), Choice::Bridge)),
        name => {
            words.skip_all();
            let what = format!("{name} is neither a chain of this table nor a target known here");
            return (Action::Unmodelled(text), Some(what));
        }
    };
    words.skip_all();
    (read.unwrap_or(Action::Unmodelled(text)), None)
}

fn verdict(name: &str, table: &str) -> Option<Action> {
    Some(match name {
        "ACCEPT" => Action::Accept,
        "DROP" if table == "broute" => Action::Elsewhere(BROUTE_DROP.to_owned(), Choice::Port),
        "DROP" => Action::Drop,
        "CONTINUE" => Action::Continue,
        "RETURN" => Action::Return,
        _ => return None,
    })
}

/// A change and then a verdict. `change` reads an option of its own; it is also asked for what holds
/// without any. `None` where an option is not modelled.
fn rewriting(
    options: &mut Words<'_>,
    table: &str,
    target: &str,
    change: fn(Option<(&str, &str)>) -> Option<Action>,
) -> Option<Action> {
    let mut changes = change(None);
    let mut then = Action::Accept;
    while let Some(option) = options.value() {
        let value = options.value()?;
        if option == target {
            then = verdict(&value, table)?;
        } else {
            changes = Some(change(Some((&option, &value)))?);
        }
    }
    let changes = changes?;
    Some(if then == Action::Continue { changes } else { Action::Several(vec![changes, then]) })
}

fn redirect(option: Option<(&str, &str)>) -> Option<Action> {
    option.is_none().then_some(Action::Ether(EtherChange::Redirect))
}

fn dnat(option: Option<(&str, &str)>) -> Option<Action> {
    match option? {
        ("--to-dst" | "--to-destination", mac) => {
            Some(Action::Ether(EtherChange::Destination(mac.parse().ok()?)))
        }
        _ => None,
    }
}

/// `--snat-arp` also rewrites the sender in an ARP packet (`ebt_snat_tg`).
fn source(options: &mut Words<'_>, table: &str) -> Option<Action> {
    let (mut to, mut in_arp, mut then): (Option<Mac>, bool, Action) = (None, false, Action::Accept);
    while let Some(option) = options.value() {
        match option.as_ref() {
            "--to-src" | "--to-source" => to = Some(options.value()?.parse().ok()?),
            "--snat-arp" => in_arp = true,
            "--snat-target" => then = verdict(&options.value()?, table)?,
            _ => return None,
        }
    }
    let mut changes = vec![Action::Ether(EtherChange::Source(to?))];
    changes.extend(to.filter(|_| in_arp).map(|mac| Action::Arp(ArpChange::SenderMac(mac))));
    changes.extend(Some(then).filter(|then| *then != Action::Continue));
    Some(if let [only] = changes.as_slice() { only.clone() } else { Action::Several(changes) })
}

fn mark(option: Option<(&str, &str)>) -> Option<Action> {
    let (option, value) = option?;
    let value = values::number(value)?;
    let (value, mask) = match option {
        "--mark-set" | "--set-mark" => (value, u32::MAX),
        "--mark-or" => (value, value),
        "--mark-and" => (0, !value),
        "--mark-xor" => (value, 0),
        _ => return None,
    };
    Some(Action::SetMark { value, mask })
}
