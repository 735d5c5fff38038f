//! A part of a cloud, where not all of it is read: some hosts, and some networks.

use crate::mend::Value;
use crate::whose::is_among;

/// Which part.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Part {
    /// By nova's names, which are bound to statements and never part of them.
    pub(crate) hosts: Vec<String>,
    /// `networks.id`.
    pub(crate) networks: Vec<u64>,
}

impl Part {
    /// Condition: the column is one of its networks.
    pub(crate) fn in_networks(&self, column: &str) -> String {
        is_among(column, self.networks.iter().copied())
    }

    /// Condition: the column is one of its hosts, whose names have to be bound.
    pub(crate) fn on_hosts(&self, column: &str) -> String {
        one_of(column, self.hosts.len())
    }

    /// The hosts' names, to be bound.
    pub(crate) fn names(&self) -> Vec<Value> {
        self.hosts.iter().map(|name| Value::Text(Some(name.clone()))).collect()
    }
}

/// Condition: the column is one of so many bound values.
pub(crate) fn one_of(column: &str, count: usize) -> String {
    if count == 0 {
        return "1 = 0".to_owned();
    }
    format!("{column} IN ({})", vec!["?"; count].join(", "))
}
