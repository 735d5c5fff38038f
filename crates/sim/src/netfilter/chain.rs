//! Running one base chain: rules in order, jumps, gotos, returns, the policy
//! (`ipt_do_table`, `nft_do_chain`).
//!
//! A condition that cannot be decided makes both sides possible: the rule's action, and going on.
//! The result is every ending that is possible, each with the condition that it hangs on.

use model::netfilter::{Action, Chain, NatTarget, NfRule, Policy};
use model::path::RuleRef;

use super::hooks::{BaseRef, Hooks};
use super::matches::{Look, Marking, Tri};

/// Chains nested in each other at most. nf_tables refuses 16 (`NFT_JUMP_STACK_SIZE`); xtables makes
/// its stack as deep as there are chains.
const DEPTH_MAX: usize = 100;
/// Rules looked at in one base chain at most. Chains that jump to each other again and again make
/// the number of visits grow with every level; real rulesets stay far below.
const RULES_MAX: usize = 1_000_000;
/// Endings kept at most: more tell nothing new.
const ENDINGS_MAX: usize = 1_000;

/// One way in which a base chain can end.
#[derive(Debug, Clone)]
pub(super) struct Ending {
    pub(super) effect: Effect,
    /// The rule that decided; for a policy, the base chain.
    pub(super) by: Option<RuleRef>,
    /// The undecidable condition that this ending hangs on.
    pub(super) assumed: Option<String>,
    /// What the packet carries from here on.
    pub(super) marking: Marking,
}

impl Ending {
    /// Two endings between which nobody downstream could tell.
    pub(super) fn same_fate(&self, other: &Ending) -> bool {
        self.effect.same_fate(&other.effect) && self.marking == other.marking
    }
}

/// What a base chain does with a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Effect {
    Accept,
    Drop,
    Reject,
    PolicyAccept,
    PolicyDrop,
    Dnat(NatTarget),
    Snat(NatTarget),
}

impl Effect {
    fn same_fate(&self, other: &Effect) -> bool {
        let passes = |e: &Effect| matches!(e, Effect::Accept | Effect::PolicyAccept);
        let dies = |e: &Effect| matches!(e, Effect::Drop | Effect::Reject | Effect::PolicyDrop);
        self == other || (passes(self) && passes(other)) || (dies(self) && dies(other))
    }
}

struct Run<'r, 'a> {
    hooks: &'r Hooks<'a>,
    base: &'r BaseRef<'a>,
    look: &'r Look<'r, 'a>,
    chains: Vec<&'a str>,
    endings: Vec<Ending>,
    assumed: Option<String>,
    /// The rule being run may not apply at all.
    uncertain: bool,
    now: Marking,
    /// Rules looked at so far.
    rules: usize,
}

/// How a chain that was jumped to comes back.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Back {
    /// Nothing can reach what follows.
    Ended,
    /// The caller's next rule is reached, unless an undecidable rule ended the packet before.
    Returned,
}

/// Every way in which this base chain can end for the packet.
pub(super) fn run<'r, 'a>(
    hooks: &'r Hooks<'a>,
    base: &'r BaseRef<'a>,
    look: &'r Look<'r, 'a>,
) -> Vec<Ending> {
    let mut run = Run {
        hooks,
        base,
        look,
        chains: vec![base.chain.name.as_str()],
        endings: Vec::new(),
        assumed: None,
        uncertain: false,
        now: look.marking(),
        rules: 0,
    };
    match run.chain(base.chain) {
        Back::Ended => {}
        Back::Returned => run.policy(),
    }
    run.endings
}

