//! NICs of which the tables have only a half: what is common to both halves.

use model::finding::{Confidence, Evidence, Remedy};
use model::path::Stage;

use crate::dhcp_refused;
use crate::found::{Fault, Found, at};
use crate::ladder::Purpose;
use crate::view::{Seat, View};

/// What is said of one.
pub(crate) struct Told {
    pub(crate) code: &'static str,
    pub(crate) summary: String,
    pub(crate) cause: String,
    /// The rows that tell it.
    pub(crate) rows: Vec<Evidence>,
    pub(crate) remedy: Vec<Remedy>,
}

/// The finding, at the server that will have no line for it, or has none already; none while nova is at work with the
/// instance.
pub(crate) fn found(view: &View, seat: &Seat, told: Told) -> Option<Found> {
    if seat.instance.task.is_some() {
        return None;
    }
    let name = &seat.instance.name;
    let refusal = dhcp_refused::of(*seat).filter(|refusal| !refusal.dynamic);
    let is_own = |from: &String| from == name;
    let refused =
        refusal.as_ref().and_then(|_| view.stop(|s| s.rung.purpose == Purpose::Dhcp && is_own(&s.rung.from)));
    let Told { code, summary, cause, mut rows, remedy } = told;
    rows.extend(refusal.iter().flat_map(|refusal| refusal.evidence.clone()));
    let is_refused = refusal.is_some();
    let fault = Fault {
        code,
        hop: at(seat.server_ns, seat.bridge_name().unwrap_or_default(), Stage::Service),
        summary,
        cause,
        confidence: Confidence::Proven,
        evidence: rows,
        owner: "nova-network",
        remedy,
        instances: vec![name.clone()],
        stopped: refused,
        mend: refusal.and_then(|refusal| dhcp_refused::admit(&[refusal])).into_iter().collect(),
    };
    let found = fault.found();
    Some(if is_refused { dhcp_refused::breaks_dhcp(found) } else { found })
}
