//! One of nova's rules laid flat: the few options of iptables that nova uses, each at most once.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use model::netfilter::{Action, AddrType, AddressOf, CtStates, Match, NatTarget, NfRule, Test};

/// A rule in nova's language. Two rules that do the same are equal, however their text puts it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) source: Option<IpNet>,
    pub(crate) destination: Option<IpNet>,
    pub(crate) input: Option<String>,
    pub(crate) output: Option<String>,
    pub(crate) protocol: Option<u8>,
    pub(crate) source_port: Option<u16>,
    /// First and last.
    pub(crate) ports: Option<(u16, u16)>,
    /// Type, and code where given.
    pub(crate) icmp: Option<(u8, Option<u8>)>,
    /// One of these states, or with `true` none of them.
    pub(crate) state: Option<(bool, CtStates)>,
    /// `-m addrtype --dst-type LOCAL`.
    pub(crate) to_local: bool,
    pub(crate) then: Then,
}

/// What nova's rules do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Then {
    Accept,
    Drop,
    /// Calls a chain.
    Call(String),
    Snat(Ipv4Addr),
    Dnat(Ipv4Addr, Option<u16>),
    Redirect(u16),
    /// `-j CHECKSUM --checksum-fill`.
    FillChecksum,
}

/// ICMP's, TCP's and UDP's protocol numbers.
pub(crate) const ICMP: u8 = 1;
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;

/// How the parser keeps what does not decide a packet's fate.
const FILL_CHECKSUM: &str = "-j CHECKSUM --checksum-fill";

/// A rule without a condition.
pub(crate) fn always(then: Then) -> Line {
    Line {
        source: None,
        destination: None,
        input: None,
        output: None,
        protocol: None,
        source_port: None,
        ports: None,
        icmp: None,
        state: None,
        to_local: false,
        then,
    }
}

/// A call of a chain.
pub(crate) fn calls(chain: impl Into<String>) -> Line {
    always(Then::Call(chain.into()))
}

impl Then {
    /// `None` for what no rule of nova's does.
    pub(crate) fn of(action: &Action) -> Option<Then> {
        if let Action::NonTerminal(text) = action {
            return (text == FILL_CHECKSUM).then_some(Then::FillChecksum);
        }
        if let Action::Jump(chain) = action {
            return Some(Then::Call(chain.clone()));
        }
        if let Action::Redirect(Some((port, last))) = action {
            return (port == last).then_some(Then::Redirect(*port));
        }
        if let Action::Snat(target) = action {
            let (ip, port) = single_target(*target)?;
            return port.is_none().then_some(Then::Snat(ip));
        }
        if let Action::Dnat(target) = action {
            let (ip, port) = single_target(*target)?;
            return Some(Then::Dnat(ip, port));
        }
        let accepts = (*action == Action::Accept).then_some(Then::Accept);
        accepts.or((*action == Action::Drop).then_some(Then::Drop))
    }

    fn action(&self) -> Action {
        let target = |ip: Ipv4Addr, port: Option<u16>| {
            let ip = IpAddr::V4(ip);
            NatTarget { addresses: Some((ip, ip)), ports: port.map(|port| (port, port)), base: None }
        };
        match self {
            Then::Accept => Action::Accept,
            Then::Drop => Action::Drop,
            Then::Call(chain) => Action::Jump(chain.clone()),
            Then::Snat(ip) => Action::Snat(target(*ip, None)),
            Then::Dnat(ip, port) => Action::Dnat(target(*ip, *port)),
            Then::Redirect(port) => Action::Redirect(Some((*port, *port))),
            Then::FillChecksum => Action::NonTerminal(FILL_CHECKSUM.to_owned()),
        }
    }

    /// As `iptables-save` prints it.
    fn text(&self) -> String {
        match self {
            Then::Accept => "-j ACCEPT".to_owned(),
            Then::Drop => "-j DROP".to_owned(),
            Then::Call(chain) => format!("-j {chain}"),
            Then::Snat(ip) => format!("-j SNAT --to-source {ip}"),
            Then::Dnat(ip, None) => format!("-j DNAT --to-destination {ip}"),
            Then::Dnat(ip, Some(port)) => format!("-j DNAT --to-destination {ip}:{port}"),
            Then::Redirect(port) => format!("-j REDIRECT --to-ports {port}"),
            Then::FillChecksum => FILL_CHECKSUM.to_owned(),
        }
    }
}

