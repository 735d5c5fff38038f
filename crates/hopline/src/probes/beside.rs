//! What is asked of a silent question's way: beyond the site only its routers can tell of it, and of a large packet
//! smaller ones.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use checks::{Purpose, Rung};
use collect::MachinePlan;
use model::path::{Direction, Disposition};
use model::probe::{Asked, ProbeResult, SideEcho};
use probe::Asker;

use super::{Came, From, Probe, Unsent, inside, sizes, way};
use crate::failure::Failure;
use crate::gather::Facts;
use crate::site_file::Site;

/// Echoes of one number, all at once.
#[derive(Debug, Clone)]
pub(crate) struct Beside<'a> {
    pub(crate) about: About,
    /// Who asks.
    pub(crate) machine: &'a MachinePlan,
    pub(crate) to: Ipv4Addr,
    /// The echo identifier of all of them; their sequence numbers tell them apart.
    pub(crate) id: u16,
}

/// What of the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum About {
    /// Which machines it passes, by TTLs up to this one.
    Way(u8),
    /// How large packets may be on it, up to so many octets.
    Sizes(u16),
}

/// What may be asked of the way of this question, which this probe asks: from inside where that is. Otherwise which
/// machines it passes is asked by the one that it leaves the site by, and what the size of its packets may be by the
/// instance's host. Over IPv6 nobody is asked.
pub(super) fn of<'a>(
    site: &'a Site,
    facts: &Facts,
    (rung, probe): (&Rung, &Probe<'a>),
    id: u16,
) -> Option<Beside<'a>> {
    let IpAddr::V4(to) = rung.to else { return None };
    let about = about(rung)?;
    let machine = match (&probe.from, about) {
        (From::Inside(machine), About::Way(_) | About::Sizes(_)) => *machine,
        (From::Outside(_), About::Way(_)) => tracer(site, facts, rung)?,
        (From::Outside(nic), About::Sizes(_)) => nic.host(),
    };
    // A number without an identifier would be a short one, as usual pings are known by.
    Some(Beside { about, machine, to, id: id.max(1) })
}

fn about(rung: &Rung) -> Option<About> {
    if let Purpose::Large(octets) = rung.purpose {
        return Some(About::Sizes(octets));
    }
    let mut there = rung.answer.paths.iter().filter(|path| path.direction == Direction::Request);
    let leaves_site = there.any(|path| path.disposition == Disposition::LeftSite);
    (checks::is_traced(rung.purpose) && leaves_site).then_some(About::Way(way::TTL_MAX))
}

/// Who can ask which machines a question passes beyond the site: the last machine of it on the question's own way.
fn tracer<'a>(site: &'a Site, facts: &Facts, rung: &Rung) -> Option<&'a MachinePlan> {
    let last = checks::leaves_by(rung)?;
    let is_reached = !facts.unreachable.iter().any(|(name, _)| name == last);
    site.machines.iter().find(|machine| !machine.instance && machine.name == last && is_reached)
}

impl<'a> Beside<'a> {
    /// As much of it as so many packets can ask; `None` where it has no more than that, or they tell too little.
    pub(super) fn within(self, packets: u32) -> Option<Beside<'a>> {
        match self.about {
            About::Way(ttl_max) => {
                let fewer = u8::try_from(packets).ok().filter(|fewer| *fewer < ttl_max)?;
                (fewer >= way::TTLS_MIN).then_some(Beside { about: About::Way(fewer), ..self })
            }
            // One size tells nothing without the others.
            About::Sizes(_) => None,
        }
    }

    /// How many packets it sends at most.
    pub(super) fn packets_max(&self) -> u32 {
        match self.about {
            About::Way(ttl_max) => ttl_max.into(),
            About::Sizes(_) => sizes::SIZES_MAX,
        }
    }

    /// Asks, and waits for what comes of it.
    pub(super) fn ask(&self, patience: Duration) -> Result<Came, Unsent> {
        let unsent = |why| Unsent { why, would_need: "root; --passive does without".to_owned() };
        let netns = inside::netns(self.machine).map_err(|error| unsent(error.to_string()))?;
        let asker = Asker { name: &self.machine.name, netns: &netns, source: None };
        let came = match self.about {
            About::Way(ttl_max) => way::trace(&asker, self, ttl_max, patience),
            About::Sizes(octets) => sizes::tried(&asker, self, octets, patience),
        };
        came.map_err(|error| unsent(Failure::of(&error).to_string()))
    }

    /// One of its packets, and whether anything came of it.
    pub(super) fn side(&self, sequence: u16, octets: u16, is_answered: bool) -> SideEcho {
        let came = ProbeResult {
            from: self.machine.name.clone(),
            by_host: false,
            to: self.to.into(),
            asked: Asked::Echo { octets },
            sent: 1,
            received: u32::from(is_answered),
            reply_ttl: None,
            rtt_us: None,
            errors: Vec::new(),
            send_error: None,
            recorded: None,
        };
        let number = u32::from(self.id) << 16 | u32::from(sequence);
        SideEcho { ttl: None, router: None, came, number, watches: Vec::new(), seen: None, drops: Vec::new() }
    }
}
