//! Properties of database URLs: no text makes parsing panic, and no password is ever shown.

#![allow(clippy::unwrap_used, clippy::panic, reason = "clippy takes a test's helpers for production code")]

use cloud::DatabaseUrl;
use proptest::prelude::*;

/// %-encodes everything but letters and digits.
fn encoded(text: &str) -> String {
    let byte =
        |b: u8| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") };
    text.bytes().map(byte).collect()
}

fn shown(result: &Result<DatabaseUrl, cloud::UrlError>) -> String {
    match result {
        Ok(url) => format!("{url} {url:?} {url:#?}"),
        Err(error) => format!("{error} {error:?} {error:#?}"),
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        let _ = DatabaseUrl::parse(&text);
        let _ = DatabaseUrl::parse(&format!("mysql://{text}"));
        let _ = DatabaseUrl::parse(&format!("sqlite:{text}"));
    }

    /// The marker `hunter2` stands in every password and nowhere else.
    #[test]
    fn no_password_is_shown(
        scheme in "(mysql|mariadb|postgresql|postgres|oracle)(\\+[a-z0-9]{1,8})?",
        password in "[ -~&&[^$]]{0,6}hunter2[ -~&&[^$]]{0,6}",
        tail in "(@db)?(:[0-9a-z]{0,6})?(/[a-z]{0,6})?(\\?[a-z=&]{0,12})?",
    ) {
        for password in [encoded(&password), password] {
            let result = DatabaseUrl::parse(&format!("{scheme}://nova:{password}@db{tail}"));
            prop_assert!(!shown(&result).contains("hunter2"), "{}", shown(&result));
        }
    }

    /// Nor one that stands behind the `?`.
    #[test]
    fn no_password_of_the_query_is_shown(
        scheme in "(mysql|postgresql|oracle)(\\+[a-z0-9]{1,8})?",
        name in "(password|passwd)",
        password in "[ -~&&[^$]]{0,6}hunter2[ -~&&[^$]]{0,6}",
        port in "[0-9a-z]{0,6}",
    ) {
        for password in [encoded(&password), password] {
            let result = DatabaseUrl::parse(&format!("{scheme}://nova@db/nova?{name}={password}&port={port}"));
            prop_assert!(!shown(&result).contains("hunter2"), "{}", shown(&result));
        }
    }

    #[test]
    fn what_is_shown_has_no_control_characters(
        user in "\\PC{0,4}[\\x00-\\x1f]?",
        host in "[a-z\\x1b\\x07]{1,8}",
        database in "[a-z\\x00-\\x1f]{1,8}",
    ) {
        let result = DatabaseUrl::parse(&format!("mysql://{user}:pw@{host}/{database}"));
        let text = match &result {
            Ok(url) => url.to_string(),
            Err(error) => error.to_string(),
        };
        prop_assert!(!text.chars().any(char::is_control), "{text:?}");
    }
}

#[test]
fn a_variable_comes_from_the_environment() {
    let cargo = std::env::var("CARGO_PKG_NAME").unwrap();
    let url = DatabaseUrl::parse("mysql://nova@db/${CARGO_PKG_NAME}").unwrap();
    assert_eq!(url.to_string(), format!("mysql://nova@db/{cargo}"));
}
