//! The IPv6 addresses that instances are meant to make themselves, of their networks' ranges and their MACs: nova hands
//! the range out by radvd and reckons with what comes of it (nova/ipv6/rfc2462.py), and no table has that.

use model::Snapshot;
use model::intent::Intent;
use model::service::NovaOptions;

/// Gives every NIC its own, where the host that serves it uses IPv6 by its nova.conf. nova's default is not to.
pub(crate) fn give(intent: &mut Intent, snapshot: &Snapshot) {
    let Intent { instances, networks, .. } = intent;
    for instance in instances.iter_mut() {
        for vif in &mut instance.vifs {
            let Some(network) = vif.network.and_then(|at| networks.get(at)) else { continue };
            let server = network.server_for(&instance.host);
            let nova = snapshot.host(server).and_then(|host| host.nova.as_ref());
            let range = network.cidr_v6.filter(|_| nova.is_some_and(is_of_macs));
            vif.made_v6 = range.zip(vif.mac).map(|(range, mac)| mac.made_v6(range.addr()));
        }
    }
}

/// `account_identifier` makes them of the project, and of the MAC's last three octets alone.
fn is_of_macs(nova: &NovaOptions) -> bool {
    nova.is_on("use_ipv6") && matches!(nova.get("ipv6_backend"), None | Some("rfc2462"))
}
