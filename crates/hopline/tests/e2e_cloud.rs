//! The cloud in every shape that this machine's kernel can have it in: what reaches what, that hopline calls it
//! healthy, and that a fault is found at the hop where that shape has it. Then what users and operators do with it.
//! Needs root. VlanManager's are in `e2e_vlan`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli_support;
mod support;

use cli_support::assert_refused;
use support::reach::{self, Reach};
use support::test_lab::TestLab;

#[test]
fn two_hosts_each_gateway_of_its_own_instances() {
    let lab = TestLab::up_as("mh", &["--hosts", "2"]);
    reach::assert_reaches(&lab, "web3");
    // By hairpin; a network host's bridge would send it back where it came from, which it does not.
    Reach::of(&lab).pings("web1", "203.0.113.30");
    reach::assert_seen_as(&lab, "web2", "203.0.113.34");
    reach::assert_seen_as(&lab, "web3", "203.0.113.35");
    lab.assert_healthy();
    lab.break_fault("tap-not-enslaved");
    lab.report(&["diagnose", "web1"]).assert_finds(&["tap-not-enslaved compute1//vnet0"], "multi-host");
    lab.heal();
    lab.assert_healthy();
}

#[test]
fn two_hosts_with_one_gateway_address() {
    let lab = TestLab::up_as("sh", &["--hosts", "2", "--share-address"]);
    reach::assert_reaches(&lab, "web3");
    lab.assert_healthy();
    lab.break_fault("ip-forward-0");
    lab.report(&["diagnose", "web1"]).assert_finds(&["ip-forward-0 compute1//br100"], "shared address");
    lab.heal();
    lab.assert_healthy();
}

#[test]
fn one_network_host_for_all() {
    let lab = TestLab::up_as("nh", &["--hosts", "2", "--no-multi-host"]);
    reach::assert_reaches(&lab, "web3");
    reach::assert_seen_as(&lab, "web2", "203.0.113.50");
    lab.assert_healthy();
    // On the compute hosts no dnsmasq runs that would write one.
    let gaps = lab.report(&["diagnose", "web1"]).json["coverage"]["gaps"].to_string();
    assert!(!gaps.contains("dnsmasq.log"), "{gaps}");
    for (fault, finding) in [
        ("ip-forward-0", "ip-forward-0 network1//br100"),
        ("flatif-not-enslaved", "flatif-not-enslaved compute1//eth1"),
        ("dnsmasq-not-running", "dnsmasq-not-running network1//br100"),
        ("float-dnat-missing", "float-dnat-missing network1//eth0"),
    ] {
        lab.break_fault(fault);
        lab.report(&["diagnose", "web1"]).assert_finds(&[finding], fault);
        lab.heal();
    }
    lab.assert_healthy();
}

#[test]
fn instances_and_addresses_come_and_go() {
    let lab = TestLab::up_as("op", &["--hosts", "2"]);
    let reach = Reach::of(&lab);
    let booted = lab.lab("boot", &["app1", "--host", "compute2", "--address", "10.0.9.1"]);
    assert!(booted.stdout.contains("app1 runs on compute2 with 10.0.9.1"), "{booted:?}");
    reach.pings("app1", "1.2.3.4");
    assert!(lab.lab("console", &["app1"]).stdout.contains("lease of 10.0.9.1 obtained"));

    let floating = lab.lab_json(&["show"])["floating"].clone();
    let free = floating.as_array().unwrap().iter().find(|address| address["project"].is_null()).unwrap();
    assert!(!free["address"].is_null());
    let allocated = lab.lab("floating", &["allocate"]).stdout.trim().to_owned();
    assert_eq!(lab.lab("floating", &["associate", &allocated, "app1"]).code, 0);
    reach.pings("ext", &allocated);
    lab.assert_healthy();
    assert_eq!(lab.lab("floating", &["disassociate", &allocated]).code, 0);
    assert!(!reach.answers("ext", &allocated), "the address went with the association");
    assert_eq!(lab.lab("floating", &["release", &allocated]).code, 0);

    assert_eq!(lab.lab("stop", &["app1"]).code, 0);
    assert!(!reach.answers("web1", "10.0.9.1"));
    lab.assert_healthy();
    let asked = lab.report(&["diagnose", "app1"]);
    assert_eq!(asked.code, 3, "{asked:?}");
    let gap = asked.json["coverage"]["gaps"][0]["why"].as_str().unwrap_or_default().to_owned();
    assert_eq!(gap, "it is switched off: its vm_state is stopped");
    assert_eq!(lab.lab("start", &["app1"]).code, 0);
    reach.pings("web1", "10.0.9.1");
    assert_eq!(lab.lab("delete", &["app1"]).code, 0);
    let left = lab.lab_json(&["show"]);
    assert!(!left["instances"].to_string().contains("app1"), "{left}");
    let again = lab.lab("boot", &["app2", "--address", "10.0.9.1"]);
    assert_eq!(again.code, 0, "the address is free again: {again:?}");
    // Whoever knew the address's last owner learns of the new one.
    for knowing in ["web1", "web2", "web3"] {
        reach.pings(knowing, "10.0.9.1");
    }
    lab.assert_healthy();
}

