//! Captures as files have them: pcap, pcapng, and gzip or zstd of them, from any `Read`, in bounded memory.
//!
//! A reader gives packets until the file ends or breaks. What breaks it is a [`Damage`]: where, and why; the
//! packets before it stand. Formats: draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng.

mod pcap;
mod pcapng;
mod window;

use std::io::{self, Read};
use std::ops::Range;

use flate2::read::MultiGzDecoder;

use window::Window;

/// The longest packet or block that is read; libpcap's own limit of a packet is 256 KiB.
pub const BLOCK_MAX: usize = 16 << 20;

/// One packet of a capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// 1-based position in the file.
    pub number: u32,
    /// Nanoseconds since the epoch.
    pub time_ns: i64,
    /// Index of its interface block; 0 in pcap.
    pub interface: u32,
    /// `LINKTYPE_` number of what it begins with.
    pub link_type: u32,
    /// What was captured.
    pub data: &'a [u8],
    /// Octets that the packet had on the wire.
    pub length: u32,
}

/// What a file tells of a packet besides the packet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Remarks {
    /// What somebody wrote at it.
    pub comments: Vec<String>,
    /// `epb_flags`: the direction, and to whom.
    pub flags: Option<u32>,
}

/// An interface as pcapng describes it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Interface {
    /// Its name, where the file has one.
    pub name: Option<String>,
    /// `LINKTYPE_` number.
    pub link_type: u32,
    /// Octets kept of each packet; 0 for all.
    pub snap_length: u32,
    /// What was to be kept, in libpcap's language, where the file tells.
    pub filter: Option<String>,
    /// From when until when packets were recorded, in nanoseconds since the epoch, where the file tells.
    pub recorded_ns: Option<(i64, i64)>,
    /// Packets that there was no room for, where the file tells.
    pub dropped: Option<u64>,
    /// Ticks in a second.
    ticks: u64,
    /// Nanoseconds to add to each stamp.
    offset_ns: i64,
}

/// Where a file broke, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Octets from the start; of the unpacked data where the file is packed.
    pub offset: u64,
    /// What is wrong there.
    pub why: String,
}

/// What a file turned out to be.
pub enum Opened<R: Read> {
    /// A capture.
    Capture(Box<Capture<R>>),
    /// Neither format: what it begins with (at most [`HEAD_MAX`] octets), and how to read on.
    Unknown {
        /// The first octets.
        head: Vec<u8>,
        /// The rest.
        rest: Box<dyn Read + Send>,
    },
}

/// Octets that are looked at to tell formats apart.
pub const HEAD_MAX: usize = 24;

/// A capture being read.
pub struct Capture<R: Read> {
    window: Window<Unpacked<R>>,
    format: Format,
    frames: u32,
    is_over: bool,
    /// Where in the part taken last the packet's options are.
    options: Range<usize>,
}

enum Format {
    Pcap(pcap::Header),
    Pcapng(pcapng::Section),
}

/// A file from its first octet, which has been looked at.
type Whole<R> = io::Chain<io::Cursor<Vec<u8>>, R>;

/// A file, unpacked where it is packed.
enum Unpacked<R: Read> {
    Plain(Whole<R>),
    Gzip(Box<MultiGzDecoder<Whole<R>>>),
    Zstd(Box<zstd::Decoder<'static, io::BufReader<Whole<R>>>>),
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Unpacked::Plain(reader) => reader.read(into),
            Unpacked::Gzip(reader) => reader.read(into),
            Unpacked::Zstd(reader) => reader.read(into),
        }
    }
}

