//! URLs, good and bad, and what of them is shown.

use super::parse::parse_with;
use super::*;

fn parse(text: &str) -> Result<DatabaseUrl, UrlError> {
    parse_with(text, |name| (name == "PW").then(|| "s3cr3t@x".to_owned()))
}

fn account(url: &DatabaseUrl) -> &Server {
    match &url.target {
        Target::MySql(server) | Target::Postgres(server) => server,
        Target::Sqlite(_) => panic!("{url} is a file"),
    }
}

#[test]
fn sqlalchemy_forms_are_read() {
    let url = parse("mysql+pymysql://nova:p%40ss%2Fw%25d@db.example:3307/nova?charset=utf8").unwrap();
    let server = account(&url);
    assert_eq!((server.host.as_str(), server.port), ("db.example", Some(3307)));
    assert_eq!(server.password.as_deref(), Some("p@ss/w%d"));
    assert_eq!(url.to_string(), "mysql://nova@db.example:3307/nova");

    let url = parse("postgresql+psycopg2://nova:x%zz@[2001:db8::1]/nova").unwrap();
    assert_eq!(account(&url).password.as_deref(), Some("x%zz"));
    assert_eq!(url.to_string(), "postgresql://nova@[2001:db8::1]/nova");

    let url = parse("mariadb://nova@localhost/nova?unix_socket=/run/mysqld/mysqld.sock").unwrap();
    assert_eq!(account(&url).socket.as_deref(), Some("/run/mysqld/mysqld.sock".as_ref()));
    assert_eq!(url.to_string(), "mysql://nova@unix(/run/mysqld/mysqld.sock)/nova");
}

#[test]
fn an_at_sign_in_the_query_makes_no_host_of_what_follows() {
    for query in [
        "mysql+pymysql://nova:pw@db/nova?ssl_ca=/etc/a@b/ca.pem",
        "mysql://db/nova?ssl_ca=/etc/a@b/ca.pem",
        "mysql:///nova?unix_socket=/run/a@b/s",
    ] {
        let refused = parse(query);
        assert!(matches!(refused, Err(UrlError::AtInQuery)), "{query}: {refused:?}");
    }
    assert!(parse("mysql://nova:pw@db/nova?ssl_ca=/etc/a%40b/ca.pem").is_ok());
    assert!(parse("mysql://nova:p?=@db/nova").is_ok());
}

#[test]
fn a_bare_at_sign_and_slash_belong_to_the_password() {
    let url = parse("mysql://nova:a@b/c:d@db/nova").unwrap();
    assert_eq!(account(&url).password.as_deref(), Some("a@b/c:d"));
    assert_eq!(url.to_string(), "mysql://nova@db/nova");
}

#[test]
fn sqlite_paths() {
    let expected = [
        ("sqlite:nova.db", "nova.db"),
        ("sqlite:/var/lib/nova.db", "/var/lib/nova.db"),
        ("sqlite://nova.db", "nova.db"),
        ("sqlite:///nova.db?mode=ro", "nova.db"),
        ("sqlite:///var/lib/nova.db", "var/lib/nova.db"),
        ("sqlite:////var/lib/nova.db", "/var/lib/nova.db"),
        ("sqlite+pysqlite:////var/lib/nova.db", "/var/lib/nova.db"),
        ("sqlite+pysqlite:///nova.db", "nova.db"),
    ];
    for (text, path) in expected {
        match parse(text).unwrap().target {
            Target::Sqlite(found) => assert_eq!(found, PathBuf::from(path), "{text}"),
            Target::MySql(_) | Target::Postgres(_) => panic!("{text} is a file"),
        }
    }
    for text in ["sqlite:", "sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite::memory:"] {
        assert_eq!(parse(text).unwrap_err(), UrlError::NoFile, "{text}");
    }
}

/// SQLAlchemy's drivers are given the rest of the URL, and then whatever the query has of the same names.
#[test]
fn the_query_has_the_last_word_of_server_and_account() {
    let place = |text: &str| {
        let url = parse(text).unwrap();
        let Server { host, port, user, password, database, socket, .. } = account(&url).clone();
        let socket = socket.map(|path| path.display().to_string());
        (socket.unwrap_or(host), port, user.unwrap_or_default(), password.unwrap_or_default(), database)
    };
    let expected = |host: &str, port: u16| {
        let [host, user, password, database] = [host, "nova", "pw", "nova"].map(str::to_owned);
        (host, Some(port), user, password, database)
    };
    for (text, host, port) in [
        ("postgresql://nova:pw@/nova?host=/run/pg&port=5433", "/run/pg", 5433),
        ("postgresql://nova:pw@db:1/nova?port=5433", "db", 5433),
        ("postgresql://nova:pw@other:1/nova?host=db&port=5433", "db", 5433),
        ("postgresql:///nova?user=nova&password=pw&host=db:5433", "db", 5433),
        ("postgresql:///?dbname=nova&user=nova&password=pw&host=2001:db8::1&port=5433", "2001:db8::1", 5433),
        ("mysql://nova:pw@db/nova?port=3307", "db", 3307),
        ("mysql+pymysql://other:no@db/other?user=nova&passwd=pw&db=nova&port=3307", "db", 3307),
        ("mysql://nova:pw@/nova?unix_socket=/run/mysqld.sock&port=3307", "/run/mysqld.sock", 3307),
    ] {
        assert_eq!(place(text), expected(host, port), "{text}");
    }
    for text in ["postgresql://nova@/nova?host=/run/pg&port=x", "mysql://nova@db/nova?port=0"] {
        assert_eq!(parse(text).unwrap_err(), UrlError::BadPort, "{text}");
    }
    let url = parse("postgresql:///nova?user=nova&password=hunter2&host=db").unwrap();
    assert!(!format!("{url} {url:?}").contains("hunter2"));
    assert_eq!(url.without_password("not 'hunter2'"), "not '***'");
}

