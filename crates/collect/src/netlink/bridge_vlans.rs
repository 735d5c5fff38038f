//! VLANs of bridges and their ports (`RTM_GETLINK` of `AF_BRIDGE`, `bridge vlan show`).

use std::collections::BTreeMap;

use model::vlan::BridgeVlans;
use netlink_packet_route::link::{
    AfSpecBridge, BridgeVlanInfo, BridgeVlanInfoFlags as Flags, LinkAttribute, LinkExtentMask, LinkMessage,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::{NetlinkError, Socket};

/// The VLANs of every port and bridge of the namespace that has some, by ifindex.
pub(crate) fn read(socket: &mut Socket) -> Result<BTreeMap<u32, Vec<BridgeVlans>>, NetlinkError> {
    let mut wanted = LinkMessage::default();
    wanted.header.interface_family = AddressFamily::Bridge;
    // Without ranges a port of all VLANs does not fit the kernel's buffer (`rtnl_bridge_getlink`).
    wanted.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::BrvlanCompressed]));
    let answers = socket.dump(RouteNetlinkMessage::GetLink(wanted))?;
    let mut vlans = BTreeMap::new();
    for answer in answers {
        let RouteNetlinkMessage::NewLink(link) = answer else { continue };
        let told = link.attributes.iter().flat_map(|attribute| match attribute {
            LinkAttribute::AfSpecBridge(specs) => specs.as_slice(),
            _ => &[],
        });
        let told = told.filter_map(|s| if let AfSpecBridge::VlanInfo(info) = s { Some(*info) } else { None });
        let ranges = ranges(told);
        if !ranges.is_empty() {
            vlans.insert(link.header.index, ranges);
        }
    }
    Ok(vlans)
}

/// A range is told as its two ends (`br_fill_ifvlaninfo_range`). One without its end is left out.
fn ranges(told: impl Iterator<Item = BridgeVlanInfo>) -> Vec<BridgeVlans> {
    let mut ranges = Vec::new();
    let mut begun = None;
    for BridgeVlanInfo { flags, vid } in told {
        if flags.contains(Flags::RangeBegin) {
            begun = Some(vid);
            continue;
        }
        let low = begun.take().filter(|_| flags.contains(Flags::RangeEnd)).unwrap_or(vid);
        let (untagged, pvid) = (flags.contains(Flags::Untagged), flags.contains(Flags::Pvid));
        ranges.push(BridgeVlans { low, high: vid, untagged, pvid });
    }
    ranges
}
