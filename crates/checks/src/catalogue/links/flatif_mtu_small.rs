//! # flatif-mtu-small
//!
//! The physical link in the instances' bridge takes smaller packets than the instances send.
//!
//! ## What it means
//! What instances send to other hosts leaves by that link. What is larger than the link takes dies there, and no ICMP
//! tells of it: a bridge has none. Small packets pass, and so does everything on the same host and, where that is the
//! instances' gateway, the way out. The bridge takes the least MTU of its ports, so what the host itself sends to its
//! instances is cut into pieces.
//!
//! ## How hopline knows
//! By the MTUs as they are set: of the link that nova.conf's `flat_interface` or the network's `bridge_interface`
//! names, against what the instances' NICs send: the NIC itself where it may be looked at, else what DHCP tells it,
//! else the host's end of it.
//!
//! ## What it looks like
//! Ping works everywhere; between hosts large transfers stall, and `ping -M do -s 1472` gets no answer while `-s 1372`
//! does. `ip link show` prints `mtu 1400` for eth1 and br100 and `mtu 1500` for vnet0.
//!
//! ## Nearest look-alikes
//! * `mtu-tap-small`: there the instance's own port takes less, and large packets die on one host, too.
//! * `vlan-double-tag-or-mtu`: the same with VLANs.
//! * `vxlan-mtu-1500-inside`: the same with an overlay.
//!
//! ## Fix
//! `ip link set dev eth1 mtu 1500`; the bridge follows unless it was given an MTU by hand. Undo: `ip link set dev eth1
//! mtu 1400`. Where the network between the hosts takes no more, tell the instances instead: `network_device_mtu` in
//! nova.conf.
//!
//! ## References
//! ip-link(8); `br_mtu_auto_adjust`, net/bridge/br_if.c; `br_dev_queue_push_xmit`, net/bridge/br_forward.c; nova.conf
//! `network_device_mtu`.

use model::finding::Confidence;
use model::link::{Link, LinkKind};
use model::path::{Direction, Exchange, Stage, Stop};

use crate::evidence;
use crate::flat_interface::{self, FlatInterface};
use crate::found::{Fault, Found, at};
use crate::mend::Mend;
use crate::restart::typed;
use crate::size::{self, Sent};
use crate::view::View;

/// Looks for links that lead out of a bridge and take less than its instances send: one finding a link.
pub fn check(view: &View) -> Vec<Found> {
    let narrow = flat_interface::all(view).into_iter().filter_map(|flat| {
        let bridge = flat.ns.link_named(&flat.bridge).filter(|bridge| is_port(flat.link, bridge))?;
        let sent = sent(view, &flat).filter(|sent| flat.link.mtu < sent.octets)?;
        Some(found(view, &flat, bridge, &sent))
    });
    narrow.collect()
}

/// It carries the bridge's frames as they are: VLANs and overlays, which take room of their own, are told by others.
fn is_port(link: &Link, bridge: &Link) -> bool {
    let is_plain = match link.kind {
        LinkKind::Vlan | LinkKind::Vxlan => false,
        LinkKind::Physical
        | LinkKind::Loopback
        | LinkKind::Bridge
        | LinkKind::Bond
        | LinkKind::Veth
        | LinkKind::Tun
        | LinkKind::Dummy
        | LinkKind::Other(_) => true,
    };
    is_plain && link.master == Some(bridge.index) && link.is_running()
}

/// The most that an instance of the host in question sends into the bridge.
fn sent(view: &View, flat: &FlatInterface) -> Option<Sent> {
    let own = view
        .vifs()
        .filter(|seat| std::ptr::eq(seat.ns, flat.ns) && seat.bridge_name() == Some(flat.bridge.as_str()));
    own.filter_map(|seat| size::sent(view, &seat)).max_by_key(|sent| sent.octets)
}

