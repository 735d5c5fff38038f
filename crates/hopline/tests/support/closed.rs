//! A lab whose instances cannot be entered: the same as everywhere, and a site file that does not say how.

use tempfile::TempDir;

use super::hosts::host_state;
use super::printed_in;
use super::reach::Reach;
use super::report::Report;
use super::test_lab::TestLab;

/// A lab whose insides nobody knows how to enter.
pub(crate) struct Closed {
    pub(crate) lab: TestLab,
    folder: TempDir,
}

impl Closed {
    pub(crate) fn up(tag: &str) -> Closed {
        Closed::up_as(tag, &[])
    }

    /// Of another shape than usual, with the arguments of `lab up`.
    pub(crate) fn up_as(tag: &str, shape: &[&str]) -> Closed {
        let lab = TestLab::up_as(tag, shape);
        let folder = tempfile::tempdir().unwrap();
        let open = std::fs::read_to_string(lab.site()).unwrap();
        let is_inside = |line: &&str| line.starts_with(&format!("at = \"netns:{}", lab.netns("web")));
        assert!(open.lines().filter(is_inside).count() > 1, "{open}");
        let closed: Vec<&str> = open.lines().filter(|line| !is_inside(line)).collect();
        std::fs::write(folder.path().join("site.toml"), closed.join("\n")).unwrap();
        // The cloud has been in use: its hosts know their neighbours.
        let reach = Reach::of(&lab);
        reach.pings("web1", "1.2.3.4");
        reach.pings("web1", &lab.address("web2"));
        reach.pings("ext", "203.0.113.30");
        Closed { lab, folder }
    }

    /// The usual site of a cloud: its compute hosts, and nobody outside.
    pub(crate) fn without_outside(tag: &str) -> Closed {
        Closed::without_outside_as(tag, &[])
    }

    /// Such a site of another shape.
    pub(crate) fn without_outside_as(tag: &str, shape: &[&str]) -> Closed {
        let closed = Closed::up_as(tag, shape);
        let site = closed.folder.path().join("site.toml");
        let all = std::fs::read_to_string(&site).unwrap();
        let is_beyond = |part: &&str| {
            ["gw", "isp", "external", "fabric"]
                .iter()
                .any(|name| part.contains(&format!("name = \"{name}\"")))
        };
        let kept: Vec<&str> = all.split("\n\n").filter(|part| !is_beyond(part)).collect();
        std::fs::write(site, kept.join("\n\n")).unwrap();
        closed
    }

    pub(crate) fn arguments(&self, arguments: &[&str]) -> Vec<String> {
        let site = self.folder.path().join("site.toml").display().to_string();
        let all = [arguments, &["--json", "--site", &site]].concat();
        all.into_iter().map(str::to_owned).collect()
    }

    pub(crate) fn report(&self, arguments: &[&str]) -> Report {
        let all = self.arguments(arguments);
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        Report::of(&self.lab.hopline(&all), arguments)
    }

    /// What it prints for people.
    pub(crate) fn printed(&self, arguments: &[&str]) -> String {
        let site = self.folder.path().join("site.toml").display().to_string();
        self.lab.hopline(&[arguments, &["--site", &site]].concat()).stdout
    }

    pub(crate) fn on_host(&self, line: &str) -> String {
        printed_in(&self.lab.netns("compute1"), &line.split(' ').collect::<Vec<_>>())
    }

    /// What a host has besides connections, without what only counts or ages.
    pub(crate) fn state(&self) -> Vec<String> {
        host_state(&self.lab.netns("compute1"))
    }
}
