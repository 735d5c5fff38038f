//! A capture that was given: a file of its own, or one in a bundle.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::PathBuf;

use crate::commands::correlate::source::{self, Source};
use crate::failure::Failure;

/// A capture, and where it was made as far as that was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Given {
    /// The file.
    pub(crate) file: PathBuf,
    /// Where in it, from the archive's root, where the file is a bundle.
    pub(crate) within: Option<String>,
    /// The vantage or host that stood before the file's name.
    pub(crate) vantage: Option<String>,
}

impl Given {
    /// `FILE`, or `VANTAGE=FILE`; a file whose own name has a `=` in it is one all the same.
    pub(crate) fn of(word: &str) -> Given {
        let whole = Given { file: word.into(), within: None, vantage: None };
        match word.split_once('=') {
            Some((vantage, file)) if !whole.file.exists() && !vantage.is_empty() => {
                Given { file: file.into(), vantage: Some(vantage.to_owned()), ..whole }
            }
            Some(_) | None => whole,
        }
    }

    /// As it is called to people.
    pub(crate) fn name(&self) -> String {
        let file = self.file.display();
        self.within.as_ref().map_or_else(|| file.to_string(), |within| format!("{within} of {file}"))
    }

    /// Opens it.
    pub(crate) fn open(&self) -> Result<Source, Failure> {
        let Some(within) = &self.within else { return source::open(&self.file) };
        let opened =
            File::open(&self.file).and_then(|file| bundle::open_capture(BufReader::new(file), within));
        let octets = opened.map_err(|error| cannot(&self.name(), &error))?;
        source::of_octets(self.name(), Box::new(octets))
    }

    /// The command that shows what `filters` says of it: in tshark's language, and in tcpdump's. tcpdump is the one
    /// that everybody has, and reads plain captures of one interface only.
    pub(crate) fn shown_by(&self, is_plain: bool, (tshark, tcpdump): (&str, &str)) -> String {
        let file = word(&self.file.display().to_string());
        let (before, file) = match &self.within {
            Some(within) => (format!("tar --zstd -xOf {file} {} | ", word(within)), "-".to_owned()),
            None => (String::new(), file),
        };
        if is_plain {
            format!("{before}tcpdump -n -r {file} {}", word(tcpdump))
        } else {
            format!("{before}tshark -n -r {file} -Y {}", word(tshark))
        }
    }
}

fn cannot(name: &str, error: &io::Error) -> Failure {
    Failure::new(format!("cannot read {name}: {error}"))
}

/// A word as a shell takes it.
fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,+@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_before_the_file_says_where_it_was_made() {
        let given = Given::of("compute1//br100=a=b.pcap");
        assert_eq!((given.vantage.as_deref(), given.name().as_str()), (Some("compute1//br100"), "a=b.pcap"));
        assert_eq!(Given::of("a.pcap").vantage, None);
        assert_eq!(Given::of("=a.pcap").name(), "=a.pcap");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x=y.pcap").display().to_string();
        std::fs::write(&path, "").unwrap();
        assert_eq!(Given::of(&path), Given { file: path.into(), within: None, vantage: None });
    }

    #[test]
    fn a_command_is_one_that_a_shell_takes() {
        let mut given = Given::of("it's here.pcap");
        assert_eq!(
            given.shown_by(true, ("x", "icmp and host ::1")),
            "tcpdump -n -r 'it'\\''s here.pcap' 'icmp and host ::1'"
        );
        given =
            Given { file: "b.tar.zst".into(), within: Some("captures/1-a.pcapng".to_owned()), vantage: None };
        assert_eq!(
            given.shown_by(false, ("icmp", "")),
            "tar --zstd -xOf b.tar.zst captures/1-a.pcapng | tshark -n -r - -Y icmp"
        );
    }
}
