//! # metadata-dnat-missing
//!
//! No rule leads instances from 169.254.169.254 to the metadata service.
//!
//! ## What it means
//! cloud-init gets no metadata: no hostname, no ssh key, so nobody can log in. Everything else works.
//! The host that serves the instance takes the question for its own, or sends it on towards a router that
//! knows of no such address.
//!
//! ## How hopline knows
//! The walk of a question to 169.254.169.254 port 80 comes to the host with its address as it was. In nat
//! PREROUTING and the chains that it calls no rule rewrites that address, or the one that does leads
//! elsewhere than nova.conf says, to where nothing listens.
//!
//! ## What it looks like
//! On the console `failed 1/20: up 2.05. request failed`, or `Connection refused` where the host carries
//! 169.254.169.254 itself, as nova-network has it; else the SYN is seen to leave by the public interface.
//!
//! ## Nearest look-alikes
//! * `metadata-service-down`: the rule is there and leads right, and nothing listens.
//! * `metadata-zeroconf-route`: the question never comes to the host's routing.
//! * `rules-flushed`: all of nova's rules are gone, not one.
//!
//! ## Fix
//! Restart nova-network, or add the rule: `iptables -t nat -I nova-network-PREROUTING -d 169.254.169.254/32
//! -p tcp -m tcp --dport 80 -j DNAT --to-destination METADATA_HOST:8775`. Undo: the same with `-D`.
//!
//! ## References
//! OpenStack Operations Guide, "Network Troubleshooting"; nova `linux_net.py` `metadata_forward`; nova.conf
//! `metadata_host`, `metadata_port`.

use std::collections::BTreeSet;

use model::finding::{Confidence, Evidence, EvidenceKind};
use model::netfilter::{Dialect, Family, NfRule};
use model::path::{Direction, Exchange, Stage};

use crate::catalogue::firewall::rules_flushed;
use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::ladder::Purpose;
use crate::mend::Mend;
use crate::metadata::{self, Unserved};
use crate::nova;
use crate::nova::shape;
use crate::view::View;

/// Where the rule belongs.
const CHAIN: &str = "nova-network-PREROUTING";

/// Looks for hosts that do not lead their instances to the metadata service: one finding a host.
pub fn check(view: &View) -> Vec<Found> {
    let mut seen = BTreeSet::new();
    let lost = metadata::unserved(view).into_iter().filter(|lost| {
        let meant = metadata::meant(lost.server, lost.ns);
        let leads = metadata::rules(lost.ns).any(|rule| metadata::leads_right(rule, meant.as_ref()));
        !leads && !rules_flushed::is_bare(lost.ns) && nova::manages(lost.server, lost.ns)
    });
    lost.filter(|lost| seen.insert(&lost.server.name)).map(|lost| finding(view, &lost)).collect()
}

fn finding(view: &View, lost: &Unserved) -> Found {
    let (server, ns) = (lost.server, lost.ns);
    let wanted = metadata::meant(server, ns).map(|then| shape::metadata_forward(then).rule(CHAIN));
    let other = metadata::rules(ns).next();
    let elsewhere = other.map_or("no rule in nat PREROUTING rewrites 169.254.169.254".to_owned(), |rule| {
        format!("`{}` leads elsewhere than nova.conf says", rule.text)
    });
    let stopped = view.stop(|s| s.rung.purpose == Purpose::Metadata && std::ptr::eq(s.rung, lost.rung));
    let mut found = Fault {
        code: "metadata-dnat-missing",
        hop: at(ns, view.inner_link(ns), Stage::Nat),
        summary: format!("{} does not lead its instances to the metadata service", server.name),
        cause: elsewhere,
        confidence: Confidence::Proven,
        evidence: evidence(view, lost, other, wanted.as_ref()),
        owner: "nova-network",
        remedy: remedies(ns, wanted.as_ref()),
        instances: view.instances_on(&server.name),
        stopped,
        mend: wanted.into_iter().map(|rule| insert(&server.name, rule)).collect(),
    }
    .found();
    // Where it leaves the site the walk does not see it die: nobody out there has that address.
    found.order.get_or_insert((lost.at, 0, 0));
    (found.finding.exchange, found.finding.direction) = (Exchange::Tcp, Direction::Request);
    found
}

fn evidence(view: &View, lost: &Unserved, other: Option<&NfRule>, wanted: Option<&NfRule>) -> Vec<Evidence> {
    let dialect = nova::iptables(lost.ns).next().map_or(Dialect::IptablesNft, |table| table.dialect);
    let source = evidence::within(lost.ns, &format!("{} -t nat", dialect.save_command(Family::Ip)));
    let missing = wanted.map_or("-d 169.254.169.254/32 ... -j DNAT".to_owned(), |rule| rule.text.clone());
    let mut all = vec![evidence::record(EvidenceKind::Rule, source.clone(), format!("no `{missing}`"))];
    all.extend(other.map(|rule| evidence::record(EvidenceKind::Rule, source, rule.text.clone())));
    all.extend(lost.server.nova.as_ref().map(metadata::configured));
    all.extend(metadata::console(view, lost.instance));
    all
}

