//! Names of hosts, as `nova.conf`, nova's rows and the system write them: with a domain or without.

use std::net::Ipv4Addr;

/// A host's name without its domain, in small letters; an address has no domain. MySQL gives one of several names that
/// differ in capitals alone, and means all of them by it.
pub(crate) fn short(name: &str) -> String {
    let name = name.trim_end();
    let is_address = name.parse::<Ipv4Addr>().is_ok();
    let short = if is_address { name } else { name.split('.').next().unwrap_or_default() };
    short.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_no_part_of_a_name_and_an_address_has_none() {
        let names = ["A.example", "a ", "10.0.0.5", "10.0.0.6"].map(short);
        assert_eq!(names, ["a", "a", "10.0.0.5", "10.0.0.6"]);
    }
}
