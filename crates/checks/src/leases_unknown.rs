//! Instances that dnsmasq's log shows to have been left without a lease, or with one that it has forgotten, and of
//! which nothing tells what became of that: neither their inside, nor who answers for their addresses, nor their
//! console. They are not called healthy.

use model::Mac;
use model::finding::Finding;
use model::service::{DhcpLogLine, DhcpMessage};
use model::snapshot::Gap;

use crate::addressless::{self, Known};
use crate::catalogue::dhcp::dhcp_not_authoritative;
use crate::dhcp_ignored::ROUNDS_MIN;
use crate::dhcp_told::console_of;
use crate::restart::typed;
use crate::view::{Seat, View};
use crate::{dhcp_refused, dhcp_unheard, evidence, power};

/// What is not known of an instance.
pub(crate) struct Doubt {
    instance: String,
    gap: Gap,
}

/// Of each NIC in question.
pub(crate) fn doubts(view: &View) -> Vec<Doubt> {
    view.vifs().filter_map(|seat| doubt(view, &seat)).collect()
}

/// Those of instances that no finding is about.
pub(crate) fn untold(doubts: Vec<Doubt>, findings: &[Finding]) -> impl Iterator<Item = Gap> {
    let is_told = |doubt: &Doubt| findings.iter().any(|found| found.instances.contains(&doubt.instance));
    doubts.into_iter().filter(move |doubt| !is_told(doubt)).map(|doubt| doubt.gap)
}

fn doubt<'v>(view: &View<'v>, seat: &Seat<'v>) -> Option<Doubt> {
    let mac = seat.vif.mac?;
    // Nothing runs there that could have an address.
    if power::off(seat).is_some() || power::paused(seat).is_some() {
        return None;
    }
    let name = &seat.instance.name;
    let is_unheard = || dhcp_unheard::of(view, seat, mac).is_some();
    let (left, forgotten) = match addressless::known(view, seat) {
        Known::Without(_) | Known::Settled => return None,
        Known::HadLease => (left_without(seat, mac), None),
        Known::Unknown => {
            let refused_or_unheard = || {
                let last = dhcp_refused::words(seat, mac).next();
                last.filter(|last| last.rest.contains("no address available") || is_unheard())
            };
            let left = left_without(seat, mac).or_else(refused_or_unheard);
            (left, dhcp_not_authoritative::is_perhaps_forgotten(view, *seat))
        }
    };
    let (what, line) = match left {
        Some(line) => (format!("whether {name} has an address"), line),
        None => (format!("whether {name} asks for the lease that dnsmasq has forgotten"), forgotten?),
    };
    let logged = dhcp_refused::logged(seat, line);
    let why =
        format!("{} has `{}`, and nothing that was read tells what came of it", logged.source, logged.text);
    let gap = Gap { what, why, would_need: need(seat) };
    Some(Doubt { instance: name.clone(), gap })
}

/// The last that the log has of its client, where that is no lease.
fn left_without<'v>(seat: &Seat<'v>, mac: Mac) -> Option<&'v DhcpLogLine> {
    let words: Vec<&DhcpLogLine> = dhcp_refused::words(seat, mac).collect();
    let last = words.first()?;
    let is_left = match last.kind {
        DhcpMessage::Nak | DhcpMessage::Decline => true,
        DhcpMessage::Discover | DhcpMessage::Offer => {
            dhcp_refused::declined(seat, mac).is_some() || asks_on(&words) >= ROUNDS_MIN
        }
        DhcpMessage::Request | DhcpMessage::Ack | DhcpMessage::Release | DhcpMessage::Inform => false,
    };
    is_left.then_some(last)
}

/// How often it has asked for an offer since it last took one.
fn asks_on(words: &[&DhcpLogLine]) -> usize {
    let is_round = |line: &&&DhcpLogLine| matches!(line.kind, DhcpMessage::Discover | DhcpMessage::Offer);
    words.iter().take_while(is_round).filter(|line| line.kind == DhcpMessage::Discover).count()
}

