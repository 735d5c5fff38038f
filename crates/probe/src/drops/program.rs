//! The program on the tracepoint `kfree_skb` (include/trace/events/skb.h): which packets are ours, and what is told
//! of each.

use std::net::Ipv4Addr;
use std::os::fd::RawFd;

use model::path::Exchange;
use parse::btf::Btf;

use super::assembly::{Assembly, Helper, Is, Label, Register, Width};

/// Where this kernel has what is read, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Places {
    head: i32,
    network_header: i32,
    device: i32,
    socket: i32,
    device_name: i32,
    device_index: i32,
    device_netns: i32,
    socket_netns: i32,
    netns_inode: i32,
}

impl Places {
    /// As the kernel's own description has them; else the member that it lacks.
    pub(super) fn of(btf: &Btf<'_>) -> Result<Places, String> {
        let at = |structure: &str, path: &str| {
            let offset = btf.offset(structure, path).and_then(|offset| i32::try_from(offset).ok());
            offset.ok_or_else(|| format!("struct {structure} has no {path}"))
        };
        Ok(Places {
            head: at("sk_buff", "head")?,
            network_header: at("sk_buff", "network_header")?,
            device: at("sk_buff", "dev")?,
            socket: at("sk_buff", "sk")?,
            device_name: at("net_device", "name")?,
            device_index: at("net_device", "ifindex")?,
            device_netns: at("net_device", "nd_net.net")?,
            socket_netns: at("sock", "__sk_common.skc_net.net")?,
            netns_inode: at("net", "ns.inum")?,
        })
    }
}

/// Maps that the program uses, by their descriptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Maps {
    /// The marks of packets that are ours: [`key`].
    pub(super) marks: RawFd,
    /// What is told of each, [`RECORD_BYTES`] long.
    pub(super) records: RawFd,
    /// How a place in the kernel is written: `%pB`.
    pub(super) format: RawFd,
}

/// Bytes of a record, and where in it is what: the reason and two numbers, two names, and the packet from its IP
/// header on, or ARP's.
pub(super) const RECORD_BYTES: usize = 224;
pub(super) const REASON: usize = 0;
pub(super) const INDEX: usize = 4;
pub(super) const INODE: usize = 8;
pub(super) const NAME: usize = 16;
pub(super) const NAME_BYTES: usize = 16;
pub(super) const FUNCTION: usize = 32;
pub(super) const FUNCTION_BYTES: usize = 64;
pub(super) const PACKET: usize = 96;
const PACKET_BYTES: usize = 128;

/// Bytes of a mark.
pub(super) const KEY_BYTES: usize = 8;

/// What a packet of ours is known by: its kind of conversation, and the number that it bears. `None` for kinds that
/// the program does not look for.
pub(super) fn key(exchange: Exchange, number: u32) -> Option<[u8; KEY_BYTES]> {
    let kind = match exchange {
        Exchange::Icmp => ECHO,
        Exchange::Tcp => TCP,
        Exchange::Dns => DNS,
        Exchange::Dhcp => DHCP,
        Exchange::Arp | Exchange::Udp | Exchange::None => return None,
    };
    Some(mark(kind, number))
}

fn mark(kind: i32, number: u32) -> [u8; KEY_BYTES] {
    let mut key = [0; KEY_BYTES];
    let parts = number.to_ne_bytes().into_iter().chain(kind.to_ne_bytes());
    key.iter_mut().zip(parts).for_each(|(to, byte)| *to = byte);
    key
}

/// The same of ARP: the address that is asked for.
pub(super) fn key_of_arp(address: Ipv4Addr) -> [u8; KEY_BYTES] {
    mark(ARP, u32::from(address))
}

/// Kinds of conversation in a mark: an EtherType, an IP protocol or a UDP port.
const ARP: i32 = 0x0806;
const ECHO: i32 = 1;
const TCP: i32 = 6;
const DNS: i32 = 53;
const DHCP: i32 = 67;

/// How ARP begins that asks for IPv4 addresses on Ethernet.
const ARP_OF_IPV4: i32 = 0x0001_0800;
const UDP: i32 = 17;
const ICMPV6: i32 = 58;
const DHCP_CLIENT: i32 = 68;

/// Places on the stack, from its end: the transport header, a mark, whatever was read last, and the record.
const TRANSPORT: i16 = -24;
const TRANSPORT_BYTES: i32 = 24;
const MARK: i16 = -32;
const READ: i16 = -40;
const RECORD: i16 = READ - 224;

/// Arguments of the tracepoint: the packet, the place that freed it, the reason.
const PACKET_ARGUMENT: i16 = 0;
const PLACE_ARGUMENT: i16 = 8;
const REASON_ARGUMENT: i16 = 16;

