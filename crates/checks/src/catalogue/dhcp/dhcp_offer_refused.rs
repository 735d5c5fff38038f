//! # dhcp-offer-refused
//!
//! The instance hears what DHCP offers it, and does not take it.
//!
//! ## What it means
//! Host, network and dnsmasq have done their part: the OFFER is at the instance's NIC. Its client declines the address,
//! as a rule because somebody answered when it asked by ARP whether the address is free; or it passes every OFFER over,
//! for want of an option that it insists on, or because what it runs behind lets nothing in. After a DECLINE dnsmasq
//! sets the address aside for ten minutes and says `no address available` meanwhile, as though the instance had no line
//! in its hosts file.
//!
//! ## How hopline knows
//! The instance has no address: so its inside says, or nobody answers ARP at the one of its record, or its console ends
//! without a lease. And of its MAC the last lease in dnsmasq's log was given back by DHCPDECLINE: proven. Or the log
//! has three OFFERs and more since the last REQUEST, an OFFER to hopline's own DISCOVER was seen at the NIC, every walk
//! back is open, and the console has the client ask as often and never for what it was offered: likely. So it is where
//! the log has three ACKs and more of one conversation within a minute, and an OFFER to hopline's own DISCOVER was seen
//! at the NIC. hopline's own DISCOVERs, which stand in that log too, ask for 240.0.0.67 and are not counted.
//!
//! ## What it looks like
//! dnsmasq's log: `DHCPDISCOVER`, `DHCPOFFER`, `DHCPREQUEST`, `DHCPACK`, `DHCPDECLINE`, `disabling DHCP static
//! address`, then `not using configured address ... because it was previously declined`. Or `DHCPDISCOVER` and
//! `DHCPOFFER` alone, round and round, while `tcpdump -eni vnet0 port 67` shows both.
//!
//! ## Nearest look-alikes
//! * `dhcp-reply-lost`: the same log, and the OFFER dies on its way to the NIC.
//! * `dhcp-offer-wrong`: what is offered does not fit, and clients are right to refuse it.
//! * `dhcp-bad-udp-checksum`: old clients alone drop the OFFER, for its checksum.
//! * `duplicate-ip-foreign`: who has the address as well, where that can still be seen.
//!
//! ## Fix
//! Find who answers for the address (`arping -D` from the host, where nobody should), and have that one give it up; or
//! switch the client's test off. Then have dnsmasq read its files again, which makes it forget the DECLINE, and the
//! client ask anew. No undo.
//!
//! ## References
//! RFC 2131, 3.1.5 and 4.4.4; RFC 5227; dnsmasq `src/rfc2131.c` (DHCPDECLINE, `DECLINE_BACKOFF`); busybox udhcpc `-a`.

use std::net::IpAddr;

use model::Mac;
use model::dhcp::UdpChecksum;
use model::finding::{Confidence, Evidence, EvidenceKind, Remedy};
use model::service::{DhcpLogLine, Dnsmasq};

use crate::addressless::{self, Addressless};
use crate::dhcp_ignored::{self, Ignored};
use crate::dhcp_unheard::{self, Unheard};
use crate::found::{Fault, Found};
use crate::restart::typed;
use crate::view::{Seat, View};
use crate::{dhcp_refused, dhcp_server, evidence, said};

/// Looks for instances without an address that was offered them: one finding a NIC.
pub fn check(view: &View) -> Vec<Found> {
    view.vifs().filter_map(|seat| refused(view, seat)).collect()
}

/// What the client does with what it is offered.
struct Refusal {
    summary: String,
    cause: String,
    confidence: Confidence,
    evidence: Vec<Evidence>,
    remedy: Vec<Remedy>,
}

fn refused(view: &View, seat: Seat) -> Option<Found> {
    let (mac, server) = (seat.vif.mac?, dhcp_server::of(&seat)?);
    let without = addressless::of(view, &seat)?;
    let refusal = match dhcp_refused::declined(&seat, mac) {
        Some(line) => declined(view, &seat, server, (line, dhcp_refused::confidence(server, line)?)),
        None => passed_over(view, &seat, mac).or_else(|| asks_on(view, &seat, mac))?,
    };
    Some(found(view, &seat, &without, refusal))
}

fn found<'v>(view: &View<'v>, seat: &Seat, without: &Addressless<'v>, refusal: Refusal) -> Found {
    let Refusal { summary, cause, confidence, evidence, remedy } = refusal;
    addressless::left_by(Fault {
        code: "dhcp-offer-refused",
        hop: without.place(seat),
        summary,
        cause,
        confidence,
        evidence,
        owner: "instance",
        remedy,
        instances: vec![seat.instance.name.clone()],
        stopped: without.stop(view, seat),
        mend: without.mend(seat),
    })
}

