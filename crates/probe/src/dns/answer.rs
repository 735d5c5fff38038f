//! What a server sent back, read: is it the answer, and what does it say?
//!
//! The bytes are anybody's. A loop of compressed names, a length that lies, a name of 64 KiB end in
//! [`Reading::Malformed`]; what is kept of a message is bounded by its 65535 bytes.

use std::net::IpAddr;

use hickory_proto::op::{Header, Message, MessageType, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, Record};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};
use model::dns::{DnsAnswer, Found, Rcode};

use super::query::DnsQuery;

/// Aliases that are followed; resolvers give up at about as many.
const ALIASES_MAX: usize = 16;

/// What some bytes are to a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// The answer.
    Answer(DnsAnswer),
    /// The answer did not fit; over TCP it would.
    Truncated,
    /// It claims to be the answer and cannot be read: why.
    Malformed(String),
    /// It bears another number: somebody's late answer, or a guess.
    WrongId,
    /// It answers another question.
    WrongQuestion,
}

/// Reads a message that came back for a query.
pub fn read(bytes: &[u8], query: &DnsQuery) -> Reading {
    if bytes.first_chunk::<2>() != Some(&query.id.to_be_bytes()) {
        return Reading::WrongId;
    }
    let mut decoder = BinDecoder::new(bytes);
    let header = match Header::read(&mut decoder) {
        Ok(header) => header,
        Err(error) => return Reading::Malformed(error.to_string()),
    };
    if header.metadata.message_type != MessageType::Response {
        return Reading::Malformed("a question came back, not an answer".to_owned());
    }
    let queries = match Message::read_queries(&mut decoder, usize::from(header.counts.queries)) {
        Ok(queries) => queries,
        Err(error) => return Reading::Malformed(error.to_string()),
    };
    // A server that could not read the question may not repeat it.
    let failed = header.metadata.response_code != ResponseCode::NoError;
    match queries.as_slice() {
        [asked] if is_asked(asked, query) => {}
        [] if failed => {}
        _ => return Reading::WrongQuestion,
    }
    // What is cut may end in the middle of a record, so the records are not read.
    if header.metadata.truncation {
        return Reading::Truncated;
    }
    match Message::from_vec(bytes) {
        Ok(message) => Reading::Answer(answer(&message, query)),
        Err(error) => Reading::Malformed(error.to_string()),
    }
}

/// Names are compared without regard to case (RFC 4343).
fn is_asked(asked: &Query, query: &DnsQuery) -> bool {
    asked.name == query.name && asked.query_type == query.wanted && asked.query_class == query.class
}

fn answer(message: &Message, query: &DnsQuery) -> DnsAnswer {
    let (owner, aliases) = follow(&message.answers, &query.name);
    let ours = |record: &&Record| record.name == *owner && record.record_type() == query.wanted;
    let found: Vec<Found> = message.answers.iter().filter(ours).filter_map(found).collect();
    let used = found.len() + aliases.len();
    DnsAnswer {
        rcode: rcode(message.metadata.response_code),
        beside: message.answers.len().saturating_sub(used),
        found,
        aliases,
        recursion_available: message.metadata.recursion_available,
        authoritative: message.metadata.authoritative,
    }
}

/// The name under which the answer stands, and the aliases on the way there: bounded, for aliases may go round.
fn follow<'a>(records: &'a [Record], name: &'a Name) -> (&'a Name, Vec<String>) {
    let mut owner = name;
    let mut aliases = Vec::new();
    while aliases.len() < ALIASES_MAX {
        let alias = records.iter().find_map(|record| match &record.data {
            RData::CNAME(to) if record.name == *owner => Some(&to.0),
            _ => None,
        });
        let Some(next) = alias else { break };
        aliases.push(next.to_ascii());
        owner = next;
    }
    (owner, aliases)
}

fn found(record: &Record) -> Option<Found> {
    match &record.data {
        RData::A(address) => Some(Found::Address(IpAddr::V4(address.0))),
        RData::AAAA(address) => Some(Found::Address(IpAddr::V6(address.0))),
        RData::PTR(name) => Some(Found::Name(name.0.to_ascii())),
        _ => None,
    }
}

