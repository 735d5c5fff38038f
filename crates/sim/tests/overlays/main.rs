//! Overlays, the walk against the kernel: two hosts whose bridges are joined by VXLAN, each world with something right
//! or wrong, are read as hopline reads a site; then each machine pings, and must be answered where the walk says
//! so. Needs root.
//!
//! ```text
//! g 10.0.0.11 - tap1 br1 - vx0 | h eth0 203.0.113.1 --- 203.0.113.2 eth0 k | vx0 - br1 tap1 - f 10.0.0.12
//! ```

#![expect(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod lab;
mod worlds;

use std::collections::BTreeMap;
use std::net::IpAddr;

use model::path::Disposition;
use model::{Intent, Snapshot};
use sim::{Endpoint, Question, World};

use lab::Lab;
use worlds::{PROBES, Probe, WORLDS};

/// What the walk says of a ping, and how it tells it.
struct Said {
    /// `None` where it does not know.
    answered: Option<bool>,
    told: String,
}

#[test]
fn pings_fare_in_every_overlay_as_the_walk_says() {
    let mut failures = Vec::new();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for world in WORLDS {
        let lab = Lab::build(world);
        for probe in PROBES {
            // Each ping teaches bridges and neighbour tables: the next is asked of what was read after it.
            let said = ask(&lab.read(), probe);
            let seen = lab.ping(probe, said.answered == Some(true));
            let outcome = match said.answered {
                None => "unknown",
                Some(said) if said == seen && said => "answered",
                Some(said) if said == seen => "lost",
                Some(_) => {
                    failures.push(format!("{}: {probe:?}: seen {seen}\n{}", world.name, said.told));
                    "otherwise"
                }
            };
            *counts.entry(outcome).or_default() += 1;
            if outcome == "unknown" && !world.unknown {
                failures.push(format!("{}: {probe:?}: {outcome}\n{}", world.name, said.told));
            }
            // What is too large is lost before it.
            if let Some(died_at) = world.died_at.filter(|_| outcome == "lost" && probe.2 <= 1450)
                && !said.told.contains(died_at)
            {
                failures.push(format!("{}: {probe:?}: not {died_at}\n{}", world.name, said.told));
            }
        }
    }
    println!("{} worlds: {counts:?}", WORLDS.len());
    assert!(failures.is_empty(), "{} fared otherwise:\n{}", failures.len(), failures.join("\n\n"));
    let of = |outcome: &str| counts.get(outcome).copied().unwrap_or(0);
    assert!(of("answered") > 15 && of("lost") > 30 && of("unknown") > 2, "{counts:?}");
}

fn ask(snapshot: &Snapshot, (from, to, octets): &Probe) -> Said {
    let intent = Intent::default();
    let world = World::new(snapshot, &intent);
    let from = Endpoint::Machine(world.main_ns(from).expect("it was read"));
    let to: IpAddr = to.parse().unwrap();
    let protocol = sim::Protocol::WholeIcmp(*octets);
    let answer = sim::ask(&world, &Question { from, to, protocol, reply: true });
    let unknown = answer.paths.iter().any(|path| match path.disposition {
        Disposition::Unknown { .. } => true,
        Disposition::Delivered { .. } | Disposition::Dropped(_) | Disposition::LeftSite => false,
    });
    let hop = |hop: &model::path::Hop| format!("  {} {:?}: {}", hop.at, hop.at.stage, hop.detail);
    let told = answer.paths.iter().flat_map(|path| {
        let title = format!(" {:?} {:?}: {:?}", path.exchange, path.direction, path.disposition);
        std::iter::once(title).chain(path.hops.iter().map(hop))
    });
    let told = told.collect::<Vec<_>>().join("\n");
    Said { answered: (!unknown).then_some(answer.answered), told }
}
