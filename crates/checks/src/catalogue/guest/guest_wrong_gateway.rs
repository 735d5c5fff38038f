//! # guest-wrong-gateway
//!
//! The instance's default route leads to an address that is not its gateway.
//!
//! ## What it means
//! The instance asks for the MAC of an address that nobody has, or that a station has which forwards nothing. Its
//! neighbours it reaches; the outside dies after 3 s.
//!
//! ## How hopline knows
//! Inside the instance, the default route names another address than the network's record, and the walks die there: no
//! answer to ARP for it, or at the machine that has it. Where the segment goes on beyond what was read, nobody knows
//! who is there until the outside is asked in vain. A router that the network's own dnsmasq gives out (option 3) is
//! meant, whatever the record says.
//!
//! ## What it looks like
//! Inside: `ip neigh` has 10.0.0.254 FAILED. On the tap and on the bridge: ARP for 10.0.0.254 without an answer.
//!
//! ## Nearest look-alikes
//! * `arp-ignore`: there ARP for the right gateway stays unanswered.
//! * `guest-arp-poisoned`: there the right gateway has a wrong MAC.
//! * `default-route-wrong-gw`: there it is the host's.
//!
//! ## Fix
//! In the instance: `ip route replace default via GATEWAY`. Undo: the same with the old address.
//!
//! ## References
//! nova `networks.gateway`, in multi-host mode `fixed_ips.host`; RFC 2132 option 3.

use std::net::{IpAddr, Ipv4Addr};

use model::Netns;
use model::finding::Confidence;
use model::path::{Direction, Exchange, Stage, Stop};
use model::route::Neighbour;
use sim::world::Station;

use crate::dhcp_server;
use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::ladder::Purpose;
use crate::mend::Mend;
use crate::restart::typed;
use crate::said;
use crate::uplinks;
use crate::view::{Seat, Stopped, View};

/// Looks inside the instances that can be entered.
pub fn check(view: &View) -> Vec<Found> {
    view.vifs().filter_map(|seat| astray(view, &seat)).collect()
}

fn astray(view: &View, seat: &Seat) -> Option<Found> {
    let (inside, nic) = seat.inside(view)?;
    let (via, out) = uplinks::default_via(inside)?;
    let gateway = seat.gateway().filter(|gateway| *gateway != via && out == nic.index)?;
    if is_given_out(seat, via) {
        return None;
    }
    let stopped = view.stop_of(seat.instance, |s| is_there(view, s, inside, via));
    let owner = view.world.owner_of_ip(via.into());
    // Where the segment goes on beyond what was read, an answer that does not come tells that nobody is there; where
    // nobody asked, that the instance has never heard of anybody.
    let outside = || view.rungs_of(seat.instance).filter(|rung| rung.purpose == Purpose::Outside);
    let silent =
        outside().find_map(|rung| view.silent(rung)).filter(|_| stopped.is_none() && owner.is_none());
    let is_answered = outside().any(|rung| view.is_answered(rung));
    let answers = |n: &Neighbour| n.ip == IpAddr::V4(via) && n.mac.is_some() && n.state.is_valid();
    let is_alive = owner.is_some() || is_answered || inside.neighbours.iter().any(answers);
    if stopped.is_none() && silent.is_none() && is_alive {
        return None;
    }
    let name = &seat.instance.name;
    let is_guess = stopped.is_none() && silent.is_none();
    let whose = match owner {
        Some(Station::Link(id)) => format!("{} is {}'s", via, view.world.ns(id.ns).machine),
        Some(Station::Guest { .. }) | None if is_guess => format!("nobody is known to have {via}"),
        Some(Station::Guest { .. }) | None => format!("nobody answers for {via}"),
    };
    let reach = if is_guess { "may reach" } else { "reaches" };
    let fault = Fault {
        code: "guest-wrong-gateway",
        hop: at(inside, &nic.name, Stage::Instance),
        summary: format!("{name} {reach} its own subnet only: its default route leads to {via}"),
        cause: format!("{whose}; the gateway of its network is {gateway}"),
        confidence: match (stopped.is_some(), is_guess) {
            (true, _) => Confidence::Proven,
            (false, false) => Confidence::Likely,
            (false, true) => Confidence::Possible,
        },
        evidence: [
            evidence::state(inside, "ip route show default", uplinks::default_text(inside)),
            evidence::neighbour(inside, nic, via),
        ]
        .into_iter()
        .chain(silent.map(said::evidence))
        .collect(),
        owner: "instance",
        remedy: vec![evidence::remedy(
            inside,
            &format!("ip route replace default via {gateway} dev {}", typed(&nic.name)),
            &format!("ip route replace default via {via} dev {}", typed(&nic.name)),
            "in the instance; lasting by its DHCP client, or its network configuration",
        )],
        instances: vec![name.clone()],
        stopped,
        mend: vec![Mend::DefaultRoute {
            machine: inside.machine.clone(),
            via: gateway,
            device: nic.name.clone(),
        }],
    };
    Some(fault.found().breaks(Exchange::Icmp, Direction::Request))
}

/// The dnsmasq of the NIC's network gives it out as a router: `3` or `option:router`, behind tags where it has some.
/// An operator's own router is set that way (nova.conf: `dnsmasq_config_file`).
fn is_given_out(seat: &Seat, via: Ipv4Addr) -> bool {
    let is_number = |word: &&str| word.starts_with("option:") || word.parse::<u8>().is_ok();
    let names_it = |option: &String| {
        let mut words = option.split(',').map(str::trim).skip_while(|word| !is_number(word));
        matches!(words.next(), Some("3" | "option:router")) && words.any(|word| word.parse() == Ok(via))
    };
    dhcp_server::of(seat).is_some_and(|server| server.options.iter().any(names_it))
}

