//! What was asked beside a silent question to learn more of its way: which machines beyond the site it passes, as they
//! said themselves, the last of which is the nearest to where it dies; and of a large packet, how large it may be.

use model::finding::{Evidence, EvidenceKind, Finding};
use model::kernel_drop::KernelDrop;
use model::path::{Direction, Disposition};
use model::probe::{SideEcho, SizesTried, Traced, TracedHop};

use crate::diagnose::Case;
use crate::ladder::{Purpose, Rung};
use crate::ranking::Ranked;
use crate::{dropped, said};

/// Of these the machines beyond the site are asked, where they are silent: the way out, and the way in from outside.
pub fn is_traced(purpose: Purpose) -> bool {
    matches!(purpose, Purpose::Outside | Purpose::Inbound(_))
}

/// What was said on the way, and by the kernel of what nobody answered of it; nothing where nobody was asked.
pub(crate) fn evidence(case: &Case, rung: &Rung) -> Vec<Evidence> {
    let traced = case.traces.iter().find(|traced| traced.to == rung.to);
    let Some(traced) = traced.filter(|_| is_traced(rung.purpose)) else { return Vec::new() };
    let own = Evidence {
        kind: EvidenceKind::Probe,
        source: format!("traceroute -n -I -m {} {} on {}", traced.ttl_max, traced.to, traced.from),
        text: text(traced),
    };
    let sides = case.sides.iter().filter(|side| side.ttl.is_some() && side.came.to == rung.to);
    std::iter::once(own).chain(dropped(sides, "traceroute")).collect()
}

/// Where and why the kernel dropped these echoes: those of one place and reason as one.
fn dropped<'c>(sides: impl Iterator<Item = &'c SideEcho>, of: &str) -> Vec<Evidence> {
    let mut all: Vec<KernelDrop> = Vec::new();
    for drop in sides.flat_map(|side| &side.drops) {
        let is_same = |known: &&mut KernelDrop| {
            (&known.owner, &known.device, &known.reason, &known.function, known.direction)
                == (&drop.owner, &drop.device, &drop.reason, &drop.function, drop.direction)
        };
        match all.iter_mut().find(is_same) {
            Some(known) => known.count += drop.count,
            None => all.push(drop.clone()),
        }
    }
    let said = all.iter().filter(|drop| !dropped::is_noise(drop)).map(dropped::evidence);
    said.map(|said| Evidence { text: format!("of {of} {}", said.text), ..said }).collect()
}

/// Findings that are about how large packets may be.
const ABOUT_SIZE: [&str; 2] = ["pmtu-blackhole", "mtu-tap-small"];

/// Adds to what was found about large packets which sizes live.
pub(crate) fn attach(case: &Case, rungs: &[Rung], findings: &mut [Ranked]) {
    for rung in rungs {
        let is_about = |finding: &Finding| {
            ABOUT_SIZE.contains(&finding.code.as_str()) && finding.instances.contains(&rung.from)
        };
        let about = findings.iter_mut().map(|known| &mut known.finding).filter(|finding| is_about(finding));
        about.for_each(|finding| {
            finding.evidence.extend(sizes(case, rung));
            finding.evidence.extend(too_large(case, rung));
        });
    }
}

/// Which sizes live on a large packet's way; `None` where nobody tried them.
fn sizes(case: &Case, rung: &Rung) -> Option<Evidence> {
    let SizesTried { from, to, lives, dies, said } =
        case.sizes.iter().find(|tried| tried.to == rung.to && matches!(rung.purpose, Purpose::Large(_)))?;
    let is_refused = case.sides.iter().any(|side| {
        (side.came.to, side.came.asked.octets()) == (*to, *dies) && side.came.send_error.is_some()
    });
    let told = match said {
        Some((who, Some(mtu))) => format!("{who} says that {mtu} may pass"),
        Some((who, None)) => format!("{who} says that it is too large"),
        None if is_refused => "the link that they would leave by takes none".to_owned(),
        None => "nobody says why".to_owned(),
    };
    let text = match dies {
        Some(dies) => format!("{lives} octets live and {dies} die, of which {told}"),
        None if *from == rung.from => format!("{lives} octets live"),
        None => {
            format!("{lives} octets live from here on: larger ones than pass die before {from} sends them on")
        }
    };
    let source = format!("ping -M do -s {} {to} on {from}", lives.saturating_sub(said::HEADERS_OCTETS));
    Some(Evidence { kind: EvidenceKind::Probe, source, text })
}

