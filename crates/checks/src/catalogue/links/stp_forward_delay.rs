//! # stp-forward-delay
//!
//! The instance's port does not forward: spanning tree has not let it yet, or somebody set its state.
//!
//! ## What it means
//! A port that joins such a bridge listens, then learns, each for the forward delay, before the bridge takes a
//! frame from it: 30 s with the usual 15. An instance that boots meanwhile asks for an address in vain; it works
//! later, and what was missed at boot (the address, the metadata) stays missed. It begins again whenever the tap is
//! plugged in anew.
//!
//! Where nothing runs spanning tree, a port forwards from the moment that it is up, and a state in which it does not
//! (`bridge link set dev vnet0 state 0`) was set by somebody, or left behind by a daemon. Nothing moves it on.
//!
//! ## How hopline knows
//! The bridge has spanning tree on, and the tap's port is in state `listening` or `learning`; or it has it off, and a
//! port whose link is up and has its carrier is in any state but `forwarding`: a tap, or one where a walk dies of it.
//! A state that spanning tree gives a port for good is its business.
//!
//! ## What it looks like
//! `bridge link show dev vnet0`: `state listening`; `ip -d link show br100`: `stp_state 1 forward_delay 1500`. tcpdump
//! sees the DISCOVER on the tap and not on the bridge.
//!
//! ## Nearest look-alikes
//! * `dnsmasq-not-running`: there the DISCOVER gets to the bridge.
//! * `tap-not-enslaved`: it never heals by itself.
//! * `tap-down`: a port whose link is down is disabled, too.
//!
//! ## Fix
//! Wait; then let the instance ask again. To keep it from coming back, switch spanning tree off, as nova does on every
//! bridge that it makes, unless a loop of bridges needs it. Undo: `ip link set dev BRIDGE type bridge stp_state 1`.
//! Of a state that was set: `bridge link set dev TAP state 3`. Undo: the same with what it was.
//!
//! ## References
//! nova `linux_net.py` `ensure_bridge` (`setfd 0`, `stp off`); `net/bridge/br_stp_timer.c`
//! `br_forward_delay_timer_expired`; `net/bridge/br_netlink.c` `br_set_port_state`; bridge(8); IEEE 802.1D.

use model::Netns;
use model::finding::{Confidence, Evidence};
use model::link::{Bridge, BridgePort, Link, PortState};
use model::path::{Stage, Stop};

use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::mend::Mend;
use crate::port_flags;
use crate::restart::typed;
use crate::view::{Seat, View};

/// Looks for taps that wait for the spanning tree, and for ports that nothing will let forward.
pub fn check(view: &View) -> Vec<Found> {
    let mut found: Vec<Found> = view.vifs().filter_map(|seat| waiting(view, &seat)).collect();
    let taps = view.vifs().filter_map(|seat| Some((seat.ns, seat.tap()?)));
    let stops = view.stops().filter(|s| matches!(s.stop, Stop::PortState(_)));
    let met = stops.filter_map(|s| {
        let ns = view.snapshot().main_netns(&s.hop.at.host).filter(|ns| s.is_in(ns))?;
        Some((ns, ns.link_named(&s.hop.at.device)?))
    });
    for (ns, port) in taps.chain(met) {
        let set = set_by_hand(view, ns, port);
        found.extend(set.filter(|new| found.iter().all(|f| !f.finding.hop.same_device(&new.finding.hop))));
    }
    found
}

/// The port is up, and in a state that it can have only by being set to it: nothing runs spanning tree there.
fn set_by_hand(view: &View, ns: &Netns, port: &Link) -> Option<Found> {
    let settings = port.port.filter(|_| port.is_running() && !ns.instance)?;
    let bridge = ns.link(port.master?)?;
    let (state, number) = match settings.state {
        PortState::Disabled => ("disabled", 0),
        PortState::Listening => ("listening", 1),
        PortState::Learning => ("learning", 2),
        PortState::Blocking => ("blocking", 4),
        PortState::Forwarding => return None,
    };
    let of_bridge = bridge.bridge.filter(|of_bridge| !of_bridge.stp && bridge.is_running())?;
    let hop = at(ns, &port.name, Stage::Bridge);
    let wearer = view.vifs().find(|seat| seat.tap().is_some_and(|tap| std::ptr::eq(tap, port)));
    let hit = match wearer {
        Some(seat) => vec![seat.instance.name.clone()],
        None => view.hit_at(&hop),
    };
    let set = |number: u8| format!("bridge link set dev {} state {number}", typed(&port.name));
    let fault = Fault {
        code: "stp-forward-delay",
        hop,
        summary: format!(
            "{} of {} passes nothing on: its port is {state}, though it is up",
            port.name, ns.machine
        ),
        cause: format!(
            "spanning tree is off in {}, so the state of {} was set to {state}",
            bridge.name, port.name
        ),
        confidence: Confidence::Proven,
        evidence: proof(ns, port, bridge, of_bridge, state),
        owner: "operator",
        remedy: vec![evidence::remedy(ns, &set(3), &set(number), "")],
        instances: hit,
        stopped: view.stop(|s| matches!(s.stop, Stop::PortState(_)) && s.is_at(ns, &port.name)),
        mend: vec![port_flags::mended(ns, port, BridgePort { state: PortState::Forwarding, ..settings })],
    };
    Some(fault.found())
}

