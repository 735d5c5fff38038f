//! Our own pings, watched at every device of their predicted way while they are under way.

use std::collections::BTreeMap;
use std::io::{self, PipeWriter, Write};
use std::os::fd::AsFd;
use std::thread::{self, JoinHandle};

use capture::filter;
use capture::session::{self, Event, Limits};
use capture::vantage::{self, Room, Selection, Vantage, Watched};
use model::Diagnosis;
use model::sighting::{DeviceWatch, Kind, PingSeen};
use model::snapshot::Gap;
use parse::dissect::Options;

use crate::gather::Facts;
use crate::pings::Ping;
use crate::sightings;
use crate::site_file::Site;
use crate::vantages;

/// Of a packet the headers are enough, whatever tags it wears.
const SNAP: u32 = 128;
/// A few thousand packets at each device: more pings than that pass no host while a few of ours do.
const ROOM: Room = Room { snap: SNAP, ring_bytes: 256 << 10, delay_ms: 10, settle_ms: 0, pause_ms: 250 };

/// Echoes at each vantage: by identifier, requests and replies.
type Seen = Vec<BTreeMap<u16, (u32, u32)>>;

/// Devices that are watched. Nothing of it outlives the process.
pub(crate) struct Watching {
    vantages: Vec<Vantage>,
    stop: PipeWriter,
    session: JoinHandle<io::Result<(Seen, session::Outcome)>>,
}

/// Starts to watch. What cannot be watched is left out: without root nothing can, and the diagnosis goes on.
pub(crate) fn start(site: &Site, facts: &mut Facts, expected: &Diagnosis) -> Option<Watching> {
    let filter = Selection::Filter(filter::parse("icmp").ok()?);
    let (mut vantages, mut watched, mut gaps) = (Vec::new(), Vec::new(), Vec::new());
    let wanted = vantages::on(&expected.paths, site, facts);
    for (at, opened) in wanted.iter().cloned().zip(vantage::open_all(&wanted, &filter, ROOM)) {
        match opened {
            Ok(open) => {
                watched.push(open);
                vantages.push(at);
            }
            Err(error) => gaps.push(Gap {
                what: format!("whether our pings pass {at}"),
                why: crate::failure::Failure::of(&error).to_string(),
                would_need: if error.is_permission() { "root" } else { "`ip -d link` there" }.to_owned(),
            }),
        }
    }
    if watched.is_empty() {
        return None;
    }
    facts.snapshot.gaps.extend(gaps);
    let (stopped, stop) = io::pipe().ok()?;
    let session = thread::spawn(move || {
        let mut seen: Seen = vec![BTreeMap::new(); watched.len()];
        let link_types: Vec<u16> = watched.iter().map(|w: &Watched| w.layer.link_type()).collect();
        let limits = Limits { stop: Some(stopped.as_fd()), ..Limits::default() };
        let outcome = session::run(watched, ROOM, limits, &mut |event| {
            note(event, &link_types, &mut seen);
            Ok(())
        })?;
        Ok((seen, outcome))
    });
    Some(Watching { vantages, stop, session })
}

fn note(event: Event<'_>, link_types: &[u16], seen: &mut Seen) {
    let Event::Packet { vantage, frame, .. } = event else { return };
    let (Some(link_type), Some(seen)) = (link_types.get(vantage), seen.get_mut(vantage)) else { return };
    let options = Options::for_snap_length(Some(SNAP));
    let Some(sighting) = sightings::of(&frame, *link_type, 0, 0, &options) else { return };
    // An echo's detail is its identifier and sequence number.
    let id = u16::try_from(sighting.detail >> 16).unwrap_or_default();
    match sighting.kind {
        Kind::EchoRequest => seen.entry(id).or_default().0 += 1,
        Kind::EchoReply => seen.entry(id).or_default().1 += 1,
        Kind::Icmp | Kind::Tcp | Kind::Udp | Kind::DnsQuery | Kind::DnsResponse | Kind::DhcpClient => {}
        Kind::DhcpServer | Kind::ArpRequest | Kind::ArpReply | Kind::Fragment | Kind::Other => {}
    }
}

/// Ends the watch. A device at which packets were dropped, or that went away, tells nothing.
pub(crate) fn finish(watching: Watching, pings: &[Ping]) -> Vec<DeviceWatch> {
    let Watching { vantages, mut stop, session } = watching;
    // The reader is the session: if it has ended, there is nobody to stop.
    let _ = stop.write_all(&[0]);
    let ended = session.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    let Ok((seen, outcome)) = ended else { return Vec::new() };
    let watched = vantages.into_iter().zip(seen).zip(outcome.counts);
    let whole = watched.filter(|(_, counts)| counts.drops == 0 && counts.ended.is_none());
    whole.map(|((vantage, seen), _)| device(vantage, &seen, pings)).collect()
}

fn device(vantage: Vantage, seen: &BTreeMap<u16, (u32, u32)>, pings: &[Ping]) -> DeviceWatch {
    let ping = |ping: &Ping| {
        let (requests, replies) = *seen.get(&ping.id)?;
        Some(PingSeen { from: ping.sender().to_owned(), to: ping.to, requests, replies })
    };
    let pings = pings.iter().filter_map(ping).collect();
    DeviceWatch { machine: vantage.host, netns: vantage.netns, device: vantage.device, pings }
}
