//! What the tests of the repository itself share: its files, and which lines of them are code.

#![allow(dead_code, reason = "each test program uses its own part")]

use std::fs;
use std::path::{Path, PathBuf};

/// A text file of the repository.
pub(crate) struct Source {
    /// From the repository's root.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

impl Source {
    pub(crate) fn is(&self, extension: &str) -> bool {
        self.path.extension().is_some_and(|e| e == extension)
    }

    /// Whether a folder of this name is on the file's path.
    pub(crate) fn is_under(&self, folder: &str) -> bool {
        self.path.parent().is_some_and(|p| p.iter().any(|part| part == folder))
    }

    /// The lines that are compiled into the program, numbered from 1: no comments, and nothing from the
    /// test module on, which stands at the end of a file.
    pub(crate) fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines: Vec<&str> = self.text.lines().collect();
        let is_test_module = |pair: &[&str]| pair[0] == "#[cfg(test)]" && pair[1].ends_with('{');
        let end = lines.windows(2).position(is_test_module).unwrap_or(lines.len());
        let code = lines.into_iter().take(end).enumerate();
        code.filter(|(_, line)| !line.trim_start().starts_with("//")).map(|(at, line)| (at + 1, line))
    }

    /// Modules that this file declares for tests alone: `#[cfg(test)] mod NAME;`.
    fn test_modules(&self) -> Vec<&str> {
        let lines: Vec<&str> = self.text.lines().collect();
        let pairs = lines.windows(2).filter(|pair| pair[0] == "#[cfg(test)]");
        pairs
            .filter_map(|pair| pair[1].strip_suffix(';')?.rsplit_once("mod "))
            .map(|(_, name)| name)
            .collect()
    }
}

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    fs::canonicalize(root).expect("the workspace has a root")
}

pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Names in a folder, sorted.
pub(crate) fn list(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(folder)).unwrap_or_else(|e| panic!("{folder}: {e}"));
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<String> = entries.map(name).collect();
    names.sort();
    names
}

/// Every file that people write, under a folder; recorded material and generated files left out.
pub(crate) fn sources(folder: &str) -> Vec<Source> {
    let mut found = Vec::new();
    gather(Path::new(folder), &mut found);
    assert!(!found.is_empty(), "{folder} holds nothing to look at");
    found
}

fn gather(folder: &Path, found: &mut Vec<Source>) {
    const LEFT_OUT: [&str; 5] = [".git", "target", "fixtures", "snapshots", "Cargo.lock"];
    for name in list(&folder.display().to_string()) {
        let path = folder.join(&name);
        if LEFT_OUT.contains(&name.as_str()) {
            continue;
        }
        if root().join(&path).is_dir() {
            gather(&path, found);
        } else if let Ok(text) = fs::read_to_string(root().join(&path)) {
            found.push(Source { path, text });
        }
    }
}

/// What is compiled into a crate, tests left out.
pub(crate) fn program(name: &str) -> Vec<Source> {
    let mut all = sources(&format!("crates/{name}/src"));
    all.retain(|source| source.is("rs"));
    let for_tests: Vec<PathBuf> = all
        .iter()
        .flat_map(|source| {
            let stem = source.path.with_extension("");
            let is_root = stem.ends_with("lib") || stem.ends_with("main");
            let folder = if is_root { stem.parent().unwrap().to_owned() } else { stem };
            source.test_modules().into_iter().map(move |module| folder.join(module))
        })
        .collect();
    all.retain(|source| !for_tests.iter().any(|module| source.path.with_extension("").starts_with(module)));
    all
}
