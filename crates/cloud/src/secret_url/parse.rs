//! The forms of a database URL that are read, and what each part of them is.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::num::NonZeroU16;
use std::path::PathBuf;

use super::{DatabaseUrl, Server, Target, UrlError};
use crate::tls::{self, Tls};

pub(super) fn parse_with(
    text: &str,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<DatabaseUrl, UrlError> {
    let text = expand(text.trim(), &variable)?;
    let (scheme, rest) = text.split_once(':').ok_or(UrlError::NoScheme)?;
    let is_scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '_');
    if scheme.is_empty() || !scheme.chars().all(is_scheme) {
        return Err(UrlError::NoScheme);
    }
    let scheme = scheme.to_ascii_lowercase();
    let kind = scheme.split_once('+').map_or(scheme.as_str(), |(kind, _driver)| kind);
    if kind == "sqlite" {
        return Ok(DatabaseUrl { target: Target::Sqlite(sqlite_path(rest)?) });
    }
    let rest = rest.strip_prefix("//").ok_or(UrlError::NoScheme)?;
    let target = match kind {
        "mysql" | "mariadb" => Target::MySql(server(rest, &OF_MYSQL, tls::of_mysql)?),
        "postgresql" | "postgres" => {
            let with_environment =
                |parameters: &_| tls::of_postgres(&tls::with_libpqs(parameters, &variable));
            let server = server(rest, &OF_LIBPQ, with_environment)?;
            // As libpq does, and the driver; known here, it is kept out of what prints as well.
            let of_environment = || variable("PGPASSWORD").filter(|password| !password.is_empty());
            let password = server.password.clone().or_else(of_environment);
            Target::Postgres(Server { password, ..server })
        }
        _ => return Err(UrlError::UnknownScheme { scheme: kind.to_owned() }),
    };
    Ok(DatabaseUrl { target })
}

/// Replaces each `${NAME}`. What a variable holds is not looked into for further ones.
fn expand(text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<String, UrlError> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, tail) = after.split_once('}').ok_or(UrlError::BadVariable)?;
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(UrlError::BadVariable);
        }
        let value = variable(name).ok_or_else(|| UrlError::Unset { name: name.to_owned() })?;
        out.push_str(before);
        out.push_str(&value);
        rest = tail;
    }
    out.push_str(rest);
    Ok(out)
}

/// `PATH`, `//PATH`, or, as SQLAlchemy has it, behind three slashes: `///RELATIVE`, `////ABSOLUTE`.
fn sqlite_path(rest: &str) -> Result<PathBuf, UrlError> {
    let path = rest.split_once('?').map_or(rest, |(path, _)| path);
    let path = path.strip_prefix("///").or_else(|| path.strip_prefix("//")).unwrap_or(path);
    if path.is_empty() || path == "/" || path.contains(":memory:") {
        return Err(UrlError::NoFile);
    }
    Ok(PathBuf::from(path))
}

/// What a driver calls the parts of a URL. SQLAlchemy hands the query on beside them, and what stands there by the same
/// name has the last word (`create_connect_args` of its dialects).
struct Names {
    host: &'static str,
    port: &'static str,
    user: &'static str,
    password: &'static [&'static str],
    database: &'static [&'static str],
    /// A Unix socket, which the host may be, too.
    socket: &'static str,
}

/// `pymysql.connect`, `MySQLdb.connect`
const OF_MYSQL: Names = Names {
    host: "host",
    port: "port",
    user: "user",
    password: &["passwd", "password"],
    database: &["db", "database"],
    socket: "unix_socket",
};

/// libpq manual, "Parameter Key Words".
const OF_LIBPQ: Names = Names {
    host: "host",
    port: "port",
    user: "user",
    password: &["password"],
    database: &["dbname"],
    socket: "host",
};

/// `[USER[:PASSWORD]@][HOST][:PORT]/DATABASE[?QUERY]`
fn server(
    rest: &str,
    names: &Names,
    tls: impl Fn(&BTreeMap<String, String>) -> Result<Tls, UrlError>,
) -> Result<Server, UrlError> {
    let (account, place) = match rest.rsplit_once('@') {
        Some((account, _)) if has_query(account) => return Err(UrlError::AtInQuery),
        Some((account, place)) => (Some(account), place),
        None => (None, rest),
    };
    let (user, password) = match account.map(|a| a.split_once(':').map_or((a, None), |(u, p)| (u, Some(p)))) {
        Some((user, password)) => (Some(decode(user)), password.map(decode)),
        None => (None, None),
    };
    let (place, query) = place.split_once('?').unwrap_or((place, ""));
    let (address, database) = place.split_once('/').ok_or(UrlError::NoDatabase)?;
    let (host, port) = host_and_port(address)?;
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let parameters: BTreeMap<_, _> = pairs.map(|(key, value)| (decode(key), decode(value))).collect();
    let said = |name: &str| parameters.get(name).cloned();
    let one_said = |names: &[&str]| names.iter().find_map(|name| said(name));
    let socket = said(names.socket).filter(|path| path.starts_with('/')).map(PathBuf::from);
    let (host, port) = match said(names.host).filter(|host| !host.starts_with('/')) {
        // A name may have its port here as well; an address of IPv6 has colons of its own.
        Some(host) if host.parse::<Ipv6Addr>().is_ok() => (host, port),
        Some(host) => host_and_port(&host).map(|(host, own)| (host.to_owned(), own.or(port)))?,
        None => (host.to_owned(), port),
    };
    let port = port_number(&said(names.port).unwrap_or_default())?.or(port);
    let database = one_said(names.database).unwrap_or_else(|| decode(database));
    if database.is_empty() {
        return Err(UrlError::NoDatabase);
    }
    Ok(Server {
        host,
        port,
        user: said(names.user).or(user).filter(|user| !user.is_empty()),
        // To the drivers an empty one is one, which is sent; SQLAlchemy gives them none then.
        password: one_said(names.password).or(password).filter(|password| !password.is_empty()),
        database,
        socket,
        tls: tls(&parameters)?,
    })
}

/// What should be a user and a password goes on to a database and a parameter: `USER:PASSWORD@HOST/DATABASE?KEY=VALUE`,
/// or `HOST/DATABASE?KEY=VALUE`.
fn has_query(account: &str) -> bool {
    let behind = account.split_once('@').map_or(account, |(_, place)| place);
    let query = behind.split_once('/').and_then(|(_, database)| database.split_once('?'));
    query.is_some_and(|(_, query)| query.contains('='))
}

fn host_and_port(address: &str) -> Result<(&str, Option<u16>), UrlError> {
    let (host, port) = match address.strip_prefix('[').and_then(|a| a.split_once(']')) {
        Some((v6, "")) => (v6, ""),
        Some((v6, port)) => (v6, port.strip_prefix(':').ok_or(UrlError::BadPort)?),
        None => address.split_once(':').unwrap_or((address, "")),
    };
    Ok((host, port_number(port)?))
}

/// None where nothing is said.
fn port_number(text: &str) -> Result<Option<u16>, UrlError> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse::<NonZeroU16>().map(|port| Some(port.get())).map_err(|_| UrlError::BadPort)
}

/// %-decodes; what is no escape stays as it is, since passwords with a bare `%` are common.
fn decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, tail @ ..] = rest {
        match (byte, tail) {
            (b'%', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                out.push(hex_digit(*high) << 4 | hex_digit(*low));
                rest = after;
            }
            _ => {
                out.push(*byte);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Value of an ASCII hex digit.
fn hex_digit(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}
