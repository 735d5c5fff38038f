//! `db-host-mismatch`: the database records web1 on another host than the one that runs it.

use super::Fault;
use crate::LabError;
use crate::database::ask;
use crate::layout::{Host, WEB1};
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "db-host-mismatch",
    summary: "the database records web1 on another host than the one that runs it",
    inject,
    heal,
};

/// Recorded where the lab has one host only.
const ELSEWHERE: &str = "compute9";

fn inject(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let real = &scene.compute.host.name;
    let mut others = (1..=lab.shape.hosts).map(|number| Host::compute(number).name);
    let other = others.find(|name| name != real).unwrap_or_else(|| ELSEWHERE.to_owned());
    ask(lab, |db| db.record_host(WEB1, &other))
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let real = &scene.compute.host.name;
    ask(lab, |db| db.record_host(WEB1, real))
}
