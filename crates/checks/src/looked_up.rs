//! Questions for names that were really asked, and what servers answered.

use std::net::IpAddr;

use model::dns::{DnsAnswer, Rcode};
use model::path::Exchange;
use model::probe::{Asked, ProbeResult};

use crate::ladder::{Purpose, Rung};
use crate::view::View;

/// Those that were put to this server.
pub(crate) fn of<'v>(view: &View<'v>, from: &str, to: IpAddr) -> impl Iterator<Item = &'v ProbeResult> {
    view.probes
        .iter()
        .filter(move |probe| probe.from == from && probe.to == to && probe.asked.exchange() == Exchange::Dns)
}

/// The servers behind an instance's resolver, each with what came of the question for the client's name from the host.
pub(crate) fn upstreams<'v>(view: &View<'v>, rung: &Rung) -> Vec<(&'v Rung, Option<&'v ProbeResult>)> {
    let rungs: &'v [Rung] = view.rungs;
    let same = rungs.iter().filter(|other| other.instance == rung.instance);
    let behind = same.filter(|other| matches!(other.purpose, Purpose::Upstream(_) | Purpose::Reverse(_)));
    let of_client = |other: &Rung| of(view, &other.from, other.to).find(|probe| reverse(probe).is_some());
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
