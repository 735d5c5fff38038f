//! Words to a tree.
//!
//! As in pcap-filter(7), `and` and `or` weigh the same and read from left to right, `not` binds closest, and
//! a value without a word in front takes the words of the one before it: `port 67 or 68`.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};
use model::Mac;

use super::FilterError;
use super::expr::{End, Expr, Family, Primitive, Protocol, Transport};
use super::lexer::{self, Placed, Token};

/// Parentheses and `not`s inside each other, at most: how deep the parser goes.
const DEPTH_MAX: usize = 100;

/// Reads a filter; an empty one is every packet.
pub fn parse(text: &str) -> Result<Expr, FilterError> {
    let tokens = lexer::tokens(text)?;
    if tokens.is_empty() {
        return Ok(Expr::everything());
    }
    let end_column = text.chars().count() + 1;
    let mut reader = Reader { tokens: &tokens, end_column, words: None, depth: 0 };
    let (expr, _) = reader.chain(0)?;
    match reader.tokens.first() {
        None => Ok(expr),
        Some((Token::Close, column)) => Err(wrong(*column, "this parenthesis was not opened".to_owned())),
        Some((token, column)) => {
            Err(wrong(*column, format!("expected `and` or `or`, found {}", shown(token))))
        }
    }
}

fn wrong(column: usize, what: String) -> FilterError {
    FilterError { column, what, beyond: false }
}

fn beyond(column: usize, what: String) -> FilterError {
    FilterError { column, what, beyond: true }
}

fn shown(token: &Token) -> String {
    match token {
        Token::Word(word) => format!("`{word}`"),
        Token::Open => "`(`".to_owned(),
        Token::Close => "`)`".to_owned(),
        Token::And => "`and`".to_owned(),
        Token::Or => "`or`".to_owned(),
        Token::Not => "`not`".to_owned(),
    }
}

/// The words in front of a value: `tcp dst port`.
#[derive(Debug, Clone, Copy, Default)]
struct Words {
    protocol: Option<Protocol>,
    is_ether: bool,
    end: Option<End>,
    kind: Option<Kind>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Host,
    Net,
    Port,
    PortRange,
}

struct Reader<'t> {
    tokens: &'t [Placed<'t>],
    end_column: usize,
    /// Of the value before, for one that has none.
    words: Option<Words>,
    /// Inside how many parentheses and `not`s it is.
    depth: usize,
}

impl<'t> Reader<'t> {
    fn column(&self) -> usize {
        self.tokens.first().map_or(self.end_column, |(_, column)| *column)
    }

