//! NICs that the dnsmasq of their host would refuse, or last refused, and why.

use std::collections::BTreeMap;

use model::dhcp::ASKED_BY_US;
use model::finding::{Confidence, Evidence, EvidenceKind};
use model::intent::Vif;
use model::path::{Direction, Exchange};
use model::service::{DhcpHost, DhcpLogLine, DhcpMessage, DhcpRange, Dnsmasq};
use sim::dhcp::Offer;

use crate::dhcp_hosts;
use crate::dhcp_server;
use crate::evidence;
use crate::found::Found;
use crate::mend::Mend;
use crate::view::{Seat, View};

/// A NIC that is refused.
pub(crate) struct Refusal<'v> {
    pub(crate) seat: Seat<'v>,
    pub(crate) server: &'v Dnsmasq,
    /// The server also gives addresses to MACs that it does not know.
    pub(crate) dynamic: bool,
    /// A line of its hosts file has it ignore the NIC's MAC.
    pub(crate) ignoring: Option<&'v DhcpHost>,
    pub(crate) why: String,
    pub(crate) evidence: Vec<Evidence>,
}

/// Whether the dnsmasq that serves this NIC's bridge refuses it: by its arguments and files, or by
/// its own last word in the log where its leases cannot be read. Where its hosts file was not read, that word does not
/// tell why: the line may be missing, or unread by dnsmasq, or have come since.
pub(crate) fn of(seat: Seat<'_>) -> Option<Refusal<'_>> {
    let mac = seat.vif.mac?;
    let server = dhcp_server::of(&seat)?;
    let dynamic = server.ranges.iter().any(|r| !r.is_static && r.end.is_some());
    let is_refusal =
        |l: &&DhcpLogLine| l.kind == DhcpMessage::Discover && l.rest.contains("no address available");
    // Who declined its address is refused for ten minutes, whatever the files say.
    let log = last_word(&seat, mac).filter(is_refusal).filter(|_| declined(&seat, mac).is_none());
    let refused_in_log = log.is_some();
    let why = match sim::dhcp::would_offer(server, Some(mac), 0) {
        Offer::Refused(why) if why.starts_with("no address available") || why.starts_with("ignored") => why,
        Offer::Unknown(_) if refused_in_log && has_no_line(server, mac) => {
            "dnsmasq said so in its log".to_owned()
        }
        Offer::Refused(_) | Offer::Unknown(_) | Offer::Address(_) => return None,
    };
    let mut evidence: Vec<Evidence> = Vec::new();
    if let (Some(line), Some(file)) = (log, &seat.server.dhcp_log_file) {
        evidence.push(evidence::record(EvidenceKind::Log, file.clone(), line.text.clone()));
    }
    let file = server.hosts_file.as_deref().unwrap_or("--dhcp-hostsfile");
    let ignoring = dhcp_hosts::line(&seat, server).filter(|line| line.ignored);
    evidence.push(match ignoring {
        Some(line) => {
            evidence::record(EvidenceKind::Config, format!("{file}:{}", line.line), format!("{mac},ignore"))
        }
        None => evidence::record(EvidenceKind::Config, file, format!("no line for {mac}")),
    });
    Some(Refusal { seat, server, dynamic, ignoring, why, evidence })
}

/// That dnsmasq has no line for this MAC is known.
fn has_no_line(server: &Dnsmasq, mac: model::Mac) -> bool {
    match (&server.hosts, &server.hosts_file) {
        (Some(hosts), _) => hosts.iter().all(|host| host.mac != mac),
        (None, None) => true,
        (None, Some(_)) => false,
    }
}

/// The NICs in question that their dnsmasq refuses, those of one bridge together.
pub(crate) fn by_bridge<'v>(
    view: &View<'v>,
    wanted: impl Fn(&Refusal) -> bool,
) -> impl Iterator<Item = Vec<Refusal<'v>>> {
    let mut bridges: BTreeMap<(&'v str, &'v str), Vec<Refusal<'v>>> = BTreeMap::new();
    for refusal in view.vifs().filter_map(of).filter(wanted) {
        let bridge = refusal.seat.bridge_name().unwrap_or_default();
        bridges.entry((&refusal.seat.server.name, bridge)).or_default().push(refusal);
    }
    bridges.into_values()
}

/// The instances of refusals as a sentence names them.
pub(crate) fn names(refusals: &[Refusal]) -> Vec<String> {
    refusals.iter().map(|r| r.seat.instance.name.clone()).collect()
}

/// In the model, the server with a line in its hosts file for each NIC that it refuses.
pub(crate) fn admit(refusals: &[Refusal]) -> Option<Mend> {
    let first = refusals.first()?;
    let mut server = first.server.clone();
    let lines = refusals.iter().filter_map(|r| host_line(r.seat.vif));
    let hosts = server.hosts.get_or_insert_default();
    hosts.retain(|line| !line.ignored || refusals.iter().all(|r| r.seat.vif.mac != Some(line.mac)));
    hosts.extend(lines);
    Some(Mend::Dnsmasq { machine: first.seat.server.name.clone(), server: Box::new(server) })
}

