//! One question and its answer, as bytes: framing, acknowledgements, errors with the kernel's words.

use std::io;

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

/// A netlink socket that speaks only to the kernel.
pub(crate) struct Channel {
    socket: netlink_sys::Socket,
    sequence: u32,
    datagram: Vec<u8>,
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
    pub(crate) fn open(family: isize) -> Result<Channel, NetlinkError> {
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
    pub(crate) fn dump<T: Default>(
        &mut self,
        kind: u16,
        body: &[u8],
        each: impl Fn(&mut T, u16, &[u8]),
    ) -> Result<T, NetlinkError> {
        for _ in 0..DUMP_TRIES {
            let mut answer = T::default();
            self.send(kind, NLM_F_DUMP, body)?;
            if !self.receive_all(|kind, body| each(&mut answer, kind, body))? {
                return Ok(answer);
            }
        }
        Err(NetlinkError::Interrupted { tries: DUMP_TRIES })
    }

    /// Asks for one thing or one change, and waits for the acknowledgement.
    pub(crate) fn request<T: Default>(
        &mut self,
        kind: u16,
        flags: u16,
        body: &[u8],
        each: impl Fn(&mut T, u16, &[u8]),
    ) -> Result<T, NetlinkError> {
        let mut answer = T::default();
        self.send(kind, flags | NLM_F_ACK, body)?;
        self.receive_all(|kind, body| each(&mut answer, kind, body))?;
        Ok(answer)
    }

    fn send(&mut self, kind: u16, flags: u16, body: &[u8]) -> Result<(), NetlinkError> {
        self.sequence = self.sequence.wrapping_add(1);
        let length = HEADER_BYTES + body.len();
        let mut bytes = vec![0; length];
        let mut header = NetlinkBuffer::new(&mut bytes);
        header.set_length(u32::try_from(length).unwrap_or(u32::MAX));
        header.set_message_type(kind);
        header.set_flags(flags | NLM_F_REQUEST);
        header.set_sequence_number(self.sequence);
        header.payload_mut().copy_from_slice(body);
        self.socket.send(&bytes, 0).map_err(|source| NetlinkError::Send { source })?;
        Ok(())
    }

    /// Receives until the end is announced; whether the kernel said that the answer is inconsistent.
    fn receive_all(&mut self, mut each: impl FnMut(u16, &[u8])) -> Result<bool, NetlinkError> {
        let mut interrupted = false;
        let mut total = 0;
        loop {
            let length = self.receive()?;
            total += length;
            if total > DUMP_BYTES_MAX {
                return Err(malformed("it does not end"));
            }
            let datagram = self.datagram.get(..length).unwrap_or_default();
            let progress = split(datagram, self.sequence, &mut each)?;
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

/// Takes a datagram apart. Messages of an exchange that was given up have another sequence number.
fn split(
    mut rest: &[u8],
    sequence: u32,
    each: &mut impl FnMut(u16, &[u8]),
) -> Result<Progress, NetlinkError> {
    let mut progress = Progress::default();
    while !rest.is_empty() {
        let message = NetlinkBuffer::new_checked(rest).map_err(|error| malformed(error.to_string()))?;
        let length = message.length() as usize;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        if message.sequence_number() != sequence {
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
