//! Cables, bridges, addresses and routes: what is plugged into what.

use std::time::{Duration, Instant};

use ipnet::Ipv4Net;
use plumbing::Namespace;
use plumbing::route::DEFAULT;
use plumbing::veth::{End, plug, plug_within};
use plumbing::{address, bridge, link, route};

use crate::LabError;
use crate::layout::{
    BRIDGE, BRIDGE_ADDRESS, EXTERNAL, FLAT_LINK, FLAT_MAC, FLAT_SWITCH, FLAT_SWITCH_PORT, GATEWAY_OUTER,
    GATEWAY_SWITCH_PORT, GUEST_NIC, HOST_PUBLIC, INSTANCES, ISP_INNER, ISP_OUTER, Instance, LIBVIRT_ADDRESS,
    LIBVIRT_BRIDGE, LIBVIRT_MAC, METADATA, PUBLIC_GATEWAY, PUBLIC_NETWORK, PUBLIC_SWITCH, Place, UPLINK,
    UPLINK_MAC, UPLINK_SWITCH_PORT, WEB1, WEB2,
};
use crate::namespace;
use crate::place::Lab;

/// The kernel takes a second at most; this is for a machine under load.
const SETTLE_DEADLINE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(5);

/// Every namespace of the lab, open.
pub(crate) struct Namespaces {
    pub compute: Namespace,
    pub fabric: Namespace,
    pub gateway: Namespace,
    pub isp: Namespace,
    pub external: Namespace,
    pub web1: Namespace,
    pub web2: Namespace,
}

impl Namespaces {
    /// One after the other.
    pub(crate) fn each(&mut self) -> [&mut Namespace; 7] {
        let Namespaces { compute, fabric, gateway, isp, external, web1, web2 } = self;
        [compute, fabric, gateway, isp, external, web1, web2]
    }
}

/// Makes every namespace.
pub(crate) fn create_namespaces(lab: &Lab) -> Result<Namespaces, LabError> {
    all(|place| namespace::create(lab, place))
}

/// Opens every namespace.
pub(crate) fn open_namespaces(lab: &Lab) -> Result<Namespaces, LabError> {
    all(|place| namespace::open(lab, place))
}

fn all(mut each: impl FnMut(Place) -> Result<Namespace, LabError>) -> Result<Namespaces, LabError> {
    Ok(Namespaces {
        compute: each(Place::Compute)?,
        fabric: each(Place::Fabric)?,
        gateway: each(Place::Gateway)?,
        isp: each(Place::Isp)?,
        external: each(Place::External)?,
        web1: each(Place::Web1)?,
        web2: each(Place::Web2)?,
    })
}

/// Plugs everything together and brings it up; instances still lack their addresses.
pub(crate) fn connect(all: &mut Namespaces) -> Result<(), LabError> {
    let Namespaces { compute, fabric, gateway, isp, external, web1, web2 } = all;
    for switch in [PUBLIC_SWITCH, FLAT_SWITCH] {
        bridge::create(fabric, switch, None)?;
        link::set_up(fabric, switch)?;
    }
    cable(compute, UPLINK, Some(UPLINK_MAC), fabric, UPLINK_SWITCH_PORT)?;
    cable(compute, FLAT_LINK, Some(FLAT_MAC), fabric, FLAT_SWITCH_PORT)?;
    cable(gateway, "eth0", None, fabric, GATEWAY_SWITCH_PORT)?;
    cable(gateway, "eth1", None, isp, "eth0")?;
    cable(isp, "eth1", None, external, "eth0")?;
    link::enslave(fabric, UPLINK_SWITCH_PORT, PUBLIC_SWITCH)?;
    link::enslave(fabric, GATEWAY_SWITCH_PORT, PUBLIC_SWITCH)?;
    link::enslave(fabric, FLAT_SWITCH_PORT, FLAT_SWITCH)?;
    routers(gateway, isp, external)?;
    compute_host(compute)?;
    plug_in_instance(compute, web1, &WEB1)?;
    plug_in_instance(compute, web2, &WEB2)
}

/// Two routers and a server: two more hops between the compute host and the outside.
fn routers(gateway: &mut Namespace, isp: &mut Namespace, external: &mut Namespace) -> Result<(), LabError> {
    for router in [&*gateway, &*isp] {
        router.set_sysctl("ipv4/ip_forward", "1")?;
    }
    address::add(gateway, "eth0", PUBLIC_GATEWAY)?;
    address::add(gateway, "eth1", GATEWAY_OUTER)?;
    address::add(isp, "eth0", ISP_INNER)?;
    address::add(isp, "eth1", ISP_OUTER)?;
    address::add(external, "eth0", EXTERNAL)?;
    gateway_route(gateway)?;
    route::replace(isp, PUBLIC_NETWORK, GATEWAY_OUTER.addr())?;
    Ok(route::replace(external, DEFAULT, ISP_OUTER.addr())?)
}

