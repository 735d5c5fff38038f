//! # dnsmasq-lease-max
//!
//! What dnsmasq offers it takes back: it holds as many leases as it may.
//!
//! ## What it means
//! Whoever has a lease keeps it. Everybody else is offered an address, asks for it, is answered NAK, and begins anew,
//! for ever. Leases of instances that have ended count until they expire.
//!
//! ## How hopline knows
//! The leases that dnsmasq's file holds are as many as `--dhcp-lease-max`, and none is the instance's. Where nova keeps
//! them, the log of the dnsmasq that runs has a NAK with `no leases left` for the MAC, and no ACK since: what the
//! client, or hopline, asked and was offered later takes nothing back.
//!
//! ## What it looks like
//! Log: `DHCPOFFER`, `DHCPREQUEST`, `DHCPNAK(br100) 10.0.0.11 fa:16:... no leases left`, round and round. The console
//! repeats `Sending discover...` and `Sending select...`.
//!
//! ## Nearest look-alikes
//! * `dnsmasq-pool-exhausted`: there is no OFFER at all; the log says `no address available`.
//! * `dnsmasq-stale-hosts-file`: the same, for one MAC.
//!
//! ## Fix
//! nova gives dnsmasq a limit as large as its network: end the one with another, and let nova-network start it. Where
//! the limit is nova's, release the leases of what has ended (`dhcp_release`), or wait for them to expire. No undo.
//!
//! ## References
//! dnsmasq(8) `--dhcp-lease-max`; dnsmasq `src/rfc2131.c`, `dhcp_reply`; nova `linux_net.py` `restart_dhcp`.

use std::collections::BTreeMap;

use model::finding::{Confidence, Evidence, EvidenceKind};
use model::path::Stage;
use model::service::{DhcpMessage, Dnsmasq};

use crate::addressless::{self, Addressless};
use crate::dhcp_refused;
use crate::dhcp_server;
use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::ladder::Purpose;
use crate::restart;
use crate::view::{Seat, View};

/// An instance's NIC that gets no lease.
struct Refused<'v> {
    seat: Seat<'v>,
    server: &'v Dnsmasq,
    confidence: Confidence,
    why: String,
    evidence: Evidence,
    /// It has no address: whatever else dies, dies of that.
    without: Option<Addressless<'v>>,
}

/// Looks for NICs that are offered an address and refused the lease: one finding a bridge.
pub fn check(view: &View) -> Vec<Found> {
    let mut bridges: BTreeMap<(&str, &str), Vec<Refused>> = BTreeMap::new();
    for refused in view.vifs().filter_map(|seat| refused(view, seat)) {
        let bridge = refused.seat.bridge_name().unwrap_or_default();
        bridges.entry((&refused.seat.server.name, bridge)).or_default().push(refused);
    }
    bridges.values().filter_map(|all| full(view, all)).collect()
}

fn refused<'v>(view: &View<'v>, seat: Seat<'v>) -> Option<Refused<'v>> {
    let (mac, server) = (seat.vif.mac?, dhcp_server::of(&seat)?);
    let max = server.lease_max?;
    if let Some(held) = sim::dhcp::leases_all_held(server, Some(mac), view.snapshot().taken_at) {
        let file = server.lease_file.as_deref().unwrap_or("--dhcp-leasefile");
        let text = format!("leases held: {held}; none is of {mac}");
        let evidence = evidence::record(EvidenceKind::Config, file, text);
        let why = format!("--dhcp-lease-max is {max}, and as many leases are held by others");
        let without = addressless::of(view, &seat);
        return Some(Refused { seat, server, confidence: Confidence::Proven, why, evidence, without });
    }
    if server.leases.is_some() {
        return None;
    }
    let word = dhcp_refused::words(&seat, mac).find(|word| is_answer(word.kind))?;
    if word.kind != DhcpMessage::Nak || !word.rest.contains("no leases left") {
        return None;
    }
    let confidence = dhcp_refused::confidence(server, word)?;
    let evidence = dhcp_refused::logged(&seat, word);
    let why = format!("dnsmasq answers its request with `no leases left`, and --dhcp-lease-max is {max}");
    Some(Refused { seat, server, confidence, why, evidence, without: addressless::of(view, &seat) })
}

/// What answers a REQUEST, or makes the answer before it void.
fn is_answer(kind: DhcpMessage) -> bool {
    match kind {
        DhcpMessage::Ack | DhcpMessage::Nak | DhcpMessage::Decline | DhcpMessage::Release => true,
        DhcpMessage::Discover | DhcpMessage::Offer | DhcpMessage::Request | DhcpMessage::Inform => false,
    }
}

