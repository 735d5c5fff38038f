//! # dhcp-not-authoritative
//!
//! What dnsmasq has forgotten it does not answer for: instances ask in vain for the address that they had.
//!
//! ## What it means
//! An instance that reboots, or whose lease nears its end, asks for the address that it had. A dnsmasq that knows no
//! lease of it takes it for another server's client and keeps silent, unless it was started with
//! `--dhcp-authoritative`; that it has a line for the MAC in its hosts file does not matter. The client asks until it
//! gives up, and begins anew with a DISCOVER, which is answered: boots are slow, and some clients lose their address
//! for a while.
//!
//! ## How hopline knows
//! The instance's console tells of the lease, and dnsmasq's log has the ACK for it from a process before the present
//! one, not longer ago than a lease lasts, and nothing since. The present
//! one has not `--dhcp-authoritative`, and no lease of that MAC: its lease file has none, or it keeps none
//! (`--leasefile-ro` without a script). Nova's has a script that tells it every lease when it starts, and is never
//! blamed. Neither is one that reads a configuration file, which may say otherwise. It is likely, not proven: that
//! the client will ask for its old address is its own affair.
//!
//! ## What it looks like
//! Nothing in dnsmasq's log: what it ignores it does not log. `tcpdump -ni br100 port 67`: a REQUEST without a server
//! identifier, again and again, then DISCOVER, OFFER, REQUEST, ACK. A renewal that is sent to dnsmasq alone is
//! answered NAK with `lease not found`.
//!
//! ## Nearest look-alikes
//! * `dhcp-reply-lost`: the log has the answers.
//! * `dnsmasq-lease-max`: what is offered is taken back.
//! * `dnsmasq-stale-hosts-file`: a DISCOVER is refused, too.
//!
//! ## Fix
//! Start dnsmasq with `--dhcp-authoritative`, or have its leases told to it: nova-network's own asks `nova-dhcpbridge
//! init`. Instances that have asked anew are well. Undo: start it as before.
//!
//! ## References
//! dnsmasq(8) `--dhcp-authoritative`; dnsmasq `src/rfc2131.c` `dhcp_reply` (DHCPREQUEST, INIT-REBOOT); RFC 2131, 4.3.2;
//! nova `dhcpbridge.py` `init_leases`.

use std::collections::BTreeMap;

use model::Netns;
use model::finding::{Confidence, Evidence, EvidenceKind};
use model::path::Stage;
use model::service::{ConsoleEvent, ConsoleEventKind, DhcpLogLine, DhcpMessage, Dnsmasq};
use sim::dhcp::Offer;

use crate::dhcp_told::console_of;
use crate::found::{Fault, Found, Reach, at};
use crate::view::{Seat, View};
use crate::{dhcp_refused, dhcp_server, evidence};

/// A NIC whose lease was forgotten.
struct Forgotten<'v> {
    seat: Seat<'v>,
    server: &'v Dnsmasq,
    /// What its server's predecessor said.
    given: &'v DhcpLogLine,
    /// How it is known that the present one does not know.
    unknown: Evidence,
}

/// Looks for leases that dnsmasq has forgotten and will not give again at once: one finding a bridge.
pub fn check(view: &View) -> Vec<Found> {
    let mut bridges: BTreeMap<(&str, &str), Vec<Forgotten>> = BTreeMap::new();
    for forgotten in view.vifs().filter_map(|seat| forgotten(view, seat)) {
        let bridge = forgotten.seat.bridge_name().unwrap_or_default();
        bridges.entry((&forgotten.seat.server.name, bridge)).or_default().push(forgotten);
    }
    bridges.values().filter_map(|all| finding(all)).map(dhcp_refused::breaks_dhcp).collect()
}

fn forgotten<'v>(view: &View<'v>, seat: Seat<'v>) -> Option<Forgotten<'v>> {
    given_before(view, seat).filter(|given| holds(view, &given.seat) == Some(true))
}

