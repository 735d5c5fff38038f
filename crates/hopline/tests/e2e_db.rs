//! `hopline db check` and `db show` on a real cloud: in order, after what ends badly, and as a dump without its hosts.
//! Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli_support;
mod support;

use cli_support::{assert_refused, hopline, site};
use support::report::{list, text};
use support::test_lab::TestLab;

#[test]
fn a_cloud_in_order_has_nothing_to_tell() {
    let lab = TestLab::up("o");
    lab.report(&["db", "check"]).assert_healthy("a new lab");
    assert_eq!(lab.lab("boot", &["web3"]).code, 0);
    assert_eq!(lab.lab("delete", &["web2"]).code, 0);
    lab.report(&["db", "check"]).assert_healthy("one came, one went");
}

#[test]
fn what_ends_badly_is_told_with_its_rows_and_where_the_hosts_have_it() {
    let lab = TestLab::up("b");
    assert_eq!(lab.lab("delete", &["web1", "--unclean"]).code, 0);
    let of_tables = [
        "float-tied-to-deleted-instance database//floating_ips",
        "fixed-ip-leaked database//fixed_ips",
        "vif-orphan database//virtual_interfaces",
    ];
    let report = lab.report(&["db", "check"]);
    report.assert_finds(
        &[&of_tables[..], &["dhcp-line-of-nobody database//fixed_ips"]].concat(),
        "web1 is gone",
    );
    let first = &report.json["findings"][0];
    assert_eq!((text(&first["exchange"]), text(&first["confidence"])), ("none", "proven"));
    let row = &first["evidence"][0];
    assert_eq!(text(&row["kind"]), "db");
    assert!(text(&row["source"]).starts_with("SELECT fl.id, fl.address"), "{row}");
    assert!(text(&row["text"]).starts_with("floating_ips 1: address 203.0.113.30, host compute1"), "{row}");
    // Who asks for what is gone is led there.
    let refused = lab.run(&["diagnose", "web1", "--passive"]);
    assert_refused(&refused, &["there is no instance `web1`", "hopline db check"]);
    // What is typed repairs it: hopline's own command, and the statement by hand.
    for (finding, remedy) in list(&report.json["findings"]).iter().zip([0, 1, 0]) {
        let command = text(&finding["remedy"][remedy]["command"]);
        match command.strip_prefix("hopline ") {
            Some(words) => assert_eq!(lab.run(&words.split(' ').collect::<Vec<_>>()).code, 0, "{command}"),
            None => support::sqlite(&lab.state().join("nova.sqlite"), command),
        }
    }
    assert_eq!(lab.lab("restart", &["nova-network"]).code, 0);
    lab.report(&["db", "check"]).assert_healthy("all is repaired");

    // By hand nova-compute is made to forget web2, whose domain runs on.
    let gone = "UPDATE instances SET deleted = id WHERE hostname = 'web2'";
    support::sqlite(&lab.state().join("nova.sqlite"), gone);
    let report = lab.report(&["db", "check"]);
    let codes: Vec<&str> =
        list(&report.json["findings"]).iter().map(|finding| text(&finding["code"])).collect();
    assert!(codes.contains(&"domain-of-deleted-instance"), "{codes:?}");
    // What it answers for is not given to another.
    let leaked = list(&report.json["findings"]).iter().find(|finding| finding["code"] == "fixed-ip-leaked");
    let row = text(&leaked.unwrap()["evidence"][0]["text"]).split([' ', ':']).nth(1).unwrap();
    let refused = lab.run(&["db", "repair", "fixed-ip-leaked", row, "--apply"]);
    assert_refused(&refused, &["compute1 still runs instance-", "virsh destroy instance-"]);
    let dump = lab.report(&["db", "check", "--now", "2026-11-26T12:00:00"]);
    let codes: Vec<&str> =
        list(&dump.json["findings"]).iter().map(|finding| text(&finding["code"])).collect();
    assert_eq!(codes, ["fixed-ip-leaked", "vif-orphan"], "of a dump the hosts are not asked");
    assert!(dump.json["coverage"]["gaps"].to_string().contains("whether compute1 has"), "{:#}", dump.json);
}

