//! The published score holds: of what docs/score.json calls right, a part is tried again. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use score::{Case, Hopline, Means, Record, Runner, Shape, Trial};

/// Which part is tried: always the same, so that what fails has been broken by the change at hand. `make score` draws
/// another every time, and so does who sets `HOPLINE_SCORE_SEED`.
const SEED: u64 = 7;

/// Of each kind, as many as take a minute together.
const SINGLES: usize = 12;
const PAIRS: usize = 4;
const HEALTHY: usize = 3;

#[test]
fn what_the_published_score_calls_right_is_right_still() {
    let record = Record::parse(include_str!("../../../docs/score.json")).expect("docs/score.json");
    let seed = match std::env::var("HOPLINE_SCORE_SEED") {
        Ok(seed) => seed.parse().expect("a number"),
        Err(_) => SEED,
    };
    let repeat = format!("HOPLINE_SCORE_SEED={seed} tries the same");
    let known = |mut trials: Vec<Trial>, count| {
        trials.retain(|trial| !record.cases_of(&trial.name()).is_empty());
        Trial::sample(trials, seed, count)
    };
    let pairs = record.seeds.iter().flat_map(|seed| Trial::pairs(Shape::OneHost, *seed, 200)).collect();
    let mut healthy = Trial::healthy();
    // A virtual machine boots for longer than all the rest takes, and e2e_machines and e2e_vlan have theirs.
    healthy.retain(|trial| !trial.lab().iter().any(|word| ["qemu", "vlan"].contains(word)));
    let shapes = [Shape::OneHost, Shape::TwoHosts, Shape::NetworkHost];
    let trials =
        [known(Trial::singles(&shapes), SINGLES), known(pairs, PAIRS), known(healthy, HEALTHY)].concat();
    assert!(trials.len() > SINGLES, "{} trials, {repeat}", trials.len());

    let wrong = Mutex::new(Vec::new());
    let stop = AtomicBool::new(false);
    let runner = Runner {
        hopline: Hopline { program: PathBuf::from(env!("CARGO_BIN_EXE_hopline")) },
        prefix: format!("ht-sc{}-", std::process::id()),
        labs: 2,
        means: Means { bundles: None },
        stop: &stop,
    };
    runner.run(trials, &|trial, tried| {
        let mut wrong = wrong.lock().unwrap();
        match tried {
            Err(error) => wrong.push(format!("{}: {error}", trial.name())),
            Ok(cases) => {
                let was_right = |case: &&Case| {
                    record.cases.iter().any(|recorded| recorded.name == case.name && recorded.right)
                };
                let worse = cases.iter().filter(|case| !case.right).filter(was_right);
                wrong.extend(worse.map(|case| {
                    format!("{}: {:?} in, {:?} {:?}", case.name, case.made, case.outcome, case.told)
                }));
            }
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "docs/score.json says right ({repeat}):\n{}", wrong.join("\n"));
}
