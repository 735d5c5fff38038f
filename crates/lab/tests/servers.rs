//! The lab on a MariaDB and a PostgreSQL server, each started by the test: leases reach it from the hosts' namespaces,
//! a fault in it is a fault in the cloud, and `down` leaves an empty database.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../../cloud/tests/support/servers.rs"]
mod servers;
mod support;

use std::time::Duration;

use cloud::{Access, Connection, DatabaseUrl};
use novadb::Database;
use servers::ADMIN_PASSWORD;
use sqlx::AssertSqlSafe;
use support::{TestLab, assert_gone, example, ping};

fn execute(url: &str, sql: &str) {
    let url = DatabaseUrl::parse(url).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        match url.connect(Access::Write, Duration::from_secs(30)).await.unwrap() {
            Connection::MySql(mut connection) => {
                sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
                    .execute(&mut connection)
                    .await
                    .map(drop)
                    .unwrap();
            }
            Connection::Postgres(_) | Connection::Sqlite(_) => panic!("no MySQL"),
        }
    });
}

/// A lab on this database lives, takes a fault, and leaves nothing behind in it.
fn live(name: &str, url: &str) {
    lab::down(name, None).unwrap();
    let options = lab::Options { database: Some(url.to_owned()), ..lab::Options::small(name, example()) };
    let lab = TestLab(lab::up(&options).unwrap());
    let leased = |lab: &TestLab| {
        let cloud = lab::operations::show(&lab.0).unwrap();
        cloud.instances.iter().flat_map(|i| &i.vifs).flat_map(|v| &v.fixed).filter(|f| f.leased).count()
    };
    assert_eq!(leased(&lab), 2, "dnsmasq's script reaches the server");
    assert!(ping(&lab.ns("web1"), "1.2.3.4").0);
    assert!(ping(&lab.ns("ext"), "203.0.113.30").0);
    lab::break_fault(&lab.0, "sg-missing-icmp").unwrap();
    assert!(!ping(&lab.ns("ext"), "203.0.113.30").0);
    lab::heal(&lab.0, None).unwrap();
    assert!(ping(&lab.ns("ext"), "203.0.113.30").0);
    let again = lab::up(&lab::Options { name: format!("{name}2"), ..options }).unwrap_err();
    assert!(again.to_string().contains("wants an empty one"), "{again}");
    assert!(!again.to_string().contains(ADMIN_PASSWORD), "{again}");
    assert_eq!(leased(&lab), 2, "the refused lab has left the first one's tables alone");
    drop(lab);
    let database = Database::at(url).unwrap();
    database.create_schema("empty-again").unwrap();
}

#[test]
fn on_mariadb() {
    let server = servers::mariadb();
    execute(&server.url(server.first), "CREATE DATABASE nova");
    live("ht-lab-maria", &server.url("nova"));
}

#[test]
fn on_postgresql() {
    let server = servers::postgresql();
    live("ht-lab-pg", &server.url(server.first));
}

#[test]
fn a_lab_whose_server_is_gone_is_removed_all_the_same() {
    let server = servers::postgresql();
    let name = "ht-lab-gone";
    let url = server.url(server.first);
    let options = lab::Options { database: Some(url), ..lab::Options::small(name, example()) };
    let lab = lab::up(&options).unwrap();
    drop(server);
    let refused = lab::operations::stop(&lab, "web1").unwrap_err();
    assert!(!refused.to_string().contains(ADMIN_PASSWORD), "{refused}");
    let state = lab.state.clone();
    let removed = lab::down(name, None).unwrap();
    assert_gone(name, &state);
    let [left] = removed.left.as_slice() else { panic!("{removed:?}") };
    assert!(left.contains("database") && !left.contains(ADMIN_PASSWORD), "{left}");
    assert!(lab::down(name, None).unwrap().is_nothing());
}
