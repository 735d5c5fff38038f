//! What it means that the kernel freed a packet in this function for this reason: one table, and the noise of every
//! healthy machine left out.
//!
//! The reason alone rarely tells: `NOT_SPECIFIED` is a blackhole route in one function and a frame that is too long in
//! another (include/net/dropreason-core.h; the functions are Linux 6.18's, and mostly older ones' too).

use model::path::{Direction, Exchange, Stage};

use table::{ANY, Row, TABLE};

mod table;

/// What one place in the kernel means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Meaning {
    /// Where in the packet's way it is.
    pub(crate) stage: Stage,
    /// How far it tells of a loss.
    pub(crate) weight: Weight,
    /// What happens there, to follow "because".
    pub(crate) words: &'static str,
    /// What an operator can look at; `{device}` is the device that the packet was at.
    pub(crate) look: &'static [&'static str],
}

/// How far a drop tells of a loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Weight {
    /// Nothing is lost by it: a copy for somebody who does not want it, or the end of a whole round trip.
    Noise,
    /// It may be a copy that was flooded, and is a loss only on the way itself.
    Flooded,
    /// The packet waited in vain: why is elsewhere.
    Consequence,
    /// The packet died of what is here.
    Place,
}

/// What a drop means.
pub(crate) fn meaning(reason: &str, function: &str) -> Meaning {
    let fits = |(wanted, place, ..): &&Row| {
        let is_reason = match wanted.strip_suffix('*') {
            Some(beginning) => reason.starts_with(beginning),
            None => *wanted == reason,
        };
        is_reason && (*place == ANY || *place == function)
    };
    match TABLE.iter().find(fits) {
        Some((_, _, stage, weight, words, look)) => Meaning { stage: *stage, weight: *weight, words, look },
        None => {
            Meaning { stage: stage_of(function), weight: Weight::Place, words: UNKNOWN, look: &["dmesg"] }
        }
    }
}

/// Said of a place that the table has not.
const UNKNOWN: &str = "of something there that hopline has no words for";

/// The part of the kernel that a function belongs to, by its name.
fn stage_of(function: &str) -> Stage {
    let name = function.trim_start_matches('_');
    let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    if begins(&["br_", "ovs_"]) {
        Stage::Bridge
    } else if begins(&["nf_", "nft_", "ipt_", "ebt_", "xfrm"]) {
        Stage::Filter
    } else if begins(&["neigh", "arp", "ndisc"]) {
        Stage::Neighbour
    } else if begins(&["ip_", "ip6_", "fib", "mpls"]) {
        Stage::Route
    } else if begins(&[
        "dev_",
        "sch_",
        "tcf_",
        "tun",
        "veth",
        "vxlan",
        "macvlan",
        "bond",
        "validate_xmit",
        "netif",
    ]) {
        Stage::Wire
    } else {
        Stage::Local
    }
}

/// The same, as far as it tells of a loss in this half of this conversation.
pub(crate) fn weight(
    meaning: &Meaning,
    reason: &str,
    (exchange, direction): (Exchange, Direction),
) -> Weight {
    // Who asks by packet sockets has no socket where the answer ends, and a DISCOVER is for every server of the link.
    let is_answer = direction == Direction::Reply;
    match reason {
        "NO_SOCKET" if is_answer => Weight::Noise,
        "NO_SOCKET" if exchange == Exchange::Dhcp => Weight::Flooded,
        _ => meaning.weight,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Stage::{Bridge, Filter, Local, Neighbour, Route, Wire};
    use Weight::{Flooded, Noise, Place};

    #[test]
    fn the_function_tells_what_the_reason_does_not() {
        let blackhole = meaning("NOT_SPECIFIED", "ip_error");
        assert_eq!((blackhole.stage, blackhole.weight), (Route, Place));
        assert!(blackhole.words.contains("blackhole"), "{}", blackhole.words);
        assert!(meaning("IP_INADDRERRORS", "ip_error").words.contains("does not forward"));
        assert!(meaning("NETFILTER_DROP", "nf_hook_slow").words.contains("legacy"));
        assert!(meaning("NETFILTER_DROP", "nft_do_chain").words.contains("nftables"));
        assert!(meaning("QDISC_OVERLIMIT", "tbf_enqueue").words.contains("queue"));
    }

    #[test]
    fn everyday_noise_is_none_of_a_loss() {
        for (reason, function) in [
            ("SOCKET_FILTER", "raw_rcv"),
            ("PACKET_SOCK_ERROR", "packet_rcv"),
            ("NO_SOCKET", "ping_rcv"),
            ("NOT_SPECIFIED", "__udp4_lib_rcv"),
            ("NOT_SPECIFIED", "tcp_v4_rcv"),
            ("QUEUE_PURGE", "skb_queue_purge_reason"),
            ("CONSUMED", "icmp_rcv"),
        ] {
            assert_eq!(meaning(reason, function).weight, Noise, "{reason} {function}");
        }
        for flooded in [("OTHERHOST", "ip_rcv_core"), ("NOT_SPECIFIED", "br_handle_frame_finish")] {
            assert_eq!(meaning(flooded.0, flooded.1).weight, Flooded);
        }
    }

    #[test]
    fn a_port_that_nobody_listens_on_is_a_loss_of_the_question_alone() {
        let meaning = meaning("NO_SOCKET", "__udp4_lib_rcv");
        let weighed = |exchange, direction| weight(&meaning, "NO_SOCKET", (exchange, direction));
        assert_eq!(weighed(Exchange::Dns, Direction::Request), Place);
        assert_eq!(weighed(Exchange::Dns, Direction::Reply), Noise);
        assert_eq!(weighed(Exchange::Dhcp, Direction::Reply), Noise);
        // It comes to every machine of the link, most of which are no server.
        assert_eq!(weighed(Exchange::Dhcp, Direction::Request), Flooded);
    }

    #[test]
    fn what_the_table_has_not_is_placed_by_its_function() {
        for (function, stage) in [
            ("br_forward_new", Bridge),
            ("ip_local_deliver_new", Route),
            ("__dev_queue_new", Wire),
            ("neigh_new", Neighbour),
            ("nf_new", Filter),
            ("something", Local),
        ] {
            let meaning = meaning("SOMETHING_NEW", function);
            assert_eq!((meaning.stage, meaning.weight), (stage, Place), "{function}");
        }
    }

    #[test]
    fn every_row_can_be_reached_and_is_told_in_words() {
        for (at, (reason, function, .., words, look)) in TABLE.iter().enumerate() {
            assert_eq!(TABLE.iter().position(|row| (row.0, row.1) == (*reason, *function)), Some(at));
            assert!(!words.ends_with('.') && words.contains(' '), "{words}");
            assert!(look.iter().all(|command| !command.contains("{}")), "{look:?}");
        }
    }
}
