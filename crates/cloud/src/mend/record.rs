//! The undo record: one file a change, of JSON lines. The first is the change; each further one says how far it came.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use nix::fcntl::OFlag;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::behind::Leans;
use super::change::Change;
use super::identity::{Identity, Named};

/// A record is a row, twice; anything larger is another file.
const BYTES_MAX: u64 = 16 << 20;
/// The form of the first line.
const SCHEMA: &str = "hopline.undo/1";

/// Why an undo record could not be written or read.
#[derive(Debug, Error)]
pub enum RecordError {
    /// It cannot be written.
    #[error("cannot write the undo record {path}: {why}; nothing was changed without it")]
    Write {
        /// Which.
        path: String,
        /// The system's reason.
        why: String,
    },
    /// It cannot be read.
    #[error("cannot read the undo record {path}: {why}")]
    Read {
        /// Which.
        path: String,
        /// The system's reason.
        why: String,
    },
    /// It is no such record.
    #[error("{path} is no undo record: {why}")]
    Form {
        /// Which.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// It is no name of a record.
    #[error("`{id}` names no undo record: `--apply` prints the name, which is digits with a dash")]
    Name {
        /// What was given.
        id: String,
    },
}

/// How far a change came, as its record knows: the server may have done more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// On record; the row tells whether it was committed.
    Prepared,
    /// Made.
    Committed,
    /// As [`State::Prepared`], of the way back.
    Undoing,
    /// Taken back.
    Undone,
}

/// A record's first line.
#[derive(Serialize, Deserialize)]
pub(super) struct First {
    schema: String,
    pub(super) id: String,
    /// Seconds since 1970, in UTC.
    pub(super) at_s: u64,
    /// Without its password.
    pub(super) database: String,
    /// What the database said of itself; nothing in records of before it was asked.
    #[serde(default)]
    identity: Option<Identity>,
    pub(super) change: Change,
    /// How that was which the old values lean on.
    #[serde(default)]
    leans: Leans,
}

impl First {
    /// The database that it is for.
    pub(super) fn named(&self) -> Named {
        Named { url: self.database.clone(), identity: self.identity.clone() }
    }
}

#[derive(Serialize, Deserialize)]
struct Line {
    state: State,
}

/// A record's file.
pub(super) struct Record {
    path: PathBuf,
    file: File,
    id: String,
    database: Named,
    state: State,
    leans: Leans,
}

impl Record {
    /// Writes the record of a change, and returns when it is on the disk, with its name in the folder.
    pub(super) fn create(
        folder: &Path,
        database: Named,
        change: &Change,
        leans: Leans,
    ) -> Result<Record, RecordError> {
        let failed = |path: &Path, error: &io::Error| RecordError::Write {
            path: path.display().to_string(),
            why: error.to_string(),
        };
        make(folder).map_err(|error| failed(folder, &error))?;
        let at_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // Of one process's several changes in a second, too, each has a name of its own.
        let id = format!("{}{:09}-{}", at_s.as_secs(), at_s.subsec_nanos(), std::process::id());
        let path = path(folder, &id);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let file = file.map_err(|error| failed(&path, &error))?;
        let mut record = Record { path, file, id: id.clone(), database, state: State::Prepared, leans };
        let first = First {
            schema: SCHEMA.to_owned(),
            id,
            at_s: at_s.as_secs(),
            database: record.database.url.clone(),
            identity: record.database.identity.clone(),
            change: change.clone(),
            leans: record.leans.clone(),
        };
        if let Err(error) = record.append(&first) {
            // Half a record would be listed for ever as none.
            let _ = fs::remove_file(&record.path);
            return Err(error);
        }
        sync_folder(folder).map_err(|error| failed(folder, &error))?;
        Ok(record)
    }

    /// Reads a record, to take its change back. A last line that is not whole was being written when its writer ended.
    pub(super) fn open(folder: &Path, id: &str) -> Result<(Record, Change), RecordError> {
        if id.is_empty() || !id.bytes().all(|b| b.is_ascii_digit() || b == b'-') {
            return Err(RecordError::Name { id: id.to_owned() });
        }
        let path = path(folder, id);
        let shown = path.display().to_string();
        let failed = |error: &io::Error| RecordError::Read { path: shown.clone(), why: error.to_string() };
        let file = open_file(OpenOptions::new().read(true).append(true), &path);
        let file = file.map_err(|error| failed(&error))?;
        let (first, state, is_whole) = read(&file, &path)?;
        if first.id != id {
            return Err(RecordError::Form { path: shown, why: format!("it is the record of {}", first.id) });
        }
        let database = first.named();
        let First { id, change, leans, .. } = first;
        let mut record = Record { path, file, id, database, state, leans };
        if !is_whole {
            // What is added must not become part of it.
            record.file.write_all(b"\n").map_err(|error| failed(&error))?;
        }
        Ok((record, change))
    }

