//! `hopline db release`, `repair` and `undo`: one row, put right or restored.

use std::path::PathBuf;

use cloud::{Ask, Clock, DatabaseUrl, MendError};

use super::carried::{self, Carried};
use super::{elsewhere, in_use, no_database, told};
use crate::failure::Failure;
use crate::gather::{self, Facts};
use crate::plan::Plan;
use crate::site_file::{self, Site};

pub(crate) fn mend(plan: &Plan, ask: &Ask, apply: bool) -> Result<u8, Failure> {
    let site = site_file::find(plan.site.as_deref())?;
    let url = site.database.as_ref().ok_or_else(|| no_database(&site))?;
    if let Ask::Repair { code, row: _ } = ask
        && super::beside::OF_HOSTS.contains(&code.as_str())
    {
        let why = format!("{code} is of what hosts have beside the database, and not of one row of it");
        return Err(Failure::new(why).hint("`hopline db check` tells what puts each of them right"));
    }
    let facts = facts(&site, plan);
    let timeout_s = facts.as_ref().ok().and_then(super::timeout_s);
    let clock = Clock { timeout_s: timeout_s.unwrap_or(Clock::default().timeout_s), ..Clock::default() };
    let change = cloud::plan(url, plan.timeout, ask, &clock).map_err(|error| Failure::of(&error))?;
    if let Ok(facts) = &facts {
        elsewhere::refuse(ask, &change, facts)?;
        if let Some(refused) = in_use::refused(&facts.snapshot, &change) {
            return Err(refused);
        }
    }
    let carried = carried(&site, facts.as_ref(), &change);
    if !apply {
        return told::change(plan.format, ask, &change, None, &carried);
    }
    let folder = folder()?;
    let applied = cloud::apply(url, plan.timeout, ask, &clock, &change, &folder);
    let applied = applied.map_err(|error| failed(&error))?;
    let id = &applied.id;
    let told = told::change(plan.format, ask, &applied.change, Some(id), &carried);
    let hint = format!("the row is changed; `hopline db undo {id}` takes it back");
    told.map_err(|failure| failure.hint(hint).undetermined())
}

pub(crate) fn undo(plan: &Plan, id: &str) -> Result<u8, Failure> {
    let site = site_file::find(plan.site.as_deref())?;
    let url: &DatabaseUrl = site.database.as_ref().ok_or_else(|| no_database(&site))?;
    let undone = cloud::undo(url, plan.timeout, &folder()?, id).map_err(|error| failed(&error))?;
    let told = told::undone(plan.format, id, &undone.change);
    told.map_err(|failure| failure.hint("the row is as it was before, all the same").undetermined())
}

/// Nothing was changed, but for a commit of which nobody knows.
fn failed(error: &MendError) -> Failure {
    let failure = Failure::of(error);
    if matches!(error, MendError::Uncertain { .. }) { failure.undetermined() } else { failure }
}

/// The hosts; where they cannot be looked at: why.
fn facts(site: &Site, plan: &Plan) -> Result<Facts, String> {
    if site.is_offline() {
        return Err("the hosts are read from bundles, of another time than the database".to_owned());
    }
    gather::gather(site, plan.timeout).map_err(|failure| failure.to_string())
}

/// What hosts carry of a floating IP whose row is changed; of a fixed one, where that could not be seen.
fn carried(site: &Site, facts: Result<&Facts, &String>, change: &cloud::Change) -> Carried {
    if in_use::is_asked(change) {
        let mut gaps = carried::gaps(site, facts, change, |host, why| in_use::not_seen(host, why, change));
        gaps.extend(facts.iter().flat_map(|facts| in_use::unread(&facts.snapshot, change)));
        return Carried { gaps, ..Carried::default() };
    }
    let address = change.before.get("address").cloned().flatten();
    // PostgreSQL's `inet` prints an address with its length.
    let address = address.and_then(|text| text.trim_end_matches("/32").parse().ok());
    match address.filter(|_| change.table == "floating_ips") {
        None => Carried::default(),
        Some(address) => carried::look(site, facts, address, change),
    }
}

/// Where undo records are: the XDG base directories' place for what a program has to remember.
pub(super) fn folder() -> Result<PathBuf, Failure> {
    let given = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let state = given.or_else(|| std::env::home_dir().map(|home| home.join(".local/state")));
    let state = state.filter(|path| path.is_absolute()).ok_or_else(|| {
        Failure::new("there is no place for the undo record")
            .hint("set HOME or XDG_STATE_HOME to an absolute path")
    })?;
    Ok(state.join("hopline/undo"))
}

#[cfg(test)]
mod tests {
    use super::{MendError, failed};

    #[test]
    fn a_commit_of_which_nobody_knows_is_no_refusal() {
        let uncertain = MendError::Uncertain { id: "1-1".to_owned(), why: "closed".to_owned() };
        assert_eq!(failed(&uncertain).exit_code(), 3);
        let refused = MendError::NotApplied { id: "1-1".to_owned(), why: "the row is as it was before" };
        assert_eq!(failed(&refused).exit_code(), 2);
    }
}
