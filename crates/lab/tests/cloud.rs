//! The healthy lab: the guide's packets come out of it, and it refuses what it must.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::process::Command;

use lab::LabError;
use support::{Capture, TestLab, assert_gone, example, machine, ping, run, run_in, state};

#[test]
fn instances_reach_what_they_should_with_the_guides_ttls() {
    let lab = TestLab::up("ht-lab-ping");
    let (web1, compute) = (lab.ns("web1"), lab.ns("compute1"));
    let (external, request) = (lab.ns("ext"), "icmp[icmptype] == icmp-echo");
    let captures = [(&compute, "vnet0"), (&compute, "br100"), (&compute, "eth0"), (&external, "eth0")]
        .map(|(ns, device)| Capture::start(ns, device, request));
    assert!(ping(&web1, "1.2.3.4").0);
    let packets = captures.map(Capture::packet);
    for (packet, (ttl, source)) in packets.iter().zip([
        ("ttl 64", "10.0.2.24 > 1.2.3.4"),
        ("ttl 64", "10.0.2.24 > 1.2.3.4"),
        ("ttl 63", "203.0.113.30 > 1.2.3.4"),
        ("ttl 61", "203.0.113.30 > 1.2.3.4"),
    ]) {
        assert!(packet.contains(ttl) && packet.contains(source), "{ttl} {source}: {packet}");
    }
    assert!(ping(&external, "203.0.113.30").0);
    assert!(ping(&web1, "10.0.2.25").0);
    assert!(ping(&web1, "203.0.113.30").0, "an instance reaches its own floating address");
    let outside = Capture::start(&external, "eth0", request);
    assert!(ping(&lab.ns("web2"), "1.2.3.4").0);
    assert!(outside.packet().contains("203.0.113.34 > 1.2.3.4"));
}

#[test]
fn services_answer_and_leave_their_words_in_the_logs() {
    let lab = TestLab::up("ht-lab-serv");
    let web1 = lab.ns("web1");
    let log = std::fs::read_to_string(lab.0.path("compute1/log/dnsmasq.log")).unwrap();
    for message in ["DHCPDISCOVER(br100)", "DHCPOFFER(br100)", "DHCPREQUEST(br100)", "DHCPACK(br100)"] {
        let line = log.lines().find(|l| l.contains(message) && l.contains("fa:16:3e:00:02:24"));
        assert!(line.is_some(), "{message} in {log}");
    }
    let metadata = "http://169.254.169.254/2009-04-04/meta-data/instance-id";
    for url in [metadata, "http://1.2.3.4/", "http://10.0.2.25/"] {
        let answer = run_in(&web1, &["timeout", "3", "busybox", "wget", "-q", "-O", "-", url]);
        assert!(answer.status.success() && !answer.stdout.is_empty(), "{url}: {answer:?}");
    }
    for (server, name, expected) in
        [("10.0.0.42", "openstack.test", "1.2.3.4"), ("1.2.3.4", "203.0.113.30", "web1.openstack.test")]
    {
        let answer = run_in(&web1, &["busybox", "nslookup", name, server]);
        let text = String::from_utf8_lossy(&answer.stdout);
        assert!(text.contains(expected), "{name}: {text}");
    }
    let banner = run_in(&web1, &["timeout", "3", "busybox", "nc", "10.0.2.25", "22"]);
    assert!(banner.stdout.starts_with(b"SSH-2.0-"), "{banner:?}");
    let console = lab.0.path("compute1/instances/8d7b1f36-5f4e-4b1c-9a55-2f0f6c0a1e01/console.log");
    support::eventually("web1's login prompt", || {
        let text = std::fs::read_to_string(&console).unwrap();
        text.contains("lease of 10.0.2.24 obtained") && text.contains("web1 login: ")
    });
}

#[test]
fn libvirts_bridge_is_idle_and_novas_bridge_wears_the_physical_links_mac() {
    let lab = TestLab::up("ht-lab-link");
    let state = state(&lab.0)["namespaces"]["compute1"]["links"].to_string();
    let links = state.replace('\\', "");
    let line = |name: &str| {
        let at = links.find(&format!("\"ifname\":\"{name}\"")).unwrap();
        let start = links[..at].rfind('{').unwrap();
        links[start..start + links[start..].find('}').unwrap()].to_owned()
    };
    assert!(line("virbr0").contains("NO-CARRIER") && line("virbr0").contains("\"operstate\":\"DOWN\""));
    assert!(line("br100").contains("52:54:00:1d:00:01") && line("eth1").contains("52:54:00:1d:00:01"));
    assert!(line("vnet0").contains("fe:16:3e:00:02:24") && line("vnet0").contains("\"master\":\"br100\""));
}

