//! # hairpin-off
//!
//! The instance does not reach itself by its own floating address: its port sends nothing back where it came from.
//!
//! ## What it means
//! Where bridged packets meet iptables, what an instance sends to its own floating address is translated inside the
//! bridge, and is to leave by the port by which it came in. A bridge does so only with `hairpin on`, which nova sets on
//! every tap. Everybody else reaches the address.
//!
//! ## How hopline knows
//! The walk from the instance to its own floating address dies at its tap for want of hairpin.
//!
//! ## What it looks like
//! `bridge -d link show dev vnet0`: `hairpin off`. The kernel drops without a reason, in `br_handle_frame_finish`, a
//! packet from the instance's address to the same.
//!
//! ## Nearest look-alikes
//! * `float-snat-missing`: there the packet comes back to the instance with its own address, and the instance drops it.
//! * `float-dnat-missing`: there nobody reaches the address.
//!
//! ## Fix
//! `bridge link set dev TAP hairpin on`. Undo: `hairpin off`.
//!
//! ## References
//! nova `libvirt/driver.py` `_enable_hairpin`; `net/bridge/br_forward.c` `should_deliver`.

use model::finding::Confidence;
use model::link::BridgePort;
use model::path::{Stage, Stop};

use crate::found::{Fault, Found, at};
use crate::ladder::Purpose;
use crate::port_flags;
use crate::view::{Seat, View};

/// Looks for instances whose own floating address leads nowhere for want of hairpin.
pub fn check(view: &View) -> Vec<Found> {
    view.vifs().filter_map(|seat| straight(view, &seat)).collect()
}

fn straight(view: &View, seat: &Seat) -> Option<Found> {
    let tap = seat.tap()?;
    let settings = tap.port.filter(|port| !port.hairpin)?;
    let stopped = view.stop_of(seat.instance, |s| {
        let is_its_own = matches!(s.rung.purpose, Purpose::Itself(_));
        is_its_own && s.is_at(seat.ns, &tap.name) && matches!(s.stop, Stop::NoTarget(_))
    })?;
    let name = &seat.instance.name;
    let fault = Fault {
        code: "hairpin-off",
        hop: at(seat.ns, &tap.name, Stage::Bridge),
        summary: format!("{name} does not reach itself by its floating address {}", stopped.rung.to),
        cause: format!("{} on {} has hairpin off, which nova sets on", tap.name, seat.ns.machine),
        confidence: Confidence::Proven,
        evidence: vec![port_flags::shown(seat.ns, tap, settings)],
        owner: "nova-compute",
        remedy: vec![port_flags::switched(seat.ns, tap, &[("hairpin", true)], "")],
        instances: vec![name.clone()],
        stopped: Some(stopped),
        mend: vec![port_flags::mended(seat.ns, tap, BridgePort { hairpin: true, ..settings })],
    };
    Some(fault.found())
}

#[cfg(test)]
mod tests {
    use crate::fixture::{broken, codes, healthy, lacks};

    #[test]
    fn fires_on_a_tap_without_hairpin() {
        assert_eq!(codes(&broken("hairpin-off").diagnose("web1")), ["hairpin-off compute1//vnet0"]);
        let mut closed = broken("hairpin-off");
        closed.close("web1");
        assert_eq!(codes(&closed.diagnose("web1")), ["hairpin-off compute1//vnet0"]);
    }

    #[test]
    fn stays_silent_where_nobody_needs_it() {
        let mut cloud = healthy();
        cloud.link("compute1", "vnet1").port.as_mut().unwrap().hairpin = false;
        assert_eq!(codes(&cloud.diagnose("web2")), [""; 0], "it has no floating address");
        let mut cloud = broken("hairpin-off");
        cloud.sysctl("compute1", "bridge.bridge-nf-call-iptables", "0");
        assert!(lacks(&cloud.diagnose("web1"), "hairpin-off"), "bridged packets meet no NAT");
    }

    #[test]
    fn stays_silent_where_a_rule_of_the_address_is_missing() {
        for other in ["float-snat-missing", "float-dnat-missing", "tap-down"] {
            assert!(lacks(&broken(other).diagnose("web1"), "hairpin-off"), "{other}");
        }
    }
}
