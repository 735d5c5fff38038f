//! Files of bounded size: heads, tails, folders.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// Device number of /dev/null (major 1, minor 3): empty, and what people name for "no file".
const DEV_NULL: u64 = 1 << 8 | 3;

/// What a file says.
#[derive(Debug)]
pub(crate) struct Text {
    pub(crate) text: String,
    /// Every user of the machine may read it.
    pub(crate) is_public: bool,
}

/// A whole file as text, refused when larger than `bytes_max`; bytes that are not UTF-8 are replaced.
pub(crate) fn whole(path: &Path, bytes_max: u64) -> io::Result<Text> {
    let file = regular(path, 0)?;
    let is_public = is_public(&file);
    let mut bytes = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(io::Error::other(format!("larger than {bytes_max} bytes")));
    }
    Ok(Text { text: into_text(bytes), is_public })
}

/// The last `bytes_max` bytes of a file, from the start of a line, and how long it is.
pub(crate) fn tail(path: &Path, bytes_max: u64) -> io::Result<(Text, u64)> {
    let file = regular(path, 0)?;
    let is_public = is_public(&file);
    let (text, length) = last_bytes(file, bytes_max)?;
    Ok((Text { text, is_public }, length))
}

/// The same of a file whose folder is another user's, who may have put a link to a file of ours in its place.
pub(crate) fn tail_behind_no_link(path: &Path, bytes_max: u64) -> io::Result<(String, u64)> {
    last_bytes(regular(path, libc::O_NOFOLLOW)?, bytes_max)
}

/// The line that tells who reads a log that there was more of it.
pub(crate) fn note_of_tail(bytes_max: u64, length: u64) -> String {
    format!("[hopline: this is of the last {bytes_max} of {length} bytes]\n")
}

fn last_bytes(mut file: File, bytes_max: u64) -> io::Result<(String, u64)> {
    let length = file.metadata()?.len();
    let cut = length > bytes_max;
    if cut {
        file.seek(SeekFrom::Start(length - bytes_max))?;
    }
    let mut bytes = Vec::new();
    file.take(bytes_max).read_to_end(&mut bytes)?;
    let text = into_text(bytes);
    let text = match text.find('\n') {
        Some(first) if cut => text[first + 1..].to_owned(),
        Some(_) | None => text,
    };
    Ok((text, length))
}

/// When a file was last written, in Unix milliseconds.
pub(crate) fn written_ms(path: &Path) -> Option<u64> {
    let written = fs::metadata(path).ok()?.modified().ok()?;
    u64::try_from(written.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
}

/// Opens a file, but no pipe or device: reading such may wait for ever, and paths come from processes'
/// arguments, which any user writes. Opened without waiting, then looked at, so that nothing can be
/// put in its place in between.
fn regular(path: &Path, flags: i32) -> io::Result<File> {
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK | flags).open(path)?;
    let metadata = file.metadata()?;
    let readable = metadata.is_file() || metadata.rdev() == DEV_NULL;
    if readable { Ok(file) } else { Err(io::Error::other("not a regular file")) }
}

/// Every user may read it, and enter every folder above it.
fn is_public(file: &File) -> bool {
    let of_others = |path: &Path| fs::metadata(path).map_or(0, |about| about.mode() & 0o007);
    let is_readable = file.metadata().is_ok_and(|about| about.mode() & 0o004 != 0);
    let place = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()));
    is_readable
        && place.is_ok_and(|path| path.ancestors().skip(1).all(|folder| of_others(folder) & 0o001 != 0))
}

/// Entries of a folder, sorted, at most `entries_max`.
pub(crate) fn entries(folder: &Path, entries_max: usize) -> io::Result<Vec<PathBuf>> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder)?.take(entries_max).filter_map(|e| Some(e.ok()?.path())).collect();
    paths.sort();
    Ok(paths)
}

fn into_text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    /// All but its end are holes, of which neither the disk nor the memory has anything.
    #[test]
    fn of_gigabytes_the_end_is_read_from_the_start_of_a_line() {
        use std::io::Write;

        const LENGTH: u64 = 5_000_000_000;
        let path = std::env::temp_dir().join(format!("hopline-collect-tail-{}", std::process::id()));
        let mut file = File::create(&path).unwrap();
        let end = b"\nthe last but one\nthe last\n";
        file.seek(SeekFrom::Start(LENGTH - end.len() as u64)).unwrap();
        file.write_all(end).unwrap();
        let read =
            [tail(&path, 4_096).map(|(read, length)| (read.text, length)), tail_behind_no_link(&path, 12)];
        let refused = whole(&path, 4_096).unwrap_err();
        fs::remove_file(&path).unwrap();
        let [all, last] = read.map(Result::unwrap);
        assert_eq!(all, ("the last but one\nthe last\n".to_owned(), LENGTH));
        assert_eq!(last, ("the last\n".to_owned(), LENGTH));
        assert!(refused.to_string().contains("larger than 4096"), "{refused}");
    }

    #[test]
    fn what_not_everybody_may_read_is_told_apart() {
        let folder = std::env::temp_dir().join(format!("hopline-collect-files-{}", std::process::id()));
        let file = folder.join("file");
        let link = folder.join("link");
        fs::create_dir(&folder).unwrap();
        fs::write(&file, "text").unwrap();
        symlink(&file, &link).unwrap();
        let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        let mut seen = Vec::new();
        for (above, own) in [(0o755, 0o644), (0o755, 0o640), (0o700, 0o644)] {
            mode(&folder, above);
            mode(&file, own);
            seen.push([whole(&link, 10).unwrap().is_public, tail(&link, 10).unwrap().0.is_public]);
        }
        let followed = [&file, &link].map(|path| tail_behind_no_link(path, 10).is_ok());
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(seen, [[true; 2], [false; 2], [false; 2]]);
        assert_eq!(followed, [true, false]);
    }
}
