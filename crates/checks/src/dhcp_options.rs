//! DHCP options that a dnsmasq is told to send, with the place where each is written and what puts it right there.

use std::net::Ipv4Addr;

use model::finding::{Evidence, EvidenceKind};
use model::service::{Dnsmasq, FileLine};

use crate::edited;
use crate::evidence;
use crate::view::Seat;

/// An option that instances go by (RFC 2132).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// 3: default gateways.
    Router,
    /// 6: DNS servers.
    Dns,
    /// 26: the link's MTU.
    Mtu,
}

/// One option as it is written.
#[derive(Clone, Copy)]
pub(crate) struct Written<'v> {
    pub(crate) option: &'v str,
    pub(crate) place: Place<'v>,
    /// No tag stands before it: every client is sent it.
    pub(crate) is_for_all: bool,
}

/// Where it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place<'v> {
    /// Among the arguments.
    Argument,
    /// In the file of options, which nova writes and a SIGHUP has dnsmasq read again.
    Options(&'v FileLine),
    /// In the configuration, which is read when dnsmasq starts and not again.
    Configuration(&'v FileLine),
    /// The facts do not tell.
    Untold,
}

/// The options of a kind that a server is told to send: its arguments' first, then its files'.
pub(crate) fn written(server: &Dnsmasq, kind: Kind) -> Vec<Written<'_>> {
    let behind = server.options.len().saturating_sub(server.option_lines.len());
    let place =
        |at: usize, option: &str| match at.checked_sub(behind).and_then(|at| server.option_lines.get(at)) {
            Some(line) if server.opts_file.as_ref() == Some(&line.file) => Place::Options(line),
            Some(line) => Place::Configuration(line),
            None if server.argv.iter().any(|argument| is_argument(argument, option)) => Place::Argument,
            None => Place::Untold,
        };
    let options = server.options.iter().enumerate();
    let of_kind = options.filter_map(|(at, option)| {
        let is_for_all = option.split(',').next().is_some_and(is_number);
        let is_it = number(option).is_some_and(|number| kind.is_called(number));
        is_it.then(|| Written { option, place: place(at, option), is_for_all })
    });
    of_kind.collect()
}

impl Kind {
    /// By its number, or by dnsmasq's name for it.
    fn is_called(self, word: &str) -> bool {
        match self {
            Kind::Router => matches!(word, "3" | "option:router"),
            Kind::Dns => matches!(word, "6" | "option:dns-server"),
            Kind::Mtu => matches!(word, "26" | "option:mtu"),
        }
    }

    /// What nova writes of it for a gateway; of the others nothing.
    fn meant(self, gateway: Ipv4Addr) -> Option<String> {
        match self {
            Kind::Router => Some(format!("3,{gateway}")),
            Kind::Dns | Kind::Mtu => None,
        }
    }
}

/// `--dhcp-option=OPTION`, or the word behind `--dhcp-option`.
fn is_argument(argument: &str, option: &str) -> bool {
    let attached = ["--dhcp-option=", "--dhcp-option-force=", "-O"];
    argument == option || attached.iter().any(|name| argument.strip_prefix(name) == Some(option))
}

fn is_number(word: &str) -> bool {
    let word = word.trim();
    word.starts_with("option:") || word.parse::<u8>().is_ok()
}

/// The word that says which option it is, behind all tags. Of IPv6's and of vendors' own nothing is known here.
fn number(option: &str) -> Option<&str> {
    let is_tag =
        |word: &&str| !word.contains(':') || ["tag:", "set:", "net:"].iter().any(|tag| word.starts_with(tag));
    option
        .split(',')
        .map(str::trim)
        .find(|word| is_number(word) || !is_tag(word))
        .filter(|word| is_number(word))
}

