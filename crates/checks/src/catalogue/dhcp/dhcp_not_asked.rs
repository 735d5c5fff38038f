//! # dhcp-not-asked
//!
//! The instance has no address, and asks for none.
//!
//! ## What it means
//! Its NIC is up, dnsmasq waits, and no DISCOVER comes: no DHCP client runs for that NIC. Its image configures another
//! name of NIC than it has, or was made of an instance with an address set by hand; or the client has ended.
//!
//! ## How hopline knows
//! The network's dnsmasq runs, its log is read and tells of others, and of this MAC it has nothing but hopline's own
//! DISCOVERs since the last lease, if there ever was one. An instance that can be entered has no address on its NIC:
//! likely. Of one that cannot, nobody answers ARP at the address of its record, it has sent frames, its console has
//! come to a login prompt without a word of DHCP, and no client of its was seen while devices were watched: possible,
//! for it may have an address of its own choice.
//!
//! ## What it looks like
//! Inside: `ip addr` shows the NIC up and without `inet`; `ps` shows no dhclient, udhcpc or networkd. `tcpdump -eni
//! vnet0 port 67` stays empty.
//!
//! ## Nearest look-alikes
//! * `guest-nic-down`: the NIC is down, too.
//! * `guest-driver-absent`: the instance has no NIC, and has never sent a frame.
//! * `guest-wrong-ip`: it has an address, by hand, that is not its record's.
//! * `dhcp-nak`, `dhcp-offer-refused`: it asked, and the log tells.
//!
//! ## Fix
//! In the instance, by its console: a DHCP client for the NIC (`dhclient eth0`), and one in its network configuration.
//! Undo: end the client.
//!
//! ## References
//! RFC 2131, 4.4; cloud-init, "Network configuration"; udev's persistent names of NICs in images.

use model::Mac;
use model::finding::{Confidence, Evidence, EvidenceKind};
use model::path::Direction;
use model::service::{ConsoleEventKind, DhcpLogLine, DhcpMessage, Dnsmasq};

use crate::dhcp_told::console_of;
use crate::found::{Fault, Found};
use crate::view::{Seat, View};
use crate::{addressless, dhcp_refused, dhcp_server, dhcp_unheard, evidence, power};

/// Looks for instances without an address of which no DISCOVER is known: one finding a NIC.
pub fn check(view: &View) -> Vec<Found> {
    view.vifs().filter_map(|seat| silent(view, &seat)).collect()
}

fn silent(view: &View, seat: &Seat) -> Option<Found> {
    let (mac, server) = (seat.vif.mac?, dhcp_server::of(seat).filter(|server| !server.is_stopped())?);
    let without = addressless::of(view, seat)?;
    let is_on = power::off(seat).is_none() && power::paused(seat).is_none() && seat.instance.task.is_none();
    let logged = nothing_logged(seat, server, mac).filter(|_| is_on && !is_seen(view, mac))?;
    // It asked, and gave up.
    if dhcp_unheard::of(view, seat, mac).is_some() {
        return None;
    }
    let (confidence, told) = match seat.inside(view) {
        Some((inside, nic)) => {
            let command = format!("ip -4 addr show dev {}", crate::restart::typed(&nic.name));
            (
                Confidence::Likely,
                evidence::state(inside, &command, format!("{} is up, without an address", nic.name)),
            )
        }
        None => (Confidence::Possible, at_its_prompt(seat)?),
    };
    let name = &seat.instance.name;
    let fault = Fault {
        code: "dhcp-not-asked",
        hop: without.place(seat),
        summary: format!("{name} has no address, and its NIC asks for none"),
        cause: format!("no DHCP client runs in {name}, or it is told of another NIC"),
        confidence,
        evidence: vec![told, logged],
        owner: "instance",
        remedy: vec![evidence::advice(
            format!("in {name}, by its console: ip addr; a DHCP client for the NIC (dhclient eth0)"),
            "the first shows whether it has an address of its own choice, the second gives it its record's",
        )],
        instances: vec![name.clone()],
        stopped: without.stop(view, seat),
        mend: without.mend(seat),
    };
    let mut found = addressless::left_by(fault);
    found.finding.direction = Direction::Request;
    Some(found)
}

/// The log tells of this server's clients, and of this one nothing after a lease.
fn nothing_logged(seat: &Seat, server: &Dnsmasq, mac: Mac) -> Option<Evidence> {
    let file = seat.server.dhcp_log_file.as_deref()?;
    let bridge = seat.bridge_name()?;
    let is_its = |line: &DhcpLogLine| line.interface == bridge && (line.pid == 0 || line.pid == server.pid);
    if !seat.server.dhcp_log.iter().any(is_its) {
        return None;
    }
    let Some(last) = dhcp_refused::words(seat, mac).next() else {
        return Some(evidence::record(EvidenceKind::Log, file, format!("not one line of {mac}")));
    };
    let is_over = matches!(last.kind, DhcpMessage::Ack | DhcpMessage::Release);
    is_over.then(|| dhcp_refused::logged(seat, last))
}

/// A client of this MAC was seen to ask while devices were watched.
fn is_seen(view: &View, mac: Mac) -> bool {
    view.watches
        .iter()
        .flat_map(|watch| &watch.clients)
        .any(|client| client.mac == mac && client.questions > 0)
}

