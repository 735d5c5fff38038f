//! What a device's driver does by itself, as ethtool(8) asks it. Changes nothing and leaves nothing behind.

use std::io;
use std::os::fd::AsRawFd;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

/// `ETHTOOL_GTXCSUM` (linux/ethtool.h).
const GET_TX_CHECKSUM: u32 = 0x16;

/// `struct ethtool_value`.
#[repr(C)]
struct Value {
    command: u32,
    data: u32,
}

/// Whether this link of the calling thread's namespace sends packets whose checksum is yet to be filled in, as
/// `ethtool -k` shows under `tx-checksumming`. Needs no privilege. Fails with `ENODEV` where there is no such link.
pub fn leaves_checksums(link: &str) -> io::Result<bool> {
    let mut request =
        libc::ifreq { ifr_name: name(link)?, ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_flags: 0 } };
    let mut value = Value { command: GET_TX_CHECKSUM, data: 0 };
    request.ifr_ifru.ifru_data = (&raw mut value).cast();
    let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    // SAFETY: the kernel reads the name and the pointer from `request`, and through the pointer reads a command and
    // writes one word into `value` (`ethtool_get_one_feature`, net/ethtool/ioctl.c); both live until the call
    // returns.
    #[expect(unsafe_code, reason = "no safe wrapper asks ethtool")]
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL, &raw mut request) };
    if result == 0 { Ok(value.data != 0) } else { Err(io::Error::last_os_error()) }
}

/// A link's name as `struct ifreq` has it: at most 15 bytes and a zero.
fn name(link: &str) -> io::Result<[libc::c_char; libc::IFNAMSIZ]> {
    let mut name = [0; libc::IFNAMSIZ];
    if link.len() >= libc::IFNAMSIZ {
        return Err(io::Error::from_raw_os_error(libc::ENODEV));
    }
    for (place, byte) in name.iter_mut().zip(link.bytes()) {
        *place = libc::c_char::from_ne_bytes([byte]);
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::leaves_checksums;

    #[test]
    fn the_loopback_never_fills_checksums_in() {
        assert!(leaves_checksums("lo").unwrap());
    }

    #[test]
    fn what_is_no_link_is_refused() {
        for link in ["no-such-link", "longer-than-any-link", ""] {
            assert!(leaves_checksums(link).is_err(), "{link}");
        }
    }
}
