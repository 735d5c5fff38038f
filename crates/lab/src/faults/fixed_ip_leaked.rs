//! `fixed-ip-leaked`: an instance of web1's network ended badly, and its fixed address is still allocated to it.

use super::Fault;
use crate::LabError;
use crate::badly_ended;
use crate::database::ask;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "fixed-ip-leaked",
    summary: "a fixed address of web1's network is allocated to an instance that is deleted",
    inject,
    heal,
};

/// The instance that ended.
const NAME: &str = "gone-fixed";

fn inject(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let new = badly_ended::instance(lab, scene, NAME)?;
    ask(lab, |db| {
        db.boot(&new)?;
        db.delete_unclean(NAME)
    })
}

fn heal(lab: &Lab, _scene: &mut Scene) -> Result<(), LabError> {
    ask(lab, |db| db.give_back(NAME)).map(drop)
}
