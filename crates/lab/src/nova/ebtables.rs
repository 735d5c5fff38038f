//! nova's ebtables rules (nova/network/linux_net.py `isolate_dhcp_address`, `ensure_floating_forward`): a
//! shared gateway address is kept on its own host, and what an instance with a floating address sends to the
//! outside is taken to this host's own stack.

use plumbing::Namespace;

use super::wanted::{FloatingRule, Served};
use crate::command::{command, run};
use crate::error::LabError;

/// Rules that keep a shared gateway address and its DHCP on this side of the physical link; none for an
/// address that is one host's own.
fn isolation(served: &Served) -> Vec<Vec<String>> {
    if !served.is_shared {
        return Vec::new();
    }
    let (port, gateway) = (served.bridge.port(), served.gateway);
    [
        format!("filter INPUT -p ARP -i {port} --arp-ip-dst {gateway} -j DROP"),
        format!("filter OUTPUT -p ARP -o {port} --arp-ip-src {gateway} -j DROP"),
        format!("filter FORWARD -p IPv4 -i {port} --ip-protocol udp --ip-destination-port 67:68 -j DROP"),
        format!("filter FORWARD -p IPv4 -o {port} --ip-protocol udp --ip-destination-port 67:68 -j DROP"),
    ]
    .iter()
    .map(|rule| rule.split(' ').map(str::to_owned).collect())
    .collect()
}

fn of_floating(rule: &FloatingRule) -> Vec<String> {
    let (bridge, cidr) = &rule.inside;
    let text = format!(
        "nat PREROUTING --logical-in {bridge} -p ipv4 --ip-src {} ! --ip-dst {cidr} -j redirect \
         --redirect-target ACCEPT",
        rule.fixed
    );
    text.split(' ').map(str::to_owned).collect()
}

/// Puts a network's rules in place, each once.
pub(crate) fn isolate(ns: &Namespace, served: &Served) -> Result<(), LabError> {
    isolation(served).iter().try_for_each(|rule| ensure(ns, rule))
}

/// Puts a floating address's rule in place, once. A kernel without the target `redirect` (module ebt_redirect) goes
/// without: an instance's frames for the outside are the bridge's own anyway.
pub(crate) fn ensure_floating(ns: &Namespace, rule: &FloatingRule) -> Result<(), LabError> {
    match ensure(ns, &of_floating(rule)) {
        Err(LabError::Program { stderr, .. }) if stderr.contains("not supported") => Ok(()),
        other => other,
    }
}

/// Takes it out.
pub(crate) fn remove_floating(ns: &Namespace, rule: &FloatingRule) -> Result<(), LabError> {
    delete(ns, &of_floating(rule))
}

/// As nova does: deletes first, then inserts at the head.
fn ensure(ns: &Namespace, rule: &[String]) -> Result<(), LabError> {
    delete(ns, rule)?;
    ebtables(ns, "-I", rule)
}

fn delete(ns: &Namespace, rule: &[String]) -> Result<(), LabError> {
    match ebtables(ns, "-D", rule) {
        // It was not there.
        Ok(()) | Err(LabError::Program { .. }) => Ok(()),
        Err(e) => Err(e),
    }
}

fn ebtables(ns: &Namespace, verb: &str, rule: &[String]) -> Result<(), LabError> {
    let Some((table, rest)) = rule.split_first() else { return Ok(()) };
    let words = ["-t", table.as_str(), verb].into_iter().chain(rest.iter().map(String::as_str));
    run(ns, command("ebtables-nft", words), "")
}
