//! Which keys a site file may hold.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::Source;
use crate::failure::Failure;
use crate::nearest::nearest;

const SITE: &[&str] = &["host", "instance", "cloud"];
const HOST: &[&str] = &["name", "at", "role", "nova_conf", "libvirt", "dnsmasq_log", "console_logs"];
const INSTANCE: &[&str] = &["name", "host", "device", "mac", "addresses", "floating", "at"];
const CLOUD: &[&str] = &["kind", "database"];

/// The first key, in the file's order, that the contract does not know.
pub(super) fn check(source: &Source<'_>, root: &DeTable<'_>) -> Result<(), Failure> {
    let mut unknown = unknown_of(root, SITE, "the site file");
    for (name, value) in root {
        let (known, table) = match name.get_ref().as_ref() {
            "host" => (HOST, "[[host]]"),
            "instance" => (INSTANCE, "[[instance]]"),
            "cloud" => (CLOUD, "[cloud]"),
            _ => continue,
        };
        match value.get_ref() {
            DeValue::Table(inner) => unknown.extend(unknown_of(inner, known, table)),
            DeValue::Array(entries) => unknown.extend(
                entries
                    .iter()
                    .filter_map(|entry| entry.get_ref().as_table())
                    .flat_map(|inner| unknown_of(inner, known, table)),
            ),
            // Another type is told by the typed reading that follows.
            _ => {}
        }
    }
    match unknown.into_iter().min_by_key(|key| key.span.start) {
        None => Ok(()),
        Some(Unknown { key, span, known, table }) => {
            let failure = source.failure(&span, format!("unknown key `{key}` in {table}"));
            let near = nearest(&key, known.iter().copied()).unwrap_or_default();
            Err(failure.hint(format!("the nearest known key is `{near}`; all are: {}", known.join(", "))))
        }
    }
}

struct Unknown {
    key: String,
    span: Range<usize>,
    known: &'static [&'static str],
    table: &'static str,
}

fn unknown_of(table: &DeTable<'_>, known: &'static [&'static str], name: &'static str) -> Vec<Unknown> {
    let strangers = table.keys().filter(|key| !known.contains(&key.get_ref().as_ref()));
    strangers
        .map(|key| Unknown { key: key.get_ref().to_string(), span: key.span(), known, table: name })
        .collect()
}
