//! # dns-lookup-fails
//!
//! The instance's resolver is there, and does not find out what it is asked.
//!
//! ## What it means
//! dnsmasq answers for itself and not for others: a name of the outside ends in a refusal, in a failure that the server
//! behind it does not share, or in nothing at all. Programs in the instance wait, or say that the host is unknown.
//! Where only questions for IPv6 addresses end in nothing, every name is found, and late: programs ask for both kinds
//! of addresses at once and wait for both, five seconds as a rule (`resolv.conf(5)`, timeout).
//!
//! ## How hopline knows
//! Two questions were asked as the instance: one for dnsmasq's own version, which it answered, and one for the
//! name of somebody outside. The same was asked of the server behind it from the host. A refusal is told wherever
//! it comes from; a failure or silence only where the server behind answered better: a reverse zone may be broken
//! far away, and that is nobody's fault here: the root itself is asked for beside it, and a server that fails at that,
//! too, fails at every name. So is one told whose answers are cut short and not to be had over TCP, cannot be read, or
//! are to another question than was asked. For the IPv6 addresses of that same name was asked beside it, of both: a
//! silence to that alone is told, and which of them is silent. A failure of the server behind is a gap: it may fail for
//! that one name, and dnsmasq passes it on to no program, for those ask without EDNS. Therefore for addresses of names
//! is asked with EDNS first, which tells at once what others wait for in vain, and then as programs ask. That the
//! instance's own name alone is not told is a gap, too: dnsmasq knows it by the instance's lease, and without one asks
//! others. Unasked it is told where the server behind is a dnsmasq of the site whose command line gives it no name and
//! nobody to ask.
//!
//! ## What it looks like
//! `dig @GATEWAY -x ADDRESS` in the instance: `status: REFUSED`, `status: SERVFAIL`, or no servers could be reached;
//! `dig @UPSTREAM -x ADDRESS` on the host: `status: NOERROR`. Of IPv6 alone: `dig @GATEWAY NAME` is answered, and
//! `dig @GATEWAY NAME AAAA` is not; `getent hosts NAME` takes five seconds or ten.
//!
//! ## Nearest look-alikes
//! * `dns-upstream-dead`: nothing listens at the server behind.
//! * `dns-port53-blocked`: not even dnsmasq's own version is told.
//!
//! ## Fix
//! Where the server behind refuses or fails at every name, have it serve the hosts' addresses, or name another
//! (`dns_server` in nova.conf).
//! Where dnsmasq alone fails, look at its arguments (`--server`, `--no-resolv`) and restart it. Where questions for
//! IPv6 addresses are swallowed, look for a filter before the server that is silent, or name another.
//!
//! ## References
//! OpenStack Operations Guide, "Network Troubleshooting"; RFC 1035, 4.1.1 (RCODE); RFC 4074 (servers that
//! ignore questions for AAAA); dnsmasq(8).

use std::cell::LazyCell;
use std::net::{IpAddr, SocketAddrV4};

use model::dns::Rcode;
use model::finding::{Confidence, Evidence};
use model::path::{Direction, Exchange, Place, Stage};
use model::probe::ProbeResult;
use model::service::Dnsmasq;
use sim::World;

use crate::crowded;
use crate::diagnose::is_probe_of;
use crate::dns;
use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::ipv6_names::{self, Withheld};
use crate::ladder::{self, Purpose, Rung};
use crate::looked_up::{self, Word, is_version, put, rcode, upstreams, word};
use crate::restart;
use crate::said;
use crate::servers_behind;
use crate::view::View;

/// Looks for resolvers that answer for themselves alone: one finding a place.
pub fn check(view: &View) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    // Wired once, and only where a look-up fails.
    let read = LazyCell::new(|| World::new(view.read, view.intent()));
    for rung in view.rungs.iter().filter(|rung| rung.purpose == Purpose::Resolver) {
        let new = servers_behind::useless(view, rung)
            .or_else(|| failing(view, rung, &read))
            .or_else(|| asks_the_ignorant(view, rung))
            .or_else(|| tells_no_ipv6(view, rung, &read));
        let Some(new) = new else { continue };
        match found.iter_mut().find(|known| known.finding.hop == new.finding.hop) {
            Some(known) => known.finding.instances.extend(new.finding.instances),
            None => found.push(new),
        }
    }
    found
}

