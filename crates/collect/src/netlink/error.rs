//! Why the kernel could not be asked, or what it answered instead.

use std::io;

/// Why an exchange over netlink failed.
#[derive(Debug, thiserror::Error)]
pub enum NetlinkError {
    /// No socket.
    #[error("could not open a netlink socket: {source}")]
    Open {
        /// What the system said.
        source: io::Error,
    },
    /// The question did not go out.
    #[error("could not send a question to the kernel: {source}")]
    Send {
        /// What the system said.
        source: io::Error,
    },
    /// The answer did not come in.
    #[error("could not receive the kernel's answer: {source}")]
    Receive {
        /// What the system said.
        source: io::Error,
    },
    /// The answer is not netlink (netlink(7)), or larger than any that the kernel makes.
    #[error("the kernel's answer cannot be read: {what}")]
    Malformed {
        /// What is wrong with it.
        what: String,
    },
    /// The kernel said no.
    #[error("the kernel refused: {source}{}", detail(text.as_deref()))]
    Refused {
        /// Its errno.
        source: io::Error,
        /// Its own words (`NLMSGERR_ATTR_MSG`), where it has any.
        text: Option<String>,
    },
    /// What was listed kept changing (`NLM_F_DUMP_INTR`).
    #[error("what was listed changed during each of {tries} tries; try again when the machine is calmer")]
    Interrupted {
        /// How often it was tried.
        tries: u32,
    },
}

impl NetlinkError {
    /// The errno of a refusal.
    pub fn errno(&self) -> Option<i32> {
        match self {
            NetlinkError::Open { source }
            | NetlinkError::Send { source }
            | NetlinkError::Receive { source }
            | NetlinkError::Refused { source, .. } => source.raw_os_error(),
            NetlinkError::Malformed { .. } | NetlinkError::Interrupted { .. } => None,
        }
    }

    /// The thing named does not exist: link (`ENODEV`), address (`EADDRNOTAVAIL`), route (`ESRCH`),
    /// neighbour or FIB rule (`ENOENT`).
    pub fn is_not_found(&self) -> bool {
        matches!(
            self.errno(),
            Some(libc::ENOENT | libc::ENODEV | libc::ESRCH | libc::EADDRNOTAVAIL | libc::ENXIO)
        )
    }

    /// The caller lacks a privilege.
    pub fn is_permission(&self) -> bool {
        matches!(self.errno(), Some(libc::EPERM | libc::EACCES))
    }

    /// The kernel has no room for what was asked for.
    pub fn is_no_room(&self) -> bool {
        self.errno() == Some(libc::ENOBUFS)
    }

    /// The kernel has nobody who answers such questions (`nfnetlink_rcv_msg`, `__sock_create`).
    pub(crate) fn is_no_such_subsystem(&self) -> bool {
        matches!(self.errno(), Some(libc::EINVAL | libc::EPROTONOSUPPORT))
    }

    /// The kernel lacks what was asked for.
    pub fn is_unsupported(&self) -> bool {
        self.errno() == Some(libc::EOPNOTSUPP)
    }
}

fn detail(text: Option<&str>) -> String {
    text.map(|text| format!(" ({text})")).unwrap_or_default()
}
