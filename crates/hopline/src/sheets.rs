//! The answer as files, beside what is printed: where they go is settled before anything is asked, and each appears
//! when it is whole.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use capture::replace::Replacement;
use model::Diagnosis;
use report::Captured;

use crate::failure::Failure;
use crate::plan::Pages;

/// The files that were asked for.
pub(crate) struct Sheets {
    html: Option<Sheet>,
    svg: Option<Sheet>,
}

impl Sheets {
    /// Fails where one of them cannot be written, before an hour of work is lost.
    pub(crate) fn of(pages: &Pages) -> Result<Sheets, Failure> {
        let both = pages.html.as_deref().zip(pages.svg.as_deref());
        if both.is_some_and(|(html, svg)| place(html) == place(svg)) {
            return Err(
                Failure::new("`--html` and `--svg` name one file").hint("give each a name of its own")
            );
        }
        let sheet = |path: &Option<PathBuf>| path.as_deref().map(Sheet::of).transpose();
        Ok(Sheets { html: sheet(&pages.html)?, svg: sheet(&pages.svg)? })
    }

    /// Whether any was asked for.
    pub(crate) fn are_wanted(&self) -> bool {
        self.html.is_some() || self.svg.is_some()
    }

    /// Refuses to take the place of a file that another part of the command line names.
    pub(crate) fn must_differ_from(&self, others: &[PathBuf]) -> Result<(), Failure> {
        for (flag, sheet) in [("--html", &self.html), ("--svg", &self.svg)] {
            let Some(sheet) = sheet else { continue };
            for other in others {
                let is_same_file = || {
                    let (one, other) = (std::fs::metadata(&sheet.path).ok()?, std::fs::metadata(other).ok()?);
                    let is_file = one.is_file();
                    Some(is_file && (one.dev(), one.ino()) == (other.dev(), other.ino()))
                };
                if place(&sheet.path) == place(other) || is_same_file() == Some(true) {
                    let other = other.display();
                    let failure = Failure::new(format!("`{flag}` would write over {other}"));
                    return Err(failure.hint(format!("give {flag} a name of its own")));
                }
            }
        }
        Ok(())
    }

    /// Writes the ways of a capture's packets.
    pub(crate) fn write_captured(self, captured: &Captured<'_>) -> Result<(), Failure> {
        if let Some(sheet) = self.html {
            sheet.write(|out| captured.html(out))?;
        }
        match self.svg {
            Some(sheet) => sheet.write(|out| captured.svg(out)),
            None => Ok(()),
        }
    }

    /// Writes a diagnosis.
    pub(crate) fn write(self, diagnosis: &Diagnosis) -> Result<(), Failure> {
        if let Some(sheet) = self.html {
            sheet.write(|out| report::html(diagnosis, out))?;
        }
        match self.svg {
            Some(sheet) => sheet.write(|out| report::svg(diagnosis, out)),
            None => Ok(()),
        }
    }
}

/// What a path leads to, however it is spelt: of a file that is not there yet its folder, and its name in it.
pub(crate) fn place(path: &Path) -> PathBuf {
    let there = || {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = std::fs::canonicalize(folder.unwrap_or(Path::new("."))).ok()?;
        Some(folder.join(path.file_name()?))
    };
    std::fs::canonicalize(path).ok().or_else(there).unwrap_or_else(|| path.to_owned())
}

/// One file to be.
pub(crate) struct Sheet {
    path: PathBuf,
    out: Out,
}

enum Out {
    /// A file, which takes the old one's place.
    File(Replacement),
    /// A device or pipe, which stays what it is.
    Other(File),
}

impl Sheet {
    pub(crate) fn of(path: &Path) -> Result<Sheet, Failure> {
        let out = match std::fs::metadata(path) {
            Ok(old) if !old.is_file() => OpenOptions::new().write(true).open(path).map(Out::Other),
            Ok(_) | Err(_) => Replacement::of(path).map(Out::File),
        };
        Ok(Sheet { path: path.to_owned(), out: out.map_err(|error| cannot(path, &error))? })
    }

    pub(crate) fn write(self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
        let written = |file: &File| {
            let mut out = BufWriter::new(file);
            write(&mut out).and_then(|()| out.flush())
        };
        let result = match self.out {
            Out::File(replacement) => written(&replacement.file).and_then(|()| replacement.commit()),
            Out::Other(file) => written(&file),
        };
        result.map_err(|error| cannot(&self.path, &error))
    }
}

fn cannot(path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("cannot write {}: {error}", path.display()))
}
