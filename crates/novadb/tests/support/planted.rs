//! What is planted, and statements run on any of the three servers.

#![allow(dead_code, reason = "each test uses its part")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use cloud::{Access, Connection, DatabaseUrl};
use sqlx::AssertSqlSafe;

const PLANTED: &str = include_str!("../planted.sql");
const SCHEMA: &str = include_str!("../../src/schema.sql");
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What the lines of `planted.sql` begin with, and what that stands for.
const INSERTS: [(&str, &str); 6] = [
    ("I ", "instances (id, uuid, hostname, host, project_id, vm_state, task_state, deleted)"),
    ("V ", "virtual_interfaces (id, address, network_id, uuid, instance_uuid, deleted)"),
    (
        "F ",
        "fixed_ips (id, address, network_id, allocated, leased, reserved, virtual_interface_id, host, instance_uuid, \
         updated_at, deleted)",
    ),
    ("L ", "floating_ips (id, address, fixed_ip_id, project_id, host, deleted)"),
    ("C ", "instance_info_caches (id, network_info, instance_uuid, deleted)"),
    (
        "N ",
        "networks (id, label, cidr, netmask, broadcast, bridge, vlan, multi_host, project_id, host, \
         vpn_private_address, deleted)",
    ),
];

/// A piece of `planted.sql`.
pub(crate) struct Piece<'p> {
    /// The line that it begins with.
    pub(crate) name: &'p str,
    pub(crate) sql: String,
    /// `CODE ROW`.
    pub(crate) finds: Vec<&'p str>,
}

pub(crate) fn pieces() -> (String, Vec<Piece<'static>>) {
    pieces_of(PLANTED)
}

/// Those of a file that is written as `planted.sql` is, with what stands before the first.
pub(crate) fn pieces_of(planted: &str) -> (String, Vec<Piece<'_>>) {
    let mut base = String::new();
    let mut pieces: Vec<Piece> = Vec::new();
    for line in planted.lines() {
        if let Some(name) = line.strip_prefix("-- plant ").or_else(|| line.strip_prefix("-- near ")) {
            pieces.push(Piece { name, sql: String::new(), finds: Vec::new() });
        } else if let Some(row) = line.strip_prefix("-- finds ") {
            pieces.last_mut().unwrap().finds.push(row);
        } else if !line.starts_with("--") {
            let line = statement(line);
            let sql = pieces.last_mut().map_or(&mut base, |piece| &mut piece.sql);
            sql.push_str(&line);
            sql.push('\n');
        }
    }
    (base, pieces)
}

/// A line of `planted.sql` as SQL.
fn statement(line: &str) -> String {
    let insert = INSERTS.iter().find_map(|(short, table)| Some((table, line.strip_prefix(short)?)));
    insert.map_or(line.to_owned(), |(table, values)| format!("INSERT INTO {table} VALUES {values}"))
}

/// nova's tables without what keeps them consistent: older ones had neither unique nor foreign keys, and rows are
/// also written with these switched off.
pub(crate) fn lax_schema() -> String {
    let kept = |line: &&str| {
        let line = line.trim_start();
        !["CONSTRAINT", "FOREIGN KEY", "--"].iter().any(|word| line.starts_with(word))
    };
    let text: Vec<&str> = SCHEMA.lines().filter(kept).collect();
    text.join("\n").replace(",\n);", "\n);")
}

/// Columns of an operator's own, whose names a statement must quote.
const OWN_COLUMNS: &str = "ALTER TABLE floating_ips ADD COLUMN \"Note\" VARCHAR(99); \
    ALTER TABLE floating_ips ADD COLUMN \"order\" INTEGER; ALTER TABLE fixed_ips ADD COLUMN \"Note\" VARCHAR(99); \
    ALTER TABLE fixed_ips ADD COLUMN \"order\" INTEGER; \
    UPDATE floating_ips SET \"Note\" = 'it''s', \"order\" = -id; UPDATE fixed_ips SET \"Note\" = '', \"order\" = id;";

/// A cloud with everything planted, and columns of its operator's own.
pub(crate) fn everything() -> String {
    let (base, pieces) = pieces();
    let planted = pieces.iter().filter(|piece| !piece.finds.is_empty()).map(|piece| piece.sql.as_str());
    format!("{}\n{base}\n{}\n{OWN_COLUMNS}\n", lax_schema(), planted.collect::<Vec<_>>().join("\n"))
}

fn in_words_of(url: &DatabaseUrl, sql: &str) -> String {
    let scheme = url.to_string();
    if scheme.starts_with("mysql") {
        let names = ["binary", "Note", "order"].into_iter();
        let quoted =
            names.fold(sql.to_owned(), |sql, name| sql.replace(&format!("\"{name}\""), &format!("`{name}`")));
        return quoted.replace(" TEXT", " MEDIUMTEXT");
    }
    let is_postgres = scheme.starts_with("postgresql");
    if is_postgres { sql.replace("DATETIME", "TIMESTAMP WITHOUT TIME ZONE") } else { sql.to_owned() }
}

pub(crate) fn run(url: &DatabaseUrl, sql: &str) {
    let sql = AssertSqlSafe(in_words_of(url, sql));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let query = sqlx::raw_sql(sql);
        match url.connect(Access::Write, PATIENCE).await.unwrap() {
            Connection::MySql(mut connection) => drop(query.execute(&mut connection).await.unwrap()),
            Connection::Postgres(mut connection) => drop(query.execute(&mut connection).await.unwrap()),
            Connection::Sqlite(mut connection) => drop(query.execute(&mut connection).await.unwrap()),
        }
    });
}

/// A SQLite file with these statements run.
pub(crate) fn sqlite(sql: &str) -> (tempfile::TempDir, DatabaseUrl) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("nova.sqlite");
    std::fs::File::create_new(&path).unwrap();
    let url = DatabaseUrl::sqlite(path);
    run(&url, sql);
    (dir, url)
}