/// As SQLAlchemy has it, an empty password is none.
#[test]
fn an_empty_password_is_none() {
    for text in
        ["mysql://root:@h/db", "mysql://root@h/db", "postgresql://root:@h/db", "mysql://root:pw@h/db?passwd="]
    {
        assert_eq!(account(&parse(text).unwrap()).password, None, "{text}");
    }
    let variable = |name: &str| (name == "PGPASSWORD").then(|| "hunter2".to_owned());
    let url = parse_with("postgresql://nova:@db/nova", variable).unwrap();
    assert_eq!(account(&url).password.as_deref(), Some("hunter2"));
}

#[test]
fn variables_are_expanded_and_a_missing_one_is_named() {
    let url = parse("mysql://nova:${PW}@db/nova").unwrap();
    assert_eq!(account(&url).password.as_deref(), Some("s3cr3t@x"));
    let error = parse("mysql://nova:${NOVA_PW}@db/nova").unwrap_err();
    assert_eq!(error, UrlError::Unset { name: "NOVA_PW".into() });
    assert!(error.to_string().contains("NOVA_PW is not set"), "{error}");
    assert_eq!(parse("mysql://nova:${PW@db/nova").unwrap_err(), UrlError::BadVariable);
}

#[test]
fn errors_are_told_apart() {
    assert_eq!(parse("nova").unwrap_err(), UrlError::NoScheme);
    assert_eq!(parse("mysql:nova").unwrap_err(), UrlError::NoScheme);
    assert_eq!(parse("oracle://x/y").unwrap_err(), UrlError::UnknownScheme { scheme: "oracle".into() });
    assert_eq!(parse("mysql://nova:pw@db").unwrap_err(), UrlError::NoDatabase);
    assert_eq!(parse("mysql://nova:pw@db/?x=y").unwrap_err(), UrlError::NoDatabase);
    assert_eq!(parse("mysql://nova:pw/nova").unwrap_err(), UrlError::BadPort);
}

#[test]
fn a_password_of_the_environment_is_as_secret_as_one_of_the_url() {
    let variable = |name: &str| (name == "PGPASSWORD").then(|| "hunter2".to_owned());
    let url = parse_with("postgresql://nova@db/nova", variable).unwrap();
    assert_eq!(account(&url).password.as_deref(), Some("hunter2"));
    assert_eq!(url.without_password("no pg_hba line for 'hunter2'"), "no pg_hba line for '***'");
    assert!(!format!("{url} {url:?}").contains("hunter2"));
    let url = parse_with("postgresql://nova:own@db/nova", variable).unwrap();
    assert_eq!(account(&url).password.as_deref(), Some("own"), "the URL has the last word");
    let url = parse_with("mysql://nova@db/nova", variable).unwrap();
    assert_eq!(account(&url).password, None);
}

#[test]
fn what_a_server_says_is_shown_without_password_and_escapes() {
    let url = parse("mysql://nova:hunter2@db/nova").unwrap();
    assert_eq!(url.without_password("no \u{1b}[31m for 'hunter2'"), "no \\u{1b}[31m for '***'");
}

/// What the URL shows anyway, and what servers say to everybody, tells no password.
#[test]
fn only_the_password_is_blanked_out() {
    let mysql = "Access denied for user 'nova'@'localhost' (using password: YES)";
    let postgres = "password authentication failed for user \"nova\"";
    for password in ["nova", "nov", "password", "user", "e", "localhost"] {
        let url = parse(&format!("mysql://nova:{password}@localhost/nova")).unwrap();
        assert_eq!(url.without_password(mysql), mysql, "{password}");
        let url = parse(&format!("postgresql://nova:{password}@localhost/nova")).unwrap();
        assert_eq!(url.without_password(postgres), postgres, "{password}");
    }
    let url = parse("mysql://nova:nova1@db/nova").unwrap();
    assert_eq!(url.without_password("nova: not 'nova1', nova"), "nova: not '***', nova");
    let url = parse("mysql://nova:ov@db/nova").unwrap();
    assert_eq!(url.without_password("'nova' ov nova1"), "'nova' *** nova1");
}
