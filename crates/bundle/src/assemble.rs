//! One site out of machines that were read at different times and places.

use std::collections::BTreeMap;

use collect::Machine;
use model::Snapshot;
use model::snapshot::Gap;
use serde::{Deserialize, Serialize};

/// A machine of a site, wherever its facts are from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name in the site.
    pub name: String,
    /// It is the inside of an instance.
    pub inside: bool,
    /// Its place in the site, counted from 0.
    pub position: usize,
    /// The running kernel that it was read under: its namespaces' numbers mean nothing beside another's.
    pub boot_id: String,
    /// When it was read, in Unix seconds.
    pub taken_at: u64,
    /// What was read.
    pub outcome: Result<Machine, Missing>,
}

/// Why a machine's facts are not there, and what would bring them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Missing {
    /// Why.
    pub why: String,
    /// The one thing that would settle it.
    pub would_need: String,
}

/// A site's facts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Assembled {
    /// Everything that is known of its machines.
    pub snapshot: Snapshot,
    /// Machines of which nothing is, and why; each is a gap of the snapshot too.
    pub missing: Vec<(String, String)>,
}

/// Machines read further apart than this, in seconds, may contradict each other.
const APART_MAX: u64 = 300;

/// Puts the hosts first and the insides of instances behind them, each in the site's order, as a site that is read at
/// once has them.
pub fn assemble(mut members: Vec<Member>) -> Assembled {
    members.sort_by_key(|member| (member.inside, member.position));
    let mut out = Assembled::default();
    let times = || members.iter().filter(|member| member.outcome.is_ok()).map(|member| member.taken_at);
    let (first, last) = (times().min().unwrap_or_default(), times().max().unwrap_or_default());
    out.snapshot.taken_at = last;
    let own = members.first().map(|member| member.boot_id.clone()).unwrap_or_default();
    let mut numbers = Numbers::default();
    let mut gone = Vec::new();
    for Member { name, boot_id, outcome, .. } in members {
        match outcome {
            Ok(mut machine) => {
                if boot_id != own {
                    numbers.renumber(&boot_id, &mut machine);
                }
                collect::add(&mut out.snapshot, machine);
            }
            Err(missing) => gone.push((name, missing)),
        }
    }
    for (name, Missing { why, would_need }) in gone {
        let what = format!("everything of {name}");
        out.snapshot.gaps.push(Gap { what, why: why.clone(), would_need });
        out.missing.push((name, why));
    }
    if last - first > APART_MAX {
        out.snapshot.gaps.push(Gap {
            what: "the site at one moment".to_owned(),
            why: format!("its machines were read up to {} minutes apart", (last - first) / 60),
            would_need: "bundles of all hosts, made at the same time".to_owned(),
        });
    }
    out
}

/// New numbers for namespaces of other kernels. The kernel's own are above 2^32 - 2^28 (`PROC_DYNAMIC_FIRST`,
/// fs/proc/generic.c), so small ones are free.
#[derive(Default)]
struct Numbers {
    given: BTreeMap<(String, u64), u64>,
}

impl Numbers {
    fn renumber(&mut self, boot_id: &str, machine: &mut Machine) {
        let links = machine.netns.links.iter_mut().filter_map(|link| link.peer.as_mut());
        let mut numbers: Vec<&mut u64> = links.filter_map(|peer| peer.netns.as_mut()).collect();
        numbers.extend(machine.netns.inode.as_mut());
        if let Some(host) = &mut machine.host {
            numbers.extend(host.processes.iter_mut().filter_map(|process| process.netns.as_mut()));
            numbers.extend(host.dnsmasq.iter_mut().filter_map(|server| server.netns.as_mut()));
        }
        for number in numbers {
            let next = self.given.len() as u64 + 1;
            *number = *self.given.entry((boot_id.to_owned(), *number)).or_insert(next);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Netns;
    use model::link::{Link, Peer};
    use model::snapshot::Host;

    fn member(name: &str, inside: bool, position: usize, boot_id: &str) -> Member {
        let peer = Some(Peer { index: 2, netns: Some(4_026_531_841) });
        let netns = Netns {
            machine: name.to_owned(),
            inode: Some(4_026_531_840),
            links: vec![Link { peer, ..Link::default() }],
            ..Netns::default()
        };
        let host = (!inside).then(|| Host { name: name.to_owned(), ..Host::default() });
        let outcome = Ok(Machine { netns, host, gaps: Vec::new() });
        let boot_id = boot_id.to_owned();
        Member { name: name.to_owned(), inside, position, boot_id, taken_at: 1_000, outcome }
    }

    #[test]
    fn hosts_come_first_in_the_sites_order() {
        let members =
            vec![member("web2", true, 3, "a"), member("b", false, 1, "a"), member("a", false, 0, "a")];
        let site = assemble(members);
        let names: Vec<&str> = site.snapshot.netns.iter().map(|ns| ns.machine.as_str()).collect();
        assert_eq!(names, ["a", "b", "web2"]);
        assert_eq!((site.snapshot.hosts.len(), site.snapshot.gaps.len()), (2, 0));
    }

    #[test]
    fn namespaces_of_other_kernels_get_numbers_of_their_own() {
        let members = vec![member("a", false, 0, "x"), member("b", false, 1, "y"), member("c", true, 2, "y")];
        let site = assemble(members);
        let [a, b, c] = site.snapshot.netns.as_slice() else { panic!("three") };
        assert_eq!(a.inode, Some(4_026_531_840));
        assert_ne!(b.inode, a.inode);
        assert_eq!(b.inode, c.inode, "of one kernel");
        let peer = |ns: &Netns| ns.links[0].peer.and_then(|peer| peer.netns);
        assert_eq!(peer(b), peer(c));
        assert!(peer(b) != b.inode && peer(b) != peer(a));
    }

    #[test]
    fn what_is_missing_or_read_at_another_time_is_told() {
        let late = Member { taken_at: 1_000 + 20 * 60, ..member("b", false, 1, "a") };
        let missing = Missing { why: "not there".to_owned(), would_need: "it".to_owned() };
        let gone = Member { outcome: Err(missing), taken_at: 0, ..member("c", false, 2, "a") };
        let site = assemble(vec![gone, member("a", false, 0, "a"), late]);
        assert_eq!(site.missing, [("c".to_owned(), "not there".to_owned())]);
        let gaps: Vec<&str> = site.snapshot.gaps.iter().map(|gap| gap.what.as_str()).collect();
        assert_eq!(gaps, ["everything of c", "the site at one moment"]);
        assert!(site.snapshot.gaps[1].why.contains("20 minutes"), "{:?}", site.snapshot.gaps);
    }
}
