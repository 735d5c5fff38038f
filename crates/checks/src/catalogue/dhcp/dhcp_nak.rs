//! # dhcp-nak
//!
//! The address that the instance asks for is refused by its dnsmasq.
//!
//! ## What it means
//! A client that has an address in mind asks for it by name: one that it had before, or that a server offered. dnsmasq
//! answers NAK where it cannot be had, and a client is to begin anew with a DISCOVER, which gives it the address of its
//! record. One that does not, or that is led to another server again each time, stays without an address.
//!
//! ## How hopline knows
//! The last word in the log of the dnsmasq that runs, to the instance's MAC, is DHCPNAK with a reason; nothing
//! follows it but hopline's own DISCOVERs, which ask for 240.0.0.67, and the instance has no address: so its inside
//! says, or nobody answers ARP at the one of its record though the way there is open, or its console ends without
//! a lease.
//!
//! ## What it looks like
//! dnsmasq's log: `DHCPREQUEST(br100) 10.0.9.9 fa:16:...`, `DHCPNAK(br100) 10.0.9.9 fa:16:... wrong address`. The
//! reasons, in dnsmasq's words:
//!
//! * `wrong network`, `address not available`: the address is of no range here; the instance was elsewhere.
//! * `wrong address`, `static lease available`: another one is recorded for it, or leased to it.
//! * `address reserved`, `address in use`: it is recorded for, or leased to, somebody else.
//! * `lease not found`: it wants to keep a lease that this dnsmasq never gave.
//! * `wrong server-ID`: it has chosen another server's offer.
//!
//! ## Nearest look-alikes
//! * `dnsmasq-lease-max`: the reason is `no leases left`.
//! * `dhcp-not-authoritative`: dnsmasq does not answer at all who asks for what it does not know.
//! * `dhcp-offer-refused`: the instance refuses, not dnsmasq.
//! * an instance that was refused once and then got its address: the log goes on with DISCOVER, OFFER, REQUEST, ACK.
//!
//! ## Fix
//! In the instance: stop its DHCP client, remove its lease file (an image that was made of a running instance brings
//! one along), start it anew. Of an address in use: end the other's lease (`dhcp_release`). Of a wrong server: find the
//! other one. No undo.
//!
//! ## References
//! RFC 2131, 4.3.2; dnsmasq `src/rfc2131.c` `dhcp_reply` (DHCPREQUEST).

use model::finding::Remedy;
use model::path::Stage;
use model::service::{DhcpLogLine, DhcpMessage};

use crate::found::{Fault, Found, at};
use crate::restart::typed;
use crate::view::{Seat, View};
use crate::{addressless, dhcp_refused, dhcp_server, evidence};

/// Lines before the NAK that are shown: the REQUEST that it answers.
const BEFORE: usize = 1;

/// Looks for instances without an address that dnsmasq refused: one finding a NIC.
pub fn check(view: &View) -> Vec<Found> {
    view.vifs().filter_map(|seat| refused(view, &seat)).collect()
}

fn refused(view: &View, seat: &Seat) -> Option<Found> {
    let (mac, server) = (seat.vif.mac?, dhcp_server::of(seat)?);
    let word = dhcp_refused::words(seat, mac).next().filter(|word| word.kind == DhcpMessage::Nak)?;
    let confidence = dhcp_refused::confidence(server, word)?;
    let why = Why::of(&word.rest)?;
    let without = addressless::of(view, seat)?;
    let name = &seat.instance.name;
    let asked = word.ip.map_or_else(|| "an address".to_owned(), |ip| ip.to_string());
    let shown: Vec<&DhcpLogLine> = dhcp_refused::words(seat, mac).take(1 + BEFORE).collect();
    let fault = Fault {
        code: "dhcp-nak",
        hop: at(seat.server_ns, seat.bridge_name()?, Stage::Service),
        summary: format!(
            "{name} has no address: it asks for {asked}, and dnsmasq on {} refuses",
            seat.server.name
        ),
        cause: format!("dnsmasq answers NAK, `{}`: {}", word.rest, why.in_words(&asked)),
        confidence,
        evidence: shown.into_iter().rev().map(|line| dhcp_refused::logged(seat, line)).collect(),
        owner: why.owner(),
        remedy: why.remedy(seat, word),
        instances: vec![name.clone()],
        stopped: without.stop(view, seat),
        mend: without.mend(seat),
    };
    Some(addressless::left_by(fault))
}

/// Why it was refused, as far as what mends it differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// The address is of no range of this server's.
    Elsewhere,
    /// Another one is the instance's.
    Another,
    /// It is another's.
    Others,
    /// The server never gave it.
    Unknown,
    /// It is meant for another server.
    OtherServer,
    /// Words of another version of dnsmasq's.
    Unheard,
}

impl Why {
    /// By dnsmasq's words. A full table has a name of its own.
    fn of(reason: &str) -> Option<Why> {
        match reason {
            "no leases left" => None,
            "wrong network" | "address not available" => Some(Why::Elsewhere),
            "wrong address" | "static lease available" => Some(Why::Another),
            "address reserved" | "address in use" => Some(Why::Others),
            "lease not found" => Some(Why::Unknown),
            "wrong server-ID" => Some(Why::OtherServer),
            _ => Some(Why::Unheard),
        }
    }

    fn in_words(self, asked: &str) -> String {
        match self {
            Why::Elsewhere => format!("{asked} is in none of its ranges; the client had it elsewhere"),
            Why::Another => format!("another address than {asked} is the instance's"),
            Why::Others => format!("{asked} is recorded for another, or leased to another"),
            Why::Unknown => format!("it never gave {asked}, which the client wants to keep"),
            Why::OtherServer => "the client has chosen what another server offers".to_owned(),
            Why::Unheard => format!("the client asks for {asked} all the same"),
        }
    }

