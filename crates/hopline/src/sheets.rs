//! The answer as files, beside what is printed: where they go is settled before anything is asked, and each appears
//! when it is whole.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use capture::replace::Replacement;
use model::Diagnosis;
use report::{Captured, Recorded};

use crate::failure::Failure;
use crate::plan::Pages;
use crate::targets;

/// The files that were asked for.
pub(crate) struct Sheets {
    html: Option<Sheet>,
    svg: Option<Sheet>,
}

impl Sheets {
    /// Fails where one of them cannot be written, before an hour of work is lost.
    pub(crate) fn of(pages: &Pages) -> Result<Sheets, Failure> {
        let both = pages.html.as_deref().zip(pages.svg.as_deref());
        if both.is_some_and(|(html, svg)| targets::is_one_file(html, svg)) {
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

    /// Refuses to take the place of a file that is read, or written besides.
    pub(crate) fn must_differ_from(&self, others: &[PathBuf]) -> Result<(), Failure> {
        for (flag, sheet) in [("--html", &self.html), ("--svg", &self.svg)] {
            let Some(sheet) = sheet else { continue };
            targets::must_differ(flag, &sheet.path, others)?;
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

    /// Writes a diagnosis, and on its page what was recorded of whom it is about.
    pub(crate) fn write(self, diagnosis: &Diagnosis, recorded: Option<Recorded<'_>>) -> Result<(), Failure> {
        if let Some(sheet) = self.html {
            sheet.write(|out| report::html(diagnosis, recorded, out))?;
        }
        match self.svg {
            Some(sheet) => sheet.write(|out| report::svg(diagnosis, out)),
            None => Ok(()),
        }
    }
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
