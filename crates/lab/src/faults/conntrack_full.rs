//! `conntrack-full`: the host tracks as many connections as it may, each past its opening, so that none makes room.

use std::fmt::Write;
use std::fs;

use super::Fault;
use crate::LabError;
use crate::command::{command, run};
use crate::error::file;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "conntrack-full",
    summary: "the host's table of tracked connections is full",
    inject,
    heal,
};

/// What the kernel allows: of the machine, and the same in each of its namespaces.
const LIMIT: &str = "/proc/sys/net/netfilter/nf_conntrack_max";
/// Connections made at most: they take some 300 octets of memory each.
const MADE_MAX: u32 = 524_288;
const LIST: &str = "conntrack-full.list";

fn inject(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let limit = fs::read_to_string(LIMIT).map_err(file("read", std::path::Path::new(LIMIT)))?;
    let limit = limit.trim().parse::<u32>().unwrap_or(MADE_MAX).min(MADE_MAX);
    let mut lines = String::new();
    for number in 0..limit {
        let [_, high, middle, low] = number.to_be_bytes();
        let port = 1024 + u32::from(high);
        // Nothing fails in writing to a string.
        let _ = writeln!(
            lines,
            "-I -s 10.1.{middle}.{low} -d 10.2.0.1 -p udp --sport {port} --dport 9 -t 600 -u SEEN_REPLY,ASSURED"
        );
    }
    let list = lab.path(LIST);
    fs::write(&list, lines).map_err(file("write", &list))?;
    match run(&scene.server.ns, command("conntrack", ["-R".as_ref(), list.as_os_str()]), "") {
        // The last ones find no room, for some were tracked before.
        Ok(()) | Err(LabError::Program { .. }) => Ok(()),
        Err(e) => Err(e),
    }
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    crate::whole_file::remove(&lab.path(LIST))?;
    run(&scene.server.ns, command("conntrack", ["-F"]), "")
}
