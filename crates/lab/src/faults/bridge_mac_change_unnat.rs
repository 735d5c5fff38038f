//! `bridge-mac-change-unnat`: web1 began to ping while it still sent to an old MAC of its gateway, and goes on. The
//! first packet was bridged, so that the connection is tracked without its translation.

use std::time::{Duration, Instant};

use model::Mac;
use plumbing::neighbour;

use super::Fault;
use crate::LabError;
use crate::command::{self, command};
use crate::layout::{EXTERNAL, GUEST_NIC};
use crate::place::Lab;
use crate::process;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "bridge-mac-change-unnat",
    summary: "a ping of web1's leaves with its fixed address, and any new one is translated",
    inject,
    heal,
};

/// Nobody has it any more: the bridge sends it out at every port.
const OLD: Mac = Mac([0x02, 0, 0, 0, 0, 0x66]);
/// Seconds between two of the ping's packets: its entry's clock is never far from full.
const INTERVAL_S: &str = "0.5";
const DEADLINE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(10);

fn inject(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let (gateway, outside) = (scene.served.gateway.into(), EXTERNAL.addr().to_string());
    let fixed = scene.fixed().to_string();
    let Some(inside) = &mut scene.inside else { return Err(LabError::NoInside { code: FAULT.code }) };
    neighbour::pin(inside, GUEST_NIC, gateway, OLD)?;
    let pings = ["ping", "-q", "-i", INTERVAL_S, &outside];
    command::start(inside, command("busybox", pings), &lab.path("old-flow.log"))?;
    let listed = [&["-L"], &untranslated(&fixed, &outside)[..]].concat();
    let deadline = Instant::now() + DEADLINE;
    while !command::output(&scene.server.ns, command("conntrack", &listed))?.contains(&fixed) {
        if Instant::now() >= deadline {
            return Err(LabError::NotTracked { code: FAULT.code });
        }
        std::thread::sleep(POLL);
    }
    // It asks anew, and is routed from now on.
    Ok(neighbour::forget(inside, GUEST_NIC, gateway)?)
}

fn heal(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let (gateway, outside) = (scene.served.gateway.into(), EXTERNAL.addr().to_string());
    let fixed = scene.fixed().to_string();
    if let Some(inside) = &mut scene.inside {
        let words = [INTERVAL_S, &outside];
        process::end_every(&[inside.inode()], |process| process.args.ends_with(&words.map(str::to_owned)))?;
        // Half injected, it stands.
        if neighbour::mac_of(inside, GUEST_NIC, gateway)? == Some(OLD) {
            neighbour::forget(inside, GUEST_NIC, gateway)?;
        }
    }
    let words = [&["-D"], &untranslated(&fixed, &outside)[..]].concat();
    match command::run(&scene.server.ns, command("conntrack", words), "") {
        // It was not there, or has ended.
        Ok(()) | Err(LabError::Program { .. }) => Ok(()),
        Err(e) => Err(e),
    }
}

/// What conntrack(8) picks the ping's entry by.
fn untranslated<'a>(fixed: &'a str, outside: &'a str) -> [&'a str; 8] {
    ["-p", "icmp", "--orig-src", fixed, "--orig-dst", outside, "--reply-dst", fixed]
}