use Register::{Frame, R0, R1, R2, R3, R4, R5, R6, R7, R8, R9};
use Width::{Eight, Four, One, Two};

/// Where in the record that is on the stack.
fn record(offset: usize) -> i16 {
    i16::try_from(offset).map_or(RECORD, |offset| RECORD + offset)
}

/// A length as a helper takes it.
fn bytes(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(0)
}

/// The program. R6 is what it is given, R7 the packet, R8 a place in its headers, R9 its protocol.
pub(super) fn program(places: &Places, maps: Maps) -> Vec<u64> {
    let mut to = Assembly::default();
    let (ours, out, arp) = (to.label(), to.label(), to.label());
    to.copy(R6, R1);
    to.load(Eight, R7, R6, PACKET_ARGUMENT);
    for offset in (RECORD..0).step_by(8) {
        to.clear(offset);
    }
    network(&mut to, places, (arp, out));
    transport(&mut to, maps, (ours, out));
    to.here(arp);
    address(&mut to, maps, out);
    to.here(ours);
    device(&mut to, places);
    tell(&mut to, maps);
    to.here(out);
    to.set(R0, 0);
    to.exit();
    to.finish()
}

/// Copies so many bytes of the kernel's memory to a place on the stack.
fn read(to: &mut Assembly, place: i16, count: i32, (from, offset): (Register, i32)) {
    to.stack(R1, place);
    to.set(R2, count);
    to.copy(R3, from);
    to.add_number(R3, offset);
    to.call(Helper::ProbeReadKernel);
}

/// Copies the packet from its IP header on, or ARP's, and finds what is above the former: R8 and R9.
fn network(to: &mut Assembly, places: &Places, (arp, out): (Label, Label)) {
    let (ipv4, ipv6, found) = (to.label(), to.label(), to.label());
    read(to, READ, 8, (R7, places.head));
    to.load(Eight, R8, Frame, READ);
    to.clear(READ);
    read(to, READ, 2, (R7, places.network_header));
    to.load(Two, R1, Frame, READ);
    to.add(R8, R1);
    read(to, record(PACKET), bytes(PACKET_BYTES), (R8, 0));
    to.load(Four, R1, Frame, record(PACKET));
    to.swap_to_number(R1, 32);
    to.jump_if(R1, Is::Equal, ARP_OF_IPV4, arp);
    to.load(One, R1, Frame, record(PACKET));
    to.shift_right(R1, 4);
    to.jump_if(R1, Is::Equal, 4, ipv4);
    to.jump_if(R1, Is::Equal, 6, ipv6);
    to.jump(out);
    to.here(ipv4);
    // Of fragments the first has the numbers.
    to.load(Two, R1, Frame, record(PACKET + 6));
    to.swap_to_number(R1, 16);
    to.and(R1, 0x1fff);
    to.jump_if(R1, Is::Not, 0, out);
    to.load(One, R1, Frame, record(PACKET));
    to.and(R1, 15);
    to.shift_left(R1, 2);
    to.add(R8, R1);
    to.load(One, R9, Frame, record(PACKET + 9));
    to.jump(found);
    to.here(ipv6);
    to.add_number(R8, 40);
    to.load(One, R9, Frame, record(PACKET + 6));
    to.here(found);
    read(to, TRANSPORT, TRANSPORT_BYTES, (R8, 0));
}

/// A number of the transport header into R2.
fn number(to: &mut Assembly, offset: i16, bits: i32) {
    to.load(if bits == 16 { Two } else { Four }, R2, Frame, TRANSPORT + offset);
    to.swap_to_number(R2, bits);
}

/// Whether the packet bears a mark of ours.
fn transport(to: &mut Assembly, maps: Maps, (ours, out): (Label, Label)) {
    let (echo, icmpv6, tcp, udp) = (to.label(), to.label(), to.label(), to.label());
    let (is_echo, dns, dhcp) = (to.label(), to.label(), to.label());
    to.jump_if(R9, Is::Equal, ECHO, echo);
    to.jump_if(R9, Is::Equal, ICMPV6, icmpv6);
    to.jump_if(R9, Is::Equal, TCP, tcp);
    to.jump_if(R9, Is::Equal, UDP, udp);
    to.jump(out);
    for (kind, numbers) in [(echo, [8, 0]), (icmpv6, [128, 129])] {
        to.here(kind);
        to.load(One, R1, Frame, TRANSPORT);
        numbers.into_iter().for_each(|number| to.jump_if(R1, Is::Equal, number, is_echo));
        to.jump(out);
    }
    to.here(is_echo);
    number(to, 4, 16);
    is_marked(to, maps, ECHO);
    to.jump_if(R0, Is::Not, 0, ours);
    to.jump(out);
    to.here(tcp);
    for port in [0, 2] {
        number(to, port, 16);
        is_marked(to, maps, TCP);
        to.jump_if(R0, Is::Not, 0, ours);
    }
    to.jump(out);
    to.here(udp);
    for port in [0, 2] {
        number(to, port, 16);
        to.jump_if(R2, Is::Equal, DNS, dns);
        to.jump_if(R2, Is::Equal, DHCP, dhcp);
        to.jump_if(R2, Is::Equal, DHCP_CLIENT, dhcp);
    }
    to.jump(out);
    to.here(dns);
    number(to, 8, 16);
    is_marked(to, maps, DNS);
    to.jump_if(R0, Is::Not, 0, ours);
    to.jump(out);
    to.here(dhcp);
    number(to, 12, 32);
    is_marked(to, maps, DHCP);
    to.jump_if(R0, Is::Not, 0, ours);
    to.jump(out);
}

