//! The question, and what is an answer to it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use model::Mac;

use super::solicit;
use crate::{arp, ethernet};

/// Who has that address? Asked by a source of the same family; the unspecified one is nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    Arp { source: Ipv4Addr, asked: Ipv4Addr },
    Solicitation { source: Ipv6Addr, asked: Ipv6Addr },
}

impl Question {
    /// Of a source of the other family nothing is borne.
    pub(super) fn new(source: Option<IpAddr>, asked: IpAddr) -> Question {
        match (asked, source) {
            (IpAddr::V4(asked), Some(IpAddr::V4(source))) => Question::Arp { source, asked },
            (IpAddr::V4(asked), _) => Question::Arp { source: Ipv4Addr::UNSPECIFIED, asked },
            (IpAddr::V6(asked), Some(IpAddr::V6(source))) => Question::Solicitation { source, asked },
            (IpAddr::V6(asked), _) => Question::Solicitation { source: Ipv6Addr::UNSPECIFIED, asked },
        }
    }

    /// The frame in which the link of this MAC asks everybody.
    pub(super) fn frame(self, own: Mac) -> Vec<u8> {
        let everybody = match self {
            Question::Arp { .. } => Mac::BROADCAST,
            Question::Solicitation { source: _, asked } => solicit::group_mac(asked),
        };
        self.frame_to(everybody, own)
    }

    /// The frame in which the link of this MAC asks one machine alone.
    pub(super) fn frame_to(self, one: Mac, own: Mac) -> Vec<u8> {
        match self {
            Question::Arp { source, asked } => arp::who_has(one, own, source, asked),
            Question::Solicitation { source, asked } => solicit::who_has(one, own, source, asked),
        }
    }

    /// What a frame tells in answer. An address that two machines have is also told of by a question from it; only
    /// answers are counted, since those are what a neighbour would follow.
    pub(super) fn answer(self, own: Mac, frame: &[u8]) -> Option<Told> {
        let ethernet = ethernet::read(frame)?;
        let told = match self {
            Question::Arp { asked, source: _ } => {
                // An answer to a probe may be told to everybody (RFC 5227).
                let is_to_us = ethernet.destination == own || ethernet.destination == Mac::BROADCAST;
                let is_arp = is_to_us && ethernet.ether_type == arp::ETHER_TYPE;
                let arp = arp::read(ethernet.payload).filter(|_| is_arp)?;
                (!arp.is_request && arp.sender == asked).then_some((arp.sender_mac, true))
            }
            Question::Solicitation { source, asked } => solicit::answer(frame, source, asked),
        };
        let (mac, overrides) = told?;
        Some(Told { mac, sent_by: ethernet.source, overrides })
    }
}

/// What an answer tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Told {
    /// The MAC that the address has.
    pub(super) mac: Mac,
    /// Who sent the frame.
    pub(super) sent_by: Mac,
    /// It counts though others told another; ARP knows no other answers.
    pub(super) overrides: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Mac = Mac([2, 0, 0, 0, 0, 1]);
    const THEIRS: Mac = Mac([2, 0, 0, 0, 0, 2]);
    const NEAR: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 24);
    const FAR: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 25);

    /// The far end's answer, told to this MAC.
    fn reply(to: Mac) -> Vec<u8> {
        let mut frame = arp::who_has(to, THEIRS, FAR, NEAR);
        frame[21] = 2;
        frame
    }

    #[test]
    fn only_an_answer_to_us_or_to_everybody_is_taken() {
        let question = Question::new(Some(NEAR.into()), FAR.into());
        let answer = |frame: &[u8]| question.answer(OWN, frame).map(|told| (told.mac, told.sent_by));
        assert_eq!(answer(&reply(OWN)), Some((THEIRS, THEIRS)));
        assert_eq!(answer(&reply(Mac::BROADCAST)), Some((THEIRS, THEIRS)));
        assert_eq!(answer(&reply(Mac([2, 0, 0, 0, 0, 3]))), None);
        assert_eq!(answer(&arp::who_has(OWN, THEIRS, FAR, NEAR)), None);
        assert_eq!(Question::new(None, NEAR.into()).answer(OWN, &reply(OWN)), None);
        let mut for_another = reply(OWN);
        for_another[6] = 4;
        assert_eq!(answer(&for_another), Some((THEIRS, Mac([4, 0, 0, 0, 0, 2]))));
        for length in 0..42 {
            assert_eq!(answer(&reply(OWN)[..length]), None, "{length}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(
            bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..120),
            is_ipv6 in proptest::prelude::any::<bool>(),
        ) {
            let asked: IpAddr = if is_ipv6 { Ipv6Addr::LOCALHOST.into() } else { FAR.into() };
            let told = Question::new(None, asked).answer(OWN, &bytes);
            proptest::prop_assert!(told.is_none_or(|told| bytes.windows(6).any(|six| six == told.mac.0)));
        }
    }
}
