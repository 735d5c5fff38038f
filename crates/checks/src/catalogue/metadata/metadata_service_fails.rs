//! # metadata-service-fails
//!
//! The metadata service takes connections, and answers with an error, with nonsense, or not at all.
//!
//! ## What it means
//! nova-api-metadata runs and does not get its work done: its database or message queue is out of reach, a worker
//! hangs, it does not know the address that asks, or it is another program that listens there. cloud-init tries again
//! and again, and boots without hostname and ssh key. To a SYN all looks well.
//!
//! ## How hopline knows
//! What cloud-init asks for first, `/2009-04-04/meta-data/instance-id`, was asked for from inside the instance, and
//! the status was 400 or more, no HTTP at all, the connection was closed, or nothing came for as long as a question is
//! waited for; or a page came that is no instance's number, as nova gives it (`i-0000002a`): an empty one, or somebody
//! else's. Whose number it is is not held to the database. Of an instance that cannot be entered its host asks: that
//! it knows no instance of the host's own address is no fault of the service's, so a status of 4xx is none there.
//!
//! ## What it looks like
//! `curl -i http://169.254.169.254/2009-04-04/meta-data/instance-id` in the instance: `500 Internal Server Error`, or
//! nothing for long; on the console `bad status code [500]` or `read timed out`; where the service hangs, connections
//! wait in `ss -ltn`'s Recv-Q.
//!
//! ## Nearest look-alikes
//! * `metadata-service-down`: nothing listens, instances are refused at once.
//! * `metadata-dnat-missing`, `metadata-zeroconf-route`: the question does not come to the service.
//! * another web server that leads elsewhere (3xx), where nova never does: cloud-init goes there, and a gap tells it.
//! * a service that is slow: it answers in the end, and cloud-init waits 50 s; a gap tells it.
//!
//! ## Fix
//! Its log says why: an error of the database, of the message queue, or of the instance's address that nova does not
//! know. Restart nova-api-metadata where it hangs; a restart takes nothing away from instances that run. Undo: none
//! is needed.
//!
//! ## References
//! OpenStack Operations Guide, "Network Troubleshooting"; nova `api/metadata/handler.py`; cloud-init, EC2 data source
//! (`timeout`, `max_wait`).

use std::cell::LazyCell;

use model::finding::{Confidence, Evidence};
use model::http::{HttpAnswer, Page};
use model::path::{Direction, Exchange, Path, Place, Stage};
use model::probe::{Asked, ProbeResult};
use sim::World;

use crate::crowded;
use crate::diagnose::is_probe_of;
use crate::evidence;
use crate::found::{Fault, Found};
use crate::ladder::{Purpose, Rung};
use crate::metadata;
use crate::said;
use crate::view::View;

/// Statuses from here on say that the asker is wrong, and from there on that the service is.
const CLIENT_ERROR: u16 = 400;
const SERVER_ERROR: u16 = 500;

/// Looks for answers that are none: one finding a place.
pub fn check(view: &View) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    // Wired once, and only where a page is not had.
    let read = LazyCell::new(|| World::new(view.read, view.intent()));
    for new in view.rungs.iter().filter_map(|rung| failing(view, rung, &read)) {
        match found.iter_mut().find(|known| known.finding.hop == new.finding.hop) {
            Some(known) => known.finding.instances.extend(new.finding.instances),
            None => found.push(new),
        }
    }
    found
}

