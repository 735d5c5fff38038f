//! The virtual machine that tests run in, started.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::image;
use super::machine::Machine;
use crate::{Image, VmError, accelerator, cache, qemu};

/// Where the test program is in the machine.
pub(super) const TEST_PROGRAM: &str = "/usr/local/bin/hopline-test";

/// What the kernel and all that runs there need, beside what the image and the programs take: their files are
/// all in memory.
const MEMORY_MB: u64 = 320;

/// Boots a machine that has this test program and the other programs in it, ready to run them.
pub(super) fn machine(programs: &[&str]) -> Result<Machine, String> {
    let test = env::current_exe().map_err(|e| format!("this program's own file is not known: {e}"))?;
    let (built, named): (Vec<&str>, Vec<&str>) =
        programs.iter().copied().partition(|program| program.starts_with('/'));
    let mut drives = vec![(test, TEST_PROGRAM)];
    drives.extend(built.into_iter().map(|path| (PathBuf::from(path), path)));
    let files: Vec<PathBuf> = drives.iter().map(|(file, _)| file.clone()).collect();
    let command = command(&named, &files).map_err(|e| e.to_string())?;
    let mut machine = Machine::start(command)?;
    for ((_, path), letter) in drives.iter().zip('a'..='z') {
        machine.place(&format!("vd{letter}"), path)?;
    }
    Ok(machine)
}

fn command(named: &[&str], drives: &[PathBuf]) -> Result<Command, VmError> {
    let cache = cache::default_cache().ok_or_else(|| VmError::Unfit {
        what: "the cache's place",
        value: String::new(),
        why: "neither XDG_CACHE_HOME nor HOME is an absolute path",
    })?;
    let image = image::image(&cache, named, drives)?;
    let accelerator = accelerator(&cache, &image.kernel)?;
    let Image { kernel, initramfs } = image;
    // Each byte of the image is there twice while it is unpacked.
    let memory_mb =
        MEMORY_MB + 2 * size_mb(&initramfs)? + drives.iter().map(|d| size_mb(d)).sum::<Result<u64, _>>()?;
    let mut qemu = qemu::machine(accelerator, &kernel, u32::try_from(memory_mb).unwrap_or(u32::MAX));
    qemu.arg("-initrd").arg(&initramfs);
    let told = accelerator.kernel_arguments();
    qemu.args([
        "-append",
        &format!("console=ttyS0 quiet panic=-1 mitigations=off random.trust_cpu=on {told}"),
    ]);
    // Its console is QEMU's standard error, and QEMU's own complaints stand beside what the kernel says.
    qemu.args(["-chardev", "file,id=console,path=/dev/stderr", "-serial", "chardev:console"]);
    qemu.args(["-chardev", "stdio,id=orders,signal=off", "-serial", "chardev:orders"]);
    for drive in drives {
        qemu.arg("-drive").arg(qemu::option_with_path("if=virtio,format=raw,readonly=on,file=", drive));
    }
    Ok(qemu)
}

/// Rounded up.
fn size_mb(path: &Path) -> Result<u64, VmError> {
    let told = path.metadata().map_err(VmError::file("read", path))?;
    Ok(told.len().div_ceil(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testbed::machine::{Ended, TEST_PATIENCE};

    #[test]
    fn programs_run_on_debian_s_kernel_whose_death_is_told_by_its_console() {
        let mut machine = machine(&["busybox"]).unwrap();
        let ended = machine.run(&["uname", "-r"], TEST_PATIENCE).unwrap();
        assert!(ended.status == 0 && ended.output.contains("-cloud-amd64"), "{ended:?}");
        let failed = machine.run(&["awk", "BEGIN{print\"on*purpose\";exit(7)}"], TEST_PATIENCE);
        assert_eq!(failed, Ok(Ended { status: 7, output: "on*purpose\n".to_owned() }));
        // As `echo c >/proc/sysrq-trigger` does.
        let crash = ["awk", "BEGIN{print\"c\">\"/proc/sysrq-trigger\"}"];
        let lost = machine.run(&crash, TEST_PATIENCE).unwrap_err();
        assert!(lost.contains("the machine ended") && lost.contains("Kernel panic"), "{lost}");
    }
}
