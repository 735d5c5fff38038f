//! Debian's packages as archives: downloaded once, unpacked into the cache, never installed.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::VmError;
use crate::cache;
use crate::program::{program, run};

/// The package that depends on the current kernel for machines which are all virtual. That flavour has every
/// part of the network that a compute host uses, and boots fastest.
const KERNEL: &str = "linux-image-cloud-amd64";
const BUSYBOX: &str = "busybox-static";

/// Debian's kernel. Once one is in the cache it stays the one, until a newer file is put there.
pub(crate) fn kernel(cache: &Path) -> Result<PathBuf, VmError> {
    let is_kernel = |name: &str| name.starts_with("linux-image-") && name.contains("-cloud-amd64_");
    find_or_download(cache, KERNEL, is_kernel, current_kernel)
}

/// Debian's busybox that needs no libraries.
pub(crate) fn busybox(cache: &Path) -> Result<PathBuf, VmError> {
    let is_busybox = |name: &str| name.starts_with("busybox-static_");
    find_or_download(cache, BUSYBOX, is_busybox, || Ok(BUSYBOX.to_owned()))
}

/// The package's files, in a folder of the cache. `finish` may add to them before the folder counts as whole.
pub(crate) fn unpack(
    cache: &Path,
    package: &Path,
    finish: impl FnOnce(&Path) -> Result<(), VmError>,
) -> Result<PathBuf, VmError> {
    let name = package.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    cache::keep(cache, &name, |folder| {
        run(program("dpkg-deb").arg("-x").args([package, folder]), "dpkg")?;
        finish(folder)
    })
}

/// `linux-image-6.1.0-56-cloud-amd64` and the like.
fn current_kernel() -> Result<String, VmError> {
    let told = run(program("apt-cache").args(["depends", "--important", KERNEL]), "apt")?;
    let names = told.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
    let kernel = names.into_iter().find(|name| name.starts_with("linux-image-"));
    let kernel = kernel.ok_or_else(|| VmError::Program {
        program: "apt-cache".to_owned(),
        said: format!("{KERNEL} depends on no kernel; apt knows nothing of it"),
    })?;
    Ok(kernel.to_owned())
}

fn find_or_download(
    cache: &Path,
    package: &str,
    is_it: impl Fn(&str) -> bool,
    name: impl FnOnce() -> Result<String, VmError>,
) -> Result<PathBuf, VmError> {
    let folder = cache.join("packages");
    if let Some(found) = newest(&folder, &is_it) {
        return Ok(found);
    }
    let _lock = cache::lock(cache, "packages")?;
    if let Some(found) = newest(&folder, &is_it) {
        return Ok(found);
    }
    let downloaded = name().and_then(|name| download(&folder, &name));
    downloaded.map_err(|why| VmError::NoPackage {
        package: package.to_owned(),
        folder: folder.clone(),
        why: why.to_string(),
    })?;
    newest(&folder, &is_it).ok_or_else(|| VmError::NoPackage {
        package: package.to_owned(),
        folder,
        why: "apt-get brought another file".to_owned(),
    })
}

/// apt-get writes into a folder of its own; what comes from there is whole.
fn download(folder: &Path, name: &str) -> Result<(), VmError> {
    let new = folder.join("new");
    let _ = fs::remove_dir_all(&new);
    fs::create_dir_all(&new).map_err(VmError::file("make", &new))?;
    run(program("apt-get").args(["-q", "download", name]).current_dir(&new), "apt")?;
    for entry in fs::read_dir(&new).map_err(VmError::file("read", &new))?.flatten() {
        let kept = folder.join(entry.file_name());
        fs::rename(entry.path(), &kept).map_err(VmError::file("keep", &kept))?;
    }
    fs::remove_dir(&new).map_err(VmError::file("remove", &new))
}

/// The file that was put there last.
fn newest(folder: &Path, is_it: impl Fn(&str) -> bool) -> Option<PathBuf> {
    let paths = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    let packages = paths.filter(|path| path.extension().is_some_and(|e| e == "deb"));
    let found = packages.filter(|path| path.file_name().and_then(OsStr::to_str).is_some_and(&is_it));
    let when = |path: &PathBuf| path.metadata().and_then(|m| m.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    found.max_by_key(|path| (when(path), path.clone()))
}
