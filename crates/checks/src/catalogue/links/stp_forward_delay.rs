//! # stp-forward-delay
//!
//! The instance's port does not forward yet: the bridge runs spanning tree.
//!
//! ## What it means
//! A port that joins such a bridge listens, then learns, each for the forward delay, before the bridge takes a
//! frame from it: 30 s with the usual 15. An instance that boots meanwhile asks for an address in vain; it works
//! later, and what was missed at boot (the address, the metadata) stays missed. It begins again whenever the tap is
//! plugged in anew.
//!
//! ## How hopline knows
//! The bridge has spanning tree on, and the tap's port is in state `listening` or `learning`.
//!
//! ## What it looks like
//! `bridge link show dev vnet0`: `state listening`; `ip -d link show br100`: `stp_state 1 forward_delay 1500`. tcpdump
//! sees the DISCOVER on the tap and not on the bridge.
//!
//! ## Nearest look-alikes
//! * `dnsmasq-not-running`: there the DISCOVER gets to the bridge.
//! * `tap-not-enslaved`: it never heals by itself.
//!
//! ## Fix
//! Wait; then let the instance ask again. To keep it from coming back, switch spanning tree off, as nova does on every
//! bridge that it makes, unless a loop of bridges needs it. Undo: `ip link set dev BRIDGE type bridge stp_state 1`.
//!
//! ## References
//! nova `linux_net.py` `ensure_bridge` (`setfd 0`, `stp off`); `net/bridge/br_stp_timer.c`
//! `br_forward_delay_timer_expired`; IEEE 802.1D.

use model::finding::{Confidence, Evidence};
use model::link::{Bridge, Link, PortState};
use model::path::{Stage, Stop};

use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::mend::Mend;
use crate::view::{Seat, View};

/// Looks for taps that wait for the spanning tree.
pub fn check(view: &View) -> Vec<Found> {
    view.vifs().filter_map(|seat| waiting(view, &seat)).collect()
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
        evidence: proof(seat, tap, bridge, settings, state),
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

fn proof(seat: &Seat, tap: &Link, bridge: &Link, settings: Bridge, state: &str) -> Vec<Evidence> {
    vec![
        evidence::state(
            seat.ns,
            &format!("bridge link show dev {}", tap.name),
            format!("{} master {} state {state}", tap.name, bridge.name),
        ),
        evidence::state(
            seat.ns,
            &format!("ip -d link show dev {}", bridge.name),
            format!("{}: stp_state 1 forward_delay {}", bridge.name, settings.forward_delay_cs),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use model::link::PortState;

    use crate::fixture::{Cloud, broken, codes, lacks};

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
    fn stays_silent_where_nothing_will_move_the_port_on() {
        let mut without_tree = broken("stp-forward-delay");
        without_tree.link("compute1", "br100").bridge.as_mut().unwrap().stp = false;
        assert_eq!(codes(&without_tree.diagnose("web1")), ["lost-at-hop compute1//vnet0"]);
        let mut blocked = broken("stp-forward-delay");
        state(&mut blocked, PortState::Blocking);
        assert_eq!(codes(&blocked.diagnose("web1")), ["lost-at-hop compute1//vnet0"]);
    }

    #[test]
    fn stays_silent_when_the_tap_is_down_or_in_no_bridge() {
        for other in ["tap-down", "tap-not-enslaved"] {
            assert!(lacks(&broken(other).diagnose("web1"), "stp-forward-delay"), "{other}");
        }
    }
}
