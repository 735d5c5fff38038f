//! Classic BPF programs: the packet filter that a socket carries (`struct sock_filter`, linux/filter.h).

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// One instruction, laid out as `struct sock_filter`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    /// Operation.
    pub code: u16,
    /// How many instructions to skip where the condition holds.
    pub jt: u8,
    /// And where it does not.
    pub jf: u8,
    /// Operand.
    pub k: u32,
}

/// The longest program that the kernel takes (`BPF_MAXINSNS`).
pub const INSTRUCTIONS_MAX: usize = 4096;

/// A program that takes no packet.
pub const NOTHING: [Instruction; 1] = [Instruction { code: 0x06, jt: 0, jf: 0, k: 0 }];

/// Hangs a filter on a socket, in place of the one that is there; the kernel checks it and keeps a copy
/// (`SO_ATTACH_FILTER`, socket(7)). `EINVAL`: empty, too long, or a jump that leaves the program.
pub fn attach(socket: &impl AsFd, program: &[Instruction]) -> io::Result<()> {
    let length = u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let filters: Vec<libc::sock_filter> =
        program.iter().map(|i| libc::sock_filter { code: i.code, jt: i.jt, jf: i.jf, k: i.k }).collect();
    let filter = libc::sock_fprog { len: length, filter: filters.as_ptr().cast_mut() };
    let size = libc::socklen_t::try_from(size_of::<libc::sock_fprog>()).unwrap_or(0);
    // SAFETY: the kernel reads one `sock_fprog` and the `len` instructions it points at during the call,
    // writes to neither and keeps no pointer; `filter` and `filters` live until the call returns.
    #[expect(unsafe_code, reason = "no safe wrapper takes a filter program")]
    let result = unsafe {
        let pointer: *const libc::sock_fprog = &raw const filter;
        let socket = socket.as_fd().as_raw_fd();
        libc::setsockopt(socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, pointer.cast(), size)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
