//! An instance that is a virtual machine: a tap in its bridge, and QEMU in the host's namespace.
//!
//! QEMU is the only one to hold the tap, so that the tap goes with it, however it ends.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use plumbing::{Namespace, link};
use vm::NicDriver;

use crate::await_lease::{POLL, QEMU_DEADLINE};
use crate::command::start as start_program;
use crate::error::{LabError, file};
use crate::layout::{CONSOLE_LOG, GUEST_NIC};
use crate::libvirt::enslave_tap;
use crate::nova::wanted::HostInstance;
use crate::place::Lab;
use crate::process;

/// How long a machine may take to answer a line.
const PATIENCE: Duration = Duration::from_secs(20);
/// What it says when it has done what it was told.
const DONE: &[u8] = b"done 42";
/// Sockets in an instance's directory: QEMU's monitor, and a shell in the machine.
const MONITOR: &str = "monitor";
const SHELL: &str = "shell";

/// Fetches or builds what every machine boots from.
pub(crate) fn prepare() -> Result<(), LabError> {
    vm::guest_image(&cache()?)?;
    Ok(())
}

fn cache() -> Result<PathBuf, LabError> {
    vm::default_cache().ok_or(LabError::NoCache)
}

/// Makes the tap of the first NIC and starts QEMU; its process id.
pub(crate) fn start(
    host_ns: &mut Namespace,
    directory: &Path,
    instance: &HostInstance,
    taps: &[String],
    driver: NicDriver,
) -> Result<u32, LabError> {
    let cache = cache()?;
    let image = vm::guest_image(&cache)?;
    let accelerator = vm::accelerator(&cache, &image.kernel)?;
    let (Some(nic), Some(tap)) = (instance.nics.first(), taps.first()) else {
        return Err(LabError::UnknownNetwork { name: format!("of {}", instance.name), known: String::new() });
    };
    let handle = sys::tap::open(&host_ns.handle, tap).map_err(file("make the tap", tap))?;
    link::set_mac(host_ns, tap, nic.tap_mac())?;
    enslave_tap(host_ns, nic, tap)?;
    link::set_up(host_ns, tap)?;
    let console = directory.join(CONSOLE_LOG);
    // QEMU empties it, too, but only once it runs: until then the last machine's words stand there.
    fs::write(&console, "").map_err(file("empty", &console))?;
    let guest = vm::Guest {
        name: instance.name.clone(),
        tap: handle,
        mac: nic.mac,
        console,
        shell: directory.join(SHELL),
        monitor: directory.join(MONITOR),
        memory_mb: vm::MEMORY_MB,
        driver,
    };
    let mut qemu = vm::command(&image, guest, accelerator)?;
    qemu.process_group(0).current_dir("/");
    start_program(host_ns, qemu, &directory.join("qemu.log"))
}

/// Waits until a machine that was just started has booted, by the prompt on its console.
pub(crate) fn await_login(lab: &Lab, host: &str, instance: &HostInstance) -> Result<(), LabError> {
    let console = lab.instance_dir(host, &instance.uuid).join(CONSOLE_LOG);
    let prompt = format!("{} login:", instance.name);
    let deadline = Instant::now() + QEMU_DEADLINE;
    loop {
        let said = fs::read(&console).map_err(file("read", &console))?;
        if String::from_utf8_lossy(&said).contains(&prompt) {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(LabError::Timeout {
                seconds: QEMU_DEADLINE.as_secs(),
                awaited: format!("{} to boot", instance.name),
                log: console,
            });
        }
        std::thread::sleep(POLL);
    }
}

/// Pulls the machine's plug; its tap goes with it.
pub(crate) fn stop(lab: &Lab, ns: &Namespace, host: &str, instance: &HostInstance) -> Result<(), LabError> {
    let monitor = monitor(lab, host, instance);
    process::end_every(&[ns.inode()], |process| process.mentions(&monitor)).map(drop)
}

/// Sends the machine's QEMU a signal.
pub(crate) fn signal(
    lab: &Lab,
    ns: &Namespace,
    host: &str,
    instance: &HostInstance,
    signal: Signal,
) -> Result<(), LabError> {
    let monitor = monitor(lab, host, instance);
    let mut running = process::in_namespaces(&[ns.inode()])?;
    running.retain(|process| process.mentions(&monitor));
    process::signal_all(&running, signal);
    Ok(())
}

/// Its monitor's path, which is in its QEMU's arguments and nobody else's.
fn monitor(lab: &Lab, host: &str, instance: &HostInstance) -> String {
    lab.instance_dir(host, &instance.uuid).join(MONITOR).display().to_string()
}

/// Sets the machine's first NIC down or up again from inside; once up, it asks for its address anew.
pub(crate) fn set_link(lab: &Lab, host: &str, instance: &HostInstance, is_up: bool) -> Result<(), LabError> {
    let command = if is_up {
        format!("ip link set {GUEST_NIC} up; killall -USR2 udhcpc; killall -USR1 udhcpc")
    } else {
        format!("ip link set {GUEST_NIC} down")
    };
    let shell = lab.instance_dir(host, &instance.uuid).join(SHELL);
    type_in(&shell, &command).map_err(file("talk to the machine by", shell))
}

/// Types a command, and waits until it is done: a machine reads a serial line slowly, and what it has not read is lost
/// when we hang up.
fn type_in(shell: &Path, command: &str) -> io::Result<()> {
    let mut socket = UnixStream::connect(shell)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    // The echo of what is typed has no sum in it.
    socket.write_all(format!("{command}; echo done $((6 * 7))\n").as_bytes())?;
    let (mut heard, mut piece) = (Vec::new(), [0; 256]);
    while !heard.windows(DONE.len()).any(|window| window == DONE) {
        match socket.read(&mut piece)? {
            0 => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it hung up")),
            count => heard.extend_from_slice(piece.get(..count).unwrap_or_default()),
        }
    }
    Ok(())
}
