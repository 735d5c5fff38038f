//! Network namespaces: handles, entering one on a thread of its own, named ones (ip-netns(8)).

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};

/// Where named namespaces are bind-mounted: what ip-netns(8) uses.
pub const NAMED: &str = "/run/netns";

/// Why a namespace could not be worked with.
#[derive(Debug, thiserror::Error)]
pub enum NetnsError {
    /// The name cannot be a file name.
    #[error("{name:?} cannot be the name of a network namespace")]
    Name {
        /// The name given.
        name: String,
    },
    /// There is no such namespace.
    #[error("there is no network namespace {what}; `ip netns list` shows those that are named")]
    Missing {
        /// Name or path.
        what: String,
    },
    /// It exists already.
    #[error("a network namespace named {name} exists already")]
    Exists {
        /// Its name.
        name: String,
    },
    /// A step failed.
    #[error("could not {step} network namespace {what}: {source}")]
    Step {
        /// `open`, `enter`, `create`, `delete`.
        step: &'static str,
        /// Name or path.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// The work panicked.
    #[error("the work inside network namespace {what} panicked")]
    Panicked {
        /// Name or path.
        what: String,
    },
}

impl NetnsError {
    /// The caller lacks a privilege (`EPERM`, `EACCES`): root, or CAP_SYS_ADMIN over the namespace.
    pub fn is_permission(&self) -> bool {
        match self {
            NetnsError::Step { source, .. } => source.kind() == io::ErrorKind::PermissionDenied,
            NetnsError::Name { .. }
            | NetnsError::Missing { .. }
            | NetnsError::Exists { .. }
            | NetnsError::Panicked { .. } => false,
        }
    }
}

/// An open network namespace. It lives at least as long as the handle.
#[derive(Debug)]
pub struct NetnsFd {
    fd: OwnedFd,
    inode: u64,
    /// Name or path it was opened by, for messages.
    label: String,
}

impl NetnsFd {
    /// The calling thread's.
    pub fn current() -> Result<NetnsFd, NetnsError> {
        NetnsFd::open(Path::new("/proc/thread-self/ns/net"))
    }

    /// The one named so under /run/netns.
    pub fn named(name: &str) -> Result<NetnsFd, NetnsError> {
        let opened = NetnsFd::open(&path_of(name)?);
        let labelled = opened.map(|netns| NetnsFd { label: name.to_owned(), ..netns });
        labelled.map_err(|error| match error {
            NetnsError::Missing { .. } => NetnsError::Missing { what: name.to_owned() },
            other @ (NetnsError::Name { .. }
            | NetnsError::Exists { .. }
            | NetnsError::Step { .. }
            | NetnsError::Panicked { .. }) => other,
        })
    }

    /// A process's.
    pub fn of_pid(pid: u32) -> Result<NetnsFd, NetnsError> {
        NetnsFd::open(&PathBuf::from(format!("/proc/{pid}/ns/net")))
    }

    /// The one behind an nsfs file.
    pub fn open(path: &Path) -> Result<NetnsFd, NetnsError> {
        let what = || path.display().to_string();
        let file = File::open(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => NetnsError::Missing { what: what() },
            _ => NetnsError::Step { step: "open", what: what(), source },
        })?;
        let inode =
            file.metadata().map_err(|source| NetnsError::Step { step: "open", what: what(), source })?.ino();
        Ok(NetnsFd { fd: file.into(), inode, label: what() })
    }

    /// Its inode: what identifies it on this machine.
    pub fn inode(&self) -> u64 {
        self.inode
    }
}

