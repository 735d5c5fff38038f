//! Addresses that a network itself needs, so that no instance may get them.

use crate::schema::{Dialect, Schema};

/// The column of `networks`, and what it is called. Of a range the first address counts. A DHCP server of its own has a
/// network since Juno.
pub(crate) const ROLES: [(&str, &str); 4] = [
    ("cidr", "first address"),
    ("broadcast", "last address"),
    ("gateway", "gateway"),
    ("dhcp_server", "DHCP server"),
];

/// Condition: the column has one of them; `network` is what `networks` goes by.
pub(super) fn needed(schema: &Schema, column: &str, network: &str) -> String {
    let known = ROLES.iter().filter(|(role, _)| schema.has("networks", role));
    let needed: Vec<String> = known.map(|(role, _)| bare(schema, &format!("{network}.{role}"))).collect();
    format!("{} IN ({})", bare(schema, column), needed.join(", "))
}

/// An address without the length that PostgreSQL's `inet` prints, and of a range its first address.
fn bare(schema: &Schema, column: &str) -> String {
    match schema.dialect {
        Dialect::MySql => format!("SUBSTRING_INDEX({column}, '/', 1)"),
        Dialect::Postgres => format!("split_part(CAST({column} AS TEXT), '/', 1)"),
        Dialect::Sqlite => format!("substr({column}, 1, instr({column} || '/', '/') - 1)"),
    }
}