/// It gave the address back.
fn declined(
    view: &View,
    seat: &Seat,
    server: &Dnsmasq,
    (line, confidence): (&DhcpLogLine, Confidence),
) -> Refusal {
    let name = &seat.instance.name;
    let address = line.ip.map_or_else(|| "its address".to_owned(), |ip| ip.to_string());
    let holders: Vec<String> = view
        .holders
        .iter()
        .filter(|holders| line.ip.is_some_and(|ip| holders.address == IpAddr::V4(ip)))
        .flat_map(|holders| holders.stations.iter().map(|station| station.mac))
        .filter(|mac| Some(*mac) != seat.vif.mac)
        .map(|mac| mac.to_string())
        .collect();
    let who = if holders.is_empty() { "somebody".to_owned() } else { holders.join(" and ") };
    let mut since =
        seat.server.dhcp_log.iter().filter(|later| later.line > line.line && later.mac == line.mac);
    let mut evidence = vec![dhcp_refused::logged(seat, line)];
    evidence.extend(since.next_back().map(|later| dhcp_refused::logged(seat, later)));
    let bridge = seat.bridge_name().unwrap_or_default();
    let asked = evidence::within(seat.server_ns, &format!("arping -D -c 3 -I {} {address}", typed(bridge)));
    Refusal {
        summary: format!(
            "{name} declines {address}, which DHCP gave it: its client says that {who} has it already"
        ),
        cause: format!("{name} sent DHCPDECLINE for {address}, and has no address since"),
        confidence,
        evidence,
        remedy: vec![
            evidence::advice(asked, "shows who answers for the address; that one is to give it up"),
            evidence::advice(
                format!("kill -HUP {}", server.pid),
                "dnsmasq forgets that the address was declined, else after ten minutes; disturbs nobody",
            ),
            evidence::advice(format!("in {name}: its DHCP client anew"), "asks once the address is free"),
        ],
    }
}

/// It asks on, though the OFFERs come to its NIC.
fn passed_over(view: &View, seat: &Seat, mac: Mac) -> Option<Refusal> {
    let name = &seat.instance.name;
    let Ignored { offers, checksum, evidence } = dhcp_ignored::of(view, seat, mac)?;
    // An unfinished one has a name of its own.
    match checksum {
        UdpChecksum::Right | UdpChecksum::Absent => {}
        UdpChecksum::Unfinished | UdpChecksum::Wrong => return None,
    }
    Some(Refusal {
        summary: format!("{name} does not take what DHCP offers it, though the OFFER comes to its NIC"),
        cause: format!(
            "dnsmasq made {offers} OFFERs since the last REQUEST of {mac}, and its client asked again"
        ),
        confidence: Confidence::Likely,
        evidence,
        remedy: vec![evidence::advice(
            format!("in {name}, by its console: its DHCP client with all its words (dhclient -v, udhcpc -v)"),
            "which option it misses, or what drops packets from port 67 before it has them",
        )],
    })
}

/// It asks on, though dnsmasq has given it its address, and every way back is open.
fn asks_on(view: &View, seat: &Seat, mac: Mac) -> Option<Refusal> {
    let Unheard { acks, mut evidence, lost: None } = dhcp_unheard::of(view, seat, mac)? else { return None };
    let name = &seat.instance.name;
    let heard = said::offers(view.probes, name).next()?;
    evidence.push(evidence::record(
        EvidenceKind::Probe,
        format!("DHCPDISCOVER as {name}"),
        said::offer(heard),
    ));
    Some(Refusal {
        summary: format!("{name} does not take the address that DHCP gave it {acks} times within a minute"),
        cause: format!("dnsmasq made {acks} ACKs for {mac}, and its client asked again"),
        confidence: Confidence::Likely,
        evidence,
        remedy: vec![evidence::advice(
            format!("in {name}, by its console: its DHCP client with all its words (dhclient -v, udhcpc -v)"),
            "what it makes of the ACK, or what drops packets from port 67 before it has them",
        )],
    })
}

#[cfg(test)]
mod tests {
    use model::dhcp::UdpChecksum;
    use model::finding::Confidence;
    use model::service::{Console, ConsoleEvent, ConsoleEventKind, DhcpMessage};

    use crate::fixture::{
        Cloud, broken, codes, healthy, held, lacks, lose_address, offer, offered, pinged, say,
    };

    const CODE: &str = "dhcp-offer-refused";

    #[test]
    fn fires_where_the_last_lease_was_declined() {
        let found = broken(CODE).diagnose("web1");
        assert_eq!(codes(&found), ["dhcp-offer-refused web1//eth0"]);
        let finding = &found.findings[0];
        assert_eq!(finding.confidence, Confidence::Proven);
        assert!(finding.summary.contains("declines 10.0.2.24"), "{}", finding.summary);
        assert!(finding.evidence.iter().any(|line| line.text.contains("DHCPDECLINE(br100) 10.0.2.24")));
    }

    #[test]
    fn names_who_has_the_address_where_that_can_be_seen() {
        let mut cloud = broken(CODE);
        cloud.holders = vec![held("br100", "10.0.2.24", &["02:00:00:00:00:99".parse().unwrap()], false)];
        let found = cloud.diagnose("web1");
        assert!(found.findings[0].summary.contains("02:00:00:00:00:99 has it"), "{:?}", found.findings);
    }

