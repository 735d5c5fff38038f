//! Running one base chain: rules in order, jumps, gotos, returns, the policy
//! (`ipt_do_table`, `nft_do_chain`).
//!
//! A condition that cannot be decided makes both sides possible: the rule's action, and going on.
//! The result is every ending that is possible, each with the condition that it hangs on.

use std::net::IpAddr;

use model::netfilter::{
    Action, ArpChange, Data, Dialect, EtherChange, Lookup, NatTarget, NfRule, Policy, RejectWith, TtlChange,
};
use model::packet::Arp;
use model::path::RuleRef;

use super::hooks::{BaseRef, Hooks, Ready};
use super::look::{Look, Tri};
use super::marking::Marking;
use super::sets::{self, Found};

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
        self.effect.same_fate(&other.effect) && (self.effect.dies() || self.marking == other.marking)
    }
}

/// What a base chain does with a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Effect {
    Accept,
    Drop,
    Reject(RejectWith),
    PolicyAccept,
    PolicyDrop,
    Dnat(NatTarget),
    Snat(NatTarget),
}

impl Effect {
    fn same_fate(&self, other: &Effect) -> bool {
        let passes = |e: &Effect| matches!(e, Effect::Accept | Effect::PolicyAccept);
        let silent = |e: &Effect| matches!(e, Effect::Drop | Effect::PolicyDrop);
        self == other || (passes(self) && passes(other)) || (silent(self) && silent(other))
    }

