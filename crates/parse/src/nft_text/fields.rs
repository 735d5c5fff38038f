//! What rules look at (nft(8), PRIMARY and PAYLOAD EXPRESSIONS): fields of the packet, what the kernel
//! knows about it, and numbers made up for it.

use serde_json::{Map, Value, json};

use super::cursor::{Cursor, Reading};
use super::expressions::{self, Side};
use super::lexer::Kind;
use super::statements::single;
use super::values::{self, object};

/// Meta keys that nft prints without `meta`, of all versions.
const BARE_META: [&str; 22] = [
    "iif",
    "iifname",
    "iiftype",
    "iifgroup",
    "oif",
    "oifname",
    "oiftype",
    "oifgroup",
    "skuid",
    "skgid",
    "nftrace",
    "rtclassid",
    "ibriport",
    "obriport",
    "ibridgename",
    "obridgename",
    "ibrname",
    "obrname",
    "pkttype",
    "cgroup",
    "mark",
    "cpu",
];

/// Headers whose fields are `payload` in JSON.
const HEADERS: [&str; 18] = [
    "ether", "vlan", "arp", "ip", "ip6", "icmp", "igmp", "icmpv6", "tcp", "udp", "udplite", "sctp", "dccp",
    "th", "ah", "esp", "comp", "gre",
];

/// Headers that carry a whole packet, or have a few fields of their own.
const TUNNELS: [&str; 4] = ["vxlan", "geneve", "gretap", "gre"];

/// Extension headers of IPv6; `rt` is also routing information.
const EXTENSIONS: [&str; 8] = ["hbh", "rt", "rt0", "rt2", "srh", "frag", "dst", "mh"];

const OTHERS: [&str; 10] =
    ["meta", "ct", "fib", "socket", "osf", "numgen", "jhash", "symhash", "ipsec", "exthdr"];

/// Whether a field, not a constant of the same name (`ip`, `tcp`), comes next.
pub(super) fn starts(cursor: &Cursor<'_, '_>) -> bool {
    let word = cursor.peek_word();
    if is_raw(cursor) || OTHERS.contains(&word) || BARE_META.contains(&word) {
        return true;
    }
    let is_header = HEADERS.contains(&word) || TUNNELS.contains(&word) || EXTENSIONS.contains(&word);
    let follows = cursor.peek_second().filter(|token| token.kind == Kind::Word);
    is_header && follows.is_some_and(|token| token.text.starts_with(|c: char| c.is_ascii_alphabetic()))
}

/// One field.
pub(super) fn read(cursor: &mut Cursor<'_, '_>) -> Reading<Value> {
    if is_raw(cursor) {
        return raw(cursor);
    }
    let start = cursor.at();
    let word = cursor.word("a field of the packet")?;
    match word {
        "meta" => Ok(single("meta", object([("key", cursor.word("a meta key")?.into())]))),
        "ct" => ct(cursor),
        "fib" => fib(cursor),
        "socket" => socket(cursor),
        "osf" => osf(cursor),
        "numgen" => numgen(cursor),
        "jhash" => {
            let hashed = cursor.nested(|cursor| expressions::concatenation(cursor, Side::Field))?;
            hash(cursor, "jhash", Some(hashed))
        }
        "symhash" => hash(cursor, "symhash", None),
        "ipsec" => ipsec(cursor),
        "exthdr" => Ok(json!({"exthdr": {"name": cursor.word("an extension header")?}})),
        "rt" if ["classid", "nexthop", "mtu", "ipsec", "ip", "ip6"].contains(&cursor.peek_word()) => {
            route(cursor)
        }
        "tcp" | "ip" if cursor.take_word("option") => option(cursor, word),
        "dccp" if cursor.take_word("option") => {
            Ok(json!({"dccp option": {"type": cursor.number("an option of DCCP")?}}))
        }
        "sctp" if cursor.take_word("chunk") => named(cursor, "sctp chunk"),
        word if BARE_META.contains(&word) => Ok(single("meta", object([("key", word.into())]))),
        word if TUNNELS.contains(&word) && HEADERS.contains(&cursor.peek_word()) => {
            let mut inner = cursor.nested(read)?;
            if let Some(payload) = inner.get_mut("payload").and_then(Value::as_object_mut) {
                payload.insert("tunnel".to_owned(), word.into());
            }
            Ok(inner)
        }
        word if HEADERS.contains(&word) || TUNNELS.contains(&word) => payload(cursor, word),
        word if EXTENSIONS.contains(&word) => {
            let field = cursor.word("a field of the extension header")?;
            Ok(json!({"exthdr": {"name": word, "field": field}}))
        }
        _ => {
            cursor.go_to(start);
            cursor.stuck("expected a statement or a field of the packet")
        }
    }
}

