//! Any octets behind the head of a pcapng section, as they are and packed: nothing panics, and reading ends.

#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use parse::capture::{self, Opened};

fuzz_target!(|octets: &[u8]| {
    let head = b"\x0a\x0d\x0d\x0a\x1c\0\0\0\x4d\x3c\x2b\x1a\x01\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\x1c\0\0\0";
    for file in [[&head[..], octets].concat(), octets.to_vec()] {
        let length = file.len();
        let is_plain = file.starts_with(head);
        let Ok(Opened::Capture(mut capture)) = capture::open(Cursor::new(file)) else { continue };
        let mut read = 0;
        while let Ok(Some(frame)) = capture.next_frame() {
            read += 16 + frame.data.len();
            assert!(!is_plain || read <= length, "more is read than there is");
        }
        let _ = (capture.interfaces().len(), capture.snap_length());
    }
});
