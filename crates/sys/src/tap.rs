//! Taps: links whose other end is a program (`Documentation/networking/tuntap.rst`).

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use crate::netns::{self, NetnsFd};

/// `struct ifreq` as far as TUNSETIFF reads it.
#[repr(C)]
struct Request {
    name: [u8; libc::IFNAMSIZ],
    flags: libc::c_short,
    rest: [u8; 22],
}

/// What libvirt makes for an instance: a tap whose frames have no header of the tap's own, but the one in which
/// both sides leave checksums and segments to each other.
const FLAGS: libc::c_int = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR;

/// Makes a tap of this name in a namespace, down, for a virtual machine's NIC.
///
/// It is there as long as the descriptor, or a copy of it in any process, is open: nothing is left behind.
pub fn open(netns: &NetnsFd, name: &str) -> io::Result<OwnedFd> {
    // A name with % is a pattern to the kernel, and an empty one its choice.
    if name.is_empty() || name.len() >= libc::IFNAMSIZ || name.contains(['\0', '%', '/']) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{name:?} cannot be a link's name")));
    }
    let mut request = Request { name: [0; libc::IFNAMSIZ], flags: 0, rest: [0; 22] };
    request.name.iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = from);
    request.flags = libc::c_short::try_from(FLAGS).map_err(io::Error::other)?;
    // The tap belongs to the namespace that its file was opened in (`drivers/net/tun.c tun_chr_open`).
    let opened = netns::within(netns, || File::options().read(true).write(true).open("/dev/net/tun"));
    let tap = opened.map_err(io::Error::other)??;
    // SAFETY: `request` is laid out as `struct ifreq` and as large, lives through the call, and ends its name
    // with a NUL.
    #[expect(unsafe_code, reason = "a tap is named by ioctl(2)")]
    let done = unsafe { libc::ioctl(tap.as_raw_fd(), libc::TUNSETIFF, &raw mut request) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(tap.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn a_tap_is_there_as_long_as_its_descriptor() {
        let netns = netns::unnamed("ht-sys-tap").unwrap();
        let links = || {
            let listed = netns::within(&netns, || std::fs::read_to_string("/proc/thread-self/net/dev"));
            listed.unwrap().unwrap()
        };
        let tap = open(&netns, "vnet0").unwrap();
        let copy = tap.try_clone().unwrap();
        assert!(open(&netns, "vnet0").is_err(), "it is held already");
        drop(tap);
        assert!(links().contains("vnet0:"));
        drop(copy);
        assert!(!links().contains("vnet0:"));
        assert!(!Path::new("/sys/class/net/vnet0").exists(), "not in this namespace");
    }

    #[test]
    fn what_cannot_be_a_name_is_refused() {
        let netns = netns::unnamed("ht-sys-tap-names").unwrap();
        for name in ["", "tap%d", "a/b", "a\0b", "sixteen-letters-"] {
            assert_eq!(open(&netns, name).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{name:?}");
        }
    }
}
