//! The page of one instance's records, each beside what the hosts really have of it.

use std::io::{self, Write};

use model::snapshot::Gap;
use serde_json::{Value, json};

use crate::page::{Page, Span, plain};
use crate::style::{Mark, Role, Style};

/// Schema of the JSON document.
const SCHEMA: &str = "hopline.record/1";
/// Columns of the longest name of a line.
const NAMES: usize = 15;

/// All that is recorded of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sheet {
    /// Its name.
    pub name: String,
    /// Its uuid, where it has one.
    pub uuid: Option<String>,
    /// `instances.id`.
    pub id: Option<u64>,
    /// In the order in which they are told.
    pub lines: Vec<Line>,
    /// What could not be seen.
    pub gaps: Vec<Gap>,
}

/// One thing that is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What it is: `floating IP`.
    pub what: &'static str,
    /// As it is recorded.
    pub value: String,
    /// What hosts have of it; nothing where it is in the database alone.
    pub hosts: Vec<OnHost>,
}

/// One thing that a host is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnHost {
    /// The host.
    pub host: String,
    /// Whether it has it.
    pub has: Has,
    /// What was looked for, as it is: `DNAT rule`, `no DNAT rule`; of what is not known, why.
    pub text: String,
}

/// Whether a host has what is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Has {
    /// It has.
    Yes,
    /// It has not.
    No,
    /// It has not, and is not meant to: of an instance that is switched off there is no tap.
    NotMeant,
    /// It could not be seen.
    Unknown,
}

impl Has {
    fn mark(self) -> Option<Mark> {
        match self {
            Has::Yes => Some(Mark::PASS),
            Has::No => Some(Mark::STOP),
            Has::NotMeant => None,
            Has::Unknown => Some(Mark::UNSURE),
        }
    }

    /// In JSON.
    fn value(self) -> Value {
        match self {
            Has::Yes => Value::Bool(true),
            Has::No => Value::Bool(false),
            Has::NotMeant | Has::Unknown => Value::Null,
        }
    }
}

impl Sheet {
    /// Names of the lines of which a host lacks something.
    pub fn lacking(&self) -> Vec<&'static str> {
        let lacks = |line: &&Line| line.hosts.iter().any(|on| on.has == Has::No);
        let mut names: Vec<&'static str> = self.lines.iter().filter(lacks).map(|line| line.what).collect();
        names.dedup();
        names
    }

    /// Something could not be seen.
    pub fn is_in_doubt(&self) -> bool {
        self.lines.iter().flat_map(|line| &line.hosts).any(|on| on.has == Has::Unknown)
    }

    /// The document of `--json`.
    pub fn json(&self) -> Value {
        let host = |on: &OnHost| json!({ "host": on.host, "has": on.has.value(), "text": on.text });
        let line = |line: &Line| {
            let hosts: Vec<Value> = line.hosts.iter().map(host).collect();
            json!({ "what": line.what, "value": line.value, "hosts": hosts })
        };
        let gap = |gap: &Gap| json!({ "what": gap.what, "why": gap.why, "would_need": gap.would_need });
        json!({
            "schema": SCHEMA, "command": "db show",
            "instance": { "id": self.id, "uuid": self.uuid, "name": self.name },
            "lines": self.lines.iter().map(line).collect::<Vec<_>>(),
            "gaps": self.gaps.iter().map(gap).collect::<Vec<_>>(),
        })
    }
}

/// Writes `hopline db show`.
pub fn sheet(sheet: &Sheet, style: &Style, out: &mut dyn Write) -> io::Result<()> {
    let mut page = Page { style, out };
    let (mark, text) = match sheet.lacking().as_slice() {
        [] if sheet.gaps.is_empty() && !sheet.is_in_doubt() => {
            (Mark::PASS, "the hosts have what is recorded".to_owned())
        }
        [] => (Mark::UNSURE, "of what is recorded not all could be seen".to_owned()),
        lacking => (Mark::STOP, format!("a host lacks what is recorded: {}", lacking.join(", "))),
    };
    page.marked(0, mark, &[Span::new(Role::Strong, &format!("{}:", sheet.name)), plain(&text)])?;
    page.gap()?;
    for line in &sheet.lines {
        page.columns(2, &[Span::padded(Role::Dim, line.what, NAMES)], &[plain(&line.value)])?;
        of_hosts(&mut page, &line.hosts)?;
    }
    if !sheet.gaps.is_empty() {
        page.gap()?;
        page.text(0, &[Span::new(Role::Strong, "could not be seen:")])?;
    }
    for gap in &sheet.gaps {
        page.marked(2, Mark::UNSURE, &[plain(&format!("{}: {}", gap.what, gap.why))])?;
        page.text(4, &[plain("would settle it:"), Span::new(Role::Strong, &gap.would_need)])?;
    }
    Ok(())
}

/// One line a host, in which each thing stands behind its mark.
fn of_hosts(page: &mut Page<'_>, hosts: &[OnHost]) -> io::Result<()> {
    let indent = 2 + NAMES + 1;
    for of_host in hosts.chunk_by(|a, b| a.host == b.host) {
        let Some(first) = of_host.first() else { continue };
        let mut body = Vec::new();
        for (at, on) in of_host.iter().enumerate() {
            let end = if at + 1 < of_host.len() { "," } else { "" };
            match on.has.mark() {
                Some(mark) => {
                    body.push(Span::new(mark.role, &mark.sign(page.style)));
                    body.push(plain(&format!("{}{end}", on.text)));
                }
                None => body.push(Span::new(Role::Dim, &format!("{}{end}", on.text))),
            }
        }
        page.columns(indent, &[Span::new(Role::Dim, &format!("{}:", first.host))], &body)?;
    }
    Ok(())
}
