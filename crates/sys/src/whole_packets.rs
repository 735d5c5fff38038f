//! Packets that nobody may fragment, whatever the kernel has learnt of their path.

use std::io;
use std::os::fd::AsFd;

use crate::socket_option;

/// Makes an IPv4 socket send with DF set, and measure its packets against the link they leave by alone: what ICMP
/// once said of the path's MTU is passed over, so that a probe finds out anew (ip(7), `IP_PMTUDISC_PROBE`). A
/// packet larger than the link is `EMSGSIZE`.
///
/// A header of the caller's own needs this too: it is sent like any other (net/ipv4/ip_output.c
/// `__ip_finish_output`, include/net/ip.h `ip_skb_dst_mtu`).
pub fn probe_path_mtu(socket: &impl AsFd) -> io::Result<()> {
    socket_option::set(socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, &libc::IP_PMTUDISC_PROBE)
}

/// The same for an IPv6 socket, whose sender alone could cut a packet (ipv6(7), `IPV6_PMTUDISC_PROBE`,
/// `IPV6_DONTFRAG`).
pub fn probe_path_mtu_v6(socket: &impl AsFd) -> io::Result<()> {
    let level = libc::IPPROTO_IPV6;
    socket_option::set(socket, level, libc::IPV6_MTU_DISCOVER, &libc::IPV6_PMTUDISC_PROBE)?;
    let yes: libc::c_int = 1;
    socket_option::set(socket, level, libc::IPV6_DONTFRAG, &yes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn a_packet_larger_than_its_link_is_refused_and_not_cut() {
        let netns = crate::netns::unnamed("ht-sys-whole").unwrap();
        let sent = crate::netns::within(&netns, || {
            let up =
                std::process::Command::new("ip").args(["link", "set", "lo", "mtu", "1500", "up"]).status();
            assert!(up.unwrap().success());
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            let to = socket.local_addr().unwrap();
            let large = [0; 2000];
            socket.send_to(&large, to).expect("in pieces");
            probe_path_mtu(&socket).unwrap();
            socket.send_to(&large, to).unwrap_err().raw_os_error()
        });
        assert_eq!(sent.unwrap(), Some(libc::EMSGSIZE));
    }

    #[test]
    fn what_has_no_path_is_an_error() {
        let file = std::fs::File::open("/dev/null").unwrap();
        assert_eq!(probe_path_mtu(&file).unwrap_err().raw_os_error(), Some(libc::ENOTSOCK));
    }
}