    fn dies(&self) -> bool {
        match self {
            Effect::Drop | Effect::Reject(_) | Effect::PolicyDrop => true,
            Effect::Accept | Effect::PolicyAccept | Effect::Dnat(_) | Effect::Snat(_) => false,
        }
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

/// Where a rule leads.
enum Next {
    /// On to the next.
    Rule,
    Back(Back),
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
    let back = match hooks.chain(base.table_at, &base.chain.name) {
        Some(ready) => run.chain(ready),
        None => Back::Returned,
    };
    match back {
        Back::Ended => {}
        Back::Returned => run.policy(),
    }
    run.endings
}

impl<'a> Run<'_, 'a> {
    fn chain(&mut self, ready: &Ready<'a>) -> Back {
        let outer = self.uncertain;
        let back = self.rules_of(ready);
        self.uncertain = outer;
        back
    }

    fn rules_of(&mut self, ready: &Ready<'a>) -> Back {
        let rules: &'a [NfRule] = &ready.chain.rules;
        // An undecidable rule may have led back to the caller already: what follows may not be met.
        let mut may_return = false;
        let mut at = 0;
        loop {
            let met = ready.guards.next(self.look.packet(), at, rules.len());
            self.rules += met - at + 1;
            let Some(rule) = rules.get(met) else { return Back::Returned };
            at = met + 1;
            let number = u32::try_from(at).unwrap_or(u32::MAX);
            let next = match self.look.rule(rule, self.now) {
                Tri::No => Next::Rule,
                Tri::Yes => self.act(rule, &rule.action, number),
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
    }

    /// Both sides of a rule of which it cannot be told whether it applies: what the action does, and
    /// that the next rule stays reachable whatever it does.
    fn maybe(&mut self, why: String, rule: &'a NfRule, number: u32) -> Next {
        let outer = (self.assumed.clone(), self.uncertain);
        self.assumed.get_or_insert(why);
        self.uncertain = true;
        let next = self.act(rule, &rule.action, number);
        self.uncertain = outer.1;
        if outer.0.is_some() {
            self.assumed = outer.0;
        }
        next
    }

    fn act(&mut self, rule: &'a NfRule, action: &'a Action, number: u32) -> Next {
        let effect = match action {
            Action::Continue | Action::NonTerminal(_) => return Next::Rule,
            Action::Return => return Next::Back(Back::Returned),
            Action::Several(actions) => return self.several(rule, actions, number),
            Action::Notrack
            | Action::CtZone(_)
            | Action::SetMark { .. }
            | Action::SetMarkMap(_)
            | Action::SetCtMark { .. }
            | Action::SaveMark { .. }
            | Action::RestoreMark { .. }
            | Action::Ttl(_)
            | Action::Dscp { .. }
            | Action::Arp(_)
            | Action::Ether(_) => return self.change(rule, action, number),
            Action::Jump(name) => return self.call(name, rule, number, true),
            Action::Goto(name) => return self.call(name, rule, number, false),
            Action::VerdictMap(lookup) => return self.verdict(lookup, rule, number),
            Action::Elsewhere(text, _) | Action::Unmodelled(text) => {
                return self.undecidable(text.clone(), rule, number);
            }
            Action::Accept => Effect::Accept,
            Action::Drop => Effect::Drop,
            Action::Reject(with) if self.is_of_family(*with) => Effect::Reject(*with),
            // nft hides the test of the family that such a refusal stands behind.
            Action::Reject(_) => return Next::Rule,
            Action::Dnat(target) if self.fits(target) => Effect::Dnat(*target),
            Action::Snat(target) if self.fits(target) => Effect::Snat(*target),
            // A statement for the other family does nothing (`nft_nat_inet_eval`).
            Action::Dnat(_) | Action::Snat(_) => return Next::Rule,
            Action::DnatMap(lookup) => return self.nat_map(lookup, Effect::Dnat, rule, number),
            Action::SnatMap(lookup) => return self.nat_map(lookup, Effect::Snat, rule, number),
            Action::Netmap(_) => match self.look.netmapped(action) {
                Some(effect) => effect,
                None => return Next::Rule,
            },
            Action::Masquerade(ports) => match self.look.outgoing_address() {
                Some(ip) => Effect::Snat(NatTarget { ports: *ports, ..to_address(ip) }),
                // Without an address to take they drop (`nf_nat_masquerade_ipv4`, `nf_nat_redirect_ipv4`).
                None => Effect::Drop,
            },
            Action::Redirect(ports) => match self.look.incoming_address() {
                Some(ip) => Effect::Dnat(NatTarget { ports: *ports, ..to_address(ip) }),
                None => Effect::Drop,
            },
        };
        if matches!(effect, Effect::Dnat(_) | Effect::Snat(_)) {
            self.look.world.note_changer(rule);
        }
        self.end(effect, rule, number);
        Next::Back(Back::Ended)
    }

    fn is_of_family(&self, with: RejectWith) -> bool {
        let is_v6 = self.look.packet().map(model::Packet::is_v6);
        match with {
            RejectWith::Icmp(_) => is_v6 == Some(false),
            RejectWith::Icmp6(_) => is_v6 == Some(true),
            RejectWith::Icmpx(_) | RejectWith::TcpReset => true,
        }
    }

    fn fits(&self, target: &NatTarget) -> bool {
        let v6 = self.look.packet().is_some_and(model::Packet::is_v6);
        target.addresses.is_none_or(|(low, _)| low.is_ipv6() == v6)
    }

    fn several(&mut self, rule: &'a NfRule, actions: &'a [Action], number: u32) -> Next {
        for action in actions {
            match self.act(rule, action, number) {
                Next::Rule => {}
                back @ Next::Back(_) => return back,
            }
        }
        Next::Rule
    }

    /// What changes the packet and lets it go on. A change that may not have happened makes all that
    /// looks at it undecidable, so the rule is.
    fn change(&mut self, rule: &'a NfRule, action: &'a Action, number: u32) -> Next {
        let mut now = self.now;
        match action {
            // What was tracked before, and came back over the loopback link, stays so (`xt_ct_target`).
            // What already has a connection, a zone's template or none on purpose is passed over
            // (`xt_ct_target`, `nft_notrack_eval`).
            Action::Notrack | Action::CtZone(_)
                if self.look.ct.is_some() || now.untracked || now.zone != 0 =>
            {
                return Next::Rule;
            }
            Action::Notrack => now.untracked = true,
            Action::CtZone(zone) => now.zone = *zone,
            Action::SetMark { value, mask } => now.mark = (now.mark & !mask) ^ value,
            Action::SetMarkMap(lookup) => match sets::look_up(self.look, lookup, now) {
                Ok(Found::Member(element)) => match &element.data {
                    Some(Data::Number(number)) => now.mark = u32::try_from(*number).unwrap_or(u32::MAX),
                    _ => return self.undecidable(rule.text.clone(), rule, number),
                },
                Ok(Found::NoMember | Found::NoField) => return Next::Rule,
                Err(why) => return self.undecidable(why, rule, number),
            },
            // A packet without a connection has no such mark (`connmark_tg`).
            Action::SetCtMark { .. } | Action::SaveMark { .. } | Action::RestoreMark { .. }
                if self.look.ct.is_none() =>
            {
                return Next::Rule;
            }
            Action::SetCtMark { value, mask } => now.ct_mark = (now.ct_mark & !mask) ^ value,
            Action::SaveMark { ct_mask, packet_mask } => {
                now.ct_mark = (now.ct_mark & !ct_mask) ^ (now.mark & packet_mask);
            }
            Action::RestoreMark { ct_mask, packet_mask } => {
                now.mark = (now.mark & !packet_mask) ^ (now.ct_mark & ct_mask);
            }
            Action::Ttl(TtlChange::Set(to)) => now.ttl = *to,
            Action::Ttl(TtlChange::Increase(by)) => now.ttl = now.ttl.saturating_add(*by),
            Action::Ttl(TtlChange::Decrease(by)) => now.ttl = now.ttl.saturating_sub(*by),
            Action::Dscp { value, mask } => now.dscp = (now.dscp & !mask) ^ value,
            Action::Arp(change) => now.arp = now.arp.map(|arp| rewritten(arp, *change)),
            Action::Ether(EtherChange::Source(mac)) => now.ether_source = *mac,
            Action::Ether(EtherChange::Destination(mac)) => {
                now.ether_destination = *mac;
                // ebtables' dnat says too whose the frame is, nft's writing to it does not (`ebt_dnat_tg`).
                if matches!(self.base.table.dialect, Dialect::EbtablesNft | Dialect::EbtablesLegacy) {
                    (now.addressed_to, now.other_host) = (*mac, self.look.bridge_mac() != Some(*mac));
                }
            }
            Action::Ether(EtherChange::Redirect) => match self.look.bridge_mac() {
                Some(mac) => (now.ether_destination, now.addressed_to, now.other_host) = (mac, mac, false),
                None => return self.undecidable(rule.text.clone(), rule, number),
            },
            _ => return self.undecidable(rule.text.clone(), rule, number),
        }
        if now == self.now {
            return Next::Rule;
        }
        self.look.world.note_changer(rule);
        if self.uncertain {
            let why = self.assumed.clone().unwrap_or_default();
            return self.undecidable(why, rule, number);
        }
        self.now = now;
        Next::Rule
    }

    fn verdict(&mut self, lookup: &'a Lookup, rule: &'a NfRule, number: u32) -> Next {
        match sets::look_up(self.look, lookup, self.now) {
            Ok(Found::Member(element)) => match &element.data {
                Some(Data::Verdict(action)) => self.act(rule, action, number),
                _ => self.undecidable(rule.text.clone(), rule, number),
            },
            Ok(Found::NoMember | Found::NoField) => Next::Rule,
            Err(why) => self.undecidable(why, rule, number),
        }
    }

    fn nat_map(
        &mut self,
        lookup: &'a Lookup,
        nat: fn(NatTarget) -> Effect,
        rule: &'a NfRule,
        number: u32,
    ) -> Next {
        let target = match sets::look_up(self.look, lookup, self.now) {
            Ok(Found::Member(element)) => match element.data {
                Some(Data::Address(ip)) => to_address(ip),
                Some(Data::AddressAndPort(ip, port)) => {
                    NatTarget { ports: Some((port, port)), ..to_address(ip) }
                }
                _ => return self.undecidable(rule.text.clone(), rule, number),
            },
            Ok(Found::NoMember | Found::NoField) => return Next::Rule,
            Err(why) => return self.undecidable(why, rule, number),
        };
        self.look.world.note_changer(rule);
        self.end(nat(target), rule, number);
        Next::Back(Back::Ended)
    }

    fn call(&mut self, name: &'a str, rule: &NfRule, number: u32, comes_back: bool) -> Next {
        let hooks = self.hooks;
        let Some(ready) = hooks.chain(self.base.table_at, name) else {
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
        self.chains.push(&ready.chain.name);
        let back = self.chain(ready);
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
            rejects_with: None,
        };
        self.push(effect, Some(by));
    }

    fn end(&mut self, effect: Effect, rule: &NfRule, number: u32) {
        let rejects_with = match effect {
            Effect::Reject(with) => Some(with),
            Effect::Accept
            | Effect::Drop
            | Effect::PolicyAccept
            | Effect::PolicyDrop
            | Effect::Dnat(_)
            | Effect::Snat(_) => None,
        };
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
            rejects_with,
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

fn rewritten(arp: Arp, change: ArpChange) -> Arp {
    match change {
        ArpChange::SenderIp(sender_ip) => Arp { sender_ip, ..arp },
        ArpChange::TargetIp(target_ip) => Arp { target_ip, ..arp },
        ArpChange::SenderMac(sender_mac) => Arp { sender_mac, ..arp },
        ArpChange::TargetMac(target_mac) => Arp { target_mac, ..arp },
    }
}

fn to_address(ip: IpAddr) -> NatTarget {
    NatTarget { addresses: Some((ip, ip)), ..NatTarget::default() }
}
