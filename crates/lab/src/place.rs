//! A lab's name, and the namespaces and files that follow from it.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::LabError;
use crate::layout::{Instance, Place};

/// Longest lab name, so that `NAME-compute1` and the like stay short enough for prompts and tables.
pub const MAX_NAME: usize = 16;
/// In every state directory: what says that a lab made it. Holds the lab's name.
pub(crate) const MARKER: &str = ".hopline-lab";
/// Root's folder of labs.
pub(crate) const LABS: &str = "/run/hopline";
/// The cloud's database, in the state directory.
pub(crate) const DATABASE: &str = "nova.sqlite";

/// A lab: its name, where its files are, and the program its scripts call back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lab {
    /// The name, first part of every namespace's.
    pub name: String,
    /// The state directory.
    pub state: PathBuf,
    /// hopline itself, which dnsmasq's script runs.
    pub hopline: PathBuf,
}

impl Lab {
    /// Name of a namespace, under /run/netns.
    pub fn netns(&self, place: Place) -> String {
        netns_name(&self.name, place)
    }

    /// A path under the state directory.
    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.state.join(relative)
    }

    /// The cloud's database.
    pub fn database(&self) -> PathBuf {
        self.path(DATABASE)
    }

    /// Whether every user may enter the state directory, so that a dnsmasq without privileges can read there.
    pub(crate) fn is_open_to_all(&self) -> bool {
        self.state.ancestors().all(|dir| dir.metadata().is_ok_and(|meta| meta.mode() & 0o001 != 0))
    }

    /// The site file that `up` writes.
    pub fn site_file(&self) -> PathBuf {
        self.path("site.toml")
    }

    /// An instance's directory, as nova's `instances_path/UUID`.
    pub fn instance_dir(&self, instance: &Instance) -> PathBuf {
        self.path("instances").join(instance.uuid)
    }
}

/// Name of the namespace of a lab's place.
pub(crate) fn netns_name(lab: &str, place: Place) -> String {
    format!("{lab}-{}", place.suffix())
}

/// Refuses names that could not be part of a path, a namespace name or a shell assignment.
pub(crate) fn check_name(name: &str) -> Result<(), LabError> {
    let starts_with_letter = name.starts_with(|c: char| c.is_ascii_lowercase());
    let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if starts_with_letter && plain && name.len() <= MAX_NAME {
        return Ok(());
    }
    Err(LabError::BadName { name: name.to_owned(), max: MAX_NAME })
}

/// Refuses state directories that dnsmasq, which hands its script's path to a shell, could not use.
pub(crate) fn check_state(path: &Path) -> Result<(), LabError> {
    let plain = path
        .as_os_str()
        .as_encoded_bytes()
        .iter()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'.' | b'_' | b'-'));
    if path.is_absolute() && plain { Ok(()) } else { Err(LabError::BadStatePath { path: path.to_owned() }) }
}

/// Where a lab's state is looked for by its name alone. A lab with a state directory of its own choice has a
/// symbolic link here.
pub(crate) fn default_state(name: &str) -> PathBuf {
    labs().join(name)
}

/// The state directory of the lab of this name, unless it was told another.
pub fn state_of(name: &str) -> Result<PathBuf, LabError> {
    check_name(name).map(|()| default_state(name))
}

/// The folder of all labs: `/run/hopline` for root, else `$XDG_RUNTIME_DIR/hopline`, and where a login has
/// set no such variable, a folder of the user's under /tmp. In a realm it is the user's too, by a
/// link in the place of root's.
///
/// Root's `$XDG_RUNTIME_DIR` is not taken: it depends on how root logged in, and is closed to the user
/// that dnsmasq becomes.
pub(crate) fn labs() -> PathBuf {
    let uid = nix::unistd::geteuid();
    if uid.is_root() {
        return std::fs::read_link(LABS).unwrap_or_else(|_| PathBuf::from(LABS));
    }
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|dir| dir.is_absolute());
    runtime.map_or_else(|| PathBuf::from(format!("/tmp/hopline-{uid}")), |dir| dir.join("hopline"))
}

/// Which of a lab's places have a namespace of their name. Outside of a realm an ordinary user has
/// none, and a lab of this name is root's.
pub(crate) fn named_namespaces(lab: &str) -> Vec<String> {
    if !nix::unistd::geteuid().is_root() {
        return Vec::new();
    }
    let existing = sys::netns::list_named();
    let ours = Place::ALL.map(|place| netns_name(lab, place)).into_iter();
    ours.filter(|netns| existing.contains(netns)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_not_fit_are_refused() {
        for good in ["lab", "a", "my-lab-2", "abcdefghijklmnop"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", "-lab", "2lab", "Lab", "a/b", "..", "a b", "a\n", "a'b", "abcdefghijklmnopq"] {
            assert!(matches!(check_name(bad), Err(LabError::BadName { .. })), "{bad:?}");
        }
    }

    #[test]
    fn state_paths_that_a_shell_would_split_are_refused() {
        assert!(check_state(Path::new("/run/hopline/lab-1.x_y")).is_ok());
        for bad in ["relative", "/run/with space", "/run/$HOME", "/run/a;b", "/run/a'b", "/run/ä"] {
            assert!(matches!(check_state(Path::new(bad)), Err(LabError::BadStatePath { .. })), "{bad:?}");
        }
    }
}
