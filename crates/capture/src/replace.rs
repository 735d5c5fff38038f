//! A file written anew while the old one stays whole until the new one is: a kill in between leaves the old one
//! and nothing else.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::unistd::linkat;

/// What will take a file's place.
#[derive(Debug)]
pub struct Replacement {
    /// Where to write; to be read from, too.
    pub file: File,
    target: PathBuf,
    /// Its name until then, where it needs one all the time.
    named: Option<PathBuf>,
}

impl Replacement {
    /// Of the file at `target`, or of none there: in the same folder, and with the same owner and rights as the
    /// old one has.
    pub fn of(target: &Path) -> io::Result<Replacement> {
        // The file behind a link is replaced, and not the link.
        let is_link = || fs::symlink_metadata(target).is_ok_and(|link| link.file_type().is_symlink());
        let target = match fs::canonicalize(target) {
            Ok(target) => target,
            // Nothing can be put in the place of what it leads to.
            Err(error) if is_link() => return Err(error),
            Err(_) => target.to_owned(),
        };
        let old = old(fs::metadata(&target))?;
        let replacement = Replacement::open(target, 0o666)?;
        if let Some(old) = old {
            let new = replacement.file.metadata()?;
            if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
                fchown(&replacement.file, Some(old.uid()), Some(old.gid()))?;
            }
            replacement.file.set_permissions(old.permissions())?;
        }
        Ok(replacement)
    }

    /// The same for what nobody else may read: whose the old file was does not count, and a link is refused, since it
    /// may be another user's.
    pub fn private(target: &Path) -> io::Result<Replacement> {
        old(fs::symlink_metadata(target))?;
        let replacement = Replacement::open(target.to_owned(), 0o600)?;
        replacement.file.set_permissions(Permissions::from_mode(0o600))?;
        Ok(replacement)
    }

    fn open(target: PathBuf, mode: u32) -> io::Result<Replacement> {
        let options = options(mode);
        let (file, named) = match without_name(&options, &target)? {
            Some(file) => (file, None),
            None => {
                let name = hidden(&target);
                (options.clone().create_new(true).open(&name)?, Some(name))
            }
        };
        Ok(Replacement { file, target, named })
    }

    /// It is written, and takes its place.
    pub fn commit(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        let name = match &self.named {
            Some(name) => name.clone(),
            None => {
                let name = hidden(&self.target);
                let open = format!("/proc/self/fd/{}", self.file.as_raw_fd());
                linkat(AT_FDCWD, open.as_str(), AT_FDCWD, &name, AtFlags::AT_SYMLINK_FOLLOW)?;
                self.named = Some(name.clone());
                name
            }
        };
        fs::rename(&name, &self.target)?;
        self.named = None;
        Ok(())
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        if let Some(name) = &self.named {
            // Whatever kept it from its place has been told.
            let _ = fs::remove_file(name);
        }
    }
}

/// A file in the folder of `beside` that nobody else may read and that never gets a name: to be written and read, and
/// gone with the process, however that ends.
pub fn unnamed(beside: &Path) -> io::Result<File> {
    let options = options(0o600);
    match without_name(&options, beside)? {
        Some(file) => Ok(file),
        None => named_once(&options, beside),
    }
}

/// Where files cannot be without a name, it loses the name as soon as it is open.
fn named_once(options: &OpenOptions, beside: &Path) -> io::Result<File> {
    let name = hidden(beside);
    let file = options.clone().create_new(true).open(&name)?;
    fs::remove_file(&name)?;
    Ok(file)
}

fn options(mode: u32) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(mode);
    options
}

