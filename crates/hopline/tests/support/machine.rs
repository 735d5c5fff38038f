//! The machine's own namespace, as far as a lab could touch it by mistake.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::printed;

/// Everything that must be the same before and after.
pub(crate) fn own_namespace() -> Value {
    let mut sysctls = BTreeMap::new();
    for root in ["/proc/sys/net/ipv4", "/proc/sys/net/bridge"] {
        read_sysctls(Path::new(root), &mut sysctls);
    }
    // iptables-legacy-save would load the tables that it looks for.
    let has_legacy_tables =
        fs::read_to_string("/proc/net/ip_tables_names").is_ok_and(|names| !names.is_empty());
    json!({
        "links": objects(&["ip", "-j", "-d", "link"]),
        "addresses": objects(&["ip", "-j", "address"]),
        "routes": objects(&["ip", "-j", "route", "show", "table", "all"]),
        "rules": objects(&["ip", "-j", "rule"]),
        "iptables": without_counters(&["iptables-nft-save"]),
        "legacy": if has_legacy_tables { without_counters(&["iptables-legacy-save"]) } else { Vec::new() },
        "nft": without_counters(&["nft", "list", "ruleset"]),
        "sysctls": sysctls,
    })
}

/// Rows of `ip -j`, without what the clock changes.
fn objects(argv: &[&str]) -> Value {
    let mut rows: Value = serde_json::from_str(&printed(argv)).expect("JSON");
    for address in rows.as_array_mut().into_iter().flatten().filter_map(|row| row.get_mut("addr_info")) {
        for entry in address.as_array_mut().into_iter().flatten() {
            for key in ["valid_life_time", "preferred_life_time"] {
                entry.as_object_mut().expect("an object").remove(key);
            }
        }
    }
    rows
}

/// Lines of a ruleset, without the numbers that the machine's own traffic moves.
fn without_counters(argv: &[&str]) -> Vec<String> {
    let text = printed(argv);
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.chars().filter(|c| !c.is_ascii_digit()).collect()).collect()
}

fn read_sysctls(dir: &Path, into: &mut BTreeMap<String, String>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries {
        let path = entry.expect("a directory that stays").path();
        if path.is_dir() {
            read_sysctls(&path, into);
        } else if let Ok(value) = fs::read_to_string(&path) {
            into.insert(path.display().to_string(), value);
        }
    }
}

/// What is left of a lab anywhere on the machine; empty when nothing is.
pub(crate) fn left_of(lab: &str) -> Vec<String> {
    let mut left = Vec::new();
    let named = fs::read_dir("/run/netns").into_iter().flatten().flatten();
    let of_lab = |name: &String| name.starts_with(&format!("{lab}-"));
    left.extend(named.map(|entry| entry.file_name().to_string_lossy().into_owned()).filter(of_lab));
    let state = Path::new("/run/hopline").join(lab);
    if state.symlink_metadata().is_ok() {
        left.push(state.display().to_string());
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("proc(5)");
    left.extend(mounts.lines().filter(|line| line.contains(&format!("{lab}-"))).map(str::to_owned));
    for process in fs::read_dir("/proc").expect("proc(5)").flatten() {
        let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        // Another's, whose number begins with this one's, is none of ours.
        if line.split(lab).skip(1).any(|rest| !rest.starts_with(|c: char| c.is_ascii_digit())) {
            left.push(line);
        }
    }
    left
}
