//! Four captures of the same traffic with an answer key, from a seed: the same seed gives the same octets.
//!
//! Instances talk to servers over tap, uplink, router and server, in this order; answers come back the other
//! way. The compute host between tap and uplink translates addresses (half of the instances have one of their
//! own, the others share one, and their ports change) and lowers the TTL; so does the router. The clocks of
//! the four differ. One packet in a thousand is lost between uplink and router, either way; one in a hundred
//! is duplicated behind that.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, Write};

/// Names of the vantages, in the order of a request.
pub(crate) const NAMES: [&str; 4] = ["tap", "uplink", "router", "server"];
/// How far each clock is ahead, in nanoseconds.
pub(crate) const AHEAD_NS: [i64; 4] = [0, 3_000_000, -1_700_000, 400_000];

/// What is to be made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// What all is drawn from.
    pub(crate) seed: u64,
    /// Packets; each capture has nearly as many.
    pub(crate) packets: u64,
    /// One packet in so many is lost; 0 for none.
    pub(crate) lost_in: u64,
    /// One packet in so many is duplicated; 0 for none.
    pub(crate) duplicated_in: u64,
    /// This packet alone is lost, besides.
    pub(crate) lost_alone: Option<u64>,
}

/// What was planted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Key {
    /// Vantage where it was last seen, frame there, vantage where it should have been seen next.
    pub(crate) lost: Vec<(usize, u32, usize)>,
    /// Copies made.
    pub(crate) duplicates: u64,
}

/// When the first packet is sent.
const START_NS: i64 = 1_700_000_000_000_000_000;
/// Events of one vantage are sorted within this time.
const SORTED_NS: i64 = 20_000_000;
const GAP_NS: u64 = 10_000;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP: u8 = 1;

/// splitmix64.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn one_in(&mut self, of: u64) -> bool {
        of > 0 && self.below(of) == 0
    }
}

/// A frame on its way into a capture; of equal stamps the first drawn comes first.
type Event = Reverse<(i64, u64, Vec<u8>, Option<usize>)>;

struct Capture<'a> {
    out: &'a mut dyn Write,
    waiting: BinaryHeap<Event>,
    frames: u32,
}

impl Capture<'_> {
    /// Writes what can no longer be preceded by anything.
    fn write_until(&mut self, end: i64, place: usize, lost: &mut Vec<(usize, u32, usize)>) -> io::Result<()> {
        while self.waiting.peek().is_some_and(|event| event.0.0 < end) {
            let Some(Reverse((time, _, frame, expected))) = self.waiting.pop() else { break };
            self.frames += 1;
            if let Some(expected) = expected {
                lost.push((place, self.frames, expected));
            }
            let (seconds, ns) = (time.div_euclid(1_000_000_000), time.rem_euclid(1_000_000_000));
            let length = u32::try_from(frame.len()).unwrap_or_default();
            for word in [seconds, ns].map(|word| u32::try_from(word).unwrap_or_default()) {
                self.out.write_all(&word.to_le_bytes())?;
            }
            self.out.write_all(&length.to_le_bytes())?;
            self.out.write_all(&length.to_le_bytes())?;
            self.out.write_all(&frame)?;
        }
        Ok(())
    }
}

/// Writes the four captures and returns their key.
pub(crate) fn generate(plan: &Plan, outs: [&mut dyn Write; 4]) -> io::Result<Key> {
    let mut captures = outs.map(|out| Capture { out, waiting: BinaryHeap::new(), frames: 0 });
    for capture in &mut captures {
        let header = [0xa1b2_3c4d_u32, 0x0004_0002, 0, 0, 262_144, 1];
        header.iter().try_for_each(|word| capture.out.write_all(&word.to_le_bytes()))?;
    }
    let mut draw = Draw(plan.seed);
    let mut key = Key::default();
    let (mut now, mut made, mut order) = (START_NS, 0, 0);
    while made < plan.packets {
        let mut exchange = Exchange::draw(&mut draw, made);
        let mut time = now;
        for is_reply in [false, true] {
            if is_reply && !exchange.has_reply {
                break;
            }
            let is_lost = plan.lost_alone == Some(made) || draw.one_in(plan.lost_in);
            made += 1;
            let copies_from =
                draw.one_in(plan.duplicated_in).then(|| 2 + usize::try_from(draw.below(2)).unwrap_or(0));
            let way: [usize; 4] = if is_reply { [3, 2, 1, 0] } else { [0, 1, 2, 3] };
            for (step, place) in way.into_iter().enumerate() {
                let Some(capture) = captures.get_mut(place) else { continue };
                let loses_here = is_lost && step == 1;
                let expected = loses_here.then(|| way[step + 1]);
                let copies = if copies_from.is_some_and(|from| step >= from) { 2 } else { 1 };
                for copy in 0..copies {
                    let stamp = time + copy * 7_000 + AHEAD_NS[place];
                    let frame = exchange.frame(is_reply, place);
                    capture.waiting.push(Reverse((stamp, order, frame, expected)));
                    order += 1;
                }
                time += 20_000 + i64::try_from(draw.below(180_000)).unwrap_or_default();
                if loses_here {
                    break;
                }
            }
            if is_lost {
                break;
            }
            key.duplicates += u64::from(copies_from.is_some());
            exchange.reply_ids(&mut draw);
        }
        now += i64::try_from(GAP_NS + draw.below(2 * GAP_NS)).unwrap_or_default();
        for (place, capture) in captures.iter_mut().enumerate() {
            capture.write_until(now - SORTED_NS, place, &mut key.lost)?;
        }
    }
    for (place, capture) in captures.iter_mut().enumerate() {
        capture.write_until(i64::MAX, place, &mut key.lost)?;
        capture.out.flush()?;
    }
    key.lost.sort_unstable();
    Ok(key)
}

