//! What one case is: machines, cables, rulesets, and the packets to send, as plain data from which
//! things can be taken away.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use model::Mac;
use model::link::BridgePort;
use model::netfilter::{Hook, Policy};
use model::route::{FibRule, Route};
use plumbing::rule::Protocol as IpVersion;
use serde::{Deserialize, Serialize};

use crate::words::Language;

/// TCP ports that every machine listens on.
pub(crate) const TCP_PORTS: [u16; 2] = [80, 8080];
/// UDP ports that every machine listens on and answers from.
pub(crate) const UDP_PORTS: [u16; 2] = [53, 5353];

/// Everything that is built and sent.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    /// What it was drawn from.
    pub(crate) seed: u64,
    pub(crate) machines: Vec<Machine>,
    pub(crate) cables: Vec<Cable>,
    pub(crate) probes: Vec<Probe>,
    /// The machines speak IPv6 too.
    pub(crate) v6: bool,
}

/// One namespace.
#[derive(Debug, Clone, Default)]
pub(crate) struct Machine {
    pub(crate) name: String,
    /// It plays the inside of an instance.
    pub(crate) instance: bool,
    pub(crate) bridges: Vec<Bridge>,
    /// Link and address.
    pub(crate) addresses: Vec<(String, IpNet)>,
    /// Nexthops name no link: gateways find their own.
    pub(crate) routes: Vec<Route>,
    pub(crate) fib_rules: Vec<(IpVersion, FibRule)>,
    pub(crate) neighbours: Vec<Pinned>,
    /// Names under /proc/sys/net, with slashes, and values, in the order in which they are written.
    pub(crate) sysctls: Vec<(String, String)>,
    pub(crate) rulesets: Vec<Ruleset>,
}

#[derive(Debug, Clone)]
pub(crate) struct Bridge {
    pub(crate) name: String,
    pub(crate) mac: Mac,
}

/// A neighbour entry that is set by hand.
#[derive(Debug, Clone)]
pub(crate) struct Pinned {
    pub(crate) link: String,
    pub(crate) ip: IpAddr,
    /// `None`: this machine answers for the address (`proxy`).
    pub(crate) mac: Option<Mac>,
}

/// A veth pair.
#[derive(Debug, Clone)]
pub(crate) struct Cable {
    pub(crate) ends: [CableEnd; 2],
}

#[derive(Debug, Clone)]
pub(crate) struct CableEnd {
    /// Index into [`Case::machines`].
    pub(crate) machine: usize,
    pub(crate) link: String,
    pub(crate) mac: Mac,
    /// Bridge that it is a port of.
    pub(crate) bridge: Option<String>,
    /// Switches of the port, where they are not the kernel's defaults.
    pub(crate) port: Option<BridgePort>,
    pub(crate) down: bool,
}

/// What one tool loads in one go.
#[derive(Debug, Clone)]
pub(crate) struct Ruleset {
    pub(crate) backend: Backend,
    pub(crate) tables: Vec<Table>,
}

/// Who loads a ruleset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Backend {
    IptablesLegacy,
    IptablesNft,
    Ip6tablesLegacy,
    Ip6tablesNft,
    EbtablesLegacy,
    EbtablesNft,
    ArptablesNft,
    Nft,
}

impl Backend {
    pub(crate) const ALL: [Backend; 8] = [
        Backend::IptablesLegacy,
        Backend::IptablesNft,
        Backend::Ip6tablesLegacy,
        Backend::Ip6tablesNft,
        Backend::EbtablesLegacy,
        Backend::EbtablesNft,
        Backend::ArptablesNft,
        Backend::Nft,
    ];

    /// As the coverage names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Backend::IptablesLegacy => "iptables-legacy",
            Backend::IptablesNft => "iptables-nft",
            Backend::Ip6tablesLegacy => "ip6tables-legacy",
            Backend::Ip6tablesNft => "ip6tables-nft",
            Backend::EbtablesLegacy => "ebtables-legacy",
            Backend::EbtablesNft => "ebtables-nft",
            Backend::ArptablesNft => "arptables-nft",
            Backend::Nft => "nft",
        }
    }

    pub(crate) fn language(self) -> Language {
        match self {
            Backend::IptablesLegacy | Backend::IptablesNft => Language::Iptables,
            Backend::Ip6tablesLegacy | Backend::Ip6tablesNft => Language::Ip6tables,
            Backend::EbtablesLegacy | Backend::EbtablesNft => Language::Ebtables,
            Backend::ArptablesNft => Language::Arptables,
            Backend::Nft => Language::Nft,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Table {
    /// Of native nft, as nft names it; the other languages have but one.
    pub(crate) family: &'static str,
    pub(crate) name: String,
    pub(crate) chains: Vec<Chain>,
}

#[derive(Debug, Clone)]
pub(crate) struct Chain {
    pub(crate) name: String,
    /// Of a base chain.
    pub(crate) base: Option<Base>,
    pub(crate) rules: Vec<Rule>,
}

#[derive(Debug, Clone)]
pub(crate) struct Base {
    pub(crate) hook: Hook,
    /// filter, nat or route, as nft names them.
    pub(crate) kind: &'static str,
    pub(crate) priority: i32,
    pub(crate) policy: Policy,
    /// The device of an nft ingress or egress chain.
    pub(crate) device: Option<String>,
}

/// One rule: conditions and a verdict, each with its name in the coverage.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) conditions: Vec<Piece>,
    pub(crate) verdict: Piece,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) name: &'static str,
    pub(crate) text: String,
    /// What must be there for it: a set of its nft table, an ipset.
    pub(crate) needs: Option<String>,
}

