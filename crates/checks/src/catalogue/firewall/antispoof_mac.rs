//! # antispoof-mac
//!
//! The instance sends with another MAC than the one that is recorded, and the filter against forged addresses drops it.
//!
//! ## What it means
//! libvirt's nwfilter lets from a tap only what bears the recorded MAC. The instance has changed its own, or what it
//! runs inside itself (containers on a bridge, nested machines) sends with MACs of its own. It is mute, DHCP included.
//!
//! ## How hopline knows
//! The instance could be entered, its NIC has another MAC than the records, and the walk of what it sends ended at a
//! rule of the bridge on its host.
//!
//! ## What it looks like
//! The counter of `-s ! fa:16:... -j DROP` (`ebtables -t nat -L --Lc`) rises; `tcpdump -eni TAP` shows the other MAC.
//!
//! ## Nearest look-alikes
//! * `ebtables-drop`: the MAC is right, and the rule is somebody's.
//! * `guest-nic-down`: nothing at all comes out of the tap.
//!
//! ## Fix
//! Give the NIC its MAC again, inside the instance. Where others are meant to be sent from, the filter must let them
//! (libvirt's `filterref` of the domain). Undo: the MAC that it had.
//!
//! ## References
//! libvirt nwfilter, `no-mac-spoofing`; nova `virt/libvirt/firewall.py`.

use model::Mac;
use model::finding::{Confidence, EvidenceKind};
use model::link::LinkKind;
use model::netfilter::{Dialect, Family};
use model::path::{RuleRef, Stop};

use crate::evidence;
use crate::found::{Fault, Found};
use crate::mend::{Mend, Setting};
use crate::restart::typed;
use crate::view::{Seat, Stopped, View};

/// An instance's NIC that has another MAC than the records, and the rule that its frames end at.
pub(crate) struct Forged<'v> {
    seat: Seat<'v>,
    /// The NIC inside.
    nic: &'v str,
    own: Mac,
    recorded: Mac,
    rule: &'v RuleRef,
}

/// Looks for instances that a filter of the bridge takes for forgers: one finding a NIC.
pub fn check(view: &View) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for stopped in view.stops() {
        let Some(forged) = forged(view, &stopped) else { continue };
        let name = &forged.seat.instance.name;
        if found.iter().all(|known| !known.finding.instances.contains(name)) {
            found.push(finding(view, stopped, &forged));
        }
    }
    found
}

/// What a stop at a tap's filter tells of the NIC behind it.
pub(crate) fn forged<'v>(view: &View<'v>, stopped: &Stopped<'v>) -> Option<Forged<'v>> {
    let Stop::Rule(rule) = stopped.stop else { return None };
    let is_bridges = match rule.dialect {
        Dialect::EbtablesLegacy | Dialect::EbtablesNft => true,
        Dialect::Nft => rule.family == Family::Bridge,
        Dialect::IptablesLegacy | Dialect::IptablesNft | Dialect::ArptablesLegacy | Dialect::ArptablesNft => {
            false
        }
    };
    let is_there = |seat: &Seat| seat.tap().is_some_and(|tap| stopped.is_at(seat.ns, &tap.name));
    let seat = view.vifs().find(is_there).filter(|_| is_bridges)?;
    let at = view.intent().instances.iter().position(|i| std::ptr::eq(i, seat.instance))?;
    let recorded = seat.vif.mac?;
    // Of several NICs nobody knows which is which where their MACs do not tell.
    let inside = view.world.ns(view.world.inside(at)?);
    let mut cables = inside.links.iter().filter(|link| link.kind != LinkKind::Loopback);
    let nic = cables.next().filter(|_| cables.next().is_none())?;
    let own = nic.mac.filter(|own| *own != recorded)?;
    Some(Forged { seat, nic: &nic.name, own, recorded, rule })
}

fn finding(view: &View, stopped: Stopped, forged: &Forged) -> Found {
    let Forged { seat, nic, own, recorded, rule } = forged;
    let (name, typed) = (&seat.instance.name, typed(nic));
    let mut lines = evidence::stopping(view, seat.ns, &stopped, rule);
    lines.extend([
        evidence::record(
            EvidenceKind::State,
            format!("ip link show dev {typed} in {name}"),
            format!("MAC {own}"),
        ),
        evidence::record(EvidenceKind::Config, seat.vif.source.clone(), format!("MAC {recorded}")),
    ]);
    let set = |mac: &Mac| format!("ip link set dev {typed} address {mac}");
    let fault = Fault {
        code: "antispoof-mac",
        hop: stopped.hop.at.clone(),
        summary: format!("{name} sends as {own}, and its host lets only {recorded} through"),
        cause: format!(
            "its NIC has another MAC than the one that is recorded, and `{}` drops that",
            rule.text
        ),
        confidence: Confidence::Proven,
        evidence: lines,
        owner: "guest",
        remedy: vec![model::finding::Remedy {
            command: set(recorded),
            undo: set(own),
            note: format!("inside {name}; routes by {nic} may have to be set again"),
        }],
        instances: vec![name.clone()],
        stopped: Some(stopped),
        mend: vec![Mend::Set {
            machine: name.clone(),
            device: (*nic).to_owned(),
            setting: Setting::Mac(*recorded),
        }],
    };
    fault.found()
}

#[cfg(test)]
mod tests {
    use crate::fixture::{broken, codes, healthy};

    #[test]
    fn fires_where_the_nic_has_another_mac() {
        let found = broken("antispoof-mac").diagnose("web1");
        assert_eq!(codes(&found), ["antispoof-mac compute1//vnet0"]);
        let remedy = &found.findings[0].remedy[0].command;
        assert!(remedy.starts_with("ip link set dev eth0 address fa:16:3e:"), "{remedy}");
    }

    #[test]
    fn a_filter_that_drops_the_right_mac_is_a_rule_of_the_bridge() {
        let mut cloud = healthy();
        crate::fixture::anti_spoofing(&mut cloud, "compute1", "vnet0");
        assert_eq!(codes(&cloud.diagnose("web1")), ["ebtables-drop compute1//vnet0"]);
    }

    #[test]
    fn stays_silent_where_the_inside_is_not_known() {
        let mut cloud = broken("antispoof-mac");
        cloud.close("web1");
        let found = codes(&cloud.diagnose("web1"));
        assert!(found.iter().all(|code| !code.starts_with("antispoof-mac")), "{found:?}");
    }
}
