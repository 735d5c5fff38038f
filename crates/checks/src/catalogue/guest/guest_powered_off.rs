//! # guest-powered-off
//!
//! The instance is meant to run, and does not.
//!
//! ## What it means
//! The database says ACTIVE, and there is no domain that runs: its QEMU has crashed or was killed, somebody shut it
//! down from inside or by `virsh`, or the host has come up again and nobody started it. nova finds out within ten
//! minutes at best (`sync_power_state_interval`), and not at all where its agent is down.
//!
//! ## How hopline knows
//! libvirt's folder of running domains was read, and the instance's is not in it; or the domain is, and the process
//! that it names is gone. Beside that its NIC is not on the host: a tap goes with the QEMU that holds it.
//!
//! ## What it looks like
//! `virsh list --all`: `shut off`. No `vnetN` is its own. Its neighbours' ARP entries stay REACHABLE or STALE for up to
//! a minute and mean nothing. Its console log ends.
//!
//! ## Nearest look-alikes
//! * `tap-missing`: there the domain runs, and only its NIC is gone.
//! * `db-host-mismatch`: it runs, on another host than the database names.
//! * an instance that is switched off on purpose: the database says stopped, and nothing is wrong.
//! * `guest-paused-tap-full`: there the domain is there, and does not work.
//!
//! ## Fix
//! `nova reboot --hard NAME`, or `nova start NAME` once nova has noticed. Look first why it ended
//! (/var/log/libvirt/qemu/NAME.log, the host's kernel log for the OOM killer). No undo.
//!
//! ## References
//! OpenStack Operations Guide, "Network Troubleshooting"; nova `sync_power_states`; libvirt `virsh domstate`.

use std::net::IpAddr;

use model::finding::Confidence;
use model::path::{Direction, Exchange, Place, Stage, Stop};

use crate::evidence;
use crate::found::{Fault, Found, Reach};
use crate::mend::Mend;
use crate::power;
use crate::restart::operand;
use crate::view::{Seat, Stopped, View};

/// What the model calls a tap that nothing names.
const UNNAMED: &str = "tap";

/// Looks for instances that are meant to run and do not: one finding an instance, whatever its NICs.
pub fn check(view: &View) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for seat in view.vifs() {
        let is_told = |f: &Found| f.finding.hop.host == seat.instance.name;
        if !found.iter().any(is_told) {
            found.extend(off(view, &seat));
        }
    }
    found
}

fn off(view: &View, seat: &Seat) -> Option<Found> {
    let shown = power::off(seat)?;
    let name = &seat.instance.name;
    let host = &seat.ns.machine;
    let device = seat.vif.device.as_deref();
    let mend = seat.bridge_name().map(|bridge| Mend::Replug {
        machine: host.clone(),
        device: device.unwrap_or(UNNAMED).to_owned(),
        bridge: bridge.to_owned(),
        instance: name.clone(),
        mac: seat.vif.mac,
    });
    let is_missed = |s: &Stopped| {
        let at_its_nic = s.hop.at.host == *host && device == Some(s.hop.at.device.as_str());
        let looked_for = matches!(s.stop,
            Stop::NeighbourUnresolved { ip: IpAddr::V4(ip), .. } if seat.vif.fixed.contains(ip));
        s.hop.at.host == *name || at_its_nic || looked_for
    };
    let fault = Fault {
        code: "guest-powered-off",
        hop: Place {
            host: name.clone(),
            netns: String::new(),
            device: String::new(),
            stage: Stage::Instance,
        },
        summary: format!("{name} does not run on {host}, where the database has it running"),
        cause: format!("no domain of {name} runs on {host}, so its NIC is gone and nobody has its address"),
        confidence: Confidence::Proven,
        evidence: shown,
        owner: "libvirt",
        remedy: vec![evidence::advice(
            format!("nova reboot --hard {}", operand(name)),
            "starts the instance anew; its log under /var/log/libvirt/qemu tells why it ended",
        )],
        instances: vec![name.clone()],
        stopped: view.stop_of(seat.instance, is_missed),
        mend: mend.into_iter().collect(),
    };
    Some(fault.found().breaks(Exchange::Icmp, Direction::Both).reaching(Reach::Instances))
}

#[cfg(test)]
mod tests {
    use model::finding::Confidence;
    use model::service::{Domain, Process};

    use crate::fixture::{broken, codes, lacks};

    #[test]
    fn fires_on_an_instance_that_the_database_has_running() {
        assert_eq!(codes(&broken("guest-powered-off").diagnose("web1")), ["guest-powered-off web1//"]);
        assert_eq!(codes(&broken("guest-powered-off").diagnose_all()), ["guest-powered-off web1//"]);
    }

    #[test]
    fn is_told_where_nothing_names_its_tap() {
        let mut cloud = broken("guest-powered-off");
        cloud.intent.instances[0].vifs[0].device = None;
        assert_eq!(codes(&cloud.diagnose("web1")), ["guest-powered-off web1//"]);
    }

    #[test]
    fn stays_silent_on_one_that_is_meant_to_be_off_or_of_which_nobody_knows() {
        let mut moving = broken("guest-powered-off");
        moving.intent.instances[0].task = Some("resize_migrating".to_owned());
        let found = moving.diagnose("web1");
        assert_eq!(codes(&found), ["tap-missing compute1//vnet0"], "nova is at work");
        assert_eq!(found.findings[0].confidence, Confidence::Possible);
        for state in ["stopped", "building"] {
            let mut cloud = broken("guest-powered-off");
            cloud.intent.instances[0].vm_state = Some(state.to_owned());
            assert!(lacks(&cloud.diagnose("web1"), "guest-powered-off"), "{state}");
        }
        let mut cloud = broken("guest-powered-off");
        cloud.host("compute1").running_domains = None;
        assert_eq!(
            codes(&cloud.diagnose("web1")),
            ["tap-missing compute1//vnet0"],
            "its domains were not read"
        );
    }

    #[test]
    fn stays_silent_where_a_process_of_it_lives() {
        let mut cloud = broken("guest-powered-off");
        let argv =
            vec!["qemu-system-x86_64".to_owned(), "guest=instance-00000001,debug-threads=on".to_owned()];
        cloud.host("compute1").processes.push(Process { pid: 7, argv, ..Process::default() });
        assert_eq!(codes(&cloud.diagnose("web1")), ["tap-missing compute1//vnet0"]);
    }

    #[test]
    fn a_domain_whose_process_is_gone_does_not_run() {
        let mut cloud = broken("tap-missing");
        let running = |pid| Domain {
            name: "instance-00000001".to_owned(),
            live: true,
            state: Some("running".to_owned()),
            pid: Some(pid),
            ..Domain::default()
        };
        let host = cloud.host("compute1");
        host.domains = vec![running(7)];
        host.processes.push(Process { pid: 8, ..Process::default() });
        assert_eq!(
            codes(&cloud.diagnose("web1")),
            ["tap-missing compute1//vnet0"],
            "not all processes were seen"
        );
        cloud.host("compute1").sees_every_process = true;
        assert_eq!(codes(&cloud.diagnose("web1")), ["guest-powered-off web1//"]);
        cloud.host("compute1").domains = vec![running(8)];
        assert_eq!(codes(&cloud.diagnose("web1")), ["tap-missing compute1//vnet0"]);
    }
}
