//! # hairpin-ipv6-dad
//!
//! An instance has given up an IPv6 address because it heard its own question whether somebody has it.
//!
//! ## What it means
//! Before it uses an IPv6 address a machine asks everybody whether it is taken. A port with hairpin on sends that
//! question back to who asked, and a kernel from before 4.10, or one told so, takes it for somebody else's: the
//! address is as good as absent, for ever. Newer ones know their own question by a number in it.
//!
//! ## How hopline knows
//! Inside the instance the address is flagged `dadfailed`; its port on the host has hairpin on; and its kernel does
//! not tell its own questions from others' (`enhanced_dad` is 0, or not known). Nobody that was read has the address.
//! It is proven for the address that is made from its own MAC, which nobody else can have made.
//!
//! ## What it looks like
//! In the instance: `ip -6 address` shows `dadfailed tentative`; its log says `IPv6 duplicate address detected`.
//! `tcpdump -ni TAP icmp6` shows the neighbour solicitation twice, out and back. IPv4 works.
//!
//! ## Nearest look-alikes
//! * `hairpin-off`: the other way round; then the instance does not reach its own floating address.
//! * A real duplicate: somebody answers `ndisc6 ADDRESS`, and hairpin has nothing to do with it.
//!
//! ## Fix
//! In the instance: a kernel with enhanced DAD, or `net.ipv6.conf.eth0.enhanced_dad=1`, then the NIC down and up; where
//! there is none, `net.ipv6.conf.eth0.accept_dad=0` before. Hairpin off on the port does it too, and takes away the
//! instance's way to its own floating address.
//!
//! ## References
//! RFC 4862, 5.4; RFC 7527; `net/ipv6/ndisc.c` `ndisc_recv_ns`; LP#1011134; kubernetes/kubernetes#32291.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::Ipv6Net;
use model::finding::Confidence;
use model::link::Link;
use model::path::{Direction, Exchange, Stage};
use model::route::Standing;
use model::{Mac, Netns};

use crate::found::{Fault, Found, Reach, at};
use crate::restart::typed;
use crate::view::{Seat, View};
use crate::{evidence, own_v6, port_flags};

/// Looks for addresses that instances have given up to themselves: one finding a NIC.
pub fn check(view: &View) -> Vec<Found> {
    view.vifs().filter_map(|seat| given_up(view, &seat)).collect()
}

fn given_up(view: &View, seat: &Seat) -> Option<Found> {
    let tap = seat.tap()?;
    // As it was read: that hairpin should be on sends nothing back.
    let read = view.read.main_netns(&seat.ns.machine)?.link_named(&tap.name)?;
    let settings = read.port.filter(|port| port.hairpin)?;
    let (inside, nic) = seat.inside(view)?;
    if knows_its_own(inside, nic) == Some(true) {
        return None;
    }
    let lost: Vec<Ipv6Addr> = failed(inside, nic).filter(|ip| !is_anothers(view, inside, *ip)).collect();
    let first = lost.first()?;
    let name = &seat.instance.name;
    let is_own = |ip: &Ipv6Addr| nic.mac.is_some_and(|mac| *ip == link_local(mac));
    let shown = |ip: &Ipv6Addr| {
        evidence::state(
            inside,
            &format!("ip -6 address show dev {}", typed(&nic.name)),
            format!("{ip} dadfailed tentative"),
        )
    };
    let enhanced = format!("ipv6.conf.{}.enhanced_dad", nic.name);
    let known = knows_its_own(inside, nic).map(|_| evidence::sysctl(inside, &enhanced));
    let fault = Fault {
        code: "hairpin-ipv6-dad",
        hop: at(seat.ns, &tap.name, Stage::Bridge),
        summary: format!("{name} has given up its IPv6 address {first}: its own question came back to it"),
        cause: format!(
            "{} on {} has hairpin on, and {name} does not know its own duplicate address detection again",
            tap.name, seat.ns.machine
        ),
        confidence: if known.is_some() && lost.iter().any(is_own) {
            Confidence::Proven
        } else {
            Confidence::Likely
        },
        evidence: lost
            .iter()
            .map(shown)
            .chain(known)
            .chain([port_flags::shown(seat.ns, tap, settings)])
            .collect(),
        owner: "instance",
        remedy: vec![
            evidence::advice(
                format!("in {name}: sysctl -w net.{enhanced}=1, then its NIC down and up"),
                "on a kernel without it: accept_dad=0; either is gone with the next boot unless it is kept",
            ),
            port_flags::switched(
                seat.ns,
                tap,
                &[("hairpin", false)],
                "then it does not reach its own floating address",
            ),
        ],
        instances: vec![name.clone()],
        stopped: None,
        mend: Vec::new(),
    };
    let found = fault.found().reaching(Reach::Nothing);
    // What reaches no farther than the link nobody asks it by.
    let is_missed = lost.iter().any(|ip| !ip.is_unicast_link_local());
    Some(if is_missed { found.breaks(Exchange::Icmp, Direction::Both) } else { found })
}