/// The walk died for that gateway: nobody answers for it, or the machine that has it does not lead on.
fn is_there(view: &View, stopped: &Stopped, inside: &Netns, via: Ipv4Addr) -> bool {
    let unresolved = matches!(
        stopped.stop,
        Stop::NeighbourUnresolved { ip, .. } if *ip == IpAddr::V4(via) && stopped.is_in(inside)
    );
    let asked = stopped.exchange == Exchange::Arp && stopped.hop.detail.ends_with(&format!(" {via}"));
    let at_its_owner = match view.world.owner_of_ip(via.into()) {
        Some(Station::Link(id)) => stopped.is_in(view.world.ns(id.ns)),
        Some(Station::Guest { .. }) | None => false,
    };
    unresolved || asked || at_its_owner
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use model::finding::Confidence;
    use model::probe::PING_OCTETS;
    use model::route::{Neighbour, NeighbourState};

    use crate::fixture::{Cloud, broken, codes, healthy, inject, lacks, pinged};

    const CODE: &str = "guest-wrong-gateway";

    fn via(cloud: &mut Cloud, gateway: &str) {
        let gateway: IpAddr = gateway.parse().unwrap();
        let defaults = cloud.netns("web1").routes.iter_mut().filter(|r| r.is_default());
        defaults.flat_map(|r| &mut r.nexthops).for_each(|n| n.via = Some(gateway));
    }

    #[test]
    fn fires_on_a_gateway_that_nobody_is() {
        assert_eq!(codes(&broken(CODE).diagnose("web1")), ["guest-wrong-gateway web1//eth0"]);
    }

    #[test]
    fn types_the_name_of_a_link_that_a_shell_would_read() {
        let mut cloud = broken(CODE);
        cloud.link("web1", "eth0").name = ";reboot".to_owned();
        let diagnosis = cloud.diagnose("web1");
        let told = diagnosis.findings.iter().find(|f| f.code == CODE).unwrap();
        let commands = told.remedy.iter().flat_map(|remedy| [&remedy.command, &remedy.undo]);
        for command in commands.chain(told.evidence.iter().map(|evidence| &evidence.source)) {
            assert!(!command.replace("';reboot'", "").contains(";reboot"), "{command}");
        }
        assert!(told.remedy[0].command.ends_with("dev ';reboot'"), "{:?}", told.remedy);
    }

    #[test]
    fn fires_on_a_neighbour_that_forwards_nothing() {
        let mut cloud = healthy();
        via(&mut cloud, "10.0.2.25");
        let diagnosis = cloud.diagnose("web1");
        assert_eq!(codes(&diagnosis), ["guest-wrong-gateway web1//eth0"]);
        assert!(diagnosis.findings[0].cause.contains("web2"), "{}", diagnosis.findings[0].cause);
    }

    #[test]
    fn is_told_by_silence_where_the_segment_goes_on_beyond_what_was_read() {
        let mut cloud = broken(CODE);
        cloud.snapshot.hosts.retain(|h| h.name != "fabric");
        cloud.snapshot.netns.retain(|n| n.machine != "fabric");
        let passive = cloud.diagnose("web1");
        assert_eq!(codes(&passive), ["guest-wrong-gateway web1//eth0"]);
        let told = &passive.findings[0];
        assert_eq!(told.confidence, Confidence::Possible);
        assert!(told.summary.contains("may reach") && told.cause.contains("is known to have"), "{told:?}");
        let asked = cloud.diagnose_with("web1", &[pinged("web1", PING_OCTETS, 0)]);
        assert_eq!(codes(&asked), ["guest-wrong-gateway web1//eth0"]);
        assert!(asked.findings[0].cause.contains("nobody answers for"), "{:?}", asked.findings[0]);
        let answered = [pinged("web1", PING_OCTETS, 2)];
        assert!(lacks(&cloud.diagnose_with("web1", &answered), CODE));
        // A router of somebody's own, which it knows.
        let (link, ip) = (cloud.link("web1", "eth0").index, "10.0.255.254".parse().unwrap());
        let mac = "02:de:ad:00:00:01".parse().ok();
        let router = Neighbour { link, ip, mac, state: NeighbourState::Stale, proxy: false };
        cloud.netns("web1").neighbours.retain(|known| known.ip != ip);
        cloud.netns("web1").neighbours.push(router);
        assert!(lacks(&cloud.diagnose("web1"), CODE));
    }

    #[test]
    fn stays_silent_on_the_router_that_dnsmasq_gives_out() {
        let given = |option: &str| {
            let mut cloud = broken(CODE);
            cloud.dnsmasq("compute1").options = vec![option.to_owned()];
            !lacks(&cloud.diagnose("web1"), CODE)
        };
        for own in ["3,10.0.255.254", "option:router, 10.0.255.254", "tag:NW-7,3,10.0.255.254"] {
            assert!(!given(own), "{own}");
        }
        for other in ["3,10.0.0.42", "3", "6,3,10.0.255.254", "option:ntp-server,10.0.255.254"] {
            assert!(given(other), "{other}");
        }
    }

    #[test]
    fn stays_silent_on_what_is_wrong_behind_the_right_one() {
        for other in ["guest-arp-poisoned", "arp-ignore", "default-route-wrong-gw", "ip-forward-0"] {
            assert!(lacks(&broken(other).diagnose("web1"), CODE), "{other}");
        }
        let mut cloud = broken("ip-forward-0");
        inject(&mut cloud, CODE);
        let found = codes(&cloud.diagnose("web1"));
        assert_eq!(found, ["guest-wrong-gateway web1//eth0", "ip-forward-0 compute1//br100"]);
    }
}
