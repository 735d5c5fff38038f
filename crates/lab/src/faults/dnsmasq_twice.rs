//! `dnsmasq-twice`: somebody runs a dnsmasq of their own on the instances' bridge, for whatever else is plugged in.

use std::net::Ipv4Addr;

use super::Fault;
use crate::LabError;
use crate::command::run;
use crate::dhcp_client;
use crate::nova::dnsmasq;
use crate::place::Lab;
use crate::process;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault =
    Fault { code: "dnsmasq-twice", summary: "a second dnsmasq serves the instances' bridge", inject, heal };

const PID_FILE: &str = "second-dnsmasq.pid";
/// Addresses that no instance of a lab has: this many below the broadcast address.
const LENT: u32 = 10;

fn inject(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let last = u32::from(scene.nic.cidr.broadcast()) - 1;
    let (low, high) = (Ipv4Addr::from(last - LENT), Ipv4Addr::from(last));
    let arguments = vec![
        "--conf-file=".to_owned(),
        "--port=0".to_owned(),
        format!("--interface={}", scene.served.bridge.name),
        "--except-interface=lo".to_owned(),
        "--bind-interfaces".to_owned(),
        format!("--dhcp-range={low},{high},2m"),
        // It offers at once, as nova's does.
        "--no-ping".to_owned(),
        "--leasefile-ro".to_owned(),
        format!("--pid-file={}", lab.path(PID_FILE).display()),
        format!("--log-facility={}", lab.path("second-dnsmasq.log").display()),
    ];
    run(&scene.server.ns, dnsmasq::program(lab, arguments), "")
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    process::end_every(&[scene.server.ns.inode()], |process| process.mentions(PID_FILE))?;
    dhcp_client::ask_anew(lab, scene)
}
