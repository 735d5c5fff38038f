//! What a nova service on a host has in mind: what it was last told and has done. It acts where the database now
//! says something else; restarted, it has nothing in mind and does everything anew.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{LabError, file};
use crate::manager::Service;
use crate::place::Lab;
use crate::whole_file;

/// The service's memory; `None` where it has just been started.
pub(crate) fn recall<T: DeserializeOwned>(
    lab: &Lab,
    host: &str,
    service: Service,
) -> Result<Option<T>, LabError> {
    let path = path(lab, host, service);
    match fs::read(&path) {
        Ok(text) => {
            serde_json::from_slice(&text).map(Some).map_err(|e| LabError::Memory { path, why: e.to_string() })
        }
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(file("read", path)(e)),
    }
}

/// Keeps it. Written when the work is done: what was killed in between is done again.
pub(crate) fn keep<T: Serialize>(lab: &Lab, host: &str, service: Service, mind: &T) -> Result<(), LabError> {
    let path = path(lab, host, service);
    let text =
        serde_json::to_vec(mind).map_err(|e| LabError::Memory { path: path.clone(), why: e.to_string() })?;
    whole_file::write(&path, text)
}

/// The service forgets all: it is restarted.
pub(crate) fn forget(lab: &Lab, host: &str, service: Service) -> Result<(), LabError> {
    whole_file::remove(&path(lab, host, service))
}

fn path(lab: &Lab, host: &str, service: Service) -> PathBuf {
    lab.host_path(host, "memory").join(format!("{}.json", service.name()))
}
