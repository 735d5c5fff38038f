//! Rules that nova did not write and at which a walk ends, and policies, which nova never sets: one finding a rule or
//! policy, under the name that fits it best.

use model::Netns;
use model::finding::Confidence;
use model::netfilter::{Action, Dialect, Family, Hook};
use model::path::{Direction, RuleRef, Stop};

use crate::catalogue::dns::{dns_port53_blocked, ssh_slow_reverse_dns};
use crate::catalogue::firewall::antispoof_mac;
use crate::catalogue::guest::guest_wrong_ip;
use crate::dhcp_rules;
use crate::evidence;
use crate::found::{Fault, Found};
use crate::mend::Mend;
use crate::nova;
use crate::overlays;
use crate::owner::{self, Owner};
use crate::purpose::Part;
use crate::removal;
use crate::rules;
use crate::view::{Stopped, View};

/// What makes such a rule hard to see, or nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guise {
    /// Nothing: the tool that one looks with shows it.
    Plain,
    /// It is the bridge's, which iptables does not show.
    Bridged,
    /// It is in a table of nftables' beside those of iptables.
    OtherTable,
    /// It is in the legacy tables, and iptables' rules are nftables'.
    Legacy,
    /// It drops the packets that carry an overlay.
    OnOverlay,
    /// It stands above the call of nova's chains, which would let in what it takes from instances.
    AboveNovas,
}

impl Guise {
    fn code(self) -> &'static str {
        match self {
            Guise::Plain => "foreign-rule-drop",
            Guise::Bridged => "ebtables-drop",
            Guise::OtherTable => "nft-other-priority",
            Guise::Legacy => "iptables-legacy-hidden",
            Guise::OnOverlay => "vxlan-udp-blocked",
            Guise::AboveNovas => "rule-order-wrong",
        }
    }

    /// As the end of a summary.
    fn said(self, rule: &RuleRef) -> &'static str {
        match self {
            Guise::Plain if rule.number == 0 => "which nova does not set",
            Guise::Plain => "which nova did not write",
            Guise::Bridged if rule.number == 0 => "a policy of the bridge, which iptables does not show",
            Guise::Bridged => "a rule of the bridge, which iptables does not show",
            Guise::OtherTable => "a table that iptables does not show",
            Guise::Legacy => "in legacy tables, which iptables does not show",
            Guise::OnOverlay => "which takes the packets that carry the overlay",
            Guise::AboveNovas => "which stands above nova's own",
        }
    }
}

/// Looks for walks that a rule of this guise ended.
pub(crate) fn found(view: &View, guise: Guise) -> Vec<Found> {
    let mut found: Vec<(RuleRef, Found)> = Vec::new();
    for stopped in view.stops() {
        let (Stop::Rule(rule) | Stop::Policy(rule)) = stopped.stop else { continue };
        let place = &stopped.hop.at;
        let known = found.iter().any(|(r, f)| rules::is_same(r, rule) && f.finding.hop.host == place.host);
        let Some(ns) = view.netns_at(place) else { continue };
        if known || is_named(view, ns, &stopped, rule) || of(view, ns, &stopped, rule) != guise {
            continue;
        }
        found.push((rule.clone(), finding(view, ns, stopped, rule, guise)));
    }
    found.into_iter().map(|(_, f)| f).collect()
}

/// It is nova's, or what it stops has a name of its own: DHCP alone, names, an instance with an address or a MAC of its
/// own choice, all that a policy keeps from being routed; or it stands inside an instance.
fn is_named<'v>(view: &View<'v>, ns: &Netns, stopped: &Stopped<'v>, rule: &RuleRef) -> bool {
    ns.instance
        || nova::wrote(rule)
        || guest_wrong_ip::explains(view, stopped)
        || owner::keeps_apart(ns, rule)
        || dhcp_rules::blocks(view, stopped).is_some()
        || dhcp_rules::loses(view, stopped).is_some()
        || dns_port53_blocked::blocking(ns, stopped).is_some()
        || ssh_slow_reverse_dns::waits(stopped)
        || antispoof_mac::forged(view, stopped).is_some()
        || is_routings(stopped)
}

/// A policy at the hook of what is forwarded, but for the bridge's own.
pub(crate) fn is_routings(stopped: &Stopped) -> bool {
    let Stop::Policy(policy) = stopped.stop else { return false };
    policy.hook == Hook::Forward && !is_bridges(policy)
}

/// It is of ebtables, or of nftables' family bridge.
fn is_bridges(rule: &RuleRef) -> bool {
    match rule.dialect {
        Dialect::EbtablesLegacy | Dialect::EbtablesNft => true,
        Dialect::Nft => rule.family == Family::Bridge,
        Dialect::IptablesLegacy | Dialect::IptablesNft | Dialect::ArptablesLegacy | Dialect::ArptablesNft => {
            false
        }
    }
}

