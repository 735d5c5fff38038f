//! # gateway-address-missing
//!
//! The host does not carry the address that its instances have as their gateway, or carries it for too small a subnet.
//!
//! ## What it means
//! Nobody answers when instances ask for their gateway: they reach each other and nothing else. With the address the
//! host lost its route to them, too: what comes back for them leaves by the default route. Where the address is there
//! with too long a prefix (`/24` in place of `/16`), that is so for the instances beyond it. nova-network gives the
//! address to the bridge when it starts; a flush by hand, a change by ifupdown or NetworkManager take it.
//!
//! ## How hopline knows
//! nova's records have an address of this host's own (`fixed_ips.host`, in multi-host mode), or one that is gateway and
//! DHCP server of the network, and no link of the host carries it, nor does anybody else, nor answer for it. Or the
//! bridge has it with a prefix that leaves out an instance, and no route leads there by the bridge.
//!
//! ## What it looks like
//! `ip addr show dev br100` lacks it. Inside the instances: `ip neigh` has the gateway FAILED. `ip route get` of an
//! instance on the host names the default route.
//!
//! ## Nearest look-alikes
//! * `arp-ignore`: there the address is there, and the host does not answer for it.
//! * `guest-wrong-gateway`: there the instance asks for another address.
//! * `bridge-down`: there the whole bridge is off.
//! * `host-subnet-overlap`: there another route takes what is for the instances.
//!
//! ## Fix
//! `ip addr add ADDRESS/PREFIX brd + dev BRIDGE`, or a restart of nova-network, which does it, too. Undo: `ip addr
//! del`. Of a wrong prefix: add the right one before the wrong one is taken off, so that the address is never gone.
//!
//! ## References
//! nova `linux_net.py` `initialize_gateway_device`; `nova/network/manager.py` `_get_dhcp_ip`; ip-address(8).

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};
use model::Netns;
use model::finding::{Confidence, EvidenceKind};
use model::intent::Network;
use model::link::Link;
use model::path::{Direction, Exchange, Stage, Stop};
use model::route::{Route, TABLE_MAIN};

use crate::evidence;
use crate::found::{Fault, Found, Reach, at};
use crate::mend::{Entry, Mend, Setting};
use crate::restart::{self, typed};
use crate::view::{Seat, Stopped, View};

/// Looks at what the bridges of hosts carry that are gateways of instances: one finding a bridge.
pub fn check(view: &View) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for seat in view.vifs() {
        let new = lacking(&seat).and_then(|lacking| told(view, &seat, &lacking));
        found.extend(new.filter(|new| found.iter().all(|f| !f.finding.hop.same_device(&new.finding.hop))));
    }
    found
}

/// What the host should carry on the bridge.
struct Lacking<'v> {
    ns: &'v Netns,
    bridge: &'v Link,
    meant: Ipv4Net,
    /// What it carries in its place.
    instead: Option<Ipv4Net>,
}

fn lacking<'v>(seat: &Seat<'v>) -> Option<Lacking<'v>> {
    let (ns, network) = (seat.server_ns, seat.network?);
    let is_read = seat.server.name == network.server_for(&seat.instance.host) && !ns.addresses.is_empty();
    let bridge = ns.link_named(seat.bridge_name()?).filter(|_| is_read)?;
    let address = of_host(network, &seat.server.name)?;
    let cidr = network.cidr.filter(|cidr| cidr.contains(&address))?;
    let meant = Ipv4Net::new(address, cidr.prefix_len()).ok()?;
    if !ns.has_address(IpAddr::V4(address)) {
        return Some(Lacking { ns, bridge, meant, instead: None });
    }
    let carried = ns.addresses_of(bridge.index).filter_map(|address| match address.net {
        IpNet::V4(net) => Some(net),
        IpNet::V6(_) => None,
    });
    let mut own = carried.filter(|net| net.addr() == address);
    let instead = own.next().filter(|net| net.prefix_len() > meant.prefix_len() && own.next().is_none())?;
    let is_cut_off = seat.vif.fixed.iter().any(|ip| !instead.contains(ip) && !leads(ns, bridge, *ip));
    is_cut_off.then_some(Lacking { ns, bridge, meant, instead: Some(instead) })
}

/// The address that nova gives the bridge there and instances have as their gateway: the host's own, else the
/// network's, where it is both. A gateway alone may be a router of the operator's.
fn of_host(network: &Network, host: &str) -> Option<Ipv4Addr> {
    if network.multi_host && !network.share_address {
        let own = network.host_addresses.iter().find(|(name, _)| name == host);
        return own.map(|(_, address)| *address);
    }
    network.gateway.filter(|gateway| network.dhcp_server == Some(*gateway))
}