/// The line that gave a lease which dnsmasq has forgotten, of an instance of which nothing tells whether it has it yet.
pub(crate) fn is_perhaps_forgotten<'v>(view: &View<'v>, seat: Seat<'v>) -> Option<&'v DhcpLogLine> {
    given_before(view, seat).filter(|given| holds(view, &given.seat).is_none()).map(|given| given.given)
}

/// A lease that its server's predecessor gave, and that this one will not know.
fn given_before<'v>(view: &View<'v>, seat: Seat<'v>) -> Option<Forgotten<'v>> {
    let (mac, server) = (seat.vif.mac?, dhcp_server::of(&seat)?);
    let given = last_given(&seat, mac)?;
    given.ip.filter(|ip| seat.vif.fixed.contains(ip))?;
    let is_of_another = given.pid != 0 && given.pid != server.pid && Some(given.pid) != server.helper_pid;
    let is_strict = !server.authoritative && reads_no_file(server);
    // Who is off may have let it end.
    if !(is_of_another && is_strict && may_last(view, server))
        || seat.instance.is_meant_off()
        || is_refused(view, &seat, server.pid)
    {
        return None;
    }
    let unknown = unknown_to(server, mac)?;
    Some(Forgotten { seat, server, given, unknown })
}

/// What its predecessor gave may not have run out yet: since it was started, no lease's time has gone by.
fn may_last(view: &View, server: &Dnsmasq) -> bool {
    let longest = server.ranges.iter().filter_map(|range| range.lease_seconds).max();
    let ends = server.started_ms.zip(longest).map(|(started, longest)| started / 1000 + u64::from(longest));
    ends.is_none_or(|ends| view.read.taken_at < ends)
}

/// The last lease that the log says was given to this MAC, unless it was taken back since.
fn last_given<'v>(seat: &Seat<'v>, mac: model::Mac) -> Option<&'v DhcpLogLine> {
    let bridge = seat.bridge_name()?;
    let of_it =
        seat.server.dhcp_log.iter().rev().filter(|line| line.mac == Some(mac) && line.interface == bridge);
    let is_of_leases = |kind: DhcpMessage| match kind {
        DhcpMessage::Ack | DhcpMessage::Nak | DhcpMessage::Decline | DhcpMessage::Release => true,
        DhcpMessage::Discover | DhcpMessage::Offer | DhcpMessage::Request | DhcpMessage::Inform => false,
    };
    of_it.into_iter().find(|line| is_of_leases(line.kind)).filter(|line| line.kind == DhcpMessage::Ack)
}

/// Nothing but its arguments says what it does. Without `--conf-file` it reads /etc/dnsmasq.conf.
fn reads_no_file(server: &Dnsmasq) -> bool {
    let has = |start: &str| server.argv.iter().any(|argument| argument.starts_with(start));
    server.conf_file.is_none() && has("--conf-file=") && !has("--conf-dir") && !has("-7")
}

/// Its client says on its console that it has the address, and where it can be seen, the instance has it, as its facts
/// were read. Who was given an address by hand asks nobody for it, and who has another one does not ask for this.
/// `None` where no console tells of a lease, and it may have it.
fn holds(view: &View, seat: &Seat) -> Option<bool> {
    let address = last_given(seat, seat.vif.mac?)?.ip?;
    let read =
        seat.inside(view).map(|(inside, _)| view.read.netns.iter().find(|ns| ns.inode == inside.inode));
    let has = |ns: &Netns| ns.addresses.iter().any(|own| own.net.addr() == address);
    if read.is_some_and(|read| !read.is_some_and(has)) {
        return Some(false);
    }
    let is_lease = |event: &&ConsoleEvent| matches!(event.kind, ConsoleEventKind::DhcpLease(_));
    let last = console_of(seat.host, seat.instance)?.events.iter().rev().find(is_lease)?;
    Some(last.kind == ConsoleEventKind::DhcpLease(address))
}

