//! Trace events as rules that their owner's tool prints.

use std::collections::BTreeMap;

use model::netfilter::{Action, BaseChain, Chain, Family, NfRule, Policy, Ruleset, Table};
use model::path::RuleRef;

use super::Handles;
use super::event::{Headers, Kind, TraceEvent, Verdict};

/// Chains inside each other that are followed: nf_tables refuses 16 (`NFT_JUMP_STACK_SIZE`), those left by
/// a goto not counted.
const DEPTH_MAX: usize = 100;

/// A rule that a packet matched, or a policy that it came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleMet {
    /// The event's: see [`TraceEvent::id`].
    pub id: u32,
    /// The packet as it entered the base chain, before this rule could change it.
    pub headers: Option<Headers>,
    /// Index of the link of arrival, as the base chain saw it.
    pub iif: Option<u32>,
    /// Index of the link of departure, likewise.
    pub oif: Option<u32>,
    /// The rule, as far as the ruleset has it; of a policy, number 0 and `:FORWARD DROP`.
    pub rule: Result<RuleRef, Unnamed>,
    /// What it said.
    pub verdict: Verdict,
    /// The packet's mark after it; 0 where it has none.
    pub mark: u32,
}

/// A rule or policy that was met and that the ruleset does not tell.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {why}", place(self))]
pub struct Unnamed {
    /// Family of its table.
    pub family: Family,
    /// Its table.
    pub table: String,
    /// Its chain.
    pub chain: String,
    /// Its handle; `None` for a policy.
    pub handle: Option<u64>,
    /// Why it has no name.
    pub why: Why,
}

/// Why a rule has no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// The ruleset has no such table, chain or rule.
    #[error("the rules that were read do not have it")]
    NotRead,
    /// The ruleset's chain is not the kernel's: other rules, or this one says something else.
    #[error("the rules were changed after they were read")]
    Changed,
    /// Which base chain led here is not known: events are missing.
    #[error("the events that lead there were lost")]
    Lost,
}

fn place(unnamed: &Unnamed) -> String {
    let Unnamed { family, table, chain, handle, .. } = unnamed;
    let what = handle.map_or_else(|| "policy".to_owned(), |handle| format!("rule of handle {handle}"));
    format!("{what} in {} {table} {chain}", family.name())
}

/// The rules and policies of these events, in the same order.
///
/// `handles` number the rules of tables whose tool prints none (iptables-nft, ebtables-nft): the n-th of a
/// chain is the n-th that the tool prints. They must be of the same moment as the ruleset; where they
/// visibly are not, the rule is left unnamed rather than guessed.
pub fn met(events: &[TraceEvent], ruleset: &Ruleset, handles: &Handles) -> Vec<RuleMet> {
    let mut walks: BTreeMap<u32, Walk> = BTreeMap::new();
    let mut met = Vec::new();
    for event in events {
        let walk = walks.entry(event.id).or_default();
        walk.come_to(event);
        let (rule, verdict) = match &event.kind {
            Kind::Rule { handle, verdict } => {
                (named_rule(event, walk, ruleset, handles, *handle, verdict), verdict.clone())
            }
            Kind::Policy(policy) => (named_policy(event, ruleset, *policy), fate(*policy)),
            Kind::Return => continue,
        };
        let Walk { headers, iif, oif, .. } = *walk;
        met.push(RuleMet {
            id: event.id,
            headers,
            iif,
            oif,
            rule,
            verdict: verdict.clone(),
            mark: event.mark,
        });
        match (&event.kind, verdict) {
            (Kind::Rule { .. }, Verdict::Continue | Verdict::Return) => {}
            (Kind::Rule { .. }, Verdict::Jump(chain) | Verdict::Goto(chain)) => walk.enter(chain),
            (Kind::Rule { .. } | Kind::Policy(_) | Kind::Return, _) => {
                walks.remove(&event.id);
            }
        }
    }
    met
}

fn fate(policy: Policy) -> Verdict {
    match policy {
        Policy::Accept => Verdict::Accept,
        Policy::Drop => Verdict::Drop,
    }
}

/// A packet's way through the chains of one base chain.
#[derive(Debug, Default)]
struct Walk {
    table: Option<(Family, String)>,
    /// The base chain first; the last is where the packet is. Chains that were left by a goto stay, since
    /// they are how it came here.
    chains: Vec<String>,
    headers: Option<Headers>,
    iif: Option<u32>,
    oif: Option<u32>,
}

impl Walk {
    /// Puts the walk where the event is: in the chain that was just entered, or back in one on the way
    /// there, whose name tells it, as no chain can be entered twice (`nft_chain_validate` refuses loops).
    /// Where the events do not lead there, some were lost, and the walk starts anew.
    fn come_to(&mut self, event: &TraceEvent) {
        let is_same_table =
            self.table.as_ref().is_some_and(|(family, name)| *family == event.family && *name == event.table);
        // The kernel tells the packet at the start of each base chain, and only there.
        let goes_on = event.headers.is_none() && is_same_table;
        let place = self.chains.iter().position(|chain| *chain == event.chain).filter(|_| goes_on);
        if let Some(place) = place {
            self.chains.truncate(place + 1);
            return;
        }
        *self = Walk {
            table: Some((event.family, event.table.clone())),
            chains: vec![event.chain.clone()],
            headers: event.headers,
            iif: event.iif,
            oif: event.oif,
        };
    }

    fn enter(&mut self, chain: String) {
        if self.chains.len() < DEPTH_MAX {
            self.chains.push(chain);
        }
    }
}

