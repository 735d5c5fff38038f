//! A network namespace for a test.

#![expect(clippy::expect_used, reason = "a test that cannot go on says why")]

use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A network namespace that lives as long as its process, which waits for its input to end. Of an
/// ordinary user it is in a user namespace of its own, so that nothing needs a privilege; what then
/// does not fit the small socket buffers of such a user is for root to test.
pub(crate) struct Namespace {
    keeper: Child,
    enter: &'static [&'static str],
}

impl Namespace {
    pub(crate) fn new() -> Namespace {
        let is_root = std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
        let (make, enter): (&[&str], &[&str]) = if is_root {
            (&["--net"], &["--net"])
        } else {
            (&["--map-root-user", "--net"], &["--user", "--preserve-credentials", "--net"])
        };
        let keeper = Command::new("unshare")
            .args(make)
            .arg("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("unshare(1) starts");
        let namespace = |pid: &str| std::fs::read_link(Path::new("/proc").join(pid).join("ns/net")).ok();
        let running = |pid: &str| std::fs::read_to_string(Path::new("/proc").join(pid).join("comm")).ok();
        let pid = keeper.id().to_string();
        let deadline = Instant::now() + Duration::from_mins(1);
        while running(&pid).as_deref() != Some("cat\n") || namespace(&pid) == namespace("self") {
            assert!(Instant::now() < deadline, "unshare {make:?} made no namespace");
            std::thread::yield_now();
        }
        Namespace { keeper, enter }
    }

    /// What a tool prints, which must succeed.
    pub(crate) fn run(&self, argv: &[&str], input: &str) -> String {
        let output = self.output(argv, input);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{argv:?}: {errors}\n{input}");
        String::from_utf8(output.stdout).expect("dumps of ours are text")
    }

    fn output(&self, argv: &[&str], input: &str) -> Output {
        let pid = self.keeper.id().to_string();
        let mut child = Command::new("nsenter")
            .args(["--target", &pid])
            .args(self.enter)
            .arg("--")
            .args(argv)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("nsenter(1) starts");
        let mut stdin = child.stdin.take().expect("piped");
        // A tool that gives up early closes its input; its own words then say why.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        child.wait_with_output().expect("the tool ends")
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}
