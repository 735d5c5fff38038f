//! # mtu-tap-small
//!
//! The host's side of an instance's NIC takes smaller packets than the instance sends.
//!
//! ## What it means
//! Both ends of an instance's NIC must agree on how large a packet may be. The host's end takes less, so it, or the
//! bridge behind it, drops what the instance sends at full size, and says nothing: a cable has no ICMP. Small packets
//! pass. The bridge takes the least MTU of its ports, so what comes back is cut into pieces, or refused by the host's
//! routing, for every instance of that bridge.
//!
//! ## How hopline knows
//! By the MTUs as they are set: of the tap and of the instance's own NIC where that may be looked at. Else the tap is
//! held against nova's `network_device_mtu`; without that against the bridge's other ports, as far as Ethernet's usual
//! 1500.
//!
//! ## What it looks like
//! Ping works, large downloads stall and ssh hangs at the exchange of keys. `ip link show vnet0` and `br100` print
//! `mtu 1400`, the instance `mtu 1500`; inside `ping -M do -s 1472 1.2.3.4` gets no answer while `-s 1372` does, and
//! `ip -s link show vnet0` counts drops.
//!
//! ## Nearest look-alikes
//! * `pmtu-blackhole`: all MTUs of the host agree, and a router further on keeps to itself that a packet is too large.
//!
//! ## Fix
//! `ip link set vnet0 mtu 1500`; the bridge follows unless it was given an MTU by hand. Undo: `ip link set vnet0 mtu
//! 1400`. If it comes back: `network_device_mtu` in nova.conf, which every new tap gets.
//!
//! ## References
//! ip-link(8); `__dev_forward_skb`, net/core/dev.c; `br_mtu_auto_adjust`, net/bridge/br_if.c; nova.conf
//! `network_device_mtu`; flannel-io/flannel issue 463.

use model::finding::{Confidence, Evidence, EvidenceKind};
use model::link::Link;
use model::path::{Stage, Stop};

use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::mend::Mend;
use crate::size;
use crate::view::{Seat, View};

/// Ethernet's, which a NIC has that nobody gave another.
const ETHERNET_MTU: u32 = 1500;

/// Looks for taps that take less than they should.
pub fn check(view: &View) -> Vec<Found> {
    let taps = view.vifs().filter_map(|seat| Some((seat, seat.tap()?)));
    let small = taps.filter_map(|(seat, tap)| {
        let meant = meant(view, &seat, tap)?;
        (tap.mtu < meant.mtu).then(|| found(view, &seat, tap, meant))
    });
    small.collect()
}

/// What a tap should take at least, and what shows it.
struct Meant {
    mtu: u32,
    /// To follow "and": `web1's own NIC sends up to 1500 octets`.
    why: String,
    evidence: Evidence,
}

fn meant(view: &View, seat: &Seat, tap: &Link) -> Option<Meant> {
    let name = &seat.instance.name;
    if let Some((ns, nic)) = size::nic(view.world, seat.instance, seat.vif) {
        let why = format!("{name}'s own NIC sends up to {} octets", nic.mtu);
        return Some(Meant { mtu: nic.mtu, why, evidence: evidence::link(ns, nic) });
    }
    if let Some((file, mtu)) = of_nova(seat) {
        let why = format!("nova gives its taps {mtu} octets");
        let text = format!("network_device_mtu = {mtu}");
        return Some(Meant { mtu, why, evidence: evidence::record(EvidenceKind::State, file, text) });
    }
    // What the instance sends is not known where its inside is not; a port of 9000 octets does not tell it.
    let ports = seat.ns.ports(tap.master?).filter(|port| port.index != tap.index);
    let least = ports.min_by_key(|port| port.mtu)?;
    let mtu = least.mtu.min(ETHERNET_MTU);
    let why = format!("all other ports of its bridge take {mtu} octets");
    Some(Meant { mtu, why, evidence: evidence::link(seat.ns, least) })
}

/// nova's setting for the taps of its host, and the file that has it.
fn of_nova<'v>(seat: &Seat<'v>) -> Option<(&'v str, u32)> {
    let nova = seat.host.nova.as_ref()?;
    let mtu = nova.get("network_device_mtu")?.parse().ok()?;
    Some((nova.file.as_str(), mtu))
}

