//! Names that do not fit into tar's own header, as the headers before it give them: GNU tar's (`L`, `K`) and pax(1)'s
//! (`x`). Of both lengths are bounded, since a name is put together in memory.

use std::io::Read;

use tar::{Entry, EntryType};

/// Longest header that is read; Linux has no longer path than 4,096 octets.
const HEADER_MAX: u64 = 64 << 10;

/// What was told of the entry that comes next.
#[derive(Debug, Default)]
pub(super) struct LongNames {
    pub(super) path: Option<String>,
    pub(super) target: Option<String>,
}

impl LongNames {
    /// Takes a header that tells of the next entry; `false` where this is an entry itself.
    pub(super) fn take(&mut self, entry: &mut Entry<'_, impl Read>) -> std::io::Result<bool> {
        let kind = entry.header().entry_type();
        match kind {
            EntryType::GNULongName | EntryType::GNULongLink | EntryType::XHeader => {}
            EntryType::XGlobalHeader => return Ok(true),
            _ => return Ok(false),
        }
        let mut bytes = Vec::new();
        entry.take(HEADER_MAX).read_to_end(&mut bytes)?;
        match kind {
            EntryType::GNULongName => self.path = gnu(&bytes),
            EntryType::GNULongLink => self.target = gnu(&bytes),
            _ => {
                for (key, value) in records(&bytes) {
                    match key {
                        "path" => self.path = Some(value.to_owned()),
                        "linkpath" => self.target = Some(value.to_owned()),
                        _ => {}
                    }
                }
            }
        }
        Ok(true)
    }
}

fn gnu(bytes: &[u8]) -> Option<String> {
    let name = bytes.split(|byte| *byte == 0).next()?;
    std::str::from_utf8(name).ok().map(str::to_owned)
}

/// `30 path=a/b\n`: the number is the record's whole length.
fn records(bytes: &[u8]) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let mut rest = bytes;
    while let Some(space) = rest.iter().position(|byte| *byte == b' ') {
        let (digits, _) = rest.split_at(space);
        let length = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<usize>().ok());
        let Some((record, after)) = length.filter(|l| *l > space).and_then(|l| rest.split_at_checked(l))
        else {
            break;
        };
        let text = record.get(space + 1..).and_then(|text| std::str::from_utf8(text).ok());
        found.extend(text.and_then(|text| text.trim_end_matches('\n').split_once('=')));
        rest = after;
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn records_of_pax_are_read() {
        assert_eq!(records(b"12 path=a/b\n14 linkpath=c\n"), [("path", "a/b"), ("linkpath", "c")]);
        for bad in [&b""[..], b"7", b"9999 path=a\n", b"0 path=a\n", b"x path=a\n", b"1 a"] {
            assert_eq!(records(bad), [], "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn any_octets_are_answered(octets: Vec<u8>) {
            records(&octets);
            gnu(&octets);
        }
    }
}