#[test]
fn security_groups_let_in_and_keep_out() {
    let lab = TestLab::up("sg");
    let reach = Reach::of(&lab);
    for arguments in
        [&["create", "closed"][..], &["rule", "add", "closed", "tcp", "22", "--cidr", "203.0.113.0/24"]]
    {
        let run = lab.lab("secgroup", arguments);
        assert_eq!(run.code, 0, "{run:?}");
    }
    assert_eq!(lab.lab("boot", &["shut1", "--secgroup", "closed"]).code, 0);
    let floating = lab.lab("floating", &["allocate"]).stdout.trim().to_owned();
    assert_eq!(lab.lab("floating", &["associate", &floating, "shut1"]).code, 0);
    assert!(!reach.answers("ext", &floating), "nothing lets ICMP in");
    assert!(reach.connects("gw", &floating, 22), "the rule lets the public network in");
    assert!(!reach.connects("ext", &floating, 22), "and nobody else");
    let added = lab.lab("secgroup", &["rule", "add", "closed", "icmp", "--from-group", "default"]);
    assert_eq!(added.code, 0, "{added:?}");
    assert_eq!(lab.lab("secgroup", &["rule", "add", "closed", "icmp"]).code, 0);
    reach.pings("ext", &floating);
    let list = lab.lab("secgroup", &["list"]).stdout;
    let number = list.lines().rfind(|line| line.contains("icmp from 0.0.0.0/0")).unwrap();
    let number = number.split_whitespace().next().unwrap();
    assert_eq!(lab.lab("secgroup", &["rule", "del", number]).code, 0);
    assert!(!reach.answers("ext", &floating), "{list}");
}

/// The guide: the instance is gone, and its floating address is not.
#[test]
fn an_instance_that_ended_badly_leaves_its_addresses_behind() {
    let lab = TestLab::up("bad");
    assert_eq!(lab.lab("delete", &["web1", "--unclean"]).code, 0);
    let show = lab.lab_json(&["show"]);
    assert!(!show["instances"].to_string().contains("web1"), "{show}");
    let floating = show["floating"].as_array().unwrap();
    let left = floating.iter().find(|address| address["address"] == "203.0.113.30").unwrap();
    assert_eq!(left["fixed"], "10.0.2.24", "{left}");
    assert_eq!(left["host"], "compute1");
    let rules = support::printed_in(&lab.netns("compute1"), &["iptables-nft-save", "-t", "nat"]);
    assert_eq!(rules.matches("203.0.113.30").count(), 5, "{rules}");
    let refused = lab.lab("boot", &["web9", "--address", "10.0.2.24"]);
    assert_refused(&refused, &["10.0.2.24"]);
}

