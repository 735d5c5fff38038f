//! A DNS question, and the packet that asks it (RFC 1035).

use std::fmt;
use std::net::IpAddr;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
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

impl Question {
    /// What other servers say to it is what is to be learned. dnsmasq, which asks them, keeps their refusals and
    /// failures to itself as a rule, and who waits learns only that nothing comes; it passes them on to who asks with a
    /// cookie (its src/forward.c, `FREC_HAS_EXTRADATA`).
    pub(crate) fn is_of_others(&self) -> bool {
        match self {
            Question::Ipv4Of(name) | Question::Ipv6Of(name) => name != ".",
            // As sshd asks.
            Question::NameOf(_) | Question::Version => false,
        }
    }
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
        self.written(None)
    }

    /// The same by EDNS with a cookie, as dig asks (RFC 6891, RFC 7873); answers over UDP end at 512 bytes here, too.
    pub fn to_bytes_as_dig(&self) -> Result<Vec<u8>, NameError> {
        let mut edns = Edns::new();
        edns.set_max_payload(PAYLOAD_BYTES_MAX);
        edns.options_mut()
            .insert(EdnsOption::Unknown(EdnsCode::Cookie.into(), self.id.to_be_bytes().repeat(4)));
        self.written(Some(edns))
    }

    fn written(&self, edns: Option<Edns>) -> Result<Vec<u8>, NameError> {
        let mut message = Message::new(self.id, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        let mut query = Query::query(self.name.clone(), self.wanted);
        query.set_query_class(self.class);
        message.add_query(query);
        message.edns = edns;
        message.to_vec().map_err(|e| NameError { name: self.name.to_ascii(), why: e.to_string() })
    }
}

/// What an answer over UDP holds at most without EDNS (RFC 1035, 4.2.1).
const PAYLOAD_BYTES_MAX: u16 = 512;

fn parse_name(text: &str) -> Result<Name, NameError> {
    let mut name =
        Name::from_ascii(text).map_err(|e| NameError { name: text.to_owned(), why: e.to_string() })?;
    name.set_fqdn(true);
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_as_dig_asks_it_is_the_same_with_a_cookie() {
        let query = DnsQuery::new(&Question::Ipv6Of("www.example.".to_owned()), 0x1234).unwrap();
        let (plain, as_dig) = (query.to_bytes().unwrap(), query.to_bytes_as_dig().unwrap());
        // Up to the count of additional records, and behind that the question.
        assert_eq!((&plain[..10], &plain[12..]), (&as_dig[..10], &as_dig[12..plain.len()]));
        // An OPT record of the root (RFC 6891, 6.1.2) with option 10 of eight octets (RFC 7873, 4).
        let option = [0, 10, 0, 8, 0x12, 0x34, 0x12, 0x34, 0x12, 0x34, 0x12, 0x34];
        assert!(
            as_dig[plain.len()..].starts_with(&[0, 0, 41, 2, 0]) && as_dig.ends_with(&option),
            "{as_dig:x?}"
        );
    }

    #[test]
    fn only_what_others_are_asked_for_is_asked_so() {
        let name = || "www.example.".to_owned();
        assert!(Question::Ipv4Of(name()).is_of_others() && Question::Ipv6Of(name()).is_of_others());
        let others =
            [Question::Ipv6Of(".".to_owned()), Question::NameOf([1, 2, 3, 4].into()), Question::Version];
        assert!(!others.iter().any(Question::is_of_others));
    }
}
