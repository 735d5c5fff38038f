//! How far a connection is to be protected, as the URL asks for it in the words of its own driver.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::connection::is_postgres_by_socket;
use crate::database_error::DatabaseError;
use crate::secret_url::{DatabaseUrl, Target, UrlError};

/// A file of certificates is a few kilobytes; the largest bundles of all public authorities are a quarter of this.
const BYTES_MAX: u64 = 1 << 20;

/// What the server must give or prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Demand {
    /// Nothing is encrypted.
    Never,
    /// Encrypted where the server offers it, whoever it is.
    IfOffered,
    /// Encrypted, whoever the server is.
    Always,
    /// And its certificate is of an authority that is trusted.
    KnownCa,
    /// And is for the very name that the URL has.
    KnownName,
}

/// What a URL asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tls {
    pub(crate) demand: Demand,
    /// Authorities that are trusted beside the system's: sqlx has no way to trust these alone.
    pub(crate) ca: Option<PathBuf>,
    /// Our certificate and its key.
    pub(crate) own: Option<(PathBuf, PathBuf)>,
}

/// A URL's parameters.
pub(crate) type Parameters = BTreeMap<String, String>;

/// The words of `PyMySQL` and mysqlclient, as SQLAlchemy hands them on. As soon as it is told of an authority, the
/// former checks the server's name (pymysql/connections.py `_create_ssl_ctx`), the latter only the authority. Here both
/// check the name, unless the URL says not to: the public authorities that the system trusts are trusted beside the
/// named one, and vouch for anybody, but not for a database of a private name.
pub(crate) fn of_mysql(parameters: &Parameters) -> Result<Tls, UrlError> {
    let flag = |name: &'static str| match parameters.get(name).map(|value| value.to_ascii_lowercase()) {
        None => Ok(None),
        Some(value) => match value.as_str() {
            "1" | "true" | "yes" | "on" | "required" => Ok(Some(true)),
            "0" | "false" | "no" | "off" | "none" | "" => Ok(Some(false)),
            _ => Err(UrlError::Tls { parameter: name, wanted: "true or false" }),
        },
    };
    let path = |name: &str| parameters.get(name).filter(|path| !path.is_empty()).map(PathBuf::from);
    if parameters.contains_key("ssl_capath") && path("ssl_ca").is_none() {
        return Err(UrlError::Tls { parameter: "ssl_capath", wanted: "named as one file, by ssl_ca=FILE" });
    }
    let ca = path("ssl_ca");
    // A key may stand in the same file as its certificate.
    let own = path("ssl_cert").map(|cert| {
        let key = path("ssl_key").unwrap_or_else(|| cert.clone());
        (cert, key)
    });
    if own.is_none() && path("ssl_key").is_some() {
        return Err(UrlError::Tls { parameter: "ssl_key", wanted: "given together with ssl_cert" });
    }
    let mut demand = Demand::IfOffered;
    if own.is_some() || flag("ssl")? == Some(true) {
        demand = Demand::Always;
    }
    if ca.is_some() {
        demand = Demand::KnownName;
    }
    match parameters.get("ssl_mode").map(|mode| mode.to_ascii_lowercase().replace('-', "_")).as_deref() {
        None => {}
        Some("disabled") => demand = Demand::Never,
        Some("preferred") => demand = Demand::IfOffered,
        Some("required") => demand = Demand::Always,
        Some("verify_ca") => demand = Demand::KnownCa,
        Some("verify_identity") => demand = Demand::KnownName,
        Some(_) => {
            let wanted = "DISABLED, PREFERRED, REQUIRED, VERIFY_CA or VERIFY_IDENTITY";
            return Err(UrlError::Tls { parameter: "ssl_mode", wanted });
        }
    }
    match flag("ssl_verify_cert")? {
        // Said of VERIFY_CA it says nothing new.
        Some(true) if demand < Demand::KnownCa => demand = Demand::KnownName,
        Some(false) => demand = demand.min(Demand::Always),
        Some(true) | None => {}
    }
    for name in ["ssl_check_hostname", "ssl_verify_identity"] {
        match flag(name)? {
            Some(true) => demand = Demand::KnownName,
            Some(false) => demand = demand.min(Demand::KnownCa),
            None => {}
        }
    }
    if flag("ssl_disabled")? == Some(true) {
        demand = Demand::Never;
    }
    Ok(Tls { demand, ca, own })
}