/// The nearest router's way out.
pub(crate) fn gateway_route(gateway: &mut Namespace) -> Result<(), LabError> {
    Ok(route::replace(gateway, DEFAULT, ISP_INNER.addr())?)
}

/// What nova-network and libvirt set up on a compute host.
fn compute_host(compute: &mut Namespace) -> Result<(), LabError> {
    let bridged = "bridge/bridge-nf-call-iptables";
    if !compute.has_sysctl(bridged)? {
        return Err(LabError::NoBridgeNetfilter { netns: compute.name.clone() });
    }
    compute.set_sysctl(bridged, "1")?;
    compute.set_sysctl("ipv4/ip_forward", "1")?;
    address::add_link_local(compute, "lo", METADATA)?;
    address::add(compute, UPLINK, HOST_PUBLIC)?;
    for floating in INSTANCES.iter().filter_map(|instance| instance.floating) {
        address::add(compute, UPLINK, Ipv4Net::from(floating))?;
    }
    default_route(compute)?;
    bridge::create(compute, BRIDGE, None)?;
    link::set_up(compute, BRIDGE)?;
    enslave_flat_link(compute)?;
    address::add(compute, BRIDGE, BRIDGE_ADDRESS)?;
    idle_libvirt_bridge(compute)
}

/// The compute host's way out.
pub(crate) fn default_route(compute: &mut Namespace) -> Result<(), LabError> {
    Ok(route::replace(compute, DEFAULT, PUBLIC_GATEWAY.addr())?)
}

/// Puts the flat link into the bridge and gives the bridge its MAC, as nova does.
pub(crate) fn enslave_flat_link(compute: &mut Namespace) -> Result<(), LabError> {
    link::enslave(compute, FLAT_LINK, BRIDGE)?;
    Ok(link::set_mac(compute, BRIDGE, FLAT_MAC)?)
}

/// A cable from the instance's NIC to the bridge, both ends up. What there is of it already stays.
pub(crate) fn plug_in_instance(
    compute: &mut Namespace,
    guest: &mut Namespace,
    instance: &Instance,
) -> Result<(), LabError> {
    if !link::exists(compute, instance.tap)? {
        plug(
            &mut End { ns: compute, link: instance.tap, mac: Some(instance.tap_mac()), index: None },
            &End { ns: guest, link: GUEST_NIC, mac: Some(instance.mac), index: None },
        )?;
    }
    enslave_tap(compute, instance)?;
    link::set_up(compute, instance.tap)?;
    Ok(link::set_up(guest, GUEST_NIC)?)
}

/// Puts an instance's tap into the bridge, with hairpin mode.
pub(crate) fn enslave_tap(compute: &mut Namespace, instance: &Instance) -> Result<(), LabError> {
    link::enslave(compute, instance.tap, BRIDGE)?;
    Ok(bridge::set_hairpin(compute, instance.tap)?)
}

/// libvirt's default network without instances: DOWN, NO-CARRIER.
///
/// A bridge that never had a port says UNKNOWN with a carrier; one port come and gone makes it the
/// state that operators know.
fn idle_libvirt_bridge(compute: &mut Namespace) -> Result<(), LabError> {
    bridge::create(compute, LIBVIRT_BRIDGE, Some(LIBVIRT_MAC))?;
    address::add(compute, LIBVIRT_BRIDGE, LIBVIRT_ADDRESS)?;
    link::set_up(compute, LIBVIRT_BRIDGE)?;
    let (port, other) = ("virbr0-nic", "virbr0-nic-end");
    plug_within(compute, port, other)?;
    link::enslave(compute, port, LIBVIRT_BRIDGE)?;
    link::set_up(compute, port)?;
    link::set_up(compute, other)?;
    Ok(link::delete(compute, port)?)
}

/// Waits until the kernel has worked off every change of carrier.
///
/// It does so up to a second late (`net/core/link_watch.c`): until then a link's operational state is not
/// what its carrier says.
pub(crate) fn await_settled(all: &mut Namespaces) -> Result<(), LabError> {
    let deadline = Instant::now() + SETTLE_DEADLINE;
    for ns in all.each() {
        while let Some(link) = link::unsettled(ns)? {
            if Instant::now() >= deadline {
                return Err(LabError::Unsettled { netns: ns.name.clone(), link });
            }
            std::thread::sleep(POLL);
        }
    }
    Ok(())
}

fn cable(
    near: &mut Namespace,
    near_link: &str,
    mac: Option<model::Mac>,
    far: &mut Namespace,
    far_link: &str,
) -> Result<(), LabError> {
    plug(
        &mut End { ns: near, link: near_link, mac, index: None },
        &End { ns: far, link: far_link, mac: None, index: None },
    )?;
    link::set_up(near, near_link)?;
    Ok(link::set_up(far, far_link)?)
}
