//! Why there is no virtual machine.

use std::io;
use std::path::PathBuf;

/// What was attempted, on what, why it failed, and what to do where that is not plain.
#[derive(Debug, thiserror::Error)]
pub enum VmError {
    /// A file or folder could not be worked with.
    #[error("could not {attempted} {}: {source}", path.display())]
    File {
        /// `read`, `write`, `make`, `lock`.
        attempted: &'static str,
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A program could not be started.
    #[error("could not start {program}: {source}; Debian has it in {package}")]
    NoProgram {
        /// Its name.
        program: String,
        /// Debian's package that has it.
        package: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A program failed.
    #[error("{program} failed: {said}")]
    Program {
        /// Its name.
        program: String,
        /// What it said.
        said: String,
    },
    /// A package is not in the cache, and could not be downloaded.
    #[error(
        "could not download Debian's package {package}: {why}; `apt-get update` may help, and without a network, \
         put its .deb file into {}",
        folder.display()
    )]
    NoPackage {
        /// Its name, or the name of the package that depends on the current one.
        package: String,
        /// Where it is looked for.
        folder: PathBuf,
        /// Why not.
        why: String,
    },
    /// A package is not as it is known.
    #[error("{} is not laid out as expected: {why}; remove it to have it downloaded anew", package.display())]
    Package {
        /// The package's file.
        package: PathBuf,
        /// What is missing there.
        why: String,
    },
    /// Something given cannot be told to QEMU or to the kernel in it.
    #[error("{what} cannot be {value:?}: {why}")]
    Unfit {
        /// What was given.
        what: &'static str,
        /// The value.
        value: String,
        /// Why not.
        why: &'static str,
    },
    /// QEMU's monitor did not answer as it should.
    #[error("QEMU's monitor {} did not do what it was asked: {why}", path.display())]
    Monitor {
        /// Its socket.
        path: PathBuf,
        /// What happened.
        why: String,
    },
}

impl VmError {
    /// Names what was attempted on a file, for `map_err`.
    pub(crate) fn file(attempted: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> VmError {
        let path = path.to_owned();
        move |source| VmError::File { attempted, path, source }
    }
}
