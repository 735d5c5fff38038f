//! What a TCP socket says first, and how long the answer to it took.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use crate::socket_option;

/// Chooses the sequence number of the SYN that `connect` will send, which tells it from all others on
/// its way: nothing rewrites it. 0 would leave the choice to the kernel.
///
/// By way of repair mode (`net/ipv4/tcp.c do_tcp_setsockopt`, `TCP_REPAIR`), which is left again; needs
/// CAP_NET_ADMIN over the socket's namespace. The socket must be neither connected nor listening.
pub fn set_first_sequence(socket: &impl AsFd, number: u32) -> io::Result<()> {
    set(socket, libc::TCP_REPAIR, 1)?;
    // TCP_SEND_QUEUE (linux/tcp.h).
    set(socket, libc::TCP_REPAIR_QUEUE, 2)?;
    set(socket, libc::TCP_QUEUE_SEQ, number.cast_signed())?;
    set(socket, libc::TCP_REPAIR, 0)
}

fn set(socket: &impl AsFd, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    socket_option::set(socket, libc::IPPROTO_TCP, option, &value)
}

/// How long the SYN of a connection that stands was answered after, by the kernel's clock for both, to the microsecond
/// (tcp(7), `TCP_INFO`). `None` where the SYN was sent again, for which of them was answered is not known (RFC 6298,
/// 3), and where nothing was measured. What is sent and acknowledged later counts in: it is to be asked before.
pub fn handshake(socket: &impl AsFd) -> io::Result<Option<Duration>> {
    // SAFETY: all its fields are numbers, and none of them may not be zero.
    #[expect(unsafe_code, reason = "libc has no value of it to begin with")]
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut length = libc::socklen_t::try_from(size_of::<libc::tcp_info>()).unwrap_or(0);
    // SAFETY: the kernel writes at most `length` bytes, the size of `info`, and then `length`.
    #[expect(unsafe_code, reason = "no safe wrapper reads it")]
    let result = unsafe {
        let info: *mut libc::tcp_info = &raw mut info;
        let socket = socket.as_fd().as_raw_fd();
        libc::getsockopt(socket, libc::IPPROTO_TCP, libc::TCP_INFO, info.cast(), &raw mut length)
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    let measured = Duration::from_micros(u64::from(info.tcpi_rtt));
    Ok(Some(measured).filter(|took| info.tcpi_total_retrans == 0 && !took.is_zero()))
}
