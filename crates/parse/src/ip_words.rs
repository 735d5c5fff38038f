//! What lines of iproute2 have in common: words, and values behind their keys.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use model::link::Link;
use model::route::{TABLE_DEFAULT, TABLE_LOCAL, TABLE_MAIN};

/// Names that lines of ip(8) and bridge(8) use in place of numbers.
#[derive(Debug, Clone, Copy)]
pub struct Names<'a> {
    /// The ifindex of each link of the namespace, by its name (`numbers`).
    pub links: &'a BTreeMap<String, u32>,
    /// Tables that have a name of their own (/etc/iproute2/rt_tables), beside `local`, `main` and `default`.
    pub tables: &'a BTreeMap<String, u32>,
}

impl Names<'_> {
    /// The ifindex of a link's name. iproute2 prints `if9` of one that it cannot name.
    pub(crate) fn link(&self, name: &str) -> Option<u32> {
        self.links.get(name).copied().or_else(|| name.strip_prefix("if")?.parse().ok())
    }

    /// The number of a table.
    pub(crate) fn table(&self, name: &str) -> Option<u32> {
        match name {
            "local" => Some(TABLE_LOCAL),
            "main" => Some(TABLE_MAIN),
            "default" => Some(TABLE_DEFAULT),
            "unspec" => Some(0),
            _ => name.parse().ok().or_else(|| self.tables.get(name).copied()),
        }
    }
}

/// What links are called in place of their ifindex; of two with one name, the first.
pub fn numbers(links: &[Link]) -> BTreeMap<String, u32> {
    let mut numbers = BTreeMap::new();
    for link in links {
        numbers.entry(link.name.clone()).or_insert(link.index);
    }
    numbers
}

/// Names of tables, as /etc/iproute2/rt_tables gives them: a number and a name in a line.
pub fn rt_tables(text: &str) -> BTreeMap<String, u32> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    let pairs = lines.filter_map(|line| {
        let mut words = line.split_whitespace();
        let number = words.next()?;
        let number = match number.strip_prefix("0x") {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => number.parse().ok()?,
        };
        Some((words.next()?.to_owned(), number))
    });
    pairs.collect()
}

/// The word after `key`.
pub(crate) fn value_of<'a>(words: &[&'a str], key: &str) -> Option<&'a str> {
    let at = words.iter().position(|word| *word == key)?;
    words.get(at + 1).copied()
}

/// `10.0.0.0/16`, and `10.0.0.1` for a single address.
pub(crate) fn prefix(word: &str) -> Option<IpNet> {
    match word.parse::<IpAddr>() {
        Ok(ip) => Some(IpNet::from(ip)),
        Err(_) => word.parse().ok(),
    }
}

/// A number as C writes it: decimal, or hexadecimal behind `0x`.
pub(crate) fn number(word: &str) -> Option<u32> {
    match word.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => word.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_tables_are_read() {
        let text = "#\n# reserved values\n255\tlocal\n0x64 isp1 # ours\n200 isp2\nnonsense\n";
        let tables = rt_tables(text);
        let names = Names { links: &BTreeMap::new(), tables: &tables };
        let read = ["isp1", "isp2", "main", "7", "isp3"].map(|name| names.table(name));
        assert_eq!(read, [Some(100), Some(200), Some(254), Some(7), None]);
    }
}
