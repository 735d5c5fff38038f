//! TLS as operators demand it, on a real MariaDB and a real PostgreSQL: what works, and what is said where it does not.

#![allow(clippy::unwrap_used, clippy::panic, reason = "clippy takes a test's helpers for production code")]

#[path = "support/authority.rs"]
mod authority;
#[path = "support/servers.rs"]
mod servers;
mod support;

use std::path::Path;

use authority::Authority;
use cloud::{DatabaseError, DatabaseUrl, TlsProblem};
use servers::{ADMIN_PASSWORD, OF_TEST, mariadb_with, postgresql_with};
use support::PATIENCE;

/// What reading says; a server whose database is not nova's was reached.
fn outcome(url: &str) -> Result<(), DatabaseError> {
    match cloud::read(&DatabaseUrl::parse(url).unwrap(), PATIENCE) {
        Ok(_) | Err(DatabaseError::NotNova { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

#[track_caller]
fn reaches(url: &str) {
    outcome(url).unwrap_or_else(|error| panic!("{url}: {error}"));
}

#[track_caller]
fn refuses(url: &str, problem: TlsProblem, piece: &str) {
    let Err(error) = outcome(url) else { panic!("{url} is reached") };
    assert!(matches!(&error, DatabaseError::Tls { problem: p, .. } if *p == problem), "{url}: {error:?}");
    let said = error.to_string();
    assert!(said.contains(piece) && !said.contains(ADMIN_PASSWORD), "{said}");
}

/// Files of an authority, and of another that nobody asked.
fn certificates(dir: &Path, days: i32, names: &str) -> (String, String) {
    let folder = dir.join(OF_TEST);
    let ours = Authority::new(&folder);
    ours.sign("server", names, days);
    ours.sign("client", "DNS:nova-api", 30);
    let stranger = dir.join("stranger");
    let stranger = Authority::new(&stranger).certificate();
    (ours.certificate().display().to_string(), stranger.display().to_string())
}

#[test]
fn mariadb_that_demands_tls() {
    let mut paths = None;
    let mut files = String::new();
    let server = mariadb_with(|dir| {
        paths = Some(certificates(dir, 30, "IP:127.0.0.1,DNS:db.example"));
        files = dir.join(OF_TEST).display().to_string();
        vec![
            format!("--ssl-ca={files}/authority.pem"),
            format!("--ssl-cert={files}/server.pem"),
            format!("--ssl-key={files}/server.key"),
            "--require-secure-transport=ON".to_owned(),
        ]
    });
    let (ca, stranger) = paths.unwrap();
    let account = format!("root:{ADMIN_PASSWORD}");
    let base = format!("mysql+pymysql://{account}@127.0.0.1:{}/mysql?charset=utf8", server.port);
    reaches(&base);
    reaches(&format!("{base}&ssl_ca={ca}"));
    reaches(&format!("{base}&ssl_ca={ca}&ssl_verify_cert=true&ssl_verify_identity=true"));
    reaches(&format!("{base}&ssl_ca={ca}&ssl_cert={files}/client.pem&ssl_key={files}/client.key"));
    reaches(&format!("{base}&ssl_ca={stranger}&ssl_verify_cert=false"));
    // MariaDB says the same as to a wrong password.
    let error = outcome(&format!("{base}&ssl_disabled=true")).unwrap_err();
    assert!(error.to_string().contains("demands TLS of this user, which the URL forbids"), "{error}");
    refuses(&format!("{base}&ssl_ca={stranger}"), TlsProblem::UnknownCa, "UnknownIssuer");
    refuses(
        &format!("{base}&ssl_verify_cert=true"),
        TlsProblem::UnknownCa,
        "name the authority that signed it",
    );
    let named = base.replace("127.0.0.1", "localhost");
    refuses(&format!("{named}&ssl_ca={ca}"), TlsProblem::OtherName, "\"localhost\"");
    reaches(&format!("{named}&ssl_ca={ca}&ssl_check_hostname=false"));
    reaches(&format!("{named}&ssl_ca={ca}&ssl_mode=VERIFY_CA"));
    // Its own driver would look at no name; but any public authority is trusted beside this one.
    let of_mysqlclient = format!("{named}&ssl_ca={ca}").replace("mysql+pymysql", "mysql");
    refuses(&of_mysqlclient, TlsProblem::OtherName, "passes for it");
    reaches(&of_mysqlclient.replace("localhost", "127.0.0.1"));
    // Files that serve nobody.
    for (query, piece) in [
        (format!("ssl_ca={files}/nothing.pem"), "No such file"),
        (format!("ssl_ca={files}"), "not a file"),
        (format!("ssl_ca={files}/server.key"), "no CERTIFICATE in PEM form"),
        (format!("ssl_ca={ca}&ssl_cert={files}/client.pem"), "no PRIVATE KEY in PEM form"),
    ] {
        let error = outcome(&format!("{base}&{query}")).unwrap_err();
        assert!(matches!(&error, DatabaseError::TlsFile { why, .. } if why.contains(piece)), "{error:?}");
    }
}

#[test]
fn mariadb_that_cannot_do_what_is_demanded() {
    let mut ca = String::new();
    // Old ciphers alone, which no rustls speaks.
    let old = mariadb_with(|dir| {
        ca = certificates(dir, 30, "IP:127.0.0.1").0;
        let files = dir.join(OF_TEST).display().to_string();
        vec![
            format!("--ssl-cert={files}/server.pem"),
            format!("--ssl-key={files}/server.key"),
            "--tls-version=TLSv1.2".to_owned(),
            "--ssl-cipher=AES128-SHA".to_owned(),
        ]
    });
    let base = old.url(old.first);
    reaches(&base);
    refuses(&format!("{base}?ssl_ca={ca}"), TlsProblem::Handshake, "TLS 1.2 and 1.3");
    let without = mariadb_with(|_| vec!["--skip-ssl".to_owned()]);
    let base = without.url(without.first);
    reaches(&base);
    refuses(&format!("{base}?ssl_ca={ca}"), TlsProblem::NotOffered, "the server offers none");
}

/// A PostgreSQL with a certificate for these names, whom `pg_hba.conf` lets nobody in without.
fn only_by_tls(days: i32, names: &str, hba: &str) -> (servers::Server, String, String) {
    let mut paths = None;
    let server = postgresql_with(|dir| {
        paths = Some(certificates(dir, days, names));
        std::fs::write(dir.join("data/pg_hba.conf"), hba).unwrap();
        let files = dir.join(OF_TEST).display().to_string();
        let settings = [
            "ssl=on".to_owned(),
            format!("ssl_cert_file={files}/server.pem"),
            format!("ssl_key_file={files}/server.key"),
            format!("ssl_ca_file={files}/authority.pem"),
        ];
        settings.into_iter().flat_map(|setting| ["-c".to_owned(), setting]).collect()
    });
    let (ca, stranger) = paths.unwrap();
    (server, ca, stranger)
}

#[test]
fn postgresql_that_demands_tls() {
    let hba = "hostssl all all 127.0.0.1/32 scram-sha-256\n";
    let (server, ca, stranger) = only_by_tls(30, "IP:127.0.0.1,DNS:db.example", hba);
    let base = format!("postgresql+psycopg2://postgres:{ADMIN_PASSWORD}@127.0.0.1:{}/postgres", server.port);
    reaches(&base);
    reaches(&format!("{base}?sslmode=verify-full&sslrootcert={ca}"));
    reaches(&format!("{base}?sslmode=require"));
    refuses(&format!("{base}?sslmode=disable"), TlsProblem::Demanded, "no encryption");
    refuses(&format!("{base}?sslmode=verify-full"), TlsProblem::UnknownCa, "sslrootcert=FILE");
    refuses(
        &format!("{base}?sslmode=verify-ca&sslrootcert={stranger}"),
        TlsProblem::UnknownCa,
        "UnknownIssuer",
    );
    let named = base.replace("127.0.0.1", "localhost");
    for mode in ["verify-full", "require"] {
        refuses(&format!("{named}?sslmode={mode}&sslrootcert={ca}"), TlsProblem::OtherName, "localhost");
    }
    reaches(&format!("{named}?sslmode=verify-ca&sslrootcert={ca}"));
}

/// libpq does not look at `sslmode` where it comes by a Unix socket, and the server offers no TLS there.
#[test]
fn postgresql_by_its_socket_needs_no_tls() {
    let server = postgresql_with(|_| Vec::new());
    let socket = server.dir.path().display();
    let base = format!("postgresql://postgres:{ADMIN_PASSWORD}@/postgres?host={socket}");
    let at = base.replace("@/", &format!("@:{}/", server.port));
    reaches(&at);
    reaches(&format!("{at}&sslmode=verify-full&sslrootcert=/nonexistent/ca.pem"));
    reaches(&format!("{at}&sslmode=require"));
}

#[test]
fn postgresql_whose_certificate_has_expired_and_that_wants_ours() {
    let hba = "hostssl all all 127.0.0.1/32 scram-sha-256 clientcert=verify-ca\n";
    let (server, ca, _) = only_by_tls(-1, "IP:127.0.0.1", hba);
    let base = server.url(server.first);
    refuses(&format!("{base}?sslmode=verify-full&sslrootcert={ca}"), TlsProblem::OutOfTime, "renew it");
    refuses(&format!("{base}?sslmode=require"), TlsProblem::OursRefused, "sslcert and sslkey");
    let own = server.dir.path().join(OF_TEST).join("client").display().to_string();
    reaches(&format!("{base}?sslmode=require&sslcert={own}.pem&sslkey={own}.key"));
}
