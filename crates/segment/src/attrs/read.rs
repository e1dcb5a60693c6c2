//! Columns and typed JSON to attributes.

use std::collections::BTreeSet;

use arrow::{
    array::{Array, AsArray, RecordBatch},
    datatypes::{Float64Type, Int64Type},
};
use model::{AnyValue, Attributes};

use super::{AttributeColumn, ORDER, Plan, REST, Sort};
use crate::{
    Error, Result,
    arrays::{Dictionary, column, primitive, str_at, strings},
    file::File,
    text,
};

pub(crate) enum Column<'a> {
    Text(Dictionary<'a>),
    Int(&'a arrow::array::Int64Array),
    Float(&'a arrow::array::Float64Array),
    Bool(&'a arrow::array::BooleanArray),
}

impl<'a> Column<'a> {
    pub fn of(file: &File, batch: &'a RecordBatch, c: &AttributeColumn) -> Result<Self> {
        let name = c.name();
        Ok(match c.sort {
            Sort::Text => Column::Text(Dictionary::of(file, batch, &name)?),
            Sort::Int => Column::Int(primitive::<Int64Type>(file, batch, &name)?),
            Sort::Float => Column::Float(primitive::<Float64Type>(file, batch, &name)?),
            Sort::Bool => {
                let array = column(file, batch, &name)?.as_boolean_opt();
                Column::Bool(array.ok_or_else(|| file.corrupt(format!("column {name} to hold booleans")))?)
            }
        })
    }

    /// A number for the value, equal for equal values of this batch.
    pub fn bits(&self, row: usize) -> Option<u64> {
        match self {
            Column::Text(d) => d.key(row).map(|k| k as u64),
            Column::Int(a) => crate::arrays::at(a, row).map(|v| v as u64),
            Column::Float(a) => crate::arrays::at(a, row).map(f64::to_bits),
            Column::Bool(a) => (row < a.len() && a.is_valid(row)).then(|| u64::from(a.value(row))),
        }
    }

    pub fn get(&self, row: usize) -> Option<AnyValue> {
        match self {
            Column::Text(d) => d.get(row).map(AnyValue::from),
            Column::Int(a) => crate::arrays::at(a, row).map(AnyValue::Int),
            Column::Float(a) => crate::arrays::at(a, row).map(AnyValue::Double),
            Column::Bool(a) => (row < a.len() && a.is_valid(row)).then(|| AnyValue::Bool(a.value(row))),
        }
    }
}

/// The attributes of all rows of a batch.
pub(crate) fn decode(file: &File, plan: &Plan, batch: &RecordBatch) -> Result<Vec<Attributes>> {
    let columns =
        plan.columns.iter().map(|c| Ok((c, Column::of(file, batch, c)?))).collect::<Result<Vec<_>>>()?;
    let rest = strings(file, batch, REST)?;
    let order = Dictionary::of(file, batch, ORDER)?;
    (0..batch.num_rows())
        .map(|row| {
            let others = match str_at(rest, row) {
                Some(json) => text::decode_pairs(json).map_err(|e| file.corrupt(format!("{REST}: {e}")))?,
                None => Attributes::default(),
            };
            let value = |i: usize| {
                let (c, column) = columns.get(i)?;
                Some((c.key.clone(), column.get(row)?))
            };
            match order.get(row) {
                None => {
                    let mut pairs: Vec<_> = (0..columns.len()).filter_map(value).collect();
                    pairs.extend(others.0);
                    Ok(Attributes(pairs))
                }
                Some(words) => ordered(words, value, others).ok_or_else(|| bad_order(file, words)),
            }
        })
        .collect()
}

fn bad_order(file: &File, words: &str) -> Error {
    file.corrupt(format!("{ORDER} to name columns and rest of its row, not {words:?}"))
}

fn ordered(
    words: &str,
    value: impl Fn(usize) -> Option<(String, AnyValue)>,
    others: Attributes,
) -> Option<Attributes> {
    let mut others = others.0.into_iter();
    let pairs = words
        .split(' ')
        .map(|w| if w == "r" { others.next() } else { value(w.parse().ok()?) })
        .collect::<Option<Vec<_>>>()?;
    others.next().is_none().then_some(Attributes(pairs))
}

/// The attributes of all rows of a batch that have one of these keys, in their order.
pub(crate) fn decode_some(
    file: &File,
    plan: &Plan,
    batch: &RecordBatch,
    keys: &BTreeSet<String>,
) -> Result<Vec<Attributes>> {
    if keys.is_empty() {
        return Ok(vec![Attributes::default(); batch.num_rows()]);
    }
    let columns: Vec<Option<Column<'_>>> = plan
        .columns
        .iter()
        .map(|c| keys.contains(&c.key).then(|| Column::of(file, batch, c)).transpose())
        .collect::<Result<_>>()?;
    let rest = strings(file, batch, REST)?;
    let order = Dictionary::of(file, batch, ORDER)?;
    let value = |i: usize, row: usize| {
        let (c, column) = (plan.columns.get(i)?, columns.get(i)?.as_ref()?);
        Some((c.key.clone(), column.get(row)?))
    };
    (0..batch.num_rows())
        .map(|row| {
            let json = str_at(rest, row).filter(|json| keys.iter().any(|k| may_have(json, k)));
            let others = json.map(text::decode_pairs).transpose();
            let others = others.map_err(|e| file.corrupt(format!("{REST}: {e}")))?.unwrap_or_default();
            let mut others = others.0.into_iter();
            let mut pairs = Vec::new();
            match order.get(row) {
                None => {
                    pairs.extend((0..columns.len()).filter_map(|i| value(i, row)));
                    pairs.extend(others);
                }
                Some(words) => pairs.extend(words.split(' ').filter_map(|w| match w {
                    "r" => others.next(),
                    i => value(i.parse().ok()?, row),
                })),
            }
            pairs.retain(|(k, _)| keys.contains(k));
            Ok(Attributes(pairs))
        })
        .collect()
}

/// Whether typed JSON can have a pair with this key somewhere.
pub(crate) fn may_have(json: &str, key: &str) -> bool {
    // Whatever is written otherwise than it is has to be looked at.
    let plain = key.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\');
    !plain || json.contains(key)
}

/// Values of one key in a batch that has its column (if it is one of the plan) and the rest, as text.
pub(crate) fn values_of(
    file: &File,
    plan: &Plan,
    batch: &RecordBatch,
    key: &str,
    mut f: impl FnMut(String),
) -> Result<()> {
    if let Some(c) = plan.columns.iter().find(|c| c.key == key) {
        match Column::of(file, batch, c)? {
            Column::Text(d) => {
                let keys: BTreeSet<usize> = (0..batch.num_rows()).filter_map(|row| d.key(row)).collect();
                keys.into_iter().filter_map(|k| d.value(k)).for_each(|v| f(v.to_owned()));
            }
            other => (0..batch.num_rows()).filter_map(|row| other.get(row)).for_each(|v| f(v.to_string())),
        }
    }
    let rest = strings(file, batch, REST)?;
    for json in (0..batch.num_rows()).filter_map(|row| str_at(rest, row)) {
        let pairs = text::decode_pairs(json).map_err(|e| file.corrupt(format!("{REST}: {e}")))?;
        pairs.iter().filter(|(k, _)| *k == key).for_each(|(_, v)| f(v.to_string()));
    }
    Ok(())
}