/// A route of the main table leads to the address by the bridge itself.
fn leads(ns: &Netns, bridge: &Link, ip: Ipv4Addr) -> bool {
    let by_it = |route: &Route| route.nexthops.iter().any(|n| n.link == bridge.index && n.via.is_none());
    let mut routes = ns.routes.iter().filter(|route| route.table == TABLE_MAIN);
    routes.any(|route| route.destination.contains(&IpAddr::V4(ip)) && by_it(route))
}

fn told(view: &View, seat: &Seat, lacking: &Lacking) -> Option<Found> {
    let Lacking { ns, bridge, meant, instead } = *lacking;
    let gateway = IpAddr::V4(meant.addr());
    let answers =
        view.holders.iter().any(|held| held.address == gateway && !held.is_own && !held.stations.is_empty());
    // Where all hosts share it, that others have it, too, is as it is meant.
    let is_shared = seat.network.is_some_and(|network| network.share_address);
    let is_anothers =
        instead.is_none() && !is_shared && (view.world.owner_of_ip(gateway).is_some() || answers);
    let is_answered = view.rungs_of(seat.instance).any(|rung| rung.to == gateway && view.is_answered(rung));
    if is_anothers || is_answered {
        return None;
    }
    let (host, device) = (&ns.machine, typed(&bridge.name));
    let add = |net: Ipv4Net| format!("ip addr add {net} brd + dev {device}");
    let del = |net: Ipv4Net| format!("ip addr del {net} dev {device}");
    // Each is typed by itself, and the first is put where it is to run as the whole is.
    let both = |first: String, second: String| format!("{first} && {}", evidence::within(ns, &second));
    let (summary, cause, command, undo) = match instead {
        None => (
            format!("{host} is not its instances' gateway: {} is not on {}", meant.addr(), bridge.name),
            format!(
                "no link of {host} carries {meant}, so nobody answers for it, and no route leads to instances"
            ),
            add(meant),
            del(meant),
        ),
        Some(instead) => (
            format!("{host} does not answer {}: {} has too small a subnet", seat.instance.name, bridge.name),
            format!(
                "{} carries {instead}, and the network is {}: it leads to what is in it alone",
                bridge.name,
                meant.trunc()
            ),
            both(add(meant), del(instead)),
            both(add(instead), del(meant)),
        ),
    };
    let stopped = view.stop(|s| is_of_it(view, s, lacking));
    // What is sent out for an instance by the default route may leave the site, where no walk ends.
    let silent = view.rungs_of(seat.instance).find(|rung| view.silent(rung).is_some());
    let begun = silent.filter(|_| stopped.is_none()).and_then(|rung| view.beginning_of(rung));
    let machine = host.clone();
    let forget = |net: Ipv4Net| Mend::Forget {
        machine: machine.clone(),
        entry: Entry::Address { device: bridge.name.clone(), net: net.into() },
    };
    let put =
        Mend::Set { machine: machine.clone(), device: bridge.name.clone(), setting: Setting::Beside(meant) };
    let fault = Fault {
        code: "gateway-address-missing",
        hop: at(ns, &bridge.name, Stage::Neighbour),
        summary,
        cause,
        confidence: Confidence::Proven,
        evidence: vec![
            evidence::state(
                ns,
                &format!("ip addr show dev {device}"),
                format!("no {meant} among: {}", carried(ns, bridge)),
            ),
            evidence::record(
                EvidenceKind::Db,
                source(view),
                format!("{} is {host}'s in {}", meant.addr(), meant.trunc()),
            ),
        ],
        owner: "nova-network",
        remedy: vec![
            evidence::remedy(ns, &command, &undo, "brings the route to the instances with it"),
            restart::network(view, host, "gives the bridge its address again"),
        ],
        instances: served(view, ns, bridge, lacking),
        stopped,
        mend: instead.map(forget).into_iter().chain([put]).collect(),
    };
    let found = fault.found().breaks(Exchange::Icmp, Direction::Both).met_at(begun);
    Some(found.reaching(Reach::Instances))
}

/// The instances that have it as their gateway, and, of a small subnet, are not in it.
fn served(view: &View, ns: &Netns, bridge: &Link, lacking: &Lacking) -> Vec<String> {
    let is_here =
        |seat: &Seat| std::ptr::eq(seat.server_ns, ns) && seat.bridge_name() == Some(bridge.name.as_str());
    let is_beyond = |seat: &Seat| {
        lacking.instead.is_none_or(|instead| seat.vif.fixed.iter().any(|ip| !instead.contains(ip)))
    };
    let seats = view.seats_of_all().filter(|seat| is_here(seat) && is_beyond(seat));
    let mut names: Vec<String> = seats.map(|seat| seat.instance.name.clone()).collect();
    names.dedup();
    names
}

