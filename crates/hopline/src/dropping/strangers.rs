//! Which drops in namespaces that are not of this site are ours: other networks of the machine may have the very same
//! addresses, and numbers of sixteen bits meet by chance.

use std::collections::BTreeSet;

use model::Mac;
use model::sighting::{Kind, Sighting};
use probe::drops::PacketDrop;

use crate::gather::Facts;
use crate::probes::Probe;

/// Where ARP has the MACs of who asks and of who is asked (RFC 826, over Ethernet and for IPv4).
const ARP_SENDER: usize = 8;
const ARP_TARGET: usize = 18;

/// Namespaces to which a cable of the site leads, and the site's stations.
pub(super) struct Near {
    inodes: BTreeSet<u64>,
    macs: BTreeSet<Mac>,
}

impl Near {
    pub(super) fn of(facts: &Facts) -> Near {
        let links = || facts.snapshot.netns.iter().flat_map(|ns| &ns.links);
        let vifs = facts.intent.instances.iter().flat_map(|instance| &instance.vifs);
        Near {
            inodes: links().filter_map(|link| link.peer?.netns).collect(),
            macs: links().filter_map(|link| link.mac).chain(vifs.filter_map(|vif| vif.mac)).collect(),
        }
    }

    /// ARP bears no mark of ours: it is ours in a namespace next to the site's, where one of the site's stations asks
    /// or is asked.
    pub(super) fn has_arp(&self, drop: &PacketDrop) -> bool {
        let station = |at: usize| drop.packet.get(at..)?.first_chunk().copied().map(Mac);
        let is_near = drop.inode.is_some_and(|inode| self.inodes.contains(&inode));
        is_near
            && [ARP_SENDER, ARP_TARGET].into_iter().filter_map(station).any(|mac| self.macs.contains(&mac))
    }
}

/// A packet that bears the number of this probe is the probe's: an echo has our mark in its payload, and of what is
/// told by a port or sixteen bits alone one end is who is asked.
pub(super) fn is_of(probe: &Probe, drop: &PacketDrop, seen: &Sighting) -> bool {
    match seen.kind {
        Kind::EchoRequest | Kind::EchoReply => probe::is_marked(&drop.packet),
        Kind::DhcpClient | Kind::DhcpServer => true,
        Kind::Icmp
        | Kind::Tcp
        | Kind::Udp
        | Kind::DnsQuery
        | Kind::DnsResponse
        | Kind::ArpRequest
        | Kind::ArpReply
        | Kind::Fragment
        | Kind::Other => [seen.source, seen.destination].iter().any(|end| end.to_ip() == probe.to),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: Mac = Mac([0xfa, 0x16, 0x3e, 0, 2, 0x24]);

    /// `who has 10.0.2.24 tell 10.0.0.42`, dropped in this namespace.
    fn asked_by(sender: Mac, inode: Option<u64>) -> PacketDrop {
        let head = [0, 1, 8, 0, 6, 4, 0, 1];
        let packet = [&head[..], &sender.0, &[10, 0, 0, 42], &[0; 6], &[10, 0, 2, 24]].concat();
        let (reason, function) = ("QDISC_DROP".to_owned(), "__dev_queue_xmit".to_owned());
        PacketDrop { inode, device: None, reason, function, packet }
    }

    #[test]
    fn arp_is_ours_next_to_the_site_and_of_its_stations_only() {
        let near = Near { inodes: [7].into(), macs: [OURS].into() };
        assert!(near.has_arp(&asked_by(OURS, Some(7))));
        assert!(!near.has_arp(&asked_by(OURS, Some(8))), "another network has the same MACs");
        assert!(!near.has_arp(&asked_by(OURS, None)), "nobody knows where");
        assert!(
            !near.has_arp(&asked_by(Mac([2, 0, 0, 0, 0, 1]), Some(7))),
            "another network has the addresses"
        );
    }
}
