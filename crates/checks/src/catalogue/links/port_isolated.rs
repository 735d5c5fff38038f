//! # port-isolated
//!
//! Two ports of the host's bridge are isolated from each other.
//!
//! ## What it means
//! Ports with `isolated on` exchange frames only with ports that have it off. Instances behind two of them reach the
//! gateway and the world, and not each other. nova never isolates; libvirt does where the domain's XML says
//! `<port isolated='yes'/>`.
//!
//! ## How hopline knows
//! The walk dies between two ports that both have the switch on.
//!
//! ## What it looks like
//! `bridge -d link`: `isolated on` on both taps. The kernel drops without a reason, in `br_handle_frame_finish`, and no
//! counter of iptables moves.
//!
//! ## Nearest look-alikes
//! * `foreign-rule-drop`: there a rule's counter moves.
//! * `flood-off-unknown-unicast`: there everybody misses the one port.
//!
//! ## Fix
//! `bridge link set dev TAP isolated off`. Undo: `isolated on`.
//!
//! ## References
//! bridge(8); `net/bridge/br_private.h` `br_skb_isolated`.

use model::finding::Confidence;
use model::link::{BridgePort, Link};
use model::path::Stop;

use crate::found::{Fault, Found};
use crate::port_flags;
use crate::view::{Seat, Stopped, View};

/// Looks for walks that died between two isolated taps: one finding a port.
pub fn check(view: &View) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for seat in view.vifs() {
        let new = isolated(view, &seat);
        let is_new = |new: &Found| found.iter().all(|f| !f.finding.hop.same_device(&new.finding.hop));
        found.extend(new.filter(is_new));
    }
    found
}

fn is_isolated(link: &Link) -> bool {
    link.port.is_some_and(|port| port.isolated)
}

fn isolated(view: &View, seat: &Seat) -> Option<Found> {
    let tap = seat.tap().filter(|tap| is_isolated(tap))?;
    let stopped = view.stop(|s| between(view, s, seat, tap))?;
    let at = seat.ns.link_named(&stopped.hop.at.device)?;
    let others = seat.ns.ports(tap.master?).filter(|port| is_isolated(port));
    let both: Vec<&Link> = others.filter(|port| port.index == at.index || port.index == tap.index).collect();
    let evidence = both.iter().filter_map(|port| Some(port_flags::shown(seat.ns, port, port.port?)));
    let mend = both.iter().filter_map(|port| {
        Some(port_flags::mended(seat.ns, port, BridgePort { isolated: false, ..port.port? }))
    });
    let fault = Fault {
        code: "port-isolated",
        hop: stopped.hop.at.clone(),
        summary: format!(
            "{} does not reach {}: their ports of the bridge on {} are isolated from each other",
            stopped.rung.from, stopped.rung.to, seat.ns.machine
        ),
        cause: stopped.hop.detail.clone(),
        confidence: Confidence::Proven,
        evidence: evidence.collect(),
        owner: "operator",
        remedy: vec![port_flags::switched(
            seat.ns,
            at,
            &[("isolated", false)],
            "unless their being apart is meant: libvirt's XML says so then",
        )],
        instances: view.hit_at(&stopped.hop.at),
        stopped: Some(stopped),
        mend: mend.collect(),
    };
    Some(fault.found())
}

/// It died at an isolated port of the tap's bridge, and this tap's instance is at one of its ends.
fn between(view: &View, stopped: &Stopped, seat: &Seat, tap: &Link) -> bool {
    let port = seat.ns.link_named(&stopped.hop.at.device).filter(|_| stopped.is_in(seat.ns));
    let is_end = |at: usize| view.intent().instances.get(at).is_some_and(|i| std::ptr::eq(i, seat.instance));
    let by_it = is_end(stopped.rung.instance) || stopped.rung.purpose.other().is_some_and(is_end);
    let refused = port.is_some_and(|port| is_isolated(port) && port.master == tap.master);
    by_it && refused && matches!(stopped.stop, Stop::NoTarget(_)) && stopped.hop.detail.contains("isolated")
}

#[cfg(test)]
mod tests {
    use crate::fixture::{broken, codes, lacks};

    #[test]
    fn fires_where_both_ports_are_isolated() {
        let diagnosis = broken("port-isolated").diagnose("web1");
        assert_eq!(codes(&diagnosis), ["port-isolated compute1//vnet1"]);
        assert_eq!(diagnosis.findings[0].evidence.len(), 2, "{:?}", diagnosis.findings[0].evidence);
    }

    #[test]
    fn stays_silent_where_only_one_is() {
        let mut cloud = broken("port-isolated");
        cloud.link("compute1", "vnet0").port.as_mut().unwrap().isolated = false;
        assert_eq!(codes(&cloud.diagnose("web1")), [""; 0]);
    }

    #[test]
    fn stays_silent_on_a_port_that_is_not_flooded_to() {
        assert!(lacks(&broken("flood-off-unknown-unicast").diagnose("web1"), "port-isolated"));
    }
}
