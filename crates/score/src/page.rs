//! The page that people read: docs/score.md.

use std::collections::BTreeSet;

use crate::case::{Case, Ended, Kind, Mode};
use crate::figures::Figures;
use crate::pair;
use crate::record::Record;
use crate::shape::{NONE_WITH_A_NETWORK_HOST, Shape};

/// What the figures mean, and how they are taken.
const HEAD: &str = include_str!("page_head.md");
/// What is right of two, before the list of those that cannot be.
const PAIRS: &str = include_str!("page_pairs.md");

/// The page of a record.
pub fn page(record: &Record) -> String {
    let mut page = HEAD.to_owned();
    page.push_str(&taken(record));
    page.push('\n');
    page.push_str(&goals(record));
    page.push_str("\n## One fault\n\n");
    page.push_str(&singles(record));
    page.push_str("\nWith a network host some are left out:\n\n");
    NONE_WITH_A_NETWORK_HOST.iter().for_each(|(code, why)| page.push_str(&format!("* {code}: {why}\n")));
    page.push_str("\n## Nothing wrong\n\n");
    page.push_str(&healthy(record));
    page.push_str("\n## Two faults at once\n\n");
    page.push_str(PAIRS);
    pair::reasons().for_each(|why| page.push_str(&format!("* {why}\n")));
    page.push('\n');
    page.push_str(&pairs(record));
    page.push_str("\n## What was not right\n\n");
    page.push_str(&wrong(record));
    page
}

fn taken(record: &Record) -> String {
    let commits: BTreeSet<&str> = record.cases.iter().map(|case| case.commit.as_str()).collect();
    let commits: Vec<&str> = commits.into_iter().collect();
    let seeds: Vec<String> = record.seeds.iter().map(u64::to_string).collect();
    format!(
        "Taken on kernel {}, {}; commit {}; seeds of the pairs {}; {} cases.\n",
        record.kernel,
        record.date,
        commits.join(", "),
        seeds.join(" and "),
        record.cases.len()
    )
}

/// What hopline is to reach, and what it does.
fn goals(record: &Record) -> String {
    let of = |kind, mode| Figures::select(&record.cases, kind, mode, |_| true);
    let measured = |figures: Figures, reached: String| match figures.cases {
        0 => "not measured".to_owned(),
        _ => reached,
    };
    let mut rows = String::from("| | goal | reached |\n|---|---|---|\n");
    let mut row = |what: &str, goal: &str, reached: String| {
        rows.push_str(&format!("| {what} | {goal} | {reached} |\n"));
    };
    for (mode, goal) in [(Mode::Probes, "100 %"), (Mode::Passive, "95 %"), (Mode::Bundle, "95 %")] {
        let one = of(Kind::Fault, mode);
        let reached = measured(one, share(one.right, one.cases));
        row(&format!("cause and hop of one fault, {}", asked(mode)), goal, reached);
    }
    let healthy = Figures::of(record.cases.iter().filter(|case| case.kind == Kind::Healthy));
    let healed = Figures::of(record.cases.iter().filter(|case| case.kind == Kind::Healed));
    let alarms = |of: Figures| measured(of, format!("{} in {} cases", of.cases - of.right, of.cases));
    row("false alarms in healthy clouds, 20 at least", "0", alarms(healthy));
    row("false alarms in healed clouds", "0", alarms(healed));
    let pairs = of(Kind::Pair, Mode::Probes);
    row("of two faults both named, with probes", "90 %", measured(pairs, share(pairs.all, pairs.cases)));
    row(
        "of two faults the first first, with probes",
        "99 %",
        measured(pairs, share(pairs.first, pairs.cases)),
    );
    row("median time of one fault, with probes", "2 s", seconds(of(Kind::Fault, Mode::Probes).median_ms));
    rows
}

fn singles(record: &Record) -> String {
    let mut rows = String::from(
        "| cloud | asked | faults | hop | cause | not known | called healthy | told beside | median | p95 |\n\
         |---|---|---|---|---|---|---|---|---|---|\n",
    );
    let mut row = |cloud: &str, mode: Mode, figures: Figures| {
        if figures.cases == 0 {
            rows.push_str(&format!("| {cloud} | {} | not measured | | | | | | | |\n", asked(mode)));
            return;
        }
        rows.push_str(&format!(
            "| {cloud} | {} | {} | {} | {} | {} | {} | {} | {} | {} |\n",
            asked(mode),
            figures.cases,
            share(figures.hop, figures.cases),
            share(figures.cause, figures.cases),
            share(figures.unknown, figures.cases),
            figures.missed + figures.failed,
            figures.beside,
            seconds(figures.median_ms),
            seconds(figures.p95_ms),
        ));
    };
    for mode in [Mode::Probes, Mode::Passive, Mode::Bundle] {
        row("**all**", mode, Figures::select(&record.cases, Kind::Fault, mode, |_| true));
    }
    for shape in Shape::ALL {
        for mode in [Mode::Probes, Mode::Passive, Mode::Bundle] {
            row(
                shape.name(),
                mode,
                Figures::select(&record.cases, Kind::Fault, mode, |cloud| cloud == shape.name()),
            );
        }
    }
    rows
}

