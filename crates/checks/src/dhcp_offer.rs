//! What of an OFFER does not fit the records and the host, and what of dnsmasq's options and files makes it so.

use std::net::Ipv4Addr;

use model::dhcp::HeardReply;
use model::finding::Evidence;
use model::service::{DhcpHost, Dnsmasq};

use crate::dhcp_hosts;
use crate::dhcp_options::{self, Kind, Place, Written};
use crate::dhcp_server;
use crate::nova;
use crate::view::{Seat, View};

/// Classless static routes (RFC 3442): a client that knows them passes over the router option.
const CLASSLESS_ROUTES: u8 = 121;

/// What does not fit.
pub(crate) struct Misfit<'v> {
    /// As an offer has it: `router 10.0.9.9, and 10.0.0.42 is the gateway`.
    pub(crate) said: String,
    pub(crate) by: By<'v>,
}

/// What makes it so.
pub(crate) enum By<'v> {
    /// Options of this kind; none where nothing that is written now says so.
    Options(Kind, Vec<Written<'v>>),
    /// The instance's line of the hosts file, with this address.
    Host(&'v DhcpHost, Ipv4Addr),
    /// Something else.
    Other,
}

impl Misfit<'_> {
    /// The lines that make it so; where none does, what is written of that kind now.
    pub(crate) fn evidence(&self, seat: &Seat, server: &Dnsmasq) -> Vec<Evidence> {
        let shown = |written: &[Written]| written.iter().map(|w| w.evidence(seat, server)).collect();
        match &self.by {
            By::Options(kind, wrong) if wrong.is_empty() => shown(&dhcp_options::written(server, *kind)),
            By::Options(_, wrong) => shown(wrong),
            By::Host(line, _) => vec![dhcp_hosts::evidence(server, line)],
            By::Other => Vec::new(),
        }
    }
}

/// What of an offer that was heard does not fit.
pub(crate) fn heard<'v>(
    view: &View,
    seat: &Seat,
    server: Option<&'v Dnsmasq>,
    heard: &HeardReply,
) -> Vec<Misfit<'v>> {
    let reply = &heard.reply;
    let prefix = seat.network.and_then(|network| network.cidr).map(|cidr| cidr.prefix_len());
    let mask = reply.prefix_bits.zip(prefix).filter(|(said, meant)| said != meant).map(|(said, meant)| {
        Misfit { said: format!("a mask of {said} bits, and the network has {meant}"), by: By::Other }
    });
    let large = reply.mtu.and_then(|mtu| Some((mtu, too_large(seat, mtu)?))).map(|(mtu, said)| {
        let is_it = |w: &Written| w.values().any(|word| word.parse() == Ok(mtu));
        Misfit { said, by: by_options(server, Kind::Mtu, is_it) }
    });
    let address = address(seat, server, heard);
    address
        .into_iter()
        .chain(mask)
        .chain(router(view, seat, server, heard))
        .chain(names(view, seat, server, heard))
        .chain(large)
        .collect()
}

/// What would be offered by the options and files as they are written, where nobody has heard an offer.
pub(crate) fn configured<'v>(view: &View, seat: &Seat, server: &'v Dnsmasq) -> Vec<Misfit<'v>> {
    let only = |kind| {
        let written = dhcp_options::written(server, kind);
        <[Written; 1]>::try_from(written).ok().map(|[one]| one).filter(|one| one.is_for_all)
    };
    let misfit = |kind, one, said| Misfit { said, by: By::Options(kind, vec![one]) };
    let host = dhcp_hosts::wrong_line(seat, server)
        .map(|(line, ip)| Misfit { said: another_address(seat, ip), by: By::Host(line, ip) });
    let router = only(Kind::Router).filter(|_| !gives_routes(server)).and_then(|one: Written<'v>| {
        let meant = seat.gateway()?;
        let said = match one.values().next() {
            None if is_novas(view, seat, server) => no_router(meant),
            None => return None,
            Some(word) => {
                other_router(word.parse().ok().filter(|ip| *ip != meant && is_novas_line(&one))?, meant)
            }
        };
        Some(misfit(Kind::Router, one, said))
    });
    let names =
        only(Kind::Dns).filter(|one| one.values().next().is_none() && tells_names(view, seat, server));
    let names = names.map(|one| misfit(Kind::Dns, one, NO_NAMES.to_owned()));
    let large = only(Kind::Mtu).and_then(|one| {
        let said = too_large(seat, one.values().next()?.parse().ok()?)?;
        Some(misfit(Kind::Mtu, one, said))
    });
    host.into_iter().chain(router).chain(names).chain(large).collect()
}

/// A DNS server that does not answer, as it is offered.
pub(crate) fn mute(server: Option<&Dnsmasq>, address: Ipv4Addr, said: String) -> Misfit<'_> {
    Misfit { said, by: by_options(server, Kind::Dns, |w| w.names(address)) }
}

