//! JSON of a value with every text in it passed through a function: secrets are taken out so, and names replaced,
//! whatever type they stand in. Field names and the names of variants are ours and stay.

use std::borrow::Cow;
use std::fmt::Display;

use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

/// What becomes of texts.
pub(crate) trait Texts {
    /// Of a text. `key` is the nearest key of a map, or field, that it stands under; of a tuple variant, its name and
    /// the place: `source-range.1`.
    fn text<'t>(&self, key: Option<&str>, text: &'t str) -> Cow<'t, str>;

    /// Of a map's key. `map` is the field or the key that the map stands under.
    fn key<'t>(&self, _map: Option<&str>, key: &'t str) -> Cow<'t, str> {
        self.text(None, key)
    }
}

/// The value as compact JSON.
pub(crate) fn to_vec(value: &impl Serialize, texts: &dyn Texts) -> Result<Vec<u8>, serde_json::Error> {
    let mut bytes = Vec::new();
    let mut json = serde_json::Serializer::new(&mut bytes);
    value.serialize(Mapped { inner: &mut json, texts, key: None })?;
    Ok(bytes)
}

/// A serialiser, or the writer of a list or struct, with what becomes of texts.
struct Mapped<'a, S> {
    inner: S,
    texts: &'a dyn Texts,
    key: Option<Cow<'a, str>>,
}

/// A value within.
struct Value<'a, T: ?Sized> {
    of: &'a T,
    texts: &'a dyn Texts,
    key: Option<&'a str>,
}

impl<T: Serialize + ?Sized> Serialize for Value<'_, T> {
    fn serialize<S: Serializer>(&self, inner: S) -> Result<S::Ok, S::Error> {
        self.of.serialize(Mapped { inner, texts: self.texts, key: self.key.map(Cow::Borrowed) })
    }
}

macro_rules! as_they_are {
    ($($method:ident: $type:ty),*) => {
        $(fn $method(self, value: $type) -> Result<S::Ok, S::Error> {
            self.inner.$method(value)
        })*
    };
}

impl<'a, S: Serializer> Serializer for Mapped<'a, S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Mapped<'a, S::SerializeSeq>;
    type SerializeTuple = Mapped<'a, S::SerializeTuple>;
    type SerializeTupleStruct = Mapped<'a, S::SerializeTupleStruct>;
    type SerializeTupleVariant = Variant<'a, S::SerializeTupleVariant>;
    type SerializeMap = Map<'a, S::SerializeMap>;
    type SerializeStruct = Mapped<'a, S::SerializeStruct>;
    type SerializeStructVariant = Mapped<'a, S::SerializeStructVariant>;

    as_they_are!(
        serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_i128: i128, serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
        serialize_u128: u128, serialize_f32: f32, serialize_f64: f64, serialize_char: char,
        serialize_bytes: &[u8], serialize_unit_struct: &'static str
    );

    fn serialize_str(self, text: &str) -> Result<S::Ok, S::Error> {
        let mapped = self.texts.text(self.key.as_deref(), text);
        self.inner.serialize_str(&mapped)
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.serialize_str(&value.to_string())
    }

    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.inner.serialize_none()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.inner.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        name: &'static str,
        at: u32,
        variant: &'static str,
    ) -> Result<S::Ok, S::Error> {
        self.inner.serialize_unit_variant(name, at, variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let Mapped { inner, texts, key } = self;
        inner.serialize_newtype_struct(name, &Value { of: value, texts, key: key.as_deref() })
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        at: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let Mapped { inner, texts, key } = self;
        inner.serialize_newtype_variant(name, at, variant, &Value { of: value, texts, key: key.as_deref() })
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Self::SerializeSeq, S::Error> {
        let Mapped { inner, texts, key } = self;
        Ok(Mapped { inner: inner.serialize_seq(length)?, texts, key })
    }

    fn serialize_tuple(self, length: usize) -> Result<Self::SerializeTuple, S::Error> {
        let Mapped { inner, texts, key } = self;
        Ok(Mapped { inner: inner.serialize_tuple(length)?, texts, key })
    }

    fn serialize_tuple_struct(
        self,
        name: &'static str,
        length: usize,
    ) -> Result<Self::SerializeTupleStruct, S::Error> {
        let Mapped { inner, texts, key } = self;
        Ok(Mapped { inner: inner.serialize_tuple_struct(name, length)?, texts, key })
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        at: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self::SerializeTupleVariant, S::Error> {
        let Mapped { inner, texts, .. } = self;
        let inner = inner.serialize_tuple_variant(name, at, variant, length)?;
        Ok(Variant { inner, texts, name: variant, place: 0 })
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Self::SerializeMap, S::Error> {
        let Mapped { inner, texts, key } = self;
        Ok(Map { inner: inner.serialize_map(length)?, texts, name: key, key: None })
    }

    fn serialize_struct(self, name: &'static str, length: usize) -> Result<Self::SerializeStruct, S::Error> {
        let Mapped { inner, texts, key } = self;
        Ok(Mapped { inner: inner.serialize_struct(name, length)?, texts, key })
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        at: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        let Mapped { inner, texts, key } = self;
        Ok(Mapped { inner: inner.serialize_struct_variant(name, at, variant, length)?, texts, key })
    }
}

macro_rules! lists {
    ($($trait:ident: $method:ident),*) => {
        $(impl<S: $trait> $trait for Mapped<'_, S> {
            type Ok = S::Ok;
            type Error = S::Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), S::Error> {
                let Mapped { inner, texts, key } = self;
                inner.$method(&Value { of: value, texts: *texts, key: key.as_deref() })
            }

            fn end(self) -> Result<S::Ok, S::Error> {
                self.inner.end()
            }
        })*
    };
}

lists!(
    SerializeSeq: serialize_element, SerializeTuple: serialize_element, SerializeTupleStruct: serialize_field
);

/// A tuple variant, and how many of its values are written.
struct Variant<'a, S> {
    inner: S,
    texts: &'a dyn Texts,
    name: &'static str,
    place: usize,
}

