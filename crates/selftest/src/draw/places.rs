//! Where rules can stand: tables and hooks of each back end, and a rule alone in one of them.

use model::netfilter::{Hook, Policy};

use super::rules::{Drawing, alone, may_stand};
use super::{Menu, Pool};
use crate::case::{Backend, Base, Chain, Ruleset, Table};
use crate::random::Random;
use crate::words::{
    ARP_CONDITIONS, ARP_VERDICTS, BRIDGE_CONDITIONS, BRIDGE_VERDICTS, CONDITIONS, Language, SET_CONDITIONS,
    SET_VERDICTS, VERDICTS, Version, Words,
};

use Hook::{Egress, Forward, Ingress, Input, Output, Postrouting, Prerouting};

/// A table of xtables: its name and its built-in chains.
pub(super) type Builtin = (&'static str, &'static [Hook]);

const IP_TABLES: [Builtin; 5] = [
    ("raw", &[Prerouting, Output]),
    ("mangle", &[Prerouting, Input, Forward, Output, Postrouting]),
    ("nat", &[Prerouting, Input, Output, Postrouting]),
    ("filter", &[Input, Forward, Output]),
    ("security", &[Input, Forward, Output]),
];
const BRIDGE_TABLES: [Builtin; 2] =
    [("filter", &[Input, Forward, Output]), ("nat", &[Prerouting, Output, Postrouting])];
const ARP_TABLES: [Builtin; 1] = [("filter", &[Input, Output])];

/// The tables of a back end's language; none of nft, where tables are made.
pub(super) fn builtin(language: Language) -> &'static [Builtin] {
    match language {
        Language::Iptables | Language::Ip6tables => &IP_TABLES,
        Language::Ebtables => &BRIDGE_TABLES,
        Language::Arptables => &ARP_TABLES,
        Language::Nft => &[],
    }
}

/// The conditions and verdicts of rules in a table, of a family where it is nft's.
pub(super) fn words(language: Language, family: &str) -> (Words, Words) {
    match (language, family) {
        (Language::Ebtables, _) | (Language::Nft, "bridge" | "netdev") => {
            ([BRIDGE_CONDITIONS, &[]], [BRIDGE_VERDICTS, &[]])
        }
        (Language::Arptables, _) | (Language::Nft, "arp") => ([ARP_CONDITIONS, &[]], [ARP_VERDICTS, &[]]),
        (Language::Iptables | Language::Ip6tables | Language::Nft, _) => {
            ([CONDITIONS, SET_CONDITIONS], [VERDICTS, SET_VERDICTS])
        }
    }
}

/// Hooks of an nft chain by its family and type.
pub(super) fn native_hooks(family: &str, kind: &str) -> &'static [Hook] {
    match (family, kind) {
        ("arp", _) => &[Input, Output],
        ("netdev", _) => &[Ingress, Egress],
        (_, "nat") => &[Prerouting, Input, Output, Postrouting],
        (_, "route") => &[Output],
        (_, _) => &[Prerouting, Input, Forward, Output, Postrouting],
    }
}

/// A place where a rule can stand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    backend: Backend,
    /// Family of an nft table.
    family: &'static str,
    table: &'static str,
    kind: &'static str,
    version: Version,
    hook: Hook,
}

/// Every place of a back end.
pub(crate) fn places(backend: Backend) -> Vec<Place> {
    let language = backend.language();
    let versions: &[Version] = match language {
        Language::Ip6tables => &[Version::V6],
        Language::Ebtables => &[Version::V4, Version::V6],
        Language::Iptables | Language::Arptables | Language::Nft => &[Version::V4],
    };
    let mut all = Vec::new();
    for version in versions {
        for (table, hooks) in builtin(language) {
            let place = |hook| Place { backend, family: "", table, kind: "filter", version: *version, hook };
            all.extend(hooks.iter().copied().map(place));
        }
    }
    if language == Language::Nft {
        let routed = ["filter", "nat", "route"];
        let families: [(&str, Version, &[&str]); 9] = [
            ("ip", Version::V4, &routed),
            ("ip6", Version::V6, &routed),
            ("inet", Version::V4, &routed),
            ("inet", Version::V6, &routed),
            ("bridge", Version::V4, &["filter"]),
            ("bridge", Version::V6, &["filter"]),
            ("netdev", Version::V4, &["filter"]),
            ("netdev", Version::V6, &["filter"]),
            ("arp", Version::V4, &["filter"]),
        ];
        for (family, version, kinds) in families {
            for kind in kinds {
                let hooks = native_hooks(family, kind);
                let place = |hook| Place { backend, family, table: family, kind, version, hook };
                all.extend(hooks.iter().copied().map(place));
            }
        }
    }
    all
}

impl Place {
    /// A ruleset of one rule with each word that may stand here, by the word's name.
    pub(crate) fn rulesets(
        self,
        random: &mut Random,
        menu: &Menu,
        pool: &Pool,
    ) -> Vec<(&'static str, Ruleset)> {
        let Place { backend, family, table, kind, version, hook } = self;
        let (conditions, verdicts) = words(backend.language(), family);
        let drawing = Drawing { menu, pool, backend, conditions, verdicts, table, kind, version };
        let mut out = Vec::new();
        for word in
            conditions.into_iter().chain(verdicts).flatten().filter(|word| may_stand(&drawing, word, hook))
        {
            let Some(rule) = alone(random, &drawing, word) else { continue };
            let native = backend == Backend::Nft;
            let name = hook.builtin();
            let name = if native { format!("{kind}_{}", name.to_lowercase()) } else { name.to_owned() };
            let priority = match (kind, hook) {
                ("nat", Prerouting | Output) => -100,
                ("nat", _) => 100,
                (_, _) => -300,
            };
            let device = (family == "netdev").then(|| "lo".to_owned());
            let base = Base { hook, kind, priority, policy: Policy::Accept, device };
            let chain = Chain { name, base: Some(base), rules: vec![rule] };
            let name = if native { "t" } else { table }.to_owned();
            let table = Table { family, name, chains: vec![chain] };
            out.push((word.name, Ruleset { backend, tables: vec![table] }));
        }
        out
    }
}
