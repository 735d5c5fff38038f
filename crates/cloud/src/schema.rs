//! Which tables and columns this nova series has, found by looking, and the SQL that fits them.
//!
//! Every column is read as text: the three servers and the nova series differ in types (`tinyint(1)`,
//! `boolean`, `int`, PostgreSQL's `inet`), and text is the one form that all of them can be cast to.

use std::collections::BTreeMap;

use crate::connection::Connection;
use crate::database::Session;

/// The tables of nova-network that nothing can be said without.
pub(crate) const NEEDED: [&str; 5] =
    ["instances", "networks", "fixed_ips", "floating_ips", "virtual_interfaces"];
/// The tables that tell what may reach an instance.
pub(crate) const SECURITY: [&str; 3] =
    ["security_groups", "security_group_rules", "security_group_instance_association"];

/// Tables, columns and types of the database.
const MYSQL_COLUMNS: &str = "\
     SELECT CAST(table_name AS CHAR), CAST(column_name AS CHAR), CAST(data_type AS CHAR) \
     FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name IN \
     ('instances', 'networks', 'fixed_ips', 'floating_ips', 'virtual_interfaces', 'security_groups', \
     'security_group_rules', 'security_group_instance_association', 'services', 'instance_info_caches')";
/// From the catalogue itself: information_schema hides tables that the user may not read, which would
/// pass for tables that are not there.
const POSTGRES_COLUMNS: &str = "\
     SELECT CAST(c.relname AS TEXT), CAST(a.attname AS TEXT), pg_catalog.format_type(a.atttypid, NULL) \
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid \
     WHERE c.relname IN ('instances', 'networks', 'fixed_ips', 'floating_ips', 'virtual_interfaces', \
     'security_groups', 'security_group_rules', 'security_group_instance_association', 'services', \
     'instance_info_caches') \
     AND pg_catalog.pg_table_is_visible(c.oid) AND a.attnum > 0 AND NOT a.attisdropped";
const SQLITE_COLUMNS: &str =
    "SELECT m.name, c.name, c.type FROM sqlite_master m, pragma_table_info(m.name) c";

/// Which server's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// MySQL and MariaDB.
    MySql,
    /// PostgreSQL.
    Postgres,
    /// SQLite.
    Sqlite,
}

/// Columns of nova's tables as one database has them.
pub(crate) struct Schema {
    /// Whose words to use.
    pub(crate) dialect: Dialect,
    /// The type that a value is cast to for reading.
    text_type: &'static str,
    /// By table and column.
    columns: BTreeMap<(String, String), Column>,
}

/// What a column holds.
struct Column {
    kind: Kind,
    /// Its type in the server's words.
    type_name: String,
}

/// How far a column is a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Of PostgreSQL's type boolean, which does not compare with a number.
    Boolean,
    /// A number that is meant to be 0 or 1: `tinyint` in MySQL, and what SQLite calls BOOLEAN.
    Flag,
    Other,
}

impl Kind {
    /// SQLite calls a number so that somebody declared as `boolean`.
    fn of(name: &str, dialect: Dialect) -> Kind {
        let lower = name.to_ascii_lowercase();
        match (lower.as_str(), dialect) {
            ("boolean", Dialect::Postgres) => Kind::Boolean,
            _ if lower.starts_with("bool") || lower.starts_with("tinyint") => Kind::Flag,
            _ => Kind::Other,
        }
    }
}

/// A name as nova's own columns have them. Names stand in statements as they are, so that of somebody's own columns
/// those with other letters are not looked at.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

impl Schema {
    /// Looks the columns up.
    pub(crate) async fn read(session: &mut Session) -> Result<Schema, sqlx::Error> {
        let (dialect, text_type, sql) = match &session.0 {
            Connection::MySql(_) => (Dialect::MySql, "CHAR", MYSQL_COLUMNS),
            Connection::Postgres(_) => (Dialect::Postgres, "TEXT", POSTGRES_COLUMNS),
            Connection::Sqlite(_) => (Dialect::Sqlite, "TEXT", SQLITE_COLUMNS),
        };
        let column = |[table, column, kind]: [Option<String>; 3]| {
            let type_name = kind.unwrap_or_default();
            let name = column.filter(|name| is_plain(name))?;
            Some(((table?, name), Column { kind: Kind::of(&type_name, dialect), type_name }))
        };
        let columns = session.rows(sql.to_owned()).await?.into_iter().filter_map(column).collect();
        Ok(Schema { dialect, text_type, columns })
    }