/// As its facts were read it gives the NIC nothing at all, which is another fault's doing.
fn is_refused(view: &View, seat: &Seat, pid: u32) -> bool {
    let host = view.read.hosts.iter().find(|host| host.name == seat.server.name);
    let read = host.and_then(|host| host.dnsmasq.iter().find(|server| server.pid == pid));
    let is_given = |server: &Dnsmasq| {
        let offered =
            matches!(sim::dhcp::would_offer(server, seat.vif.mac, view.read.taken_at), Offer::Address(_));
        offered && sim::dhcp::leases_all_held(server, seat.vif.mac, view.read.taken_at).is_none()
    };
    !read.is_some_and(is_given)
}

/// How it is known that it has no lease of this MAC; `None` where it may have one.
fn unknown_to(server: &Dnsmasq, mac: model::Mac) -> Option<Evidence> {
    match (server.leasefile_ro, &server.script, &server.leases) {
        (false, _, Some(leases)) if leases.iter().all(|lease| lease.mac != mac) => {
            let file = server.lease_file.as_deref().unwrap_or("--dhcp-leasefile");
            let text = format!("{} leases, none of {mac}", leases.len());
            Some(evidence::record(EvidenceKind::Config, file, text))
        }
        (true, None, _) => {
            let text = "--leasefile-ro without --dhcp-script: no lease outlives the process".to_owned();
            Some(evidence::record(EvidenceKind::Config, "ps aux", text))
        }
        // The script has told it of those in the database, or the file could not be read.
        (true, Some(_), _) | (false, _, Some(_) | None) => None,
    }
}

fn finding(all: &[Forgotten]) -> Option<Found> {
    let Forgotten { seat, server, given, .. } = all.first()?;
    let names: Vec<String> = all.iter().map(|one| one.seat.instance.name.clone()).collect();
    let file = seat.server.dhcp_log_file.as_deref().unwrap_or("dnsmasq's log");
    let known = all.iter().map(|one| evidence::record(EvidenceKind::Log, file, one.given.text.clone()));
    let unknown = all.iter().map(|one| one.unknown.clone());
    let process = format!("dnsmasq pid {}: {}", server.pid, server.argv.join(" "));
    let fault = Fault {
        code: "dhcp-not-authoritative",
        hop: at(seat.server_ns, seat.bridge_name()?, Stage::Service),
        summary: format!(
            "the lease of {} was forgotten: dnsmasq on {} does not answer who asks for the address that it had",
            names.join(", "),
            seat.server.name
        ),
        cause: format!(
            "dnsmasq (pid {}) knows no lease that pid {} gave, and without --dhcp-authoritative it ignores requests \
             for what it does not know",
            server.pid, given.pid
        ),
        confidence: Confidence::Likely,
        evidence: known.chain(unknown).chain([evidence::state(seat.server_ns, "ps aux", process)]).collect(),
        owner: "nova-network",
        remedy: vec![
            evidence::advice(
                format!("have {} ask anew, as who had no address", names.join(", ")),
                "clients do so by themselves after a minute or so without an answer",
            ),
            evidence::advice(
                "dhcp-authoritative, in the file that dnsmasq_config_file of nova.conf names",
                "then dnsmasq refuses at once what it does not know, and clients begin anew",
            ),
        ],
        stopped: None,
        mend: vec![dhcp_server::put_right(seat, Dnsmasq { authoritative: true, ..(*server).clone() })],
        instances: names.clone(),
    };
    Some(fault.found().reaching(Reach::Nothing))
}

#[cfg(test)]
mod tests {
    use model::service::{DhcpLease, DhcpMessage, Dnsmasq};

    use crate::fixture::{Cloud, broken, codes, healthy};

    const CODE: &str = "dhcp-not-authoritative";

