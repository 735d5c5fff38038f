//! `hopline lab status`: what there is of a lab.

use std::path::{Path, PathBuf};

use crate::error::LabError;
use crate::layout::place;
use crate::place::{check_name, default_state, named_namespaces, netns_name};
use crate::shape::Shape;
use crate::{namespace, process, realm, record};

/// How much of a lab there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Nothing.
    Absent,
    /// Something, but not all: `up` or `down` was interrupted.
    Half,
    /// Everything.
    Up,
}

/// What there is of a lab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The lab's name.
    pub name: String,
    /// Whether it is there.
    pub condition: Condition,
    /// What it was asked to be, where that is known.
    pub shape: Option<Shape>,
    /// Its state directory, where it has one.
    pub state: Option<PathBuf>,
    /// Its namespaces that exist.
    pub namespaces: Vec<String>,
    /// How many processes run in them.
    pub processes: usize,
    /// A process to join the realm by, where the lab is an ordinary user's.
    pub holder: Option<i32>,
    /// Codes of the faults that are in, in the order in which they were injected.
    pub faults: Vec<String>,
}

/// Looks at what there is of the lab; changes nothing.
pub fn status(name: &str, state: Option<&Path>) -> Result<Status, LabError> {
    check_name(name)?;
    let given = state.map_or_else(|| default_state(name), Path::to_owned);
    let has_marker = record::marker(&given)?.as_deref() == Some(name);
    let record = match record::open(name, state) {
        Ok((_, record)) => Some(record),
        Err(LabError::NoLab { .. } | LabError::Record { .. }) => None,
        Err(e) => return Err(e),
    };
    let mut namespaces = Vec::new();
    let mut inodes = Vec::new();
    for netns in named_namespaces(name) {
        // One that cannot be opened is a name without a namespace: `up` was killed in between.
        let Ok(mut ns) = namespace::open_named(netns.clone()) else { continue };
        if namespace::is_marked(&mut ns, name)? {
            inodes.push(ns.inode());
            namespaces.push(netns);
        }
    }
    let has = |of: &str| namespaces.contains(&netns_name(name, of));
    let whole = record.as_ref().is_some_and(|record| {
        let hosts = record.shape.hosts();
        record.complete && hosts.iter().all(|host| has(&host.name)) && place::ALL.into_iter().all(has)
    });
    let condition = match (whole, has_marker || !namespaces.is_empty()) {
        (true, _) => Condition::Up,
        (false, true) => Condition::Half,
        (false, false) => Condition::Absent,
    };
    let holder = realm::entrance(&given);
    Ok(Status {
        holder,
        name: name.to_owned(),
        condition,
        shape: record.as_ref().map(|record| record.shape.clone()),
        state: has_marker.then_some(given),
        namespaces,
        processes: process::in_namespaces(&inodes)?.len(),
        faults: record.map(|r| r.faults).unwrap_or_default(),
    })
}
