//! A lab's name, and the namespaces and files that follow from it.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::LabError;
use crate::layout::{Host, place};
use crate::shape::Shape;

/// Longest lab name, so that `NAME-compute1` and the like stay short enough for prompts and tables.
pub const MAX_NAME: usize = 16;
/// In every state directory: what says that a lab made it. Holds the lab's name.
pub(crate) const MARKER: &str = ".hopline-lab";
/// Root's folder of labs.
pub(crate) const LABS: &str = "/run/hopline";
/// The cloud's database, in the state directory.
pub(crate) const DATABASE: &str = "nova.sqlite";

/// A lab: its name, where its files are, what it was asked to be, and the program its scripts call back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lab {
    /// The name, first part of every namespace's.
    pub name: String,
    /// The state directory.
    pub state: PathBuf,
    /// hopline itself, which dnsmasq's script runs.
    pub hopline: PathBuf,
    /// Manager, hosts, instances.
    pub shape: Shape,
    /// URL of the database, where it is not the SQLite file in the state directory.
    pub database_url: Option<String>,
    /// Inode of the network namespace in which `up` ran.
    pub home: u64,
}

impl Lab {
    /// Name of a namespace, under /run/netns: of a host, an instance, or one of [`place`].
    pub fn netns(&self, of: &str) -> String {
        netns_name(&self.name, of)
    }

    /// A path under the state directory.
    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.state.join(relative)
    }

    /// A path under a host's part of the state directory, which has what would be under / there.
    pub fn host_path(&self, host: &str, relative: impl AsRef<Path>) -> PathBuf {
        self.state.join(host).join(relative)
    }

    /// The SQLite file that is the cloud's database, unless there is a server.
    pub fn sqlite(&self) -> PathBuf {
        self.path(DATABASE)
    }

    /// URL of the cloud's database, with its password where it has one.
    pub fn url(&self) -> String {
        self.database_url.clone().unwrap_or_else(|| format!("sqlite:{}", self.sqlite().display()))
    }

    /// Whether every user may enter the state directory, so that a dnsmasq without privileges can read there.
    pub(crate) fn is_open_to_all(&self) -> bool {
        self.state.ancestors().all(|dir| dir.metadata().is_ok_and(|meta| meta.mode() & 0o001 != 0))
    }

    /// The site file that `up` writes.
    pub fn site_file(&self) -> PathBuf {
        self.path("site.toml")
    }

    /// An instance's directory, nova's `instances_path/UUID`.
    pub fn instance_dir(&self, host: &str, uuid: &str) -> PathBuf {
        self.host_path(host, "instances").join(uuid)
    }
}

/// Name of the namespace of a host, an instance or another place of a lab.
pub(crate) fn netns_name(lab: &str, of: &str) -> String {
    format!("{lab}-{of}")
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

/// Namespaces that may be the lab's, by name. Outside of a realm an ordinary user has none, and a lab of this
/// name is root's.
///
/// One of another lab may be among them whose name begins like this one's (`lab` and `lab-2`); the mark in the
/// namespace tells.
pub(crate) fn named_namespaces(lab: &str) -> Vec<String> {
    if !nix::unistd::geteuid().is_root() {
        return Vec::new();
    }
    let prefix = netns_name(lab, "");
    let mut names = sys::netns::list_named();
    names.retain(|netns| netns.starts_with(&prefix));
    names
}

/// Whether every lab has a namespace of this name, so that one without a mark is in the way of this one.
pub(crate) fn is_fixed_name(lab: &str, netns: &str) -> bool {
    let first = Host::compute(1).name;
    place::ALL.into_iter().chain([first.as_str()]).any(|of| netns_name(lab, of) == netns)
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
