//! Bad input of every kind, on a real MariaDB and a real PostgreSQL, to each command that reads or writes the database:
//! a clear refusal with exit code 2 or a gap, nothing changed, and no password anywhere.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../../cloud/tests/support/authority.rs"]
mod authority;
mod cli_support;
#[path = "cli_support/databases.rs"]
#[allow(dead_code, reason = "this test uses a part")]
mod databases;
#[path = "../../novadb/tests/support/planted.rs"]
mod planted;
#[path = "../../novadb/tests/support/series.rs"]
mod series;
#[path = "../../cloud/tests/support/servers.rs"]
mod servers;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use authority::Authority;
use cli_support::{Run, assert_refused, hopline};
use cloud::DatabaseUrl;
use databases::{ADDRESS, Site, run};
use servers::{ADMIN_PASSWORD, OF_TEST};

/// A password as it is, and as a URL has to write it.
const PASSWORD: (&str, &str) = ("hunter2/p@ss%", "hunter2%2Fp%40ss%25");
/// What reads, and what would write.
const READS: [&[&str]; 4] = [
    &["db", "check", "--json"],
    &["db", "show", "web1"],
    &["db", "release", ADDRESS],
    &["db", "repair", "float-tied-to-deleted-instance", "2"],
];
const WRITES: [&[&str]; 3] = [
    &["db", "release", ADDRESS, "--apply"],
    &["db", "release", ADDRESS, "--from-pool", "--apply", "--json"],
    &["db", "repair", "float-tied-to-deleted-instance", "2", "--apply"],
];

#[track_caller]
fn assert_no_password(run: &Run) {
    for secret in [PASSWORD.0, PASSWORD.1, "hunter2", "not-it", ADMIN_PASSWORD] {
        assert!(!run.stdout.contains(secret) && !run.stderr.contains(secret), "{run:?}");
    }
}

/// With this URL, each of these commands is refused in these words.
#[track_caller]
fn refused(site: &Site, url: &str, commands: &[&[&str]], pieces: &[&str]) {
    site.names(url);
    for arguments in commands {
        let run = hopline(site.path(), &[arguments, &["--timeout", "5s"][..]].concat());
        assert_refused(&run, pieces);
        assert_no_password(&run);
    }
    assert_eq!(site.state(), "old", "{pieces:?}");
}

/// Each command, reading or writing, is refused, and so is taking back what was done.
fn all_refused(site: &Site, url: &str, pieces: &[&str]) {
    refused(site, url, &READS, pieces);
    refused(site, url, &WRITES, pieces);
}

/// A record that `db undo` would take back: of this very database, as this user.
fn record(site: &Site, url: &str) -> String {
    site.names(url);
    let done = hopline(site.path(), &["db", "release", ADDRESS, "--apply", "--minimal"]);
    assert_eq!(done.code, 0, "{done:?}");
    let id = done.stdout.split(' ').next().unwrap().to_owned();
    let back = hopline(site.path(), &["db", "undo", &id]);
    assert_eq!((back.code, site.state().as_str()), (0, "old"), "{back:?}");
    id
}

/// A place where nobody listens, and one where nobody answers.
fn nobody(site: &Site, scheme: &str) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url =
        format!("{scheme}://nova:{}@127.0.0.1:{}/nova", PASSWORD.1, listener.local_addr().unwrap().port());
    site.names(&url);
    let undo: &[&str] = &["db", "undo", "1-1"];
    for arguments in READS.iter().chain(&WRITES).chain([&undo]) {
        let started = Instant::now();
        let run = hopline(site.path(), &[arguments, &["--timeout", "200ms"][..]].concat());
        let expected =
            if *arguments == undo { "cannot read the undo record" } else { "did not answer within 0.2 s" };
        assert_refused(&run, &[expected]);
        assert_no_password(&run);
        assert!(started.elapsed() < Duration::from_secs(20), "{arguments:?}: {:?}", started.elapsed());
    }
    drop(listener);
    all_refused(site, &url, &["cannot reach the database", "refused", "check that its server runs"]);
}

/// Who may read but not change is told so, and nothing is changed.
fn only_reads(site: &Site, url: &str, pieces: &[&str]) {
    site.names(url);
    for (arguments, code) in READS.iter().zip([1, 0, 0, 0]) {
        let run = hopline(site.path(), arguments);
        assert_eq!(run.code, code, "{arguments:?}: {run:?}");
        assert_no_password(&run);
    }
    refused(site, url, &WRITES, pieces);
}

