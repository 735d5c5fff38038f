//! VLANs of a bridge: whom each port lets in and out, and with what tag (`net/bridge/br_vlan.c`).
//!
//! A bridge without `vlan_filtering` passes tags like any other payload. One that filters has every frame
//! wear a tag of its own kind while it is inside, whatever it came in with.

use model::link::{Bridge, Link};
use model::vlan::{BridgeVlans, Tag, Tags};

/// Tags that a frame wears inside the bridge, having come in by a port or, of what the host itself sends,
/// by the bridge's device: its `gate`. Or why it is not let in (`__allowed_ingress`).
pub(crate) fn admit(bridge: &Link, gate: &Link, tags: Tags) -> Result<Tags, String> {
    let Some(settings) = filtering(bridge) else { return Ok(tags) };
    let own = tags.outermost().filter(|tag| tag.protocol == settings.vlan_protocol);
    let id = own.map_or(0, |tag| tag.id);
    if id == 0 {
        // A tag of VLAN 0 is taken for none; one of another kind stays on, below the bridge's own.
        let Some(pvid) = gate.bridge_vlans.iter().find(|v| v.pvid).map(|v| v.low) else {
            return Err(format!("{} has no VLAN for frames without a tag (no PVID)", gate.name));
        };
        let payload = if own.is_some() { tags.inner() } else { tags };
        let tag = Tag { protocol: settings.vlan_protocol, id: pvid };
        return payload.around(tag).ok_or_else(|| format!("more tags than {} may carry", gate.name));
    }
    if of(gate, id).is_some() { Ok(tags) } else { Err(format!("{} is not in VLAN {id}", gate.name)) }
}

/// Tags that a frame inside the bridge leaves with, by a port or up to the bridge's own device; or why it
/// may not (`br_allowed_egress`, `br_handle_vlan`).
pub(crate) fn discharge(bridge: &Link, gate: &Link, tags: Tags) -> Result<Tags, String> {
    if filtering(bridge).is_none() {
        return Ok(tags);
    }
    let id = vid(bridge, tags);
    match of(gate, id) {
        Some(vlans) if vlans.untagged => Ok(tags.inner()),
        Some(_) => Ok(tags),
        None => Err(format!("{} is not in VLAN {id}", gate.name)),
    }
}

/// The VLAN that stations are looked up and learned in, for a frame inside the bridge.
pub(crate) fn vid(bridge: &Link, tags: Tags) -> u16 {
    filtering(bridge).and_then(|_| tags.outermost()).map_or(0, |tag| tag.id)
}

/// Whether the addresses of a port's device, or of the bridge's own, are known in a VLAN
/// (`__vlan_add`, which calls `br_fdb_add_local`).
pub(super) fn is_known_in(bridge: &Link, gate: &Link, vid: u16) -> bool {
    filtering(bridge).is_none() || of(gate, vid).is_some()
}

fn of(gate: &Link, id: u16) -> Option<&BridgeVlans> {
    gate.bridge_vlans.iter().find(|vlans| vlans.contains(id))
}

fn filtering(bridge: &Link) -> Option<&Bridge> {
    bridge.bridge.as_ref().filter(|b| b.vlan_filtering)
}

#[cfg(test)]
mod tests {
    use model::vlan::VlanProtocol;

    use super::*;

    fn tagged(id: u16) -> Tags {
        Tags::one(Tag { protocol: VlanProtocol::Dot1q, id })
    }

    fn bridge(vlan_filtering: bool) -> Link {
        let bridge = Some(Bridge { vlan_filtering, ..Bridge::default() });
        Link { index: 1, name: "br0".into(), bridge, ..Link::default() }
    }

    fn gate(vlans: &[BridgeVlans]) -> Link {
        Link { index: 2, name: "p1".into(), bridge_vlans: vlans.to_vec(), ..Link::default() }
    }

    fn only(id: u16) -> BridgeVlans {
        BridgeVlans { low: id, high: id, untagged: false, pvid: false }
    }

    #[test]
    fn without_filtering_tags_are_nobodys_business() {
        let (bridge, gate) = (bridge(false), gate(&[]));
        assert_eq!(admit(&bridge, &gate, tagged(5)), Ok(tagged(5)));
        assert_eq!(discharge(&bridge, &gate, tagged(5)), Ok(tagged(5)));
        assert_eq!(vid(&bridge, tagged(5)), 0);
    }

    #[test]
    fn a_tagged_frame_must_be_of_a_vlan_of_the_port() {
        let trunk = gate(&[BridgeVlans { low: 100, high: 110, untagged: false, pvid: false }]);
        assert_eq!(admit(&bridge(true), &trunk, tagged(110)), Ok(tagged(110)));
        assert_eq!(admit(&bridge(true), &trunk, tagged(111)), Err("p1 is not in VLAN 111".into()));
        assert!(admit(&bridge(true), &trunk, Tags::default()).unwrap_err().contains("no PVID"));
    }

    #[test]
    fn untagged_and_priority_tagged_frames_belong_to_the_ports_own_vlan() {
        let access = gate(&[BridgeVlans { low: 7, high: 7, untagged: true, pvid: true }]);
        assert_eq!(admit(&bridge(true), &access, Tags::default()), Ok(tagged(7)));
        assert_eq!(admit(&bridge(true), &access, tagged(0)), Ok(tagged(7)));
        // The PVID says nothing of frames that say something themselves.
        assert!(admit(&bridge(true), &access, tagged(8)).is_err());
    }

    #[test]
    fn a_tag_of_another_kind_is_payload() {
        let access = gate(&[BridgeVlans { low: 7, high: 7, untagged: true, pvid: true }]);
        let foreign = Tag { protocol: VlanProtocol::Dot1ad, id: 9 };
        let inside = admit(&bridge(true), &access, Tags::one(foreign)).unwrap();
        assert_eq!(inside, Tags::one(foreign).around(tagged(7).outermost().unwrap()).unwrap());
        assert_eq!(discharge(&bridge(true), &access, inside), Ok(Tags::one(foreign)));
    }

    #[test]
    fn each_port_says_whether_the_tag_stays_on() {
        let untagging = gate(&[BridgeVlans { untagged: true, ..only(5) }]);
        assert_eq!(discharge(&bridge(true), &untagging, tagged(5)), Ok(Tags::default()));
        assert_eq!(discharge(&bridge(true), &gate(&[only(5)]), tagged(5)), Ok(tagged(5)));
        assert!(discharge(&bridge(true), &gate(&[only(6)]), tagged(5)).is_err());
    }
}
