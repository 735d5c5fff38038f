//! # dnsmasq-hosts-not-reloaded
//!
//! The hosts file names the instance rightly, and dnsmasq has not read it since it was written.
//!
//! ## What it means
//! dnsmasq reads its hosts file when it starts and when it is signalled (SIGHUP), and at no other time. nova-network
//! writes the file and signals; where it died in between, or the file was written by hand, dnsmasq goes on with what it
//! read before: it refuses the instance, or offers the address that stood there then.
//!
//! ## How hopline knows
//! The file has the instance's line, with the address that is recorded, and was written after this dnsmasq was
//! started. Its last word to the MAC is `no address available`, with no `read FILE` behind it in the log. Or it offers
//! another address to a DISCOVER in the instance's name, though its ranges are static, so that it offers nothing but
//! what it was told, and by this file alone; where an older file was put back with its old time, that makes it
//! likely. Or it is silent to a DISCOVER in the instance's name that nothing on the way stops, and its log has no
//! `read FILE` but one. Of that one it is not known that it is from the start, for older lines may be in a log that
//! was rotated away: it is possible, and no more.
//!
//! ## What it looks like
//! `DHCPDISCOVER(br100) fa:16:... no address available`, while `grep fa:16:... nova-br100.conf` finds the line.
//!
//! ## Nearest look-alikes
//! * `dnsmasq-stale-hosts-file`: the line is missing, or names another MAC.
//! * `dnsmasq-hung`: it is stopped or stuck, and answers nobody.
//! * `dhcp-offer-wrong`: the file itself names another address than is recorded.
//!
//! ## Fix
//! Signal it: `kill -HUP PID`, which disturbs nobody. No undo is needed: it reads what nova has written.
//!
//! ## References
//! dnsmasq(8), NOTES (SIGHUP) and `--dhcp-hostsfile`; nova `network/linux_net.py` `restart_dhcp`.

use model::finding::{Confidence, Evidence, EvidenceKind};
use model::path::Stage;
use model::service::{DhcpFileRead, DhcpHost, DhcpLogLine, DhcpMessage, Dnsmasq};

use crate::dhcp_hosts;
use crate::dhcp_refused;
use crate::dhcp_server;
use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::ladder::Purpose;
use crate::restart;
use crate::said;
use crate::view::{Seat, View};

/// A NIC whose line stands in a file that dnsmasq has not read.
struct Unread<'v> {
    seat: Seat<'v>,
    server: &'v Dnsmasq,
    file: &'v str,
    line: &'v DhcpHost,
    confidence: Confidence,
    evidence: Vec<Evidence>,
}

/// Looks for NICs that dnsmasq does not know though its file does: one finding a server.
pub fn check(view: &View) -> Vec<Found> {
    let mut servers: Vec<Vec<Unread>> = Vec::new();
    for unread in view.vifs().filter_map(|seat| of(view, seat)) {
        match servers.iter_mut().find(|known| known.iter().any(|k| std::ptr::eq(k.server, unread.server))) {
            Some(known) => known.push(unread),
            None => servers.push(vec![unread]),
        }
    }
    servers.iter().filter_map(|unread| finding(view, unread)).map(dhcp_refused::breaks_dhcp).collect()
}

fn of<'v>(view: &View<'v>, seat: Seat<'v>) -> Option<Unread<'v>> {
    let mac = seat.vif.mac?;
    let server = dhcp_server::of(&seat)?;
    let file = server.hosts_file.as_deref()?;
    let is_right =
        |line: &&DhcpHost| line.mac == mac && line.ip.is_some_and(|ip| seat.vif.fixed.contains(&ip));
    let line = server.hosts.as_ref()?.iter().find(is_right)?;
    // A line that was missing there, and stands there only since that was mended in the model, is another fault's.
    let read = view.read.hosts.iter().flat_map(|host| &host.dnsmasq).find(|read| read.pid == server.pid)?;
    read.hosts.as_ref()?.iter().find(is_right)?;
    let was_written_since =
        server.hosts_written_ms.zip(server.started_ms).is_some_and(|(written, started)| written > started);
    if let Some(heard) = dhcp_hosts::own_offers(view, &seat).first() {
        let is_unread = dhcp_hosts::is_offered_what_stood_before(&seat, server, heard);
        let offer = evidence::record(
            EvidenceKind::Probe,
            format!("DHCPDISCOVER as {}", seat.instance.name),
            said::offer(heard),
        );
        let confidence = if was_written_since { Confidence::Proven } else { Confidence::Likely };
        return is_unread.then(|| Unread { seat, server, file, line, confidence, evidence: vec![offer] });
    }
    if !was_written_since || is_answered(view, &seat) {
        return None;
    }
    let host = seat.server;
    let reads: Vec<&DhcpFileRead> =
        host.dhcp_reads.iter().filter(|read| read.pid == server.pid && read.file == file).collect();
    let is_refusal = |line: &&DhcpLogLine| {
        line.kind == DhcpMessage::Discover
            && line.pid == server.pid
            && line.rest.contains("no address available")
            && reads.iter().all(|read| read.line < line.line)
    };
    let refusal = dhcp_refused::last_word(&seat, mac).filter(is_refusal);
    let log = host.dhcp_log_file.as_ref();
    let confidence = match (refusal, log, reads.len()) {
        (Some(_), Some(_), _) => Confidence::Proven,
        // The only reading is when it started, unless the log was begun anew since.
        (None, Some(_), 1) | (None, None, _) if is_silent(view, &seat) => Confidence::Possible,
        (_, None, _) | (None, Some(_), _) => return None,
    };
    let logged = refusal.into_iter().map(|line| (line.line, &line.text));
    let logged = logged.chain(reads.last().map(|read| (read.line, &read.text)));
    let logged = log.map(|log| {
        logged.map(move |(line, text)| {
            evidence::record(EvidenceKind::Log, format!("{log}:{line}"), text.clone())
        })
    });
    let evidence = logged.into_iter().flatten().collect();
    Some(Unread { seat, server, file, line, confidence, evidence })
}

