//! # dhcp-offer-wrong
//!
//! The network's own DHCP server offers what the instance cannot use.
//!
//! ## What it means
//! The instance gets an address and yet no network, or refuses the OFFER: the address is not the one that is recorded
//! for it, the mask or the gateway does not fit the network, the MTU is more than the way takes, or the message itself
//! cannot be read.
//!
//! ## How hopline knows
//! A DISCOVER in the instance's name, which takes no lease, was answered by the network's server, and the OFFER was
//! compared with the database and with the NIC on the host. A gateway is missed only on the instance's first network,
//! and not where classless routes (option 121) stand in its place, or dnsmasq was given options or a file of its own:
//! a hardware gateway is set that way.
//!
//! ## What it looks like
//! `ip route` in the instance shows no default route, or one that leads nowhere; large packets vanish; its console says
//! that it was sent no lease though dnsmasq's log has the OFFER.
//!
//! ## Nearest look-alikes
//! * `rogue-dhcp`: another server has made the offer.
//! * `guest-nic-down`: the offer is right and the instance has not taken it.
//!
//! ## Fix
//! Correct dnsmasq's arguments (`--dhcp-option`, `--dhcp-range`) or its options file in nova's configuration
//! (`dnsmasq_config_file`), then restart that dnsmasq. The instance asks again at half of its lease.
//!
//! ## References
//! RFC 2132; RFC 3442; dnsmasq(8) `--dhcp-option`; nova.conf `dnsmasq_config_file`, `network_device_mtu`.

use std::net::IpAddr;

use model::dhcp::{HeardReply, ReplyKind};
use model::finding::{Confidence, EvidenceKind};
use model::path::Stage;

use crate::dhcp_refused;
use crate::dhcp_server;
use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::ladder::Purpose;
use crate::said;
use crate::view::{Seat, View};

/// Classless static routes (RFC 3442): a client that knows them passes over the router option.
const CLASSLESS_ROUTES: u8 = 121;

/// Looks for offers of the right server that do not fit: one finding a NIC.
pub fn check(view: &View) -> Vec<Found> {
    view.vifs().filter_map(|seat| unfit(view, seat)).collect()
}

fn unfit(view: &View, seat: Seat) -> Option<Found> {
    let name = &seat.instance.name;
    // The DISCOVER is from the NIC that has the gateway: the first.
    let is_first = seat.instance.vifs.first().is_some_and(|first| std::ptr::eq(first, seat.vif));
    let gateway = seat.gateway().filter(|_| is_first)?;
    let own = |heard: &&HeardReply| heard.reply.server.unwrap_or(heard.from) == gateway;
    let heard =
        said::offers(view.probes, name).filter(own).find(|heard| heard.reply.kind == ReplyKind::Offer);
    let unreadable = said::unreadable(view.probes, name).find(|(from, _)| *from == IpAddr::V4(gateway));
    let (wrong, offer) = match (heard, unreadable) {
        (Some(heard), _) => (differences(seat, heard), said::offer(heard)),
        (None, Some((from, why))) => {
            (vec![why.clone()], format!("{from} sends what no client can read: {why}"))
        }
        (None, None) => return None,
    };
    if wrong.is_empty() {
        return None;
    }
    let bridge = seat.bridge_name()?;
    let started =
        dhcp_server::of(&seat).map(|server| evidence::state(seat.server_ns, "ps aux", server.argv.join(" ")));
    let fault = Fault {
        code: "dhcp-offer-wrong",
        hop: at(seat.server_ns, bridge, Stage::Service),
        summary: format!("what DHCP offers {name} does not fit: {}", wrong.join("; ")),
        cause: format!("the dnsmasq at {gateway} offers {}", wrong.join(" and ")),
        confidence: Confidence::Proven,
        evidence: std::iter::once(evidence::record(
            EvidenceKind::Probe,
            format!("DHCPDISCOVER as {name}"),
            offer,
        ))
        .chain(started)
        .collect(),
        owner: "nova-network",
        remedy: vec![evidence::advice(
            "correct dnsmasq's options (nova.conf: dnsmasq_config_file), then restart that dnsmasq",
            "no names and no addresses for its network meanwhile; instances learn of it at half of their lease",
        )],
        stopped: view.stop_of(seat.instance, |s| s.rung.purpose == Purpose::Dhcp),
        mend: Vec::new(),
        instances: vec![name.clone()],
    };
    Some(dhcp_refused::breaks_dhcp(fault.found()))
}