fn failing<'v>(
    view: &View,
    rung: &Rung,
    read: &LazyCell<World<'v>, impl FnOnce() -> World<'v>>,
) -> Option<Found> {
    // The service does not know the host's own address, as it does an instance's.
    let least = if rung.purpose == Purpose::Metadata {
        CLIENT_ERROR
    } else if matches!(rung.purpose, Purpose::MetadataAtHome(_)) {
        SERVER_ERROR
    } else {
        return None;
    };
    let is_failure = |page: &Page| match &page.answer {
        HttpAnswer::Status(line) => line.code >= least || strange(page).is_some(),
        HttpAnswer::Unreadable(_) | HttpAnswer::HungUp | HttpAnswer::Silent => true,
    };
    let asked = view.probes.iter().filter(|probe| is_probe_of(probe, rung));
    let mut pages = asked.filter_map(|probe| Some((probe, page_of(probe)?)));
    let (probe, page) = pages.find(|(_, page)| is_failure(page))?;
    let place = service(view, rung)?;
    // What a service says it says; where some packets get lost silence may be theirs.
    let is_said = matches!(page.answer, HttpAnswer::Status(_));
    if !is_said && (crowded::lost_some(view) || crowded::takes_some(view, &place.host, read)) {
        return None;
    }
    let instance = view.intent().instances.get(rung.instance)?;
    let fault = Fault {
        code: "metadata-service-fails",
        summary: format!(
            "the metadata service on {} does not serve {}: {}",
            place.host,
            instance.name,
            what(page)
        ),
        cause: cause(page),
        confidence: match page.answer {
            // It was given some seconds, and cloud-init gives it fifty.
            HttpAnswer::Silent => Confidence::Possible,
            HttpAnswer::Status(_) | HttpAnswer::Unreadable(_) | HttpAnswer::HungUp => Confidence::Likely,
        },
        evidence: evidence(view, rung, probe, &place),
        owner: "nova-api-metadata",
        remedy: vec![
            evidence::advice(
                format!("tail /var/log/nova/nova-api-metadata.log  # on {}", place.host),
                "where nova-api serves metadata itself, its log",
            ),
            evidence::advice(
                "systemctl restart nova-api-metadata",
                "where it hangs; instances that run are not disturbed, those that boot ask again",
            ),
        ],
        instances: vec![instance.name.clone()],
        stopped: None,
        mend: Vec::new(),
        hop: place,
    };
    Some(fault.found().breaks(Exchange::Tcp, Direction::Reply))
}

fn page_of(probe: &ProbeResult) -> Option<&Page> {
    match &probe.asked {
        Asked::Connection { page, .. } => page.as_ref(),
        Asked::Echo { .. } | Asked::Address { .. } | Asked::Name { .. } => None,
    }
}

/// Where the walk of the instance's own question ends: the machine that the service is on.
fn service(view: &View, rung: &Rung) -> Option<Place> {
    let own = |other: &&Rung| other.instance == rung.instance && other.purpose == Purpose::Metadata;
    let rung = view.rungs.iter().find(own).unwrap_or(rung);
    let asks = |path: &&Path| path.direction == Direction::Request && path.exchange == Exchange::Tcp;
    let last = rung.answer.paths.iter().filter(asks).find_map(|path| path.hops.last())?;
    Some(Place { stage: Stage::Service, ..last.at.clone() })
}

/// A page that was served for the instance's number, and is none.
fn strange(page: &Page) -> Option<&str> {
    let text = page.body.as_deref()?.trim();
    let number = text.strip_prefix("i-").unwrap_or_default();
    let is_number = number.len() >= NUMBER_DIGITS && number.bytes().all(|byte| byte.is_ascii_hexdigit());
    (page.path.ends_with(NUMBER_PAGE) && !is_number).then_some(text)
}

/// nova's `ec2utils.id_to_ec2_id`: `i-%08x`.
const NUMBER_DIGITS: usize = 8;
const NUMBER_PAGE: &str = "/meta-data/instance-id";

fn what(page: &Page) -> String {
    match (&page.answer, strange(page)) {
        (HttpAnswer::Status(_), Some("")) => return "it serves an empty page".to_owned(),
        (HttpAnswer::Status(_), Some(_)) => {
            return "it serves a page that is no instance's number".to_owned();
        }
        (HttpAnswer::Status(_), None)
        | (HttpAnswer::Unreadable(_) | HttpAnswer::HungUp | HttpAnswer::Silent, _) => {}
    }
    match &page.answer {
        HttpAnswer::Status(line) => format!("it answers {}", line.code),
        HttpAnswer::Unreadable(_) => "what answers speaks no HTTP".to_owned(),
        HttpAnswer::HungUp => "it closes the connection without an answer".to_owned(),
        HttpAnswer::Silent => {
            format!(
                "it takes the connection and has not answered after {} ms",
                said::milliseconds(page.took_us)
            )
        }
    }
}

fn cause(page: &Page) -> String {
    match strange(page) {
        Some("") => return format!("{} is there, and nothing is in it", page.path),
        Some(text) => {
            let first = said::beginning(text.lines().next().unwrap_or_default());
            return format!("{} is `{first}`: another program answers in the service's place", page.path);
        }
        None => {}
    }
    match &page.answer {
        HttpAnswer::Status(line) if line.code >= SERVER_ERROR => {
            format!("`{}`: the service failed, and its log says at what", line.text)
        }
        HttpAnswer::Status(line) => {
            format!("`{}`: the service does not know who asks, or not that page", line.text)
        }
        HttpAnswer::Unreadable(text) => {
            format!("another program listens there: it says `{}`", said::beginning(text))
        }
        HttpAnswer::HungUp => "the service gave up on the question, and its log says why".to_owned(),
        HttpAnswer::Silent => "the service hangs, or waits for what it needs itself".to_owned(),
    }
}

