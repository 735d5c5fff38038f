//! What a DNS server answers (RFC 1035).

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// The port of servers that are not told otherwise.
pub const PORT: u16 = 53;

/// What a server answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsAnswer {
    /// Whether it worked.
    pub rcode: Rcode,
    /// What was asked for, in the message's order; empty where the name has nothing of the kind.
    pub found: Vec<Found>,
    /// The names that the one asked for is an alias of, in turn.
    pub aliases: Vec<String>,
    /// Records of the answer's section that answer nothing that was asked.
    pub beside: usize,
    /// The server would look elsewhere for what it does not know itself.
    pub recursion_available: bool,
    /// The server knows it at first hand.
    pub authoritative: bool,
}

/// What came back to a question and was no answer to it, by how that shows; resolvers pass it over as we do, and it may
/// be all that comes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Strays {
    /// From another address or port than was asked.
    pub other_server: u32,
    /// With another number.
    pub wrong_id: u32,
    /// To another question.
    pub wrong_question: u32,
}

/// Something that was asked for. Names are ASCII, with what is not escaped.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Found {
    /// An address of the name.
    Address(IpAddr),
    /// A name of the address, with a dot at its end.
    Name(String),
}

/// A server's own word for how it went (RFC 1035, 4.1.1; RFC 6895 for what came later).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rcode {
    /// It worked; that nothing is found may still be.
    NoError,
    /// There is no such name.
    NxDomain,
    /// The server could not find out: the servers it asks in turn did not answer, or not rightly.
    ServFail,
    /// The server does not want to.
    Refused,
    /// Any other, as its number.
    Other(u16),
}
