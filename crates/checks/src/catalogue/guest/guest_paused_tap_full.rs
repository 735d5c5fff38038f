//! # guest-paused-tap-full
//!
//! The instance is paused, so nobody reads what it is sent.
//!
//! ## What it means
//! Its QEMU is there and does not work: paused by `virsh suspend`, by libvirt when the disk under it was full or failed
//! (`on_io_error`), by a migration that was broken off, or stopped by a signal. Its tap stays up with carrier, takes as
//! many frames as its queue holds (`txqueuelen`, 500 or 1000), and drops what comes after.
//!
//! ## How hopline knows
//! libvirt's record of the running domain says `paused`, or the process that it names is in state T; the database does
//! not mean it to be.
//!
//! ## What it looks like
//! `virsh list`: `paused`. ARP for it is not answered, its console stands still. On its tap `TX dropped` rises by one a
//! packet once the queue is full (`ip -s link`), while the queueing discipline shows no drop: the loss is in the tap
//! (drivers/net/tun.c, `tun_net_xmit`).
//!
//! ## Nearest look-alikes
//! * `guest-firewall`: there frames are read, and its tap drops nothing.
//! * `guest-powered-off`: there no domain runs, and there is no tap.
//! * an instance that nova paused: the database says so, and nothing is wrong.
//!
//! ## Fix
//! `virsh resume NAME`, after a look at why: `virsh domstate --reason NAME`, `virsh domblkerror NAME`. Undo:
//! `virsh suspend NAME`.
//!
//! ## References
//! libvirt `virDomainPausedReason`; proc_pid_status(5); drivers/net/tun.c.

use model::finding::{Confidence, Remedy};
use model::path::{Direction, Exchange, Stage};

use crate::evidence;
use crate::found::{Fault, Found, Reach, at};
use crate::power;
use crate::restart::{operand, typed};
use crate::view::{Seat, View};

/// Looks for instances whose QEMU does not work, though they are meant to: one finding an instance.
pub fn check(view: &View) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for seat in view.vifs() {
        let is_told = |f: &Found| f.finding.instances.contains(&seat.instance.name);
        if !found.iter().any(is_told) {
            found.extend(paused(view, &seat));
        }
    }
    found
}

fn paused(view: &View, seat: &Seat) -> Option<Found> {
    let (tap, mut shown) = seat.tap().zip(power::paused(seat))?;
    let domain = power::domain(seat)?;
    let name = &seat.instance.name;
    if let Some(stats) = tap.stats.filter(|stats| stats.tx_dropped > 0) {
        let command = format!("ip -s link show dev {}", typed(&tap.name));
        shown.push(evidence::state(seat.ns, &command, format!("TX dropped {}", stats.tx_dropped)));
    }
    let is_stopped = domain.state.as_deref() != Some("paused");
    let resume = match domain.pid.filter(|_| is_stopped) {
        Some(pid) => Remedy {
            command: format!("kill -CONT {pid}"),
            undo: format!("kill -STOP {pid}"),
            note: "somebody stopped it: see who".to_owned(),
        },
        None => Remedy {
            command: format!("virsh resume {}", operand(&domain.name)),
            undo: format!("virsh suspend {}", operand(&domain.name)),
            note: format!("first see why: virsh domstate --reason {}", operand(&domain.name)),
        },
    };
    let fault = Fault {
        code: "guest-paused-tap-full",
        hop: at(seat.ns, &tap.name, Stage::Instance),
        summary: format!("{name} is paused: nobody reads what {} hands it", tap.name),
        cause: format!(
            "its QEMU does not work, though the database has {name} running; {} fills and drops",
            tap.name
        ),
        confidence: Confidence::Proven,
        evidence: shown,
        owner: "libvirt",
        remedy: vec![resume],
        instances: vec![name.clone()],
        stopped: view.stop_of(seat.instance, |s| s.is_at(seat.ns, &tap.name) || s.hop.at.host == *name),
        mend: Vec::new(),
    };
    Some(fault.found().breaks(Exchange::Icmp, Direction::Both).reaching(Reach::Instances))
}

#[cfg(test)]
mod tests {
    use model::service::Process;

    use crate::fixture::{broken, codes, lacks};

    #[test]
    fn fires_on_libvirts_word() {
        let found = broken("guest-paused-tap-full").diagnose("web1");
        assert_eq!(codes(&found), ["guest-paused-tap-full compute1//vnet0"]);
        assert_eq!(found.findings[0].remedy[0].command, "virsh resume instance-00000001");
    }

    #[test]
    fn fires_on_a_process_that_was_stopped() {
        let mut cloud = broken("guest-paused-tap-full");
        let host = cloud.host("compute1");
        host.domains[0].state = Some("running".to_owned());
        host.domains[0].pid = Some(7);
        assert!(lacks(&cloud.diagnose("web1"), "guest-paused-tap-full"), "it runs");
        let stopped = Process { pid: 7, state: "T".to_owned(), ..Process::default() };
        cloud.host("compute1").processes.push(stopped);
        let found = cloud.diagnose("web1");
        assert_eq!(codes(&found), ["guest-paused-tap-full compute1//vnet0"]);
        assert_eq!(found.findings[0].remedy[0].command, "kill -CONT 7");
    }

    #[test]
    fn stays_silent_on_one_that_nova_has_paused() {
        let mut cloud = broken("guest-paused-tap-full");
        cloud.intent.instances[0].vm_state = Some("paused".to_owned());
        assert_eq!(codes(&cloud.diagnose("web1")), [""; 0]);
    }
}
