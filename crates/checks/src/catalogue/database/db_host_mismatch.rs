//! # db-host-mismatch
//!
//! The instance runs on another host than the one that the database names.
//!
//! ## What it means
//! `instances.host` tells nova whom to ask. Console, reboot and stop go to the recorded host, which knows no such
//! domain; security groups are no longer followed where it really runs. Its packets pass all the same, until
//! nova-network or nova-compute there is next restarted: then its rules and its DHCP line are not written again, and
//! nova-compute may take the domain for one that was moved away, and end it.
//!
//! ## How hopline knows
//! libvirt runs the domain on one host, or its tap is there, and the database names another, which does not run it.
//! Where that one could not be read, the finding is only likely. Not while nova is at work with the instance
//! (`task_state`), as during a migration.
//!
//! ## What it looks like
//! `nova console-log` and `nova reboot` do nothing or fail; the instance works.
//!
//! ## Nearest look-alikes
//! * `tap-missing`: it is meant to run where the database says, and has no NIC there.
//!
//! ## Fix
//! Record the host where it runs, once it is sure that nothing moves it. The floating IPs' host belongs to it. Undo:
//! the old value.
//!
//! ## References
//! nova `compute/manager.py` `_destroy_evacuated_instances`; OpenStack Operations Guide, "Compute Node Failures".

use model::finding::{Confidence, EvidenceKind, Remedy};
use model::path::Stage;

use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::power::runs;
use crate::restart::operand;
use crate::sql;
use crate::view::{Seat, View};

/// Looks for instances in question that run elsewhere than recorded.
pub fn check(view: &View) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for seat in view.vifs() {
        let is_told = found.iter().any(|told| told.finding.instances.contains(&seat.instance.name));
        if let (false, Some(recorded)) = (is_told, elsewhere(&seat)) {
            found.extend(finding(view, &seat, recorded));
        }
    }
    found
}

/// The recorded host, where that is another, and nobody is at work with the instance.
fn elsewhere<'v>(seat: &Seat<'v>) -> Option<&'v str> {
    let recorded = seat.instance.recorded_host.as_deref()?;
    let moves = seat.instance.task.is_some() || seat.instance.is_meant_off();
    (recorded != seat.instance.host && !moves).then_some(recorded)
}

fn finding(view: &View, seat: &Seat, recorded: &str) -> Option<Found> {
    let instance = seat.instance;
    let there = view.snapshot().host(recorded);
    let has_tap = seat.tap().is_some();
    if !(runs(seat.host, instance) || has_tap) || there.is_some_and(|host| runs(host, instance)) {
        return None;
    }
    let key = match (&instance.uuid, instance.id) {
        (Some(uuid), _) => sql::string(uuid).map(|uuid| format!("uuid = {uuid}")),
        (None, Some(id)) => Some(format!("id = {id}")),
        (None, None) => return None,
    };
    let domain = instance.libvirt_name.as_deref().unwrap_or(&instance.name);
    let device = seat.tap().map(|tap| tap.name.as_str()).or(seat.vif.device.as_deref()).unwrap_or_default();
    let live = &view.intent().remains.words.live;
    let select = key.as_ref().map_or(String::new(), |key| format!(" WHERE {key} AND {live}"));
    let mut proof = vec![
        evidence::record(
            EvidenceKind::Db,
            format!("SELECT hostname, host, vm_state, task_state FROM instances{select}"),
            format!("{}: host {recorded}", instance.name),
        ),
        evidence::state(
            seat.ns,
            &format!("virsh domstate {}", operand(domain)),
            format!(
                "{domain} runs on {}{}",
                seat.host.name,
                if has_tap { ", and its tap is there" } else { "" }
            ),
        ),
    ];
    if there.is_some() {
        let text = format!("{recorded} runs no {domain}");
        proof.push(evidence::record(EvidenceKind::State, format!("virsh list --all, on {recorded}"), text));
    }
    let fault = Fault {
        code: "db-host-mismatch",
        hop: at(seat.ns, device, Stage::Local),
        summary: format!(
            "{} runs on {}, and the database records it on {recorded}",
            instance.name, seat.host.name
        ),
        cause: format!(
            "instances.host is what nova asks: orders for {} go to {recorded}, and {} forgets it at its next restart",
            instance.name, seat.host.name
        ),
        confidence: if there.is_some() { Confidence::Proven } else { Confidence::Likely },
        evidence: proof,
        owner: "nova-compute",
        remedy: vec![remedy(key.as_deref(), recorded, &seat.host.name, live)],
        instances: vec![instance.name.clone()],
        stopped: None,
        mend: Vec::new(),
    };
    Some(fault.found())
}

fn remedy(key: Option<&str>, recorded: &str, real: &str, live: &str) -> Remedy {
    let (Some(key), Some(recorded), Some(real)) = (key, sql::string(recorded), sql::string(real)) else {
        return sql::untypable("instances.host");
    };
    let set = |host: &str, from: &str| {
        format!("UPDATE instances SET host = {host} WHERE {key} AND host = {from} AND {live}")
    };
    Remedy {
        command: set(&real, &recorded),
        undo: set(&recorded, &real),
        note: "one row; first make sure that nothing is moving it, and that its disk is nowhere else in use"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use model::finding::Confidence;
    use model::path::Exchange;

    use crate::fixture::{broken, codes};

    #[test]
    fn fires_where_it_really_runs() {
        let found = broken("db-host-mismatch").diagnose("web1");
        assert_eq!(codes(&found), ["db-host-mismatch compute1//vnet0"]);
        let finding = &found.findings[0];
        // Nobody has looked at the other host.
        assert_eq!((finding.exchange, finding.confidence), (Exchange::None, Confidence::Likely));
        assert!(finding.remedy[0].command.starts_with("UPDATE instances SET host = 'compute1' WHERE uuid"));
    }

    #[test]
    fn a_host_that_would_end_its_string_is_in_no_statement() {
        let mut cloud = broken("db-host-mismatch");
        cloud.intent.instances[0].recorded_host = Some("x\\' OR 1=1 -- ".to_owned());
        let remedy = &cloud.diagnose("web1").findings[0].remedy[0];
        assert_eq!((remedy.command.as_str(), remedy.undo.as_str()), ("", ""));
    }

    #[test]
    fn stays_silent_while_it_moves() {
        let mut cloud = broken("db-host-mismatch");
        cloud.intent.instances[0].task = Some("migrating".to_owned());
        assert_eq!(codes(&cloud.diagnose("web1")), [""; 0]);
    }

    #[test]
    fn stays_silent_on_the_other_instance() {
        assert_eq!(codes(&broken("db-host-mismatch").diagnose("web2")), [""; 0]);
    }
}
