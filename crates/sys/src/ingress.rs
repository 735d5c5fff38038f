//! Making a device receive a frame that nobody sent: the kernel takes it in as if it had come over the device's
//! wire, with everything that looks at received frames.
//!
//! A BPF program is loaded and test-run (`BPF_PROG_TEST_RUN`, bpf(2)), never attached. It belongs to its
//! descriptor, so nothing is left behind, however the process ends.

use std::io;
use std::os::fd::OwnedFd;

use crate::ebpf::{self, Command, Kind, address};

/// `BPF_F_TEST_XDP_LIVE_FRAMES`: what the program passes goes up the stack instead of being thrown away.
const LIVE_FRAMES: u32 = 2;
/// Shortest and longest frame in bytes: an Ethernet header, and what a page holds beside the kernel's own
/// (`TEST_XDP_FRAME_SIZE`, net/bpf/test_run.c).
pub const FRAME_BYTES_MIN: usize = 14;
/// The longest.
pub const FRAME_BYTES_MAX: usize = 3400;
/// Ethernet's shortest frame without its checksum; `bpf_prog_test_run_skb` wants so much.
const PADDED_BYTES: usize = 60;

/// How the kernel is brought to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// A live frame that an XDP program passes, since Linux 5.18.
    LiveFrames,
    /// A frame that a classifier redirects to the device's ingress, since Linux 4.12.
    Redirect,
}

/// A device that frames can be given to.
#[derive(Debug)]
pub struct Ingress {
    program: OwnedFd,
    index: u32,
    way: Way,
}

/// Why a device does not receive a frame.
#[derive(Debug, thiserror::Error)]
pub enum IngressError {
    /// The caller may not.
    #[error(
        "could not {step}: {source}; it needs root, or CAP_BPF and CAP_NET_ADMIN over the whole machine: a user \
         namespace's root has them not, and a container or kernel lockdown may take them away"
    )]
    Permission {
        /// `load a BPF program`, ...
        step: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The kernel knows neither way.
    #[error("could not {step}: {source}; it needs Linux 4.12 or newer with CONFIG_BPF_SYSCALL")]
    Unsupported {
        /// Which step.
        step: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The frame is too short or too long.
    #[error(
        "a frame of {bytes} bytes cannot be given to a device: {FRAME_BYTES_MIN} to {FRAME_BYTES_MAX} can"
    )]
    Length {
        /// Its length.
        bytes: usize,
    },
    /// The device has gone, or is in another namespace than the calling thread.
    #[error("there is no device of index {index} any more; `ip link` there shows those that are")]
    NoDevice {
        /// Its index.
        index: u32,
    },
    /// The device did not take it.
    #[error("the device of index {index} did not take the frame: {source}")]
    Refused {
        /// Its index.
        index: u32,
        /// What the kernel's helper said.
        source: io::Error,
    },
    /// A step failed.
    #[error("could not {step}: {source}")]
    Step {
        /// Which step.
        step: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl IngressError {
    /// What is missing is a privilege.
    pub fn is_permission(&self) -> bool {
        match self {
            IngressError::Permission { .. } => true,
            IngressError::Unsupported { .. }
            | IngressError::Length { .. }
            | IngressError::NoDevice { .. }
            | IngressError::Refused { .. }
            | IngressError::Step { .. } => false,
        }
    }
}

impl Ingress {
    /// For the device of this index in the calling thread's namespace. Nothing is sent yet.
    pub fn open(index: u32, way: Way) -> Result<Ingress, IngressError> {
        Ok(Ingress { program: load(index, way)?, index, way })
    }

    /// Which way it goes by now.
    pub fn way(&self) -> Way {
        self.way
    }

    /// Has the device receive a frame, its Ethernet header first, without the checksum behind it. The calling
    /// thread must be in the device's namespace: the kernel looks the index up there.
    ///
    /// The frame's whole way through this machine is done when it returns, up to the first queue. Whether the
    /// device is up is not looked at by the kernel.
    pub fn receive(&mut self, frame: &[u8]) -> Result<(), IngressError> {
        if !(FRAME_BYTES_MIN..=FRAME_BYTES_MAX).contains(&frame.len()) {
            return Err(IngressError::Length { bytes: frame.len() });
        }
        match (self.way, run(&self.program, self.index, self.way, frame)) {
            // Kernels before 5.18 know the flag not.
            (Way::LiveFrames, Err(error)) if error.raw_os_error() == Some(libc::EINVAL) => {
                *self = Ingress::open(self.index, Way::Redirect)?;
                self.receive(frame)
            }
            (_, Err(error)) if error.raw_os_error() == Some(libc::ENODEV) => {
                Err(IngressError::NoDevice { index: self.index })
            }
            (_, Err(error)) => Err(failed("run a BPF program on a frame", error)),
            (Way::LiveFrames, Ok(_)) | (Way::Redirect, Ok(0)) => Ok(()),
            (Way::Redirect, Ok(code)) => Err(self.refused(code)),
        }
    }

    /// What `bpf_clone_redirect` returned: a negative errno, or that the packet was dropped at once.
    fn refused(&self, code: i32) -> IngressError {
        let index = self.index;
        match code.checked_neg() {
            // The helper finds no such device (`bpf_clone_redirect`, net/core/filter.c).
            Some(libc::EINVAL) => IngressError::NoDevice { index },
            Some(errno) if errno > 0 => {
                IngressError::Refused { index, source: io::Error::from_raw_os_error(errno) }
            }
            Some(_) | None => IngressError::Refused { index, source: io::Error::other("dropped at once") },
        }
    }
}

fn failed(step: &'static str, source: io::Error) -> IngressError {
    match source.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => IngressError::Permission { step, source },
        Some(libc::ENOSYS | libc::EINVAL | libc::EOPNOTSUPP) => IngressError::Unsupported { step, source },
        Some(_) | None => IngressError::Step { step, source },
    }
}

