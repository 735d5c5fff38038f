//! Netlink attributes as bytes (`struct nlattr`), for messages that no crate knows.

use netlink_packet_core::{DefaultNla, Emitable, NLA_F_NESTED, NlasIterator};

/// Length and type (`struct nlattr`).
const HEADER_BYTES: usize = 4;

/// One attribute, padded. The value must be shorter than 64 KiB.
pub fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let attribute = DefaultNla::new(kind, value.to_vec());
    let mut bytes = vec![0; attribute.buffer_len()];
    attribute.emit(&mut bytes);
    bytes
}

/// An attribute made of attributes.
pub fn nested(kind: u16, parts: &[Vec<u8>]) -> Vec<u8> {
    attribute(kind | NLA_F_NESTED, &parts.concat())
}

/// A text as the kernel wants it.
pub fn terminated(text: &str) -> Vec<u8> {
    [text.as_bytes(), &[0]].concat()
}

/// The value of the first attribute of this kind. What is cut off counts as not there.
pub fn value(attributes: &[u8], kind: u16) -> Option<&[u8]> {
    let found = NlasIterator::new(attributes).map_while(Result::ok).find(|a| a.kind() == kind)?;
    let length = usize::from(found.length());
    found.into_inner().get(HEADER_BYTES..length)
}

/// The text of the first attribute of this kind, without its terminating zero.
pub fn text(attributes: &[u8], kind: u16) -> Option<String> {
    Some(String::from_utf8_lossy(value(attributes, kind)?).trim_end_matches('\0').to_owned())
}
