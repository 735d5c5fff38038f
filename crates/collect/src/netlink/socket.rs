//! The rtnetlink socket: links, addresses, routes, FIB rules, neighbours (rtnetlink(7)).

use netlink_packet_core::{NetlinkDeserializable, NetlinkHeader, NetlinkSerializable};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::protocols::NETLINK_ROUTE;

use super::{Channel, NetlinkError};

/// A synchronous rtnetlink socket. It stays in the namespace that it was opened in, wherever it is
/// used afterwards.
pub struct Socket {
    channel: Channel,
    undecoded: u32,
}

impl Socket {
    /// Opens one in the calling thread's namespace.
    pub fn open() -> Result<Socket, NetlinkError> {
        Ok(Socket { channel: Channel::open(NETLINK_ROUTE)?, undecoded: 0 })
    }

    /// Lists (`NLM_F_DUMP`). A listing that changed while it was read is read again, some times.
    #[expect(clippy::needless_pass_by_value, reason = "a question is made to be asked once")]
    pub fn dump(&mut self, question: RouteNetlinkMessage) -> Result<Vec<RouteNetlinkMessage>, NetlinkError> {
        let answer: Answer = self.channel.dump(question.message_type(), &body(&question), Answer::add)?;
        Ok(self.take(answer))
    }

    /// Asks for one thing or one change, acknowledged (`NLM_F_ACK`).
    #[expect(clippy::needless_pass_by_value, reason = "a question is made to be asked once")]
    pub fn request(
        &mut self,
        question: RouteNetlinkMessage,
        flags: u16,
    ) -> Result<Vec<RouteNetlinkMessage>, NetlinkError> {
        let kind = question.message_type();
        let answer: Answer = self.channel.request(kind, flags, &body(&question), Answer::add)?;
        Ok(self.take(answer))
    }

    /// How many messages could not be decoded since the socket was opened; the rest was returned.
    pub fn undecoded(&self) -> u32 {
        self.undecoded
    }

    fn take(&mut self, answer: Answer) -> Vec<RouteNetlinkMessage> {
        self.undecoded = self.undecoded.saturating_add(answer.undecoded);
        answer.messages
    }
}

#[derive(Default)]
struct Answer {
    messages: Vec<RouteNetlinkMessage>,
    undecoded: u32,
}

impl Answer {
    fn add(&mut self, kind: u16, body: &[u8]) {
        let mut header = NetlinkHeader::default();
        header.message_type = kind;
        match RouteNetlinkMessage::deserialize(&header, body) {
            Ok(message) => self.messages.push(message),
            Err(_) => self.undecoded = self.undecoded.saturating_add(1),
        }
    }
}

fn body(question: &RouteNetlinkMessage) -> Vec<u8> {
    let mut bytes = vec![0; question.buffer_len()];
    question.serialize(&mut bytes);
    bytes
}
