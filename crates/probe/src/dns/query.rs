//! A DNS question, and the packet that asks it (RFC 1035).

use std::fmt;
use std::net::IpAddr;

use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::{DNSClass, Name, RecordType};

/// What to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// The IPv4 addresses of a name. It is asked for as it stands: no search list is appended.
    Ipv4Of(String),
    /// The IPv6 addresses of a name.
    Ipv6Of(String),
    /// The name of an address, as sshd asks for the one of its client.
    NameOf(IpAddr),
    /// What the server says that it is (`version.bind`, class CHAOS): any answer to it, a refusal too, is the server's
    /// own, for nobody passes the question on.
    Version,
}

impl fmt::Display for Question {
    /// As dig takes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Question::Ipv4Of(name) => write!(f, "{name} A"),
            Question::Ipv6Of(name) => write!(f, "{name} AAAA"),
            Question::NameOf(address) => write!(f, "-x {address}"),
            Question::Version => f.write_str("version.bind CH TXT"),
        }
    }
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
    pub(super) class: DNSClass,
}

impl DnsQuery {
    /// Puts the question into DNS's words.
    pub fn new(question: &Question, id: u16) -> Result<DnsQuery, NameError> {
        let (name, wanted, class) = match question {
            Question::Ipv4Of(name) => (parse_name(name)?, RecordType::A, DNSClass::IN),
            Question::Ipv6Of(name) => (parse_name(name)?, RecordType::AAAA, DNSClass::IN),
            Question::NameOf(address) => (Name::from(*address), RecordType::PTR, DNSClass::IN),
            Question::Version => (parse_name("version.bind")?, RecordType::TXT, DNSClass::CH),
        };
        Ok(DnsQuery { id, name, wanted, class })
    }

    /// The message, which is also a UDP datagram's payload. Recursion is desired; there is no EDNS, as in
    /// what glibc's and musl's resolvers send by default, so answers over UDP end at 512 bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, NameError> {
        let mut message = Message::new(self.id, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        let mut query = Query::query(self.name.clone(), self.wanted);
        query.set_query_class(self.class);
        message.add_query(query);
        message.to_vec().map_err(|e| NameError { name: self.name.to_ascii(), why: e.to_string() })
    }
}

fn parse_name(text: &str) -> Result<Name, NameError> {
    let mut name =
        Name::from_ascii(text).map_err(|e| NameError { name: text.to_owned(), why: e.to_string() })?;
    name.set_fqdn(true);
    Ok(name)
}
