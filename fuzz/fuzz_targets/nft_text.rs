//! Any bytes as `nft -a list ruleset`: nothing panics, and what is not empty is not silently empty.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let read = parse::nft_text::parse(&text, &|_, _| false);
    let said = text.lines().any(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
    assert!(!(said && read.value.is_empty() && read.problems.is_empty()), "a silently empty ruleset");
});