fn failing<'v>(
    view: &View,
    rung: &Rung,
    read: &LazyCell<World<'v>, impl FnOnce() -> World<'v>>,
) -> Option<Found> {
    let asked = || put(view.probes, rung);
    let is_there = asked().any(|probe| is_version(probe) && probe.received > 0);
    let lookup = asked().find(|probe| looked_up::reverse(probe).is_some()).filter(|_| is_there)?;
    let server = dns::server(view.world, rung.instance)?;
    let lookup = whole(view, &server, (rung, lookup))?;
    let upstreams = upstreams(view, rung);
    // Where a walk or a silence says more, it is told there; what now and then lets a packet pass has let ours.
    let is_lossy =
        |walk: &Rung| walk.undecided().is_some() || walk.answer.paths.iter().any(|p| p.stop().is_some());
    if upstreams.iter().any(|(walk, probe)| is_lossy(walk) || is_silent(*probe)) {
        return None;
    }
    let behind: Vec<&ProbeResult> = upstreams.iter().filter_map(|(_, probe)| *probe).collect();
    // A resolver that is given nobody to ask refuses by intention.
    if behind.is_empty() || !fails(lookup, &behind) {
        return None;
    }
    // Whom its own host forbids to ask answers that it refuses; what gets lost on the way says nothing at all.
    let is_silent = rcode(lookup).is_none();
    if (is_silent && (crowded::lost_some(view) || dies(rung, read)))
        || crowded::takes_some(view, &server.host.name, read)
    {
        return None;
    }
    let refusing = behind.iter().find(|probe| rcode(probe) == Some(Rcode::Refused));
    let beyond = refusing.and_then(|probe| place_of(view, probe.to));
    let hop = beyond.unwrap_or_else(|| at(server.ns, server.bridge, Stage::Service));
    let instance = view.intent().instances.get(rung.instance)?;
    let mut evidence: Vec<Evidence> = asked().chain(behind.iter().copied()).map(said::evidence).collect();
    evidence.extend(refusing.and_then(|probe| asks(&server, probe)));
    let remedy = match refusing {
        Some(probe) => vec![evidence::advice(
            format!(
                "have {} answer the hosts of the cloud, or set another dns_server in nova.conf",
                said::server(probe)
            ),
            "",
        )],
        None => restart::both(view, &server.host.name, "starts dnsmasq with the servers of nova.conf"),
    };
    let what = said::text(lookup);
    let fault = Fault {
        code: "dns-lookup-fails",
        hop,
        summary: format!("{} asks {} for a name of the outside: {what}", instance.name, rung.to),
        cause: match refusing {
            Some(probe) => format!("{}, whom dnsmasq asks, refuses", said::server(probe)),
            None => "dnsmasq is there, and does not learn what the servers behind it know".to_owned(),
        },
        confidence: Confidence::Likely,
        evidence,
        owner: if refusing.is_some() { "operator" } else { "nova-network" },
        remedy,
        instances: vec![instance.name.clone()],
        stopped: None,
        mend: Vec::new(),
    };
    Some(fault.found().breaks(Exchange::Dns, Direction::Reply))
}

/// What was read lets no question through: what was answered all the same came after that was mended, as an entry of
/// ARP mends itself, and the silence is of before.
fn dies(rung: &Rung, read: &World) -> bool {
    ladder::ask(read, rung.instance, None, rung.purpose)
        .is_some_and(|walk| walk.answer.paths.iter().any(|path| path.stop().is_some()))
}

/// All whom the resolver asks are dnsmasqs of the site that know no name and have nobody to ask: what they answer needs
/// no question.
fn asks_the_ignorant(view: &View, rung: &Rung) -> Option<Found> {
    let upstreams = upstreams(view, rung);
    let is_asked = |(other, probe): &(&Rung, Option<&ProbeResult>)| {
        probe.is_some() || put(view.probes, other).next().is_some()
    };
    let ignorant = |to: IpAddr| {
        let host = view.snapshot().host(&place_of(view, to)?.host)?;
        host.dnsmasq.iter().find(|server| server.listen.contains(&to)).filter(|server| knows_nothing(server))
    };
    let (first, _) = upstreams.first().filter(|_| !upstreams.iter().any(is_asked))?;
    let server = ignorant(first.to)?;
    let is_reached = |(other, _): &(&Rung, Option<&ProbeResult>)| other.answer.answered;
    if !upstreams.iter().all(|upstream| is_reached(upstream) && ignorant(upstream.0.to).is_some()) {
        return None;
    }
    let place = place_of(view, first.to)?;
    let instance = view.intent().instances.get(rung.instance)?;
    let there = view.netns_at(&place)?;
    let process = format!("dnsmasq pid {}: {}", server.pid, server.argv.join(" "));
    let fault = Fault {
        code: "dns-lookup-fails",
        summary: format!(
            "{} learns no name of the outside: {}, whom {} asks, knows none and has nobody to ask",
            instance.name, first.to, rung.to
        ),
        cause: format!("dnsmasq (pid {}) on {} has neither names nor servers", server.pid, place.host),
        confidence: Confidence::Proven,
        evidence: vec![evidence::state(there, "ps aux", process)],
        owner: "operator",
        remedy: vec![evidence::advice(
            format!("give {} names or a server to ask, or set another dns_server in nova.conf", first.to),
            "",
        )],
        instances: vec![instance.name.clone()],
        stopped: None,
        mend: Vec::new(),
        hop: place,
    };
    Some(fault.found().breaks(Exchange::Dns, Direction::Reply))
}