/// The part of `union bpf_attr` that runs one.
#[repr(C, align(8))]
#[derive(Default)]
struct TestRun {
    program: u32,
    returned: u32,
    data_in_bytes: u32,
    data_out_bytes: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
    context_in_bytes: u32,
    context_out_bytes: u32,
    context_in: u64,
    context_out: u64,
    flags: u32,
    cpu: u32,
    batch_size: u32,
    /// So that there is no padding.
    zero: u32,
}

/// How much of `TestRun` a kernel knows that has no live frames (`duration` is the last).
const TEST_RUN_OLD_BYTES: usize = 40;

/// `struct xdp_md`.
#[repr(C)]
#[derive(Default)]
struct Context {
    data: u32,
    data_end: u32,
    data_meta: u32,
    ingress_ifindex: u32,
    rx_queue_index: u32,
    egress_ifindex: u32,
}

/// Instructions as the kernel's 64-bit words: operation, registers, offset, operand.
fn instructions(index: u32, way: Way) -> Vec<u64> {
    const EXIT: u64 = 0x95;
    let immediate = |value: u32, operation: u64| u64::from(value) << 32 | operation;
    match way {
        // r0 = XDP_PASS.
        Way::LiveFrames => vec![immediate(2, 0x00b7), EXIT],
        // r1 is the packet already; r2 = index, r3 = BPF_F_INGRESS, call bpf_clone_redirect.
        Way::Redirect => vec![immediate(index, 0x02b7), immediate(1, 0x03b7), immediate(13, 0x85), EXIT],
    }
}

fn load(index: u32, way: Way) -> Result<OwnedFd, IngressError> {
    let kind = match way {
        Way::LiveFrames => Kind::Xdp,
        Way::Redirect => Kind::Classifier,
    };
    load_program(kind, &instructions(index, way))
}

/// An XDP program that drops whatever a device receives that it is attached to.
pub fn dropping() -> Result<OwnedFd, IngressError> {
    // r0 = XDP_DROP, exit.
    load_program(Kind::Xdp, &[0x0000_0001_0000_00b7, 0x95])
}

/// A program for `clsact` that drops pings and their answers over IPv4 without a VLAN's tag, and lets all else pass.
pub fn dropping_icmp() -> Result<OwnedFd, IngressError> {
    let program = [
        // r6 = r1, the packet.
        0x0000_0000_0000_16bf,
        // r2 = its `protocol`; unless that is IPv4 (in network order), to the end.
        0x0000_0000_0010_6261,
        0x0000_0008_0003_0255,
        // r0 = the protocol behind 14 octets of Ethernet and 9 of IPv4; unless that is ICMP, to the end.
        0x0000_0017_0000_0030,
        0x0000_0001_0001_0055,
        // To TC_ACT_SHOT.
        0x0000_0000_0002_0005,
        // r0 = TC_ACT_OK, exit.
        0x0000_0000_0000_00b7,
        0x95,
        // r0 = TC_ACT_SHOT, exit.
        0x0000_0002_0000_00b7,
        0x95,
    ];
    load_program(Kind::Classifier, &program)
}

fn load_program(kind: Kind, program: &[u64]) -> Result<OwnedFd, IngressError> {
    ebpf::load(kind, program).map_err(|source| failed("load a BPF program", source))
}

/// Runs the program once on a frame; what it returned.
fn run(program: &OwnedFd, index: u32, way: Way, frame: &[u8]) -> io::Result<i32> {
    let mut padded = frame.to_vec();
    if way == Way::Redirect {
        padded.resize(padded.len().max(PADDED_BYTES), 0);
    }
    let length = u32::try_from(padded.len()).map_err(io::Error::other)?;
    let context = Context { data_end: length, ingress_ifindex: index, ..Context::default() };
    let mut attributes = TestRun {
        program: ebpf::number(program)?,
        data_in_bytes: length,
        data_in: address(padded.as_ptr()),
        repeat: 1,
        ..TestRun::default()
    };
    let bytes = match way {
        Way::LiveFrames => {
            attributes.context_in_bytes = u32::try_from(size_of::<Context>()).unwrap_or(0);
            attributes.context_in = address(&raw const context);
            attributes.flags = LIVE_FRAMES;
            size_of::<TestRun>()
        }
        Way::Redirect => TEST_RUN_OLD_BYTES,
    };
    // SAFETY: the kernel reads and writes at most `bytes` of `attributes`, no more than it has; it reads the frame
    // and the context at the addresses in it during the call, both of the lengths told, and was given no place to
    // write data to.
    #[expect(unsafe_code, reason = "no safe wrapper test-runs a BPF program")]
    unsafe { ebpf::bpf(Command::ProgramTestRun, (&raw mut attributes).cast(), bytes) }?;
    Ok(attributes.returned.cast_signed())
}

#[cfg(test)]
mod tests;
