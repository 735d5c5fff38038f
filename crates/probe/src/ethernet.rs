//! Ethernet frames: the header that they all begin with.

use model::Mac;

/// A frame without a VLAN tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ethernet<'f> {
    pub(crate) destination: Mac,
    pub(crate) source: Mac,
    pub(crate) ether_type: [u8; 2],
    /// What it carries, and whatever pads it.
    pub(crate) payload: &'f [u8],
}

/// Reads a frame; `None` for less than a header.
pub(crate) fn read(bytes: &[u8]) -> Option<Ethernet<'_>> {
    let (destination, rest) = bytes.split_first_chunk::<6>()?;
    let (source, rest) = rest.split_first_chunk::<6>()?;
    let (ether_type, payload) = rest.split_first_chunk::<2>()?;
    Some(Ethernet { destination: Mac(*destination), source: Mac(*source), ether_type: *ether_type, payload })
}

/// The header of a frame, for its payload to follow.
pub(crate) fn header(to: Mac, from: Mac, ether_type: [u8; 2]) -> Vec<u8> {
    [&to.0[..], &from.0, &ether_type].concat()
}
