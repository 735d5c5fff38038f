//! The files of a sosreport that tell of the network, by their paths from its root.

use std::collections::BTreeMap;
use std::io::{self, Read};

use model::snapshot::Gap;

use super::bounds::{Bounds, Held, TOO_MUCH};
use super::gap;
use super::wanted::Keep;

/// How many links lead to a file at most, as the kernel has it (`MAXSYMLINKS`).
const LINKS_MAX: usize = 40;
/// Links.
const COUNT_MAX: usize = 100_000;

/// What was kept.
#[derive(Debug, Default)]
pub(super) struct Files {
    texts: BTreeMap<String, String>,
    /// Of what commands printed, the path by the file's own name: many names are asked for in each namespace.
    commands: BTreeMap<String, String>,
    /// When each was last written, in Unix seconds: sos keeps that of what it copies.
    written: BTreeMap<String, u64>,
    /// Where symbolic links lead, from the root.
    links: BTreeMap<String, String>,
    bounds: Bounds,
    held: Held,
    /// When the newest of them was written, in Unix seconds.
    pub(super) newest: u64,
    /// What of the archive could not be read.
    pub(super) gaps: Vec<Gap>,
}

impl Files {
    /// Keeps a file, or what is asked of it. Fails only where it cannot be read.
    pub(super) fn add(
        &mut self,
        path: &str,
        keep: Keep,
        length: u64,
        mtime: u64,
        mut source: impl Read,
    ) -> io::Result<()> {
        let (limit, skip) = match keep {
            Keep::Whole(limit) if length > limit => {
                return self.refuse(path, format!("it has {length} bytes"));
            }
            Keep::Whole(limit) => (limit, 0),
            // One octet more tells whether the first line is whole.
            Keep::Tail(limit) => (limit + 1, length.saturating_sub(limit + 1)),
        };
        if self.held.bytes.saturating_add(length - skip) > self.bounds.all_bytes
            || self.texts.len() >= self.bounds.files
        {
            return self.refuse(path, TOO_MUCH);
        }
        io::copy(&mut (&mut source).take(skip), &mut io::sink())?;
        let mut bytes = Vec::new();
        source.take(limit).read_to_end(&mut bytes)?;
        if (bytes.len() as u64) < length - skip {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut text = String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        let is_tail = matches!(keep, Keep::Tail(_));
        if length >= limit
            && is_tail
            && let Some(first) = text.find('\n')
        {
            text.drain(..=first);
        }
        // Of a log lines are chosen; all of a listing is read into the model.
        let own = if is_tail { Held::default() } else { Held::of(&text) };
        let all = self.held.with(Held { bytes: text.len() as u64, ..own });
        if let Some(why) = self.bounds.refusal(path, own, all) {
            return self.refuse(path, why);
        }
        self.held = all;
        self.newest = self.newest.max(mtime);
        self.remember(path);
        self.texts.insert(path.to_owned(), text);
        self.written.insert(path.to_owned(), mtime);
        Ok(())
    }

    /// Of two plugins that asked the same, the first by its name tells.
    fn remember(&mut self, path: &str) {
        let Some((_, name)) = path.strip_prefix("sos_commands/").and_then(|rest| rest.rsplit_once('/'))
        else {
            return;
        };
        let known = self.commands.entry(name.to_owned()).or_insert_with(|| path.to_owned());
        if path < known.as_str() {
            path.clone_into(known);
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "it stands for `add`, which reads")]
    fn refuse(&mut self, path: &str, why: impl Into<String>) -> io::Result<()> {
        self.gaps.push(gap(path, why, format!("{path}, shorter")));
        Ok(())
    }

    /// Keeps where a link leads. One that leads out of the report leads nowhere.
    pub(super) fn add_link(&mut self, path: &str, target: &str) {
        if self.links.len() < COUNT_MAX
            && let Some(target) = within(path, target)
        {
            self.links.insert(path.to_owned(), target);
        }
    }

    /// A file's text, through links. An empty one is none: sos makes such of commands that printed nothing to tell.
    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.texts.get(&self.behind_links(path)?).map(String::as_str)
    }

    /// When a file was last written, in Unix seconds, through links.
    pub(super) fn written(&self, path: &str) -> Option<u64> {
        self.written.get(&self.behind_links(path)?).copied()
    }

    /// The path of the file that links lead to.
    fn behind_links(&self, path: &str) -> Option<String> {
        let mut path = path.to_owned();
        for _ in 0..LINKS_MAX {
            if self.texts.contains_key(&path) {
                return Some(path);
            }
            path = self.step(&path)?;
        }
        None
    }

    /// The path behind the first link on it.
    fn step(&self, path: &str) -> Option<String> {
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        ends.into_iter().find_map(|end| {
            let (head, rest) = path.split_at_checked(end)?;
            Some(format!("{}{rest}", self.links.get(head)?))
        })
    }

    /// What a command printed, whatever plugin asked it: the first of these file names that is there, with its path.
    pub(super) fn command(&self, names: &[&str]) -> Option<(&str, &str)> {
        names.iter().find_map(|name| {
            let path = self.commands.get(*name)?;
            Some((path.as_str(), self.texts.get(path)?.as_str()))
        })
    }

    /// The first of these files that is there.
    pub(super) fn first(&self, paths: &[&str]) -> Option<(String, &str)> {
        paths.iter().find_map(|path| Some(((*path).to_owned(), self.text(path)?)))
    }

