//! OFFERs that come to an instance's NIC, and that its client passes over.

use model::Mac;
use model::dhcp::{HeardReply, ReplyKind, UdpChecksum};
use model::finding::{Evidence, EvidenceKind};
use model::path::{Disposition, Exchange};
use model::service::{Console, ConsoleEventKind, DhcpLogLine, DhcpMessage};

use crate::dhcp_told::console_of;
use crate::view::{Seat, View};
use crate::{dhcp_refused, evidence, said};

/// Rounds of DISCOVER and OFFER that are no chance.
pub(crate) const ROUNDS_MIN: usize = 3;
/// Lines of the log that are shown, at most.
const LINES_MAX: usize = 4;

/// What shows that they are passed over.
pub(crate) struct Ignored {
    /// How many dnsmasq's log has since the client's last REQUEST.
    pub(crate) offers: usize,
    /// Of the one that was seen at the NIC.
    pub(crate) checksum: UdpChecksum,
    pub(crate) evidence: Vec<Evidence>,
}

/// The log has [`ROUNDS_MIN`] OFFERs and no REQUEST after them; the client has asked as often by its console, since
/// DISCOVERs of ours stand in that log too; every walk of its DHCP is open, and an OFFER to our DISCOVER came to the
/// NIC with the address that is recorded.
pub(crate) fn of(view: &View, seat: &Seat, mac: Mac) -> Option<Ignored> {
    let is_round = |line: &&DhcpLogLine| matches!(line.kind, DhcpMessage::Discover | DhcpMessage::Offer);
    let rounds: Vec<&DhcpLogLine> = dhcp_refused::words(seat, mac).take_while(is_round).collect();
    let offers = rounds.iter().filter(|line| line.kind == DhcpMessage::Offer).count();
    if offers < ROUNDS_MIN || !is_way_open(view, seat) {
        return None;
    }
    let name = &seat.instance.name;
    let heard = said::offers(view.probes, name).find(|heard| is_fitting(seat, heard))?;
    let own = evidence::record(EvidenceKind::Probe, format!("DHCPDISCOVER as {name}"), said::offer(heard));
    let told = asked_in_vain(seat)?;
    let shown = rounds.iter().take(LINES_MAX).rev().map(|line| dhcp_refused::logged(seat, line));
    Some(Ignored { offers, checksum: heard.checksum, evidence: shown.chain([own, told]).collect() })
}

/// Every walk of its DHCP is open, there and back.
fn is_way_open(view: &View, seat: &Seat) -> bool {
    let mut paths = view.rungs_of(seat.instance).flat_map(|rung| &rung.answer.paths);
    let is_open = |end: &Disposition| matches!(end, Disposition::Delivered { .. });
    paths.all(|path| path.exchange != Exchange::Dhcp || is_open(&path.disposition))
}

/// It is the network's own server's, and of the address that is recorded.
fn is_fitting(seat: &Seat, heard: &HeardReply) -> bool {
    let is_own = seat.gateway() == Some(heard.reply.server.unwrap_or(heard.from));
    let fits = heard.reply.address.is_some_and(|ip| seat.vif.fixed.contains(&ip));
    is_own && fits && heard.reply.kind == ReplyKind::Offer
}

/// Its console has a client that asked again and again, and neither for what it was offered nor with a lease in the
/// end.
fn asked_in_vain(seat: &Seat) -> Option<Evidence> {
    let Console { file, events } = console_of(seat.host, seat.instance)?;
    let is_more = |kind: &ConsoleEventKind| match kind {
        ConsoleEventKind::DhcpSelect | ConsoleEventKind::DhcpLease(_) => true,
        ConsoleEventKind::DhcpStarted(_)
        | ConsoleEventKind::DhcpDiscover
        | ConsoleEventKind::DhcpNoLease
        | ConsoleEventKind::DhcpFailed
        | ConsoleEventKind::MetadataAsked
        | ConsoleEventKind::MetadataUnreachable(_)
        | ConsoleEventKind::NicMissing
        | ConsoleEventKind::Login => false,
    };
    let tail = || events.iter().rev().take_while(|event| !is_more(&event.kind));
    let mut asked = tail().filter(|event| event.kind == ConsoleEventKind::DhcpDiscover);
    let last = asked.next()?;
    let count = 1 + asked.count();
    let text = format!("{} ({count} times, and never for what was offered)", last.text);
    (count >= ROUNDS_MIN).then(|| evidence::record(EvidenceKind::Log, format!("{file}:{}", last.line), text))
}
