//! Match statements (libnftables-json(5), MATCH) as conditions.

use std::borrow::Cow;
use std::net::IpAddr;

use model::netfilter::{Because, Family, FibResult, Field, Match, Part, Test};
use serde_json::{Value, json};

use super::bits::{self, Bits};
use super::constant::{self, Kind};
use super::field::{self, Looked, Unknown};
use super::{lookup, plain, text};

/// How a match compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    /// Any of the bits.
    AnyBit,
    /// None of the bits.
    NoBit,
}

fn operator(body: &Value) -> Option<Operator> {
    Some(match body.get("op")?.as_str()? {
        "==" => Operator::Equal,
        "!=" => Operator::NotEqual,
        "<" => Operator::Less,
        "<=" => Operator::LessOrEqual,
        ">" => Operator::Greater,
        ">=" => Operator::GreaterOrEqual,
        "in" => Operator::AnyBit,
        "!" => Operator::NoBit,
        _ => return None,
    })
}

/// Adds one match statement's conditions: what nft itself demands of the packet first, then the
/// condition. What is not modelled, or cannot be told, is one that says so.
pub(super) fn add(family: Family, body: &Value, matches: &mut Vec<Match>) {
    if let Err(unknown) = read(family, body, matches) {
        let text = text::comparison(body);
        unknown.demands.into_iter().for_each(|test| demand(matches, test));
        let test = match unknown.because {
            Some(because) => Test::Unpredictable(text, because),
            None => Test::Unmodelled(text),
        };
        matches.push(Match { negated: false, test });
    }
}

/// Demands a thing once.
pub(super) fn demand(matches: &mut Vec<Match>, test: Test) {
    let demanded = Match { negated: false, test };
    if !matches.contains(&demanded) {
        matches.push(demanded);
    }
}

/// A comparison: of `field & mask`, flipped, with what.
pub(super) struct Comparison<'v> {
    pub(super) looked: Looked,
    /// What is done with the field first; `None` where it is taken as it is.
    pub(super) bits: Option<Bits>,
    pub(super) operator: Operator,
    pub(super) right: &'v Value,
}

fn read(family: Family, body: &Value, matches: &mut Vec<Match>) -> Result<(), Unknown> {
    let parts = operator(body).zip(body.get("left").zip(body.get("right")));
    let (operator, (left, right)) = parts.ok_or_else(Unknown::default)?;
    if left.get("concat").is_some() {
        return in_set(family, left, (operator, right), matches);
    }
    if let Some((demands, settled)) = settled(family, left, operator, right) {
        demands.into_iter().for_each(|test| demand(matches, test));
        matches.push(settled);
        return Ok(());
    }
    let left = with_family(left, right);
    let inner = bits::operand(&left);
    let mut looked = field::looked_at(family, inner, matches)?;
    asks_for_presence(&mut looked, right);
    let is_plain = std::ptr::eq(inner, &raw const *left);
    if is_plain && is_named_set(right) {
        return in_set(family, &left, (operator, right), matches);
    }
    let mut refused = Unknown { demands: looked.demands.clone(), because: None };
    let bits = if is_plain {
        None
    } else {
        let bits = Bits::over(&left, &|value| constant::number(looked.kind, value));
        Some(bits.ok_or_else(|| refused.clone())?)
    };
    let comparison = Comparison { looked, bits, operator, right };
    if depends_on_history(&comparison) {
        refused.because = Some(Because::History);
        return Err(refused);
    }
    let found =
        plain::tests(family, &comparison, matches).or_else(|| general(&comparison).map(|one| vec![one]));
    match found {
        Some(found) => {
            comparison.looked.demands.into_iter().for_each(|test| demand(matches, test));
            matches.extend(found);
            Ok(())
        }
        None => Err(refused),
    }
}

fn is_named_set(right: &Value) -> bool {
    right.as_str().is_some_and(|name| name.starts_with('@'))
}

