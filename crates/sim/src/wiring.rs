//! Where frames could get to: by cables, over bridges, through overlays, out of VLAN devices and into them, whatever
//! state all of these are in. Tells the ports worth flooding to from the bystanders, and the likely owner of an
//! address from its namesakes elsewhere.

use std::collections::{HashSet, VecDeque};
use std::net::IpAddr;

use model::link::LinkKind;
use model::vlan::Tags;

use crate::bridge::vlan;
use crate::world::{FarEnd, LinkId, Station, World};

/// A frame's place, and the tags that it wears there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Spot {
    pub(crate) at: At,
    pub(crate) tags: Tags,
}

/// Where a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum At {
    /// It leaves by this link.
    Leaving(LinkId),
    /// It has come to this link, or up to it.
    Arriving(LinkId),
    /// It is inside a bridge, which it came into by a port, or by the bridge's own device.
    Inside {
        /// The bridge.
        bridge: LinkId,
        /// ifindex.
        from: u32,
    },
}

/// What tags are to the search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Vlans {
    /// They lead each frame into its own VLAN.
    Kept,
    /// They are looked past: who would get the frame if it were in the right VLAN everywhere.
    Ignored,
}

impl Spot {
    pub(crate) fn leaving(link: LinkId, tags: Tags) -> Spot {
        Spot { at: At::Leaving(link), tags }
    }

    pub(crate) fn inside(bridge: LinkId, from: u32, tags: Tags) -> Spot {
        Spot { at: At::Inside { bridge, from }, tags }
    }
}

impl<'a> World<'a> {
    /// Whether a frame could ever reach the station.
    pub(crate) fn leads_to(&self, from: Spot, station: Station, vlans: Vlans) -> bool {
        self.finds(from, vlans, |spot| {
            self.receives(spot, station, vlans) || self.lands(spot, station, vlans)
        })
    }

    /// The same, over what was read alone.
    fn reaches(&self, from: Spot, station: Station, vlans: Vlans) -> bool {
        self.finds(from, vlans, |spot| self.receives(spot, station, vlans))
    }

    /// Two links of different machines whose cables lead where nothing was read may share a segment.
    /// The link by which a frame that leaves by `from` would arrive and get to the station; where tags keep it
    /// from getting there, the one that it would arrive by all the same.
    pub(crate) fn landing(&self, from: LinkId, tags: Tags, station: Station) -> Option<LinkId> {
        let by = |vlans| self.landing_by(Spot::leaving(from, tags), station, vlans);
        by(Vlans::Kept).or_else(|| by(Vlans::Ignored))
    }

    fn landing_by(&self, from: Spot, station: Station, vlans: Vlans) -> Option<LinkId> {
        let At::Leaving(egress) = from.at else { return None };
        if !self.leads_beyond(egress) {
            return None;
        }
        let links = self.snapshot.netns.iter().enumerate().filter(|(ns, _)| *ns != egress.ns);
        let mut links = links.flat_map(|(ns, n)| n.links.iter().map(move |l| LinkId { ns, link: l.index }));
        links.find(|ingress| {
            let there = Spot { at: At::Arriving(*ingress), tags: from.tags };
            // What a bond's slave gets is the bond's.
            let is_slave = self.bond_of(*ingress).is_some();
            !is_slave && self.leads_beyond(*ingress) && self.reaches(there, station, vlans)
        })
    }

    fn lands(&self, spot: Spot, station: Station, vlans: Vlans) -> bool {
        self.landing_by(spot, station, vlans).is_some()
    }

    /// The frame goes where nothing was read, at once or over bridges of the site.
    pub(crate) fn leaves_site(&self, from: Spot) -> bool {
        self.finds(from, Vlans::Kept, |spot| match spot.at {
            At::Leaving(link) => self.leads_beyond(link) || self.tunnels_beyond(link),
            At::Arriving(_) | At::Inside { .. } => false,
        })
    }

    /// An entry of a VXLAN device leads to an address that nobody of the site has.
    fn tunnels_beyond(&self, device: LinkId) -> bool {
        let entries = self.ns(device.ns).fdb.iter().filter(|entry| entry.link == device.link);
        entries.filter_map(|entry| entry.remote).any(|remote| self.owner_of_ip(remote.ip).is_none())
    }

