//! A ring's frame as a sighting.

use model::sighting::Sighting;
use parse::capture::Frame as Captured;
use parse::dissect::{self, Options};
use sys::packet_ring::Frame;

/// Of a frame that begins as this `LINKTYPE_` says; `None` where it is neither IP nor ARP.
pub(crate) fn of(
    frame: &Frame<'_>,
    link_type: u16,
    vantage: u16,
    number: u32,
    options: &Options,
) -> Option<Sighting> {
    let captured = Captured {
        number,
        time_ns: i64::try_from(frame.time_ns).unwrap_or(i64::MAX),
        interface: 0,
        link_type: link_type.into(),
        data: frame.bytes,
        length: frame.length,
    };
    dissect::sighting(&captured, vantage, options)
}
