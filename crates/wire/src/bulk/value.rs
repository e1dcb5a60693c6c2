//! A document's JSON as attributes, types kept: whole numbers, fractions, texts, booleans, lists and objects.

use std::{cell::Cell, collections::HashSet, fmt};

use model::{AnyValue, Attributes};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// How deep a document may nest.
pub(super) const MAX_DEPTH: usize = 64;
/// Objects with more keys than this are searched for doubled keys by hash.
const FEW_KEYS: usize = 16;

/// Reads one object. Of the result `kept` is what to do with its fields.
pub(super) fn object(line: &[u8]) -> Result<Attributes, String> {
    let mut d = serde_json::Deserializer::from_slice(line);
    let nesting = Cell::new(0);
    let value = Seed(&nesting).deserialize(&mut d).map_err(|e| e.to_string())?;
    d.end().map_err(|e| e.to_string())?;
    match value {
        AnyValue::Map(m) => Ok(m),
        other => Err(format!("a document must be an object, not {}", other.type_name())),
    }
}

struct Seed<'a>(&'a Cell<usize>);

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = AnyValue;

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<AnyValue, D::Error> {
        d.deserialize_any(self)
    }
}

impl Seed<'_> {
    fn enter<E: Error>(&self) -> Result<(), E> {
        self.0.set(self.0.get() + 1);
        if self.0.get() > MAX_DEPTH {
            return Err(E::custom(format!("nested deeper than {MAX_DEPTH}")));
        }
        Ok(())
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = AnyValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<AnyValue, E> {
        Ok(AnyValue::Empty)
    }

    fn visit_bool<E>(self, v: bool) -> Result<AnyValue, E> {
        Ok(AnyValue::Bool(v))
    }

    fn visit_i64<E>(self, v: i64) -> Result<AnyValue, E> {
        Ok(AnyValue::Int(v))
    }

    fn visit_u64<E>(self, v: u64) -> Result<AnyValue, E> {
        // Nothing holds the upper half exactly.
        Ok(i64::try_from(v).map_or(AnyValue::Double(v as f64), AnyValue::Int))
    }

    fn visit_f64<E>(self, v: f64) -> Result<AnyValue, E> {
        Ok(AnyValue::Double(v))
    }

    fn visit_str<E>(self, v: &str) -> Result<AnyValue, E> {
        Ok(AnyValue::String(v.to_owned()))
    }

    fn visit_string<E>(self, v: String) -> Result<AnyValue, E> {
        Ok(AnyValue::String(v))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<AnyValue, A::Error> {
        self.enter()?;
        let mut out = Vec::new();
        while let Some(v) = seq.next_element_seed(Seed(self.0))? {
            out.push(v);
        }
        self.0.set(self.0.get() - 1);
        Ok(AnyValue::Array(out))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<AnyValue, A::Error> {
        self.enter()?;
        let mut out = Attributes::default();
        while let Some(key) = map.next_key::<String>()? {
            let value = map.next_value_seed(Seed(self.0))?;
            out.0.push((key, value));
        }
        self.0.set(self.0.get() - 1);
        match doubled(&out) {
            Some(key) => {
                let key: String = key.chars().take(80).collect();
                Err(A::Error::custom(format!("duplicate field {key:?}")))
            }
            None => Ok(AnyValue::Map(out)),
        }
    }
}

fn doubled(all: &Attributes) -> Option<&str> {
    if all.len() <= FEW_KEYS {
        let twice =
            |(i, (k, _)): &(usize, (&str, &AnyValue))| all.iter().take(*i).any(|(other, _)| other == *k);
        return all.iter().enumerate().find(twice).map(|(_, (k, _))| k);
    }
    let mut seen = HashSet::with_capacity(all.len());
    all.iter().map(|(k, _)| k).find(|k| !seen.insert(*k))
}

/// The value of a field named with dots, whether the document nests it or writes the dots.
pub fn find<'a>(all: &'a Attributes, path: &str) -> Option<&'a AnyValue> {
    if let Some(v) = all.get(path) {
        return Some(v);
    }
    path.match_indices('.').find_map(|(at, _)| match all.get(path.get(..at)?)? {
        AnyValue::Map(inner) => find(inner, path.get(at + 1..)?),
        _ => None,
    })
}
