//! A cloud that hopline did not build: two hosts, a switch, a router (minicloud/minicloud.sh). The same
//! faults, injected in its own way by shell, are named there too, with the insides of its instances within
//! reach and without. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli_support;
#[path = "minicloud/faults.rs"]
mod faults;
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use faults::{ASTRAY, Fault, GUESTS, INSIDE, INSIDE_UNSEEN, LINKS, RULES, SERVICES, SILENCES};
use support::assert_none;
use support::report::{Report, list};
use tempfile::TempDir;

/// minicloud, built for a test and removed with it.
struct Minicloud {
    prefix: String,
    folder: TempDir,
}

impl Minicloud {
    fn up(tag: &str) -> Minicloud {
        let prefix = format!("fc-e{}{tag}", std::process::id());
        let cloud = Minicloud { prefix, folder: tempfile::tempdir().unwrap() };
        cloud.bash("bash \"$MINICLOUD\" up");
        cloud
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// Runs a line of shell in minicloud's own words, which are in `shorthands.sh`.
    fn bash(&self, line: &str) {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/minicloud");
        let script = format!("source <(bash \"$MINICLOUD\" env); source \"$SHORTHANDS\"; {line}");
        let output = Command::new("bash")
            .args(["-c", &script])
            .env("MINICLOUD", here.join("minicloud.sh"))
            .env("SHORTHANDS", here.join("shorthands.sh"))
            .env("FC_PREFIX", &self.prefix)
            .env("STATE", self.state())
            .output()
            .unwrap();
        assert!(output.status.success() || thread::panicking(), "{line}: {output:?}");
    }

    /// The site file, changed by `edit`.
    fn site(&self, name: &str, edit: impl Fn(String) -> String) -> PathBuf {
        let text = include_str!("minicloud/site.toml").replace("{P}", &self.prefix);
        let path = self.folder.path().join(name);
        fs::write(&path, edit(text).replace("{STATE}", self.state().to_str().unwrap())).unwrap();
        path
    }

    /// The insides of the instances can be read.
    fn entered(&self) -> PathBuf {
        self.site("entered.toml", |text| text)
    }

    /// They cannot, as on most clouds.
    fn outside(&self) -> PathBuf {
        let inside = |line: &&str| line.starts_with("at =") && line.contains("-i");
        let without = |text: String| {
            let lines = text.lines().filter(|line| !inside(line));
            lines.collect::<Vec<_>>().join("\n")
        };
        self.site("outside.toml", without)
    }

    fn report(&self, site: &Path, question: &[&str]) -> Report {
        let site = ["--site", site.to_str().unwrap(), "--json"];
        let run = cli_support::hopline(self.folder.path(), &[question, &site].concat());
        Report::of(&run, question)
    }

    /// Asks all questions at the same time, with the insides and without, and returns what is wrong.
    fn complaints(&self, questions: &[&[&str]], expected: &Expected, when: &str) -> Vec<String> {
        let sites = [(self.entered(), &expected.entered), (self.outside(), &expected.outside)];
        thread::scope(|scope| {
            let mut asked = Vec::new();
            for (site, expected) in &sites {
                for question in questions {
                    let ask = move || {
                        let complaint = self.report(site, question).complaint(expected, when);
                        complaint.map(|text| format!("{}: {text}", site.display()))
                    };
                    asked.push(scope.spawn(ask));
                }
            }
            asked.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
        })
    }
}

impl Drop for Minicloud {
    fn drop(&mut self) {
        self.bash("bash \"$MINICLOUD\" down");
    }
}

/// What is to be found with the insides of the instances in reach, and without.
#[derive(Default)]
struct Expected {
    entered: Vec<String>,
    outside: Vec<String>,
}

#[test]
fn what_only_silence_tells_is_told_by_asking() {
    let cloud = Minicloud::up("s");
    let mut wrong = Vec::new();
    for fault in &SILENCES {
        cloud.bash(fault.inject);
        // First, for whoever asks leaves a neighbour entry that failed.
        let passive: [&[&str]; 1] = [&["diagnose", "inst1", "--passive"]];
        wrong.extend(cloud.complaints(&passive, &Expected::default(), fault.inject));
        let entered = vec![format!("{} {INSIDE}", fault.code)];
        let asked = Expected { entered, outside: Vec::new() };
        wrong.extend(cloud.complaints(&[&["diagnose", "inst1"]], &asked, fault.inject));
        cloud.bash(fault.heal);
        let after = format!("after {}", fault.inject);
        wrong.extend(cloud.complaints(&[&["diagnose", "inst1"]], &Expected::default(), &after));
    }
    assert_none(&wrong);
}

#[test]
fn a_floating_address_on_two_hosts_is_told_at_the_one_that_is_not_meant() {
    let cloud = Minicloud::up("f");
    cloud.bash(
        "h2 ip addr add $F1_IP/32 dev $UPLINK
         h2 $IPT -t nat -I nova-network-PREROUTING -d $F1_IP/32 -j DNAT --to-destination $I3_IP
         g ip neigh flush all",
    );
    let told = || vec!["float-on-two-hosts host2//eth0".to_owned()];
    let asked: [&[&str]; 3] = [&["diagnose", "inst1"], &["diagnose", "inst1", "--passive"], &["check"]];
    let mut wrong = cloud.complaints(&asked, &Expected { entered: told(), outside: told() }, "on two hosts");
    cloud.bash(
        "h2 ip addr del $F1_IP/32 dev $UPLINK; h2 $IPT -t nat -D nova-network-PREROUTING 1
         g ip neigh flush all",
    );
    wrong.extend(cloud.complaints(&asked, &Expected::default(), "after it"));
    assert_none(&wrong);
}

/// The dnsmasq whose files are called by more than its bridge does not tell of another bridge.
#[test]
fn a_bridge_that_lost_its_address_is_no_other_bridge() {
    let cloud = Minicloud::up("b");
    cloud.bash("h ip addr del $GWIP/24 dev $BRIDGE");
    for site in [cloud.entered(), cloud.outside()] {
        let report = cloud.report(&site, &["diagnose", "inst1", "--passive"]);
        let found = report.findings();
        assert_eq!(
            found.first().map(String::as_str),
            Some("gateway-address-missing host//br100"),
            "{found:?}"
        );
        assert!(found.iter().all(|code| !code.starts_with("tap-wrong-bridge")), "{found:?}");
    }
}

#[test]
fn faults_of_dhcp_dns_and_metadata_are_named_and_healed() {
    each_is_named_and_healed("d", &SERVICES);
}

#[test]
fn faults_of_links_are_named_and_healed() {
    each_is_named_and_healed("l", &LINKS);
}

#[test]
fn faults_that_lead_packets_astray_are_named_and_healed() {
    each_is_named_and_healed("a", &ASTRAY);
}

/// Whoever cannot look inside an instance is told that it does not answer, and not that all is well.
#[test]
fn faults_inside_an_instance_are_named_where_it_can_be_entered() {
    let cloud = Minicloud::up("g");
    let mut wrong = Vec::new();
    for fault in &GUESTS {
        cloud.bash(fault.inject);
        let expected = [format!("{} {INSIDE}", fault.code)];
        for question in [&["diagnose", "inst1"][..], &["diagnose", "inst1", "--passive"], &["check", "host"]]
        {
            wrong.extend(cloud.report(&cloud.entered(), question).complaint(&expected, fault.inject));
        }
        let outside = cloud.report(&cloud.outside(), &["diagnose", "inst1"]);
        if list(&outside.json["findings"]).is_empty() {
            wrong.push(format!("{}: nothing is found from outside", fault.inject));
        }
        cloud.bash(fault.heal);
        let after = format!("after {}", fault.inject);
        wrong.extend(cloud.complaints(&[&["diagnose", "inst1"], &["check"]], &Expected::default(), &after));
    }
    assert_none(&wrong);
}

#[test]
fn faults_of_rules_and_services_are_named_and_healed() {
    each_is_named_and_healed("r", &RULES);
}

fn each_is_named_and_healed(tag: &str, faults: &[Fault]) {
    let cloud = Minicloud::up(tag);
    let mut wrong = Vec::new();
    let passive: Vec<_> = ["inst1", "inst2", "inst3"].map(|name| ["diagnose", name, "--passive"]).into();
    let passive: Vec<&[&str]> = passive.iter().map(<[&str; 3]>::as_slice).collect();
    let real = [&["diagnose", "inst1"][..], &["diagnose", "inst2"], &["diagnose", "inst3"]];
    let healthy = [&passive[..], &real, &[&["check"]]].concat();
    wrong.extend(cloud.complaints(&healthy, &Expected::default(), "a new cloud"));
    for fault in faults {
        // inst1 runs on host.
        let host = fault.hops[0].split('/').next().filter(|host| *host != "inst1").unwrap_or("host");
        let broken = [&["diagnose", "inst1"][..], &["diagnose", "inst1", "--passive"], &["check", host]];
        cloud.bash(fault.inject);
        let named = |hop: &&str| format!("{} {hop}", fault.code);
        let entered: Vec<String> = fault.hops.iter().map(named).collect();
        let outside = entered.iter().map(|finding| finding.replace(INSIDE, INSIDE_UNSEEN)).collect();
        wrong.extend(cloud.complaints(&broken, &Expected { entered, outside }, fault.inject));
        cloud.bash(fault.heal);
        // A question by ARP from before may still end unanswered, and take with it what waits for it; and a router that
        // knows an old MAC asks anew after eight seconds (`delay_first_probe_time`, `ucast_solicit`, arp(7)). A ping
        // that is told unreachable ends, whatever its deadline (ping(8), -w).
        cloud.bash(
            "until h ping -n -c 1 -W 1 198.51.100.10 >/dev/null; do [ $SECONDS -lt 60 ] || exit 1; done",
        );
        let after = format!("after {}", fault.inject);
        wrong.extend(cloud.complaints(&[&["diagnose", "inst1"], &["check"]], &Expected::default(), &after));
    }
    assert_none(&wrong);
}

#[test]
fn the_other_host_is_found_healthy_while_one_is_broken() {
    let cloud = Minicloud::up("o");
    cloud.bash("h ip link set $UPLINK down; stop1");
    let question: [&[&str]; 2] = [&["diagnose", "inst3", "--passive"], &["check", "host2"]];
    // What inst3 asks of the outside, of its own gateway and of dnsmasq does not cross the broken host.
    assert_none(&cloud.complaints(&question, &Expected::default(), "uplink and dnsmasq of host"));
}

#[test]
fn libvirts_domains_are_known_by_the_names_and_hosts_of_the_site_file() {
    let cloud = Minicloud::up("x");
    // minicloud keeps the XML of both hosts in one directory; MAC and host tell whose is whose.
    let add = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let libvirt = format!("role = \"compute\"\nlibvirt = \"{}/libvirt\"\n", cloud.state().display());
        fs::write(&path, text.replace("role = \"compute\"\n", &libvirt)).unwrap();
        path
    };
    let mut wrong = Vec::new();
    for site in [add(cloud.entered()), add(cloud.outside())] {
        for name in ["inst1", "inst2", "inst3"] {
            let question = ["diagnose", name, "--passive", "--minimal", "--site", site.to_str().unwrap()];
            let run = cli_support::hopline(cloud.folder.path(), &question);
            if run.code != 0 {
                wrong.push(format!("{name} with {}: {run:?}", site.display()));
            }
        }
    }
    assert_none(&wrong);
}
