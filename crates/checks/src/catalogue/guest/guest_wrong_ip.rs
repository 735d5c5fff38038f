//! # guest-wrong-ip
//!
//! The instance uses another address than its record says.
//!
//! ## What it means
//! Somebody configured an address by hand, or the disk brings one along. Everything that the cloud does for the
//! instance (floating address, security groups, the anti-spoofing of libvirt's nwfilter) is for the address of the
//! record: what is sent to that one is nobody's, and what the instance sends may be dropped at its tap.
//!
//! ## How hopline knows
//! Inside the instance, its NIC has an IPv4 address and none of those of the record. A link-local one (169.254/16) does
//! not count: a client that gets no lease gives itself one.
//!
//! ## What it looks like
//! ARP on the tap says `tell 10.0.2.77`; with nwfilter the counter of `--arp-ip-src ! 10.0.2.24 -j DROP` rises; inside,
//! `IpInAddrErrors` rises for what the host still sends to the old neighbour. DHCP itself works.
//!
//! ## Nearest look-alikes
//! * `guest-nic-down`: there is no address in use, because the NIC is down.
//! * `foreign-rule-drop`: there the instance is right, and the rule at its tap is wrong.
//!
//! ## Fix
//! In the instance: DHCP in place of the static address, or the address of the record. Undo: the old configuration.
//!
//! ## References
//! nova `fixed_ips`; libvirt `nwfilter` `no-arp-ip-spoofing`; RFC 3927.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};
use model::Netns;
use model::finding::{Confidence, EvidenceKind};
use model::link::Link;
use model::path::{Stage, Stop};

use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::mend::{Mend, Setting};
use crate::restart::typed;
use crate::uplinks;
use crate::view::{Seat, Stopped, View};

/// Looks inside the instances that can be entered.
pub fn check(view: &View) -> Vec<Found> {
    view.vifs().filter_map(|seat| misaddressed(view, &seat)).collect()
}

/// What the NIC carries in place of what is recorded.
struct Misaddressed<'v> {
    inside: &'v Netns,
    nic: &'v Link,
    worn: IpNet,
    meant: Ipv4Net,
}

fn worn<'v>(view: &View<'v>, seat: &Seat) -> Option<Misaddressed<'v>> {
    let (inside, nic) = seat.inside(view)?;
    let is_given = |net: &IpNet| matches!(net.addr(), IpAddr::V4(ip) if !ip.is_link_local());
    let own = || inside.addresses_of(nic.index).map(|a| a.net).filter(is_given);
    let recorded = |net: IpNet| seat.vif.fixed.iter().any(|ip| IpAddr::V4(*ip) == net.addr());
    let worn = own().next().filter(|_| !own().any(recorded))?;
    let cidr = seat.network?.cidr?;
    let meant = Ipv4Net::new(*seat.vif.fixed.first()?, cidr.prefix_len()).ok()?;
    Some(Misaddressed { inside, nic, worn, meant })
}

/// The walk died because of it: inside, for want of who has the recorded address, or at the tap for the other one.
fn is_of_it(stopped: &Stopped, seat: &Seat, of: &Misaddressed) -> bool {
    let meant = IpAddr::V4(of.meant.addr());
    let unresolved = matches!(stopped.stop, Stop::NeighbourUnresolved { ip, .. } if *ip == meant);
    stopped.is_in(of.inside) || unresolved || is_spoofing(stopped, seat)
}

/// A rule at the instance's tap dropped it.
fn is_spoofing(stopped: &Stopped, seat: &Seat) -> bool {
    let at_its_tap = seat.tap().is_some_and(|tap| stopped.is_at(seat.ns, &tap.name));
    at_its_tap && matches!(stopped.stop, Stop::Rule(_) | Stop::Policy(_))
}

/// The rule at which a walk died keeps an instance from using an address that is not its own.
pub(crate) fn explains(view: &View, stopped: &Stopped) -> bool {
    view.vifs().any(|seat| is_spoofing(stopped, &seat) && worn(view, &seat).is_some())
}

fn misaddressed(view: &View, seat: &Seat) -> Option<Found> {
    let of = worn(view, seat)?;
    let stopped = view.stop_of(seat.instance, |s| is_of_it(s, seat, &of))?;
    let Misaddressed { inside, nic, worn, meant } = of;
    let name = &seat.instance.name;
    let (address, device, typed) = (meant.addr(), &nic.name, typed(&nic.name));
    let rule = match stopped.stop {
        Stop::Rule(rule) | Stop::Policy(rule) => evidence::rule(seat.ns, rule),
        _ => Vec::new(),
    };
    let mut remedy = vec![evidence::advice(
        format!("in {name}: its DHCP client (dhclient {typed}), in place of the static address"),
        "the lasting remedy",
    )];
    remedy.push(evidence::remedy(
        inside,
        &format!("ip addr replace {meant} dev {typed}"),
        &format!("ip addr del {meant} dev {typed}"),
        &format!("beside {worn}, which then is to go"),
    ));
    let set = Mend::Set {
        machine: inside.machine.clone(),
        device: device.clone(),
        setting: Setting::Address(meant),
    };
    let route = seat
        .gateway()
        .filter(|_| uplinks::default_via(inside).is_none())
        .map(|via| Mend::DefaultRoute { machine: inside.machine.clone(), via, device: device.clone() });
    let recorded = evidence::record(
        EvidenceKind::Config,
        view.intent().sources.join(", "),
        format!("{name} is {address}"),
    );
    let fault = Fault {
        code: "guest-wrong-ip",
        hop: at(inside, device, Stage::Instance),
        summary: format!("{name} is not reached: it uses {}, and its record says {address}", worn.addr()),
        cause: format!("{device} in {name} carries {worn} in place of {address}"),
        confidence: Confidence::Proven,
        evidence: [evidence::state(inside, &format!("ip addr show dev {typed}"), worn.to_string()), recorded]
            .into_iter()
            .chain(rule)
            .collect(),
        owner: "instance",
        remedy,
        instances: vec![name.clone()],
        stopped: Some(stopped),
        mend: [Some(set), route].into_iter().flatten().collect(),
    };
    Some(fault.found())
}

#[cfg(test)]
mod tests {
    use crate::fixture::{broken, codes, healthy, lacks};

    const CODE: &str = "guest-wrong-ip";

    #[test]
    fn fires_on_another_address_than_the_recorded() {
        let diagnosis = broken(CODE).diagnose("web1");
        assert_eq!(codes(&diagnosis), ["guest-wrong-ip web1//eth0"]);
        assert!(diagnosis.findings[0].summary.contains("10.0.2.77"), "{}", diagnosis.findings[0].summary);
    }

    #[test]
    fn stays_silent_where_the_recorded_is_one_of_several() {
        let mut cloud = healthy();
        let nic = cloud.link("web1", "eth0").index;
        let second = model::route::Address::global(nic, "10.0.2.77/16".parse().unwrap());
        cloud.netns("web1").addresses.push(model::route::Address { secondary: true, ..second });
        assert_eq!(codes(&cloud.diagnose("web1")), [""; 0]);
    }

    #[test]
    fn stays_silent_where_it_gave_itself_a_link_local_one() {
        let mut cloud = healthy();
        cloud.readdress("web1", "10.0.2.24", "169.254.7.9");
        assert!(lacks(&cloud.diagnose("web1"), CODE));
    }

    #[test]
    fn stays_silent_where_it_has_none_or_a_rule_is_wrong() {
        for other in ["guest-nic-down", "tap-missing", "foreign-rule-drop"] {
            assert!(lacks(&broken(other).diagnose("web1"), CODE), "{other}");
        }
    }
}
