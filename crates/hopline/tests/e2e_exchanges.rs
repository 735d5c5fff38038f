//! DHCP, DNS and metadata asked for real: every leg is seen in health, and where one is lost, the hop is named. What is
//! asked next follows from what came. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli_support;
mod support;

use serde_json::Value;
use support::closed::Closed;
use support::report::{Report, asked, leg, legs, list, text};
use support::test_lab::TestLab;
use support::{Background, eventually, printed_in};

/// No room for a single packet: nothing that hopline reads tells of it.
fn clog(lab: &TestLab, host: &str, device: &str) {
    let line = ["tc", "qdisc", "add", "dev", device, "root", "pfifo", "limit", "0"];
    printed_in(&lab.netns(host), &line);
}

/// Each leg between these two, there and back, passes by prediction and is seen. `whose` is in what its packets are
/// printed as, in both directions.
#[track_caller]
fn all_seen(report: &Report, exchange: &str, whose: &str, [asker, asked]: [&str; 2]) {
    for (direction, first, last) in [("request", asker, asked), ("reply", asked, asker)] {
        let hops = leg(&report.json, exchange, whose, direction);
        let place = |hop: &Value| format!("{}/{}", text(&hop["host"]), text(&hop["device"]));
        let ends = [hops.first(), hops.last()].map(|hop| hop.map(place).unwrap_or_default());
        assert_eq!(ends, [first, last], "{direction}: {hops:#?}");
        assert!(hops.iter().all(|hop| hop["predicted"] == "pass"), "{direction}: {hops:#?}");
        // Between two ports the bridge itself sees nothing.
        let watched: Vec<&Value> = hops.iter().filter(|hop| hop["observed"] != "not-watched").collect();
        assert!(
            watched.len() > 1 && watched.iter().all(|hop| hop["observed"] == "seen"),
            "{direction}: {hops:#?}"
        );
    }
}

fn said(report: &Report, start: &str) -> String {
    let lines = asked(&report.json);
    lines.iter().find(|line| line.contains(start)).unwrap_or_else(|| panic!("{start}: {lines:#?}")).clone()
}

#[test]
fn a_silence_that_was_foreseen_is_not_waited_for_in_full() {
    let lab = TestLab::up("fs");
    lab.break_fault("tap-down");
    let report = lab.report(&["diagnose", "web1"]);
    report.assert_finds(&["tap-down compute1//vnet0"], "nothing leaves web1");
    // As long as a question takes of which nobody knows why it is not answered.
    let took = report.json["elapsed_ms"].as_u64().unwrap();
    assert!(took < 3500, "{took} ms");
}

#[test]
fn every_leg_of_a_healthy_exchange_is_seen() {
    let lab = TestLab::up("h");
    let dhcp = lab.report(&["diagnose", "web1", "--symptom", "dhcp"]);
    dhcp.assert_healthy("DHCP");
    let (web1, bridge, outside) = ("web1/eth0", "compute1/br100", "external/eth0");
    all_seen(&dhcp, "dhcp", ":67", [web1, bridge]);
    let offered = said(&dhcp, "DHCPDISCOVER as web1");
    assert!(offered.contains("offers 10.0.2.24/16, router 10.0.0.42"), "{offered}");
    let dns = lab.report(&["diagnose", "web1", "--symptom", "dns"]);
    dns.assert_healthy("DNS");
    all_seen(&dns, "dns", "10.0.0.42:53", [web1, bridge]);
    // Whom dnsmasq asks is asked by its host, from the address that it goes out by.
    all_seen(&dns, "dns", "203.0.113.34:", ["compute1/eth0", outside]);
    let upstream = leg(&dns.json, "dns", "203.0.113.34:", "request");
    assert!(upstream.iter().all(|hop| text(&hop["packet"]).contains(" > 1.2.3.4:53 UDP ")), "{upstream:#?}");
    // It is there, and it finds out what it does not know itself.
    assert!(said(&dns, "version.bind").contains(": NOERROR"));
    assert!(said(&dns, "-x 1.2.3.4 from web1").contains(": NOERROR: openstack.test."));
    let ssh = lab.report(&["diagnose", "web1", "--symptom", "ssh"]);
    ssh.assert_healthy("ssh");
    all_seen(&ssh, "tcp", ":22", [outside, web1]);
    let metadata = lab.report(&["diagnose", "web1", "--symptom", "metadata"]);
    metadata.assert_healthy("metadata");
    all_seen(&metadata, "tcp", "10.0.2.24:", [web1, bridge]);
    assert!(said(&metadata, "curl -i http://169.254.169.254/").contains("200 OK"));
    let passive = lab.report(&["diagnose", "web1", "--symptom", "dhcp", "--passive"]);
    passive.assert_healthy("nothing sent");
    assert_eq!(asked(&passive.json), [""; 0]);
}

