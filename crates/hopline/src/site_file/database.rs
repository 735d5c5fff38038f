//! `[cloud]`: which records tell what is meant.

use std::io::Read;
use std::path::{Path, PathBuf};

use cloud::DatabaseUrl;

use super::{BYTES_MAX, CloudTable, Source};
use crate::failure::Failure;

/// Stands before the path of a nova.conf that tells the address.
const OF_NOVA_CONF: &str = "nova.conf:";
/// Where nova keeps it, the newest series first; until Folsom it was an option without a group of its own.
const OPTIONS: [(&str, &str); 3] =
    [("database", "connection"), ("DEFAULT", "sql_connection"), ("sql", "connection")];

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
    if let Some(path) = nova_conf(source, cloud) {
        let url = of_nova_conf(&path);
        return url.map(Some).map_err(|what| source.failure(&written.span(), what));
    }
    let url =
        DatabaseUrl::parse(written.get_ref()).map_err(|error| source.failure(&written.span(), error))?;
    // The path of a file is meant from the site file's own folder, like every path in it.
    let file = url.file().map(|path| DatabaseUrl::sqlite(source.beside(path)));
    Ok(Some(file.unwrap_or(url)))
}

/// The nova.conf that tells the address, where one does.
pub(super) fn nova_conf(source: &Source<'_>, cloud: &CloudTable) -> Option<PathBuf> {
    let path = cloud.database.as_ref()?.get_ref().strip_prefix(OF_NOVA_CONF)?;
    Some(source.beside(Path::new(path)))
}

/// The address that nova itself uses. A message never repeats it: it holds the password.
fn of_nova_conf(path: &Path) -> Result<DatabaseUrl, String> {
    let shown = path.display().to_string();
    let mut text = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(BYTES_MAX).read_to_end(&mut text));
    read.map_err(|error| format!("cannot read {shown}: {error}"))?;
    let config = parse::oslo_config::parse(&shown, &String::from_utf8_lossy(&text)).value;
    let told =
        OPTIONS.iter().find_map(|(group, option)| config.get(group, option).filter(|url| !url.is_empty()));
    let told = told.ok_or_else(|| {
        format!("{shown} has neither `connection` in [database] nor `sql_connection` in [DEFAULT]")
    })?;
    // nova has replaced its own references; what is left of a `$` is the password's.
    let url = DatabaseUrl::parse(&told.replace('$', "%24"));
    let url = url.map_err(|error| format!("the connection in {shown} cannot be used: {error}"))?;
    match url.file() {
        Some(file) if file.is_relative() => Err(format!(
            "the connection in {shown} is the file {}, which nova means from wherever it was started; \
             name it here as `database = \"sqlite:PATH\"`",
            file.display()
        )),
        Some(_) | None => Ok(url),
    }
}
