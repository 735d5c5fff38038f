//! Rows of the database that contradict each other, beside what is broken on the wire.
//!
//! A row breaks nothing by itself: what nova does by it does. Where a finding of the wire is what follows from such a
//! row, the row is the cause and is told first; where nothing follows yet, it is told last, as what stops nothing.

use model::finding::{Confidence, Finding};
use model::path::Exchange;
use model::snapshot::Gap;

use crate::found::Reach;
use crate::ranking::{Rank, Ranked};

/// What follows on the wire from rows of one sort.
struct Follows {
    code: &'static str,
    /// Findings whose own fix would be undone by the next one that reads the rows: the row is told in their place.
    in_place_of: &'static [&'static str],
    /// Findings that are true beside it, and come behind it.
    before: &'static [&'static str],
    /// Conversations that are lost without any other name.
    lost: &'static [Exchange],
}

const NO_LINE: &str = "dnsmasq-stale-hosts-file";
const NO_ADDRESS: &str = "instance-without-address";
const DHCP: [Exchange; 1] = [Exchange::Dhcp];
const ANY: [Exchange; 6] =
    [Exchange::Arp, Exchange::Dhcp, Exchange::Dns, Exchange::Icmp, Exchange::Tcp, Exchange::Udp];

/// By code. What is not among them breaks nothing that an instance's packets meet.
const FOLLOWS: [Follows; 17] = [
    // The instance is seen as the one of them, where the other was expected.
    Follows {
        code: "float-twice-to-one",
        in_place_of: &[],
        before: &["snat-wrong-address", "float-snat-missing"],
        lost: &[],
    },
    // Both hosts carry it, or one of two rules is first.
    Follows {
        code: "floating-ip-twice",
        in_place_of: &[],
        before: &[
            "float-on-two-hosts",
            "dnat-wrong-fixed-ip",
            "float-address-missing",
            "float-dnat-missing",
            "float-snat-missing",
            "duplicate-ip-foreign",
        ],
        lost: &[],
    },
    // The hosts file is written from addresses and their own instance's NICs.
    Follows {
        code: "fixed-ip-vif-mismatch",
        in_place_of: &[NO_ADDRESS, NO_LINE],
        before: &["dhcp-offer-wrong", "dhcp-offer-refused", "dhcp-nak", "antispoof-mac", "guest-wrong-ip"],
        lost: &DHCP,
    },
    // Gateways, broadcast addresses and machines outside the cloud are reserved.
    Follows {
        code: "fixed-ip-reserved-in-use",
        in_place_of: &[],
        before: &["duplicate-ip-foreign", "guest-wrong-gateway", "gateway-address-missing"],
        lost: &[Exchange::Arp],
    },
    // The host has the address on its bridge.
    Follows {
        code: "host-address-in-use",
        in_place_of: &[],
        before: &[
            "duplicate-ip-foreign",
            "guest-wrong-gateway",
            "guest-wrong-ip",
            "gateway-address-missing",
            "dnsmasq-wrong-interface",
            "dhcp-offer-wrong",
            "dhcp-nak",
        ],
        lost: &[Exchange::Arp],
    },
    // Neither dnsmasq's range nor the bridge's prefix nor the rules of the network are for it.
    Follows {
        code: "fixed-ip-outside-network",
        in_place_of: &[],
        before: &[
            NO_LINE,
            "dnsmasq-wrong-subnet",
            "dhcp-offer-wrong",
            "dhcp-nak",
            "guest-wrong-ip",
            "guest-wrong-gateway",
            "gateway-address-missing",
            "snat-missing",
            "float-snat-missing",
            "float-dnat-missing",
            "dns-answer-wrong",
        ],
        lost: &ANY,
    },
    Follows {
        code: "fixed-ip-twice",
        in_place_of: &[],
        before: &[
            "duplicate-ip-foreign",
            "guest-wrong-ip",
            "dhcp-offer-wrong",
            "dhcp-nak",
            "host-neigh-wrong",
            NO_LINE,
        ],
        lost: &[Exchange::Arp, Exchange::Dhcp],
    },
    Follows {
        code: "fixed-ip-without-network",
        in_place_of: &[NO_LINE],
        before: &["gateway-address-missing", "dnsmasq-wrong-subnet", "dhcp-offer-wrong", "dhcp-nak"],
        lost: &DHCP,
    },
    // Without `allocated` there is no line for it.
    Follows { code: "fixed-ip-flag-missing", in_place_of: &[NO_ADDRESS, NO_LINE], before: &[], lost: &DHCP },
    // dnsmasq has two lines for it, and bridges one port.
    Follows {
        code: "mac-twice",
        in_place_of: &[],
        before: &[
            "duplicate-mac",
            "bridge-mac-flap",
            "duplicate-ip-foreign",
            "dhcp-offer-wrong",
            "dhcp-nak",
            "guest-wrong-ip",
            NO_LINE,
        ],
        lost: &ANY,
    },
    Follows { code: "instance-without-nic", in_place_of: &[NO_ADDRESS, NO_LINE], before: &[], lost: &DHCP },
    // The host routes the range to one bridge.
    Follows {
        code: "network-overlap",
        in_place_of: &[],
        before: &["host-subnet-overlap", "flatif-not-enslaved", "rp-filter-asymmetric"],
        lost: &ANY,
    },
    Follows {
        code: "network-vlan-twice",
        in_place_of: &[],
        before: &[
            "rogue-dhcp",
            "dhcp-offer-wrong",
            "dhcp-offer-refused",
            "dhcp-nak",
            "duplicate-ip-foreign",
            "vlan-tag-wrong",
        ],
        lost: &DHCP,
    },
    // One dnsmasq with one hosts file serves the last that was set up.
    Follows {
        code: "network-bridge-twice",
        in_place_of: &[NO_LINE],
        before: &["dnsmasq-wrong-subnet", "dnsmasq-twice", "dnsmasq-wrong-interface", "dnsmasq-not-running"],
        lost: &DHCP,
    },
    Follows {
        code: "network-mask-wrong",
        in_place_of: &[],
        before: &["dhcp-offer-wrong", "guest-wrong-gateway", "guest-wrong-ip"],
        lost: &[Exchange::Arp],
    },
    // Whom the rule was to let in nobody is any more.
    Follows {
        code: "group-rule-of-deleted-group",
        in_place_of: &[],
        before: &["sg-missing-icmp", "sg-missing-ssh"],
        lost: &[],
    },
    Follows {
        code: "group-membership-of-deleted-group",
        in_place_of: &[],
        before: &["sg-missing-icmp", "sg-missing-ssh"],
        lost: &[],
    },
];

