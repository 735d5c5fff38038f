//! # flood-off-unknown-unicast
//!
//! The bridge does not flood to the instance's port, and does not know that the instance is there.
//!
//! ## What it means
//! A bridge sends a frame to the port behind which it knows the destination, and what it knows nothing of to all that
//! may be flooded to. With `learning off` and `flood off` a port gets broadcasts and nothing else, unless an entry of
//! the forwarding database leads there. Whoever sets these switches must keep the entries, too.
//!
//! ## How hopline knows
//! The walk dies at the tap because it is not flooded to, and no entry has the instance's MAC there.
//!
//! ## What it looks like
//! `bridge -d link show dev vnet0`: `learning off flood off`; `bridge fdb show` has no line for the instance's MAC on
//! vnet0. The instance's own frames go out, and its questions are answered in vain.
//!
//! ## Nearest look-alikes
//! * `fdb-static-stale`: there an entry has the MAC, behind another port.
//! * `port-isolated`: there only some ports miss each other.
//!
//! ## Fix
//! `bridge link set dev TAP learning on flood on`. Undo: both off.
//!
//! ## References
//! bridge(8); `net/bridge/br_forward.c` `br_flood`; `net/bridge/br_input.c` `br_handle_frame_finish`.

use model::finding::Confidence;
use model::link::BridgePort;
use model::path::{Stage, Stop};

use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::port_flags;
use crate::view::{Seat, View};

/// Looks for taps that nothing unicast gets to.
pub fn check(view: &View) -> Vec<Found> {
    view.vifs().filter_map(|seat| shut(view, &seat)).collect()
}

fn shut(view: &View, seat: &Seat) -> Option<Found> {
    let tap = seat.tap()?;
    let settings = tap.port.filter(|port| !port.flood)?;
    let mac = seat.vif.mac?;
    if seat.ns.fdb.iter().any(|entry| entry.mac == mac && entry.link == tap.index && !entry.on_self) {
        return None;
    }
    let is_lost = |stop: &Stop| matches!(stop, Stop::NoTarget(_));
    let stopped = view.stop_of(seat.instance, |s| is_lost(s.stop) && s.is_at(seat.ns, &tap.name))?;
    let name = &seat.instance.name;
    let learns = if settings.learning { "has learned nothing lately" } else { "learning off" };
    let mut switches = vec![("flood", true)];
    if !settings.learning {
        switches.insert(0, ("learning", true));
    }
    let fault = Fault {
        code: "flood-off-unknown-unicast",
        hop: at(seat.ns, &tap.name, Stage::Bridge),
        summary: format!(
            "{name} gets nothing but broadcasts: its port is not flooded to, and the bridge does not know it there"
        ),
        cause: format!("{} on {} has flood off, and {learns}", tap.name, seat.ns.machine),
        confidence: Confidence::Proven,
        evidence: vec![
            port_flags::shown(seat.ns, tap, settings),
            evidence::state(
                seat.ns,
                &format!("bridge fdb show dev {}", tap.name),
                format!("no entry for {mac}, which is {name}'s"),
            ),
        ],
        owner: "operator",
        remedy: vec![port_flags::switched(seat.ns, tap, &switches, "")],
        instances: vec![name.clone()],
        stopped: Some(stopped),
        mend: vec![port_flags::mended(seat.ns, tap, BridgePort { learning: true, flood: true, ..settings })],
    };
    Some(fault.found())
}

#[cfg(test)]
mod tests {
    use model::link::{FdbEntry, FdbKind};

    use crate::fixture::{Cloud, broken, codes, healthy, lacks};

    const CODE: &str = "flood-off-unknown-unicast";

    fn told(cloud: &mut Cloud, port: &str) {
        let (link, mac) =
            (cloud.link("compute1", port).index, cloud.intent.instances[0].vifs[0].mac.unwrap());
        let kind = FdbKind::Static;
        let entry = FdbEntry { mac, link, vlan: None, kind, sticky: true, remote: None, on_self: false };
        cloud.netns("compute1").fdb.push(entry);
    }

    #[test]
    fn fires_on_a_port_that_neither_learns_nor_is_flooded_to() {
        assert_eq!(codes(&broken(CODE).diagnose("web1")), [format!("{CODE} compute1//vnet0")]);
        let mut closed = broken(CODE);
        closed.close("web1");
        assert_eq!(codes(&closed.diagnose("web1")), [format!("{CODE} compute1//vnet0")]);
    }

    #[test]
    fn stays_silent_where_an_entry_leads_there() {
        let mut cloud = broken(CODE);
        told(&mut cloud, "vnet0");
        assert_eq!(codes(&cloud.diagnose("web1")), [""; 0]);
    }

    #[test]
    fn stays_silent_where_the_entry_leads_astray() {
        let mut cloud = broken(CODE);
        told(&mut cloud, "eth1");
        assert!(codes(&cloud.diagnose("web1")).contains(&"fdb-static-stale compute1//br100".to_owned()));
        assert!(lacks(&broken("fdb-static-stale").diagnose("web1"), CODE));
    }

    #[test]
    fn stays_silent_where_it_is_flooded_to_or_was_learned() {
        let mut cloud = broken(CODE);
        cloud.link("compute1", "vnet0").port.as_mut().unwrap().flood = true;
        assert_eq!(codes(&cloud.diagnose("web1")), [""; 0]);
        let mut cloud = healthy();
        cloud.link("compute1", "vnet0").port.as_mut().unwrap().flood = false;
        assert_eq!(codes(&cloud.diagnose("web1")), [""; 0]);
    }

    #[test]
    fn fires_where_it_learns_and_the_instance_has_not_spoken() {
        let mut cloud = broken(CODE);
        cloud.link("compute1", "vnet0").port.as_mut().unwrap().learning = true;
        let diagnosis = cloud.diagnose("web1");
        assert_eq!(codes(&diagnosis), [format!("{CODE} compute1//vnet0")]);
        let command = &diagnosis.findings[0].remedy[0].command;
        assert!(command.ends_with("dev vnet0 flood on"), "{command}");
    }
}
