//! What an ssh server greets with (RFC 4253, 4.2).

use serde::{Deserialize, Serialize};

/// What came of a connection that was taken by itself: sshd speaks first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Greeting {
    /// What the server said.
    pub said: Greeted,
    /// From the connection to that, or to giving up, in microseconds.
    pub took_us: u64,
}

/// What a server said before it was asked anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Greeted {
    /// The line that names its version, anybody's text: `SSH-2.0-OpenSSH_9.2`.
    Version(String),
    /// What is no such line: the beginning of it, anybody's text.
    Other(String),
    /// The connection was closed or reset before anything came.
    HungUp,
    /// Nothing until the time was up.
    Silent,
}