/// The line that nova writes for a NIC.
pub(crate) fn host_line(vif: &Vif) -> Option<DhcpHost> {
    Some(DhcpHost { mac: vif.mac?, hostname: None, ip: vif.fixed.first().copied(), ignored: false, line: 0 })
}

/// The log's last DISCOVER or answer for this MAC on this NIC's bridge, whoever asked in its name.
pub(crate) fn last_word<'v>(seat: &Seat<'v>, mac: model::Mac) -> Option<&'v DhcpLogLine> {
    let bridge = seat.bridge_name()?;
    seat.server.dhcp_log.iter().rev().find(|l| l.mac == Some(mac) && l.interface == bridge)
}

/// What the log has of this MAC's own client on this NIC's bridge, the last first.
pub(crate) fn words<'v>(seat: &Seat<'v>, mac: model::Mac) -> impl Iterator<Item = &'v DhcpLogLine> {
    let bridge = seat.bridge_name();
    let lines = seat.server.dhcp_log.iter();
    let own =
        lines.filter(|line| line.mac == Some(mac) && bridge.is_some_and(|bridge| line.interface == bridge));
    of_clients(own).into_iter().rev()
}

/// Lines of one MAC without those of our own DISCOVERs, and the OFFER that each was answered by.
pub(crate) fn of_clients<'v>(lines: impl Iterator<Item = &'v DhcpLogLine>) -> Vec<&'v DhcpLogLine> {
    let mut offers_to_us = 0_u32;
    let is_clients = |line: &&DhcpLogLine| match line.kind {
        DhcpMessage::Discover if line.ip == Some(ASKED_BY_US) => {
            offers_to_us += u32::from(line.rest.is_empty());
            false
        }
        DhcpMessage::Offer if offers_to_us > 0 => {
            offers_to_us -= 1;
            false
        }
        DhcpMessage::Discover
        | DhcpMessage::Offer
        | DhcpMessage::Request
        | DhcpMessage::Ack
        | DhcpMessage::Nak
        | DhcpMessage::Decline
        | DhcpMessage::Release
        | DhcpMessage::Inform => true,
    };
    lines.filter(is_clients).collect()
}

/// A DISCOVER that dnsmasq ignores: it logs none of the address that is asked for then, by which ours are known
/// (`dhcp_reply`, src/rfc2131.c).
pub(crate) fn is_anybodys(line: &DhcpLogLine) -> bool {
    line.kind == DhcpMessage::Discover && line.ip.is_none() && line.rest == "ignored"
}

/// A line of dnsmasq's log, as evidence.
pub(crate) fn logged(seat: &Seat, line: &DhcpLogLine) -> Evidence {
    let file = seat.server.dhcp_log_file.as_deref().unwrap_or("dnsmasq's log");
    evidence::record(EvidenceKind::Log, format!("{file}:{}", line.line), line.text.clone())
}

/// How sure a line of the log makes of what this server does now. What another process said does not bind it; logged by
/// standard error it tells no pid, and may be another's.
pub(crate) fn confidence(server: &Dnsmasq, line: &DhcpLogLine) -> Option<Confidence> {
    if line.pid == 0 {
        return Some(Confidence::Likely);
    }
    (line.pid == server.pid || Some(line.pid) == server.helper_pid).then_some(Confidence::Proven)
}

/// The DHCPDECLINE by which this MAC gave the last lease back that the log tells of. What was asked and offered since
/// takes nothing back; a lease does, and so does a client that ended.
pub(crate) fn declined<'v>(seat: &Seat<'v>, mac: model::Mac) -> Option<&'v DhcpLogLine> {
    let is_last = |kind: DhcpMessage| match kind {
        DhcpMessage::Ack | DhcpMessage::Decline | DhcpMessage::Release => true,
        DhcpMessage::Discover
        | DhcpMessage::Offer
        | DhcpMessage::Request
        | DhcpMessage::Nak
        | DhcpMessage::Inform => false,
    };
    words(seat, mac).find(|line| is_last(line.kind)).filter(|line| line.kind == DhcpMessage::Decline)
}

/// A range as dnsmasq's argument writes it.
pub(crate) fn range_text(range: &DhcpRange) -> String {
    let end = range.end.map_or_else(|| "static".to_owned(), |end| end.to_string());
    format!("{},{end}", range.start)
}

/// A refusal breaks the DHCP exchange even where the walk could not see it: the log did.
pub(crate) fn breaks_dhcp(found: Found) -> Found {
    found.breaks(Exchange::Dhcp, Direction::Reply)
}
