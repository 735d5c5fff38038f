//! `hopline lab break` and `hopline lab heal`: faults in and out, written down before they are done.

use std::path::Path;

use plumbing::neighbour;

use crate::error::LabError;
use crate::faults::{Fault, find};
use crate::place::Lab;
use crate::record::{self, Record};
use crate::up::await_working;
use crate::wiring::{self, Namespaces};

/// The lab of this name, as `up` left it. Refused where `up` did not come to its end.
pub fn open(name: &str, state: Option<&Path>) -> Result<Lab, LabError> {
    let (lab, record) = record::open(name, state)?;
    if record.complete {
        return Ok(lab);
    }
    Err(LabError::Exists { name: lab.name, found: "half built".to_owned() })
}

/// Injects a fault. Several may be in at once, each once.
pub fn break_fault(lab: &Lab, code: &str) -> Result<&'static Fault, LabError> {
    let fault = find(code)?;
    let _lock = record::lock(lab)?;
    let mut record = record::read(lab)?;
    if record.faults.iter().any(|active| active == fault.code) {
        return Err(LabError::AlreadyBroken { code: fault.code });
    }
    let mut all = wiring::open_namespaces(lab)?;
    record.faults.push(fault.code.to_owned());
    record::write(lab, &record)?;
    (fault.inject)(lab, &mut all)?;
    wiring::await_settled(&mut all)?;
    Ok(fault)
}

/// Heals one fault, or all. Returns the codes that were healed.
///
/// Faults may lie one over the other, so all are taken out in reverse order, and those that stay are
/// injected again. Every failure is returned; a fault that could not be healed stays on the record.
pub fn heal(lab: &Lab, code: Option<&str>) -> Result<Vec<String>, Vec<LabError>> {
    let one = |e: LabError| vec![e];
    let _lock = record::lock(lab).map_err(one)?;
    let mut record = record::read(lab).map_err(one)?;
    let chosen = match code {
        None => record.faults.clone(),
        Some(code) => {
            let code = find(code).map_err(one)?.code;
            if !record.faults.iter().any(|active| active == code) {
                return Err(one(LabError::NotBroken { code, active: active_text(&record) }));
            }
            vec![code.to_owned()]
        }
    };
    let mut all = wiring::open_namespaces(lab).map_err(one)?;
    heal_all(lab, &record, &mut all)?;
    await_working(lab, &mut all).map_err(one)?;
    forget_neighbours(&mut all).map_err(one)?;
    record.faults.retain(|active| !chosen.contains(active));
    record::write(lab, &record).map_err(one)?;
    for active in &record.faults {
        find(active).and_then(|fault| (fault.inject)(lab, &mut all)).map_err(one)?;
    }
    wiring::await_settled(&mut all).map_err(one)?;
    Ok(chosen)
}

/// Takes out every fault on the record, the last one first. One may stand in the way of another (a NIC
/// that is gone cannot be brought up), so what failed is tried again as long as others succeed.
fn heal_all(lab: &Lab, record: &Record, all: &mut Namespaces) -> Result<(), Vec<LabError>> {
    let mut left: Vec<&str> = record.faults.iter().rev().map(String::as_str).collect();
    while !left.is_empty() {
        let before = left.len();
        let mut failures = Vec::new();
        left.retain(|code| match find(code).and_then(|fault| (fault.heal)(lab, all)) {
            Ok(()) => false,
            Err(e) => {
                failures.push(e);
                true
            }
        });
        if left.len() == before {
            return Err(failures);
        }
    }
    Ok(())
}

fn active_text(record: &Record) -> String {
    if record.faults.is_empty() { "none".to_owned() } else { record.faults.join(", ") }
}

/// Neighbour entries that failed during a fault would speak of it after its end.
fn forget_neighbours(all: &mut Namespaces) -> Result<(), LabError> {
    Ok(all.each().into_iter().try_for_each(neighbour::flush)?)
}
