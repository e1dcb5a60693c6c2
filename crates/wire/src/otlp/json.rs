//! OTLP/JSON (`opentelemetry.io/docs/specs/otlp` → "JSON Protobuf Encoding") straight into the generated
//! messages, without a tree in between:
//!
//! ```text
//! keys        lowerCamelCase only; unknown ones are skipped
//! integers    number or decimal string             ids     hex, not base64
//! enums       number, or the name                  null    the field's default
//! ```
//! Nesting is bounded by serde_json at 128 brackets.

mod messages;
mod scalar;
pub(super) mod write;

use std::fmt;

use serde::{
    Deserializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

pub(crate) use self::scalar::{Base64, Scalar};
pub(super) use self::scalar::{Enum, Hex};

/// Reads one message that fills the whole body.
pub(crate) fn decode<M: Message>(body: &[u8]) -> Result<M, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let mut message = M::default();
    Fill(&mut message).deserialize(&mut json)?;
    json.end()?;
    Ok(message)
}

/// A protobuf message that knows its JSON keys.
pub(crate) trait Message: Default {
    /// Reads the value of `key` from `map`. `false` where the key is unknown and nothing was read.
    fn field<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error>;
}

/// Fills a message from an object.
struct Fill<'a, M>(&'a mut M);

impl<'de, M: Message> DeserializeSeed<'de> for Fill<'_, M> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        d.deserialize_any(self)
    }
}

impl<'de, M: Message> Visitor<'de> for Fill<'_, M> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Key(key)) = map.next_key()? {
            if !self.0.field(&key, &mut map)? {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

/// An object key; the keys of OTLP hold no escapes, so it is nearly always borrowed.
struct Key<'a>(std::borrow::Cow<'a, str>);

impl<'de: 'a, 'a> serde::Deserialize<'de> for Key<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E>(self, s: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(s.into()))
            }

            fn visit_str<E>(self, s: &str) -> Result<Key<'de>, E> {
                Ok(Key(s.to_owned().into()))
            }
        }
        d.deserialize_str(V)
    }
}

/// Appends the messages of an array.
struct Each<'a, M>(&'a mut Vec<M>);

impl<'de, M: Message> DeserializeSeed<'de> for Each<'_, M> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        d.deserialize_any(self)
    }
}

impl<'de, M: Message> Visitor<'de> for Each<'_, M> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of objects")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        loop {
            let mut message = M::default();
            if seq.next_element_seed(Fill(&mut message))?.is_none() {
                return Ok(());
            }
            self.0.push(message);
        }
    }
}

/// Appends the scalars of an array.
struct EachScalar<'a, T>(&'a mut Vec<T>);

impl<'de, T: Scalar> DeserializeSeed<'de> for EachScalar<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        d.deserialize_any(self)
    }
}

impl<'de, T: Scalar> Visitor<'de> for EachScalar<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of numbers")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(v) = seq.next_element_seed(scalar::Read::<T>::new())? {
            self.0.push(v);
        }
        Ok(())
    }
}

/// A message field.
fn message<'de, A: MapAccess<'de>, M: Message>(map: &mut A, slot: &mut Option<M>) -> Result<(), A::Error> {
    map.next_value_seed(Fill(slot.get_or_insert_default()))
}

/// A repeated message field.
fn messages<'de, A: MapAccess<'de>, M: Message>(map: &mut A, slot: &mut Vec<M>) -> Result<(), A::Error> {
    map.next_value_seed(Each(slot))
}

/// A message of its own, for members of a `oneof`.
fn fresh<'de, A: MapAccess<'de>, M: Message>(map: &mut A) -> Result<M, A::Error> {
    let mut message = M::default();
    map.next_value_seed(Fill(&mut message))?;
    Ok(message)
}

/// A scalar of any kind.
fn scalar<'de, A: MapAccess<'de>, T: Scalar>(map: &mut A) -> Result<T, A::Error> {
    map.next_value_seed(scalar::Read::new())
}

/// A repeated scalar field.
fn scalars<'de, A: MapAccess<'de>, T: Scalar>(map: &mut A, slot: &mut Vec<T>) -> Result<(), A::Error> {
    map.next_value_seed(EachScalar(slot))
}
