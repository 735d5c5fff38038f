//! `guest-firewall`: web1's own iptables drop whatever comes in.

use super::Fault;
use crate::LabError;
use crate::nova::iptables::iptables;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault =
    Fault { code: "guest-firewall", summary: "web1's own firewall drops what comes in", inject, heal };

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let Some(inside) = &mut scene.inside else { return Err(LabError::NoInside { code: FAULT.code }) };
    iptables(inside, &["-A", "INPUT", "-i", "lo", "-j", "ACCEPT"])?;
    iptables(inside, &["-P", "INPUT", "DROP"])
}

/// An instance of the lab has no rules in health.
fn heal(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let Some(inside) = &mut scene.inside else { return Err(LabError::NoInside { code: FAULT.code }) };
    iptables(inside, &["-P", "INPUT", "ACCEPT"])?;
    iptables(inside, &["-F", "INPUT"])
}
