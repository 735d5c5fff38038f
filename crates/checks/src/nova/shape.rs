//! The shapes of nova's rules, whatever addresses and links they name: `nova/network/linux_net.py`,
//! `nova/virt/firewall.py`.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use model::netfilter::{CtStates, NfRule};

use super::line::{ICMP, Line, TCP, Then, UDP, always, calls};

const PROVIDER: &str = "nova-compute-provider";
const FALLBACK: &str = "nova-compute-sg-fallback";
const INSTANCE: &str = "nova-compute-inst-";

pub(crate) const INVALID: CtStates = CtStates { invalid: true, ..NO_STATE };
pub(crate) const KNOWN: CtStates = CtStates { established: true, related: true, ..NO_STATE };
pub(crate) const DNAT: CtStates = CtStates { dnat: true, ..NO_STATE };
const NO_STATE: CtStates = CtStates {
    invalid: false,
    new: false,
    established: false,
    related: false,
    untracked: false,
    dnat: false,
    snat: false,
};

/// Whether a rule in one of nova's chains is such as nova writes there.
pub(crate) fn is_novas(chain: &str, rule: &NfRule) -> bool {
    let Some(line) = Line::of(rule) else { return chain == PROVIDER };
    let shared = ["nova-filter-top", "nova-postrouting-bottom"].contains(&chain);
    if shared || is_call_of_own(chain, &line) {
        return is_call(&line);
    }
    let kind = kind(chain);
    match kind {
        "INPUT" => is_service(&line) || is_discover(&line) || is_metadata_accept(&line, None),
        "FORWARD" => is_bridge(&line) || is_discover(&line) || is_vpn_accept(&line),
        "local" => is_dispatch(&line),
        "provider" => true,
        "sg-fallback" => line == always(line.then.clone()),
        "PREROUTING" | "OUTPUT" => {
            is_metadata_forward(&line) || float_dnat(&line).is_some() || is_vpn_dnat(&line)
        }
        "POSTROUTING" => is_unrewritten(&line) || is_float_reply(&line) || is_checksum(&line),
        "snat" | "float-snat" => is_source_nat(&line),
        _ if chain.starts_with(INSTANCE) => is_of_instance(&line),
        _ => false,
    }
}

/// What follows the process's name: `FORWARD`, `float-snat`, `inst-7`.
fn kind(chain: &str) -> &str {
    // The longer name first: it begins with the shorter.
    let processes = ["nova-network-", "nova-compute-", "nova-api-metadat-", "nova-api-", "nova-manage-"];
    processes.iter().find_map(|process| chain.strip_prefix(process)).unwrap_or(chain)
}

/// `nova-network-snat` calls `nova-network-float-snat`.
fn is_call_of_own(chain: &str, line: &Line) -> bool {
    let float = chain.strip_suffix("-snat").map(|process| format!("{process}-float-snat"));
    float.is_some_and(|float| *line == calls(float))
}

fn is_call(line: &Line) -> bool {
    matches!(&line.then, Then::Call(chain) if *line == calls(chain.clone()) && chain.starts_with("nova-"))
}

/// Accepts DHCP and DNS from a bridge.
pub(crate) fn service(bridge: &str, protocol: u8, port: u16) -> Line {
    Line {
        input: Some(bridge.to_owned()),
        protocol: Some(protocol),
        ports: Some((port, port)),
        ..always(Then::Accept)
    }
}

fn is_service(line: &Line) -> bool {
    let (Some(bridge), Some(protocol), Some((port, _))) = (&line.input, line.protocol, line.ports) else {
        return false;
    };
    *line == service(bridge, protocol, port) && [TCP, UDP].contains(&protocol) && [53, 67].contains(&port)
}

/// A DHCP client's first question, before it has an address.
pub(crate) fn discover() -> Line {
    Line {
        source: Some(host(Ipv4Addr::UNSPECIFIED)),
        destination: Some(host(Ipv4Addr::BROADCAST)),
        protocol: Some(UDP),
        source_port: Some(68),
        ports: Some((67, 67)),
        ..always(Then::Accept)
    }
}