    /// It cannot be entered: whether it has an address, answers and its console tell.
    #[test]
    fn of_one_that_cannot_be_entered_answers_tell() {
        let mut cloud = broken(CODE);
        cloud.close("web1");
        cloud.host("compute1").consoles.clear();
        assert!(lacks(&cloud.diagnose("web1"), CODE), "nobody asked, and nothing tells");
        let mut silent = pinged("compute1", 84, 0);
        silent.to = [10, 0, 2, 24].into();
        assert!(
            lacks(&cloud.diagnose_with("web1", &[silent.clone()]), CODE),
            "its groups may keep pings out"
        );
        cloud.holders = vec![held("br100", "10.0.2.24", &[], false)];
        assert_eq!(codes(&cloud.diagnose_with("web1", &[silent.clone()])), ["dhcp-offer-refused web1//"]);
        let own = cloud.intent.instances[0].vifs[0].mac.unwrap();
        cloud.holders = vec![held("br100", "10.0.2.24", &[own], false)];
        assert!(lacks(&cloud.diagnose_with("web1", &[silent]), CODE), "it has it all the same");
    }

    #[test]
    fn stays_silent_where_a_lease_followed_or_the_address_is_there() {
        let mut again = broken(CODE);
        let address = Some([10, 0, 2, 24].into());
        say(&mut again, &[(DhcpMessage::Request, address, ""), (DhcpMessage::Ack, address, "web1")]);
        assert!(lacks(&again.diagnose("web1"), CODE));
        let mut has = healthy();
        has.host("compute1").dhcp_log = broken(CODE).host("compute1").dhcp_log.clone();
        assert_eq!(codes(&has.diagnose("web1")), [""; 0]);
    }

    /// web1 asks and asks, and is offered its address each time.
    fn deaf(rounds: usize) -> Cloud {
        let mut cloud = healthy();
        let address = Some([10, 0, 2, 24].into());
        for _ in 0..rounds {
            say(&mut cloud, &[(DhcpMessage::Discover, None, ""), (DhcpMessage::Offer, address, "")]);
        }
        lose_address(&mut cloud, "web1");
        let asked = |line| ConsoleEvent {
            line,
            kind: ConsoleEventKind::DhcpDiscover,
            text: "udhcpc: broadcasting discover".to_owned(),
        };
        let events = (0..u32::try_from(rounds).unwrap()).map(asked).collect();
        let console = Console { file: "/var/lib/nova/instances/1/console.log".to_owned(), events };
        cloud.host("compute1").consoles = vec![("web1".to_owned(), console)];
        cloud
    }

    fn judged(cloud: &Cloud, checksum: UdpChecksum) -> Vec<String> {
        let mut heard = offer(cloud, "web1");
        heard.checksum = checksum;
        codes(&cloud.diagnose_with("web1", &[offered("web1", vec![heard])]))
    }

    #[test]
    fn fires_where_offers_come_to_the_nic_and_the_client_asks_on() {
        assert_eq!(judged(&deaf(3), UdpChecksum::Right), ["dhcp-offer-refused web1//eth0"]);
        assert_eq!(judged(&deaf(3), UdpChecksum::Unfinished), ["dhcp-bad-udp-checksum compute1//br100"]);
    }

    #[test]
    fn fires_where_the_address_is_given_again_and_again() {
        let given = |acks| {
            let mut cloud = deaf(0);
            let address = Some([10, 0, 2, 24].into());
            for _ in 0..acks {
                say(&mut cloud, &[(DhcpMessage::Request, address, ""), (DhcpMessage::Ack, address, "web1")]);
            }
            cloud
        };
        assert_eq!(judged(&given(3), UdpChecksum::Right), ["dhcp-offer-refused web1//eth0"]);
        assert_eq!(judged(&given(2), UdpChecksum::Right), ["dhcp-not-asked web1//eth0"]);
    }

    #[test]
    fn stays_silent_where_the_rounds_may_be_ours_or_too_few_or_the_way_is_closed() {
        assert!(judged(&deaf(2), UdpChecksum::Right).iter().all(|code| !code.starts_with(CODE)));
        let mut ours = deaf(3);
        ours.host("compute1").consoles.clear();
        assert!(judged(&ours, UdpChecksum::Right).iter().all(|code| !code.starts_with(CODE)));
        let mut asked = deaf(2);
        let address = Some([10, 0, 2, 24].into());
        for _ in 0..3 {
            let discover = (DhcpMessage::Discover, Some(model::dhcp::ASKED_BY_US), "");
            say(&mut asked, &[discover, (DhcpMessage::Offer, address, "")]);
        }
        assert!(judged(&asked, UdpChecksum::Right).iter().all(|code| !code.starts_with(CODE)));
        assert!(lacks(&deaf(3).diagnose("web1"), CODE), "no OFFER was seen to come");
        let mut lost = deaf(3);
        crate::fixture::inject(&mut lost, "dhcp-reply-lost");
        assert!(judged(&lost, UdpChecksum::Right).iter().all(|code| !code.starts_with(CODE)));
    }
}
