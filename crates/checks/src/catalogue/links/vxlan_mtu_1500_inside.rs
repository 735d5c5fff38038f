//! # vxlan-mtu-1500-inside
//!
//! An instance sends larger packets than the overlay carries.
//!
//! ## What it means
//! VXLAN puts 50 octets around each frame (70 over IPv6): where the hosts' link takes 1500, the instances' packets have
//! 1450. What is larger dies at the VXLAN device, and no ICMP tells of it, since a bridge has none. Small packets pass:
//! ping and the opening of connections work, and large transfers to other hosts stall.
//!
//! ## How hopline knows
//! By the MTU of the VXLAN device, against what the instance's NIC sends: the NIC itself where it may be looked at,
//! else what DHCP tells it, else the host's end of it.
//!
//! ## What it looks like
//! Between hosts, `ping -M do -s 1422` is answered and `-s 1423` is not. `ip link show` prints `mtu 1500` for the
//! instance's eth0 and `mtu 1450` for vxlan100. The host's IpFragFails rises where br_netfilter sees bridged packets.
//!
//! ## Nearest look-alikes
//! * `mtu-tap-small`: there the instance's own port takes less, and large packets die on one host, too.
//! * `vlan-double-tag-or-mtu`: the same with VLANs.
//! * `pmtu-blackhole`: a router further on takes less.
//!
//! ## Fix
//! Tell the instances by DHCP: `dhcp-option-force=26,1450` in dnsmasq's configuration (`dnsmasq_config_file`); inside,
//! until the lease is renewed, `ip link set dev eth0 mtu 1450`. Or give the hosts' link room (`ip link set dev eth0 mtu
//! 1550`, and the switch's ports), then `ip link set dev vxlan100 mtu 1500`. Undo: the old values.
//!
//! ## References
//! RFC 7348, 4.3; ip-link(8); RFC 2132, 5.1 (option 26); `br_nf_dev_queue_xmit`, net/bridge/br_netfilter_hooks.c.

use model::finding::Confidence;
use model::path::{Direction, Exchange, Stage, Stop};

use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::mend::Mend;
use crate::overlays::{self, Overlay};
use crate::size::{self, Sent};
use crate::view::{Seat, View};

/// Looks for overlays that take less than an instance sends: one finding a device, of the one that sends most.
pub fn check(view: &View) -> Vec<Found> {
    let mut widest: Vec<(Overlay, Seat, Sent)> = Vec::new();
    for seat in view.vifs() {
        let Some((overlay, sent)) = overlays::of(&seat).zip(size::sent(view, &seat)) else { continue };
        if !overlay.link.is_running() || sent.octets <= overlay.link.mtu {
            continue;
        }
        match widest.iter_mut().find(|(known, ..)| std::ptr::eq(known.link, overlay.link)) {
            Some(known) if known.2.octets < sent.octets => *known = (overlay, seat, sent),
            Some(_) => {}
            None => widest.push((overlay, seat, sent)),
        }
    }
    widest.iter().map(|(overlay, seat, sent)| found(view, overlay, seat, sent)).collect()
}

fn found(view: &View, overlay: &Overlay, seat: &Seat, sent: &Sent) -> Found {
    let Overlay { ns, link, .. } = *overlay;
    let (name, takes) = (&seat.instance.name, link.mtu);
    let stopped = view.stop(|s| matches!(s.stop, Stop::TooBig { .. }) && s.is_at(ns, &link.name));
    let inside = seat.inside(view);
    let mut remedy = vec![evidence::advice(
        format!("dhcp-option-force=26,{takes} in {}'s dnsmasq_config_file", seat.server.name),
        "instances take it when they renew their leases",
    )];
    remedy.extend(inside.map(|(guest, nic)| {
        let command = |mtu: u32| format!("ip link set dev {} mtu {mtu}", nic.name);
        evidence::remedy(guest, &command(takes), &command(nic.mtu), "until it is restarted")
    }));
    let mend = inside.map(|(guest, nic)| Mend::Mtu {
        machine: guest.machine.clone(),
        device: nic.name.clone(),
        mtu: takes,
    });
    let fault = Fault {
        code: "vxlan-mtu-1500-inside",
        hop: at(ns, &link.name, Stage::Wire),
        summary: format!(
            "large packets of {name} to other hosts die at {} of {}, which takes {takes} octets",
            link.name, ns.machine
        ),
        cause: format!("the MTU of {} is {takes}, and {}", link.name, sent.why),
        confidence: Confidence::Proven,
        evidence: vec![evidence::link(ns, link), sent.evidence.clone()],
        owner: "operator",
        remedy,
        instances: vec![name.clone()],
        stopped,
        mend: mend.into_iter().collect(),
    };
    fault.found().breaks(Exchange::Icmp, Direction::Both)
}

#[cfg(test)]
mod tests {
    use crate::fixture::{broken, codes, lacks, overlay_cloud};

    #[test]
    fn fires_at_the_device_that_takes_less() {
        let diagnosis = broken("vxlan-mtu-1500-inside").diagnose("web1");
        assert_eq!(codes(&diagnosis), ["vxlan-mtu-1500-inside compute1//vxlan100"]);
        assert!(diagnosis.findings[0].cause.contains("sends up to 1500 octets"));
    }

    #[test]
    fn stays_silent_where_the_overlay_has_room() {
        let mut cloud = broken("vxlan-mtu-1500-inside");
        for (host, port) in [("compute1", "vxlan100"), ("compute2", "vxlan100")] {
            cloud.link(host, port).mtu = 1500;
            cloud.link(host, "eth0").mtu = 1550;
        }
        assert!(lacks(&cloud.diagnose("web1"), "vxlan-mtu-1500-inside"));
    }

    #[test]
    fn stays_silent_on_a_guest_that_was_told() {
        assert!(lacks(&overlay_cloud().diagnose("web1"), "vxlan-mtu-1500-inside"));
    }
}