/// `@th,16,8`: bits by their place.
fn is_raw(cursor: &Cursor<'_, '_>) -> bool {
    let comma = cursor.peek_second().is_some_and(|token| token.kind == Kind::Comma && token.glued);
    comma && ["@ll", "@nh", "@th", "@ih"].contains(&cursor.peek_word())
}

fn raw(cursor: &mut Cursor<'_, '_>) -> Reading<Value> {
    let base = cursor.word("a header")?.trim_start_matches('@');
    let (offset, len) = offset_and_length(cursor)?;
    Ok(json!({"payload": {"base": base, "offset": offset, "len": len}}))
}

fn offset_and_length(cursor: &mut Cursor<'_, '_>) -> Reading<(u64, u64)> {
    cursor.expect(Kind::Comma, "`,`")?;
    let offset = cursor.number("an offset in bits")?;
    cursor.expect(Kind::Comma, "`,`")?;
    Ok((offset, cursor.number("a length in bits")?))
}

fn payload(cursor: &mut Cursor<'_, '_>, protocol: &str) -> Reading<Value> {
    let mut field = cursor.word("a field of the header")?.to_owned();
    if protocol == "arp" && ["saddr", "daddr"].contains(&field.as_str()) {
        field = format!("{field} {}", cursor.word("`ip` or `ether`")?);
    }
    Ok(single("payload", object([("protocol", protocol.into()), ("field", field.into())])))
}

fn ct(cursor: &mut Cursor<'_, '_>) -> Reading<Value> {
    let mut body = Map::new();
    let mut key = cursor.word("a ct key")?;
    if ["original", "reply"].contains(&key) {
        body.insert("dir".to_owned(), key.into());
        key = cursor.word("a ct key")?;
    }
    let key = match key {
        "ip" | "ip6" => format!("{key} {}", cursor.word("`saddr` or `daddr`")?),
        _ => key.to_owned(),
    };
    body.insert("key".to_owned(), key.into());
    Ok(single("ct", Value::Object(body)))
}

fn fib(cursor: &mut Cursor<'_, '_>) -> Reading<Value> {
    let mut flags = vec![cursor.word("what to look up")?];
    while cursor.take_word(".") {
        flags.push(cursor.word("what to look up")?);
    }
    Ok(json!({"fib": {"flags": flags, "result": cursor.word("`oif`, `oifname` or `type`")?}}))
}

fn socket(cursor: &mut Cursor<'_, '_>) -> Reading<Value> {
    let mut body = Map::new();
    body.insert("key".to_owned(), cursor.word("a key of the socket")?.into());
    if cursor.take_word("level") {
        body.insert("level".to_owned(), cursor.number("a level")?.into());
    }
    Ok(single("socket", Value::Object(body)))
}

fn osf(cursor: &mut Cursor<'_, '_>) -> Reading<Value> {
    let mut body = Map::new();
    if cursor.take_word("ttl") {
        body.insert("ttl".to_owned(), cursor.word("`loose` or `skip`")?.into());
    }
    body.insert("key".to_owned(), cursor.word("`name` or `version`")?.into());
    Ok(single("osf", Value::Object(body)))
}

fn numgen(cursor: &mut Cursor<'_, '_>) -> Reading<Value> {
    let mode = cursor.word("`inc` or `random`")?;
    cursor.expect_word("mod")?;
    let modulus = cursor.number("a modulus")?;
    let offset = if cursor.take_word("offset") { cursor.number("an offset")? } else { 0 };
    Ok(json!({"numgen": {"mode": mode, "mod": modulus, "offset": offset}}))
}

