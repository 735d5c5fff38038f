//! `lab.json`: what commands after `up` need to know, and which faults are in.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::error::{LabError, file};
use crate::place::{Lab, MARKER, check_name, default_state};
use crate::shape::Shape;
use crate::whole_file;

const RECORD: &str = "lab.json";
const LOCK: &str = "lock";
/// How long to wait for another process: long enough for a `heal`, and for a child of a killed process
/// that has not yet started its program and so still holds the lock.
const PATIENCE: Duration = Duration::from_secs(3);
const POLL: Duration = Duration::from_millis(10);

/// The record. Faults are written down before they are injected, so that one half injected by a
/// process that was killed is healed like a whole one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The program that dnsmasq's script runs.
    pub hopline: PathBuf,
    /// What the lab was asked to be.
    pub shape: Shape,
    /// URL of a database server, where the lab was given one.
    pub database_url: Option<String>,
    /// Inode of the network namespace that `up` ran in, from which such a server is reached.
    pub home: u64,
    /// Codes of the faults, in the order in which they were injected.
    pub faults: Vec<String>,
    /// `up` came to its end.
    pub complete: bool,
}

/// Reads the lab of this name.
pub(crate) fn open(name: &str, state: Option<&Path>) -> Result<(Lab, Record), LabError> {
    check_name(name)?;
    let given = state.map_or_else(|| default_state(name), Path::to_owned);
    let state = given.canonicalize().unwrap_or(given);
    let path = state.join(RECORD);
    let Some(record) = recorded(&state)? else {
        return Err(LabError::NoLab { name: name.to_owned(), path });
    };
    match marker(&state)? {
        Some(own) if own == name => {}
        Some(own) => return Err(LabError::OtherLab { name: name.to_owned(), own, state }),
        None => return Err(LabError::NoLab { name: name.to_owned(), path: state.join(MARKER) }),
    }
    Ok((lab(name, state, &record), record))
}

/// The lab with this state directory, whatever its name.
pub(crate) fn of_state(state: &Path) -> Result<Lab, LabError> {
    let missing = || LabError::NoLab { name: String::new(), path: state.join(RECORD) };
    let name = marker(state)?.ok_or_else(missing)?;
    let record = recorded(state)?.ok_or_else(missing)?;
    Ok(lab(&name, state.to_owned(), &record))
}

fn recorded(state: &Path) -> Result<Option<Record>, LabError> {
    let path = state.join(RECORD);
    match fs::read(&path) {
        Ok(text) => {
            serde_json::from_slice(&text).map(Some).map_err(|source| LabError::Record { path, source })
        }
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(file("read", path)(e)),
    }
}

fn lab(name: &str, state: PathBuf, record: &Record) -> Lab {
    let Record { hopline, shape, database_url, home, .. } = record.clone();
    Lab { name: name.to_owned(), state, hopline, shape, database_url, home }
}

/// The record of a lab.
pub(crate) fn read(lab: &Lab) -> Result<Record, LabError> {
    Ok(open(&lab.name, Some(&lab.state))?.1)
}

/// Writes it.
pub(crate) fn write(lab: &Lab, record: &Record) -> Result<(), LabError> {
    let path = lab.path(RECORD);
    let mut text = serde_json::to_string_pretty(record)
        .map_err(|source| LabError::Record { path: path.clone(), source })?;
    text.push('\n');
    whole_file::write(&path, text)
}

/// Name of the lab that made this directory; `None` where none did.
pub(crate) fn marker(state: &Path) -> Result<Option<String>, LabError> {
    let path = state.join(MARKER);
    match fs::read_to_string(&path) {
        Ok(name) => Ok(Some(name.trim_end().to_owned())),
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(e) => Err(file("read", path)(e)),
    }
}

/// Keeps other processes from changing the lab until dropped; the kernel drops it with the process.
pub(crate) fn lock(name: &str, state: &Path) -> Result<File, LabError> {
    let path = state.join(LOCK);
    let lock = File::create(&path).map_err(file("open", &path))?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => std::thread::sleep(POLL),
            Err(TryLockError::WouldBlock) => return Err(LabError::Busy { name: name.to_owned() }),
            Err(TryLockError::Error(e)) => return Err(file("lock", path)(e)),
        }
    }
}