#[test]
fn what_a_host_still_carries_of_a_released_address_is_cleared_as_told() {
    let lab = TestLab::up("r");
    let refused = lab.run(&["db", "release", "203.0.113.30", "--apply"]);
    assert_refused(&refused, &["203.0.113.30 is on web1, which lives"]);
    assert_eq!(lab.lab("delete", &["web1", "--unclean"]).code, 0);
    let run = lab.run(&["db", "release", "203.0.113.30", "--from-pool", "--apply", "--json"]);
    assert_eq!(run.code, 0, "{run:?}");
    let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(report["gaps"], serde_json::json!([]), "{report:#}");
    let things = list(&report["hosts"]);
    assert!(things.iter().all(|thing| thing["host"] == "compute1"), "{report:#}");
    let rules = things.iter().filter(|thing| text(&thing["text"]).starts_with("-A nova-network-"));
    assert_eq!(rules.count(), 5, "nova's five: {report:#}");
    // What is told is typed.
    let within = format!("ip netns exec {} ip addr del ", lab.netns("compute1"));
    let commands = things.iter().map(|thing| text(&thing["command"]));
    let addresses: Vec<&str> = commands.filter(|command| command.starts_with(&within)).collect();
    assert_eq!(addresses.len(), 1, "{report:#}");
    support::printed(&["sh", "-c", addresses[0]]);
    assert_eq!(lab.lab("restart", &["nova-network"]).code, 0);
    let floats = |report: support::report::Report| {
        let codes = list(&report.json["findings"]).iter().map(|finding| text(&finding["code"]).to_owned());
        codes.filter(|code| code.starts_with("float")).collect::<Vec<_>>()
    };
    assert_eq!(floats(lab.report(&["db", "check"])), [""; 0]);
    // Restored, it is the lab's fault again.
    let back = lab.run(&["db", "undo", text(&report["undo"])]);
    assert_eq!(back.code, 0, "{back:?}");
    assert!(floats(lab.report(&["db", "check"])).contains(&"float-tied-to-deleted-instance".to_owned()));
}

/// What is recorded wrongly of an instance is told once, and nothing that leans on it is called wrong, or right.
#[test]
fn an_instance_that_its_host_does_not_run() {
    let lab = TestLab::up_as("h", &["--hosts", "2"]);
    let codes = || -> Vec<String> {
        let report = lab.report(&["db", "check"]).json;
        list(&report["findings"]).iter().map(|finding| text(&finding["code"]).to_owned()).collect()
    };
    lab.break_fault("db-host-mismatch");
    assert_eq!(codes(), ["db-host-mismatch"]);
    let refused = lab.run(&["db", "repair", "float-host-mismatch", "1", "--apply"]);
    assert_refused(
        &refused,
        &["203.0.113.30 is on an instance that runs on another host", "db-host-mismatch"],
    );
    let refused = lab.run(&["db", "repair", "db-host-mismatch", "1"]);
    assert_refused(&refused, &["db-host-mismatch is of what hosts have", "hopline db check"]);
    let run = lab.run(&["db", "show", "web1", "--json"]);
    let shown: serde_json::Value = serde_json::from_str(&run.stdout).expect(&run.stderr);
    let lacks = |line: &&serde_json::Value| list(&line["hosts"]).iter().any(|on| on["has"] == false);
    let lacking: Vec<_> = list(&shown["lines"]).iter().filter(lacks).collect();
    assert_eq!((run.code, lacking.len()), (1, 1), "{shown:#}");
    assert_eq!(text_of(lacking[0]), ("host", "no domain instance-00000001".to_owned()));
    lab.heal();
    assert_eq!(codes(), [""; 0]);

    lab.break_fault("guest-powered-off");
    assert_eq!(codes(), ["guest-powered-off"]);
    support::sqlite(
        &lab.state().join("nova.sqlite"),
        "UPDATE instances SET vm_state = 'stopped' WHERE hostname = 'web1'",
    );
    assert_eq!(codes(), [""; 0], "it is not meant to run");
}

