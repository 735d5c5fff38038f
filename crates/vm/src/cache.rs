//! What takes long to make is made once and kept, under a name that says all it is made from.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::VmError;

/// What is not older may be in use.
const YOUNG: Duration = Duration::from_hours(24);

/// Where hopline keeps what it can make again: `$XDG_CACHE_HOME/hopline`, else `~/.cache/hopline` (XDG Base
/// Directory Specification). `None` where neither variable names a place.
pub fn default_cache() -> Option<PathBuf> {
    let named = |variable| env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = named("XDG_CACHE_HOME").or_else(|| Some(named("HOME")?.join(".cache")))?;
    Some(folder.join("hopline"))
}

/// The file or folder of this name in the cache; where it is not there yet, `make` makes it at the path that
/// it is given.
///
/// Of two at once, also in two processes, one makes it and the other waits. Killed half-way, nothing bears the
/// name: it is made under another and then renamed.
pub(crate) fn keep(
    cache: &Path,
    name: &str,
    make: impl FnOnce(&Path) -> Result<(), VmError>,
) -> Result<PathBuf, VmError> {
    let kept = cache.join(name);
    if kept.exists() {
        return Ok(kept);
    }
    let _lock = lock(cache, name)?;
    if kept.exists() {
        return Ok(kept);
    }
    let new = cache.join(format!("{name}.new"));
    remove(&new)?;
    make(&new)?;
    fs::rename(&new, &kept).map_err(VmError::file("keep", &kept))?;
    Ok(kept)
}

/// The initramfs of this kind that is made from these parts: `KIND-DIGEST.cpio`. Where it is made anew, those
/// made from other parts go, unless they are young, and so may be another checkout's.
pub(crate) fn keep_initramfs(
    cache: &Path,
    kind: &str,
    parts: &[&[u8]],
    make: impl FnOnce(&Path) -> Result<(), VmError>,
) -> Result<PathBuf, VmError> {
    keep(cache, &format!("{kind}-{}.cpio", digest(parts)), |new| {
        make(new)?;
        for entry in fs::read_dir(cache).map_err(VmError::file("read", cache))?.flatten() {
            let path = entry.path();
            let is_of_kind = entry.file_name().to_string_lossy().starts_with(&format!("{kind}-"));
            let is_other = is_of_kind && path.extension().is_some_and(|e| e == "cpio");
            let age = entry.metadata().and_then(|told| told.modified()).map(|made| made.elapsed());
            if is_other && matches!(age, Ok(Ok(age)) if age > YOUNG) {
                remove(&path)?;
            }
        }
        Ok(())
    })
}

/// Holds the cache's lock of this name until dropped, or until the process ends.
pub(crate) fn lock(cache: &Path, name: &str) -> Result<File, VmError> {
    let locks = cache.join("locks");
    fs::create_dir_all(&locks).map_err(VmError::file("make", &locks))?;
    let path = locks.join(name);
    let file = File::create(&path).map_err(VmError::file("write", &path))?;
    file.lock().map_err(VmError::file("lock", &path))?;
    Ok(file)
}

/// Removes what somebody who was killed left half made.
fn remove(path: &Path) -> Result<(), VmError> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(VmError::file("remove", path)(e)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// A short name for a recipe: the same parts in the same order have the same (64-bit FNV-1a).
fn digest(parts: &[&[u8]]) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    // The length goes first, so that two parts cannot be taken for two others that are cut elsewhere.
    let lengths = parts.iter().map(|part| part.len().to_le_bytes());
    for byte in lengths.zip(parts).flat_map(|(length, part)| length.into_iter().chain(part.iter().copied())) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::SystemTime;

    #[test]
    fn what_is_kept_is_made_once_however_many_ask() {
        let cache = tempfile::tempdir().unwrap();
        let made = AtomicU32::new(0);
        let ask = || {
            keep(cache.path(), "thing", |path| {
                made.fetch_add(1, Ordering::Relaxed);
                fs::write(path, "whole").map_err(VmError::file("write", path))
            })
        };
        std::thread::scope(|scope| (0..8).for_each(|_| drop(scope.spawn(ask))));
        assert_eq!(fs::read(cache.path().join("thing")).unwrap(), b"whole");
        assert_eq!(made.into_inner(), 1);
    }

    #[test]
    fn what_could_not_be_made_is_not_there_and_is_made_at_the_next_try() {
        let cache = tempfile::tempdir().unwrap();
        let half = |path: &Path| {
            fs::create_dir(path).unwrap();
            fs::write(path.join("half"), "").unwrap();
            Err(VmError::Program { program: "dpkg-deb".to_owned(), said: "no space left".to_owned() })
        };
        assert!(keep(cache.path(), "thing", half).is_err());
        assert!(!cache.path().join("thing").exists());
        let whole = |path: &Path| fs::create_dir(path).map_err(VmError::file("make", path));
        let kept = keep(cache.path(), "thing", whole).unwrap();
        assert!(!kept.join("half").exists());
    }

    #[test]
    fn a_new_initramfs_replaces_those_that_are_old_and_of_its_kind() {
        let cache = tempfile::tempdir().unwrap();
        let cache = cache.path();
        for (name, hours) in [("a-1.cpio", 25), ("a-2.cpio", 23), ("b-1.cpio", 25), ("a-folder", 25)] {
            let made = SystemTime::now() - Duration::from_hours(hours);
            File::create(cache.join(name)).unwrap().set_modified(made).unwrap();
        }
        let make = |path: &Path| fs::write(path, "").map_err(VmError::file("write", path));
        let kept = keep_initramfs(cache, "a", &[b"recipe"], make).unwrap();
        let there = ["a-1.cpio", "a-2.cpio", "b-1.cpio", "a-folder"].map(|name| cache.join(name).exists());
        assert!(kept.exists());
        assert_eq!(there, [false, true, true, true]);
    }

    #[test]
    fn a_recipe_s_name_tells_its_parts_apart() {
        assert_eq!(digest(&[b"ab", b"c"]), digest(&[b"ab", b"c"]));
        assert_ne!(digest(&[b"ab", b"c"]), digest(&[b"a", b"bc"]));
        assert_ne!(digest(&[b"ab"]), digest(&[b"ab", b""]));
    }
}
