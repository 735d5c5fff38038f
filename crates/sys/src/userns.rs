//! User namespaces: how an ordinary user becomes root over network namespaces of its own
//! (user_namespaces(7)), with a /run in which they can have names.

use std::env;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::{getegid, geteuid};

const RUN: &str = "/run";

/// Why a user namespace could not be made or joined.
#[derive(Debug, thiserror::Error)]
#[error("could not {step} {}: {source}", what.display())]
pub struct UsernsError {
    /// `make`, `write`, `mount`, ...
    pub step: &'static str,
    /// The file, or what else it was about.
    pub what: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

/// Becomes root of a new user namespace, which has but this one user, and gets a mount namespace
/// with a /run of its own. It ends with its last process.
///
/// The new /run shows every folder of the old one at its place, but those in `left_out`. The process must
/// have a single thread (unshare(2), `CLONE_NEWUSER`).
pub fn create(left_out: &[&str]) -> Result<(), UsernsError> {
    let (uid, gid) = (geteuid(), getegid());
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)
        .map_err(|errno| failed("make", "a user namespace")(errno.into()))?;
    // Without privileges groups can be mapped only where setgroups(2) is given up.
    for (file, text) in [
        ("/proc/self/setgroups", "deny".to_owned()),
        ("/proc/self/uid_map", format!("0 {uid} 1")),
        ("/proc/self/gid_map", format!("0 {gid} 1")),
    ] {
        fs::write(file, text).map_err(failed("write", file))?;
    }
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>)
        .map_err(|errno| failed("make private", "/")(errno.into()))?;
    replace_run(left_out)
}

/// Mounts an empty /run over the machine's, and the folders of that in it.
fn replace_run(left_out: &[&str]) -> Result<(), UsernsError> {
    // Keeps the old one within reach once the new one covers it.
    let old = File::open(RUN).map_err(failed("open", RUN))?;
    let old_path = PathBuf::from(format!("/proc/self/fd/{}", old.as_raw_fd()));
    mount(Some("tmpfs"), RUN, Some("tmpfs"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV, Some("mode=755"))
        .map_err(|errno| failed("mount a tmpfs on", RUN)(errno.into()))?;
    for entry in fs::read_dir(&old_path).map_err(failed("list", RUN))? {
        let entry = entry.map_err(failed("list", RUN))?;
        let name = entry.file_name();
        if left_out.iter().any(|left_out| name == *left_out) {
            continue;
        }
        let new = Path::new(RUN).join(&name);
        let kind = entry.file_type().map_err(failed("look at", &new))?;
        if kind.is_symlink() {
            let target = fs::read_link(entry.path()).map_err(failed("look at", &new))?;
            symlink(target, &new).map_err(failed("link", &new))?;
        } else if kind.is_dir() {
            fs::create_dir(&new).map_err(failed("make", &new))?;
            // With all that is mounted below: the kernel lets nobody look beneath these mounts
            // (mount_namespaces(7), "Restrictions on mount namespaces").
            let with_all_below = MsFlags::MS_BIND | MsFlags::MS_REC;
            mount(Some(&entry.path()), &new, None::<&str>, with_all_below, None::<&str>)
                .map_err(|errno| failed("show the machine's", &new)(errno.into()))?;
        }
    }
    Ok(())
}

/// Joins the user and the mount namespace of a process, given as its folder in /proc. The working
/// directory stays the same path.
///
/// The process must have a single thread (setns(2)), and its user must have made the namespace.
pub fn join(process: &Path) -> Result<(), UsernsError> {
    let open = |name| {
        let path = process.join(name);
        File::open(&path).map_err(failed("open", path))
    };
    let (user, mnt) = (open("ns/user")?, open("ns/mnt")?);
    let working_directory = env::current_dir().map_err(failed("find", "the working directory"))?;
    for (fd, kind, what) in [
        (user, CloneFlags::CLONE_NEWUSER, "the lab's user namespace"),
        (mnt, CloneFlags::CLONE_NEWNS, "the lab's mount namespace"),
    ] {
        setns(fd, kind).map_err(|errno| failed("enter", what)(errno.into()))?;
    }
    env::set_current_dir(&working_directory).map_err(failed("return to", working_directory))
}

/// What lets an ordinary user have user namespaces on this machine.
pub fn remedy() -> String {
    let is = |sysctl: &str, value: &str| {
        let path = format!("/proc/sys/{}", sysctl.replace('.', "/"));
        fs::read_to_string(path).is_ok_and(|text| text.trim() == value)
    };
    let settings = [
        // Ubuntu since 23.10; Debian's kernels before 12; every kernel.
        ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
        ("kernel.unprivileged_userns_clone", "0", "1"),
        ("user.max_user_namespaces", "0", "10000"),
    ];
    match settings.into_iter().find(|(sysctl, refusing, _)| is(sysctl, refusing)) {
        Some((sysctl, refusing, allowing)) => {
            format!("{sysctl} is {refusing}; allow them with `sudo sysctl {sysctl}={allowing}`")
        }
        None => "in a container, its seccomp profile refuses them".to_owned(),
    }
}

fn failed(step: &'static str, what: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> UsernsError {
    let what = what.into();
    move |source| UsernsError { step, what, source }
}