fn is_discover(line: &Line) -> bool {
    *line == discover()
}

/// The metadata service's own port is open. With a port, on that one only.
pub(crate) fn is_metadata_accept(line: &Line, port: Option<u16>) -> bool {
    let Some((first, last)) = line.ports else { return false };
    let plain = Line { destination: None, to_local: false, ..line.clone() };
    let accept = Line { protocol: Some(TCP), ports: line.ports, ..always(Then::Accept) };
    plain == accept && first == last && port.is_none_or(|port| port == first)
}

/// What a bridge may send and receive.
pub(crate) fn bridge(input: Option<&str>, output: Option<&str>, then: Then) -> Line {
    Line { input: input.map(str::to_owned), output: output.map(str::to_owned), ..always(then) }
}

fn is_bridge(line: &Line) -> bool {
    let (input, output) = (line.input.as_deref(), line.output.as_deref());
    // `iptables_drop_action` may name a chain.
    let drops = matches!(line.then, Then::Drop | Then::Call(_)) && input.is_none() != output.is_none();
    let decides = drops || line.then == Then::Accept;
    decides && (input.is_some() || output.is_some()) && *line == bridge(input, output, line.then.clone())
}

/// Leads to an instance's chain.
pub(crate) fn dispatch(fixed: Ipv4Addr, chain: &str) -> Line {
    Line { destination: Some(host(fixed)), ..calls(chain) }
}

/// The fixed address and the chain that a rule leads to.
pub(crate) fn dispatched(line: &Line) -> Option<(Ipv4Addr, &str)> {
    let (Some(destination), Then::Call(chain)) = (line.destination, &line.then) else { return None };
    let fixed = only(destination)?;
    (chain.starts_with(INSTANCE) && *line == dispatch(fixed, chain)).then_some((fixed, chain))
}

fn is_dispatch(line: &Line) -> bool {
    dispatched(line).is_some()
}

/// What nova-compute writes into an instance's chain.
fn is_of_instance(line: &Line) -> bool {
    let fixed = [state(INVALID, Then::Drop), state(KNOWN, Then::Accept), calls(PROVIDER), calls(FALLBACK)];
    fixed.contains(line) || is_dhcp_answer(line) || is_group(line)
}

/// A decision by the connection's state alone.
pub(crate) fn state(states: CtStates, then: Then) -> Line {
    Line { state: Some((false, states)), ..always(then) }
}

/// What a DHCP server answers.
pub(crate) fn dhcp_answer(server: Ipv4Addr) -> Line {
    Line {
        source: Some(host(server)),
        protocol: Some(UDP),
        source_port: Some(67),
        ports: Some((68, 68)),
        ..always(Then::Accept)
    }
}

pub(crate) fn is_dhcp_answer(line: &Line) -> bool {
    line.source.and_then(only).is_some_and(|server| *line == dhcp_answer(server))
}

/// A rule of a security group, or of `allow_same_net_traffic`: accepts by source, protocol, ports.
pub(crate) fn is_group(line: &Line) -> bool {
    let Line { source, protocol, ports, icmp, .. } = line.clone();
    let plain = *line == Line { source, protocol, ports, icmp, ..always(Then::Accept) };
    let fits = match protocol {
        None => ports.is_none() && icmp.is_none() && source.is_some(),
        Some(ICMP) => ports.is_none(),
        Some(_) => icmp.is_none(),
    };
    plain && fits
}

/// The VPN instance of a project may be reached.
pub(crate) fn is_vpn_accept(line: &Line) -> bool {
    let Line { destination, .. } = line.clone();
    let wanted =
        Line { destination, protocol: Some(UDP), ports: Some((VPN_PORT, VPN_PORT)), ..always(Then::Accept) };
    destination.and_then(only).is_some() && *line == wanted
}

