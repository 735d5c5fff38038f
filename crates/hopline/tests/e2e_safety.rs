//! hopline leaves the machine as it found it: after a whole life of a lab, and after `kill -9` at any moment
//! of it. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli_support;
mod support;

use std::process::Stdio;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use cli_support::{Run, assert_refused, command};
use support::machine::{left_of, own_namespace};
use support::report::list;
use support::test_lab::TestLab;
use support::{Random, eventually, printed_in};

/// The same moments in each run; another seed finds other ones.
const SEED: u64 = 0x5eed_0e2e;

/// One test at a time, so that what changes on the machine is this test's doing.
static ALONE: Mutex<()> = Mutex::new(());

/// Whether a poisoned lock's test has failed is its own affair.
fn alone() -> std::sync::MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[test]
fn a_whole_life_of_a_lab_leaves_nothing() {
    let _alone = alone();
    let before = own_namespace();
    let lab = TestLab::up("w");
    let name = lab.name.clone();
    assert!(!left_of(&name).is_empty(), "the search for leftovers finds a lab that is there");
    for fault in ["rp-filter-asymmetric", "foreign-rule-drop", "dnsmasq-pool-exhausted", "tap-missing"] {
        lab.break_fault(fault);
        assert_eq!(lab.report(&["diagnose", "--all"]).code, 1, "{fault}");
        assert_eq!(lab.report(&["check"]).code, 1, "{fault}");
        lab.heal();
    }
    lab.report(&["diagnose", "web1"]).assert_healthy("healed");
    lab.report(&["path", "web1", "1.2.3.4"]).assert_healthy("healed");
    assert_eq!(lab.lab("env", &[]).code, 0);
    assert_eq!(lab.lab("status", &[]).code, 0);
    assert_eq!(own_namespace(), before, "while the lab stands");
    drop(lab);
    assert_eq!(left_of(&name), [""; 0]);
    assert_eq!(own_namespace(), before, "after the lab");
}

#[test]
fn diagnose_changes_nothing_on_the_hosts() {
    let _alone = alone();
    let lab = TestLab::up("r");
    lab.break_fault("foreign-rule-drop");
    let state = || {
        let of = |host: &str| {
            let netns = lab.netns(host);
            [
                "ip -o link",
                "ip -o address",
                "ip route show table all",
                "ip rule",
                "sysctl -a",
                "nft -s list ruleset",
            ]
            .map(|command| {
                let text = printed_in(&netns, &command.split(' ').collect::<Vec<_>>());
                // Random by nature, or the kernel's own count.
                let stays = |line: &&str| {
                    !["kernel.", "fs.", "vm.", "conntrack_count"].iter().any(|k| line.contains(k))
                };
                text.lines().filter(stays).collect::<Vec<_>>().join("\n")
            })
        };
        ["compute1", "gw", "isp", "ext", "fab", "web1", "web2"].map(of)
    };
    let before = state();
    for question in [&["diagnose", "--all"][..], &["diagnose", "--all", "--passive"], &["check"]] {
        assert_eq!(lab.report(question).code, 1);
        assert_eq!(state(), before, "after {question:?}");
    }
}

#[test]
fn a_second_up_is_refused_and_two_labs_stand_side_by_side() {
    let _alone = alone();
    let one = TestLab::up("a");
    let down = format!("hopline lab down --name {}", one.name);
    assert_refused(&one.lab("up", &[]), &[&one.name, "exists", &down]);
    one.report(&["diagnose", "web1"]).assert_healthy("a second up changed nothing");
    let two = TestLab::up("b");
    two.break_fault("uplink-down");
    assert_refused(
        &two.lab("break", &["uplink-down"]),
        &["injected already", "hopline lab heal uplink-down"],
    );
    assert_refused(&two.lab("break", &["vlan-tag-wrong"]), &["has none", "hopline lab up --manager vlan"]);
    one.report(&["diagnose", "web1"]).assert_healthy("the other lab is broken");
    two.report(&["diagnose", "web1", "--passive"]).assert_finds(&["uplink-down compute1//eth0"], "two labs");
    drop(one);
    two.heal();
    two.report(&["diagnose", "web1"]).assert_healthy("the other lab is gone");
}

#[test]
fn a_lab_that_is_not_there_is_told() {
    let _alone = alone();
    let lab = TestLab::named("x");
    let down = lab.lab("down", &[]);
    assert_eq!((down.code, down.stderr.as_str()), (0, ""), "{down:?}");
    assert!(down.stdout.contains("nothing to remove"), "{down:?}");
    assert!(lab.lab("status", &[]).stdout.contains("absent"));
    let up = format!("hopline lab up --name {}", lab.name);
    for (verb, arguments) in [("env", &[][..]), ("break", &["tap-down"]), ("heal", &[])] {
        assert_refused(&lab.lab(verb, arguments), &[&lab.name, &up]);
    }
    for bad in ["", "UP", "../etc", "a b", "x;reboot", "-x", "much-too-long-for-a-lab", "\u{1b}[31m"] {
        let flag = format!("--name={bad}");
        for verb in ["up", "down", "status", "env", "heal"] {
            assert_refused(&lab.hopline(&["lab", verb, &flag]), &["name"]);
        }
    }
}

/// Runs hopline and kills it after a moment, whether it is done or not. Gives whether it was not.
fn run_and_kill(lab: &TestLab, arguments: &[&str], after: Duration) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let mut child =
        command(folder.path()).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let moment = Instant::now() + after;
    while Instant::now() < moment {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        std::thread::yield_now();
    }
    child.kill().unwrap_or_else(|e| panic!("{}: {e}", lab.name));
    child.wait().unwrap().code().is_none()
}

