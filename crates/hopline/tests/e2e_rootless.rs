//! The lab and its diagnosis as an ordinary user, inside a user namespace. Runs as root, to be able to become
//! users that nobody else is, with setpriv(1).
//!
//! Where the kernel lets no ordinary user have a user namespace these tests fail, unless
//! HOPLINE_ALLOW_NO_USERNS=1 says that this is known.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli_support;
mod support;

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cli_support::{Run, assert_refused, read};
use serde_json::Value;
use support::machine::own_namespace;
use support::report::{Report, list, text};
use support::{eventually, printed};
use tempfile::TempDir;

const LAB: &str = "ht-rl";

/// An ordinary user with a runtime directory and a hopline that it may run.
struct User {
    uid: u32,
    folder: TempDir,
}

impl User {
    /// Each test has a user of its own, so that it can count that user's processes.
    fn new(uid: u32) -> User {
        let user = User { uid, folder: tempfile::tempdir().unwrap() };
        fs::set_permissions(user.folder.path(), Permissions::from_mode(0o755)).unwrap();
        fs::copy(env!("CARGO_BIN_EXE_hopline"), user.program()).unwrap();
        fs::create_dir(user.runtime()).unwrap();
        fs::set_permissions(user.runtime(), Permissions::from_mode(0o700)).unwrap();
        chown(user.runtime(), Some(uid), Some(uid)).unwrap();
        assert_eq!(user.processes(), Vec::<u32>::new(), "somebody else is user {uid}");
        user
    }

    fn program(&self) -> PathBuf {
        self.folder.path().join("hopline")
    }

    fn runtime(&self) -> PathBuf {
        self.folder.path().join("runtime")
    }

    fn state(&self) -> PathBuf {
        self.runtime().join("hopline").join(LAB)
    }

    /// As this user, away from any site file.
    fn command(&self, program: &Path) -> Command {
        let id = self.uid.to_string();
        let mut command = Command::new("setpriv");
        command.args(["--reuid", &id, "--regid", &id, "--clear-groups", "--"]).arg(program);
        command.current_dir(self.runtime()).env("HOME", self.runtime()).env("LC_ALL", "C.UTF-8");
        command.env("XDG_RUNTIME_DIR", self.runtime());
        command
    }

    fn hopline(&self, arguments: &[&str]) -> Run {
        read(self.command(&self.program()).args(arguments).output().unwrap())
    }

    /// A run that must succeed; returns its stdout.
    #[track_caller]
    fn succeeds(&self, arguments: &[&str]) -> String {
        let run = self.hopline(arguments);
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{arguments:?}: {run:?}");
        run.stdout
    }

    /// Builds the lab. `false` where the machine's kernel forbids it and that is known.
    #[track_caller]
    fn lab_up(&self) -> bool {
        let run = self.hopline(&["lab", "up", "--name", LAB]);
        let forbidden = run.code == 2 && run.stderr.contains("lets no ordinary user have a user namespace");
        if forbidden && std::env::var_os("HOPLINE_ALLOW_NO_USERNS").is_some_and(|value| value == "1") {
            return false;
        }
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
        true
    }

    fn diagnose(&self) -> Report {
        let site = self.state().join("site.toml");
        let arguments = ["diagnose", "web1", "--json", "--site", site.to_str().unwrap()];
        Report::of(&self.hopline(&arguments), &arguments)
    }

    /// The user's processes that have not ended.
    fn processes(&self) -> Vec<u32> {
        let entries = fs::read_dir("/proc").unwrap().map_while(Result::ok);
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let is_own = |pid: &u32| {
            let folder = PathBuf::from(format!("/proc/{pid}"));
            // A zombie has no namespaces any more.
            fs::metadata(&folder).is_ok_and(|it| it.uid() == self.uid) && folder.join("ns/net").exists()
        };
        pids.filter(is_own).collect()
    }

