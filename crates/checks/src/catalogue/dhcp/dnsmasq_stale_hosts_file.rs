//! # dnsmasq-stale-hosts-file
//!
//! The instance's MAC has no line in dnsmasq's hosts file, or one that has it ignored.
//!
//! ## What it means
//! The dnsmasq that nova starts serves only the MACs of its hosts file (its range is `static`). The
//! instance's line is missing, so it is refused, though its fixed IP is recorded. Or its line ends in `ignore`, which
//! nova never writes: then dnsmasq answers nothing at all.
//!
//! ## How hopline knows
//! The hosts file that the running dnsmasq was started with was read, and the MAC is not in it, or with `ignore`.
//!
//! ## What it looks like
//! `DHCPDISCOVER(br100) fa:16:... no address available` on the host that runs the instance; or `ignored` in its place.
//!
//! ## Nearest look-alikes
//! * `fixed-ip-without-vif`, `instance-without-address`: the database has not all of the NIC, so nova writes no line.
//! * `dnsmasq-pool-exhausted`: the range gives addresses to strangers, and none is left.
//!
//! ## Fix
//! Add the line, in place of one that says `ignore`, and let dnsmasq read its file again (`kill -HUP`), which disturbs
//! nobody; or restart nova-network, which does so for every network of the host. Undo: take the line out again.
//!
//! ## References
//! OpenStack Operations Guide, "Network Troubleshooting"; dnsmasq(8) `--dhcp-hostsfile`.

use model::finding::{Confidence, Remedy};
use model::intent::RowLack;
use model::path::Stage;

use crate::dhcp_refused::{self, Refusal};
use crate::found::{Fault, Found, at};
use crate::ladder::Purpose;
use crate::restart;
use crate::view::View;

/// Looks for NICs that a static-only dnsmasq does not know: one finding a bridge.
pub fn check(view: &View) -> Vec<Found> {
    // What nova's tables lack of a NIC, nova writes no line of, and nobody must give out.
    let is_recorded = |refusal: &Refusal| refusal.seat.vif.lacks == RowLack::Nothing;
    let is_unknown = |refusal: &Refusal| !refusal.dynamic || refusal.ignoring.is_some();
    let refused = dhcp_refused::by_bridge(view, |refusal| is_unknown(refusal) && is_recorded(refusal));
    refused.filter_map(|refusals| stale(view, &refusals)).map(dhcp_refused::breaks_dhcp).collect()
}

fn stale(view: &View, refusals: &[Refusal]) -> Option<Found> {
    let Refusal { seat, server, .. } = refusals.first()?;
    let names = dhcp_refused::names(refusals);
    let file = server.hosts_file.as_deref().unwrap_or("its hosts file");
    let who = names.join(", ");
    let macs = |is_ignored: bool| {
        let those = refusals.iter().filter(|refusal| refusal.ignoring.is_some() == is_ignored);
        let macs: Vec<String> = those.filter_map(|r| r.seat.vif.mac).map(|mac| mac.to_string()).collect();
        (!macs.is_empty()).then(|| macs.join(", "))
    };
    let (ignored, missing) = (macs(true), macs(false));
    let knows_not = match (&ignored, &missing) {
        (Some(_), None) => "is told to ignore its MAC",
        (None, _) => "does not know its MAC",
        (Some(_), Some(_)) => "does not know its MAC, or is told to ignore it",
    };
    let causes = [
        ignored.map(|macs| format!("a line of {file} says `ignore` for {macs}")),
        missing.map(|macs| format!("{file} has no line for {macs}, and dnsmasq's range is static")),
    ];
    let fault = Fault {
        code: "dnsmasq-stale-hosts-file",
        hop: at(seat.server_ns, seat.bridge_name().unwrap_or_default(), Stage::Service),
        summary: format!("no address for {who}: dnsmasq on {} {knows_not}", seat.server.name),
        cause: causes.into_iter().flatten().collect::<Vec<_>>().join("; "),
        confidence: Confidence::Proven,
        evidence: refusals.iter().flat_map(|r| r.evidence.clone()).collect(),
        owner: "nova-network",
        remedy: lines(refusals)
            .into_iter()
            .chain([restart::network(
                view,
                &seat.server.name,
                "writes every hosts file again and signals each dnsmasq",
            )])
            .collect(),
        stopped: view.stop(|s| s.rung.purpose == Purpose::Dhcp && names.contains(&s.rung.from)),
        mend: dhcp_refused::admit(refusals).into_iter().collect(),
        instances: names.clone(),
    };
    Some(fault.found())
}

