//! How large packets may be: what an instance can send at once, and which loss of a large packet nobody needs to miss.

use model::Netns;
use model::finding::{Evidence, EvidenceKind};
use model::intent::{Instance, Vif};
use model::link::Link;
use model::path::{Path, Stage, Stop};
use model::probe::PING_OCTETS;
use model::service::Dnsmasq;
use model::snapshot::Gap;
use sim::World;

use crate::diagnose::Case;
use crate::evidence;
use crate::ladder::{Purpose, Rung, Symptom};
use crate::view::{Seat, View};

/// The longest packet that a host can send as an instance, in octets: a page beside the kernel's own
/// (`TEST_XDP_FRAME_SIZE`, net/bpf/test_run.c), less the Ethernet header.
pub const AS_INSTANCE_OCTETS_MAX: u16 = 3386;

/// The longest packet that an instance sends: what its NIC takes, or, where that cannot be looked at, what the host's
/// end of it takes, and no more than can be sent as it. `None` where no NIC is known, and where no more than a usual
/// ping fits.
pub(crate) fn largest(world: &World, instance: usize) -> Option<u16> {
    let meant = world.intent.instances.get(instance)?;
    let inside = meant.vifs.first().and_then(|vif| nic(world, meant, vif));
    let octets = match inside {
        Some((_, nic)) => u16::try_from(nic.mtu).unwrap_or(u16::MAX),
        None if meant.entered => return None,
        None => {
            let tap = world.link(world.tap(instance, 0)?)?;
            u16::try_from(tap.mtu).unwrap_or(u16::MAX).min(AS_INSTANCE_OCTETS_MAX)
        }
    };
    (octets > PING_OCTETS).then_some(octets)
}

/// Instances that are told by name, at most.
const NAMED_MAX: usize = 4;

/// Packets that instances send and nobody can send as them: a gap, where nobody asks inside.
pub(crate) fn beyond(case: &Case, instances: &[usize], symptom: Symptom) -> Option<Gap> {
    match symptom {
        Symptom::Auto | Symptom::Ping | Symptom::Ssh => {}
        Symptom::Dhcp | Symptom::Dns | Symptom::Metadata => return None,
    }
    let world = World::new(case.snapshot, case.intent);
    let is_beyond = |at: &&usize| {
        let tap = world.tap(**at, 0).and_then(|tap| world.link(tap));
        tap.is_some_and(|tap| tap.mtu > AS_INSTANCE_OCTETS_MAX.into())
    };
    let closed = instances.iter().filter(is_beyond).filter_map(|at| case.intent.instances.get(*at));
    let names: Vec<&str> = closed.filter(|one| !one.entered).map(|one| one.name.as_str()).collect();
    let (first, named) =
        (names.first()?, names.iter().take(NAMED_MAX).copied().collect::<Vec<_>>().join(", "));
    let more = match names.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Some(Gap {
        what: format!("whether packets of more than {AS_INSTANCE_OCTETS_MAX} octets of {named}{more} live"),
        why: "their NICs take more, and a host can send no longer ones as an instance".to_owned(),
        would_need: format!("`ping -M do -s SIZE ADDRESS` inside {first}"),
    })
}

/// An instance's own end of its NIC, where its inside was read.
pub(crate) fn nic<'w>(world: &World<'w>, instance: &Instance, vif: &Vif) -> Option<(&'w Netns, &'w Link)> {
    let at = world.intent.instances.iter().position(|known| known.name == instance.name)?;
    let ns = world.snapshot.netns.get(world.inside(at)?)?;
    Some((ns, ns.links.iter().find(|link| link.mac.is_some() && link.mac == vif.mac)?))
}

/// How long packets are that an instance sends, and how that is known.
pub(crate) struct Sent {
    /// In octets, with the IP header.
    pub(crate) octets: u32,
    /// To follow "and": `web1's own NIC sends up to 1500 octets`.
    pub(crate) why: String,
    pub(crate) evidence: Evidence,
}

/// What an instance sends by a NIC: by the NIC itself, else by what DHCP tells it, else by the host's end of it, which
/// QEMU gives a NIC that nobody told otherwise. `None` where there is none of it.
pub(crate) fn sent(view: &View, seat: &Seat) -> Option<Sent> {
    let name = &seat.instance.name;
    if let Some((ns, nic)) = nic(view.world, seat.instance, seat.vif) {
        let why = format!("{name}'s own NIC sends up to {} octets", nic.mtu);
        return Some(Sent { octets: nic.mtu, why, evidence: evidence::link(ns, nic) });
    }
    let tap = seat.tap()?;
    let servers = seat.server.dnsmasq.iter().filter(|server| !server.is_libvirts());
    let offered =
        servers.filter_map(|server| Some((server, offered_mtu(server)?))).min_by_key(|(_, mtu)| *mtu);
    if let Some((server, octets)) = offered.filter(|(_, mtu)| *mtu < tap.mtu) {
        let why = format!("{name} is told by DHCP to send up to {octets} octets");
        let source = server.opts_file.clone().unwrap_or_else(|| format!("ps -o args -p {}", server.pid));
        let evidence = evidence::record(EvidenceKind::Config, source, format!("option 26 (mtu), {octets}"));
        return Some(Sent { octets, why, evidence });
    }
    let why = format!("{name}'s end of {} sends up to {} octets", tap.name, tap.mtu);
    Some(Sent { octets: tap.mtu, why, evidence: evidence::link(seat.ns, tap) })
}

/// The MTU that a server gives its clients: option 26 (RFC 2132, 5.1), by its number or by dnsmasq's name of it.
fn offered_mtu(server: &Dnsmasq) -> Option<u32> {
    let given = server.options.iter().filter_map(|option| {
        let mut fields = option.split(',').map(str::trim);
        fields.find(|field| ["26", "option:mtu"].contains(field))?;
        fields.next()?.parse().ok()
    });
    given.min()
}

/// A router, or the sender itself, that does not pass a packet on whole says so, and the sender makes smaller ones (RFC
/// 1191): nothing is lost by it. Answers may be fragmented (`icmp_init`, net/ipv4/icmp.c), and are. A bridge and a
/// cable say nothing.
pub(crate) fn is_told(rung: &Rung, path: &Path, at: &model::path::Place, stop: &Stop) -> bool {
    let is_large = matches!(rung.purpose, Purpose::Large(_)) && matches!(stop, Stop::TooBig { .. });
    let by_sender = path.hops.first().is_some_and(|first| first.at.host == at.host);
    is_large && (at.stage == Stage::Route || by_sender)
}

#[cfg(test)]
mod tests {
    use crate::fixture::{Cloud, healthy};

    #[test]
    fn what_is_too_long_to_be_sent_as_an_instance_is_told_where_nobody_asks_inside() {
        let gaps = |cloud: &Cloud| {
            let gaps = cloud.diagnose("web2").coverage.gaps.into_iter().map(|gap| gap.what);
            gaps.filter(|what| what.contains("octets")).collect::<Vec<_>>()
        };
        let mut cloud = healthy();
        cloud.link("compute1", "vnet1").mtu = 9000;
        assert_eq!(gaps(&cloud), [""; 0], "it can be entered");
        cloud.close("web2");
        assert_eq!(gaps(&cloud), ["whether packets of more than 3386 octets of web2 live"]);
        cloud.link("compute1", "vnet1").mtu = 3386;
        assert_eq!(gaps(&cloud), [""; 0]);
    }
}