/// Adds what is recorded wrongly: what explains a finding before it, all else as what stops nothing. What may well be
/// meant, and explains nothing, is no fault, and becomes a gap.
pub(crate) fn tell(inconsistent: &[Finding], findings: &mut Vec<Ranked>) -> Vec<Gap> {
    let (mut first, mut last, mut gaps) = (Vec::new(), Vec::new(), Vec::new());
    for wrong in inconsistent {
        let follows = FOLLOWS.iter().find(|follows| follows.code == wrong.code);
        match follows.and_then(|follows| cause(wrong, follows, findings)) {
            Some(cause) => first.push(cause),
            None if wrong.confidence == Confidence::Possible => gaps.push(doubt(wrong)),
            None => last.push(ranked(Rank::Idle, wrong.clone())),
        }
    }
    findings.splice(0..0, first);
    findings.extend(last);
    gaps
}

/// The row with the conversation that it breaks, before the first finding that follows from it.
fn cause(wrong: &Finding, follows: &Follows, findings: &mut Vec<Ranked>) -> Option<Ranked> {
    let is_hit = |found: &Finding| found.instances.iter().any(|name| wrong.instances.contains(name));
    let is_named = |codes: &[&str], found: &Finding| codes.contains(&found.code.as_str());
    let is_lost = |found: &Finding| found.code == "lost-at-hop" && follows.lost.contains(&found.exchange);
    let follows_from_it = |found: &Finding| {
        let codes = [follows.in_place_of, follows.before];
        is_hit(found) && (codes.iter().any(|codes| is_named(codes, found)) || is_lost(found))
    };
    let of_it = findings.iter().filter(|ranked| follows_from_it(&ranked.finding));
    let foremost = of_it.min_by_key(|ranked| ranked.rank)?;
    let (rank, exchange, direction) = (foremost.rank, foremost.finding.exchange, foremost.finding.direction);
    let mut told = Finding { exchange, direction, ..wrong.clone() };
    // Of others whom the finding hits, too, the row says nothing.
    let is_replaced = |found: &Finding| {
        let of_these = found.instances.iter().all(|name| wrong.instances.contains(name));
        is_named(follows.in_place_of, found) && of_these && !found.instances.is_empty()
    };
    findings.retain(|Ranked { finding, .. }| {
        if is_replaced(finding) {
            told.evidence.extend(finding.evidence.iter().cloned());
        }
        !is_replaced(finding)
    });
    Some(ranked(rank, told))
}

fn ranked(rank: Rank, finding: Finding) -> Ranked {
    Ranked { rank, reach: Reach::Nothing, is_foreseen: false, seen_at: None, finding }
}

