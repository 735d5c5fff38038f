//! JSON read into a value that may weigh only so much: a `{}` of two bytes may be hundreds once it is read, and one
//! in a list of its own thousands. What lists and maps reserve for what is in them is taken from a budget before each
//! of them is read; texts weigh no more than their JSON, and are left out.

use std::cell::Cell;
use std::fmt;

use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess,
    Visitor,
};

use crate::limits::Limits;

/// What the facts of one archive may weigh.
#[derive(Debug, Default)]
pub(crate) struct Scales {
    /// How many times as much as its JSON each of them may without further ado.
    ratio: u64,
    /// What all of them together may beyond that.
    free: u64,
}

impl Scales {
    /// Within these bounds.
    pub(crate) fn of(limits: &Limits) -> Scales {
        Scales { ratio: limits.weight_ratio, free: limits.weight_free_bytes }
    }

    /// A file of facts. One that is too heavy leaves the others theirs.
    pub(crate) fn read<T: DeserializeOwned>(&mut self, json: &[u8]) -> serde_json::Result<T> {
        let own = self.ratio.saturating_mul(json.len() as u64);
        let budget = Budget::of(own.saturating_add(self.free));
        let read = from_slice(json, &budget)?;
        self.free = self.free.min(budget.left.get());
        Ok(read)
    }
}

/// How many bytes values may still weigh.
#[derive(Debug)]
struct Budget {
    left: Cell<u64>,
}

impl Budget {
    fn of(bytes: u64) -> Budget {
        Budget { left: Cell::new(bytes) }
    }

    fn take<E: Error>(&self, bytes: usize) -> Result<(), E> {
        let left = self.left.get().checked_sub(bytes as u64);
        self.left.set(left.unwrap_or_default());
        left.map(|_| ()).ok_or_else(|| E::custom("read, it would be too large for any real bundle"))
    }
}

fn from_slice<T: DeserializeOwned>(json: &[u8], budget: &Budget) -> serde_json::Result<T> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    let value = T::deserialize(Weighed { inner: &mut reader, budget })?;
    reader.end()?;
    Ok(value)
}

/// A reader of JSON, or of what stands in it.
struct Weighed<'b, D> {
    inner: D,
    budget: &'b Budget,
}

impl<'b, D> Weighed<'b, D> {
    fn within<V>(visitor: V, budget: &'b Budget, size: Size) -> Within<'b, V> {
        Within { visitor, budget, size }
    }
}

macro_rules! read_as {
    ($size:expr => $($method:ident($($name:ident: $type:ty),*)),*) => {
        $(fn $method<V: Visitor<'de>>(self, $($name: $type,)* visitor: V) -> Result<V::Value, D::Error> {
            let Weighed { inner, budget } = self;
            inner.$method($($name,)* Self::within(visitor, budget, $size))
        })*
    };
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Weighed<'_, D> {
    type Error = D::Error;

    read_as!(Size::Open =>
        deserialize_any(), deserialize_bool(), deserialize_i8(), deserialize_i16(), deserialize_i32(),
        deserialize_i64(), deserialize_i128(), deserialize_u8(), deserialize_u16(), deserialize_u32(),
        deserialize_u64(), deserialize_u128(), deserialize_f32(), deserialize_f64(), deserialize_char(),
        deserialize_str(), deserialize_string(), deserialize_bytes(), deserialize_byte_buf(),
        deserialize_option(), deserialize_unit(), deserialize_unit_struct(name: &'static str),
        deserialize_newtype_struct(name: &'static str), deserialize_seq(), deserialize_map(),
        deserialize_identifier()
    );

    read_as!(Size::Fixed =>
        deserialize_tuple(length: usize), deserialize_tuple_struct(name: &'static str, length: usize),
        deserialize_struct(name: &'static str, fields: &'static [&'static str]),
        deserialize_enum(name: &'static str, variants: &'static [&'static str])
    );

    /// Nothing becomes of it.
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_ignored_any(visitor)
    }
}

/// Whether what is read has room of its own for all that is in it, as a struct has for its fields.
#[derive(Clone, Copy)]
enum Size {
    Fixed,
    Open,
}

/// What takes a value, and whatever is in it.
struct Within<'b, V> {
    visitor: V,
    budget: &'b Budget,
    size: Size,
}

macro_rules! plain_values {
    ($($method:ident: $type:ty),*) => {
        $(fn $method<E: Error>(self, value: $type) -> Result<V::Value, E> {
            self.visitor.$method(value)
        })*
    };
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Within<'_, V> {
    type Value = V::Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.visitor.expecting(out)
    }

    plain_values!(
        visit_bool: bool, visit_i64: i64, visit_i128: i128, visit_u64: u64, visit_u128: u128, visit_f64: f64,
        visit_str: &str, visit_borrowed_str: &'de str, visit_string: String, visit_bytes: &[u8],
        visit_borrowed_bytes: &'de [u8]
    );

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_none()
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_some(Weighed { inner, budget: self.budget })
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_newtype_struct(Weighed { inner, budget: self.budget })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        let Within { visitor, budget, size } = self;
        visitor.visit_seq(Items { inner, budget, size, count: 0 })
    }

    fn visit_map<A: MapAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        let Within { visitor, budget, size } = self;
        visitor.visit_map(Items { inner, budget, size, count: 0 })
    }

    fn visit_enum<A: EnumAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        let Within { visitor, budget, .. } = self;
        visitor.visit_enum(Weighed { inner, budget })
    }
}

/// What is read into one of the items.
struct Item<'b, S> {
    seed: S,
    budget: &'b Budget,
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Item<'_, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, inner: D) -> Result<S::Value, D::Error> {
        self.seed.deserialize(Weighed { inner, budget: self.budget })
    }
}

