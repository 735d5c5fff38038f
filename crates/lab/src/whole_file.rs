//! Files that are written whole or not at all: a reader, dnsmasq or another hopline, never meets half of one.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use crate::error::{LabError, file};

/// Writes the file beside its place, and then puts it there.
pub(crate) fn write(path: &Path, content: impl AsRef<[u8]>) -> Result<(), LabError> {
    let mut fresh = OsString::from(path);
    fresh.push(".new");
    fs::write(&fresh, content).map_err(file("write", &fresh))?;
    fs::rename(&fresh, path).map_err(file("write", path))
}
