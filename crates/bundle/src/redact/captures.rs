//! stub
use super::Pseudonyms;
pub(super) fn is_one(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x0a, 0x0d, 0x0d, 0x0a])
}
/// Stub
pub fn redact(_: &Pseudonyms, _: &[u8]) -> Vec<u8> {
    Vec::new()
}