/// It answers for names, and is silent when it is asked for their IPv6 addresses.
fn tells_no_ipv6<'v>(
    view: &View<'v>,
    rung: &Rung,
    read: &LazyCell<World<'v>, impl FnOnce() -> World<'v>>,
) -> Option<Found> {
    let Withheld { silent, told, behind } = ipv6_names::withheld(view, rung)?;
    let server = dns::server(view.world, rung.instance)?;
    // What takes some packets may have taken these.
    if crowded::lost_some(view) || crowded::takes_some(view, &server.host.name, read) {
        return None;
    }
    let beyond = behind.first().map(|probe| probe.to);
    let hop = beyond.and_then(|to| place_of(view, to));
    let instance = view.intent().instances.get(rung.instance)?;
    let fault = Fault {
        code: "dns-lookup-fails",
        hop: hop.unwrap_or_else(|| at(server.ns, server.bridge, Stage::Service)),
        summary: format!(
            "{} finds every name late: {} answers for names and is silent when asked for their IPv6 addresses",
            instance.name, rung.to
        ),
        cause: match behind.first() {
            Some(probe) => {
                format!(
                    "{}, whom dnsmasq asks, does not answer questions for IPv6 addresses",
                    said::server(probe)
                )
            }
            None => "dnsmasq does not pass on what the servers behind it say of IPv6 addresses".to_owned(),
        },
        confidence: Confidence::Likely,
        evidence: [silent, told].into_iter().chain(behind.iter().copied()).map(said::evidence).collect(),
        owner: if beyond.is_some() { "operator" } else { "nova-network" },
        remedy: match beyond {
            Some(to) => vec![evidence::advice(
                format!(
                    "let {to} be asked for AAAA and say that there is none, or set another dns_server in nova.conf"
                ),
                "`options single-request` and `timeout:1` in an instance's resolv.conf shorten the wait meanwhile",
            )],
            None => restart::both(view, &server.host.name, "starts dnsmasq with the servers of nova.conf"),
        },
        instances: vec![instance.name.clone()],
        stopped: None,
        mend: Vec::new(),
    };
    Some(fault.found().breaks(Exchange::Dns, Direction::Reply))
}

/// By its command line alone it answers nobody: dnsmasq(8) has names from its options, files and servers.
fn knows_nothing(server: &Dnsmasq) -> bool {
    const SAYS_NOTHING: [&str; 16] = [
        "--bind-interfaces",
        "--bind-dynamic",
        "--conf-file",
        "--pid-file",
        "--listen-address",
        "--interface",
        "--except-interface",
        "--no-hosts",
        "--no-resolv",
        "--no-daemon",
        "--keep-in-foreground",
        "--log-facility",
        "--log-queries",
        "--user",
        "--group",
        "--cache-size",
    ];
    let has = |wanted: &str| server.argv.iter().any(|argument| argument == wanted);
    let is_idle = |argument: &String| {
        let name = argument.split_once('=').map_or(argument.as_str(), |(name, _)| name);
        SAYS_NOTHING.contains(&name)
    };
    let reads_no_file = has("--conf-file=") && has("--no-hosts") && server.no_resolv;
    reads_no_file && server.servers.is_empty() && server.argv.iter().skip(1).all(is_idle)
}

/// What makes dnsmasq ask this server: an argument, or a line of its host's resolv.conf.
fn asks(server: &dns::Server, probe: &ProbeResult) -> Option<Evidence> {
    let mut addresses = server.upstreams().into_iter().map(|upstream| upstream.address);
    let put_to =
        |at: &SocketAddrV4| (IpAddr::V4(*at.ip()), Some(at.port())) == (probe.to, probe.asked.server_port());
    let of_it = addresses.find(put_to)?;
    Some(server.asks(of_it))
}