/// Tells the format by its first octets and reads its header.
///
/// # Errors
/// What kept the header from being read; a file in no known format is not an error but `Unknown`.
pub fn open<R: Read + Send + 'static>(mut reader: R) -> Result<Opened<R>, Damage> {
    let unreadable = |error: io::Error| Damage { offset: 0, why: why(&error) };
    let mut head = Vec::new();
    reader.by_ref().take(4).read_to_end(&mut head).map_err(unreadable)?;
    let is_gzip = head.starts_with(&[0x1f, 0x8b]);
    let is_zstd = head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]);
    let whole = io::Cursor::new(head).chain(reader);
    let mut unpacked = if is_gzip {
        Unpacked::Gzip(Box::new(MultiGzDecoder::new(whole)))
    } else if is_zstd {
        Unpacked::Zstd(Box::new(zstd::Decoder::new(whole).map_err(unreadable)?))
    } else {
        Unpacked::Plain(whole)
    };
    let mut head = Vec::new();
    unpacked.by_ref().take(HEAD_MAX as u64).read_to_end(&mut head).map_err(unreadable)?;
    let magic = head.first_chunk::<4>().copied().unwrap_or_default();
    let mut window = Window::new(unpacked, head);
    let format = if magic == pcapng::MAGIC {
        Format::Pcapng(pcapng::open(&mut window)?)
    } else if let Some(order) = pcap::order(magic) {
        Format::Pcap(pcap::open(&mut window, order)?)
    } else {
        let (head, rest) = window.into_parts();
        return Ok(Opened::Unknown { head, rest: Box::new(rest) });
    };
    Ok(Opened::Capture(Box::new(Capture { window, format, frames: 0, is_over: false, options: 0..0 })))
}

/// What a reader failed of. A plain file just ends; a packed one that ends too early is cut off.
fn why(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => format!("the packed file is cut off here ({error})"),
        _ => error.to_string(),
    }
}

impl<R: Read> Capture<R> {
    /// The next packet, `None` at the end.
    ///
    /// # Errors
    /// Where and why the file broke; nothing is read behind that, later calls return `None`.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, Damage> {
        if self.is_over {
            return Ok(None);
        }
        let found = match &mut self.format {
            Format::Pcap(header) => pcap::next(&mut self.window, header),
            Format::Pcapng(section) => pcapng::next(&mut self.window, section),
        };
        match found {
            Ok(Some(found)) => {
                self.frames = self.frames.saturating_add(1);
                self.options = found.options;
                let data = self.window.taken(found.skip, found.captured);
                Ok(Some(Frame {
                    number: self.frames,
                    time_ns: found.time_ns,
                    interface: found.interface,
                    link_type: found.link_type,
                    data,
                    length: found.length,
                }))
            }
            Ok(None) => {
                self.is_over = true;
                Ok(None)
            }
            Err(damage) => {
                self.is_over = true;
                Err(damage)
            }
        }
    }

    /// What pcapng tells of the packet read last besides: comments, and its direction.
    pub fn remarks(&self) -> Remarks {
        match &self.format {
            Format::Pcap(_) => Remarks::default(),
            Format::Pcapng(section) => {
                let Range { start, end } = self.options;
                section.remarks(self.window.taken(start, end.saturating_sub(start)))
            }
        }
    }

    /// The interfaces described so far; pcap has one without a name.
    pub fn interfaces(&self) -> &[Interface] {
        match &self.format {
            Format::Pcap(header) => std::slice::from_ref(&header.interface),
            Format::Pcapng(section) => &section.interfaces,
        }
    }

    /// The fewest octets that an interface described so far keeps of a packet; `None` for all.
    pub fn snap_length(&self) -> Option<u32> {
        self.interfaces().iter().map(|interface| interface.snap_length).filter(|octets| *octets > 0).min()
    }
}

/// A packet within the part of the window that was taken last.
struct Found {
    time_ns: i64,
    interface: u32,
    link_type: u32,
    length: u32,
    /// Where in the taken part the packet begins.
    skip: usize,
    captured: usize,
    /// Where in the taken part its options are.
    options: Range<usize>,
}

/// Order of octets in a file's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Little,
    Big,
}

impl Order {
    fn u32(self, octets: &[u8], at: usize) -> u32 {
        let word = octets.get(at..).and_then(|rest| rest.first_chunk::<4>()).copied().unwrap_or_default();
        match self {
            Order::Little => u32::from_le_bytes(word),
            Order::Big => u32::from_be_bytes(word),
        }
    }

    fn u16(self, octets: &[u8], at: usize) -> u16 {
        let word = octets.get(at..).and_then(|rest| rest.first_chunk::<2>()).copied().unwrap_or_default();
        match self {
            Order::Little => u16::from_le_bytes(word),
            Order::Big => u16::from_be_bytes(word),
        }
    }
}
