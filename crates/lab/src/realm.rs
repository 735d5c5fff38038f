//! Where an ordinary user's lab lives: a user namespace in which that user is root, and a mount namespace
//! whose /run/netns is the lab's alone.
//!
//! Each such lab has its realm. Every process in it keeps it alive, and so that there is always one,
//! a holder does nothing else. Whoever works on the lab joins one of these processes first. The realm is
//! known by a file, `MARK`, that is seen in it and nowhere else; the state directory has a copy.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::fcntl::OFlag;
use nix::unistd::{geteuid, pause, setsid};
use sys::userns;

use crate::error::{LabError, file};
use crate::place::{LABS, Lab, labs};
use crate::process::{self, Process};

/// The holder's pid and an id that no other realm has, as seen by every process of the realm.
const MARK: &str = "/run/hopline-realm";
/// The same in the state directory.
const RECORD: &str = "realm";
/// What the holder says when the realm is made; anything else is why it is not.
const READY: &str = "ready";
/// More than any mark has. A file of another realm, which a stranger may have written, is not read further.
const MARK_BYTES_MAX: u64 = 100;

/// A realm just made. Dropped before it is kept, its holder ends by itself: no leftover of an `up` that was
/// killed.
#[derive(Debug)]
pub struct Realm {
    /// What the holder runs.
    program: PathBuf,
    holder: Child,
}

/// Makes a realm and joins it. `None` for root, who needs none.
///
/// Must be called while the process has a single thread, as setns(2) wants it.
pub fn make(hopline: &Path) -> Result<Option<Realm>, LabError> {
    if geteuid().is_root() {
        return Ok(None);
    }
    let start_error = |source| LabError::Holder { program: hopline.to_owned(), source };
    let mut command = Command::new(hopline);
    command.args(["lab", "hold"]).current_dir("/");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut holder = command.spawn().map_err(start_error)?;
    let mut said = String::new();
    if let Some(stdout) = holder.stdout.take() {
        BufReader::new(stdout).read_line(&mut said).map_err(start_error)?;
    }
    if said.trim_end() != READY {
        return Err(LabError::NoRealm { why: said.trim_end().to_owned(), remedy: userns::remedy() });
    }
    userns::join(&PathBuf::from(format!("/proc/{}", holder.id()))).map_err(LabError::Join)?;
    Ok(Some(Realm { program: hopline.to_owned(), holder }))
}

impl Realm {
    /// Lets the holder stay when this process has ended.
    pub fn keep(mut self) -> Result<(), LabError> {
        match self.holder.stdin.take().map(|mut stdin| stdin.write_all(b"\n")) {
            Some(Err(source)) => Err(LabError::Holder { program: self.program, source }),
            Some(Ok(())) | None => Ok(()),
        }
    }
}

/// What the holder does: makes the realm, says so on stdout, and stays in it until it is killed. It ends at
/// once where stdin closes before a line came: `up` was killed, or has failed.
pub fn hold() -> Result<(), LabError> {
    let made = prepare();
    let word = made.as_ref().map_or_else(ToString::to_string, |()| READY.to_owned());
    writeln!(io::stdout(), "{word}").map_err(file("write to", "stdout"))?;
    made?;
    let mut line = String::new();
    if io::stdin().read_line(&mut line).map_err(file("read", "stdin"))? > 0 {
        loop {
            pause();
        }
    }
    Ok(())
}

fn prepare() -> Result<(), LabError> {
    // A session of its own: no hangup and no Ctrl-C of a terminal reaches it.
    setsid().map_err(|errno| file("start a session for", "the holder")(errno.into()))?;
    let labs_outside = labs();
    let run_entry = |path: &'static str| path.strip_prefix("/run/").unwrap_or(path);
    userns::create(&[run_entry(sys::netns::NAMED), run_entry(LABS), run_entry(MARK)])
        .map_err(LabError::Join)?;
    symlink(labs_outside, LABS).map_err(file("link", LABS))?;
    let source = "/proc/sys/kernel/random/uuid";
    let id = fs::read_to_string(source).map_err(file("read", source))?;
    fs::write(MARK, format!("{} {id}", std::process::id())).map_err(file("write", MARK))
}

/// Whether this process is in a realm.
pub(crate) fn is_here() -> bool {
    Path::new(MARK).exists()
}

/// Notes in the state directory which realm the lab is in, where it is in one.
pub(crate) fn note(lab: &Lab) -> Result<(), LabError> {
    match fs::copy(MARK, lab.path(RECORD)) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        other => other.map(drop).map_err(file("copy to the state directory", MARK)),
    }
}