impl<S: SerializeTupleVariant> SerializeTupleVariant for Variant<'_, S> {
    type Ok = S::Ok;
    type Error = S::Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), S::Error> {
        let key = format!("{}.{}", self.name, self.place);
        self.place += 1;
        self.inner.serialize_field(&Value { of: value, texts: self.texts, key: Some(&key) })
    }

    fn end(self) -> Result<S::Ok, S::Error> {
        self.inner.end()
    }
}

macro_rules! structs {
    ($($trait:ident),*) => {
        $(impl<S: $trait> $trait for Mapped<'_, S> {
            type Ok = S::Ok;
            type Error = S::Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), S::Error> {
                self.inner.serialize_field(name, &Value { of: value, texts: self.texts, key: Some(name) })
            }

            fn end(self) -> Result<S::Ok, S::Error> {
                self.inner.end()
            }
        })*
    };
}

structs!(SerializeStruct, SerializeStructVariant);

/// A map, what it stands under, and the key whose value comes next.
struct Map<'a, S> {
    inner: S,
    texts: &'a dyn Texts,
    name: Option<Cow<'a, str>>,
    key: Option<String>,
}

impl<S: SerializeMap> SerializeMap for Map<'_, S> {
    type Ok = S::Ok;
    type Error = S::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), S::Error> {
        // Every map of the model has texts, or what prints as one, for keys.
        let bare = serde_json::to_value(key).ok();
        self.key = bare.as_ref().and_then(|value| value.as_str()).map(str::to_owned);
        match &self.key {
            Some(text) => self.inner.serialize_key(&*self.texts.key(self.name.as_deref(), text)),
            None => self.inner.serialize_key(key),
        }
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), S::Error> {
        self.inner.serialize_value(&Value { of: value, texts: self.texts, key: self.key.as_deref() })
    }

    fn end(self) -> Result<S::Ok, S::Error> {
        self.inner.end()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    struct Shout;

    impl Texts for Shout {
        fn text<'t>(&self, key: Option<&str>, text: &'t str) -> Cow<'t, str> {
            match key {
                Some("quiet" | "Tuple.2") => Cow::Borrowed(text),
                Some(_) | None => Cow::Owned(text.to_uppercase()),
            }
        }

        fn key<'t>(&self, map: Option<&str>, key: &'t str) -> Cow<'t, str> {
            if map == Some("loud") { Cow::Owned(key.to_uppercase()) } else { Cow::Borrowed(key) }
        }
    }

    #[derive(serde::Serialize)]
    enum Kind {
        Unit,
        New(String),
        Tuple(u8, String, String),
        Struct { quiet: String, loud: Option<String> },
    }

    #[test]
    fn every_text_is_mapped_and_nothing_else() {
        let kinds = vec![
            Kind::Unit,
            Kind::New("a".into()),
            Kind::Tuple(1, "b".into(), "z".into()),
            Kind::Struct { quiet: "c".into(), loud: Some("d".into()) },
        ];
        let map = BTreeMap::from([("quiet", vec!["e"]), ("k", vec!["f", "ü\n\""])]);
        let within =
            BTreeMap::from([("loud", BTreeMap::from([("x", 1)])), ("other", BTreeMap::from([("y", 2)]))]);
        let address: std::net::Ipv6Addr = "fe80::a".parse().unwrap();
        let json = to_vec(&(kinds, map, address, ("g", 2.5, within)), &Shout).unwrap();
        assert_eq!(
            String::from_utf8(json).unwrap(),
            r#"[["Unit",{"New":"A"},{"Tuple":[1,"B","z"]},{"Struct":{"quiet":"c","loud":"D"}}],"#.to_owned()
                + r#"{"k":["F","Ü\n\""],"quiet":["e"]},"FE80::A",["G",2.5,{"loud":{"X":1},"other":{"y":2}}]]"#
        );
    }
}
