//! The dnsmasq of the instances' network on compute1: its files, and what it was started with.

use std::path::PathBuf;

use super::test_lab::TestLab;
use super::{eventually, printed, run};

/// A file of its, by nova's name for it: `conf`, `opts`, `pid`.
pub(crate) fn file(lab: &TestLab, kind: &str) -> PathBuf {
    lab.state().join(format!("compute1/networks/nova-br100.{kind}"))
}

pub(crate) fn pid(lab: &TestLab) -> String {
    std::fs::read_to_string(file(lab, "pid")).unwrap().trim().to_owned()
}

/// How often its log has a line with this in it.
pub(crate) fn logged(lab: &TestLab, what: &str) -> usize {
    let log = std::fs::read_to_string(lab.state().join("compute1/log/dnsmasq.log")).unwrap();
    log.lines().filter(|line| line.contains(what)).count()
}

/// Does what has it read its files again, and waits until it has.
pub(crate) fn reads_again(lab: &TestLab, signal: impl FnOnce()) {
    let read = format!("read {}", file(lab, "opts").display());
    let before = logged(lab, &read);
    signal();
    eventually("dnsmasq reads its options again", || logged(lab, &read) > before);
}

/// Writes a file of its and has it read it.
pub(crate) fn tells(lab: &TestLab, kind: &str, text: &str) {
    std::fs::write(file(lab, kind), text).unwrap();
    reads_again(lab, || drop(printed(&["kill", "-HUP", &pid(lab)])));
}

/// Starts it anew, with other arguments in the same environment.
pub(crate) fn restart(lab: &TestLab, change: impl Fn(&mut Vec<String>)) {
    let pid = pid(lab);
    let words = |name: &str| {
        let bytes = std::fs::read(format!("/proc/{pid}/{name}")).unwrap();
        let words = bytes.split(|byte| *byte == 0).map(|word| String::from_utf8(word.to_vec()).unwrap());
        words.filter(|word| !word.is_empty()).collect::<Vec<String>>()
    };
    let (mut line, environment) = (words("cmdline"), words("environ"));
    change(&mut line);
    printed(&["kill", &pid]);
    let netns = lab.netns("compute1");
    let all = ["ip", "netns", "exec", &netns, "env"].into_iter().map(str::to_owned);
    let all: Vec<String> = all.chain(environment).chain(line).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    // The other may not have let go of its ports yet.
    eventually("dnsmasq with other arguments", || run(&all).status.success());
}
