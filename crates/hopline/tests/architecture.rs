//! Holds the code to ARCHITECTURE.md: the drawn graph is the real one, every dependency has its reason,
//! pure crates are pure, and `unsafe` is only where the table says so.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod workspace;

use std::collections::{BTreeMap, BTreeSet};

use workspace::{list, program, read};

/// Which crates a crate depends on.
type Graph = BTreeMap<String, BTreeSet<String>>;

/// What a pure crate has no use for: anything that looks at the world or changes it, or waits.
const EFFECTS: [&str; 13] = [
    "std::env",
    "std::fs",
    "std::net::Tcp",
    "std::net::Udp",
    "std::os",
    "std::process",
    "std::thread",
    "std::{",
    "Instant",
    "SystemTime",
    "TcpStream",
    "UdpSocket",
    "async ",
];

/// The part of ARCHITECTURE.md under a heading.
fn section(heading: &str) -> String {
    let page = read("ARCHITECTURE.md");
    let (_, rest) =
        page.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no section {heading}"));
    rest.split("\n## ").next().unwrap().to_owned()
}

/// Rows of a section's table, as cells; those whose first cell is a name in backquotes.
fn rows(heading: &str) -> Vec<(String, Vec<String>)> {
    let text = section(heading);
    let cells = |line: &str| line.trim_matches('|').split('|').map(|c| c.trim().to_owned()).collect();
    let tables = text.lines().filter(|line| line.starts_with("| `"));
    let rows: Vec<(String, Vec<String>)> = tables
        .map(|line| {
            let cells: Vec<String> = cells(line);
            (cells[0].trim_matches('`').to_owned(), cells)
        })
        .collect();
    assert!(!rows.is_empty(), "{heading} has no table");
    rows
}

/// The graph as it is drawn, in its order from the top down.
fn drawn() -> Vec<(String, BTreeSet<String>)> {
    let text = section("The crate graph");
    let block = text.split("```").nth(1).expect("the graph stands in a fenced block");
    let lines = block.lines().skip(1).filter(|line| !line.trim().is_empty());
    lines
        .map(|line| {
            let (name, arrows) = line.split_once("->").unwrap_or((line, ""));
            (name.trim().to_owned(), arrows.split_whitespace().map(str::to_owned).collect())
        })
        .collect()
}

/// The names in these tables of a crate's Cargo.toml.
fn dependencies(name: &str, tables: &[&str]) -> BTreeSet<String> {
    let manifest: toml::Table = read(&format!("crates/{name}/Cargo.toml")).parse().unwrap();
    assert_eq!(manifest["package"]["name"].as_str(), Some(name), "a crate is named as its folder is");
    let tables = tables.iter().filter_map(|table| manifest.get(*table)?.as_table());
    tables.flat_map(|table| table.keys().cloned()).collect()
}

fn real() -> Graph {
    let crates = list("crates");
    let ours = |name: &String| crates.contains(name);
    let arrows = |name: &String| {
        dependencies(name, &["dependencies", "build-dependencies"]).into_iter().filter(ours).collect()
    };
    crates.iter().map(|name| (name.clone(), arrows(name))).collect()
}

/// What the table says that a crate may do.
fn may(name: &str) -> String {
    let row = rows("The crates").into_iter().find(|(of, _)| of == name);
    row.unwrap_or_else(|| panic!("{name} has no row in ARCHITECTURE.md")).1[1].clone()
}

fn pure_crates() -> Vec<String> {
    list("crates").into_iter().filter(|name| may(name) == "pure").collect()
}

#[test]
fn the_drawn_graph_is_the_real_one() {
    let drawn: Graph = drawn().into_iter().collect();
    assert_eq!(drawn, real(), "left: ARCHITECTURE.md; right: the crates' Cargo.toml");
}

#[test]
fn arrows_point_down() {
    let drawn = drawn();
    for (at, (name, arrows)) in drawn.iter().enumerate() {
        let below: Vec<&String> = drawn.iter().skip(at + 1).map(|(name, _)| name).collect();
        for arrow in arrows {
            assert!(below.contains(&arrow), "{name} -> {arrow} does not point down");
        }
    }
}

#[test]
fn the_table_names_every_crate_and_no_other() {
    let named: BTreeSet<String> = rows("The crates").into_iter().map(|(name, _)| name).collect();
    assert_eq!(named, list("crates").into_iter().collect());
}

#[test]
fn every_external_dependency_has_its_reason() {
    let crates = list("crates");
    let reasons: BTreeSet<String> = rows("What we depend on").into_iter().map(|(name, _)| name).collect();
    let all = ["dependencies", "dev-dependencies", "build-dependencies"];
    let mut used: BTreeSet<String> = crates.iter().flat_map(|name| dependencies(name, &all)).collect();
    used.retain(|name| !crates.contains(name));
    assert_eq!(reasons, used, "left: ARCHITECTURE.md; right: the crates' Cargo.toml");
}

#[test]
fn pure_crates_depend_on_pure_crates_alone() {
    let pure = pure_crates();
    assert!(pure.len() >= 5, "the table lost its pure crates: {pure:?}");
    let real = real();
    for name in &pure {
        let effects: Vec<_> = real[name].iter().filter(|to| !pure.contains(to)).collect();
        assert!(effects.is_empty(), "{name} is pure, and depends on {effects:?}");
    }
}

#[test]
fn pure_crates_look_at_nothing_and_change_nothing() {
    let mut offences = Vec::new();
    for source in pure_crates().iter().flat_map(|name| program(name)) {
        for (number, line) in source.code() {
            if let Some(effect) = EFFECTS.iter().find(|effect| line.contains(**effect)) {
                offences.push(format!("{}:{number}: {effect}", source.path.display()));
            }
        }
    }
    assert!(offences.is_empty(), "{}", offences.join("\n"));
}

#[test]
fn unsafe_code_is_where_the_table_says() {
    for name in list("crates") {
        let is_unsafe =
            |line: &str| line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|w| w == "unsafe");
        let sources = program(&name);
        let first = sources.iter().flat_map(|s| s.code().map(move |(at, line)| (s, at, line)));
        let found = first.filter(|(_, _, line)| is_unsafe(line)).map(|(s, at, _)| (&s.path, at)).next();
        assert_eq!(found.is_some(), may(&name).contains("unsafe"), "{name}: {found:?}");
    }
}
