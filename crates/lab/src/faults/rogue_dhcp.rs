//! `rogue-dhcp`: somebody runs a DHCP server in web2, which offers addresses of its own to whoever asks.

use std::net::Ipv4Addr;

use plumbing::Namespace;

use super::Fault;
use crate::LabError;
use crate::command::run;
use crate::dhcp_client;
use crate::layout::{GUEST_NIC, WEB2};
use crate::namespace;
use crate::nova::dnsmasq;
use crate::place::Lab;
use crate::process;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault =
    Fault { code: "rogue-dhcp", summary: "a DHCP server runs in web2", inject, heal };

const PID_FILE: &str = "rogue-dhcp.pid";
/// Addresses that no instance of a lab has: this many below the broadcast address.
const LENT: u32 = 10;

fn inject(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let rogue = inside(lab)?;
    let last = u32::from(scene.nic.cidr.broadcast()) - 1;
    let (low, high) = (Ipv4Addr::from(last - LENT), Ipv4Addr::from(last));
    let arguments = vec![
        "--conf-file=".to_owned(),
        "--port=0".to_owned(),
        format!("--interface={GUEST_NIC}"),
        "--bind-interfaces".to_owned(),
        format!("--dhcp-range={low},{high},2m"),
        // It offers at once, as nova's does.
        "--no-ping".to_owned(),
        "--leasefile-ro".to_owned(),
        format!("--pid-file={}", lab.path(PID_FILE).display()),
        format!("--log-facility={}", lab.path("rogue-dhcp.log").display()),
    ];
    run(&rogue, dnsmasq::program(lab, arguments), "")
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let rogue = inside(lab)?;
    process::end_every(&[rogue.inode()], |process| process.mentions(PID_FILE))?;
    dhcp_client::ask_anew(lab, scene)
}

/// web2's inside, where that is a namespace.
fn inside(lab: &Lab) -> Result<Namespace, LabError> {
    namespace::open(lab, WEB2).map_err(|_| LabError::NoInside { code: FAULT.code })
}