    /// Those of `tables` that the database does not have.
    pub(crate) fn missing(&self, tables: &[&'static str]) -> Vec<&'static str> {
        let exists = |table: &str| self.columns.keys().any(|(of, _)| of == table);
        tables.iter().copied().filter(|table| !exists(table)).collect()
    }

    /// The column of `table` that ties a row to an instance: uuid, or the number that Essex used.
    pub(crate) fn instance_key(&self, table: &str) -> &'static str {
        if self.has(table, "instance_uuid") { "instance_uuid" } else { "instance_id" }
    }

    /// The column of `instances` that such a column has the value of.
    pub(crate) fn own_key(&self) -> &'static str {
        if self.instance_key("fixed_ips") == "instance_uuid" { "uuid" } else { "id" }
    }

    /// `TABLE.COLUMN` as text; NULL where this series has no such column.
    pub(crate) fn text(&self, table: &str, column: &str) -> String {
        if !self.has(table, column) {
            return "NULL".to_owned();
        }
        format!("CAST({table}.{column} AS {})", self.text_type)
    }

    /// Any expression as text.
    pub(crate) fn as_text(&self, expression: &str) -> String {
        format!("CAST({expression} AS {})", self.text_type)
    }

    /// Columns of one table as text, for a SELECT.
    pub(crate) fn texts(&self, table: &str, columns: &[&str]) -> String {
        columns.iter().map(|column| self.text(table, column)).collect::<Vec<_>>().join(", ")
    }

    /// Condition: the row is not deleted. nova's own queries compare with 0, so that a row with NULL
    /// there (written by hand) is invisible to nova, and to us.
    pub(crate) fn live(&self, table: &str) -> String {
        self.is(table, "deleted", false)
    }

    /// The flag is of PostgreSQL's type boolean; `None` where this series has no such column.
    pub(crate) fn is_boolean(&self, table: &str, column: &str) -> Option<bool> {
        self.kind(table, column).map(|kind| kind == Kind::Boolean)
    }

    /// The column is there, and holds no more than a flag.
    pub(crate) fn is_flag(&self, table: &str, column: &str) -> bool {
        matches!(self.kind(table, column), Some(Kind::Boolean | Kind::Flag))
    }

    fn kind(&self, table: &str, column: &str) -> Option<Kind> {
        self.columns.get(&(table.to_owned(), column.to_owned())).map(|column| column.kind)
    }

    /// Condition on a flag; always true of a flag that this series does not have.
    pub(crate) fn is(&self, table: &str, column: &str, wanted: bool) -> String {
        match self.kind(table, column) {
            Some(Kind::Boolean) => format!("{table}.{column} = {wanted}"),
            Some(Kind::Flag | Kind::Other) => format!("{table}.{column} = {}", u8::from(wanted)),
            None => "1 = 1".to_owned(),
        }
    }

    /// Columns of one table, by name.
    pub(crate) fn columns(&self, table: &str) -> Vec<&str> {
        self.columns.keys().filter(|(of, _)| of == table).map(|(_, column)| column.as_str()).collect()
    }

    /// The type that a value bound as text is cast to for this column: PostgreSQL does not cast by itself. MySQL does;
    /// but of MariaDB's types that write a value in their own way, ours has to be written so, too, to be known again.
    pub(crate) fn cast_to(&self, table: &str, column: &str) -> Option<&str> {
        let type_name = self.columns.get(&(table.to_owned(), column.to_owned()))?.type_name.as_str();
        match (self.dialect, type_name) {
            // Without its length this name means one letter.
            (Dialect::Postgres, "character") => Some("bpchar"),
            (Dialect::Postgres, _) | (Dialect::MySql, "inet4" | "inet6" | "uuid") => Some(type_name),
            (Dialect::MySql | Dialect::Sqlite, _) => None,
        }
    }

    /// The time in UTC, as nova writes it.
    pub(crate) fn now(&self) -> &'static str {
        match self.dialect {
            Dialect::MySql => "UTC_TIMESTAMP()",
            Dialect::Postgres => "(now() AT TIME ZONE 'utc')",
            Dialect::Sqlite => "datetime('now')",
        }
    }

    /// The column is there.
    pub(crate) fn has(&self, table: &str, column: &str) -> bool {
        self.columns.contains_key(&(table.to_owned(), column.to_owned()))
    }
}