#[test]
fn what_keeps_it_from_its_work_is_said() {
    let (folder, _) = site("");
    assert_refused(&hopline(folder.path(), &["db", "check"]), &["no database is named", "[cloud]"]);
    let (folder, _) = site("[cloud]\nkind = \"nova-network\"\ndatabase = \"sqlite:nova.sqlite\"\n");
    assert_refused(&hopline(folder.path(), &["db", "check"]), &["nova.sqlite"]);
    std::fs::write(folder.path().join("nova.sqlite"), "").unwrap();
    let empty = hopline(folder.path(), &["db", "check", "--now", "2026-11-26"]);
    assert_refused(&empty, &["nova.sqlite", "instances, networks"]);
    let bad = hopline(folder.path(), &["db", "check", "--now", "yesterday"]);
    assert_refused(&bad, &["2026-11-26T12:00:00"]);
}

#[test]
fn hosts_of_bundles_are_of_another_time() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[[host]]\nname = \"compute1\"\nat = \"bundle:before.tar.zst\"\n\n\
                [cloud]\nkind = \"nova-network\"\ndatabase = \"sqlite:nova.sqlite\"\n";
    std::fs::write(folder.path().join("site.toml"), text).unwrap();
    std::fs::write(folder.path().join("nova.sqlite"), "").unwrap();
    support::sqlite(
        &folder.path().join("nova.sqlite"),
        include_str!("../../cloud/tests/fixtures/queens.sql"),
    );
    let run = hopline(folder.path(), &["db", "check", "--json"]);
    assert_eq!(run.code, 1, "{run:?}");
    let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let gaps = report["coverage"]["gaps"].to_string();
    assert!(gaps.contains("whether compute1 has") && gaps.contains("read from bundles"), "{gaps}");
}

#[test]
fn one_instance_is_shown_beside_what_its_host_has() {
    let lab = TestLab::up("w");
    let shown = |word: &str| {
        let run = lab.run(&["db", "show", word, "--json"]);
        let document: serde_json::Value = serde_json::from_str(&run.stdout).expect(&run.stderr);
        (run.code, document)
    };
    let (code, whole) = shown("web1");
    assert_eq!((code, &whole["schema"]), (0, &serde_json::json!("hopline.record/1")), "{whole:#}");
    let lines = list(&whole["lines"]);
    let hosts = lines.iter().flat_map(|line| list(&line["hosts"]));
    assert!(hosts.clone().all(|on| on["has"] == true && on["host"] == "compute1"), "{whole:#}");
    assert!(hosts.count() >= 10, "domain, tap, bridge, hosts file, address and rules, ...: {whole:#}");
    assert_eq!(shown(&lab.address("web1")), (0, whole), "by its address");
    assert_eq!(lab.lab("delete", &["web2"]).code, 0);
    assert_refused(&lab.run(&["db", "show", "web2"]), &["web2", "which is deleted"]);
    assert_refused(&lab.run(&["db", "show", "web9"]), &["no instance `web9`"]);
}

