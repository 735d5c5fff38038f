//! Tests of single fields joined by and, or and not, with what is known already folded away.

/// A field of a packet that an instruction can load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Load {
    /// Four bytes at this offset.
    Word(u32),
    /// Two.
    Half(u32),
    /// One.
    Byte(u32),
    /// Two bytes behind an IPv4 header of whatever length.
    Behind {
        /// Where the IPv4 header starts.
        header: u32,
        /// How far behind its end.
        offset: u32,
    },
    /// 1 where the kernel keeps a VLAN tag beside the frame (`SKF_AD_VLAN_TAG_PRESENT`).
    TagPresent,
    /// That tag: priority and VLAN id (`SKF_AD_VLAN_TAG`).
    Tag,
}

/// How a field is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compare {
    Equal(u32),
    AtLeast(u32),
    MoreThan(u32),
    AnyBitOf(u32),
}

/// One field, its wanted bits, one comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) load: Load,
    pub(super) mask: u32,
    pub(super) compare: Compare,
}

impl Field {
    pub(super) fn equal(load: Load, value: u32) -> Logic {
        Logic::Field(Field { load, mask: u32::MAX, compare: Compare::Equal(value) })
    }
}

/// Fields joined. `And` and `Or` hold neither constants nor their own kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Logic {
    Constant(bool),
    And(Vec<Logic>),
    Or(Vec<Logic>),
    Not(Box<Logic>),
    Field(Field),
}

pub(super) const YES: Logic = Logic::Constant(true);
pub(super) const NO: Logic = Logic::Constant(false);

pub(super) fn and(parts: impl IntoIterator<Item = Logic>) -> Logic {
    let mut all = Vec::new();
    for part in parts {
        match part {
            Logic::Constant(true) => {}
            Logic::Constant(false) => return NO,
            Logic::And(inner) => all.extend(inner),
            other @ (Logic::Or(_) | Logic::Not(_) | Logic::Field(_)) => all.push(other),
        }
    }
    joined(all, YES, Logic::And)
}

pub(super) fn or(parts: impl IntoIterator<Item = Logic>) -> Logic {
    let mut any = Vec::new();
    for part in parts {
        match part {
            Logic::Constant(false) => {}
            Logic::Constant(true) => return YES,
            Logic::Or(inner) => any.extend(inner),
            other @ (Logic::And(_) | Logic::Not(_) | Logic::Field(_)) => any.push(other),
        }
    }
    joined(any, NO, Logic::Or)
}

pub(super) fn not(inner: Logic) -> Logic {
    match inner {
        Logic::Constant(value) => Logic::Constant(!value),
        Logic::Not(inner) => *inner,
        other @ (Logic::And(_) | Logic::Or(_) | Logic::Field(_)) => Logic::Not(Box::new(other)),
    }
}

fn joined(mut parts: Vec<Logic>, none: Logic, join: impl Fn(Vec<Logic>) -> Logic) -> Logic {
    match (parts.len(), parts.pop()) {
        (_, None) => none,
        (1, Some(only)) => only,
        (_, Some(last)) => {
            parts.push(last);
            join(parts)
        }
    }
}
