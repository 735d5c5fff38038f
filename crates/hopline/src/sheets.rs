//! The answer as files, beside what is printed: where they go is settled before anything is asked, and each appears
//! when it is whole.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use capture::replace::Replacement;
use model::Diagnosis;

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
        if pages.html.is_some() && pages.html == pages.svg {
            return Err(
                Failure::new("`--html` and `--svg` name one file").hint("give each a name of its own")
            );
        }
        let sheet = |path: &Option<PathBuf>| path.as_deref().map(Sheet::of).transpose();
        Ok(Sheets { html: sheet(&pages.html)?, svg: sheet(&pages.svg)? })
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
