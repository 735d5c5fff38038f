//! Logic to instructions, from the end to the start: every jump's targets stand when it is written.

use super::expr::{Expr, Family};
use super::logic::{Compare, Field, Load, Logic};
use super::lower::{Known, lower};
use super::{Instruction, LinkLayer};

// Operations of classic BPF (linux/bpf_common.h), put together as the kernel wants them.
const LOAD_WORD: u16 = 0x20;
const LOAD_HALF: u16 = 0x28;
const LOAD_BYTE: u16 = 0x30;
/// A = two bytes at X + k.
const LOAD_HALF_AT_X: u16 = 0x48;
/// X = the length in bytes of the IPv4 header at k.
const LOAD_X_HEADER: u16 = 0xb1;
const AND: u16 = 0x54;
const JUMP: u16 = 0x05;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_MORE: u16 = 0x25;
const JUMP_AT_LEAST: u16 = 0x35;
const JUMP_ANY_BIT: u16 = 0x45;
const RETURN: u16 = 0x06;

/// Where what the kernel knows beside the frame is loaded from (`SKF_AD_OFF`, linux/filter.h).
const BESIDE: u32 = 0xffff_f000;
const TAG: u32 = BESIDE + 44;
const TAG_PRESENT: u32 = BESIDE + 48;

/// EtherTypes of VLAN tags: 802.1Q, 802.1ad, and the one in use before that.
const TAGS: [u32; 3] = [0x8100, 0x88a8, 0x9100];
/// Tags that are looked behind in a frame's bytes.
const TAGS_MAX: u8 = 2;

const FAMILIES: [(u32, Family); 4] =
    [(0x0800, Family::Ip), (0x86dd, Family::Ip6), (0x0806, Family::Arp), (0x8035, Family::Rarp)];

/// Length of an Ethernet header and of a tag.
const ETHERNET: u32 = 14;
const TAG_BYTES: u32 = 4;

pub(super) fn program(expr: &Expr, layer: LinkLayer, snap: u32) -> Vec<Instruction> {
    let mut code = Code(Vec::new());
    let reject = code.put(RETURN, 0);
    let accept = code.put(RETURN, snap);
    let entry = match layer {
        LinkLayer::Ethernet => code.frame(expr, TAGS_MAX, accept, reject),
        LinkLayer::Ip => code.bare(expr, accept, reject),
    };
    // What nothing leads to, where the verdict is the same for all.
    code.0.truncate(entry);
    code.0.reverse();
    code.0
}

/// How many instructions there are from a place to the program's end.
type Label = usize;

/// A program from its end to its start.
struct Code(Vec<Instruction>);

impl Code {
    fn put(&mut self, code: u16, k: u32) -> Label {
        self.0.push(Instruction { code, jt: 0, jf: 0, k });
        self.0.len()
    }

    /// An instruction from which a conditional jump's short arm reaches this place.
    fn near(&mut self, to: Label) -> Label {
        // Two such jumps may come between, and the jump itself.
        if self.0.len() - to < usize::from(u8::MAX) - 2 {
            return to;
        }
        let far = u32::try_from(self.0.len() - to).unwrap_or(u32::MAX);
        self.put(JUMP, far)
    }

    fn branch(&mut self, code: u16, k: u32, yes: Label, no: Label) -> Label {
        if yes == no {
            return yes;
        }
        let (yes, no) = (self.near(yes), self.near(no));
        let arm = |to: Label| u8::try_from(self.0.len() - to).unwrap_or(u8::MAX);
        let (jt, jf) = (arm(yes), arm(no));
        self.0.push(Instruction { code, jt, jf, k });
        self.0.len()
    }

    fn load(&mut self, load: Load, mask: u32) -> Label {
        if mask != u32::MAX {
            self.put(AND, mask);
        }
        match load {
            Load::Word(at) => self.put(LOAD_WORD, at),
            Load::Half(at) => self.put(LOAD_HALF, at),
            Load::Byte(at) => self.put(LOAD_BYTE, at),
            Load::Tag => self.put(LOAD_BYTE, TAG),
            Load::TagPresent => self.put(LOAD_BYTE, TAG_PRESENT),
            Load::Behind { header, offset } => {
                self.put(LOAD_HALF_AT_X, header + offset);
                self.put(LOAD_X_HEADER, header)
            }
        }
    }

