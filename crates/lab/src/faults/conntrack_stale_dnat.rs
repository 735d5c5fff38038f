//! `conntrack-stale-dnat`: web1's floating address was web2's before, and somebody's connection is led there still.

use super::Fault;
use crate::LabError;
use crate::command::{command, run};
use crate::layout::EXTERNAL;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "conntrack-stale-dnat",
    summary: "a tracked connection to web1's floating address leads to another fixed address",
    inject,
    heal,
};

/// The port that the external server asks from, and the one that it asks.
const PORTS: [&str; 2] = ["40000", "9000"];

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let Some(floating) = scene.floating.map(|ip| ip.to_string()) else { return Ok(()) };
    // The next address is web2's.
    let (outside, old) =
        (EXTERNAL.addr().to_string(), std::net::Ipv4Addr::from(u32::from(scene.fixed()) + 1).to_string());
    let [from, to] = PORTS;
    let asked = ["-I", "-p", "udp", "-s", &outside, "-d", &floating, "--sport", from, "--dport", to];
    // Without its translation spelled out an entry translates nothing, whatever addresses it has.
    let kept = ["--dst-nat", &old, "-t", "600", "-u", "SEEN_REPLY,ASSURED"];
    run(&scene.server.ns, command("conntrack", [&asked[..], &kept].concat()), "")
}

fn heal(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let Some(floating) = scene.floating.map(|ip| ip.to_string()) else { return Ok(()) };
    let [from, _] = PORTS;
    let words = ["-D", "-p", "udp", "--orig-dst", floating.as_str(), "--sport", from];
    match run(&scene.server.ns, command("conntrack", words), "") {
        // It was not there, or has ended.
        Ok(()) | Err(LabError::Program { .. }) => Ok(()),
        Err(e) => Err(e),
    }
}