fn healthy(record: &Record) -> String {
    let mut rows = String::from(
        "| clouds | asked | cases | false alarms | not known | median | p95 |\n|---|---|---|---|---|---|---|\n",
    );
    let kinds = [
        ("healthy", Kind::Healthy, &[Mode::Check, Mode::Passive, Mode::Probes, Mode::Bundle][..]),
        ("healed", Kind::Healed, &[Mode::Probes]),
    ];
    for (name, kind, modes) in kinds {
        for mode in modes {
            let figures = Figures::select(&record.cases, kind, *mode, |_| true);
            if figures.cases == 0 {
                rows.push_str(&format!("| {name} | {} | not measured | | | | |\n", asked(*mode)));
                continue;
            }
            let alarms = figures.cases - figures.right - figures.unknown;
            rows.push_str(&format!(
                "| {name} | {} | {} | {alarms} | {} | {} | {} |\n",
                asked(*mode),
                figures.cases,
                figures.unknown,
                seconds(figures.median_ms),
                seconds(figures.p95_ms),
            ));
        }
    }
    let names = record.cases.iter().filter(|case| case.kind == Kind::Healthy);
    let names: BTreeSet<&str> = names.filter_map(|case| case.name.split('/').nth(1)).collect();
    let names: Vec<String> = names.into_iter().map(|name| name.replace('-', " ")).collect();
    format!("{rows}\nThe {} healthy clouds: {}.\n", names.len(), names.join("; "))
}

fn pairs(record: &Record) -> String {
    let mut rows = String::from(
        "| asked | pairs | both named | first first | told beside | median | p95 |\n|---|---|---|---|---|---|---|\n",
    );
    for mode in [Mode::Probes, Mode::Passive, Mode::Bundle] {
        let figures = Figures::select(&record.cases, Kind::Pair, mode, |_| true);
        if figures.cases == 0 {
            rows.push_str(&format!("| {} | not measured | | | | | |\n", asked(mode)));
            continue;
        }
        rows.push_str(&format!(
            "| {} | {} | {} | {} | {} | {} | {} |\n",
            asked(mode),
            figures.cases,
            share(figures.all, figures.cases),
            share(figures.first, figures.cases),
            figures.beside,
            seconds(figures.median_ms),
            seconds(figures.p95_ms),
        ));
    }
    rows
}

fn wrong(record: &Record) -> String {
    let wrong: Vec<&Case> = record.cases.iter().filter(|case| !case.right).collect();
    if wrong.is_empty() {
        return "Nothing.\n".to_owned();
    }
    let mut lines = String::from("| case | was | said |\n|---|---|---|\n");
    for case in wrong {
        let was = if case.made.is_empty() { "healthy".to_owned() } else { case.made.join(", ") };
        let said = match (case.outcome, case.told.is_empty()) {
            (Ended::Healthy, _) => "healthy".to_owned(),
            (Ended::Undetermined, _) => "undetermined".to_owned(),
            (Ended::Failed, _) => format!("failed: {}", case.told.join(" ").replace(['\n', '|'], " ")),
            (Ended::Fault, _) => case.told.join(", "),
        };
        lines.push_str(&format!("| {} | {was} | {said} |\n", case.name));
    }
    lines
}

fn asked(mode: Mode) -> &'static str {
    match mode {
        Mode::Probes => "with probes",
        Mode::Passive => "passively",
        Mode::Bundle => "from a bundle",
        Mode::Check => "`check`",
    }
}

/// Never rounded up to a whole that it is not.
fn share(part: usize, whole: usize) -> String {
    let permille = (part * 1000).checked_div(whole).unwrap_or_default();
    format!("{}.{} %", permille / 10, permille % 10)
}

fn seconds(ms: Option<u64>) -> String {
    ms.map_or_else(|| "-".to_owned(), |ms| format!("{}.{:02} s", ms / 1000, ms % 1000 / 10))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::said::{Outcome, Said};

    #[test]
    fn all_but_one_is_not_a_hundred_percent() {
        assert_eq!(share(2999, 3000), "99.9 %");
        assert_eq!(share(3, 3), "100.0 %");
        assert_eq!(share(0, 0), "0.0 %");
        assert_eq!(seconds(Some(1234)), "1.23 s");
    }

    #[test]
    fn what_was_not_right_is_named_with_what_was_said_instead() {
        let said = Said { outcome: Outcome::Fault, findings: vec!["tap-down compute1//vnet1".to_owned()] };
        let made = vec!["tap-down compute1//vnet0".to_owned()];
        let mut record = Record::new("6.1".to_owned(), "2026-01-31".to_owned());
        record.add(Case::asked(
            "one-host/tap-down/probes".to_owned(),
            Kind::Fault,
            Mode::Probes,
            made,
            Ok(said),
        ));
        let page = page(&record);
        assert!(
            page.contains(
                "| one-host/tap-down/probes | tap-down compute1//vnet0 | tap-down compute1//vnet1 |"
            )
        );
        assert!(page.contains("| **all** | from a bundle | not measured |"), "{page}");
    }
}