impl<'v> Written<'v> {
    /// What is sent: nothing, where the option is only named, which keeps dnsmasq from sending it.
    pub(crate) fn values(&self) -> impl Iterator<Item = &'v str> {
        let words = self.option.split(',').map(str::trim).skip_while(|word| !is_number(word)).skip(1);
        words.filter(|word| !word.is_empty())
    }

    /// An address is among what is sent.
    pub(crate) fn names(&self, address: Ipv4Addr) -> bool {
        self.values().any(|word| word.parse() == Ok(address))
    }

    /// The line, or the argument, and where it is seen.
    pub(crate) fn evidence(&self, seat: &Seat, server: &Dnsmasq) -> Evidence {
        match self.place {
            Place::Argument => evidence::state(
                seat.server_ns,
                &format!("ps -ww -o args= -p {}", server.pid),
                format!("--dhcp-option={}", self.option),
            ),
            Place::Options(FileLine { file, line }) | Place::Configuration(FileLine { file, line }) => {
                evidence::record(EvidenceKind::Config, format!("{file}:{line}"), self.option)
            }
            Place::Untold => evidence::record(EvidenceKind::Config, "dnsmasq's options", self.option),
        }
    }

    /// The command that puts its line right, or comments it out, and what takes that back; none where it is in no file.
    pub(crate) fn edit(&self, kind: Kind, gateway: Ipv4Addr) -> Option<(String, String)> {
        let FileLine { file, line } = match self.place {
            Place::Options(at) | Place::Configuration(at) => at,
            Place::Argument | Place::Untold => return None,
        };
        // What stands behind tags is for some, of whom nothing is known.
        let meant = kind.meant(gateway).filter(|_| self.is_for_all);
        let new = meant.unwrap_or_else(|| format!("#{}", self.option));
        Some(edited::line(file, *line, self.option, &new))
    }
}

#[cfg(test)]
mod tests {
    use model::service::{Dnsmasq, FileLine};

    use super::{Kind, Place, written};

    fn server() -> Dnsmasq {
        let line = |file: &str, line| FileLine { file: file.to_owned(), line };
        Dnsmasq {
            argv: ["dnsmasq", "--dhcp-option=26,9000", "-O", "6"].map(str::to_owned).to_vec(),
            opts_file: Some("nova-br100.opts".to_owned()),
            options: ["26,9000", "6", "NW-7,3,10.0.0.1", "3,10.0.0.99", "option:mtu,1400"]
                .map(str::to_owned)
                .to_vec(),
            option_lines: vec![
                line("nova-br100.opts", 1),
                line("nova-br100.opts", 2),
                line("dnsmasq.conf", 9),
            ],
            ..Dnsmasq::default()
        }
    }

    #[test]
    fn each_is_told_with_its_place() {
        let server = server();
        let places = |kind| -> Vec<(String, u32)> {
            let place = |place| match place {
                Place::Argument => ("argument".to_owned(), 0),
                Place::Options(at) | Place::Configuration(at) => (at.file.clone(), at.line),
                Place::Untold => ("untold".to_owned(), 0),
            };
            written(&server, kind).iter().map(|written| place(written.place)).collect()
        };
        let at = |file: &str, line| (file.to_owned(), line);
        assert_eq!(places(Kind::Mtu), [at("argument", 0), at("dnsmasq.conf", 9)]);
        assert_eq!(places(Kind::Dns), [at("argument", 0)]);
        assert_eq!(places(Kind::Router), [at("nova-br100.opts", 1), at("nova-br100.opts", 2)]);
        let unread = Dnsmasq { options: vec!["3,10.0.0.1".to_owned()], ..Dnsmasq::default() };
        assert_eq!(written(&unread, Kind::Router)[0].place, Place::Untold);
    }

    #[test]
    fn values_are_what_stands_behind_the_number() {
        let server = server();
        let values = |kind, nth: usize| written(&server, kind)[nth].values().collect::<Vec<_>>();
        assert_eq!(values(Kind::Router, 0), ["10.0.0.1"]);
        assert_eq!(values(Kind::Dns, 0), [""; 0]);
        assert!(
            !written(&server, Kind::Router)[0].is_for_all && written(&server, Kind::Router)[1].is_for_all
        );
    }

    #[test]
    fn a_router_is_put_right_and_what_nova_does_not_write_is_taken_out() {
        let server = server();
        let edit =
            |kind, nth: usize| written(&server, kind)[nth].edit(kind, [10, 0, 0, 42].into()).map(|(c, _)| c);
        let right = r"sed -i '2s/3,10\.0\.0\.99/3,10.0.0.42/' nova-br100.opts";
        assert_eq!(edit(Kind::Router, 1).as_deref(), Some(right));
        let out = "sed -i '9s/option:mtu,1400/#option:mtu,1400/' dnsmasq.conf";
        assert_eq!(edit(Kind::Mtu, 1).as_deref(), Some(out));
        assert_eq!(edit(Kind::Mtu, 0), None);
    }
}
