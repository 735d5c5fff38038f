//! What a bridge's port does, as bridge(8) prints it, sets it and takes it back.

use model::Netns;
use model::finding::{Evidence, Remedy};
use model::link::{BridgePort, Link};

use crate::evidence;
use crate::mend::{Mend, Setting};

/// The switches of a port that tell where unicast frames may go.
pub(crate) fn shown(ns: &Netns, port: &Link, settings: BridgePort) -> Evidence {
    let BridgePort { hairpin, learning, flood, isolated, .. } = settings;
    let switches = [("hairpin", hairpin), ("learning", learning), ("flood", flood), ("isolated", isolated)];
    let text: Vec<String> = switches.iter().map(|(name, on)| format!("{name} {}", word(*on))).collect();
    let text = format!("{} {}", port.name, text.join(" "));
    evidence::state(ns, &format!("bridge -d link show dev {}", port.name), text)
}

/// Sets switches of a port by their names; the undo sets them the other way.
pub(crate) fn switched(ns: &Netns, port: &Link, switches: &[(&str, bool)], note: &str) -> Remedy {
    let command = |turned: bool| {
        let words: Vec<String> =
            switches.iter().map(|(name, on)| format!("{name} {}", word(*on != turned))).collect();
        format!("bridge link set dev {} {}", port.name, words.join(" "))
    };
    evidence::remedy(ns, &command(false), &command(true), note)
}

/// The port has these switches in the model.
pub(crate) fn mended(ns: &Netns, port: &Link, settings: BridgePort) -> Mend {
    Mend::Set { machine: ns.machine.clone(), device: port.name.clone(), setting: Setting::Port(settings) }
}

fn word(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}
