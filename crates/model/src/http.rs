//! What a web server answers (RFC 9112).

use serde::{Deserialize, Serialize};

/// A page that was asked for over a connection that was taken, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// Its path: `/2009-04-04/meta-data/instance-id`.
    pub path: String,
    /// What the server said.
    pub answer: HttpAnswer,
    /// The beginning of the page, anybody's text, where one was served and came whole, or enough of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// From the request to the answer, or to giving up, in microseconds.
    pub took_us: u64,
}

/// What a server said to a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HttpAnswer {
    /// A status line.
    Status(StatusLine),
    /// What is no HTTP: the beginning of it, anybody's text.
    Unreadable(String),
    /// The connection was closed or reset before a line was whole.
    HungUp,
    /// Nothing until the time was up.
    Silent,
}

/// The first line of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusLine {
    /// Its status code, 100 to 999.
    pub code: u16,
    /// The line as it stands, anybody's text: `HTTP/1.0 404 Not Found`.
    pub text: String,
}

impl HttpAnswer {
    /// The status code of an answer that has one.
    pub fn code(&self) -> Option<u16> {
        match self {
            HttpAnswer::Status(line) => Some(line.code),
            HttpAnswer::Unreadable(_) | HttpAnswer::HungUp | HttpAnswer::Silent => None,
        }
    }
}