/// It died for want of the address, or of the route that comes with it: nobody answers for the gateway, or what is for
/// an instance goes another way, or comes by one that it would not go back.
fn is_of_it(view: &View, stopped: &Stopped, lacking: &Lacking) -> bool {
    let Lacking { ns, meant, .. } = *lacking;
    let gateway = meant.addr();
    let is_asked = stopped.exchange == Exchange::Arp && stopped.hop.detail.contains(&gateway.to_string());
    let is_instances = |ip: &IpAddr| {
        let mut all = view.intent().instances.iter().flat_map(model::intent::Instance::fixed);
        matches!(ip, IpAddr::V4(ip) if meant.contains(ip) && all.any(|fixed| fixed == *ip))
    };
    match stopped.stop {
        Stop::NeighbourUnresolved { ip, .. } => *ip == IpAddr::V4(gateway) || is_instances(ip),
        Stop::NoRoute(to) => to.parse().is_ok_and(|ip| is_instances(&ip)) || stopped.is_in(ns),
        Stop::ReversePath { .. } | Stop::MartianSource => stopped.is_in(ns),
        Stop::NoTarget(_) | Stop::Unanswered(_) | Stop::OtherHost => is_asked,
        Stop::LinkDown
        | Stop::NoCarrier
        | Stop::DeviceMissing
        | Stop::NotEnslaved
        | Stop::BridgeDown
        | Stop::PortState(_)
        | Stop::VlanNotTaken(_)
        | Stop::VniNotTaken { .. }
        | Stop::VlanRefused(_)
        | Stop::RouteRefuses(_)
        | Stop::ForwardingOff
        | Stop::BeyondScope
        | Stop::Ipv6Off(_)
        | Stop::TtlExceeded
        | Stop::Rule(_)
        | Stop::Policy(_)
        | Stop::NoListener { .. }
        | Stop::TooBig { .. }
        | Stop::QueueRefuses(_)
        | Stop::NotAsked { .. }
        | Stop::Loop => false,
    }
}

fn carried(ns: &Netns, bridge: &Link) -> String {
    let list: Vec<String> = ns.addresses_of(bridge.index).map(|a| a.net.to_string()).collect();
    if list.is_empty() { "none".to_owned() } else { list.join(", ") }
}

fn source(view: &View) -> String {
    view.intent().sources.first().cloned().unwrap_or_else(|| "site file".to_owned())
}

#[cfg(test)]
mod tests {
    use ipnet::IpNet;
    use model::finding::Confidence;
    use model::route::Address;

    use crate::fixture::{Cloud, broken, codes, healthy, held, inject, lacks, minicloud};
    use crate::mend::{Entry, Mend, Setting, apply};

    const CODE: &str = "gateway-address-missing";
    const TOLD: &str = "gateway-address-missing compute1//br100";

    /// The bridge has the gateway's address with this prefix length, and no other.
    fn with_prefix(length: u8) -> Cloud {
        let mut cloud = broken(CODE);
        let net = format!("10.0.0.42/{length}").parse().unwrap();
        let (machine, device) = ("compute1".to_owned(), "br100".to_owned());
        apply(&mut cloud.snapshot, &Mend::Set { machine, device, setting: Setting::Beside(net) });
        cloud
    }

    #[test]
    fn fires_where_no_link_carries_it_whether_the_instance_can_be_entered_or_not() {
        for is_closed in [false, true] {
            let mut cloud = broken(CODE);
            if is_closed {
                cloud.close("web1");
            }
            let told = cloud.diagnose("web1");
            assert_eq!(codes(&told), [TOLD], "{is_closed}");
            let finding = &told.findings[0];
            assert_eq!(finding.confidence, Confidence::Proven);
            assert!(
                finding.remedy[0].command.ends_with("ip addr add 10.0.0.42/16 brd + dev br100"),
                "{finding:?}"
            );
            assert!(finding.remedy[0].undo.ends_with("ip addr del 10.0.0.42/16 dev br100"), "{finding:?}");
        }
    }

