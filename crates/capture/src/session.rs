//! Watching many vantages from one thread until it is enough.
//!
//! Memory is the rings and nothing else: what is not looked at in time is dropped by the kernel, counted, and
//! told of.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use sys::bpf;
use sys::packet_ring::{Block, Frame, Frames};

use crate::vantage::{Room, Watched};

/// When it is enough.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits<'l> {
    /// After this time.
    pub time: Option<Duration>,
    /// After so many packets, of all vantages together.
    pub packets: Option<u64>,
    /// When this can be read from: a signalfd(2).
    pub stop: Option<BorrowedFd<'l>>,
}

/// What was seen at one vantage.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts {
    /// Packets looked at.
    pub packets: u64,
    /// Their bytes, as they were on the wire.
    pub bytes: u64,
    /// Packets that the kernel had no room for.
    pub drops: u64,
    /// Why it ended before the others, if it did.
    pub ended: Option<String>,
}

/// How a session went.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// What was seen at each vantage.
    pub counts: Vec<Counts>,
    /// When the rings were told to take nothing more, in nanoseconds since 1970: what came before was told.
    /// `None` where the session ended with packets still in rings.
    pub closed_ns: Option<u64>,
}

/// What happens during a session.
#[derive(Debug)]
pub enum Event<'e> {
    /// A packet.
    Packet {
        /// Index of the vantage.
        vantage: usize,
        /// It.
        frame: Frame<'e>,
        /// How many the kernel dropped at this vantage since the one before, about.
        lost_before: u64,
    },
    /// All that had been seen was told: a good moment to let others see it.
    Pause,
    /// Nothing more will be seen at a vantage.
    Ended {
        /// Index of the vantage.
        vantage: usize,
        /// Why.
        why: &'e str,
    },
}

/// A vantage with its figures.
struct Seat {
    watched: Option<Watched>,
    counts: Counts,
    /// Drops not yet told with a packet.
    lost: u64,
    /// Its device has been down at least. That it goes after that is told by no error more (`packet_notifier`,
    /// net/packet/af_packet.c), so it is asked for from then on.
    is_suspect: bool,
}

/// Tells of every packet until a limit is met, every vantage has ended, or `tell` fails. What came before a
/// limit of time or a stop is told in full.
///
/// Packets of one vantage come in the order of their time; of different ones nearly so: one may be late by the
/// rings' delay, less often where `settle_ms` lets them come together. An error of kind `BrokenPipe` from `tell`
/// ends the session without being a failure.
pub fn run(
    vantages: Vec<Watched>,
    room: Room,
    limits: Limits<'_>,
    tell: &mut dyn FnMut(Event<'_>) -> io::Result<()>,
) -> io::Result<Outcome> {
    let seat =
        |watched| Seat { watched: Some(watched), counts: Counts::default(), lost: 0, is_suspect: false };
    let mut seats: Vec<Seat> = vantages.into_iter().map(seat).collect();
    let result = watch(&mut seats, room, limits, tell);
    seats.iter_mut().for_each(count_drops);
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        Ok(closed_ns) => Ok(outcome(seats, closed_ns)),
        Err(_) => Ok(outcome(seats, None)),
    }
}

fn outcome(mut seats: Vec<Seat>, closed_ns: Option<u64>) -> Outcome {
    // The kernel lets a moment pass before a ring is gone (`packet_release`, net/packet/af_packet.c), and all wait
    // for the same one.
    thread::scope(|scope| {
        for watched in seats.iter_mut().filter_map(|seat| seat.watched.take()) {
            scope.spawn(move || drop(watched));
        }
    });
    Outcome { counts: seats.into_iter().map(|seat| seat.counts).collect(), closed_ns }
}

