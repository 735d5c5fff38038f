//! A DNS question, and the packet that asks it (RFC 1035).

use std::net::IpAddr;

use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RecordType};

/// What to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// The IPv4 addresses of a name. It is asked for as it stands: no search list is appended.
    Ipv4Of(String),
    /// The IPv6 addresses of a name.
    Ipv6Of(String),
    /// The name of an address, as sshd asks for the one of its client.
    NameOf(IpAddr),
}

/// The name cannot be asked for.
#[derive(Debug, thiserror::Error)]
#[error("{name:?} is no name that DNS could be asked for: {why}")]
pub struct NameError {
    /// The name.
    pub name: String,
    /// What is wrong with it, in the DNS library's words.
    pub why: String,
}

/// A question with the number by which its answer is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsQuery {
    pub(super) id: u16,
    pub(super) name: Name,
    pub(super) wanted: RecordType,
}

impl DnsQuery {
    /// Puts the question into DNS's words.
    pub fn new(question: &Question, id: u16) -> Result<DnsQuery, NameError> {
        let (name, wanted) = match question {
            Question::Ipv4Of(name) => (parse_name(name)?, RecordType::A),
            Question::Ipv6Of(name) => (parse_name(name)?, RecordType::AAAA),
            Question::NameOf(address) => (Name::from(*address), RecordType::PTR),
        };
        Ok(DnsQuery { id, name, wanted })
    }

    /// The message, which is also a UDP datagram's payload. Recursion is desired; there is no EDNS, as in
    /// what glibc's and musl's resolvers send by default, so answers over UDP end at 512 bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, NameError> {
        let mut message = Message::new(self.id, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.add_query(Query::query(self.name.clone(), self.wanted));
        message.to_vec().map_err(|e| NameError { name: self.name.to_ascii(), why: e.to_string() })
    }
}

fn parse_name(text: &str) -> Result<Name, NameError> {
    let mut name =
        Name::from_ascii(text).map_err(|e| NameError { name: text.to_owned(), why: e.to_string() })?;
    name.set_fqdn(true);
    Ok(name)
}
