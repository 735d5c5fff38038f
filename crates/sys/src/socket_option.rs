//! Options of sockets that no safe wrapper knows.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// setsockopt(2) with a value as the option's manual page lays it out.
pub(crate) fn set<T>(
    socket: &impl AsFd,
    level: libc::c_int,
    option: libc::c_int,
    value: &T,
) -> io::Result<()> {
    let length = libc::socklen_t::try_from(size_of::<T>()).unwrap_or(0);
    // SAFETY: the kernel reads `length` bytes from the pointer during the call and keeps neither; both describe
    // `value`, which lives until the call returns. A pointer inside it the kernel follows by itself, and only to
    // read: what is not mapped there is EFAULT.
    #[expect(unsafe_code, reason = "options that no safe wrapper knows")]
    let result = unsafe {
        let value: *const T = std::ptr::from_ref(value);
        libc::setsockopt(socket.as_fd().as_raw_fd(), level, option, value.cast(), length)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
