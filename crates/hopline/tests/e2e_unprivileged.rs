//! hopline as a user without rights, on the machine that it runs on: what such a user may read is read, and the rest
//! is told as what could not be. Needs root, to make the machine: a namespace that goes away with each run.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli_support;

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Command;

use cli_support::{Run, read};
use serde_json::Value;
use tempfile::TempDir;

const USER: u32 = 45_317;

/// A compute host: a bridge with an instance's device, and rules that only root may read.
const MACHINE: &str = "\
set -e
ip link add br100 type bridge
ip address add 10.0.2.1/24 dev br100
ip link add vnet1 type veth peer name guest
ip link set vnet1 master br100
for device in lo br100 vnet1 guest; do ip link set $device up; done
nft add table ip x
nft 'add chain ip x f { type filter hook forward priority 0; policy drop; }'
exec setpriv --reuid $0 --regid $0 --clear-groups --inh-caps=-all -- \"$@\"
";

const SITE: &str = "\
[[host]]
name = \"compute1\"
at = \"local\"
role = \"compute\"
console_logs = \"instances\"
[[instance]]
name = \"web1\"
host = \"compute1\"
device = \"vnet1\"
mac = \"fa:16:3e:00:00:11\"
addresses = [\"10.0.2.24\"]
";

/// A folder of the user's, with the program, a site file, and a console that is root's alone.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let mode = |name: &str, mode| fs::set_permissions(path(name), Permissions::from_mode(mode)).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_hopline"), path("hopline")).unwrap();
    fs::write(path("site.toml"), SITE).unwrap();
    fs::create_dir_all(path("instances/web1")).unwrap();
    fs::write(path("instances/web1/console.log"), "login:\n").unwrap();
    mode("instances/web1/console.log", 0o600);
    mode("", 0o755);
    chown(folder.path(), Some(USER), Some(USER)).unwrap();
    folder
}

fn hopline(folder: &TempDir, arguments: &[&str]) -> Run {
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-c", MACHINE, &USER.to_string()]).arg(folder.path().join("hopline"));
    command.args(arguments).current_dir(folder.path()).env("HOME", folder.path()).env("LC_ALL", "C.UTF-8");
    read(command.output().unwrap())
}

fn json(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:?}"))
}

/// What could not be seen, each with what would settle it.
fn gaps(report: &Value) -> Vec<(String, String)> {
    let text = |gap: &Value, key: &str| gap[key].as_str().unwrap().to_owned();
    let gaps = report["coverage"]["gaps"].as_array().unwrap().iter();
    gaps.map(|gap| (text(gap, "what"), text(gap, "would_need"))).collect()
}

/// Rules that nobody may read are not taken for rules that are not there.
fn assert_unread(report: &Value, run: &Run) {
    let gaps = gaps(report);
    let tells = |word: &str| gaps.iter().any(|(what, need)| what.contains(word) && need.contains("root"));
    assert!(tells("nftables of compute1") && tells("instances/web1/console.log"), "{gaps:?}");
    let findings = report["findings"].as_array().unwrap();
    let of_rules = findings.iter().find(|finding| finding["hop"]["stage"] == "filter");
    assert!(of_rules.is_none() && report["outcome"] != "healthy", "{run:?}");
}

#[test]
fn what_a_user_may_read_is_read() {
    let folder = folder();
    let run = hopline(&folder, &["check", "--json"]);
    assert!(matches!(run.code, 1 | 3), "{run:?}");
    assert_unread(&json(&run), &run);
    let run = hopline(&folder, &["diagnose", "web1", "--passive", "--json", "--to", "10.0.2.1"]);
    assert!(matches!(run.code, 1 | 3), "{run:?}");
    let report = json(&run);
    assert_unread(&report, &run);
    let paths = report["paths"].as_array().unwrap().iter();
    let devices: Vec<&Value> = paths
        .flat_map(|path| path["hops"].as_array().unwrap())
        .map(|hop| &hop["device"])
        .filter(|device| **device == "br100")
        .collect();
    assert!(!devices.is_empty(), "{run:?}");
}

/// A file of the user's bundle.
fn in_bundle(folder: &TempDir, file: &str) -> Value {
    let mut tar = Command::new("tar");
    tar.args(["--zstd", "-xOf", "host.tar.zst", file]).current_dir(folder.path());
    serde_json::from_slice(&tar.output().unwrap().stdout).unwrap()
}

#[test]
fn a_users_bundle_holds_what_the_user_may_read() {
    let folder = folder();
    let run = hopline(&folder, &["collect", "-o", "host.tar.zst"]);
    assert_eq!(run.code, 0, "{run:?}");
    let facts = in_bundle(&folder, "compute1/facts.json");
    let names: Vec<&str> = facts["netns"]["links"]
        .as_array()
        .unwrap()
        .iter()
        .map(|link| link["name"].as_str().unwrap())
        .collect();
    assert!(names.contains(&"br100") && names.contains(&"vnet1"), "{names:?}");
    let unread = facts["netns"]["ruleset"]["unread"].as_array().unwrap();
    assert!(unread.iter().any(|unread| unread["family"] == "ip"), "{unread:?}");
    let run =
        hopline(&folder, &["diagnose", "web1", "--json", "--to", "10.0.2.1", "--bundle", "host.tar.zst"]);
    assert!(matches!(run.code, 1 | 3), "{run:?}");
    assert_unread(&json(&run), &run);
}
