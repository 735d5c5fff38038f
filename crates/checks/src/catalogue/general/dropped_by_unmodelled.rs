//! # dropped-by-unmodelled
//!
//! The kernel says where it dropped our packets and why, and nothing that hopline reads explains it.
//!
//! ## What it means
//! Something at this hop drops packets that no check looks for: an IPsec policy, a BPF program, a queue, a security
//! module, or a rule that was added a moment ago. Where it happens is certain, for the kernel itself names the device,
//! the reason and the function that freed the packet. Who put there what does it must still be found.
//!
//! ## How hopline knows
//! While `diagnose` asks its questions, a program on the kernel's tracepoint `kfree_skb` tells of our own packets, and
//! of no others. Where a question gets no answer, everything that was read would let it pass, and the kernel dropped
//! it, that is the hop; of several drops the one on the packet's predicted way. What every healthy machine drops is
//! left out: copies of flooded frames for others, packets that a raw socket does not want, answers that have arrived.
//! It is told only of machines whose kernel is the one that hopline runs on, and needs root; `--passive` does without.
//!
//! ## What it looks like
//! `perf trace -a -e skb:kfree_skb` prints reason and function of each packet that is dropped on the machine, as
//! `dropwatch -l kas` does its function.
//!
//! ## Nearest look-alikes
//! * `lost-at-hop`: there the kernel says nothing of a drop: the packet left this machine, or waits, or was taken.
//! * `foreign-rule-drop`, `blackhole-route`, `rp-filter-asymmetric` and other findings with a name: there what drops it
//!   was read, and the kernel's word is further evidence for it.
//!
//! ## Fix
//! Look at what the remedy's commands show, for each is about what this reason and function can mean. They change
//! nothing. What is found there belongs to somebody: ask before it is removed.
//!
//! ## References
//! include/net/dropreason-core.h, `enum skb_drop_reason`; include/trace/events/skb.h, `kfree_skb`; perf-trace(1);
//! dropwatch(1).

use model::finding::{Confidence, Finding};
use model::path::{Direction, Exchange};
use model::probe::ProbeResult;

use crate::catalogue::links::tc_bpf_drop;
use crate::contradiction::Asking;
use crate::dropped::{self, Telling};
use crate::evidence;
use crate::found::Found;
use crate::ranking::Ranked;
use crate::restart::typed;
use crate::view::View;
use crate::{said, watched};

const CODE: &str = "dropped-by-unmodelled";

/// What was read tells nothing of it: the kernel's word is judged where a question got no answer.
pub fn check(_: &View) -> Vec<Found> {
    Vec::new()
}

/// The kernel dropped what was asked, or the answer; `None` where that is told already, of another question.
pub(crate) fn found(asking: &Asking, telling: &Telling, findings: &[Ranked]) -> Option<Finding> {
    let Asking { case, rung, instance, probe, .. } = *asking;
    let Telling { drop, meaning, at, is_on_way } = telling;
    let is_told = |Ranked { finding, .. }: &Ranked| {
        matches!(finding.code.as_str(), CODE | "tc-bpf-drop") && finding.hop.same_device(at)
    };
    if findings.iter().any(is_told) {
        return None;
    }
    let what = what(telling, probe);
    let place = match at.device.as_str() {
        "" => at.host.clone(),
        device => format!("{device} of {}", at.host),
    };
    let netns = case.snapshot.netns.iter().find(|ns| ns.machine == at.host && ns.name == at.netns);
    let shows = |command: &&str| {
        let command = command.replace("{device}", &typed(&at.device));
        let note = "mends nothing: shows what may be there";
        netns.map_or_else(|| evidence::advice(&*command, note), |ns| evidence::remedy(ns, &command, "", note))
    };
    let needs_device = |command: &&&str| !at.device.is_empty() || !command.contains("{device}");
    let filter = netns.and_then(|ns| Some((ns, tc_bpf_drop::meant(ns, &at.device, &drop.reason)?)));
    let remedy = match filter {
        Some((ns, filter)) => vec![tc_bpf_drop::removed(ns, &at.device, filter)],
        None => meaning.look.iter().filter(needs_device).map(shows).collect(),
    };
    let cause = match filter {
        Some((_, filter)) => {
            format!("a tc filter, {}, dropped it ({filter}): {}", filter.side.word(), drop.reason)
        }
        None => format!(
            "the kernel's {} freed it for the reason {}, and nothing that was read explains it",
            drop.function, drop.reason
        ),
    };
    Some(Finding {
        code: filter.map_or(CODE, |_| "tc-bpf-drop").to_owned(),
        direction: drop.direction,
        exchange: drop.exchange,
        summary: format!("{what} is dropped at {place} by the kernel, because {}", meaning.words),
        cause,
        confidence: if *is_on_way { Confidence::Proven } else { Confidence::Likely },
        evidence: dropped::of(case, rung, probe)
            .into_iter()
            .chain(
                watched::parted(case, rung)
                    .iter()
                    .flat_map(|parted| watched::counted(case, parted, rung, probe)),
            )
            .chain([said::evidence(probe)])
            .collect(),
        owner: "unknown".to_owned(),
        remedy,
        instances: vec![instance.to_owned()],
        hop: at.clone(),
    })
}