/// The table of an event. The rules of the legacy back ends are not nf_tables'.
fn table_of<'r>(event: &TraceEvent, ruleset: &'r Ruleset) -> Option<&'r Table> {
    let tables = ruleset.tables.iter();
    tables
        .filter(|table| !table.dialect.is_legacy())
        .find(|table| table.family == event.family && table.name == event.table)
}

fn named_rule(
    event: &TraceEvent,
    walk: &Walk,
    ruleset: &Ruleset,
    handles: &Handles,
    handle: u64,
    verdict: &Verdict,
) -> Result<RuleRef, Unnamed> {
    let unnamed = |why| unnamed(event, Some(handle), why);
    let table = table_of(event, ruleset).ok_or_else(|| unnamed(Why::NotRead))?;
    let chain = table.chain(&event.chain).ok_or_else(|| unnamed(Why::NotRead))?;
    let (number, rule) = numbered(event, chain, handles, handle).map_err(unnamed)?;
    if !can_say(&rule.action, verdict) {
        return Err(unnamed(Why::Changed));
    }
    let chains = walk.chains.clone();
    let base = chains.first().and_then(|name| table.chain(name)?.base.as_ref());
    let base = base.ok_or_else(|| unnamed(Why::Lost))?;
    Ok(RuleRef {
        number,
        text: rule.text.clone(),
        counters: rule.counters.map(|c| (c.packets, c.bytes)),
        handle: Some(handle),
        rejects_with: if let Action::Reject(with) = rule.action { Some(with) } else { None },
        ..reference(table, base, chains)
    })
}

/// Number, from 1, and rule of this handle in its chain.
fn numbered<'c>(
    event: &TraceEvent,
    chain: &'c Chain,
    handles: &Handles,
    handle: u64,
) -> Result<(u32, &'c NfRule), Why> {
    let changed = || Why::Changed;
    let at = if chain.rules.iter().any(|rule| rule.handle.is_some()) {
        chain.rules.iter().position(|rule| rule.handle == Some(handle)).ok_or_else(changed)?
    } else {
        let key = (event.family, event.table.clone(), event.chain.clone());
        let list = handles.get(&key).ok_or(Why::NotRead)?;
        // Rules that were added or taken away shift the numbers of the others.
        let is_whole = list.len() == chain.rules.len();
        list.iter().position(|of| *of == handle).filter(|_| is_whole).ok_or_else(changed)?
    };
    let rule = chain.rules.get(at).ok_or_else(changed)?;
    Ok((u32::try_from(at + 1).unwrap_or(u32::MAX), rule))
}

/// Whether a rule of this action can have said that. Of most actions the verdict does not tell: one that
/// rewrites accepts, one that rejects drops, one that is not modelled says anything.
fn can_say(action: &Action, verdict: &Verdict) -> bool {
    match action {
        Action::Accept => *verdict == Verdict::Accept,
        Action::Drop => *verdict == Verdict::Drop,
        Action::Return => *verdict == Verdict::Return,
        Action::Jump(chain) => *verdict == Verdict::Jump(chain.clone()),
        Action::Goto(chain) => *verdict == Verdict::Goto(chain.clone()),
        Action::Continue
        | Action::Reject(_)
        | Action::VerdictMap(_)
        | Action::Dnat(_)
        | Action::Snat(_)
        | Action::DnatMap(_)
        | Action::SnatMap(_)
        | Action::Netmap(_)
        | Action::Masquerade(_)
        | Action::Redirect(_)
        | Action::SetMark { .. }
        | Action::SetMarkMap(_)
        | Action::SetCtMark { .. }
        | Action::SaveMark { .. }
        | Action::RestoreMark { .. }
        | Action::Notrack
        | Action::CtZone(_)
        | Action::Ttl(_)
        | Action::Dscp { .. }
        | Action::Ether(_)
        | Action::Arp(_)
        | Action::Several(_)
        | Action::NonTerminal(_)
        | Action::Elsewhere(..)
        | Action::Unmodelled(_) => true,
    }
}

fn named_policy(event: &TraceEvent, ruleset: &Ruleset, policy: Policy) -> Result<RuleRef, Unnamed> {
    let unnamed = |why| unnamed(event, None, why);
    let table = table_of(event, ruleset).ok_or_else(|| unnamed(Why::NotRead))?;
    let base = table.chain(&event.chain).and_then(|chain| chain.base.as_ref());
    let base = base.ok_or_else(|| unnamed(Why::NotRead))?;
    if base.policy != policy {
        return Err(unnamed(Why::Changed));
    }
    let word = match policy {
        Policy::Accept => "ACCEPT",
        Policy::Drop => "DROP",
    };
    Ok(RuleRef {
        text: format!(":{} {word}", event.chain),
        counters: base.policy_counters.map(|c| (c.packets, c.bytes)),
        ..reference(table, base, vec![event.chain.clone()])
    })
}

fn reference(table: &Table, base: &BaseChain, chains: Vec<String>) -> RuleRef {
    RuleRef {
        dialect: table.dialect,
        family: table.family,
        table: table.name.clone(),
        hook: base.hook,
        chains,
        number: 0,
        text: String::new(),
        counters: None,
        handle: None,
        rejects_with: None,
    }
}

fn unnamed(event: &TraceEvent, handle: Option<u64>, why: Why) -> Unnamed {
    Unnamed { family: event.family, table: event.table.clone(), chain: event.chain.clone(), handle, why }
}
