//! The lab's names and addresses as shell assignments.

use std::net::Ipv4Addr;

use crate::error::LabError;
use crate::layout::{EXTERNAL, FLAT_LINK, GUEST_NIC, Host, PUBLIC_GATEWAY, UPLINK, place};
use crate::operations::instance_named;
use crate::place::Lab;
use crate::{libvirt, manager, realm};

/// Names and values, in the order in which `hopline lab env` prints them. The values are not quoted.
///
/// Instances are numbered in the order of their ids. HOLDER and ENTER are empty where the lab is root's.
pub fn env(lab: &Lab) -> Result<Vec<(String, String)>, LabError> {
    let holder = realm::entrance(&lab.state);
    let cloud = manager::read(lab)?;
    let hosts = lab.shape.hosts();
    let first = hosts.first().cloned().unwrap_or_else(|| Host::compute(1));
    let network = cloud.networks.first();
    let address = |ip: Option<Ipv4Addr>| ip.map(|ip| ip.to_string()).unwrap_or_default();
    let mut pairs = vec![
        ("STATE".to_owned(), lab.state.display().to_string()),
        ("SITE".to_owned(), lab.site_file().display().to_string()),
        ("DB".to_owned(), lab.database_url.clone().unwrap_or_else(|| lab.sqlite().display().to_string())),
        ("EXT_NS".to_owned(), lab.netns(place::EXTERNAL)),
        ("GW_NS".to_owned(), lab.netns(place::GATEWAY)),
        ("FAB_NS".to_owned(), lab.netns(place::FABRIC)),
        ("HOST_NS".to_owned(), lab.netns(&first.name)),
        ("SERVER_NS".to_owned(), lab.netns(&lab.shape.server_of(&first.name))),
        ("BRIDGE".to_owned(), network.map(|network| network.bridge.clone()).unwrap_or_default()),
        ("UPLINK".to_owned(), UPLINK.to_owned()),
        ("FLATIF".to_owned(), FLAT_LINK.to_owned()),
        ("GIF".to_owned(), GUEST_NIC.to_owned()),
        ("EXT_IP".to_owned(), EXTERNAL.addr().to_string()),
        ("PUB_GW".to_owned(), PUBLIC_GATEWAY.addr().to_string()),
        ("HOST_PUB".to_owned(), first.public().addr().to_string()),
        ("NET".to_owned(), network.map(|network| network.cidr.to_string()).unwrap_or_default()),
        ("GWIP".to_owned(), address(network.and_then(|network| network.gateway_on(&first.name)))),
    ];
    for (at, host) in hosts.iter().enumerate().skip(1) {
        pairs.push((format!("HOST{}_NS", at + 1), lab.netns(&host.name)));
    }
    for (at, instance) in cloud.instances.iter().enumerate() {
        let number = at + 1;
        let (_, wanted) = instance_named(&cloud, &instance.name)?;
        let nic = wanted.nics.first();
        let fixed = nic.and_then(|nic| nic.fixed.first().copied());
        let mut floating = cloud.floating.iter();
        let floating = floating.find(|floating| fixed.is_some() && floating.fixed == fixed);
        let taps = libvirt::taps(lab, &instance.host, &wanted.domain())?;
        pairs.extend([
            (format!("INST{number}_NS"), lab.netns(&instance.name)),
            (format!("TAP{number}"), taps.first().cloned().unwrap_or_default()),
            (format!("I{number}_IP"), address(fixed)),
            (format!("I{number}_MAC"), nic.map(|nic| nic.mac.to_string()).unwrap_or_default()),
            (format!("F{number}_IP"), address(floating.map(|floating| floating.address))),
        ]);
    }
    pairs.push(("HOLDER".to_owned(), holder.map(|pid| pid.to_string()).unwrap_or_default()));
    pairs.push(("ENTER".to_owned(), holder.map(enter_command).unwrap_or_default()));
    Ok(pairs)
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