/// The one IPv4 address, and port where given, of a NAT target.
fn single_target(target: NatTarget) -> Option<(Ipv4Addr, Option<u16>)> {
    let (IpAddr::V4(ip), last) = target.addresses? else { return None };
    let port = match target.ports {
        Some((port, last)) if port == last => Some(port),
        Some(_) => return None,
        None => None,
    };
    (last == ip).then_some((ip, port))
}

impl Line {
    /// A rule that was read; `None` where it says what no rule of nova's says. A comment says nothing.
    pub(crate) fn of(rule: &NfRule) -> Option<Line> {
        let mut line = always(Then::of(&rule.action)?);
        for condition in &rule.matches {
            line.take(condition)?;
        }
        Some(line)
    }

    /// `None` for a condition that nova does not make, or that was made before.
    fn take(&mut self, condition: &Match) -> Option<()> {
        let test = &condition.test;
        if *test == Test::Always {
            return Some(());
        }
        if let Test::CtState(states) = test {
            return once(&mut self.state, (condition.negated, *states));
        }
        if condition.negated {
            return None;
        }
        if let Test::Source(nets) = test {
            return once(&mut self.source, single(nets)?.trunc());
        }
        if let Test::Destination(nets) = test {
            return once(&mut self.destination, single(nets)?.trunc());
        }
        if let Test::In(link) = test {
            return once(&mut self.input, link.clone());
        }
        if let Test::Out(link) = test {
            return once(&mut self.output, link.clone());
        }
        if let Test::Protocol(number) = test {
            return once(&mut self.protocol, *number);
        }
        if let Test::SourcePort(ports) = test {
            let (first, last) = *single(ports)?;
            return if first == last { once(&mut self.source_port, first) } else { None };
        }
        if let Test::DestinationPort(ports) = test {
            return once(&mut self.ports, *single(ports)?);
        }
        if let Test::Icmp(kind, codes) = test {
            let code = codes.map(|(first, last)| (first == last).then_some(first));
            return if code == Some(None) { None } else { once(&mut self.icmp, (*kind, code.flatten())) };
        }
        let local = *test == to_local() && !self.to_local;
        self.to_local |= local;
        local.then_some(())
    }

    /// The rule as the model has it, for a chain.
    pub(crate) fn rule(&self, chain: &str) -> NfRule {
        let plain = |test| Match { negated: false, test };
        let mut matches = Vec::new();
        matches.extend(self.source.map(|net| plain(Test::Source(vec![net]))));
        matches.extend(self.destination.map(|net| plain(Test::Destination(vec![net]))));
        matches.extend(self.input.clone().map(|link| plain(Test::In(link))));
        matches.extend(self.output.clone().map(|link| plain(Test::Out(link))));
        matches.extend(self.protocol.map(|number| plain(Test::Protocol(number))));
        matches.extend(self.source_port.map(|port| plain(Test::SourcePort(vec![(port, port)]))));
        matches.extend(self.ports.map(|ports| plain(Test::DestinationPort(vec![ports]))));
        matches.extend(self.icmp.map(|(kind, code)| plain(Test::Icmp(kind, code.map(|code| (code, code))))));
        matches.extend(self.state.map(|(negated, states)| Match { negated, test: Test::CtState(states) }));
        matches.extend(self.to_local.then(|| plain(to_local())));
        NfRule {
            text: self.text(chain),
            counters: None,
            handle: None,
            line: 0,
            matches,
            action: self.then.action(),
        }
    }