fn rcode(code: ResponseCode) -> Rcode {
    match code {
        ResponseCode::NoError => Rcode::NoError,
        ResponseCode::NXDomain => Rcode::NxDomain,
        ResponseCode::ServFail => Rcode::ServFail,
        ResponseCode::Refused => Rcode::Refused,
        other => Rcode::Other(other.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use hickory_proto::rr::rdata::{A, CNAME};
    use proptest::prelude::*;

    use super::super::query::Question;
    use super::*;

    fn query(name: &str) -> DnsQuery {
        DnsQuery::new(&Question::Ipv4Of(name.to_owned()), 0x1234).unwrap()
    }

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    fn alias(from: &str, to: &str) -> Record {
        Record::from_rdata(name(from), 60, RData::CNAME(CNAME(name(to))))
    }

    fn address(of: &str, last: u8) -> Record {
        Record::from_rdata(name(of), 60, RData::A(A(Ipv4Addr::new(10, 0, 0, last))))
    }

    /// A whole answer to `www.example.`.
    fn bytes(answers: Vec<Record>) -> Vec<u8> {
        let mut message = Message::from_vec(&query("www.example.").to_bytes().unwrap()).unwrap();
        message.metadata.message_type = MessageType::Response;
        message.answers = answers;
        message.to_vec().unwrap()
    }

    fn answered(answers: Vec<Record>) -> DnsAnswer {
        match read(&bytes(answers), &query("www.example")) {
            Reading::Answer(answer) => answer,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn aliases_are_followed_in_whatever_order_they_stand() {
        let records = vec![
            address("b.example.", 2),
            alias("a.example.", "b.example."),
            alias("www.example.", "A.example."),
            address("www.elsewhere.", 9),
        ];
        let answer = answered(records);
        assert_eq!(answer.found, [Found::Address("10.0.0.2".parse().unwrap())]);
        assert_eq!(answer.aliases, ["A.example.", "b.example."]);
        assert_eq!(answer.beside, 1);
    }

    #[test]
    fn aliases_that_go_round_are_given_up() {
        let answer = answered(vec![alias("www.example.", "a.example."), alias("a.example.", "www.example.")]);
        assert_eq!((answer.found.len(), answer.aliases.len()), (0, ALIASES_MAX));
    }

    #[test]
    fn a_case_that_was_changed_is_still_the_question() {
        let reading = read(&bytes(vec![address("www.example.", 1)]), &query("WWW.eXample"));
        assert!(matches!(reading, Reading::Answer(answer) if answer.found.len() == 1));
        assert_eq!(read(&bytes(vec![]), &query("ww.example")), Reading::WrongQuestion);
    }

    #[test]
    fn every_truncation_is_refused_without_a_panic() {
        let whole = bytes(vec![alias("www.example.", "a.example."), address("a.example.", 1)]);
        for length in 0..whole.len() {
            let reading = read(&whole[..length], &query("www.example."));
            let expected = if length < 2 { Reading::WrongId } else { Reading::Malformed(String::new()) };
            assert_eq!(std::mem::discriminant(&reading), std::mem::discriminant(&expected), "{length}");
        }
        assert!(matches!(read(&whole, &query("www.example.")), Reading::Answer(_)));
    }

    #[test]
    fn a_truncated_answer_may_end_anywhere_behind_the_question() {
        let mut cut = bytes(vec![address("www.example.", 1)]);
        cut[2] |= 0x02;
        cut.truncate(cut.len() - 3);
        assert_eq!(read(&cut, &query("www.example.")), Reading::Truncated);
    }

    proptest! {
        /// Any bytes behind the right number, and a whole answer with any of its bytes changed.
        #[test]
        fn any_bytes_are_read_or_refused(
            mut any in prop::collection::vec(any::<u8>(), 2..600),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        ) {
            any[..2].copy_from_slice(&0x1234_u16.to_be_bytes());
            let _ = read(&any, &query("www.example."));
            let mut whole = bytes(vec![alias("www.example.", "a.example."), address("a.example.", 1)]);
            for (at, byte) in changes {
                let at = at.index(whole.len());
                whole[at] = byte;
            }
            if let Reading::Answer(answer) = read(&whole, &query("www.example.")) {
                prop_assert!(answer.aliases.len() <= ALIASES_MAX);
            }
        }
    }
}
