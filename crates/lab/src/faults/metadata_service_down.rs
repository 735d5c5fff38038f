//! `metadata-service-down`: nova-api-metadata has died on the host that serves web1; its rules stand.

use super::Fault;
use crate::LabError;
use crate::place::Lab;
use crate::scene::Scene;
use crate::servers;

/// The fault.
pub(super) const FAULT: Fault =
    Fault { code: "metadata-service-down", summary: "the metadata service is not running", inject, heal };

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    servers::stop_metadata(&scene.server.host, &scene.server.ns)
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let server = &scene.server;
    servers::stop_metadata(&server.host, &server.ns)?;
    servers::start_metadata(lab, &server.host, &server.ns)
}
