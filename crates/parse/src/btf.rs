//! The kernel's own description of its types (`/sys/kernel/btf/vmlinux`; Documentation/bpf/btf.rst): where a
//! structure has its members, what an enumeration's names are worth, what a tracepoint is given.
//!
//! Nothing panics: every look is bounded by the slice that it looks into, and every chain of types by a depth.

use std::collections::BTreeSet;
use std::fmt;

mod kind;

use kind::Kind;

/// `BTF_MAGIC` in the byte order of whoever wrote it.
const MAGIC: u32 = 0xeb9f;
/// Bytes of `struct btf_type` before what its kind adds.
const TYPE_BYTES: usize = 12;
/// Bytes of `struct btf_member`.
const MEMBER_BYTES: usize = 12;
/// Bytes of `struct btf_enum`.
const ENUMERATOR_BYTES: usize = 8;
/// Types one inside the other that are followed: structures without a name, typedefs, `const`.
const DEPTH_MAX: u8 = 32;

/// The types of a kernel, by number.
#[derive(Debug, Clone)]
pub struct Btf<'b> {
    types: Words<'b>,
    strings: &'b [u8],
    /// Where each type begins among `types`; type 0 is `void` and has no place.
    starts: Vec<usize>,
}

/// Why it could not be read: where it is damaged, in bytes from its beginning, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damaged {
    /// Offset in bytes.
    pub offset: usize,
    /// What is wrong there.
    pub what: &'static str,
}

impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {}: {}", self.offset, self.what)
    }
}

/// Bytes as numbers of 32 bits, in the writer's order.
#[derive(Debug, Clone, Copy)]
struct Words<'b> {
    bytes: &'b [u8],
    is_big: bool,
}

impl Words<'_> {
    fn at(self, offset: usize) -> Option<u32> {
        let four = *self.bytes.get(offset..)?.first_chunk::<4>()?;
        Some(if self.is_big { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) })
    }

    /// A number that says where or how many.
    fn index(self, offset: usize) -> Option<usize> {
        usize::try_from(self.at(offset)?).ok()
    }
}

/// Reads the header, and where each type is.
pub fn parse(bytes: &[u8]) -> Result<Btf<'_>, Damaged> {
    let cut_off = |offset| Damaged { offset, what: "it ends before its header says" };
    let is_big = match bytes.first_chunk::<2>() {
        Some(magic) if u32::from(u16::from_le_bytes(*magic)) == MAGIC => false,
        Some(magic) if u32::from(u16::from_be_bytes(*magic)) == MAGIC => true,
        Some(_) | None => return Err(Damaged { offset: 0, what: "no BTF: its first two bytes are others" }),
    };
    let header = Words { bytes, is_big };
    let section = |at: usize| {
        let (from, length) = (header.index(at)?, header.index(at + 4)?);
        let from = from.checked_add(header.index(4)?)?;
        bytes.get(from..from.checked_add(length)?)
    };
    let types = Words { bytes: section(8).ok_or(cut_off(8))?, is_big };
    let strings = section(16).ok_or(cut_off(16))?;
    let mut starts = vec![usize::MAX];
    let mut at = 0;
    while at < types.bytes.len() {
        starts.push(at);
        let kind = types.at(at + 4).map(Kind::of).ok_or(cut_off(at))?;
        let more =
            kind.more_bytes().ok_or(Damaged { offset: at, what: "a kind of type that is not known" })?;
        at = at.saturating_add(TYPE_BYTES).saturating_add(more);
    }
    Ok(Btf { types, strings, starts })
}

impl<'b> Btf<'b> {
    /// Where a structure has a member, in bytes: `("net", "ns.inum")`. Members of structures without a name are the
    /// outer one's, as in C; a bit field is where its first byte is.
    pub fn offset(&self, structure: &str, path: &str) -> Option<u32> {
        let mut of = self.named(structure, Kind::is_structure)?;
        let mut bits = 0_u32;
        for name in path.split('.') {
            let (inside, member) = self.member(of, name, DEPTH_MAX, &mut BTreeSet::new())?;
            bits = bits.checked_add(inside)?;
            of = member;
        }
        Some(bits / 8)
    }

