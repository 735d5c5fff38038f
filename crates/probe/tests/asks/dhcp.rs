//! DHCP: a DISCOVER through a tap, as an instance's QEMU would write it, and the OFFER that dnsmasq sends back.

use std::fs::File;
use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::time::Instant;

use model::addr::Mac;
use model::dhcp::{DhcpReply, ReplyKind, UdpChecksum};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use probe::dhcp::{Client, Framed, discover_frame, framed, read};

use crate::place::{Chain, PATIENCE, Running, start_dnsmasq};

const CLIENT: Client = Client { mac: Mac([0xfa, 0x16, 0x3e, 1, 2, 3]), transaction: 0x5eed_cafe };
/// The header before each frame of such a tap (linux/virtio_net.h `struct virtio_net_hdr`): nothing is left
/// to the other side.
const VNET_HEADER_BYTES: usize = 10;

/// A bridge with the gateway's address and an instance's tap on it.
struct Host {
    chain: Chain,
    tap: File,
}

impl Host {
    fn new() -> Host {
        let chain = Chain::new(2);
        let tap = sys::tap::open(&chain.fds[1], "vnet0").unwrap();
        chain.ip(1, "link add br100 type bridge");
        chain.ip(1, "addr add 10.0.0.1/24 dev br100");
        chain.ip(1, "link set vnet0 master br100");
        chain.ip(1, "link set vnet0 up");
        chain.ip(1, "link set br100 up");
        Host { chain, tap: tap.into() }
    }

    /// dnsmasq as a DHCP server on the bridge, and nothing else.
    fn dnsmasq(&self, arguments: &[&str]) -> Running {
        let on_the_bridge = ["--port=0", "--interface=br100", "--except-interface=lo"];
        start_dnsmasq(&self.chain.fds[1], &[&on_the_bridge, arguments].concat())
    }

    /// Writes DISCOVERs until one is answered, for dnsmasq may not be up when the first comes; what is read is
    /// the first frame from a server to this client. An earlier client's second OFFER may come before it.
    fn offered(&self, client: &Client, judge: fn(&Framed<'_>)) -> DhcpReply {
        let started = Instant::now();
        let mut frame = vec![0; 4096];
        while started.elapsed() < PATIENCE {
            (&self.tap).write_all(&[&[0; VNET_HEADER_BYTES], &discover_frame(client)[..]].concat()).unwrap();
            while self.is_readable() {
                let length = (&self.tap).read(&mut frame).unwrap();
                let Some(framed) = framed(&frame[VNET_HEADER_BYTES..length]) else { continue };
                match read(framed.payload, client) {
                    Ok(reply) => {
                        judge(&framed);
                        return reply;
                    }
                    Err(problem) if problem.is_for_another() => {}
                    Err(problem) => panic!("{problem}"),
                }
            }
        }
        panic!("no offer");
    }

    fn is_readable(&self) -> bool {
        let mut polled = [PollFd::new(self.tap.as_fd(), PollFlags::POLLIN)];
        poll(&mut polled, PollTimeout::from(200_u16)).unwrap() > 0
    }
}

#[test]
fn dnsmasq_offers_the_address_of_its_host_entry() {
    let host = Host::new();
    let entry = "--dhcp-host=fa:16:3e:01:02:03,web1.novalocal,10.0.0.3";
    // As nova starts it: a static range, and a line for each instance.
    let range = "--dhcp-range=10.0.0.2,static,255.255.255.0,120s";
    let options = ["--dhcp-option=26,1450", "--dhcp-option=6,10.0.0.1,8.8.8.8"];
    let _dnsmasq = host.dnsmasq(&["--leasefile-ro", range, entry, options[0], options[1]]);
    let reply = host.offered(&CLIENT, |framed| {
        assert_eq!((framed.from, framed.to), (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 3)));
        assert_eq!((framed.to_mac, framed.checksum), (CLIENT.mac, UdpChecksum::Right));
    });
    let gateway = Ipv4Addr::new(10, 0, 0, 1);
    assert_eq!((reply.kind, reply.address), (ReplyKind::Offer, Some(Ipv4Addr::new(10, 0, 0, 3))));
    assert_eq!((reply.server, reply.routers, reply.prefix_bits), (Some(gateway), vec![gateway], Some(24)));
    assert_eq!(reply.dns, [gateway, Ipv4Addr::new(8, 8, 8, 8)]);
    assert_eq!((reply.mtu, reply.lease_s), (Some(1450), Some(120)));
}

#[test]
fn a_discover_takes_no_lease() {
    let host = Host::new();
    let folder = tempfile::tempdir().unwrap();
    let leases = folder.path().join("leases");
    let keeping = format!("--dhcp-leasefile={}", leases.display());
    // One address for everybody: were it taken by the first, the second would be offered nothing.
    let _dnsmasq = host.dnsmasq(&["--no-ping", "--dhcp-range=10.0.0.3,10.0.0.3,120s", &keeping]);
    let other = Client { mac: Mac([0xfa, 0x16, 0x3e, 9, 9, 9]), transaction: 7 };
    for client in [CLIENT, other] {
        assert_eq!(host.offered(&client, |_| {}).address, Some(Ipv4Addr::new(10, 0, 0, 3)));
    }
    assert_eq!(std::fs::read_to_string(leases).unwrap(), "");
}
