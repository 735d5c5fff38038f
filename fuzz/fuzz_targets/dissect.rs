//! Any octets as a frame of any link type: nothing panics, tunnels end, and what is cut off is no worse.

#![no_main]

use libfuzzer_sys::fuzz_target;
use parse::capture::Frame;
use parse::dissect::{self, Options};

fuzz_target!(|octets: &[u8]| {
    for link_type in [0, 1, 101, 113, 276] {
        for snap_length in [None, Some(96)] {
            let length = u32::try_from(octets.len()).unwrap_or(u32::MAX);
            let frame = Frame { number: 1, time_ns: 0, interface: 0, link_type, data: octets, length };
            let seen = dissect::sighting(&frame, 0, &Options::for_snap_length(snap_length));
            assert!(seen.is_none_or(|seen| seen.identity != 0), "a packet without an identity");
            let _ = dissect::cooked_interface(link_type, octets);
        }
    }
});
