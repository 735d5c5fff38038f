//! The facts that came without a text, as the tools print them that people know: `ip -j`, `bridge -j`, `sysctl`, `ss`,
//! `ps`, and tables of the database. Printed from the very facts beside them, so that they cannot disagree; what those
//! lack, these lack.

mod bridges;
mod links;
mod records;
mod routes;
mod services;

use std::io::{Read, Seek, Write};

use model::Netns;
use serde_json::{Map, Value};

use crate::write::{Facts, Writer};

/// Adds the files of every machine, and the cloud's tables.
pub fn add_plain<S: Read + Write + Seek>(writer: &Writer<S>, facts: &Facts) {
    for (name, _, outcome) in &facts.machines {
        let Ok(machine) = outcome else { continue };
        let ns = &machine.netns;
        let lists = [
            ("ip-d-j-link.json", links::links(ns)),
            ("ip-j-address.json", links::addresses(ns)),
            ("ip-j-route-show-table-all.json", routes::routes(ns)),
            ("ip-j-rule.json", routes::rules(&ns.rules)),
            ("ip-6-j-rule.json", routes::rules(&ns.rules6)),
            ("ip-j-neighbour-show-nud-all.json", routes::neighbours(ns)),
            ("bridge-j-fdb.json", bridges::fdb(ns)),
            ("bridge-j-vlan.json", bridges::vlans(ns)),
        ];
        for (file, list) in lists {
            writer.add(name, &format!("main/{file}"), &lines(&list));
        }
        writer.add(name, "main/sysctl.txt", &services::sysctls(ns));
        writer.add(name, "main/ss-lntu.txt", &services::sockets(ns));
        if let Some(host) = &machine.host {
            writer.add(name, "ps.txt", &services::processes(host));
            writer.add(name, "uname-r.txt", &format!("{}\n", host.kernel));
        }
    }
    if let Some(records) = &facts.cloud.records {
        for (file, table) in records::tables(records) {
            writer.add("cloud", file, &table);
        }
    }
}

/// A list with an object a line, which other tools read and people can compare.
fn lines(list: &[Value]) -> String {
    let lines: Vec<String> = list.iter().map(Value::to_string).collect();
    format!("[{}]\n", lines.join(",\n"))
}

/// An object without the fields that say nothing, as iproute2 leaves them out.
fn object(fields: impl IntoIterator<Item = (&'static str, Option<Value>)>) -> Value {
    let filled = fields.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
    Value::Object(filled.collect::<Map<String, Value>>())
}

/// A flag as iproute2 prints it: there, or not.
fn flag(set: bool) -> Option<Value> {
    set.then_some(Value::Null)
}

/// The name of a link.
fn name(ns: &Netns, link: u32) -> Value {
    ns.link_name(link).into()
}

#[cfg(test)]
mod tests;
