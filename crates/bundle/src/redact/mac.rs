//! MACs: their makers stay, and the last three octets become others, the same under every maker: so a tap's `fe:` stays
//! that of its instance's `fa:`, and an address made of a MAC follows it.

use model::Mac;

use super::key::Key;
use super::tree::{self, Turn};

/// Of VRRP and its like (RFC 9542): no machine's own.
const SHARED: [u8; 3] = [0x00, 0x00, 0x5e];

/// An IPv6 group's, whose end is an address's.
const SOLICITED: [u8; 3] = [0x33, 0x33, 0xff];

/// A MAC's pseudonym, or back.
pub(super) fn permute(key: &Key, mac: Mac, back: bool) -> Mac {
    let octets = mac.0;
    let (Some(maker), Some(last)) = (octets.first_chunk::<3>(), octets.last_chunk::<3>()) else { return mac };
    let is_nobodys = mac == Mac::ZERO || *maker == SHARED || mac.is_group() && *maker != SOLICITED;
    if is_nobodys {
        return mac;
    }
    let mut out = octets;
    if let Some(place) = out.last_chunk_mut() {
        *place = end(key, *last, back);
    }
    Mac(out)
}

/// The last three octets.
pub(super) fn end(key: &Key, octets: [u8; 3], back: bool) -> [u8; 3] {
    tree::permute(key, "mac", octets, back, |_, _| Turn::ByKey)
}
