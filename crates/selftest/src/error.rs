//! Why the self-test could not do its work.

use std::io;
use std::path::PathBuf;

use plumbing::PlumbingError;
use sys::netns::NetnsError;
use sys::userns::UsernsError;

/// What was attempted, on what, and why it failed.
#[derive(Debug, thiserror::Error)]
pub enum SelftestError {
    /// A namespace could not be made or entered.
    #[error(transparent)]
    Netns(#[from] NetnsError),
    /// A namespace could not be furnished.
    #[error(transparent)]
    Plumbing(#[from] PlumbingError),
    /// A socket could not be opened or set.
    #[error("could not open {what} in {netns}: {source}")]
    Socket {
        /// Which.
        what: &'static str,
        /// The namespace.
        netns: String,
        /// What the system said.
        source: io::Error,
    },
    /// A tool that loads rules could not be started.
    #[error("could not start {program}: {source}")]
    Start {
        /// The program.
        program: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A tool refused what it was fed with.
    #[error("{program} refused the rules of {netns}: {said}\n{text}")]
    Refused {
        /// The program.
        program: &'static str,
        /// The namespace.
        netns: String,
        /// Its words.
        said: String,
        /// What it was fed with.
        text: String,
    },
    /// The links or addresses of a case did not settle.
    #[error("waited {seconds} s in vain in {netns} for {what}")]
    Unsettled {
        /// How long.
        seconds: u64,
        /// The namespace.
        netns: String,
        /// What was to come.
        what: String,
    },
    /// An ordinary user is given no user namespace.
    #[error(
        "network namespaces need root, or a user namespace, which this machine refuses: {source}; {remedy}"
    )]
    NoRealm {
        /// What the system said.
        source: UsernsError,
        /// What allows them, as far as can be told.
        remedy: String,
    },
    /// No tool that loads rules is installed.
    #[error("none of the tools that load rules works here: {said}; install iptables and nftables")]
    NoTools {
        /// What the last of them said.
        said: String,
    },
    /// A thread could not be started.
    #[error("could not start a thread: {source}")]
    Worker {
        /// What the system said.
        source: io::Error,
    },
    /// A disagreement could not be written down.
    #[error("could not write {}: {source}", path.display())]
    Save {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A case could not be built, which is a mistake in the drawing.
    #[error("the case of seed {seed} could not be built: {source}")]
    Case {
        /// Its own seed.
        seed: u64,
        /// Why not.
        source: Box<SelftestError>,
    },
}

impl SelftestError {
    /// A tool refused the rules of a case.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, SelftestError::Case { source, .. } if matches!(**source, SelftestError::Refused { .. }))
    }

    /// A privilege is missing: root, or a user namespace.
    pub fn is_permission(&self) -> bool {
        match self {
            SelftestError::Netns(source) => source.is_permission(),
            SelftestError::Plumbing(source) => source.is_permission(),
            SelftestError::Socket { source, .. } => source.kind() == io::ErrorKind::PermissionDenied,
            SelftestError::Case { source, .. } => source.is_permission(),
            SelftestError::NoRealm { .. } => true,
            SelftestError::Start { .. }
            | SelftestError::Refused { .. }
            | SelftestError::Unsettled { .. }
            | SelftestError::NoTools { .. }
            | SelftestError::Worker { .. }
            | SelftestError::Save { .. } => false,
        }
    }
}