/// Who has web1 is always asked by its host, and who has the gateway by whoever is the instance.
#[test]
fn who_has_an_address_is_followed_leg_by_leg_and_told_where_it_is_lost() {
    let lab = TestLab::up("arp");
    let report = lab.report(&["diagnose", "web1"]);
    report.assert_healthy("ARP");
    all_seen(&report, "arp", "10.0.2.24", ["compute1/br100", "web1/eth0"]);
    let passive = lab.report(&["diagnose", "web1", "--passive"]);
    assert!(list(&passive.json["paths"]).iter().all(|path| text(&path["exchange"]) != "arp"), "nobody asked");
    clog(&lab, "compute1", "vnet0");
    printed_in(&lab.netns("compute1"), &["ip", "neigh", "flush", "to", "10.0.2.24"]);
    let broken = lab.report(&["diagnose", "web1", "--symptom", "ping"]);
    broken.assert_finds(&["tap-tx-queue-drops compute1//vnet0"], "the tap's queue has no room");
    let hops = legs(&broken.json, "arp", "who has 10.0.2.24", "request");
    assert_eq!(hops, ["compute1/br100 seen", "compute1/vnet0 not-seen"]);
    let evidence: Vec<String> = list(&broken.json["findings"][0]["evidence"])
        .iter()
        .map(|line| format!("{}: {}", text(&line["source"]), text(&line["text"])))
        .collect();
    let at = |device: &str| {
        let start =
            format!("hopline capture --at compute1//{device} 'arp': compute1 asks who has 10.0.2.24: ");
        let told = evidence.iter().find_map(|line| line.strip_prefix(&start));
        told.unwrap_or_else(|| panic!("{device}: {evidence:#?}")).split(' ').next().unwrap().to_owned()
    };
    assert!(at("br100") != "0" && at("vnet0") == "0", "{evidence:#?}");
}

#[test]
fn an_offer_that_is_lost_on_its_way_back_is_told_with_the_hop() {
    let lab = TestLab::up("o");
    clog(&lab, "compute1", "vnet0");
    let report = lab.report(&["diagnose", "web1", "--symptom", "dhcp"]);
    report.assert_finds(&["tap-tx-queue-drops compute1//vnet0"], "the tap's queue has no room");
    let finding = &list(&report.json["findings"])[0];
    assert_eq!((text(&finding["exchange"]), text(&finding["direction"])), ("dhcp", "reply"), "{finding:#}");
    let summary = text(&finding["summary"]);
    assert!(summary.starts_with("10.0.0.42:67 > 10.0.2.24:68 "), "{summary}");
    // The guide's four lines of web1's boot, and what its console said then.
    let told: Vec<&str> = list(&finding["evidence"]).iter().map(|line| text(&line["text"])).collect();
    assert!(told.iter().any(|line| line.contains("REQUEST, ACK")), "{told:#?}");
    assert!(told.iter().any(|line| line.contains("lease of 10.0.2.24 obtained")), "{told:#?}");
    // dnsmasq has heard every DISCOVER and answered it.
    let log = std::fs::read_to_string(lab.state().join("compute1/log/dnsmasq.log")).unwrap();
    let lines = |word: &str| log.lines().filter(|line| line.contains(word)).count();
    assert!(lines("DHCPOFFER(br100)") > 1, "{log}");
}

/// The guide's last case: dnsmasq gives the lease, and the instance never hears of it.
#[test]
fn all_four_lines_and_no_address_is_the_way_back() {
    let lab = TestLab::up("f");
    // Of DHCP's answers the ACK alone: option 53, the first behind the cookie, says 5.
    let drops = "add table bridge t; add chain bridge t out { type filter hook output priority 0; }; \
        add rule bridge t out udp sport 67 @th,1984,24 0x350105 drop";
    printed_in(&lab.netns("compute1"), &["nft", drops]);
    printed_in(&lab.netns("web1"), &["ip", "address", "flush", "dev", "eth0"]);
    let script = lab.state().join("guest/no-op.script").display().to_string();
    let asks = ["busybox", "udhcpc", "-f", "-i", "eth0", "-t", "60", "-T", "1", "-s", &script];
    let client = Background::within(&lab.netns("web1"), &asks);
    let log = lab.state().join("compute1/log/dnsmasq.log");
    let acks = || {
        let text = std::fs::read_to_string(&log).unwrap();
        text.lines().filter(|line| line.contains("DHCPACK(br100) 10.0.2.24 ")).count()
    };
    let before = acks();
    eventually("dnsmasq gives it three times", || acks() >= before + 3);
    let meanwhile = lab.report(&["diagnose", "web1"]);
    drop(client);
    // Now it has given up; what the log has is the same.
    for report in [meanwhile, lab.report(&["diagnose", "web1", "--symptom", "dhcp"])] {
        report.assert_finds(&["dhcp-reply-lost compute1//vnet0"], "the ACK alone is dropped there");
        let finding = &list(&report.json["findings"])[0];
        assert_eq!(
            (text(&finding["exchange"]), text(&finding["direction"])),
            ("dhcp", "reply"),
            "{finding:#}"
        );
        let told: Vec<&str> = list(&finding["evidence"]).iter().map(|line| text(&line["text"])).collect();
        assert!(told.iter().any(|line| line.contains("DHCPACK(br100) 10.0.2.24 ")), "{told:#?}");
        assert!(told.iter().any(|line| line.contains("@th,1984,24 0x350105")), "{told:#?}");
    }
}

