//! What the two ends of DHCP last told: the instance on its console, its server in dnsmasq's log; and what was seen of
//! the instance's own client while devices were watched. The guide goes by them: all four lines in the log and no
//! address is the way back.

use std::fmt::Display;

use model::Mac;
use model::finding::{Evidence, EvidenceKind};
use model::intent::Instance;
use model::probe::{ClientSeen, DeviceWatch};
use model::service::{Console, ConsoleEventKind, DhcpMessage};
use model::snapshot::Host;

use crate::diagnose::Case;
use crate::{dhcp_refused, evidence};

/// Lines of one conversation that are told, at most: it has four.
const LINES_MAX: usize = 8;

/// Devices that are told to have seen the instance's own client, at most.
const DEVICES_MAX: usize = 4;

/// Lines of evidence for an instance's DHCP: nothing where neither end was read and its client was not seen.
pub(crate) fn evidence(case: &Case, instance: &Instance) -> Vec<Evidence> {
    if instance.was_never_plugged() {
        return Vec::new();
    }
    let host = |name: &str| case.snapshot.hosts.iter().find(|host| host.name == name);
    let server = case.intent.servers_of(instance).first().and_then(|name| host(name));
    let log = server.and_then(|server| log(server, instance));
    let console = host(&instance.host).and_then(|host| on_console(host, instance));
    let seen = case.watches.iter().filter_map(|watch| own_client(watch, instance)).take(DEVICES_MAX);
    log.into_iter().chain(console).chain(seen).collect()
}

/// What a device saw of the instance's own client.
fn own_client(watch: &DeviceWatch, instance: &Instance) -> Option<Evidence> {
    let macs = || instance.vifs.iter().filter_map(|vif| vif.mac);
    let ClientSeen { mac, questions, answers } =
        watch.clients.iter().find(|client| macs().any(|mac| mac == client.mac))?;
    let DeviceWatch { machine, netns, device, .. } = watch;
    Some(evidence::record(
        EvidenceKind::Capture,
        capture(format_args!("{machine}/{netns}/{device}"), *mac),
        format!(
            "its own client asked meanwhile: {questions} messages from it were seen here, and {answers} answers"
        ),
    ))
}

/// What shows a client's messages and its answers at a device.
pub(crate) fn capture(at: impl Display, mac: Mac) -> String {
    format!("hopline capture --at {at} 'udp and portrange 67-68 and ether host {mac}'")
}

/// What an instance's console is kept under.
pub(crate) fn console_of<'h>(host: &'h Host, instance: &Instance) -> Option<&'h Console> {
    let names = [instance.uuid.as_deref(), instance.libvirt_name.as_deref(), Some(instance.name.as_str())];
    let named = |(name, _): &&(String, Console)| names.contains(&Some(name.as_str()));
    host.consoles.iter().find(named).map(|(_, console)| console)
}

/// The client's last word: the lease that it got, or that it got none.
fn on_console(host: &Host, instance: &Instance) -> Option<Evidence> {
    let console = console_of(host, instance)?;
    let is_dhcp = |kind: &ConsoleEventKind| match kind {
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
    let last = console.events.iter().rev().find(|event| is_dhcp(&event.kind))?;
    Some(evidence::record(EvidenceKind::Log, format!("{}:{}", console.file, last.line), last.text.clone()))
}

/// Which of the four lines of the last conversation stand in dnsmasq's log, and the last of them.
fn log(server: &Host, instance: &Instance) -> Option<Evidence> {
    let file = server.dhcp_log_file.as_ref()?;
    let macs: Vec<_> = instance.vifs.iter().filter_map(|vif| vif.mac).collect();
    let of_it = server.dhcp_log.iter().filter(|line| line.mac.is_some_and(|mac| macs.contains(&mac)));
    let own = dhcp_refused::of_clients(of_it);
    let Some(last) = own.last() else {
        let macs: Vec<String> = macs.iter().map(ToString::to_string).collect();
        return Some(evidence::record(
            EvidenceKind::Log,
            file,
            format!("not one line of {}", macs.join(" ")),
        ));
    };
    if dhcp_refused::is_anybodys(last) {
        let text =
            format!("{} (of the instance, or of us: of whom it ignores it does not log more)", last.text);
        return Some(evidence::record(EvidenceKind::Log, format!("{file}:{}", last.line), text));
    }
    // The last conversation begins at the last DISCOVER, or, of a renewal, at a REQUEST that no OFFER comes before.
    let kind = |at: usize| own.get(at).map(|line| line.kind);
    let begins = |at: &usize| match kind(*at) {
        Some(DhcpMessage::Discover) => true,
        Some(DhcpMessage::Request) => {
            at.checked_sub(1).and_then(kind).is_none_or(|before| before != DhcpMessage::Offer)
        }
        Some(
            DhcpMessage::Offer
            | DhcpMessage::Ack
            | DhcpMessage::Nak
            | DhcpMessage::Decline
            | DhcpMessage::Release
            | DhcpMessage::Inform,
        )
        | None => false,
    };
    let from = (0..own.len()).rev().find(begins).unwrap_or(own.len() - 1);
    let said: Vec<&str> = own.iter().skip(from).take(LINES_MAX).map(|line| name(line.kind)).collect();
    let text = format!("{} (the last conversation: {})", last.text, said.join(", "));
    Some(evidence::record(EvidenceKind::Log, format!("{file}:{}", last.line), text))
}

fn name(kind: DhcpMessage) -> &'static str {
    match kind {
        DhcpMessage::Discover => "DISCOVER",
        DhcpMessage::Offer => "OFFER",
        DhcpMessage::Request => "REQUEST",
        DhcpMessage::Ack => "ACK",
        DhcpMessage::Nak => "NAK",
        DhcpMessage::Decline => "DECLINE",
        DhcpMessage::Release => "RELEASE",
        DhcpMessage::Inform => "INFORM",
    }
}

