//! `rp-filter-asymmetric`: traffic from the outside arrives by eth0, but the way back leads out of a
//! second uplink, and strict reverse-path filtering on eth0 drops it. The second uplink works both ways
//! once the filter is off.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use plumbing::veth::{End, plug};
use plumbing::{address, link, route};

use super::Fault;
use crate::LabError;
use crate::layout::{EXTERNAL, HOST_PUBLIC, NETWORK, UPLINK, WEB1};
use crate::nova::iptables::{self, iptables};
use crate::nova::ruleset;
use crate::place::Lab;
use crate::wiring::Namespaces;

/// The compute host's second uplink.
const SECOND_UPLINK: &str = "eth2";
/// Its other end, on the nearest router.
const GATEWAY_END: &str = "mg";
const HOST_ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const GATEWAY_ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "rp-filter-asymmetric",
    summary: "strict reverse-path filtering on the uplink drops what is answered by another link",
    inject,
    heal,
};

fn inject(_lab: &Lab, all: &mut Namespaces) -> Result<(), LabError> {
    let Namespaces { compute, gateway, .. } = all;
    let host_address = Ipv4Net::new_assert(HOST_ADDRESS, 24);
    let gateway_address = Ipv4Net::new_assert(GATEWAY_ADDRESS, 24);
    plug(
        &mut End { ns: compute, link: SECOND_UPLINK, mac: None, index: None },
        &End { ns: gateway, link: GATEWAY_END, mac: None, index: None },
    )?;
    link::set_up(compute, SECOND_UPLINK)?;
    link::set_up(gateway, GATEWAY_END)?;
    address::add(compute, SECOND_UPLINK, host_address)?;
    address::add(gateway, GATEWAY_END, gateway_address)?;
    route::replace(compute, EXTERNAL.addr().into(), GATEWAY_ADDRESS)?;
    for (chain, source, outside) in [
        ("nova-network-float-snat", WEB1.fixed.to_string(), WEB1.floating),
        ("nova-network-snat", NETWORK.to_string(), Some(HOST_PUBLIC.addr())),
    ] {
        let Some(outside) = outside.map(|ip| ip.to_string()) else { continue };
        let rule = ["-s", &source, "-o", SECOND_UPLINK, "-j", "SNAT", "--to-source", &outside];
        iptables(compute, &[&["-t", "nat", "-A", chain], rule.as_slice()].concat())?;
    }
    Ok(compute.set_sysctl(&rp_filter(), "1")?)
}

fn heal(_lab: &Lab, all: &mut Namespaces) -> Result<(), LabError> {
    let compute = &mut all.compute;
    compute.set_sysctl(&rp_filter(), "0")?;
    // Its routes and the other end go with it.
    if link::exists(compute, SECOND_UPLINK)? {
        link::delete(compute, SECOND_UPLINK)?;
    }
    iptables::apply(compute, &ruleset::healthy())
}

fn rp_filter() -> String {
    format!("ipv4/conf/{UPLINK}/rp_filter")
}
