//! Packet rings: a socket that sees the packets of one device, and memory shared with the kernel which puts
//! them there by the block (packet(7), `TPACKET_V3`; Documentation/networking/packet_mmap.rst).
//!
//! All of it belongs to the socket: the ring, the filter and the device's packet tap end with it, however
//! the process ends. Nothing about the device is changed; promiscuous mode is not asked for.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{getsockopt, sockopt};

use crate::bpf::{self, Instruction};
use crate::socket_option;

/// Where `block_status` is in a block (`struct tpacket_block_desc`).
const STATUS: usize = 8;
/// `num_pkts`, `offset_to_first_pkt`.
const FRAMES: usize = 12;
const FIRST: usize = 16;
/// A frame begins with a `struct tpacket3_hdr`; the address is behind it.
const ADDRESS: usize = 48;
const HEADER: usize = ADDRESS + size_of::<libc::sockaddr_ll>();

/// How large a ring is, and how long it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingSize {
    /// Bytes of a block: a multiple of the page size, and more than the largest packet.
    pub block_bytes: u32,
    /// How many blocks.
    pub blocks: u32,
    /// A block with something in it is handed over after this time, full or not.
    pub retire_ms: u32,
}

/// A ring. It sees nothing until it is bound, and after that what its filter takes.
#[derive(Debug)]
pub struct Ring {
    socket: OwnedFd,
    memory: NonNull<u8>,
    block_bytes: usize,
    blocks: usize,
    /// The block that the kernel hands over next.
    next: usize,
}

// SAFETY: the mapping belongs to this value alone and is not tied to a thread; the kernel synchronises each
// block by its status word.
#[expect(unsafe_code, reason = "a pointer into a mapping is not Send by itself")]
unsafe impl Send for Ring {}

/// What a device is as a link: its index and type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// Index of the device; `None` once it has gone.
    pub index: Option<u32>,
    /// `ARPHRD_*` (linux/if_arp.h).
    pub hardware: u16,
}

/// What the kernel counted since it was asked last (`struct tpacket_stats_v3`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Packets that the filter took, those dropped among them.
    pub packets: u32,
    /// Packets that found no room.
    pub drops: u32,
    /// How often the ring was full.
    pub freezes: u32,
}

