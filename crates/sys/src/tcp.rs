//! What a TCP socket says first.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

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
    let length = libc::socklen_t::try_from(size_of::<libc::c_int>()).unwrap_or(4);
    // SAFETY: the kernel reads `length` bytes from the pointer during the call and keeps neither; both
    // describe `value`, which lives until the call returns.
    #[expect(unsafe_code, reason = "no safe wrapper knows TCP's repair mode")]
    let result = unsafe {
        let value: *const libc::c_int = &raw const value;
        libc::setsockopt(socket.as_fd().as_raw_fd(), libc::IPPROTO_TCP, option, value.cast(), length)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
