//! The captures that a bundle takes along: looked at before anything is collected, copied as they are.

use std::fs::File;
use std::io::{Read, Seek, Write};

use bundle::{CAPTURES_BYTES_MAX, CAPTURES_MAX, WriteError, Writer};

use crate::failure::Failure;
use crate::recorded::Given;

/// A capture that can be read.
pub(super) struct Ready {
    name: String,
    vantage: Option<String>,
    file: File,
    bytes: u64,
}

/// Opens every capture, and refuses what is none or too large to be sent to anybody.
pub(super) fn open_all(given: &[Given]) -> Result<Vec<Ready>, Failure> {
    let ready = given.iter().map(open).collect::<Result<Vec<Ready>, Failure>>()?;
    let bytes = ready.iter().fold(0_u64, |sum, one| sum.saturating_add(one.bytes));
    if bytes > CAPTURES_BYTES_MAX || ready.len() > CAPTURES_MAX {
        let (count, mib) = (ready.len(), bytes >> 20);
        let most = CAPTURES_BYTES_MAX >> 20;
        return Err(Failure::new(format!(
            "{count} captures of {mib} MiB are more than a bundle takes: {CAPTURES_MAX} captures, {most} MiB"
        ))
        .hint(
            "give them beside the bundle, `hopline diagnose --capture FILE`, or cut them: \
             `tcpdump -r FILE -w SMALL host IP`",
        ));
    }
    Ok(ready)
}

fn open(given: &Given) -> Result<Ready, Failure> {
    let name = given.name();
    let cannot = |error: &dyn std::fmt::Display| Failure::new(format!("cannot read {name}: {error}"));
    let about = std::fs::metadata(&given.file).map_err(|error| cannot(&error))?;
    if !about.is_file() && !about.is_dir() {
        return Err(cannot(&"it is no regular file").hint("write it to a file first"));
    }
    // What is no capture is refused here.
    drop(given.open()?);
    let file = File::open(&given.file).map_err(|error| cannot(&error))?;
    let name = given.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Ready { name, vantage: given.vantage.clone(), file, bytes: about.len() })
}

/// Copies them in.
pub(super) fn add<S: Read + Write + Seek>(
    writer: &Writer<S>,
    captures: Vec<Ready>,
) -> Result<(), WriteError> {
    for Ready { name, vantage, mut file, bytes } in captures {
        writer.add_capture(&name, vantage.as_deref(), (bytes, &mut file))?;
    }
    Ok(())
}
