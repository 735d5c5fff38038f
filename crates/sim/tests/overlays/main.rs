//! Overlays, the walk against the kernel: two hosts whose bridges are joined by VXLAN, each world with something right
//! or wrong, are read as hopline reads a site; then each machine pings, and must be answered where the walk says
//! so. Needs root.
//!
//! ```text
//! g 10.0.0.11 - tap1 br1 - vx0 | h eth0 203.0.113.1 --- 203.0.113.2 eth0 k | vx0 - br1 tap1 - f 10.0.0.12
//! ```

#![expect(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod lab;
#[path = "../support/mod.rs"]
mod support;
mod worlds;

use std::collections::BTreeMap;

use model::Snapshot;
use sim::Protocol;

use lab::Lab;
use support::said::{self, Said};
use worlds::{PROBES, Probe, WORLDS};

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
    said::ask(snapshot, from, to, Protocol::WholeIcmp(*octets))
}
