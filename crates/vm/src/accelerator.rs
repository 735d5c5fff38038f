//! What carries a machine's code: the processor by KVM, or QEMU's translation.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use crate::program::program;
use crate::{VmError, qemu};

/// What carries a machine's code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accelerator {
    /// The processor itself (kvm(4)).
    Kvm,
    /// QEMU, which translates it: works everywhere, at about a tenth of the speed.
    Tcg,
}

/// How long a kernel has to come up in the trial. Where KVM works, half a second is much; a kernel that hangs
/// costs this long once a boot of this machine.
const PATIENCE: Duration = Duration::from_secs(4);

/// The kernel's last words where it is given nothing to start: then it has run from its first instruction to
/// its last (`init/do_mounts.c mount_block_root`).
const CAME_UP: &str = "VFS: Unable to mount root";

impl Accelerator {
    /// What QEMU is told, for a machine with this much memory.
    pub(crate) fn arguments(self, memory_mb: u32) -> [&'static str; 4] {
        match self {
            Accelerator::Kvm => ["-accel", "kvm", "-cpu", "host"],
            // One thread for the one processor, and a buffer for translated code that is not QEMU's gigabyte:
            // what an instance runs fits into a small one.
            Accelerator::Tcg if memory_mb < 256 => ["-accel", "tcg,thread=single,tb-size=32", "-cpu", "max"],
            Accelerator::Tcg => ["-accel", "tcg,thread=single,tb-size=128", "-cpu", "max"],
        }
    }

    /// What the kernel in it is told.
    pub(crate) fn kernel_arguments(self) -> &'static str {
        match self {
            Accelerator::Kvm => "",
            // Translated code runs in fits and starts, so the time stamp counter is no clock: where the kernel
            // trusts it on a busy machine, seconds pass several times too fast.
            Accelerator::Tcg => "tsc=unstable clocksource=hpet no_timer_check",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Accelerator::Kvm => "kvm",
            Accelerator::Tcg => "tcg",
        }
    }
}

/// What carries machines here, found out by a trial whose answer is kept in the cache until the next boot.
///
/// That /dev/kvm is there and makes machines says little: where this machine is virtual itself, a processor may
/// run the first instructions and then hang, or QEMU fail. So `kernel` is started for real.
pub fn accelerator(cache: &Path, kernel: &Path) -> Result<Accelerator, VmError> {
    let device = fs::OpenOptions::new().read(true).write(true).open("/dev/kvm");
    if device.is_err() {
        return Ok(Accelerator::Tcg);
    }
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let question = format!("{} {}", boot.trim(), kernel.display());
    let kept = cache.join("accelerator");
    let answered = |accelerator: Accelerator| format!("{question} {}\n", accelerator.name());
    let known = fs::read_to_string(&kept).unwrap_or_default();
    for answer in [Accelerator::Kvm, Accelerator::Tcg] {
        if known == answered(answer) {
            return Ok(answer);
        }
    }
    let answer = if comes_up(kernel)? { Accelerator::Kvm } else { Accelerator::Tcg };
    fs::create_dir_all(cache).map_err(VmError::file("make", cache))?;
    // Two at once find the same; a file that is half written is no answer and asked for anew.
    fs::write(&kept, answered(answer)).map_err(VmError::file("write", &kept))?;
    Ok(answer)
}

/// Whether a kernel comes up under KVM.
fn comes_up(kernel: &Path) -> Result<bool, VmError> {
    let machine = qemu::machine(Accelerator::Kvm, kernel, 128);
    // One that hangs would outlive us, were we killed meanwhile (setpriv(1), PR_SET_PDEATHSIG(2const)).
    let mut qemu = program("setpriv");
    qemu.args(["--pdeathsig", "KILL", "--"]).arg(machine.get_program()).args(machine.get_args());
    qemu.args(["-append", "console=ttyS0 panic=-1", "-serial", "stdio"]);
    qemu.stdout(Stdio::piped()).stderr(Stdio::null());
    let not_started =
        |source| VmError::NoProgram { program: "setpriv".to_owned(), package: "util-linux", source };
    let mut child = qemu.spawn().map_err(not_started)?;
    let came_up = says_so(&mut child);
    // It may have ended by itself; then there is nothing to kill.
    let _ = child.kill();
    let _ = child.wait();
    Ok(came_up)
}

fn says_so(child: &mut Child) -> bool {
    let Some(console) = child.stdout.take() else { return false };
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        // The thread ends with QEMU, whose output then ends.
        let lines = BufReader::new(console).split(b'\n').map_while(Result::ok);
        let mut lines = lines.map(|line| String::from_utf8_lossy(&line).into_owned());
        let _ = tell.send(lines.any(|line| line.contains(CAME_UP)));
    });
    told.recv_timeout(PATIENCE).unwrap_or(false)
}
