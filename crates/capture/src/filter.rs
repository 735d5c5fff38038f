//! Which packets are wanted: a small language, compiled to the kernel's own filter programs.
//!
//! The everyday part of pcap-filter(7) — `host`, `net`, `port`, `portrange` with `src` and `dst`; `ip`, `ip6`,
//! `arp`, `rarp`, `icmp`, `icmp6`, `tcp`, `udp`, `sctp`; `ether host`; `vlan [ID]`; `and`, `or`, `not` and
//! parentheses, of which `and` and `or` weigh the same and read from left to right — and two words of
//! hopline's own: `instance:NAME` and `flow:A,B`.
//!
//! The verdicts are those of tcpdump's programs (`tests/differential.rs`), but for two things that surprise
//! everybody:
//!
//! * A VLAN tag hides nothing: `icmp` is ICMP, tagged or not, whether the kernel keeps the tag beside the
//!   frame (as it does with all that it receives) or in it (as in some of what is sent), and behind two tags.
//! * `vlan` concerns the test that it is, and no others further on: `vlan 5 or vlan 6` is either. In
//!   `vlan 5 and vlan 6` the second is the tag behind the first, as there.
//!
//! Everything here is pure: the same text gives the same program.

mod decimal;
mod emit;
mod expr;
mod lexer;
mod logic;
mod lower;
mod parse;
mod print;
mod resolve;

pub use decimal::decimal;
pub use expr::{End, Expr, Family, Primitive, Protocol, Transport};
pub use parse::parse;
pub use resolve::{Equivalents, Subject, UnknownInstance, addresses, instances, resolve};

pub use sys::bpf::Instruction;

/// What a frame starts with, which follows from the device's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkLayer {
    /// An Ethernet header.
    Ethernet,
    /// The IP header itself, as on tun devices and IP tunnels.
    Ip,
}

impl LinkLayer {
    /// Its number in capture files: `LINKTYPE_ETHERNET`, `LINKTYPE_RAW` (<https://www.tcpdump.org/linktypes.html>).
    pub fn link_type(self) -> u16 {
        match self {
            LinkLayer::Ethernet => 1,
            LinkLayer::Ip => 101,
        }
    }
}

/// Why a filter is not one, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {what}")]
pub struct FilterError {
    /// 1-based, in characters.
    pub column: usize,
    /// What is wrong there.
    pub what: String,
    /// It is no mistake as far as can be told here: tcpdump may know it.
    pub beyond: bool,
}

/// A program that would be longer than the kernel takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the filter becomes {instructions} instructions, and the kernel takes {}",
    sys::bpf::INSTRUCTIONS_MAX
)]
pub struct TooLong {
    /// Its length.
    pub instructions: usize,
}

/// The program that returns `snap`, how many bytes of a packet are wanted, or 0 for a packet that is not.
///
/// Instances must have been resolved: one that has not takes no packet. A packet that ends before what a
/// test looks at is not taken (`net/core/filter.c`, the kernel's rule).
pub fn compile(expr: &Expr, layer: LinkLayer, snap: u32) -> Result<Vec<Instruction>, TooLong> {
    let program = emit::program(expr, layer, snap);
    if program.len() > sys::bpf::INSTRUCTIONS_MAX {
        return Err(TooLong { instructions: program.len() });
    }
    Ok(program)
}
