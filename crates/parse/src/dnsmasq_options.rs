//! DHCP options that dnsmasq sends, as `--dhcp-option` has them: `[tag:TAG,]NUMBER|option:NAME,VALUE,...`.

use std::net::Ipv4Addr;

use model::service::{Dnsmasq, FileLine};

/// Adds what a server's files say to what its arguments do. `read` gives the text of one, where it is to be had.
pub fn add_files(server: &mut Dnsmasq, mut read: impl FnMut(&str) -> Option<String>) {
    let kinds: [(_, Reader); 2] =
        [(server.opts_file.clone(), optsfile), (server.conf_file.clone(), conf_file)];
    for (file, of_text) in kinds {
        let Some((file, text)) = file.and_then(|file| read(&file).map(|text| (file, text))) else { continue };
        for (line, option) in of_text(&text) {
            server.options.push(option);
            server.option_lines.push(FileLine { file: file.clone(), line });
        }
    }
    server.offered_dns = dns_servers(&server.options);
}

/// The options of a file, each with its 1-based line.
type Reader = fn(&str) -> Vec<(u32, String)>;

/// The options of a `--dhcp-optsfile`, which nova writes as `nova-BR.opts`: one a line, `#` and what follows passed
/// over (`one_file`, src/option.c).
pub fn optsfile(text: &str) -> Vec<(u32, String)> {
    let written = numbered(text).map(|(line, text)| (line, text.trim()));
    written.filter(|(_, text)| !text.is_empty()).map(|(line, text)| (line, text.to_owned())).collect()
}

/// The options that a `--conf-file` names: `dhcp-option=...`, `dhcp-option-force=...`.
pub fn conf_file(text: &str) -> Vec<(u32, String)> {
    let named = numbered(text).filter_map(|(line, text)| Some((line, text.split_once('=')?)));
    let options = named.filter(|(_, (name, _))| is_option(name.trim()));
    options.map(|(line, (_, value))| (line, value.trim().to_owned())).collect()
}

/// Lines without their comments.
fn numbered(text: &str) -> impl Iterator<Item = (u32, &str)> {
    (1..).zip(text.lines().map(|line| line.split('#').next().unwrap_or_default()))
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
        let owned = |read: &[(u32, &str)]| -> Vec<(u32, String)> {
            read.iter().map(|(line, option)| (*line, (*option).to_owned())).collect()
        };
        let opts = "3,10.0.0.1
# by hand
6,9.9.9.9 # ours

";
        assert_eq!(optsfile(opts), owned(&[(1, "3,10.0.0.1"), (3, "6,9.9.9.9")]));
        let conf = "log-dhcp
dhcp-option = 26,1400
dhcp-option-force=6,1.1.1.1
server=8.8.8.8
";
        assert_eq!(conf_file(conf), owned(&[(2, "26,1400"), (3, "6,1.1.1.1")]));
    }

    #[test]
    fn what_files_say_comes_behind_the_arguments_with_its_places() {
        let mut server = Dnsmasq {
            options: vec!["26,1400".to_owned()],
            opts_file: Some("opts".to_owned()),
            conf_file: Some("conf".to_owned()),
            ..Dnsmasq::default()
        };
        add_files(&mut server, |file| {
            (file == "opts").then(|| {
                "# nova
3,10.0.0.1
6,9.9.9.9"
                    .to_owned()
            })
        });
        assert_eq!(server.options, ["26,1400", "3,10.0.0.1", "6,9.9.9.9"]);
        let at = |line| FileLine { file: "opts".to_owned(), line };
        assert_eq!(server.option_lines, [at(2), at(3)]);
        assert_eq!(server.offered_dns, [Ipv4Addr::new(9, 9, 9, 9)]);
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
