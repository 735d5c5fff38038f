//! One question and its answer, as bytes: framing, acknowledgements, errors with the kernel's words.

use std::io;
use std::ops::RangeInclusive;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_ACK_TLVS, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR,
    NLMSG_NOOP, NetlinkBuffer, NlasIterator,
};
use netlink_sys::SocketAddr;

use super::NetlinkError;

/// More than the kernel puts into one datagram of a dump (32 KiB, `net/netlink/af_netlink.c
/// netlink_recvmsg`, more only for one link with hundreds of virtual functions).
const DATAGRAM_BYTES_MAX: usize = 256 * 1024;
/// Tries of a dump that changes while it is read.
const DUMP_TRIES: u32 = 10;
/// A dump larger than this is not read to its end: some hundred times what a large host has.
const DUMP_BYTES_MAX: usize = 1 << 30;
/// Length of a netlink header (`struct nlmsghdr`).
const HEADER_BYTES: usize = 16;
/// Attribute of an error that carries the kernel's words (`NLMSGERR_ATTR_MSG`).
const ERROR_TEXT: u16 = 1;

/// Type of the message that opens a batch (`NFNL_MSG_BATCH_BEGIN`, `linux/netfilter/nfnetlink.h`).
const BATCH_BEGIN: u16 = 0x10;
/// Type of the message that closes one (`NFNL_MSG_BATCH_END`).
const BATCH_END: u16 = 0x11;

/// A netlink socket that speaks only to the kernel. It stays in the namespace that it was opened in,
/// wherever it is used afterwards.
pub struct Channel {
    socket: netlink_sys::Socket,
    sequence: u32,
    datagram: Vec<u8>,
}

/// One change of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Message type.
    pub kind: u16,
    /// Flags beside `NLM_F_REQUEST` and `NLM_F_ACK`.
    pub flags: u16,
    /// `struct nfgenmsg` and attributes.
    pub body: Vec<u8>,
}

/// What one datagram told about the exchange.
#[derive(Default)]
struct Progress {
    done: bool,
    interrupted: bool,
}

impl Channel {
    /// Opens a socket of a netlink family (`NETLINK_ROUTE`, ...) in the calling thread's namespace.
    ///
    /// Connecting it to the kernel keeps other processes' messages out (`netlink_getsockbyportid`).
    pub fn open(family: isize) -> Result<Channel, NetlinkError> {
        let open = || -> io::Result<netlink_sys::Socket> {
            let mut socket = netlink_sys::Socket::new(family)?;
            socket.bind_auto()?;
            socket.connect(&SocketAddr::new(0, 0))?;
            // Kernels before 4.20 know no strict checking and answer without a filter, which is what
            // is asked for here; those before 4.12 know no words beside the errno.
            let _ = socket.set_netlink_get_strict_chk(true);
            let _ = socket.set_ext_ack(true);
            let _ = socket.set_cap_ack(true);
            Ok(socket)
        };
        let socket = open().map_err(|source| NetlinkError::Open { source })?;
        Ok(Channel { socket, sequence: 0, datagram: vec![0; DATAGRAM_BYTES_MAX] })
    }

    /// Lists: `each` adds type and body of every message to an answer, which starts afresh when the
    /// kernel says that what it listed changed meanwhile.
    pub fn dump<T: Default>(
        &mut self,
        kind: u16,
        body: &[u8],
        each: impl Fn(&mut T, u16, &[u8]),
    ) -> Result<T, NetlinkError> {
        for _ in 0..DUMP_TRIES {
            let mut answer = T::default();
            self.send(kind, NLM_F_DUMP, body)?;
            let asked = self.sequence..=self.sequence;
            if !self.receive_all(asked, |kind, body| each(&mut answer, kind, body))? {
                return Ok(answer);
            }
        }
        Err(NetlinkError::Interrupted { tries: DUMP_TRIES })
    }

    /// Asks for one thing or one change, and waits for the acknowledgement.
    pub fn request<T: Default>(
        &mut self,
        kind: u16,
        flags: u16,
        body: &[u8],
        each: impl Fn(&mut T, u16, &[u8]),
    ) -> Result<T, NetlinkError> {
        let mut answer = T::default();
        self.send(kind, flags | NLM_F_ACK, body)?;
        self.receive_all(self.sequence..=self.sequence, |kind, body| each(&mut answer, kind, body))?;
        Ok(answer)
    }

