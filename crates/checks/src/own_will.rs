//! A guest's own will. The host that serves an instance pings it where nobody can ask inside, its neighbours ping it,
//! and its own firewall may drop that, as Windows' does by default: nothing that it needs is lost.

use model::intent::Instance;
use model::path::{Direction, Place};
use model::probe::{Holders, ProbeResult};
use model::snapshot::Gap;

use crate::contradiction::Asking;
use crate::ladder::{Purpose, Rung, Symptom};
use crate::purpose::Part;
use crate::watched::{self, Parted};
use crate::way_out::Telling;
use crate::{dropped, proved};

/// ICMP's number.
const ICMP: u8 = 1;

/// What the silence of a guest to pings of its host or of a neighbour says, or to those of the outside where it answers
/// ssh, which is complained of; `None` where it is no such silence. Where pings are complained of, it is what was
/// looked for.
pub(crate) fn tells(asking: &Asking, symptom: Symptom) -> Option<Telling> {
    let Asking { case, rung, probe, .. } = *asking;
    if let Some(gap) = over_ipv6(asking) {
        return Some(Telling::Unknown(gap));
    }
    let is_served = matches!(rung.purpose, Purpose::Served | Purpose::Served6(_));
    let is_anothers = rung.purpose.other().is_some();
    let is_needless = symptom == Symptom::Ssh && is_from_outside(rung) && answers_ssh(asking);
    let may_be_meant = is_served || is_anothers || is_needless;
    if !may_be_meant || symptom == Symptom::Ping || !is_silence(rung, probe) || is_lost_before(asking) {
        return None;
    }
    let instance = case.intent.instances.get(rung.purpose.other().unwrap_or(rung.instance))?;
    // Of one that can be looked into the walk knows what its own rules mean.
    if instance.entered {
        return None;
    }
    if is_anothers || is_needless {
        let why = if is_needless {
            "it answers ssh and no pings, which its own firewall may mean".to_owned()
        } else {
            let at = at_its_nic(asking, instance)?;
            format!("they come to {at} and are not answered, which its own firewall may mean")
        };
        return Some(Telling::Unknown(unanswered(instance, &rung.from, why)));
    }
    let why = match is_there(case.holders, instance) {
        // A guest that answers nobody is not there.
        Some(false) => return None,
        Some(true) => {
            "it answers ARP with its own MAC and no pings, which its own firewall may mean".to_owned()
        }
        None if lets_in(case.intent.networks.as_slice(), instance) == Some(false) => {
            "its groups let no ping in, and its own firewall may mean it too".to_owned()
        }
        None => return None,
    };
    Some(Telling::Unknown(unanswered(instance, &rung.from, why)))
}

/// One that cannot be entered may have given up IPv6 since its host has met it, which keeps nothing from working: where
/// nothing tells that the question is lost before it, or the answer behind it, and where it has answered nobody, the
/// silence may be its own.
fn over_ipv6(asking: &Asking) -> Option<Gap> {
    let Asking { case, rung, probe, answered, .. } = *asking;
    let is_silent = rung.answer.answered && probe.received == 0 && probe.errors.is_empty();
    // What was not sent for want of a neighbour nobody saw.
    let is_seen_lost = probe.sent > 0 && is_seen_lost(asking);
    let is_dropped = dropped::telling(case, rung, probe).is_some_and(|told| told.is_on_way);
    let is_traced = proved::traced_drop(case.rules, rung.to).is_some();
    if !rung.to.is_ipv6() || !is_silent || is_seen_lost || is_dropped || is_traced {
        return None;
    }
    // What is sent as it tells nothing of it.
    let has_spoken = |at: usize| {
        let is_it = |other: &Rung| {
            other.purpose.part() == Part::IsAsked && other.purpose.other().unwrap_or(other.instance) == at
        };
        answered.iter().any(|other| other.to.is_ipv6() && is_it(other))
    };
    let mut ends = [Some(rung.instance), rung.purpose.other()].into_iter().flatten();
    let mute = ends.find_map(|at| {
        case.intent.instances.get(at).filter(|instance| !instance.entered && !has_spoken(at))
    })?;
    Some(Gap {
        what: format!("whether {} reaches {} over IPv6", rung.from, rung.to),
        why: format!("nobody is answered by {} over IPv6, which it may have given up", mute.name),
        would_need: "`ip -6 address` inside it, or `at` in the site file".to_owned(),
    })
}