/// Joins the realm of the lab with this state directory; does nothing where there is none.
///
/// Must be called while the process has a single thread, as setns(2) wants it.
pub fn enter(state: &Path) -> Result<(), LabError> {
    let Some(mark) = recorded(state)? else { return Ok(()) };
    if geteuid().is_root() {
        return refuse_root(state);
    }
    match member(&mark) {
        // The handle is of this very process, whoever gets its pid later.
        Some(process) => userns::join(&process.path()).map_err(LabError::Join),
        None => Err(LabError::RealmGone { state: state.to_owned() }),
    }
}

/// Root is not let into what an ordinary user has made: programs are found and files are written there.
fn refuse_root(state: &Path) -> Result<(), LabError> {
    let path = state.join(RECORD);
    let uid = fs::metadata(&path).map_err(file("look at", path))?.uid();
    if uid == 0 { Ok(()) } else { Err(LabError::ForeignRealm { state: state.to_owned(), uid }) }
}

/// A process by which a shell can join the lab's realm; `None` where the lab is in none.
pub(crate) fn entrance(state: &Path) -> Option<i32> {
    member(&recorded(state).ok()??).map(|process| process.pid)
}

/// Ends the holder. The realm goes with its last process, which may be this one.
pub(crate) fn end(state: &Path) -> Result<(), LabError> {
    let Some(mark) = recorded(state)? else { return Ok(()) };
    let holder = holder_of(&mark).and_then(|pid| Member::of(pid, &mark));
    let holder = holder.map(|Member { pid, .. }| Process { pid, args: Vec::new() });
    process::end(holder.as_slice())
}

fn recorded(state: &Path) -> Result<Option<String>, LabError> {
    let path = state.join(RECORD);
    match fs::read_to_string(&path) {
        Ok(mark) => Ok(Some(mark)),
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(e) => Err(file("read", path)(e)),
    }
}

fn holder_of(mark: &str) -> Option<i32> {
    mark.split_whitespace().next()?.parse().ok()
}

/// A process in a realm.
struct Member {
    pid: i32,
    /// Its folder in /proc, open: it is empty once the process has ended.
    folder: File,
}

impl Member {
    /// The process of this id, if it is in the realm of this mark.
    fn of(pid: i32, mark: &str) -> Option<Member> {
        let member = Member { pid, folder: File::open(format!("/proc/{pid}")).ok()? };
        // Where a stranger's container has something else of this name, it must not hold us up.
        let guarded = OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW;
        let path = member.path().join("root").join(MARK.trim_start_matches('/'));
        let seen = OpenOptions::new().read(true).custom_flags(guarded.bits()).open(path).ok()?;
        let mut text = String::new();
        seen.take(MARK_BYTES_MAX).read_to_string(&mut text).ok()?;
        (text == mark).then_some(member)
    }

    fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.folder.as_raw_fd()))
    }
}

/// The holder, or, where it was killed, any other process of the realm but this one.
fn member(mark: &str) -> Option<Member> {
    let own = std::process::id();
    let every = fs::read_dir("/proc").into_iter().flatten().flatten();
    let every = every.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let others = every.filter(|pid| pid.unsigned_abs() != own);
    holder_of(mark).into_iter().chain(others).find_map(|pid| Member::of(pid, mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_see_the_mark_is_no_member() {
        let own = std::process::id();
        let mark = format!("{own} 4d6f8a52-0000-4000-8000-000000000000\n");
        assert_eq!(holder_of(&mark), i32::try_from(own).ok());
        assert!(Member::of(own.cast_signed(), &mark).is_none());
        assert!(member(&mark).is_none());
        assert_eq!(holder_of(""), None);
    }

    #[test]
    fn a_state_directory_without_a_record_is_in_no_realm() {
        let state = tempfile::tempdir().unwrap();
        assert_eq!(recorded(state.path()).unwrap(), None);
        assert_eq!(recorded(&state.path().join("absent")).unwrap(), None);
        assert_eq!(entrance(state.path()), None);
        enter(state.path()).unwrap();
    }

    #[test]
    fn root_is_told_whose_lab_it_is() {
        let state = tempfile::tempdir().unwrap();
        let record = state.path().join(RECORD);
        fs::write(&record, "1 2\n").unwrap();
        std::os::unix::fs::chown(&record, Some(61_000), None).unwrap();
        let refused = enter(state.path()).unwrap_err().to_string();
        assert!(refused.contains("is user 61000's") && refused.contains("sudo -u '#61000'"), "{refused}");
    }
}