fn full<'v>(view: &View<'v>, all: &[Refused<'v>]) -> Option<Found> {
    let Refused { seat, server, confidence, why, .. } = all.first()?;
    let names: Vec<String> = all.iter().map(|refused| refused.seat.instance.name.clone()).collect();
    let mut evidence: Vec<Evidence> = all.iter().map(|refused| refused.evidence.clone()).collect();
    let process = format!("dnsmasq pid {}: {}", server.pid, server.argv.join(" "));
    evidence.push(evidence::state(seat.server_ns, "ps aux", process));
    let stopped = view.stop(|s| {
        s.rung.purpose == Purpose::Dhcp
            && names.contains(&s.rung.from)
            && s.hop.at.stage == Stage::Service
            && s.is_in(seat.server_ns)
    });
    let unlimited = Dnsmasq { lease_max: None, ..(*server).clone() };
    let given = all.iter().flat_map(|r| r.without.as_ref().map(|w| w.mend(&r.seat)).unwrap_or_default());
    let fault = Fault {
        code: "dnsmasq-lease-max",
        hop: at(seat.server_ns, seat.bridge_name()?, Stage::Service),
        summary: format!(
            "no lease for {}: dnsmasq on {} offers an address and refuses the request",
            names.join(", "),
            seat.server.name
        ),
        cause: why.clone(),
        confidence: *confidence,
        evidence,
        owner: "nova-network",
        remedy: restart::dnsmasq(
            view,
            *seat,
            server,
            "TERM",
            "ends the one whose leases are all held; nova gives the next a limit as large as the network",
        ),
        stopped: stopped.or_else(|| all.iter().find_map(|r| r.without.as_ref()?.stop(view, &r.seat))),
        mend: std::iter::once(dhcp_server::put_right(seat, unlimited)).chain(given).collect(),
        instances: names.clone(),
    };
    let is_without = all.iter().all(|refused| refused.without.is_some());
    Some(if is_without { addressless::left_by(fault) } else { dhcp_refused::breaks_dhcp(fault.found()) })
}

#[cfg(test)]
mod tests {
    use model::finding::Confidence;
    use model::service::DhcpMessage;

    use crate::fixture::{Cloud, broken, codes, healthy, lacks, refuse, say};

    #[test]
    fn fires_when_a_stranger_holds_the_only_lease() {
        let diagnosis = broken("dnsmasq-lease-max").diagnose("web1");
        assert_eq!(codes(&diagnosis), ["dnsmasq-lease-max compute1//br100"]);
        let finding = &diagnosis.findings[0];
        assert_eq!(finding.cause, "--dhcp-lease-max is 1, and as many leases are held by others");
        assert_eq!(finding.confidence, Confidence::Proven);
    }

    #[test]
    fn stays_silent_for_who_has_the_lease_and_when_it_has_expired() {
        let mut own = broken("dnsmasq-lease-max");
        let mac = own.intent.instances[0].vifs[0].mac.unwrap();
        own.dnsmasq("compute1").leases.iter_mut().flatten().for_each(|lease| lease.mac = mac);
        assert_eq!(codes(&own.diagnose("web1")), Vec::<String>::new());
        let mut expired = broken("dnsmasq-lease-max");
        expired.dnsmasq("compute1").leases.iter_mut().flatten().for_each(|lease| lease.expires = 1);
        assert_eq!(codes(&expired.diagnose("web1")), Vec::<String>::new());
    }

    /// nova keeps the leases in its database: dnsmasq's log is all that tells.
    fn said(kind: DhcpMessage, rest: &str) -> Cloud {
        let mut cloud = healthy();
        let mac = cloud.intent.instances[0].vifs[0].mac.unwrap();
        let pid = cloud.dnsmasq("compute1").pid;
        refuse(&mut cloud, pid, mac);
        let line = cloud.host("compute1").dhcp_log.last_mut().unwrap();
        (line.kind, line.rest) = (kind, rest.to_owned());
        cloud
    }

    #[test]
    fn believes_the_log_where_the_leases_cannot_be_read() {
        let diagnosis = said(DhcpMessage::Nak, "no leases left").diagnose("web1");
        assert_eq!(codes(&diagnosis), ["dnsmasq-lease-max compute1//br100"]);
        assert_eq!(diagnosis.findings[0].confidence, Confidence::Proven);
    }

    #[test]
    fn what_is_asked_and_offered_since_takes_nothing_back() {
        let address = Some([10, 0, 2, 24].into());
        let ours = (DhcpMessage::Discover, Some(model::dhcp::ASKED_BY_US), "");
        let mut cloud = said(DhcpMessage::Nak, "no leases left");
        say(&mut cloud, &[ours, (DhcpMessage::Offer, address, "")]);
        let round = [DhcpMessage::Discover, DhcpMessage::Offer, DhcpMessage::Request];
        say(&mut cloud, &round.map(|kind| (kind, address, "")));
        assert_eq!(codes(&cloud.diagnose("web1")), ["dnsmasq-lease-max compute1//br100"]);
        say(&mut cloud, &[(DhcpMessage::Ack, address, "web1")]);
        assert_eq!(codes(&cloud.diagnose("web1")), [""; 0], "it has its lease by now");
    }

    #[test]
    fn a_log_that_tells_no_pid_may_be_anothers() {
        let mut cloud = said(DhcpMessage::Nak, "no leases left");
        cloud.host("compute1").dhcp_log.last_mut().unwrap().pid = 0;
        assert_eq!(cloud.diagnose("web1").findings[0].confidence, Confidence::Likely);
    }

    #[test]
    fn stays_silent_on_another_refusal_and_on_what_an_ended_process_said() {
        assert!(lacks(&said(DhcpMessage::Nak, "wrong network").diagnose("web1"), "dnsmasq-lease-max"));
        let mut restarted = said(DhcpMessage::Nak, "no leases left");
        restarted.dnsmasq("compute1").pid += 1000;
        assert_eq!(codes(&restarted.diagnose("web1")), Vec::<String>::new());
        assert!(lacks(&broken("dnsmasq-pool-exhausted").diagnose("web1"), "dnsmasq-lease-max"));
    }
}
