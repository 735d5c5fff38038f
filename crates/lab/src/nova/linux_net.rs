//! Bridges, VLAN devices and addresses as nova-network makes them (nova/network/linux_net.py
//! `LinuxBridgeInterfaceDriver`, `initialize_gateway_device`). What is there already stays.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use model::Mac;
use plumbing::{Namespace, address, bridge, link, vlan};

use super::wanted::{Bridge, Served};
use crate::command::{command, run};
use crate::error::LabError;
use crate::layout::{Host, METADATA, UPLINK};

/// `ensure_vlan_bridge` or `ensure_bridge`: the bridge, up, with its port towards the other hosts, whose MAC it
/// wears.
pub(crate) fn ensure_bridge(ns: &mut Namespace, host: &Host, wanted: &Bridge) -> Result<(), LabError> {
    let port = wanted.port();
    let mut mac = host.flat_mac();
    if let Some(id) = wanted.vlan {
        mac = vlan_mac(host, id);
        ensure_vlan(ns, &port, &wanted.interface, id, mac)?;
    }
    if !link::exists(ns, &wanted.name)? {
        bridge::create(ns, &wanted.name, None)?;
    }
    link::set_up(ns, &wanted.name)?;
    link::enslave(ns, &port, &wanted.name)?;
    Ok(link::set_mac(ns, &wanted.name, mac)?)
}

/// `ensure_vlan`.
pub(crate) fn ensure_vlan(
    ns: &mut Namespace,
    name: &str,
    lower: &str,
    id: u16,
    mac: Mac,
) -> Result<(), LabError> {
    if !link::exists(ns, name)? {
        make_vlan(ns, name, lower, id)?;
        link::set_mac(ns, name, mac)?;
    }
    Ok(link::set_up(ns, name)?)
}

/// Makes a VLAN device, where the kernel has such.
pub(crate) fn make_vlan(ns: &mut Namespace, name: &str, lower: &str, id: u16) -> Result<(), LabError> {
    match vlan::create(ns, name, lower, id) {
        Err(e) if e.is_unsupported() => Err(LabError::NoVlans),
        other => Ok(other?),
    }
}

/// nova takes a random one; here it follows from host and VLAN, so that two labs are alike.
pub(crate) fn vlan_mac(host: &Host, id: u16) -> Mac {
    let [high, low] = id.to_be_bytes();
    Mac([0xfa, 0x16, 0x3e, 0xee, host.number.rotate_left(4) | high, low])
}

/// The host becomes the network's gateway: forwarding, the metadata address, and its own address, which must
/// be the bridge's first.
pub(crate) fn ensure_gateway(ns: &mut Namespace, served: &Served) -> Result<(), LabError> {
    ns.set_sysctl("ipv4/ip_forward", "1")?;
    ensure_address(ns, "lo", METADATA)?;
    let net = Ipv4Net::new_assert(served.gateway, served.cidr.prefix_len());
    if !address::exists(ns, net)? {
        address::add(ns, &served.bridge.name, net)?;
    }
    Ok(())
}

fn ensure_address(ns: &mut Namespace, link: &str, net: Ipv4Net) -> Result<(), LabError> {
    if address::exists(ns, net)? {
        return Ok(());
    }
    Ok(address::add_link_local(ns, link, net)?)
}

/// `bind_floating_ip`.
pub(crate) fn bind_floating(ns: &mut Namespace, floating: Ipv4Addr) -> Result<(), LabError> {
    if address::exists(ns, floating.into())? {
        return Ok(());
    }
    Ok(address::add(ns, UPLINK, Ipv4Net::from(floating))?)
}

/// `unbind_floating_ip`, and an end to what is under way through it (`clean_conntrack`).
pub(crate) fn unbind_floating(
    ns: &mut Namespace,
    floating: Ipv4Addr,
    fixed: Ipv4Addr,
) -> Result<(), LabError> {
    if address::exists(ns, floating.into())? {
        address::delete(ns, UPLINK, floating.into())?;
    }
    match run(ns, command("conntrack", ["-D", "-r", &fixed.to_string()]), "") {
        // conntrack(8) ends so where there was nothing to delete; nova too takes it as done.
        Ok(()) | Err(LabError::Program { .. }) => Ok(()),
        Err(e) => Err(e),
    }
}