fn is_silent(probe: Option<&ProbeResult>) -> bool {
    probe.is_some_and(|probe| probe.received == 0)
}

/// The look-up, or where its answer was cut short and nobody could fetch the whole of it in the instance's name, what
/// came of that from the resolver's own host. `None` where why nobody answers over TCP is told of that question.
fn whole<'v>(
    view: &View<'v>,
    server: &dns::Server,
    (rung, lookup): (&Rung, &'v ProbeResult),
) -> Option<&'v ProbeResult> {
    let over_tcp =
        |other: &&Rung| other.instance == rung.instance && matches!(other.purpose, Purpose::ResolverTcp(_));
    let is_lost = |other: &Rung| {
        let mut asked = view.probes.iter().filter(|probe| is_probe_of(probe, other)).peekable();
        let is_asked = asked.peek().is_some();
        other.answer.paths.iter().any(|path| path.stop().is_some())
            || (is_asked && !asked.any(|probe| probe.received > 0 && !probe.is_refused()))
    };
    let is_cut_short = matches!(word(lookup)?, Word::CutShort | Word::NoTcp);
    // Once something is mended, what came before that tells nothing of it.
    if is_cut_short && (!view.is_as_read || view.rungs.iter().filter(over_tcp).any(is_lost)) {
        return None;
    }
    let is_at_home = |probe: &&ProbeResult| (&probe.from, probe.to) == (&server.host.name, rung.to);
    let at_home = view.probes.iter().filter(is_at_home).find(|probe| looked_up::reverse(probe).is_some());
    Some(at_home.filter(|_| word(lookup) == Some(Word::CutShort)).unwrap_or(lookup))
}

/// Refused by anybody, or worse than what the servers behind answer. dnsmasq passes a refusal on to those who ask with
/// EDNS, as dig does; others, as most programs are, hear nothing.
fn fails(lookup: &ProbeResult, behind: &[&ProbeResult]) -> bool {
    let is_known = |probe: &&ProbeResult| matches!(word(probe), Some(Word::Told | Word::Refused));
    match word(lookup) {
        // Whoever wants the whole of it may have it.
        None | Some(Word::CutShort | Word::Told) => false,
        Some(Word::Refused) => true,
        Some(Word::Failed(_) | Word::NoTcp | Word::Unreadable(_) | Word::Strays(_) | Word::Nothing) => {
            behind.iter().any(is_known)
        }
    }
}

/// The device that carries an address, where its machine was read.
fn place_of(view: &View, address: IpAddr) -> Option<Place> {
    view.snapshot().netns.iter().find_map(|ns| {
        let carried = ns.addresses.iter().find(|carried| carried.net.addr() == address)?;
        Some(at(ns, &ns.link_name(carried.link), Stage::Service))
    })
}

#[cfg(test)]
mod tests {
    use model::dns::Rcode;
    use model::service::Dnsmasq;

    use crate::fixture::{Cloud, asked_for_ipv6, broken, codes, healthy, looked_up, told_its_version};

    /// What is found where the resolver and the server behind it answer so; `None` for silence.
    fn found(resolver: Option<Rcode>, upstream: Option<Rcode>) -> Vec<String> {
        found_in(healthy(), resolver, upstream)
    }

    fn found_in(mut cloud: Cloud, resolver: Option<Rcode>, upstream: Option<Rcode>) -> Vec<String> {
        let (gateway, server) = ([10, 0, 0, 42].into(), [1, 2, 3, 4].into());
        cloud.probes = vec![
            told_its_version("web1", gateway),
            looked_up("web1", gateway, resolver),
            looked_up("compute1", server, upstream),
        ];
        codes(&cloud.diagnose("web1"))
    }

    #[test]
    fn fires_where_anybody_refuses() {
        assert_eq!(found(Some(Rcode::Refused), Some(Rcode::Refused)), ["dns-lookup-fails external//eth0"]);
        assert_eq!(found(Some(Rcode::Refused), Some(Rcode::NoError)), ["dns-lookup-fails compute1//br100"]);
        assert_eq!(found(None, Some(Rcode::Refused)), ["dns-lookup-fails external//eth0"]);
    }

    #[test]
    fn fires_where_the_server_behind_answers_better() {
        assert_eq!(found(Some(Rcode::ServFail), Some(Rcode::NxDomain)), ["dns-lookup-fails compute1//br100"]);
        assert_eq!(found(None, Some(Rcode::NoError)), ["dns-lookup-fails compute1//br100"]);
    }