/// What of an offer does not fit the records and the host.
fn differences(seat: Seat, heard: &HeardReply) -> Vec<String> {
    let reply = &heard.reply;
    let mut wrong = Vec::new();
    let recorded = &seat.vif.fixed;
    if let Some(address) = reply.address.filter(|address| !recorded.is_empty() && !recorded.contains(address))
    {
        let recorded: Vec<String> = recorded.iter().map(ToString::to_string).collect();
        wrong.push(format!("address {address}, and {} is recorded", recorded.join(" ")));
    }
    let prefix = seat.network.and_then(|network| network.cidr).map(|cidr| cidr.prefix_len());
    if let Some((said, meant)) = reply.prefix_bits.zip(prefix).filter(|(said, meant)| said != meant) {
        wrong.push(format!("a mask of {said} bits, and the network has {meant}"));
    }
    // Another router than nova-network's host may be meant: dnsmasq_config_file is how it is set.
    let is_set = dhcp_server::of(&seat).is_some_and(|server| {
        server.conf_file.is_some() || server.argv.iter().any(|a| a.starts_with("--dhcp-option"))
    });
    let has_routes = is_set || reply.codes.contains(&CLASSLESS_ROUTES);
    match (seat.gateway(), reply.routers.first()) {
        (Some(meant), None) if !has_routes => wrong.push(format!("no router, and {meant} is the gateway")),
        (Some(meant), Some(said)) if !has_routes && *said != meant => {
            wrong.push(format!("router {said}, and {meant} is the gateway"));
        }
        (Some(_) | None, _) => {}
    }
    let takes = seat.tap().map(|tap| tap.mtu);
    if let Some((said, takes)) = reply.mtu.zip(takes).filter(|(said, takes)| u32::from(*said) > *takes) {
        wrong.push(format!("an MTU of {said}, and the NIC on the host takes {takes}"));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use model::dhcp::HeardReply;

    use crate::fixture::{codes, healthy, offer, offered};

    fn found_of(change: impl Fn(&mut HeardReply)) -> Vec<String> {
        let cloud = healthy();
        let mut heard = offer(&cloud, "web1");
        change(&mut heard);
        let found = cloud.diagnose_with("web1", &[offered("web1", vec![heard])]);
        let said = found.findings.iter().map(|f| format!("{} {}: {}", f.code, f.hop, f.cause));
        said.collect()
    }

    #[test]
    fn fires_for_each_option_that_does_not_fit() {
        let foreign = Ipv4Addr::new(10, 0, 9, 9);
        let one = |found: Vec<String>, word: &str| {
            let [said] = found.as_slice() else { panic!("{found:?}") };
            assert!(said.starts_with("dhcp-offer-wrong compute1//br100: ") && said.contains(word), "{said}");
        };
        one(found_of(|heard| heard.reply.routers.clear()), "no router");
        one(found_of(|heard| heard.reply.routers = vec![foreign]), "router 10.0.9.9");
        one(found_of(|heard| heard.reply.address = Some(foreign)), "10.0.2.24 is recorded");
        one(found_of(|heard| heard.reply.prefix_bits = Some(24)), "24 bits");
        one(found_of(|heard| heard.reply.mtu = Some(9000)), "MTU of 9000");
    }

    #[test]
    fn stays_silent_for_what_fits() {
        assert_eq!(found_of(|_| {}), Vec::<String>::new());
        assert_eq!(found_of(|heard| heard.reply.mtu = Some(1400)), Vec::<String>::new());
        let routes = |heard: &mut HeardReply| {
            heard.reply.routers.clear();
            heard.reply.codes.push(121);
        };
        assert_eq!(found_of(routes), Vec::<String>::new());
    }

    #[test]
    fn stays_silent_where_another_server_offers_it() {
        let cloud = healthy();
        let own = offer(&cloud, "web1");
        let mut foreign = own.clone();
        let stranger = Ipv4Addr::new(10, 0, 2, 200);
        (foreign.from, foreign.reply.server) = (stranger, Some(stranger));
        foreign.reply.routers = vec![stranger];
        let found = codes(&cloud.diagnose_with("web1", &[offered("web1", vec![own, foreign])]));
        assert!(found.len() == 1 && found[0].starts_with("rogue-dhcp "), "{found:?}");
    }
}
