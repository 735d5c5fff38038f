//! `hopline db undo` without an ID: the changes that are on record, and what each row has now.

use std::io::{self, Write};

use cloud::{Listed, Listing, Now, State};
use report::clean;
use serde_json::json;

use super::mend::folder;
use crate::failure::Failure;
use crate::output;
use crate::plan::{Format, Plan};
use crate::site_file;

pub(crate) fn records(plan: &Plan) -> Result<u8, Failure> {
    let site = site_file::find(plan.site.as_deref())?;
    let folder = folder()?;
    let listing = cloud::listed(site.database.as_ref(), plan.timeout, &folder);
    let listing = listing.map_err(|error| Failure::of(&error))?;
    let shown = folder.display().to_string();
    match plan.format {
        Format::Json => output::json(&json!({
            "schema": "hopline.changes/1", "command": "db undo", "folder": shown,
            "changes": listing.changes.iter().map(change).collect::<Vec<_>>(),
            "gaps": gaps(&listing),
        }))?,
        Format::Minimal => output::print(|out| {
            let line = |c: &Listed| format!("{} {}/{} {}", c.id, c.table, c.row, now(c.now));
            listing.changes.iter().try_for_each(|c| writeln!(out, "{}", clean(&line(c))))
        })?,
        Format::Terminal(_) => output::print(|out| page(out, &listing, &shown))?,
    }
    Ok(0)
}

fn change(listed: &Listed) -> serde_json::Value {
    let Listed { id, at_s, database, summary, table, row, state, now } = listed;
    json!({
        "id": id, "at": time(*at_s), "database": database, "summary": summary, "table": table, "row": row,
        "state": word(*state), "now": now.map(|now| self::now(Some(now))),
    })
}

/// What could not be seen, with why.
fn gaps(listing: &Listing) -> Vec<serde_json::Value> {
    let unseen = listing.unseen.iter().map(|why| {
        json!({ "what": "what the rows have now", "why": why.to_string(), "would_need": "the database in reach" })
    });
    let unreadable = listing.unreadable.iter().map(|why| {
        json!({ "what": "a file of the folder", "why": why.to_string(), "would_need": "the record as it was written" })
    });
    let unread = listing.unread.iter().map(|(id, why)| {
        let what = format!("what the row of {id} has now");
        json!({ "what": what, "why": why.to_string(), "would_need": "a row that can be read" })
    });
    unseen.chain(unread).chain(unreadable).collect()
}

fn page(out: &mut dyn Write, listing: &Listing, folder: &str) -> io::Result<()> {
    if listing.changes.is_empty() {
        writeln!(out, "no change is on record in {}", clean(folder))?;
    } else {
        writeln!(out, "on record in {}, the newest first:", clean(folder))?;
    }
    for listed in &listing.changes {
        let Listed { id, at_s, database, summary, table, row, .. } = listed;
        writeln!(out, "\n{id}  {} UTC  {}", time(*at_s), clean(database))?;
        writeln!(out, "  {}", clean(summary))?;
        writeln!(out, "  row {row} of {} {}", clean(table), told(listed))?;
    }
    if let Some(why) = &listing.unseen {
        writeln!(out, "\nnot known: what the rows have now: {}", clean(&why.to_string()))?;
    }
    for (id, why) in &listing.unread {
        writeln!(out, "\nnot known: what the row of {id} has now: {}", clean(&why.to_string()))?;
    }
    listing.unreadable.iter().try_for_each(|why| writeln!(out, "\nnot known: {}", clean(&why.to_string())))
}

/// What the row has now and so what can be done, or how far it came where nobody looked.
fn told(listed: &Listed) -> String {
    let id = &listed.id;
    match (listed.now, listed.state) {
        (Some(Now::After), _) => format!("is as the change left it: `hopline db undo {id}` takes it back"),
        (Some(Now::Before), State::Prepared | State::Committed) => {
            "is as it was before the change".to_owned()
        }
        (Some(Now::Before), State::Undoing | State::Undone) => "is as it was before: taken back".to_owned(),
        (Some(Now::Other), _) => "has changed since".to_owned(),
        (Some(Now::Gone), _) => "is gone".to_owned(),
        (None, state) => format!("was not looked at; the change is {} on record", word(state)),
    }
}

fn now(now: Option<Now>) -> &'static str {
    match now {
        Some(Now::Before) => "before",
        Some(Now::After) => "after",
        Some(Now::Other) => "other",
        Some(Now::Gone) => "gone",
        None => "unknown",
    }
}

fn word(state: State) -> &'static str {
    match state {
        State::Prepared => "prepared",
        State::Committed => "committed",
        State::Undoing => "undoing",
        State::Undone => "undone",
    }
}

/// A time as nova writes it: `YYYY-MM-DD HH:MM:SS`, in UTC. Days become a date by years that begin in March
/// (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`).
fn time(at_s: u64) -> String {
    let (days, second) = (at_s / 86_400 + 719_468, at_s % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use super::time;

    #[test]
    fn times_are_those_of_date() {
        // `date -u -d @N`
        assert_eq!(time(0), "1970-01-01 00:00:00");
        assert_eq!(time(951_782_399), "2000-02-28 23:59:59");
        assert_eq!(time(951_868_799), "2000-02-29 23:59:59");
        assert_eq!(time(1_795_749_519), "2026-11-27 03:18:39");
        assert_eq!(time(4_107_542_399), "2100-02-28 23:59:59");
        assert_eq!(time(4_107_542_400), "2100-03-01 00:00:00");
    }
}