fn unanswered(instance: &Instance, asker: &str, why: String) -> Gap {
    Gap {
        what: format!("whether {} answers pings of {asker} for real", instance.name),
        why,
        would_need: "a look at the guest's own firewall; `--symptom ping` where it is meant to answer"
            .to_owned(),
    }
}

fn is_from_outside(rung: &Rung) -> bool {
    matches!(rung.purpose, Purpose::Inbound(_))
}

/// Whoever asks from the outside for ssh is answered, and so the way is whole there and back.
fn answers_ssh(asking: &Asking) -> bool {
    let Asking { rung, answered, .. } = *asking;
    let is_it = |other: &&Rung| {
        other.instance == rung.instance && other.from == rung.from && matches!(other.purpose, Purpose::Ssh(_))
    };
    answered.iter().any(|other| is_it(&other))
}

/// The instance's NIC on its host where the question was seen to come to it, and the instance asked nobody in vain whom
/// to answer to.
fn at_its_nic(asking: &Asking, instance: &Instance) -> Option<Place> {
    let Asking { case, rung, .. } = *asking;
    let before = &watched::parted(case, rung)?.before?.at;
    let is_its = |device: &String| instance.vifs.iter().any(|vif| vif.device.as_ref() == Some(device));
    let is_here = before.host == instance.host && is_its(&before.device);
    let asked = case.watches.iter().filter(|watch| !watch.is_recorded).flat_map(|watch| &watch.neighbours);
    let mut own = asked.filter(|seen| instance.fixed().any(|own| seen.asker == own));
    let is_lost = own.any(|seen| seen.questions > 0 && seen.answers == 0);
    (is_here && !is_lost).then(|| before.clone())
}

/// The walk lets it be answered, and nobody said anything.
fn is_silence(rung: &Rung, probe: &ProbeResult) -> bool {
    let is_told = !probe.errors.is_empty() || probe.send_error.is_some();
    probe.received == 0 && !is_told && rung.answer.answered
}

/// Something tells that the ping died before it came to the guest, or its answer behind it.
fn is_lost_before(asking: &Asking) -> bool {
    let Asking { case, rung, probe, .. } = *asking;
    let is_of_guest = |host: &str| case.snapshot.netns.iter().any(|ns| ns.instance && ns.machine == host);
    let is_dropped = dropped::telling(case, rung, probe).is_some_and(|told| !is_of_guest(&told.at.host));
    is_dropped || is_seen_lost(asking) || proved::traced_drop(case.rules, rung.to).is_some()
}

/// The same of what devices on its way saw of it.
fn is_seen_lost(asking: &Asking) -> bool {
    let Asking { case, rung, .. } = *asking;
    match watched::parted(case, rung) {
        None => false,
        Some(Parted { direction: Direction::Reply, before: Some(before), .. }) => {
            let there = rung.answer.paths.iter().filter(|path| path.direction == Direction::Request);
            !there.flat_map(|path| &path.hops).any(|hop| std::ptr::eq(hop, before))
        }
        Some(_) => true,
    }
}

/// The instance answers for one of its addresses itself; `None` where nobody asked for them.
pub(crate) fn is_there(holders: &[Holders], instance: &Instance) -> Option<bool> {
    let is_own = |mac| instance.vifs.iter().any(|vif| vif.mac == Some(mac));
    let is_of_it = |held: &&Holders| !held.is_own && instance.fixed().any(|own| held.address == own);
    let mut asked = holders.iter().filter(is_of_it).peekable();
    asked.peek()?;
    Some(asked.flat_map(|held| &held.stations).any(|station| is_own(station.mac)))
}

