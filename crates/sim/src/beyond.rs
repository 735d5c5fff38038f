//! Somebody outside of all that was read: whose packets come in where what the site sends to them goes out.

use std::net::{IpAddr, Ipv4Addr};

use model::Mac;
use model::packet::{Frame, Packet, Payload};
use model::path::Disposition;
use model::vlan::Tags;

use crate::exchange::instance_place;
use crate::ip;
use crate::resolution::{self, Asker};
use crate::trail::{Outcome, Skb, Trail};
use crate::wire;
use crate::world::{LinkId, World};

/// What people outside are called together.
pub const NAME: &str = "the outside";

/// The MAC of the router that hands their packets over. No machine's: it is one for documentation (RFC 7042, 2.1.2).
pub const ROUTER: Mac = Mac([0x00, 0x00, 0x5e, 0x00, 0x53, 0xfe]);

/// Machines that a packet passes at most before it is out of the site.
const MACHINES_MAX: usize = 8;

/// Where packets from outside come into the site, and for whom their frames are.
pub struct WayIn {
    /// By this link.
    pub link: LinkId,
    /// The MAC of who takes them there: of the link that carries their destination, or of a router before it.
    pub mac: Mac,
    /// With these VLAN tags.
    pub tags: Tags,
}

/// Sends a packet as somebody outside would, whose router hands it over.
pub(crate) fn send(world: &World, mut trail: Trail, from: Ipv4Addr, packet: Packet) -> Outcome {
    let packet = Packet { source: from.into(), ..packet };
    trail.asker.get_or_insert(packet.source);
    let blank = Frame::untagged(ROUTER, Mac::ZERO, Payload::Ip(packet));
    let found = match packet.destination {
        IpAddr::V4(to) => way_in(world, from, to),
        IpAddr::V6(_) => None,
    };
    let Some(WayIn { link, mac, tags }) = found else {
        let why = format!("by which link what {from} sends to {} comes into the site", packet.destination);
        let need = "the machine that carries that address, and its default route";
        return trail.unknown(instance_place(NAME), &blank, why, need);
    };
    wire::receive(world, trail, link, &Skb::new(Frame { destination: mac, tags, ..blank }))
}

/// By which link a packet from outside comes to who carries the address that it is for: one machine carries it, on the
/// link by which it sends to them, and what comes for it takes that way backwards. `None` where several carry it, or
/// where it would go out by another link.
pub fn way_in(world: &World, from: Ipv4Addr, to: Ipv4Addr) -> Option<WayIn> {
    let all = world.snapshot.netns.iter().enumerate();
    let mut carriers = all.filter(|(_, ns)| !ns.instance).flat_map(|(at, ns)| {
        let carried = ns.addresses.iter().filter(move |own| own.net.addr() == IpAddr::V4(to));
        carried.map(move |own| LinkId { ns: at, link: own.link })
    });
    let carrier = carriers.next().filter(|_| carriers.next().is_none())?;
    let (mut link, mut next) = ip::next_hop(world, carrier.ns, from.into())?;
    if link != carrier {
        return None;
    }
    for _ in 0..MACHINES_MAX {
        let own = world.ns(link.ns).addresses_of(link.link).find_map(|own| match own.net.addr() {
            IpAddr::V4(ip) => Some(ip),
            IpAddr::V6(_) => None,
        })?;
        let (mac, IpAddr::V4(asked)) = (world.link(link)?.mac?, next) else { return None };
        let asker = Asker { link, guest: false, mac, ip: own };
        let question = resolution::ask(world, &mut Trail::default(), asker, asked).question;
        let at = question.at?;
        match question.disposition {
            Disposition::LeftSite => return Some(WayIn { link: at, mac, tags: question.frame.tags }),
            // A router of the site's, behind which the way goes on.
            Disposition::Delivered { .. } => (link, next) = ip::next_hop(world, at.ns, from.into())?,
            Disposition::Dropped(_) | Disposition::Unknown { .. } => return None,
        }
    }
    None
}
