//! The score that is published is this corpus's: docs/score.json has every trial, and docs/score.md is its page.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use score::{Case, Kind, Mode, Record, Shape, Trial, page};

const JSON: &str = include_str!("../../../docs/score.json");
const PAGE: &str = include_str!("../../../docs/score.md");

fn record() -> Record {
    Record::parse(JSON).expect("docs/score.json")
}

/// A cloud of which there is nothing is one that could not be built where the score was taken, as the page says; of
/// the others nothing is left out.
#[test]
fn every_trial_of_the_corpus_is_in_the_record() {
    let record = record();
    let is_measured = |shape: &Shape| {
        let begin = format!("{}/", shape.name());
        record.cases.iter().any(|case| case.name.starts_with(&begin))
    };
    let measured: Vec<Shape> = Shape::ALL.into_iter().filter(is_measured).collect();
    assert!(measured.contains(&Shape::OneHost) && measured.len() >= 3, "{measured:?}");
    let trials = [Trial::singles(&measured), Trial::healthy()].concat();
    let asked =
        |trial: &Trial, mode: Mode| record.cases_of(&trial.name()).iter().any(|case| case.mode == mode);
    let lacks = |trial: &&Trial| !(asked(trial, Mode::Passive) && asked(trial, Mode::Probes));
    let missing: Vec<String> = trials.iter().filter(lacks).map(Trial::name).collect();
    assert!(missing.is_empty(), "`score --resume` adds what docs/score.json lacks: {missing:?}");
}

#[test]
fn every_case_of_the_record_is_the_corpuss() {
    let record = record();
    let trials = [Trial::singles(&Shape::ALL), Trial::healthy()].concat();
    let known: BTreeSet<String> = trials.iter().map(Trial::name).collect();
    let made: BTreeSet<String> =
        Shape::ALL.iter().flat_map(|shape| shape.faults()).map(|made| made.finding()).collect();
    let is_known = |case: &Case| {
        let (trial, _) = case.name.rsplit_once('/').unwrap();
        // What is healed may have been a pair, too, of which only the name tells.
        let is_pair = trial.contains('+');
        (is_pair || known.contains(trial)) && case.made.iter().all(|finding| made.contains(finding))
    };
    let strange: Vec<&str> =
        record.cases.iter().filter(|case| !is_known(case)).map(|case| case.name.as_str()).collect();
    assert!(
        strange.is_empty(),
        "docs/score.json tells of what is no part of the corpus any more: {strange:?}"
    );
}

#[test]
fn pairs_are_drawn_by_the_seeds_that_are_told() {
    let record = record();
    let pairs =
        record.cases.iter().filter(|case| case.kind == Kind::Pair && case.mode == Mode::Probes).count();
    assert!(pairs >= 190, "200 were drawn, and {pairs} were tried");
    assert_eq!(record.seeds.len(), 2);
}

#[test]
fn the_page_is_the_records() {
    // Said, and not shown: the record is half a megabyte.
    assert!(record().text() == JSON, "docs/score.json is judged as before: `score --page` judges it anew");
    assert_eq!(page(&record()), PAGE, "`score --page` writes docs/score.md anew");
}
