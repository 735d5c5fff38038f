//! `libvirt-dnsmasq-steals-port`: libvirt's dnsmasq was started without `--bind-interfaces` while nova's was gone:
//! nova's cannot bind its ports any more.

use std::fs;
use std::time::{Duration, Instant};

use plumbing::Namespace;

use super::Fault;
use crate::LabError;
use crate::nova::dnsmasq;
use crate::nova::wanted::Served;
use crate::place::Lab;
use crate::scene::Scene;
use crate::servers::{self, Binding};

/// UDP sockets of the thread's namespace (proc(5)).
const SOCKETS: &str = "/proc/thread-self/net/udp";
/// How long the kernel may take to close a dead process's sockets.
const CLOSE_DEADLINE: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(5);

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "libvirt-dnsmasq-steals-port",
    summary: "libvirt's dnsmasq holds the ports of nova-network's",
    inject,
    heal,
};

fn inject(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let Scene { server, served, .. } = &*scene;
    let host = &server.host.name;
    stop_both(&server.ns, served)?;
    servers::start_libvirt_dnsmasq(lab, host, &server.ns, Binding::Wildcard)?;
    // As nova-network finds out when it next tries.
    match dnsmasq::update(lab, host, &server.ns, served) {
        Ok(()) => dnsmasq::stop(&server.ns, served),
        Err(LabError::Program { .. }) => Ok(()),
        Err(e) => Err(e),
    }
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let Scene { server, served, .. } = &*scene;
    let host = &server.host.name;
    stop_both(&server.ns, served)?;
    servers::start_libvirt_dnsmasq(lab, host, &server.ns, Binding::EachInterface)?;
    dnsmasq::update(lab, host, &server.ns, served)
}

/// Ends both servers, and returns when port 67 is free: the kernel closes the sockets of a process a little after
/// it has left its namespaces (`do_exit`, kernel/exit.c).
fn stop_both(ns: &Namespace, served: &Served) -> Result<(), LabError> {
    dnsmasq::stop(ns, served)?;
    servers::stop_libvirt_dnsmasq(ns)?;
    let deadline = Instant::now() + CLOSE_DEADLINE;
    while is_bound(&ns.inside(|| fs::read_to_string(SOCKETS))?.unwrap_or_default())
        && Instant::now() < deadline
    {
        std::thread::sleep(POLL);
    }
    Ok(())
}

/// A socket of port 67 is among those that proc(5) lists: `SLOT: ADDRESS:PORT ...`, in hexadecimal.
fn is_bound(sockets: &str) -> bool {
    sockets.lines().filter_map(|line| line.split_whitespace().nth(1)).any(|local| local.ends_with(":0043"))
}

#[cfg(test)]
mod tests {
    use super::is_bound;

    #[test]
    fn a_bound_port_is_found_by_its_own_side() {
        let line = |local: &str, far: &str| format!("  50: {local} {far} 07 00000000:00000000 00:00000000");
        assert!(is_bound(&line("00000000:0043", "00000000:0000")));
        assert!(!is_bound(&line("0100007F:0035", "0100007F:0043")));
    }
}