fn found(view: &View, seat: &Seat, tap: &Link, meant: Meant) -> Found {
    let Meant { mtu, why, evidence: shown } = meant;
    let name = &seat.instance.name;
    let is_its = |stop: &Stop| matches!(stop, Stop::TooBig { .. });
    let command = |mtu: u32| format!("ip link set dev {} mtu {mtu}", tap.name);
    let bridge = seat.ns.link_named(tap.master_name.as_deref().unwrap_or_default());
    let follows = bridge.filter(|bridge| bridge.mtu <= tap.mtu);
    let followed =
        follows.map(|bridge| format!("; {} has followed it down", bridge.name)).unwrap_or_default();
    Fault {
        code: "mtu-tap-small",
        hop: at(seat.ns, &tap.name, Stage::Bridge),
        summary: format!(
            "large packets of {name} die at {} of {}, which takes {} octets and should take {mtu}",
            tap.name, seat.ns.machine, tap.mtu
        ),
        cause: format!("the MTU of {} is {}, and {why}{followed}", tap.name, tap.mtu),
        confidence: Confidence::Proven,
        evidence: [evidence::link(seat.ns, tap), shown]
            .into_iter()
            .chain(follows.map(|bridge| evidence::link(seat.ns, bridge)))
            .collect(),
        owner: "libvirt",
        remedy: vec![evidence::remedy(
            seat.ns,
            &command(mtu),
            &command(tap.mtu),
            "the bridge follows unless it was given an MTU by hand",
        )],
        instances: vec![name.clone()],
        stopped: view.stop_of(seat.instance, |s| is_its(s.stop) && s.is_at(seat.ns, &tap.name)),
        mend: vec![Mend::Mtu { machine: seat.ns.machine.clone(), device: tap.name.clone(), mtu }],
    }
    .found()
}

#[cfg(test)]
mod tests {
    use crate::fixture::{Cloud, broken, codes, healthy};

    const SMALL: [&str; 1] = ["mtu-tap-small compute1//vnet0"];

    fn closed(mtu: u32) -> Cloud {
        let mut cloud = healthy();
        cloud.close("web1");
        cloud.link("compute1", "vnet0").mtu = mtu;
        cloud
    }

    fn with_nova(mut cloud: Cloud, mtu: &str) -> Cloud {
        let nova = cloud.host("compute1").nova.as_mut().unwrap();
        nova.values.insert("network_device_mtu".to_owned(), mtu.to_owned());
        cloud
    }

    #[test]
    fn fires_on_a_tap_that_takes_less_than_the_nic_behind_it() {
        let diagnosis = broken("mtu-tap-small").diagnose("web1");
        assert_eq!(codes(&diagnosis), SMALL);
        let finding = &diagnosis.findings[0];
        assert!(finding.cause.contains("own NIC sends up to 1500"), "{}", finding.cause);
        assert!(finding.cause.ends_with("br100 has followed it down"), "{}", finding.cause);
        let remedy = &finding.remedy[0];
        assert!(remedy.command.ends_with("ip link set dev vnet0 mtu 1500"), "{}", remedy.command);
        assert!(remedy.undo.ends_with("ip link set dev vnet0 mtu 1400"), "{}", remedy.undo);
    }

    #[test]
    fn stays_silent_where_the_nic_is_as_small_or_smaller() {
        for mtu in [1400, 1300] {
            let mut cloud = broken("mtu-tap-small");
            cloud.link("web1", "eth0").mtu = mtu;
            assert_eq!(codes(&cloud.diagnose("web1")), Vec::<String>::new(), "{mtu}");
        }
    }

    #[test]
    fn a_closed_instances_tap_is_held_against_the_bridges_other_ports() {
        assert_eq!(codes(&closed(1400).diagnose("web1")), SMALL);
        assert_eq!(codes(&closed(1400).check("compute1")), SMALL);
        assert_eq!(codes(&closed(1500).diagnose("web1")), Vec::<String>::new());
    }

    #[test]
    fn stays_silent_on_a_usual_tap_among_ports_for_large_frames() {
        let mut cloud = closed(1500);
        let links = cloud.netns("compute1").links.iter_mut();
        let ports = links.filter(|link| link.master_name.as_deref() == Some("br100") && link.name != "vnet0");
        ports.for_each(|port| port.mtu = 9000);
        assert_eq!(codes(&cloud.diagnose("web1")), Vec::<String>::new());
        // Unless nova gives every tap as much.
        assert_eq!(codes(&with_nova(cloud, "9000").diagnose("web1")), SMALL);
    }

    #[test]
    fn stays_silent_where_nova_wants_small_taps() {
        assert_eq!(codes(&with_nova(closed(1400), "1400").diagnose("web1")), Vec::<String>::new());
        assert_eq!(codes(&with_nova(closed(1400), "1450").diagnose("web1")), SMALL);
    }
}