/// A port of the host's leads to the VPN instance of a project.
pub(crate) fn is_vpn_dnat(line: &Line) -> bool {
    let Line { destination, ports, then, .. } = line.clone();
    matches!(then, Then::Dnat(_, Some(VPN_PORT)))
        && destination.and_then(only).is_some()
        && *line == Line { destination, protocol: Some(UDP), ports, ..always(then) }
}

/// OpenVPN's.
const VPN_PORT: u16 = 1194;

/// Leads the metadata address to the service.
pub(crate) fn metadata_forward(then: Then) -> Line {
    Line {
        destination: Some(host(Ipv4Addr::new(169, 254, 169, 254))),
        protocol: Some(TCP),
        ports: Some((80, 80)),
        ..always(then)
    }
}

pub(crate) fn is_metadata_forward(line: &Line) -> bool {
    matches!(line.then, Then::Dnat(..) | Then::Redirect(_)) && *line == metadata_forward(line.then.clone())
}

/// The floating address that a rule leads inside, and the fixed one that it leads to.
pub(crate) fn float_dnat(line: &Line) -> Option<(Ipv4Addr, Ipv4Addr)> {
    let Then::Dnat(fixed, None) = line.then else { return None };
    let wanted = Line { destination: line.destination, ..always(line.then.clone()) };
    (*line == wanted).then_some((only(line.destination?)?, fixed))
}

/// Keeps its source: on the way to metadata, a DMZ, or the network itself.
pub(crate) fn is_unrewritten(line: &Line) -> bool {
    let Line { source, destination, state, .. } = line.clone();
    let wanted = Line { source, destination, state, ..always(Then::Accept) };
    let stateful = state.is_none_or(|state| state == (true, DNAT) && source == destination);
    source.is_some() && destination.is_some() && stateful && *line == wanted
}

/// An instance answers itself over its floating address.
pub(crate) fn is_float_reply(line: &Line) -> bool {
    let Line { source, then, .. } = line.clone();
    let wanted = Line { source, state: Some((false, DNAT)), ..always(then) };
    snat_to(line).is_some() && source.and_then(only).is_some() && *line == wanted
}

/// Fills in the checksum of DHCP answers that leave by a bridge.
pub(crate) fn checksum(bridge: &str) -> Line {
    Line {
        output: Some(bridge.to_owned()),
        protocol: Some(UDP),
        ports: Some((68, 68)),
        ..always(Then::FillChecksum)
    }
}

pub(crate) fn is_checksum(line: &Line) -> bool {
    line.output.as_deref().is_some_and(|link| *line == checksum(link))
}

/// Gives what leaves another source: of a range, or of a floating address.
pub(crate) fn is_source_nat(line: &Line) -> bool {
    let Line { source, destination, output, state, then, .. } = line.clone();
    let stateful = state.is_none_or(|state| state == (false, DNAT) && source == destination);
    let wanted = Line { source, destination, output, state, ..always(then) };
    snat_to(line).is_some() && source.is_some() && stateful && *line == wanted
}

/// An instance reaches itself over its floating address.
pub(crate) fn is_hairpin(line: &Line) -> bool {
    is_source_nat(line) && line.source == line.destination && line.source.and_then(only).is_some()
}

/// The address that a rule rewrites sources to.
pub(crate) fn snat_to(line: &Line) -> Option<Ipv4Addr> {
    if let Then::Snat(to) = line.then { Some(to) } else { None }
}

/// A single address as a prefix.
pub(crate) fn host(ip: Ipv4Addr) -> IpNet {
    IpNet::from(IpAddr::V4(ip))
}

/// The one address of a prefix.
pub(crate) fn only(net: IpNet) -> Option<Ipv4Addr> {
    match net {
        IpNet::V4(net) if net.prefix_len() == 32 => Some(net.addr()),
        IpNet::V4(_) | IpNet::V6(_) => None,
    }
}
