//! What an archive's entry is, and whether its path may be one.

use std::io::Read;

use tar::{Entry, EntryType};

use crate::error::ReadError;

/// Longest path, as ustar has it.
const PATH_MAX: usize = 256;

/// A plain file with its path from the archive's root. `None` for folders, and for the headers that other tools put
/// before a file (pax(1)), which nothing here needs. Everything else is refused: no tar of ours has it.
pub(super) fn plain_file<R: Read>(entry: Entry<'_, R>) -> Result<Option<(String, Entry<'_, R>)>, ReadError> {
    let kind = entry.header().entry_type();
    let bytes = entry.header().path_bytes();
    let path = std::str::from_utf8(&bytes).map(str::to_owned);
    let shown = String::from_utf8_lossy(&bytes).into_owned();
    let what = match kind {
        EntryType::Regular | EntryType::Continuous => {
            let path = path.ok().and_then(|path| within(&path));
            return path.map(|path| Some((path, entry))).ok_or(ReadError::Path { path: shown });
        }
        EntryType::Directory | EntryType::XHeader | EntryType::XGlobalHeader => return Ok(None),
        EntryType::Link => "a hard link",
        EntryType::Symlink => "a symbolic link",
        EntryType::Char | EntryType::Block => "a device",
        EntryType::Fifo => "a pipe",
        EntryType::GNUSparse => "a sparse file",
        EntryType::GNULongName | EntryType::GNULongLink => "a long name",
        _ => "of an unknown kind",
    };
    Err(ReadError::NotAFile { path: shown, kind: what })
}

/// The path without a leading `./`, if it stays within the archive.
fn within(path: &str) -> Option<String> {
    let path = path.strip_prefix("./").unwrap_or(path);
    let is_part = |part: &str| !part.is_empty() && part != "." && part != "..";
    let sound = path.len() <= PATH_MAX && path.split('/').all(is_part);
    (sound && !path.contains(|c: char| c == '\\' || c.is_control())).then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_within() {
        for (path, expected) in [
            ("manifest.json", Some("manifest.json")),
            ("./compute1/facts.json", Some("compute1/facts.json")),
            ("/etc/passwd", None),
            ("../x", None),
            ("a/../../x", None),
            ("a//b", None),
            ("a/./b", None),
            ("", None),
            ("a\\b", None),
            ("a\nb", None),
        ] {
            assert_eq!(within(path).as_deref(), expected, "{path:?}");
        }
    }
}
