//! nova's tables, in each database's column types, and the mark by which a lab knows those that it made.

use std::fs::File;

use crate::sql::{Cell, Dialect, Work, values};
use crate::{Database, DbError};

/// The tables as SQLite has them.
const SCHEMA: &str = include_str!("schema.sql");
/// A table of one row: whose the others are.
const MARK: &str = "hopline_lab";

impl Database {
    /// Makes nova's tables, empty, in a database that is empty, for the lab `owner`. A SQLite file is made too, and
    /// by this alone: a script that still runs when the file has been removed must not bring it back.
    pub fn create_schema(&self, owner: &str) -> Result<(), DbError> {
        if let Some(path) = self.url.file() {
            let made = File::create_new(path);
            made.map_err(|e| DbError::File { path: path.display().to_string(), why: e.to_string() })?;
        }
        self.work(async |work| {
            if let Some(table) = tables(work).await?.into_iter().next() {
                return Err(DbError::NotEmpty { database: work.database(), table });
            }
            // First, since MySQL commits each table by itself: what was made when we are killed is known by it.
            work.raw(format!("CREATE TABLE {MARK} (name VARCHAR(64) NOT NULL)")).await?;
            work.execute(&format!("INSERT INTO {MARK} (name) VALUES (?)"), values![owner]).await?;
            for statement in statements(work.dialect()) {
                work.raw(statement).await?;
            }
            Ok(())
        })
    }

    /// Drops the tables that [`Database::create_schema`] made for this owner; those of anybody else stay.
    pub fn drop_schema(&self, owner: &str) -> Result<(), DbError> {
        self.work(async |work| {
            let there = tables(work).await?;
            if !there.iter().any(|table| table == MARK) {
                return Ok(());
            }
            let marked: Option<[Cell; 1]> =
                work.row(&format!("SELECT {{text:name}} FROM {MARK}"), &[]).await?;
            if marked.and_then(|[name]| name).is_some_and(|name| name != owner) {
                return Ok(());
            }
            let ours = table_names().into_iter().rev().chain([MARK]);
            for table in ours.filter(|ours| there.iter().any(|table| table == ours)) {
                work.raw(format!("DROP TABLE {table}")).await?;
            }
            Ok(())
        })
    }
}

async fn tables(work: &mut Work) -> Result<Vec<String>, DbError> {
    let sql = match work.dialect() {
        Dialect::MySql => {
            "SELECT {text:table_name} FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY 1"
        }
        Dialect::Postgres => {
            "SELECT {text:table_name} FROM information_schema.tables WHERE table_schema = current_schema() ORDER BY 1"
        }
        Dialect::Sqlite => "SELECT {text:name} FROM sqlite_master WHERE type = 'table' ORDER BY 1",
    };
    let rows: Vec<[Cell; 1]> = work.rows(sql, &[]).await?;
    Ok(rows.into_iter().filter_map(|[name]| name).collect())
}

/// Names of nova's tables, those that others refer to first.
fn table_names() -> Vec<&'static str> {
    let creates = SCHEMA.lines().filter_map(|line| line.strip_prefix("CREATE TABLE "));
    creates.filter_map(|rest| rest.split(' ').next()).collect()
}

fn statements(dialect: Dialect) -> Vec<String> {
    let lines: Vec<&str> = SCHEMA.lines().filter(|line| !line.starts_with("--")).collect();
    let text = format!(
        "{}
",
        lines.join(
            "
"
        )
    );
    let statements = text.split(";\n").map(str::trim).filter(|statement| !statement.is_empty());
    statements.map(|statement| in_dialect(dialect, statement)).collect()
}

/// As nova's migrations leave them: sqlalchemy's Integer, String, Text, Boolean and DateTime of each database.
fn in_dialect(dialect: Dialect, statement: &str) -> String {
    let types: &[(&str, &str)] = match dialect {
        Dialect::Sqlite => &[],
        Dialect::MySql => &[
            ("INTEGER NOT NULL PRIMARY KEY", "INTEGER NOT NULL AUTO_INCREMENT PRIMARY KEY"),
            ("BOOLEAN", "TINYINT(1)"),
            (" TEXT", " MEDIUMTEXT"),
            ("\"binary\"", "`binary`"),
        ],
        Dialect::Postgres => &[
            ("INTEGER NOT NULL PRIMARY KEY", "SERIAL PRIMARY KEY"),
            ("DATETIME", "TIMESTAMP WITHOUT TIME ZONE"),
        ],
    };
    let mut words = statement.to_owned();
    for (ours, theirs) in types {
        words = words.replace(ours, theirs);
    }
    if dialect == Dialect::MySql && words.starts_with("CREATE TABLE") {
        words.push_str(" ENGINE=InnoDB DEFAULT CHARSET=utf8");
    }
    words
}
