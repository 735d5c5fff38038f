//! `dnsmasq-not-running`: nova-network's dnsmasq has died; only libvirt's is left, which serves another
//! bridge.

use super::Fault;
use crate::LabError;
use crate::nova::dnsmasq;
use crate::place::Lab;
use crate::wiring::Namespaces;

/// The fault.
pub(super) const FAULT: Fault =
    Fault { code: "dnsmasq-not-running", summary: "nova-network's dnsmasq is not running", inject, heal };

fn inject(_lab: &Lab, all: &mut Namespaces) -> Result<(), LabError> {
    dnsmasq::stop(&all.compute)
}

fn heal(lab: &Lab, all: &mut Namespaces) -> Result<(), LabError> {
    dnsmasq::stop(&all.compute)?;
    dnsmasq::start(lab, &all.compute, &dnsmasq::healthy())
}
