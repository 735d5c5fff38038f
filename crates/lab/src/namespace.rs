//! The lab's namespaces: made with its mark, opened, deleted.

use std::fs;
use std::path::Path;

use plumbing::{Namespace, link};
use sys::netns::{self, NetnsFd};

use crate::error::{LabError, file};
use crate::place::Lab;

/// In the state directory: an empty file for each namespace, there before the namespace is. What was killed
/// between making one and marking it is still known by it.
const NOTES: &str = "netns";

/// Opens a namespace of the lab: a host's, an instance's or another place's.
pub(crate) fn open(lab: &Lab, of: &str) -> Result<Namespace, LabError> {
    open_named(lab.netns(of))
}

/// Opens a namespace by its name.
pub(crate) fn open_named(name: String) -> Result<Namespace, LabError> {
    let handle = NetnsFd::named(&name).map_err(|source| LabError::Netns {
        attempted: "open",
        netns: name.clone(),
        source,
    })?;
    Ok(Namespace::new(name, handle)?)
}

/// Makes a namespace, marks it as the lab's and prepares what all have in common: lo is up, IPv6 is off
/// so that the wires carry nothing that nobody sent, and reverse-path filtering is off as in nova's hosts.
pub(crate) fn create(lab: &Lab, of: &str) -> Result<Namespace, LabError> {
    let name = lab.netns(of);
    let note = lab.path(NOTES).join(&name);
    fs::write(&note, "").map_err(file("write", note))?;
    let handle = netns::create(&name).map_err(|source| LabError::Netns {
        attempted: "make",
        netns: name.clone(),
        source,
    })?;
    let mut ns = Namespace::new(name, handle)?;
    link::set_alias(&mut ns, "lo", &mark(&lab.name))?;
    for (key, value) in [
        ("ipv6/conf/all/disable_ipv6", "1"),
        ("ipv6/conf/default/disable_ipv6", "1"),
        ("ipv4/conf/all/rp_filter", "0"),
        ("ipv4/conf/default/rp_filter", "0"),
    ] {
        // A kernel without IPv6 has it off already.
        if ns.has_sysctl(key)? {
            ns.set_sysctl(key, value)?;
        }
    }
    link::set_up(&mut ns, "lo")?;
    Ok(ns)
}

/// Whether the lab with this state directory was about to make a namespace of this name.
pub(crate) fn is_noted(state: &Path, name: &str) -> bool {
    state.join(NOTES).join(name).exists()
}

/// Deletes the namespace of an instance, and what is noted of it.
pub(crate) fn delete_of(lab: &Lab, of: &str) -> Result<(), LabError> {
    let name = lab.netns(of);
    delete(&name)?;
    let note = lab.path(NOTES).join(&name);
    fs::remove_file(&note).map_err(file("remove", note))
}

/// Deletes a namespace by its name.
pub(crate) fn delete(name: &str) -> Result<(), LabError> {
    match netns::delete(name) {
        Ok(_) => Ok(()),
        Err(source) => Err(LabError::Netns { attempted: "delete", netns: name.to_owned(), source }),
    }
}

/// Whether the namespace carries this lab's mark: it is ours even where the state directory is gone.
pub(crate) fn is_marked(ns: &mut Namespace, lab: &str) -> Result<bool, LabError> {
    Ok(link::alias_of(ns, "lo")?.as_deref() == Some(mark(lab).as_str()))
}

fn mark(lab: &str) -> String {
    format!("hopline lab {lab}")
}
