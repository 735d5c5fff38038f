//! Rulesets: which back ends, which tables, chains and rules.

use model::netfilter::{Hook, Policy};

use super::places::{builtin, native_hooks, words};
use super::{Blanks, Menu, Pool, fill};
use crate::case::{Backend, Base, Chain, Piece, Rule, Ruleset, Table};
use crate::random::Random;
use crate::words::{About, Language, Version, Word, Words, bit};

/// Name of the condition that a rule's other conditions may need.
const PROTOCOL: &str = "protocol";

use Hook::{Output, Prerouting};

/// What a machine loads.
pub(super) fn draw(random: &mut Random, menu: &Menu, pool: &Pool, machine: usize) -> Vec<Ruleset> {
    let is_host = machine == super::topology::HOST;
    let likely = if is_host { 10 } else { 2 };
    if random.below(11) >= likely {
        return Vec::new();
    }
    let backends = backends(random, menu, pool);
    backends.into_iter().map(|backend| ruleset(random, menu, pool, backend)).collect()
}

/// Which back ends: one, or two of a family beside each other.
fn backends(random: &mut Random, menu: &Menu, pool: &Pool) -> Vec<Backend> {
    let mut wanted = Vec::new();
    match random.below(6) {
        0 => wanted.push(Backend::IptablesLegacy),
        1 | 2 => wanted.push(Backend::IptablesNft),
        // Which is loaded first decides which runs first.
        3 if random.one_in(2) => wanted.extend([Backend::IptablesLegacy, Backend::IptablesNft]),
        3 => wanted.extend([Backend::IptablesNft, Backend::IptablesLegacy]),
        4 => wanted.push(Backend::Nft),
        _ => wanted.extend([Backend::Nft, Backend::IptablesNft]),
    }
    if pool.v6 {
        match random.below(4) {
            0 => wanted.push(Backend::Ip6tablesLegacy),
            1 | 2 => wanted.push(Backend::Ip6tablesNft),
            _ => {}
        }
    }
    if pool.has_bridges() {
        match random.below(6) {
            0 => wanted.push(Backend::EbtablesLegacy),
            1 | 2 => wanted.push(Backend::EbtablesNft),
            _ => {}
        }
    }
    if random.one_in(8) {
        wanted.push(Backend::ArptablesNft);
    }
    wanted.retain(|backend| menu.backends.contains(backend));
    wanted
}

/// What rules of a table are drawn from.
pub(super) struct Drawing<'d> {
    pub(super) menu: &'d Menu,
    pub(super) pool: &'d Pool,
    pub(super) backend: Backend,
    pub(super) conditions: Words,
    pub(super) verdicts: Words,
    /// Of xtables; the family of an nft table.
    pub(super) table: &'static str,
    /// Of an nft chain.
    pub(super) kind: &'static str,
    pub(super) version: Version,
}

fn ruleset(random: &mut Random, menu: &Menu, pool: &Pool, backend: Backend) -> Ruleset {
    if backend == Backend::Nft {
        return Ruleset { backend, tables: native(random, menu, pool) };
    }
    let (conditions, verdicts) = words(backend.language(), "");
    let version = match backend.language() {
        Language::Ip6tables => Version::V6,
        Language::Ebtables if pool.v6 && random.one_in(3) => Version::V6,
        Language::Iptables | Language::Ebtables | Language::Arptables | Language::Nft => Version::V4,
    };
    let mut out = Vec::new();
    for (name, hooks) in builtin(backend.language()) {
        let wanted = match *name {
            "filter" | "nat" => !random.one_in(4),
            "security" => random.one_in(12),
            _ => random.one_in(3),
        };
        if !wanted {
            continue;
        }
        let drawing = Drawing { menu, pool, backend, conditions, verdicts, table: name, kind: "", version };
        let droppable = *name == "filter" || backend.language() == Language::Ebtables;
        let bases = hooks.iter().map(|hook| Base {
            hook: *hook,
            kind: "filter",
            priority: 0,
            policy: if droppable && random.one_in(8) { Policy::Drop } else { Policy::Accept },
            device: None,
        });
        let bases: Vec<(String, Base)> = bases.map(|base| (base.hook.builtin().to_owned(), base)).collect();
        let chains = chains(random, &drawing, bases);
        out.push(Table { family: "", name: (*name).to_owned(), chains });
    }
    Ruleset { backend, tables: out }
}

/// Tables of native nft.
fn native(random: &mut Random, menu: &Menu, pool: &Pool) -> Vec<Table> {
    let mut families = vec!["ip", "ip", "inet", "inet"];
    if pool.v6 {
        families.push("ip6");
    }
    if pool.has_bridges() {
        families.extend(["bridge", "bridge"]);
    }
    families.push("netdev");
    if random.one_in(4) {
        families.push("arp");
    }
    let mut tables: Vec<Table> = Vec::new();
    for nth in 0..=random.below(2) {
        let Some(family) = random.pick(&families).copied() else { continue };
        tables.push(native_table(random, menu, pool, (family, nth)));
    }
    tables
}

