//! A question that lost some of its packets, asked many times more: which is one, and how the counts come together.

use model::probe::{Asked, ProbeResult};

/// Some of it was lost, or all of it where others are answered: by chance, it may be, and it takes more to tell.
pub(super) fn is_lossy(came: &ProbeResult, has_answers: bool) -> bool {
    // What others offer says nothing of a loss: each hears the question, and most rightly keep silent.
    let is_asked_of_one = !matches!(came.asked, Asked::Address { .. });
    let is_told = !came.errors.is_empty() || came.send_error.is_some();
    is_asked_of_one && !is_told && came.received < came.sent && (came.received > 0 || has_answers)
}

/// Adds what came to what is known: the same question asked again is one with it.
pub(super) fn add(known: &mut Vec<ProbeResult>, came: ProbeResult) {
    let is_same = |one: &&mut ProbeResult| {
        let is_echo = came.asked.octets().is_some() && one.asked.octets() == came.asked.octets();
        is_echo && one.by_host == came.by_host && (&one.from, one.to) == (&came.from, came.to)
    };
    let Some(one) = known.iter_mut().find(is_same) else {
        known.push(came);
        return;
    };
    one.sent = one.sent.saturating_add(came.sent);
    one.received = one.received.saturating_add(came.received);
    one.reply_ttl = one.reply_ttl.or(came.reply_ttl);
    one.rtt_us = one.rtt_us.or(came.rtt_us);
    one.errors.extend(came.errors);
    one.send_error = one.send_error.take().or(came.send_error);
}

#[cfg(test)]
mod tests {
    use model::probe::PING_OCTETS;

    use super::*;

    fn ping(sent: u32, received: u32) -> ProbeResult {
        ProbeResult {
            from: "web1".to_owned(),
            by_host: false,
            to: [1, 2, 3, 4].into(),
            asked: Asked::Echo { octets: PING_OCTETS },
            sent,
            received,
            reply_ttl: None,
            rtt_us: None,
            errors: Vec::new(),
            send_error: None,
            recorded: None,
        }
    }

    #[test]
    fn counts_of_one_question_come_together_and_those_of_others_do_not() {
        let mut known = Vec::new();
        let large = ProbeResult { asked: Asked::Echo { octets: 1500 }, ..ping(2, 1) };
        for came in [ping(2, 1), large.clone(), ping(20, 12)] {
            add(&mut known, came);
        }
        assert_eq!(known, [ping(22, 13), large]);
    }

    #[test]
    fn a_silence_is_lossy_only_beside_answers_and_an_error_never() {
        assert!(is_lossy(&ping(2, 1), false) && is_lossy(&ping(2, 0), true));
        assert!(!is_lossy(&ping(2, 0), false) && !is_lossy(&ping(2, 2), true));
        let told = ProbeResult { errors: vec![([1, 1, 1, 1].into(), "no".to_owned())], ..ping(2, 1) };
        assert!(!is_lossy(&told, true));
    }
}
