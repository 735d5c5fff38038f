//! Questions asked through real namespaces, of real servers and of hostile ones. Needs root, dnsmasq, nft.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking"
)]

mod dhcp;
mod dns;
mod drops;
mod echo;
mod floods;
mod greeting;
mod http;
mod neighbour;
mod place;
mod reach;
mod way;
