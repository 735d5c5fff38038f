//! Why no protected connection came about, in words that say what to do.

use std::fmt;

use rustls::CertificateError;

use crate::tls::Demand;

/// What keeps a connection from being protected as it must.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsProblem {
    /// The server lets nobody in without TLS, and the URL forbids it or the server offers none to us.
    Demanded,
    /// The URL demands TLS, and the server has none.
    NotOffered,
    /// The server's certificate is of nobody who is trusted.
    UnknownCa,
    /// The server's certificate is for other names.
    OtherName,
    /// The server's certificate is no longer valid, or not yet.
    OutOfTime,
    /// The server wants a certificate of ours, or another one.
    OursRefused,
    /// Anything else between the two.
    Handshake,
}

impl fmt::Display for TlsProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TlsProblem::Demanded => {
                "it lets nobody in without TLS; take ssl_disabled, ssl_mode or sslmode=disable out of the URL in \
                 [cloud] database, and switch TLS on where the server offers none"
            }
            TlsProblem::NotOffered => {
                "the URL demands TLS, and the server offers none; \
                 give it a certificate, or take ssl_... or sslmode out of the URL in [cloud] database"
            }
            TlsProblem::UnknownCa => {
                "nobody who is trusted vouches for its certificate; name the authority that signed it, with \
                 ssl_ca=FILE (MySQL) or sslrootcert=FILE (PostgreSQL) in [cloud] database"
            }
            TlsProblem::OtherName => {
                "its certificate is for another name; write the host as the certificate has it, or have the name not \
                 checked: ssl_check_hostname=false (MySQL), sslmode=verify-ca (PostgreSQL). Then whoever has a \
                 certificate of any public authority passes for it"
            }
            TlsProblem::OutOfTime => {
                "its certificate is not valid at this time; renew it, or set this machine's clock right"
            }
            TlsProblem::OursRefused => {
                "it wants a certificate of ours that it trusts; name one with its key, by ssl_cert and ssl_key \
                 (MySQL) or sslcert and sslkey (PostgreSQL)"
            }
            TlsProblem::Handshake => {
                "server and hopline, which speaks TLS 1.2 and 1.3, do not come to terms; \
                 `openssl s_client -starttls mysql` or `postgres` shows what the server speaks"
            }
        })
    }
}

/// The problem, where TLS is what an error of the driver is about.
pub(crate) fn problem(error: &sqlx::Error) -> Option<TlsProblem> {
    match error {
        // The driver's own: the server offers none, or the files of the URL do not serve.
        sqlx::Error::Tls(why) if why.to_string().contains("does not support TLS") => {
            Some(TlsProblem::NotOffered)
        }
        sqlx::Error::Tls(_) => Some(TlsProblem::Handshake),
        sqlx::Error::Io(error) => {
            let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
            Some(of_rustls(error))
        }
        _ => None,
    }
}

fn of_rustls(error: &rustls::Error) -> TlsProblem {
    use rustls::AlertDescription as Alert;
    match error {
        rustls::Error::InvalidCertificate(why) => match why {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => TlsProblem::UnknownCa,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                TlsProblem::OtherName
            }
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => TlsProblem::OutOfTime,
            // One that signed itself is an authority's in the place of a server's.
            CertificateError::Other(other) if format!("{other:?}").contains("CaUsedAsEndEntity") => {
                TlsProblem::UnknownCa
            }
            _ => TlsProblem::Handshake,
        },
        rustls::Error::AlertReceived(
            Alert::CertificateRequired
            | Alert::BadCertificate
            | Alert::UnknownCA
            | Alert::CertificateUnknown
            | Alert::CertificateExpired
            | Alert::CertificateRevoked
            | Alert::UnsupportedCertificate,
        ) => TlsProblem::OursRefused,
        _ => TlsProblem::Handshake,
    }
}

/// What PostgreSQL refuses for want of TLS has the code of any line that `pg_hba.conf` lacks; its words tell
/// (libpq/auth.c `ClientAuthentication`; before version 14 "SSL off").
pub(crate) fn of_postgres(message: &str) -> Option<TlsProblem> {
    if message.ends_with("no encryption") || message.ends_with("SSL off") {
        return Some(TlsProblem::Demanded);
    }
    message.contains("client certificate").then_some(TlsProblem::OursRefused)
}

/// MySQL refuses a user who must come by TLS in the very words in which it refuses a wrong password.
pub(crate) fn hidden_demand(demand: Demand) -> &'static str {
    if demand == Demand::Never { " (or it demands TLS of this user, which the URL forbids)" } else { "" }
}
