//! The lab's namespaces, open, and what is plugged into what between them: the hosts, a switch, two routers and
//! an external server. What nova builds on the hosts is `manager`'s.

use std::time::{Duration, Instant};

use plumbing::Namespace;
use plumbing::route::DEFAULT;
use plumbing::veth::{End, plug, plug_within};
use plumbing::{address, bridge, link, route};

use crate::LabError;
use crate::layout::{
    EXTERNAL, FLAT_LINK, FLAT_SWITCH, GATEWAY_OUTER, GATEWAY_SWITCH_PORT, Host, ISP_INNER, ISP_OUTER,
    LIBVIRT_ADDRESS, LIBVIRT_BRIDGE, LIBVIRT_MAC, PUBLIC_GATEWAY, PUBLIC_NETWORK, PUBLIC_SWITCH, UPLINK,
    place,
};
use crate::namespace;
use crate::place::Lab;

/// The kernel takes a second at most; this is for a machine under load.
const SETTLE_DEADLINE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(5);

/// Every namespace of the lab that is not an instance's, open.
pub(crate) struct Rig {
    pub hosts: Vec<HostNamespace>,
    pub fabric: Namespace,
    pub gateway: Namespace,
    pub isp: Namespace,
    pub external: Namespace,
}

/// A host and its namespace.
pub(crate) struct HostNamespace {
    pub host: Host,
    pub ns: Namespace,
}

impl Rig {
    /// Makes every namespace.
    pub(crate) fn create(lab: &Lab) -> Result<Rig, LabError> {
        Rig::all(lab, |of| namespace::create(lab, of))
    }

    /// Opens every namespace.
    pub(crate) fn open(lab: &Lab) -> Result<Rig, LabError> {
        Rig::all(lab, |of| namespace::open(lab, of))
    }

    fn all(lab: &Lab, mut each: impl FnMut(&str) -> Result<Namespace, LabError>) -> Result<Rig, LabError> {
        let hosts = lab.shape.hosts().into_iter();
        let hosts = hosts.map(|host| each(&host.name).map(|ns| HostNamespace { host, ns }));
        Ok(Rig {
            hosts: hosts.collect::<Result<_, LabError>>()?,
            fabric: each(place::FABRIC)?,
            gateway: each(place::GATEWAY)?,
            isp: each(place::ISP)?,
            external: each(place::EXTERNAL)?,
        })
    }

    /// One after the other.
    pub(crate) fn each(&mut self) -> impl Iterator<Item = &mut Namespace> {
        let Rig { hosts, fabric, gateway, isp, external } = self;
        hosts.iter_mut().map(|host| &mut host.ns).chain([fabric, gateway, isp, external])
    }

    /// Plugs everything together and brings it up; the hosts are reached, and nova has nothing there yet.
    pub(crate) fn connect(&mut self) -> Result<(), LabError> {
        let Rig { hosts, fabric, gateway, isp, external } = self;
        for switch in [PUBLIC_SWITCH, FLAT_SWITCH] {
            bridge::create(fabric, switch, None)?;
            link::set_up(fabric, switch)?;
        }
        for HostNamespace { host, ns } in hosts.iter_mut() {
            let (uplink_port, flat_port) = (host.uplink_port(), host.flat_port());
            cable(ns, UPLINK, Some(host.uplink_mac()), fabric, &uplink_port)?;
            cable(ns, FLAT_LINK, Some(host.flat_mac()), fabric, &flat_port)?;
            link::enslave(fabric, &uplink_port, PUBLIC_SWITCH)?;
            link::enslave(fabric, &flat_port, FLAT_SWITCH)?;
        }
        cable(gateway, "eth0", None, fabric, GATEWAY_SWITCH_PORT)?;
        cable(gateway, "eth1", None, isp, "eth0")?;
        cable(isp, "eth1", None, external, "eth0")?;
        link::enslave(fabric, GATEWAY_SWITCH_PORT, PUBLIC_SWITCH)?;
        routers(gateway, isp, external)?;
        hosts.iter_mut().try_for_each(|host| prepare_host(&host.host, &mut host.ns))
    }
}

/// Two routers and a server: two more hops between a host and the outside.
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
    external_route(external)
}

/// The external server's way back.
pub(crate) fn external_route(external: &mut Namespace) -> Result<(), LabError> {
    Ok(route::replace(external, DEFAULT, ISP_OUTER.addr())?)
}

/// The nearest router's way out.
pub(crate) fn gateway_route(gateway: &mut Namespace) -> Result<(), LabError> {
    Ok(route::replace(gateway, DEFAULT, ISP_INNER.addr())?)
}

/// What a host has before nova comes: bridged packets meet iptables, an address, a way out, libvirt's network.
fn prepare_host(host: &Host, ns: &mut Namespace) -> Result<(), LabError> {
    let bridged = "bridge/bridge-nf-call-iptables";
    if !ns.has_sysctl(bridged)? {
        return Err(LabError::NoBridgeNetfilter { netns: ns.name.clone() });
    }
    ns.set_sysctl(bridged, "1")?;
    address::add(ns, UPLINK, host.public())?;
    default_route(ns)?;
    idle_libvirt_bridge(ns)
}

/// A host's way out.
pub(crate) fn default_route(ns: &mut Namespace) -> Result<(), LabError> {
    Ok(route::replace(ns, DEFAULT, PUBLIC_GATEWAY.addr())?)
}

/// libvirt's default network without instances: DOWN, NO-CARRIER.
fn idle_libvirt_bridge(ns: &mut Namespace) -> Result<(), LabError> {
    idle_bridge(ns, LIBVIRT_BRIDGE, Some(LIBVIRT_MAC), LIBVIRT_ADDRESS)
}

/// A bridge with an address and nobody plugged in.
///
/// One that never had a port says UNKNOWN with a carrier; one port come and gone makes it the
/// state that operators know.
pub(crate) fn idle_bridge(
    ns: &mut Namespace,
    name: &str,
    mac: Option<model::Mac>,
    net: ipnet::Ipv4Net,
) -> Result<(), LabError> {
    bridge::create(ns, name, mac)?;
    address::add(ns, name, net)?;
    link::set_up(ns, name)?;
    let (port, other) = (format!("{name}-nic"), format!("{name}-end"));
    plug_within(ns, &port, &other)?;
    link::enslave(ns, &port, name)?;
    link::set_up(ns, &port)?;
    link::set_up(ns, &other)?;
    Ok(link::delete(ns, &port)?)
}

/// Waits until the kernel has worked off every change of carrier.
///
/// It does so up to a second late (`net/core/link_watch.c`): until then a link's operational state is not
/// what its carrier says.
pub(crate) fn await_settled<'n>(all: impl Iterator<Item = &'n mut Namespace>) -> Result<(), LabError> {
    let deadline = Instant::now() + SETTLE_DEADLINE;
    for ns in all {
        while let Some(link) = link::unsettled(ns)? {
            if Instant::now() >= deadline {
                return Err(LabError::Unsettled { netns: ns.name.clone(), link });
            }
            std::thread::sleep(POLL);
        }
    }
    Ok(())
}

/// A cable between two namespaces, both ends up.
pub(crate) fn cable(
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
