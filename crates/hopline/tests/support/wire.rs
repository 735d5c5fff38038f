//! Two hosts on one wire, and the site of both.

use std::path::PathBuf;

use tempfile::TempDir;

use super::{printed, printed_in, run};

/// Two namespaces joined by a wire, and a site of both: 10.9.8.1 on `left//wire0`, 10.9.8.2 on `right//wire0`.
pub(crate) struct Wire {
    pub(crate) left: String,
    pub(crate) right: String,
    pub(crate) folder: TempDir,
}

impl Wire {
    pub(crate) fn new(tag: &str) -> Wire {
        let name = |end: &str| format!("ht-e2ecap-{tag}{end}{}", std::process::id());
        let (left, right) = (name("l"), name("r"));
        for netns in [&left, &right] {
            printed(&["ip", "netns", "add", netns]);
        }
        let wire = Wire { left, right, folder: tempfile::tempdir().unwrap() };
        let (left, right) = (wire.left.as_str(), wire.right.as_str());
        let peer = ["peer", "name", "wire0", "netns", right];
        printed(&[&["ip", "-n", left, "link", "add", "wire0", "type", "veth"][..], &peer].concat());
        for (netns, address) in [(left, "10.9.8.1/24"), (right, "10.9.8.2/24")] {
            printed(&["ip", "-n", netns, "address", "add", address, "dev", "wire0"]);
            printed(&["ip", "-n", netns, "link", "set", "wire0", "up"]);
        }
        let host = |name: &str, netns: &str| format!("[[host]]\nname = \"{name}\"\nat = \"netns:{netns}\"\n");
        std::fs::write(wire.site(), host("left", left) + &host("right", right)).unwrap();
        wire
    }

    pub(crate) fn site(&self) -> PathBuf {
        self.folder.path().join("site.toml")
    }

    pub(crate) fn ping(&self, count: u32) {
        printed_in(&self.left, &["ping", "-q", "-i", "0.02", "-c", &count.to_string(), "10.9.8.2"]);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        for netns in [&self.left, &self.right] {
            run(&["ip", "netns", "delete", netns]);
        }
    }
}