/// What died: `the answer to the ping from web1 to 1.2.3.4`.
fn what(telling: &Telling, probe: &ProbeResult) -> String {
    let drop = telling.drop;
    let asked = said::question(drop.exchange);
    let what = match drop.direction {
        Direction::Reply => format!("the answer to {asked}"),
        Direction::Request | Direction::Both => asked.to_owned(),
    };
    match drop.exchange {
        Exchange::Arp => {
            let waiting = said::question(probe.asked.exchange());
            format!("{what} for {}, which {waiting} from {} to {} waits for,", drop.to, probe.from, probe.to)
        }
        Exchange::Dhcp | Exchange::Dns | Exchange::Icmp | Exchange::Tcp | Exchange::Udp | Exchange::None => {
            format!("{what} from {} to {}", probe.from, probe.to)
        }
    }
}

#[cfg(test)]
mod tests {
    use model::finding::{Confidence, EvidenceKind, Outcome};
    use model::kernel_drop::KernelDrop;
    use model::path::{Direction, Exchange, Stage};
    use model::probe::PING_OCTETS;

    use crate::fixture::{Cloud, broken, codes, dropped_at, healthy, pinged};

    fn told(cloud: &mut Cloud, drops: &[KernelDrop], received: u32) -> model::Diagnosis {
        cloud.drops = drops.to_vec();
        cloud.diagnose_with("web1", &[pinged("web1", PING_OCTETS, received)])
    }

    #[test]
    fn fires_where_the_kernel_drops_what_everything_read_would_pass() {
        let drop = dropped_at("compute1", "br100", ("XFRM_POLICY", "ip_forward"));
        let found = told(&mut healthy(), &[drop], 0);
        assert_eq!(
            (codes(&found), found.outcome),
            (vec!["dropped-by-unmodelled compute1//br100".to_owned()], Outcome::Fault)
        );
        let finding = &found.findings[0];
        assert_eq!((finding.confidence, finding.hop.stage), (Confidence::Proven, Stage::Route));
        assert!(finding.summary.contains("because an IPsec policy blocks it"), "{}", finding.summary);
        assert!(
            finding.cause.contains("ip_forward freed it for the reason XFRM_POLICY"),
            "{}",
            finding.cause
        );
        let captured = |e: &&model::finding::Evidence| e.kind == EvidenceKind::Capture;
        let evidence = finding.evidence.iter().find(captured).unwrap();
        assert!(
            evidence.text.contains("2 of our packets at br100 of compute1: XFRM_POLICY in ip_forward"),
            "{}",
            evidence.text
        );
        assert!(finding.remedy[0].command.ends_with("ip -s xfrm policy"), "{:?}", finding.remedy);
    }

    #[test]
    fn what_is_answered_or_dropped_on_every_machine_is_none_of_it() {
        let drop = dropped_at("compute1", "br100", ("XFRM_POLICY", "ip_forward"));
        assert_eq!(codes(&told(&mut healthy(), &[drop], 2)), [""; 0]);
        for noise in [
            dropped_at("web1", "eth0", ("NO_SOCKET", "ping_rcv")),
            dropped_at("web2", "eth0", ("OTHERHOST", "ip_rcv_core")),
            dropped_at("external", "eth0", ("SOCKET_FILTER", "raw_rcv")),
            // Its reason is elsewhere.
            dropped_at("compute1", "eth0", ("NEIGH_FAILED", "neigh_invalidate")),
        ] {
            let found = codes(&told(&mut healthy(), &[noise], 0));
            assert!(found.len() == 1 && found[0].starts_with("lost-at-hop "), "{found:?}");
        }
    }

