//! What dnsmasq offers, held to what is meant, with what puts it right: by its files, its arguments and its log. Needs
//! root.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli_support;
mod support;

use std::net::UdpSocket;
use std::time::Duration;

use serde_json::Value;
use support::closed::Closed;
use support::report::{Report, leg, list, text};
use support::test_lab::TestLab;
use support::{Background, dnsmasq, printed_in, sqlite, typed};
use sys::netns::{self, NetnsFd};

const WRONG: &str = "dhcp-offer-wrong compute1//br100";

fn only(report: &Report) -> &Value {
    let [finding] = list(&report.json["findings"]) else { panic!("{:#}", report.json) };
    finding
}

/// `SOURCE: TEXT` of each line.
fn evidence(finding: &Value) -> Vec<String> {
    let lines = list(&finding["evidence"]).iter();
    lines.map(|line| format!("{}: {}", text(&line["source"]), text(&line["text"]))).collect()
}

/// Does as the finding says, first things first, until dnsmasq has read its files again.
fn put_right(lab: &TestLab, finding: &Value) {
    let command = &finding["remedy"][0]["command"];
    dnsmasq::reads_again(lab, || assert_eq!(typed([command].into_iter()), [""; 0]));
}

/// By every question that has DHCP answered, of an instance that may be entered and of one that may not.
fn everywhere_wrong(closed: &Closed, symptoms: &[&str], why: &str) -> Report {
    for symptom in symptoms {
        let asked = ["diagnose", "web1", "--symptom", symptom];
        closed.lab.report(&asked).assert_finds(&[WRONG], why);
        closed.report(&asked).assert_finds(&[WRONG], why);
    }
    closed.report(&["diagnose", "web1", "--symptom", symptoms[0]])
}

#[test]
fn an_offer_without_what_the_network_has_is_no_health() {
    let closed = Closed::up("dn");
    let lab = &closed.lab;
    let opts = dnsmasq::file(lab, "opts");
    dnsmasq::tells(lab, "opts", "3\n");
    let report = everywhere_wrong(&closed, &["auto", "dhcp"], "no router");
    let finding = only(&report);
    assert!(text(&finding["summary"]).contains("no router, and 10.0.0.42 is the gateway"), "{finding:#}");
    assert!(evidence(finding).contains(&format!("{}:1: 3", opts.display())), "{finding:#}");
    put_right(lab, finding);
    assert_eq!(std::fs::read_to_string(&opts).unwrap(), "3,10.0.0.42\n");
    closed.report(&["diagnose", "web1"]).assert_healthy("the gateway is told again");
    // By hand, and in no file.
    dnsmasq::restart(lab, |words| words.push("--dhcp-option=6".to_owned()));
    let report = everywhere_wrong(&closed, &["auto", "dhcp", "dns"], "no DNS server");
    let finding = only(&report);
    assert!(text(&finding["summary"]).contains("no DNS server"), "{finding:#}");
    let told = evidence(finding);
    let of_process = format!(" ps -ww -o args= -p {}: --dhcp-option=6", dnsmasq::pid(lab));
    assert!(told.iter().any(|line| line.ends_with(&of_process)), "{told:#?}");
    assert!(text(&finding["remedy"][0]["command"]).starts_with("kill -TERM "), "{finding:#}");
}

#[test]
fn an_option_is_shown_where_it_is_written() {
    let closed = Closed::up("dw");
    let lab = &closed.lab;
    let opts = dnsmasq::file(lab, "opts").display().to_string();
    dnsmasq::tells(lab, "opts", "3,10.0.0.99\n26,9000\n");
    let report = closed.report(&["diagnose", "web1", "--symptom", "dhcp"]);
    report.assert_finds(&[WRONG], "another router, and large packets");
    let finding = only(&report);
    let told = evidence(finding);
    for line in [format!("{opts}:1: 3,10.0.0.99"), format!("{opts}:2: 26,9000")] {
        assert!(told.contains(&line), "{line}: {told:#?}");
    }
    put_right(lab, finding);
    closed.report(&["diagnose", "web1"]).assert_healthy("both lines are put right");
    // No server for names at that address; sshd asks it all the same.
    dnsmasq::restart(lab, |words| {
        words.extend(["--dhcp-option=6,203.0.113.1", "--dhcp-option=26,9000"].map(str::to_owned));
    });
    let report = everywhere_wrong(&closed, &["ssh", "dns"], "whom the instance asks does not answer");
    let told = evidence(only(&report));
    assert!(told.iter().any(|line| line.ends_with(": --dhcp-option=6,203.0.113.1")), "{told:#?}");
    assert!(told.iter().all(|line| !line.starts_with(&opts)), "the file has neither: {told:#?}");
}