    /// Names of the instances that cannot be entered and that frames could reach from here.
    pub(crate) fn guests_behind(&self, from: &[Spot]) -> Vec<&'a str> {
        let reached = self.guests().filter(|(tap, (instance, vif))| {
            let station = Station::Guest { tap: *tap, instance: *instance, vif: *vif };
            from.iter().any(|spot| self.leads_to(*spot, station, Vlans::Kept))
        });
        let instances = reached.filter_map(|(_, (at, _))| self.intent.instances.get(at));
        let mut names: Vec<&str> = instances.map(|instance| instance.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The address's owner as seen from a segment: the owner that frames get to from here, else one that
    /// they would get to in another VLAN, else any. Private ranges may repeat over a site (every libvirt
    /// host has 192.168.122.1).
    pub(crate) fn owner_of_ip_from(&self, from: Spot, ip: IpAddr) -> Option<Station> {
        let near = |vlans| self.owners_of_ip(ip).find(|owner| self.leads_to(from, *owner, vlans));
        near(Vlans::Kept).or_else(|| near(Vlans::Ignored)).or_else(|| self.owner_of_ip(ip))
    }

    /// Tags that a frame inside a bridge wears when it comes up to the bridge's own device, which is let in like a
    /// port; but one that listens to everything is handed it as it is (`br_pass_frame_up`).
    pub(crate) fn up_from_bridge(&self, bridge: LinkId, tags: Tags) -> Result<Tags, String> {
        let Some(facts) = self.link(bridge) else { return Err("the bridge is gone".to_owned()) };
        match vlan::discharge(facts, facts, tags) {
            Err(_) if self.listens_to_everything(bridge) => Ok(tags),
            discharged => discharged,
        }
    }

    /// Ports of bridges listen to everything, and a VLAN device that does makes its lower link do so too
    /// (`br_manage_promisc`, `vlan_dev_change_rx_flags`). The flag that is read tells only of what
    /// somebody asked for (`dev_get_flags`).
    fn listens_to_everything(&self, link: LinkId) -> bool {
        let bridged = |device: LinkId| {
            self.bridge_of(device).is_some() && self.link(device).is_some_and(|device| device.admin_up)
        };
        self.link(link).is_some_and(|link| link.promiscuous) || self.vlans_on(link).any(bridged)
    }

    /// A cable or tap whose far end was not read and that no known instance sits behind.
    fn leads_beyond(&self, id: LinkId) -> bool {
        let Some(link) = self.link(id) else { return false };
        let cable = match link.kind {
            LinkKind::Physical | LinkKind::Veth => true,
            // Without slaves that were read nobody knows.
            LinkKind::Bond => {
                let mut slaves = self.slaves(id).peekable();
                slaves.peek().is_none() || slaves.any(|slave| self.leads_beyond(slave))
            }
            LinkKind::Vlan => self.lower_of(id).is_none(),
            LinkKind::Loopback | LinkKind::Bridge | LinkKind::Tun | LinkKind::Vxlan | LinkKind::Dummy => {
                false
            }
            LinkKind::Other(_) => true,
        };
        cable && self.far_end(id) == FarEnd::Beyond
    }

    /// Whether the station gets a frame that is here.
    fn receives(&self, spot: Spot, station: Station, vlans: Vlans) -> bool {
        match (spot.at, station) {
            (At::Arriving(link), Station::Link(wanted)) => {
                let plain = spot.tags.outermost().is_none_or(|tag| tag.id == 0);
                link == wanted && (plain || vlans == Vlans::Ignored)
            }
            (At::Leaving(link), Station::Guest { tap, .. }) => {
                let seated = matches!(self.far_end(link), FarEnd::Guest(..));
                link == tap && seated && (spot.tags.is_empty() || vlans == Vlans::Ignored)
            }
            (At::Leaving(_) | At::Inside { .. }, Station::Link(_))
            | (At::Arriving(_) | At::Inside { .. }, Station::Guest { .. }) => false,
        }
    }

    /// Whether a frame from here comes to a place that is wanted.
    fn finds(&self, from: Spot, vlans: Vlans, wanted: impl Fn(Spot) -> bool) -> bool {
        let mut seen = HashSet::from([from]);
        let mut queue = VecDeque::from([from]);
        while let Some(spot) = queue.pop_front() {
            if wanted(spot) {
                return true;
            }
            let next = match spot.at {
                At::Leaving(link) => self.after_leaving(link, spot.tags, vlans),
                At::Arriving(link) => self.after_arriving(link, spot.tags, vlans),
                At::Inside { bridge, from } => self.out_of_bridge(bridge, from, spot.tags, vlans),
            };
            queue.extend(next.into_iter().filter(|s| seen.insert(*s)));
        }
        false
    }

    fn after_leaving(&self, link: LinkId, tags: Tags, vlans: Vlans) -> Vec<Spot> {
        let slaves = self.slaves(link).map(|slave| Spot::leaving(slave, tags));
        let overlay = self.far_overlays(link, vlans == Vlans::Kept);
        let far = overlay.map(|device| Spot { at: At::Arriving(device), tags });
        slaves.chain(far).chain(self.after_leaving_alone(link, tags, vlans)).collect()
    }

    fn after_leaving_alone(&self, link: LinkId, tags: Tags, vlans: Vlans) -> Option<Spot> {
        let facts = self.link(link)?;
        if facts.kind == LinkKind::Bridge {
            return self.entering(link, link.link, tags, vlans);
        }
        if let Some(lower) = self.lower_of(link) {
            let worn = if vlans == Vlans::Kept { tags.around(facts.vlan?.tag())? } else { tags };
            return Some(Spot::leaving(lower, worn));
        }
        match self.far_end(link) {
            FarEnd::Link(ingress) => Some(Spot { at: At::Arriving(ingress), tags }),
            FarEnd::Guest(..) | FarEnd::Beyond => None,
        }
    }

    fn after_arriving(&self, link: LinkId, tags: Tags, vlans: Vlans) -> Vec<Spot> {
        let mut next = Vec::new();
        match vlans {
            Vlans::Kept => {
                if let Some((upper, inner)) = self.vlan_taking(link, tags) {
                    return vec![Spot { at: At::Arriving(upper), tags: inner }];
                }
            }
            Vlans::Ignored => {
                next.extend(self.vlans_on(link).map(|upper| Spot { at: At::Arriving(upper), tags }));
            }
        }
        next.extend(self.bond_of(link).map(|bond| Spot { at: At::Arriving(bond), tags }));
        if let Some(bridge) = self.bridge_of(link) {
            let bridge = LinkId { ns: link.ns, link: bridge.index };
            next.extend(self.entering(bridge, link.link, tags, vlans));
        }
        next
    }

    fn entering(&self, bridge: LinkId, from: u32, tags: Tags, vlans: Vlans) -> Option<Spot> {
        let gate = self.link(LinkId { ns: bridge.ns, link: from })?;
        let inside = match vlans {
            Vlans::Kept => vlan::admit(self.link(bridge)?, gate, tags).ok()?,
            Vlans::Ignored => tags,
        };
        Some(Spot::inside(bridge, from, inside))
    }

    /// Every way out of a bridge but the one that led in: its ports, and up to its own device.
    fn out_of_bridge(&self, bridge: LinkId, from: u32, tags: Tags, vlans: Vlans) -> Vec<Spot> {
        let Some(facts) = self.link(bridge) else { return Vec::new() };
        let gates = self.ns(bridge.ns).ports(bridge.link).chain([facts]);
        let out = gates.filter(|gate| gate.index != from).filter_map(|gate| {
            let link = LinkId { ns: bridge.ns, link: gate.index };
            let worn = match vlans {
                Vlans::Kept if link == bridge => self.up_from_bridge(bridge, tags).ok()?,
                Vlans::Kept => vlan::discharge(facts, gate, tags).ok()?,
                Vlans::Ignored => tags,
            };
            let at = if link == bridge { At::Arriving(link) } else { At::Leaving(link) };
            Some(Spot { at, tags: worn })
        });
        out.collect()
    }
}
