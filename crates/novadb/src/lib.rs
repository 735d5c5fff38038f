//! nova's database as nova's own services write it: the tables of Queens, on MariaDB, MySQL, PostgreSQL or SQLite,
//! and every operation that a cloud's users and services make, each in one transaction.
//!
//! [`Database`] has the operations, [`rows`] what they read. Where nova leaves a choice (which free address?) the
//! choice here is always the same.

mod database;
mod error;
mod floating;
mod groups;
mod info_cache;
mod instances;
mod leases;
mod networks;
mod read;
mod remains;
pub mod rows;
mod schema;
mod sql;

pub use database::Database;
pub use error::DbError;
pub use groups::{DEFAULT_GROUP, NewRule};
pub use instances::NewInstance;
pub use leases::Lease;
pub use networks::NewNetwork;