    #[track_caller]
    fn assert_nothing_is_left(&self) {
        eventually("the holder's end", || self.processes().is_empty());
        let left: Vec<_> = fs::read_dir(self.runtime()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(left, Vec::<PathBuf>::new());
        let status = self.succeeds(&["lab", "status", "--name", LAB]);
        assert!(status.contains(": absent"), "{status}");
    }

    /// Kills as nobody can prevent, and waits for the end.
    fn kill(&self, pids: &[u32]) {
        let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
        let arguments: Vec<&str> =
            ["kill", "-KILL"].into_iter().chain(pids.iter().map(String::as_str)).collect();
        printed(&arguments);
        let is_left = |pid: &u32| pids.contains(&pid.to_string());
        eventually("killed processes to end", || !self.processes().iter().any(is_left));
    }
}

impl Drop for User {
    fn drop(&mut self) {
        // What a failed test left. A lab that is gone already is no failure.
        let _ = self.command(&self.program()).args(["lab", "down", "--name", LAB]).output();
    }
}

/// What the machine's own namespace consists of, and whether a namespace of the lab is named there.
fn machine() -> (Value, bool) {
    let named = fs::read_dir("/run/netns").into_iter().flatten().flatten();
    let is_ours = |name: OsString| name.to_str().is_some_and(|name| name.starts_with(LAB));
    (own_namespace(), named.map(|entry| entry.file_name()).any(is_ours))
}

#[test]
fn an_ordinary_user_builds_breaks_diagnoses_and_removes_a_lab() {
    let user = User::new(61_001);
    let before = machine();
    if !user.lab_up() {
        return;
    }
    assert_eq!(machine(), before, "the machine's own namespaces have changed");
    let healthy = user.diagnose();
    healthy.assert_healthy("after lab up");
    // A DISCOVER comes from no address: only the instance's NIC can bring it forth, which takes more than this.
    let gaps = list(&healthy.json["coverage"]["gaps"]);
    let missing: Vec<&str> = gaps.iter().map(|gap| text(&gap["what"])).collect();
    assert_eq!(missing, ["whether any DHCP server answers web1 for real"], "{gaps:#?}");
    let mut hops = list(&healthy.json["paths"]).iter().flat_map(|path| list(&path["hops"]));
    assert!(hops.any(|hop| hop["observed"] == "seen"), "no ping was answered: {:#}", healthy.json);

    for (fault, place) in [
        ("tap-not-enslaved", "compute1//vnet0"),
        ("dnsmasq-not-running", "compute1//br100"),
        ("dnsmasq-pool-exhausted", "compute1//br100"),
        ("sg-missing-icmp", "compute1//eth0"),
        ("ip-forward-0", "compute1//br100"),
    ] {
        user.succeeds(&["lab", "break", fault, "--name", LAB]);
        user.diagnose().assert_finds(&[format!("{fault} {place}")], fault);
        user.succeeds(&["lab", "heal", "--name", LAB]);
        user.diagnose().assert_healthy(fault);
    }

    user.succeeds(&["lab", "down", "--name", LAB]);
    user.assert_nothing_is_left();
    assert_eq!(machine(), before, "the machine's own namespaces have changed");
}

#[test]
fn what_an_ordinary_user_cannot_send_as_an_instance_is_told_with_its_remedy() {
    let user = User::new(61_005);
    if !user.lab_up() {
        return;
    }
    // A site file that does not say how its instances are entered.
    let site = user.state().join("site.toml");
    let open = fs::read_to_string(&site).unwrap();
    let is_inside = |line: &&str| line.starts_with("at = ") && line.contains("-web");
    let closed: Vec<&str> = open.lines().filter(|line| !is_inside(line)).collect();
    fs::write(&site, closed.join("\n")).unwrap();
    let report = user.diagnose();
    report.assert_healthy("what is predicted needs no packet");
    let gaps = list(&report.json["coverage"]["gaps"]);
    let about_answers = gaps.iter().filter(|gap| gap["what"].as_str().unwrap().ends_with("for real"));
    let told: Vec<&Value> = about_answers.collect();
    assert_eq!(told.len(), 1, "{gaps:#?}");
    for (key, word) in [("why", "load a BPF program"), ("would_need", "CAP_BPF"), ("would_need", "--passive")]
    {
        assert!(told[0][key].as_str().unwrap().contains(word), "{told:#?}");
    }
    user.succeeds(&["lab", "down", "--name", LAB]);
    user.assert_nothing_is_left();
}

#[test]
fn the_shell_assignments_lead_into_the_lab() {
    let user = User::new(61_002);
    if !user.lab_up() {
        return;
    }
    let env = user.runtime().join("env");
    fs::write(&env, user.succeeds(&["lab", "env", "--name", LAB])).unwrap();
    let script = format!(". {}; $ENTER ip netns exec $INST1_NS ping -c 1 -W 5 $EXT_IP", env.display());
    let ping = read(user.command(Path::new("sh")).args(["-c", &script]).output().unwrap());
    assert_eq!(ping.code, 0, "{ping:?}");
    let status = user.succeeds(&["lab", "status", "--name", LAB]);
    assert!(status.contains(": up") && status.contains("nsenter"), "{status}");

    let state = user.state();
    for arguments in [["lab", "down", "--state"], ["check", "compute1", "--site"]] {
        let path = if arguments.contains(&"--site") { state.join("site.toml") } else { state.clone() };
        let root = Command::new(user.program()).args(arguments).arg(path).output().unwrap();
        assert_refused(&read(root), &["is user 61002's", "sudo -u '#61002'"]);
    }
    fs::remove_file(env).unwrap();
    user.succeeds(&["lab", "down", "--name", LAB]);
    user.assert_nothing_is_left();
}

#[test]
fn killing_anything_leaves_nothing_that_down_does_not_remove() {
    let user = User::new(61_003);
    if !user.lab_up() {
        return;
    }
    let env = user.succeeds(&["lab", "env", "--name", LAB]);
    let holder = env.lines().find_map(|line| line.strip_prefix("HOLDER=")).unwrap();
    user.kill(&[holder.parse().unwrap()]);
    user.diagnose().assert_healthy("without the holder");

    user.kill(&user.processes());
    let site = user.state().join("site.toml");
    let run = user.hopline(&["diagnose", "web1", "--site", site.to_str().unwrap()]);
    assert_refused(&run, &["has ended", "hopline lab down"]);
    let status = user.succeeds(&["lab", "status", "--name", LAB]);
    assert!(status.contains("half there"), "{status}");
    user.succeeds(&["lab", "down", "--name", LAB]);
    user.assert_nothing_is_left();
}

#[test]
fn where_user_namespaces_are_forbidden_the_error_says_what_allows_them() {
    let user = User::new(61_004);
    // The limit counts per user namespace (namespaces(7)), so one around the user forbids it to this user alone.
    let id = user.uid.to_string();
    // Root is who is root when a program starts: the second shell starts after the ids are mapped.
    let script = "echo made; read -r _; \
        exec sh -c 'echo 0 >/proc/sys/user/max_user_namespaces; exec \"$@\"' sh \"$@\"";
    let mut outer = Command::new("unshare")
        .args([
            "--user",
            "sh",
            "-c",
            script,
            "sh",
            "setpriv",
            "--reuid",
            &id,
            "--regid",
            &id,
            "--clear-groups",
        ])
        .arg(user.program())
        .args(["lab", "up", "--name", LAB])
        .env("XDG_RUNTIME_DIR", user.runtime())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut made = String::new();
    BufReader::new(outer.stdout.take().unwrap()).read_line(&mut made).unwrap();
    for map in ["uid_map", "gid_map"] {
        fs::write(format!("/proc/{}/{map}", outer.id()), "0 0 65536").unwrap();
    }
    outer.stdin.take().unwrap().write_all(b"go on\n").unwrap();
    let run = read(outer.wait_with_output().unwrap());
    assert_refused(&run, &["user namespace", "sudo sysctl user.max_user_namespaces=", "run as root"]);
    user.assert_nothing_is_left();
}
