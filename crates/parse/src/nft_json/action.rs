//! Statements that do something with the packet.

use model::netfilter::{Action, Choice, EtherChange, Family, Lookup, Match, RejectWith, Test, TtlChange};
use serde_json::Value;

use super::bits::{self, Bits};
use super::constant::{self, Kind};
use super::lookup::{self, verdict};
use super::names::{self, Names};
use super::{field, nat, text};

/// What is done, and what must hold of the packet for it.
pub(super) struct Deed {
    pub(super) demands: Vec<Test>,
    pub(super) action: Action,
    /// A look-up that finds nothing ends the rule.
    pub(super) may_end_rule: bool,
}

impl From<Action> for Deed {
    fn from(action: Action) -> Deed {
        Deed { demands: Vec::new(), action, may_end_rule: false }
    }
}

/// One statement. `before` are the rule's conditions.
pub(super) fn read(
    family: Family,
    (name, body): (&str, &Value),
    statement: &Value,
    before: &[Match],
) -> Deed {
    let text = || text::statement(family, statement);
    let modelled = match name {
        "vmap" => match only_verdict(body) {
            Some(verdict) => Some(verdict.into()),
            None => looked_up(family, body, before, Action::VerdictMap),
        },
        "reject" => reject(body).map(|with| refusal(family, with)),
        "dnat" | "snat" | "masquerade" | "redirect" => nat::read(family, (name, body), before),
        "notrack" => Some(Action::Notrack.into()),
        "mangle" => mangle(family, body, before, &text),
        "log" | "dup" | "ct helper" | "ct timeout" | "ct expectation" | "secmark" => {
            Some(Action::NonTerminal(text()).into())
        }
        // Packets of other protocols end the rule (`nft_exthdr_tcp_strip_eval`).
        "reset" => Some(Deed {
            demands: vec![Test::Protocol(TCP)],
            action: Action::NonTerminal(text()),
            may_end_rule: false,
        }),
        "fwd" => Some(Action::Elsewhere(text(), Choice::Link).into()),
        "queue" => Some(Action::Elsewhere(text(), Choice::Queue).into()),
        // For other protocols these end the rule (`nft_tproxy_eval_v4`, `nft_synproxy_do_eval`,
        // `nft_flow_offload_eval`).
        "tproxy" => Some(handed_over(text(), Choice::Proxy, &[TCP, UDP], before)),
        "synproxy" => Some(handed_over(text(), Choice::SynProxy, &[TCP], before)),
        "flow" => Some(handed_over(text(), Choice::Flowtable, &[TCP, UDP, GRE], before)),
        _ => verdict(statement).map(Deed::from),
    };
    let by_chance = || contains(body, &["numgen", "jhash", "symhash"]);
    let is_chance = || matches!(name, "vmap" | "mangle" | "dnat" | "snat") && by_chance();
    let mut deed = modelled.unwrap_or_else(|| {
        let text = text();
        if is_chance() { Action::Elsewhere(text, Choice::Chance) } else { Action::Unmodelled(text) }.into()
    });
    deed.may_end_rule |= contains(body, &["map"]);
    if name == "mangle" {
        demand_header(family, body, before, &mut deed.demands);
    }
    deed
}

/// nft demands the protocol of the header that is written to and does not print it (nft `evaluate.c`,
/// `stmt_evaluate_payload`). Of options of TCP the kernel demands it itself
/// (`nft_exthdr_tcp_set_eval`).
fn demand_header(family: Family, body: &Value, before: &[Match], demands: &mut Vec<Test>) {
    let header = body.get("key").filter(|key| key.get("payload").or(key.get("tcp option")).is_some());
    let demanded = header.map(|header| match field::looked_at(family, header, before) {
        Ok(looked) => looked.demands,
        Err(unknown) => unknown.demands,
    });
    for test in demanded.into_iter().flatten() {
        if !demands.contains(&test) {
            demands.insert(0, test);
        }
    }
}

