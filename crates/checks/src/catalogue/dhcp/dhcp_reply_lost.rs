//! # dhcp-reply-lost
//!
//! What dnsmasq answers the instance dies on its way back.
//!
//! ## What it means
//! The question gets to dnsmasq, which offers the right address, again and again; the instance never hears of it. All
//! lines but `DHCPREQUEST` are in the log, so the way back is at fault: the instance's chain has lost the rule that
//! lets DHCP answers in, or some rule or policy drops them.
//!
//! ## How hopline knows
//! The walk of the OFFER ended at nova's fallback, at a rule that names DHCP's ports and stops nothing else that was
//! asked, or at a policy. Or the log has three ACKs and more of one conversation within a minute, and the instance no
//! address: all four lines are there, and what answers its own client was seen at one station and not at the next, or
//! nothing decides at a station whether they pass. That is told as likely.
//!
//! ## What it looks like
//! dnsmasq's log: `DHCPDISCOVER`, `DHCPOFFER`, `DHCPDISCOVER`, `DHCPOFFER`. What dies in OUTPUT is seen by no tcpdump;
//! the rule's counter rises with each OFFER.
//!
//! ## Nearest look-alikes
//! * `dnsmasq-lease-max`: the log has `DHCPREQUEST` and `DHCPNAK` too.
//! * `foreign-rule-drop`: the rule stops more than DHCP.
//! * `dhcp-offer-refused`: the answers come to the NIC, and its client does not take them.
//! * an OFFER with an unfinished checksum: it gets to the instance, which throws it away.
//!
//! ## Fix
//! Put the accept back into the instance's chain, or restart nova-compute, which writes its chains again; delete a
//! rule that nova did not write. Undo: delete the accept; insert the rule again.
//!
//! ## References
//! OpenStack Operations Guide, "Network Troubleshooting" (all four lines, and still no address: the way back); nova
//! `virt/firewall.py` `_do_dhcp_rules`.

use model::Netns;
use model::finding::{Confidence, Evidence, EvidenceKind, Remedy};
use model::path::{RuleRef, Stop};

use crate::addressless;
use crate::dhcp_rules;
use crate::dhcp_told;
use crate::dhcp_unheard::{self, Lost, Unheard};
use crate::drift;
use crate::evidence;
use crate::found::{Fault, Found};
use crate::mend::Mend;
use crate::nova::{self, shape};
use crate::owner;
use crate::removal;
use crate::restart;
use crate::rules;
use crate::view::{Seat, Stopped, View};

/// What is told of the rule or policy that the OFFER died of.
struct Story {
    cause: String,
    owner: &'static str,
    evidence: Option<Evidence>,
    remedy: Vec<Remedy>,
    mend: Vec<Mend>,
}

/// Looks for OFFERs that die by a rule or a policy: one finding an instance.
pub fn check(view: &View) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for stopped in view.stops() {
        let Some(rule) = dhcp_rules::loses(view, &stopped) else { continue };
        let Some(ns) = view.snapshot().main_netns(&stopped.hop.at.host) else { continue };
        let name = &stopped.rung.from;
        if found.iter().any(|f| f.finding.instances.contains(name)) {
            continue;
        }
        let Some(story) = story(view, ns, &stopped, rule) else { continue };
        let mut evidence = evidence::stopping(view, ns, &stopped, rule);
        evidence.extend(story.evidence);
        let fault = Fault {
            code: "dhcp-reply-lost",
            hop: stopped.hop.at.clone(),
            summary: format!(
                "{name} does not hear dnsmasq's OFFER: it dies on {} in {}",
                stopped.hop.at.host,
                rule.chain_path()
            ),
            cause: story.cause,
            confidence: Confidence::Proven,
            evidence,
            owner: story.owner,
            remedy: story.remedy,
            instances: vec![name.clone()],
            stopped: Some(stopped),
            mend: story.mend,
        };
        found.push(fault.found());
    }
    for seat in view.vifs() {
        if !found.iter().any(|f| f.finding.instances.contains(&seat.instance.name)) {
            found.extend(unheard(view, &seat));
        }
    }
    found
}