    fn next(&mut self) -> Option<&'t Token<'t>> {
        let ((token, _), rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(token)
    }

    fn next_if(&mut self, wanted: &Token) -> bool {
        let is_next = self.tokens.first().is_some_and(|(token, _)| token == wanted);
        if is_next {
            self.next();
        }
        is_next
    }

    fn next_word_if(&mut self, wanted: &str) -> bool {
        self.next_if(&Token::Word(wanted))
    }

    /// Tests joined by `and` and `or`. `level` tags have been tested for by those that must hold too;
    /// returns how many have been then.
    fn chain(&mut self, level: u8) -> Result<(Expr, u8), FilterError> {
        let (mut expr, mut level_then) = self.factor(level)?;
        let mut turns = 0;
        loop {
            // Each turn from `and` to `or` or back puts all that came before inside what follows.
            if turns + self.depth > DEPTH_MAX {
                return Err(self.too_deep());
            }
            if self.next_if(&Token::And) {
                let (next, then) = self.factor(level_then)?;
                level_then = then;
                expr = match expr {
                    Expr::And(mut all) if !all.is_empty() => {
                        all.push(next);
                        Expr::And(all)
                    }
                    single => {
                        turns += 1;
                        Expr::And(vec![single, next])
                    }
                };
            } else if self.next_if(&Token::Or) {
                let (next, _) = self.factor(level)?;
                // Of an alternative nobody knows which held.
                level_then = level;
                expr = match expr {
                    Expr::Or(mut any) => {
                        any.push(next);
                        Expr::Or(any)
                    }
                    single => {
                        turns += 1;
                        Expr::Or(vec![single, next])
                    }
                };
            } else {
                return Ok((expr, level_then));
            }
        }
    }

    fn too_deep(&self) -> FilterError {
        wrong(self.column(), format!("more than {DEPTH_MAX} tests stand inside each other here"))
    }

    fn factor(&mut self, level: u8) -> Result<(Expr, u8), FilterError> {
        let opened = self.column();
        if self.depth > DEPTH_MAX {
            return Err(self.too_deep());
        }
        self.depth += 1;
        let found = if self.next_if(&Token::Not) {
            self.factor(level).map(|(expr, _)| (Expr::Not(Box::new(expr)), level))
        } else if self.next_if(&Token::Open) {
            let inner = self.chain(level)?;
            if !self.next_if(&Token::Close) {
                return Err(wrong(opened, "this parenthesis is not closed".to_owned()));
            }
            Ok(inner)
        } else {
            self.primitive(level)
        };
        self.depth -= 1;
        found
    }

    fn primitive(&mut self, level: u8) -> Result<(Expr, u8), FilterError> {
        let column = self.column();
        let Some((Token::Word(first), _)) = self.tokens.first() else {
            let found = self.tokens.first().map_or("the end".to_owned(), |(token, _)| shown(token));
            return Err(wrong(column, format!("expected a test such as `host ADDRESS`, found {found}")));
        };
        if *first == "vlan" {
            self.next();
            let id = self.vlan_id()?;
            let test = Primitive::Vlan { level, id };
            return Ok((Expr::Test(test), level.saturating_add(1)));
        }
        let own = first.strip_prefix("instance:").map(|name| instance(name, column));
        if let Some(own) = own.or_else(|| first.strip_prefix("flow:").map(|ends| flow(ends, column))) {
            self.next();
            return Ok((Expr::Test(own?), level));
        }
        let words = self.qualifiers();
        self.of_words(words, column).map(|test| (Expr::Test(test), level))
    }

    fn vlan_id(&mut self) -> Result<Option<u16>, FilterError> {
        let column = self.column();
        let Some((Token::Word(word), _)) = self.tokens.first() else { return Ok(None) };
        if !word.starts_with(|c: char| c.is_ascii_digit()) {
            return Ok(None);
        }
        self.next();
        match word.parse() {
            Ok(id @ 0..=4095) => Ok(Some(id)),
            Ok(_) | Err(_) => Err(wrong(column, format!("`{word}` is no VLAN id: those are 0 to 4095"))),
        }
    }

    /// `tcp`, `src or dst`, `host`: each at most once and in this order.
    fn qualifiers(&mut self) -> Words {
        let mut words = Words::default();
        if let Some((Token::Word(word), _)) = self.tokens.first() {
            words.protocol = protocol(word);
            words.is_ether = *word == "ether";
            if words.protocol.is_some() || words.is_ether {
                self.next();
            }
        }
        words.end = self.end();
        if let Some((Token::Word(word), _)) = self.tokens.first() {
            words.kind = match *word {
                "host" => Some(Kind::Host),
                "net" => Some(Kind::Net),
                "port" => Some(Kind::Port),
                "portrange" => Some(Kind::PortRange),
                _ => None,
            };
            if words.kind.is_some() {
                self.next();
            }
        }
        words
    }

    fn end(&mut self) -> Option<End> {
        let (first, other) = if self.next_word_if("src") {
            (End::Source, "dst")
        } else if self.next_word_if("dst") {
            (End::Destination, "src")
        } else {
            return None;
        };
        // `src or dst port 53` is one test; `src 1.2.3.4 or dst ...` does not look like it.
        let joined = match self.tokens {
            [(Token::Or, _), (Token::Word(word), _), ..] if *word == other => Some(End::Either),
            [(Token::And, _), (Token::Word(word), _), ..] if *word == other => Some(End::Both),
            _ => None,
        };
        if joined.is_some() {
            self.next();
            self.next();
        }
        Some(joined.unwrap_or(first))
    }

    fn of_words(&mut self, words: Words, column: usize) -> Result<Primitive, FilterError> {
        let is_bare =
            words.protocol.is_none() && !words.is_ether && words.end.is_none() && words.kind.is_none();
        let words = if is_bare { self.words.unwrap_or_default() } else { words };
        let alone = !is_bare && words.end.is_none() && words.kind.is_none();
        if let (Some(protocol), true) = (words.protocol, alone) {
            let is_value = matches!(self.tokens.first(), Some((Token::Word(_), _)));
            if !is_value {
                return Ok(Primitive::Protocol(protocol));
            }
        }
        let value_column = self.column();
        let Some((Token::Word(value), _)) = self.tokens.first() else {
            return Err(wrong(value_column, "expected an address, a prefix or a port".to_owned()));
        };
        self.next();
        if is_bare && self.words.is_none() && !looks_like_value(value) {
            return Err(beyond(column, format!("`{value}` is no word of hopline's filters")));
        }
        if !is_bare {
            self.words = Some(words);
        }
        of_value(words, value, value_column)
    }
}

fn protocol(word: &str) -> Option<Protocol> {
    Some(match word {
        "ip" => Protocol::Family(Family::Ip),
        "ip6" => Protocol::Family(Family::Ip6),
        "arp" => Protocol::Family(Family::Arp),
        "rarp" => Protocol::Family(Family::Rarp),
        "icmp" => Protocol::Icmp,
        "icmp6" => Protocol::Icmp6,
        "tcp" => Protocol::Transport(Transport::Tcp),
        "udp" => Protocol::Transport(Transport::Udp),
        "sctp" => Protocol::Transport(Transport::Sctp),
        _ => return None,
    })
}

/// An address or a number, as against a word of the language.
fn looks_like_value(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit()) || word.contains(':')
}