    /// The rule as `iptables-save` prints it.
    pub(crate) fn text(&self, chain: &str) -> String {
        let mut text = format!("-A {chain}");
        let mut add = |option: &str, value: &dyn std::fmt::Display| {
            text.push_str(&format!(" {option} {value}"));
        };
        if let Some(net) = &self.source {
            add("-s", net);
        }
        if let Some(net) = &self.destination {
            add("-d", net);
        }
        if let Some(link) = &self.input {
            add("-i", link);
        }
        if let Some(link) = &self.output {
            add("-o", link);
        }
        if let Some(number) = self.protocol {
            let name = protocol_name(number);
            add("-p", &name);
            if self.source_port.is_some() || self.ports.is_some_and(|(first, last)| first == last) {
                add("-m", &name);
            }
        }
        if let Some(port) = self.source_port {
            add("--sport", &port);
        }
        match self.ports {
            Some((first, last)) if first == last => add("--dport", &first),
            Some((first, last)) => add("-m multiport --dports", &format!("{first}:{last}")),
            None => {}
        }
        match self.icmp {
            Some((kind, Some(code))) => add("-m icmp --icmp-type", &format!("{kind}/{code}")),
            Some((kind, None)) => add("-m icmp --icmp-type", &kind),
            None => {}
        }
        if let Some((negated, states)) = self.state {
            text.push_str(&state_text(negated, states));
        }
        if self.to_local {
            text.push_str(" -m addrtype --dst-type LOCAL");
        }
        format!("{text} {}", self.then.text())
    }
}

/// `-m addrtype --dst-type LOCAL`.
fn to_local() -> Test {
    Test::AddressType { of: AddressOf::Destination, types: vec![AddrType::Local], limit: None }
}

fn once<T>(place: &mut Option<T>, value: T) -> Option<()> {
    if place.is_some() {
        return None;
    }
    *place = Some(value);
    Some(())
}

fn single<T>(list: &[T]) -> Option<&T> {
    if let [only] = list { Some(only) } else { None }
}

fn protocol_name(number: u8) -> String {
    match number {
        ICMP => "icmp".to_owned(),
        TCP => "tcp".to_owned(),
        UDP => "udp".to_owned(),
        other => other.to_string(),
    }
}

/// nova asks `state` for the states of old and `conntrack` for DNAT.
fn state_text(negated: bool, states: CtStates) -> String {
    let CtStates { invalid, new, established, related, untracked, dnat, snat } = states;
    let named = [
        (invalid, "INVALID"),
        (new, "NEW"),
        (related, "RELATED"),
        (established, "ESTABLISHED"),
        (untracked, "UNTRACKED"),
        (snat, "SNAT"),
        (dnat, "DNAT"),
    ];
    let names: Vec<&str> = named.iter().filter(|(is, _)| *is).map(|(_, name)| *name).collect();
    let not = if negated { "! " } else { "" };
    let names = names.join(",");
    if dnat || snat {
        format!(" -m conntrack {not}--ctstate {names}")
    } else {
        format!(" -m state {not}--state {names}")
    }
}

#[cfg(test)]
mod tests {
    use model::netfilter::{Dialect, Family};

    use super::*;

    /// The rules of a recorded host of nova 17, with their chains.
    fn recorded() -> Vec<(String, NfRule)> {
        let text = include_str!("../../fixtures/queens.rules");
        let tables = parse::iptables_save::parse(text, Dialect::IptablesNft, Family::Ip).value;
        let chains = tables.into_iter().flat_map(|table| table.chains);
        chains.flat_map(|chain| chain.rules.into_iter().map(move |rule| (chain.name.clone(), rule))).collect()
    }

    #[test]
    fn every_rule_of_novas_is_read_and_printed_as_iptables_prints_it() {
        for (chain, rule) in recorded() {
            let line = Line::of(&rule).unwrap_or_else(|| panic!("not read: {}", rule.text));
            assert_eq!(line.text(&chain), rule.text);
            let NfRule { matches, action, .. } = line.rule(&chain);
            assert_eq!((matches, action), (rule.matches, rule.action), "{}", rule.text);
        }
    }

    #[test]
    fn what_nova_never_says_is_not_its_language() {
        let (_, rule) = recorded().swap_remove(0);
        let negated = Match { negated: true, test: Test::Protocol(TCP) };
        let twice = Match { negated: false, test: Test::Protocol(UDP) };
        for matches in [vec![negated], vec![twice.clone(), twice]] {
            assert_eq!(Line::of(&NfRule { matches, ..rule.clone() }), None);
        }
        assert_eq!(Line::of(&NfRule { action: Action::Continue, ..rule.clone() }), None);
        let comment = vec![Match { negated: false, test: Test::Always }];
        assert_eq!(Line::of(&NfRule { matches: comment, ..rule.clone() }), Line::of(&rule));
    }
}
