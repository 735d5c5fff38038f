//! The texts that are read, handed on as they are read: what a tool printed and a file said, once parsed, is what a
//! bundle keeps for people. So the two cannot differ.

use std::path::Path;

use crate::files::Text;

/// Takes a text: of which machine, under which name, and the text itself. Called from several threads at once.
pub type Keep<'k> = &'k (dyn Fn(&str, &str, &str) + Sync);

/// For who wants the facts alone.
pub const NOTHING: Keep<'static> = &|_, _, _| ();

/// One machine's texts.
#[derive(Clone, Copy)]
pub(crate) struct Kept<'k> {
    pub(crate) machine: &'k str,
    pub(crate) keep: Keep<'k>,
}

impl Kept<'_> {
    /// Of its main namespace.
    pub(crate) fn of_netns(self, name: &str, text: &str) {
        (self.keep)(self.machine, &format!("main/{name}"), text);
    }

    /// A file, under its own path.
    pub(crate) fn file(self, path: &Path, text: &str) {
        let path = path.display().to_string();
        (self.keep)(self.machine, path.trim_start_matches('/'), text);
    }

    /// A file that a process's arguments name. Every user can start a process that is called as he likes, so what only
    /// root may read is kept where root's process named it, and never for anybody else.
    pub(crate) fn named_file(self, path: &Path, read: &Text, by_root: bool) {
        if path.is_absolute() && (by_root || read.is_public) {
            self.file(path, &read.text);
        }
    }
}