/// A table that this user may not read is a gap, and what is wrong elsewhere is found all the same.
fn a_gap(site: &Site, url: &str) {
    site.names(url);
    let run = hopline(site.path(), &["db", "check", "--json"]);
    assert_eq!(run.code, 1, "{run:?}");
    let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let gaps = report["coverage"]["gaps"].to_string();
    assert!(gaps.contains("host-address-without-service") && gaps.contains("services"), "{gaps}");
    let codes = report["findings"].as_array().unwrap().iter().map(|f| f["code"].as_str().unwrap());
    let found: Vec<&str> = codes.collect();
    assert_eq!(found, ["float-tied-to-deleted-instance", "fixed-ip-leaked"]);
    let shown = hopline(site.path(), &["db", "show", "web1"]);
    assert!(shown.code == 0 && shown.stdout.contains("security_group"), "{shown:?}");
}

#[test]
fn on_mariadb() {
    let mut site = Site::mariadb(&[]);
    let port = site.server.as_ref().unwrap().port;
    let at = |user: &str, password: &str, name: &str| {
        format!("mysql+pymysql://{user}:{password}@127.0.0.1:{port}/{name}")
    };
    run(
        &site.url,
        &format!(
            "CREATE USER nova@localhost IDENTIFIED BY '{0}'; GRANT ALL ON nova.* TO nova@localhost; \
             CREATE USER reader@localhost IDENTIFIED BY '{0}'; GRANT SELECT ON nova.* TO reader@localhost; \
             CREATE USER some@localhost IDENTIFIED BY '{0}'; CREATE DATABASE other; \
             INSTALL SONAME 'auth_ed25519'; CREATE USER ed@localhost IDENTIFIED VIA ed25519 USING PASSWORD('{0}')",
            PASSWORD.0
        ),
    );
    for table in ["instances", "networks", "fixed_ips", "floating_ips", "virtual_interfaces"] {
        run(&site.url, &format!("GRANT SELECT ON nova.{table} TO some@localhost"));
    }
    let nova = at("nova", PASSWORD.1, "nova");
    let id = record(&site, &nova);
    let undo: &[&str] = &["db", "undo", &id];
    let login = ["refuses this user and password", "Access denied", "check both in [cloud] database"];
    all_refused(&site, &at("nova", "not-it", "nova"), &login);
    refused(&site, &at("nova", "not-it", "nova"), &[undo], &login);
    all_refused(&site, &at("nobody", PASSWORD.1, "nova"), &login);
    all_refused(&site, &at("root", ADMIN_PASSWORD, "nowhere"), &["there is no such database as", "nowhere"]);
    all_refused(&site, &at("nova", PASSWORD.1, "nowhere"), &["does not let this user", "nowhere"]);
    all_refused(
        &site,
        &at("root", ADMIN_PASSWORD, "other"),
        &["is not a nova database", "no table instances"],
    );
    all_refused(
        &site,
        &at("ed", PASSWORD.1, "nova"),
        &["a way of logging in that hopline does not speak", "mysql_native_password"],
    );
    nobody(&site, "mysql");
    only_reads(&site, &at("reader", PASSWORD.1, "nova"), &["does not let this user", "UPDATE"]);
    a_gap(&site, &at("some", PASSWORD.1, "nova"));

    // Columns that every series has.
    run(&site.url, "ALTER TABLE fixed_ips RENAME COLUMN leased TO lent");
    all_refused(&site, &nova, &["fixed_ips has no column leased"]);
    refused(&site, &nova, &[undo], &["fixed_ips has no column leased"]);
    run(&site.url, "ALTER TABLE fixed_ips RENAME COLUMN lent TO leased");

    run(&site.url, "SET GLOBAL read_only = ON");
    only_reads(&site, &nova, &["cannot be written", "read-only", "nothing was changed", "replica"]);
    run(&site.url, "SET GLOBAL read_only = OFF");
    site.names(&nova);
    let done = hopline(site.path(), &["db", "release", ADDRESS, "--apply", "--minimal"]);
    let id = done.stdout.split(' ').next().unwrap();
    run(&site.url, "SET GLOBAL read_only = ON");
    assert_refused(&hopline(site.path(), &["db", "undo", id]), &["cannot be written", "nothing was changed"]);
    assert_eq!(site.state(), "new");
    site.server.as_mut().unwrap().kill();
    assert_refused(&hopline(site.path(), &["db", "undo", id]), &["cannot reach the database"]);
}

