//! DHCP options that dnsmasq sends, as `--dhcp-option` has them: `[tag:TAG,]NUMBER|option:NAME,VALUE,...`.

use std::net::Ipv4Addr;

/// The options of a `--dhcp-optsfile`, which nova writes as `nova-BR.opts`: one a line, `#` and what follows passed
/// over (`one_file`, src/option.c).
pub fn optsfile(text: &str) -> Vec<String> {
    let written = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    written.filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// The options that a `--conf-file` names: `dhcp-option=...`, `dhcp-option-force=...`.
pub fn conf_file(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    let named = lines.filter_map(|line| line.split_once('='));
    let options = named.filter(|(name, _)| is_option(name.trim()));
    options.map(|(_, value)| value.trim().to_owned()).collect()
}

/// Whether a long option's name says that what follows is a DHCP option.
pub(crate) fn is_option(name: &str) -> bool {
    matches!(name, "dhcp-option" | "dhcp-option-force")
}

/// The DNS servers that options give to every client, in order: option 6 without a tag. An address of zeros is the
/// server's own (dnsmasq(8), `--dhcp-option`), and left out.
pub fn dns_servers(options: &[String]) -> Vec<Ipv4Addr> {
    let mut servers = Vec::new();
    for option in options {
        let mut words = option.split(',').map(str::trim);
        if !matches!(words.next(), Some("6" | "option:dns-server")) {
            continue;
        }
        let named = words.filter_map(|word| word.parse::<Ipv4Addr>().ok());
        servers.extend(named.filter(|ip| !ip.is_unspecified()));
    }
    servers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_from_both_kinds_of_files() {
        let read = optsfile("3,10.0.0.1\n# by hand\n6,9.9.9.9 # ours\n\n");
        assert_eq!(read, ["3,10.0.0.1", "6,9.9.9.9"]);
        let read =
            conf_file("log-dhcp\ndhcp-option = 26,1400\ndhcp-option-force=6,1.1.1.1\nserver=8.8.8.8\n");
        assert_eq!(read, ["26,1400", "6,1.1.1.1"]);
    }

    #[test]
    fn servers_for_every_client_are_told_from_those_for_some() {
        let servers = |option: &str| dns_servers(&[option.to_owned()]);
        let own = Ipv4Addr::new(9, 9, 9, 9);
        assert_eq!(servers("6,9.9.9.9,1.1.1.1"), [own, Ipv4Addr::new(1, 1, 1, 1)]);
        assert_eq!(servers("option:dns-server, 9.9.9.9"), [own]);
        for other in ["6,0.0.0.0", "tag:blue,6,9.9.9.9", "3,9.9.9.9", "6", "6,ns.example", "66,9.9.9.9", ""] {
            assert_eq!(servers(other), [] as [Ipv4Addr; 0], "{other}");
        }
    }
}
