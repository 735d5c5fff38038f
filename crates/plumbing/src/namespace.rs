//! An open namespace: a handle to start programs in and a socket to change it by.

use std::fs;
use std::io;
use std::path::PathBuf;

use collect::netlink::Socket;
use netlink_packet_core::{NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::RouteNetlinkMessage;
use sys::netns::{self, NetnsFd};

use crate::PlumbingError;

/// An open namespace.
pub struct Namespace {
    /// Its name, for messages: under /run/netns, where it stands there.
    pub name: String,
    /// Its handle.
    pub handle: NetnsFd,
    socket: Socket,
}

impl Namespace {
    /// Takes a namespace to be changed.
    pub fn new(name: String, handle: NetnsFd) -> Result<Namespace, PlumbingError> {
        let socket = match netns::within(&handle, Socket::open) {
            Ok(socket) => socket,
            Err(source) => return Err(PlumbingError::Netns { attempted: "enter", netns: name, source }),
        };
        match socket {
            Ok(socket) => Ok(Namespace { name, handle, socket }),
            Err(source) => {
                let attempted = "open a netlink socket".to_owned();
                Err(PlumbingError::Netlink { attempted, netns: name, source })
            }
        }
    }

    /// Inode of the namespace, which its processes are found by.
    pub fn inode(&self) -> u64 {
        self.handle.inode()
    }

    /// Asks the kernel for a change of what there is, and waits for its answer. `attempted` completes
    /// "could not ...".
    pub(crate) fn change(
        &mut self,
        attempted: String,
        message: RouteNetlinkMessage,
    ) -> Result<(), PlumbingError> {
        self.request(attempted, message, 0)
    }

    /// Asks the kernel for something new; that it exists already is an error.
    pub(crate) fn make(
        &mut self,
        attempted: String,
        message: RouteNetlinkMessage,
    ) -> Result<(), PlumbingError> {
        self.request(attempted, message, NLM_F_CREATE | NLM_F_EXCL)
    }

    /// Asks the kernel for something new, in the place of what is there.
    pub(crate) fn put(
        &mut self,
        attempted: String,
        message: RouteNetlinkMessage,
    ) -> Result<(), PlumbingError> {
        self.request(attempted, message, NLM_F_CREATE | NLM_F_REPLACE)
    }

    /// Asks the kernel for something new, beside what is there.
    pub(crate) fn append(
        &mut self,
        attempted: String,
        message: RouteNetlinkMessage,
    ) -> Result<(), PlumbingError> {
        self.request(attempted, message, NLM_F_CREATE | NLM_F_APPEND)
    }

    /// Asks the kernel for a deletion. What is gone already, by itself or with its link, is as good.
    pub(crate) fn remove(
        &mut self,
        attempted: String,
        message: RouteNetlinkMessage,
    ) -> Result<(), PlumbingError> {
        match self.change(attempted, message) {
            Err(PlumbingError::Netlink { source, .. }) if source.is_not_found() => Ok(()),
            other => other,
        }
    }

    fn request(
        &mut self,
        attempted: String,
        message: RouteNetlinkMessage,
        flags: u16,
    ) -> Result<(), PlumbingError> {
        match self.socket.request(message, flags) {
            Ok(_) => Ok(()),
            Err(source) => Err(PlumbingError::Netlink { attempted, netns: self.name.clone(), source }),
        }
    }

    /// Asks the kernel a question; `None` where it refuses to answer.
    pub(crate) fn look_up(&mut self, question: RouteNetlinkMessage) -> Option<RouteNetlinkMessage> {
        self.socket.request(question, 0).ok()?.into_iter().next()
    }

    /// Asks the kernel for a list. `attempted` completes "could not ...".
    pub(crate) fn dump(
        &mut self,
        attempted: String,
        message: RouteNetlinkMessage,
    ) -> Result<Vec<RouteNetlinkMessage>, PlumbingError> {
        self.socket.dump(message).map_err(|source| PlumbingError::Netlink {
            attempted,
            netns: self.name.clone(),
            source,
        })
    }

    /// Writes a sysctl, named as in sysctl(8) without `net.`, with slashes: `ipv4/ip_forward`.
    pub fn set_sysctl(&self, key: &str, value: &str) -> Result<(), PlumbingError> {
        let written = self.inside(|| write_sysctl(key, value))?;
        written.map_err(|source| PlumbingError::Sysctl {
            path: sysctl_path(key),
            netns: self.name.clone(),
            source,
        })
    }

    /// Whether the namespace has this sysctl.
    pub fn has_sysctl(&self, key: &str) -> Result<bool, PlumbingError> {
        self.inside(|| sysctl_path(key).exists())
    }

    /// Does something as a thread of the namespace: /proc/sys/net is the thread's own.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, PlumbingError> {
        netns::within(&self.handle, work).map_err(|source| PlumbingError::Netns {
            attempted: "enter",
            netns: self.name.clone(),
            source,
        })
    }
}

/// Writes a sysctl of the namespace that the calling thread is in, named as for [`Namespace::set_sysctl`].
pub fn write_sysctl(key: &str, value: &str) -> io::Result<()> {
    fs::write(sysctl_path(key), value)
}

fn sysctl_path(key: &str) -> PathBuf {
    PathBuf::from("/proc/sys/net").join(key)
}
