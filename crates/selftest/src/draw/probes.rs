//! The packets: who sends what to whom.

use std::net::IpAddr;

use crate::case::{Case, Kind, Probe, TCP_PORTS, UDP_PORTS};
use crate::random::Random;

/// From four to eight, no two alike.
pub(super) fn draw(random: &mut Random, case: &Case) -> Vec<Probe> {
    let senders: Vec<usize> = (0..case.machines.len()).filter(|at| speaks(case, *at)).collect();
    let guests: Vec<usize> =
        senders.iter().copied().filter(|at| case.machines.get(*at).is_some_and(|m| m.instance)).collect();
    let mut targets: Vec<IpAddr> =
        case.machines.iter().flat_map(|m| &m.addresses).map(|(_, net)| net.addr()).collect();
    targets.sort();
    targets.dedup();
    // A link-local address is nobody's without a link.
    targets.retain(|ip| !matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local()));
    // An address that nobody has, in a segment that is there.
    targets.extend(["10.0.0.99"].iter().filter_map(|text| text.parse::<IpAddr>().ok()));
    let wanted = 4 + random.below(5);
    let mut probes: Vec<Probe> = Vec::new();
    for _ in 0..wanted * 2 {
        let from = if random.one_in(2) { random.pick(&guests) } else { random.pick(&senders) };
        let (Some(from), Some(to)) = (from, random.pick(&targets)) else { continue };
        let probe = Probe { from: *from, to: *to, kind: kind(random, to.is_ipv6()) };
        if !probes.contains(&probe) && probes.len() < wanted {
            probes.push(probe);
        }
    }
    probes
}

/// A machine without any address has nothing to send with.
fn speaks(case: &Case, at: usize) -> bool {
    case.machines.get(at).is_some_and(|m| !m.addresses.is_empty())
}

fn kind(random: &mut Random, v6: bool) -> Kind {
    // A port that nobody listens on is now and then asked too.
    match random.below(20) {
        0..7 => Kind::Echo,
        7..13 => Kind::Tcp(random.of([TCP_PORTS[0], TCP_PORTS[1], TCP_PORTS[0], 81])),
        13..18 => Kind::Udp(random.of([UDP_PORTS[0], UDP_PORTS[1], UDP_PORTS[0], 54])),
        _ if v6 => Kind::Echo,
        _ => Kind::Arp,
    }
}
