//! `hopline lab break` and `hopline lab heal`: faults in and out, written down before they are done.

use std::path::Path;

use plumbing::neighbour;

use crate::await_lease::await_all;
use crate::error::LabError;
use crate::faults::{Fault, faults_of, find, refusal};
use crate::place::Lab;
use crate::record::{self, Record};
use crate::rig::await_settled;
use crate::scene::Scene;
use crate::shape::GuestKind;
use crate::{manager, namespace};

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
    if !faults_of(&lab.shape).any(|possible| possible.code == fault.code) {
        return Err(refusal(fault));
    }
    let _lock = record::lock(&lab.name, &lab.state)?;
    let mut record = record::read(lab)?;
    if record.faults.iter().any(|active| active == fault.code) {
        return Err(LabError::AlreadyBroken { code: fault.code });
    }
    let mut scene = Scene::open(lab)?;
    record.faults.push(fault.code.to_owned());
    record::write(lab, &record)?;
    (fault.inject)(lab, &mut scene)?;
    await_settled(scene.rig.each())?;
    Ok(fault)
}

/// Heals one fault, or all. Returns the codes that were healed.
///
/// Faults may lie one over the other, so all are taken out in reverse order, and those that stay are
/// injected again. Every failure is returned; a fault that could not be healed stays on the record.
pub fn heal(lab: &Lab, code: Option<&str>) -> Result<Vec<String>, Vec<LabError>> {
    let one = |e: LabError| vec![e];
    let _lock = record::lock(&lab.name, &lab.state).map_err(one)?;
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
    let mut scene = Scene::open(lab).map_err(one)?;
    heal_all(lab, &record, &mut scene)?;
    await_working(lab, &mut scene).map_err(one)?;
    forget_neighbours(lab, &mut scene).map_err(one)?;
    record.faults.retain(|active| !chosen.contains(active));
    record::write(lab, &record).map_err(one)?;
    for active in &record.faults {
        find(active).and_then(|fault| (fault.inject)(lab, &mut scene)).map_err(one)?;
    }
    await_settled(scene.rig.each()).map_err(one)?;
    Ok(chosen)
}

/// Takes out every fault on the record, the last one first. One may stand in the way of another (a NIC
/// that is gone cannot be brought up), so what failed is tried again as long as others succeed.
fn heal_all(lab: &Lab, record: &Record, scene: &mut Scene) -> Result<(), Vec<LabError>> {
    let mut left: Vec<&str> = record.faults.iter().rev().map(String::as_str).collect();
    while !left.is_empty() {
        let before = left.len();
        let mut failures = Vec::new();
        left.retain(|code| match find(code).and_then(|fault| (fault.heal)(lab, scene)) {
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

/// Waits until every instance has its address and every link has settled.
fn await_working(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    await_all(lab, &manager::read(lab)?)?;
    await_settled(scene.rig.each())
}

/// Neighbour entries that failed during a fault would speak of it after its end.
fn forget_neighbours(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    scene.rig.each().try_for_each(neighbour::flush)?;
    if lab.shape.guest == GuestKind::Qemu {
        return Ok(());
    }
    for instance in manager::read(lab)?.instances.iter().filter(|instance| instance.vm_state == "active") {
        neighbour::flush(&mut namespace::open(lab, &instance.name)?)?;
    }
    Ok(())
}
