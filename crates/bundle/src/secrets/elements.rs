//! XML that names a value in one attribute and tells it in another: `<qemu:env name='RBD_PASSWORD' value='x'/>`.

use std::ops::Range;

use super::{is_secret, is_working_folder};

/// Most attributes of an element that are looked at.
const ATTRIBUTES_MAX: usize = 16;

/// Bytes before an attribute's quote that are looked at.
const NAME_MAX: usize = 128;

/// Where values lie whose element is called a secret's name.
pub(super) fn elements(text: &str) -> Vec<Range<usize>> {
    text.match_indices('<').filter_map(|(at, _)| value(text, at + 1)).collect()
}

/// That of the element whose name begins there.
fn value(text: &str, from: usize) -> Option<Range<usize>> {
    let mut at = from + text.get(from..)?.find(|c: char| c.is_whitespace() || matches!(c, '<' | '>'))?;
    let (mut called, mut value) = (None, None);
    for _ in 0..ATTRIBUTES_MAX {
        let Some((name, range)) = attribute(text, at) else { break };
        at = range.end + 1;
        match name {
            "name" | "key" | "id" => called = text.get(range).filter(|name| is_secret(name)).or(called),
            "value" => value = Some(range),
            _ => {}
        }
    }
    let (called, value): (&str, Range<usize>) = (called?, value?);
    let shown =
        text.get(value.clone()).is_none_or(|value| value.is_empty() || is_working_folder(called, value));
    (!shown).then_some(value)
}

/// The attribute that comes next, and where its value lies.
fn attribute(text: &str, at: usize) -> Option<(&str, Range<usize>)> {
    // A text is not searched to its end for a quote that is not there.
    let end = (at..=text.len().min(at + NAME_MAX)).rev().find(|end| text.is_char_boundary(*end))?;
    let before = text.get(at..end)?.split(['\'', '"']).next()?;
    let name = before.trim_end().strip_suffix('=')?.trim();
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '_' | '-' | '.');
    if !name.chars().all(is_part) {
        return None;
    }
    let quote = text.get(at + before.len()..)?.chars().next()?;
    let from = at + before.len() + 1;
    let length = text.get(from..)?.find([quote, '<'])?;
    Some((name, from..from + length))
}
