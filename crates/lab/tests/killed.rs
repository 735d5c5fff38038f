//! kill -9 at any point of up, break, heal and down: `heal` and `down` still bring everything back.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use support::{TestLab, assert_gone, eventually, example, machine, ping, state};

/// The same delays in each run; another seed finds other moments.
const SEED: u64 = 0x5eed_1ab0;

/// xorshift64 (Marsaglia 2003): enough to pick moments.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: Duration) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        Duration::from_micros(self.0 % u64::try_from(bound.as_micros()).unwrap())
    }
}

/// Runs the example and kills it after a moment; whether it was still running then.
fn run_and_kill(args: &[&str], after: Duration) -> bool {
    let mut child =
        Command::new(example()).args(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let moment = Instant::now() + after;
    while Instant::now() < moment {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap().code().is_none()
}

fn down(name: &str) {
    let state = lab::open(name, None).map_or_else(|_| format!("/run/hopline/{name}").into(), |l| l.state);
    lab::down(name, None).unwrap();
    assert_gone(name, &state);
}

#[test]
fn a_killed_up_is_removed_by_down() {
    let name = "ht-lab-kup";
    let before = machine();
    let mut random = Random(SEED);
    let mut killed = 0;
    for _ in 0..30 {
        killed +=
            usize::from(run_and_kill(&["up", "--name", name], random.below(Duration::from_millis(500))));
        down(name);
    }
    assert!(killed > 10, "seed {SEED:#x}: only {killed} of 30 were killed in time");
    assert_eq!(machine(), before, "seed {SEED:#x}");
    let lab = TestLab::up(name);
    assert!(ping(&lab.ns("web1"), "1.2.3.4").0);
}

#[test]
fn a_killed_down_is_finished_by_down() {
    let name = "ht-lab-kdown";
    let mut random = Random(SEED);
    for _ in 0..8 {
        let lab = TestLab::up(name);
        run_and_kill(&["down", "--name", name], random.below(Duration::from_millis(60)));
        let state = lab.0.state.clone();
        drop(lab);
        assert_gone(name, &state);
    }
}

#[test]
fn a_killed_break_or_heal_is_healed() {
    let name = "ht-lab-kheal";
    let lab = TestLab::up(name);
    let healthy = state(&lab.0);
    let mut random = Random(SEED);
    for fault in lab::faults_of(&lab.0.shape) {
        let code = fault.code;
        run_and_kill(&["break", code, "--name", name], random.below(Duration::from_millis(40)));
        run_and_kill(&["heal", "--name", name], random.below(Duration::from_millis(40)));
        lab::heal(&lab.0, None).unwrap_or_else(|e| panic!("seed {SEED:#x}, {code}: {e:?}"));
        eventually(&format!("the healthy state after {code}, seed {SEED:#x}"), || state(&lab.0) == healthy);
        assert!(ping(&lab.ns("web1"), "1.2.3.4").0, "{code}");
    }
}