fn doubt(wrong: &Finding) -> Gap {
    let rows: Vec<&str> = wrong.evidence.iter().map(|evidence| evidence.text.as_str()).collect();
    Gap {
        what: format!("whether it is meant that {}", wrong.summary),
        why: format!("nova allows it, and nothing that is broken follows from it: {}", rows.join("; ")),
        would_need: format!("the word of whose they are; `hopline explain {}` says what it does", wrong.code),
    }
}

#[cfg(test)]
mod tests {
    use model::finding::{Evidence, EvidenceKind};
    use model::path::{Direction, Place, Stage};

    use super::*;
    use crate::catalogue::CATALOGUE;
    use crate::fixture::{Cloud, broken, codes, healthy};

    fn wrong(mut cloud: Cloud, code: &str, confidence: Confidence) -> Cloud {
        let text = "fixed_ips 7: address 10.0.2.24".to_owned();
        cloud.intent.inconsistent.push(Finding {
            code: code.to_owned(),
            hop: Place {
                host: "database".to_owned(),
                netns: String::new(),
                device: "fixed_ips".to_owned(),
                stage: Stage::Service,
            },
            direction: Direction::Both,
            exchange: Exchange::None,
            summary: "a row is wrong".to_owned(),
            cause: String::new(),
            confidence,
            evidence: vec![Evidence { kind: EvidenceKind::Db, source: "SELECT".to_owned(), text }],
            owner: "nova".to_owned(),
            remedy: Vec::new(),
            instances: vec!["web1".to_owned()],
        });
        cloud
    }

    #[test]
    fn every_code_that_follows_is_in_the_catalogue() {
        for follows in FOLLOWS {
            for code in follows.in_place_of.iter().chain(follows.before) {
                assert!(CATALOGUE.iter().any(|check| check.code == *code), "{}: {code}", follows.code);
            }
        }
    }

    #[test]
    fn is_told_last_where_nothing_follows_from_it() {
        let found =
            wrong(broken("ip-forward-0"), "fixed-ip-flag-missing", Confidence::Proven).diagnose("web1");
        assert_eq!(
            codes(&found),
            ["ip-forward-0 compute1//br100", "fixed-ip-flag-missing database//fixed_ips"]
        );
        assert_eq!(found.findings[1].exchange, Exchange::None);
    }

    #[test]
    fn is_told_in_place_of_what_its_own_fix_would_bring_back() {
        let code = "fixed-ip-flag-missing";
        let cloud = broken("dnsmasq-stale-hosts-file");
        let line = cloud.diagnose("web1").findings[0].evidence[0].text.clone();
        let found = wrong(cloud, code, Confidence::Proven).diagnose("web1");
        assert_eq!(codes(&found), ["fixed-ip-flag-missing database//fixed_ips"]);
        assert_eq!(found.findings[0].exchange, Exchange::Dhcp);
        assert!(found.findings[0].evidence.iter().any(|evidence| evidence.text == line), "{found:?}");
    }

    #[test]
    fn is_told_before_what_is_true_beside_it() {
        let found = wrong(broken("sg-missing-icmp"), "group-rule-of-deleted-group", Confidence::Proven)
            .diagnose("web1");
        let behind = codes(&broken("sg-missing-icmp").diagnose("web1"));
        assert_eq!(codes(&found)[0], "group-rule-of-deleted-group database//fixed_ips");
        assert_eq!(codes(&found)[1..], behind[..]);
    }

    #[test]
    fn what_may_be_meant_is_a_doubt_until_something_follows_from_it() {
        let code = "network-bridge-twice";
        let found = wrong(healthy(), code, Confidence::Possible).diagnose("web1");
        assert_eq!(codes(&found), [""; 0]);
        assert!(found.coverage.gaps.iter().any(|gap| gap.what.contains("a row is wrong")), "{found:?}");
        let found = wrong(broken("dnsmasq-stale-hosts-file"), code, Confidence::Possible).diagnose("web1");
        assert_eq!(codes(&found), ["network-bridge-twice database//fixed_ips"]);
    }

    #[test]
    fn explains_nothing_of_others() {
        let mut cloud =
            wrong(broken("dnsmasq-stale-hosts-file"), "fixed-ip-flag-missing", Confidence::Proven);
        cloud.intent.inconsistent[0].instances = vec!["web2".to_owned()];
        let found = codes(&cloud.diagnose("web1"));
        assert_eq!(
            found,
            ["dnsmasq-stale-hosts-file compute1//br100", "fixed-ip-flag-missing database//fixed_ips"]
        );
    }
}
