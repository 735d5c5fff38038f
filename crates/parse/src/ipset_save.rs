//! What `ipset save` prints: `create NAME TYPE OPTION...`, `add NAME ELEMENT OPTION...` (ipset(8)).
//!
//! Time-outs, counters and comments of elements decide nothing about membership and are left out. What
//! else a set is not modelled for is kept as its text, so that whoever asks the set answers *unknown*.

use std::collections::HashMap;

use model::netfilter::{Action, Dimension, Element, Ipset, Part, Ruleset};

use crate::iptables_save::words::Words;
use crate::{Parsed, Problem};

mod element;

/// Reads a whole dump.
pub fn parse(text: &str) -> Parsed<Vec<Ipset>> {
    let mut out = Parsed::<Vec<Ipset>>::default();
    let mut reader = Reader { shapes: Vec::new(), places: HashMap::new() };
    for (index, line) in text.lines().enumerate() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        if let Err((part, what)) = reader.line(trimmed, &mut out.value) {
            out.problems.push(Problem::at(index, line, part, what));
        }
    }
    out
}

/// Notes on every ipset that rules change as packets pass (`-j SET`) that its dump may be out of date.
pub fn note_changes(ruleset: &mut Ruleset) {
    let mut changed: Vec<String> = Vec::new();
    let rules = ruleset.tables.iter().flat_map(|t| &t.chains).flat_map(|c| &c.rules);
    for rule in rules {
        let Action::NonTerminal(text) = &rule.action else { continue };
        let Some(options) = text.strip_prefix("-j SET ") else { continue };
        let Ok(mut words) = Words::split(options) else { continue };
        while let Some(option) = words.value() {
            if matches!(option.as_ref(), "--add-set" | "--del-set") {
                changed.extend(words.value().map(std::borrow::Cow::into_owned));
            }
        }
    }
    // What is added to a list of sets goes into one of them.
    let lists = ruleset.ipsets.iter().filter(|set| changed.contains(&set.name));
    let members: Vec<String> = lists.flat_map(|set| set.members.clone()).collect();
    changed.extend(members);
    for set in ruleset.ipsets.iter_mut().filter(|set| changed.contains(&set.name)) {
        set.unmodelled.get_or_insert_with(|| "rules change it as packets pass".to_owned());
    }
}

/// What an element's text is, and what to do with it.
struct Shape {
    /// Bits of an address that count, from the left.
    netmask: Option<u8>,
    /// Ports alone, of TCP and UDP alike.
    bitmap: bool,
}

struct Reader<'t> {
    shapes: Vec<Shape>,
    places: HashMap<&'t str, usize>,
}

/// What is wrong, and with which part of the line.
type Wrong<'t> = (&'t str, String);

