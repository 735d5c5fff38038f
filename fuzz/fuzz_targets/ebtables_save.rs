//! Any bytes as a dump of ebtables-save: nothing panics.

#![no_main]

use libfuzzer_sys::fuzz_target;
use model::netfilter::Dialect;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    for dialect in [Dialect::EbtablesNft, Dialect::EbtablesLegacy] {
        let _ = parse::ebtables_save::parse(&text, dialect);
    }
});