fn of(view: &View, ns: &Netns, stopped: &Stopped, rule: &RuleRef) -> Guise {
    if overlays::is_inside(view, stopped) {
        return Guise::OnOverlay;
    }
    match by_table(ns, rule) {
        Guise::Plain if is_above_novas(view, ns, stopped, rule) => Guise::AboveNovas,
        guise => guise,
    }
}

/// The code of a rule, or policy, that is known by nothing but where it stands.
pub(crate) fn code_by_table(ns: &Netns, rule: &RuleRef) -> &'static str {
    by_table(ns, rule).code()
}

fn by_table(ns: &Netns, rule: &RuleRef) -> Guise {
    if is_bridges(rule) {
        return Guise::Bridged;
    }
    let is_nft = |dialect| dialect == Dialect::IptablesNft;
    match rule.dialect {
        Dialect::Nft if has_iptables_at(ns, rule.hook, |_| true) => Guise::OtherTable,
        Dialect::IptablesLegacy if has_iptables_at(ns, rule.hook, is_nft) => Guise::Legacy,
        Dialect::Nft
        | Dialect::IptablesLegacy
        | Dialect::IptablesNft
        | Dialect::EbtablesLegacy
        | Dialect::EbtablesNft
        | Dialect::ArptablesLegacy
        | Dialect::ArptablesNft => Guise::Plain,
    }
}

/// iptables has rules of its own at this hook.
fn has_iptables_at(ns: &Netns, hook: Hook, is_meant: impl Fn(Dialect) -> bool) -> bool {
    let tables = nova::iptables(ns).filter(|table| is_meant(table.dialect));
    let mut chains = tables.flat_map(|table| &table.chains);
    chains.any(|chain| chain.base.as_ref().is_some_and(|base| base.hook == hook) && !chain.rules.is_empty())
}

/// It stands in a chain of everybody's before the call of nova's first chain, and takes nothing but what goes to
/// instances, which is for their security groups to decide.
fn is_above_novas(view: &View, ns: &Netns, stopped: &Stopped, rule: &RuleRef) -> bool {
    let is_iptables = matches!(rule.dialect, Dialect::IptablesLegacy | Dialect::IptablesNft);
    let chain = rules::chain(ns, rule).filter(|chain| chain.base.is_some() && is_iptables);
    let Some(chain) = chain else { return false };
    let calls = |to: &Action| matches!(to, Action::Jump(chain) if chain.starts_with("nova-filter-top"));
    let call = chain.rules.iter().zip(1_u32..).find(|(called, _)| calls(&called.action));
    let is_above = call.is_some_and(|(_, number)| rule.number < number);
    let place = &stopped.hop.at;
    let mut same =
        view.stops().filter(|s| s.hop.at.host == place.host && rules::is_same_stop(s.stop, stopped.stop));
    is_above && rule.hook == Hook::Forward && same.all(|s| goes_to_an_instance(&s))
}

fn goes_to_an_instance(stopped: &Stopped) -> bool {
    match stopped.rung.purpose.part() {
        Part::IsAsked => true,
        Part::Asks => stopped.direction == Direction::Reply,
        Part::Neither => false,
    }
}

fn finding(view: &View, ns: &Netns, stopped: Stopped, rule: &RuleRef, guise: Guise) -> Found {
    let place = &stopped.hop.at;
    let machine = place.host.clone();
    let (owner, mend) = if matches!(stopped.stop, Stop::Policy(_)) {
        (owner::of_policy(ns, rule), Mend::AcceptPolicy { machine, rule: rule.clone() })
    } else {
        (owner::of(ns, rule), Mend::RemoveRule { machine, rule: rule.clone() })
    };
    let fault = Fault {
        code: guise.code(),
        hop: place.clone(),
        summary: format!(
            "what {} sends to {} dies on {}: {}, {}",
            stopped.rung.from,
            stopped.rung.to,
            place.host,
            rules::named(rule),
            guise.said(rule)
        ),
        cause: cause(rule, owner),
        confidence: Confidence::Proven,
        evidence: evidence::stopping(view, ns, &stopped, rule),
        owner: owner.name(),
        remedy: vec![removal::of(ns, rule)],
        instances: rules::victims(view, &stopped),
        stopped: Some(stopped),
        mend: vec![mend],
    };
    fault.found()
}

fn cause(rule: &RuleRef, owner: Owner) -> String {
    if rule.number == 0 {
        return format!("no rule of {} accepts it, and its policy drops it, {}", rule.chain(), owner.set());
    }
    format!("`{}` matches, {}", rule.text, owner.wrote())
}
