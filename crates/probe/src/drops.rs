//! Where and why the kernel frees packets of ours, and their answers, in whatever namespace of this machine: the
//! device, the drop reason and the function.
//!
//! A BPF program hangs on the tracepoint `kfree_skb`. It is written here, at run time, with the places of members and
//! the names of reasons that this kernel tells itself (BTF), so nothing is compiled and no version is assumed. It
//! looks at each packet that is dropped on the machine, and tells of those alone that bear one of our numbers. All
//! of it belongs to descriptors: nothing is left, however the process ends.
//!
//! Needs root, or CAP_BPF and CAP_PERFMON over the machine; Linux 5.17 or newer, whose tracepoint tells reasons; and
//! `CONFIG_DEBUG_INFO_BTF`.

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd};

use model::path::Exchange;
use parse::btf::{self, Btf};
use sys::ebpf::{self, Kind, Map};

use program::{Maps, Places};

mod assembly;
mod program;

/// What the kernel tells of its own types.
const TYPES: &str = "/sys/kernel/btf/vmlinux";
/// Bytes of that at most: a kernel's takes some five million.
const TYPES_BYTES_MAX: u64 = 64 << 20;
/// The tracepoint's arguments where it tells a reason: the packet, the place and that.
const ARGUMENTS_MIN: usize = 3;
/// Numbers of ours at most.
pub const MARKS_MAX: u32 = 4096;
/// Drops told at most.
pub const DROPS_MAX: u32 = 1024;

/// A place in the kernel as function, offset and length, a return address being of the call before it
/// (Documentation/core-api/printk-formats.rst).
const FORMAT: &[u8] = b"%pB\0";

/// Why drops cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum DropsError {
    /// The caller lacks a privilege.
    #[error("cannot {step}: {source}")]
    Privilege {
        /// `load the program that tells drops`.
        step: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel does not tell where its structures have their members.
    #[error("this kernel does not describe its types: {TYPES}: {source}")]
    NoTypes {
        /// What the kernel said.
        source: io::Error,
    },
    /// What it tells cannot be used.
    #[error("{TYPES} cannot be used: {why}")]
    Types {
        /// What is wrong with it.
        why: String,
    },
    /// The kernel tells no reasons.
    #[error("this kernel does not tell why it drops packets")]
    NoReasons,
    /// The kernel does not take the program.
    #[error("this kernel does not take the program that tells drops: {why}")]
    Program {
        /// What its verifier says.
        why: String,
    },
    /// A step failed.
    #[error("cannot {step}: {source}")]
    Step {
        /// Which step.
        step: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl DropsError {
    /// What would let drops be told.
    pub fn would_need(&self) -> &'static str {
        match self {
            DropsError::Privilege { .. } => "root, or CAP_BPF and CAP_PERFMON over the whole machine",
            DropsError::NoTypes { .. } | DropsError::Types { .. } => "a kernel with CONFIG_DEBUG_INFO_BTF",
            DropsError::NoReasons | DropsError::Program { .. } => "Linux 5.17 or newer",
            DropsError::Step { .. } => "a kernel with CONFIG_BPF_SYSCALL",
        }
    }
}

/// A program that watches for drops. Dropping it ends it and leaves nothing behind.
#[derive(Debug)]
pub struct Watch {
    _attached: OwnedFd,
    marks: Map,
    records: Map,
    /// Names of reasons by their numbers, which differ from kernel to kernel.
    reasons: BTreeMap<u32, String>,
}

/// A packet of ours that was freed before its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PacketDrop {
    /// Inode of the namespace; `None` where the packet had neither device nor socket.
    pub inode: Option<u64>,
    /// The device that it was at; `None` of what a local socket sends and no device has yet.
    pub device: Option<Device>,
    /// The drop reason, as the kernel names it without prefix: `NETFILTER_DROP`.
    pub reason: String,
    /// The function that freed it: `nft_do_chain`.
    pub function: String,
    /// The packet's first bytes, from its IP header on, or ARP's.
    pub packet: Vec<u8>,
}

/// A device as the kernel has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its name at that moment.
    pub name: String,
    /// Its number.
    pub index: u32,
}

/// What was told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Told {
    /// In the order of their coming.
    pub drops: Vec<PacketDrop>,
    /// There were more than [`DROPS_MAX`], of which these are the first.
    pub is_full: bool,
}

