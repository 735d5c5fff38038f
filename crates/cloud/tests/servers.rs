//! The same records through a real MariaDB and a real PostgreSQL, and what each says when it refuses.

#![allow(clippy::unwrap_used, clippy::panic, reason = "clippy takes a test's helpers for production code")]

#[path = "support/servers.rs"]
mod servers;
mod support;

use std::net::TcpListener;
use std::time::{Duration, Instant};

use cloud::{DatabaseError, DatabaseUrl, Records};
use servers::{ADMIN_PASSWORD, Server, mariadb, mariadb_with, postgresql};
use sqlx::mysql::MySqlConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{AssertSqlSafe, Connection, MySqlConnection, PgConnection};
use support::{PATIENCE, assert_queens, assert_shown};
use tokio::runtime::{Builder, Runtime};

/// The account's password as it is, and as a URL has to write it.
const PASSWORD: (&str, &str) = ("p@ss/w%rd", "p%40ss%2Fw%25rd");

fn read(url: &str) -> Result<Records, DatabaseError> {
    cloud::read(&DatabaseUrl::parse(url).unwrap(), PATIENCE)
}

/// The administrator's session, with the runtime that it lives in.
struct Admin<C> {
    runtime: Runtime,
    connection: C,
}

impl<C: Connection> Admin<C> {
    /// Tries again until the server, which listens a moment before it answers, lets it in.
    fn connect(options: &<C as Connection>::Options) -> Admin<C> {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let deadline = Instant::now() + PATIENCE;
        loop {
            match runtime.block_on(C::connect_with(options)) {
                Ok(connection) => return Admin { runtime, connection },
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Runs statements as the administrator.
macro_rules! run {
    ($admin:ident, $sql:expr) => {
        let query = sqlx::raw_sql(AssertSqlSafe($sql.to_string()));
        $admin.runtime.block_on(query.execute(&mut $admin.connection)).unwrap()
    };
}

/// The single number that a statement gives.
macro_rules! number {
    ($admin:ident, $sql:literal) => {{
        let query = sqlx::query_scalar::<_, i64>($sql);
        $admin.runtime.block_on(query.fetch_one(&mut $admin.connection)).unwrap()
    }};
}

fn assert_no_password(error: &DatabaseError) {
    for text in [error.to_string(), format!("{error:?}")] {
        assert!(!text.contains(PASSWORD.0) && !text.contains("not-it"), "{text}");
    }
}

/// Expressions that are grouped by and put into larger ones: MySQL refuses them by default since 5.7.
#[test]
fn a_strict_mariadb_is_read_and_checked() {
    let server = mariadb_with(|_| vec!["--sql-mode=TRADITIONAL,ONLY_FULL_GROUP_BY".to_owned()]);
    let options = MySqlConnectOptions::new().host("127.0.0.1").port(server.port).username("root");
    let mut admin = Admin::<MySqlConnection>::connect(&options.password(ADMIN_PASSWORD));
    run!(
        admin,
        format!("CREATE DATABASE nova CHARACTER SET utf8; USE nova; {}", include_str!("fixtures/queens.sql"))
    );
    let url = server.url("nova");
    assert_queens(&read(&url).unwrap());
    let url = DatabaseUrl::parse(&url).unwrap();
    cloud::check(&url, PATIENCE, &cloud::Clock::default(), |_| {}).map(drop).unwrap();
}

#[test]
fn mariadb_is_read_and_refuses_in_clear_words() {
    let server = mariadb();
    let Server { dir, port, .. } = &server;
    let options = MySqlConnectOptions::new().host("127.0.0.1").port(*port).username("root");
    let mut admin = Admin::<MySqlConnection>::connect(&options.password(ADMIN_PASSWORD));
    run!(
        admin,
        format!(
            "CREATE DATABASE nova CHARACTER SET utf8; CREATE DATABASE other; \
         CREATE USER nova@localhost IDENTIFIED BY '{}'; GRANT ALL ON nova.* TO nova@localhost; \
         GRANT SELECT ON other.* TO nova@localhost; USE nova; {}",
            PASSWORD.0,
            include_str!("fixtures/queens.sql"),
        )
    );
    let account = format!("nova:{}@127.0.0.1:{port}", PASSWORD.1);
    assert_queens(&read(&format!("mysql+pymysql://{account}/nova?charset=utf8&read_timeout=60")).unwrap());
    assert_queens(&read(&format!("mysql://nova:{}@127.0.0.1/nova?port={port}", PASSWORD.1)).unwrap());
    let socket = dir.path().join("mysqld.sock").display().to_string();
    let by_socket = format!("mariadb://nova:{}@/nova?unix_socket={socket}", PASSWORD.1);
    assert_queens(&read(&by_socket).unwrap());
    assert_shown(&DatabaseUrl::parse(&by_socket).unwrap());

    let error = read(&format!("mysql://nova:not-it@127.0.0.1:{port}/nova")).unwrap_err();
    assert!(matches!(error, DatabaseError::Login { .. }), "{error:?}");
    assert!(error.to_string().contains(&format!("mysql://nova@127.0.0.1:{port}/nova refuses")), "{error}");
    assert_no_password(&error);
    let error = read(&server.url("nowhere")).unwrap_err();
    assert!(matches!(error, DatabaseError::Unknown { .. }), "{error:?}");
    let error = read(&format!("mysql://{account}/nowhere")).unwrap_err();
    assert!(matches!(error, DatabaseError::Denied { .. }), "{error:?}");
    let error = read(&format!("mysql://{account}/other")).unwrap_err();
    assert!(matches!(&error, DatabaseError::NotNova { missing, .. } if missing.len() == 5), "{error:?}");
    assert_no_password(&error);

    // An empty password is none; one that is the user's name as well leaves that name readable.
    for given in ["nova", "nova:"] {
        let error = read(&format!("mysql://{given}@127.0.0.1:{port}/nova")).unwrap_err();
        assert!(matches!(error, DatabaseError::Login { .. }), "{error:?}");
        assert!(error.to_string().contains("'nova'@'localhost' (using password: NO)"), "{error}");
    }
    let error = read(&format!("mysql://nova:nova@127.0.0.1:{port}/nova")).unwrap_err();
    assert!(error.to_string().contains("'nova'@'localhost' (using password: YES)"), "{error}");
    run!(admin, "CREATE USER blank@localhost IDENTIFIED BY ''; GRANT SELECT ON nova.* TO blank@localhost");
    assert_queens(&read(&format!("mysql://blank:@127.0.0.1:{port}/nova")).unwrap());

    run!(
        admin,
        "INSTALL SONAME 'auth_ed25519'; CREATE USER ed@localhost IDENTIFIED VIA ed25519 USING PASSWORD('x')"
    );
    let error = read(&format!("mysql://ed:x@127.0.0.1:{port}/nova")).unwrap_err();
    assert!(matches!(error, DatabaseError::LoginMethod { .. }), "{error:?}");

    // What the server was told, in its own log: to be read-only, then nothing but to read.
    run!(admin, "SET GLOBAL log_output = 'TABLE'; SET GLOBAL general_log = ON");
    assert_queens(&read(&format!("mysql://{account}/nova")).unwrap());
    run!(admin, "SET GLOBAL general_log = OFF");
    let log = "SELECT CAST(argument AS CHAR) FROM mysql.general_log \
               WHERE user_host LIKE 'nova[nova]%' AND command_type <> 'Connect' AND argument <> ''";
    let told = sqlx::query_scalar::<_, String>(log).fetch_all(&mut admin.connection);
    let told = admin.runtime.block_on(told).unwrap();
    let [names, begin, rest @ ..] = told.as_slice() else { panic!("{told:#?}") };
    assert_eq!(names, "SET NAMES utf8mb4");
    let read_only = "SET SESSION sql_mode = ''; SET SESSION TRANSACTION READ ONLY; \
                     START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY";
    assert_eq!(begin, read_only);
    assert!(!rest.is_empty() && rest.iter().all(|sql| sql.starts_with("SELECT ")), "{rest:#?}");
}

#[test]
fn postgresql_is_read_and_refuses_in_clear_words() {
    let server = postgresql();
    let Server { dir, port, .. } = &server;
    let options = PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(*port).username("postgres");
    let options = options.password(ADMIN_PASSWORD).ssl_mode(PgSslMode::Disable);
    let mut admin = Admin::<PgConnection>::connect(&options.clone().database("postgres"));
    run!(admin, format!("CREATE USER nova PASSWORD '{}'", PASSWORD.0));
    run!(admin, "CREATE DATABASE nova OWNER nova");
    run!(admin, "CREATE DATABASE other");
    let mut admin = Admin::<PgConnection>::connect(&options.database("nova"));
    run!(admin, include_str!("fixtures/queens-postgresql.sql"));
    run!(admin, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO nova");

    let account = format!("nova:{}@127.0.0.1:{port}", PASSWORD.1);
    assert_queens(&read(&format!("postgresql+psycopg2://{account}/nova?sslmode=prefer")).unwrap());
    let by_socket = format!("postgresql://nova:{}@:{port}/nova?host={}", PASSWORD.1, dir.path().display());
    assert_queens(&read(&by_socket).unwrap());
    assert_shown(&DatabaseUrl::parse(&by_socket).unwrap());
    let by_query = format!("postgresql:///nova?user=nova&host={}&port={port}", dir.path().display());
    assert_queens(&read(&format!("{by_query}&password={}", PASSWORD.1)).unwrap());
    let error = read(&format!("postgresql://nova:nova@127.0.0.1:{port}/nova")).unwrap_err();
    assert!(error.to_string().contains("failed for user \"nova\""), "{error}");

    let error = read(&format!("postgresql://nova:not-it@127.0.0.1:{port}/nova")).unwrap_err();
    assert!(matches!(error, DatabaseError::Login { .. }), "{error:?}");
    assert_no_password(&error);
    let error = read(&format!("postgresql://{account}/nowhere")).unwrap_err();
    assert!(matches!(error, DatabaseError::Unknown { .. }), "{error:?}");
    let error = read(&format!("postgresql://{account}/other")).unwrap_err();
    assert!(matches!(&error, DatabaseError::NotNova { missing, .. } if missing.len() == 5), "{error:?}");

    // A view that writes when it is read: only a session that is read-only keeps it from doing so.
    run!(
        admin,
        "CREATE TABLE written (n int); ALTER TABLE networks RENAME TO real_networks; \
         CREATE FUNCTION bump() RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS \
         'BEGIN INSERT INTO written VALUES (1); RETURN 0; END'; \
         CREATE VIEW networks AS SELECT * FROM real_networks WHERE bump() = 0; \
         GRANT SELECT ON networks TO nova"
    );
    let error = read(&format!("postgresql://{account}/nova")).unwrap_err();
    assert!(matches!(&error, DatabaseError::ReadOnly { why, .. } if why.contains("read-only")), "{error:?}");
    assert_eq!(number!(admin, "SELECT COUNT(*) FROM written"), 0);

    run!(admin, "DROP VIEW networks; ALTER TABLE real_networks RENAME TO networks");
    run!(admin, "REVOKE SELECT ON instances FROM nova");
    let error = read(&format!("postgresql://{account}/nova")).unwrap_err();
    assert!(matches!(&error, DatabaseError::Denied { why, .. } if why.contains("instances")), "{error:?}");
}

#[test]
fn a_server_that_is_not_there_or_never_answers() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for scheme in ["mysql", "postgresql"] {
        let url = DatabaseUrl::parse(&format!("{scheme}://nova:not-it@127.0.0.1:{port}/nova")).unwrap();
        let started = Instant::now();
        let error = cloud::read(&url, Duration::from_millis(200)).unwrap_err();
        assert!(matches!(error, DatabaseError::Timeout { .. }), "{error:?}");
        assert!(error.to_string().contains("within 0.2 s"), "{error}");
        assert!(started.elapsed() < PATIENCE, "{:?}", started.elapsed());
        assert_no_password(&error);
    }
    drop(listener);
    for scheme in ["mysql", "postgresql"] {
        let error = read(&format!("{scheme}://nova:not-it@127.0.0.1:{port}/nova")).unwrap_err();
        assert!(matches!(error, DatabaseError::Unreachable { .. }), "{error:?}");
        assert!(error.to_string().contains("refused"), "{error}");
        assert_no_password(&error);
    }
}