/// All four lines are in the log, again and again, and the instance has no address.
fn unheard(view: &View, seat: &Seat) -> Option<Found> {
    let mac = seat.vif.mac?;
    let without = addressless::of(view, seat)?;
    let Unheard { acks, evidence, lost } = dhcp_unheard::of(view, seat, mac)?;
    let Lost { hop, why } = lost?;
    let (name, at) = (&seat.instance.name, &hop.at);
    let capture = dhcp_told::capture(at, mac);
    let shown = evidence::record(EvidenceKind::Capture, &capture, why.clone());
    Some(addressless::left_by(Fault {
        code: "dhcp-reply-lost",
        hop: at.clone(),
        summary: format!(
            "{name} has no address, though dnsmasq gave it one {acks} times within a minute: the way back loses it at \
             {at}"
        ),
        cause: format!("dnsmasq's ACK is lost at {at}: {why}"),
        confidence: Confidence::Likely,
        evidence: evidence.into_iter().chain([shown]).collect(),
        owner: "unknown",
        remedy: vec![evidence::advice(
            capture,
            "while its client asks: whether the ACK comes so far; then what stands between that and the station before",
        )],
        instances: vec![name.clone()],
        stopped: without.stop(view, seat),
        mend: without.mend(seat),
    }))
}

fn story(view: &View, ns: &Netns, stopped: &Stopped, rule: &RuleRef) -> Option<Story> {
    if dhcp_rules::is_fallback(rule) {
        return shut_out(view, ns, stopped, rule);
    }
    if matches!(stopped.stop, Stop::Policy(_)) {
        return Some(Story {
            cause: format!("no rule of {} accepts the OFFER, and its policy drops it", rule.chain()),
            owner: "operator",
            evidence: None,
            remedy: vec![removal::of(ns, rule)],
            mend: vec![Mend::AcceptPolicy { machine: ns.machine.clone(), rule: rule.clone() }],
        });
    }
    let owner = owner::of(ns, rule);
    Some(Story {
        cause: format!("`{}` matches, {}", rule.text, owner.wrote()),
        owner: owner.name(),
        evidence: None,
        remedy: vec![removal::of(ns, rule)],
        mend: vec![Mend::RemoveRule { machine: ns.machine.clone(), rule: rule.clone() }],
    })
}

/// The instance's chain lets no DHCP answer in.
fn shut_out(view: &View, ns: &Netns, stopped: &Stopped, rule: &RuleRef) -> Option<Story> {
    let chain = rule.chains.iter().rev().find(|chain| nova::is_instance_chain(chain))?;
    let instance = view.intent().instances.get(stopped.rung.instance)?;
    let network = instance.vifs.iter().find_map(|vif| view.intent().networks.get(vif.network?))?;
    let accept = shape::dhcp_answer(network.gateway_on(&instance.host)?);
    let text = accept.text(chain);
    let spec = text.strip_prefix(&format!("-A {chain} ")).unwrap_or(&text).to_owned();
    let rules = rules::table(ns, rule).and_then(|t| t.chain(chain)).map_or(&[][..], |c| &c.rules);
    let edit = rule.dialect.edit_command(rule.family);
    let table = &rule.table;
    let insert = format!("{edit} -t {table} -I {chain} {} {spec}", rules::fallback_at(rules) + 1);
    let written = drift::rewritten(view, ns, chain);
    let mend =
        if written.is_empty() { vec![rules::before_fallback(ns, chain, rule, &accept)] } else { written };
    Some(Story {
        cause: format!("{chain} has no rule that lets DHCP answers in; {} dropped it", rule.chain()),
        owner: "nova-compute",
        evidence: Some(evidence::record(
            EvidenceKind::Rule,
            evidence::within(ns, &rule.shown_by()),
            format!("no `{text}`"),
        )),
        remedy: vec![
            evidence::remedy(
                ns,
                &insert,
                &format!("{edit} -t {table} -D {chain} {spec}"),
                "what nova itself would write; disturbs nobody",
            ),
            restart::compute(view, &ns.machine, "writes the instances' chains again"),
        ],
        mend,
    })
}

#[cfg(test)]
mod tests {
    use model::finding::Confidence;
    use model::netfilter::{Match, NfRule, Policy, Test};
    use model::service::DhcpMessage;

    use crate::fixture::{
        Cloud, Hosting, Manager, asked_at, broken, codes, drops, healthy, lacks, lose_address, nova_cloud,
        say,
    };

    fn by_ports() -> NfRule {
        let tests = [Test::Protocol(17), Test::SourcePort(vec![(67, 67)])];
        let matches = tests.map(|test| Match { negated: false, test }).into();
        drops("-A OUTPUT -p udp -m udp --sport 67 -j DROP", matches)
    }

    #[test]
    fn fires_when_the_instances_chain_lets_no_answer_in() {
        let diagnosis = broken("dhcp-reply-lost").diagnose("web1");
        assert_eq!(codes(&diagnosis), ["dhcp-reply-lost compute1//br100"]);
        let remedy = &diagnosis.findings[0].remedy;
        let spec = "-s 10.0.0.42/32 -p udp -m udp --sport 67 --dport 68 -j ACCEPT";
        assert!(remedy[0].command.ends_with(&format!("-I nova-compute-inst-1 6 {spec}")), "{remedy:?}");
        assert!(remedy[0].undo.ends_with(&format!("-D nova-compute-inst-1 {spec}")), "{remedy:?}");
        assert_eq!(remedy[1].command, "systemctl restart nova-compute");
    }

