//! Maps as columns. Of a key that is there twice the first counts, as everywhere.

use std::{collections::HashSet, sync::Arc};

use datafusion::arrow::{
    array::{ArrayRef, Float64Builder, MapBuilder, MapFieldNames, StringBuilder},
    datatypes::{DataType, Field, Fields},
};
use model::{AnyValue, Attributes, Labels};

use crate::Error;

/// A column of maps from text to `value`.
pub(crate) fn field(name: &str, value: DataType) -> Field {
    let entry =
        Fields::from(vec![Field::new("key", DataType::Utf8, false), Field::new("value", value, true)]);
    let entries = Field::new("entries", DataType::Struct(entry), false);
    Field::new(name, DataType::Map(Arc::new(entries), false), false)
}

fn names() -> MapFieldNames {
    MapFieldNames { entry: "entries".to_owned(), key: "key".to_owned(), value: "value".to_owned() }
}

pub(crate) fn labels<'a>(
    all: impl Iterator<Item = &'a Labels>,
    but: Option<&str>,
) -> Result<ArrayRef, Error> {
    let mut map = MapBuilder::new(Some(names()), StringBuilder::new(), StringBuilder::new());
    for labels in all {
        for (name, value) in labels.iter().filter(|(name, _)| Some(*name) != but) {
            map.keys().append_value(name);
            map.values().append_value(value);
        }
        map.append(true)?;
    }
    Ok(Arc::new(map.finish()))
}

/// Every value as text: texts as they are, everything else as JSON.
pub(crate) fn texts<'a>(all: impl Iterator<Item = &'a Attributes>) -> Result<ArrayRef, Error> {
    of_text(all, |value| match value {
        AnyValue::String(s) => std::borrow::Cow::Borrowed(s.as_str()),
        other => other.to_string().into(),
    })
}

/// The type of every value.
pub(crate) fn types<'a>(all: impl Iterator<Item = &'a Attributes>) -> Result<ArrayRef, Error> {
    of_text(all, |value| value.type_name().into())
}

fn of_text<'a>(
    all: impl Iterator<Item = &'a Attributes>,
    text: impl Fn(&AnyValue) -> std::borrow::Cow<'_, str>,
) -> Result<ArrayRef, Error> {
    let mut map = MapBuilder::new(Some(names()), StringBuilder::new(), StringBuilder::new());
    for attributes in all {
        each_once(attributes, |key, value| {
            map.keys().append_value(key);
            map.values().append_value(text(value));
        });
        map.append(true)?;
    }
    Ok(Arc::new(map.finish()))
}

/// Those values that are numbers. Whole ones beyond 2^53 are rounded; their text is exact.
pub(crate) fn numbers<'a>(all: impl Iterator<Item = &'a Attributes>) -> Result<ArrayRef, Error> {
    let mut map = MapBuilder::new(Some(names()), StringBuilder::new(), Float64Builder::new());
    for attributes in all {
        each_once(attributes, |key, value| {
            let number = match value {
                AnyValue::Int(i) => *i as f64,
                AnyValue::Double(d) => *d,
                _ => return,
            };
            map.keys().append_value(key);
            map.values().append_value(number);
        });
        map.append(true)?;
    }
    Ok(Arc::new(map.finish()))
}

/// Past this a set is faster than looking through what came before.
const FEW: usize = 16;

fn each_once(attributes: &Attributes, mut each: impl FnMut(&str, &AnyValue)) {
    let mut seen = HashSet::new();
    for (at, (key, value)) in attributes.iter().enumerate() {
        let is_first = match attributes.len() <= FEW {
            true => !attributes.iter().take(at).any(|(k, _)| k == key),
            false => seen.insert(key),
        };
        if is_first {
            each(key, value);
        }
    }
}
