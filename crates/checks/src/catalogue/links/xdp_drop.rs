//! # xdp-drop
//!
//! An XDP program drops what a link receives, before anything else sees it.
//!
//! ## What it means
//! A program attached to the link looks at each frame first, and what it drops is seen by no tcpdump, counted by no
//! rule and answered by nobody. The carrier is there, and the switch counts packets out.
//!
//! ## How hopline knows
//! A program is attached to a link on the way, what was really asked got no answer, and the walk would pass if the
//! program were not there. What the program does is not read, so this is likely and not proven; without asking, the
//! diagnosis stays undetermined. Where a neighbour is FAILED behind that link and the kernel is seen to drop its
//! answers there by XDP, this is proven, and the neighbour is well. Where any question gets its answer through that
//! link, the program lets packets pass, and is not blamed for the others.
//!
//! ## What it looks like
//! `ip link show dev eth0`: `xdp` with `prog/xdp id N`; tcpdump on it sees nothing come in; both sides' `ip neigh` has
//! FAILED. `ethtool -S eth0` may count `rx_queue_0_xdp_drops`; `rx_dropped` stays 0.
//!
//! ## Nearest look-alikes
//! * `uplink-no-carrier`: there the link has no carrier.
//! * `ext-gateway-down`: there other hosts lose the gateway, too.
//!
//! ## Fix
//! `ip link set dev LINK xdp off`, after a look at what attached it (`bpftool net`). Nothing but that program's own
//! loader puts it back.
//!
//! ## References
//! ip-link(8) `xdp`; `net/core/dev.c` `do_xdp_generic`; xdp-project/xdp-tools#456.

use model::Netns;
use model::finding::{Confidence, Evidence, Remedy};
use model::link::Link;
use model::path::{Direction, Disposition, Place, Stop};

use crate::dropped;
use crate::evidence;
use crate::found::{Fault, Found};
use crate::ladder::{self, Rung};
use crate::mend::{Entry, Mend, Setting};
use crate::restart::typed;
use crate::view::{Stopped, View};

/// Looks for questions that were asked in vain and whose walk cannot tell what a program does: one finding a link.
pub fn check(view: &View) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for rung in view.rungs {
        let Some((place, ns, link)) = undecided_at(view, rung) else { continue };
        let is_told = found.iter().any(|f| f.finding.hop.same_device(place));
        if !is_told && !lets_pass(view, place) {
            found.extend(silenced(view, rung, place, (ns, link)));
        }
    }
    for stopped in view.stops() {
        let place = &stopped.hop.at;
        if !found.iter().any(|f| f.finding.hop.same_device(place)) {
            found.extend(answer_dropped(view, stopped));
        }
    }
    found
}

/// A neighbour has answered that counts as one that does not, since a program had its answer.
fn answer_dropped(view: &View, stopped: Stopped) -> Option<Found> {
    let Stop::NeighbourUnresolved { ip, .. } = stopped.stop else { return None };
    let place = &stopped.hop.at;
    let ns = view.netns_at(place)?;
    let link = ns.link_named(&place.device).filter(|link| link.xdp)?;
    let drop = view.dropped_answer(ns, &link.name, *ip)?;
    // Each driver that runs programs itself has a function of its own (`veth_xdp_rcv_skb`).
    (drop.reason == "XDP" || drop.function.contains("xdp")).then_some(())?;
    let (machine, device) = (ns.machine.clone(), link.name.clone());
    let neighbour = Entry::Neighbour { device: device.clone(), ip: *ip };
    let fault = Fault {
        code: "xdp-drop",
        hop: place.clone(),
        summary: format!(
            "{} of {} gets nothing: an XDP program on it drops what comes, the answers of {ip} among it",
            link.name, ns.machine
        ),
        cause: format!("an XDP program is attached to {}, and the kernel is seen to drop by it", link.name),
        confidence: Confidence::Proven,
        evidence: vec![attached(ns, link), dropped::evidence(drop)],
        owner: "operator",
        remedy: vec![removed(ns, link)],
        instances: view.hit_at(place),
        stopped: Some(stopped),
        mend: vec![
            Mend::Set { machine: machine.clone(), device, setting: Setting::NoXdp },
            Mend::Forget { machine, entry: neighbour },
        ],
    };
    Some(fault.found())
}

/// That there is a program.
fn attached(ns: &Netns, link: &Link) -> Evidence {
    evidence::state(
        ns,
        &format!("ip -d link show dev {}", typed(&link.name)),
        format!("{} has xdp", link.name),
    )
}

/// How it goes.
fn removed(ns: &Netns, link: &Link) -> Remedy {
    evidence::remedy(
        ns,
        &format!("ip link set dev {} xdp off", typed(&link.name)),
        "",
        "after a look at what attached it (bpftool net), which alone can put it back",
    )
}

/// Some question whose walk cannot tell there either was answered.
fn lets_pass(view: &View, place: &Place) -> bool {
    let mut answered = view.rungs.iter().filter(|rung| view.is_answered(rung));
    answered.any(|rung| undecided_at(view, rung).is_some_and(|(at, ..)| at.same_device(place)))
}

