//! Which tables and columns this nova series has, found by looking, and the SQL that fits them.
//!
//! Every column is read as text: the three servers and the nova series differ in types (`tinyint(1)`,
//! `boolean`, `int`, PostgreSQL's `inet`), and text is the one form that all of them can be cast to.

mod kept;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

pub(crate) use self::kept::KeptSchema;
use crate::connection::Connection;
use crate::database::Session;
use crate::database_error::DatabaseError;
use crate::secret_url::DatabaseUrl;

/// The tables of nova-network that nothing can be said without.
pub(crate) const NEEDED: [&str; 5] =
    ["instances", "networks", "fixed_ips", "floating_ips", "virtual_interfaces"];
/// The tables that tell what may reach an instance.
pub(crate) const SECURITY: [&str; 3] =
    ["security_groups", "security_group_rules", "security_group_instance_association"];

/// Columns that every series of nova has, and without which a table would be misread: without `deleted` everything
/// lives.
const CORE: [(&str, &[&str]); 10] = [
    ("instances", &["id", "uuid", "host", "deleted"]),
    ("networks", &["id", "cidr", "deleted"]),
    ("fixed_ips", &["id", "address", "network_id", "allocated", "leased", "reserved", "host", "deleted"]),
    ("floating_ips", &["id", "address", "fixed_ip_id", "host", "deleted"]),
    ("virtual_interfaces", &["id", "address", "network_id", "deleted"]),
    ("security_groups", &["id", "name", "deleted"]),
    ("security_group_rules", &["id", "parent_group_id", "protocol", "cidr", "group_id", "deleted"]),
    ("security_group_instance_association", &["id", "security_group_id", "deleted"]),
    ("services", &["id", "host", "binary", "deleted"]),
    ("instance_info_caches", &["id", "network_info", "deleted"]),
];
/// Columns that only later series have, of which the earlier ones have the meaning of NULL, or of a flag that is set.
const OF_LATER_SERIES: [(&str, &str); 1] = [("networks", "enable_dhcp")];
/// Of these columns each of these tables has one: which instance a row is tied to.
const KEYS: [&str; 2] = ["instance_uuid", "instance_id"];
const KEYED: [&str; 4] =
    ["fixed_ips", "virtual_interfaces", "security_group_instance_association", "instance_info_caches"];

/// Tables, columns, types, and whether the user may read the column. What a user has no right on at all is not told of.
const MYSQL_COLUMNS: &str = "\
     SELECT CAST(table_name AS CHAR), CAST(column_name AS CHAR), CAST(data_type AS CHAR), \
     CASE WHEN FIND_IN_SET('select', privileges) > 0 THEN '1' ELSE '0' END \
     FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name IN \
     ('instances', 'networks', 'fixed_ips', 'floating_ips', 'virtual_interfaces', 'security_groups', \
     'security_group_rules', 'security_group_instance_association', 'services', 'instance_info_caches')";
/// From the catalogue itself: information_schema hides tables that the user may not read, which would
/// pass for tables that are not there.
const POSTGRES_COLUMNS: &str = "\
     SELECT CAST(c.relname AS TEXT), CAST(a.attname AS TEXT), pg_catalog.format_type(a.atttypid, NULL), \
     CASE WHEN pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT') THEN '1' ELSE '0' END \
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid \
     WHERE c.relname IN ('instances', 'networks', 'fixed_ips', 'floating_ips', 'virtual_interfaces', \
     'security_groups', 'security_group_rules', 'security_group_instance_association', 'services', \
     'instance_info_caches') \
     AND pg_catalog.pg_table_is_visible(c.oid) AND a.attnum > 0 AND NOT a.attisdropped";
const SQLITE_COLUMNS: &str =
    "SELECT m.name, c.name, c.type, '1' FROM sqlite_master m, pragma_table_info(m.name) c";

/// Why a table cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// It is not there, or the user has no right on it at all.
    Table(&'static str),
    /// The user may not read it, or not all of it.
    Right(&'static str),
    /// It has no such column, or the user has no right on that.
    Column(&'static str, &'static str),
}

impl Lack {
    /// The table.
    pub fn table(self) -> &'static str {
        match self {
            Lack::Table(table) | Lack::Right(table) | Lack::Column(table, _) => table,
        }
    }
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lack::Table(table) => {
                write!(f, "the database has no table {table} (or none that this user may see)")
            }
            Lack::Right(table) => write!(f, "this user may not read {table}"),
            Lack::Column(table, column) => {
                write!(f, "{table} has no column {column} (or none that this user may see)")
            }
        }
    }
}

/// Which server's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) enum Dialect {
    /// MySQL and MariaDB.
    #[default]
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
    /// Tables that are there and cannot be read: of these no column is told.
    lacking: BTreeMap<&'static str, Lack>,
}