#[test]
fn what_the_instances_own_client_says_meanwhile_is_told_where_it_was_seen() {
    let lab = TestLab::up("c");
    lab.break_fault("dnsmasq-hung");
    // Asks once a second, and takes no address whatever it hears.
    let script = lab.state().join("guest/no-op.script");
    let asks =
        ["busybox", "udhcpc", "-f", "-i", "eth0", "-t", "60", "-T", "1", "-s", script.to_str().unwrap()];
    let client = Background::within(&lab.netns("web1"), &asks);
    let report = lab.report(&["diagnose", "web1", "--symptom", "dhcp"]);
    drop(client);
    report.assert_finds(&["dnsmasq-hung compute1//br100"], "it is stopped");
    let evidence = list(&report.json["findings"][0]["evidence"]);
    let of_client = |line: &&Value| text(&line["text"]).starts_with("its own client asked meanwhile");
    let at_tap = |line: &&Value| text(&line["source"]).starts_with("hopline capture --at compute1//vnet0 ");
    let seen = evidence.iter().filter(of_client).find(at_tap).unwrap_or_else(|| panic!("{evidence:#?}"));
    assert!(text(&seen["text"]).ends_with("and 0 answers"), "{seen:#}");
}

#[test]
fn where_a_way_is_silent_the_hosts_on_it_are_asked_and_nothing_else() {
    let lab = TestLab::up("w");
    let healthy = lab.report(&["diagnose", "web1", "--symptom", "ping"]);
    healthy.assert_healthy("nothing is broken");
    let verbose = lab.run(&["diagnose", "web1", "--symptom", "ping", "-v"]);
    assert_eq!(verbose.code, 0, "{verbose:?}");
    let tree: Vec<&str> = verbose.stdout.lines().filter(|line| line.contains("asked, wave ")).collect();
    assert!(tree.first().is_some_and(|line| line.contains("wave 1: ping 1.2.3.4 from web1")), "{verbose:?}");
    let left = |stdout: &str| {
        // Long lines are wrapped.
        let words = stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        let all: Vec<String> = words.split("left in the end").skip(1).map(str::to_owned).collect();
        all
    };
    let nothing = ": nothing, all that was asked is answered or need not be";
    let ends = left(&verbose.stdout);
    assert!(ends.len() == 1 && ends[0].starts_with(nothing), "{verbose:?}");
    let waves = |report: &Report| {
        let lines = asked(&report.json);
        let wave = |line: &str| line.split([' ', ':']).nth(1).unwrap().parse::<u32>().unwrap();
        lines.iter().map(|line| (wave(line), line.clone())).collect::<Vec<_>>()
    };
    let (first, why) = waves(&healthy).first().cloned().unwrap();
    assert!(first == 1 && why.contains("ping 1.2.3.4 from web1"), "the longest way shows most: {why}");
    // Behind the small ones goes a large one; and a machine that is busy may take one for late.
    let is_expected = |(wave, line): &(u32, String)| {
        *wave == 1 || line.contains("-M do -s 1472") || line.contains("may be lost are on its way")
    };
    assert!(waves(&healthy).iter().all(is_expected), "{:#?}", waves(&healthy));
    lab.break_fault("dropped-by-unmodelled");
    let broken = lab.report(&["diagnose", "web1", "--symptom", "ping"]);
    broken.assert_finds(&["dropped-by-unmodelled compute1//br100"], "an IPsec policy");
    let later: Vec<String> =
        waves(&broken).into_iter().filter(|(wave, _)| *wave > 1).map(|(_, l)| l).collect();
    // What parts the way into halves: from beyond the host, and from the host itself, all is well.
    for answered in
        ["ping 203.0.113.30 from isp: 2 of 2 answered", "ping 1.2.3.4 from compute1: 2 of 2 answered"]
    {
        assert!(later.iter().any(|line| line.contains(answered)), "{answered}: {later:#?}");
    }
    // At each step it is told what is still possible, and at the end what is left.
    let parted = later.iter().find(|line| line.contains("ping 1.2.3.4 from compute1"));
    let possible = parted.and_then(|line| line.split_once(" are on its way: ")).map(|(_, possible)| possible);
    assert!(possible.is_some_and(|places| places.contains("compute1//br100")), "{later:#?}");
    let verbose = lab.run(&["diagnose", "web1", "--symptom", "ping", "-v"]);
    let ends = left(&verbose.stdout);
    assert!(ends[0].starts_with(": dropped-by-unmodelled compute1//br100"), "{ends:#?}");
    let ping =
        ends.iter().find(|end| end.starts_with(" of where the ping from web1 to 1.2.3.4 may be lost: "));
    let ping = ping.unwrap_or_else(|| panic!("{ends:#?}"));
    assert!(ping.contains("compute1//br100"), "{ends:#?}");
    // Others were answered on the rest of its way.
    assert!(!ping.contains("external//eth0") && !ping.contains("isp//"), "{ends:#?}");
    // What the neighbour answers needs not be parted.
    assert!(!later.iter().any(|line| line.contains(&lab.address("web2"))), "{later:#?}");
}

