//! How large packets may be on the way of a large one that was lost: echoes of several sizes at once.

use std::net::IpAddr;
use std::time::Duration;

use collect::MachinePlan;
use model::probe::SizesTried;
use probe::Asker;
use probe::sized::{self, Limit, PathMtu};

use super::{Came, Probe, Unsent, inside};
use crate::failure::Failure;

/// Lengths in octets that tell tunnels apart: IPv6's least (RFC 8200), and what is left of 1500 inside of what wraps
/// it, IPsec, VXLAN, GRE and PPPoE.
const USUAL: [u16; 5] = [1280, 1400, 1450, 1476, 1492];
/// Sizes of one question: these, and the one that was lost.
pub(super) const SIZES_MAX: u32 = 6;

/// Asks, and waits for what comes of it. Over IPv6 nobody is asked.
pub(super) fn tried(
    machine: &MachinePlan,
    probe: &Probe<'_>,
    octets: u16,
    patience: Duration,
) -> Result<Came, Unsent> {
    let IpAddr::V4(to) = probe.to else { return Ok(Came::default()) };
    let unsent = |why| Unsent { why, would_need: "root; --passive does without".to_owned() };
    let netns = inside::netns(machine).map_err(|error| unsent(error.to_string()))?;
    let asker = Asker { name: &machine.name, netns: &netns, source: None };
    let sizes: Vec<u16> = USUAL.into_iter().filter(|size| *size < octets).chain([octets]).collect();
    let came = sized::sized(&asker, to, &sizes, patience)
        .map_err(|error| unsent(Failure::of(&error).to_string()))?;
    let tried =
        |lives, dies, said| SizesTried { from: machine.name.clone(), to: probe.to, lives, dies, said };
    let tried = match came.conclude() {
        PathMtu::AtLeast(lives) => Some(tried(lives, None, None)),
        PathMtu::Between { lives, dies, limit } => Some(tried(lives, Some(dies), said(limit))),
        PathMtu::Below { .. } | PathMtu::NothingLives => None,
    };
    Ok(Came { sizes: tried.into_iter().collect(), packets: SIZES_MAX, ..Came::default() })
}

fn said(limit: Limit) -> Option<(IpAddr, Option<u32>)> {
    match limit {
        Limit::Told(error) => Some((error.from, error.next_mtu)),
        Limit::OwnLink | Limit::Silence | Limit::Other => None,
    }
}