/// What a column holds.
struct Column {
    kind: Kind,
    /// Its type in the server's words.
    type_name: String,
}

/// How far a column is a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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

/// A name of letters, digits and `_`, as nova's own columns have them. Of somebody's own columns those with other
/// letters are not looked at; a word of the server's, or one with capitals, is quoted by [`Schema::name`].
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

impl Schema {
    /// Looks the columns up.
    pub(crate) async fn read(session: &mut Session) -> Result<Schema, sqlx::Error> {
        let (dialect, sql) = match &session.0 {
            Connection::MySql(_) => (Dialect::MySql, MYSQL_COLUMNS),
            Connection::Postgres(_) => (Dialect::Postgres, POSTGRES_COLUMNS),
            Connection::Sqlite(_) => (Dialect::Sqlite, SQLITE_COLUMNS),
        };
        let mut schema = Schema::empty(dialect);
        for [table, column, kind, readable] in session.rows(sql.to_owned()).await? {
            let (Some(table), Some(column)) = (table, column.filter(|name| is_plain(name))) else { continue };
            if let (Some((own, _)), Some("0")) =
                (CORE.iter().find(|(own, _)| *own == table), readable.as_deref())
            {
                schema.lacking.insert(own, Lack::Right(own));
            }
            let type_name = kind.unwrap_or_default();
            let kind = Kind::of(&type_name, dialect);
            schema.columns.insert((table, column), Column { kind, type_name });
        }
        schema.withhold();
        Ok(schema)
    }

    fn empty(dialect: Dialect) -> Schema {
        let text_type = match dialect {
            Dialect::MySql => "CHAR",
            Dialect::Postgres | Dialect::Sqlite => "TEXT",
        };
        Schema { dialect, text_type, columns: BTreeMap::new(), lacking: BTreeMap::new() }
    }

    /// Leaves tables out that cannot be read as they are meant.
    fn withhold(&mut self) {
        for (table, core) in CORE {
            let mut core = core.iter().copied();
            if !self.columns.keys().any(|(of, _)| of == table) {
                self.lacking.insert(table, Lack::Table(table));
            } else if let Some(column) = core.find(|column| !self.has(table, column)) {
                self.lacking.entry(table).or_insert(Lack::Column(table, column));
            } else if KEYED.contains(&table) && !KEYS.iter().any(|key| self.has(table, key)) {
                self.lacking.entry(table).or_insert(Lack::Column(table, KEYS[0]));
            }
        }
        let lacking = &self.lacking;
        self.columns.retain(|(table, _), _| !lacking.contains_key(table.as_str()));
    }

    /// Why one of these tables cannot be read.
    pub(crate) fn lack(&self, tables: &[&str]) -> Option<Lack> {
        tables.iter().find_map(|table| self.lacking.get(table).copied())
    }

    /// Which of these columns is missing, though every series has it: a statement that takes it for NULL would find
    /// what is not so, or nothing.
    pub(crate) fn lacks_one(
        &self,
        mut columns: impl Iterator<Item = (&'static str, &'static str)>,
    ) -> Option<Lack> {
        let is_missing =
            |of: &(&'static str, &'static str)| !self.has(of.0, of.1) && !OF_LATER_SERIES.contains(of);
        columns.find(is_missing).map(|(table, column)| Lack::Column(table, column))
    }

    /// Refuses a database of whose tables nothing can be said.
    pub(crate) fn must_be_novas(&self, url: &DatabaseUrl) -> Result<(), DatabaseError> {
        let database = url.to_string();
        let lacks: Vec<Lack> = NEEDED.iter().filter_map(|table| self.lacking.get(table).copied()).collect();
        let of_tables = lacks.iter().filter(|lack| matches!(lack, Lack::Table(_)));
        let missing: Vec<String> = of_tables.map(|lack| lack.table().to_owned()).collect();
        if !missing.is_empty() {
            return Err(DatabaseError::NotNova { database, missing });
        }
        match lacks.first() {
            None => Ok(()),
            Some(lack @ Lack::Right(_)) => Err(DatabaseError::Denied { database, why: lack.to_string() }),
            Some(lack) => Err(DatabaseError::Misshapen { database, why: lack.to_string() }),
        }
    }

    /// Those of `tables` that cannot be read.
    pub(crate) fn missing(&self, tables: &[&'static str]) -> Vec<&'static str> {
        tables.iter().copied().filter(|table| self.lacking.contains_key(table)).collect()
    }

    /// The column of `table` that ties a row to an instance: uuid, or the number that Essex used.
    pub(crate) fn instance_key(&self, table: &str) -> &'static str {
        if self.has(table, "instance_uuid") { "instance_uuid" } else { "instance_id" }
    }

    /// The column of `instances` that this column of a table has the value of.
    pub(crate) fn own_key_of(&self, table: &str) -> &'static str {
        if self.instance_key(table) == "instance_uuid" { "uuid" } else { "id" }
    }

