//! Any octets as a text and as a capture that are put under pseudonyms: nothing panics, and the same octets give the same.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let key = format!("hopline.redact-key/1\n{}\n10.0.0.0/16\n", "5a".repeat(32));
    let Ok(key) = bundle::Key::read(&key) else { return };
    let _ = bundle::Key::read(&String::from_utf8_lossy(octets));
    let pseudonyms = bundle::Pseudonyms::of_key(key);
    let text = String::from_utf8_lossy(octets);
    assert_eq!(pseudonyms.text(&text), pseudonyms.text(&text));
    assert_eq!(bundle::redact_capture(&pseudonyms, octets), bundle::redact_capture(&pseudonyms, octets));
});