    /// The values of an enumeration with their names, in the order of its declaration.
    pub fn values(&self, enumeration: &str) -> Vec<(u32, &'b str)> {
        let Some((at, kind)) = self.named(enumeration, Kind::is_enumeration).and_then(|id| self.type_of(id))
        else {
            return Vec::new();
        };
        let value = |nth: usize| {
            let at = at + TYPE_BYTES + nth * ENUMERATOR_BYTES;
            Some((self.types.at(at + 4)?, self.text(at)?))
        };
        (0..kind.count()).map_while(value).collect()
    }

    /// How many arguments programs on a tracepoint are given; `None` where there is no such tracepoint.
    pub fn tracepoint_arguments(&self, tracepoint: &str) -> Option<usize> {
        let name = format!("btf_trace_{tracepoint}");
        let (pointer, _) = self.resolved(self.named(&name, Kind::is_alias)?)?;
        let (_, kind) = self.resolved(self.types.index(pointer + 8)?)?;
        let kind = Some(kind).filter(|kind| kind.is_prototype())?;
        // The first is the tracepoint's own data, which programs are not given.
        kind.count().checked_sub(1)
    }

    fn named(&self, name: &str, is_wanted: fn(Kind) -> bool) -> Option<usize> {
        (1..self.starts.len()).find(|id| {
            let found = self.type_of(*id).filter(|(_, kind)| is_wanted(*kind));
            found.is_some_and(|(at, _)| self.is_text(at, name))
        })
    }

    /// Where a type begins, and its kind.
    fn type_of(&self, id: usize) -> Option<(usize, Kind)> {
        let at = *self.starts.get(id)?;
        Some((at, Kind::of(self.types.at(at.checked_add(4)?)?)))
    }

    /// The type behind typedefs and `const`: where it begins, and its kind.
    fn resolved(&self, mut id: usize) -> Option<(usize, Kind)> {
        for _ in 0..DEPTH_MAX {
            let (at, kind) = self.type_of(id)?;
            if !kind.is_alias() {
                return Some((at, kind));
            }
            id = self.types.index(at + 8)?;
        }
        None
    }

    /// Where a structure has a member, in bits, and its type. What was searched in vain is not searched again: a
    /// structure that claims to hold itself many times over would be walked without end.
    fn member(
        &self,
        of: usize,
        name: &str,
        depth: u8,
        searched: &mut BTreeSet<usize>,
    ) -> Option<(u32, usize)> {
        let depth = depth.checked_sub(1)?;
        let (at, kind) = self.resolved(of).filter(|(_, kind)| kind.is_aggregate())?;
        if !searched.insert(at) {
            return None;
        }
        (0..kind.count()).find_map(|nth| {
            let at = at + TYPE_BYTES + nth * MEMBER_BYTES;
            let (member, bits) = (self.types.index(at + 4)?, kind.member_bits(self.types.at(at + 8)?));
            if self.is_text(at, name) {
                return Some((bits, member));
            }
            let is_unnamed = self.is_text(at, "");
            let (inside, member) =
                is_unnamed.then(|| self.member(member, name, depth, searched)).flatten()?;
            Some((bits.checked_add(inside)?, member))
        })
    }

    /// The text whose place stands at this offset of the types is this one.
    fn is_text(&self, at: usize, wanted: &str) -> bool {
        let from = self.types.index(at).and_then(|from| self.strings.get(from..));
        let rest = from.and_then(|from| from.strip_prefix(wanted.as_bytes()));
        rest.and_then(|rest| rest.first()) == Some(&0)
    }

    /// The text whose place stands at this offset of the types.
    fn text(&self, at: usize) -> Option<&'b str> {
        let from = self.strings.get(self.types.index(at)?..)?;
        let end = from.iter().position(|byte| *byte == 0)?;
        std::str::from_utf8(from.get(..end)?).ok()
    }
}

#[cfg(test)]
mod tests;
