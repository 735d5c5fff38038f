//! Targets (`-j`, `-g`, iptables-extensions(8)) as actions.

use std::collections::HashMap;

use model::netfilter::{Action, Choice, Family, TtlChange};

use super::words::Words;

mod marks;
pub(super) mod nat;
mod reject;

/// Targets that leave the packet's way alone, and change nothing that a modelled test looks at. SET
/// changes ipsets: what asks those is told so by `ipset_save::note_changes`.
const NON_TERMINAL: [&str; 19] = [
    "ACCOUNT",
    "AUDIT",
    "CHECKSUM",
    "CLASSIFY",
    "CONNSECMARK",
    "ECN",
    "IDLETIMER",
    "LED",
    "LOG",
    "LOGMARK",
    "NFLOG",
    "RATEEST",
    "SECMARK",
    "SYSRQ",
    "TCPMSS",
    "TCPOPTSTRIP",
    "TEE",
    "TRACE",
    "ULOG",
];

/// Targets by which somebody else decides, and who.
const ELSEWHERE: [(&str, Choice); 5] = [
    ("CLUSTERIP", Choice::Chance),
    ("NFQUEUE", Choice::Queue),
    ("QUEUE", Choice::Queue),
    ("SYNPROXY", Choice::SynProxy),
    ("TPROXY", Choice::Proxy),
];

/// Other targets that are known, all of whose options or some of them are not modelled.
const EXTENSIONS: [&str; 24] = [
    "CHAOS",
    "CONNMARK",
    "CT",
    "DELUDE",
    "DNAT",
    "DNPT",
    "DSCP",
    "ECHO",
    "HL",
    "HMARK",
    "IPMARK",
    "MARK",
    "MASQUERADE",
    "MIRROR",
    "NETMAP",
    "NOTRACK",
    "REDIRECT",
    "REJECT",
    "SET",
    "SNAT",
    "SNPT",
    "TARPIT",
    "TOS",
    "TTL",
];

/// Reads the target whose option is word number `start`, to the rule's end. Also says what is wrong
/// with it.
pub(super) fn read(
    words: &mut Words<'_>,
    start: usize,
    (option, family): (&str, Family),
    chains: &HashMap<&str, usize>,
) -> (Action, Option<String>) {
    let Some(name) = words.value() else {
        return (Action::Unmodelled(option.to_owned()), Some(format!("{option} without a target")));
    };
    let options = words.at();
    words.skip_all();
    let text = words.text_since(start);
    words.rewind(options);
    let (action, wrong) = if chains.contains_key(name.as_ref()) {
        let name = name.into_owned();
        let comes_back = option == "-j" || option == "--jump";
        plain(if comes_back { Action::Jump(name) } else { Action::Goto(name) }, words, text)
    } else {
        match name.as_ref() {
            "ACCEPT" => plain(Action::Accept, words, text),
            "DROP" => plain(Action::Drop, words, text),
            "RETURN" => plain(Action::Return, words, text),
            name => extension(name, words, text, family),
        }
    };
    words.skip_all();
    (action, wrong)
}

/// A target that takes no options.
fn plain(action: Action, options: &Words<'_>, text: &str) -> (Action, Option<String>) {
    if options.is_done() {
        (action, None)
    } else {
        (Action::Unmodelled(text.to_owned()), Some(format!("`{text}` takes no options")))
    }
}

fn extension(name: &str, options: &mut Words<'_>, text: &str, family: Family) -> (Action, Option<String>) {
    if NON_TERMINAL.contains(&name) {
        return (Action::NonTerminal(text.to_owned()), None);
    }
    if let Some((_, who)) = ELSEWHERE.iter().find(|(target, _)| *target == name) {
        return (Action::Elsewhere(text.to_owned(), *who), None);
    }
    let unmodelled = || Action::Unmodelled(text.to_owned());
    if EXTENSIONS.contains(&name) {
        let modelled = modelled(name, options, text, family).filter(|_| options.is_done());
        return (modelled.unwrap_or_else(unmodelled), None);
    }
    let what = format!("{name} is neither a chain of this table nor a target known here");
    (unmodelled(), Some(what))
}

/// The modelled extensions. `None` where the target, or one of its options, is not modelled.
fn modelled(name: &str, options: &mut Words<'_>, text: &str, family: Family) -> Option<Action> {
    match name {
        "REJECT" => reject::read(options, family).map(Action::Reject),
        "DNAT" => nat::to(options, "--to-destination").map(Action::Dnat),
        "SNAT" => nat::to(options, "--to-source").map(Action::Snat),
        "NETMAP" => nat::netmap(options),
        "MASQUERADE" => nat::to_ports(options, Action::Masquerade),
        "REDIRECT" => nat::to_ports(options, Action::Redirect),
        "MARK" => marks::packet(options),
        "CONNMARK" => marks::connection(options),
        "DSCP" | "TOS" => marks::service(options, text),
        "TTL" => hops(options, "--ttl-"),
        "HL" => hops(options, "--hl-"),
        "NOTRACK" => Some(Action::Notrack),
        "CT" => ct(options, text),
        "SET" => set(options, text),
        _ => None,
    }
}

fn hops(options: &mut Words<'_>, prefix: &str) -> Option<Action> {
    let option = options.value()?;
    let by: u8 = options.value()?.parse().ok()?;
    Some(Action::Ttl(match option.strip_prefix(prefix)? {
        "set" => TtlChange::Set(by),
        "inc" => TtlChange::Increase(by),
        "dec" => TtlChange::Decrease(by),
        _ => return None,
    }))
}

/// A zone changes which conntrack entry a packet finds; a helper or an event mask does not.
fn ct(options: &mut Words<'_>, text: &str) -> Option<Action> {
    let mut notrack = false;
    let mut zone = None;
    let mut other = false;
    while let Some(option) = options.value() {
        match option.as_ref() {
            "--notrack" => notrack = true,
            // `--zone mark` takes the packet's mark for it, which is no number.
            "--zone" => zone = Some(options.value()?.parse().ok()?),
            "--helper" | "--ctevents" | "--expevents" | "--timeout" => {
                options.value()?;
                other = true;
            }
            _ => return None,
        }
    }
    let text = || Action::NonTerminal(text.to_owned());
    Some(match (notrack, zone, other) {
        (true, None, false) => Action::Notrack,
        (false, Some(zone), false) => Action::CtZone(zone),
        (false, Some(zone), true) => Action::Several(vec![Action::CtZone(zone), text()]),
        (false, None, _) => text(),
        (true, ..) => return None,
    })
}

/// `--map-set` writes on the packet what the set holds for it.
fn set(options: &mut Words<'_>, text: &str) -> Option<Action> {
    let option = options.value()?;
    options.skip_all();
    matches!(option.as_ref(), "--add-set" | "--del-set").then(|| Action::NonTerminal(text.to_owned()))
}
