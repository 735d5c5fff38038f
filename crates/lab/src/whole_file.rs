//! Files that are there whole or not at all: a reader, dnsmasq or another hopline, never meets half of one.

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::error::{LabError, file};

/// Writes the file beside its place, and then puts it there.
pub(crate) fn write(path: &Path, content: impl AsRef<[u8]>) -> Result<(), LabError> {
    let mut fresh = OsString::from(path);
    fresh.push(".new");
    fs::write(&fresh, content).map_err(file("write", &fresh))?;
    fs::rename(&fresh, path).map_err(file("write", path))
}

/// Removes the file, unless it is gone.
pub(crate) fn remove(path: &Path) -> Result<(), LabError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(file("remove", path)(e)),
        _ => Ok(()),
    }
}
