//! `tap-tx-queue-drops`: a shaper on web1's tap lets 64 kbit a second pass and holds two full-sized packets.

use plumbing::queue::{self, Bucket};

use super::Fault;
use crate::LabError;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "tap-tx-queue-drops",
    summary: "a shaper on web1's tap drops what is sent to it in one go",
    inject,
    heal,
};

/// `tbf rate 64kbit burst 1600 limit 3000`.
const NARROW: Bucket = Bucket { octets_per_s: 8000, burst_octets: 1600, limit_octets: 3000 };

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    Ok(queue::add_tbf(&mut scene.compute.ns, &scene.tap, NARROW)?)
}

/// A tap that is gone has taken its queue with it.
fn heal(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    Ok(queue::remove_root(&mut scene.compute.ns, &scene.tap)?)
}