fn remedies(ns: &model::Netns, wanted: Option<&NfRule>) -> Vec<model::finding::Remedy> {
    let restart = evidence::advice(
        "systemctl restart nova-network",
        "writes all its rules again, and starts or reloads the dnsmasq of every network of the host",
    );
    let insert = wanted.map(|rule| {
        let spec = rule.text.strip_prefix("-A ").unwrap_or(&rule.text);
        let [add, delete] = ["-I", "-D"].map(|verb| format!("iptables -t nat {verb} {spec}"));
        evidence::remedy(
            ns,
            &add,
            &delete,
            "kept until nova-network next writes its rules, which then have it too",
        )
    });
    insert.into_iter().chain([restart]).collect()
}

fn insert(machine: &str, rule: NfRule) -> Mend {
    Mend::InsertRule {
        machine: machine.to_owned(),
        table: "nat".to_owned(),
        chain: CHAIN.to_owned(),
        rule: Box::new(rule),
    }
}

#[cfg(test)]
mod tests {
    use model::finding::Confidence;
    use model::netfilter::Action;
    use model::path::Exchange;
    use model::service::{Console, ConsoleEvent, ConsoleEventKind};

    use crate::fixture::{Cloud, broken, codes, healthy, lacks};

    #[test]
    fn fires_on_a_host_that_takes_the_question_for_its_own() {
        let diagnosis = broken("metadata-dnat-missing").diagnose("web1");
        assert_eq!(codes(&diagnosis), ["metadata-dnat-missing compute1//br100"]);
        let finding = &diagnosis.findings[0];
        assert_eq!((finding.confidence, finding.exchange), (Confidence::Proven, Exchange::Tcp));
        assert_eq!(
            finding.remedy[0].command,
            "ip netns exec lab-compute1 iptables -t nat -I nova-network-PREROUTING -d 169.254.169.254/32 -p tcp \
             -m tcp --dport 80 -j DNAT --to-destination 203.0.113.34:8775"
        );
    }

    /// Without the address on the host, the question goes out to a router that has no such route.
    #[test]
    fn fires_on_a_host_that_sends_it_outside() {
        let mut cloud = broken("metadata-dnat-missing");
        let ns = cloud.netns("compute1");
        ns.addresses.retain(|a| a.net.addr() != crate::metadata::ADDRESS);
        ns.routes.retain(|r| r.destination.addr() != crate::metadata::ADDRESS);
        assert_eq!(codes(&cloud.diagnose("web1")), ["metadata-dnat-missing compute1//br100"]);
        // Where the site file ends at the host, it is seen to leave.
        cloud.snapshot.netns.retain(|ns| ns.machine == "compute1" || ns.instance);
        cloud.snapshot.hosts.retain(|host| host.name == "compute1");
        let found = cloud.diagnose("web1");
        assert!(!lacks(&found, "metadata-dnat-missing"), "{:?}", codes(&found));
    }

    #[test]
    fn fires_on_a_rule_that_leads_to_the_wrong_port() {
        let mut cloud = healthy();
        let rules = &mut cloud.chain("compute1", "nat", "nova-network-PREROUTING").rules;
        let rule = rules.iter_mut().find(|r| r.text.contains("169.254.169.254")).unwrap();
        rule.text = rule.text.replace(":8775", ":8776");
        let Action::Dnat(target) = &mut rule.action else { panic!("{rule:?}") };
        target.ports = Some((8776, 8776));
        let found = codes(&cloud.diagnose("web1"));
        assert!(found.contains(&"metadata-dnat-missing compute1//br100".to_owned()), "{found:?}");
        assert!(!found.iter().any(|code| code.starts_with("metadata-service-down")), "{found:?}");
    }

    #[test]
    fn what_the_console_said_is_shown() {
        let mut cloud = broken("metadata-dnat-missing");
        let uuid = cloud.intent.instances[0].uuid.clone().unwrap();
        let text = "wget: can't connect to remote host (169.254.169.254): Connection refused".to_owned();
        let kind = ConsoleEventKind::MetadataUnreachable("Connection refused".to_owned());
        let console = Console {
            file: "/var/lib/nova/instances/x/console.log".to_owned(),
            events: vec![ConsoleEvent { line: 7, kind, text }],
        };
        cloud.host("compute1").consoles = vec![(uuid, console)];
        let diagnosis = cloud.diagnose("web1");
        let evidence = &diagnosis.findings[0].evidence;
        assert!(evidence.iter().any(|e| e.source.ends_with("console.log:7")), "{evidence:?}");
    }

    #[test]
    fn stays_silent_when_every_rule_is_gone_or_the_service_is_down() {
        for other in ["rules-flushed", "metadata-service-down", "metadata-zeroconf-route"] {
            assert!(lacks(&broken(other).diagnose("web1"), "metadata-dnat-missing"), "{other}");
        }
    }

    #[test]
    fn stays_silent_when_another_hand_wrote_the_rule() {
        let mut cloud: Cloud = healthy();
        let rules = &mut cloud.chain("compute1", "nat", "nova-network-PREROUTING").rules;
        let at = rules.iter().position(|r| r.text.contains("169.254.169.254")).unwrap();
        let rule = rules.remove(at);
        cloud.chain("compute1", "nat", "PREROUTING").rules.insert(0, rule);
        // Nothing is amiss for the packets; nova's own rule is missing all the same.
        assert_eq!(codes(&cloud.diagnose("web1")), ["nova-rules-drift compute1//br100"]);
    }
}
