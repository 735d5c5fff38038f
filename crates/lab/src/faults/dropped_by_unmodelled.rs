//! `dropped-by-unmodelled`: an IPsec policy on the host that is web1's gateway, as a VPN's daemon leaves it behind,
//! blocks what web1 sends to the external server. No check reads such policies.

use plumbing::ipsec;

use super::Fault;
use crate::LabError;
use crate::layout::EXTERNAL;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "dropped-by-unmodelled",
    summary: "an IPsec policy on the compute host blocks web1's packets to the external server",
    inject,
    heal,
};

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let source = scene.fixed().into();
    Ok(ipsec::block(&mut scene.server.ns, source, EXTERNAL.addr().into())?)
}

fn heal(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    Ok(ipsec::flush(&mut scene.server.ns)?)
}
