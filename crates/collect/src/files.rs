//! Files of bounded size: heads, tails, folders.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// Device number of /dev/null (major 1, minor 3): empty, and what people name for "no file".
const DEV_NULL: u64 = 1 << 8 | 3;

/// A whole file as text, refused when larger than `bytes_max`; bytes that are not UTF-8 are replaced.
pub(crate) fn whole(path: &Path, bytes_max: u64) -> io::Result<String> {
    let mut bytes = Vec::new();
    regular(path)?.take(bytes_max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(io::Error::other(format!("larger than {bytes_max} bytes")));
    }
    Ok(into_text(bytes))
}

/// The last `bytes_max` bytes of a file, from the start of a line.
pub(crate) fn tail(path: &Path, bytes_max: u64) -> io::Result<String> {
    let mut file = regular(path)?;
    let length = file.metadata()?.len();
    let cut = length > bytes_max;
    if cut {
        file.seek(SeekFrom::Start(length - bytes_max))?;
    }
    let mut bytes = Vec::new();
    file.take(bytes_max).read_to_end(&mut bytes)?;
    let text = into_text(bytes);
    Ok(match text.find('\n') {
        Some(first) if cut => text[first + 1..].to_owned(),
        Some(_) | None => text,
    })
}

/// When a file was last written, in Unix milliseconds.
pub(crate) fn written_ms(path: &Path) -> Option<u64> {
    let written = fs::metadata(path).ok()?.modified().ok()?;
    u64::try_from(written.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
}

/// Opens a file, but no pipe or device: reading such may wait for ever, and paths come from processes'
/// arguments, which any user writes. Opened without waiting, then looked at, so that nothing can be
/// put in its place in between.
fn regular(path: &Path) -> io::Result<File> {
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let metadata = file.metadata()?;
    let readable = metadata.is_file() || metadata.rdev() == DEV_NULL;
    if readable { Ok(file) } else { Err(io::Error::other("not a regular file")) }
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
