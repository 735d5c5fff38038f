//! # tap-tx-queue-drops
//!
//! The queue in front of an instance's NIC drops what is sent to the instance.
//!
//! ## What it means
//! What a host sends to an instance waits at the host's end of its NIC. A shaper (`tbf`, `htb`) lets it pass at a rate,
//! and a queue holds so much and no more; the rest is dropped without a word. A rate or a room that is too small lets
//! single small packets pass and drops what comes in one go, as all of TCP does.
//!
//! ## How hopline knows
//! By the queueing discipline where that takes no packet like it at all (`pfifo limit 0`, `blackhole`, a `tbf` whose
//! burst is smaller than the packet). Else by its counters, read before the probes and after them: it dropped packets
//! while ours were lost, or holds some back that were waited for. Where a queue on the way is not a usual, roomy one,
//! `diagnose` sends ten full-sized pings at once, as many as TCP sends at first (RFC 6928). A shaper that all of these
//! pass is no fault. Where nobody sends any (`--passive`, a bundle), a `tbf` is told whose burst and limit together are
//! less than ten such packets, and whose rate is too low to send the rest on while they come at 100 Mbit a second.
//!
//! ## What it looks like
//! Ping works while nothing else is under way; downloads crawl, ssh hangs. `tc -s qdisc show dev vnet0` prints `tbf` or
//! another discipline that nobody meant, with `dropped` and `overlimits` that rise.
//!
//! ## Nearest look-alikes
//! * `link-queue-drops`: the queue is that of another device.
//! * `mtu-tap-small`: full-sized packets die one by one, too.
//! * `uplink-no-carrier`: a link without a carrier drops everything in its queue, too.
//!
//! ## Fix
//! `tc qdisc del dev vnet0 root`, after a look at who set it: the flavour's `quota:vif_outbound_average`, libvirt's
//! `<bandwidth>`, or somebody by hand. Undo: `tc qdisc add dev vnet0 root tbf rate 64kbit burst 1600 limit 3000`.
//!
//! ## References
//! tc(8), tc-tbf(8); `tbf_enqueue`, net/sched/sch_tbf.c; nova flavor extra specs `quota:vif_*`; RFC 6928.

use crate::found::Found;
use crate::queues::{self, Whose};
use crate::view::View;

/// Looks for queues of instances' NICs that lose packets.
pub fn check(view: &View) -> Vec<Found> {
    queues::check(view, "tap-tx-queue-drops", Whose::Taps)
}

#[cfg(test)]
mod tests {
    use model::queueing::{Qdisc, QdiscPlace, QdiscStats, QueueLimit};

    use crate::fixture::{broken, codes, pinged};

    #[test]
    fn fires_where_its_drops_rose_while_ours_were_lost() {
        let found = broken("tap-tx-queue-drops").diagnose("web1");
        assert_eq!(codes(&found), ["tap-tx-queue-drops compute1//vnet0"]);
        let finding = &found.findings[0];
        assert!(
            finding.cause.contains("tbf 8001: rate 64000bit burst 1600b limit 3000b"),
            "{}",
            finding.cause
        );
        assert!(finding.cause.contains("dropped 7 packets"), "{}", finding.cause);
        assert!(finding.remedy[0].undo.ends_with("root tbf rate 64000bit burst 1600b limit 3000b"));
    }

    #[test]
    fn stays_silent_where_the_shaper_has_room_or_dropped_long_ago() {
        let mut cloud = broken("tap-tx-queue-drops");
        cloud.probes = vec![pinged("web1", 84, 2), pinged("web1", 1500, 10)];
        assert_eq!(codes(&cloud.diagnose("web1")), [""; 0], "all of ours came through");
        let mut cloud = broken("tap-tx-queue-drops");
        cloud.link("compute1", "vnet0").qdiscs[0].stats = QdiscStats { drops: 7, ..QdiscStats::default() };
        assert_eq!(codes(&cloud.diagnose("web1")), [""; 0], "its drops are from before");
    }

    #[test]
    fn fires_unasked_where_ten_packets_do_not_fit() {
        let mut cloud = broken("tap-tx-queue-drops");
        (cloud.probes, cloud.queues) = (Vec::new(), Vec::new());
        let found = cloud.diagnose("web1");
        assert_eq!(codes(&found), ["tap-tx-queue-drops compute1//vnet0"]);
        let finding = &found.findings[0];
        assert!(finding.cause.contains("less than ten packets of 1500 octets"), "{}", finding.cause);
        assert!(
            finding.evidence[0].text.ends_with("limit 3000b, dropped 0 so far"),
            "{:?}",
            finding.evidence
        );
        cloud.link("compute1", "vnet0").qdiscs[0].limit = Some(QueueLimit::Octets(15_000));
        assert_eq!(codes(&cloud.diagnose("web1")), [""; 0], "they fit");
        cloud.link("compute1", "vnet0").qdiscs[0].limit = Some(QueueLimit::Octets(3000));
        let inner = Qdisc { kind: "fq_codel".to_owned(), place: QdiscPlace::Class(1), ..Qdisc::default() };
        cloud.link("compute1", "vnet0").qdiscs.push(inner);
        assert_eq!(codes(&cloud.diagnose("web1")), [""; 0], "another queue holds them");
    }

    #[test]
    fn fires_where_it_holds_back_what_is_waited_for() {
        let mut cloud = broken("tap-tx-queue-drops");
        let after = &mut cloud.queues[0].queues[0].1[0].stats;
        *after = QdiscStats { drops: 0, backlog_packets: 3, backlog_octets: 4542, ..*after };
        let found = cloud.diagnose("web1");
        assert_eq!(codes(&found), ["tap-tx-queue-drops compute1//vnet0"]);
        assert!(found.findings[0].cause.contains("holds 3 packets back"));
    }
}
