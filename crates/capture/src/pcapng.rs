//! pcapng files (draft-ietf-opsawg-pcapng): one section, one interface a vantage, nanoseconds.
//!
//! What is written is readable at any moment up to the last whole block, so a capture that is killed leaves a
//! file that ends early, not a broken one.

mod annotate;

use std::io::{self, Write};

use sys::packet_ring::{Frame, Way};

pub use annotate::annotate;

/// Block types.
const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const PACKET: u32 = 6;
const STATISTICS: u32 = 5;

/// Options: of all blocks, then by block.
const END: u16 = 0;
const COMMENT: u16 = 1;
const SECTION_APPLICATION: u16 = 4;
const INTERFACE_NAME: u16 = 2;
const INTERFACE_RESOLUTION: u16 = 9;
const INTERFACE_FILTER: u16 = 11;
const PACKET_FLAGS: u16 = 2;
const STATISTICS_START: u16 = 2;
const STATISTICS_END: u16 = 3;
const STATISTICS_RECEIVED: u16 = 4;
const STATISTICS_DROPPED: u16 = 5;

/// Longest text of an option: its length is 16 bits, and nobody reads more.
const TEXT_MAX: usize = 4096;

/// How many bytes of Ethernet addresses stand before the tag.
const TAG_AT: usize = 12;
/// How many the tag has.
const TAG_BYTES: u32 = 4;

/// An interface of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// `host/netns/device`.
    pub name: String,
    /// `LINKTYPE_` number of what its packets start with.
    pub link_type: u16,
    /// Bytes kept of a packet, at most; 0 for no limit.
    pub snap: u32,
    /// What was let through; empty where that is not known.
    pub filter: String,
}

/// A packet that was captured by others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied<'p> {
    /// Nanoseconds since 1970.
    pub time_ns: u64,
    /// Its bytes as far as they were kept.
    pub bytes: &'p [u8],
    /// How many bytes it had.
    pub length: u32,
    /// `epb_flags`, where they are known.
    pub flags: Option<u32>,
    /// What is to be said at it.
    pub comments: &'p [String],
}

/// What an interface counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statistics {
    /// When the capture began and ended, in nanoseconds since 1970.
    pub times_ns: (u64, u64),
    /// Packets that the filter took, the dropped ones among them.
    pub received: u64,
    /// Packets that were dropped by the kernel.
    pub dropped: u64,
}

/// Bytes that are handed on at once: few enough to stay in the processor's cache meanwhile.
const CHUNK: usize = 128 << 10;

/// A file under way. It is handed on by whole blocks, many at a time, and to the end when it is dropped; whoever
/// wants to know whether that went well flushes before.
#[derive(Debug)]
pub struct Writer<W: Write> {
    out: W,
    /// Blocks that are not yet handed on, and at the end the one that is being put together.
    blocks: Vec<u8>,
    /// Where that one begins.
    start: usize,
}

impl<W: Write> Drop for Writer<W> {
    fn drop(&mut self) {
        // Nobody is left to be told.
        let _ = self.flush();
    }
}

impl<W: Write> Writer<W> {
    /// Starts a file; the interfaces are numbered in this order.
    pub fn new(out: W, interfaces: &[Interface]) -> io::Result<Writer<W>> {
        let mut writer = Writer { out, blocks: Vec::with_capacity(2 * CHUNK), start: 0 };
        // Version 1.0, and a length that is not known yet.
        writer.begin(SECTION, [0x1a2b_3c4d, pair(1, 0), u32::MAX, u32::MAX]);
        writer.text(SECTION_APPLICATION, concat!("hopline ", env!("CARGO_PKG_VERSION")));
        writer.finish()?;
        for interface in interfaces {
            writer.interface(interface)?;
        }
        Ok(writer)
    }

    /// One interface more; it has the next number.
    pub fn interface(&mut self, interface: &Interface) -> io::Result<()> {
        self.begin(INTERFACE, [pair(interface.link_type, 0), interface.snap]);
        self.text(INTERFACE_NAME, &interface.name);
        // Ten to the power of minus nine.
        self.option(INTERFACE_RESOLUTION, &[9]);
        if !interface.filter.is_empty() {
            // 0: a filter of libpcap's language.
            let filter = [b"\0", shortened(&interface.filter).as_bytes()].concat();
            self.option(INTERFACE_FILTER, &filter);
        }
        self.finish()
    }

    /// A packet, its tag put back to where it is on the wire; with a comment, which Wireshark shows.
    pub fn packet(&mut self, interface: u32, frame: &Frame<'_>, comment: Option<&str>) -> io::Result<()> {
        let tag = frame.tag.filter(|_| frame.bytes.len() >= TAG_AT);
        let added = if tag.is_some() { TAG_BYTES } else { 0 };
        let kept = u32::try_from(frame.bytes.len()).unwrap_or(u32::MAX).saturating_add(added);
        let (high, low) = halves(frame.time_ns);
        // Millions of these are written: few and long steps.
        self.begin(PACKET, [interface, high, low, kept, frame.length.saturating_add(added)]);
        match tag {
            Some((ether_type, tag)) => {
                let (addresses, rest) = frame.bytes.split_at(TAG_AT);
                self.blocks.extend_from_slice(addresses);
                self.blocks.extend_from_slice([ether_type, tag].map(u16::to_be_bytes).as_flattened());
                self.blocks.extend_from_slice(rest);
            }
            None => self.blocks.extend_from_slice(frame.bytes),
        }
        self.pad();
        if let Some(comment) = comment {
            self.text(COMMENT, comment);
        }
        self.words([pair(PACKET_FLAGS, 4), flags(frame.way)]);
        self.finish()
    }