const TCP: u8 = 6;
const UDP: u8 = 17;
const GRE: u8 = 47;

/// Somebody else decides about packets of these protocols.
fn handed_over(text: String, who: Choice, protocols: &[u8], before: &[Match]) -> Deed {
    let one_of = |test: &Test| match test {
        Test::Protocol(number) => protocols.contains(number),
        Test::Protocols(numbers) => numbers.iter().all(|number| protocols.contains(number)),
        _ => false,
    };
    let is_clear = before.iter().any(|m| !m.negated && one_of(&m.test));
    let demands = if is_clear { Vec::new() } else { vec![Test::Protocols(protocols.to_vec())] };
    Deed { demands, action: Action::Elsewhere(text, who), may_end_rule: false }
}

/// Whether one of these kinds of expression is in there.
fn contains(body: &Value, kinds: &[&str]) -> bool {
    match body {
        Value::Object(map) => {
            map.iter().any(|(kind, body)| kinds.contains(&kind.as_str()) || contains(body, kinds))
        }
        Value::Array(values) => values.iter().any(|value| contains(value, kinds)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// `numgen random mod 1 vmap { 0 : goto endpoint }`: of one number there is no choice.
fn only_verdict(body: &Value) -> Option<Action> {
    let numgen = body.get("key")?.get("numgen")?;
    let offset = numgen.get("offset").and_then(Value::as_u64).unwrap_or(0);
    let entries = body.get("data")?.get("set")?.as_array()?.iter();
    let mut verdicts = entries.filter(|entry| entry.get(0).and_then(Value::as_u64) == Some(offset));
    let is_single = numgen.get("mod")?.as_u64()? == 1;
    verdict(verdicts.next()?.get(1)?).filter(|_| is_single)
}

/// `{"key": ..., "data": ...}`
pub(super) fn looked_up(
    family: Family,
    body: &Value,
    before: &[Match],
    make: fn(Lookup) -> Action,
) -> Option<Deed> {
    let key = lookup::fields(family, body.get("key")?, before, false).ok()?;
    let demands = key.demands.clone();
    let lookup = lookup::of(key, body.get("data")?)?;
    Some(Deed { demands, action: make(lookup), may_end_rule: true })
}

/// nft demands the protocol that the answer is of and does not print it (nft `evaluate.c`,
/// `stmt_evaluate_reject`).
fn refusal(family: Family, with: RejectWith) -> Deed {
    let demands = match with {
        RejectWith::Icmp(_) => field::ether_type(family, field::IPV4),
        RejectWith::Icmp6(_) => field::ether_type(family, field::IPV6),
        RejectWith::TcpReset => vec![Test::Protocol(TCP)],
        RejectWith::Icmpx(_) => Vec::new(),
    };
    Deed { demands, action: Action::Reject(with), may_end_rule: false }
}

/// Without a reason it is `port-unreachable` of the packet's own family.
fn reject(body: &Value) -> Option<RejectWith> {
    let code = |names: Names| match body.get("expr")? {
        Value::String(name) => u8::try_from(names::number(names, name)?).ok(),
        number => u8::try_from(number.as_u64()?).ok(),
    };
    Some(match body.get("type").and_then(Value::as_str) {
        None => RejectWith::Icmpx(1),
        Some("tcp reset") => RejectWith::TcpReset,
        Some("icmp") => RejectWith::Icmp(code(names::ICMP_CODES)?),
        Some("icmpv6") => RejectWith::Icmp6(code(names::ICMP6_CODES)?),
        Some("icmpx") => RejectWith::Icmpx(code(names::ICMPX_CODES)?),
        Some(_) => return None,
    })
}

/// `KEY set VALUE`
fn mangle(family: Family, body: &Value, before: &[Match], text: &dyn Fn() -> String) -> Option<Deed> {
    let (key, value) = (body.get("key")?, body.get("value")?);
    let part = |kind: &str, name: &str| key.get(kind)?.get(name)?.as_str();
    let harmless = || Some(Action::NonTerminal(text()).into());
    if let Some(key) = part("meta", "key") {
        return match key {
            "mark" => match value.get("map") {
                Some(map) => looked_up(family, map, before, Action::SetMarkMap),
                None => mark(value, Mark::OfPacket),
            },
            // Nothing that rules look at.
            "nftrace" | "priority" => harmless(),
            _ => None,
        };
    }
    if let Some(name) = part("ct", "key") {
        return match (name, part("ct", "dir")) {
            ("mark", None) => mark(value, Mark::OfConnection),
            ("zone", None) => Some(Action::CtZone(u16::try_from(value.as_u64()?).ok()?).into()),
            // What rules see of these cannot be told anyway.
            ("label" | "event" | "secmark", None) => harmless(),
            _ => None,
        };
    }
    if key.get("tcp option").is_some() {
        return harmless();
    }
    match (part("payload", "protocol")?, part("payload", "field")?) {
        ("ip", "ttl") | ("ip6", "hoplimit") => {
            Some(Action::Ttl(TtlChange::Set(u8::try_from(value.as_u64()?).ok()?)).into())
        }
        ("ip" | "ip6", "dscp") => {
            let value = constant::number(Kind::Number(6, names::DSCPS), value)?;
            Some(Action::Dscp { value: u8::try_from(value).ok()?, mask: 0x3f }.into())
        }
        // Congestion bits and checksums are nothing that can be told of a packet.
        ("ip" | "ip6", "ecn") | (_, "checksum") => harmless(),
        ("ether", "saddr") if family == Family::Bridge => {
            Some(Action::Ether(EtherChange::Source(value.as_str()?.parse().ok()?)).into())
        }
        ("ether", "daddr") if family == Family::Bridge => {
            Some(Action::Ether(EtherChange::Destination(value.as_str()?.parse().ok()?)).into())
        }
        _ => None,
    }
}

/// Whose mark is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    OfPacket,
    OfConnection,
}

/// `mark set`, in the forms that come to `(mark & !mask) ^ value`, of this mark or of the other. A packet
/// without a connection ends the rule where the connection's mark is read (`nft_ct_get_eval`).
fn mark(value: &Value, of: Mark) -> Option<Deed> {
    let set = |value: u32, mask: u32| match of {
        Mark::OfPacket => Action::SetMark { value, mask },
        Mark::OfConnection => Action::SetCtMark { value, mask },
    };
    if let Some(number) = value.as_u64() {
        return Some(set(u32::try_from(number).ok()?, u32::MAX).into());
    }
    let kind = Kind::Number(32, &[]);
    let bits = Bits::over(value, &|value| constant::number(kind, value))?;
    let low = |bits: u128| u32::try_from(bits & u128::from(u32::MAX)).unwrap_or_default();
    let (flipped, cleared) = (low(bits.flipped), low(bits.cleared));
    let operand = bits::operand(value);
    let key = |kind: &str| operand.get(kind).and_then(|body| body.get("key")).and_then(Value::as_str);
    let source = match (key("meta"), key("ct")) {
        (Some("mark"), None) => Mark::OfPacket,
        (None, Some("mark")) => Mark::OfConnection,
        _ => return None,
    };
    let copy = match of {
        Mark::OfPacket => Action::RestoreMark { ct_mask: !cleared, packet_mask: u32::MAX },
        Mark::OfConnection => Action::SaveMark { ct_mask: u32::MAX, packet_mask: !cleared },
    };
    let action = match (source == of, flipped) {
        (true, _) => set(flipped, cleared),
        (false, 0) => copy,
        (false, _) => Action::Several(vec![copy, set(flipped, 0)]),
    };
    let demands = match source {
        Mark::OfPacket => Vec::new(),
        Mark::OfConnection => vec![field::has_connection()],
    };
    Some(Deed { demands, action, may_end_rule: false })
}
