//! stdout: the answer and nothing else.

use std::io::{self, BufWriter, ErrorKind, IsTerminal, Write};
use std::time::Instant;

use model::Diagnosis;
use report::Style;

use crate::failure::Failure;
use crate::plan::Format;

/// Which page shows a diagnosis to people.
pub(crate) type Page = fn(&Diagnosis, &Style, &mut dyn Write) -> io::Result<()>;

/// Prints a diagnosis in the format asked for; returns the exit code.
pub(crate) fn diagnosis(
    diagnosis: &Diagnosis,
    format: Format,
    page: Page,
    started: Instant,
) -> Result<u8, Failure> {
    let elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    print(|out| match format {
        Format::Json => report::json(diagnosis, elapsed_ms, out),
        Format::Minimal => report::minimal(diagnosis, out),
        Format::Terminal(style) => page(diagnosis, &style, out),
    })?;
    Ok(diagnosis.outcome.exit_code())
}

/// Prints one JSON document.
pub(crate) fn json(document: &serde_json::Value) -> Result<(), Failure> {
    print(|out| writeln!(out, "{document:#}"))
}

/// Prints names with what each of them means. A program that reads them gets a line for each, however long.
pub(crate) fn listing(rows: &[(&str, &str)], format: Format) -> Result<(), Failure> {
    let columns = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let style = folding(format);
    print(|out| report::listing(rows.iter().copied(), (0, columns), &style, out))
}

/// As wide as a person's terminal is, or as somebody says.
pub(crate) fn folding(format: Format) -> Style {
    let is_for_people = io::stdout().is_terminal() || std::env::var_os("COLUMNS").is_some();
    match format {
        Format::Terminal(style) if is_for_people => style,
        Format::Terminal(_) | Format::Minimal | Format::Json => {
            Style { width: usize::MAX, ..Style::default() }
        }
    }
}

/// Writes to stdout. A reader that has gone away (`| head`) has read what it wanted: no failure.
pub(crate) fn print(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    match write(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::new(format!("cannot write to stdout: {error}")))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}
