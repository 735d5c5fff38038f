//! An instance: what it boots, and how QEMU is told to start it.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use model::Mac;

use crate::archive::Archive;
use crate::kernel::Kernel;
use crate::{Accelerator, VmError, cache, packages, qemu};

/// The least memory that the kernel comes up in, and enough for all that an instance does.
pub const MEMORY_MB: u32 = 80;

/// What an instance does, from its first process on.
const INIT: &str = include_str!("guest/init.sh");
/// What it does at the events of its DHCP client.
const UDHCPC_SCRIPT: &str = include_str!("guest/udhcpc.script.sh");

/// Its NIC, and the button that it is switched off by. What these need comes with them.
const MODULES: [&str; 4] = [
    "kernel/drivers/virtio/virtio_pci.ko",
    "kernel/drivers/net/virtio_net.ko",
    "kernel/drivers/acpi/button.ko",
    "kernel/drivers/input/evdev.ko",
];

/// What every instance boots; what tells one from another is on its command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The kernel.
    pub kernel: PathBuf,
    /// All its files.
    pub initramfs: PathBuf,
}

/// One instance.
#[derive(Debug)]
pub struct Guest {
    /// Its hostname: letters, digits and hyphens, at most 63.
    pub name: String,
    /// Its NIC's other end ([`sys::tap::open`]). QEMU is the last to hold it, so the tap goes when QEMU ends,
    /// however it ends.
    pub tap: OwnedFd,
    /// Its NIC's MAC.
    pub mac: Mac,
    /// The file that everything it prints is written to: its console log. Emptied at the start.
    pub console: PathBuf,
    /// The socket to type to it: a shell as root, and what it prints. Made by QEMU; at most 107 bytes.
    pub shell: PathBuf,
    /// The socket of QEMU's monitor ([`power_off`](crate::power_off)). Made by QEMU; at most 107 bytes.
    pub monitor: PathBuf,
    /// Its memory; [`MEMORY_MB`] suffices.
    pub memory_mb: u32,
    /// Whether its image has a driver for its NIC.
    pub driver: NicDriver,
}

/// Whether an instance's image has a driver for the NIC that QEMU gives it, which is virtio's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NicDriver {
    /// It has.
    Present,
    /// It has none, as an old or a trimmed image: its kernel has a PCI device that nothing claims.
    Absent,
}

impl NicDriver {
    /// What the kernel is told: the module is in the image's one archive and refused by its name
    /// (`kernel/module/main.c blacklisted`).
    fn kernel_arguments(self) -> &'static str {
        match self {
            NicDriver::Present => "",
            NicDriver::Absent => "module_blacklist=virtio_net",
        }
    }
}

/// The image in this cache, built where it is not there yet: that takes seconds, and where Debian's kernel is
/// not in the cache either, a network.
pub fn guest_image(cache: &Path) -> Result<Image, VmError> {
    let package = packages::kernel(cache)?;
    let busybox = packages::busybox(cache)?;
    let made_from = [&package, &busybox].map(|package| package.file_name().unwrap_or_default());
    let mut recipe = made_from.map(OsStr::as_encoded_bytes).to_vec();
    recipe.extend(MODULES.iter().map(|module| module.as_bytes()));
    recipe.extend([INIT, UDHCPC_SCRIPT].map(str::as_bytes));
    let kernel = Kernel::unpack(cache, &package)?;
    let initramfs = cache::keep_initramfs(cache, "instance", &recipe, |path| {
        let busybox = packages::unpack(cache, &busybox, |_| Ok(()))?.join("bin/busybox");
        let mut archive = Archive::create(path)?;
        archive.file("init", 0o755, INIT.as_bytes())?;
        archive.file("bin/udhcpc.script", 0o755, UDHCPC_SCRIPT.as_bytes())?;
        archive.copy("bin/busybox", &busybox)?;
        archive.link("bin/sh", "busybox")?;
        MODULES.iter().try_for_each(|module| kernel.must_have(module))?;
        kernel.add_modules(&mut archive, |module| MODULES.contains(&module))?;
        archive.finish().map(drop)
    })?;
    Ok(Image { kernel: kernel.image(), initramfs })
}

/// The command that is the instance while it runs. It is to be started in its host's network namespace, with
/// its standard input left as it is: that is the tap.
pub fn command(image: &Image, guest: Guest, accelerator: Accelerator) -> Result<Command, VmError> {
    let Guest { name, tap, mac, console, shell, monitor, memory_mb, driver } = guest;
    if !is_hostname(&name) {
        let why = "a hostname has letters, digits and hyphens, at most 63, and no hyphen first or last";
        return Err(VmError::Unfit { what: "an instance's name", value: name, why });
    }
    let mut qemu = qemu::machine(accelerator, &image.kernel, memory_mb);
    qemu.args(["-name", &name]).arg("-initrd").arg(&image.initramfs);
    let told = [accelerator.kernel_arguments(), driver.kernel_arguments()].join(" ");
    let told = format!("console=ttyS0 quiet panic=-1 mitigations=off {told} hopline.name={name}");
    qemu.args(["-append", &told]);
    let log = qemu::option_with_path(",server=on,wait=off,logappend=off,logfile=", &console);
    let mut serial = qemu::option_with_socket("socket,id=serial,path=", &shell)?;
    serial.push(log);
    qemu.arg("-chardev").arg(serial).args(["-serial", "chardev:serial"]);
    let mut control = qemu::option_with_socket("unix:", &monitor)?;
    control.push(",server=on,wait=off");
    qemu.arg("-qmp").arg(control);
    qemu.args(["-netdev", "tap,id=nic,fd=0", "-device"]);
    qemu.arg(format!("virtio-net-pci,netdev=nic,mac={mac},romfile="));
    qemu.stdin(Stdio::from(tap));
    Ok(qemu)
}

/// RFC 1123, one label. Nothing else may reach the kernel's command line, where a space would begin a word.
fn is_hostname(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || c == '-';
    (1..=63).contains(&name.len())
        && name.chars().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hostnames_reach_the_kernel_s_command_line() {
        for name in ["web1", "a", "WEB-2", &"x".repeat(63)] {
            assert!(is_hostname(name), "{name:?}");
        }
        for name in ["", "-a", "a-", "a b", "a\nb", "a.b", "init=/bin/sh", "wéb", &"x".repeat(64)] {
            assert!(!is_hostname(name), "{name:?}");
        }
    }
}
