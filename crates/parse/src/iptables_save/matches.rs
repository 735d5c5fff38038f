//! Match modules (`-m`, iptables-extensions(8)) as tests.

use std::borrow::Cow;

use model::netfilter::{Because, Match, Test};

use super::rule::{condition, is_global};
use super::words::Words;

pub(super) mod connection;
mod header;
mod packet;
pub(super) mod surroundings;

/// Modules that look at what neither packet nor dump can tell, and at what.
const UNPREDICTABLE: [(&str, Because); 31] = [
    ("bpf", Because::Payload),
    ("cgroup", Because::Socket),
    ("cluster", Because::Machine),
    ("connbytes", Because::Rate),
    ("connlabel", Because::History),
    ("connlimit", Because::Rate),
    ("cpu", Because::Machine),
    ("devgroup", Because::Machine),
    ("ecn", Because::Payload),
    ("eui64", Because::Payload),
    ("hashlimit", Because::Rate),
    ("helper", Because::History),
    ("ipv6header", Because::Payload),
    ("ipvs", Because::Machine),
    ("l2tp", Because::Payload),
    ("limit", Because::Rate),
    ("nfacct", Because::Rate),
    ("osf", Because::Payload),
    ("owner", Because::Socket),
    ("policy", Because::Machine),
    ("quota", Because::Rate),
    ("quota2", Because::Rate),
    ("rateest", Because::Rate),
    ("realm", Because::Machine),
    ("socket", Because::Socket),
    ("statistic", Because::Chance),
    ("string", Because::Payload),
    ("tcpmss", Because::Payload),
    ("time", Because::Time),
    ("u32", Because::Payload),
    ("unclean", Because::Payload),
];

/// Modules that fail, negated or not, for want of a header that no imagined packet has: extensions of
/// IPv6 (`rt_mt6`, `hbh_mt6`, ...), and protocols other than those that are walked.
const OTHER_HEADERS: [&str; 9] = ["ah", "dst", "esp", "frag", "hbh", "ipcomp", "mh", "rt", "srh"];

/// How a module's options read.
#[derive(Clone, Copy)]
enum Reader {
    /// One after the other, each a condition of its own: they are anded.
    Each(fn(&str, &mut Words<'_>) -> Option<Test>),
    /// All together, since some change what others mean; also given the number of the module's `-m`.
    /// `None` where one of them is not modelled.
    Whole(fn(&mut Words<'_>, usize) -> Option<Vec<Match>>),
}

fn reader(module: &str) -> Option<Reader> {
    Some(match module {
        "tcp" => Reader::Each(header::tcp),
        "udp" | "udplite" => Reader::Each(header::ports),
        "sctp" => Reader::Each(header::sctp),
        "dccp" => Reader::Each(header::dccp),
        "icmp" => Reader::Each(header::icmp),
        "icmp6" => Reader::Each(header::icmpv6),
        "multiport" => Reader::Each(header::multiport),
        "length" => Reader::Each(packet::length),
        "ttl" => Reader::Each(packet::ttl),
        "hl" => Reader::Each(packet::hop_limit),
        "dscp" => Reader::Each(packet::dscp),
        "tos" => Reader::Whole(packet::tos),
        "pkttype" => Reader::Each(packet::packet_type),
        "mark" => Reader::Each(packet::mark),
        "mac" => Reader::Each(packet::mac),
        "iprange" => Reader::Each(packet::address_range),
        "state" => Reader::Each(connection::state),
        "conntrack" => Reader::Whole(connection::conntrack),
        "connmark" => Reader::Each(connection::mark),
        "recent" => Reader::Whole(connection::recent),
        "physdev" => Reader::Each(surroundings::physdev),
        "addrtype" => Reader::Whole(surroundings::address_type),
        "rpfilter" => Reader::Whole(surroundings::reverse_path),
        "set" => Reader::Whole(surroundings::set),
        "comment" => Reader::Each(comment),
        _ => return None,
    })
}

/// Reads a module whose `-m` is word number `start`. `keep` gets each condition, and how the condition
/// alone is written.
pub(super) fn module(words: &mut Words<'_>, start: usize, keep: &mut dyn FnMut(Match, &dyn Fn() -> String)) {
    let Some(name) = words.value() else {
        keep(condition(false, Test::Unmodelled("-m".to_owned())), &|| "-m".to_owned());
        return;
    };
    let options = words.at();
    match reader(&name) {
        Some(Reader::Each(read)) => each(&name, read, words, keep),
        Some(Reader::Whole(read)) => match read(words, start) {
            Some(read) if !inside_module(words) => {
                let text = || words.text_since(start).to_owned();
                read.into_iter().for_each(|condition| keep(condition, &text));
            }
            Some(_) | None => {
                words.rewind(options);
                let text = rest(words, start);
                keep(condition(false, Test::Unmodelled(text.clone())), &|| text.clone());
            }
        },
        None => {
            let text = rest(words, start);
            let why = UNPREDICTABLE.iter().find(|(module, _)| *module == name).map(|(_, why)| *why);
            let read = match why {
                Some(why) => condition(false, Test::Unpredictable(text.clone(), why)),
                None if OTHER_HEADERS.contains(&name.as_ref()) => condition(true, Test::Always),
                None => condition(false, Test::Unmodelled(text.clone())),
            };
            keep(read, &|| text.clone());
        }
    }
}

fn each(
    name: &str,
    read: fn(&str, &mut Words<'_>) -> Option<Test>,
    words: &mut Words<'_>,
    keep: &mut dyn FnMut(Match, &dyn Fn() -> String),
) {
    while inside_module(words) {
        let from = words.at();
        let negated = words.take("!");
        let Some(option) = words.value() else { break };
        let after = words.at();
        let test = read(&option, words);
        if test.is_none() {
            words.rewind(after);
            words.skip_arguments();
        }
        let text = || format!("-m {name} {}", words.text_since(from));
        let test = match test {
            // Such a reader says why, and leaves the text to be filled in with the option's `!`.
            Some(Test::Unpredictable(_, why)) => Test::Unpredictable(text(), why),
            Some(test) => test,
            None => Test::Unmodelled(text()),
        };
        keep(condition(negated, test), &text);
    }
}

/// The text from word number `start` to the module's end, where the reading goes on.
fn rest(words: &mut Words<'_>, start: usize) -> String {
    while inside_module(words) {
        words.word();
        words.skip_arguments();
    }
    words.text_since(start).to_owned()
}

/// Whether the next word still belongs to the module.
fn inside_module(words: &Words<'_>) -> bool {
    let next = match words.peek() {
        Some(word) if word.raw == "!" => words.peek_second(),
        next => next,
    };
    // A `!` at the end is left to whoever reads the rule, who says so.
    next.is_some_and(|word| !is_global(word.raw) && !matches!(word.raw, "-m" | "-j" | "-g"))
}

/// An option that is read together with others, and whether it is negated.
fn option<'a>(words: &mut Words<'a>) -> Option<(bool, Cow<'a, str>)> {
    if !inside_module(words) {
        return None;
    }
    let negated = words.take("!");
    Some((negated, words.value()?))
}

fn comment(option: &str, words: &mut Words<'_>) -> Option<Test> {
    match option {
        "--comment" => words.value().map(|_| Test::Always),
        _ => None,
    }
}