/// Whether it tells its own questions from others', by the larger of both sysctls (`ipv6_use_enhanced_dad`).
fn knows_its_own(inside: &Netns, nic: &Link) -> Option<bool> {
    let read =
        |of: &str| inside.sysctls.get(&format!("ipv6.conf.{of}.enhanced_dad")).map(|value| value != "0");
    Some(read(&nic.name)? || read("all")?)
}

/// The addresses of a NIC that somebody was found to have.
fn failed<'n>(inside: &'n Netns, nic: &Link) -> impl Iterator<Item = Ipv6Addr> + use<'n> {
    let own = inside.addresses_of(nic.index).filter(|address| address.standing == Standing::Duplicate);
    own.filter_map(|address| match address.net.addr() {
        IpAddr::V6(ip) => Some(ip),
        IpAddr::V4(_) => None,
    })
}

/// Somebody else has it for all that was read, or is taken to have it.
fn is_anothers(view: &View, inside: &Netns, ip: Ipv6Addr) -> bool {
    let ip = IpAddr::V6(ip);
    let macs: Vec<Option<Mac>> = inside.links.iter().map(|link| link.mac).collect();
    let answered = view.holders.iter().filter(|holders| holders.address == ip).flat_map(|one| &one.stations);
    if answered.into_iter().any(|station| !macs.contains(&Some(station.mac))) {
        return true;
    }
    view.snapshot().netns.iter().filter(|ns| !std::ptr::eq(*ns, inside)).any(|ns| {
        let has = ns.addresses.iter().any(|own| own.net.addr() == ip && own.standing.is_usable());
        has || ns.neighbours.iter().any(|n| n.ip == ip && n.mac.is_some() && !macs.contains(&n.mac))
    })
}

/// The address that a NIC makes of its own MAC.
fn link_local(mac: Mac) -> Ipv6Addr {
    own_v6::made(mac, Ipv6Net::new_assert(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 64))
}

#[cfg(test)]
mod tests {
    use model::finding::Confidence;
    use model::path::Exchange;
    use model::route::{Address, Standing};

    use crate::fixture::{Cloud, broken, codes, lacks};

    const CODE: &str = "hairpin-ipv6-dad";
    const OWN: &str = "fe80::f816:3eff:fe00:224/64";

    #[test]
    fn fires_at_the_port_that_sends_it_back() {
        let found = broken(CODE).diagnose("web1");
        assert_eq!(codes(&found), ["hairpin-ipv6-dad compute1//vnet0"]);
        assert_eq!(found.findings[0].confidence, Confidence::Proven);
        assert_eq!(found.findings[0].evidence[0].text, "fe80::f816:3eff:fe00:224 dadfailed tentative");
    }

    #[test]
    fn is_likely_for_an_address_that_anybody_may_have_chosen() {
        let mut cloud = broken(CODE);
        let addresses = &mut cloud.netns("web1").addresses;
        let own = addresses.iter_mut().find(|own| own.net == OWN.parse().unwrap()).unwrap();
        own.net = "fd77::24/64".parse().unwrap();
        let finding = cloud.diagnose("web1").findings.remove(0);
        assert_eq!((finding.confidence, finding.exchange), (Confidence::Likely, Exchange::Icmp));
    }

    fn with(change: impl Fn(&mut Cloud)) -> Vec<String> {
        let mut cloud = broken(CODE);
        change(&mut cloud);
        codes(&cloud.diagnose("web2").clone()).into_iter().chain(codes(&cloud.diagnose("web1"))).collect()
    }

    /// The near misses: a kernel that knows its own question, a port that sends nothing back, a real duplicate.
    #[test]
    fn stays_silent_where_it_was_somebody_elses_answer() {
        let knows = |of: &'static str| {
            with(move |cloud| {
                cloud.netns("web1").sysctls.insert(format!("ipv6.conf.{of}.enhanced_dad"), "1".to_owned());
            })
        };
        assert_eq!((knows("eth0"), knows("all")), (Vec::new(), Vec::new()));
        let mut straight = broken(CODE);
        straight.link("compute1", "vnet0").port.as_mut().unwrap().hairpin = false;
        assert!(lacks(&straight.diagnose("web1"), CODE));
        let taken = with(|cloud| {
            let link = cloud.link("web2", "eth0").index;
            cloud.netns("web2").addresses.push(Address::global(link, OWN.parse().unwrap()));
        });
        assert_eq!(taken, [""; 0]);
        let asked = with(|cloud| {
            cloud.netns("web1").addresses.iter_mut().for_each(|own| own.standing = Standing::Tentative);
        });
        assert!(asked.iter().all(|code| !code.starts_with(CODE)), "still being asked: {asked:?}");
    }
}
