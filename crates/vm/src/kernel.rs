//! Debian's kernel and its modules, unpacked.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::archive::Archive;
use crate::program::{program, run};
use crate::{VmError, packages};

/// What depmod(8) reads beside the modules: what the kernel has without loading any.
const BUILT_IN: [&str; 3] = ["modules.builtin", "modules.builtin.modinfo", "modules.order"];

/// A kernel in the cache.
pub(crate) struct Kernel {
    /// As `uname -r` tells it.
    pub(crate) version: String,
    /// The package's file.
    package: PathBuf,
    folder: PathBuf,
}

impl Kernel {
    /// Unpacks the package, once.
    pub(crate) fn unpack(cache: &Path, package: &Path) -> Result<Kernel, VmError> {
        let folder = packages::unpack(cache, package, |folder| {
            let version = version(package, folder)?;
            // modules.dep and modules.alias are made where the package is installed.
            depmod(folder, &version)
        })?;
        Ok(Kernel { version: version(package, &folder)?, package: package.to_owned(), folder })
    }

    /// What the machine starts.
    pub(crate) fn image(&self) -> PathBuf {
        self.folder.join(format!("boot/vmlinuz-{}", self.version))
    }

    /// Puts the modules that are wanted into the archive, and those that they need, where modprobe(8) looks.
    ///
    /// `wanted` tells it by the module's path in the package: `kernel/net/8021q/8021q.ko`.
    pub(crate) fn add_modules<W: io::Write>(
        &self,
        archive: &mut Archive<W>,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<(), VmError> {
        let place = format!("lib/modules/{}", self.version);
        let folder = self.folder.join(&place);
        let listed = folder.join("modules.dep");
        let listed = fs::read_to_string(&listed).map_err(VmError::file("read", &listed))?;
        let taken = with_what_they_need(&listed, wanted);
        // Lists of just these: in full they would be most of what a machine reads at its start.
        let few = tempfile::tempdir().map_err(VmError::file("make a folder in", &env::temp_dir()))?;
        let few_modules = few.path().join(&place);
        let copy = |from: PathBuf, to: PathBuf| {
            let made = to.parent().map_or(Ok(()), fs::create_dir_all);
            made.and_then(|()| fs::copy(&from, &to)).map(drop).map_err(VmError::file("copy", &from))
        };
        for name in taken.iter().copied().chain(BUILT_IN) {
            copy(folder.join(name), few_modules.join(name))?;
        }
        depmod(few.path(), &self.version)?;
        let lists = fs::read_dir(&few_modules).map_err(VmError::file("read", &few_modules))?;
        let lists = lists.flatten().filter(|entry| entry.path().is_file());
        let lists: Vec<String> = lists.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        for name in taken.iter().copied().chain(lists.iter().map(String::as_str)) {
            archive.copy(&format!("{place}/{name}"), &few_modules.join(name))?;
        }
        Ok(())
    }

    /// That a module which a machine cannot do without is there.
    pub(crate) fn must_have(&self, module: &str) -> Result<(), VmError> {
        let path = self.folder.join(format!("lib/modules/{}/{module}", self.version));
        if path.is_file() {
            return Ok(());
        }
        Err(VmError::Package { package: self.package.clone(), why: format!("it has no {module}") })
    }
}

/// The one folder of modules that a kernel's package has.
fn version(package: &Path, folder: &Path) -> Result<String, VmError> {
    let mut entries = fs::read_dir(folder.join("lib/modules")).into_iter().flatten().flatten();
    let version = entries.find_map(|entry| entry.file_name().into_string().ok());
    version.ok_or_else(|| VmError::Package {
        package: package.to_owned(),
        why: "it has no folder /lib/modules/VERSION".to_owned(),
    })
}

/// The modules wanted and all that they need, out of the text of a modules.dep (modules.dep(5)): each line is
/// a module and, after a colon, every module that it needs, also by another.
fn with_what_they_need(listed: &str, wanted: impl Fn(&str) -> bool) -> BTreeSet<&str> {
    let lines = listed.lines().filter_map(|line| line.split_once(':'));
    let lines = lines.filter(|(module, _)| wanted(module));
    lines.flat_map(|(module, needs)| needs.split_whitespace().chain([module])).collect()
}

/// Makes the lists by which modprobe(8) finds modules below this folder.
fn depmod(folder: &Path, version: &str) -> Result<(), VmError> {
    run(program("depmod").arg("-b").arg(folder).arg(version), "kmod").map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_comes_with_what_it_needs() {
        let listed = "kernel/net/802/garp.ko: kernel/net/802/stp.ko kernel/net/llc/llc.ko\n\
                      kernel/net/802/mrp.ko:\n\
                      kernel/net/8021q/8021q.ko: kernel/net/802/garp.ko kernel/net/802/stp.ko\n\nnonsense\n";
        let found = with_what_they_need(listed, |module| module.starts_with("kernel/net/8021q/"));
        assert_eq!(
            found.into_iter().collect::<Vec<_>>(),
            ["kernel/net/802/garp.ko", "kernel/net/802/stp.ko", "kernel/net/8021q/8021q.ko"]
        );
        assert!(with_what_they_need(listed, |_| false).is_empty());
    }
}
