//! `tc-bpf-drop`: a BPF program on the uplink of the host that is web1's gateway drops the ICMP that comes in, and
//! nothing else.

use std::os::fd::AsFd;

use plumbing::queue;

use super::Fault;
use crate::LabError;
use crate::layout::UPLINK;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "tc-bpf-drop",
    summary: "a tc filter on the compute host's uplink drops the ICMP that comes in",
    inject,
    heal,
};

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let program = sys::ingress::dropping_icmp().map_err(|source| LabError::BpfProgram { source })?;
    Ok(queue::add_ingress_program(&mut scene.server.ns, UPLINK, "leftover", program.as_fd())?)
}

fn heal(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    Ok(queue::remove_filters(&mut scene.server.ns, UPLINK)?)
}
