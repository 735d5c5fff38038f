//! Files that are written: none takes the place of what is read, which may be all that is left of a broken cloud.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// Refuses `-`, by which others mean stdout: what was asked goes there already.
pub(crate) fn must_be_named(flag: &str, path: &Path) -> Result<(), Failure> {
    if path != Path::new("-") {
        return Ok(());
    }
    Err(Failure::new(format!("`{flag} -` does not mean stdout: {flag} writes a file"))
        .hint(format!("give {flag} the file's name; one that is called `-` is `./-`")))
}

/// Refuses to take the place of one of these files, which another part of the command line or the site file names.
pub(crate) fn must_differ(flag: &str, path: &Path, others: &[PathBuf]) -> Result<(), Failure> {
    match others.iter().find(|other| is_one_file(path, other)) {
        None => Ok(()),
        Some(other) => Err(Failure::new(format!("`{flag}` would write over {}", other.display()))
            .hint(format!("give {flag} a name of its own"))),
    }
}

/// Two paths of one place, or two names of one file.
pub(crate) fn is_one_file(one: &Path, other: &Path) -> bool {
    let is_same_file = || {
        let (one, other) = (std::fs::metadata(one).ok()?, std::fs::metadata(other).ok()?);
        Some(one.is_file() && (one.dev(), one.ino()) == (other.dev(), other.ino()))
    };
    place(one) == place(other) || is_same_file() == Some(true)
}

/// What a path leads to, however it is spelt: of a file that is not there yet its folder, and its name in it.
fn place(path: &Path) -> PathBuf {
    let there = || {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = std::fs::canonicalize(folder.unwrap_or(Path::new("."))).ok()?;
        Some(folder.join(path.file_name()?))
    };
    std::fs::canonicalize(path).ok().or_else(there).unwrap_or_else(|| path.to_owned())
}