fn watch(
    seats: &mut [Seat],
    room: Room,
    limits: Limits<'_>,
    tell: &mut dyn FnMut(Event<'_>) -> io::Result<()>,
) -> io::Result<Option<u64>> {
    let until = limits.time.map(|time| Instant::now() + time);
    let mut left = limits.packets.unwrap_or(u64::MAX);
    let pause = Duration::from_millis(room.pause_ms.into());
    let mut tick = Instant::now() + pause;
    loop {
        let now = Instant::now();
        if now >= tick {
            look_around(seats, tell)?;
            tick = now + pause;
        }
        let is_over = until.is_some_and(|until| now >= until);
        if is_over || seats.iter().all(|seat| seat.watched.is_none()) {
            break;
        }
        let wake = until.map_or(tick, |until| until.min(tick));
        match wait(seats, limits.stop, wake.saturating_duration_since(now))? {
            Woken::Stop => break,
            Woken::Packets => thread::sleep(Duration::from_millis(room.settle_ms.into())),
            Woken::Nothing => {}
        }
        round(seats, &mut left, tell)?;
        if left == 0 {
            return Ok(None);
        }
    }
    drain(seats, room, &mut left, tell)
}

/// What came before now and is still in blocks that are not full is waited for; nothing new comes in. Tells the
/// time from which on it did not, where all was waited for.
fn drain(
    seats: &mut [Seat],
    room: Room,
    left: &mut u64,
    tell: &mut dyn FnMut(Event<'_>) -> io::Result<()>,
) -> io::Result<Option<u64>> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    for watched in seats.iter().filter_map(|seat| seat.watched.as_ref()) {
        watched.ring.filter(&bpf::NOTHING)?;
    }
    let delay = Duration::from_millis(u64::from(room.delay_ms));
    let until = Instant::now() + 2 * delay;
    while let now = Instant::now()
        && now < until
        && *left > 0
    {
        wait(seats, None, until - now)?;
        round(seats, left, tell)?;
    }
    Ok((*left > 0).then(|| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)))
}

#[derive(Debug, PartialEq, Eq)]
enum Woken {
    Stop,
    Packets,
    Nothing,
}

/// Waits until a ring has something, the stop is asked for, or the time is over.
fn wait(seats: &mut [Seat], stop: Option<BorrowedFd<'_>>, time: Duration) -> io::Result<Woken> {
    let rings = seats.iter().filter_map(|seat| seat.watched.as_ref()).map(|watched| watched.ring.as_fd());
    let mut fds: Vec<PollFd> =
        stop.into_iter().chain(rings).map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
    // Rounded up: a wait of no time would be a wait of the processor.
    let time = PollTimeout::try_from(time + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
    match poll(&mut fds, time) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(errno) => return Err(errno.into()),
    }
    let is_stop = stop.is_some() && fds.first().is_some_and(|fd| fd.any() == Some(true));
    let has_any = fds.iter().any(|fd| fd.any() == Some(true));
    let has_error = fds.iter().filter_map(PollFd::revents).any(|events| events.contains(PollFlags::POLLERR));
    if has_error {
        for seat in seats.iter_mut() {
            // Read so that it does not wake again.
            let error = seat.watched.as_ref().map(|watched| watched.ring.take_error());
            seat.is_suspect |= error.is_some_and(|error| error.is_err());
        }
    }
    Ok(match (is_stop, has_any) {
        (true, _) => Woken::Stop,
        (false, true) => Woken::Packets,
        (false, false) => Woken::Nothing,
    })
}