fn instance(name: &str, column: usize) -> Result<Primitive, FilterError> {
    if name.is_empty() {
        return Err(wrong(column, "`instance:` wants a name, as in `instance:web1`".to_owned()));
    }
    Ok(Primitive::Instance(name.to_owned()))
}

fn flow(ends: &str, column: usize) -> Result<Primitive, FilterError> {
    let expected = || wrong(column, "`flow:` wants two addresses, as in `flow:10.0.2.24,1.2.3.4`".to_owned());
    let (a, b) = ends.split_once(',').ok_or_else(expected)?;
    let (a, b): (IpAddr, IpAddr) = (a.parse().map_err(|_| expected())?, b.parse().map_err(|_| expected())?);
    if a.is_ipv4() != b.is_ipv4() {
        return Err(wrong(column, "the two addresses of a flow are of one family".to_owned()));
    }
    Ok(Primitive::Flow(a, b))
}

fn of_value(words: Words, value: &str, column: usize) -> Result<Primitive, FilterError> {
    let end = words.end.unwrap_or(End::Either);
    if words.is_ether {
        return match (words.kind, value.parse::<Mac>()) {
            (None | Some(Kind::Host), Ok(mac)) => Ok(Primitive::Ether { end, mac }),
            (Some(Kind::Host), Err(_)) => Err(wrong(column, format!("`{value}` is no MAC address"))),
            _ => Err(beyond(column, format!("`{value}` after `ether` is beyond hopline's filters"))),
        };
    }
    match words.kind {
        Some(Kind::Port) => {
            let transport = transport(words, column)?;
            let port = port(value, column)?;
            Ok(Primitive::Port { transport, end, low: port, high: port })
        }
        Some(Kind::PortRange) => {
            let transport = transport(words, column)?;
            let (low, high) = value.split_once('-').unwrap_or((value, value));
            let (low, high) = (port(low, column)?, port(high, column)?);
            // The wrong way round is what tcpdump takes it for, too.
            Ok(Primitive::Port { transport, end, low: low.min(high), high: high.max(low) })
        }
        Some(Kind::Host) | None => {
            let family = family(words, column)?;
            let ip: IpAddr = value.parse().map_err(|_| no_address(words, value, column))?;
            of_family(family, ip, column)?;
            Ok(Primitive::Net { family, end, net: IpNet::from(ip) })
        }
        Some(Kind::Net) => {
            let family = family(words, column)?;
            let net = net(value, column)?;
            of_family(family, net.addr(), column)?;
            Ok(Primitive::Net { family, end, net })
        }
    }
}