/// Each of a host's things is missed at its own line, and nowhere else.
#[test]
fn what_a_host_lacks_is_shown_at_its_line() {
    let lab = TestLab::up("x");
    let lacking = || -> Vec<(String, String)> {
        let run = lab.run(&["db", "show", "web1", "--json"]);
        let shown: serde_json::Value = serde_json::from_str(&run.stdout).expect(&run.stderr);
        let lacks = |line: &&serde_json::Value| list(&line["hosts"]).iter().any(|on| on["has"] == false);
        let lines: Vec<_> = list(&shown["lines"]).iter().filter(lacks).map(text_of).collect();
        assert_eq!(run.code, i32::from(!lines.is_empty()), "{shown:#}");
        lines.into_iter().map(|(what, text)| (what.to_owned(), text)).collect()
    };
    let gateway = lab.gateway_of("web1");
    let hosts_file = lab.state().join("compute1/networks/nova-br100.conf").display().to_string();
    let both = "no DNAT rule, no SNAT rule";
    for (fault, expected) in [
        ("tap-missing", &[("VIF", "no tap vnet0")][..]),
        ("tap-not-enslaved", &[("VIF", "not in br100")]),
        ("float-address-missing", &[("floating IP", "no address 203.0.113.30")]),
        ("float-dnat-missing", &[("floating IP", "no DNAT rule")]),
        ("float-snat-missing", &[("floating IP", "no SNAT rule")]),
        ("rules-flushed", &[("floating IP", both)]),
        ("dnsmasq-stale-hosts-file", &[("fixed IP", &format!("not in {hosts_file}"))]),
        // Its lease file is another's, in which web1 is not.
        ("dnsmasq-pool-exhausted", &[("fixed IP", &format!("not in {hosts_file}, no lease"))]),
        ("gateway-address-missing", &[("gateway", &format!("no address {gateway}"))]),
        ("guest-powered-off", &[("host", "no domain instance-00000001"), ("VIF", "no tap vnet0")]),
    ] {
        lab.break_fault(fault);
        let expected: Vec<(String, String)> =
            expected.iter().map(|(what, text)| ((*what).to_owned(), (*text).to_owned())).collect();
        assert_eq!(lacking(), expected, "{fault}");
        lab.heal();
        assert_eq!(lacking(), [], "{fault} is healed");
    }
    // By hand: the groups' chain is called otherwise, a part of the range is no neighbour's, and the bridge is gone.
    let compute1 = lab.netns("compute1");
    let renamed = |from: &str, to: &str| support::printed_in(&compute1, &["iptables", "-E", from, to]);
    renamed("nova-compute-inst-1", "others");
    assert_eq!(lacking(), [("security group".to_owned(), "no chain nova-compute-inst-1".to_owned())]);
    renamed("others", "nova-compute-inst-1");
    let length = |old: &str, new: &str| {
        let address = |length: &str| format!("{gateway}/{length}");
        support::printed_in(&compute1, &["ip", "address", "add", &address(new), "dev", "br100"]);
        support::printed_in(&compute1, &["ip", "address", "del", &address(old), "dev", "br100"]);
    };
    let shown = support::printed_in(&compute1, &["ip", "-4", "-o", "address", "show", "to", &gateway]);
    let own = shown.split_whitespace().find_map(|word| word.strip_prefix(&format!("{gateway}/"))).unwrap();
    length(own, "28");
    let narrow = lacking();
    let [(what, said)] = narrow.as_slice() else { panic!("{narrow:?}") };
    assert_eq!(what, "network");
    assert!(said.starts_with(&format!("{gateway}/28, which is not all of 10.0.")), "{said}");
    length("28", own);
    assert_eq!(lacking(), []);
    support::printed_in(&compute1, &["ip", "link", "del", "br100"]);
    let whats: Vec<String> = lacking().into_iter().map(|(what, _)| what).collect();
    assert_eq!(whats, ["VIF", "bridge", "gateway"]);
}

/// What the database says of an instance and its host has not, each by its lab's fault.
#[test]
fn what_a_host_has_not_of_the_database_is_told() {
    let lab = TestLab::up_as("s", &["--hosts", "2"]);
    let mut wrong = Vec::new();
    for finding in [
        "tap-missing compute1//vnet0",
        "float-address-missing compute1//eth0",
        "float-dnat-missing compute1//eth0",
        "float-snat-missing compute1//eth0",
        "float-on-two-hosts compute2//eth0",
        "dnsmasq-stale-hosts-file compute1//br100",
    ] {
        let fault = finding.split(' ').next().unwrap();
        lab.break_fault(fault);
        wrong.extend(lab.report(&["db", "check"]).complaint(&[finding], fault));
        lab.heal();
        wrong.extend(lab.report(&["db", "check"]).complaint(&[""; 0], &format!("{fault} is healed")));
    }
    support::assert_none(&wrong);
}

