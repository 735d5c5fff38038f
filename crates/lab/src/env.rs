//! The lab's names and addresses as shell assignments.

use std::net::Ipv4Addr;

use crate::layout::{
    BRIDGE, BRIDGE_ADDRESS, EXTERNAL, FLAT_LINK, GUEST_NIC, HOST_PUBLIC, NETWORK, PUBLIC_GATEWAY, Place,
    UPLINK, WEB1, WEB2,
};
use crate::place::Lab;
use crate::realm;

/// Names and values, in the order in which `hopline lab env` prints them. The values are not quoted.
///
/// HOLDER and ENTER are empty where the lab is root's.
pub fn env(lab: &Lab) -> Vec<(&'static str, String)> {
    let holder = realm::entrance(&lab.state);
    vec![
        ("STATE", lab.state.display().to_string()),
        ("SITE", lab.site_file().display().to_string()),
        ("DB", lab.database().display().to_string()),
        ("EXT_NS", lab.netns(Place::External)),
        ("GW_NS", lab.netns(Place::Gateway)),
        ("HOST_NS", lab.netns(Place::Compute)),
        ("INST1_NS", lab.netns(Place::Web1)),
        ("INST2_NS", lab.netns(Place::Web2)),
        ("BRIDGE", BRIDGE.to_owned()),
        ("UPLINK", UPLINK.to_owned()),
        ("FLATIF", FLAT_LINK.to_owned()),
        ("TAP1", WEB1.tap.to_owned()),
        ("TAP2", WEB2.tap.to_owned()),
        ("GIF", GUEST_NIC.to_owned()),
        ("EXT_IP", EXTERNAL.addr().to_string()),
        ("PUB_GW", PUBLIC_GATEWAY.addr().to_string()),
        ("HOST_PUB", HOST_PUBLIC.addr().to_string()),
        ("NET", NETWORK.to_string()),
        ("GWIP", BRIDGE_ADDRESS.addr().to_string()),
        ("I1_IP", WEB1.fixed.to_string()),
        ("I2_IP", WEB2.fixed.to_string()),
        ("F1_IP", WEB1.floating.as_ref().map(Ipv4Addr::to_string).unwrap_or_default()),
        ("I1_MAC", WEB1.mac.to_string()),
        ("I2_MAC", WEB2.mac.to_string()),
        ("HOLDER", holder.map(|pid| pid.to_string()).unwrap_or_default()),
        ("ENTER", holder.map(enter_command).unwrap_or_default()),
    ]
}

/// What an ordinary user puts in front of a command to run it in the lab's realm.
pub fn enter_command(holder: i32) -> String {
    format!("nsenter --preserve-credentials -U -m -t {holder}")
}

/// One word for a POSIX shell: left alone where it is plain, else in single quotes.
pub fn shell_quote(word: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/._-:@%+=,".contains(&b);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_only_where_a_shell_would_split_or_expand_them() {
        assert_eq!(shell_quote("/run/hopline/lab"), "/run/hopline/lab");
        assert_eq!(shell_quote("10.0.0.0/16"), "10.0.0.0/16");
        assert_eq!(shell_quote(""), "''");
        assert_eq!(shell_quote("a b$c"), "'a b$c'");
        assert_eq!(shell_quote("it's"), r"'it'\''s'");
    }
}