/// What the kernel said of the smallest size that dies.
fn too_large(case: &Case, rung: &Rung) -> Vec<Evidence> {
    let Purpose::Large(_) = rung.purpose else { return Vec::new() };
    let dies = case.sizes.iter().find(|tried| tried.to == rung.to).and_then(|tried| tried.dies);
    let Some(dies) = dies else { return Vec::new() };
    let is_it = |side: &&SideEcho| {
        side.ttl.is_none() && side.came.to == rung.to && side.came.asked.octets() == Some(dies)
    };
    dropped(case.sides.iter().filter(is_it), &format!("that of {dies} octets"))
}

/// The last machine that passed it on, to follow "behind". Only whoever asked along the question's own way tells it,
/// and only where those behind were asked as well.
pub(crate) fn last(case: &Case, rung: &Rung) -> Option<String> {
    let is_of_it = |traced: &&Traced| {
        traced.to == rung.to && (traced.from == rung.from || Some(traced.from.as_str()) == leaves_by(rung))
    };
    let traced = case.traces.iter().find(is_of_it).filter(|_| is_traced(rung.purpose))?;
    let last = traced.hops.last().filter(|last| last.said.is_none() && last.ttl < traced.ttl_max)?;
    Some(format!("{}, its hop {}", last.router, last.ttl))
}

/// The last machine of the site on a question's way out of it; `None` where it is not known to leave.
pub fn leaves_by(rung: &Rung) -> Option<&str> {
    let mut there = rung.answer.paths.iter().filter(|path| path.direction == Direction::Request);
    let leaving = there.find(|path| path.disposition == Disposition::LeftSite)?;
    leaving.hops.last().map(|hop| hop.at.host.as_str())
}

fn text(traced: &Traced) -> String {
    let hop = |hop: &TracedHop| {
        let quoted = hop.quoted.map_or_else(String::new, |(from, to)| format!(" (has it as {from} > {to})"));
        let said = hop.said.as_ref().map_or_else(String::new, |said| format!(" says {said}"));
        format!("{} {}{quoted}{said}", hop.ttl, hop.router)
    };
    let hops: Vec<String> = traced.hops.iter().map(hop).collect();
    match traced.hops.last() {
        None => format!("nobody says anything up to hop {}", traced.ttl_max),
        Some(last) if last.said.is_some() => hops.join(", "),
        Some(last) if last.ttl >= traced.ttl_max => {
            format!("{}; asked no further than hop {}", hops.join(", "), traced.ttl_max)
        }
        Some(_) => format!("{}, and behind it nobody says anything", hops.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::fixture::healthy;
    use crate::ladder::{self, Symptom};
    use sim::World;

    fn traced(from: &str, ttls: std::ops::RangeInclusive<u8>) -> Traced {
        let hop = |ttl| TracedHop { ttl, router: [192, 0, 2, ttl].into(), quoted: None, said: None };
        let to: IpAddr = [1, 2, 3, 4].into();
        Traced { from: from.to_owned(), to, ttl_max: 10, hops: ttls.map(hop).collect() }
    }

    #[test]
    fn where_asking_ended_is_no_end_of_the_way() {
        let [short, whole] = [traced("web1", 1..=3), traced("web1", 1..=10)];
        assert!(
            text(&short).ends_with("3 192.0.2.3, and behind it nobody says anything"),
            "{}",
            text(&short)
        );
        assert!(text(&whole).ends_with("10 192.0.2.10; asked no further than hop 10"), "{}", text(&whole));
    }

    #[test]
    fn the_last_to_pass_it_on_is_told_by_who_asks_along_its_way() {
        let mut cloud = healthy();
        // The site is compute1 alone: what lies behind is not of it.
        cloud.snapshot.hosts.retain(|host| host.name == "compute1");
        cloud.snapshot.netns.retain(|ns| ns.instance || ns.machine == "compute1");
        let world = World::new(&cloud.snapshot, &cloud.intent);
        let to = Some([1, 2, 3, 4].into());
        let rungs = ladder::climb(&world, 0, to, Symptom::Ping);
        let rung = rungs.iter().find(|rung| rung.purpose == Purpose::Outside).unwrap();
        assert!(rung.answer.paths.iter().any(|path| path.direction == Direction::Request));
        assert_eq!(leaves_by(rung), Some("compute1"));
        let told = |traces: &[Traced]| last(&Case { traces, ..cloud.case() }, rung);
        let third = Some("192.0.2.3, its hop 3".to_owned());
        assert_eq!(told(&[traced("web1", 1..=3)]), third);
        assert_eq!(told(&[traced("compute1", 1..=3)]), third);
        assert_eq!(told(&[traced("compute2", 1..=3)]), None, "it goes by another way");
        assert_eq!(told(&[traced("web1", 1..=10)]), None, "hop 11 was not asked");
    }
}
