//! What a command reads, it never writes over: whoever gives one name twice by mistake keeps his bundle, capture, site
//! file or database.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli_support;

use std::fs;
use std::path::{Path, PathBuf};

use cli_support::{assert_refused, hopline};
use tempfile::TempDir;

/// A bundle, captures, and two site files: of a bundle, and of this machine with a database.
const FILES: [&str; 7] = ["P", "c.pcap", "d.pcap", "s.toml", "l.toml", "nova.conf", "nova.sqlite"];

fn evidence() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, octets: &[u8]| fs::write(folder.path().join(name), octets).unwrap();
    write("P", &sosreport());
    write("s.toml", b"[[host]]\nname = \"node8\"\nat = \"bundle:P\"\n");
    let local =
        "[[host]]\nname = \"a\"\nat = \"local\"\nnova_conf = \"nova.conf\"\ndnsmasq_log = \"d.pcap\"\n";
    let database = "[cloud]\nkind = \"nova-network\"\ndatabase = \"sqlite:nova.sqlite\"\n";
    write("l.toml", format!("{local}{database}").as_bytes());
    write("nova.conf", b"[DEFAULT]\n");
    write("nova.sqlite", b"");
    // The head of a pcap without packets: magic number, version, zone, accuracy, length, link type.
    let head = [&[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0][..], &[0; 8], &[0, 0, 4, 0, 1, 0, 0, 0]].concat();
    write("c.pcap", &head);
    write("d.pcap", &head);
    folder
}

/// One as sos packs it.
fn sosreport() -> Vec<u8> {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bundle/tests/sosreports");
    let out =
        std::process::Command::new("tar").args(["-C", sample.to_str().unwrap(), "-c", "sos-4.8"]).output();
    let out = out.expect("tar starts");
    assert!(out.status.success(), "{out:?}");
    out.stdout
}

fn octets(folder: &TempDir) -> Vec<Vec<u8>> {
    FILES.iter().map(|name| fs::read(folder.path().join(name)).unwrap()).collect()
}

#[test]
fn what_is_read_is_not_written_over() {
    let folder = evidence();
    let before = octets(&folder);
    fs::hard_link(folder.path().join("P"), folder.path().join("Q")).unwrap();
    let cases: [(&str, &str); 20] = [
        ("diagnose web2 --bundle P --html P", "`--html` would write over P"),
        ("diagnose web2 --bundle P --html ./P", "`--html` would write over P"),
        ("diagnose web2 --bundle P --svg Q", "`--svg` would write over P"),
        ("check --bundle P --html P", "`--html` would write over P"),
        ("path web2 192.0.2.1 --bundle P --svg P", "`--svg` would write over P"),
        (
            "diagnose web2 --passive --bundle P --capture c.pcap --html c.pcap",
            "`--html` would write over c.pcap",
        ),
        (
            "diagnose web2 --passive --bundle P --capture tap=c.pcap --svg c.pcap",
            "`--svg` would write over c.pcap",
        ),
        ("diagnose web2 --site s.toml --html s.toml", "`--html` would write over s.toml"),
        ("diagnose web2 --site s.toml --html P", "`--html` would write over P"),
        ("check --site l.toml --html nova.conf", "`--html` would write over nova.conf"),
        ("check --site l.toml --svg nova.sqlite", "`--svg` would write over nova.sqlite"),
        ("check --site l.toml --svg d.pcap", "`--svg` would write over d.pcap"),
        ("collect -o l.toml --site l.toml", "`-o` would write over l.toml"),
        ("collect -o nova.sqlite --site l.toml", "`-o` would write over nova.sqlite"),
        ("collect --redact -o nova.conf --site l.toml", "`-o` would write over nova.conf"),
        ("collect --redact --bundle P -o P", "`-o` would write over P"),
        ("correlate c.pcap d.pcap --site l.toml --html l.toml", "`--html` would write over l.toml"),
        ("correlate c.pcap d.pcap --site l.toml -w l.toml", "`-w` would write over l.toml"),
        ("capture --at a/lo -w l.toml --site l.toml", "`-w` would write over l.toml"),
        ("capture --at a/lo --html nova.conf --site l.toml", "`--html` would write over nova.conf"),
    ];
    for (command, message) in cases {
        let run = hopline(folder.path(), &command.split(' ').collect::<Vec<_>>());
        assert_refused(&run, &[message, "a name of its own"]);
        assert_eq!(octets(&folder), before, "{command}");
    }
    let names: Vec<PathBuf> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(names.len(), FILES.len() + 1, "{names:?}");
}

/// Others mean stdout by it, where the report goes already.
#[test]
fn a_dash_is_no_files_name() {
    let folder = evidence();
    for (command, flag) in [
        ("check --bundle P --html -", "--html"),
        ("diagnose web2 --bundle P --svg -", "--svg"),
        ("collect -o - --site l.toml", "-o"),
        ("correlate c.pcap d.pcap -w -", "-w"),
        ("capture --at a/lo -w - --site l.toml", "-w"),
    ] {
        let run = hopline(folder.path(), &command.split(' ').collect::<Vec<_>>());
        assert_refused(&run, &[&format!("`{flag} -` does not mean stdout"), "hint: ", "`./-`"]);
        assert!(!folder.path().join("-").exists(), "{command}");
    }
    let run = hopline(folder.path(), &["check", "--bundle", "P", "--html", "./-"]);
    assert!(run.stderr.is_empty() && folder.path().join("-").exists(), "{run:?}");
}