    #[test]
    fn fires_on_a_rule_of_output_that_names_the_port() {
        let mut cloud = healthy();
        cloud.chain("compute1", "filter", "OUTPUT").rules.insert(0, by_ports());
        let diagnosis = cloud.diagnose("web1");
        assert_eq!(codes(&diagnosis), ["dhcp-reply-lost compute1//br100"]);
        assert!(diagnosis.findings[0].remedy[0].command.contains("-D OUTPUT -p udp "));
    }

    #[test]
    fn fires_where_the_instance_runs_though_another_host_serves_it() {
        let mut cloud = nova_cloud(Manager::FlatDhcp, Hosting::NetworkHost);
        let chain = &mut cloud.chain("compute1", "filter", "nova-compute-inst-1").rules;
        let before = chain.len();
        chain.retain(|r| !r.text.contains("--sport 67") && !r.text.contains("-s 10.1.0.0/24 -j ACCEPT"));
        assert_eq!(before - chain.len(), 2);
        let diagnosis = cloud.diagnose("web1");
        assert_eq!(codes(&diagnosis), ["dhcp-reply-lost compute1//eth1"]);
    }

    /// web1 is given its address again and again, and has none.
    fn given(acks: usize) -> Cloud {
        let mut cloud = healthy();
        let address = Some([10, 0, 2, 24].into());
        for _ in 0..acks {
            say(&mut cloud, &[(DhcpMessage::Request, address, ""), (DhcpMessage::Ack, address, "web1")]);
        }
        lose_address(&mut cloud, "web1");
        cloud
    }

    #[test]
    fn fires_where_acks_do_not_come_over_a_stretch() {
        let cloud = given(3);
        let mac = cloud.intent.instances[0].vifs[0].mac.unwrap();
        let watches = [asked_at("br100", &[(mac, 3)]), asked_at("vnet0", &[(mac, 0)])];
        let diagnosis = cloud.diagnose_watched("web1", &[], &watches);
        assert_eq!(codes(&diagnosis), ["dhcp-reply-lost compute1//vnet0"]);
        assert!(diagnosis.findings[0].cause.contains("3 answers to it were seen at br100, and none here"));
        assert_eq!(diagnosis.findings[0].confidence, Confidence::Likely);
    }

    #[test]
    fn stays_silent_where_the_instance_was_started_again_and_again() {
        let mut cloud = healthy();
        let address = Some([10, 0, 2, 24].into());
        for _ in 0..3 {
            say(&mut cloud, &[(DhcpMessage::Discover, None, ""), (DhcpMessage::Offer, address, "")]);
            say(&mut cloud, &[(DhcpMessage::Request, address, ""), (DhcpMessage::Ack, address, "web1")]);
        }
        lose_address(&mut cloud, "web1");
        let mac = cloud.intent.instances[0].vifs[0].mac.unwrap();
        let watches = [asked_at("br100", &[(mac, 3)]), asked_at("vnet0", &[(mac, 0)])];
        assert!(lacks(&cloud.diagnose_watched("web1", &[], &watches), "dhcp-reply-lost"));
    }

    #[test]
    fn stays_silent_where_acks_are_few_or_come_to_the_nic() {
        for acks in [2, 3] {
            let diagnosis = given(acks).diagnose("web1");
            assert!(lacks(&diagnosis, "dhcp-reply-lost"), "{acks}: {:?}", codes(&diagnosis));
        }
    }

    #[test]
    fn leaves_what_stops_more_to_other_pages() {
        let mut cloud = healthy();
        let udp = Match { negated: false, test: Test::Protocol(17) };
        let rule = drops("-A OUTPUT -p udp -j DROP", vec![udp]);
        cloud.chain("compute1", "filter", "OUTPUT").rules.insert(0, rule);
        assert_eq!(codes(&cloud.diagnose("web1")), ["foreign-rule-drop compute1//br100"]);
        let mut cloud = healthy();
        cloud.chain("compute1", "filter", "OUTPUT").base.as_mut().unwrap().policy = Policy::Drop;
        let diagnosis = cloud.diagnose("web1");
        assert!(lacks(&diagnosis, "dhcp-reply-lost"), "{:?}", codes(&diagnosis));
    }

    #[test]
    fn stays_silent_when_the_tap_is_down() {
        assert!(lacks(&broken("tap-down").diagnose("web1"), "dhcp-reply-lost"));
        assert!(lacks(&broken("dnsmasq-lease-max").diagnose("web1"), "dhcp-reply-lost"));
    }
}
