//! Bytes and events that no kernel sends: never a panic, never more rules than events.

use model::netfilter::{
    Action, BaseChain, Chain, ChainKind, Dialect, Family, Hook, NfRule, Policy, Ruleset, Table,
};
use probe::rule_trace::event::{Kind, TraceEvent, Verdict, decode};
use probe::rule_trace::{Handles, Why, met};
use proptest::prelude::*;

/// A rule's event as a 6.18 kernel sent it: `ip filter FORWARD`, handle 13, `jump top`.
fn sample() -> Vec<u8> {
    let attribute = |kind: u16, value: &[u8]| {
        let length = u16::try_from(value.len() + 4).unwrap();
        let mut bytes = [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), value].concat();
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    };
    let mut network = vec![0x45, 0, 0, 84, 0, 1, 0x40, 0, 63, 1, 0, 0];
    network.extend([192, 0, 2, 2, 192, 0, 2, 130]);
    let verdict = [attribute(1, &(-3_i32).to_be_bytes()), attribute(2, b"top\0")].concat();
    let body = [
        vec![2, 0, 0, 0],
        attribute(4, &3_u32.to_be_bytes()),
        attribute(6, &0xfeed_u32.to_be_bytes()),
        attribute(1, b"filter\0"),
        attribute(2, b"FORWARD\0"),
        attribute(3, &13_u64.to_be_bytes()),
        attribute(5 | 0x8000, &verdict),
        attribute(10, &4_u32.to_be_bytes()),
        attribute(12, &5_u32.to_be_bytes()),
        attribute(8, &network),
        attribute(9, &[8, 0, 0, 0, 0x12, 0x34, 0, 7]),
        attribute(99, b"from the future"),
    ]
    .concat();
    let length = u32::try_from(body.len() + 16).unwrap();
    let header = [&length.to_ne_bytes()[..], &0x0a11_u16.to_ne_bytes(), &[0; 10]].concat();
    [header, body].concat()
}

#[test]
fn a_whole_event_is_read_whatever_else_it_carries() {
    let (events, damaged) = decode(&sample());
    assert!(!damaged);
    let [event] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((event.id, event.family), (0xfeed, Family::Ip));
    assert_eq!((event.table.as_str(), event.chain.as_str()), ("filter", "FORWARD"));
    assert_eq!(event.kind, Kind::Rule { handle: 13, verdict: Verdict::Jump("top".to_owned()) });
    assert_eq!((event.iif, event.oif, event.mark), (Some(4), Some(5), 0));
    let headers = format!("{:?}", event.headers.unwrap());
    assert_eq!(
        headers,
        "Headers { source: 192.0.2.2, destination: 192.0.2.130, protocol: 1, \
         transport: Echo { reply: false, id: 4660, sequence: 7 } }"
    );
}

#[test]
fn a_truncated_event_is_told_and_gives_nothing_false() {
    let (whole, _) = decode(&sample());
    for length in 1..sample().len() {
        let (events, damaged) = decode(&sample()[..length]);
        assert!(damaged && events.is_empty(), "{length}");
    }
    assert_eq!(decode(&[sample(), sample()].concat()).0, [whole.clone(), whole].concat());
}

fn rule(action: Action, handle: Option<u64>) -> NfRule {
    NfRule { text: "a rule".to_owned(), counters: None, handle, line: 1, matches: Vec::new(), action }
}

fn ruleset() -> Ruleset {
    let base = BaseChain {
        hook: Hook::Forward,
        priority: 0,
        kind: ChainKind::Filter,
        policy: Policy::Accept,
        policy_counters: None,
        devices: Vec::new(),
    };
    let chain = |name: &str, base, handle| Chain {
        name: name.to_owned(),
        base,
        rules: vec![
            rule(Action::Jump("b".to_owned()), handle),
            rule(Action::Continue, handle.map(|h| h + 1)),
        ],
    };
    let table = |dialect, handle| Table {
        family: Family::Ip,
        name: "t".to_owned(),
        dialect,
        chains: vec![chain("a", Some(base.clone()), handle), chain("b", None, handle)],
        sets: Vec::new(),
    };
    let tables = vec![table(Dialect::IptablesLegacy, None), table(Dialect::IptablesNft, None)];
    Ruleset { tables, ..Ruleset::default() }
}

