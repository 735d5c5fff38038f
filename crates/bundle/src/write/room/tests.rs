//! What is written is read, however small the bounds are.

use std::io::Cursor;

use collect::Machine;
use model::Netns;
use model::snapshot::Host;
use proptest::prelude::*;

use crate::Facts;
use crate::limits::Limits;
use crate::manifest::Manifest;
use crate::read::read_within;
use crate::write::Writer;

const SMALL: Limits = Limits {
    machines: 6,
    files: 24,
    manifest_bytes: 6_000,
    manifest_parts: 60,
    facts_bytes: 4_000,
    all_facts_bytes: 14_000,
    weight_ratio: 2,
    weight_free_bytes: 20_000,
    unpacked_bytes: 60_000,
    ratio: 20,
    ratio_free_bytes: 16_000,
};

/// A machine with facts of about this length, or of this many parts.
fn machine(name: &str, length: usize, parts: usize) -> Machine {
    let netns = Netns { machine: name.to_owned(), name: String::new(), ..Netns::default() };
    let gap = |what: String| model::snapshot::Gap { what, why: String::new(), would_need: String::new() };
    let gaps = (0..parts).map(|_| gap(String::new())).chain([gap("x".repeat(length))]).collect();
    Machine { netns, host: Some(Host { name: name.to_owned(), ..Host::default() }), gaps }
}

fn octets(seed: u64, length: usize, is_noise: bool) -> String {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(b'a' + state.to_be_bytes()[0] % 26)
    };
    (0..length).map(|_| if is_noise { next() } else { 'a' }).collect()
}

proptest! {
    #[test]
    fn whatever_is_written_is_read(
        files in prop::collection::vec((any::<u64>(), 0_usize..20_000, any::<bool>()), 0..40),
        captures in prop::collection::vec((any::<u64>(), 0_usize..20_000, any::<bool>()), 0..3),
        machines in prop::collection::vec((0_usize..3_000, 0_usize..90), 0..8),
    ) {
        let writer = Writer::within(Cursor::new(Vec::new()), 0, SMALL).unwrap();
        for (nth, (seed, length, is_noise)) in files.iter().enumerate() {
            writer.add("m0", &format!("file{nth}"), &octets(*seed, *length, *is_noise));
        }
        let mut is_refused = false;
        for (seed, length, is_noise) in &captures {
            let text = octets(*seed, *length, *is_noise);
            let mut source = text.as_bytes();
            is_refused |= writer.add_capture("c", None, (*length as u64, &mut source)).is_err();
        }
        let machines = machines.iter().enumerate().map(|(nth, (length, parts))| {
            let name = format!("m{nth}");
            (name.clone(), false, Ok(machine(&name, *length, *parts)))
        });
        let facts = Facts { manifest: Manifest::default(), machines: machines.collect(), ..Facts::default() };
        let mut out = Vec::new();
        // What fails is never given to anybody.
        if let (Ok(written), false) = (writer.finish(&facts, &mut out), is_refused) {
            let read = read_within(&out[..], "x", &SMALL).expect("it is read");
            let missing = read.members.iter().filter(|member| member.outcome.is_err()).count();
            let lacking = written.lacking.iter().filter(|(name, _)| name.starts_with('m')).count();
            prop_assert_eq!((missing, read.captures.len()), (lacking, captures.len()));
            prop_assert!(read.gaps.len() <= 2, "{:?}", read.gaps);
        }
    }
}

#[test]
fn files_that_a_reader_would_refuse_are_left_out_and_told() {
    let writer = Writer::within(Cursor::new(Vec::new()), 0, SMALL).unwrap();
    for nth in 0..40 {
        writer.add("m0", &format!("file{nth}"), "text");
    }
    let facts =
        Facts { machines: vec![("m0".to_owned(), false, Ok(machine("m0", 9, 9)))], ..Facts::default() };
    let mut out = Vec::new();
    writer.finish(&facts, &mut out).unwrap();
    let read = read_within(&out[..], "x", &SMALL).unwrap();
    assert!(read.gaps[0].what.ends_with(" plain files of the bundle"), "{:?}", read.gaps);
    assert!(read.gaps[0].why.contains("m0/file39") || read.gaps[0].why.contains(" more"), "{:?}", read.gaps);
    assert_eq!(read.members.len(), 1);
}

#[test]
fn a_machine_that_is_too_large_is_missing_and_the_others_are_there() {
    let writer = Writer::within(Cursor::new(Vec::new()), 0, SMALL).unwrap();
    let machines = [("a", 10, 10), ("b", 5_000, 1), ("c", 10, 400), ("d", 10, 10)];
    let machines =
        machines.map(|(name, length, parts)| (name.to_owned(), false, Ok(machine(name, length, parts))));
    let facts = Facts { machines: machines.to_vec(), ..Facts::default() };
    let mut out = Vec::new();
    let written = writer.finish(&facts, &mut out).unwrap();
    let lacking: Vec<&str> = written.lacking.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(lacking, ["b", "c"], "{:?}", written.lacking);
    let read = read_within(&out[..], "x", &SMALL).unwrap();
    let there = read.members.iter().filter(|member| member.outcome.is_ok()).count();
    assert_eq!(there, 2);
}

#[test]
fn facts_that_are_large_and_repeat_little_are_no_bomb() {
    const LENGTH: usize = 3 << 20;
    let limits = Limits { ratio_free_bytes: 1 << 20, ..Limits::REAL };
    let writer = Writer::within(Cursor::new(Vec::new()), 0, limits).unwrap();
    let mut machine = machine("m0", 0, 0);
    machine.gaps[0].what = octets(1, LENGTH, true);
    let facts = Facts { machines: vec![("m0".to_owned(), false, Ok(machine))], ..Facts::default() };
    let mut out = Vec::new();
    writer.finish(&facts, &mut out).unwrap();
    let read = read_within(&out[..], "x", &limits).unwrap();
    assert_eq!(read.members[0].outcome.as_ref().unwrap().gaps[0].what.len(), LENGTH);
}

#[test]
fn a_capture_that_repeats_itself_too_often_is_refused() {
    let writer = Writer::within(Cursor::new(Vec::new()), 0, SMALL).unwrap();
    let text = octets(1, 40_000, false);
    let mut source = text.as_bytes();
    let refused = writer.add_capture("c", None, (40_000, &mut source)).unwrap_err();
    assert!(refused.to_string().contains("too large for a bundle"), "{refused}");
}
