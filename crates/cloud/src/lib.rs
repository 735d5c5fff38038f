//! What a cloud means to be true, from every place that tells: nova's database, libvirt's domains,
//! nova.conf, dnsmasq's command lines and the site file's `[[instance]]` entries.
//!
//! [`read`] and its like, [`show`], [`check`] and [`plan`] only read: the session is told to be read-only, and a
//! statement is never more than our own fixed words; [`show`] and [`read_site`] bind names. [`apply`] and [`undo`]
//! change one row, and bind whatever comes from outside. Who writes otherwise ([`DatabaseUrl::connect`]) does so
//! elsewhere. [`intent`] and [`find`] are pure.
//! The state of the links and bridges is what `hopline` judges, so it is never taken for what is meant:
//! a tap's current master does not tell the bridge that it belongs in.

mod addresses;
mod cells;
mod check;
mod connection;
mod database;
mod database_error;
mod domains;
mod entries;
mod find;
mod host_name;
mod intent;
mod made_v6;
mod mend;
mod networks;
mod part;
mod records;
mod remains;
mod schema;
mod secret_url;
mod show;
mod site;
mod sought;
mod taps;
mod tls;
mod tls_error;
mod whose;

pub use cells::{Cell, Octets, cells};
pub use check::{
    Checked, Clock, Contradictions, DB_CATALOGUE, DbCheck, Inconsistency, KeptCell, NotLookedFor, ROWS_MAX,
    check, check_hosts, check_instances, contradictions,
};
pub use connection::{Access, Connection};
pub use database::read;
pub use database_error::{DatabaseError, classify};
pub use entries::InstanceEntry;
pub use find::{Candidates, FindError, find};
pub use intent::{intent, site_name};
pub use mend::{
    Applied, Ask, Change, Had, Listed, Listing, MendError, Now, RecordError, Row, State, Undone, Value,
    apply, listed, plan, undo,
};
pub use records::{Hosts, Records};
pub use schema::Lack;
pub use secret_url::{DatabaseUrl, UrlError};
pub use show::{InfoCache, Record, ShowError, show};
pub use site::read_site;
pub use sought::Sought;
pub use tls_error::TlsProblem;