    /// A packet as another file has it.
    pub fn copied(&mut self, interface: u32, packet: &Copied<'_>) -> io::Result<()> {
        let (high, low) = halves(packet.time_ns);
        let kept = u32::try_from(packet.bytes.len()).unwrap_or(u32::MAX);
        self.begin(PACKET, [interface, high, low, kept, packet.length]);
        self.blocks.extend_from_slice(packet.bytes);
        self.pad();
        packet.comments.iter().for_each(|comment| self.text(COMMENT, comment));
        if let Some(flags) = packet.flags {
            self.option(PACKET_FLAGS, &flags.to_ne_bytes());
        }
        self.finish()
    }

    /// What an interface counted, once its capture has ended.
    pub fn statistics(&mut self, interface: u32, counted: Statistics) -> io::Result<()> {
        let (start, end) = counted.times_ns;
        let (high, low) = halves(end);
        self.begin(STATISTICS, [interface, high, low]);
        for (code, time) in [(STATISTICS_START, start), (STATISTICS_END, end)] {
            let (high, low) = halves(time);
            self.option(code, &[high.to_ne_bytes(), low.to_ne_bytes()].concat());
        }
        self.option(STATISTICS_RECEIVED, &counted.received.to_ne_bytes());
        self.option(STATISTICS_DROPPED, &counted.dropped.to_ne_bytes());
        self.finish()
    }

    /// What was written so far can be read by others now.
    pub fn flush(&mut self) -> io::Result<()> {
        self.hand_on()?;
        self.out.flush()
    }

    /// What failed once is not tried again: nobody knows how much of it has gone out.
    fn hand_on(&mut self) -> io::Result<()> {
        let result = self.out.write_all(&self.blocks);
        self.blocks.clear();
        self.start = 0;
        result
    }

    /// Its length is put in when it is known.
    fn begin<const N: usize>(&mut self, kind: u32, fields: [u32; N]) {
        self.words([kind, 0]);
        self.words(fields);
    }

    fn words<const N: usize>(&mut self, words: [u32; N]) {
        self.blocks.extend_from_slice(words.map(u32::to_ne_bytes).as_flattened());
    }

    /// Blocks begin at multiples of four.
    fn pad(&mut self) {
        let missing = self.blocks.len().next_multiple_of(4) - self.blocks.len();
        if missing > 0 {
            self.blocks.extend_from_slice([0; 3].get(..missing).unwrap_or_default());
        }
    }

    fn option(&mut self, code: u16, value: &[u8]) {
        self.words([pair(code, u16::try_from(value.len()).unwrap_or(0))]);
        self.blocks.extend_from_slice(value);
        self.pad();
    }

    fn text(&mut self, code: u16, text: &str) {
        self.option(code, shortened(text).as_bytes());
    }

    /// Every block here has options; this ends them and the block.
    fn finish(&mut self) -> io::Result<()> {
        let length =
            u32::try_from(self.blocks.len() - self.start + 8).map_err(|_| io::ErrorKind::InvalidData)?;
        self.words([pair(END, 0), length]);
        if let Some(slot) = self.blocks.get_mut(self.start + 4..self.start + 8) {
            slot.copy_from_slice(&length.to_ne_bytes());
        }
        self.start = self.blocks.len();
        if self.start < CHUNK { Ok(()) } else { self.hand_on() }
    }
}

/// Two halves of a word, in the order of the file: version, or what stands before an option's value.
fn pair(first: u16, second: u16) -> u32 {
    let [[a, b], [c, d]] = [first, second].map(u16::to_ne_bytes);
    u32::from_ne_bytes([a, b, c, d])
}

/// Bits 0 and 1 say the direction, 2 to 4 to whom (`epb_flags`).
fn flags(way: Way) -> u32 {
    let (direction, reception) = match way {
        Way::In => (1, 1),
        Way::Multicast => (1, 2),
        Way::Broadcast => (1, 3),
        Way::OtherHost => (1, 4),
        Way::Out => (2, 0),
        Way::Unknown(_) => (0, 0),
    };
    direction | reception << 2
}

fn halves(number: u64) -> (u32, u32) {
    let half = |bits: u64| u32::try_from(bits & u64::from(u32::MAX)).unwrap_or(0);
    (half(number >> 32), half(number))
}

/// At most so long, and whole characters.
fn shortened(text: &str) -> &str {
    text.get(..text.floor_char_boundary(TEXT_MAX)).unwrap_or(text)
}