    /// The same of `fixed_ips`.
    pub(crate) fn own_key(&self) -> &'static str {
        self.own_key_of("fixed_ips")
    }

    /// Condition: a column, which is found by its index, has the value of another that ties rows to the instance. Of
    /// uuids the other's letters may be small or capital, which MySQL's usual collation takes for the same by itself.
    pub(crate) fn tied(&self, table: &str, column: &str, other: &str) -> String {
        let own = format!("{table}.{column}");
        if self.is_uuid(table, column) {
            self.in_either_case(&own, other)
        } else {
            format!("{own} = {other}")
        }
    }

    /// Condition: the uuid, which is found by its index, is the other in small letters or capitals.
    pub(crate) fn in_either_case(&self, uuid: &str, other: &str) -> String {
        match self.dialect {
            Dialect::MySql => format!("{uuid} = {other}"),
            Dialect::Postgres | Dialect::Sqlite => {
                format!("{uuid} IN ({other}, LOWER({other}), UPPER({other}))")
            }
        }
    }

    /// The same where letters may be small and capital in any mixture, which no index of the column's finds.
    pub(crate) fn tied_by_any_letters(&self, table: &str, column: &str, other: &str) -> String {
        let own = format!("{table}.{column}");
        if self.is_uuid(table, column) { self.alike(&own, other) } else { format!("{own} = {other}") }
    }

    /// Condition: two uuids are the same but for capitals. MySQL's usual collation takes them for the same by itself;
    /// SQLite makes an index for the statement.
    pub(crate) fn alike(&self, uuid: &str, other: &str) -> String {
        match self.dialect {
            Dialect::MySql => format!("{uuid} = {other}"),
            Dialect::Postgres => format!("LOWER(CAST({uuid} AS TEXT)) = LOWER(CAST({other} AS TEXT))"),
            Dialect::Sqlite => format!("{uuid} = {other} COLLATE NOCASE"),
        }
    }

    /// The server minds capitals in uuids, which nova's usual one does not.
    pub(crate) fn minds_capitals(&self) -> bool {
        match self.dialect {
            Dialect::MySql => false,
            Dialect::Postgres | Dialect::Sqlite => true,
        }
    }

    /// An instance's uuid, as text.
    pub(crate) fn is_uuid(&self, table: &str, column: &str) -> bool {
        matches!(column, "uuid" | "instance_uuid") && self.cast_to(table, column) != Some("uuid")
    }

    /// `TABLE.COLUMN` as text; NULL where this series has no such column.
    pub(crate) fn text(&self, table: &str, column: &str) -> String {
        if !self.has(table, column) {
            return "NULL".to_owned();
        }
        format!("CAST({table}.{} AS {})", self.name(column), self.text_type)
    }

    /// The column's name as a statement has it, quoted: it may be a word of the server's, and PostgreSQL keeps its
    /// capitals only so. Backticks are understood by MySQL under any `sql_mode`.
    pub(crate) fn name(&self, column: &str) -> String {
        match self.dialect {
            Dialect::MySql => format!("`{column}`"),
            Dialect::Postgres | Dialect::Sqlite => format!("\"{column}\""),
        }
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

    /// The same for a statement over the whole table, nearly every row of which is alive.
    pub(crate) fn live_of_all(&self, table: &str) -> String {
        match self.kind(table, "deleted") {
            Some(Kind::Flag | Kind::Other) => format!("{} = 0", self.scanned(&format!("{table}.deleted"))),
            Some(Kind::Boolean) | None => self.live(table),
        }
    }

    /// A number of every row, by which no index is chosen. Of a whole table an index gives the rows in an order that
    /// makes each a look at another place; MySQL chooses it all the same, and needs a minute for a second's work, as
    /// SQLite does where it has no statistics. A sum has no index, nor has what a sign stands before.
    pub(crate) fn scanned(&self, column: &str) -> String {
        match self.dialect {
            Dialect::MySql => format!("{column} + 0"),
            Dialect::Sqlite => format!("+{column}"),
            Dialect::Postgres => column.to_owned(),
        }
    }

    /// A column of any type, by whose index SQLite does not go: it takes every value for as rare as the next, NULL too.
    pub(crate) fn unindexed(&self, column: &str) -> String {
        match self.dialect {
            Dialect::Sqlite => format!("+{column}"),
            Dialect::MySql | Dialect::Postgres => column.to_owned(),
        }
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

/// Condition: the column has no name in it. What is of blanks alone is one to some servers.
pub(crate) fn unnamed(column: &str) -> String {
    format!("COALESCE(RTRIM({column}), '') = ''")
}