impl Rule {
    /// What its pieces need, in order.
    pub(crate) fn needs(&self) -> impl Iterator<Item = &str> {
        self.conditions.iter().chain([&self.verdict]).filter_map(|piece| piece.needs.as_deref())
    }
}

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// An echo request.
    Echo,
    /// A SYN to this port, and all that TCP makes of it.
    Tcp(u16),
    /// A datagram to this port, and one back.
    Udp(u16),
    /// Who has the next hop towards the destination?
    Arp,
}

/// One packet to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Probe {
    /// Index into [`Case::machines`].
    pub(crate) from: usize,
    pub(crate) to: IpAddr,
    pub(crate) kind: Kind,
}

impl Case {
    /// Links of a machine, but `lo`: name, and the bridge that it is a port of.
    pub(crate) fn links(&self, machine: usize) -> impl Iterator<Item = (&str, Option<&str>)> {
        let ends = self.cables.iter().flat_map(|cable| &cable.ends).filter(move |end| end.machine == machine);
        let bridges = self.machines.get(machine).into_iter().flat_map(|m| &m.bridges);
        let bridges = bridges.map(|bridge| (bridge.name.as_str(), None));
        ends.map(|end| (end.link.as_str(), end.bridge.as_deref())).chain(bridges)
    }
}

impl fmt::Display for Case {
    /// Everything, in the words of the tools that would build it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "case of seed {}", self.seed)?;
        let name = |at: usize| self.machines.get(at).map_or("?", |m| m.name.as_str());
        for Cable { ends: [near, far] } in &self.cables {
            let side = |end: &CableEnd| {
                let bridge = end.bridge.as_ref().map(|b| format!(" master {b}")).unwrap_or_default();
                let port = end.port.map(|p| format!(" {p:?}")).unwrap_or_default();
                let down = if end.down { " down" } else { "" };
                format!("{}:{} {}{bridge}{port}{down}", name(end.machine), end.link, end.mac)
            };
            writeln!(f, "cable {} - {}", side(near), side(far))?;
        }
        self.machines.iter().try_for_each(|machine| write!(f, "{machine}"))?;
        for Probe { from, to, kind } in &self.probes {
            writeln!(f, "probe {} > {to} {kind:?}", name(*from))?;
        }
        Ok(())
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Machine { name, .. } = self;
        for bridge in &self.bridges {
            writeln!(f, "{name}: link add {} address {} type bridge", bridge.name, bridge.mac)?;
        }
        for (link, net) in &self.addresses {
            writeln!(f, "{name}: addr add {net} dev {link}")?;
        }
        for route in &self.routes {
            writeln!(f, "{name}: {}", route_text(route))?;
        }
        for (_, rule) in &self.fib_rules {
            writeln!(f, "{name}: {}", fib_rule_text(rule))?;
        }
        for Pinned { link, ip, mac } in &self.neighbours {
            match mac {
                Some(mac) => writeln!(f, "{name}: neigh add {ip} lladdr {mac} dev {link}")?,
                None => writeln!(f, "{name}: neigh add proxy {ip} dev {link}")?,
            }
        }
        for (key, value) in &self.sysctls {
            writeln!(f, "{name}: {key} = {value}")?;
        }
        let ipsets = crate::text::ipsets(&self.rulesets);
        if !ipsets.is_empty() {
            writeln!(f, "{name}: ipset\n{ipsets}")?;
        }
        for ruleset in &self.rulesets {
            writeln!(f, "{name}: {}\n{}", ruleset.backend.name(), crate::text::of(ruleset))?;
        }
        Ok(())
    }
}

fn route_text(route: &Route) -> String {
    let mut text = format!("route add {:?} {}", route.kind, route.destination).to_lowercase();
    if let Some(via) = route.nexthops.first().and_then(|n| n.via) {
        text.push_str(&format!(" via {via}"));
    }
    if let Some(source) = route.preferred_source {
        text.push_str(&format!(" src {source}"));
    }
    text.push_str(&format!(" table {}", route.table));
    if route.metric != 0 {
        text.push_str(&format!(" metric {}", route.metric));
    }
    text
}

fn fib_rule_text(rule: &FibRule) -> String {
    let mut text = format!("rule add priority {}", rule.priority);
    if rule.invert {
        text.push_str(" not");
    }
    let words = [
        rule.source.map(|net| format!(" from {net}")),
        rule.destination.map(|net| format!(" to {net}")),
        rule.iif.as_ref().map(|link| format!(" iif {link}")),
        rule.oif.as_ref().map(|link| format!(" oif {link}")),
        rule.fwmark.map(|(value, mask)| format!(" fwmark {value:#x}/{mask:#x}")),
    ];
    words.into_iter().flatten().for_each(|word| text.push_str(&word));
    text.push_str(&format!(" {:?}", rule.action).to_lowercase());
    text
}