#[test]
fn an_address_that_is_not_the_recorded_one_is_told_by_its_file() {
    let closed = Closed::up("da");
    let lab = &closed.lab;
    let conf = dnsmasq::file(lab, "conf");
    let right = std::fs::read_to_string(&conf).unwrap();
    let wrong = right.replace("10.0.2.24", "10.0.2.77");
    dnsmasq::tells(lab, "conf", &wrong);
    let report = closed.report(&["diagnose", "web1"]);
    report.assert_finds(&[WRONG], "the file has another address");
    let finding = only(&report);
    let told = evidence(finding);
    let line = format!("{}:1: fa:16:3e:00:02:24 has 10.0.2.77", conf.display());
    assert!(told.contains(&line), "{told:#?}");
    put_right(lab, finding);
    assert_eq!(std::fs::read_to_string(&conf).unwrap(), right);
    closed.report(&["diagnose", "web1"]).assert_healthy("the line is put right");
    // Right in the file, and not read.
    dnsmasq::tells(lab, "conf", &wrong);
    std::fs::write(&conf, &right).unwrap();
    let report = closed.report(&["diagnose", "web1"]);
    report.assert_finds(&["dnsmasq-hosts-not-reloaded compute1//br100"], "it was not signalled");
    let finding = only(&report);
    assert_eq!(text(&finding["confidence"]), "proven", "{finding:#}");
    assert_eq!(text(&finding["remedy"][0]["command"]), format!("kill -HUP {}", dnsmasq::pid(lab)));
    put_right(lab, finding);
    closed.report(&["diagnose", "web1"]).assert_healthy("it has read its file");
}

#[test]
fn a_lease_that_is_refused_is_proved_by_the_log() {
    let lab = TestLab::up("dl");
    // dnsmasq is told its leases by the database when it starts.
    let forget = format!("update fixed_ips set leased = 0 where address = '{}'", lab.address("web2"));
    sqlite(&lab.state().join("nova.sqlite"), &forget);
    dnsmasq::restart(&lab, |words| {
        words.retain(|word| !word.starts_with("--dhcp-lease-max="));
        words.push("--dhcp-lease-max=1".to_owned());
    });
    printed_in(&lab.netns("web2"), &["ip", "address", "flush", "dev", "eth0"]);
    let script = lab.state().join("guest/no-op.script").display().to_string();
    let asks = ["busybox", "udhcpc", "-f", "-i", "eth0", "-t", "60", "-T", "1", "-s", &script];
    let client = Background::within(&lab.netns("web2"), &asks);
    support::eventually("dnsmasq refuses the lease", || dnsmasq::logged(&lab, "no leases left") > 0);
    let report = lab.report(&["diagnose", "web2"]);
    drop(client);
    report.assert_finds(&["dnsmasq-lease-max compute1//br100"], "the one lease is web1's");
    let finding = only(&report);
    assert_eq!(text(&finding["confidence"]), "proven", "{finding:#}");
    assert!(evidence(finding).iter().any(|line| line.contains("no leases left")), "{finding:#}");
    // What was asked since takes nothing back.
    let again = lab.report(&["diagnose", "web2", "--symptom", "dhcp"]);
    again.assert_finds(&["dnsmasq-lease-max compute1//br100"], "nobody has asked for it since but hopline");
}

