//! Whose rows are read: every instance's, or one's.

use crate::schema::Schema;

/// Whose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// Every instance's.
    Everybodys,
    /// That of the instance with this `instances.id`. Statements name no more of it than this number, so that nothing
    /// from outside enters them.
    One(u64),
}

impl Whose {
    /// Condition: the row is not deleted.
    pub(crate) fn live(self, schema: &Schema, table: &str) -> String {
        match self {
            Whose::Everybodys => schema.live_of_all(table),
            Whose::One(_) => schema.live(table),
        }
    }

    /// What is added to a condition on `instances`.
    pub(crate) fn instance(self) -> String {
        match self {
            Whose::Everybodys => String::new(),
            Whose::One(id) => format!(" AND instances.id = {id}"),
        }
    }

    /// What is added to a condition on a table whose rows are tied to instances.
    pub(crate) fn rows_of(self, schema: &Schema, table: &str) -> String {
        match (self, schema.instance_key(table)) {
            (Whose::Everybodys, _) => String::new(),
            (Whose::One(id), "instance_uuid") => {
                format!(" AND {table}.instance_uuid = (SELECT uuid FROM instances WHERE id = {id})")
            }
            (Whose::One(id), key) => format!(" AND {table}.{key} = {id}"),
        }
    }

    /// What is added to a condition on `instance_info_caches`, which is tied by uuid in every series.
    pub(crate) fn cache_of(self, schema: &Schema) -> String {
        let table = "instance_info_caches";
        match self {
            Whose::Everybodys => String::new(),
            Whose::One(id) => {
                let key = schema.instance_key(table);
                format!(" AND {table}.{key} = (SELECT uuid FROM instances WHERE id = {id})")
            }
        }
    }

    /// What is added to a condition on a table whose rows name hosts: that the instance's is the one.
    pub(crate) fn host_of(self, table: &str) -> String {
        match self {
            Whose::Everybodys => String::new(),
            Whose::One(id) => format!(" AND {table}.host = (SELECT host FROM instances WHERE id = {id})"),
        }
    }

    /// What is added to a condition on a column that refers to rows read before: nothing where they are everybody's.
    /// Never true of none, so that the statement need not be known to be needless.
    pub(crate) fn among(self, column: &str, ids: impl Iterator<Item = u64>) -> String {
        match self {
            Whose::Everybodys => String::new(),
            Whose::One(_) => {
                let ids: Vec<String> = ids.map(|id| id.to_string()).collect();
                if ids.is_empty() {
                    " AND 1 = 0".to_owned()
                } else {
                    format!(" AND {column} IN ({})", ids.join(", "))
                }
            }
        }
    }
}
