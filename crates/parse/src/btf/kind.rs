//! What a type is (`info` of `struct btf_type`, include/uapi/linux/btf.h).

/// `BTF_KIND_*`.
const INT: u32 = 1;
const PTR: u32 = 2;
const ARRAY: u32 = 3;
const STRUCT: u32 = 4;
const UNION: u32 = 5;
const ENUM: u32 = 6;
const FWD: u32 = 7;
const TYPEDEF: u32 = 8;
const VOLATILE: u32 = 9;
const CONST: u32 = 10;
const RESTRICT: u32 = 11;
const FUNC: u32 = 12;
const FUNC_PROTO: u32 = 13;
const VAR: u32 = 14;
const DATASEC: u32 = 15;
const FLOAT: u32 = 16;
const DECL_TAG: u32 = 17;
const TYPE_TAG: u32 = 18;
const ENUM64: u32 = 19;

/// Kind, how many parts, and a flag.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    number: u32,
    count: u16,
    flag: bool,
}

impl Kind {
    pub(super) fn of(info: u32) -> Kind {
        let [low, high, ..] = info.to_le_bytes();
        Kind { number: info >> 24 & 0x1f, count: u16::from_le_bytes([low, high]), flag: info >> 31 == 1 }
    }

    /// Members, enumerators or parameters.
    pub(super) fn count(self) -> usize {
        self.count.into()
    }

    /// Bytes behind `struct btf_type`; `None` for kinds of which nobody knows.
    pub(super) fn more_bytes(self) -> Option<usize> {
        match self.number {
            INT | VAR | DECL_TAG => Some(4),
            ARRAY => Some(12),
            STRUCT | UNION | DATASEC | ENUM64 => Some(12 * self.count()),
            ENUM | FUNC_PROTO => Some(8 * self.count()),
            PTR | FWD | TYPEDEF | VOLATILE | CONST | RESTRICT | FUNC | FLOAT | TYPE_TAG => Some(0),
            _ => None,
        }
    }

    pub(super) fn is_structure(self) -> bool {
        self.number == STRUCT
    }

    /// It has members.
    pub(super) fn is_aggregate(self) -> bool {
        matches!(self.number, STRUCT | UNION)
    }

    pub(super) fn is_enumeration(self) -> bool {
        self.number == ENUM
    }

    pub(super) fn is_prototype(self) -> bool {
        self.number == FUNC_PROTO
    }

    /// It stands for another.
    pub(super) fn is_alias(self) -> bool {
        matches!(self.number, TYPEDEF | VOLATILE | CONST | RESTRICT | TYPE_TAG)
    }

    /// Where a member is, in bits: with bit fields in the structure the upper eight bits tell their size.
    pub(super) fn member_bits(self, offset: u32) -> u32 {
        if self.flag { offset & 0x00ff_ffff } else { offset }
    }
}