#[cfg(test)]
mod tests {
    use model::Mac;
    use model::service::{Console, ConsoleEvent, ConsoleEventKind, DhcpLogLine, DhcpMessage};

    use crate::fixture::{Cloud, asked_at, broken, codes};

    fn log(cloud: &mut Cloud, kinds: &[DhcpMessage]) {
        let mac = cloud.intent.instances[0].vifs[0].mac;
        let host = cloud.host("compute1");
        host.dhcp_log_file = Some("/var/log/syslog".to_owned());
        host.dhcp_log = kinds
            .iter()
            .zip(1..)
            .map(|(kind, line)| DhcpLogLine {
                time: String::new(),
                pid: 7,
                kind: *kind,
                interface: "br100".to_owned(),
                ip: None,
                mac,
                rest: String::new(),
                line,
                text: format!("line {line}"),
            })
            .collect();
    }

    fn told(cloud: &Cloud) -> Vec<String> {
        let diagnosis = cloud.diagnose("web1");
        assert_eq!(codes(&diagnosis), ["dhcp-reply-lost compute1//br100"]);
        let lines = diagnosis.findings[0].evidence.iter();
        lines.map(|line| format!("{}: {}", line.source, line.text)).collect()
    }

    #[test]
    fn the_log_tells_how_far_the_last_conversation_came() {
        use DhcpMessage::{Ack, Discover, Offer, Request};
        let mut cloud = broken("dhcp-reply-lost");
        log(&mut cloud, &[Discover, Offer, Request, Ack, Discover, Offer, Discover, Offer]);
        let expected = "/var/log/syslog:8: line 8 (the last conversation: DISCOVER, OFFER)";
        assert!(told(&cloud).contains(&expected.to_owned()), "{:#?}", told(&cloud));
        log(&mut cloud, &[Discover, Offer, Request, Ack, Request, Ack]);
        assert!(told(&cloud).iter().any(|line| line.ends_with("(the last conversation: REQUEST, ACK)")));
        log(&mut cloud, &[Discover, Offer, Request, Ack]);
        assert!(told(&cloud).iter().any(|line| line.ends_with("DISCOVER, OFFER, REQUEST, ACK)")));
        log(&mut cloud, &[]);
        assert!(told(&cloud).iter().any(|line| line.contains("not one line of fa:16:3e:")));
    }

    #[test]
    fn what_is_ignored_may_be_ours() {
        let mut cloud = broken("dhcp-reply-lost");
        log(&mut cloud, &[DhcpMessage::Ack, DhcpMessage::Discover]);
        cloud.host("compute1").dhcp_log[1].rest = "ignored".to_owned();
        let lines = told(&cloud);
        assert!(lines.iter().any(|line| line.contains("line 2 (of the instance, or of us")), "{lines:#?}");
        assert!(lines.iter().all(|line| !line.contains("last conversation")), "{lines:#?}");
    }

    #[test]
    fn the_console_tells_what_the_client_said_last() {
        let mut cloud = broken("dhcp-reply-lost");
        let event = |line, kind, text: &str| ConsoleEvent { line, kind, text: text.to_owned() };
        let events = vec![
            event(3, ConsoleEventKind::DhcpDiscover, "Sending discover..."),
            event(4, ConsoleEventKind::DhcpNoLease, "No lease, failing"),
            event(9, ConsoleEventKind::Login, "login:"),
        ];
        let console = Console { file: "/var/lib/nova/instances/x/console.log".to_owned(), events };
        cloud.host("compute1").consoles = vec![("web1".to_owned(), console)];
        let expected = "/var/lib/nova/instances/x/console.log:4: No lease, failing";
        assert!(told(&cloud).contains(&expected.to_owned()), "{:#?}", told(&cloud));
    }

    #[test]
    fn what_was_seen_of_the_instances_own_client_is_told_and_of_others_not() {
        let cloud = broken("dhcp-reply-lost");
        let own = cloud.intent.instances[0].vifs[0].mac.unwrap();
        let watch = asked_at("vnet0", &[(Mac([2, 0, 0, 0, 0, 9]), 7), (own, 0)]);
        let found = cloud.diagnose_watched("web1", &[], &[watch]);
        let seen: Vec<&str> = found.findings[0]
            .evidence
            .iter()
            .map(|line| line.text.as_str())
            .filter(|t| t.contains("seen here"))
            .collect();
        assert_eq!(
            seen,
            ["its own client asked meanwhile: 3 messages from it were seen here, and 0 answers"]
        );
    }
}