    /// The change's name.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// The database that it is for.
    pub(super) fn database(&self) -> &Named {
        &self.database
    }

    /// How far the change came, as far as the record knows.
    pub(super) fn state(&self) -> State {
        self.state
    }

    /// How that was which the row's old values lean on.
    pub(super) fn leans(&self) -> &Leans {
        &self.leans
    }

    /// Adds how far it has come.
    pub(super) fn note(&mut self, state: State) -> Result<(), RecordError> {
        self.state = state;
        self.append(&Line { state })
    }

    fn append(&mut self, line: &impl Serialize) -> Result<(), RecordError> {
        let written = serde_json::to_string(line).map_err(io::Error::from).and_then(|text| {
            // What could not be read back would not be taken back.
            if text.len() as u64 >= BYTES_MAX / 2 {
                return Err(io::Error::other("the row is too large to be on record"));
            }
            self.file.write_all(format!("{text}\n").as_bytes())?;
            self.file.sync_all()
        });
        let path = self.path.display().to_string();
        written.map_err(|error| RecordError::Write { path, why: error.to_string() })
    }
}

/// What a folder holds.
#[derive(Default)]
pub(super) struct Folder {
    /// What every record says, the newest first.
    pub(super) records: Vec<(First, State)>,
    /// What is no such record.
    pub(super) unreadable: Vec<RecordError>,
}

/// Reads every record of a folder; none in one that is missing.
pub(super) fn list(folder: &Path) -> Result<Folder, RecordError> {
    let failed = |path: &Path, error: &io::Error| RecordError::Read {
        path: path.display().to_string(),
        why: error.to_string(),
    };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Folder::default()),
        Err(error) => return Err(failed(folder, &error)),
    };
    let Folder { mut records, mut unreadable } = Folder::default();
    for entry in entries {
        let path = match entry {
            Ok(entry) => entry.path(),
            Err(error) => {
                unreadable.push(failed(folder, &error));
                continue;
            }
        };
        if path.extension().is_none_or(|extension| extension != "jsonl") {
            continue;
        }
        let file = open_file(OpenOptions::new().read(true), &path).map_err(|error| failed(&path, &error));
        match file.and_then(|file| read(&file, &path)) {
            Ok((first, state, _)) => records.push((first, state)),
            Err(error) => unreadable.push(error),
        }
    }
    records.sort_by(|(a, _), (b, _)| (b.at_s, &b.id).cmp(&(a.at_s, &a.id)));
    unreadable.sort_by_key(ToString::to_string);
    Ok(Folder { records, unreadable })
}

/// Opens what is a file: to open a pipe of that name, or to read it, would wait for whoever writes into it.
fn open_file(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let file = options.custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is no file")) }
}

/// The first line, the last state, and whether the last line is whole.
fn read(file: &File, path: &Path) -> Result<(First, State, bool), RecordError> {
    let shown = || path.display().to_string();
    let mut text = String::new();
    let read = file.take(BYTES_MAX).read_to_string(&mut text);
    read.map_err(|error| RecordError::Read { path: shown(), why: error.to_string() })?;
    let (first, state) = parse(&text).map_err(|why| RecordError::Form { path: shown(), why })?;
    Ok((first, state, text.ends_with('\n')))
}

fn parse(text: &str) -> Result<(First, State), String> {
    let mut lines = text.lines();
    let first: First = serde_json::from_str(lines.next().unwrap_or_default()).map_err(|e| e.to_string())?;
    if first.schema != SCHEMA {
        return Err(format!("its schema is not {SCHEMA}"));
    }
    let mut states = lines.filter_map(|line| serde_json::from_str::<Line>(line).ok());
    Ok((first, states.next_back().map_or(State::Prepared, |line| line.state)))
}

fn path(folder: &Path, id: &str) -> PathBuf {
    folder.join(format!("{id}.jsonl"))
}

/// Makes the folder, for its owner alone, and every folder above that is missing; each name is on the disk.
fn make(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let missing: Vec<&Path> = folder.ancestors().take_while(|path| !path.exists()).collect();
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    missing.into_iter().filter_map(Path::parent).try_for_each(sync_folder)
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    fs::File::open(folder)?.sync_all()
}