#[test]
fn a_floating_address_that_another_has_is_told_and_nobody_is_led_astray() {
    let lab = TestLab::up("hf");
    let known = |of: &str, address: &str| {
        let entry = printed_in(&lab.netns(of), &["ip", "neigh", "show", address]);
        entry.split_whitespace().skip_while(|word| *word != "lladdr").nth(1).map(str::to_owned)
    };
    lab.report(&["diagnose", "web1"]).assert_healthy("a new lab");
    let report = lab.report(&["diagnose", "web1"]);
    for line in [
        "asked who has 10.0.2.24 on br100 of compute1: fa:16:3e:00:02:24",
        "asked who has 10.0.0.42 on br100 of compute1: compute1 itself",
        "asked who has 203.0.113.30 on eth0 of compute1: compute1 itself",
    ] {
        assert!(list(&report.json["coverage"]["looked_at"]).iter().any(|one| text(one) == line), "{line}");
    }
    let (router, host) = (known("gw", "203.0.113.30"), known("compute1", "10.0.2.24"));
    assert!(router.is_some() && host.as_deref() == Some("fa:16:3e:00:02:24"), "{router:?} {host:?}");
    // Behind the router's port, and not its own: the router itself goes on as before.
    let switch = lab.netns("fab");
    printed_in(&switch, &["ip", "link", "add", "dup", "type", "bridge"]);
    printed_in(&switch, &["ip", "address", "add", "203.0.113.30/32", "dev", "dup"]);
    let report = lab.report(&["diagnose", "web1"]);
    let codes = list(&report.json["findings"]).iter().map(|finding| text(&finding["code"]));
    assert_eq!(codes.collect::<Vec<_>>(), ["duplicate-ip-foreign"], "{:#}", report.json);
    assert_eq!(text(&report.json["findings"][0]["hop"]["device"]), "eth0", "{:#}", report.json);
    assert_eq!((known("gw", "203.0.113.30"), known("compute1", "10.0.2.24")), (router, host));
    let passive = lab.report(&["diagnose", "web1", "--passive"]);
    passive.assert_healthy("nobody was asked");
}

/// What web1 said itself, when it asked while nobody led it to the service.
#[test]
fn what_a_console_says_of_metadata_stands_beside_who_does_not_lead_there() {
    let closed = Closed::up("m");
    let lab = &closed.lab;
    let folder = lab.state().join("compute1/instances").join(text(&lab.instance("web1")["uuid"]));
    let console = folder.join("console.log");
    let booted = std::fs::read_to_string(&console).unwrap();
    let refused = "wget: can't connect to remote host (169.254.169.254): Connection refused";
    // As a boot says it, with what came before it and after it.
    std::fs::write(&console, format!("{booted}{refused}\r\ncloud-setup: failed to read iid\r\n")).unwrap();
    lab.report(&["diagnose", "web1"]).assert_healthy("it failed once, and now it would not");
    lab.break_fault("metadata-dnat-missing");
    let line = booted.lines().count() + 1;
    let expected = format!("{}:{line}: {refused}", console.display());
    for symptom in ["auto", "metadata"] {
        let asked = ["diagnose", "web1", "--symptom", symptom];
        for report in [lab.report(&asked), closed.report(&asked)] {
            report.assert_finds(&["metadata-dnat-missing compute1//br100"], symptom);
            let told = list(&report.json["findings"][0]["evidence"]).iter();
            let of_console = told.filter(|line| text(&line["source"]).contains("/console.log:"));
            let of_console: Vec<String> = of_console
                .map(|line| {
                    assert_eq!(line["kind"], "log");
                    format!("{}: {}", text(&line["source"]), text(&line["text"]))
                })
                .collect();
            assert_eq!(of_console, [expected.as_str()], "{symptom}");
        }
    }
}
