//! The instance's NIC while we speak through it: what it receives from us, and what leaves it for the instance.

use std::time::{Duration, Instant};

use sys::bpf::Instruction;
use sys::ingress::{Ingress, Way};
use sys::packet_ring::{Ring, RingSize, Way as Direction};

use super::{AsInstanceError, Sender, guard};

/// Bytes of a frame that are looked at: the longest answer of DHCP or DNS that is not in pieces.
const SNAP: u32 = 2048;
/// Hundreds of such frames; a block is looked at after 4 ms at the latest.
const RING: RingSize = RingSize { block_bytes: 64 << 10, blocks: 4, retire_ms: 4 };

/// A frame at the NIC.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<'f> {
    /// It came in over the NIC, as the instance's own and ours do; else it left for the instance.
    pub(super) is_from_instance: bool,
    /// When, in nanoseconds since 1970 by the kernel's clock.
    pub(super) time_ns: u64,
    /// As much of it as is looked at.
    pub(super) bytes: &'f [u8],
}

/// The NIC. All of it must be used in its namespace.
pub(super) struct Nic<'s> {
    sender: &'s Sender,
    ingress: Ingress,
    ring: Ring,
    sent: u32,
    dropped: u64,
}

impl<'s> Nic<'s> {
    /// Watches it from now on.
    pub(super) fn open(sender: &'s Sender, index: u32) -> Result<Nic<'s>, AsInstanceError> {
        let failed = |source| AsInstanceError::Ingress { device: sender.device.clone(), source };
        let ingress = Ingress::open(index, Way::LiveFrames).map_err(failed)?;
        let watch = |step| move |source| watch(sender, step, source);
        let ring = Ring::open(RING).map_err(watch("open a packet ring"))?;
        ring.bind(index).map_err(watch("bind it to the device"))?;
        ring.filter(&ANSWERS).map_err(watch("hang a filter on it"))?;
        Ok(Nic { sender, ingress, ring, sent: 0, dropped: 0 })
    }

    /// Has it receive a frame that speaks for the instance alone.
    pub(super) fn receive(&mut self, frame: &[u8]) -> Result<(), AsInstanceError> {
        guard::frame(self.sender, frame)?;
        let device = || self.sender.device.clone();
        self.ingress
            .receive(frame)
            .map_err(|source| AsInstanceError::Ingress { device: device(), source })?;
        self.sent += 1;
        Ok(())
    }

    /// Tells of what is seen until `until`, or of what there is as soon as there is something.
    pub(super) fn hear(
        &mut self,
        until: Instant,
        tell: &mut dyn FnMut(Seen<'_>),
    ) -> Result<(), AsInstanceError> {
        let wait = until.saturating_duration_since(Instant::now());
        self.ring.wait(wait).map_err(|source| watch(self.sender, "wait for packets", source))?;
        self.ring.take_error().map_err(|source| watch(self.sender, "wait for packets", source))?;
        // A flood fills blocks as fast as they are given back: the caller's clock must have its turn.
        for _ in 0..RING.blocks {
            let Some(block) = self.ring.next_block() else { break };
            for frame in block.frames() {
                let is_from_instance = frame.way != Direction::Out;
                tell(Seen { is_from_instance, time_ns: frame.time_ns, bytes: frame.bytes });
            }
        }
        let counted = self.ring.statistics();
        let counted = counted.map_err(|source| watch(self.sender, "ask what was dropped", source))?;
        self.dropped += u64::from(counted.drops);
        Ok(())
    }

    /// How long a frame may be under way from the NIC to `hear`.
    pub(super) fn delay() -> Duration {
        Duration::from_millis(2 * u64::from(RING.retire_ms))
    }

    /// Frames that it was made to receive.
    pub(super) fn sent(&self) -> u32 {
        self.sent
    }

    /// Frames that were not looked at.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }
}

/// A frame that was sent is seen as it was, as far as it is looked at; a redirected one may be padded.
pub(super) fn is_same(sent: &[u8], seen: &[u8]) -> bool {
    let kept = usize::try_from(SNAP).unwrap_or(0).min(sent.len());
    sent.get(..kept).is_some_and(|sent| seen.starts_with(sent))
}

fn watch(sender: &Sender, step: &'static str, source: std::io::Error) -> AsInstanceError {
    AsInstanceError::Watch { device: sender.device.clone(), step, source }
}

/// Takes ARP, IPv4's ICMP, DHCP for a client, and UDP and TCP from or to a port of ours: the EtherType at 12, the
/// protocol at 23, the ports behind the header's length at 14 (`BPF_LD`, `BPF_LDX`, `BPF_JEQ`, `BPF_JGE`, `BPF_RET`
/// of linux/bpf_common.h).
const ANSWERS: [Instruction; 18] = [
    Instruction { code: LOAD_HALF, jt: 0, jf: 0, k: 12 },
    Instruction { code: EQUAL, jt: 14, jf: 0, k: 0x0806 },
    Instruction { code: EQUAL, jt: 0, jf: 14, k: 0x0800 },
    Instruction { code: LOAD_BYTE, jt: 0, jf: 0, k: 23 },
    Instruction { code: EQUAL, jt: 11, jf: 0, k: 1 },
    Instruction { code: EQUAL, jt: 1, jf: 0, k: 6 },
    Instruction { code: EQUAL, jt: 0, jf: 10, k: 17 },
    // A piece behind the first has no ports.
    Instruction { code: LOAD_HALF, jt: 0, jf: 0, k: 20 },
    Instruction { code: ANY_BIT, jt: 8, jf: 0, k: 0x1fff },
    Instruction { code: LOAD_HEADER_LENGTH, jt: 0, jf: 0, k: 14 },
    Instruction { code: LOAD_HALF_BEHIND, jt: 0, jf: 0, k: 14 },
    Instruction { code: EQUAL, jt: 4, jf: 0, k: DHCP_CLIENT },
    Instruction { code: AT_LEAST, jt: 3, jf: 0, k: OWN_PORTS },
    Instruction { code: LOAD_HALF_BEHIND, jt: 0, jf: 0, k: 16 },
    Instruction { code: EQUAL, jt: 1, jf: 0, k: DHCP_CLIENT },
    Instruction { code: AT_LEAST, jt: 0, jf: 1, k: OWN_PORTS },
    Instruction { code: 0x06, jt: 0, jf: 0, k: SNAP },
    Instruction { code: 0x06, jt: 0, jf: 0, k: 0 },
];

const LOAD_HALF: u16 = 0x28;
const LOAD_BYTE: u16 = 0x30;
const LOAD_HEADER_LENGTH: u16 = 0xb1;
const LOAD_HALF_BEHIND: u16 = 0x48;
const EQUAL: u16 = 0x15;
const AT_LEAST: u16 = 0x35;
const ANY_BIT: u16 = 0x45;
const DHCP_CLIENT: u32 = 68;
const OWN_PORTS: u32 = super::PORTS_FIRST as u32;