impl Ring {
    /// Opens one in the calling thread's namespace; its filter takes nothing yet.
    ///
    /// `EPERM`: it needs CAP_NET_RAW over the namespace. `ENOMEM`, `EINVAL`: the size.
    pub fn open(size: RingSize) -> io::Result<Ring> {
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: a system call on numbers; protocol 0 means that no packet is queued before `bind`.
        #[expect(unsafe_code, reason = "no safe wrapper makes a packet socket of protocol 0")]
        let fd = unsafe { libc::socket(libc::AF_PACKET, kind, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `fd` was just opened, and nobody else knows of it.
        #[expect(unsafe_code, reason = "the descriptor gets its owner")]
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        bpf::attach(&socket, &bpf::NOTHING)?;
        set(&socket, libc::PACKET_VERSION, &libc::tpacket_versions::TPACKET_V3)?;
        let bytes = u64::from(size.block_bytes) * u64::from(size.blocks);
        let frame_size = 2048;
        let request = libc::tpacket_req3 {
            tp_block_size: size.block_bytes,
            tp_block_nr: size.blocks,
            tp_frame_size: frame_size,
            // The kernel wants it to fit the blocks, and packs frames as they come.
            tp_frame_nr: u32::try_from(bytes / u64::from(frame_size)).unwrap_or(0),
            tp_retire_blk_tov: size.retire_ms,
            tp_sizeof_priv: 0,
            tp_feature_req_word: 0,
        };
        set(&socket, libc::PACKET_RX_RING, &request)?;
        let length = usize::try_from(bytes).map_err(|_| io::ErrorKind::InvalidInput)?;
        // SAFETY: a new mapping of the whole ring at an address of the kernel's choice; nothing of ours is
        // there.
        #[expect(unsafe_code, reason = "no safe wrapper maps a packet ring")]
        let memory = unsafe {
            let access = libc::PROT_READ | libc::PROT_WRITE;
            libc::mmap(ptr::null_mut(), length, access, libc::MAP_SHARED, socket.as_raw_fd(), 0)
        };
        match NonNull::new(memory.cast::<u8>()) {
            Some(memory) if memory.as_ptr().cast() != libc::MAP_FAILED => Ok(Ring {
                socket,
                memory,
                block_bytes: usize::try_from(size.block_bytes).unwrap_or(0),
                blocks: usize::try_from(size.blocks).unwrap_or(0),
                next: 0,
            }),
            Some(_) | None => Err(io::Error::last_os_error()),
        }
    }

    /// From now on this filter chooses.
    pub fn filter(&self, program: &[Instruction]) -> io::Result<()> {
        bpf::attach(&self.socket, program)
    }

    /// Binds it to the device of this index, for packets of every protocol and both directions.
    pub fn bind(&self, index: u32) -> io::Result<()> {
        let every = u16::try_from(libc::ETH_P_ALL).unwrap_or(3).to_be();
        let index = i32::try_from(index).map_err(|_| io::ErrorKind::InvalidInput)?;
        let mut address = empty_address();
        address.sll_protocol = every;
        address.sll_ifindex = index;
        // SAFETY: the kernel reads one `sockaddr_ll` of the length told during the call.
        #[expect(unsafe_code, reason = "no safe wrapper binds by index")]
        let result = unsafe {
            let address: *const libc::sockaddr_ll = &raw const address;
            libc::bind(self.socket.as_raw_fd(), address.cast(), length_of::<libc::sockaddr_ll>())
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// What it is bound to (`packet_getname`, net/packet/af_packet.c).
    pub fn bound(&self) -> io::Result<Bound> {
        let mut address = empty_address();
        let mut length = length_of::<libc::sockaddr_ll>();
        // SAFETY: the kernel writes at most `length` bytes, the size of `address`, and then `length`.
        #[expect(unsafe_code, reason = "no safe wrapper tells a packet socket's device type")]
        let result = unsafe {
            let address: *mut libc::sockaddr_ll = &raw mut address;
            libc::getsockname(self.socket.as_raw_fd(), address.cast(), &raw mut length)
        };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        let index = u32::try_from(address.sll_ifindex).ok().filter(|index| *index > 0);
        Ok(Bound { index, hardware: address.sll_hatype })
    }

    /// The error that the socket has to tell of, once: `ENETDOWN` where its device went down or away.
    pub fn take_error(&self) -> io::Result<()> {
        match getsockopt(&self.socket, sockopt::SocketError)? {
            0 => Ok(()),
            errno => Err(io::Error::from_raw_os_error(errno)),
        }
    }

    /// What was counted since the last call.
    pub fn statistics(&self) -> io::Result<Statistics> {
        let mut counted = libc::tpacket_stats_v3 { tp_packets: 0, tp_drops: 0, tp_freeze_q_cnt: 0 };
        let mut length = length_of::<libc::tpacket_stats_v3>();
        // SAFETY: the kernel writes at most `length` bytes, the size of `counted`, and then `length`.
        #[expect(unsafe_code, reason = "no safe wrapper reads a ring's statistics")]
        let result = unsafe {
            let counted: *mut libc::tpacket_stats_v3 = &raw mut counted;
            let (level, name) = (libc::SOL_PACKET, libc::PACKET_STATISTICS);
            libc::getsockopt(self.socket.as_raw_fd(), level, name, counted.cast(), &raw mut length)
        };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        let libc::tpacket_stats_v3 { tp_packets, tp_drops, tp_freeze_q_cnt } = counted;
        Ok(Statistics { packets: tp_packets, drops: tp_drops, freezes: tp_freeze_q_cnt })
    }

    /// Waits until a block has been handed over, or something happened to the device, at most this long.
    pub fn wait(&self, time: Duration) -> io::Result<()> {
        // Rounded up: a wait of no time would be a wait of the processor.
        let time = PollTimeout::try_from(time + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)], time) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// The next block that the kernel has handed over, oldest first; `None` when there is none yet.
    pub fn next_block(&mut self) -> Option<Block<'_>> {
        let is_ours = self.status().load(Ordering::Acquire) & libc::TP_STATUS_USER != 0;
        if !is_ours {
            return None;
        }
        Some(Block(self))
    }

    fn block(&self) -> NonNull<u8> {
        // SAFETY: `next` is less than `blocks`, so the offset is inside the mapping.
        #[expect(unsafe_code, reason = "a place in the mapping")]
        unsafe {
            self.memory.add(self.next * self.block_bytes)
        }
    }

    fn status(&self) -> &AtomicU32 {
        // SAFETY: the word is inside the mapping, aligned to 4 since blocks are whole pages, and only
        // accessed as an atomic while the kernel may write to it.
        #[expect(unsafe_code, reason = "the word is shared with the kernel")]
        unsafe {
            AtomicU32::from_ptr(self.block().as_ptr().add(STATUS).cast())
        }
    }
}

impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: the mapping was made with this length in `open` and no slice of it outlives the ring.
        #[expect(unsafe_code, reason = "what was mapped is unmapped")]
        unsafe {
            libc::munmap(self.memory.as_ptr().cast(), self.block_bytes * self.blocks);
        }
    }
}

