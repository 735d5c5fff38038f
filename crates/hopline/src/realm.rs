//! An ordinary user's lab is in a user namespace: who works on it joins that first, and finds all as
//! root would.

use std::path::{Path, PathBuf};

use lab::LabError;

use crate::cli_lab::{LabArgs, LabCommand, LabName};
use crate::failure::Failure;
use crate::plan::{Action, Plan};
use crate::site_file;

/// Joins the realm of the lab that the command is about, if it is about one. Comes before anything that
/// starts a thread: setns(2) wants a single one.
pub(crate) fn enter(plan: &Plan) -> Result<(), Failure> {
    let state = match &plan.action {
        // Files are plain data, wherever they were made.
        Action::Check { .. } | Action::Path(_) | Action::Diagnose(_) if !plan.bundles.is_empty() => None,
        Action::Check { .. }
        | Action::Path(_)
        | Action::Diagnose(_)
        | Action::Collect(_)
        | Action::Capture(_)
        | Action::DbCheck { .. }
        | Action::DbShow { .. }
        | Action::DbMend { .. }
        | Action::DbUndo { .. } => site_folder(plan.site.as_deref()),
        Action::Lab(command) => state_of(command),
        Action::Selftest(question) if question.replay.is_empty() => {
            return selftest::enter_realm().map_err(|error| Failure::of(&error));
        }
        Action::Correlate(_)
        | Action::Explain { .. }
        | Action::Selftest(_)
        | Action::Completions(_)
        | Action::Man(_) => None,
    };
    let Some(state) = state else { return Ok(()) };
    match (lab::realm::enter(&state), &plan.action) {
        // What is left of a lab is seen and removed from outside.
        (
            Err(LabError::RealmGone { .. }),
            Action::Lab(LabArgs { command: LabCommand::Down | LabCommand::Status, .. }),
        ) => Ok(()),
        (result, _) => result.map_err(|error| Failure::of(&error)),
    }
}

/// A lab's site file is in its state directory.
fn site_folder(asked: Option<&Path>) -> Option<PathBuf> {
    let file = site_file::path(asked)?;
    Some(file.parent().unwrap_or(Path::new("")).to_owned())
}

fn state_of(LabArgs { lab, command }: &LabArgs) -> Option<PathBuf> {
    match command {
        LabCommand::Down
        | LabCommand::Status
        | LabCommand::Env
        | LabCommand::Break { .. }
        | LabCommand::Heal { .. }
        | LabCommand::Cloud(_) => state(lab),
        // `up` makes a realm; the others are called from inside one, or look at no lab.
        LabCommand::Up(_) | LabCommand::Faults | LabCommand::Hold | LabCommand::Dhcpbridge { .. } => None,
    }
}

/// The state directory. A name that none can have is refused by the command itself.
fn state(name: &LabName) -> Option<PathBuf> {
    name.state.clone().or_else(|| lab::state_of(&name.name).ok())
}