impl<'a> Run<'_, 'a> {
    fn chain(&mut self, chain: &'a Chain) -> Back {
        let outer = self.uncertain;
        let back = self.rules_of(chain);
        self.uncertain = outer;
        back
    }

    fn rules_of(&mut self, chain: &'a Chain) -> Back {
        // An undecidable rule may have led back to the caller already: what follows may not be met.
        let mut may_return = false;
        for (at, rule) in chain.rules.iter().enumerate() {
            let number = u32::try_from(at + 1).unwrap_or(u32::MAX);
            self.rules += 1;
            let next = match self.look.rule(rule, self.now) {
                Tri::No => Next::Rule,
                Tri::Yes => self.act(rule, number),
                Tri::Unknown(why) => {
                    may_return |= matches!(self.maybe(why, rule, number), Next::Back(Back::Returned));
                    self.uncertain |= may_return;
                    Next::Rule
                }
            };
            match next {
                Next::Rule => {}
                Next::Back(Back::Ended) if may_return => return Back::Returned,
                Next::Back(back) => return back,
            }
        }
        Back::Returned
    }

    /// Both sides of a rule of which it cannot be told whether it applies: what the action does, and
    /// that the next rule stays reachable whatever it does.
    fn maybe(&mut self, why: String, rule: &'a NfRule, number: u32) -> Next {
        let outer = (self.assumed.clone(), self.uncertain);
        self.assumed.get_or_insert(why);
        self.uncertain = true;
        let next = self.act(rule, number);
        self.uncertain = outer.1;
        if outer.0.is_some() {
            self.assumed = outer.0;
        }
        next
    }

    fn act(&mut self, rule: &'a NfRule, number: u32) -> Next {
        let target = match &rule.action {
            Action::Continue | Action::NonTerminal(_) => return Next::Rule,
            Action::Return => return Next::Back(Back::Returned),
            Action::Notrack | Action::SetMark { .. } if self.uncertain => {
                let why = self.assumed.clone().unwrap_or_default();
                return self.undecidable(why, rule, number);
            }
            Action::Notrack => {
                self.now.untracked = true;
                return Next::Rule;
            }
            Action::SetMark { value, mask } => {
                self.now.mark = (self.now.mark & !mask) ^ value;
                return Next::Rule;
            }
            Action::Jump(name) => return self.call(name, rule, number, true),
            Action::Goto(name) => return self.call(name, rule, number, false),
            Action::Unmodelled(text) => return self.undecidable(text.clone(), rule, number),
            Action::Accept => Effect::Accept,
            Action::Drop => Effect::Drop,
            Action::Reject(_) => Effect::Reject,
            Action::Dnat(target) => Effect::Dnat(*target),
            Action::Snat(target) => Effect::Snat(*target),
            Action::Masquerade => match self.look.outgoing_address() {
                Some(ip) => Effect::Snat(to_address(ip)),
                None => {
                    let why = format!("the outgoing link's address for {}", rule.text);
                    return self.undecidable(why, rule, number);
                }
            },
            Action::Redirect(ports) => match self.look.incoming_address() {
                Some(ip) => Effect::Dnat(NatTarget { ports: *ports, ..to_address(ip) }),
                None => {
                    let why = format!("the incoming link's address for {}", rule.text);
                    return self.undecidable(why, rule, number);
                }
            },
        };
        self.end(target, rule, number);
        Next::Back(Back::Ended)
    }

    fn call(&mut self, name: &'a str, rule: &NfRule, number: u32, comes_back: bool) -> Next {
        let Some(chain) = self.hooks.chain(self.base.table_at, name) else {
            let why = format!("chain {name}, which the dump does not have");
            return self.undecidable(why, rule, number);
        };
        if self.chains.len() >= DEPTH_MAX || self.rules >= RULES_MAX {
            let why = format!("chain {name}, which is reached over too many others");
            return self.undecidable(why, rule, number);
        }
        if self.chains.contains(&name) {
            let why = format!("chain {name}, which calls itself");
            return self.undecidable(why, rule, number);
        }
        self.chains.push(&chain.name);
        let back = self.chain(chain);
        self.chains.pop();
        match (back, comes_back) {
            (Back::Ended, _) => Next::Back(Back::Ended),
            (Back::Returned, true) => Next::Rule,
            // A goto returns to where its chain's caller stands: for us, to the end of this chain.
            (Back::Returned, false) => Next::Back(Back::Returned),
        }
    }

    /// The rule may do anything: pass, drop, or leave it to the rules that follow.
    fn undecidable(&mut self, why: String, rule: &NfRule, number: u32) -> Next {
        self.assumed = Some(why);
        self.end(Effect::Accept, rule, number);
        self.end(Effect::Drop, rule, number);
        Next::Rule
    }

    fn policy(&mut self) {
        let (effect, word) = match self.base.base.policy {
            Policy::Accept => (Effect::PolicyAccept, "ACCEPT"),
            Policy::Drop => (Effect::PolicyDrop, "DROP"),
        };
        let counters = self.base.base.policy_counters.map(|c| (c.packets, c.bytes));
        let by = RuleRef {
            dialect: self.base.table.dialect,
            family: self.base.table.family,
            table: self.base.table.name.clone(),
            hook: self.base.base.hook,
            chains: vec![self.base.chain.name.clone()],
            number: 0,
            text: format!(":{} {word}", self.base.chain.name),
            counters,
            handle: None,
        };
        self.push(effect, Some(by));
    }

    fn end(&mut self, effect: Effect, rule: &NfRule, number: u32) {
        let by = RuleRef {
            dialect: self.base.table.dialect,
            family: self.base.table.family,
            table: self.base.table.name.clone(),
            hook: self.base.base.hook,
            chains: self.chains.iter().map(|c| (*c).to_owned()).collect(),
            number,
            text: rule.text.clone(),
            counters: rule.counters.map(|c| (c.packets, c.bytes)),
            handle: rule.handle,
        };
        self.push(effect, Some(by));
    }

    fn push(&mut self, effect: Effect, by: Option<RuleRef>) {
        let ending = Ending { effect, by, assumed: self.assumed.clone(), marking: self.now };
        if self.endings.len() < ENDINGS_MAX || !self.endings.iter().any(|e| e.same_fate(&ending)) {
            self.endings.push(ending);
        }
    }
}

enum Next {
    Rule,
    Back(Back),
}

fn to_address(ip: std::net::Ipv4Addr) -> NatTarget {
    NatTarget { addresses: Some((ip.into(), ip.into())), ports: None }
}
