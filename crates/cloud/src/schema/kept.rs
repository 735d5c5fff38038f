//! What is kept of a schema, so that statements can be put into its database's words later. It may come of strangers,
//! and nothing of its text gets into a statement: it tells which of nova's columns there are.

use serde::{Deserialize, Serialize};

use super::{CORE, Column, Dialect, Kind, Schema, is_plain};

/// A schema for later.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct KeptSchema {
    dialect: Dialect,
    /// By table and name.
    columns: Vec<(String, String, Kind)>,
}

impl From<&Schema> for KeptSchema {
    fn from(schema: &Schema) -> KeptSchema {
        let columns = schema.columns.iter().filter(|((table, _), _)| is_novas(table));
        let columns =
            columns.map(|((table, name), Column { kind, .. })| (table.clone(), name.clone(), *kind));
        KeptSchema { dialect: schema.dialect, columns: columns.collect() }
    }
}

impl From<&KeptSchema> for Schema {
    fn from(kept: &KeptSchema) -> Schema {
        let mut schema = Schema::empty(kept.dialect);
        for (table, name, kind) in &kept.columns {
            if is_novas(table) && is_plain(name) {
                let column = Column { kind: *kind, type_name: String::new() };
                schema.columns.insert((table.clone(), name.clone()), column);
            }
        }
        schema.withhold();
        schema
    }
}

fn is_novas(table: &str) -> bool {
    CORE.iter().any(|(own, _)| *own == table)
}
