//! What a database holds, each value as its server writes it.

#![allow(dead_code, reason = "each test uses its part")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use cloud::{Access, Connection, DatabaseUrl};
use sqlx::{AssertSqlSafe, Row};

use crate::planted::PATIENCE;

/// What a statement gives, a row a string.
pub(crate) fn rows(url: &DatabaseUrl, sql: &str) -> Vec<String> {
    each(url, &[sql.to_owned()]).concat()
}

/// What each of several statements gives, on one connection.
fn each(url: &DatabaseUrl, statements: &[String]) -> Vec<Vec<String>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut connection = url.connect(Access::Write, PATIENCE).await.unwrap();
        let mut all = Vec::new();
        for sql in statements {
            let query = sqlx::raw_sql(AssertSqlSafe(sql.clone()));
            all.push(match &mut connection {
                Connection::MySql(c) => {
                    query.fetch_all(c).await.unwrap().iter().map(|row| row.get(0)).collect()
                }
                Connection::Postgres(c) => {
                    query.fetch_all(c).await.unwrap().iter().map(|row| row.get(0)).collect()
                }
                Connection::Sqlite(c) => {
                    query.fetch_all(c).await.unwrap().iter().map(|row| row.get(0)).collect()
                }
            });
        }
        connection.close().await.unwrap();
        all
    })
}

/// The tables of a server, the columns of one, and how a row is written with the type of each value.
struct Words {
    tables: &'static str,
    columns: &'static str,
    value: fn(&str) -> String,
    between: &'static str,
}

const SQLITE: Words = Words {
    tables: "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1",
    columns: "SELECT name FROM pragma_table_info('TABLE')",
    value: |column| format!("typeof(\"{column}\") || quote(\"{column}\")"),
    between: " || ' ' || ",
};
const MYSQL: Words = Words {
    tables: "SELECT CAST(table_name AS CHAR) FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY 1",
    columns: "SELECT CAST(column_name AS CHAR) FROM information_schema.columns WHERE table_schema = DATABASE() \
              AND table_name = 'TABLE'",
    value: |column| format!("QUOTE(`{column}`)"),
    between: ", ' ', ",
};
const POSTGRESQL: Words = Words {
    tables: "SELECT CAST(table_name AS TEXT) FROM information_schema.tables \
             WHERE table_schema = current_schema() ORDER BY 1",
    columns: "SELECT CAST(column_name AS TEXT) FROM information_schema.columns \
              WHERE table_schema = current_schema() AND table_name = 'TABLE'",
    value: |column| format!("COALESCE(quote_literal(CAST(\"{column}\" AS TEXT)), 'NULL')"),
    between: " || ' ' || ",
};

/// Every row of every table, each value as the server writes it, in the order of ids.
pub(crate) fn dump(url: &DatabaseUrl) -> String {
    let scheme = url.to_string();
    let words = match scheme.split(':').next() {
        Some("sqlite") => SQLITE,
        Some("mysql") => MYSQL,
        _ => POSTGRESQL,
    };
    let tables = rows(url, words.tables);
    let of_columns: Vec<String> = tables.iter().map(|table| words.columns.replace("TABLE", table)).collect();
    let select = |(table, columns): (&String, &Vec<String>)| {
        let values: Vec<String> = columns.iter().map(|column| (words.value)(column)).collect();
        let order = if columns.iter().any(|column| column == "id") { " ORDER BY id" } else { "" };
        let line = values.join(words.between);
        let line = if scheme.starts_with("mysql") { format!("CAST(CONCAT({line}) AS CHAR)") } else { line };
        format!("SELECT {line} FROM {table}{order}")
    };
    let selects: Vec<String> = tables.iter().zip(&each(url, &of_columns)).map(select).collect();
    let texts = each(url, &selects);
    let of_tables = tables.iter().zip(texts).map(|(table, rows)| format!("{table}\n{}\n", rows.join("\n")));
    of_tables.collect::<Vec<_>>().concat()
}
