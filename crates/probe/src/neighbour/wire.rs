//! The link that a question is asked on: a ring that hears the answers, and sends.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, SystemTime};

use nix::sys::socket::{MsgFlags, send};
use sys::bpf::Instruction;
use sys::packet_ring::{Ring, RingSize, Way};

use super::solicit;
use crate::arp;

/// Bytes of a frame that are looked at: an advertisement with more options than any has.
const SNAP: u32 = 256;
/// Hundreds of such frames; a block is looked at after 4 ms at the latest.
const RING: RingSize = RingSize { block_bytes: 64 << 10, blocks: 4, retire_ms: 4 };
/// `ARPHRD_ETHER`, linux/if_arp.h.
const ETHERNET: u16 = 1;

/// A link, open for a question about one address.
pub(super) struct Wire {
    ring: Ring,
}

impl Wire {
    /// Opens it in the calling thread's namespace, and hears answers about this address from now on; `None` for a
    /// link that is not Ethernet.
    pub(super) fn open(index: u32, asked: IpAddr) -> io::Result<Option<Wire>> {
        let ring = Ring::open(RING)?;
        ring.filter(&all_of(&answers(asked)))?;
        ring.bind(index)?;
        Ok((ring.bound()?.hardware == ETHERNET).then_some(Wire { ring }))
    }

    /// Sends a frame as it is.
    pub(super) fn send(&self, frame: &[u8]) -> io::Result<()> {
        send(self.ring.as_fd().as_raw_fd(), frame, MsgFlags::empty())?;
        Ok(())
    }

    /// Tells of each frame that came in, and when by the kernel's clock, as soon as there is one or the time is up.
    /// What it gives is how many came, those that found no room among them. `ENETDOWN`: the link is down.
    pub(super) fn hear(
        &mut self,
        wait: Duration,
        tell: &mut dyn FnMut(&[u8], SystemTime),
    ) -> io::Result<u32> {
        self.ring.wait(wait)?;
        self.ring.take_error()?;
        // A flood fills blocks as fast as they are given back: the caller's clock must have its turn.
        for _ in 0..RING.blocks {
            let Some(block) = self.ring.next_block() else { break };
            for frame in block.frames() {
                // What has a tag of a VLAN is for the VLAN's own device. The VLAN 0 is a priority alone.
                let is_tagged = frame.tag.is_some_and(|(_, tag)| tag & 0x0fff != 0);
                if frame.way != Way::Out && !is_tagged {
                    let at = SystemTime::UNIX_EPOCH + Duration::from_nanos(frame.time_ns);
                    tell(frame.bytes, at);
                }
            }
        }
        Ok(self.ring.statistics()?.packets)
    }
}

/// A load instruction (linux/bpf_common.h), where it loads from, and what must be there.
type Condition = (u16, u32, u32);

const LOAD_WORD: u16 = 0x20;
const LOAD_HALF: u16 = 0x28;
const LOAD_BYTE: u16 = 0x30;
const EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;

/// What all answers about an address have.
fn answers(asked: IpAddr) -> Vec<Condition> {
    let half = |[high, low]: [u8; 2]| u32::from(u16::from_be_bytes([high, low]));
    match asked {
        IpAddr::V4(asked) => vec![
            (LOAD_HALF, 12, half(arp::ETHER_TYPE)),
            (LOAD_HALF, 20, arp::REPLY.into()),
            (LOAD_WORD, 28, asked.to_bits()),
        ],
        IpAddr::V6(asked) => {
            let words = asked.octets();
            let words = words.as_chunks::<4>().0.iter().map(|word| u32::from_be_bytes(*word));
            let target = (62..).step_by(4).zip(words).map(|(at, word)| (LOAD_WORD, at, word));
            [(LOAD_HALF, 12, 0x86dd), (LOAD_BYTE, 20, 58), (LOAD_BYTE, 54, solicit::ADVERTISEMENT.into())]
                .into_iter()
                .chain(target)
                .collect()
        }
    }
}

/// A filter that takes what meets every condition.
fn all_of(conditions: &[Condition]) -> Vec<Instruction> {
    let mut program = Vec::new();
    for (nth, (code, at, value)) in conditions.iter().enumerate() {
        // Over the conditions behind it and the verdict that takes.
        let behind = conditions.len() - 1 - nth;
        let jf = u8::try_from(2 * behind + 1).unwrap_or(u8::MAX);
        program.push(Instruction { code: *code, jt: 0, jf: 0, k: *at });
        program.push(Instruction { code: EQUAL, jt: 0, jf, k: *value });
    }
    program.push(Instruction { code: RETURN, jt: 0, jf: 0, k: SNAP });
    program.push(Instruction { code: RETURN, jt: 0, jf: 0, k: 0 });
    program
}
