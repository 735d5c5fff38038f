//! The way to the cloud's database: a file, or a server that is reached from the network namespace in which `lab
//! up` ran, not from a host's, where dnsmasq runs its script.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use novadb::{Database, DbError};
use sys::netns::{self, NetnsFd};

use crate::error::LabError;
use crate::place::Lab;

/// Puts a question to the database, or gives it an order.
pub(crate) fn ask<T: Send>(
    lab: &Lab,
    work: impl FnOnce(&Database) -> Result<T, DbError> + Send,
) -> Result<T, LabError> {
    let Some(url) = &lab.database_url else {
        return Ok(work(&Database::sqlite(&lab.sqlite()))?);
    };
    let database = Database::at(url)?;
    let here = NetnsFd::current().map_err(no_home)?;
    if here.inode() == lab.home {
        return Ok(work(&database)?);
    }
    let home = open_home(lab.home)?;
    Ok(netns::within(&home, || work(&database)).map_err(no_home)??)
}

/// The namespace of this inode, by a process that is in it.
fn open_home(inode: u64) -> Result<NetnsFd, LabError> {
    let is_there = |process: &Path| fs::metadata(process.join("ns/net")).is_ok_and(|ns| ns.ino() == inode);
    let first = PathBuf::from("/proc/1");
    let every = fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.path());
    let process = [first].into_iter().chain(every).find(|process| is_there(process));
    let process = process.ok_or_else(|| LabError::NoHome { why: "no process is left in it".to_owned() })?;
    NetnsFd::open(&process.join("ns/net")).map_err(no_home)
}

fn no_home(error: netns::NetnsError) -> LabError {
    LabError::NoHome { why: error.to_string() }
}