    /// Makes all of these changes of an nfnetlink subsystem (`NFNL_SUBSYS_NFTABLES`, ...) or, where one
    /// is refused, none (`net/netfilter/nfnetlink.c nfnetlink_rcv_batch`). All together have to fit the
    /// socket's send buffer (`net.core.wmem_default`, 200 kB).
    pub fn batch(&mut self, subsystem: u8, changes: &[Change]) -> Result<(), NetlinkError> {
        if changes.is_empty() {
            return Ok(());
        }
        let frame = [0, 0, 0, subsystem];
        let mut bytes = self.message(BATCH_BEGIN, 0, &frame);
        let first = self.sequence;
        // Refusals come unasked and before the last one's acknowledgement; more of these than are needed
        // would overrun the buffer (`nfnl_err_add`, `nfnl_err_deliver`).
        for (at, change) in changes.iter().enumerate() {
            let asked = if at + 1 == changes.len() { NLM_F_ACK } else { 0 };
            bytes.extend(self.message(change.kind, change.flags | asked, &change.body));
        }
        bytes.extend(self.message(BATCH_END, 0, &frame));
        self.socket.send(&bytes, 0).map_err(|source| NetlinkError::Send { source })?;
        // A refusal of the whole is told of the message that opened it.
        self.receive_all(first..=self.sequence, |_, _| {})?;
        Ok(())
    }

    fn send(&mut self, kind: u16, flags: u16, body: &[u8]) -> Result<(), NetlinkError> {
        let bytes = self.message(kind, flags, body);
        self.socket.send(&bytes, 0).map_err(|source| NetlinkError::Send { source })?;
        Ok(())
    }

    /// A message of the next sequence number, padded as a following one needs it.
    fn message(&mut self, kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
        self.sequence = self.sequence.wrapping_add(1);
        let length = HEADER_BYTES + body.len();
        let mut bytes = vec![0; length];
        let mut header = NetlinkBuffer::new(&mut bytes);
        header.set_length(u32::try_from(length).unwrap_or(u32::MAX));
        header.set_message_type(kind);
        header.set_flags(flags | NLM_F_REQUEST);
        header.set_sequence_number(self.sequence);
        header.payload_mut().copy_from_slice(body);
        bytes.resize(length.next_multiple_of(4), 0);
        bytes
    }

    /// Receives until the end of what was asked is announced; whether the kernel said that the answer is
    /// inconsistent.
    fn receive_all(
        &mut self,
        asked: RangeInclusive<u32>,
        mut each: impl FnMut(u16, &[u8]),
    ) -> Result<bool, NetlinkError> {
        let mut interrupted = false;
        let mut total = 0;
        loop {
            let length = self.receive()?;
            total += length;
            if total > DUMP_BYTES_MAX {
                return Err(malformed("it does not end"));
            }
            let datagram = self.datagram.get(..length).unwrap_or_default();
            let progress = split(datagram, &asked, &mut each)?;
            interrupted |= progress.interrupted;
            if progress.done {
                return Ok(interrupted);
            }
        }
    }

    fn receive(&mut self) -> Result<usize, NetlinkError> {
        loop {
            let mut free = self.datagram.as_mut_slice();
            match self.socket.recv(&mut free, libc::MSG_TRUNC) {
                Ok(length) if length > DATAGRAM_BYTES_MAX => {
                    return Err(malformed(format!("a datagram of {length} bytes")));
                }
                Ok(length) => return Ok(length),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(NetlinkError::Receive { source }),
            }
        }
    }
}

/// Takes a datagram apart. Messages of an exchange that was given up have other sequence numbers.
fn split(
    mut rest: &[u8],
    asked: &RangeInclusive<u32>,
    each: &mut impl FnMut(u16, &[u8]),
) -> Result<Progress, NetlinkError> {
    let mut progress = Progress::default();
    while !rest.is_empty() {
        let message = NetlinkBuffer::new_checked(rest).map_err(|error| malformed(error.to_string()))?;
        let length = message.length() as usize;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        if !asked.contains(&message.sequence_number()) {
            continue;
        }
        progress.interrupted |= message.flags() & NLM_F_DUMP_INTR != 0;
        match message.message_type() {
            NLMSG_NOOP => {}
            NLMSG_ERROR => {
                check(message.payload(), HEADER_BYTES, message.flags())?;
                progress.done = true;
            }
            NLMSG_DONE => {
                check(message.payload(), 0, message.flags())?;
                progress.done = true;
            }
            kind => each(kind, message.payload()),
        }
    }
    Ok(progress)
}

/// Reads the error number that an acknowledgement or an end begins with; after it and `skip` bytes
/// of the question's own header come the kernel's words.
fn check(body: &[u8], skip: usize, flags: u16) -> Result<(), NetlinkError> {
    let Some((code, rest)) = body.split_first_chunk::<4>() else { return Ok(()) };
    let code = i32::from_ne_bytes(*code);
    if code >= 0 {
        return Ok(());
    }
    let attributes = if flags & NLM_F_ACK_TLVS == 0 { None } else { rest.get(skip..) };
    let texts = NlasIterator::new(attributes.unwrap_or_default()).map_while(Result::ok);
    let text = texts.filter(|attribute| attribute.kind() == ERROR_TEXT).find_map(|attribute| {
        let text = String::from_utf8_lossy(attribute.value()).trim_end_matches('\0').to_owned();
        (!text.is_empty()).then_some(text)
    });
    Err(NetlinkError::Refused { source: io::Error::from_raw_os_error(code.saturating_neg()), text })
}

fn malformed(what: impl Into<String>) -> NetlinkError {
    NetlinkError::Malformed { what: what.into() }
}