/// What a restart of nova-network repairs, what it leaves, and what it never cleans up (nova 17, seen in a run).
#[test]
fn a_restart_does_no_more_and_no_less_than_novas() {
    let lab = TestLab::up("rst");
    let compute = lab.netns("compute1");
    let iptables = |arguments: &[&str]| {
        support::printed_in(&compute, &[&["iptables-nft"], arguments].concat());
    };
    iptables(&[
        "-t",
        "nat",
        "-D",
        "nova-network-PREROUTING",
        "-d",
        "203.0.113.30",
        "-j",
        "DNAT",
        "--to-destination",
        "10.0.2.24",
    ]);
    iptables(&["-I", "nova-compute-inst-1", "1", "-s", "9.9.9.9", "-j", "DROP"]);
    iptables(&["-I", "FORWARD", "1", "-s", "8.8.8.8", "-j", "DROP"]);
    iptables(&["-P", "FORWARD", "DROP"]);
    support::printed_in(&compute, &["ip", "address", "add", "203.0.113.77/32", "dev", "eth0"]);
    for pid in support::printed(&["ip", "netns", "pids", &compute]).lines() {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        if String::from_utf8_lossy(&line).contains("nova-br100.conf") {
            support::printed(&["kill", "-9", pid]);
        }
    }

    let restarted = lab.lab("restart", &["nova-network", "compute1"]);
    assert_eq!(restarted.stdout, "restarted nova-network on compute1\n", "{restarted:?}");
    let filter = support::printed_in(&compute, &["iptables-nft-save", "-t", "filter"]);
    let nat = support::printed_in(&compute, &["iptables-nft-save", "-t", "nat"]);
    assert!(
        nat.contains("-A nova-network-PREROUTING -d 203.0.113.30/32 -j DNAT"),
        "its own rule is back: {nat}"
    );
    assert!(
        filter.contains("-A nova-compute-inst-1 -s 9.9.9.9/32 -j DROP"),
        "nova-compute's chain is not its own"
    );
    assert!(filter.contains(":FORWARD DROP"), "a policy stays");
    let line = |text: &str| {
        filter.lines().position(|line| line == text).unwrap_or_else(|| panic!("{text}: {filter}"))
    };
    assert!(
        line("-A FORWARD -s 8.8.8.8/32 -j DROP") > line("-A FORWARD -j nova-network-FORWARD"),
        "a rule of one's own stays, below nova's jumps: {filter}"
    );
    let addresses = support::printed_in(&compute, &["ip", "-4", "-o", "address", "show", "dev", "eth0"]);
    assert!(addresses.contains("203.0.113.77"), "no restart removes an address: {addresses}");
    let pids = support::printed(&["ip", "netns", "pids", &compute]);
    let lines = pids.lines().filter_map(|pid| std::fs::read(format!("/proc/{pid}/cmdline")).ok());
    let mut lines = lines.map(|line| String::from_utf8_lossy(&line).into_owned());
    assert!(lines.any(|line| line.contains("nova-br100.conf")), "dnsmasq is back");

    assert_eq!(lab.lab("restart", &["nova-compute"]).code, 0);
    let filter = support::printed_in(&compute, &["iptables-nft-save", "-t", "filter"]);
    assert!(!filter.contains("9.9.9.9"), "{filter}");
    let dnsmasq = lab.lab("restart", &["dnsmasq"]);
    assert_eq!(dnsmasq.stdout, "restarted dnsmasq of br100 on compute1\n", "{dnsmasq:?}");
    Reach::of(&lab).pings("web1", "10.0.2.25");
}

/// Who runs in a namespace, without what those have started for a moment, as dnsmasq does its script.
fn daemons(netns: &str) -> String {
    let pids = support::printed(&["ip", "netns", "pids", netns]);
    let parent = |pid: &str| -> Option<String> {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        status.lines().find_map(|line| line.strip_prefix("PPid:")).map(|parent| parent.trim().to_owned())
    };
    let is_daemon =
        |pid: &&str| parent(pid).is_some_and(|parent| pids.lines().all(|pid| pid.trim() != parent));
    pids.lines().map(str::trim).filter(is_daemon).flat_map(|pid| [pid, "\n"]).collect()
}

