//! One rule of an arptables dump (arptables-nft(8)).

use std::collections::HashMap;

use model::netfilter::{Action, AddressOf, ArpChange, Choice, Match, NfRule, Test};

use crate::iptables_save::dump::RuleLine;
use crate::iptables_save::values;
use crate::iptables_save::words::Words;
use crate::{Problem, arp};

/// Reads a rule. `chains` are the names that `-j` may jump to.
pub(super) fn read(
    line: &RuleLine<'_>,
    chains: &HashMap<&str, usize>,
    problems: &mut Vec<Problem>,
) -> NfRule {
    let mut words = match Words::split(line.options) {
        Ok(words) => words,
        Err(open) => {
            problems.push(line.problem(open, "a quote that is never closed"));
            return line.unreadable();
        }
    };
    let mut conditions = Vec::new();
    let mut target: Option<Target> = None;
    while !words.is_done() {
        let start = words.at();
        let negated = words.take("!");
        let Some(option) = words.word() else {
            problems.push(line.problem(line.options, "`!` without an option after it"));
            return line.unreadable();
        };
        let value = words.word();
        let text = words.text_since(start);
        let value = value.as_ref().map_or("", |word| word.value.as_ref());
        match (option.raw, &mut target) {
            ("-j", None) => target = Some(Target { name: value.to_owned(), options: Vec::new() }),
            (name, Some(target)) if is_targets(name) => {
                target.options.push((name.to_owned(), value.to_owned()));
            }
            // Any link at all.
            ("-i" | "-o", _) if value == "*" => {}
            (name, _) => conditions.push(condition(name, negated, value).unwrap_or_else(|| {
                if !name.starts_with('-') {
                    problems.push(line.problem(option.raw, "expected an option"));
                }
                Match { negated: false, test: Test::Unmodelled(text.to_owned()) }
            })),
        }
    }
    let action = target.map_or(Action::Continue, |target| {
        let (action, known) = target.action(chains);
        if !known {
            let what = format!("{} is neither a chain of this table nor a target known here", target.name);
            problems.push(line.problem(line.options, what));
        }
        action
    });
    line.rule(conditions, action)
}

fn is_targets(option: &str) -> bool {
    ["--mangle-", "--set-", "--or-", "--and-", "--xor-", "--queue-"].iter().any(|of| option.starts_with(of))
}

fn condition(option: &str, negated: bool, value: &str) -> Option<Match> {
    let test = match option {
        "-i" => Test::In(value.to_owned()),
        "-o" => Test::Out(value.to_owned()),
        "-s" => arp::address(AddressOf::Source, value)?,
        "-d" => arp::address(AddressOf::Destination, value)?,
        "--src-mac" | "--source-mac" => {
            values::masked_mac(value).map(|(mac, mask)| Test::ArpSourceMac(mac, mask))?
        }
        "--dst-mac" | "--destination-mac" => {
            values::masked_mac(value).map(|(mac, mask)| Test::ArpTargetMac(mac, mask))?
        }
        "--opcode" => Test::ArpOperation(arp::operation(value)?),
        "--h-length" => return Some(arp::known(values::number(value)? == 6, negated)),
        "--h-type" => {
            return Some(arp::known(value == "Ethernet" || values::number(value)? == 1, negated));
        }
        "--proto-type" => {
            return Some(arp::known(value == "IPv4" || values::number(value)? == 0x0800, negated));
        }
        _ => return None,
    };
    Some(Match { negated, test })
}

/// A target with its options, which stand at the rule's end.
struct Target {
    name: String,
    options: Vec<(String, String)>,
}

impl Target {
    /// What it does, and whether that is a target at all.
    fn action(&self, chains: &HashMap<&str, usize>) -> (Action, bool) {
        let action = match self.name.as_str() {
            "ACCEPT" => Action::Accept,
            "DROP" => Action::Drop,
            "RETURN" => Action::Return,
            "CONTINUE" => Action::Continue,
            name if chains.contains_key(name) => Action::Jump(name.to_owned()),
            "QUEUE" | "NFQUEUE" => Action::Elsewhere(self.text(), Choice::Queue),
            "CLASSIFY" => Action::NonTerminal(self.text()),
            "MARK" => self.mark().unwrap_or_else(|| Action::Unmodelled(self.text())),
            "mangle" => self.mangle().unwrap_or_else(|| Action::Unmodelled(self.text())),
            _ => return (Action::Unmodelled(self.text()), false),
        };
        (action, true)
    }

    /// Writes addresses into the packet, then accepts it or does as told (`arpt_mangle.c`, `target`).
    fn mangle(&self) -> Option<Action> {
        let mut actions = Vec::new();
        let mut then = Action::Accept;
        for (option, value) in &self.options {
            let change = match option.as_str() {
                "--mangle-ip-s" => ArpChange::SenderIp(value.parse().ok()?),
                "--mangle-ip-d" => ArpChange::TargetIp(value.parse().ok()?),
                "--mangle-mac-s" => ArpChange::SenderMac(value.parse().ok()?),
                "--mangle-mac-d" => ArpChange::TargetMac(value.parse().ok()?),
                "--mangle-target" => {
                    then = match value.as_str() {
                        "ACCEPT" => Action::Accept,
                        "DROP" => Action::Drop,
                        "CONTINUE" => Action::Continue,
                        _ => return None,
                    };
                    continue;
                }
                _ => return None,
            };
            actions.push(Action::Arp(change));
        }
        actions.extend(Some(then).filter(|then| *then != Action::Continue));
        Some(Action::Several(actions))
    }

    /// Numbers are hexadecimal, without saying so (`libarpt_MARK.c`).
    fn mark(&self) -> Option<Action> {
        let [(option, value)] = self.options.as_slice() else { return None };
        let value = u32::from_str_radix(value.strip_prefix("0x").unwrap_or(value), 16).ok()?;
        let (value, mask) = match option.as_str() {
            "--set-mark" => (value, u32::MAX),
            "--and-mark" => (0, !value),
            "--or-mark" => (value, value),
            _ => return None,
        };
        Some(Action::SetMark { value, mask })
    }

    fn text(&self) -> String {
        let options = self.options.iter().map(|(option, value)| format!(" {option} {value}"));
        format!("-j {}{}", self.name, options.collect::<String>())
    }
}