fn down(lab: &TestLab) -> Run {
    let run = lab.lab("down", &[]);
    assert_eq!(run.code, 0, "{run:?}");
    run
}

#[test]
fn kill_at_any_moment_of_up_leaves_nothing_that_down_does_not_remove() {
    each_killed_up_is_removed("u", &[], 14);
}

#[test]
fn kill_at_any_moment_of_up_with_a_network_host_leaves_nothing() {
    each_killed_up_is_removed("un", &["--hosts", "3", "--no-multi-host"], 8);
}

#[test]
fn kill_at_any_moment_of_up_with_machines_leaves_nothing() {
    each_killed_up_is_removed("uq", &["--guest", "qemu"], 8);
}

fn each_killed_up_is_removed(tag: &str, shape: &[&str], kills: u32) {
    let _alone = alone();
    let before = own_namespace();
    let lab = TestLab::named(tag);
    let up = [&["lab", "up", "--name", &lab.name], shape].concat();
    // Any moment of all the time that it takes here, which is less than where one ended before its moment.
    let started = Instant::now();
    assert_eq!(lab.lab("up", shape).code, 0);
    let mut whole = started.elapsed();
    down(&lab);
    let mut random = Random(SEED);
    let (mut killed, mut round) = (0, 0);
    while killed < kills {
        round += 1;
        assert!(round <= 3 * kills, "seed {SEED:#x}: only {killed} of {round} were killed in time");
        let moment = random.below(whole);
        if run_and_kill(&lab, &up, moment) {
            killed += 1;
        } else {
            whole = whole.min(moment);
        }
        let status = lab.lab("status", &[]);
        assert_eq!(status.code, 0, "seed {SEED:#x}, round {round}, {moment:?}: {status:?}");
        down(&lab);
        // What a killed hopline was about to start may outlive it by no more than the kernel takes to end a process.
        let nothing = format!("nothing is left, seed {SEED:#x}, round {round}, {moment:?}");
        eventually(&nothing, || left_of(&lab.name).is_empty());
    }
    assert_eq!(own_namespace(), before, "seed {SEED:#x}");
}

/// An operation is one transaction, and what its services have not done of it they do at the next reconcile.
#[test]
fn kill_at_any_moment_of_an_operation_leaves_a_cloud_that_catches_up() {
    let _alone = alone();
    let lab = TestLab::up_as("ko", &["--hosts", "2"]);
    let named = ["--name", &lab.name];
    let mut random = Random(SEED);
    for round in 0..6 {
        for operation in [
            &["boot", "app1"][..],
            &["restart", "nova-network"],
            &["stop", "app1"],
            &["restart", "nova-compute"],
            &["start", "app1"],
            &["delete", "app1"],
        ] {
            let moment = random.below(Duration::from_millis(400));
            run_and_kill(&lab, &[&["lab"], operation, &named].concat(), moment);
        }
        let caught_up = lab.lab("reconcile", &[]);
        assert_eq!(caught_up.code, 0, "seed {SEED:#x}, round {round}: {caught_up:?}");
        let show = lab.lab_json(&["show"]);
        let app1 = list(&show["instances"]).iter().find(|instance| instance["name"] == "app1").cloned();
        if app1.as_ref().is_some_and(|app1| app1["state"] == "active") {
            // It runs, and may still ask for its address: this waits until it has it.
            assert_eq!(lab.lab("start", &["app1"]).code, 0, "seed {SEED:#x}, round {round}");
        }
        lab.report(&["check"]).assert_healthy(&format!("seed {SEED:#x}, round {round}"));
        lab.report(&["diagnose", "--all"]).assert_healthy(&format!("seed {SEED:#x}, round {round}"));
        if app1.is_some() {
            let deleted = lab.lab("delete", &["app1"]);
            assert_eq!(deleted.code, 0, "seed {SEED:#x}, round {round}: {deleted:?}");
        }
    }
    down(&lab);
    eventually(&format!("nothing is left, seed {SEED:#x}"), || left_of(&lab.name).is_empty());
}

#[test]
fn kill_at_any_moment_of_a_labs_life_leaves_nothing_that_down_does_not_remove() {
    let _alone = alone();
    let before = own_namespace();
    let mut random = Random(SEED);
    for (tag, fault) in
        [("k1", "tap-missing"), ("k2", "rp-filter-asymmetric"), ("k3", "dnsmasq-pool-exhausted")]
    {
        let lab = TestLab::up(tag);
        let name = ["--name", &lab.name];
        let site = lab.site();
        let site = site.to_str().unwrap();
        let mut kill = |arguments: &[&str], within_ms: u64| {
            run_and_kill(&lab, arguments, random.below(Duration::from_millis(within_ms)));
        };
        kill(&[&["lab", "break", fault][..], &name].concat(), 60);
        kill(&["diagnose", "--all", "--site", site], 400);
        kill(&[&["lab", "heal"][..], &name].concat(), 60);
        kill(&["diagnose", "web1", "--passive", "--site", site], 80);
        // What was killed is healed like a whole fault.
        lab.heal();
        lab.report(&["diagnose", "web1"]).assert_healthy(&format!("{fault}, seed {SEED:#x}"));
        kill(&[&["lab", "break", fault][..], &name].concat(), 60);
        kill(&[&["lab", "down"][..], &name].concat(), 40);
        down(&lab);
        // A probe of a killed diagnose may outlive it by no more than the kernel takes to end a process.
        eventually(&format!("nothing is left after {fault}, seed {SEED:#x}"), || {
            left_of(&lab.name).is_empty()
        });
    }
    assert_eq!(own_namespace(), before, "seed {SEED:#x}");
}