/// Starts to watch. No packet is ours until [`Watch::add`] says so.
pub fn start() -> Result<Watch, DropsError> {
    let bytes = types().map_err(|source| DropsError::NoTypes { source })?;
    let btf = btf::parse(&bytes).map_err(|damaged| DropsError::Types { why: damaged.to_string() })?;
    if btf.tracepoint_arguments("kfree_skb").is_none_or(|count| count < ARGUMENTS_MIN) {
        return Err(DropsError::NoReasons);
    }
    let places = Places::of(&btf).map_err(|why| DropsError::Types { why })?;
    let step = "make a map for the program that tells drops";
    let made = |map: io::Result<Map>| map.map_err(|source| refused(step, source));
    let marks = made(Map::hash(program::KEY_BYTES, 1, MARKS_MAX))?;
    let records = made(Map::queue(program::RECORD_BYTES, DROPS_MAX))?;
    let format = made(Map::text(FORMAT))?;
    let maps = Maps { marks: marks.as_raw_fd(), records: records.as_raw_fd(), format: format.as_raw_fd() };
    let words = program::program(&places, maps);
    let program = ebpf::load(Kind::RawTracepoint, &words).map_err(|source| match source.raw_os_error() {
        Some(libc::EPERM) => refused("load the program that tells drops", source),
        Some(_) | None => DropsError::Program { why: ebpf::objection(Kind::RawTracepoint, &words) },
    })?;
    let attached = ebpf::attach_raw_tracepoint(c"kfree_skb", &program);
    let attached =
        attached.map_err(|source| refused("hang a program on the tracepoint kfree_skb", source))?;
    Ok(Watch { _attached: attached, marks, records, reasons: reasons(&btf) })
}

fn types() -> io::Result<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    std::fs::File::open(TYPES)?.take(TYPES_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn refused(step: &'static str, source: io::Error) -> DropsError {
    match source.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => DropsError::Privilege { step, source },
        Some(_) | None => DropsError::Step { step, source },
    }
}

/// Without the prefix that all have.
fn reasons(btf: &Btf<'_>) -> BTreeMap<u32, String> {
    let bare = |name: &str| {
        let name = name.strip_prefix("SKB_").unwrap_or(name);
        name.strip_prefix("DROP_REASON_").unwrap_or(name).to_owned()
    };
    btf.values("skb_drop_reason").into_iter().map(|(number, name)| (number, bare(name))).collect()
}

impl Watch {
    /// From now on, packets of this conversation with this number are ours, and their answers: an echo's identifier, a
    /// DHCP transaction, a DNS question's id, our own TCP port. At most [`MARKS_MAX`].
    pub fn add(&self, exchange: Exchange, number: u32) -> Result<(), DropsError> {
        let Some(key) = program::key(exchange, number) else { return Ok(()) };
        let step = "tell the program that tells drops which packets are ours";
        self.marks.insert(&key, &[1]).map_err(|source| refused(step, source))
    }

    /// From now on, ARP's questions for this address and the answers are ours, too: our packets wait for them.
    pub fn add_address(&self, address: Ipv4Addr) -> Result<(), DropsError> {
        let step = "tell the program that tells drops which addresses are asked for";
        self.marks.insert(&program::key_of_arp(address), &[1]).map_err(|source| refused(step, source))
    }

    /// Ends it and returns everything that was told until now.
    pub fn finish(self) -> Result<Told, DropsError> {
        let step = "read what the program that tells drops has told";
        let mut told = Told::default();
        while let Some(record) = self.records.take().map_err(|source| refused(step, source))? {
            told.drops.push(self.read(&record));
            if told.drops.len() >= DROPS_MAX as usize {
                told.is_full = true;
                break;
            }
        }
        Ok(told)
    }

    fn read(&self, record: &[u8]) -> PacketDrop {
        let number = |at: usize| {
            let bytes = record.get(at..).and_then(|rest| rest.first_chunk::<4>());
            bytes.map_or(0, |bytes| u32::from_ne_bytes(*bytes))
        };
        let text = |at: usize, length: usize| {
            let bytes = record.get(at..at + length).unwrap_or_default();
            let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
            String::from_utf8_lossy(text).into_owned()
        };
        let index = number(program::INDEX);
        let device = Device { name: text(program::NAME, program::NAME_BYTES), index };
        let inode = number(program::INODE);
        let place = text(program::FUNCTION, program::FUNCTION_BYTES);
        PacketDrop {
            inode: (inode != 0).then(|| inode.into()),
            device: Some(device).filter(|_| index != 0),
            reason: self.reason(number(program::REASON)),
            // Without what the compiler adds to a part of it: `.constprop.0`, `.cold`.
            function: place.split(['+', ' ', '.']).next().unwrap_or_default().to_owned(),
            packet: record.get(program::PACKET..).unwrap_or_default().to_vec(),
        }
    }

    /// Of a module that names its own reasons, its number and the reason's (include/net/dropreason.h).
    fn reason(&self, number: u32) -> String {
        let named = self.reasons.get(&number).cloned();
        named.unwrap_or_else(|| format!("SUBSYSTEM_{}_REASON_{}", number >> 16, number & 0xffff))
    }
}
