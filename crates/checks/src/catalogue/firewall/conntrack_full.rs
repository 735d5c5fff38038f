//! # conntrack-full
//!
//! The host tracks as many connections as it may, and drops the first packet of any other.
//!
//! ## What it means
//! Where all that is tracked is past its opening, nothing is given up for a newcomer: the packet is dropped, the host's
//! own included. What is tracked already goes on, and so does what is not tracked: ARP, and DHCP's broadcasts.
//!
//! ## How hopline knows
//! `nf_conntrack_count` has reached `nf_conntrack_max`, or as good as, and connections were read, of which nearly all
//! are assured, so that there is nothing to give up (`early_drop`).
//!
//! ## What it looks like
//! `dmesg`: `nf_conntrack: table full, dropping packet`; `drop` of `conntrack -S` rises; some connections work and
//! others do not.
//!
//! ## Nearest look-alikes
//! * `foreign-rule-drop`: a rule's counter rises, and `conntrack -S` stands still.
//!
//! ## Fix
//! Raise `net.netfilter.nf_conntrack_max` on the machine (it cannot be set in a namespace), and look for who opens so
//! many: `conntrack -L -o extended`. Undo: the old number.
//!
//! ## References
//! `__nf_conntrack_alloc`, `early_drop` in net/netfilter/nf_conntrack_core.c; kubernetes/kubernetes#71261.

use model::Netns;
use model::finding::{Confidence, Remedy};
use model::path::{Direction, Exchange, Stage};

use crate::evidence;
use crate::found::{Fault, Found, Reach, at};
use crate::mend::Mend;
use crate::view::View;

const COUNT: &str = "netfilter.nf_conntrack_count";
const MAX: &str = "netfilter.nf_conntrack_max";

/// Of a hundred that may be tracked, so many are where there is no room.
const FULL_OF_100: u64 = 99;

/// Of a hundred connections, so many are assured where there is nothing to give up.
const ASSURED_OF_100: usize = 95;

/// Looks for hosts that can track no more: one finding a host.
pub fn check(view: &View) -> Vec<Found> {
    view.hosts_at_both_ends().filter_map(|(_, ns)| finding(view, ns, full(ns)?)).collect()
}

/// The host can track no more: whatever it asks itself may be lost, or refused it at once.
pub(crate) fn is_full(ns: &Netns) -> bool {
    full(ns).is_some()
}

/// How many are tracked, where that is all that may be and none of them is given up.
fn full(ns: &Netns) -> Option<u64> {
    let number = |name: &str| ns.sysctls.get(name)?.trim().parse::<u64>().ok();
    let (count, max) = (number(COUNT)?, number(MAX)?);
    let assured = ns.conntrack.iter().filter(|entry| entry.assured).count();
    // Where none was read, nothing is known of how they stand.
    let is_kept = !ns.conntrack.is_empty() && assured * 100 >= ns.conntrack.len() * ASSURED_OF_100;
    // Of 0 the kernel makes "as many as you like". What ends by itself leaves room for a moment.
    let is_full = count.saturating_mul(100) >= max.saturating_mul(FULL_OF_100);
    (max > 0 && is_full && is_kept).then_some(count)
}

fn finding(view: &View, ns: &Netns, count: u64) -> Option<Found> {
    let raise = |to: u64| format!("sysctl -w net.{MAX}={to}");
    let max: u64 = ns.sysctls.get(MAX)?.trim().parse().ok()?;
    let fault = Fault {
        code: "conntrack-full",
        hop: at(ns, view.inner_link(ns), Stage::Filter),
        summary: format!(
            "{} tracks {count} connections, which is all it may: new ones are dropped",
            ns.machine
        ),
        cause: "the table of tracked connections is full of such as are past their opening".to_owned(),
        confidence: Confidence::Likely,
        evidence: vec![evidence::sysctl(ns, COUNT), evidence::sysctl(ns, MAX)],
        owner: "operator",
        remedy: vec![
            Remedy {
                command: raise(max.saturating_mul(2)),
                undo: raise(max),
                note: "on the machine itself; each connection takes some 300 bytes of the kernel's memory"
                    .to_owned(),
            },
            evidence::remedy(ns, "conntrack -L -o extended", "", "mends nothing: shows who opens so many"),
        ],
        instances: view.instances_on(&ns.machine),
        stopped: None,
        mend: vec![Mend::Sysctl {
            machine: ns.machine.clone(),
            name: COUNT.to_owned(),
            value: "0".to_owned(),
        }],
    };
    let found = fault.found().breaks(Exchange::Icmp, Direction::Both).reaching(Reach::Host);
    Some(found.met_at(view.first_in(ns)))
}

#[cfg(test)]
mod tests {
    use crate::fixture::{broken, codes, inject};

    #[test]
    fn fires_on_a_full_table() {
        let found = broken("conntrack-full").diagnose("web1");
        assert_eq!(codes(&found), ["conntrack-full compute1//br100"]);
        assert!(found.findings[0].remedy[0].command.ends_with("nf_conntrack_max=524288"), "{found:#?}");
    }

    #[test]
    fn is_met_where_a_packet_first_comes_to_the_host() {
        let found = |other: &str| {
            let mut cloud = broken("conntrack-full");
            inject(&mut cloud, other);
            codes(&cloud.diagnose("web1"))
        };
        let full = "conntrack-full compute1//br100";
        assert_eq!(found("default-route-wrong-gw"), [full, "default-route-wrong-gw compute1//eth0"]);
        assert_eq!(found("dnsmasq-not-running"), [full, "dnsmasq-not-running compute1//br100"]);
        assert_eq!(found("tap-down"), ["tap-down compute1//vnet0", full]);
    }

    #[test]
    fn stays_silent_below_the_limit_and_where_something_can_be_given_up() {
        let mut cloud = broken("conntrack-full");
        cloud.sysctl("compute1", super::COUNT, "250000");
        assert_eq!(codes(&cloud.diagnose("web1")), [""; 0]);
        let mut cloud = broken("conntrack-full");
        cloud.netns("compute1").conntrack.iter_mut().for_each(|entry| entry.assured = false);
        assert_eq!(codes(&cloud.diagnose("web1")), [""; 0]);
    }

    #[test]
    fn stays_silent_where_no_connection_could_be_read() {
        let mut cloud = broken("conntrack-full");
        cloud.netns("compute1").conntrack.clear();
        assert_eq!(codes(&cloud.diagnose("web1")), [""; 0]);
    }
}
