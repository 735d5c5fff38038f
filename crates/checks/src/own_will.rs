//! A guest's own will. The host that serves an instance pings it where nobody can ask inside, and its own firewall may
//! drop that, as Windows' does by default: nothing that it needs is lost.

use model::intent::Instance;
use model::path::Direction;
use model::probe::{Holders, ProbeResult};
use model::snapshot::Gap;

use crate::contradiction::Asking;
use crate::ladder::{Purpose, Rung, Symptom};
use crate::watched::{self, Parted};
use crate::way_out::Telling;
use crate::{dropped, proved};

/// ICMP's number.
const ICMP: u8 = 1;

/// What the silence of a guest to its host's pings says; `None` where it is no such silence. Where pings are complained
/// of, it is what was looked for.
pub(crate) fn tells(asking: &Asking, symptom: Symptom) -> Option<Telling> {
    let Asking { case, rung, probe, .. } = *asking;
    let is_served = matches!(rung.purpose, Purpose::Served | Purpose::Served6(_));
    if !is_served || symptom == Symptom::Ping || !is_silence(rung, probe) || is_lost_before(asking) {
        return None;
    }
    let instance = case.intent.instances.get(rung.instance)?;
    // Of one that can be looked into the walk knows what its own rules mean.
    if instance.entered {
        return None;
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
    Some(Telling::Unknown(Gap {
        what: format!("whether {} answers pings of {} for real", instance.name, rung.from),
        why,
        would_need: "a look at the guest's own firewall; `--symptom ping` where it is meant to answer"
            .to_owned(),
    }))
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
    let is_on_its_way = match watched::parted(case, rung) {
        None => false,
        Some(Parted { direction: Direction::Reply, before: Some(before), .. }) => {
            let there = rung.answer.paths.iter().filter(|path| path.direction == Direction::Request);
            !there.flat_map(|path| &path.hops).any(|hop| std::ptr::eq(hop, before))
        }
        Some(_) => true,
    };
    is_dropped || is_on_its_way || proved::traced_drop(case.rules, rung.to).is_some()
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
    use crate::fixture::{Cloud, codes, healthy, held, pinged};
    use model::Mac;
    use model::probe::PING_OCTETS;

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
}
