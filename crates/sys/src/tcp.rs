//! What a TCP socket says first.

use std::io;
use std::os::fd::AsFd;

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