fn no_address(words: Words, value: &str, column: usize) -> FilterError {
    if words.kind.is_none() && words.end.is_none() {
        return beyond(column, format!("`{value}` is no word of hopline's filters"));
    }
    let what = format!("`{value}` is no IP address; names are not looked up, instances are `instance:NAME`");
    wrong(column, what)
}

fn transport(words: Words, column: usize) -> Result<Option<Transport>, FilterError> {
    match words.protocol {
        None => Ok(None),
        Some(Protocol::Transport(transport)) => Ok(Some(transport)),
        Some(Protocol::Family(_) | Protocol::Icmp | Protocol::Icmp6) => {
            Err(wrong(column, "ports are of `tcp`, `udp` and `sctp`".to_owned()))
        }
    }
}

fn family(words: Words, column: usize) -> Result<Option<Family>, FilterError> {
    match words.protocol {
        None => Ok(None),
        Some(Protocol::Family(family)) => Ok(Some(family)),
        Some(Protocol::Transport(_) | Protocol::Icmp | Protocol::Icmp6) => {
            Err(beyond(column, "addresses are of `ip`, `ip6`, `arp` and `rarp`".to_owned()))
        }
    }
}

fn of_family(family: Option<Family>, ip: IpAddr, column: usize) -> Result<(), FilterError> {
    match (family, ip) {
        (None, _) => Ok(()),
        (Some(Family::Ip6), IpAddr::V6(_)) => Ok(()),
        (Some(Family::Ip | Family::Arp | Family::Rarp), IpAddr::V4(_)) => Ok(()),
        (Some(Family::Ip | Family::Arp | Family::Rarp), IpAddr::V6(_)) => {
            Err(wrong(column, format!("{ip} is an IPv6 address, and the word in front is of IPv4")))
        }
        (Some(Family::Ip6), IpAddr::V4(_)) => {
            Err(wrong(column, format!("{ip} is an IPv4 address, not of `ip6`")))
        }
    }
}

fn port(value: &str, column: usize) -> Result<u16, FilterError> {
    let is_number = !value.is_empty() && value.chars().all(|c| c.is_ascii_digit());
    match value.parse() {
        Ok(port) if is_number => Ok(port),
        _ if is_number => Err(wrong(column, format!("`{value}` is no port: those are 0 to 65535"))),
        _ => Err(beyond(column, format!("`{value}` is no number; ports' names are not looked up"))),
    }
}

/// A prefix; `10.0.2` is short for `10.0.2.0/24`.
fn net(value: &str, column: usize) -> Result<IpNet, FilterError> {
    let no_net = || wrong(column, format!("`{value}` is no prefix such as 10.0.0.0/24"));
    let net: IpNet = match value.split_once('/') {
        Some(_) => value.parse().map_err(|_| no_net())?,
        None => match value.parse::<IpAddr>() {
            Ok(ip) => IpNet::from(ip),
            Err(_) => IpNet::V4(short_net(value).ok_or_else(no_net)?),
        },
    };
    if net.trunc() != net {
        return Err(wrong(
            column,
            format!("`{value}` has bits beyond its prefix: `{}` is meant?", net.trunc()),
        ));
    }
    Ok(net)
}

fn short_net(value: &str) -> Option<Ipv4Net> {
    let octets: Vec<u8> = value.split('.').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let length = u8::try_from(octets.len() * 8).ok().filter(|length| *length <= 24)?;
    let mut whole = [0; 4];
    whole.iter_mut().zip(octets).for_each(|(to, from)| *to = from);
    Ipv4Net::new(Ipv4Addr::from(whole), length).ok()
}
