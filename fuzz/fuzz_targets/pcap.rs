//! Any octets as the packets of a pcap file: nothing panics, every packet lies within the file, and reading ends.

#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use parse::capture::{self, Opened};

fuzz_target!(|octets: &[u8]| {
    let magics = [[0xd4, 0xc3, 0xb2, 0xa1], [0xa1, 0xb2, 0xc3, 0xd4], [0x4d, 0x3c, 0xb2, 0xa1]];
    for magic in magics {
        let file = [&magic[..], octets].concat();
        let length = file.len();
        let Ok(Opened::Capture(mut capture)) = capture::open(Cursor::new(file)) else { continue };
        let mut read = 24;
        while let Ok(Some(frame)) = capture.next_frame() {
            read += 16 + frame.data.len();
            assert!(read <= length, "more is read than there is");
        }
    }
});
