//! `hopline.journeys/1`, spelt out here so that a change of our types cannot change what scripts read.

use std::collections::BTreeMap;

use correlate::{Interval, Journey, Lost, Stretch};
use serde_json::{Value, json};

use super::packet::{ends, line, title};
use super::stamp::full;
use super::{Journeys, told};

const SCHEMA: &str = "hopline.journeys/1";
const NS_PER_US: i64 = 1_000;

pub(super) fn document(journeys: &Journeys<'_>) -> Value {
    let report = journeys.report;
    let findings = &report.findings;
    let vantages: Vec<Value> = report
        .vantages
        .iter()
        .zip(journeys.names)
        .map(|(vantage, name)| {
            json!({
                "name": name,
                "packets": vantage.packets,
                "clock_offset_us": vantage.offset.map(interval),
                "missed": vantage.missed,
                "doubled": vantage.doubled,
            })
        })
        .collect();
    let nat: Vec<Value> = report
        .nat
        .keys()
        .map(|nat| json!({ "inside": nat.inside.to_string(), "outside": nat.outside.to_string() }))
        .collect();
    let told: Vec<Value> = told::all(journeys)
        .iter()
        .map(|told| {
            json!({
                "code": told.code, "vantage": journeys.name(told.vantage), "summary": told.sentence,
                "fault": told.is_fault,
            })
        })
        .collect();
    let unreadable: Vec<Value> = journeys
        .unreadable
        .iter()
        .map(|file| json!({ "file": file.file, "offset": file.offset, "why": file.why }))
        .collect();
    json!({
        "schema": SCHEMA,
        "vantages": vantages,
        "clock_reference": reference(journeys),
        "clocks_drift": report.drifts,
        "journeys": report.journeys,
        "lost": findings.lost.iter().map(|lost| lost_value(journeys, lost)).collect::<Vec<Value>>(),
        "lost_count": findings.lost_count,
        "undecided": findings.undecided,
        "duplicates": findings.duplicates,
        "repeated": findings.repeats,
        "reordered": findings.reordered,
        "delayed": findings.delayed,
        "looping": findings.looping,
        "answered_twice": findings.answered_twice,
        "nat": nat,
        "latency_us": latencies(journeys, &report.stretches),
        "findings": told,
        "unreadable": unreadable,
        "window_ms": journeys.window_ns / 1_000_000,
        "window_shortened_ms": report.window_shortened_ns.map(|ns| ns / 1_000_000),
    })
}

/// Name of the first vantage of the source whose clock the others are compared with.
pub(super) fn reference<'a>(journeys: &Journeys<'a>) -> Option<&'a str> {
    let is_reference = |source: u16| usize::from(source) == journeys.report.reference;
    let at = journeys.report.vantages.iter().position(|vantage| is_reference(vantage.source))?;
    journeys.names.get(at).map(String::as_str)
}

/// Microseconds, rounded so that what is within stays within.
fn interval(offset: Interval) -> Value {
    let high = offset.high.div_euclid(NS_PER_US) + i64::from(offset.high.rem_euclid(NS_PER_US) != 0);
    json!({ "low": offset.low.div_euclid(NS_PER_US), "high": high })
}

fn lost_value(journeys: &Journeys<'_>, lost: &Lost) -> Value {
    let stop = &lost.packet.stop;
    json!({
        "packet": line(&lost.packet),
        "last_seen": journeys.name(stop.vantage),
        "frame": stop.frame,
        "expected_at": journeys.name(lost.expected_at),
        "time": full(stop.time_ns),
    })
}

fn latencies(journeys: &Journeys<'_>, stretches: &BTreeMap<(u16, u16), Stretch>) -> Vec<Value> {
    let timed = stretches.iter().filter(|((from, to), stretch)| from != to && stretch.is_timed);
    timed
        .map(|((from, to), stretch)| {
            json!({
                "from": journeys.name(*from), "to": journeys.name(*to),
                "p50": us(stretch.latency.percentile(50)), "p99": us(stretch.latency.percentile(99)),
                "max": us(stretch.latency.max()), "packets": stretch.latency.count(),
            })
        })
        .collect()
}

/// Microseconds, to the nanosecond.
fn us(ns: u64) -> Value {
    let (whole, rest) = (ns / 1_000, ns % 1_000);
    format!("{whole}.{rest:03}").parse::<f64>().map_or(Value::Null, Value::from)
}

pub(super) fn journey(journey: &Journey, names: &[String]) -> Value {
    let stops: Vec<Value> = journey.stops.iter().map(|stop| {
        json!({
            "vantage": names.get(usize::from(stop.vantage)), "frame": stop.frame, "time": full(stop.time_ns),
            "packet": ends(stop, journey.protocol), "ttl": stop.ttl, "copies": stop.copies,
        })
    }).collect();
    json!({ "packet": title(journey), "length": journey.length, "seen": stops })
}
