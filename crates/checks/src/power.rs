//! Whether an instance runs, by what libvirt keeps of running domains and by the machine's processes: never by the
//! database, which says what is meant.

use model::finding::{Evidence, EvidenceKind};
use model::intent::Instance;
use model::service::Domain;
use model::snapshot::Host;

use crate::evidence;
use crate::restart::{operand, typed};
use crate::view::Seat;

/// `vm_state` of what is meant to have a domain that runs (nova/compute/vm_states.py).
const ON: [&str; 3] = ["active", "rescued", "resized"];

/// Letter of /proc/PID/status for a process that was stopped (proc_pid_status(5)).
const STOPPED: &str = "T";

/// It is this instance's: by uuid where both are known, else by name.
fn is_of(domain: &Domain, instance: &Instance) -> bool {
    instance.uuid.as_ref().zip(domain.uuid.as_ref()).map_or_else(
        || instance.libvirt_name.as_ref() == Some(&domain.name),
        |(meant, found)| meant.eq_ignore_ascii_case(found),
    )
}

/// libvirt runs the instance's domain there.
pub fn runs(host: &Host, instance: &Instance) -> bool {
    host.domains.iter().any(|domain| domain.live && is_of(domain, instance))
}

/// libvirt's record of the instance on the host that it is meant to be on.
pub(crate) fn domain<'v>(seat: &Seat<'v>) -> Option<&'v Domain> {
    seat.host.domains.iter().find(|domain| is_of(domain, seat.instance))
}

/// What proves that the instance is meant to run and does not; `None` where it runs, or where that was not read.
///
/// Its tap goes with its QEMU, so where there is one somebody holds it.
pub(crate) fn off(seat: &Seat) -> Option<Vec<Evidence>> {
    // While nova moves, resizes or reboots it there rightly is none for a while.
    let is_at_rest = seat.instance.task.is_none();
    let state = seat.instance.vm_state.as_deref().filter(|state| is_at_rest && ON.contains(state))?;
    if seat.ns.links.is_empty() || seat.tap().is_some() {
        return None;
    }
    let name = seat.instance.libvirt_name.as_deref()?;
    let mut shown = match domain(seat).filter(|domain| domain.live) {
        Some(domain) => no_process(seat, domain)?,
        None => no_domain(seat, name)?,
    };
    shown.push(evidence::record(
        EvidenceKind::Db,
        format!(
            "SELECT vm_state FROM instances WHERE hostname = '{}'",
            seat.instance.name.replace('\'', "''")
        ),
        format!("vm_state {state}"),
    ));
    Some(shown)
}

/// libvirt keeps no running domain of it, and no QEMU was started for it by anybody else.
fn no_domain(seat: &Seat, name: &str) -> Option<Vec<Evidence>> {
    let folder = seat.host.running_domains.as_ref()?;
    let uuid = seat.instance.uuid.as_deref();
    let is_of_it =
        |argument: &String| argument.contains(name) || uuid.is_some_and(|uuid| argument.contains(uuid));
    if seat.host.processes.iter().any(|process| process.argv.iter().any(is_of_it)) {
        return None;
    }
    let folder_says = format!("{name}.xml is not among the running domains");
    Some(vec![evidence::record(EvidenceKind::State, format!("ls {}", typed(folder)), folder_says)])
}

/// libvirt says that it runs, and its QEMU is not there.
fn no_process(seat: &Seat, domain: &Domain) -> Option<Vec<Evidence>> {
    let pid = domain.pid.filter(|_| seat.host.sees_every_process)?;
    let lives = seat.host.processes.iter().any(|process| process.pid == pid);
    (!lives).then(|| {
        let text = format!("no process {pid}, which {} names as its QEMU", domain.file);
        vec![evidence::record(EvidenceKind::State, format!("ps -o pid,args -p {pid}"), text)]
    })
}

/// What shows that nobody works on what the instance is sent: libvirt's word, or its QEMU that was stopped. `None`
/// where that is meant.
pub(crate) fn paused(seat: &Seat) -> Option<Vec<Evidence>> {
    let is_meant = seat.instance.is_meant_off() || seat.instance.task.is_some();
    let domain = domain(seat).filter(|domain| domain.live && !is_meant)?;
    let mut shown = Vec::new();
    if domain.state.as_deref() == Some("paused") {
        let source = format!("virsh domstate {}", operand(&domain.name));
        shown.push(evidence::record(EvidenceKind::State, source, format!("paused ({})", domain.file)));
    }
    let mut processes = seat.host.processes.iter();
    let stopped = processes.find(|process| Some(process.pid) == domain.pid && process.state == STOPPED);
    if let Some(process) = stopped {
        let source = format!("grep State /proc/{}/status", process.pid);
        shown.push(evidence::record(EvidenceKind::State, source, "State: T (stopped)".to_owned()));
    }
    (!shown.is_empty()).then_some(shown)
}