    fn owner(self) -> &'static str {
        match self {
            Why::Elsewhere | Why::Another | Why::Unknown | Why::Unheard => "instance",
            Why::Others => "nova-network",
            Why::OtherServer => "unknown",
        }
    }

    fn remedy(self, seat: &Seat, word: &DhcpLogLine) -> Vec<Remedy> {
        let name = &seat.instance.name;
        let anew = evidence::advice(
            format!(
                "in {name}, by its console: stop its DHCP client, remove its lease file (/var/lib/dhcp*), start it"
            ),
            "it begins with a DISCOVER, and is offered the address of its record",
        );
        let bridge = typed(seat.bridge_name().unwrap_or_default());
        match self {
            Why::Elsewhere | Why::Another | Why::Unknown | Why::Unheard => vec![anew],
            Why::Others => {
                let address = word.ip.map_or_else(|| "ADDRESS".to_owned(), |ip| ip.to_string());
                let release = format!("dhcp_release {bridge} {address} MAC-OF-ITS-HOLDER");
                let note = "ends the lease of whoever has it; right only where that one lives no more";
                vec![evidence::advice(evidence::within(seat.server_ns, &release), note), anew]
            }
            Why::OtherServer => {
                let watch = format!("tcpdump -eni {bridge} udp port 67 or udp port 68");
                let note = "shows the other server's MAC; stop that one";
                vec![evidence::advice(evidence::within(seat.server_ns, &watch), note), anew]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use model::service::DhcpMessage;

    use crate::fixture::{Cloud, broken, codes, lacks, say};

    const CODE: &str = "dhcp-nak";

    fn said(change: impl Fn(&mut Cloud)) -> Vec<String> {
        let mut cloud = broken(CODE);
        change(&mut cloud);
        codes(&cloud.diagnose("web1"))
    }

    #[test]
    fn fires_with_the_reason_and_the_request_that_was_refused() {
        let found = broken(CODE).diagnose("web1");
        assert_eq!(codes(&found), ["dhcp-nak compute1//br100"]);
        let finding = &found.findings[0];
        assert!(finding.cause.contains("`wrong address`"), "{}", finding.cause);
        let texts: Vec<&str> = finding.evidence.iter().map(|line| line.text.as_str()).collect();
        assert!(texts[0].contains("DHCPREQUEST") && texts[1].contains("DHCPNAK"), "{texts:?}");
    }

    #[test]
    fn what_mends_it_goes_by_the_reason() {
        for (reason, owner, command) in [
            ("wrong network", "instance", "lease file"),
            ("address in use", "nova-network", "dhcp_release br100 10.0.9.9 "),
            ("wrong server-ID", "unknown", "tcpdump -eni br100"),
            ("a reason of next year's", "instance", "lease file"),
        ] {
            let mut cloud = broken(CODE);
            reason.clone_into(&mut cloud.host("compute1").dhcp_log.last_mut().unwrap().rest);
            let finding = cloud.diagnose("web1").findings.remove(0);
            assert_eq!((finding.code.as_str(), finding.owner.as_str()), (CODE, owner), "{reason}");
            assert!(finding.remedy[0].command.contains(command), "{reason}: {:?}", finding.remedy);
        }
    }

    #[test]
    fn stays_silent_where_more_was_said_since_or_by_another_process() {
        let add = |kind: DhcpMessage| {
            said(|cloud| {
                let log = &mut cloud.host("compute1").dhcp_log;
                let last = log.last().unwrap().clone();
                log.push(model::service::DhcpLogLine { kind, rest: String::new(), ..last });
            })
        };
        for kind in [DhcpMessage::Discover, DhcpMessage::Offer, DhcpMessage::Request, DhcpMessage::Ack] {
            assert!(add(kind).iter().all(|code| !code.starts_with(CODE)), "{kind:?}");
        }
        let restarted = said(|cloud| cloud.dnsmasq("compute1").pid += 1000);
        assert!(restarted.iter().all(|code| !code.starts_with(CODE)), "{restarted:?}");
        let full = said(|cloud| {
            "no leases left".clone_into(&mut cloud.host("compute1").dhcp_log.last_mut().unwrap().rest);
        });
        assert!(full.iter().all(|code| !code.starts_with(CODE)), "{full:?}");
    }

    #[test]
    fn what_hopline_asked_since_takes_nothing_back() {
        let mut cloud = broken(CODE);
        let address = Some([10, 0, 2, 24].into());
        for _ in 0..4 {
            let ours = (DhcpMessage::Discover, Some(model::dhcp::ASKED_BY_US), "");
            say(&mut cloud, &[ours, (DhcpMessage::Offer, address, "")]);
        }
        assert_eq!(codes(&cloud.diagnose("web1")), ["dhcp-nak compute1//br100"]);
        say(&mut cloud, &[(DhcpMessage::Discover, None, ""), (DhcpMessage::Offer, address, "")]);
        assert!(lacks(&cloud.diagnose("web1"), CODE), "its own client has asked anew");
    }

    #[test]
    fn stays_silent_where_the_instance_has_its_address() {
        let mut cloud = crate::fixture::healthy();
        cloud.host("compute1").dhcp_log = broken(CODE).host("compute1").dhcp_log.clone();
        let found = cloud.diagnose("web1");
        assert!(lacks(&found, CODE) && found.findings.is_empty(), "{:?}", codes(&found));
    }
}
