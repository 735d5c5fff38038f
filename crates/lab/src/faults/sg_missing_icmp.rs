//! `sg-missing-icmp`: the security group does not let ping in, neither in its chain nor in the
//! database: it is policy, and nothing is broken.

use super::Fault;
use crate::LabError;
use crate::nova::ruleset::Traffic;
use crate::nova::{database, iptables, ruleset};
use crate::place::Lab;
use crate::wiring::Namespaces;

/// The fault.
pub(super) const FAULT: Fault =
    Fault { code: "sg-missing-icmp", summary: "web1's security group does not let ICMP in", inject, heal };

fn inject(lab: &Lab, all: &mut Namespaces) -> Result<(), LabError> {
    let mut rules = ruleset::healthy();
    for instance in &mut rules.instances {
        instance.groups.retain(|rule| rule.traffic != Traffic::Icmp);
    }
    database::delete_icmp_rule(&lab.database())?;
    iptables::apply(&all.compute, &rules)
}

fn heal(lab: &Lab, all: &mut Namespaces) -> Result<(), LabError> {
    database::restore_icmp_rule(&lab.database())?;
    iptables::apply(&all.compute, &ruleset::healthy())
}