/// A packet and its answer.
struct Exchange {
    kind: u64,
    has_reply: bool,
    instance: u8,
    server: u8,
    port: u16,
    number: u64,
    /// IP ids of request and reply.
    ids: [u16; 2],
    sequence: u32,
    length: usize,
}

impl Exchange {
    fn draw(draw: &mut Draw, number: u64) -> Exchange {
        let kind = draw.below(4);
        // Half of UDP has no answer; ids are 0 with DF, and of 16 bits otherwise, so that many collide.
        let has_reply = kind != 2 || draw.one_in(2);
        let id = if kind == 0 || kind == 3 { 0 } else { u16::try_from(draw.below(65_536)).unwrap_or(0) };
        Exchange {
            kind,
            has_reply,
            instance: u8::try_from(10 + draw.below(64)).unwrap_or(10),
            server: u8::try_from(1 + draw.below(16)).unwrap_or(1),
            port: u16::try_from(32_768 + draw.below(28_000)).unwrap_or(32_768),
            number,
            ids: [id, 0],
            sequence: u32::try_from(draw.next() >> 32).unwrap_or_default(),
            length: usize::try_from(16 + draw.below(48)).unwrap_or(16),
        }
    }

    fn reply_ids(&mut self, draw: &mut Draw) {
        self.ids[1] = u16::try_from(draw.below(65_536)).unwrap_or(0);
    }

    fn frame(&self, is_reply: bool, place: usize) -> Vec<u8> {
        let is_outside = place > 0;
        let has_own = self.instance.is_multiple_of(2);
        let near = match (is_outside, has_own) {
            (false, _) => [10, 0, 2, self.instance],
            (true, true) => [203, 0, 113, self.instance],
            (true, false) => [203, 0, 113, 1],
        };
        // Who shares an address has another port there.
        let port = if is_outside && !has_own { self.port ^ 0x1555 } else { self.port };
        let far = [198, 51, 100, self.server];
        let (protocol, body) = self.body(is_reply, port);
        let hops = [[0, 1, 2, 2], [2, 1, 0, 0]][usize::from(is_reply)][place];
        let total = u16::try_from(20 + body.len()).unwrap_or_default();
        let (source, destination) = if is_reply { (far, near) } else { (near, far) };
        let mut frame =
            vec![0xfe, 0x16, 0x3e, 0, 0, u8::try_from(place).unwrap_or(0), 2, 0, 0, 0, 0, 1, 8, 0];
        frame.extend([0x45, 0]);
        frame.extend(total.to_be_bytes());
        frame.extend(self.ids[usize::from(is_reply)].to_be_bytes());
        frame.extend([0x40, 0, 64 - hops, protocol, 0, 0]);
        frame.extend(source);
        frame.extend(destination);
        frame.extend(body);
        frame
    }

    fn body(&self, is_reply: bool, port: u16) -> (u8, Vec<u8>) {
        let tag = self.number.to_be_bytes();
        let sequence = u16::try_from(self.number & 0xffff).unwrap_or(0);
        match self.kind {
            0 => {
                // Many pings have the same id, and sequence numbers come again.
                let head = [if is_reply { 0 } else { 8 }, 0, 0, 0, 0x61, self.instance];
                (ICMP, [&head[..], &sequence.to_be_bytes(), &tag, &vec![0x55; self.length]].concat())
            }
            1 => (TCP, self.tcp(is_reply, port, tag)),
            2 => {
                let data = [&tag[..], &vec![u8::from(is_reply); self.length]].concat();
                (UDP, udp(is_reply, port, 9_999, &data))
            }
            _ => {
                let flags = if is_reply { 0x81 } else { 1 };
                let name = format!("host{}", self.number % 5_000);
                let mut data = vec![tag[6], tag[7], flags, 0, 0, 1, 0, u8::from(is_reply), 0, 0, 0, 0];
                data.push(u8::try_from(name.len()).unwrap_or_default());
                data.extend(name.as_bytes());
                data.extend([0, 0, 1, 0, 1]);
                if is_reply {
                    data.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, self.server]);
                }
                (UDP, udp(is_reply, port, 53, &data))
            }
        }
    }

    fn tcp(&self, is_reply: bool, port: u16, tag: [u8; 8]) -> Vec<u8> {
        let length = u32::try_from(self.length + tag.len()).unwrap_or_default();
        let ends = if is_reply { [80, port] } else { [port, 80] };
        let mut body: Vec<u8> = ends.iter().flat_map(|port| port.to_be_bytes()).collect();
        let acknowledged = self.sequence.wrapping_add(length);
        let numbers = if is_reply { [7_777, acknowledged] } else { [self.sequence, 7_777] };
        body.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
        body.extend([0x50, if is_reply { 0x10 } else { 0x18 }, 1, 0xf6, 0, 0, 0, 0]);
        if !is_reply {
            body.extend(tag);
            body.extend(vec![0x2a; self.length]);
        }
        body
    }
}

fn udp(is_reply: bool, near: u16, far: u16, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + data.len()).unwrap_or_default();
    let (source, destination) = if is_reply { (far, near) } else { (near, far) };
    let head = [source, destination, length, 0].map(u16::to_be_bytes).concat();
    [&head[..], data].concat()
}