fn found(view: &View, flat: &FlatInterface, bridge: &Link, sent: &Sent) -> Found {
    let FlatInterface { ns, link, source, .. } = flat;
    let (name, takes, wanted) = (&link.name, link.mtu, sent.octets);
    let follows = Some(bridge).filter(|bridge| bridge.mtu <= takes);
    let followed =
        follows.map(|bridge| format!("; {} has followed it down", bridge.name)).unwrap_or_default();
    let command = |mtu: u32| format!("ip link set dev {} mtu {mtu}", typed(name));
    let fault = Fault {
        code: "flatif-mtu-small",
        hop: at(ns, name, Stage::Wire),
        summary: format!(
            "large packets of instances on {} to other hosts die at {name}, which takes {takes} octets and should \
             take {wanted}",
            ns.machine
        ),
        cause: format!("the MTU of {name} ({source}) is {takes}, and {}{followed}", sent.why),
        confidence: Confidence::Proven,
        evidence: [evidence::link(ns, link), sent.evidence.clone()]
            .into_iter()
            .chain(follows.map(|bridge| evidence::link(ns, bridge)))
            .collect(),
        owner: "operator",
        remedy: vec![evidence::remedy(
            ns,
            &command(wanted),
            &command(takes),
            "the bridge follows unless it was given an MTU by hand",
        )],
        instances: view.instances_on(&ns.machine),
        stopped: view.stop(|s| matches!(s.stop, Stop::TooBig { .. }) && s.is_at(ns, name)),
        mend: vec![Mend::Mtu { machine: ns.machine.clone(), device: name.clone(), mtu: wanted }],
    };
    fault.found().breaks(Exchange::Icmp, Direction::Both)
}

#[cfg(test)]
mod tests {
    use crate::fixture::{Hosting, Manager, broken, codes, healthy, inject, nova_cloud};

    const CODE: &str = "flatif-mtu-small";
    const SMALL: [&str; 1] = ["flatif-mtu-small compute1//eth1"];

    #[test]
    fn fires_whoever_is_asked_and_by_what_taps_take_where_nobody_looks_inside() {
        let mut cloud = broken(CODE);
        for found in [cloud.diagnose("web1"), cloud.diagnose_all(), cloud.check("compute1")] {
            assert_eq!(codes(&found), SMALL);
        }
        ["web1", "web2"].iter().for_each(|instance| cloud.close(instance));
        let found = cloud.diagnose("web1");
        assert_eq!(codes(&found), SMALL);
        let remedy = &found.findings[0].remedy[0];
        assert!(remedy.command.ends_with("ip link set dev eth1 mtu 1500"), "{}", remedy.command);
        assert!(remedy.undo.ends_with("ip link set dev eth1 mtu 1400"), "{}", remedy.undo);
    }

    #[test]
    fn is_what_large_packets_die_of_on_the_way_to_a_network_host() {
        let mut cloud = nova_cloud(Manager::FlatDhcp, Hosting::NetworkHost);
        inject(&mut cloud, CODE);
        assert_eq!(codes(&cloud.diagnose("web1")), SMALL);
    }

    #[test]
    fn stays_silent_where_everything_is_as_small_or_the_link_takes_more() {
        let mut cloud = broken(CODE);
        for (machine, link) in
            [("compute1", "vnet0"), ("compute1", "vnet1"), ("web1", "eth0"), ("web2", "eth0")]
        {
            cloud.link(machine, link).mtu = 1400;
        }
        assert_eq!(codes(&cloud.diagnose_all()), [""; 0]);
        ["web1", "web2"].iter().for_each(|instance| cloud.close(instance));
        assert_eq!(codes(&cloud.diagnose_all()), [""; 0], "as far as their taps tell");
        let mut cloud = healthy();
        cloud.link("compute1", "eth1").mtu = 9000;
        assert_eq!(codes(&cloud.diagnose_all()), [""; 0]);
    }

    #[test]
    fn a_link_that_is_no_port_or_is_down_is_told_as_that_too() {
        for other in ["flatif-not-enslaved", "flatif-down"] {
            let mut cloud = broken(other);
            cloud.link("compute1", "eth1").mtu = 1400;
            let found = codes(&cloud.diagnose("web1"));
            assert!(found.contains(&format!("{other} compute1//eth1")), "{found:?}");
        }
    }
}
