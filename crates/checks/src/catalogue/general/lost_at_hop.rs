//! # lost-at-hop
//!
//! The packet dies at this hop, and no familiar fault explains why.
//!
//! ## What it means
//! The walk through what was read ends here, by the kernel's own rules; or everything that was read
//! would let the packet pass, and what was really sent got no answer. The hop and the mechanism are
//! named; which fault of daily life is behind it is not known.
//!
//! ## How hopline knows
//! By the walk, stage by stage; or by an answer that did not come. `diagnose` watches its own pings at
//! every device of their predicted way, so the hop is the first one that they did not come to behind the
//! last one that saw them. A device whose capture lost packets is not counted as one that was watched. A capture that
//! somebody else made (`--capture`) tells the same of the packets in it. What the kernel says of packets that waited in
//! vain for a neighbour, or died in a namespace that is not of the site, is evidence. With `--symptom ssh` sshd is
//! listened to, too: it greets whoever connects, and where it does not, its kernel alone has taken the connection.
//!
//! ## What it looks like
//! As the evidence says.
//!
//! ## Nearest look-alikes
//! * `dropped-by-unmodelled`: there the kernel names the place where it dropped them.
//! * Every other page: this one is given only where none of them fits.
//!
//! ## Fix
//! Look at this hop first. `hopline explain` lists the faults that are known by name.
//!
//! ## References
//! OpenStack Operations Guide, "Network Troubleshooting".

use model::finding::{Confidence, EvidenceKind};
use model::path::{Direction, Place, Stop};

use crate::evidence;
use crate::found::{Fault, Found};
use crate::view::{Claim, Stopped, View};

/// On the last pass, every stop that no finding accounts for: one finding a place.
pub fn check(view: &View) -> Vec<Found> {
    let Some(claimed) = view.claimed else { return Vec::new() };
    let mut found: Vec<Found> = Vec::new();
    for stopped in view.stops() {
        let place = &stopped.hop.at;
        let is_claimed =
            |(at, stop): &Claim| at.same_device(place) || (at.host == place.host && stop == stopped.stop);
        if !claimed.iter().any(is_claimed) && !found.iter().any(|f| f.finding.hop.same_device(place)) {
            found.push(lost(view, stopped));
        }
    }
    found
}

fn lost(view: &View, stopped: Stopped) -> Found {
    let place = &stopped.hop.at;
    let ns = view.netns_at(place);
    let said = || evidence::record(EvidenceKind::State, "the walk", stopped.hop.detail.clone());
    let evidence = match (ns, stopped.stop) {
        (Some(ns), Stop::Rule(rule) | Stop::Policy(rule)) => evidence::stopping(view, ns, &stopped, rule),
        (Some(ns), _) => {
            let link = ns.link_named(&place.device).map(|l| evidence::link(ns, l));
            link.into_iter().chain([said()]).collect()
        }
        (None, _) => vec![said()],
    };
    let watch = |ns| {
        let command = format!("tcpdump -eni {}", place.device);
        evidence::remedy(ns, &command, "", "mends nothing: shows whether the packet gets here")
    };
    let of = view.intent().instances.get(stopped.rung.instance);
    let fault = Fault {
        code: "lost-at-hop",
        hop: place.clone(),
        summary: format!(
            "{}{} from {} to {} dies {}: {}",
            if stopped.direction == Direction::Reply { "the answer to the " } else { "" },
            exchange(stopped.exchange),
            stopped.rung.from,
            stopped.rung.to,
            whereabouts(place),
            stopped.hop.detail
        ),
        cause: stopped.hop.detail.clone(),
        confidence: Confidence::Likely,
        evidence,
        owner: "unknown",
        remedy: ns.filter(|_| !place.device.is_empty()).map(watch).into_iter().collect(),
        instances: of.map(|i| i.name.clone()).into_iter().collect(),
        stopped: Some(stopped),
        mend: Vec::new(),
    };
    fault.found()
}

fn whereabouts(place: &Place) -> String {
    if place.device.is_empty() {
        return format!("on {}", place.host);
    }
    format!("at {} of {}", place.device, place.host)
}

fn exchange(exchange: model::path::Exchange) -> &'static str {
    match exchange {
        model::path::Exchange::Arp => "ARP",
        model::path::Exchange::Dhcp => "DHCP",
        model::path::Exchange::Dns => "DNS",
        model::path::Exchange::Icmp => "ping",
        model::path::Exchange::Tcp => "TCP",
        model::path::Exchange::Udp => "UDP",
        model::path::Exchange::None => "a packet",
    }
}

#[cfg(test)]
mod tests {
    use model::finding::{Confidence, Outcome};
    use model::probe::{Asked, PING_OCTETS, ProbeResult};

    use crate::fixture::{codes, healthy};

    fn unanswered(to: &str) -> ProbeResult {
        ProbeResult {
            from: "web1".to_owned(),
            by_host: false,
            to: to.parse().unwrap(),
            asked: Asked::Echo { octets: PING_OCTETS },
            sent: 3,
            received: 0,
            reply_ttl: None,
            rtt_us: None,
            errors: Vec::new(),
            send_error: None,
            recorded: None,
        }
    }

    #[test]
    fn fires_where_a_walk_ends_for_a_reason_that_has_no_page() {
        let mut cloud = healthy();
        let (tap, mac) = (cloud.link("compute1", "vnet0").index, cloud.intent.instances[0].vifs[0].mac);
        cloud.link("compute1", "vnet0").port.as_mut().unwrap().locked = true;
        cloud.netns("compute1").fdb.retain(|e| e.link != tap || Some(e.mac) != mac);
        let diagnosis = cloud.diagnose("web1");
        assert_eq!(codes(&diagnosis), ["lost-at-hop compute1//vnet0"]);
        assert_eq!(diagnosis.findings[0].confidence, Confidence::Likely);
    }

    #[test]
    fn fires_when_everything_read_would_pass_and_nothing_answers() {
        let diagnosis = healthy().diagnose_with("web1", &[unanswered("1.2.3.4")]);
        let found = codes(&diagnosis);
        assert!(found.len() == 1 && found[0].starts_with("lost-at-hop "), "{found:?}");
        assert_eq!(diagnosis.findings[0].confidence, Confidence::Possible);
        assert_eq!(diagnosis.outcome, Outcome::Fault);
    }

    #[test]
    fn stays_silent_when_the_probe_is_answered() {
        let answered = ProbeResult { received: 3, reply_ttl: Some(61), ..unanswered("1.2.3.4") };
        assert_eq!(codes(&healthy().diagnose_with("web1", &[answered])), Vec::<String>::new());
    }
}