#[test]
fn on_postgresql() {
    let mut site = Site::postgresql();
    let port = site.server.as_ref().unwrap().port;
    let at = |user: &str, password: &str, name: &str| {
        format!("postgresql://{user}:{password}@127.0.0.1:{port}/{name}")
    };
    for (user, right) in [("nova", "ALL"), ("reader", "SELECT")] {
        run(&site.url, &format!("CREATE USER {user} PASSWORD '{}'", PASSWORD.0));
        run(&site.url, &format!("GRANT {right} ON ALL TABLES IN SCHEMA public TO {user}"));
    }
    run(&site.url, "CREATE DATABASE other");
    let nova = at("nova", PASSWORD.1, "nova");
    let id = record(&site, &nova);
    let undo: &[&str] = &["db", "undo", &id];
    let login = ["refuses this user and password", "password authentication failed"];
    all_refused(&site, &at("nova", "not-it", "nova"), &login);
    refused(&site, &at("nova", "not-it", "nova"), &[undo], &login);
    all_refused(&site, &at("nobody", PASSWORD.1, "nova"), &login);
    all_refused(&site, &at("nova", PASSWORD.1, "nowhere"), &["there is no such database as", "nowhere"]);
    all_refused(&site, &at("nova", PASSWORD.1, "other"), &["is not a nova database", "no table instances"]);
    nobody(&site, "postgresql");
    only_reads(
        &site,
        &at("reader", PASSWORD.1, "nova"),
        &["does not let this user", "permission denied", "UPDATE"],
    );
    run(&site.url, "REVOKE ALL ON services, security_groups FROM reader");
    a_gap(&site, &at("reader", PASSWORD.1, "nova"));
    // One column of a table that nothing can be said without.
    run(&site.url, "REVOKE ALL ON fixed_ips FROM reader; GRANT SELECT (id, address) ON fixed_ips TO reader");
    all_refused(
        &site,
        &at("reader", PASSWORD.1, "nova"),
        &["does not let this user", "fixed_ips", "grant it SELECT"],
    );

    run(&site.url, "ALTER TABLE fixed_ips RENAME COLUMN leased TO lent");
    all_refused(&site, &nova, &["fixed_ips has no column leased"]);
    run(&site.url, "ALTER TABLE fixed_ips RENAME COLUMN lent TO leased");

    run(&site.url, "ALTER ROLE nova SET default_transaction_read_only = on");
    only_reads(
        &site,
        &nova,
        &["cannot be written", "read-only transaction", "nothing was changed", "replica"],
    );
    run(&site.url, "ALTER ROLE nova RESET default_transaction_read_only");

    // A hot standby, whose primary is gone.
    let server = site.server.as_mut().unwrap();
    server.kill();
    std::fs::write(server.dir.path().join("data/standby.signal"), "").unwrap();
    server.start_again();
    site.names(&nova);
    for arguments in WRITES {
        let run = hopline(site.path(), arguments);
        assert_refused(&run, &["cannot be written", "nothing was changed", "replica"]);
        assert_no_password(&run);
    }
    assert_eq!(hopline(site.path(), READS[0]).code, 1, "it is read");
    assert_refused(&hopline(site.path(), undo), &["cannot be written"]);
}