fn native_table(
    random: &mut Random,
    menu: &Menu,
    pool: &Pool,
    (family, nth): (&'static str, usize),
) -> Table {
    let (conditions, verdicts) = words(Language::Nft, family);
    let routed = matches!(family, "ip" | "ip6" | "inet");
    let version = match family {
        "ip6" => Version::V6,
        "inet" | "bridge" | "netdev" if pool.v6 && random.one_in(3) => Version::V6,
        _ => Version::V4,
    };
    // A chain of type nat can stand but in a table where NAT is wanted at all.
    let kind = match random.below(5) {
        0 | 1 if routed => "nat",
        2 if routed => "route",
        _ => "filter",
    };
    let drawing =
        Drawing { menu, pool, backend: Backend::Nft, conditions, verdicts, table: family, kind, version };
    let mut bases = Vec::new();
    for hook in native_hooks(family, kind).iter().copied() {
        if kind != "route" && random.one_in(3) {
            continue;
        }
        let priority = match (kind, hook) {
            ("nat", Prerouting | Output) => -100,
            ("nat", _) => 100,
            ("route", _) => -150,
            _ => random.of([-300, -150, -10, 0, 0, 10, 150]),
        };
        let policy = if kind != "nat" && random.one_in(8) { Policy::Drop } else { Policy::Accept };
        let device = match hook {
            Hook::Ingress | Hook::Egress => pool.any_link(random).map(str::to_owned),
            Prerouting | Output | Hook::Input | Hook::Forward | Hook::Postrouting => None,
        };
        let base = Base { hook, kind, priority, policy, device };
        bases.push((format!("{}_{nth}", hook.builtin().to_lowercase()), base));
    }
    let chains = chains(random, &drawing, bases);
    Table { family, name: format!("t{nth}"), chains }
}

/// Base chains, each with user chains of its own: what may be asked in these depends on the hook that
/// leads to them.
fn chains(random: &mut Random, drawing: &Drawing<'_>, bases: Vec<(String, Base)>) -> Vec<Chain> {
    let mut all = Vec::new();
    let mut users = Vec::new();
    for (name, base) in bases {
        let hook = base.hook;
        let short = name.get(..3).unwrap_or("u").to_lowercase();
        let own: Vec<String> = match random.below(4) {
            0 => vec![format!("{short}u1"), format!("{short}u2")],
            1 => vec![format!("{short}u1")],
            _ => Vec::new(),
        };
        let mut rules = Vec::new();
        for _ in 0..random.below(5) {
            rules.extend(rule(random, drawing, hook, &own));
        }
        all.push(Chain { name, base: Some(base), rules });
        for (at, user) in own.iter().enumerate() {
            let deeper = own.get(at + 1..).unwrap_or_default();
            let mut rules = Vec::new();
            for _ in 0..random.below(4) {
                rules.extend(rule(random, drawing, hook, deeper));
            }
            users.push(Chain { name: user.clone(), base: None, rules });
        }
    }
    all.extend(users);
    all
}

/// A rule of a chain that the hook leads to. `below` are the chains that it may go to.
fn rule(random: &mut Random, drawing: &Drawing<'_>, hook: Hook, below: &[String]) -> Option<Rule> {
    let goes = if random.one_in(3) { random.pick(below) } else { None };
    let word = match goes {
        Some(_) => None,
        None => Some(pick(random, drawing, drawing.verdicts, hook, |_| true)?),
    };
    let protocol = protocol(random, drawing, word.map_or(About::All, |w| w.about));
    let mut conditions: Vec<Piece> = Vec::new();
    let mut slots: Vec<&str> = word.iter().map(|w| w.slot()).collect();
    let mut add = |random: &mut Random, conditions: &mut Vec<Piece>, more: Option<&'static Word>| {
        let Some(more) = more.filter(|more| !slots.contains(&more.slot())) else { return };
        if let Some(piece) = filled(random, drawing, more, protocol) {
            slots.push(more.slot());
            conditions.push(piece);
        }
    };
    if let Some(protocol) = protocol {
        conditions.push(of_protocol(drawing.backend.language(), protocol));
        if random.one_in(2) {
            let fits = |about| about != About::All && is_of(about, protocol);
            let more = pick(random, drawing, drawing.conditions, hook, fits);
            add(random, &mut conditions, more);
        }
    }
    for _ in 0..random.below(3) {
        let more = pick(random, drawing, drawing.conditions, hook, |about| about == About::All);
        let more = more.filter(|more| protocol.is_none() || more.slot() != PROTOCOL);
        add(random, &mut conditions, more);
    }
    let verdict = match (goes, word) {
        (Some(chain), _) => jump(random, chain, drawing.backend.language()),
        (None, Some(word)) => filled(random, drawing, word, protocol)?,
        (None, None) => return None,
    };
    Some(Rule { conditions, verdict })
}

