//! A sosreport that is unpacked already.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::files::Files;
use super::gap;
use super::wanted;
use crate::error::ReadError;
use crate::limits::FILES_MAX;

/// How deep folders are looked into: sos_commands/networking/namespaces/NAME is four, paths of copied files are longer.
const DEPTH_MAX: usize = 16;

/// Reads the folder, or the one folder in it, that has `sos_commands`.
pub(super) fn read(folder: &Path) -> Result<Files, ReadError> {
    let root = root(folder).ok_or(ReadError::NoSosreport)?;
    let mut files = Files::default();
    let mut left = FILES_MAX;
    add(&root, "", 0, &mut files, &mut left)?;
    Ok(files)
}

fn root(folder: &Path) -> Option<PathBuf> {
    // A folder that is a link may lead anywhere; only the one that was named is taken for what it leads to.
    let is_folder = |path: &Path| fs::symlink_metadata(path).is_ok_and(|about| about.is_dir());
    let is_it = |folder: &Path| is_folder(&folder.join("sos_commands"));
    if is_it(folder) {
        return Some(folder.to_owned());
    }
    let mut inner = fs::read_dir(folder).ok()?.take(1_000).filter_map(|entry| Some(entry.ok()?.path()));
    inner.find(|path| is_folder(path) && is_it(path))
}

/// Adds what lies under a folder. What cannot be read is a gap.
fn add(root: &Path, under: &str, depth: usize, files: &mut Files, left: &mut usize) -> Result<(), ReadError> {
    let unread =
        |path: &str, why: std::io::Error| gap(path, why.to_string(), format!("read access to {path}"));
    let entries = match fs::read_dir(root.join(under)) {
        Ok(entries) => entries,
        Err(error) => {
            files.gaps.push(unread(under, error));
            return Ok(());
        }
    };
    for entry in entries.flatten() {
        *left = left.checked_sub(1).ok_or(ReadError::TooLarge { what: "files", limit: FILES_MAX as u64 })?;
        let (Some(name), Ok(kind)) = (entry.file_name().to_str().map(str::to_owned), entry.file_type())
        else {
            continue;
        };
        let path = if under.is_empty() { name } else { format!("{under}/{name}") };
        if kind.is_symlink() {
            let target = fs::read_link(entry.path()).unwrap_or_default();
            files.add_link(&path, &target.to_string_lossy());
        } else if kind.is_dir() {
            if depth < DEPTH_MAX {
                add(root, &path, depth + 1, files, left)?;
            }
        } else if kind.is_file()
            && let Some(keep) = wanted::keep(&path)
        {
            let read = File::open(entry.path()).and_then(|file| {
                let about = file.metadata()?;
                let written = about.modified()?.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
                files.add(&path, keep, about.len(), written, file)
            });
            if let Err(error) = read {
                files.gaps.push(unread(&path, error));
            }
        }
    }
    Ok(())
}
