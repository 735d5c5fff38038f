//! `metadata-service-fails`: nova-api-metadata on the host that serves web1 answers every question with an error.

use super::Fault;
use crate::LabError;
use crate::place::Lab;
use crate::scene::Scene;
use crate::servers;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "metadata-service-fails",
    summary: "the metadata service answers with an error",
    inject,
    heal,
};

fn inject(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let server = &scene.server;
    servers::stop_metadata(&server.host, &server.ns)?;
    servers::start_failing_metadata(lab, &server.host, &server.ns)
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let server = &scene.server;
    servers::stop_metadata(&server.host, &server.ns)?;
    servers::start_metadata(lab, &server.host, &server.ns)
}
