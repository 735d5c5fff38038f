//! The instance's NIC while we speak through it: what it receives from us, and what leaves it for the instance.

use std::io;
use std::time::{Duration, Instant};

use capture::filter::{self, Instruction, LinkLayer};
use sys::ingress::{Ingress, Way};
use sys::packet_ring::{Ring, RingSize, Way as Direction};

use super::{AsInstanceError, Plan, Sender, Target, guard};

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
    pub(super) fn open(plan: &'s Plan, index: u32) -> Result<Nic<'s>, AsInstanceError> {
        let sender = &plan.sender;
        let failed = |source| AsInstanceError::Ingress { device: sender.device.clone(), source };
        let ingress = Ingress::open(index, Way::LiveFrames).map_err(failed)?;
        let watch = |step| move |source| watch(sender, step, source);
        let ring = Ring::open(RING).map_err(watch("open a packet ring"))?;
        ring.bind(index).map_err(watch("bind it to the device"))?;
        let filter = watch("hang a filter on it");
        answers(plan).and_then(|program| ring.filter(&program)).map_err(filter)?;
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

fn watch(sender: &Sender, step: &'static str, source: io::Error) -> AsInstanceError {
    AsInstanceError::Watch { device: sender.device.clone(), step, source }
}

/// Takes ARP, ICMP of both families, and what comes from or goes to a port that is asked from: a busy instance's own
/// connections have others, and do not fill the ring.
fn answers(plan: &Plan) -> io::Result<Vec<Instruction>> {
    let ports = plan.targets.iter().map(Target::own_port).filter(|port| *port != 0);
    let text = ports.fold("arp or icmp or icmp6".to_owned(), |text, port| format!("{text} or port {port}"));
    let wanted = filter::parse(&text).map_err(io::Error::other)?;
    filter::compile(&wanted, LinkLayer::Ethernet, SNAP).map_err(io::Error::other)
}