/// What would tell: its console, which libvirt's XML names, or nova has written (`get_console_log_path`,
/// nova/virt/libvirt/utils.py); where that tells too little, who answers for its address.
fn need(seat: &Seat) -> String {
    if console_of(seat.host, seat.instance).is_some() {
        let bridge = typed(seat.bridge_name().unwrap_or("BRIDGE"));
        let address = seat.vif.fixed.first().map_or_else(|| "ADDRESS".to_owned(), ToString::to_string);
        return evidence::within(seat.ns, &format!("arping -c 3 -I {bridge} {address}"));
    }
    let named = power::domain(seat).and_then(|domain| domain.console_log.clone());
    let by_uuid = || Some(format!("/var/lib/nova/instances/{}/console.log", seat.instance.uuid.as_deref()?));
    named.or_else(by_uuid).unwrap_or_else(|| format!("the console.log of {}", seat.instance.name))
}

#[cfg(test)]
mod tests {
    use model::finding::Outcome;
    use model::service::DhcpMessage;

    use crate::fixture::{Cloud, broken, codes, healthy, held, say};
    use crate::ladder::Symptom;

    const OWN: Option<std::net::Ipv4Addr> = Some(std::net::Ipv4Addr::new(10, 0, 2, 24));

    /// Nothing but the log tells of web1.
    fn closed(mut cloud: Cloud) -> Cloud {
        cloud.close("web1");
        cloud.host("compute1").consoles.clear();
        cloud
    }

    fn with_log(lines: &[(DhcpMessage, &str)]) -> Cloud {
        let mut cloud = closed(healthy());
        let lines: Vec<_> = lines.iter().map(|(kind, rest)| (*kind, OWN, *rest)).collect();
        say(&mut cloud, &lines);
        cloud
    }

    /// What is not known of web1; nothing is found.
    fn unknown(cloud: &Cloud) -> Option<String> {
        let diagnosis = cloud.diagnose_for("web1", Symptom::Ping);
        assert_eq!(codes(&diagnosis), [""; 0]);
        let gap = diagnosis
            .coverage
            .gaps
            .iter()
            .find(|gap| gap.why.contains("nothing that was read tells what came of it"));
        assert_eq!(diagnosis.outcome == Outcome::Undetermined, gap.is_some(), "{:#?}", diagnosis.coverage);
        gap.map(|gap| format!("{}: {} ({})", gap.what, gap.why, gap.would_need))
    }

    #[test]
    fn who_was_refused_is_not_healthy() {
        for code in ["dhcp-nak", "dhcp-offer-refused"] {
            let told = unknown(&closed(broken(code))).unwrap();
            assert!(told.starts_with("whether web1 has an address: /"), "{told}");
            assert!(told.contains("has `") && told.ends_with("/console.log)"), "{told}");
        }
    }

    #[test]
    fn a_lease_that_came_later_settles_it() {
        use DhcpMessage::{Ack, Discover, Nak, Offer, Request};
        let asked = [(Nak, "wrong network"), (Discover, ""), (Offer, "")];
        assert_eq!(unknown(&with_log(&[&asked[..], &[(Request, ""), (Ack, "web1")]].concat())), None);
        assert!(unknown(&with_log(&[&asked[..], &asked[1..], &asked[1..]].concat())).is_some(), "it asks on");
        assert_eq!(unknown(&with_log(&asked[1..])), None, "it may be asking just now");
        assert!(unknown(&with_log(&[(Discover, "no address available")])).is_some());
    }

    #[test]
    fn who_answers_has_its_address() {
        let mut cloud = with_log(&[(DhcpMessage::Nak, "wrong network")]);
        assert!(unknown(&cloud).is_some());
        let mac = cloud.intent.instances[0].vifs[0].mac.unwrap();
        cloud.holders = vec![held("br100", "10.0.2.24", &[mac], false)];
        assert_eq!(unknown(&cloud), None);
    }

    /// What a console tells of a lease may be older than the refusal.
    #[test]
    fn a_console_that_tells_of_a_lease_does_not_settle_it() {
        let mut cloud = broken("dhcp-nak");
        cloud.close("web1");
        let told = unknown(&cloud).unwrap();
        assert!(told.ends_with("arping -c 3 -I br100 10.0.2.24)"), "{told}");
    }

    #[test]
    fn a_forgotten_lease_is_told_of_whom_nothing_shows_to_hold_it() {
        let told = unknown(&closed(broken("dhcp-not-authoritative"))).unwrap();
        assert!(told.starts_with("whether web1 asks for the lease that dnsmasq has forgotten: "), "{told}");
    }
}
