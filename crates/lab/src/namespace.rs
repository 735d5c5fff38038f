//! One of the lab's namespaces, opened: a handle to start programs in and a socket to change it by.

use std::fs;
use std::path::PathBuf;

use collect::netlink::Socket;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::RouteNetlinkMessage;
use sys::netns::{self, NetnsFd};

use crate::LabError;
use crate::error::file;
use crate::layout::Place;
use crate::netlink::link;
use crate::place::Lab;

/// An open namespace.
pub(crate) struct Namespace {
    /// Its name under /run/netns.
    pub name: String,
    /// Its handle.
    pub handle: NetnsFd,
    socket: Socket,
}

impl Namespace {
    /// Inode of the namespace, which its processes are found by.
    pub(crate) fn inode(&self) -> u64 {
        self.handle.inode()
    }

    /// Asks the kernel for a change of what there is, and waits for its answer. `attempted` completes
    /// "could not ...".
    pub(crate) fn change(&mut self, attempted: String, message: RouteNetlinkMessage) -> Result<(), LabError> {
        self.request(attempted, message, 0)
    }

    /// Asks the kernel for something new; that it exists already is an error.
    pub(crate) fn make(&mut self, attempted: String, message: RouteNetlinkMessage) -> Result<(), LabError> {
        self.request(attempted, message, NLM_F_CREATE | NLM_F_EXCL)
    }

    /// Asks the kernel for something new, in the place of what is there.
    pub(crate) fn put(&mut self, attempted: String, message: RouteNetlinkMessage) -> Result<(), LabError> {
        self.request(attempted, message, NLM_F_CREATE | NLM_F_REPLACE)
    }

    /// Asks the kernel for a deletion. What is gone already, by itself or with its link, is as good.
    pub(crate) fn remove(&mut self, attempted: String, message: RouteNetlinkMessage) -> Result<(), LabError> {
        match self.change(attempted, message) {
            Err(LabError::Netlink { source, .. }) if source.is_not_found() => Ok(()),
            other => other,
        }
    }

    fn request(
        &mut self,
        attempted: String,
        message: RouteNetlinkMessage,
        flags: u16,
    ) -> Result<(), LabError> {
        match self.socket.request(message, flags) {
            Ok(_) => Ok(()),
            Err(source) => Err(LabError::Netlink { attempted, netns: self.name.clone(), source }),
        }
    }

    /// Asks the kernel for a list. `attempted` completes "could not ...".
    pub(crate) fn dump(
        &mut self,
        attempted: String,
        message: RouteNetlinkMessage,
    ) -> Result<Vec<RouteNetlinkMessage>, LabError> {
        self.socket.dump(message).map_err(|source| LabError::Netlink {
            attempted,
            netns: self.name.clone(),
            source,
        })
    }

    /// Writes a sysctl, named as in sysctl(8) without `net.`, with slashes: `ipv4/ip_forward`.
    pub(crate) fn set_sysctl(&self, key: &str, value: &str) -> Result<(), LabError> {
        let path = sysctl_path(key);
        self.inside(|| fs::write(&path, value))?.map_err(file("set", path))
    }

    /// Whether the namespace has this sysctl.
    pub(crate) fn has_sysctl(&self, key: &str) -> Result<bool, LabError> {
        self.inside(|| sysctl_path(key).exists())
    }

    /// Does something as a thread of the namespace: /proc/sys/net is the thread's own.
    fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, LabError> {
        netns::within(&self.handle, work).map_err(|source| LabError::Netns {
            attempted: "enter",
            netns: self.name.clone(),
            source,
        })
    }
}

/// Opens a namespace of the lab.
pub(crate) fn open(lab: &Lab, place: Place) -> Result<Namespace, LabError> {
    open_named(lab.netns(place))
}

/// Opens a namespace by its name.
pub(crate) fn open_named(name: String) -> Result<Namespace, LabError> {
    let handle = NetnsFd::named(&name).map_err(|source| LabError::Netns {
        attempted: "open",
        netns: name.clone(),
        source,
    })?;
    with_socket(name, handle)
}

fn with_socket(name: String, handle: NetnsFd) -> Result<Namespace, LabError> {
    let socket = netns::within(&handle, Socket::open).map_err(|source| LabError::Netns {
        attempted: "enter",
        netns: name.clone(),
        source,
    })?;
    let socket = socket.map_err(|source| LabError::Netlink {
        attempted: "open a netlink socket".to_owned(),
        netns: name.clone(),
        source,
    })?;
    Ok(Namespace { name, handle, socket })
}

/// Makes a namespace, marks it as the lab's and prepares what all have in common: lo is up, IPv6 is off
/// so that the wires carry nothing that nobody sent, and reverse-path filtering is off as in nova's hosts.
pub(crate) fn create(lab: &Lab, place: Place) -> Result<Namespace, LabError> {
    let name = lab.netns(place);
    let handle = netns::create(&name).map_err(|source| LabError::Netns {
        attempted: "make",
        netns: name.clone(),
        source,
    })?;
    let mut ns = with_socket(name, handle)?;
    link::set_alias(&mut ns, "lo", &mark(&lab.name))?;
    for (key, value) in [
        ("ipv6/conf/all/disable_ipv6", "1"),
        ("ipv6/conf/default/disable_ipv6", "1"),
        ("ipv4/conf/all/rp_filter", "0"),
        ("ipv4/conf/default/rp_filter", "0"),
    ] {
        // A kernel without IPv6 has it off already.
        if ns.has_sysctl(key)? {
            ns.set_sysctl(key, value)?;
        }
    }
    link::set_up(&mut ns, "lo")?;
    Ok(ns)
}

/// Deletes a namespace by its name.
pub(crate) fn delete(name: &str) -> Result<(), LabError> {
    match netns::delete(name) {
        Ok(_) => Ok(()),
        Err(source) => Err(LabError::Netns { attempted: "delete", netns: name.to_owned(), source }),
    }
}

/// Whether the namespace carries this lab's mark: it is ours even where the state directory is gone.
pub(crate) fn is_marked(ns: &mut Namespace, lab: &str) -> Result<bool, LabError> {
    Ok(link::alias_of(ns, "lo")?.as_deref() == Some(mark(lab).as_str()))
}

fn mark(lab: &str) -> String {
    format!("hopline lab {lab}")
}

fn sysctl_path(key: &str) -> PathBuf {
    PathBuf::from("/proc/sys/net").join(key)
}
