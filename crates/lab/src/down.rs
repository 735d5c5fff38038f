//! `hopline lab down`: removes the lab, whole or half built, and says all that it could not.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::database::ask;
use crate::error::{LabError, file};
use crate::place::{MARKER, check_name, default_state, is_fixed_name, named_namespaces};
use crate::{guest, namespace};
use crate::{process, realm, record};

/// What was removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removed {
    /// Namespaces, by name.
    pub namespaces: Vec<String>,
    /// How many processes were ended.
    pub processes: usize,
    /// The state directory, where there was one.
    pub state: Option<PathBuf>,
    /// What could not be removed because the machine that has it is out of reach: tables on a server.
    pub left: Vec<String>,
}

impl Removed {
    /// There was no lab of this name.
    pub fn is_nothing(&self) -> bool {
        self.namespaces.is_empty() && self.processes == 0 && self.state.is_none()
    }
}

/// Ends every process in the lab's namespaces, deletes these and the state directory.
///
/// Goes on after a failure and returns every one. Removing a lab that is not there succeeds.
pub fn down(name: &str, state: Option<&Path>) -> Result<Removed, Vec<LabError>> {
    check_name(name).map_err(|e| vec![e])?;
    let home = default_state(name);
    let given = state.map_or_else(|| fs::read_link(&home).unwrap_or(home), Path::to_owned);
    let given = std::path::absolute(&given).map_err(|e| vec![file("find", given)(e)])?;
    let is_ours = record::marker(&given).map_err(|e| vec![e])?.as_deref() == Some(name);
    let _lock = if is_ours { Some(record::lock(name, &given).map_err(|e| vec![e])?) } else { None };
    remove_everything(name, &given)
}

/// The same without the lock, for `up`, which has it.
pub(crate) fn remove_everything(name: &str, state: &Path) -> Result<Removed, Vec<LabError>> {
    let mut removed = Removed::default();
    let mut failures = Vec::new();
    let is_ours = match record::marker(state) {
        Ok(marker) => marker.as_deref() == Some(name),
        Err(e) => {
            failures.push(e);
            false
        }
    };
    remove_namespaces(name, is_ours.then_some(state), &mut removed, &mut failures);
    // When dnsmasq has ended, whose script would ask for what is gone.
    if is_ours && let Err(e) = drop_tables(state) {
        removed.left.push(e.to_string());
    }
    // Before the state directory, which tells of it.
    if failures.is_empty()
        && is_ours
        && let Err(e) = realm::end(state)
    {
        failures.push(e);
    }
    // The marker is what tells that namespaces are the lab's; it goes when they are gone.
    if failures.is_empty() {
        match remove_state(state, is_ours) {
            Ok(true) => removed.state = Some(state.to_owned()),
            Ok(false) => {}
            Err(e) => failures.push(e),
        }
    }
    let home = default_state(name);
    let is_linked = fs::read_link(&home).is_ok_and(|target| target == state);
    if failures.is_empty()
        && is_linked
        && let Err(e) = fs::remove_file(&home)
    {
        failures.push(file("remove", &home)(e));
    }
    if let Some(parent) = home.parent() {
        // Gone with the last lab; that it holds another one is no failure.
        let _ = fs::remove_dir(parent);
    }
    if failures.is_empty() { Ok(removed) } else { Err(failures) }
}

/// Several failures as one text.
pub(crate) fn remove_failures(failures: &[LabError]) -> String {
    failures.iter().map(LabError::to_string).collect::<Vec<_>>().join("; ")
}

/// Drops nova's tables on a database server, where this lab has made them. The SQLite file goes with the state
/// directory.
fn drop_tables(state: &Path) -> Result<(), LabError> {
    let lab = match record::of_state(state) {
        Ok(lab) => lab,
        // Killed before it was written: no database has been touched.
        Err(LabError::NoLab { .. } | LabError::Record { .. }) => return Ok(()),
        Err(e) => return Err(e),
    };
    if lab.database_url.is_none() {
        return Ok(());
    }
    ask(&lab, |db| db.drop_schema(&lab.name))
}

fn remove_namespaces(name: &str, state: Option<&Path>, removed: &mut Removed, failures: &mut Vec<LabError>) {
    let mut ours = Vec::new();
    let mut inodes = Vec::new();
    for netns in named_namespaces(name) {
        let is_noted = state.is_some_and(|state| namespace::is_noted(state, &netns));
        match namespace::open_named(netns.clone()) {
            Ok(mut ns) => match namespace::is_marked(&mut ns, name) {
                Ok(marked) if marked || is_noted => {
                    inodes.push(ns.inode());
                    ours.push(netns);
                }
                Ok(_) if is_fixed_name(name, &netns) => failures.push(LabError::ForeignNamespace { netns }),
                // Another lab's, whose name begins like this one's.
                Ok(_) => {}
                Err(e) => failures.push(e),
            },
            // Killed between making the name and binding the namespace to it: nothing is inside.
            Err(_) if is_noted => ours.push(netns),
            Err(e) if is_fixed_name(name, &netns) => failures.push(e),
            Err(_) => {}
        }
    }
    match process::end_every(&inodes, |_| true) {
        Ok(count) => removed.processes = count,
        Err(e) => failures.push(e),
    }
    for netns in ours {
        if let Err(e) = guest::remove_resolv_conf(&netns) {
            failures.push(e);
        }
        match namespace::delete(&netns) {
            Ok(()) => removed.namespaces.push(netns),
            Err(e) => failures.push(e),
        }
    }
}

/// Removes the directory if a lab made it, the marker last: what is left half removed is still known.
fn remove_state(state: &Path, is_ours: bool) -> Result<bool, LabError> {
    if is_ours {
        for entry in fs::read_dir(state).map_err(file("list", state))? {
            let entry = entry.map_err(file("list", state))?;
            let path = entry.path();
            if entry.file_name() == MARKER {
                continue;
            }
            let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let gone = if is_directory { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            gone.map_err(file("remove", path))?;
        }
        let marker = state.join(MARKER);
        fs::remove_file(&marker).map_err(file("remove", marker))?;
    }
    // Killed between making the directory and its marker, or between removing them: it is empty.
    match fs::remove_dir(state) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
        Err(e) if e.kind() == ErrorKind::DirectoryNotEmpty => {
            Err(LabError::ForeignState { path: state.to_owned() })
        }
        Err(e) => Err(file("remove", state)(e)),
    }
}
