//! Where programs are, and how long they live.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where administration's programs are kept; an ordinary user's PATH lacks these.
const SBIN: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// Full path of a program, in PATH or where an ordinary user's PATH does not lead.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(SBIN.iter().map(PathBuf::from))
        .map(|dir| dir.join(program))
        .find(|candidate: &PathBuf| Path::is_file(candidate))
}

/// The same; its bare name where it is not found, for the error that follows.
pub fn path_of(program: &str) -> PathBuf {
    find(program).unwrap_or_else(|| PathBuf::from(program))
}

/// Has the program killed when the thread that starts it ends, and so with this process, however that ends
/// (`PR_SET_PDEATHSIG` of prctl(2)). Start it from a thread that lives as long as the program is wanted.
pub fn die_with_starter(command: &mut Command) {
    let starter = std::process::id();
    // SAFETY: between fork and exec only prctl(2) and getppid(2) are called, which neither allocate nor lock.
    #[expect(unsafe_code, reason = "pre_exec is the only way to give a child its parent's fate")]
    unsafe {
        command.pre_exec(move || {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
                return Err(io::Error::last_os_error());
            }
            // The starter may have ended before it was asked for.
            let is_orphan = u32::try_from(libc::getppid()) != Ok(starter);
            if is_orphan { Err(io::Error::from(io::ErrorKind::BrokenPipe)) } else { Ok(()) }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;
    use std::process::Child;

    #[test]
    fn a_program_dies_with_the_thread_that_started_it() {
        let start = || -> Child {
            let mut command = Command::new(path_of("sleep"));
            command.arg("600");
            die_with_starter(&mut command);
            command.spawn().unwrap()
        };
        let mut child = std::thread::spawn(start).join().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
    }
}
