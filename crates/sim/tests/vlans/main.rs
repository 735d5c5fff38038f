//! VLANs, the walk against the kernel: small worlds of real namespaces, each with something of VLANs right or
//! wrong, are read as hopline reads a site; then each machine pings, and must be answered where the walk says
//! so. Needs root.
//!
//! ```text
//! g eth0 10.0.0.11 - tap1 br1 - vlan100 - trunk0 h --- p1 sw br0 p2 --- trunk0 k - vlan100 10.0.0.2
//!                                         10.7.0.1                      10.7.0.2
//! ```

#![expect(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod lab;
#[path = "../support/mod.rs"]
mod support;
mod worlds;

use std::collections::BTreeMap;
use std::net::IpAddr;

use model::Snapshot;
use sim::Protocol;

use lab::{Lab, ROLES};
use support::said::{self, Said};
use vm::{Feature, KernelWith};
use worlds::{PROBES, Probe, WORLDS};

static VLANS: KernelWith = KernelWith::new(&[Feature::Vlan, Feature::NoOthers], &[]);

#[test]
fn with_vlans_pings_fare_in_every_world_as_the_walk_says() {
    VLANS.run(|| {
        let mut failures = Vec::new();
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for world in WORLDS {
            let lab = Lab::build(world);
            let snapshot = lab.read();
            let said: Vec<(Probe, Said)> =
                PROBES.iter().chain(world.probes).map(|probe| (*probe, ask(&snapshot, probe))).collect();
            let probes: Vec<(Probe, bool)> =
                said.iter().map(|(probe, said)| (*probe, said.answered == Some(true))).collect();
            for ((probe, said), seen) in said.iter().zip(lab.pings(&probes)) {
                let outcome = match said.answered {
                    None => "unknown",
                    Some(said) if said == seen => {
                        if said {
                            "answered"
                        } else {
                            "lost"
                        }
                    }
                    Some(_) => {
                        let (from, to) = probe;
                        failures.push(format!("{}: {from} > {to}: seen {seen}\n{}", world.name, said.told));
                        "otherwise"
                    }
                };
                *counts.entry(outcome).or_default() += 1;
            }
        }
        println!("{} worlds: {counts:?}", WORLDS.len());
        assert!(failures.is_empty(), "{} fared otherwise:\n{}", failures.len(), failures.join("\n\n"));
        let of = |outcome: &str| counts.get(outcome).copied().unwrap_or(0);
        assert!(of("answered") > 30 && of("lost") > 30, "{counts:?}");
        // Four of them are of the bond that spreads over what differs.
        assert!(of("unknown") <= 8, "the walk knows VLANs: {counts:?}");
    });
}

fn ask(snapshot: &Snapshot, (from, to): &Probe) -> Said {
    said::ask(snapshot, from, to, Protocol::Icmp)
}

/// Every probe names machines that are there.
#[test]
fn probes_are_of_the_worlds_machines() {
    let probes = WORLDS.iter().flat_map(|world| world.probes).chain(PROBES);
    for (from, to) in probes {
        assert!(
            ROLES.iter().any(|role| role.name() == *from) && to.parse::<IpAddr>().is_ok(),
            "{from} > {to}"
        );
    }
}