#[test]
fn a_server_that_pings_before_it_offers_is_waited_for() {
    let lab = TestLab::up("dp");
    let (pid, log) = (lab.state().join("pings.pid"), lab.state().join("pings.log"));
    let (pid, log) = (format!("--pid-file={}", pid.display()), format!("--log-facility={}", log.display()));
    let pings = [
        "dnsmasq",
        "--keep-in-foreground",
        "--conf-file=",
        "--port=0",
        "--interface=eth0",
        "--bind-interfaces",
        "--dhcp-range=10.0.255.240,10.0.255.250,2m",
        "--leasefile-ro",
        "--user=root",
        &pid,
        &log,
    ];
    let server = Background::within(&lab.netns("web2"), &pings);
    let listens = || printed_in(&lab.netns("web2"), &["ss", "-Hlun", "sport = :67"]);
    support::eventually("it listens", || !listens().is_empty());
    let report = lab.report(&["diagnose", "web1", "--symptom", "dhcp"]);
    drop(server);
    report.assert_finds(&["rogue-dhcp web2//eth0"], "its offer comes three seconds later");
    assert_eq!(text(&only(&report)["confidence"]), "proven", "{:#}", report.json);
    let took = Duration::from_millis(report.json["elapsed_ms"].as_u64().unwrap());
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn who_is_ignored_by_a_line_is_told_by_that_line() {
    let closed = Closed::up("di");
    let lab = &closed.lab;
    let conf = dnsmasq::file(lab, "conf");
    let novas = std::fs::read_to_string(&conf).unwrap();
    // The last line of a MAC counts.
    dnsmasq::tells(lab, "conf", &format!("fa:16:3e:00:02:24,ignore\n{novas}"));
    closed.report(&["diagnose", "web1", "--symptom", "dhcp"]).assert_healthy("nova's line is the last");
    dnsmasq::tells(lab, "conf", &format!("{novas}\nfa:16:3e:00:02:24,ignore"));
    for symptom in ["dhcp", "auto"] {
        let report = closed.report(&["diagnose", "web1", "--symptom", symptom]);
        report.assert_finds(&["dnsmasq-stale-hosts-file compute1//br100"], "its last line says ignore");
        let finding = only(&report);
        assert!(text(&finding["summary"]).contains("is told to ignore its MAC"), "{finding:#}");
        let line = format!("{}:3: fa:16:3e:00:02:24,ignore", conf.display());
        assert!(evidence(finding).contains(&line), "{line}: {finding:#}");
    }
    put_right(lab, only(&closed.report(&["diagnose", "web1"])));
    closed.report(&["diagnose", "web1"]).assert_healthy("nova's line is back, alone");
}

#[test]
fn who_only_listens_is_not_waited_for() {
    let lab = TestLab::up("dz");
    let took = || {
        let report = lab.report(&["diagnose", "web1", "--symptom", "dhcp"]);
        report.assert_healthy("who only listens hears the DISCOVER, looks for no address and offers none");
        Duration::from_millis(report.json["elapsed_ms"].as_u64().unwrap())
    };
    let alone = took();
    let listens = "import socket\n\
                   s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
                   s.bind(('0.0.0.0', 67))\n\
                   while True: s.recv(1500)";
    let listener = Background::within(&lab.netns("web2"), &["python3", "-c", listens]);
    let sockets = || printed_in(&lab.netns("web2"), &["ss", "-Hlun", "sport = :67"]);
    support::eventually("it listens", || !sockets().is_empty());
    let beside = took();
    drop(listener);
    // One that pings first has its answer out after three seconds.
    assert!(beside < alone + Duration::from_secs(3), "{beside:?}, and {alone:?} without it");
}

#[test]
fn a_stranger_that_answers_what_no_client_can_read_is_told_with_where_it_is() {
    let lab = TestLab::up("dg");
    let netns = NetnsFd::named(&lab.netns("web2")).unwrap();
    let socket = netns::within(&netns, || {
        let socket = UdpSocket::bind("0.0.0.0:67")?;
        socket.set_broadcast(true)?;
        socket.set_read_timeout(Some(Duration::from_secs(30)))?;
        Ok::<_, std::io::Error>(socket)
    });
    let socket = socket.unwrap().unwrap();
    let server = std::thread::spawn(move || {
        let mut asked = [0; 1500];
        let (length, _) = socket.recv_from(&mut asked).unwrap();
        // Up to its cookie what was asked, as an answer; then a server's address that is longer than what is left.
        let mut answer = asked.get(..240).unwrap_or_else(|| panic!("{length}")).to_vec();
        answer[0] = 2;
        answer.extend([53, 1, 2, 54, 255, 10]);
        for _ in 0..3000 {
            // A queue that is full is no concern.
            let _ = socket.send_to(&answer, "255.255.255.255:68");
        }
    });
    let report = lab.report(&["diagnose", "web1", "--symptom", "dhcp"]);
    server.join().unwrap();
    report.assert_finds(&["rogue-dhcp web2//eth0"], "3,000 answers that nobody can read");
    let finding = only(&report);
    assert_eq!(text(&finding["confidence"]), "likely", "{finding:#}");
    let told = evidence(finding);
    assert!(told.iter().any(|line| line.contains("10.0.2.25") && line.contains("option 54")), "{told:#?}");
    assert!(told.iter().any(|line| line.contains("more answers came than are looked at")), "{told:#?}");
}

#[test]
fn what_is_no_ping_is_not_looked_for_among_pings() {
    let lab = TestLab::up("dt");
    for fault in ["input-blocks-dhcp", "dns-port53-blocked"] {
        lab.break_fault(fault);
        let report = lab.report(&["diagnose", "web1"]);
        report.assert_finds(&[&format!("{fault} compute1//br100")], fault);
        let told = evidence(only(&report));
        assert!(told.iter().any(|line| line.ends_with("packets and nobody else's")), "{told:#?}");
        assert!(told.iter().all(|line| !line.starts_with("nftrace of our own pings")), "{told:#?}");
        lab.heal();
    }
}

/// The narrow way comes before the wide one, each says whom it disturbs, and both together put it right.
#[test]
fn the_server_that_hangs_is_started_anew_alone_and_then_with_all_of_its_host() {
    let lab = TestLab::up("dk");
    lab.break_fault("dnsmasq-hung");
    let report = lab.report(&["diagnose", "web1"]);
    report.assert_finds(&["dnsmasq-hung compute1//br100"], "it is stopped");
    let finding = only(&report);
    let remedies = list(&finding["remedy"]);
    let pid = dnsmasq::pid(&lab);
    let commands: Vec<&str> = remedies.iter().map(|remedy| text(&remedy["command"])).collect();
    let (go_on, end) = (format!("kill -CONT {pid}"), format!("kill -KILL {pid}"));
    assert_eq!(commands, [go_on.as_str(), &end, "systemctl restart nova-network"]);
    let [project, other] = ["web1", "web2"].map(|name| text(&lab.instance(name)["project"]).to_owned());
    assert!(!project.is_empty() && project == other, "{project} {other}");
    let whom = format!("web1, web2 of project {project}");
    let notes: Vec<&str> = remedies.iter().map(|remedy| text(&remedy["note"])).collect();
    assert!(notes[0].ends_with("; disturbs nobody"), "{notes:#?}");
    let alone = format!(
        "until then {whom} on br100 get neither addresses nor names, and no other network is touched"
    );
    assert!(notes[1].ends_with(&alone), "{notes:#?}");
    assert!(
        notes[2].contains(&format!("disturbs every network of compute1 for a moment: {whom} ")),
        "{notes:#?}"
    );
    assert_eq!(typed([&remedies[1]["command"]].into_iter()), [""; 0]);
    // The lab's nova-network is restarted as the lab does it.
    let restarted = lab.lab("restart", &["nova-network", "compute1"]);
    assert_eq!(restarted.code, 0, "{restarted:?}");
    assert_ne!(dnsmasq::pid(&lab), pid);
    lab.report(&["diagnose", "web1"]).assert_healthy("it was started anew");
}

/// A DISCOVER that was sent and does not come to the bridge is told as that leg, whether the instance may be entered or
/// not.
#[test]
fn a_discover_that_ends_at_the_tap_is_a_lost_request_of_dhcp() {
    let closed = Closed::up("dr");
    let lab = &closed.lab;
    let asked = ["diagnose", "web1", "--symptom", "dhcp"];
    for fault in ["tap-down", "tap-not-enslaved", "ebtables-drop"] {
        lab.break_fault(fault);
        for (report, site) in [(lab.report(&asked), "open"), (closed.report(&asked), "closed")] {
            report.assert_finds(&[format!("{fault} compute1//vnet0")], site);
            let finding = only(&report);
            let broken = (text(&finding["exchange"]), text(&finding["direction"]));
            assert_eq!(broken, ("dhcp", "request"), "{fault}, {site}: {finding:#}");
            let hops = leg(&report.json, "dhcp", "255.255.255.255:67", "request");
            assert!(hops.iter().all(|hop| hop["device"] != "br100"), "{fault}, {site}: {hops:#?}");
            assert_eq!(hops.last().unwrap()["predicted"], "drop", "{fault}, {site}: {hops:#?}");
            let back = list(&report.json["paths"]).iter();
            let is_back = |path: &&Value| path["exchange"] == "dhcp" && path["direction"] == "reply";
            assert_eq!(back.filter(is_back).count(), 0, "{fault}, {site}: nobody hears it");
        }
        lab.heal();
        closed.report(&asked).assert_healthy(&format!("after {fault}"));
    }
    // Its client tells the MAC that its NIC has: that a DISCOVER in the name of the recorded one passes proves nothing.
    lab.break_fault("antispoof-mac");
    for more in [&[][..], &["--passive"]] {
        let report = lab.report(&[&asked[..], more].concat());
        report.assert_finds(&["antispoof-mac compute1//vnet0"], "its own MAC");
        assert_eq!(text(&only(&report)["exchange"]), "dhcp", "{more:?}: {:#}", report.json);
    }
}
