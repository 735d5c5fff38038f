//! `float-host-mismatch`: the database records web1's floating address on another host than the one that carries it.

use super::Fault;
use crate::LabError;
use crate::database::ask;
use crate::layout::Host;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "float-host-mismatch",
    summary: "the database records web1's floating address on a host that cannot carry it",
    inject,
    heal,
};

/// Recorded where the lab has one host only.
const ELSEWHERE: &str = "compute9";

fn inject(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let Some(floating) = scene.floating else { return Ok(()) };
    let real = &scene.server.host.name;
    let mut others = (1..=lab.shape.hosts).map(|number| Host::compute(number).name);
    let other = others.find(|name| name != real).unwrap_or_else(|| ELSEWHERE.to_owned());
    ask(lab, |db| db.record_floating_host(floating, &other))
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let Some(floating) = scene.floating else { return Ok(()) };
    let real = &scene.server.host.name;
    ask(lab, |db| db.record_floating_host(floating, real))
}
