//! BPF programs and maps as bpf(2) makes them. Each belongs to its descriptor, and an attachment to the descriptor
//! that it is: nothing is pinned, so nothing is left behind, however the process ends.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

mod map;

pub use map::Map;

/// Commands of bpf(2) (linux/bpf.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    /// `BPF_MAP_CREATE`.
    MapCreate = 0,
    /// `BPF_MAP_UPDATE_ELEM`.
    MapUpdate = 2,
    /// `BPF_PROG_LOAD`.
    ProgramLoad = 5,
    /// `BPF_PROG_TEST_RUN`.
    ProgramTestRun = 10,
    /// `BPF_RAW_TRACEPOINT_OPEN`.
    RawTracepointOpen = 17,
    /// `BPF_MAP_LOOKUP_AND_DELETE_ELEM`.
    MapTake = 21,
    /// `BPF_MAP_FREEZE`.
    MapFreeze = 22,
}

/// What a program hangs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A classifier of packets.
    Classifier = 3,
    /// What a driver asks about a frame.
    Xdp = 6,
    /// A tracepoint's arguments as they are.
    RawTracepoint = 17,
}

/// Bytes of the verifier's log: enough for the place at which it stopped.
const LOG_BYTES: usize = 1 << 18;

/// The part of `union bpf_attr` that loads a program. No field is followed by padding, which the kernel demands
/// to be zero.
#[repr(C, align(8))]
#[derive(Default)]
struct Load {
    kind: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
}

/// The part that hangs one on a tracepoint.
#[repr(C, align(8))]
#[derive(Default)]
struct RawTracepoint {
    name: u64,
    program: u32,
    zero: u32,
}

/// Loads a program of the kernel's 64-bit instructions: operation, registers, offset, operand.
pub fn load(kind: Kind, instructions: &[u64]) -> io::Result<OwnedFd> {
    load_with(kind, instructions, Load::default())
}

/// What the verifier has against a program that the kernel does not load: the last lines of its log.
pub fn objection(kind: Kind, instructions: &[u64]) -> String {
    /// Lines that tell where it stopped and why.
    const LINES: usize = 3;
    let mut log = vec![0_u8; LOG_BYTES];
    let log_size = u32::try_from(log.len()).unwrap_or(0);
    let logging = Load { log_level: 1, log_size, log: address(log.as_mut_ptr()), ..Load::default() };
    let loaded = load_with(kind, instructions, logging);
    let text = CStr::from_bytes_until_nul(&log).map(CStr::to_string_lossy).unwrap_or_default();
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("processed ")).collect();
    let last = lines.get(lines.len().saturating_sub(LINES)..).unwrap_or_default().join("; ");
    match loaded {
        Err(error) if last.is_empty() => error.to_string(),
        Ok(_) | Err(_) => last,
    }
}

fn load_with(kind: Kind, instructions: &[u64], logging: Load) -> io::Result<OwnedFd> {
    let mut attributes = Load {
        kind: kind as u32,
        instruction_count: u32::try_from(instructions.len()).unwrap_or(0),
        instructions: address(instructions.as_ptr()),
        license: address(c"GPL".as_ptr()),
        ..logging
    };
    // SAFETY: the kernel reads `attributes` and, during the call, the program and the licence at the addresses in
    // it, and writes the log to the one there, of the length told; all live until it returns.
    #[expect(unsafe_code, reason = "no safe wrapper loads a BPF program")]
    unsafe {
        open(Command::ProgramLoad, (&raw mut attributes).cast(), size_of::<Load>())
    }
}

/// Has a program run whenever the kernel comes to this tracepoint, as long as the descriptor that is returned is open.
pub fn attach_raw_tracepoint(name: &CStr, program: &OwnedFd) -> io::Result<OwnedFd> {
    let program = number(program)?;
    let mut attributes = RawTracepoint { name: address(name.as_ptr()), program, zero: 0 };
    // SAFETY: the kernel reads `attributes` and the name at the address in it during the call.
    #[expect(unsafe_code, reason = "no safe wrapper opens a raw tracepoint")]
    unsafe {
        open(Command::RawTracepointOpen, (&raw mut attributes).cast(), size_of::<RawTracepoint>())
    }
}

/// A descriptor as bpf(2) takes it.
pub(crate) fn number(fd: &impl AsFd) -> io::Result<u32> {
    u32::try_from(fd.as_fd().as_raw_fd()).map_err(io::Error::other)
}

/// A pointer as bpf(2) takes it.
pub(crate) fn address<T>(pointer: *const T) -> u64 {
    u64::try_from(pointer.addr()).unwrap_or(0)
}

/// The system call, of a command that returns a descriptor.
///
/// # Safety
///
/// As of [`bpf`].
#[expect(unsafe_code, reason = "the system call has no safe wrapper")]
unsafe fn open(command: Command, attributes: *mut libc::c_void, bytes: usize) -> io::Result<OwnedFd> {
    // SAFETY: the caller vouches for what is pointed to.
    let fd = unsafe { bpf(command, attributes, bytes) }?;
    // SAFETY: the descriptor was just made (close-on-exec, as all of bpf(2)), and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The system call. `EAGAIN` is the verifier having been interrupted (bpf(2)).
///
/// # Safety
///
/// `attributes` points to so many bytes, and what they point to is as `command` wants it.
#[expect(unsafe_code, reason = "the system call has no safe wrapper")]
pub(crate) unsafe fn bpf(command: Command, attributes: *mut libc::c_void, bytes: usize) -> io::Result<i32> {
    loop {
        // SAFETY: the caller vouches for what is pointed to; the call keeps no pointer.
        let result = unsafe { libc::syscall(libc::SYS_bpf, command as libc::c_int, attributes, bytes) };
        if result >= 0 {
            return i32::try_from(result).map_err(io::Error::other);
        }
        let error = io::Error::last_os_error();
        if !matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EINTR)) {
            return Err(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_verifier_has_against_a_program_is_told() {
        // r0 is never written.
        let program = [0x95];
        let error = load(Kind::RawTracepoint, &program).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EACCES));
        let objection = objection(Kind::RawTracepoint, &program);
        assert!(objection.contains("R0 !read_ok"), "{objection}");
    }

    #[test]
    fn a_tracepoint_that_is_not_there_is_an_error() {
        // r0 = 0, exit.
        let program = load(Kind::RawTracepoint, &[0xb7, 0x95]).unwrap();
        let error = attach_raw_tracepoint(c"no_such_tracepoint", &program).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
        drop(attach_raw_tracepoint(c"kfree_skb", &program).unwrap());
    }
}