/// Our DISCOVER was answered by the network's own server: it knows the instance.
fn is_answered(view: &View, seat: &Seat) -> bool {
    said::offers(view.probes, &seat.instance.name)
        .any(|heard| Some(heard.reply.server.unwrap_or(heard.from)) == seat.gateway())
}

/// Our DISCOVER from this NIC was answered by nobody, and nothing that was read stops it. It is the first NIC that
/// asks.
fn is_silent(view: &View, seat: &Seat) -> bool {
    let is_first = seat.instance.vifs.first().is_some_and(|first| std::ptr::eq(first, seat.vif));
    let mut rungs = view.rungs_of(seat.instance).filter(|rung| rung.purpose == Purpose::Dhcp);
    is_first && rungs.any(|rung| view.silent(rung).is_some())
}

fn finding(view: &View, unread: &[Unread]) -> Option<Found> {
    let Unread { seat, server, file, confidence, .. } = unread.first()?;
    let names: Vec<String> = unread.iter().map(|u| u.seat.instance.name.clone()).collect();
    let times = server.hosts_written_ms.zip(server.started_ms);
    let later = times.and_then(|(written, started)| written.checked_sub(started)).map(|later| {
        let (pid, later) = (server.pid, said::milliseconds(later));
        let text = format!("{file} was written {later} s after dnsmasq (pid {pid}) was started");
        evidence::state(seat.server_ns, &format!("stat {file}; ps -o lstart= {pid}"), text)
    });
    let lines = unread.iter().map(|u| dhcp_hosts::evidence(server, u.line));
    // It offers what it knew, and that is not what stands there now.
    let is_offered = !dhcp_hosts::own_offers(view, seat).is_empty();
    let gets = if is_offered { "another address" } else { "no address" };
    let known = Dnsmasq { hosts_written_ms: server.started_ms, ..(*server).clone() };
    let fault = Fault {
        code: "dnsmasq-hosts-not-reloaded",
        hop: at(seat.server_ns, seat.bridge_name().unwrap_or_default(), Stage::Service),
        summary: format!(
            "{gets} for {}: dnsmasq on {} has not read its hosts file since it was written",
            names.join(", "),
            seat.server.name
        ),
        cause: format!("{file} names it rightly, and dnsmasq (pid {}) was not signalled since", server.pid),
        confidence: *confidence,
        evidence: unread.iter().flat_map(|u| u.evidence.clone()).chain(lines).chain(later).collect(),
        owner: "nova-network",
        remedy: vec![
            evidence::advice(
                format!("kill -HUP {}", server.pid),
                "dnsmasq reads the file as it now stands; disturbs nobody",
            ),
            restart::network(
                view,
                &seat.server.name,
                "writes every hosts file again and signals each dnsmasq",
            ),
        ],
        stopped: view.stop(|s| s.rung.purpose == Purpose::Dhcp && names.contains(&s.rung.from)),
        mend: vec![dhcp_server::put_right(seat, known)],
        instances: names.clone(),
    };
    Some(fault.found())
}

#[cfg(test)]
mod tests {
    use model::finding::Confidence;
    use model::probe::ProbeResult;
    use model::service::{DhcpFileRead, Dnsmasq};

    use crate::fixture::{Cloud, broken, codes, offer, offered};

    const FILE: &str = "/var/log/dnsmasq.log";

    fn unread() -> Cloud {
        broken("dnsmasq-hosts-not-reloaded")
    }

    /// dnsmasq has read its file at these lines of its log.
    fn read_at(cloud: &mut Cloud, lines: &[u32]) {
        let server = cloud.dnsmasq("compute1");
        let (pid, file) = (server.pid, server.hosts_file.clone().unwrap());
        let host = cloud.host("compute1");
        host.dhcp_log_file = Some(FILE.to_owned());
        let read =
            |line: &u32| DhcpFileRead { pid, file: file.clone(), line: *line, text: format!("read {file}") };
        host.dhcp_reads = lines.iter().map(read).collect();
    }

