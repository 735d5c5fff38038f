//! `metadata-zeroconf-route`: web1 has a route for 169.254.0.0/16 out of its own NIC, so that it asks its segment who
//! has the metadata address, and the host, which has lost that address, does not answer. The route alone harms nobody.

use ipnet::Ipv4Net;
use model::route::{Nexthop, Route, RouteKind, TABLE_MAIN};
use plumbing::{address, link, route};

use super::Fault;
use crate::LabError;
use crate::layout::{GUEST_NIC, METADATA};
use crate::nova::linux_net;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "metadata-zeroconf-route",
    summary: "web1 looks for metadata on its own segment, where nobody answers",
    inject,
    heal,
};

const ZEROCONF: Ipv4Net = Ipv4Net::new_assert(std::net::Ipv4Addr::new(169, 254, 0, 0), 16);

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let inside = scene.inside.as_mut().ok_or(LabError::NoInside { code: FAULT.code })?;
    if address::exists(&mut scene.server.ns, METADATA)? {
        address::delete(&mut scene.server.ns, "lo", METADATA)?;
    }
    let link = link::index_of(inside, GUEST_NIC)?;
    let nexthop = Nexthop { via: None, link, weight: 1, onlink: false, dead: false, linkdown: false };
    let nexthops = vec![nexthop];
    let straight = Route { nexthops, ..Route::new(TABLE_MAIN, ZEROCONF.into(), RouteKind::Unicast) };
    Ok(route::add(inside, &straight)?)
}

fn heal(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    linux_net::ensure_gateway(&mut scene.server.ns, &scene.served)?;
    match &mut scene.inside {
        Some(inside) => Ok(route::delete(inside, ZEROCONF)?),
        None => Ok(()),
    }
}