/// dnsmasq keeps a lease file, as its own configuration may say, and somebody else has a lease of web1's address in it.
#[test]
fn a_lease_of_another_is_released_as_told() {
    let lab = TestLab::up("l");
    let (compute1, web1) = (lab.netns("compute1"), lab.address("web1"));
    let networks = lab.state().join("compute1/networks");
    let pid = std::fs::read_to_string(networks.join("nova-br100.pid")).unwrap();
    let pid = pid.trim();
    let of_process = |file: &str| -> Vec<String> {
        let bytes = std::fs::read(format!("/proc/{pid}/{file}")).unwrap();
        let words = bytes.split(|byte| *byte == 0).filter(|word| !word.is_empty());
        words.map(|word| String::from_utf8(word.to_owned()).unwrap()).collect()
    };
    let (arguments, environment) = (of_process("cmdline"), of_process("environ"));
    support::printed(&["kill", pid]);
    support::eventually("dnsmasq has ended", || !std::path::Path::new(&format!("/proc/{pid}")).exists());
    let leases = networks.join("leases");
    let line = |mac: &str, address: &str| format!("4102444800 {mac} {address} * *\n");
    let (other, free) = ("fa:16:3e:aa:aa:aa", "10.0.0.200");
    std::fs::write(&leases, [line(other, &web1), line("fa:16:3e:bb:bb:bb", free)].concat()).unwrap();
    let kept = format!("--dhcp-leasefile={}", leases.display());
    let swapped = |word: &String| if word == "--leasefile-ro" { kept.clone() } else { word.clone() };
    let arguments: Vec<String> = arguments.iter().map(swapped).collect();
    assert!(arguments.contains(&kept), "{arguments:?}");
    let within = ["env", "-i"].iter().map(|word| (*word).to_owned());
    let command: Vec<String> = within.chain(environment).chain(arguments).collect();
    support::printed_in(&compute1, &command.iter().map(String::as_str).collect::<Vec<_>>());

    let report = lab.report(&["db", "check"]);
    report
        .assert_finds(&["dhcp-lease-of-another database//fixed_ips"], "web1's address is leased to another");
    let finding = &report.json["findings"][0];
    assert_eq!(finding["instances"], serde_json::json!(["web1"]));
    let row = text(&finding["evidence"][0]["text"]);
    for piece in [other, &web1, "compute1", &leases.display().to_string(), "web1"] {
        assert!(row.contains(piece), "{piece}: {row}");
    }
    assert!(!row.contains(free), "{row}");
    let fix = text(&finding["remedy"][0]["command"]);
    assert_eq!(fix, format!("dhcp_release br100 {web1} {other}"));
    assert!(text(&finding["remedy"][0]["note"]).contains("again while the lease stays"), "{finding}");
    // libvirt's dnsmasq listens on this host, too.
    let kept = || std::fs::read_to_string(&leases).unwrap();
    support::eventually("dnsmasq has written its file", || {
        support::printed_in(&compute1, &fix.split(' ').collect::<Vec<_>>());
        !kept().contains(other)
    });
    lab.report(&["db", "check"]).assert_healthy("the lease is released");
    assert!(kept().contains(free), "of another address nothing is told, and nothing is lost");
}

/// What a line is, and what a host lacks of it.
fn text_of(line: &serde_json::Value) -> (&str, String) {
    let lacking = list(&line["hosts"]).iter().filter(|on| on["has"] == false);
    (text(&line["what"]), lacking.map(|on| text(&on["text"])).collect::<Vec<_>>().join(", "))
}
