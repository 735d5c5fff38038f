//! How large packets may be on the way of a large one that was lost: echoes of several sizes at once.

use std::net::IpAddr;
use std::time::Duration;

use model::probe::{SideEcho, SizesTried};
use probe::sized::{self, Limit, PathMtu, SizedOutcome, SizedProbe};
use probe::{AskError, Asker, NotSent};

use super::Came;
use super::beside::Beside;
use super::inside;

/// Lengths in octets that tell tunnels apart: IPv6's least (RFC 8200), and what is left of 1500 inside of what wraps
/// it, IPsec, VXLAN, GRE and PPPoE.
const USUAL: [u16; 5] = [1280, 1400, 1450, 1476, 1492];
/// Sizes of one question: these, and the one that was lost.
pub(super) const SIZES_MAX: u32 = 6;

/// Asks, and waits for what comes of it.
pub(super) fn tried(
    asker: &Asker<'_>,
    beside: &Beside<'_>,
    octets: u16,
    patience: Duration,
) -> Result<Came, AskError> {
    let sizes: Vec<u16> = USUAL.into_iter().filter(|size| *size < octets).chain([octets]).collect();
    let came = sized::sized(asker, (beside.to, Some(beside.id)), &sizes, patience)?;
    let to = beside.to.into();
    let tried = |lives, dies, said| SizesTried { from: asker.name.to_owned(), to, lives, dies, said };
    let tried = match came.conclude() {
        PathMtu::AtLeast(lives) => Some(tried(lives, None, None)),
        PathMtu::Between { lives, dies, limit } => Some(tried(lives, Some(dies), said(limit))),
        PathMtu::Below { .. } | PathMtu::NothingLives => None,
    };
    let sides = (0..).zip(&came.probes).filter_map(|(sequence, one)| side(beside, sequence, one)).collect();
    Ok(Came { sizes: tried.into_iter().collect(), sides, packets: SIZES_MAX, ..Came::default() })
}

/// One of its packets: also one that is too large for the link that it would leave by, which is where its way ends.
/// `None` where it was not sent for another reason, of which its size says nothing.
fn side(beside: &Beside<'_>, sequence: u16, one: &SizedProbe) -> Option<SideEcho> {
    let is_answered = match &one.outcome {
        SizedOutcome::Lived | SizedOutcome::TooBig(_) | SizedOutcome::Unreachable(_) => true,
        SizedOutcome::Silent | SizedOutcome::NotSent(NotSent::TooBig) => false,
        SizedOutcome::NotSent(
            NotSent::NoRoute
            | NotSent::Prohibited
            | NotSent::Blackhole
            | NotSent::Dropped
            | NotSent::Other(_),
        ) => return None,
    };
    let mut side = beside.side(sequence, one.packet_bytes, is_answered);
    if let SizedOutcome::NotSent(why) = &one.outcome {
        side.came.sent = 0;
        side.came.send_error = Some(inside::refused(why));
    }
    Some(side)
}

fn said(limit: Limit) -> Option<(IpAddr, Option<u32>)> {
    match limit {
        Limit::Told(error) => Some((error.from, error.next_mtu)),
        Limit::OwnLink | Limit::Silence | Limit::Other => None,
    }
}
