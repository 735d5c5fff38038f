//! How large packets may be: what an instance can send at once, and which loss of a large packet nobody needs to miss.

use model::Netns;
use model::intent::{Instance, Vif};
use model::link::Link;
use model::path::{Path, Stage, Stop};
use model::probe::PING_OCTETS;
use sim::World;

use crate::ladder::{Purpose, Rung};

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

/// An instance's own end of its NIC, where its inside was read.
pub(crate) fn nic<'w>(world: &World<'w>, instance: &Instance, vif: &Vif) -> Option<(&'w Netns, &'w Link)> {
    let at = world.intent.instances.iter().position(|known| known.name == instance.name)?;
    let ns = world.snapshot.netns.get(world.inside(at)?)?;
    Some((ns, ns.links.iter().find(|link| link.mac.is_some() && link.mac == vif.mac)?))
}

/// A router, or the sender itself, that does not pass a packet on whole says so, and the sender makes smaller ones (RFC
/// 1191): nothing is lost by it. Answers may be fragmented (`icmp_init`, net/ipv4/icmp.c), and are. A bridge and a
/// cable say nothing.
pub(crate) fn is_told(rung: &Rung, path: &Path, at: &model::path::Place, stop: &Stop) -> bool {
    let is_large = matches!(rung.purpose, Purpose::Large(_)) && matches!(stop, Stop::TooBig { .. });
    let by_sender = path.hops.first().is_some_and(|first| first.at.host == at.host);
    is_large && (at.stage == Stage::Route || by_sender)
}