/// Vantages whose device or namespace has gone are left.
fn look_around(seats: &mut [Seat], tell: &mut dyn FnMut(Event<'_>) -> io::Result<()>) -> io::Result<()> {
    let mut inodes = BTreeMap::new();
    let ended: Vec<Option<String>> =
        seats.iter().map(|seat| seat.watched.as_ref()?.ended(seat.is_suspect, &mut inodes)).collect();
    for (vantage, (seat, why)) in seats.iter_mut().zip(ended).enumerate() {
        let Some(why) = why else { continue };
        // What it saw until then is still in its ring.
        let mut everything = u64::MAX;
        round(std::slice::from_mut(seat), &mut everything, &mut |event| match event {
            Event::Packet { frame, lost_before, .. } => tell(Event::Packet { vantage, frame, lost_before }),
            Event::Pause | Event::Ended { .. } => Ok(()),
        })?;
        seat.watched = None;
        tell(Event::Ended { vantage, why: &why })?;
        seat.counts.ended = Some(why);
    }
    Ok(())
}

fn count_drops(seat: &mut Seat) {
    // A ring that does not tell has been told of by other means.
    if let Some(Ok(new)) = seat.watched.as_ref().map(|watched| watched.ring.statistics()) {
        seat.counts.drops += u64::from(new.drops);
    }
}

/// Blocks of each vantage that are looked at before limits are: a flood has no end of its own.
const BLOCKS_AT_ONCE: usize = 64;

/// Tells of what the kernel has handed over, the oldest first.
fn round(
    seats: &mut [Seat],
    left: &mut u64,
    tell: &mut dyn FnMut(Event<'_>) -> io::Result<()>,
) -> io::Result<()> {
    for _ in 0..BLOCKS_AT_ONCE {
        if !one_block_each(seats, left, tell)? || *left == 0 {
            break;
        }
    }
    tell(Event::Pause)
}

/// Where one vantage's packets are in its block.
struct Cursor<'c> {
    vantage: usize,
    frame: Frame<'c>,
    rest: Frames<'c>,
}

/// Whether there was a block at all.
fn one_block_each(
    seats: &mut [Seat],
    left: &mut u64,
    tell: &mut dyn FnMut(Event<'_>) -> io::Result<()>,
) -> io::Result<bool> {
    let mut figures = Vec::with_capacity(seats.len());
    let mut blocks: Vec<Option<Block<'_>>> = Vec::with_capacity(seats.len());
    for Seat { watched, counts, lost, .. } in seats {
        let block = watched.as_mut().and_then(|watched| watched.ring.next_block());
        if let Some(Ok(new)) = block.as_ref().filter(|block| block.is_losing()).map(Block::statistics) {
            counts.drops += u64::from(new.drops);
            *lost += u64::from(new.drops);
        }
        blocks.push(block);
        figures.push((counts, lost));
    }
    let mut cursors: Vec<Cursor<'_>> = Vec::new();
    for (vantage, block) in blocks.iter().enumerate() {
        let Some(mut rest) = block.as_ref().map(Block::frames) else { continue };
        if let Some(frame) = rest.next() {
            cursors.push(Cursor { vantage, frame, rest });
        }
    }
    while let Some((at, until)) = oldest(&cursors)
        && *left > 0
    {
        let Some(Cursor { vantage, frame, rest }) = cursors.get_mut(at) else { break };
        let Some((counts, lost)) = figures.get_mut(*vantage) else { break };
        // Not asked again who is the oldest before somebody else can be.
        let is_over = loop {
            counts.packets += 1;
            counts.bytes += u64::from(frame.length);
            *left -= 1;
            tell(Event::Packet { vantage: *vantage, frame: *frame, lost_before: std::mem::take(*lost) })?;
            match rest.next() {
                Some(next) => *frame = next,
                None => break true,
            }
            if frame.time_ns > until || *left == 0 {
                break false;
            }
        };
        if is_over {
            cursors.swap_remove(at);
        }
    }
    Ok(blocks.iter().any(Option::is_some))
}

/// Which cursor's packet is the oldest, and until which time those that follow there are.
fn oldest(cursors: &[Cursor<'_>]) -> Option<(usize, u64)> {
    let time = |at: &usize| cursors.get(*at).map_or(u64::MAX, |cursor| cursor.frame.time_ns);
    let first = (0..cursors.len()).min_by_key(time)?;
    let others = (0..cursors.len()).filter(|at| *at != first);
    Some((first, others.map(|at| time(&at)).min().unwrap_or(u64::MAX)))
}