    #[test]
    fn a_fault_with_a_name_that_explains_it_gets_the_kernels_word_as_evidence() {
        let drop = dropped_at("compute1", "br100", ("IP_INADDRERRORS", "ip_error"));
        let found = told(&mut broken("ip-forward-0"), &[drop], 0);
        assert_eq!(codes(&found), ["ip-forward-0 compute1//br100"]);
        let texts: Vec<&str> = found.findings[0].evidence.iter().map(|e| e.text.as_str()).collect();
        assert!(texts.iter().any(|text| text.contains("IP_INADDRERRORS in ip_error")), "{texts:?}");
    }

    #[test]
    fn where_the_walk_cannot_tell_a_drop_on_the_way_counts_and_a_copy_beside_it_does_not() {
        let told = |machine: &str, device: &str, reason: (&str, &str)| {
            let mut cloud = broken("xdp-drop");
            let mut drop = dropped_at(machine, device, reason);
            drop.direction = Direction::Reply;
            cloud.drops = vec![drop];
            codes(&cloud.diagnose("web1"))
        };
        assert_eq!(told("compute1", "eth0", ("XDP", "do_xdp_generic")), ["xdp-drop compute1//eth0"]);
        assert_eq!(told("web2", "eth0", ("NETFILTER_DROP", "nft_do_chain")), ["xdp-drop compute1//eth0"]);
    }

    #[test]
    fn it_does_not_hide_behind_a_fault_that_stops_nothing() {
        let drop = dropped_at("compute1", "br100", ("XFRM_POLICY", "ip_forward"));
        let found = told(&mut broken("nova-rules-drift"), &[drop], 0);
        let expected = ["dropped-by-unmodelled compute1//br100", "nova-rules-drift compute1//br100"];
        assert_eq!(codes(&found), expected);
    }

    #[test]
    fn the_drop_on_the_way_counts_before_a_copy_that_was_flooded() {
        let mut flooded = dropped_at("compute1", "vnet1", ("NETFILTER_DROP", "nft_do_chain"));
        flooded.count = 9;
        let drop = dropped_at("gw", "eth0", ("TC_EGRESS", "__dev_queue_xmit"));
        let found = told(&mut healthy(), &[flooded.clone(), drop], 0);
        assert_eq!(codes(&found), ["dropped-by-unmodelled gw//eth0"]);
        let found = told(&mut healthy(), &[flooded], 0);
        assert_eq!(codes(&found), ["dropped-by-unmodelled compute1//vnet1"]);
        assert_eq!(found.findings[0].confidence, Confidence::Likely);
    }

    #[test]
    fn what_a_socket_sends_dies_at_the_device_that_it_would_have_left_by() {
        let mut drop = dropped_at("external", "", ("BPF_CGROUP_EGRESS", "__cgroup_bpf_run_filter_skb"));
        drop.direction = Direction::Reply;
        let found = told(&mut healthy(), &[drop], 0);
        assert_eq!(codes(&found), ["dropped-by-unmodelled external//eth0"]);
        assert_eq!(found.findings[0].direction, Direction::Reply);
    }

    #[test]
    fn the_neighbours_question_that_ours_waits_for_tells_where_both_die() {
        let waiting = dropped_at("compute1", "eth0", ("NEIGH_FAILED", "neigh_invalidate"));
        let asking = KernelDrop {
            from: "203.0.113.30".to_owned(),
            to: "203.0.113.1".parse().unwrap(),
            exchange: Exchange::Arp,
            octets: None,
            ..dropped_at("gw", "eth0", ("TC_INGRESS", "__netif_receive_skb_core"))
        };
        let found = told(&mut healthy(), &[waiting.clone(), asking.clone()], 0);
        assert_eq!(codes(&found), ["dropped-by-unmodelled gw//eth0"]);
        let finding = &found.findings[0];
        assert!(
            finding.summary.starts_with("the ARP question for 203.0.113.1, which the ping"),
            "{}",
            finding.summary
        );
        // Somebody else's is none of it.
        let other = KernelDrop { from: "203.0.113.77".to_owned(), ..asking };
        let found = codes(&told(&mut healthy(), &[waiting, other], 0));
        assert!(found.len() == 1 && found[0].starts_with("lost-at-hop "), "{found:?}");
    }

    #[test]
    fn a_drop_in_a_namespace_of_strangers_is_evidence_and_no_hop() {
        let mut drop = dropped_at("", "sw0", ("NETFILTER_DROP", "nft_do_chain"));
        drop.owner = None;
        let found = told(&mut healthy(), &[drop], 0);
        let finding = &found.findings[0];
        assert_eq!(finding.code, "lost-at-hop");
        let texts: Vec<&str> = finding.evidence.iter().map(|e| e.text.as_str()).collect();
        assert!(texts.iter().any(|text| text.contains("a namespace that is not of this site")), "{texts:?}");
    }
}