#[test]
fn two_labs_stand_side_by_side_and_a_second_up_is_refused() {
    let one = TestLab::up("ht-lab-one");
    let two = TestLab::up("ht-lab-two");
    for lab in [&one, &two] {
        assert!(ping(&lab.ns("web1"), "1.2.3.4").0);
    }
    let again = lab::Options::small(&one.0.name, example());
    let refused = lab::up(&again).unwrap_err();
    assert!(matches!(refused, LabError::Exists { .. }), "{refused}");
    assert!(refused.to_string().contains("hopline lab down --name ht-lab-one"), "{refused}");
    assert!(ping(&one.ns("web1"), "1.2.3.4").0, "the refused up has left the first alone");
}

#[test]
fn a_state_directory_of_ones_own_is_found_by_name_and_removed() {
    let parent = tempfile::tempdir().unwrap();
    let state = parent.path().join("cloud");
    lab::down("ht-lab-own", None).unwrap();
    let options = lab::Options { state: Some(state.clone()), ..lab::Options::small("ht-lab-own", example()) };
    lab::up(&options).unwrap();
    let found = lab::open("ht-lab-own", None).unwrap();
    assert_eq!(found.state, state);
    lab::down("ht-lab-own", None).unwrap();
    assert_gone("ht-lab-own", &state);
    assert!(parent.path().read_dir().unwrap().next().is_none());
}

#[test]
fn what_is_not_the_labs_is_left_alone() {
    let (name, foreign) = ("ht-lab-for", "ht-lab-for-gw");
    assert!(run("ip", &["netns", "add", foreign]).status.success());
    let options = lab::Options::small(name, example());
    let up = lab::up(&options);
    let down = lab::down(name, None);
    let is_left = run("ip", &["netns", "del", foreign]).status.success();
    assert!(matches!(up, Err(LabError::ForeignNamespace { .. })), "{up:?}");
    let failures = down.unwrap_err();
    assert!(matches!(failures.as_slice(), [LabError::ForeignNamespace { .. }]), "{failures:?}");
    assert!(is_left);

    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("mine"), "precious").unwrap();
    let state = Some(dir.path().to_owned());
    let refused = lab::up(&lab::Options { state: state.clone(), ..options }).unwrap_err();
    assert!(matches!(refused, LabError::ForeignState { .. }), "{refused}");
    let refused = lab::down(name, state.as_deref()).unwrap_err();
    assert!(matches!(refused.as_slice(), [LabError::ForeignState { .. }]), "{refused:?}");
    assert_eq!(std::fs::read(dir.path().join("mine")).unwrap(), b"precious");
}

#[test]
fn a_lab_that_is_not_there_is_said_so() {
    assert!(lab::down("ht-lab-none", None).unwrap().is_nothing());
    assert_eq!(lab::status("ht-lab-none", None).unwrap().condition, lab::Condition::Absent);
    assert!(matches!(lab::open("ht-lab-none", None), Err(LabError::NoLab { .. })));
    assert!(matches!(lab::open("no/such", None), Err(LabError::BadName { .. })));
}

#[test]
fn the_machines_own_namespace_is_left_as_it_was() {
    let before = machine();
    {
        let lab = TestLab::up("ht-lab-mach");
        lab::break_fault(&lab.0, "rp-filter-asymmetric").unwrap();
        assert_eq!(machine(), before);
        lab::heal(&lab.0, None).unwrap();
    }
    assert_eq!(machine(), before);
}

#[test]
fn the_environment_is_what_a_shell_can_read() {
    let lab = TestLab::up("ht-lab-env");
    let line = |(key, value): (String, String)| format!("{key}={}\n", lab::shell_quote(&value));
    let mut script: String = lab::env(&lab.0).unwrap().into_iter().map(line).collect();
    script.push_str("printf '%s' \"$I1_IP $F1_IP $TAP1 $HOST_NS $NET\"");
    let output = Command::new("sh").args(["-eu", "-c", &script]).output().unwrap();
    let expected = "10.0.2.24 203.0.113.30 vnet0 ht-lab-env-compute1 10.0.0.0/16";
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
}
