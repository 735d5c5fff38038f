//! Filters beyond hopline's own language, compiled by tcpdump where it is installed.

use std::io;
use std::process::{Command, Stdio};

use sys::netns::{self, NetnsFd};

use crate::filter::{self, Instruction};

/// Why tcpdump did not compile a filter.
#[derive(Debug, thiserror::Error)]
pub enum BeyondError {
    /// It is not installed.
    #[error("tcpdump, which could compile this filter, is not installed")]
    NoTcpdump,
    /// It could not be started.
    #[error("could not start tcpdump, which could compile this filter: {0}")]
    Start(io::Error),
    /// It takes it for none, either.
    #[error("tcpdump does not take this filter: {0}")]
    Refused(String),
    /// Its answer is no program.
    #[error("tcpdump -ddd printed no program")]
    Unreadable,
}

/// Lets tcpdump compile a filter for a device. It is asked inside the device's namespace, since only for a
/// live device its programs know of the tags that the kernel keeps beside frames.
pub(crate) fn compile(
    netns: Option<&NetnsFd>,
    device: &str,
    text: &str,
    snap: u32,
) -> Result<Vec<Instruction>, BeyondError> {
    let tcpdump = sys::programs::find("tcpdump").ok_or(BeyondError::NoTcpdump)?;
    let mut command = Command::new(tcpdump);
    // libpcap 1.10's optimiser compares the wrong register in `rarp and vlan 100`.
    if text.contains("vlan") {
        command.arg("-O");
    }
    command.args(["-p", "-i", device, "-s", &snap.to_string(), "-ddd", "--", text]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = match netns {
        Some(netns) => netns::spawn_in(netns, &mut command),
        None => command.spawn(),
    };
    let child = child.map_err(BeyondError::Start)?;
    let output = child.wait_with_output().map_err(BeyondError::Start)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.trim().trim_start_matches("tcpdump: ");
        return Err(BeyondError::Refused(said.to_owned()));
    }
    let printed = String::from_utf8(output.stdout).map_err(|_| BeyondError::Unreadable)?;
    filter::decimal(&printed).ok_or(BeyondError::Unreadable)
}
