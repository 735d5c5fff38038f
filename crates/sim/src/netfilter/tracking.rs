//! Whether connections are tracked at all: the kernel does so in a namespace only for the sake of a rule
//! that asks for it (`nf_ct_netns_get`). Without one a chain of type nat is never run, because packets have
//! no connections that it could translate (`nf_nat_inet_fn`).

use std::net::IpAddr;

use model::netfilter::{Action, Family, Field, Lookup, NatTarget, NfRule, Ruleset, Test};

/// Of IPv4 and of IPv6.
pub(super) type Versions = [bool; 2];

const BOTH: Versions = [true, true];
const NEITHER: Versions = [false, false];

/// For which versions some rule wants it, whether it hangs on a hook or not. Linear in rules.
pub(super) fn wanted(ruleset: &Ruleset) -> Versions {
    let mut found = NEITHER;
    for table in &ruleset.tables {
        // A rule in nft's bridge family has it for all that is bridged.
        let sees = match table.family {
            Family::Ip => [true, false],
            Family::Ip6 => [false, true],
            Family::Inet | Family::Bridge | Family::Arp | Family::Netdev => BOTH,
        };
        for rule in table.chains.iter().flat_map(|chain| &chain.rules) {
            if found == BOTH {
                return found;
            }
            let [v4, v6] = by_rule(rule);
            found = [found[0] || (v4 && sees[0]), found[1] || (v6 && sees[1])];
        }
    }
    found
}

fn by_rule(rule: &NfRule) -> Versions {
    if rule.matches.iter().any(|condition| by_test(&condition.test)) {
        return BOTH;
    }
    by_action(&rule.action)
}

fn by_test(test: &Test) -> bool {
    match test {
        Test::CtState(_) => true,
        Test::Field { field, .. } | Test::AnyBit(field, _) => by_field(field),
        Test::InSet(lookup) => by_lookup(lookup),
        Test::Unpredictable(text, _) | Test::Unmodelled(text) => by_text(text),
        Test::Source(_)
        | Test::Destination(_)
        | Test::SourceRange(..)
        | Test::DestinationRange(..)
        | Test::In(_)
        | Test::Out(_)
        | Test::PhysdevIn(_)
        | Test::PhysdevOut(_)
        | Test::PhysdevIsBridged
        | Test::PhysdevIsIn
        | Test::PhysdevIsOut
        | Test::LogicalIn(_)
        | Test::LogicalOut(_)
        | Test::Protocol(_)
        | Test::Protocols(_)
        | Test::SourcePort(_)
        | Test::DestinationPort(_)
        | Test::EitherPort(_)
        | Test::Icmp(..)
        | Test::TcpFlags { .. }
        | Test::EtherSource(..)
        | Test::EtherDestination(..)
        | Test::EtherType(_)
        | Test::ArpOperation(_)
        | Test::ArpGratuitous
        | Test::ArpSourceIp(_)
        | Test::ArpTargetIp(_)
        | Test::ArpSourceMac(..)
        | Test::ArpTargetMac(..)
        | Test::AddressType { .. }
        | Test::Mark { .. }
        | Test::Fragment
        | Test::ReversePath { .. }
        | Test::InIpset { .. }
        | Test::Always => false,
    }
}

fn by_field(field: &Field) -> bool {
    match field {
        Field::CtState
        | Field::CtStatus
        | Field::CtDirection
        | Field::CtMark
        | Field::CtZone
        | Field::CtProtocol
        | Field::Ct(_) => true,
        Field::Unmodelled(text) => by_text(text),
        Field::Ip(_)
        | Field::Port(_)
        | Field::Protocol
        | Field::NfProto
        | Field::Ttl
        | Field::Length
        | Field::FrameLength
        | Field::Dscp
        | Field::IcmpType
        | Field::IcmpCode
        | Field::TcpFlags
        | Field::In
        | Field::Out
        | Field::LinkType(_)
        | Field::NextHop
        | Field::LogicalIn
        | Field::LogicalOut
        | Field::PacketType
        | Field::Mark
        | Field::Ether(_)
        | Field::EtherType
        | Field::Vlan
        | Field::ArpOperation
        | Field::ArpIp(_)
        | Field::ArpEther(_)
        | Field::Fib(_) => false,
    }
}

fn by_lookup(lookup: &Lookup) -> bool {
    lookup.fields.iter().any(by_field)
}

fn by_action(action: &Action) -> Versions {
    let all = |wanted: bool| if wanted { BOTH } else { NEITHER };
    match action {
        Action::Dnat(target) | Action::Snat(target) => by_target(target),
        Action::DnatMap(_)
        | Action::SnatMap(_)
        | Action::Netmap(_)
        | Action::Masquerade(_)
        | Action::Redirect(_)
        | Action::SetCtMark { .. }
        | Action::SaveMark { .. }
        | Action::RestoreMark { .. }
        | Action::CtZone(_) => BOTH,
        Action::VerdictMap(lookup) | Action::SetMarkMap(lookup) => all(by_lookup(lookup)),
        Action::Several(actions) => {
            actions.iter().map(by_action).fold(NEITHER, |[v4, v6], [a, b]| [v4 || a, v6 || b])
        }
        Action::NonTerminal(text) | Action::Elsewhere(text, _) | Action::Unmodelled(text) => {
            all(by_text(text))
        }
        Action::Continue
        | Action::Accept
        | Action::Drop
        | Action::Reject(_)
        | Action::Return
        | Action::Jump(_)
        | Action::Goto(_)
        | Action::SetMark { .. }
        | Action::Notrack
        | Action::Ttl(_)
        | Action::Dscp { .. }
        | Action::Arp(_)
        | Action::Ether(_) => NEITHER,
    }
}

/// An address to rewrite to says the version, also in nft's inet family (`nft_nat_init`).
fn by_target(target: &NatTarget) -> Versions {
    match target.addresses {
        Some((IpAddr::V4(_), _)) => [true, false],
        Some((IpAddr::V6(_), _)) => [false, true],
        None => BOTH,
    }
}

/// What is only kept as text and speaks of connections: connlimit, connbytes, helpers, `ct ...`, SYNPROXY,
/// flowtables.
fn by_text(text: &str) -> bool {
    let speaks = |word: &str| word.contains("conn") || word.contains("CONN");
    let names = ["ct", "CT", "helper", "cluster", "CLUSTERIP", "SYNPROXY", "synproxy", "flow"];
    text.split(|c: char| !c.is_alphanumeric()).any(|word| speaks(word) || names.contains(&word))
}