    /// Every file, with its path.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.texts.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }
}

/// Where a link at `path` leads, from the root; `None` where that is outside. What an absolute one means is in the
/// report, too: its root was the machine's.
fn within(path: &str, target: &str) -> Option<String> {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut parts: Vec<&str> = if target.starts_with('/') {
        Vec::new()
    } else {
        folder.split('/').filter(|p| !p.is_empty()).collect()
    };
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(texts: &[(&str, &str)], links: &[(&str, &str)]) -> Files {
        let mut files = Files::default();
        for (path, text) in texts {
            files.add(path, Keep::Whole(1_000), text.len() as u64, 0, text.as_bytes()).unwrap();
        }
        for (path, target) in links {
            files.add_link(path, target);
        }
        files
    }

    #[test]
    fn links_are_followed_within_and_never_out() {
        let files = files(
            &[("proc/7/net/udp", "udp"), ("sos_commands/a/b", "b")],
            &[
                ("proc/net", "self/net"),
                ("proc/self", "7"),
                ("b", "sos_commands/a/b"),
                ("etc/b", "/b"),
                ("out", "../../etc/passwd"),
                ("round", "round"),
                ("empty", "."),
            ],
        );
        assert_eq!(files.text("proc/net/udp"), Some("udp"));
        assert_eq!((files.text("b"), files.text("etc/b")), (Some("b"), Some("b")));
        for lost in ["out", "round", "empty", "proc/net", ""] {
            assert_eq!(files.text(lost), None, "{lost}");
        }
    }

    #[test]
    fn a_commands_file_is_found_in_whichever_plugin_it_is() {
        let files =
            files(&[("sos_commands/firewalld/nft_list_ruleset", "x"), ("etc/nft_list_ruleset", "y")], &[]);
        let found = files.command(&["nft_-a_list_ruleset", "nft_list_ruleset"]);
        assert_eq!(found, Some(("sos_commands/firewalld/nft_list_ruleset", "x")));
        assert_eq!(files.command(&["list_ruleset"]), None);
    }

    /// What is left out leaves its room to what is shorter, and is told, whatever it was too large in.
    #[test]
    fn what_is_beyond_the_bounds_is_left_out_aloud() {
        let none =
            Bounds { files: 0, all_bytes: 0, lines: 0, settings: 0, all_lines: 0, words: 0, all_words: 0 };
        let real = Bounds::default();
        let two_lines = "a b\nc\n".as_bytes();
        // Of 5 octets, each of which is three where it is none of UTF-8.
        let latin1 = &b"\xe9\xe9\xe9\xe9\n"[..];
        let cases = [
            (Bounds { files: 1, ..real }, two_lines, "too much before"),
            (Bounds { all_bytes: 11, ..real }, two_lines, "too much before"),
            (Bounds { all_bytes: 14, ..real }, latin1, "too much before"),
            (Bounds { lines: 1, ..real }, two_lines, "2 lines"),
            (Bounds { all_lines: 3, ..real }, two_lines, "too much before"),
            (Bounds { words: 2, ..real }, two_lines, "3 words"),
            (Bounds { all_words: 5, ..real }, two_lines, "too much before"),
            (none, two_lines, "too much before"),
        ];
        for (bounds, text, why) in cases {
            let mut files = Files { bounds, ..Files::default() };
            files.add("sos_commands/a/first", Keep::Whole(100), 6, 0, two_lines).unwrap();
            let length = text.len() as u64;
            files.add("sos_commands/a/last", Keep::Whole(100), length, 0, text).unwrap();
            let gap = files.gaps.last().unwrap_or_else(|| panic!("{bounds:?}"));
            assert!(gap.what == "sos_commands/a/last" && gap.why.contains(why), "{bounds:?}: {gap:?}");
            assert!(files.command(&["last"]).is_none() && files.text("sos_commands/a/last").is_none());
        }
        let mut files = Files { bounds: Bounds { lines: 1, settings: 2, ..real }, ..Files::default() };
        files.add("sos_commands/kernel/sysctl_-a", Keep::Whole(100), 6, 0, two_lines).unwrap();
        assert!(files.gaps.is_empty() && files.command(&["sysctl_-a"]).is_some());
        let mut files = Files { bounds: Bounds { all_bytes: 8, ..real }, ..Files::default() };
        files.add("long", Keep::Whole(100), 9, 0, &b"123456789"[..]).unwrap();
        files.add("log", Keep::Tail(6), 10, 0, &b"1\n23\n4567\n"[..]).unwrap();
        assert_eq!((files.text("long"), files.text("log"), files.gaps.len()), (None, Some("4567\n"), 1));
    }

    #[test]
    fn of_a_log_its_end_is_kept_and_a_list_that_is_too_long_is_a_gap() {
        let mut files = Files::default();
        files.add("log", Keep::Tail(7), 13, 5, &b"first\nsecond\n"[..]).unwrap();
        files.add("list", Keep::Whole(7), 13, 9, &b"first\nsecond\n"[..]).unwrap();
        assert_eq!((files.text("log"), files.text("list"), files.newest), (Some("second\n"), None, 5));
        assert_eq!(files.gaps.len(), 1);
        assert!(files.add("cut", Keep::Whole(7), 5, 0, &b"fir"[..]).is_err());
    }
}