    #[test]
    fn fires_on_a_refusal_behind_the_last_reading() {
        let mut cloud = unread();
        read_at(&mut cloud, &[1]);
        let found = cloud.diagnose("web1");
        assert_eq!(codes(&found), ["dnsmasq-hosts-not-reloaded compute1//br100"]);
        let finding = &found.findings[0];
        assert!(finding.remedy[0].command.starts_with("kill -HUP "), "{finding:#?}");
        assert_eq!(finding.confidence, Confidence::Proven);
    }

    /// The file was put right, and dnsmasq offers the address that it had before.
    fn offers_what_stood_before() -> (Cloud, ProbeResult) {
        let mut cloud = unread();
        cloud.host("compute1").dhcp_log.clear();
        let mut heard = offer(&cloud, "web1");
        heard.reply.address = Some([10, 0, 2, 77].into());
        (cloud, offered("web1", vec![heard]))
    }

    #[test]
    fn fires_on_an_offer_of_what_stood_there_before() {
        let (mut cloud, offer) = offers_what_stood_before();
        let found = cloud.diagnose_with("web1", std::slice::from_ref(&offer));
        assert_eq!(codes(&found), ["dnsmasq-hosts-not-reloaded compute1//br100"]);
        let finding = &found.findings[0];
        assert_eq!(finding.confidence, Confidence::Proven);
        assert!(finding.summary.starts_with("another address for web1"), "{}", finding.summary);
        assert!(finding.remedy[0].command.starts_with("kill -HUP "), "{finding:#?}");
        // An older file that was put back has its old time.
        cloud.dnsmasq("compute1").hosts_written_ms = Some(1);
        let found = cloud.diagnose_with("web1", &[offer]);
        assert_eq!(codes(&found), ["dnsmasq-hosts-not-reloaded compute1//br100"]);
        assert_eq!(found.findings[0].confidence, Confidence::Likely);
    }

    #[test]
    fn stays_silent_on_an_offer_that_another_source_may_explain() {
        let found = |change: fn(&mut Dnsmasq)| {
            let (mut cloud, offer) = offers_what_stood_before();
            change(cloud.dnsmasq("compute1"));
            codes(&cloud.diagnose_with("web1", &[offer]))
        };
        let wrong = ["dhcp-offer-wrong compute1//br100"];
        assert_eq!(
            found(|server| server.argv.push("--dhcp-host=fa:16:3e:00:02:24,10.0.2.77".to_owned())),
            wrong
        );
        assert_eq!(found(|server| server.conf_file = Some("/etc/dnsmasq-nova.conf".to_owned())), wrong);
        assert_eq!(found(|server| server.ranges[0].is_static = false), wrong);
    }

    #[test]
    fn stays_silent_where_it_was_read_behind_the_refusal() {
        let mut cloud = unread();
        read_at(&mut cloud, &[1, 2000]);
        assert_eq!(codes(&cloud.diagnose("web1")), [""; 0]);
    }

    #[test]
    fn stays_silent_where_it_was_started_after_the_file_was_written() {
        let mut cloud = unread();
        cloud.dnsmasq("compute1").started_ms = Some(3_000_000);
        assert_eq!(codes(&cloud.diagnose("web1")), [""; 0]);
    }

    #[test]
    fn stays_silent_where_another_process_refused_or_it_offers_by_now() {
        let mut cloud = unread();
        cloud.dnsmasq("compute1").pid += 1;
        assert_eq!(codes(&cloud.diagnose("web1")), [""; 0]);
        let cloud = unread();
        let offer = offered("web1", vec![offer(&cloud, "web1")]);
        assert_eq!(codes(&cloud.diagnose_with("web1", &[offer])), [""; 0]);
    }

    #[test]
    fn a_silence_is_told_where_the_log_has_only_the_first_reading() {
        let mut cloud = unread();
        cloud.host("compute1").dhcp_log.clear();
        assert_eq!(codes(&cloud.diagnose("web1")), [""; 0], "nobody has asked");
        read_at(&mut cloud, &[1]);
        let silence = [offered("web1", Vec::new())];
        let found = cloud.diagnose_with("web1", &silence);
        assert_eq!(codes(&found), ["dnsmasq-hosts-not-reloaded compute1//br100"]);
        // The reading may be a signal's, where the log was rotated since dnsmasq was started.
        assert_eq!(found.findings[0].confidence, Confidence::Possible);
        // Read again since: whether before or after the file was written, the log does not tell.
        read_at(&mut cloud, &[1, 2]);
        let found = codes(&cloud.diagnose_with("web1", &silence));
        assert!(found.len() == 1 && found[0].starts_with("lost-at-hop "), "{found:?}");
    }

    #[test]
    fn stays_silent_where_the_file_has_another_address() {
        let mut cloud = unread();
        let mac = cloud.intent.instances[0].vifs[0].mac;
        let hosts = cloud.dnsmasq("compute1").hosts.iter_mut().flatten();
        hosts.filter(|h| Some(h.mac) == mac).for_each(|h| h.ip = Some([10, 0, 2, 99].into()));
        assert!(crate::fixture::lacks(&cloud.diagnose("web1"), "dnsmasq-hosts-not-reloaded"));
    }
}