/// A file without a name, which goes with the process, however that ends (open(2), `O_TMPFILE`). Not every file system
/// has such.
fn without_name(options: &OpenOptions, target: &Path) -> io::Result<Option<File>> {
    match options.clone().custom_flags(libc::O_TMPFILE).open(folder(target)) {
        Ok(file) => Ok(Some(file)),
        Err(error) if is_without_unnamed(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What is to be replaced. A device or a folder is not: /dev/null as a file would fill the disk.
fn old(about: io::Result<Metadata>) -> io::Result<Option<Metadata>> {
    match about {
        Ok(old) if old.is_file() => Ok(Some(old)),
        Ok(_) => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is there and not a regular file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn folder(target: &Path) -> &Path {
    target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn is_without_unnamed(error: &io::Error) -> bool {
    // EISDIR: a kernel that does not know the flag.
    matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::EISDIR | libc::EINVAL | libc::ENOENT))
}

/// `.out.pcapng.4711`, next to it.
fn hidden(target: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(target.file_name().unwrap_or_default());
    name.push(format!(".{}", std::process::id()));
    target.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(folder: &Path) -> Vec<OsString> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    }

    #[test]
    fn the_old_file_stays_until_the_new_one_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let (old, link) = (folder.path().join("old"), folder.path().join("link"));
        fs::write(&old, "old").unwrap();
        fs::set_permissions(&old, Permissions::from_mode(0o640)).unwrap();
        symlink("old", &link).unwrap();
        let mut replacement = Replacement::of(&link).unwrap();
        replacement.file.write_all(b"new").unwrap();
        assert_eq!(fs::read(&old).unwrap(), b"old");
        drop(replacement);
        assert_eq!((fs::read(&old).unwrap().as_slice(), names(folder.path()).len()), (&b"old"[..], 2));
        let mut replacement = Replacement::of(&link).unwrap();
        replacement.file.write_all(b"new").unwrap();
        replacement.commit().unwrap();
        assert_eq!((fs::read(&old).unwrap().as_slice(), names(folder.path()).len()), (&b"new"[..], 2));
        assert_eq!(fs::metadata(&old).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[test]
    fn only_a_file_is_replaced_and_a_private_one_takes_no_ones_rights() {
        let folder = tempfile::tempdir().unwrap();
        let (old, link) = (folder.path().join("old"), folder.path().join("link"));
        fs::write(&old, "old").unwrap();
        fs::set_permissions(&old, Permissions::from_mode(0o666)).unwrap();
        symlink("old", &link).unwrap();
        let refused = |made: io::Result<Replacement>| made.unwrap_err().kind() == io::ErrorKind::InvalidInput;
        for other in [Path::new("/dev/null"), folder.path()] {
            assert!(refused(Replacement::of(other)) && refused(Replacement::private(other)), "{other:?}");
        }
        assert!(refused(Replacement::private(&link)));
        Replacement::private(&old).unwrap().commit().unwrap();
        assert_eq!(fs::metadata(&old).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(names(folder.path()), ["link", "old"]);
    }

    #[test]
    fn a_file_without_a_name_leaves_none_where_it_needed_one_at_first() {
        use std::io::{Read, Seek};
        let folder = tempfile::tempdir().unwrap();
        let beside = folder.path().join("out.plain");
        // The second twice: what was opened before stands in nobody's way.
        let open =
            [unnamed(&beside), named_once(&options(0o600), &beside), named_once(&options(0o600), &beside)];
        for file in open {
            let mut file = file.unwrap();
            assert_eq!(names(folder.path()).len(), 0, "from now on a kill leaves nothing");
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
            file.write_all(b"secret").unwrap();
            file.rewind().unwrap();
            let mut back = String::new();
            file.read_to_string(&mut back).unwrap();
            assert_eq!(back, "secret");
        }
    }

    #[test]
    fn a_file_may_be_new_and_its_folder_must_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let mut replacement = Replacement::of(&folder.path().join("new")).unwrap();
        replacement.file.write_all(b"x").unwrap();
        assert_eq!(names(folder.path()).len(), 0);
        replacement.commit().unwrap();
        assert_eq!(names(folder.path()), ["new"]);
        assert_eq!(
            Replacement::of(&folder.path().join("no/new")).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
    }
}