/// Packets that the kernel has handed over. Dropping it gives their memory back.
#[derive(Debug)]
pub struct Block<'r>(&'r mut Ring);

impl Block<'_> {
    /// Whether packets found no room since the statistics were asked for last (`prb_close_block`,
    /// net/packet/af_packet.c).
    pub fn is_losing(&self) -> bool {
        self.0.status().load(Ordering::Relaxed) & libc::TP_STATUS_LOSING != 0
    }

    /// What its ring counted since the last call.
    pub fn statistics(&self) -> io::Result<Statistics> {
        self.0.statistics()
    }

    /// Its packets, in the order in which they were seen.
    pub fn frames(&self) -> Frames<'_> {
        // SAFETY: the block lies inside the mapping, which lives as long as the ring that is borrowed. Its
        // status says that it is ours, and the kernel does not write to it before `drop` has given it back,
        // when this slice can no longer be reached.
        #[expect(unsafe_code, reason = "the shared memory becomes a slice")]
        let bytes =
            unsafe { std::slice::from_raw_parts(self.0.block().as_ptr().cast_const(), self.0.block_bytes) };
        Frames { bytes, at: word(bytes, FIRST), left: word(bytes, FRAMES).unwrap_or(0) }
    }
}

impl Drop for Block<'_> {
    fn drop(&mut self) {
        self.0.status().store(libc::TP_STATUS_KERNEL, Ordering::Release);
        self.0.next = (self.0.next + 1) % self.0.blocks;
    }
}

/// The packets of a block.
#[derive(Debug, Clone)]
pub struct Frames<'b> {
    bytes: &'b [u8],
    at: Option<u32>,
    left: u32,
}

impl<'b> Iterator for Frames<'b> {
    type Item = Frame<'b>;

    fn next(&mut self) -> Option<Frame<'b>> {
        self.left = self.left.checked_sub(1)?;
        let at = usize::try_from(self.at?).ok()?;
        let header = self.bytes.get(at..)?;
        self.at = word(header, 0).and_then(|next| self.at?.checked_add(next));
        Frame::read(header)
    }
}

/// Which way a packet went, and to whom, as the device saw it (`sll_pkttype`, packet(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// In, to the device's own address.
    In,
    /// In, to all.
    Broadcast,
    /// In, to a group.
    Multicast,
    /// In, to another station.
    OtherHost,
    /// Out.
    Out,
    /// A number that packet(7) does not tell of.
    Unknown(u8),
}

