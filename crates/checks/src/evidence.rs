//! Evidence: the very line, and the command that shows it.

use std::net::{IpAddr, Ipv4Addr};

use model::Netns;
use model::finding::{Evidence, EvidenceKind, Remedy};
use model::link::Link;
use model::path::RuleRef;

use crate::restart::typed;
use crate::view::{Stopped, View};
use crate::{backends, lasting, proved};

/// A command as it must be typed to run in a namespace.
pub(crate) fn within(ns: &Netns, command: &str) -> String {
    model::shell::within(ns.enter.as_deref(), command)
}

/// A link's state.
pub(crate) fn link(ns: &Netns, link: &Link) -> Evidence {
    let source = within(ns, &format!("ip link show dev {}", typed(&link.name)));
    Evidence { kind: EvidenceKind::State, source, text: link.state_text() }
}

/// A fact of the machine, by the command that shows it.
pub(crate) fn state(ns: &Netns, command: &str, text: impl Into<String>) -> Evidence {
    Evidence { kind: EvidenceKind::State, source: within(ns, command), text: text.into() }
}

/// The ports of a bridge.
pub(crate) fn ports(ns: &Netns, bridge: &Link) -> Evidence {
    let ports: Vec<&str> = ns.ports(bridge.index).map(|p| p.name.as_str()).collect();
    let list = if ports.is_empty() { "none".to_owned() } else { ports.join(", ") };
    state(
        ns,
        &format!("bridge link show master {}", typed(&bridge.name)),
        format!("ports of {}: {list}", bridge.name),
    )
}

/// A neighbour entry, or that there is none.
pub(crate) fn neighbour(ns: &Netns, link: &Link, ip: Ipv4Addr) -> Evidence {
    let entry = ns.neighbours.iter().find(|n| n.link == link.index && n.ip == IpAddr::V4(ip) && !n.proxy);
    let text = match entry {
        Some(n) => {
            let mac = n.mac.map(|m| format!(" lladdr {m}")).unwrap_or_default();
            format!("{ip} dev {}{mac} {}", link.name, n.state.name())
        }
        None => format!("no entry for {ip} on {}", link.name),
    };
    state(ns, &format!("ip neigh show dev {}", typed(&link.name)), text)
}

/// A sysctl.
pub(crate) fn sysctl(ns: &Netns, name: &str) -> Evidence {
    let text = format!("net.{name} = {}", ns.sysctls.get(name).map_or("?", String::as_str));
    Evidence {
        kind: EvidenceKind::Sysctl,
        source: within(ns, &format!("sysctl {}", typed(&format!("net.{name}")))),
        text,
    }
}

/// A rule, or a policy: its text, the chains that lead to it, its counters, who wrote it and how long it
/// lasts.
pub(crate) fn rule(ns: &Netns, rule: &RuleRef) -> Vec<Evidence> {
    let source = within(ns, &rule.shown_by());
    let number = if rule.number == 0 { "its policy".to_owned() } else { format!("rule {}", rule.number) };
    let handle = rule.handle.map(|handle| format!(", handle {handle}")).unwrap_or_default();
    let reached = format!("table {}, chain {}, {number}{handle}", rule.table, rule.chain_path());
    let line = |kind, text| Evidence { kind, source: source.clone(), text };
    let mut evidence = vec![line(EvidenceKind::Rule, rule.text.clone()), line(EvidenceKind::Rule, reached)];
    if let Some((packets, bytes)) = rule.counters {
        let text = format!("[{packets}:{bytes}] packets and bytes so far");
        evidence.push(line(EvidenceKind::Counter, text));
    }
    evidence.push(line(EvidenceKind::Rule, lasting::of(ns, rule)));
    evidence
}

/// The rule, or policy, that a walk ended at: also what other back ends say, where they say otherwise.
pub(crate) fn stopping(view: &View, ns: &Netns, stopped: &Stopped, by: &RuleRef) -> Vec<Evidence> {
    let mut evidence = rule(ns, by);
    evidence.extend(proved::by_probes(view, &stopped.hop.at, by));
    evidence.extend(backends::unseen(view, ns, stopped, by));
    evidence
}

/// What a record says.
pub(crate) fn record(kind: EvidenceKind, source: impl Into<String>, text: impl Into<String>) -> Evidence {
    Evidence { kind, source: source.into(), text: text.into() }
}

/// A remedy of commands on a machine.
pub(crate) fn remedy(ns: &Netns, command: &str, undo: &str, note: &str) -> Remedy {
    let undo = if undo.is_empty() { String::new() } else { within(ns, undo) };
    Remedy { command: within(ns, command), undo, note: note.to_owned() }
}

/// A remedy that is not a command on this machine.
pub(crate) fn advice(command: impl Into<String>, note: &str) -> Remedy {
    Remedy { command: command.into(), undo: String::new(), note: note.to_owned() }
}
