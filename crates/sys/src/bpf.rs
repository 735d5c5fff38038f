//! Classic BPF programs: the packet filter that a socket carries (`struct sock_filter`, linux/filter.h).

use std::io;
use std::os::fd::AsFd;

use crate::socket_option;

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
    // The kernel copies the instructions that it points at; `filters` lives until it has.
    socket_option::set(socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &filter)
}
