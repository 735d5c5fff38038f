//! Debian's kernel and its modules, unpacked.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::archive::Archive;
use crate::program::{program, run};
use crate::{VmError, packages};

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
            run(program("depmod").arg("-b").arg(folder).arg(version), "kmod")?;
            Ok(())
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
        for module in &taken {
            archive.copy(&format!("{place}/{module}"), &folder.join(module))?;
        }
        // In full the lists would be most of what a machine reads at its start.
        let dependencies =
            kept_lines(&listed, |line| line.split(':').next().is_some_and(|m| taken.contains(m)));
        archive.file(&format!("{place}/modules.dep"), 0o644, dependencies.as_bytes())?;
        let aliases = folder.join("modules.alias");
        let aliases = fs::read_to_string(&aliases).map_err(VmError::file("read", &aliases))?;
        let names: BTreeSet<String> = taken.iter().map(|module| module_name(module)).collect();
        let aliases = kept_lines(&aliases, |line| line.rsplit(' ').next().is_some_and(|m| names.contains(m)));
        archive.file(&format!("{place}/modules.alias"), 0o644, aliases.as_bytes())
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

/// The lines of a list that are wanted.
fn kept_lines(list: &str, wanted: impl Fn(&str) -> bool) -> String {
    list.lines().filter(|line| wanted(line)).flat_map(|line| [line, "\n"]).collect()
}

/// The name that a module's file is loaded by: the kernel does not tell `-` from `_` there, and modules.alias
/// has the latter.
fn module_name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.split('.').next().unwrap_or(file).replace('-', "_")
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
        assert_eq!(module_name("kernel/net/sched/sch_fq-codel.ko"), "sch_fq_codel");
    }
}
