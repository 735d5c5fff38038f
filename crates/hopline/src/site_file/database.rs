//! `[cloud]`: which records tell what is meant.

use std::path::Path;

use cloud::DatabaseUrl;

use super::{CloudTable, Source};
use crate::failure::Failure;

/// The database's address; `None` where the cloud keeps no records.
pub(super) fn of(source: &Source<'_>, cloud: &CloudTable) -> Result<Option<DatabaseUrl>, Failure> {
    match cloud.kind.get_ref().as_str() {
        "nova-network" => {}
        "none" => return Ok(None),
        other => {
            let what = format!("`{other}` is no kind of cloud that this version knows");
            return Err(source.failure(&cloud.kind.span(), what).hint("`nova-network` or `none`"));
        }
    }
    let Some(written) = &cloud.database else { return Ok(None) };
    let url = DatabaseUrl::parse(&anchored(source, written.get_ref()));
    url.map(Some).map_err(|error| source.failure(&written.span(), error))
}

/// A relative `sqlite:PATH` is meant from the site file's own folder, like every path in it. One
/// that starts with `${ENV_VAR}` is as the variable says.
fn anchored(source: &Source<'_>, address: &str) -> String {
    match address.strip_prefix("sqlite:") {
        Some(path) if !path.is_empty() && !path.starts_with(['/', '$', ':']) => {
            format!("sqlite:{}", source.beside(Path::new(path)).display())
        }
        Some(_) | None => address.to_owned(),
    }
}
