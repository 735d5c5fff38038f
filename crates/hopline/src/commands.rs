//! One file a command.

mod capture;
mod check;
mod collect;
pub(crate) mod correlate;
mod db;
mod diagnose;
mod explain;
mod lab;
mod manual;
mod path;
mod selftest;

use crate::failure::Failure;
use crate::plan::{Action, Plan};
use crate::realm;

/// Does what was asked; returns the exit code.
pub(crate) fn run(plan: &Plan) -> Result<u8, Failure> {
    realm::enter(plan)?;
    match &plan.action {
        Action::Check { host } => check::run(plan, host.as_deref()),
        Action::Path(question) => path::run(plan, question),
        Action::Diagnose(question) => diagnose::run(plan, question),
        Action::Collect(question) => collect::run(plan, question),
        Action::Correlate(question) => correlate::run(plan, question),
        Action::Capture(question) => capture::run(plan, question),
        Action::DbCheck { now } => db::check(plan, now.as_deref()),
        Action::DbShow { instance } => db::show(plan, instance),
        Action::DbMend { ask, apply } => db::mend(plan, ask, *apply),
        Action::DbUndo { id: Some(id) } => db::undo(plan, id),
        Action::DbUndo { id: None } => db::records(plan),
        Action::Explain { code } => explain::run(code.as_deref(), plan.format).map(|()| 0),
        Action::Selftest(question) => selftest::run(plan, question),
        Action::Lab(command) => lab::run(command, plan.format).map(|()| 0),
        Action::Completions(shell) => manual::completions(*shell).map(|()| 0),
        Action::Man(words) => manual::page(words).map(|()| 0),
    }
}
