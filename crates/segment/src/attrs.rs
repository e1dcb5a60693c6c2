//! Attributes as columns: frequent keys get a typed column each, the others share one of typed JSON.
//!
//! ```text
//! a_<key>            text | i64 | f64 | bool   the key's first value in the row, where it has the column's type
//! attributes_rest    text                      all other pairs, in order, as a JSON object ([`crate::text`])
//! attributes_order   text                      null where the pairs were in the order of the columns and then
//!                                              the rest; else their order: column numbers and "r", by spaces
//! ```
//! The schema belongs to one segment, so the same key may be text in one and a number in the next. Pairs come
//! back in the order they were written, keys given twice included.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use arrow::{
    array::{
        Array, ArrayRef, AsArray, BooleanBuilder, Float64Builder, Int64Builder, RecordBatch, StringBuilder,
        StringDictionaryBuilder,
    },
    datatypes::{DataType, Field, Float64Type, Int32Type, Int64Type},
};
use model::{AnyValue, Attributes};
use serde::{Deserialize, Serialize};

use crate::{
    Error, Result,
    arrays::{Dictionary, column, primitive, str_at, strings},
    file::File,
    text,
};

/// A key on at most one row in this many stays in the shared column.
const RARE: usize = 100;
/// Attribute columns at most; each costs footer bytes whatever it holds.
const MAX_COLUMNS: usize = 200;

pub(crate) const REST: &str = "attributes_rest";
pub(crate) const ORDER: &str = "attributes_order";

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Sort {
    Text,
    Int,
    Float,
    Bool,
}

impl Sort {
    fn of(v: &AnyValue) -> Option<Self> {
        match v {
            AnyValue::String(_) => Some(Sort::Text),
            AnyValue::Int(_) => Some(Sort::Int),
            AnyValue::Double(_) => Some(Sort::Float),
            AnyValue::Bool(_) => Some(Sort::Bool),
            _ => None,
        }
    }

    fn data_type(self) -> DataType {
        match self {
            Sort::Text => DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
            Sort::Int => DataType::Int64,
            Sort::Float => DataType::Float64,
            Sort::Bool => DataType::Boolean,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AttributeColumn {
    pub key: String,
    pub sort: Sort,
}

impl AttributeColumn {
    pub fn name(&self) -> String {
        format!("a_{}", self.key)
    }
}

/// The attribute columns of a segment, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub columns: Vec<AttributeColumn>,
}

#[derive(Default)]
struct Seen {
    rows: usize,
    positions: usize,
}

impl Plan {
    pub fn of<'a>(rows: impl Iterator<Item = &'a Attributes>) -> Self {
        let mut seen: BTreeMap<(&str, Sort), Seen> = BTreeMap::new();
        let mut total = 0usize;
        for attributes in rows {
            total += 1;
            for (position, (k, v)) in attributes.iter().enumerate() {
                if let Some(sort) = Sort::of(v) {
                    let s = seen.entry((k, sort)).or_default();
                    s.rows += 1;
                    s.positions += position;
                }
            }
        }
        Self::choose(seen, total)
    }

    /// For the rows of several segments together, each with its plan and their number.
    pub fn merged<'a>(of: impl Iterator<Item = (&'a Plan, usize)>) -> Self {
        let mut seen: BTreeMap<(&str, Sort), Seen> = BTreeMap::new();
        let mut total = 0usize;
        for (plan, rows) in of {
            total += rows;
            for (position, c) in plan.columns.iter().enumerate() {
                let s = seen.entry((&c.key, c.sort)).or_default();
                s.rows += rows;
                s.positions += position.saturating_mul(rows);
            }
        }
        Self::choose(seen, total)
    }

    fn choose(seen: BTreeMap<(&str, Sort), Seen>, total: usize) -> Self {
        let mut by_key: BTreeMap<&str, (Sort, Seen)> = BTreeMap::new();
        for ((key, sort), s) in seen {
            if by_key.get(key).is_none_or(|(_, best)| best.rows < s.rows) {
                by_key.insert(key, (sort, s));
            }
        }
        let mut chosen: Vec<(&str, Sort, Seen)> = by_key
            .into_iter()
            .filter(|(_, (_, s))| s.rows.saturating_mul(RARE) > total)
            .map(|(k, (sort, s))| (k, sort, s))
            .collect();
        chosen.sort_by(|a, b| b.2.rows.cmp(&a.2.rows).then(a.0.cmp(b.0)));
        chosen.truncate(MAX_COLUMNS);
        // In order of their usual place, so that most rows need no order of their own. Compared as fractions.
        let place = |s: &Seen, of: &Seen| s.positions as u128 * of.rows as u128;
        chosen.sort_by(|a, b| place(&a.2, &b.2).cmp(&place(&b.2, &a.2)).then(a.0.cmp(b.0)));
        let columns =
            chosen.into_iter().map(|(k, sort, _)| AttributeColumn { key: k.to_owned(), sort }).collect();
        Plan { columns }
    }

    pub fn fields(&self) -> Vec<Field> {
        let mut fields: Vec<Field> =
            self.columns.iter().map(|c| Field::new(c.name(), c.sort.data_type(), true)).collect();
        fields.push(Field::new(REST, DataType::Utf8, true));
        let text = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        fields.push(Field::new(ORDER, text, true));
        fields
    }

    pub fn names(&self) -> impl Iterator<Item = String> + '_ {
        self.columns.iter().map(AttributeColumn::name).chain([REST.to_owned(), ORDER.to_owned()])
    }
}