    #[test]
    fn fires_where_the_lease_file_has_lost_what_the_log_tells() {
        let found = broken(CODE).diagnose("web1");
        assert_eq!(codes(&found), ["dhcp-not-authoritative compute1//br100"]);
        let texts: Vec<&str> = found.findings[0].evidence.iter().map(|e| e.text.as_str()).collect();
        assert!(texts[0].ends_with("DHCPACK(br100) 10.0.2.24 fa:16:3e:00:02:24 web1"), "{texts:?}");
        assert_eq!(texts[1], "0 leases, none of fa:16:3e:00:02:24");
    }

    #[test]
    fn fires_where_nothing_tells_it_its_leases() {
        let mut cloud = broken(CODE);
        let server = cloud.dnsmasq("compute1");
        (server.leasefile_ro, server.script, server.leases) = (true, None, None);
        assert_eq!(codes(&cloud.diagnose("web1")), ["dhcp-not-authoritative compute1//br100"]);
    }

    fn with(change: impl Fn(&mut Dnsmasq)) -> Vec<String> {
        let mut cloud = broken(CODE);
        change(cloud.dnsmasq("compute1"));
        codes(&cloud.diagnose("web1"))
    }

    /// The near misses: what nova starts, what is authoritative, and what may be.
    #[test]
    fn stays_silent_on_a_server_that_knows_or_answers_all_the_same() {
        let mac = healthy().intent.instances[0].vifs[0].mac.unwrap();
        assert_eq!(with(|server| server.leasefile_ro = true), [""; 0], "its script tells it");
        assert_eq!(with(|server| server.authoritative = true), [""; 0]);
        assert_eq!(with(|server| server.leases = None), [""; 0], "nobody could read it");
        assert_eq!(with(|server| server.conf_file = Some("/etc/nova/dnsmasq.conf".to_owned())), [""; 0]);
        assert_eq!(with(|server| server.argv.retain(|word| word != "--conf-file=")), [""; 0]);
        let own = DhcpLease { expires: 0, mac, ip: [10, 0, 2, 24].into(), hostname: "web1".to_owned() };
        assert_eq!(with(|server| server.leases = Some(vec![own.clone()])), [""; 0]);
    }

    fn said(change: impl Fn(&mut Cloud)) -> Vec<String> {
        let mut cloud = broken(CODE);
        change(&mut cloud);
        codes(&cloud.diagnose("web1"))
    }

    #[test]
    fn stays_silent_where_the_lease_is_the_present_servers_or_over() {
        let pid = broken(CODE).dnsmasq("compute1").pid;
        let last = |cloud: &mut Cloud, change: &dyn Fn(&mut model::service::DhcpLogLine)| {
            change(cloud.host("compute1").dhcp_log.last_mut().unwrap());
        };
        assert_eq!(said(|cloud| last(cloud, &|line| line.pid = pid)), [""; 0], "it gave it itself");
        assert_eq!(said(|cloud| last(cloud, &|line| line.kind = DhcpMessage::Release)), [""; 0]);
        assert_eq!(said(|cloud| last(cloud, &|line| line.ip = Some([10, 0, 2, 99].into()))), [""; 0]);
        assert_eq!(
            said(|cloud| cloud.host("compute1").dhcp_log.clear()),
            [""; 0],
            "the log has been rotated"
        );
        let moved = said(|cloud| cloud.readdress("web1", "10.0.2.24", "10.0.2.99"));
        assert!(moved.iter().all(|code| !code.starts_with(CODE)), "{moved:?}");
    }

    #[test]
    fn stays_silent_where_it_gives_nothing_at_all() {
        for other in ["dnsmasq-lease-max", "dnsmasq-pool-exhausted"] {
            let mut cloud = broken(other);
            let given = broken(CODE).host("compute1").dhcp_log.last().unwrap().clone();
            cloud.host("compute1").dhcp_log.push(given);
            assert_eq!(codes(&cloud.diagnose("web1")), [format!("{other} compute1//br100")], "{other}");
        }
    }
}