    /// The comparison alone, of what is loaded.
    fn compare(&mut self, compare: Compare, yes: Label, no: Label) -> Label {
        match compare {
            Compare::Equal(value) => self.branch(JUMP_EQUAL, value, yes, no),
            Compare::AtLeast(value) => self.branch(JUMP_AT_LEAST, value, yes, no),
            Compare::MoreThan(value) => self.branch(JUMP_MORE, value, yes, no),
            Compare::AnyBitOf(bits) => self.branch(JUMP_ANY_BIT, bits, yes, no),
        }
    }

    fn logic(&mut self, logic: &Logic, yes: Label, no: Label) -> Label {
        match logic {
            Logic::Constant(true) => yes,
            Logic::Constant(false) => no,
            Logic::Not(inner) => self.logic(inner, no, yes),
            Logic::And(parts) => parts.iter().rev().fold(yes, |next, part| self.logic(part, next, no)),
            Logic::Or(parts) => self.any(parts, yes, no),
            Logic::Field(field) => {
                if yes == no {
                    return yes;
                }
                self.compare(field.compare, yes, no);
                self.load(field.load, field.mask)
            }
        }
    }

    /// Alternatives of the same field are compared in a row, of one load.
    fn any(&mut self, parts: &[Logic], yes: Label, no: Label) -> Label {
        if yes == no {
            return yes;
        }
        let mut rows: Vec<(Field, Vec<Compare>)> = Vec::new();
        let mut others = Vec::new();
        for part in parts {
            let Logic::Field(field) = part else {
                others.push(part);
                continue;
            };
            let same =
                |(row, _): &&mut (Field, Vec<Compare>)| (row.load, row.mask) == (field.load, field.mask);
            match rows.iter_mut().find(same) {
                Some((_, compares)) => compares.push(field.compare),
                None => rows.push((*field, vec![field.compare])),
            }
        }
        let next = others.iter().rev().fold(no, |next, part| self.logic(part, yes, next));
        rows.iter().rev().fold(next, |next, (field, compares)| {
            compares.iter().rev().fold(next, |next, compare| self.compare(*compare, yes, next));
            self.load(field.load, field.mask)
        })
    }

    /// Loads what a row of comparisons looks at, where it did not come out as a mere verdict.
    fn dispatch(&mut self, load: Load, mask: u32, next: Label, verdicts: [Label; 2]) -> Label {
        if verdicts.contains(&next) { next } else { self.load(load, mask) }
    }

    /// An Ethernet frame, of which `left` more tags may be looked behind.
    fn frame(&mut self, expr: &Expr, left: u8, yes: Label, no: Label) -> Label {
        let tags = TAGS_MAX - left;
        let type_at = ETHERNET - 2 + TAG_BYTES * u32::from(tags);
        let known = |family| Known { family, start: type_at + 2, tags: Some(tags) };
        let behind = if left > 0 { Some(self.frame(expr, left - 1, yes, no)) } else { None };
        let mut next = self.logic(&lower(expr, known(None)), yes, no);
        if let Some(behind) = behind {
            next = TAGS.iter().fold(next, |next, tag| self.branch(JUMP_EQUAL, *tag, behind, next));
        }
        // The family that is most often met is asked for first.
        for (ether_type, family) in FAMILIES.iter().rev() {
            let entry = self.logic(&lower(expr, known(Some(*family))), yes, no);
            next = self.branch(JUMP_EQUAL, *ether_type, entry, next);
        }
        self.dispatch(Load::Half(type_at), u32::MAX, next, [yes, no])
    }

    /// An IP packet without a frame: its version tells its family.
    fn bare(&mut self, expr: &Expr, yes: Label, no: Label) -> Label {
        let known = |family| Known { family, start: 0, tags: None };
        let mut next = self.logic(&lower(expr, known(None)), yes, no);
        for (version, family) in [(0x60, Family::Ip6), (0x40, Family::Ip)] {
            let entry = self.logic(&lower(expr, known(Some(family))), yes, no);
            next = self.branch(JUMP_EQUAL, version, entry, next);
        }
        self.dispatch(Load::Byte(0), 0xf0, next, [yes, no])
    }
}