fn waiting(view: &View, seat: &Seat) -> Option<Found> {
    let tap = seat.tap().filter(|tap| tap.is_running())?;
    let bridge = seat.ns.link(tap.master?)?;
    let settings = bridge.bridge.filter(|settings| settings.stp)?;
    // What it has begun, and what is before it, takes one forward delay each.
    let (state, delays) = match tap.port?.state {
        PortState::Listening => ("listening", 2),
        PortState::Learning => ("learning", 1),
        PortState::Disabled | PortState::Forwarding | PortState::Blocking => return None,
    };
    let seconds = (delays * settings.forward_delay_cs).div_ceil(100);
    let name = &seat.instance.name;
    let fault = Fault {
        code: "stp-forward-delay",
        hop: at(seat.ns, &tap.name, Stage::Bridge),
        summary: format!("{name} is cut off for {seconds} s at most: {} is still {state}", tap.name),
        cause: format!(
            "spanning tree is on in {}, whose ports forward nothing for twice {} after they join",
            bridge.name,
            delay(settings)
        ),
        confidence: Confidence::Proven,
        evidence: proof(seat.ns, tap, bridge, settings, state),
        owner: "operator",
        remedy: vec![
            evidence::advice(
                format!("sleep {seconds}"),
                "heals by itself; then let the instance ask for its address again",
            ),
            evidence::remedy(
                seat.ns,
                &format!("ip link set dev {} type bridge stp_state 0", bridge.name),
                &format!("ip link set dev {} type bridge stp_state 1", bridge.name),
                "for what is plugged in from now on; only where no loop of bridges needs spanning tree",
            ),
        ],
        instances: vec![name.clone()],
        stopped: view
            .stop_of(seat.instance, |s| matches!(s.stop, Stop::PortState(_)) && s.is_at(seat.ns, &tap.name)),
        mend: vec![Mend::LinkUp { machine: seat.ns.machine.clone(), device: tap.name.clone() }],
    };
    Some(fault.found())
}

/// Its forward delay, as people say it.
fn delay(settings: Bridge) -> String {
    let (whole, part) = (settings.forward_delay_cs / 100, settings.forward_delay_cs % 100);
    if part == 0 { format!("{whole} s") } else { format!("{whole}.{part:02} s") }
}

fn proof(ns: &Netns, port: &Link, bridge: &Link, settings: Bridge, state: &str) -> Vec<Evidence> {
    let (stp, delay) = (u8::from(settings.stp), settings.forward_delay_cs);
    vec![
        evidence::state(
            ns,
            &format!("bridge link show dev {}", typed(&port.name)),
            format!("{} master {} state {state}", port.name, bridge.name),
        ),
        evidence::state(
            ns,
            &format!("ip -d link show dev {}", typed(&bridge.name)),
            format!("{}: stp_state {stp} forward_delay {delay}", bridge.name),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use model::finding::Confidence;
    use model::link::PortState;

    use crate::fixture::{Cloud, broken, codes, healthy, lacks};

    fn state(cloud: &mut Cloud, state: PortState) {
        cloud.link("compute1", "vnet0").port.as_mut().unwrap().state = state;
    }

    #[test]
    fn fires_while_the_port_listens_or_learns_and_says_for_how_long() {
        let mut cloud = broken("stp-forward-delay");
        let listening = cloud.diagnose("web1");
        assert_eq!(codes(&listening), ["stp-forward-delay compute1//vnet0"]);
        assert_eq!(
            listening.findings[0].summary,
            "web1 is cut off for 30 s at most: vnet0 is still listening"
        );
        state(&mut cloud, PortState::Learning);
        let learning = cloud.diagnose("web1");
        assert_eq!(learning.findings[0].summary, "web1 is cut off for 15 s at most: vnet0 is still learning");
    }

    #[test]
    fn stays_silent_once_it_forwards() {
        let mut cloud = broken("stp-forward-delay");
        state(&mut cloud, PortState::Forwarding);
        assert_eq!(codes(&cloud.diagnose("web1")), Vec::<String>::new());
    }

    #[test]
    fn fires_on_a_state_that_nothing_but_a_hand_gives_a_port() {
        for (kept, number) in [(PortState::Disabled, 0), (PortState::Listening, 1), (PortState::Blocking, 4)]
        {
            let mut cloud = healthy();
            state(&mut cloud, kept);
            let told = cloud.diagnose("web1");
            assert_eq!(codes(&told), ["stp-forward-delay compute1//vnet0"], "{kept:?}");
            let finding = &told.findings[0];
            assert_eq!(
                (finding.confidence, finding.instances.as_slice()),
                (Confidence::Proven, ["web1".to_owned()].as_slice())
            );
            assert!(finding.evidence[1].text.starts_with("br100: stp_state 0 "), "{finding:?}");
            let mend = &finding.remedy[0];
            assert!(mend.command.ends_with("bridge link set dev vnet0 state 3"), "{mend:?}");
            assert!(mend.undo.ends_with(&format!("bridge link set dev vnet0 state {number}")), "{mend:?}");
        }
    }

    #[test]
    fn stays_silent_where_spanning_tree_blocks_a_port_or_its_link_is_down() {
        let mut blocked = broken("stp-forward-delay");
        state(&mut blocked, PortState::Blocking);
        assert_eq!(codes(&blocked.diagnose("web1")), ["lost-at-hop compute1//vnet0"]);
        let mut down = broken("tap-down");
        state(&mut down, PortState::Disabled);
        assert_eq!(codes(&down.diagnose("web1")), ["tap-down compute1//vnet0"]);
    }

    #[test]
    fn stays_silent_when_the_tap_is_down_or_in_no_bridge() {
        for other in ["tap-down", "tap-not-enslaved"] {
            assert!(lacks(&broken(other).diagnose("web1"), "stp-forward-delay"), "{other}");
        }
    }
}