/// One packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'b> {
    /// When, in nanoseconds since 1970 by the kernel's clock.
    pub time_ns: u64,
    /// Its bytes from the link layer's header on, as far as the filter wanted them; without the tag.
    pub bytes: &'b [u8],
    /// How many bytes it had.
    pub length: u32,
    /// Which way it went.
    pub way: Way,
    /// The VLAN tag that the kernel keeps beside the frame: EtherType and tag.
    pub tag: Option<(u16, u16)>,
}

impl<'b> Frame<'b> {
    /// A `struct tpacket3_hdr` and what it tells of.
    fn read(frame: &'b [u8]) -> Option<Frame<'b>> {
        // One look at whether it is all there: this is done for each of millions.
        let header = frame.first_chunk::<HEADER>()?;
        let (seconds, nanoseconds) = (word(header, 4)?, word(header, 8)?);
        let (kept, length, status) = (word(header, 12)?, word(header, 16)?, word(header, 20)?);
        let start = usize::from(half(header, 24)?);
        let bytes = frame.get(start..start.checked_add(usize::try_from(kept).ok()?)?)?;
        let tag = word(header, 32)? & 0xffff;
        let has = |flag: u32| status & flag != 0;
        let ether_type = if has(libc::TP_STATUS_VLAN_TPID_VALID) { half(header, 36)? } else { 0x8100 };
        Some(Frame {
            time_ns: u64::from(seconds) * 1_000_000_000 + u64::from(nanoseconds),
            bytes,
            length,
            way: Way::of(*header.get(ADDRESS + 10)?),
            tag: has(libc::TP_STATUS_VLAN_VALID).then(|| (ether_type, u16::try_from(tag).unwrap_or(0))),
        })
    }
}

impl Way {
    fn of(number: u8) -> Way {
        match number {
            libc::PACKET_HOST => Way::In,
            libc::PACKET_BROADCAST => Way::Broadcast,
            libc::PACKET_MULTICAST => Way::Multicast,
            libc::PACKET_OTHERHOST => Way::OtherHost,
            libc::PACKET_OUTGOING => Way::Out,
            other => Way::Unknown(other),
        }
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at + 4)?;
    Some(u32::from_ne_bytes(four.try_into().ok()?))
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    let two = bytes.get(at..at + 2)?;
    Some(u16::from_ne_bytes(two.try_into().ok()?))
}

fn empty_address() -> libc::sockaddr_ll {
    libc::sockaddr_ll {
        sll_family: u16::try_from(libc::AF_PACKET).unwrap_or(17),
        sll_protocol: 0,
        sll_ifindex: 0,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    }
}

fn length_of<T>() -> libc::socklen_t {
    libc::socklen_t::try_from(size_of::<T>()).unwrap_or(0)
}

fn set<T>(socket: &OwnedFd, option: libc::c_int, value: &T) -> io::Result<()> {
    socket_option::set(socket, libc::SOL_PACKET, option, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A block of one frame with these bytes, its header's word at `at` changed.
    fn damaged(at: usize, value: u32) -> Vec<u8> {
        let mut header = vec![0_u8; 160];
        let mut put = |at: usize, value: u32| header[at..at + 4].copy_from_slice(&value.to_ne_bytes());
        let words = [(0, 160), (4, 1), (8, 5), (12, 60), (16, 90), (24, 82), (at, value)];
        words.into_iter().for_each(|(at, value)| put(at, value));
        header
    }

    #[test]
    fn a_frame_is_read_and_a_damaged_one_ends_the_block() {
        let whole = damaged(20, 0);
        let frame = Frame::read(&whole).unwrap();
        assert_eq!((frame.time_ns, frame.length, frame.bytes.len()), (1_000_000_005, 90, 60));
        assert_eq!(frame.tag, None);
        for (at, value) in [(12, u32::MAX), (12, 100), (24, 0xffff)] {
            assert_eq!(Frame::read(&damaged(at, value)), None, "{at} {value}");
        }
        let mut frames = Frames { bytes: &whole, at: Some(u32::MAX), left: 9 };
        assert_eq!(frames.next(), None);
    }
}
