//! Services that take connections and do not serve: what they say instead is told. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli_support;
mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use support::closed::Closed;
use support::report::{Report, asked, list, text};
use support::test_lab::TestLab;
use support::{eventually, printed, printed_in};
use sys::netns::{self, NetnsFd};

/// What a server does with a connection.
#[derive(Debug, Clone, Copy)]
enum Does {
    /// Closes it.
    HangsUp,
    /// Says this, and closes it.
    Says(&'static str),
    /// Reads what it is asked, and says this so much later.
    Answers(&'static str, Duration),
}

/// A server of ours in place of another, until it is dropped.
struct Server {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn in_place_of(lab: &TestLab, machine: &str, at: &str, does: Does) -> Server {
        let netns = NetnsFd::named(&lab.netns(machine)).unwrap();
        let at: SocketAddr = at.parse().unwrap();
        printed(&["kill", &pid(lab, machine, at.port())]);
        let mut own = None;
        eventually("the lab's server to let go of the port", || {
            own = netns::within(&netns, || TcpListener::bind(at)).unwrap().ok();
            own.is_some()
        });
        let own = own.unwrap();
        own.set_nonblocking(true).unwrap();
        let is_over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&is_over);
        let thread = thread::spawn(move || {
            while !told.load(Ordering::Relaxed) {
                let Ok((mut taken, _)) = own.accept() else {
                    thread::park_timeout(Duration::from_millis(5));
                    continue;
                };
                taken.set_nonblocking(false).unwrap();
                // Whoever has connected may be gone by now.
                thread::spawn(move || match does {
                    Does::HangsUp => Ok(()),
                    Does::Says(text) => taken.write_all(text.as_bytes()),
                    Does::Answers(text, late) => {
                        let read = taken.read(&mut [0; 512]);
                        thread::sleep(late);
                        read.and_then(|_| taken.write_all(text.as_bytes()))
                    }
                });
            }
        });
        Server { is_over, thread: Some(thread) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.take().into_iter().for_each(|thread| drop(thread.join()));
    }
}

/// Who listens at a port there.
fn pid(lab: &TestLab, machine: &str, port: u16) -> String {
    let listeners = printed_in(&lab.netns(machine), &["ss", "-Hltnp", "sport", "=", &format!(":{port}")]);
    let pid = listeners.split("pid=").nth(1).and_then(|rest| rest.split([',', ')']).next());
    pid.unwrap_or_else(|| panic!("nobody at {machine}'s port {port}: {listeners}")).to_owned()
}

/// What was asked with this, and came of it.
fn said(report: &Report, with: &str) -> String {
    let lines = asked(&report.json);
    lines.iter().find(|line| line.contains(with)).unwrap_or_else(|| panic!("{with}: {lines:#?}")).clone()
}

fn gaps(report: &Report) -> Vec<String> {
    let gaps = list(&report.json["coverage"]["gaps"]).iter();
    gaps.map(|gap| format!("{}: {}", text(&gap["what"]), text(&gap["why"]))).collect()
}

fn summary(report: &Report) -> &str {
    text(&report.json["findings"][0]["summary"])
}

#[test]
fn an_sshd_that_greets_nobody_is_told_from_one_that_is_not_there() {
    let closed = Closed::up("sg");
    let ssh = ["diagnose", "web1", "--symptom", "ssh"];
    let healthy = closed.report(&ssh);
    healthy.assert_healthy("it greets");
    assert!(
        said(&healthy, "nc -w 5 203.0.113.30 22").contains(": SSH-2.0-hopline_lab"),
        "{:#}",
        healthy.json
    );

    let sshd = pid(&closed.lab, "web1", 22);
    printed(&["kill", "-STOP", &sshd]);
    for report in [closed.report(&ssh), closed.lab.report(&ssh)] {
        report.assert_finds(&["lost-at-hop web1//"], "it is stopped");
        assert!(
            summary(&report).ends_with("at its port 22, and nobody in it greets"),
            "{}",
            summary(&report)
        );
        let took = report.json["elapsed_ms"].as_u64().unwrap();
        assert!(took < 5000, "{took} ms");
    }
    // What was not waited for is not silent.
    let cut = closed.report(&["diagnose", "web1", "--symptom", "ssh", "--timeout", "1500ms"]);
    assert_eq!((cut.code, cut.findings()), (3, Vec::new()), "{:#}", cut.json["coverage"]);
    printed(&["kill", "-CONT", &sshd]);
    closed.report(&ssh).assert_healthy("it goes on");

    let server = Server::in_place_of(&closed.lab, "web1", "0.0.0.0:22", Does::HangsUp);
    let report = closed.report(&ssh);
    report.assert_finds(&["lost-at-hop web1//"], "it hangs up");
    assert!(summary(&report).ends_with("closes it without a greeting"), "{}", summary(&report));
    drop(server);
}

#[test]
fn whatever_else_answers_at_sshs_port_is_named() {
    let lab = TestLab::up("so");
    let other = Does::Says("220 mail.example.net ESMTP\r\n");
    let _server = Server::in_place_of(&lab, "web1", "0.0.0.0:22", other);
    let report = lab.report(&["diagnose", "web1", "--symptom", "ssh"]);
    report.assert_finds(&["lost-at-hop web1//"], "a mail server");
    assert!(summary(&report).ends_with("is no ssh server"), "{}", summary(&report));
    assert!(text(&report.json["findings"][0]["cause"]).ends_with("`220 mail.example.net ESMTP`"));
}

#[test]
fn answers_of_the_metadata_service_are_told_apart() {
    let closed = Closed::up("md");
    let (lab, at) = (&closed.lab, "203.0.113.34:8775");
    let metadata = ["diagnose", "web1", "--symptom", "metadata"];
    let home = "curl -i http://203.0.113.34:8775/2009-04-04/meta-data/instance-id from compute1";
    assert!(said(&closed.report(&metadata), home).contains(": HTTP/1.1 200 OK"));
    // As it is killed by whom it is replaced by, each is the last's successor.
    let first = Server::in_place_of(lab, "compute1", at, Does::Says("no line, and no HTTP"));
    for report in [lab.report(&metadata), closed.report(&metadata)] {
        report.assert_finds(&["metadata-service-fails compute1//br100"], "no HTTP");
        assert!(summary(&report).ends_with("what answers speaks no HTTP"), "{}", summary(&report));
    }
    drop(first);
}

#[test]
fn what_is_served_in_the_place_of_metadata_is_told() {
    for (tag, page, said) in [
        ("me", "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", "it serves an empty page"),
        (
            "mo",
            "HTTP/1.1 200 OK\r\n\r\n<html><title>Welcome to nginx!</title></html>",
            "it serves a page that is no instance's number",
        ),
    ] {
        let closed = Closed::up(tag);
        let does = Does::Answers(page, Duration::ZERO);
        let _server = Server::in_place_of(&closed.lab, "compute1", "203.0.113.34:8775", does);
        let metadata = ["diagnose", "web1", "--symptom", "metadata"];
        for report in [closed.lab.report(&metadata), closed.report(&metadata)] {
            report.assert_finds(&["metadata-service-fails compute1//br100"], page);
            assert!(summary(&report).ends_with(said), "{}", summary(&report));
        }
    }
    let closed = Closed::up("ml");
    let elsewhere = "HTTP/1.1 302 Found\r\nLocation: http://portal.example.net/\r\n\r\n";
    let does = Does::Answers(elsewhere, Duration::ZERO);
    let _server = Server::in_place_of(&closed.lab, "compute1", "203.0.113.34:8775", does);
    let report = closed.lab.report(&["diagnose", "web1", "--symptom", "metadata"]);
    let told = gaps(&report);
    assert!(
        told.iter().any(|gap| gap.starts_with("whether web1 is served metadata: nova's own")),
        "{told:#?}"
    );
}

#[test]
fn a_metadata_service_that_is_slow_or_does_not_know_the_host_is_no_fault_and_told() {
    let page = "HTTP/1.0 200 OK\r\n\r\ni-00000001";
    let slow = Does::Answers(page, Duration::from_millis(1500));
    let unknown = Does::Answers("HTTP/1.0 404 Not Found\r\n\r\n", Duration::ZERO);
    for (tag, does, gap) in [
        (
            "ms",
            slow,
            "whether the metadata service is always slow: it was so once: curl -i http://203.0.113.34:8775/",
        ),
        ("mu", unknown, "whether the metadata service knows web1: it need not know who asks: "),
    ] {
        let closed = Closed::up(tag);
        let _server = Server::in_place_of(&closed.lab, "compute1", "203.0.113.34:8775", does);
        let report = closed.report(&["diagnose", "web1", "--symptom", "metadata"]);
        report.assert_healthy(gap);
        let told = gaps(&report);
        assert!(told.iter().any(|one| one.starts_with(gap)), "{told:#?}");
    }
}
