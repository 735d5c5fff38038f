//! A bundle under pseudonyms, and beside it what only its maker may have: what they stand for, and what made them.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use bundle::{Key, RedactError, Redacted};
use capture::replace::Replacement;

use super::{cannot_write, spool};
use crate::failure::Failure;
use crate::plan::Redaction;
use crate::targets;

/// Longest key file.
const KEY_MAX: u64 = 1 << 20;

/// The key that is given, or that lies beside the bundle whose place the new one takes, so that its names stay the
/// same. Refuses to take the place of another key: what it made could not be told any more.
pub(super) fn key(redaction: &Redaction, output: &Path) -> Result<Option<Key>, Failure> {
    let own = beside(output, "key");
    let Some(given) = &redaction.key else { return own.exists().then(|| read_key(&own)).transpose() };
    let others = [output.to_owned(), beside(output, "names")];
    others.iter().try_for_each(|out| targets::must_differ("-o", out, std::slice::from_ref(given)))?;
    let key = read_key(given)?;
    if own.exists() && read_key(&own)?.text() != key.text() {
        let (given, own) = (given.display(), own.display());
        return Err(Failure::new(format!("`-o` would write over {own}, which is another key than {given}"))
            .hint("give the new bundle a name of its own"));
    }
    Ok(Some(key))
}

fn read_key(path: &Path) -> Result<Key, Failure> {
    let shown = path.display();
    let cannot = |error: &dyn std::fmt::Display| {
        Failure::new(format!("cannot read the key {shown}: {error}"))
            .hint("`hopline collect --redact` without `--redact-key` makes one beside its bundle: FILE.key")
    };
    let length = fs::metadata(path).map_err(|error| cannot(&error))?.len();
    if length > KEY_MAX {
        return Err(cannot(&format!("it is longer than {KEY_MAX} octets")));
    }
    let text = fs::read_to_string(path).map_err(|error| cannot(&error))?;
    Key::read(&text).map_err(|error| cannot(&error))
}

/// A bundle that is to be redacted.
pub(super) fn open(path: &Path) -> Result<File, Failure> {
    File::open(path)
        .map_err(|error| Failure::new(format!("cannot read the bundle {}: {error}", path.display())))
}

/// Writes the bundle that `plain` holds under pseudonyms, and beside it the table and the key. All three are written
/// before the first of them takes its name, and the bundle takes its own first: where that fails, the earlier bundle
/// keeps its table and its key.
pub(super) fn write(
    plain: &mut File,
    name: &Path,
    key: Option<Key>,
    output: &Path,
) -> Result<Redacted, Failure> {
    let cannot = |error: &dyn std::fmt::Display| cannot_write(output, error);
    plain.seek(SeekFrom::Start(0)).map_err(|error| cannot(&error))?;
    let mut bundle = Replacement::private(output).map_err(|error| cannot(&error))?;
    let out = io::BufWriter::new(&mut bundle.file);
    let redacted = bundle::redact(plain, "the bundle that was redacted", key, spool(output)?, out)
        .map_err(|error| failure(name, output, &error))?;
    let table = beside(output, "names");
    let names = private(&table, &with_earlier(bundle::table(&redacted.pseudonyms), &table)?)?;
    let key = private(&beside(output, "key"), &redacted.pseudonyms.key().text())?;
    for file in [bundle, key, names] {
        file.commit().map_err(|error| cannot(&error))?;
    }
    Ok(redacted)
}

/// The table with what an earlier one in its place has besides: the earlier bundle may be on its way, and is still to
/// be translated.
fn with_earlier(mut table: String, path: &Path) -> Result<String, Failure> {
    let earlier = match fs::read_to_string(path) {
        Ok(earlier) => earlier,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(table),
        Err(error) => return Err(Failure::new(format!("cannot read {}: {error}", path.display()))),
    };
    let known: BTreeSet<String> = table.lines().map(|line| pseudonym(line).to_owned()).collect();
    for line in earlier.lines().filter(|line| !line.starts_with('#') && !known.contains(pseudonym(line))) {
        table.push_str(line);
        table.push('\n');
    }
    Ok(table)
}

fn pseudonym(line: &str) -> &str {
    line.split('\t').next().unwrap_or(line)
}

/// Refuses to take the place of the bundle or of another file that is read: nobody has the true names then.
pub(super) fn must_differ(output: &Path, inputs: &[PathBuf]) -> Result<(), Failure> {
    let all = [output.to_owned(), beside(output, "names"), beside(output, "key")];
    all.iter().try_for_each(|out| targets::must_differ("-o", out, inputs))
}

fn failure(name: &Path, output: &Path, error: &RedactError) -> Failure {
    match error {
        RedactError::Read(_) | RedactError::Again { .. } | RedactError::Already => {
            Failure::new(format!("cannot redact the bundle {}: {error}", name.display()))
                .hint("take the file as `hopline collect -o FILE.tar.zst` wrote it, without `--redact`")
        }
        RedactError::Json { .. } | RedactError::Key { .. } | RedactError::Write(_) => {
            cannot_write(output, error)
        }
    }
}

/// `FILE.tar.zst.names`, for one.
fn beside(output: &Path, ending: &str) -> PathBuf {
    let mut name = output.as_os_str().to_owned();
    name.push(format!(".{ending}"));
    name.into()
}

/// A file of this text that only its owner may read, about to take its place.
fn private(path: &Path, text: &str) -> Result<Replacement, Failure> {
    let written = Replacement::private(path).and_then(|mut file| {
        file.file.write_all(text.as_bytes())?;
        Ok(file)
    });
    written.map_err(|error| Failure::new(format!("cannot write {}: {error}", path.display())))
}