impl AsFd for NetnsFd {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Does work inside a namespace, on a thread of its own that ends with it: the caller's thread never
/// leaves home. Sockets opened there stay in the namespace; children started there inherit it. The caller's own needs
/// no privilege: the thread is in it from the start.
pub fn within<T: Send>(netns: &NetnsFd, work: impl FnOnce() -> T + Send) -> Result<T, NetnsError> {
    let inside = || -> Result<T, NetnsError> {
        if NetnsFd::current().is_ok_and(|own| own.inode == netns.inode) {
            return Ok(work());
        }
        setns(&netns.fd, CloneFlags::CLONE_NEWNET).map_err(|errno| NetnsError::Step {
            step: "enter",
            what: netns.label.clone(),
            source: errno.into(),
        })?;
        Ok(work())
    };
    std::thread::scope(|scope| scope.spawn(inside).join())
        .unwrap_or_else(|_| Err(NetnsError::Panicked { what: netns.label.clone() }))
}

/// Starts a program inside a namespace; the caller stays where it is.
pub fn spawn_in(netns: &NetnsFd, command: &mut Command) -> io::Result<Child> {
    let fd = netns.fd.as_raw_fd();
    // SAFETY: between fork and exec only setns(2) is called, on a descriptor that outlives the call
    // to spawn (`netns` is borrowed until then); it neither allocates nor takes a lock.
    #[expect(unsafe_code, reason = "pre_exec is the only way to give a child another namespace alone")]
    unsafe {
        command.pre_exec(move || {
            if libc::setns(fd, libc::CLONE_NEWNET) == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
        });
    }
    command.spawn()
}

/// Names of the namespaces under /run/netns, sorted.
pub fn list_named() -> Vec<String> {
    let entries = fs::read_dir(NAMED).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|e| e.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// Makes a named namespace. It stays until deleted, as one made by `ip netns add` does.
pub fn create(name: &str) -> Result<NetnsFd, NetnsError> {
    let path = path_of(name)?;
    let failed = |source| NetnsError::Step { step: "create", what: name.to_owned(), source };
    fs::create_dir_all(NAMED).map_err(failed)?;
    File::options().write(true).create_new(true).open(&path).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => NetnsError::Exists { name: name.to_owned() },
        _ => failed(source),
    })?;
    let made = || -> io::Result<()> {
        unshare(CloneFlags::CLONE_NEWNET)?;
        let own = Some("/proc/thread-self/ns/net");
        mount(own, &path, None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
        Ok(())
    };
    let result = std::thread::scope(|scope| scope.spawn(made).join());
    match result {
        Ok(Ok(())) => NetnsFd::open(&path),
        Ok(Err(source)) => {
            // The placeholder must not look like a namespace; that it was ours is certain.
            let _ = fs::remove_file(&path);
            Err(failed(source))
        }
        Err(_) => Err(NetnsError::Panicked { what: name.to_owned() }),
    }
}

/// Makes a namespace without a name. It ends with its handle, with the sockets opened in it and with the
/// processes started there: nothing is left behind, however this process ends.
pub fn unnamed(label: &str) -> Result<NetnsFd, NetnsError> {
    let made = || -> Result<NetnsFd, NetnsError> {
        unshare(CloneFlags::CLONE_NEWNET).map_err(|errno| NetnsError::Step {
            step: "create",
            what: label.to_owned(),
            source: errno.into(),
        })?;
        Ok(NetnsFd { label: label.to_owned(), ..NetnsFd::current()? })
    };
    std::thread::scope(|scope| scope.spawn(made).join())
        .unwrap_or_else(|_| Err(NetnsError::Panicked { what: label.to_owned() }))
}

/// Deletes a named namespace: its links go once its last process has gone. `Ok(false)` when there
/// was none of this name. Also removes the empty placeholder of a `create` that was killed.
pub fn delete(name: &str) -> Result<bool, NetnsError> {
    let path = path_of(name)?;
    let failed = |source| NetnsError::Step { step: "delete", what: name.to_owned(), source };
    if !path.exists() {
        return Ok(false);
    }
    // EINVAL: nothing is mounted there. Removing the file tells whether that mattered.
    let unmounted = umount2(&path, MntFlags::MNT_DETACH);
    match (fs::remove_file(&path), unmounted) {
        (Ok(()), _) => Ok(true),
        (Err(_), Err(errno)) if errno != nix::errno::Errno::EINVAL => Err(failed(errno.into())),
        (Err(source), _) => Err(failed(source)),
    }
}

/// The file of a name. Names come from users: nothing that could leave the folder is let through.
fn path_of(name: &str) -> Result<PathBuf, NetnsError> {
    let bad =
        name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) || name.len() > 255;
    if bad {
        return Err(NetnsError::Name { name: name.to_owned() });
    }
    Ok(Path::new(NAMED).join(OsString::from(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_namespace_is_entered_and_deleted() {
        let name = format!("ht-sys-{}", std::process::id());
        let made = create(&name).unwrap();
        assert!(matches!(create(&name), Err(NetnsError::Exists { .. })));
        let home = NetnsFd::current().unwrap().inode();
        let inside = within(&made, || NetnsFd::current().unwrap().inode()).unwrap();
        assert_eq!(inside, made.inode());
        assert_eq!(NetnsFd::current().unwrap().inode(), home);
        let mut command = Command::new("readlink");
        command.arg("/proc/self/ns/net").stdout(std::process::Stdio::piped());
        let output = spawn_in(&made, &mut command).unwrap().wait_with_output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), format!("net:[{}]", made.inode()));
        assert!(delete(&name).unwrap());
        assert!(!delete(&name).unwrap());
    }

    #[test]
    fn a_namespace_without_a_name_is_entered_and_stands_nowhere() {
        let made = unnamed("ht-sys-unnamed").unwrap();
        let inside = within(&made, || NetnsFd::current().unwrap().inode()).unwrap();
        assert_eq!(inside, made.inode());
        assert_ne!(NetnsFd::current().unwrap().inode(), made.inode());
        assert!(!list_named().contains(&"ht-sys-unnamed".to_owned()));
    }

    #[test]
    fn names_cannot_leave_the_folder() {
        for name in ["", ".", "..", "a/b", "../x", "a\0b"] {
            assert!(matches!(NetnsFd::named(name), Err(NetnsError::Name { .. })), "{name:?}");
        }
    }

    #[test]
    fn work_that_panics_is_an_error() {
        let here = NetnsFd::current().unwrap();
        assert!(matches!(within(&here, || panic!("on purpose")), Err(NetnsError::Panicked { .. })));
    }
}
