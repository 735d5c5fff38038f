//! Leases that dnsmasq gives one client again and again, and that are never heard of: all four lines are in the log,
//! and the way back is at fault, or the client.

use model::Mac;
use model::finding::Evidence;
use model::path::{Direction, Disposition, Exchange, Hop, Path};
use model::service::{DhcpLogLine, DhcpMessage};

use crate::dhcp_refused;
use crate::dhcp_server;
use crate::power;
use crate::view::{Seat, View};

/// Who has its lease does not ask again at once: two ACKs are a client that was started anew, three are no chance.
const ACKS_MIN: usize = 3;
/// Clients ask again after some seconds; renewals come by the hour.
const WITHIN_S: u32 = 60;
/// Lines of the log that are shown, at most.
const LINES_MAX: usize = 6;

/// What shows that ACKs are not heard.
pub(crate) struct Unheard<'v> {
    /// How many the log has of one conversation within [`WITHIN_S`].
    pub(crate) acks: usize,
    /// The last lines of the log, the first of them first.
    pub(crate) evidence: Vec<Evidence>,
    /// Where the way back is lost, where that can be told.
    pub(crate) lost: Option<Lost<'v>>,
}

/// A stretch of the way back that the answers do not come over.
pub(crate) struct Lost<'v> {
    /// The first station that they did not come to, or at which nothing decides whether they pass.
    pub(crate) hop: &'v Hop,
    /// How that is known, to follow "it is lost at HOP: ".
    pub(crate) why: String,
}

/// The last that dnsmasq's log has of the client are [`ACKS_MIN`] ACKs of one conversation: a client that is started
/// anew begins with a DISCOVER as a rule. One that does not run asks for nothing.
pub(crate) fn of<'v>(view: &View<'v>, seat: &Seat, mac: Mac) -> Option<Unheard<'v>> {
    let server = dhcp_server::of(seat)?;
    if power::off(seat).is_some() || power::paused(seat).is_some() {
        return None;
    }
    let is_round = |line: &&DhcpLogLine| match line.kind {
        DhcpMessage::Discover | DhcpMessage::Offer | DhcpMessage::Request | DhcpMessage::Ack => true,
        DhcpMessage::Nak | DhcpMessage::Decline | DhcpMessage::Release | DhcpMessage::Inform => false,
    };
    let rounds: Vec<&DhcpLogLine> = dhcp_refused::words(seat, mac).take_while(is_round).collect();
    let is_ack = |line: &&&DhcpLogLine| line.kind == DhcpMessage::Ack;
    let (day, last_s) = clock(&rounds.iter().find(is_ack)?.time)?;
    let is_soon = |line: &&&DhcpLogLine| {
        clock(&line.time).is_some_and(|(on, at_s)| on == day && last_s.abs_diff(at_s) <= WITHIN_S)
    };
    let talks = rounds.split(|line| line.kind == DhcpMessage::Discover);
    let acks = talks.map(|talk| talk.iter().filter(is_ack).filter(is_soon).count()).max()?;
    if acks < ACKS_MIN || dhcp_refused::confidence(server, rounds.first()?).is_none() {
        return None;
    }
    let shown = rounds.iter().take(LINES_MAX).rev().map(|line| dhcp_refused::logged(seat, line));
    Some(Unheard { acks, evidence: shown.collect(), lost: lost(view, seat, mac) })
}

/// The day and the second of it in a log's time stamp: `Nov 24 03:09:00`, or RFC 3339.
fn clock(stamp: &str) -> Option<(&str, u32)> {
    let (day, time) = stamp.rsplit_once([' ', 'T'])?;
    let mut parts = time.get(..8)?.splitn(3, ':').map(|part| part.parse::<u32>().ok());
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    Some((day, hours.checked_mul(3600)?.checked_add(minutes.checked_mul(60)?)?.checked_add(seconds)?))
}

/// By what was seen of its own client at the stations of the way back, else by the walk.
fn lost<'v>(view: &View<'v>, seat: &Seat, mac: Mac) -> Option<Lost<'v>> {
    let paths = view.rungs_of(seat.instance).flat_map(|rung| &rung.answer.paths);
    let mut back = paths.filter(|path| (path.exchange, path.direction) == (Exchange::Dhcp, Direction::Reply));
    let path = back.next()?;
    vanished(view, path, mac).or_else(|| undecided(path))
}

/// The first station that saw its client's questions and no answer to them, behind one that saw answers.
fn vanished<'v>(view: &View, path: &'v Path, mac: Mac) -> Option<Lost<'v>> {
    let mut before = None;
    for hop in &path.hops {
        let is_here = |place: (&str, &str, &str)| place == (&hop.at.host, &hop.at.netns, &hop.at.device);
        let watch = view.watches.iter().find(|watch| is_here((&watch.machine, &watch.netns, &watch.device)));
        let Some(client) = watch.and_then(|watch| watch.clients.iter().find(|client| client.mac == mac))
        else {
            continue;
        };
        match (client.answers, before) {
            (0, Some((device, answers))) if client.questions > 1 => {
                let why = format!("{answers} answers to it were seen at {device}, and none here");
                return Some(Lost { hop, why });
            }
            (0, _) => {}
            (answers, _) => before = Some((hop.at.device.as_str(), answers)),
        }
    }
    None
}

/// Where the walk ends without knowing.
fn undecided(path: &Path) -> Option<Lost<'_>> {
    match &path.disposition {
        Disposition::Unknown { why, .. } => Some(Lost { hop: path.hops.last()?, why: why.clone() }),
        Disposition::Delivered { .. } | Disposition::Dropped(_) | Disposition::LeftSite => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logs_time_is_read_as_syslog_and_dnsmasq_write_it() {
        assert_eq!(clock("Nov 24 03:09:07"), Some(("Nov 24", 11_347)));
        assert_eq!(clock("2026-11-24T03:09:07.123456+00:00"), Some(("2026-11-24", 11_347)));
        assert_eq!(clock("03:09:07"), None);
        assert_eq!(clock("Nov 24 03:09"), None);
    }
}