/// libpq takes what a URL does not say from the environment (libpq manual, "Environment Variables"), and so would nova.
pub(crate) fn with_libpqs(parameters: &Parameters, variable: impl Fn(&str) -> Option<String>) -> Parameters {
    let names = ["sslmode", "sslrootcert", "sslcert", "sslkey"];
    let said = names.map(|name| (name.to_owned(), variable(&format!("PG{}", name.to_ascii_uppercase()))));
    let said =
        said.into_iter().filter_map(|(name, value)| Some((name, value.filter(|value| !value.is_empty())?)));
    let mut all: Parameters = said.collect();
    all.extend(parameters.clone());
    all
}

/// libpq's words, which psycopg2 hands on as they are. `require` trusts whoever it is, but where an authority is named
/// (libpq manual, "SSL Support", `sslmode`): there only that, and here the name as well, as for MySQL. `allow` begins
/// without TLS there, and with it here.
pub(crate) fn of_postgres(parameters: &Parameters) -> Result<Tls, UrlError> {
    let path = |name: &str| parameters.get(name).filter(|path| !path.is_empty()).map(PathBuf::from);
    let is_systems = parameters.get("sslrootcert").is_some_and(|root| root == "system");
    let ca = path("sslrootcert").filter(|_| !is_systems);
    let demand = match parameters.get("sslmode").map(String::as_str) {
        // libpq would look at nothing, and go on in the clear: who names an authority means it to be asked.
        None if is_systems || ca.is_some() => Demand::KnownName,
        None | Some("allow" | "prefer") => Demand::IfOffered,
        Some("disable") => Demand::Never,
        Some("require") if ca.is_some() => Demand::KnownName,
        Some("require") => Demand::Always,
        Some("verify-ca") => Demand::KnownCa,
        Some("verify-full") => Demand::KnownName,
        Some(_) => {
            let wanted = "disable, allow, prefer, require, verify-ca or verify-full";
            return Err(UrlError::Tls { parameter: "sslmode", wanted });
        }
    };
    let own = match (path("sslcert"), path("sslkey")) {
        (Some(cert), Some(key)) => Some((cert, key)),
        (None, None) => None,
        (Some(_), None) => {
            return Err(UrlError::Tls { parameter: "sslcert", wanted: "given together with sslkey" });
        }
        (None, Some(_)) => {
            return Err(UrlError::Tls { parameter: "sslkey", wanted: "given together with sslcert" });
        }
    };
    Ok(Tls { demand, ca, own })
}

/// Refuses files that are none, or hold nothing of the kind: the driver would only say that no server can be trusted.
pub(crate) fn check_files(url: &DatabaseUrl) -> Result<(), DatabaseError> {
    let tls = match &url.target {
        // By a Unix socket nothing is encrypted, whatever is demanded.
        Target::Postgres(server) if is_postgres_by_socket(server) => return Ok(()),
        Target::MySql(server) | Target::Postgres(server) => &server.tls,
        Target::Sqlite(_) => return Ok(()),
    };
    let own = tls.own.iter().flat_map(|(cert, key)| [(cert, "CERTIFICATE"), (key, "PRIVATE KEY")]);
    for (path, kind) in tls.ca.iter().map(|ca| (ca, "CERTIFICATE")).chain(own) {
        check_file(path, kind).map_err(|why| DatabaseError::TlsFile {
            database: url.to_string(),
            path: path.display().to_string(),
            why,
        })?;
    }
    Ok(())
}

