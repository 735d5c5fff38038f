//! Telling dnsmasq that an instance that is gone gives its lease back, as nova does with dhcp_release(1).

use std::net::Ipv4Addr;

use model::Mac;
use plumbing::Namespace;

use crate::command::{command, run};
use crate::error::LabError;

/// Sends a DHCPRELEASE in the instance's name to the dnsmasq of a bridge of this host.
pub(crate) fn send(ns: &Namespace, bridge: &str, address: Ipv4Addr, mac: Mac) -> Result<(), LabError> {
    run(ns, command("dhcp_release", [bridge, &address.to_string(), &mac.to_string()]), "")
}
