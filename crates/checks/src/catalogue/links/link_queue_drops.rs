//! # link-queue-drops
//!
//! The queue of a device on the way drops what should leave by it.
//!
//! ## What it means
//! What leaves by a device waits in its queueing discipline. One that has no room (`pfifo limit 0`), that is made to
//! drop (`blackhole`), or whose rate or burst is too small, drops packets before any capture on the device sees them:
//! the device looks idle and healthy.
//!
//! ## How hopline knows
//! By the queueing discipline where that takes no packet like it at all, however idle it is: then the walk ends there.
//! Else by its counters, read before the probes and after them: it dropped packets while ours were lost, or holds some
//! back that were waited for. Where nobody sends ten full-sized packets at once to see (`--passive`, a bundle), a `tbf`
//! is told that has no room for them.
//!
//! ## What it looks like
//! `tc -s qdisc show dev eth0`: `dropped` rises. A capture on the device sees nothing leave, and `ip -s link
//! show eth0` counts no errors. Programs of the host itself may be told "No buffer space available".
//!
//! ## Nearest look-alikes
//! * `tap-tx-queue-drops`: the queue is that of an instance's NIC.
//! * `tc-bpf-drop`: a filter drops, and `clsact` counts it.
//! * `uplink-no-carrier`: a link without a carrier drops everything in its queue, too.
//!
//! ## Fix
//! `tc qdisc del dev eth0 root`, after a look at who set it; the kernel's default takes its place. Undo: `tc qdisc add
//! dev eth0 root pfifo limit 0`, as it was.
//!
//! ## References
//! tc(8), tc-pfifo(8); `pfifo_enqueue`, net/sched/sch_fifo.c; `__dev_queue_xmit`, net/core/dev.c; drop reason
//! `QDISC_DROP`.

use crate::found::Found;
use crate::queues::{self, Whose};
use crate::view::View;

/// Looks for queues of other devices than instances' NICs that lose packets.
pub fn check(view: &View) -> Vec<Found> {
    queues::check(view, "link-queue-drops", Whose::Others)
}

#[cfg(test)]
mod tests {
    use model::queueing::{Qdisc, QueueLimit, Rate};

    use crate::fixture::{Cloud, broken, codes, healthy};

    fn with(kind: &str, limit: Option<QueueLimit>, rate: Option<Rate>) -> Cloud {
        let mut cloud = healthy();
        let qdisc = Qdisc { kind: kind.to_owned(), handle: 0x8001_0000, limit, rate, ..Qdisc::default() };
        cloud.link("compute1", "eth0").qdiscs = vec![qdisc];
        cloud
    }

    const THERE: [&str; 1] = ["link-queue-drops compute1//eth0"];

    #[test]
    fn fires_where_the_queue_takes_nothing() {
        let found = broken("link-queue-drops").diagnose("web1");
        assert_eq!(codes(&found), THERE);
        assert!(found.findings[0].remedy[0].undo.ends_with("tc qdisc add dev eth0 root pfifo limit 0"));
        assert_eq!(codes(&with("blackhole", None, None).diagnose("web1")), THERE);
    }

    #[test]
    fn fires_where_full_sized_packets_never_fit() {
        let rate = Rate { octets_per_s: 125_000, burst_octets: 1000 };
        let small = with("tbf", Some(QueueLimit::Octets(100_000)), Some(rate));
        assert_eq!(codes(&small.diagnose("web1")), THERE);
    }

    #[test]
    fn fires_where_ten_full_sized_packets_do_not_fit_at_once() {
        let rate = Rate { octets_per_s: 125_000, burst_octets: 1600 };
        let narrow = with("tbf", Some(QueueLimit::Octets(3000)), Some(rate));
        assert_eq!(codes(&narrow.diagnose("web1")), THERE);
    }

    #[test]
    fn stays_silent_on_queues_that_are_idle_and_take_what_comes() {
        let rate = Rate { octets_per_s: 125_000, burst_octets: 1600 };
        for cloud in [
            with("pfifo", Some(QueueLimit::Packets(1)), None),
            with("tbf", Some(QueueLimit::Octets(15_000)), Some(rate)),
            with("fq_codel", None, None),
            with("htb", None, None),
        ] {
            assert_eq!(codes(&cloud.diagnose("web1")), [""; 0]);
        }
    }
}