fn handles() -> Handles {
    let of = |chain: &str| (Family::Ip, "t".to_owned(), chain.to_owned());
    [(of("a"), vec![1, 2]), (of("b"), vec![1, 2])].into()
}

/// What the kernel tells and what was read must agree, or nothing is named.
#[test]
fn what_does_not_agree_is_left_unnamed() {
    let event = |chain: &str, kind| TraceEvent {
        id: 1,
        family: Family::Ip,
        table: "t".to_owned(),
        chain: chain.to_owned(),
        kind,
        iif: None,
        oif: None,
        headers: None,
        mark: 0,
    };
    let rule = |handle, verdict| Kind::Rule { handle, verdict };
    let jump = |chain: &str| Verdict::Jump(chain.to_owned());
    let place = "ip t";
    for (event, expected) in [
        (event("a", rule(1, jump("b"))), Ok(1)),
        (event("a", rule(2, Verdict::Accept)), Ok(2)),
        (event("a", Kind::Policy(Policy::Accept)), Ok(0)),
        (
            event("a", rule(1, jump("c"))),
            Err("rule of handle 1 in {} a: the rules were changed after they were read"),
        ),
        (
            event("a", rule(9, Verdict::Drop)),
            Err("rule of handle 9 in {} a: the rules were changed after they were read"),
        ),
        (
            event("a", Kind::Policy(Policy::Drop)),
            Err("policy in {} a: the rules were changed after they were read"),
        ),
        (
            event("c", rule(1, jump("b"))),
            Err("rule of handle 1 in {} c: the rules that were read do not have it"),
        ),
        (
            event("b", rule(1, jump("b"))),
            Err("rule of handle 1 in {} b: the events that lead there were lost"),
        ),
    ] {
        let [found] = &met(&[event], &ruleset(), &handles())[..] else { panic!("one event, one rule") };
        let found = found.rule.as_ref().map(|rule| rule.number).map_err(ToString::to_string);
        assert_eq!(found, expected.map_err(|text| text.replace("{}", place)));
    }
    let unread = met(&[event("a", rule(1, jump("b")))], &ruleset(), &Handles::new());
    assert_eq!(unread[0].rule.as_ref().unwrap_err().why, Why::NotRead);
}

fn verdicts() -> impl Strategy<Value = Verdict> {
    let name = prop_oneof![Just("a".to_owned()), Just("b".to_owned()), Just("c".to_owned())];
    prop_oneof![
        Just(Verdict::Accept),
        Just(Verdict::Drop),
        Just(Verdict::Continue),
        Just(Verdict::Return),
        name.clone().prop_map(Verdict::Jump),
        name.prop_map(Verdict::Goto),
        any::<i32>().prop_map(Verdict::Other),
    ]
}

fn events() -> impl Strategy<Value = Vec<TraceEvent>> {
    let kinds = prop_oneof![
        4 => (0..4_u64, verdicts()).prop_map(|(handle, verdict)| Kind::Rule { handle, verdict }),
        1 => Just(Kind::Policy(Policy::Accept)),
        1 => Just(Kind::Policy(Policy::Drop)),
        1 => Just(Kind::Return),
    ];
    let one =
        (0..2_u32, "[abc]", "[tu]", kinds, any::<bool>()).prop_map(|(id, chain, table, kind, starts)| {
            let headers = decode(&sample()).0[0].headers.filter(|_| starts);
            TraceEvent { id, family: Family::Ip, table, chain, kind, iif: None, oif: None, headers, mark: 0 }
        });
    prop::collection::vec(one, 0..200)
}

proptest! {
    #[test]
    fn any_bytes_can_be_decoded(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        decode(&bytes);
    }

    #[test]
    fn a_changed_byte_is_no_panic(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = sample();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        decode(&bytes);
    }

    #[test]
    fn any_events_give_at_most_one_rule_each_and_no_rule_that_is_not_there(events in events()) {
        let rules = met(&events, &ruleset(), &handles());
        let told = events.iter().filter(|event| event.kind != Kind::Return);
        prop_assert_eq!(rules.len(), told.clone().count());
        for (met, event) in rules.iter().zip(told) {
            if let Ok(rule) = &met.rule {
                prop_assert_eq!(rule.chain(), event.chain.as_str());
                prop_assert_eq!(rule.chains.first().map(String::as_str), Some("a"));
                prop_assert!(rule.number <= 2 && rule.chains.len() <= 100 && rule.dialect == Dialect::IptablesNft);
            }
        }
    }
}
