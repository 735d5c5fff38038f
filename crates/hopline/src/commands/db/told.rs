//! A change of a row, as a page or as JSON.

use std::io::{self, Write};

use cloud::{Ask, Change, Row, Value};
use report::clean;
use serde_json::json;

use super::carried::Carried;
use crate::failure::Failure;
use crate::output;
use crate::plan::Format;

/// What would be changed, or with the name of its undo record, what was.
pub(super) fn change(
    format: Format,
    ask: &Ask,
    change: &Change,
    undo: Option<&str>,
    carried: &Carried,
) -> Result<u8, Failure> {
    let command = match ask {
        Ask::Release { .. } => "db release",
        Ask::Repair { .. } => "db repair",
    };
    match format {
        Format::Json => {
            let things = carried.things.iter();
            let hosts = things
                .map(|thing| json!({ "host": thing.host, "text": thing.text, "command": thing.command }));
            let gaps = carried.gaps.iter();
            let gaps = gaps.map(|g| json!({ "what": g.what, "why": g.why, "would_need": g.would_need }));
            output::json(&json!({
                "schema": "hopline.change/1", "command": command, "summary": change.summary,
                "applied": undo.is_some(), "undo": undo,
                "statements": [{ "sql": change.sql, "values": change.values }],
                "rows": [{ "table": change.table, "id": change.row, "before": change.before,
                           "after": change.after }],
                "note": change.note,
                "hosts": hosts.collect::<Vec<_>>(), "gaps": gaps.collect::<Vec<_>>(),
            }))?;
        }
        Format::Minimal => output::print(|out| {
            writeln!(out, "{} {}/{}", undo.unwrap_or("dry-run"), change.table, change.row)
        })?,
        Format::Terminal(_) => output::print(|out| page(out, change, undo, carried))?,
    }
    Ok(0)
}

/// What was restored.
pub(super) fn undone(format: Format, id: &str, change: &Change) -> Result<u8, Failure> {
    match format {
        Format::Json => output::json(&json!({
            "schema": "hopline.change/1", "command": "db undo", "summary": format!("{id} is taken back"),
            "applied": true, "undo": null, "statements": [],
            "rows": [{ "table": change.table, "id": change.row, "before": change.after,
                       "after": change.before }],
            "note": "", "hosts": [], "gaps": [],
        }))?,
        Format::Minimal => output::print(|out| writeln!(out, "undone {}/{}", change.table, change.row))?,
        Format::Terminal(_) => output::print(|out| {
            rows(out, change, &change.after, &change.before)?;
            writeln!(out, "\ntaken back: the row is as it was before {id}")
        })?,
    }
    Ok(0)
}

fn page(out: &mut dyn Write, change: &Change, undo: Option<&str>, carried: &Carried) -> io::Result<()> {
    writeln!(out, "{}\n\n{}", clean(&change.summary), clean(&change.sql))?;
    let values: Vec<String> = change.values.iter().map(value).collect();
    writeln!(out, "values: {}\n", values.join(", "))?;
    rows(out, change, &change.before, &change.after)?;
    writeln!(out, "  ({})", clean(&change.note))?;
    let things = &carried.things;
    if !things.is_empty() {
        writeln!(out, "\nhosts still carry:")?;
        for thing in things {
            writeln!(out, "  {}: {}", clean(&thing.host), clean(&thing.text))?;
        }
        writeln!(out, "which this clears, once the row is changed:")?;
        // nova-network is restarted once a host, whatever it writes anew.
        let mut told = std::collections::BTreeSet::new();
        for thing in things.iter().filter(|thing| told.insert((&thing.host, &thing.command))) {
            writeln!(out, "  {}: {}", clean(&thing.host), clean(&thing.command))?;
        }
    }
    for gap in &carried.gaps {
        writeln!(
            out,
            "\nnot known: {}: {}\n  {}",
            clean(&gap.what),
            clean(&gap.why),
            clean(&gap.would_need)
        )?;
    }
    match undo {
        None => writeln!(out, "\nnothing is changed: `--apply` changes it"),
        Some(id) => writeln!(out, "\nchanged; `hopline db undo {id}` takes it back"),
    }
}

/// Every column of the row, those that change marked.
fn rows(out: &mut dyn Write, change: &Change, before: &Row, after: &Row) -> io::Result<()> {
    writeln!(out, "{} {}", clean(&change.table), change.row)?;
    let columns = before.keys().map(|column| clean(column).chars().count()).max().unwrap_or(0);
    for (column, old) in before {
        let name = clean(column);
        let old_text = old.as_deref().unwrap_or("NULL");
        match after.get(column).filter(|new| *new != old) {
            None => writeln!(out, "    {name:columns$}  {}", clean(old_text))?,
            Some(new) => {
                let new = new.as_deref().unwrap_or("NULL");
                writeln!(out, "  * {name:columns$}  {} -> {}", clean(old_text), clean(new))?;
            }
        }
    }
    Ok(())
}

fn value(value: &Value) -> String {
    match value {
        Value::Number(number) => number.to_string(),
        Value::Text(None) => "NULL".to_owned(),
        Value::Text(Some(text)) => format!("'{}'", clean(text).replace('\'', "''")),
    }
}
