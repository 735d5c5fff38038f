//! Rules that are there, of which no tool tells: they are not taken for none. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli_support;
mod support;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use support::closed::Closed;
use support::printed_in;
use support::report::{Report, list, text};

/// A report as hopline makes it where these tools fail.
fn without(closed: &Closed, tools: &[&str], arguments: &[&str]) -> Report {
    let folder = tempfile::tempdir().unwrap();
    for tool in tools {
        let path = folder.path().join(tool);
        fs::write(&path, "#!/bin/sh\necho 'error while loading shared libraries' >&2\nexit 127\n").unwrap();
        fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    }
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let mut command = cli_support::command(folder.path());
    let run =
        cli_support::read(command.env("PATH", path).args(closed.arguments(arguments)).output().unwrap());
    Report::of(&run, arguments)
}

/// What could not be seen.
fn gaps(report: &Report) -> Vec<String> {
    let gaps = list(&report.json["coverage"]["gaps"]).iter();
    gaps.map(|gap| format!("{}: {}", text(&gap["what"]), text(&gap["why"]))).collect()
}

/// What is typed on compute1 to drop what web1 sends, what takes that away again, and the tools that would tell of it.
const UNTOLD: [(&str, &str, &[&str]); 3] = [
    (
        "nft 'add table inet wall; add chain inet wall f { type filter hook forward priority 5; policy drop; }'",
        "nft delete table inet wall",
        &["nft"],
    ),
    (
        "ebtables-nft -t filter -I INPUT -i vnet0 -j DROP",
        "ebtables-nft -t filter -D INPUT -i vnet0 -j DROP",
        &["ebtables-nft-save", "nft"],
    ),
    ("iptables-legacy -I FORWARD -i br100 -j DROP", "iptables-legacy -F FORWARD", &["iptables-legacy-save"]),
];

#[test]
fn rules_that_no_tool_tells_of_are_not_taken_for_none() {
    let closed = Closed::up("rt");
    let host = closed.lab.netns("compute1");
    let passively = ["diagnose", "web1", "--passive"];
    let all: Vec<&str> = UNTOLD.iter().flat_map(|(_, _, tools)| *tools).copied().collect();
    let tools_of_none: Vec<&str> = all.iter().copied().filter(|tool| *tool != "ebtables-nft-save").collect();
    let report = without(&closed, &tools_of_none, &passively);
    report.assert_healthy("where there is nothing that such a tool would tell");
    assert_eq!(gaps(&report), Vec::<String>::new());
    for (make, remove, tools) in UNTOLD {
        printed_in(&host, &["sh", "-c", make]);
        let report = without(&closed, tools, &passively);
        assert_eq!((report.findings(), report.code), (Vec::new(), 3), "{make}");
        let told = format!("{}: error while loading shared libraries", tools.last().unwrap());
        assert!(gaps(&report).iter().any(|gap| gap.ends_with(&told)), "{make}: {:?}", gaps(&report));
        let sent = without(&closed, tools, &["diagnose", "web1"]);
        assert_ne!(sent.code, 0, "{make}: what was asked for real stays unanswered");
        printed_in(&host, &["sh", "-c", remove]);
    }
}