/// Rules, links, addresses and routes of a host, and who runs there.
fn everything(lab: &TestLab, host: &str) -> String {
    let netns = lab.netns(host);
    let mut all = daemons(&netns);
    assert!(!all.is_empty(), "nobody runs in {netns}");
    for argv in [
        &["iptables-nft-save"][..],
        &["ebtables-nft-save"],
        &["ip", "address"],
        &["ip", "route", "show", "table", "all"],
        &["bridge", "-d", "link"],
    ] {
        all.push_str(&support::printed_in(&netns, argv));
    }
    // Neither dates nor counters.
    let lines = all.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split(" [").next().unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

#[test]
fn an_unchanged_cloud_is_left_as_it_is_and_a_changed_one_caught_up_with() {
    let lab = TestLab::up_as("rec", &["--hosts", "2", "--instances", "6"]);
    let before = ["compute1", "compute2"].map(|host| everything(&lab, host));
    let handles = |host: &str| support::printed_in(&lab.netns(host), &["nft", "-a", "-s", "list", "ruleset"]);
    let generations = ["compute1", "compute2"].map(handles);
    assert_eq!(lab.lab("reconcile", &[]).code, 0);
    assert_eq!(["compute1", "compute2"].map(|host| everything(&lab, host)), before);
    // Rules written anew would have new handles.
    assert_eq!(["compute1", "compute2"].map(handles), generations);
    // Somebody writes into the database by hand: a rule of the group is gone, an address belongs to nobody.
    let database = lab.state().join("nova.sqlite");
    let sql = "UPDATE security_group_rules SET deleted = id WHERE protocol = 'icmp'; \
               UPDATE floating_ips SET fixed_ip_id = NULL, host = NULL WHERE address = '203.0.113.30';";
    support::sqlite(&database, sql);
    let reach = Reach::of(&lab);
    reach.pings("ext", "203.0.113.30");
    assert_eq!(lab.lab("reconcile", &[]).code, 0);
    assert!(!reach.answers("ext", "203.0.113.30"));
    let nat = support::printed_in(&lab.netns("compute1"), &["iptables-nft-save", "-t", "nat"]);
    assert!(!nat.contains("203.0.113.30"), "{nat}");
}

#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    let lab = TestLab::up("ref");
    let before = lab.lab_json(&["show"]);
    for (arguments, pieces) in [
        (&["boot", "web1"][..], &["web1"][..]),
        (&["boot", "fab"], &["fab", "compute1"]),
        (&["boot", "UPPER"], &["a-z"]),
        (&["boot", "x1", "--address", "192.0.2.7"], &["192.0.2.7", "10.0.0.0/16"]),
        (&["boot", "x1", "--address", "10.0.2.25"], &["10.0.2.25"]),
        (&["boot", "x1", "--address", "10.0.0.1"], &["10.0.0.1"]),
        (&["boot", "x1", "--network", "nosuch"], &["nosuch", "novanetwork"]),
        (&["boot", "x1", "--host", "compute7"], &["compute7", "compute1"]),
        (&["boot", "x1", "--secgroup", "nosuch"], &["nosuch"]),
        (&["delete", "nosuch"], &["nosuch", "web1, web2"]),
        (&["floating", "associate", "203.0.113.31", "web2"], &["203.0.113.31"]),
        (&["floating", "release", "203.0.113.30"], &["203.0.113.30"]),
        (&["secgroup", "rule", "del", "999"], &["999"]),
        (&["restart", "nova-network", "compute9"], &["compute9", "compute1"]),
        (&["network", "create", "again", "10.0.128.0/24"], &["10.0.128.0/24", "10.0.0.0/16"]),
    ] {
        let (verb, rest) = arguments.split_first().unwrap();
        let run = lab.lab(verb, rest);
        assert_refused(&run, pieces);
        assert_eq!(lab.lab_json(&["show"]), before, "{arguments:?}");
    }
    // Room for five: the host itself, and four instances.
    assert_eq!(lab.lab("network", &["create", "tiny", "192.168.7.0/29"]).code, 0);
    for name in ["one1", "two1", "three1", "four1"] {
        let run = lab.lab("boot", &[name, "--network", "tiny"]);
        assert_eq!(run.code, 0, "{run:?}");
    }
    let full = lab.lab("boot", &["five1", "--network", "tiny"]);
    assert_refused(&full, &["No fixed IP addresses available for network", "tiny"]);
}
