//! Configuration files of OpenStack services, by the rules of oslo.config (`oslo_config/iniparser.py`):
//! keys may repeat, an indented line continues the value above it, `#` and `;` begin a comment only
//! at the start of a line.

use std::collections::BTreeMap;

use model::service::{Assignment, NovaOptions, OsloConfig};

use crate::{Parsed, Problem, line_number};

/// Reads a whole file. `file` is where it was found. oslo.config refuses a file at its first
/// mistake; here the rest is read all the same, and each mistake is a problem.
pub fn parse(file: &str, text: &str) -> Parsed<OsloConfig> {
    let mut out =
        Parsed { value: OsloConfig { file: file.to_owned(), assignments: Vec::new() }, problems: Vec::new() };
    let mut section: Option<String> = None;
    // Continuation lines extend the last assignment until something else stands between.
    let mut in_value = false;
    for (index, line) in text.lines().enumerate() {
        let problem = |what| Problem::at(index, line, line.trim_start(), what);
        let line = line.trim_end();
        let continues = line.starts_with([' ', '\t']);
        match out.value.assignments.last_mut() {
            Some(assignment) if continues && in_value => {
                assignment.value.push('\n');
                assignment.value.push_str(line.trim_start());
                continue;
            }
            Some(_) | None => in_value = false,
        }
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if continues {
            out.problems.push(problem("an indented line continues a value, and there is none above it"));
        } else if let Some(rest) = line.strip_prefix('[') {
            match section_name(rest) {
                Ok(name) => section = Some(name),
                Err((name, what)) => {
                    out.problems.push(problem(what));
                    section = Some(name);
                }
            }
        } else if let Some((key, value)) = split_key_value(line) {
            if section.is_none() {
                out.problems
                    .push(problem("no `[section]` stands above this option; it is taken as [DEFAULT]'s"));
            }
            out.value.assignments.push(Assignment {
                section: section.get_or_insert_with(|| "DEFAULT".to_owned()).clone(),
                key,
                value,
                line: line_number(index),
            });
            in_value = true;
        } else {
            out.problems.push(problem("expected `key = value`, `[section]` or a comment"));
        }
    }
    out
}

/// The name before `]`. oslo.config looks groups up in lower case, all but DEFAULT.
fn section_name(rest: &str) -> Result<String, (String, &'static str)> {
    let (name, after) = rest.split_once(']').unwrap_or((rest, rest));
    let name = if name == "DEFAULT" { name.to_owned() } else { name.to_lowercase() };
    if !after.is_empty() {
        return Err((name, "a section's line must end with its `]`"));
    }
    if name.is_empty() { Err((name, "this section has no name")) } else { Ok(name) }
}

/// Splits at the first `=` or `:`, and takes a pair of quotes round the value off.
fn split_key_value(line: &str) -> Option<(String, String)> {
    let (key, value) = line.split_once(['=', ':'])?;
    let (key, value) = (key.trim(), value.trim());
    (!key.is_empty()).then(|| (key.to_owned(), unquoted(value).to_owned()))
}

/// A quote on its own counts as a pair, as in oslo.config, which compares the first character to
/// the last.
fn unquoted(value: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some(rest) = value.strip_prefix(quote)
            && value.ends_with(quote)
        {
            return rest.strip_suffix(quote).unwrap_or_default();
        }
    }
    value
}

/// Pieces of the names of options whose values are not spread into others: passwords, keys, URLs that hold one.
const CONFIDED: [&str; 7] = ["pass", "secret", "token", "apikey", "_key", "credential", "connection"];

/// The options of group DEFAULT with references replaced; of a repeated key the last value. References to what is
/// confidential stay as written: who hides that by its name would not know it under another.
pub fn nova_options(config: &OsloConfig) -> NovaOptions {
    let mut values = BTreeMap::new();
    for assignment in config.assignments.iter().filter(|a| a.section == "DEFAULT") {
        values.insert(assignment.key.clone(), assignment.value.clone());
    }
    let is_open = |key: &str| {
        let key = key.to_ascii_lowercase();
        key != "transport_url" && !CONFIDED.iter().any(|piece| key.contains(piece))
    };
    let open = config.assignments.iter().filter(|assignment| is_open(&assignment.key)).cloned();
    let open = OsloConfig { file: config.file.clone(), assignments: open.collect() };
    // Only values with a reference are looked up again: each look-up walks the whole file.
    for (key, value) in &mut values {
        if value.contains('$')
            && let Some(expanded) = open.get("DEFAULT", key)
        {
            *value = expanded;
        }
    }
    NovaOptions { file: config.file.clone(), values }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(read: &Parsed<OsloConfig>) -> Vec<(&str, &str, &str, u32)> {
        let assignments = read.value.assignments.iter();
        assignments.map(|a| (a.section.as_str(), a.key.as_str(), a.value.as_str(), a.line)).collect()
    }

    #[test]
    fn the_rules_of_oslo_config_hold() {
        let text = "\
# nova
[DEFAULT]
multi_host=True
dns_server = 10.0.0.1
dns_server: 10.0.0.2
metadata_host = \"10.0.0.3\"
dnsmasq_config_file='
url = http://a/#fragment;x
dmz_cidr = 10.1.0.0/16,
    10.2.0.0/16

[Database]
connection = mysql://nova:p=w@db/nova
";
        let read = parse("nova.conf", text);
        assert_eq!(read.problems, []);
        let expected = [
            ("DEFAULT", "multi_host", "True", 3),
            ("DEFAULT", "dns_server", "10.0.0.1", 4),
            ("DEFAULT", "dns_server", "10.0.0.2", 5),
            ("DEFAULT", "metadata_host", "10.0.0.3", 6),
            ("DEFAULT", "dnsmasq_config_file", "", 7),
            ("DEFAULT", "url", "http://a/#fragment;x", 8),
            ("DEFAULT", "dmz_cidr", "10.1.0.0/16,\n10.2.0.0/16", 9),
            ("database", "connection", "mysql://nova:p=w@db/nova", 13),
        ];
        assert_eq!(seen(&read), expected);
    }

    #[test]
    fn mistakes_are_told_and_the_rest_is_read() {
        let text = "my_ip = 10.0.0.1\n[DEFAULT] # here\nnonsense\na = 1\n# between\n  b\n[\n= 2\n";
        let read = parse("nova.conf", text);
        assert_eq!(seen(&read), [("DEFAULT", "my_ip", "10.0.0.1", 1), ("DEFAULT", "a", "1", 4)]);
        let places: Vec<_> = read.problems.iter().map(|p| (p.line, p.column)).collect();
        assert_eq!(places, [(1, 1), (2, 1), (3, 1), (6, 3), (7, 1), (8, 1)]);
    }

    #[test]
    fn novas_options_are_interpolated() {
        let text = "[DEFAULT]\nmy_ip=10.0.0.1\nmy_ip=10.0.0.2\nrouting_source_ip=$my_ip\n\
                    networks_path=${DEFAULT.state_path}/networks\nstate_path=/srv/nova\n\
                    rabbit_password=x\nhint=$more\nmore=${rabbit_password}!\n[other]\nmy_ip=1\n";
        let options = nova_options(&parse("nova.conf", text).value);
        assert_eq!(options.file, "nova.conf");
        assert_eq!(options.get("routing_source_ip"), Some("10.0.0.2"));
        assert_eq!(options.get("networks_path"), Some("/srv/nova/networks"));
        assert_eq!(options.get("hint"), Some("${rabbit_password}!"));
        assert_eq!(options.values.len(), 7);
    }
}