/// The items of a list or a map, and how many were read.
struct Items<'b, A> {
    inner: A,
    budget: &'b Budget,
    size: Size,
    count: usize,
}

/// A list's first item brings room for four (`RawVec::MIN_NON_ZERO_CAP`), and the room is doubled whenever it is full.
const LIST_MIN: usize = 4;
/// A map's first entry brings a node with room for eleven (`CAPACITY` of alloc's B-tree), and full nodes are halved.
const MAP_MIN: usize = 11;
const MAP_SPARE: usize = 2;

impl<A> Items<'_, A> {
    /// Takes what a list reserves when one more is put into it.
    fn list<E: Error>(&mut self, bytes: usize) -> Result<(), E> {
        let count = self.count;
        self.count += 1;
        match self.size {
            Size::Fixed => Ok(()),
            Size::Open if count == 0 => self.budget.take(bytes.saturating_mul(LIST_MIN)),
            Size::Open if count >= LIST_MIN && count.is_power_of_two() => {
                self.budget.take(bytes.saturating_mul(count))
            }
            Size::Open => Ok(()),
        }
    }

    /// The same of a map's key, or of its value, before the next key.
    fn map<E: Error>(&self, bytes: usize) -> Result<(), E> {
        match self.size {
            Size::Fixed => Ok(()),
            Size::Open if self.count <= 1 => self.budget.take(bytes.saturating_mul(MAP_MIN)),
            Size::Open => self.budget.take(bytes.saturating_mul(MAP_SPARE)),
        }
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Items<'_, A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        let budget = self.budget;
        let item = self.inner.next_element_seed(Item { seed, budget })?;
        if item.is_some() {
            self.list(size_of::<S::Value>())?;
        }
        Ok(item)
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Items<'_, A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        let budget = self.budget;
        let key = self.inner.next_key_seed(Item { seed, budget })?;
        if key.is_some() {
            self.count += 1;
            self.map(size_of::<S::Value>())?;
        }
        Ok(key)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.map(size_of::<S::Value>())?;
        self.inner.next_value_seed(Item { seed, budget: self.budget })
    }
}

impl<'de, 'b, A: EnumAccess<'de>> EnumAccess<'de> for Weighed<'b, A> {
    type Error = A::Error;
    type Variant = Weighed<'b, A::Variant>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self::Variant), A::Error> {
        let Weighed { inner, budget } = self;
        let (name, inner) = inner.variant_seed(Item { seed, budget })?;
        Ok((name, Weighed { inner, budget }))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Weighed<'_, A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        self.inner.newtype_variant_seed(Item { seed, budget: self.budget })
    }

    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, A::Error> {
        let Weighed { inner, budget } = self;
        inner.tuple_variant(length, Within { visitor, budget, size: Size::Fixed })
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        let Weighed { inner, budget } = self;
        inner.struct_variant(fields, Within { visitor, budget, size: Size::Fixed })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    enum Kind {
        Unit,
        New(Vec<u8>),
        Tuple(u8, Option<String>),
        Struct { list: Vec<u16> },
    }

    #[derive(Debug, Default, PartialEq, serde::Deserialize)]
    #[serde(default)]
    struct Heavy {
        room: [u64; 32],
        kinds: Vec<Kind>,
        names: BTreeMap<String, i64>,
    }

    #[test]
    fn values_are_those_that_serde_json_reads() {
        let json =
            br#"{"unknown":[{}],"kinds":["Unit",{"New":[1,2]},{"Tuple":[7,"a\n"]},{"Struct":{"list":[3]}}],
            "names":{"a":-1,"b":2}}"#;
        let plain: Heavy = serde_json::from_slice(json).unwrap();
        assert_eq!(from_slice::<Heavy>(json, &Budget::of(10_000)).unwrap(), plain);
        assert_eq!(plain.kinds.len(), 4);
        let behind = from_slice::<Heavy>(b"{} x", &Budget::of(10_000)).unwrap_err();
        assert_eq!(behind.to_string(), serde_json::from_slice::<Heavy>(b"{} x").unwrap_err().to_string());
    }

    #[test]
    fn a_list_weighs_what_is_reserved_for_it() {
        for count in [0, 1, 4, 5, 9, 1_000] {
            let json = format!("[{}]", vec!["{}"; count].join(","));
            let budget = Budget::of(1 << 30);
            let list: Vec<Heavy> = from_slice(json.as_bytes(), &budget).unwrap();
            assert_eq!(
                (1 << 30) - budget.left.get(),
                (list.capacity() * size_of::<Heavy>()) as u64,
                "{count}"
            );
        }
    }

    #[test]
    fn what_is_heavier_than_its_json_is_taken_from_one_purse() {
        let mut scales = Scales { ratio: 1, free: 10 * size_of::<Heavy>() as u64 };
        let mut light = || scales.read::<Vec<u8>>(b"[1, 2, 3, 4]").is_ok();
        assert!((0..1_000).all(|_| light()), "they are no heavier than their JSON");
        let mut heavy = || scales.read::<Vec<Heavy>>(b"[{}]").map(|list| list.len());
        assert_eq!([heavy().ok(), heavy().ok()], [Some(1), Some(1)]);
        let error = heavy().unwrap_err().to_string();
        assert!(error.contains("too large"), "{error}");
        let map = from_slice::<BTreeMap<String, i64>>(br#"{"a":1}"#, &Budget::of(100));
        assert!(map.is_err(), "room for eleven");
    }
}
