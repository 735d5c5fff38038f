//! What a cloud means to be true, from every place that tells: nova's database, libvirt's domains,
//! nova.conf, dnsmasq's command lines and the site file's `[[instance]]` entries.
//!
//! [`read`] is the only function here with an effect, and it only reads: the session is told to be
//! read-only, and a statement is never more than our own fixed words. [`intent`] and [`find`] are pure.
//! The state of the links and bridges is what `hopline` judges, so it is never taken for what is meant:
//! a tap's current master does not tell the bridge that it belongs in.

mod addresses;
mod database;
mod database_error;
mod domains;
mod entries;
mod find;
mod intent;
mod networks;
mod records;
mod schema;
mod secret_url;
mod taps;

pub use database::read;
pub use database_error::DatabaseError;
pub use entries::InstanceEntry;
pub use find::{Candidates, FindError, find};
pub use intent::intent;
pub use records::Records;
pub use secret_url::{DatabaseUrl, UrlError};