/// A group of the instance's lets its gateway ping it; `None` where no groups are known, or it depends on who is in
/// them.
fn lets_in(networks: &[model::intent::Network], instance: &Instance) -> Option<bool> {
    let network = instance.vifs.iter().find_map(|vif| networks.get(vif.network?))?;
    let gateway = network.gateway_on(&instance.host)?.into();
    let rules = instance.security_groups.iter().flat_map(|group| &group.rules);
    let said: Vec<Option<bool>> = rules.map(|rule| rule.allows(ICMP, None, gateway)).collect();
    let is_known = !instance.security_groups.is_empty() && said.iter().all(Option::is_some);
    is_known.then(|| said.contains(&Some(true)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Cloud, codes, connected, healthy, held, pinged, watch};
    use model::Mac;
    use model::probe::{FrameSeen, NeighbourSeen, PING_OCTETS};

    /// A cloud whose web2 is closed and answers no ping of its host.
    fn silent() -> Cloud {
        let mut cloud = healthy();
        cloud.close("web2");
        let to = [10, 0, 2, 25].into();
        cloud.probes = vec![ProbeResult { to, ..pinged("compute1", PING_OCTETS, 0) }];
        cloud
    }

    fn mac(cloud: &Cloud, instance: &str) -> Mac {
        let mut instances = cloud.intent.instances.iter();
        instances.find(|one| one.name == instance).and_then(|one| one.vifs[0].mac).unwrap()
    }

    /// What is found, and whether the silence is told as unknown.
    fn told(cloud: &Cloud) -> (Vec<String>, bool) {
        let found = cloud.diagnose("web2");
        let gaps = &found.coverage.gaps;
        (codes(&found), gaps.iter().any(|gap| gap.what == "whether web2 answers pings of compute1 for real"))
    }

    #[test]
    fn a_guest_that_is_there_may_refuse_pings() {
        let mut cloud = silent();
        let silence = told(&cloud);
        assert!(silence.0.len() == 1 && silence.0[0].starts_with("lost-at-hop"), "{silence:?}");
        let answer = |macs: &[Mac]| vec![held("br100", "10.0.2.25", macs, false)];
        cloud.holders = answer(&[mac(&cloud, "web2")]);
        assert_eq!(told(&cloud), (Vec::new(), true));
        // Who complains of pings is told where they die.
        assert_eq!(codes(&cloud.diagnose_for("web2", Symptom::Ping)), silence.0);
        cloud.holders = answer(&[]);
        assert_eq!(told(&cloud), (vec!["lost-at-hop web2//".to_owned()], false), "it is not there");
    }

    #[test]
    fn a_guest_whose_groups_let_no_ping_in_may_refuse_it_too() {
        let mut cloud = silent();
        let web2 = cloud.intent.instances.iter_mut().find(|one| one.name == "web2").unwrap();
        for group in &mut web2.security_groups {
            group.rules.retain(|rule| rule.protocol.as_deref() != Some("icmp"));
        }
        // nova lets in all that comes from the instance's own network.
        let (found, is_told) = told(&cloud);
        assert!(is_told && !found.iter().any(|code| code.starts_with("lost-at-hop")), "{found:?}");
    }

    /// web1 pings web2, whose NIC has seen it, and who has asked for an address so.
    fn by_a_neighbour(asked: (&str, u32, u32)) -> Vec<String> {
        let mut cloud = silent();
        let (asker, to) = ("web1".to_owned(), [10, 0, 2, 25].into());
        cloud.probes = vec![ProbeResult { to, ..pinged(&asker, PING_OCTETS, 0) }];
        let frame = FrameSeen { station: mac(&cloud, "web2"), destination: to, is_answer: false };
        let mut tap = watch("vnet1", (asker, to), frame);
        let (address, questions, answers) = asked;
        tap.neighbours =
            vec![NeighbourSeen { asker: to, asked: address.parse().unwrap(), questions, answers }];
        cloud.watches = vec![tap];
        codes(&cloud.diagnose("web1"))
    }

    #[test]
    fn a_neighbour_that_hears_pings_and_answers_none_is_no_fault_of_who_asks() {
        assert_eq!(by_a_neighbour(("10.0.2.24", 1, 1)), [""; 0]);
        // Whoever does not learn whom to answer to would answer.
        assert_ne!(by_a_neighbour(("10.0.2.24", 3, 0)), [""; 0]);
    }

    #[test]
    fn who_answers_ssh_may_refuse_pings_where_ssh_is_complained_of() {
        let mut cloud = healthy();
        cloud.close("web1");
        let float = [203, 0, 113, 30];
        let ping = ProbeResult { to: float.into(), ..pinged("external", PING_OCTETS, 0) };
        cloud.probes = vec![ping.clone(), connected("external", float.into(), 22, true)];
        assert_eq!(codes(&cloud.diagnose_for("web1", Symptom::Ssh)), [""; 0]);
        cloud.probes = vec![ping, connected("external", float.into(), 22, false)];
        assert_ne!(codes(&cloud.diagnose_for("web1", Symptom::Ssh)), [""; 0]);
    }
}