/// A name that strangers gave, in rows that contradict each other: what is printed can be obeyed by no terminal, and
/// nothing panics.
fn odd_rows(site: &Site, more: &str) {
    site.names(&site.text);
    run(
        &site.url,
        "UPDATE instances SET hostname = 'we''b\"1\\\u{1b}[2J;--', display_name = '`rm`$(x)' WHERE id = 1; \
         UPDATE instances SET hostname = '''; DROP TABLE x; --' WHERE id = 2; \
         INSERT INTO instances (id, uuid, hostname, host, vm_state, deleted) VALUES (3, 'u-3', NULL, NULL, NULL, 0); \
         INSERT INTO virtual_interfaces (id, address, network_id, uuid, instance_uuid, deleted) VALUES \
         (3, 'no mac', 998, NULL, 'u-9', 0), (4, NULL, NULL, NULL, NULL, 0); \
         INSERT INTO fixed_ips (id, address, network_id, allocated, leased, reserved, virtual_interface_id, \
         instance_uuid, deleted) VALUES (30, '10.0.0.30', 999, TRUE, FALSE, TRUE, 1, 'u-3', 0), \
         (31, '10.0.0.2', 1, FALSE, TRUE, FALSE, 77, 'u-9', 0), (32, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0); \
         INSERT INTO floating_ips (id, address, fixed_ip_id, project_id, host, deleted) VALUES \
         (30, '203.0.113.10', 31, NULL, 'compute1', 0), (31, NULL, 4711, NULL, NULL, 0), \
         (32, '203.0.113.32', 32, NULL, '\u{1b}]0;x\u{7}', 0)",
    );
    run(&site.url, more);
    let commands: [&[&str]; 8] = [
        &["db", "check"],
        &["db", "check", "--json"],
        &["db", "check", "--minimal"],
        &["db", "show", "1"],
        &["db", "show", "3"],
        &["db", "show", "10.0.0.2"],
        &["db", "release", "203.0.113.32", "--apply"],
        &["db", "release", ADDRESS],
    ];
    for arguments in commands {
        let run = hopline(site.path(), arguments);
        assert!([0, 1, 2].contains(&run.code) && !run.stderr.contains("panicked"), "{arguments:?}: {run:?}");
        let is_obeyed = |text: &str| text.chars().any(|c| c != '\n' && c.is_control());
        assert!(!is_obeyed(&run.stdout) && !is_obeyed(&run.stderr), "{arguments:?}: {run:?}");
        if arguments[1] == "check" {
            assert_eq!(run.code, 1, "{run:?}");
        }
    }
    let by_name = hopline(site.path(), &["db", "show", "we'b\"1\\\u{1b}[2J;--"]);
    assert!(by_name.code < 2, "{by_name:?}");
    let report = hopline(site.path(), &["db", "check", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&report.stdout).unwrap();
    let codes: Vec<&str> =
        report["findings"].as_array().unwrap().iter().map(|f| f["code"].as_str().unwrap()).collect();
    for code in
        ["float-fixed-ip-gone", "fixed-ip-twice", "floating-ip-twice", "vif-orphan", "fixed-ip-leaked"]
    {
        assert!(codes.contains(&code), "{code} is missing: {codes:?}");
    }
}

/// The same where a row is a hundred megabytes, within less memory than that.
fn a_huge_row(site: &Site, fill: &str) {
    run(&site.url, fill);
    for arguments in [&["db", "check", "--json"][..], &["db", "show", "1"]] {
        let limit = ["--data=96000000", env!("CARGO_BIN_EXE_hopline")];
        let mut command = std::process::Command::new("prlimit");
        command.args(limit).args(arguments).current_dir(site.path()).env("HOME", site.path());
        let run = cli_support::read(command.output().unwrap());
        assert!(run.code < 2, "{run:?}");
        assert!(arguments[1] != "check" || run.stdout.contains("octets, which no NICs fill"), "{run:?}");
    }
}

#[test]
fn odd_rows_in_a_file() {
    let site = Site::sqlite();
    // Octets that are no UTF-8, and a NUL.
    odd_rows(
        &site,
        "UPDATE instances SET display_name = CAST(X'ff00fe41' AS TEXT), hostname = NULL WHERE id = 3",
    );
    let shown = hopline(site.path(), &["db", "show", "3", "--json"]);
    assert!(shown.stdout.contains("\u{fffd}"), "{shown:?}");
    // What could not be restored as it was is not touched.
    run(&site.url, "UPDATE floating_ips SET pool = CAST(X'ff' AS TEXT) WHERE id = 2");
    let refused = hopline(site.path(), &["db", "release", ADDRESS, "--apply"]);
    assert_refused(&refused, &["utf-8"]);
    assert_eq!(site.state(), "old");
    a_huge_row(
        &site,
        "UPDATE instance_info_caches SET network_info = replace(hex(zeroblob(50000000)), '0', 'x')",
    );
}

#[test]
fn odd_rows_on_mariadb() {
    let site = Site::mariadb(&["--max-allowed-packet=256M", "--sql-mode=NO_BACKSLASH_ESCAPES"]);
    let latin1 = "ALTER TABLE instances CONVERT TO CHARACTER SET latin1; \
                  UPDATE instances SET display_name = 0xe9006162, hostname = NULL WHERE id = 3";
    odd_rows(&site, latin1);
    let shown = hopline(site.path(), &["db", "show", "3", "--json"]);
    assert!(shown.stdout.contains('é'), "{shown:?}");
    run(&site.url, "ALTER TABLE instance_info_caches MODIFY network_info LONGTEXT");
    a_huge_row(&site, "UPDATE instance_info_caches SET network_info = REPEAT('x', 100000000)");
}

#[test]
fn odd_rows_on_postgresql() {
    let mut site = Site::postgresql();
    // A database that keeps whatever octets it is given.
    run(&site.url, "CREATE DATABASE octets TEMPLATE template0 ENCODING 'SQL_ASCII'");
    site.text = site.text.replace("/nova", "/octets");
    site.url = DatabaseUrl::parse(&site.text).unwrap();
    run(&site.url, &series::cloud("queens", &series::POSTGRESQL));
    odd_rows(&site, "UPDATE instances SET display_name = E'\\xff\\xfe', hostname = NULL WHERE id = 3");
    let shown = hopline(site.path(), &["db", "show", "3", "--json"]);
    assert!(shown.stdout.contains("\u{fffd}"), "{shown:?}");
    run(&site.url, "UPDATE floating_ips SET pool = E'\\xff' WHERE id = 2");
    assert_refused(&hopline(site.path(), &["db", "release", ADDRESS, "--apply"]), &["utf-8"]);
    a_huge_row(&site, "UPDATE instance_info_caches SET network_info = repeat('x', 100000000)");
}

/// Certificates in the server's folder, signed for 127.0.0.1 alone.
fn sign(dir: &Path) -> String {
    let folder = dir.join(OF_TEST);
    Authority::new(&folder).sign("server", "IP:127.0.0.1", 30);
    folder.display().to_string()
}

/// A server that lets nobody in without TLS: by a URL that forbids it (`off`) or cannot have it as it demands, each
/// with what is said, nothing is read and nothing changed; by one that trusts its authority all goes its way.
fn by_tls_alone(site: &Site, trusting: &str, off: (&str, &str), others: &[(String, &str)]) {
    let id = record(site, &format!("{}?{trusting}", site.text));
    let undo: &[&str] = &["db", "undo", &id];
    let off = (off.0.to_owned(), off.1);
    for (query, piece) in [&[off], others].concat() {
        let url = format!("{}?{query}", site.text);
        all_refused(site, &url, &[piece]);
        refused(site, &url, &[undo], &[piece]);
    }
    // The name in the certificate is not the one that is asked for.
    let named = format!("{}?{trusting}", site.text.replace("127.0.0.1", "localhost"));
    all_refused(site, &named, &["localhost", "certificate"]);
}

#[test]
fn without_the_tls_that_is_demanded() {
    let strangers = tempfile::tempdir().unwrap();
    let stranger: PathBuf = Authority::new(&strangers.path().join("stranger")).certificate();
    let stranger = stranger.display();

    let mut files = String::new();
    let site = Site::mariadb_with(|dir| {
        files = sign(dir);
        vec![
            format!("--ssl-cert={files}/server.pem"),
            format!("--ssl-key={files}/server.key"),
            "--require-secure-transport=ON".to_owned(),
        ]
    });
    let others =
        [(format!("ssl_ca={stranger}"), "UnknownIssuer"), ("ssl_ca=/none.pem".to_owned(), "/none.pem")];
    let off = ("ssl_disabled=true", "demands TLS of this user, which the URL forbids");
    by_tls_alone(&site, &format!("ssl_ca={files}/authority.pem"), off, &others);

    let site = Site::postgresql_with(|dir| {
        files = sign(dir);
        let hba = "hostssl all all 127.0.0.1/32 scram-sha-256\n";
        std::fs::write(dir.join("data/pg_hba.conf"), hba).unwrap();
        let pair = format!("ssl_cert_file={files}/server.pem -c ssl_key_file={files}/server.key");
        format!("-c ssl=on -c {pair}").split(' ').map(str::to_owned).collect()
    });
    let others = [
        (format!("sslmode=verify-ca&sslrootcert={stranger}"), "UnknownIssuer"),
        ("sslmode=verify-full".to_owned(), "sslrootcert=FILE"),
    ];
    let trusting = format!("sslmode=verify-full&sslrootcert={files}/authority.pem");
    by_tls_alone(&site, &trusting, ("sslmode=disable", "no encryption"), &others);
}