/// The link with a program at which the walk of a question could not tell.
fn undecided_at<'v>(view: &View<'v>, rung: &'v Rung) -> Option<(&'v Place, &'v Netns, &'v Link)> {
    let is_undecided = |path: &&model::path::Path| matches!(path.disposition, Disposition::Unknown { .. });
    let last = rung.answer.paths.iter().find(is_undecided)?.hops.last()?;
    let ns = view.netns_at(&last.at)?;
    let link = ns.link_named(&last.at.device).filter(|link| link.xdp)?;
    Some((&last.at, ns, link))
}

fn silenced(view: &View, rung: &Rung, place: &Place, (ns, link): (&Netns, &Link)) -> Option<Found> {
    let silent = view.silent(rung)?;
    let (machine, device) = (ns.machine.clone(), link.name.clone());
    let without = Mend::Set { machine, device, setting: Setting::NoXdp };
    if !ladder::is_answered_with(view, rung, &without) {
        return None;
    }
    let instance = view.intent().instances.get(rung.instance)?;
    let fault = Fault {
        code: "xdp-drop",
        hop: place.clone(),
        summary: format!(
            "what comes back to {} by {} of {} is lost, where an XDP program sees it first",
            rung.from, link.name, ns.machine
        ),
        cause: format!("an XDP program is attached to {}, and everything else would let it pass", link.name),
        confidence: Confidence::Likely,
        evidence: vec![attached(ns, link)],
        owner: "operator",
        remedy: vec![removed(ns, link)],
        instances: vec![instance.name.clone()],
        stopped: None,
        mend: vec![without],
    };
    Some(fault.found().breaks(silent.asked.exchange(), Direction::Both).met_at(view.beginning_of(rung)))
}

#[cfg(test)]
mod tests {
    use model::finding::{Confidence, Outcome};
    use model::kernel_drop::KernelDrop;
    use model::path::{Direction, Exchange};
    use model::probe::PING_OCTETS;
    use model::route::{Neighbour, NeighbourState};

    use crate::fixture::{broken, codes, dropped_at, healthy, inject, lacks, minicloud, pinged};

    #[test]
    fn fires_where_a_program_is_attached_and_nobody_answers() {
        assert_eq!(codes(&broken("xdp-drop").diagnose("web1")), ["xdp-drop compute1//eth0"]);
    }

    #[test]
    fn stays_silent_where_somebody_answers_or_nobody_was_asked() {
        let answered = [pinged("web1", PING_OCTETS, 2)];
        assert_eq!(codes(&broken("xdp-drop").diagnose_with("web1", &answered)), [""; 0]);
        let unasked = broken("xdp-drop").diagnose_with("web1", &[]);
        assert_eq!((codes(&unasked).len(), unasked.outcome), (0, Outcome::Undetermined));
    }

    #[test]
    fn fires_where_the_kernel_drops_the_answers_of_a_neighbour_that_is_failed() {
        let mut cloud = minicloud();
        cloud.snapshot.hosts.retain(|h| h.name != "gw");
        cloud.snapshot.netns.retain(|n| n.machine != "gw");
        let (link, gateway) = (cloud.link("host", "eth0").index, [203, 0, 113, 1].into());
        cloud.link("host", "eth0").xdp = true;
        let neighbours = &mut cloud.netns("host").neighbours;
        neighbours.retain(|n| n.link != link);
        let state = NeighbourState::Failed;
        neighbours.push(Neighbour { link, ip: gateway, mac: None, state, proxy: false });
        // What the program does nobody knows: the gateway may be down as well.
        assert_eq!(codes(&cloud.diagnose("inst1")), ["ext-gateway-down host//eth0"]);
        cloud.drops = vec![KernelDrop {
            from: "203.0.113.2".to_owned(),
            to: gateway,
            exchange: Exchange::Arp,
            octets: None,
            direction: Direction::Reply,
            ..dropped_at("host", "eth0", ("NOT_SPECIFIED", "veth_xdp_rcv_skb"))
        }];
        let told = cloud.diagnose("inst1");
        assert_eq!(codes(&told), ["xdp-drop host//eth0"]);
        assert_eq!(told.findings[0].confidence, Confidence::Proven);
        cloud.link("host", "eth0").xdp = false;
        assert!(lacks(&cloud.diagnose("inst1"), "xdp-drop"), "there is no program");
    }

    #[test]
    fn stays_silent_where_another_question_is_answered_through_it() {
        let probes = [pinged("web1", PING_OCTETS, 2), pinged("web1", 1500, 0)];
        assert!(lacks(&broken("xdp-drop").diagnose_with("web1", &probes), "xdp-drop"));
    }

    #[test]
    fn stays_silent_where_something_else_is_wrong_behind_it() {
        let mut cloud = broken("xdp-drop");
        inject(&mut cloud, "ext-gateway-down");
        assert!(lacks(&cloud.diagnose("web1"), "xdp-drop"));
        let silent = [pinged("web1", PING_OCTETS, 0)];
        assert!(lacks(&healthy().diagnose_with("web1", &silent), "xdp-drop"), "there is no program");
        assert!(lacks(&broken("uplink-no-carrier").diagnose("web1"), "xdp-drop"));
    }
}