fn by_options(server: Option<&Dnsmasq>, kind: Kind, is_it: impl Fn(&Written) -> bool) -> By<'_> {
    let Some(server) = server else { return By::Other };
    By::Options(kind, dhcp_options::written(server, kind).into_iter().filter(|w| is_it(w)).collect())
}

/// Another address than is recorded, unless dnsmasq has only not read its file again.
fn address<'v>(seat: &Seat, server: Option<&'v Dnsmasq>, heard: &HeardReply) -> Option<Misfit<'v>> {
    let recorded = &seat.vif.fixed;
    let said = heard.reply.address.filter(|said| !recorded.is_empty() && !recorded.contains(said))?;
    if server.is_some_and(|server| dhcp_hosts::is_offered_what_stood_before(seat, server, heard)) {
        return None;
    }
    let line = server.and_then(|server| dhcp_hosts::wrong_line(seat, server));
    let by = line.map_or(By::Other, |(line, ip)| By::Host(line, ip));
    Some(Misfit { said: another_address(seat, said), by })
}

fn another_address(seat: &Seat, said: Ipv4Addr) -> String {
    let recorded: Vec<String> = seat.vif.fixed.iter().map(ToString::to_string).collect();
    format!("address {said}, and {} is recorded", recorded.join(" "))
}

/// No router, or another than the gateway.
fn router<'v>(
    view: &View,
    seat: &Seat,
    server: Option<&'v Dnsmasq>,
    heard: &HeardReply,
) -> Option<Misfit<'v>> {
    let meant = seat.gateway().filter(|_| !heard.reply.codes.contains(&CLASSLESS_ROUTES))?;
    let Some(said) = heard.reply.routers.first() else {
        // Of a network that is not nova's none may be meant: libvirt says so of an isolated one by this very option.
        let is_meant = server.is_some_and(|server| !is_novas(view, seat, server) && is_set_by_hand(server));
        let by = by_options(server, Kind::Router, |w| w.values().next().is_none());
        return (!is_meant).then(|| Misfit { said: no_router(meant), by });
    };
    if *said == meant || server.is_some_and(|server| is_meant(server, *said)) {
        return None;
    }
    Some(Misfit {
        said: other_router(*said, meant),
        by: by_options(server, Kind::Router, |w| w.names(*said)),
    })
}

fn no_router(meant: Ipv4Addr) -> String {
    format!("no router, and {meant} is the gateway")
}

fn other_router(said: Ipv4Addr, meant: Ipv4Addr) -> String {
    format!("router {said}, and {meant} is the gateway")
}

/// A hardware gateway is set by an operator's own options (nova.conf: `dnsmasq_config_file`), never by nova's file.
fn is_meant(server: &Dnsmasq, router: Ipv4Addr) -> bool {
    let written = dhcp_options::written(server, Kind::Router);
    let mut naming = written.iter().filter(|w| w.names(router)).peekable();
    // A configuration may name other files.
    if naming.peek().is_none() { server.conf_file.is_some() } else { naming.any(|w| !is_novas_line(w)) }
}

fn is_novas_line(written: &Written) -> bool {
    match written.place {
        Place::Options(_) => true,
        Place::Argument | Place::Configuration(_) | Place::Untold => false,
    }
}

fn is_set_by_hand(server: &Dnsmasq) -> bool {
    server.conf_file.is_some() || server.argv.iter().any(|argument| argument.starts_with("--dhcp-option"))
}

fn gives_routes(server: &Dnsmasq) -> bool {
    let is_it = |word: &str| matches!(word.trim(), "121" | "249" | "option:classless-static-route");
    server.options.iter().any(|option| option.split(',').any(is_it))
}

const NO_NAMES: &str = "no DNS server, and dnsmasq itself is one";

/// No DNS server, where dnsmasq would name itself if it were not told otherwise (dnsmasq(8), `--dhcp-option`).
fn names<'v>(
    view: &View,
    seat: &Seat,
    server: Option<&'v Dnsmasq>,
    heard: &HeardReply,
) -> Option<Misfit<'v>> {
    let server = server.filter(|server| heard.reply.dns.is_empty() && tells_names(view, seat, server))?;
    let by = by_options(Some(server), Kind::Dns, |w| w.values().next().is_none());
    Some(Misfit { said: NO_NAMES.to_owned(), by })
}

/// nova means it to, and it listens for questions about names.
fn tells_names(view: &View, seat: &Seat, server: &Dnsmasq) -> bool {
    is_novas(view, seat, server)
        && dhcp_server::sockets(seat, server).any(|socket| socket.port == crate::dns::PORT)
}

fn is_novas(view: &View, seat: &Seat, server: &Dnsmasq) -> bool {
    let is_meant = view.intent().from_database || nova::manages(seat.server, seat.server_ns);
    is_meant && !server.is_libvirts()
}

/// What is wrong with this MTU, if anything is.
fn too_large(seat: &Seat, said: u16) -> Option<String> {
    let takes = seat.tap().map(|tap| tap.mtu).filter(|takes| u32::from(said) > *takes)?;
    Some(format!("an MTU of {said}, and the NIC on the host takes {takes}"))
}
