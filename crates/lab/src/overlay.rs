//! VXLAN between the hosts in the place of the flat link: what faults of overlays are made of.

use std::net::Ipv4Addr;

use plumbing::{bridge, link, vxlan};

use crate::LabError;
use crate::layout::{ETHERNET_MTU, GUEST_NIC, UPLINK};
use crate::nova::linux_net::ensure_bridge;
use crate::place::Lab;
use crate::rig::HostNamespace;
use crate::scene::Scene;
use crate::{manager, namespace};

/// The device, which tells its network by its name.
pub(crate) const DEVICE: &str = "vxlan100";
/// Its VXLAN network.
pub(crate) const VNI: u32 = 100;
/// What VXLAN over IPv4 takes of the link's MTU (RFC 7348, 4.3).
const AROUND: u32 = 50;

/// Each host's device in the place of its flat link, and instances that know that there is less room.
pub(crate) fn join(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let bridge = scene.nic.bridge.clone();
    let ends = ends(scene);
    for host in &mut scene.rig.hosts {
        link::set_mac(&mut host.ns, &bridge.name, host.host.flat_mac())?;
        link::release(&mut host.ns, &bridge.port())?;
        make(host, VNI, &bridge.name, &ends)?;
    }
    tell_guests(lab, ETHERNET_MTU - AROUND)?;
    forget(scene)
}

/// A host's device of this network, in the bridge, that sends to all the other ends.
pub(crate) fn make(
    host: &mut HostNamespace,
    vni: u32,
    bridge: &str,
    ends: &[Ipv4Addr],
) -> Result<(), LabError> {
    let local = host.host.public().addr();
    vxlan::create(&mut host.ns, DEVICE, vni, (local, UPLINK))?;
    link::enslave(&mut host.ns, DEVICE, bridge)?;
    link::set_up(&mut host.ns, DEVICE)?;
    for far_end in ends.iter().filter(|end| **end != local) {
        vxlan::flood_to(&mut host.ns, DEVICE, *far_end)?;
    }
    Ok(())
}

/// The flat link is back, and instances have all of Ethernet's room.
pub(crate) fn part(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let bridge = scene.nic.bridge.clone();
    for host in &mut scene.rig.hosts {
        if link::exists(&mut host.ns, DEVICE)? {
            link::delete(&mut host.ns, DEVICE)?;
        }
        ensure_bridge(&mut host.ns, &host.host, &bridge)?;
    }
    tell_guests(lab, ETHERNET_MTU)?;
    forget(scene)
}

/// Addresses of the hosts' ends.
pub(crate) fn ends(scene: &Scene) -> Vec<Ipv4Addr> {
    scene.rig.hosts.iter().map(|host| host.host.public().addr()).collect()
}

/// web1's host's only other end.
pub(crate) fn far(scene: &mut Scene) -> Option<&mut HostNamespace> {
    let near = scene.compute.host.name.clone();
    scene.rig.hosts.iter_mut().find(|host| host.host.name != near)
}

fn tell_guests(lab: &Lab, mtu: u32) -> Result<(), LabError> {
    for guest in manager::read(lab)?.instances {
        link::set_mtu(&mut namespace::open(lab, &guest.name)?, GUEST_NIC, mtu)?;
    }
    Ok(())
}

/// Where stations were says nothing of where they are now.
fn forget(scene: &mut Scene) -> Result<(), LabError> {
    let port = scene.nic.bridge.port();
    for host in &mut scene.rig.hosts {
        for port in [port.as_str(), DEVICE] {
            if link::exists(&mut host.ns, port)? && link::has_master(&mut host.ns, port)? {
                bridge::forget_all(&mut host.ns, port)?;
            }
        }
    }
    Ok(())
}