/// Its console has come to a login prompt without a word of DHCP, and its NIC has sent frames.
fn at_its_prompt(seat: &Seat) -> Option<Evidence> {
    let has_sent = seat.tap()?.stats.is_some_and(|stats| stats.rx_packets > 0);
    let console = console_of(seat.host, seat.instance).filter(|_| has_sent)?;
    let is_of_dhcp = |kind: &ConsoleEventKind| match kind {
        ConsoleEventKind::DhcpStarted(_)
        | ConsoleEventKind::DhcpDiscover
        | ConsoleEventKind::DhcpSelect
        | ConsoleEventKind::DhcpLease(_)
        | ConsoleEventKind::DhcpNoLease
        | ConsoleEventKind::DhcpFailed => true,
        ConsoleEventKind::MetadataAsked
        | ConsoleEventKind::MetadataUnreachable(_)
        | ConsoleEventKind::NicMissing
        | ConsoleEventKind::Login => false,
    };
    if console.events.iter().any(|event| is_of_dhcp(&event.kind)) {
        return None;
    }
    let login = console.events.iter().rev().find(|event| event.kind == ConsoleEventKind::Login)?;
    Some(evidence::record(EvidenceKind::Log, format!("{}:{}", console.file, login.line), login.text.clone()))
}

#[cfg(test)]
mod tests {
    use model::finding::Confidence;
    use model::link::LinkStats;
    use model::probe::{ClientSeen, DeviceWatch};
    use model::service::{Console, ConsoleEvent, ConsoleEventKind, DhcpMessage};

    use crate::fixture::{Cloud, broken, codes, held, lacks, say};

    const CODE: &str = "dhcp-not-asked";

    #[test]
    fn fires_where_an_instance_has_no_address_and_its_last_word_is_a_lease() {
        let found = broken(CODE).diagnose("web1");
        assert_eq!(codes(&found), ["dhcp-not-asked web1//eth0"]);
        assert_eq!(found.findings[0].confidence, Confidence::Likely);
    }

    #[test]
    fn stays_silent_where_it_asks() {
        let mut asks = broken(CODE);
        say(&mut asks, &[(DhcpMessage::Discover, None, "")]);
        assert!(lacks(&asks.diagnose("web1"), CODE));
        let mut unread = broken(CODE);
        unread.host("compute1").dhcp_log_file = None;
        assert!(lacks(&unread.diagnose("web1"), CODE));
        let mut unserved = broken(CODE);
        crate::fixture::inject(&mut unserved, "dnsmasq-not-running");
        assert!(lacks(&unserved.diagnose("web1"), CODE));
        let cloud = broken(CODE);
        let mac = cloud.intent.instances[0].vifs[0].mac.unwrap();
        let watch = DeviceWatch {
            machine: "compute1".to_owned(),
            netns: String::new(),
            device: "vnet0".to_owned(),
            probes: Vec::new(),
            clients: vec![ClientSeen { mac, questions: 1, answers: 0 }],
            neighbours: Vec::new(),
            is_recorded: false,
        };
        assert!(lacks(&cloud.diagnose_watched("web1", &[], &[watch]), CODE));
    }

    /// It cannot be entered, has come to its prompt, and nobody answers ARP for its address.
    fn closed(events: &[ConsoleEventKind]) -> Cloud {
        let mut cloud = broken(CODE);
        let mac = cloud.intent.instances[0].vifs[0].mac;
        cloud.close("web1");
        cloud.link("compute1", "vnet0").stats = Some(LinkStats { rx_packets: 9, ..LinkStats::default() });
        cloud.host("compute1").dhcp_log.retain(|line| line.mac != mac);
        let event =
            |kind: &ConsoleEventKind| ConsoleEvent { line: 9, kind: kind.clone(), text: "login:".to_owned() };
        let console = Console { file: "console.log".to_owned(), events: events.iter().map(event).collect() };
        cloud.host("compute1").consoles = vec![("web1".to_owned(), console)];
        cloud.holders = vec![held("br100", "10.0.2.24", &[], false)];
        cloud
    }

    #[test]
    fn of_one_that_cannot_be_entered_it_is_only_possible() {
        let found = closed(&[ConsoleEventKind::Login]).diagnose("web1");
        assert_eq!(codes(&found), ["dhcp-not-asked web1//"]);
        assert_eq!(found.findings[0].confidence, Confidence::Possible);
        assert!(lacks(&closed(&[]).diagnose("web1"), CODE), "it may be booting");
        let asked = [ConsoleEventKind::DhcpDiscover, ConsoleEventKind::Login];
        assert!(lacks(&closed(&asked).diagnose("web1"), CODE));
        let mut unasked = closed(&[ConsoleEventKind::Login]);
        unasked.holders.clear();
        assert!(lacks(&unasked.diagnose("web1"), CODE), "it may have its address by hand");
        let mut answers = closed(&[ConsoleEventKind::Login]);
        let own = answers.intent.instances[0].vifs[0].mac.unwrap();
        answers.holders = vec![held("br100", "10.0.2.24", &[own], false)];
        assert!(lacks(&answers.diagnose("web1"), CODE), "it has it by hand");
    }
}
