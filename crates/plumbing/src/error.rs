//! Why a namespace could not be changed.

use std::io;
use std::path::PathBuf;

use collect::netlink::NetlinkError;
use sys::netns::NetnsError;

/// What was attempted, in which namespace, and why it failed.
#[derive(Debug, thiserror::Error)]
pub enum PlumbingError {
    /// A namespace could not be opened or entered.
    #[error("could not {attempted} network namespace {netns}: {source}")]
    Netns {
        /// What was attempted.
        attempted: &'static str,
        /// Its name.
        netns: String,
        /// Why not.
        source: NetnsError,
    },
    /// The kernel refused a change of links, addresses, routes, rules or neighbours.
    #[error("could not {attempted} in {netns}: {source}")]
    Netlink {
        /// What was attempted.
        attempted: String,
        /// The namespace.
        netns: String,
        /// Why not.
        source: NetlinkError,
    },
    /// A link that should be there is not.
    #[error("{netns} has no link {link}; if it was deleted by hand, build all of it anew")]
    NoLink {
        /// The namespace.
        netns: String,
        /// The link's name.
        link: String,
    },
    /// A sysctl could not be written.
    #[error("could not set {} in {netns}: {source}", path.display())]
    Sysctl {
        /// The file.
        path: PathBuf,
        /// The namespace.
        netns: String,
        /// Why not.
        source: io::Error,
    },
}

impl PlumbingError {
    /// The caller lacks a privilege: root, or the capabilities of a user namespace that owns the namespace.
    pub fn is_permission(&self) -> bool {
        match self {
            PlumbingError::Netns { source, .. } => source.is_permission(),
            PlumbingError::Netlink { source, .. } => source.is_permission(),
            PlumbingError::Sysctl { source, .. } => source.kind() == io::ErrorKind::PermissionDenied,
            PlumbingError::NoLink { .. } => false,
        }
    }

    /// There is no room for it: `ENOBUFS`, as `neigh_add` says of a table of neighbours that is full.
    pub fn is_no_room(&self) -> bool {
        match self {
            PlumbingError::Netlink { source, .. } => source.is_no_room(),
            PlumbingError::Netns { .. } | PlumbingError::Sysctl { .. } | PlumbingError::NoLink { .. } => {
                false
            }
        }
    }

    /// The kernel lacks what was asked for: `EOPNOTSUPP`, as rtnetlink(7) answers for an unknown kind of link
    /// (`net/core/rtnetlink.c rtnl_newlink_create`).
    pub fn is_unsupported(&self) -> bool {
        match self {
            PlumbingError::Netlink { source, .. } => source.is_unsupported(),
            PlumbingError::Netns { .. } | PlumbingError::Sysctl { .. } | PlumbingError::NoLink { .. } => {
                false
            }
        }
    }
}
