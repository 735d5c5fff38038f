//! A message's options: codes and their bytes, gathered from wherever the message may hold them.

use std::collections::BTreeMap;

use super::FIXED_BYTES;
use super::reply::DhcpProblem;

pub(super) const PAD: u8 = 0;
pub(super) const MASK: u8 = 1;
pub(super) const ROUTER: u8 = 3;
pub(super) const DNS: u8 = 6;
pub(super) const MTU: u8 = 26;
pub(super) const REQUESTED: u8 = 50;
pub(super) const LEASE_TIME: u8 = 51;
const OVERLOAD: u8 = 52;
pub(super) const MESSAGE_TYPE: u8 = 53;
pub(super) const SERVER: u8 = 54;
pub(super) const WANTED_LIST: u8 = 55;
pub(super) const MESSAGE: u8 = 56;
pub(super) const SIZE_MAX: u8 = 57;
pub(super) const END: u8 = 255;

/// Where the server's name and the file's name stand, which options may be put into (RFC 2132, 9.3).
const SERVER_NAME: std::ops::Range<usize> = 44..108;
const FILE_NAME: std::ops::Range<usize> = 108..236;

/// Options by code; of one that stands several times the bytes are joined (RFC 3396).
pub(super) type Options = BTreeMap<u8, Vec<u8>>;

/// Reads the options of a message that has its fixed fields. They are no longer together than the message is.
pub(super) fn read(message: &[u8]) -> Result<Options, DhcpProblem> {
    let mut options = Options::new();
    scan(message, FIXED_BYTES..message.len(), &mut options)?;
    let overload = options.get(&OVERLOAD).map(Vec::as_slice);
    let (file, name) = match overload {
        None => (false, false),
        Some([1]) => (true, false),
        Some([2]) => (false, true),
        Some([3]) => (true, true),
        Some(_) => return Err(DhcpProblem::BadOption { code: OVERLOAD, why: "neither 1, 2 nor 3" }),
    };
    // The file's name first, and what says so there is not looked at again (RFC 3396, 5).
    if file {
        scan(message, FILE_NAME, &mut options)?;
    }
    if name {
        scan(message, SERVER_NAME, &mut options)?;
    }
    Ok(options)
}

fn scan(message: &[u8], place: std::ops::Range<usize>, options: &mut Options) -> Result<(), DhcpProblem> {
    let field = message.get(..place.end).unwrap_or_default();
    let mut at = place.start;
    loop {
        let offset = at;
        let code = match field.get(at) {
            None => return Err(DhcpProblem::NoEnd { offset }),
            Some(&END) => return Ok(()),
            Some(&PAD) => {
                at += 1;
                continue;
            }
            Some(&code) => code,
        };
        let cut = DhcpProblem::OptionRunsOut { code, offset };
        let Some(length) = field.get(at + 1).map(|length| usize::from(*length)) else { return Err(cut) };
        at += 2;
        let Some(data) = field.get(at..at + length) else { return Err(cut) };
        options.entry(code).or_default().extend(data);
        at += length;
    }
}
