//! VLANs: the tags that frames wear, the devices that put them on and take them off, and whom a bridge
//! lets pass (IEEE 802.1Q, ip-link(8), bridge(8)).

use std::fmt;

use serde::{Deserialize, Serialize};

/// The kind of a tag, by its EtherType (`IFLA_VLAN_PROTOCOL`, `IFLA_BR_VLAN_PROTOCOL`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub enum VlanProtocol {
    /// 0x8100, the customer's tag.
    #[default]
    #[serde(rename = "802.1Q")]
    Dot1q,
    /// 0x88a8, the provider's tag around it.
    #[serde(rename = "802.1ad")]
    Dot1ad,
}

impl VlanProtocol {
    /// The EtherType that announces such a tag.
    pub fn ether_type(self) -> u16 {
        match self {
            VlanProtocol::Dot1q => 0x8100,
            VlanProtocol::Dot1ad => 0x88a8,
        }
    }

    /// As `ip` prints it.
    pub fn name(self) -> &'static str {
        match self {
            VlanProtocol::Dot1q => "802.1Q",
            VlanProtocol::Dot1ad => "802.1ad",
        }
    }
}

/// One tag of a frame; its priority bits decide nothing here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Tag {
    /// Which kind.
    pub protocol: VlanProtocol,
    /// VLAN id, 0 to 4095; 0 stands for none.
    pub id: u16,
}

impl fmt::Display for Tag {
    /// `100`, or `802.1ad 100`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.protocol {
            VlanProtocol::Dot1q => write!(f, "{}", self.id),
            VlanProtocol::Dot1ad => write!(f, "{} {}", self.protocol.name(), self.id),
        }
    }
}

/// Tags that one frame wears at most; networks use two.
const TAGS_MAX: usize = 4;

/// The tags of a frame, outermost first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Tags([Option<Tag>; TAGS_MAX]);

impl Tags {
    /// Only this one.
    pub fn one(tag: Tag) -> Tags {
        let mut tags = Tags::default();
        tags.0[0] = Some(tag);
        tags
    }

    /// It wears none.
    pub fn is_empty(&self) -> bool {
        self.outermost().is_none()
    }

    /// The tag that the first switch looks at.
    pub fn outermost(&self) -> Option<Tag> {
        self.0[0]
    }

    /// With one more around them; `None` where there is no room.
    #[must_use]
    pub fn around(&self, tag: Tag) -> Option<Tags> {
        let mut tags = *self;
        tags.0.rotate_right(1);
        tags.0[0].replace(tag).is_none().then_some(tags)
    }

    /// Without the outermost.
    #[must_use]
    pub fn inner(&self) -> Tags {
        let mut tags = *self;
        tags.0[0] = None;
        tags.0.rotate_left(1);
        tags
    }
}

impl fmt::Display for Tags {
    /// `VLAN 100`, `VLAN 802.1ad 7, VLAN 100`, `no VLAN`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("no VLAN");
        }
        for (nth, tag) in self.0.iter().flatten().enumerate() {
            let comma = if nth == 0 { "" } else { ", " };
            write!(f, "{comma}VLAN {tag}")?;
        }
        Ok(())
    }
}

/// Settings of a VLAN device (`IFLA_VLAN_*`). Its lower link is the link's `peer`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct VlanDevice {
    /// VLAN id.
    pub id: u16,
    /// Kind of its tag.
    pub protocol: VlanProtocol,
    /// `reorder_hdr`: the tag is no part of the frame above the device.
    pub reorder_header: bool,
    /// `loose_binding`: it stays up while its lower link is down.
    pub loose_binding: bool,
}

impl Default for VlanDevice {
    fn default() -> VlanDevice {
        VlanDevice { id: 0, protocol: VlanProtocol::Dot1q, reorder_header: true, loose_binding: false }
    }
}

impl VlanDevice {
    /// An 802.1Q device as `ip link add ... type vlan id ID` makes it.
    pub fn of(id: u16) -> VlanDevice {
        VlanDevice { id, ..VlanDevice::default() }
    }

    /// The tag that it puts on and takes off.
    pub fn tag(&self) -> Tag {
        Tag { protocol: self.protocol, id: self.id }
    }
}

/// VLANs that a bridge lets pass at one of its ports, or up to its own stack (`struct bridge_vlan_info`,
/// `bridge vlan show`). Only a bridge with `vlan_filtering` looks at them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BridgeVlans {
    /// First VLAN id.
    pub low: u16,
    /// Last VLAN id.
    pub high: u16,
    /// Frames leave without the tag.
    pub untagged: bool,
    /// Frames that arrive without a tag belong to it: one VLAN then, not a range.
    pub pvid: bool,
}

impl Default for BridgeVlans {
    fn default() -> BridgeVlans {
        BridgeVlans { low: 1, high: 1, untagged: true, pvid: true }
    }
}

impl BridgeVlans {
    /// It has this VLAN.
    pub fn contains(&self, id: u16) -> bool {
        (self.low..=self.high).contains(&id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(id: usize) -> Tag {
        let id = u16::try_from(id).unwrap();
        Tag { protocol: VlanProtocol::Dot1q, id }
    }

    #[test]
    fn the_last_tag_put_on_is_the_first_taken_off() {
        let outer = Tag { protocol: VlanProtocol::Dot1ad, id: 7 };
        let both = Tags::one(tag(100)).around(outer).unwrap();
        assert_eq!(both.outermost(), Some(outer));
        assert_eq!(both.to_string(), "VLAN 802.1ad 7, VLAN 100");
        assert_eq!(both.inner(), Tags::one(tag(100)));
        assert!(both.inner().inner().is_empty());
        assert_eq!(Tags::default().inner(), Tags::default());
        assert_eq!(Tags::default().to_string(), "no VLAN");
    }

    #[test]
    fn there_is_room_for_so_many_and_no_more() {
        let mut tags = Tags::default();
        for id in 1..=TAGS_MAX {
            tags = tags.around(tag(id)).unwrap();
        }
        assert_eq!(tags.around(tag(99)), None);
        assert_eq!(tags.outermost(), Some(tag(TAGS_MAX)));
    }
}
