//! The tools that load rules, each fed with a whole ruleset in one go.

use std::io::{self, Write};
use std::process::{Command, Stdio};

use sys::programs;

use crate::case::{Backend, Ruleset, Table};
use crate::error::SelftestError;
use crate::text;

/// The program of a back end, and its arguments.
fn argv(backend: Backend) -> (&'static str, &'static [&'static str]) {
    match backend {
        Backend::IptablesLegacy => ("iptables-legacy-restore", &["-w"]),
        Backend::IptablesNft => ("iptables-nft-restore", &[]),
        Backend::Ip6tablesLegacy => ("ip6tables-legacy-restore", &["-w"]),
        Backend::Ip6tablesNft => ("ip6tables-nft-restore", &[]),
        Backend::EbtablesLegacy => ("ebtables-legacy-restore", &[]),
        Backend::EbtablesNft => ("ebtables-nft-restore", &[]),
        Backend::ArptablesNft => ("arptables-nft-restore", &[]),
        Backend::Nft => ("nft", &["-f", "-"]),
    }
}

/// Loads the ipsets and the rulesets of a machine into the namespace that the calling thread is in,
/// which is `netns`.
pub(crate) fn load_all(rulesets: &[Ruleset], netns: &str) -> Result<(), SelftestError> {
    let ipsets = text::ipsets(rulesets);
    if !ipsets.is_empty() {
        feed("ipset", &["-exist", "restore"], ipsets, netns)?;
    }
    rulesets.iter().try_for_each(|ruleset| {
        let (program, arguments) = argv(ruleset.backend);
        // As restore commands do, nft is told to replace what was there of those names.
        let mut text = String::new();
        for Table { family, name, .. } in &ruleset.tables {
            if ruleset.backend == Backend::Nft {
                text.push_str(&format!("table {family} {name} {{}}\ndelete table {family} {name}\n"));
            }
        }
        text.push_str(&text::of(ruleset));
        feed(program, arguments, text, netns)
    })
}

/// Loads one ruleset, and the ipsets that it needs.
pub(crate) fn load(ruleset: &Ruleset, netns: &str) -> Result<(), SelftestError> {
    load_all(std::slice::from_ref(ruleset), netns)
}

/// Runs a program to its end with a text on its standard input.
fn feed(program: &'static str, arguments: &[&str], text: String, netns: &str) -> Result<(), SelftestError> {
    match run(program, arguments, &text) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(said)) => Err(SelftestError::Refused { program, netns: netns.to_owned(), said, text }),
        Err(source) => Err(SelftestError::Start { program, source }),
    }
}

/// The inner error is what the program complained of.
fn run(program: &str, arguments: &[&str], text: &str) -> io::Result<Result<(), String>> {
    let mut command = Command::new(programs::path_of(program));
    command.args(arguments).env("LC_ALL", "C");
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ends without reading says why on stderr, which is the better message.
        let _ = stdin.write_all(text.as_bytes());
    }
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(Ok(()));
    }
    Ok(Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}
