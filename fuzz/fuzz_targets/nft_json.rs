//! Any bytes as `nft -j list ruleset`: nothing panics, and what is not empty is not silently empty.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let read = parse::nft_json::parse(&text, &|_, _| false);
    let silent = read.value.is_empty() && read.problems.is_empty();
    assert!(!(silent && text.contains("\"rule\":")), "a silently empty ruleset");
});