impl<'t> Reader<'t> {
    fn line(&mut self, line: &'t str, sets: &mut Vec<Ipset>) -> Result<(), Wrong<'t>> {
        let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim_start();
        let (name, options) = rest.split_once(' ').unwrap_or((rest, ""));
        match command {
            "create" => {
                let (set, shape) =
                    create(name, options).ok_or((line, "expected `create NAME TYPE`".into()))?;
                self.places.insert(name, sets.len());
                self.shapes.push(shape);
                sets.push(set);
                Ok(())
            }
            "add" => {
                let place = self.places.get(name).copied();
                let Some((set, shape)) = place.and_then(|at| Some((sets.get_mut(at)?, self.shapes.get(at)?)))
                else {
                    return Err((name, format!("set {name} was not created before")));
                };
                match element(set, shape, options) {
                    Some(element) => {
                        keep(set, shape, element);
                        Ok(())
                    }
                    None if set.dimensions == [Dimension::Set] => Ok(()),
                    None => {
                        set.unmodelled.get_or_insert_with(|| format!("its element {options}"));
                        Err((options, format!("an element of set {name} that is not understood")))
                    }
                }
            }
            _ => Err((command, "expected `create` or `add`".to_owned())),
        }
    }
}

/// A set without elements. `None` where name or type is missing.
fn create(name: &str, options: &str) -> Option<(Ipset, Shape)> {
    let mut words = options.split_whitespace();
    let kind = words.next().filter(|_| !name.is_empty())?;
    let mut set = Ipset { name: name.to_owned(), ..Ipset::default() };
    let mut shape = Shape { netmask: None, bitmap: kind == "bitmap:port" };
    match dimensions(kind) {
        Some(dimensions) => set.dimensions = dimensions,
        None => set.unmodelled = Some(format!("type {kind} is not modelled")),
    }
    while let Some(option) = words.next() {
        let understood = match option {
            "family" => {
                set.is_v6 = words.next() == Some("inet6");
                true
            }
            "netmask" => {
                shape.netmask = words.next().and_then(|bits| bits.parse().ok());
                shape.netmask.is_some() && !set.dimensions.contains(&Dimension::Net)
            }
            "markmask" => words.next() == Some("0xffffffff"),
            "hashsize" | "maxelem" | "bucketsize" | "initval" | "timeout" | "range" | "size" | "probes"
            | "resize" => words.next().is_some(),
            "counters" | "comment" | "skbinfo" | "forceadd" => true,
            _ => false,
        };
        if !understood {
            set.unmodelled.get_or_insert_with(|| format!("{kind} with option {option} is not modelled"));
        }
    }
    Some((set, shape))
}

/// `hash:ip,port` has two.
fn dimensions(kind: &str) -> Option<Vec<Dimension>> {
    let (_, names) = kind.split_once(':')?;
    let one = |name: &str| {
        Some(match name {
            "ip" => Dimension::Ip,
            "net" => Dimension::Net,
            "port" => Dimension::Port,
            "mac" => Dimension::Mac,
            "iface" => Dimension::Iface,
            "mark" => Dimension::Mark,
            "set" => Dimension::Set,
            _ => return None,
        })
    };
    names.split(',').map(one).collect()
}

/// An element from its text and options; `None` where it is not understood, or where it is a set's name,
/// which is noted as a member.
fn element(set: &mut Ipset, shape: &Shape, text: &str) -> Option<Element> {
    let (key, options) = text.split_once(' ').unwrap_or((text, ""));
    if set.dimensions == [Dimension::Set] {
        set.members.push(key.to_owned());
        return None;
    }
    let (mut excluded, mut wildcard) = (false, false);
    let mut words = Words::split(options).ok()?;
    while let Some(word) = words.word() {
        match word.raw {
            "nomatch" => excluded = true,
            "wildcard" => wildcard = true,
            // Each of the others has one argument, which may be any word.
            _ => {
                words.word()?;
            }
        }
    }
    let mut parts = key.split(',');
    let mut read = Vec::with_capacity(set.dimensions.len() + 1);
    for (nth, dimension) in set.dimensions.iter().enumerate() {
        match parts.next() {
            Some(part) => element::push(&mut read, *dimension, part, (shape.netmask, shape.bitmap))?,
            // `bitmap:ip,mac` takes any MAC address until it has seen one.
            None if nth > 0 && *dimension == Dimension::Mac => read.push(Part::Any),
            None => return None,
        }
    }
    if wildcard && let Some(Part::Name(name)) = read.last_mut() {
        name.push('+');
    }
    parts.next().is_none().then_some(Element { key: read, excluded, data: None })
}

/// Appends an element. A bitmap's ports come one by one: those side by side are one range.
fn keep(set: &mut Ipset, shape: &Shape, element: Element) {
    if shape.bitmap
        && let [_, Part::Range(low, high)] = element.key.as_slice()
        && let Some([_, Part::Range(_, end)]) = set.elements.last_mut().map(|e| e.key.as_mut_slice())
        && end.checked_add(1) == Some(*low)
    {
        *end = *high;
        return;
    }
    set.elements.push(element);
}
