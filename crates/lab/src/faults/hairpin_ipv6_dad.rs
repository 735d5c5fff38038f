//! `hairpin-ipv6-dad`: web1 is made a guest from before RFC 7527, which takes its own question for another's, and is
//! given IPv6: its port sends the question back.

use std::fs;
use std::time::{Duration, Instant};

use plumbing::Namespace;

use super::Fault;
use crate::LabError;
use crate::error::file;
use crate::layout::GUEST_NIC;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "hairpin-ipv6-dad",
    summary: "web1 has given up its IPv6 address, because it heard its own question for it",
    inject,
    heal,
};

/// Whether a kernel knows its own question again; either is enough (`ipv6_use_enhanced_dad`).
const KNOWS_ITS_OWN: [&str; 2] = ["ipv6/conf/all/enhanced_dad", "ipv6/conf/eth0/enhanced_dad"];
/// A question is waited for a second, after a random part of another (RFC 4862, 5.4.2).
const DEADLINE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(10);
/// `IFA_F_DADFAILED` (linux/if_addr.h).
const DAD_FAILED: u8 = 0x08;

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let Some(inside) = &scene.inside else { return Err(LabError::NoInside { code: FAULT.code }) };
    for knows in KNOWS_ITS_OWN {
        inside.set_sysctl(knows, "0")?;
    }
    inside.set_sysctl(&format!("ipv6/conf/{GUEST_NIC}/disable_ipv6"), "0")?;
    let deadline = Instant::now() + DEADLINE;
    while !has_given_up(inside)? {
        if Instant::now() >= deadline {
            return Err(LabError::AddressKept { code: FAULT.code });
        }
        std::thread::sleep(POLL);
    }
    Ok(())
}

fn heal(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let Some(inside) = &scene.inside else { return Ok(()) };
    // Its addresses go with it.
    inside.set_sysctl(&format!("ipv6/conf/{GUEST_NIC}/disable_ipv6"), "1")?;
    KNOWS_ITS_OWN.iter().try_for_each(|knows| Ok(inside.set_sysctl(knows, "1")?))
}

/// One of its NIC's addresses is flagged so: `ADDRESS INDEX PREFIX SCOPE FLAGS NAME`, numbers in hexadecimal.
fn has_given_up(inside: &Namespace) -> Result<bool, LabError> {
    const TABLE: &str = "/proc/thread-self/net/if_inet6";
    let text = inside.inside(|| fs::read_to_string(TABLE))?.map_err(file("read", TABLE))?;
    let is_flagged = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, _, _, _, flags, name] = words.as_slice() else { return false };
        *name == GUEST_NIC && u8::from_str_radix(flags, 16).is_ok_and(|flags| flags & DAD_FAILED != 0)
    };
    Ok(text.lines().any(is_flagged))
}