fn evidence(view: &View, rung: &Rung, probe: &ProbeResult, place: &Place) -> Vec<Evidence> {
    let mut evidence = vec![said::evidence(probe)];
    let instance = view.intent().instances.get(rung.instance);
    let server = instance.and_then(|i| view.snapshot().host(view.intent().servers_of(i).first()?));
    let waiting = view.netns_at(place).and_then(|ns| {
        let port: u16 = server?.nova.as_ref()?.get("metadata_port").unwrap_or("8775").parse().ok()?;
        let socket = ns.sockets.iter().find(|socket| socket.protocol == 6 && socket.port == port)?;
        let text = format!("{}:{port} Recv-Q {}", socket.address, socket.receive_queue);
        Some(evidence::state(ns, &format!("ss -ltn 'sport = :{port}'"), text))
    });
    evidence.extend(waiting);
    evidence.extend(server.and_then(|server| server.nova.as_ref()).map(metadata::configured));
    evidence.extend(instance.and_then(|instance| metadata::console(view, instance)));
    evidence
}

#[cfg(test)]
mod tests {
    use model::http::{HttpAnswer, StatusLine};

    use crate::fixture::{broken, codes, healthy, metadata_asked, metadata_served};

    fn status(code: u16) -> HttpAnswer {
        HttpAnswer::Status(StatusLine { code, text: format!("HTTP/1.1 {code} Word") })
    }

    fn told(answer: HttpAnswer) -> Vec<String> {
        codes(&healthy().diagnose_with("web1", &[metadata_asked("web1", answer)]))
    }

    #[test]
    fn fires_on_every_answer_that_is_none_and_tells_what_was_said() {
        let other = HttpAnswer::Unreadable("SSH-2.0-OpenSSH_9.2".to_owned());
        for answer in [status(500), status(404), other, HttpAnswer::HungUp, HttpAnswer::Silent] {
            assert_eq!(told(answer), ["metadata-service-fails compute1//br100"]);
        }
        let finding = &broken("metadata-service-fails").diagnose("web1").findings[0];
        assert!(finding.summary.ends_with("does not serve web1: it answers 500"), "{}", finding.summary);
        assert!(finding.evidence[0].source.starts_with("curl -i http://169.254.169.254/"), "{finding:?}");
    }

    #[test]
    fn stays_silent_on_an_answer_of_any_other_kind() {
        assert_eq!(told(status(200)), [""; 0]);
        let found = healthy().diagnose_with("web1", &[metadata_asked("web1", status(302))]);
        assert_eq!(codes(&found), [""; 0]);
        let gaps = &found.coverage.gaps;
        assert!(gaps.iter().any(|gap| gap.why.contains("302")), "{gaps:?}");
    }

    #[test]
    fn a_page_that_is_no_instances_number_is_no_metadata() {
        let served = |text: &str| healthy().diagnose_with("web1", &[metadata_served("web1", text)]);
        for own in ["i-0000002a", "i-00000001\n"] {
            assert_eq!(codes(&served(own)), [""; 0], "{own}");
        }
        for (other, said) in [
            ("", "serves an empty page"),
            ("<html>\n<title>Login</title>", "serves a page that is no instance's number"),
            ("i-", "serves a page that is no instance's number"),
        ] {
            let found = served(other);
            assert_eq!(codes(&found), ["metadata-service-fails compute1//br100"], "{other}");
            assert!(found.findings[0].summary.ends_with(said), "{}", found.findings[0].summary);
        }
    }

    #[test]
    fn a_service_that_does_not_know_its_own_host_is_well() {
        let asked_by_host = |answer| {
            let mut cloud = healthy();
            cloud.close("web1");
            let to = [203, 0, 113, 34].into();
            let own = metadata_asked("compute1", answer);
            let asked = match own.asked.clone() {
                model::probe::Asked::Connection { accepted, page, greeting, .. } => {
                    model::probe::Asked::Connection { port: 8775, accepted, page, greeting }
                }
                other => other,
            };
            let home = model::probe::ProbeResult { to, asked, ..own };
            let mut syn = crate::fixture::connected("web1", [169, 254, 169, 254].into(), 80, true);
            syn.by_host = true;
            codes(&cloud.diagnose_with("web1", &[syn, home]))
        };
        assert_eq!(asked_by_host(status(404)), [""; 0]);
        assert_eq!(asked_by_host(status(503)), ["metadata-service-fails compute1//br100"]);
    }
}
