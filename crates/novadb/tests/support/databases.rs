//! Empty databases for nova's tables, on servers of the test's own.

#![allow(dead_code, reason = "each test uses its part")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../../cloud/tests/support/servers.rs"]
pub(crate) mod servers;

use cloud::DatabaseUrl;
pub(crate) use servers::Server;

use crate::planted::run;

/// MariaDB with the database `nova`.
pub(crate) fn mariadb() -> (Server, DatabaseUrl) {
    mariadb_with(&[])
}

/// The same of a server with further arguments.
pub(crate) fn mariadb_with(arguments: &[&str]) -> (Server, DatabaseUrl) {
    let server = servers::mariadb_with(|_| arguments.iter().map(|&argument| argument.to_owned()).collect());
    let url = made(&server, "nova");
    (server, url)
}

/// PostgreSQL with the database that its administrator has.
pub(crate) fn postgresql() -> (Server, DatabaseUrl) {
    let server = servers::postgresql();
    let url = at(&server, server.first);
    (server, url)
}

/// A database of a server, as its administrator.
pub(crate) fn at(server: &Server, name: &str) -> DatabaseUrl {
    DatabaseUrl::parse(&server.url(name)).unwrap()
}

/// Makes one.
pub(crate) fn made(server: &Server, name: &str) -> DatabaseUrl {
    run(&at(server, server.first), &format!("CREATE DATABASE {name}"));
    at(server, name)
}
