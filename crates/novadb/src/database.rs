//! The database, and the way in: a transaction for each operation, on a runtime of its own.

use std::path::Path;

use cloud::{DatabaseError, DatabaseUrl};

use crate::DbError;
use crate::sql::Work;

/// nova's database. Operations block, and are not to be called from inside another runtime.
#[derive(Clone)]
pub struct Database {
    pub(crate) url: DatabaseUrl,
}

impl Database {
    /// The database at a URL, as nova.conf's `[database] connection` has it. Nothing is connected to yet.
    pub fn at(url: &str) -> Result<Database, DbError> {
        Ok(Database { url: DatabaseUrl::parse(url)? })
    }

    /// The database in a SQLite file.
    pub fn sqlite(path: &Path) -> Database {
        Database { url: DatabaseUrl::sqlite(path.to_owned()) }
    }

    /// Does the work in one transaction: where it fails, or we are killed, nothing of it was done.
    pub(crate) fn work<T>(
        &self,
        work: impl AsyncFnOnce(&mut Work) -> Result<T, DbError>,
    ) -> Result<T, DbError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| DatabaseError::Failed {
            database: self.url.to_string(),
            why: format!("no runtime: {error}"),
        })?;
        let outcome = runtime.block_on(async {
            let mut under_way = Work::begin(&self.url).await?;
            let result = work(&mut under_way).await?;
            under_way.commit().await?;
            Ok(result)
        });
        // A host name being looked up holds a thread of the runtime, which must not hold us.
        runtime.shutdown_background();
        outcome
    }
}