    #[test]
    fn stays_silent_where_a_zone_is_broken_far_away_or_has_no_such_name() {
        assert_eq!(found(Some(Rcode::ServFail), Some(Rcode::ServFail)), [""; 0]);
        assert_eq!(found(Some(Rcode::NxDomain), Some(Rcode::NoError)), [""; 0]);
    }

    /// Now and then there is room for one more, and the host is answered where its dnsmasq was not let out.
    #[test]
    fn stays_silent_where_its_host_can_open_no_connection() {
        let found = found_in(broken("conntrack-full"), Some(Rcode::Refused), Some(Rcode::NoError));
        assert_eq!(found, ["conntrack-full compute1//br100"]);
    }

    /// web1 learns the bridge's new MAC between two questions.
    #[test]
    fn stays_silent_where_what_was_read_lets_no_question_through() {
        let found = found_in(broken("bridge-mac-flap"), None, Some(Rcode::NoError));
        assert_eq!(found, ["bridge-mac-flap compute1//br100"]);
    }

    /// The server that dnsmasq asks is one of the site, with these arguments beside the usual ones.
    fn asking(more: &[&str]) -> Cloud {
        let mut cloud = healthy();
        let line = "dnsmasq --conf-file= --listen-address=1.2.3.4 --no-hosts --no-resolv";
        let argv: Vec<String> = line.split(' ').chain(more.iter().copied()).map(str::to_owned).collect();
        let listen = vec![[1, 2, 3, 4].into()];
        let servers = more.iter().filter_map(|argument| argument.strip_prefix("--server="));
        let servers = servers.map(str::to_owned).collect();
        let server = Dnsmasq { pid: 9, listen, no_resolv: true, servers, argv, ..Dnsmasq::default() };
        cloud.host("external").dnsmasq = vec![server];
        cloud
    }

    #[test]
    fn fires_unasked_on_a_server_that_has_nothing_to_say() {
        assert_eq!(codes(&asking(&[]).diagnose("web1")), ["dns-lookup-fails external//eth0"]);
        for more in ["--server=9.9.9.9", "--host-record=a.test,1.2.3.9", "--local=/test/", "-C"] {
            assert_eq!(codes(&asking(&[more]).diagnose("web1")), [""; 0], "{more}");
        }
        let gateway = [10, 0, 0, 42].into();
        let mut answered = asking(&[]);
        answered.probes = vec![
            told_its_version("web1", gateway),
            looked_up("web1", gateway, Some(Rcode::NoError)),
            looked_up("compute1", [1, 2, 3, 4].into(), Some(Rcode::NoError)),
        ];
        assert_eq!(codes(&answered.diagnose("web1")), [""; 0], "who was asked has the last word");
    }

    /// What is found where names are told, and questions for IPv6 addresses answered so.
    fn found_of_ipv6(resolver: Option<Rcode>, upstream: Option<Rcode>, told: Rcode) -> Vec<String> {
        let (gateway, server) = ([10, 0, 0, 42].into(), [1, 2, 3, 4].into());
        let mut cloud = healthy();
        cloud.probes = vec![
            told_its_version("web1", gateway),
            asked_for_ipv6("web1", gateway, resolver),
            asked_for_ipv6("compute1", server, upstream),
            looked_up("web1", gateway, Some(told)),
            looked_up("compute1", server, Some(told)),
        ];
        codes(&cloud.diagnose("web1"))
    }

    #[test]
    fn fires_where_only_ipv6_addresses_are_asked_for_in_vain() {
        for told in [Rcode::NoError, Rcode::NxDomain] {
            assert_eq!(found_of_ipv6(None, None, told), ["dns-lookup-fails external//eth0"]);
            assert_eq!(found_of_ipv6(None, Some(told), told), ["dns-lookup-fails compute1//br100"]);
        }
    }

    #[test]
    fn stays_silent_where_questions_for_ipv6_addresses_are_answered_in_whatever_way() {
        for said in [Rcode::NoError, Rcode::NxDomain, Rcode::Refused] {
            assert_eq!(found_of_ipv6(Some(said), None, Rcode::NoError), [""; 0], "{said:?}");
        }
        // That name alone may be refused.
        assert_eq!(found_of_ipv6(None, Some(Rcode::Refused), Rcode::NoError), [""; 0]);
    }

    #[test]
    fn leaves_the_server_behind_that_is_silent_to_where_it_is_lost() {
        let found = found(None, None);
        assert!(found.len() == 1 && found[0].starts_with("lost-at-hop "), "{found:?}");
    }
}
