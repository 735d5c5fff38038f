//! Questions for names that were really asked, and what servers answered.

use std::net::IpAddr;

use model::dns::{DnsAnswer, Rcode, Strays};
use model::probe::{Asked, ProbeResult};

use crate::ladder::{Purpose, Rung};
use crate::view::View;

/// Those that were put to the server of this question, by who asks it.
pub(crate) fn put<'p>(
    probes: &'p [ProbeResult],
    rung: &Rung,
) -> impl Iterator<Item = &'p ProbeResult> + use<'p> {
    let asked = (rung.from.clone(), rung.to, Some(rung.purpose.server_port()));
    probes.iter().filter(move |probe| {
        (&probe.from, probe.to, probe.asked.server_port()) == (&asked.0, asked.1, asked.2)
    })
}

/// The servers behind an instance's resolver, each with what came of the question for the client's name from the host.
pub(crate) fn upstreams<'v>(view: &View<'v>, rung: &Rung) -> Vec<(&'v Rung, Option<&'v ProbeResult>)> {
    let rungs: &'v [Rung] = view.rungs;
    let same = rungs.iter().filter(|other| other.instance == rung.instance);
    let behind = same.filter(|other| matches!(other.purpose, Purpose::Upstream(_) | Purpose::Reverse(_)));
    let of_client = |other: &Rung| put(view.probes, other).find(|probe| reverse(probe).is_some());
    behind.map(|other| (other, of_client(other))).collect()
}

/// As dig takes it: see [`Asked::Name`].
pub(crate) fn question(probe: &ProbeResult) -> &str {
    match &probe.asked {
        Asked::Name { question, .. } => question,
        Asked::Echo { .. } | Asked::Address { .. } | Asked::Connection { .. } => "",
    }
}

/// The address whose name was asked for.
pub(crate) fn reverse(probe: &ProbeResult) -> Option<IpAddr> {
    question(probe).strip_prefix("-x ")?.parse().ok()
}

/// The name whose IPv4 address was asked for.
pub(crate) fn forward(probe: &ProbeResult) -> Option<&str> {
    question(probe).strip_suffix(" A")
}

/// IPv6 addresses were asked for.
pub(crate) fn is_of_ipv6(probe: &ProbeResult) -> bool {
    question(probe).ends_with(" AAAA")
}

/// The root itself was asked for: every server that finds out names of the outside knows who serves it.
pub(crate) fn is_of_root(probe: &ProbeResult) -> bool {
    question(probe).starts_with(". ")
}

/// The server was asked what it is.
pub(crate) fn is_version(probe: &ProbeResult) -> bool {
    question(probe).starts_with("version.bind")
}

pub(crate) fn answer(probe: &ProbeResult) -> Option<&DnsAnswer> {
    match &probe.asked {
        Asked::Name { answer, .. } => answer.as_ref(),
        Asked::Echo { .. } | Asked::Address { .. } | Asked::Connection { .. } => None,
    }
}

pub(crate) fn rcode(probe: &ProbeResult) -> Option<Rcode> {
    answer(probe).map(|answer| answer.rcode)
}

/// What came of a question for a name, as who waits for it takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Word<'p> {
    /// An answer, were it that there is no such name.
    Told,
    /// That the server does not want to.
    Refused,
    /// That it could not find out.
    Failed(Rcode),
    /// The beginning of an answer whose whole is had over TCP, and nobody has asked there.
    CutShort,
    /// The beginning of an answer whose whole is not to be had over TCP either.
    NoTcp,
    /// What cannot be read: why.
    Unreadable(&'p str),
    /// Nothing but what is no answer to it, which resolvers pass over.
    Strays(&'p Strays),
    /// Nothing.
    Nothing,
}

/// `None` of what is no question for a name.
pub(crate) fn word(probe: &ProbeResult) -> Option<Word<'_>> {
    let Asked::Name { over_tcp, cut_short, answer, unreadable, strays, .. } = &probe.asked else {
        return None;
    };
    Some(match (answer.as_ref().map(|answer| answer.rcode), unreadable) {
        (Some(Rcode::NoError | Rcode::NxDomain), _) => Word::Told,
        (Some(Rcode::Refused), _) => Word::Refused,
        (Some(rcode @ (Rcode::ServFail | Rcode::Other(_))), _) => Word::Failed(rcode),
        (None, _) if *cut_short && *over_tcp => Word::NoTcp,
        (None, _) if *cut_short => Word::CutShort,
        (None, Some(why)) => Word::Unreadable(why),
        (None, None) if *strays != Strays::default() => Word::Strays(strays),
        (None, None) => Word::Nothing,
    })
}