/// The rule's protocol: what its verdict asks for, else now and then any.
fn protocol(random: &mut Random, drawing: &Drawing<'_>, about: About) -> Option<&'static str> {
    let icmp = if drawing.version == Version::V6 { "ipv6-icmp" } else { "icmp" };
    match drawing.backend.language() {
        Language::Iptables | Language::Ip6tables => {}
        Language::Nft if !matches!(drawing.table, "bridge" | "netdev" | "arp") => {}
        Language::Nft | Language::Ebtables | Language::Arptables => return None,
    }
    match about {
        About::Tcp => Some("tcp"),
        About::Ports => Some(random.of(["tcp", "udp"])),
        About::Icmp => Some(icmp),
        About::NotTcp => Some(random.of(["udp", icmp])),
        About::All => random.one_in(3).then(|| random.of(["tcp", "udp", icmp])),
    }
}

fn of_protocol(language: Language, protocol: &str) -> Piece {
    let text = match language {
        Language::Nft => format!("meta l4proto {protocol}"),
        Language::Iptables | Language::Ip6tables | Language::Ebtables | Language::Arptables => {
            format!("-p {protocol}")
        }
    };
    Piece { name: PROTOCOL, text, needs: None }
}

/// A rule of one word, with the protocol that it needs; a condition only counts.
pub(super) fn alone(random: &mut Random, drawing: &Drawing<'_>, word: &'static Word) -> Option<Rule> {
    let language = drawing.backend.language();
    let protocol = if word.about == About::All { None } else { protocol(random, drawing, word.about) };
    let mut conditions: Vec<Piece> =
        protocol.map(|protocol| of_protocol(language, protocol)).into_iter().collect();
    let piece = filled(random, drawing, word, protocol)?;
    if drawing.verdicts.into_iter().flatten().any(|verdict| std::ptr::eq(verdict, word)) {
        return Some(Rule { conditions, verdict: piece });
    }
    conditions.push(piece);
    let text = if language == Language::Nft { "accept" } else { "-j ACCEPT" }.to_owned();
    Some(Rule { conditions, verdict: Piece { name: "", text, needs: None } })
}

fn is_of(about: About, protocol: &str) -> bool {
    match about {
        About::All => true,
        About::Tcp => protocol == "tcp",
        About::Ports => matches!(protocol, "tcp" | "udp"),
        About::Icmp => protocol.ends_with("icmp"),
        About::NotTcp => protocol != "tcp",
    }
}

/// One of the words that may stand here.
fn pick(
    random: &mut Random,
    drawing: &Drawing<'_>,
    words: Words,
    hook: Hook,
    fits: impl Fn(About) -> bool,
) -> Option<&'static Word> {
    let may = |word: &&Word| may_stand(drawing, word, hook) && fits(word.about);
    let total: usize = words.into_iter().flatten().filter(may).map(|word| word.weight).sum();
    let mut left = random.below(total);
    words.into_iter().flatten().filter(may).find(|word| {
        let here = left < word.weight;
        left = left.saturating_sub(word.weight);
        here
    })
}

pub(super) fn may_stand(drawing: &Drawing<'_>, word: &Word, hook: Hook) -> bool {
    let language = drawing.backend.language();
    let place = match language {
        Language::Nft => is_among(drawing.kind, word.kinds) && is_among(drawing.table, word.families),
        Language::Iptables | Language::Ip6tables | Language::Ebtables | Language::Arptables => {
            is_among(drawing.table, word.tables)
        }
    };
    let version = word.version == Version::Both || word.version == drawing.version;
    place
        && version
        && !word.text(language).is_empty()
        && word.hooks & bit(like(hook)) != 0
        && (word.modelled || drawing.menu.unmodelled)
        && !drawing.menu.refused.contains(&(drawing.backend, word.name))
}

/// What may be asked at a device may be asked at the hook of a stack next to it.
fn like(hook: Hook) -> Hook {
    match hook {
        Hook::Ingress => Prerouting,
        Hook::Egress => Hook::Postrouting,
        Prerouting | Output | Hook::Input | Hook::Forward | Hook::Postrouting => hook,
    }
}

/// Of none given, all are meant.
fn is_among(one: &str, several: &[&str]) -> bool {
    several.is_empty() || several.contains(&one)
}

fn filled(
    random: &mut Random,
    drawing: &Drawing<'_>,
    word: &Word,
    protocol: Option<&'static str>,
) -> Option<Piece> {
    let language = drawing.backend.language();
    let Drawing { pool, version, .. } = *drawing;
    let inet = language == Language::Nft && drawing.table == "inet";
    let blanks = Blanks { pool, language, version, protocol, inet };
    let text = fill(word.text(language), random, &blanks)?;
    let needs = match word.needs {
        "" => None,
        needs => Some(fill(needs, random, &blanks)?),
    };
    Some(Piece { name: word.name, text, needs })
}

fn jump(random: &mut Random, chain: &str, language: Language) -> Piece {
    let goto = random.one_in(3);
    let text = match (language, goto) {
        (Language::Nft, false) => format!("jump {chain}"),
        (Language::Nft, true) => format!("goto {chain}"),
        // These two know no goto.
        (Language::Ebtables | Language::Arptables, _) | (Language::Iptables | Language::Ip6tables, false) => {
            return Piece { name: "jump", text: format!("-j {chain}"), needs: None };
        }
        (Language::Iptables | Language::Ip6tables, true) => format!("-g {chain}"),
    };
    Piece { name: if goto { "goto" } else { "jump" }, text, needs: None }
}
