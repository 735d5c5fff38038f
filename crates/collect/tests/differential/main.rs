//! A snapshot against what the operator's own commands print of the same namespace: every fact must
//! agree. The namespaces are real, so these tests need root; without it they fail.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test's helper fails by panicking")]

mod bridges;
mod canonical;
mod links;
mod netfilter;
mod queues;
mod routing;
mod scratch;
mod site;
mod sockets;
