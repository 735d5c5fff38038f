//! `blackhole-route`: the host that is web1's gateway has a blackhole route to the external server's network.

use model::route::{Route, RouteKind, TABLE_MAIN};
use plumbing::route;

use super::Fault;
use crate::LabError;
use crate::layout::EXTERNAL;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "blackhole-route",
    summary: "a route on the compute host throws away what is for the external server",
    inject,
    heal,
};

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    Ok(route::add(&mut scene.server.ns, &blackhole())?)
}

fn heal(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    Ok(route::remove(&mut scene.server.ns, &blackhole())?)
}

fn blackhole() -> Route {
    Route::new(TABLE_MAIN, EXTERNAL.trunc().into(), RouteKind::Blackhole)
}
