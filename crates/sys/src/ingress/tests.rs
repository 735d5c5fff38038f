//! Frames given to a tap in a namespace without a name; what a packet ring on it sees tells.

use std::time::{Duration, Instant};

use super::*;
use crate::bpf::Instruction;
use crate::netns;
use crate::packet_ring::{Ring, RingSize, Way as Seen};
use crate::tap;

const SIZE: RingSize = RingSize { block_bytes: 1 << 16, blocks: 2, retire_ms: 4 };
const EVERYTHING: [Instruction; 1] = [Instruction { code: 0x06, jt: 0, jf: 0, k: 256 }];
/// An EtherType for local experiments (IEEE 802, 0x88b5): no protocol takes it.
const FRAME: [u8; 20] = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5, b'h', b'o', b'p', 0, 0, 0];

fn index_of(name: &str) -> u32 {
    nix::net::if_::if_nametoindex(name).unwrap()
}

/// Frames that came in over the device until `count` have, as their bytes.
fn received(ring: &mut Ring, count: usize) -> Vec<Vec<u8>> {
    let deadline = Instant::now() + Duration::from_secs(5);
    let mut found = Vec::new();
    while found.len() < count {
        assert!(Instant::now() < deadline, "{found:?}");
        ring.wait(Duration::from_millis(100)).unwrap();
        while let Some(block) = ring.next_block() {
            let ours =
                block.frames().filter(|frame| frame.bytes.starts_with(&FRAME) && frame.way != Seen::Out);
            found.extend(ours.map(|frame| frame.bytes.to_vec()));
        }
    }
    found
}

fn is_seen_as_received(label: &str, way: Way, expected_bytes: usize) {
    let netns = netns::unnamed(label).unwrap();
    let _tap = tap::open(&netns, "vnet0").unwrap();
    netns::within(&netns, || {
        let status = std::process::Command::new("ip").args(["link", "set", "vnet0", "up"]).status();
        assert!(status.unwrap().success());
        let mut ring = Ring::open(SIZE).unwrap();
        ring.filter(&EVERYTHING).unwrap();
        ring.bind(index_of("vnet0")).unwrap();
        let mut ingress = Ingress::open(index_of("vnet0"), way).unwrap();
        ingress.receive(&FRAME).unwrap();
        ingress.receive(&FRAME).unwrap();
        assert_eq!(ingress.way(), way);
        let lengths: Vec<usize> = received(&mut ring, 2).iter().map(Vec::len).collect();
        assert_eq!(lengths, [expected_bytes; 2]);
    })
    .unwrap();
}

#[test]
fn a_live_frame_is_received_as_it_is() {
    is_seen_as_received("ht-sys-live", Way::LiveFrames, FRAME.len());
}

#[test]
fn a_redirected_frame_is_received_padded_as_a_wire_would() {
    is_seen_as_received("ht-sys-redirect", Way::Redirect, PADDED_BYTES);
}

#[test]
fn a_device_that_is_not_there_and_frames_of_no_length_are_refused() {
    let netns = netns::unnamed("ht-sys-no-device").unwrap();
    netns::within(&netns, || {
        for way in [Way::LiveFrames, Way::Redirect] {
            let mut ingress = Ingress::open(12345, way).unwrap();
            let refused = ingress.receive(&FRAME).unwrap_err();
            assert!(matches!(refused, IngressError::NoDevice { index: 12345 }), "{way:?}: {refused}");
            for bytes in [0, 13, 3401, 1 << 20] {
                let refused = ingress.receive(&vec![0; bytes]).unwrap_err();
                assert!(matches!(refused, IngressError::Length { .. }), "{way:?} {bytes}: {refused}");
            }
        }
    })
    .unwrap();
}

#[test]
fn a_missing_privilege_is_told_with_its_remedy() {
    let refused = failed("load a BPF program", io::Error::from_raw_os_error(libc::EPERM));
    assert!(refused.is_permission());
    for word in ["load a BPF program", "CAP_BPF", "CAP_NET_ADMIN", "not permitted"] {
        assert!(refused.to_string().contains(word), "{refused}");
    }
    let too_old = failed("run a BPF program on a frame", io::Error::from_raw_os_error(libc::EINVAL));
    assert!(!too_old.is_permission() && too_old.to_string().contains("Linux 4.12"), "{too_old}");
}
