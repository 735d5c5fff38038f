//! Network namespaces for tests, each in a user namespace of its own, so that no privilege is needed and
//! nothing is left behind.

#![expect(clippy::expect_used, reason = "a test that cannot go on says why")]

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A network namespace that lives as long as its process, which waits for its input to end.
pub(crate) struct Namespace {
    keeper: Child,
}

impl Namespace {
    pub(crate) fn new() -> Namespace {
        let keeper = Command::new("unshare")
            .args(["--map-root-user", "--net", "cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("unshare(1) starts");
        let namespace = |pid: &str| std::fs::read_link(Path::new("/proc").join(pid).join("ns/net")).ok();
        let running = |pid: &str| std::fs::read_to_string(Path::new("/proc").join(pid).join("comm")).ok();
        let pid = keeper.id().to_string();
        let deadline = Instant::now() + Duration::from_secs(10);
        while running(&pid).as_deref() != Some("cat\n") || namespace(&pid) == namespace("self") {
            assert!(Instant::now() < deadline, "unshare --map-root-user --net made no namespace");
            std::thread::yield_now();
        }
        Namespace { keeper }
    }

    /// What the program prints; it must succeed.
    pub(crate) fn run(&self, argv: &[&str], input: &str) -> String {
        let pid = self.keeper.id().to_string();
        let mut child = Command::new("nsenter")
            .args(["--target", &pid, "--user", "--preserve-credentials", "--net", "--"])
            .args(argv)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("nsenter(1) starts");
        child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("the tool reads its input");
        let output = child.wait_with_output().expect("the tool ends");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{argv:?}: {errors}\n{input}");
        String::from_utf8(output.stdout).expect("dumps of ours are text")
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}