fn hash(cursor: &mut Cursor<'_, '_>, kind: &str, hashed: Option<Value>) -> Reading<Value> {
    let mut body = Map::new();
    cursor.expect_word("mod")?;
    body.insert("mod".to_owned(), cursor.number("a modulus")?.into());
    if cursor.take_word("seed") {
        body.insert("seed".to_owned(), values::word(cursor.word("a seed")?));
    }
    if cursor.take_word("offset") {
        body.insert("offset".to_owned(), cursor.number("an offset")?.into());
    }
    body.extend(hashed.map(|hashed| ("expr".to_owned(), hashed)));
    Ok(single(kind, Value::Object(body)))
}

fn ipsec(cursor: &mut Cursor<'_, '_>) -> Reading<Value> {
    let mut body = Map::new();
    body.insert("dir".to_owned(), cursor.word("`in` or `out`")?.into());
    let number = if cursor.take_word("spnum") { cursor.number("the policy's number")? } else { 0 };
    body.insert("spnum".to_owned(), number.into());
    if ["ip", "ip6"].contains(&cursor.peek_word()) {
        body.insert("family".to_owned(), cursor.word("a family")?.into());
    }
    body.insert("key".to_owned(), cursor.word("a key of the transformation")?.into());
    Ok(single("ipsec", Value::Object(body)))
}

fn route(cursor: &mut Cursor<'_, '_>) -> Reading<Value> {
    let mut body = Map::new();
    if ["ip", "ip6"].contains(&cursor.peek_word()) {
        body.insert("family".to_owned(), cursor.word("a family")?.into());
    }
    body.insert("key".to_owned(), cursor.word("a key of the route")?.into());
    Ok(single("rt", Value::Object(body)))
}

fn option(cursor: &mut Cursor<'_, '_>, protocol: &str) -> Reading<Value> {
    let kind = format!("{protocol} option");
    let next = cursor.peek_word();
    let by_place = next.strip_prefix('@').and_then(|number| number.parse::<u64>().ok());
    let body = match (by_place, next.parse::<u64>()) {
        (Some(base), _) => {
            cursor.next();
            let (offset, len) = offset_and_length(cursor)?;
            json!({"base": base, "offset": offset, "len": len})
        }
        (None, Ok(base)) => {
            cursor.next();
            json!({"base": base, "offset": 0, "len": 8})
        }
        (None, Err(_)) => return named(cursor, &kind),
    };
    Ok(single(&kind, body))
}

/// `maxseg size`, or `maxseg` alone where it is asked whether it is there.
fn named(cursor: &mut Cursor<'_, '_>, kind: &str) -> Reading<Value> {
    let mut body = Map::new();
    body.insert("name".to_owned(), cursor.word("an option or a chunk")?.into());
    let next = cursor.peek_word();
    let is_field = next.starts_with(|c: char| c.is_ascii_alphabetic());
    if is_field && !["exists", "missing", "set"].contains(&next) {
        body.insert("field".to_owned(), cursor.word("a field")?.into());
    }
    Ok(single(kind, Value::Object(body)))
}

/// Fields of several bits, of which nft asks for any where it prints no operator.
pub(super) fn is_bitmask(field: &Value) -> bool {
    let part = |kind: &str, name: &str| field.get(kind)?.get(name)?.as_str();
    part("ct", "key").is_some_and(|key| ["state", "status", "label", "event"].contains(&key))
        || (part("payload", "protocol"), part("payload", "field")) == (Some("tcp"), Some("flags"))
}

/// Fields whose numbers have names, in quotes: links and realms. A number that has none, as that of a
/// link that is gone, is a string in JSON.
pub(super) fn has_named_numbers(field: &Value) -> bool {
    let part = |kind: &str, name: &str| field.get(kind)?.get(name)?.as_str();
    part("meta", "key").is_some_and(|key| ["iif", "oif", "sdif", "rtclassid"].contains(&key))
        || part("rt", "key") == Some("classid")
        || part("fib", "result") == Some("oif")
}