/// nft 1.0.6 leaves the family out of `ct original ip saddr` in JSON; what it is compared with tells.
fn with_family<'v>(left: &'v Value, right: &Value) -> Cow<'v, Value> {
    let key = left.get("ct").and_then(|ct| ct.get("key")).and_then(Value::as_str);
    let Some((key @ ("saddr" | "daddr"), address)) = key.zip(first_address(right)) else {
        return Cow::Borrowed(left);
    };
    let family = if address.is_ipv4() { "ip" } else { "ip6" };
    let mut left = left.clone();
    if let Some(ct) = left.get_mut("ct").and_then(Value::as_object_mut) {
        ct.insert("key".to_owned(), format!("{family} {key}").into());
    }
    Cow::Owned(left)
}

fn first_address(value: &Value) -> Option<IpAddr> {
    match value {
        Value::String(text) => text.parse().ok(),
        Value::Array(values) => values.iter().find_map(first_address),
        Value::Object(map) => map.values().find_map(first_address),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

/// `fib saddr . iif oif exists` asks for less than the link.
fn asks_for_presence(looked: &mut Looked, right: &Value) {
    if let Field::Fib(question) = &mut looked.field
        && question.result == FibResult::Link
        && right.is_boolean()
    {
        question.result = FibResult::Present;
        looked.kind = Kind::Present;
    }
}

/// What is the same for all packets that the walk imagines, or has a test of its own: later fragments
/// (`ip frag-off & 0x1fff != 0`), and the head that all ARP over Ethernet has, for which arptables asks
/// in every rule. With what is demanded first.
fn settled(family: Family, left: &Value, operator: Operator, right: &Value) -> Option<(Vec<Test>, Match)> {
    let inner = bits::operand(left);
    let part =
        |name: &str| inner.get("payload").and_then(|payload| payload.get(name)).and_then(Value::as_str);
    let negated = match operator {
        Operator::Equal => false,
        Operator::NotEqual => true,
        _ => return None,
    };
    let (field, is_plain) = ((part("protocol")?, part("field")?), std::ptr::eq(inner, left));
    let (ether_type, negated, test) = match (field, is_plain) {
        (("ip", "frag-off"), false) => {
            let number = |value: &Value| value.as_u64().map(u128::from);
            let offset = Bits::over(left, &number)? == Bits { flipped: 0, cleared: !0x1fff };
            (offset && right.as_u64() == Some(0)).then_some((field::IPV4, !negated, Test::Fragment))?
        }
        (("arp", name), true) => {
            let number = right.as_u64();
            let is_usual = match name {
                "htype" => number == Some(1),
                "hlen" => number == Some(6),
                "plen" => number == Some(4),
                "ptype" => right.as_str() == Some("ip"),
                _ => return None,
            };
            (field::ARP, is_usual == negated, Test::Always)
        }
        _ => return None,
    };
    Some((field::ether_type(family, ether_type), Match { negated, test }))
}

/// Status bits that neither the exchange nor a dump tells, asked for other than as *any of these*, which
/// the walk answers itself.
fn depends_on_history(comparison: &Comparison<'_>) -> bool {
    const SEEN_REPLY_ASSURED_CONFIRMED_AND_NAT: u128 = 2 | 4 | 8 | 16 | 32;
    let Comparison { looked, bits, operator, right } = comparison;
    let looked_at = match (bits, operator) {
        (Some(bits), _) => !bits.cleared,
        (None, Operator::NoBit) => constant::number(looked.kind, right).unwrap_or(u128::MAX),
        (None, Operator::AnyBit) => 0,
        (None, _) => u128::MAX,
    };
    looked.field == Field::CtStatus
        && looked_at & looked.kind.greatest() & !SEEN_REPLY_ASSURED_CONFIRMED_AND_NAT != 0
}

/// Any comparison of numbers with numbers, or of names with names.
fn general(comparison: &Comparison<'_>) -> Option<Match> {
    let Comparison { looked, bits, operator, right } = comparison;
    let (field, kind) = (looked.field.clone(), looked.kind);
    if kind == Kind::Link {
        return names(looked, *operator, right).filter(|_| bits.is_none());
    }
    let (negated, within) = ranges(kind, *operator, right)?;
    let everything = kind.greatest();
    let Some(bits) = bits else {
        return match operator {
            Operator::AnyBit if matches!(kind, Kind::Flags(..)) => {
                let wanted = constant::number(kind, right)?;
                Some(Match { negated: false, test: Test::AnyBit(field, wanted) })
            }
            Operator::NoBit => {
                let mask = constant::number(kind, right)?;
                Some(Match { negated: false, test: Test::Field { field, mask, within: vec![(0, 0)] } })
            }
            _ => Some(Match { negated, test: Test::Field { field, mask: everything, within } }),
        };
    };
    let (mask, within) = bits.undone(everything, &within)?;
    Some(Match { negated, test: Test::Field { field, mask, within } })
}

/// Whether the comparison is negated, and the values that it is with.
pub(super) fn ranges(kind: Kind, operator: Operator, right: &Value) -> Option<(bool, Vec<(u128, u128)>)> {
    let one = || constant::number(kind, right);
    let range = match operator {
        Operator::Equal | Operator::NotEqual | Operator::AnyBit | Operator::NoBit => {
            let elements = anonymous(right).unwrap_or(std::slice::from_ref(right));
            let ranges = elements.iter().map(|element| match constant::part(kind, element)? {
                Part::Range(low, high) => Some((low, high)),
                Part::Name(_) | Part::Any => None,
            });
            return Some((operator == Operator::NotEqual, ranges.collect::<Option<Vec<_>>>()?));
        }
        Operator::Less => one()?.checked_sub(1).map(|high| (0, high)),
        Operator::LessOrEqual => Some((0, one()?)),
        Operator::Greater => one()?.checked_add(1).map(|low| (low, kind.greatest())),
        Operator::GreaterOrEqual => Some((one()?, kind.greatest())),
    };
    Some((false, range.into_iter().collect()))
}

/// An anonymous set's elements.
pub(super) fn anonymous(right: &Value) -> Option<&[Value]> {
    right.get("set")?.as_array().map(Vec::as_slice)
}

/// What a set of one element, which is how nft prints some values, comes to.
pub(super) fn only(right: &Value) -> &Value {
    match anonymous(right) {
        Some([element]) => element,
        Some(_) | None => right,
    }
}

/// Links by name.
fn names(looked: &Looked, operator: Operator, right: &Value) -> Option<Match> {
    let negated = match operator {
        Operator::Equal => false,
        Operator::NotEqual => true,
        Operator::Less
        | Operator::LessOrEqual
        | Operator::Greater
        | Operator::GreaterOrEqual
        | Operator::AnyBit
        | Operator::NoBit => return None,
    };
    let elements = anonymous(right).unwrap_or(std::slice::from_ref(right));
    let elements = lookup::elements(&[looked.kind], elements)?;
    let lookup = lookup::anonymous(vec![looked.field.clone()], elements);
    Some(Match { negated, test: Test::InSet(lookup) })
}

/// Fields side by side, or one field, in a set.
fn in_set(
    family: Family,
    left: &Value,
    (operator, right): (Operator, &Value),
    matches: &mut Vec<Match>,
) -> Result<(), Unknown> {
    let negated = match operator {
        Operator::Equal => false,
        Operator::NotEqual => true,
        Operator::Less
        | Operator::LessOrEqual
        | Operator::Greater
        | Operator::GreaterOrEqual
        | Operator::AnyBit
        | Operator::NoBit => return Err(Unknown::default()),
    };
    // A single tuple is a set of one.
    let alone = json!({"set": [right]});
    let right = if right.get("concat").is_some() { &alone } else { right };
    let key = lookup::fields(family, left, matches, negated)?;
    let demands = key.demands.clone();
    let lookup = lookup::of(key, right).ok_or(Unknown { demands: demands.clone(), because: None })?;
    demands.into_iter().for_each(|test| demand(matches, test));
    matches.push(Match { negated, test: Test::InSet(lookup) });
    Ok(())
}