/// The narrow way: the lines that nova would write, behind its own, which end without a newline. None where a line
/// would go with them that is about others, too.
fn lines(refusals: &[Refusal]) -> Option<Remedy> {
    let Refusal { server, .. } = refusals.first()?;
    let of_line = |line| server.hosts.iter().flatten().filter(|entry| entry.line == line).count();
    if refusals.iter().filter_map(|refusal| refusal.ignoring).any(|ignoring| of_line(ignoring.line) > 1) {
        return None;
    }
    let file = restart::typed(server.hosts_file.as_deref()?);
    let named = refusals.iter().filter_map(|r| Some((r.seat.vif.mac?, *r.seat.vif.fixed.first()?)));
    let (macs, lines): (Vec<String>, Vec<String>) =
        named.map(|(mac, ip)| (format!("-e /{mac}/d"), format!("{mac},{ip}"))).unzip();
    let add = |lines: &[String]| format!("printf '\\n%s' {} >> {file}", lines.join(" "));
    let remove = format!("sed -i {} {file}", macs.join(" "));
    let does = "dnsmasq reads the file again, in which nova writes these lines too when it next writes it";
    let ignoring = refusals.iter().filter_map(|refusal| Some(format!("{},ignore", refusal.ignoring?.mac)));
    let ignoring: Vec<String> = ignoring.collect();
    let (command, undo) = if ignoring.is_empty() {
        (add(&lines), remove)
    } else {
        (format!("{remove} && {}", add(&lines)), format!("{remove} && {}", add(&ignoring)))
    };
    Some(restart::reread(server, &command, &undo, does))
}

#[cfg(test)]
mod tests {
    use model::finding::Outcome;

    use crate::fixture::{broken, codes, healthy, lacks};

    #[test]
    fn fires_when_the_mac_has_no_line() {
        let found = codes(&broken("dnsmasq-stale-hosts-file").diagnose("web1"));
        assert_eq!(found, ["dnsmasq-stale-hosts-file compute1//br100"]);
    }

    #[test]
    fn a_line_that_says_ignore_is_told_and_given_way_to_novas() {
        for is_open in [false, true] {
            let mut cloud = healthy();
            let server = cloud.dnsmasq("compute1");
            server.ranges.iter_mut().filter(|_| is_open).for_each(|range| {
                (range.is_static, range.end) = (false, Some([10, 0, 9, 9].into()));
            });
            let line = server.hosts.iter_mut().flatten().find(|line| line.ip == Some([10, 0, 2, 24].into()));
            let line = line.unwrap();
            (line.ignored, line.ip) = (true, None);
            let found = cloud.diagnose("web1");
            assert_eq!(codes(&found), ["dnsmasq-stale-hosts-file compute1//br100"], "{is_open}");
            let finding = &found.findings[0];
            assert!(finding.summary.ends_with("is told to ignore its MAC"), "{}", finding.summary);
            assert!(finding.evidence.iter().any(|one| one.text.ends_with(",ignore")), "{finding:#?}");
            let command = &finding.remedy[0].command;
            assert!(command.contains("/d") && command.contains(",10.0.2.24"), "{command}");
        }
    }

    #[test]
    fn a_line_about_others_too_is_not_deleted_with_them_and_whom_it_misses_is_told_apart() {
        let mut cloud = healthy();
        let hosts = cloud.dnsmasq("compute1").hosts.as_mut().unwrap();
        // One line for web1 and a stranger, and none for web2.
        hosts.retain(|line| line.ip != Some([10, 0, 2, 25].into()));
        let line = hosts.iter_mut().find(|line| line.ip == Some([10, 0, 2, 24].into())).unwrap();
        (line.ignored, line.ip) = (true, None);
        let mut stranger = line.clone();
        stranger.mac = "fa:16:3e:00:77:77".parse().unwrap();
        hosts.push(stranger);
        let found = cloud.diagnose("web1");
        assert_eq!(codes(&found), ["dnsmasq-stale-hosts-file compute1//br100"]);
        let finding = &found.findings[0];
        let says = |text: &str| finding.cause.contains(text);
        assert!(says("says `ignore` for fa:16:3e:00:02:24") && !says("02:24, fa:"), "{finding:#?}");
        assert!(finding.remedy.iter().all(|remedy| !remedy.command.contains("sed ")), "{finding:#?}");
    }

    #[test]
    fn leaves_the_other_instance_alone() {
        assert_eq!(codes(&broken("dnsmasq-stale-hosts-file").diagnose("web2")), Vec::<String>::new());
    }

    /// As in a sosreport, which has dnsmasq's log and not what nova writes for it.
    #[test]
    fn stays_silent_where_the_file_was_not_read_whatever_the_log_says() {
        for code in ["dnsmasq-stale-hosts-file", "dnsmasq-hosts-not-reloaded"] {
            let mut cloud = broken(code);
            cloud.host("compute1").dnsmasq.iter_mut().for_each(|server| server.hosts = None);
            let told = cloud.diagnose("web1");
            assert_eq!(codes(&told), Vec::<String>::new(), "{code}");
            assert_eq!(told.outcome, Outcome::Undetermined, "{code}");
        }
    }

    #[test]
    fn stays_silent_when_the_range_is_open_and_full() {
        assert!(lacks(&broken("dnsmasq-pool-exhausted").diagnose("web1"), "dnsmasq-stale-hosts-file"));
    }
}
