//! `policy-route-wrong`: an entry of policy routing has what the instances' network sends looked up in a table that
//! leads into libvirt's idle bridge.

use std::net::IpAddr;

use model::route::{FibRule, Nexthop, Route, RouteKind, RuleAction};
use plumbing::route::DEFAULT;
use plumbing::rule::Protocol;
use plumbing::{link, route, rule};

use super::Fault;
use crate::LabError;
use crate::layout::{LIBVIRT_ADDRESS, LIBVIRT_BRIDGE};
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "policy-route-wrong",
    summary: "policy routing leads what instances send into libvirt's bridge",
    inject,
    heal,
};

const TABLE: u32 = 100;

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let way = way(scene)?;
    route::add(&mut scene.server.ns, &way)?;
    let entry = entry(scene);
    Ok(rule::add(&mut scene.server.ns, Protocol::V4, &entry)?)
}

fn heal(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let entry = entry(scene);
    rule::delete(&mut scene.server.ns, Protocol::V4, &entry)?;
    let way = way(scene)?;
    Ok(route::remove(&mut scene.server.ns, &way)?)
}

fn entry(scene: &Scene) -> FibRule {
    let source = Some(scene.nic.cidr.into());
    FibRule { priority: 100, source, action: RuleAction::Lookup(TABLE), ..FibRule::default() }
}

/// By the address behind libvirt's own, which nobody has.
fn way(scene: &mut Scene) -> Result<Route, LabError> {
    let nobody = std::net::Ipv4Addr::from(u32::from(LIBVIRT_ADDRESS.addr()) + 1);
    let nexthop = Nexthop {
        via: Some(IpAddr::V4(nobody)),
        link: link::index_of(&mut scene.server.ns, LIBVIRT_BRIDGE)?,
        weight: 1,
        onlink: false,
        dead: false,
        linkdown: false,
    };
    Ok(Route { nexthops: vec![nexthop], ..Route::new(TABLE, DEFAULT.into(), RouteKind::Unicast) })
}
