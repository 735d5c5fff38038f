//! The record: `hopline.score/1`, each case in a line, so that two of them can be compared.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::ScoreError;
use crate::case::Case;

/// The document's schema.
pub(crate) const SCHEMA: &str = "hopline.score/1";

/// What a score was taken of, and its cases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// [`SCHEMA`].
    pub schema: String,
    /// The kernel's release.
    pub kernel: String,
    /// The day on which the last case was asked, `YYYY-MM-DD`, in UTC.
    pub date: String,
    /// The seeds that pairs were drawn by.
    pub seeds: Vec<u64>,
    /// In the order of their names.
    pub cases: Vec<Case>,
}

impl Record {
    /// One without cases.
    pub fn new(kernel: String, date: String) -> Record {
        Record { schema: SCHEMA.to_owned(), kernel, date, seeds: Vec::new(), cases: Vec::new() }
    }

    /// Adds a case, in place of one of the same name.
    pub fn add(&mut self, case: Case) {
        match self.cases.binary_search_by(|other| other.name.cmp(&case.name)) {
            Ok(at) => self.cases.splice(at..=at, [case]).for_each(drop),
            Err(at) => self.cases.insert(at, case),
        }
    }

    /// The cases of a trial of this name.
    pub fn cases_of(&self, trial: &str) -> Vec<Case> {
        let of_trial = |case: &&Case| case.name.rsplit_once('/').is_some_and(|(begin, _)| begin == trial);
        self.cases.iter().filter(of_trial).cloned().collect()
    }

    /// Reads one.
    pub fn read(path: &Path) -> Result<Record, ScoreError> {
        let text = fs::read_to_string(path).map_err(file("read", path))?;
        Record::parse(&text).map_err(|why| ScoreError::Record { path: path.to_owned(), why })
    }

    /// The same of its text, judged by this corpus; `Err` says what is wrong with it.
    pub fn parse(text: &str) -> Result<Record, String> {
        let mut record: Record = serde_json::from_str(text).map_err(|e| e.to_string())?;
        if record.schema != SCHEMA {
            return Err(format!("its schema is {:?}", record.schema));
        }
        record.cases = record.cases.into_iter().map(Case::judged).collect();
        record.cases.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(record)
    }

    /// As a document, each case in a line of its own.
    pub fn text(&self) -> String {
        let Record { schema, kernel, date, seeds, cases } = self;
        let head = serde_json::json!({ "schema": schema, "kernel": kernel, "date": date, "seeds": seeds })
            .to_string();
        // A case is text and numbers, which have no way to fail.
        let lines: Vec<String> = cases.iter().filter_map(|case| serde_json::to_string(case).ok()).collect();
        format!("{},\n\"cases\": [\n{}\n]}}\n", head.trim_end_matches('}'), lines.join(",\n"))
    }

    /// Writes it whole: a reader finds the one before, or this.
    pub fn write(&self, path: &Path) -> Result<(), ScoreError> {
        write_whole(path, &self.text())
    }
}

/// Puts a file in place of another.
pub fn write_whole(path: &Path, text: &str) -> Result<(), ScoreError> {
    let new = path.with_extension("new");
    fs::write(&new, text).map_err(file("write", &new))?;
    fs::rename(&new, path).map_err(file("write", path))
}

fn file(operation: &'static str, path: &Path) -> impl Fn(std::io::Error) -> ScoreError {
    let path = path.to_owned();
    move |source| ScoreError::File { operation, path: path.clone(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::{Kind, Mode};
    use crate::said::{Outcome, Said};

    fn case(name: &str) -> Case {
        let said = Said { outcome: Outcome::Healthy, findings: Vec::new() };
        Case::asked(name.to_owned(), Kind::Healthy, Mode::Check, Vec::new(), Ok(said))
    }

    #[test]
    fn what_is_written_is_read_and_a_case_is_there_once() {
        let mut record = Record::new("6.1".to_owned(), "2026-01-31".to_owned());
        ["b", "a", "b"].into_iter().for_each(|name| record.add(case(name)));
        assert_eq!(record.cases.iter().map(|case| case.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("score.json");
        record.write(&path).unwrap();
        assert_eq!(Record::read(&path).unwrap(), record);
        assert_eq!(record.text().lines().count(), 5);
    }

    #[test]
    fn another_document_is_refused() {
        assert!(Record::parse(r#"{"schema":"x","kernel":"","date":"","seeds":[],"cases":[]}"#).is_err());
        assert!(Record::parse("{}").is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".*") {
            let _ = Record::parse(&text);
        }
    }
}