enum Builder {
    Text(StringDictionaryBuilder<Int32Type>),
    Int(Int64Builder),
    Float(Float64Builder),
    Bool(BooleanBuilder),
}

impl Builder {
    fn new(sort: Sort) -> Self {
        match sort {
            Sort::Text => Builder::Text(StringDictionaryBuilder::new()),
            Sort::Int => Builder::Int(Int64Builder::new()),
            Sort::Float => Builder::Float(Float64Builder::new()),
            Sort::Bool => Builder::Bool(BooleanBuilder::new()),
        }
    }

    /// A value of another type becomes null; the caller puts it into the rest.
    fn append(&mut self, v: Option<&AnyValue>) {
        match (self, v) {
            (Builder::Text(b), Some(AnyValue::String(s))) => b.append_value(s),
            (Builder::Int(b), Some(AnyValue::Int(i))) => b.append_value(*i),
            (Builder::Float(b), Some(AnyValue::Double(d))) => b.append_value(*d),
            (Builder::Bool(b), Some(AnyValue::Bool(x))) => b.append_value(*x),
            (Builder::Text(b), _) => b.append_null(),
            (Builder::Int(b), _) => b.append_null(),
            (Builder::Float(b), _) => b.append_null(),
            (Builder::Bool(b), _) => b.append_null(),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Builder::Text(b) => Arc::new(b.finish()),
            Builder::Int(b) => Arc::new(b.finish()),
            Builder::Float(b) => Arc::new(b.finish()),
            Builder::Bool(b) => Arc::new(b.finish()),
        }
    }
}

/// Collects the attributes of rows.
pub(crate) struct Builders {
    plan: Plan,
    by_key: BTreeMap<String, usize>,
    columns: Vec<Builder>,
    rest: StringBuilder,
    order: StringDictionaryBuilder<Int32Type>,
}

impl Builders {
    pub fn new(plan: &Plan) -> Self {
        Builders {
            by_key: plan.columns.iter().enumerate().map(|(i, c)| (c.key.clone(), i)).collect(),
            columns: plan.columns.iter().map(|c| Builder::new(c.sort)).collect(),
            rest: StringBuilder::new(),
            order: StringDictionaryBuilder::new(),
            plan: plan.clone(),
        }
    }

    pub fn push(&mut self, attributes: &Attributes) -> Result<()> {
        if self.push_usual(attributes) {
            return Ok(());
        }
        let mut taken: Vec<Option<&AnyValue>> = vec![None; self.columns.len()];
        let mut places: Vec<Option<usize>> = Vec::with_capacity(attributes.len());
        let mut rest: Vec<(&str, &AnyValue)> = Vec::new();
        for (k, v) in attributes.iter() {
            let fits = self.by_key.get(k).copied().filter(|i| {
                self.plan.columns.get(*i).is_some_and(|c| Sort::of(v) == Some(c.sort))
                    && taken.get(*i).is_some_and(Option::is_none)
            });
            match fits.and_then(|i| taken.get_mut(i)) {
                Some(slot) => *slot = Some(v),
                None => rest.push((k, v)),
            }
            places.push(fits);
        }
        // Columns ascending and then the rest: `None` sorts last here.
        let usual = places.is_sorted_by_key(|p| p.unwrap_or(usize::MAX));
        self.order.append_option((!usual).then(|| write_order(&places)));
        let rest = if rest.is_empty() { None } else { Some(text::encode_pairs(rest.into_iter())?) };
        self.rest.append_option(rest);
        self.columns.iter_mut().zip(taken).for_each(|(b, v)| b.append(v));
        Ok(())
    }

    /// Adds a row whose pairs are exactly the columns in their order, as most rows of one program are; otherwise nothing.
    fn push_usual(&mut self, attributes: &Attributes) -> bool {
        let usual = attributes.len() == self.plan.columns.len()
            && attributes
                .iter()
                .zip(&self.plan.columns)
                .all(|((k, v), c)| k == c.key && Sort::of(v) == Some(c.sort));
        if usual {
            self.order.append_null();
            self.rest.append_null();
            self.columns.iter_mut().zip(attributes.iter()).for_each(|(b, (_, v))| b.append(Some(v)));
        }
        usual
    }

    /// Arrays in the order of [`Plan::fields`].
    pub fn finish(&mut self) -> Vec<ArrayRef> {
        let mut out: Vec<ArrayRef> = self.columns.iter_mut().map(Builder::finish).collect();
        out.push(Arc::new(self.rest.finish()));
        out.push(Arc::new(self.order.finish()));
        out
    }
}

fn write_order(places: &[Option<usize>]) -> String {
    let words: Vec<String> =
        places.iter().map(|p| p.map_or_else(|| "r".to_owned(), |i| i.to_string())).collect();
    words.join(" ")
}

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