fn check_file(path: &Path, kind: &str) -> Result<(), String> {
    let file = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !file.is_file() || file.len() > BYTES_MAX {
        return Err(format!("not a file of at most {BYTES_MAX} bytes"));
    }
    let text = std::fs::read(path).map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&text);
    // RSA and EC keys have a word in between.
    let begins =
        |line: &str| line.starts_with("-----BEGIN ") && line.trim_end().ends_with(&format!("{kind}-----"));
    if text.lines().any(begins) { Ok(()) } else { Err(format!("no {kind} in PEM form is in it")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(query: &str) -> Parameters {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn mysql_drivers_say_it_in_many_ways() {
        let demand = |query| of_mysql(&parameters(query)).map(|tls| tls.demand);
        for (query, expected) in [
            ("charset=utf8", Demand::IfOffered),
            ("ssl_ca=/ca.pem", Demand::KnownName),
            ("ssl_ca=/ca.pem&ssl_verify_cert=true", Demand::KnownName),
            ("ssl_ca=/ca.pem&ssl_check_hostname=false", Demand::KnownCa),
            ("ssl_ca=/ca.pem&ssl_mode=VERIFY_CA", Demand::KnownCa),
            ("ssl_ca=/ca.pem&ssl_verify_identity=true", Demand::KnownName),
            ("ssl_ca=/ca.pem&ssl_verify_cert=false", Demand::Always),
            ("ssl_verify_cert=true", Demand::KnownName),
            ("ssl_verify_cert=true&ssl_check_hostname=false", Demand::KnownCa),
            ("ssl_cert=/own.pem", Demand::Always),
            ("ssl_mode=VERIFY_IDENTITY", Demand::KnownName),
            ("ssl=true", Demand::Always),
            ("ssl_ca=/ca.pem&ssl_disabled=1", Demand::Never),
        ] {
            assert_eq!(demand(query), Ok(expected), "{query}");
        }
        for query in ["ssl_mode=sure", "ssl_key=/key.pem", "ssl_capath=/etc/ssl", "ssl_verify_cert=maybe"] {
            assert!(matches!(demand(query), Err(UrlError::Tls { .. })), "{query}");
        }
        let own = of_mysql(&parameters("ssl_cert=/own.pem")).unwrap().own;
        assert_eq!(own, Some(("/own.pem".into(), "/own.pem".into())));
    }

    #[test]
    fn libpqs_words() {
        let demand = |query| of_postgres(&parameters(query)).map(|tls| tls.demand);
        for (query, expected) in [
            ("", Demand::IfOffered),
            ("sslmode=disable", Demand::Never),
            ("sslmode=require", Demand::Always),
            ("sslrootcert=/ca.pem", Demand::KnownName),
            ("sslmode=prefer&sslrootcert=/ca.pem", Demand::IfOffered),
            ("sslmode=require&sslrootcert=/ca.pem", Demand::KnownName),
            ("sslmode=verify-ca&sslrootcert=/ca.pem", Demand::KnownCa),
            ("sslmode=verify-full&sslrootcert=/ca.pem", Demand::KnownName),
            ("sslrootcert=system", Demand::KnownName),
        ] {
            assert_eq!(demand(query), Ok(expected), "{query}");
        }
        let environment = |name: &str| (name == "PGSSLMODE").then(|| "verify-full".to_owned());
        let with = |query| of_postgres(&with_libpqs(&parameters(query), environment)).map(|tls| tls.demand);
        assert_eq!(with("application_name=nova"), Ok(Demand::KnownName));
        assert_eq!(with("sslmode=require"), Ok(Demand::Always), "the URL has the last word");
        for query in ["sslmode=verify_full", "sslmode=", "sslcert=/own.pem", "sslkey=/key.pem"] {
            assert!(matches!(demand(query), Err(UrlError::Tls { .. })), "{query}");
        }
    }
}
