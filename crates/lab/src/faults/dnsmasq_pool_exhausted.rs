//! `dnsmasq-pool-exhausted`: dnsmasq has one address to give, which another holds, and knows no
//! instance by its MAC. web1 asks once, so that the log tells; it keeps the address that it has.

use std::fs;

use super::Fault;
use crate::LabError;
use crate::error::file;
use crate::layout::DHCP_START;
use crate::nova::dnsmasq::{self, Pool};
use crate::place::Lab;
use crate::services;
use crate::wiring::Namespaces;

/// The one address of the range.
const ONLY_ADDRESS: &str = "10.0.2.200";
/// Who holds it.
const GHOST_MAC: &str = "fa:16:3e:aa:aa:aa";
/// End of its lease, in seconds since 1970: long after any lab.
const FAR_FUTURE: u64 = 4_102_444_800;

/// The fault.
pub(super) const FAULT: Fault =
    Fault { code: "dnsmasq-pool-exhausted", summary: "dnsmasq has no address left to give", inject, heal };

fn inject(lab: &Lab, all: &mut Namespaces) -> Result<(), LabError> {
    dnsmasq::stop(&all.compute)?;
    let hosts = dnsmasq::hosts_file(lab);
    fs::write(&hosts, "").map_err(file("write", &hosts))?;
    let leases = lab.path("networks/ghost.leases");
    fs::write(&leases, format!("{FAR_FUTURE} {GHOST_MAC} {ONLY_ADDRESS} ghost *\n"))
        .map_err(file("write", &leases))?;
    let mut pool = dnsmasq::healthy();
    pool.range =
        pool.range.replace(&format!("{DHCP_START},static"), &format!("{ONLY_ADDRESS},{ONLY_ADDRESS}"));
    dnsmasq::start(lab, &all.compute, &Pool { leases: Some(leases), ..pool })?;
    services::ask_for_an_address(lab, &all.web1)
}

fn heal(lab: &Lab, all: &mut Namespaces) -> Result<(), LabError> {
    dnsmasq::stop(&all.compute)?;
    dnsmasq::write_files(lab)?;
    let leases = lab.path("networks/ghost.leases");
    if leases.exists() {
        fs::remove_file(&leases).map_err(file("remove", &leases))?;
    }
    dnsmasq::start(lab, &all.compute, &dnsmasq::healthy())
}
