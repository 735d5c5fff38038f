//! `rp-filter-asymmetric`: traffic from the outside arrives by eth0, but the way back leads out of a
//! second uplink, and strict reverse-path filtering on eth0 drops it. The second uplink works both ways
//! once the filter is off.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use model::route::{Nexthop, Route, RouteKind, TABLE_MAIN};
use plumbing::veth::{End, plug};
use plumbing::{address, link, route};

use super::Fault;
use crate::LabError;
use crate::layout::{EXTERNAL, UPLINK};
use crate::nova::iptables::iptables;
use crate::place::Lab;
use crate::scene::Scene;

/// The compute host's second uplink.
const SECOND_UPLINK: &str = "eth2";
/// Its other end, on the nearest router.
const GATEWAY_END: &str = "mg";
const HOST_ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const GATEWAY_ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "rp-filter-asymmetric",
    summary: "strict reverse-path filtering on the uplink drops what is answered by another link",
    inject,
    heal,
};

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let (fixed, floating) = (scene.fixed(), scene.floating);
    let source = scene.server.host.public().addr();
    let cidr = scene.nic.cidr;
    let (compute, gateway) = (&mut scene.server.ns, &mut scene.rig.gateway);
    let host_address = Ipv4Net::new_assert(HOST_ADDRESS, 24);
    let gateway_address = Ipv4Net::new_assert(GATEWAY_ADDRESS, 24);
    plug(
        &mut End { ns: compute, link: SECOND_UPLINK, mac: None, index: None },
        &End { ns: gateway, link: GATEWAY_END, mac: None, index: None },
    )?;
    link::set_up(compute, SECOND_UPLINK)?;
    link::set_up(gateway, GATEWAY_END)?;
    address::add(compute, SECOND_UPLINK, host_address)?;
    address::add(gateway, GATEWAY_END, gateway_address)?;
    // With the host's usual source: nobody outside knows the second uplink's network.
    let nexthop = Nexthop {
        via: Some(GATEWAY_ADDRESS.into()),
        link: link::index_of(compute, SECOND_UPLINK)?,
        weight: 1,
        onlink: false,
        dead: false,
        linkdown: false,
    };
    let destination = Ipv4Net::from(EXTERNAL.addr()).into();
    let way_back = Route {
        nexthops: vec![nexthop],
        preferred_source: Some(source.into()),
        ..Route::new(TABLE_MAIN, destination, RouteKind::Unicast)
    };
    route::add(compute, &way_back)?;
    for (chain, source, outside) in [
        ("nova-network-float-snat", fixed.to_string(), floating),
        ("nova-network-snat", cidr.to_string(), Some(source)),
    ] {
        let Some(outside) = outside.map(|ip| ip.to_string()) else { continue };
        let rule = ["-s", &source, "-o", SECOND_UPLINK, "-j", "SNAT", "--to-source", &outside];
        iptables(compute, &[&["-t", "nat", "-A", chain], rule.as_slice()].concat())?;
    }
    Ok(compute.set_sysctl(&rp_filter(), "1")?)
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let compute = &mut scene.server.ns;
    compute.set_sysctl(&rp_filter(), "0")?;
    // Its routes and the other end go with it.
    if link::exists(compute, SECOND_UPLINK)? {
        link::delete(compute, SECOND_UPLINK)?;
    }
    scene.rewrite_rules(lab)
}

fn rp_filter() -> String {
    format!("ipv4/conf/{UPLINK}/rp_filter")
}