    #[test]
    fn fires_on_a_prefix_that_leaves_the_instance_out() {
        let mut cloud = with_prefix(24);
        let told = cloud.diagnose("web1");
        assert_eq!(codes(&told), [TOLD]);
        let command = &told.findings[0].remedy[0].command;
        let (add, del) = command.split_once(" && ").unwrap();
        assert!(add.ends_with("ip addr add 10.0.0.42/16 brd + dev br100"), "{command}");
        assert!(del.ends_with("ip addr del 10.0.0.42/24 dev br100"), "{command}");
        assert!(told.findings[0].cause.contains("carries 10.0.0.42/24, and the network is 10.0.0.0/16"));
        // Another route leads there.
        let link = cloud.link("compute1", "br100").index;
        cloud.netns("compute1").routes.push(crate::fixture::reachable_route("10.0.0.0/16", None, link));
        assert!(lacks(&cloud.diagnose("web1"), CODE));
    }

    #[test]
    fn stays_silent_on_a_prefix_that_the_instance_is_in() {
        assert!(lacks(&with_prefix(22).diagnose("web1"), CODE));
        assert!(lacks(&with_prefix(16).diagnose("web1"), CODE));
    }

    #[test]
    fn stays_silent_where_another_has_it_or_answers_for_it() {
        let mut moved = broken(CODE);
        let link = moved.link("compute1", "virbr0").index;
        moved.netns("compute1").addresses.push(Address::global(link, "10.0.0.42/32".parse().unwrap()));
        assert!(lacks(&moved.diagnose("web1"), CODE), "on another link");
        let mut elsewhere = broken(CODE);
        let mac = "02:00:5e:00:53:09".parse().unwrap();
        elsewhere.holders = vec![held("br100", "10.0.0.42", &[mac], false)];
        assert!(lacks(&elsewhere.diagnose("web1"), CODE), "another machine answers");
    }

    #[test]
    fn stays_silent_where_nothing_tells_that_it_is_the_hosts() {
        let mut cloud = broken(CODE);
        cloud.intent.networks[0].host_addresses.clear();
        assert!(lacks(&cloud.diagnose("web1"), CODE), "no address of its own");
        for dhcp_server in [None, "10.0.0.9".parse().ok()] {
            let network = &mut cloud.intent.networks[0];
            (network.multi_host, network.host) = (false, Some("compute1".to_owned()));
            (network.gateway, network.dhcp_server) = ("10.0.0.42".parse().ok(), dhcp_server);
            assert!(lacks(&cloud.diagnose("web1"), CODE), "the gateway may be a router of the operator's");
        }
        cloud.intent.networks[0].dhcp_server = cloud.intent.networks[0].gateway;
        assert!(!lacks(&cloud.diagnose("web1"), CODE), "it is both");
    }

    #[test]
    fn stays_silent_on_other_addresses_that_the_bridge_has_beside() {
        let mut cloud = healthy();
        let link = cloud.link("compute1", "br100").index;
        for net in ["10.0.0.1/16", "169.254.169.254/32", "192.168.7.1/24"] {
            cloud.netns("compute1").addresses.push(Address::global(link, net.parse::<IpNet>().unwrap()));
        }
        assert_eq!(codes(&cloud.diagnose("web1")), [""; 0]);
        for instance in ["inst1", "inst2"] {
            assert!(lacks(&minicloud().diagnose(instance), CODE), "{instance}");
        }
    }

    #[test]
    fn stays_silent_on_faults_that_look_alike() {
        for other in ["arp-ignore", "guest-wrong-gateway", "bridge-down", "host-subnet-overlap"] {
            assert!(lacks(&broken(other).diagnose("web1"), CODE), "{other}");
        }
        let mut cloud = broken(CODE);
        inject(&mut cloud, "float-dnat-missing");
        let told = cloud.diagnose("web1");
        assert!(!lacks(&told, CODE) && !lacks(&told, "float-dnat-missing"), "{:?}", codes(&told));
    }

    #[test]
    fn what_is_put_beside_takes_nothing_away() {
        let mut cloud = healthy();
        let before = cloud.netns("compute1").clone();
        let device = "br100".to_owned();
        let net: ipnet::Ipv4Net = "10.0.0.42/16".parse().unwrap();
        let machine = "compute1".to_owned();
        let entry = Entry::Address { device: device.clone(), net: net.into() };
        apply(&mut cloud.snapshot, &Mend::Forget { machine: machine.clone(), entry });
        assert_ne!(cloud.netns("compute1").routes.len(), before.routes.len());
        apply(&mut cloud.snapshot, &Mend::Set { machine, device, setting: Setting::Beside(net) });
        assert_eq!(cloud.netns("compute1").addresses.len(), before.addresses.len());
        assert_eq!(codes(&cloud.diagnose("web1")), [""; 0]);
    }
}
