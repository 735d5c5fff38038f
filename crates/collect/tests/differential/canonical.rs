//! Helpers to bring both sides of a comparison into one form.

use model::Netns;
use serde_json::Value;

/// Fails with what one side has and the other has not. Order does not count.
pub(crate) fn assert_same(what: &str, told: &[Value], read: &[Value]) {
    let (told, read) = (lines(told), lines(read));
    let missing: Vec<&String> = told.iter().filter(|line| !read.contains(line)).collect();
    let surplus: Vec<&String> = read.iter().filter(|line| !told.contains(line)).collect();
    assert!(
        missing.is_empty() && surplus.is_empty() && told.len() == read.len(),
        "{what} disagree ({} told, {} read)\nonly told: {missing:#?}\nonly read: {surplus:#?}",
        told.len(),
        read.len(),
    );
    assert!(!told.is_empty(), "no {what} at all: nothing was compared");
}

fn lines(values: &[Value]) -> Vec<String> {
    let mut lines: Vec<String> = values.iter().map(Value::to_string).collect();
    lines.sort();
    lines
}

/// The elements of a JSON list.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).expect("a list")
}

/// A text field; empty where there is none.
pub(crate) fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value[field].as_str().unwrap_or_default()
}

/// Whether a list of flags has this one.
pub(crate) fn has_flag(value: &Value, flag: &str) -> bool {
    value["flags"].as_array().is_some_and(|flags| flags.iter().any(|f| f == flag))
}

/// The name of a link of the snapshot.
pub(crate) fn name(netns: &Netns, index: u32) -> String {
    netns.link(index).expect("every ifindex told is that of a link").name.clone()
}