/// Whether it is ARP for an address that is ours to ask for: the target of a question, the sender of an answer.
fn address(to: &mut Assembly, maps: Maps, out: Label) {
    /// Where ARP has its operation, and the addresses of sender and target (RFC 826).
    const OPERATION: usize = PACKET + 6;
    const SENDER: usize = PACKET + 14;
    const TARGET: usize = PACKET + 24;
    let (question, known) = (to.label(), to.label());
    // The stack is read by halves, which are where halves may be.
    let read_address = |to: &mut Assembly, at: usize| {
        to.load(Two, R2, Frame, record(at));
        to.swap_to_number(R2, 16);
        to.shift_left(R2, 16);
        to.load(Two, R1, Frame, record(at + 2));
        to.swap_to_number(R1, 16);
        to.add(R2, R1);
    };
    to.load(Two, R1, Frame, record(OPERATION));
    to.swap_to_number(R1, 16);
    to.jump_if(R1, Is::Equal, 1, question);
    to.jump_if(R1, Is::Not, 2, out);
    read_address(to, SENDER);
    to.jump(known);
    to.here(question);
    read_address(to, TARGET);
    to.here(known);
    is_marked(to, maps, ARP);
    to.jump_if(R0, Is::Equal, 0, out);
}

/// R0 is not 0 where the number in R2 is one of this kind's.
fn is_marked(to: &mut Assembly, maps: Maps, kind: i32) {
    to.store(Four, R2, Frame, MARK);
    to.set(R1, kind);
    to.store(Four, R1, Frame, MARK + 4);
    to.map(R1, maps.marks);
    to.stack(R2, MARK);
    to.call(Helper::MapLookup);
}

/// The device that the packet was at, and its namespace; where it had none yet, its socket's.
fn device(to: &mut Assembly, places: &Places) {
    let (of_socket, of_netns, known) = (to.label(), to.label(), to.label());
    let pointer = |to: &mut Assembly, from: Register, offset: i32| {
        to.clear(READ);
        read(to, READ, 8, (from, offset));
        to.load(Eight, R9, Frame, READ);
    };
    pointer(to, R7, places.device);
    to.jump_if(R9, Is::Equal, 0, of_socket);
    read(to, record(INDEX), 4, (R9, places.device_index));
    read(to, record(NAME), bytes(NAME_BYTES), (R9, places.device_name));
    pointer(to, R9, places.device_netns);
    // A packet in a socket's queue has other things where its device was.
    to.jump_if(R9, Is::Not, 0, of_netns);
    to.here(of_socket);
    pointer(to, R7, places.socket);
    to.jump_if(R9, Is::Equal, 0, known);
    pointer(to, R9, places.socket_netns);
    to.jump_if(R9, Is::Equal, 0, known);
    to.here(of_netns);
    read(to, record(INODE), 4, (R9, places.netns_inode));
    to.here(known);
}

/// Why and where it was freed, and the record into the queue. What comes while that is full is lost.
fn tell(to: &mut Assembly, maps: Maps) {
    to.load(Eight, R1, R6, REASON_ARGUMENT);
    to.store(Four, R1, Frame, record(REASON));
    to.load(Eight, R1, R6, PLACE_ARGUMENT);
    to.store(Eight, R1, Frame, READ);
    to.stack(R1, record(FUNCTION));
    to.set(R2, bytes(FUNCTION_BYTES));
    to.map_value(R3, maps.format);
    to.stack(R4, READ);
    to.set(R5, 8);
    to.call(Helper::Snprintf);
    to.map(R1, maps.records);
    to.stack(R2, RECORD);
    to.set(R3, 0);
    to.call(Helper::MapPush);
}
