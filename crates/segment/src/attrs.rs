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

mod read;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use arrow::{
    array::{ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, StringBuilder},
    datatypes::{DataType, Field},
};
use model::{AnyValue, Attributes};
use serde::{Deserialize, Serialize};

use crate::{Result, text};

pub(crate) use read::{Column as Read, decode, decode_some, may_have, values_of};

/// A key on at most one row in this many stays in the shared column.
const RARE: usize = 100;
/// Attribute columns at most; each costs footer bytes whatever it holds.
const MAX_COLUMNS: usize = 200;

/// Rows of which columns are chosen, spread over all.
const LOOKED_AT: usize = 8 << 10;

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
    /// Of many rows some stand for all.
    pub fn of<'a>(rows: impl ExactSizeIterator<Item = &'a Attributes>) -> Self {
        let mut seen: BTreeMap<(&str, Sort), Seen> = BTreeMap::new();
        let mut total = 0usize;
        let step = (rows.len() / LOOKED_AT).max(1);
        for attributes in rows.step_by(step) {
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

    /// The columns that [`decode_some`] reads for these keys.
    pub fn names_for(&self, keys: &BTreeSet<String>) -> Vec<String> {
        if keys.is_empty() {
            return Vec::new();
        }
        let own = self.columns.iter().filter(|c| keys.contains(&c.key)).map(AttributeColumn::name);
        own.chain([REST.to_owned(), ORDER.to_owned()]).collect()
    }

    /// The column of a key, if it has one.
    pub fn column(&self, key: &str) -> Option<&AttributeColumn> {
        self.columns.iter().find(|c| c.key == key)
    }
}

enum Builder {
    Text(StringBuilder),
    Int(Int64Builder),
    Float(Float64Builder),
    Bool(BooleanBuilder),
}

/// One column. Rows without a value are added when the next value comes, or at the end.
struct Column {
    key: String,
    builder: Builder,
    /// Rows that are there.
    rows: usize,
}

impl Column {
    fn new(c: &AttributeColumn) -> Self {
        let builder = match c.sort {
            Sort::Text => Builder::Text(StringBuilder::new()),
            Sort::Int => Builder::Int(Int64Builder::new()),
            Sort::Float => Builder::Float(Float64Builder::new()),
            Sort::Bool => Builder::Bool(BooleanBuilder::new()),
        };
        Column { key: c.key.clone(), builder, rows: 0 }
    }

    fn pad(&mut self, rows: usize) {
        let missing = rows.saturating_sub(self.rows);
        if missing > 0 {
            match &mut self.builder {
                Builder::Text(b) => b.append_nulls(missing),
                Builder::Int(b) => b.append_nulls(missing),
                Builder::Float(b) => b.append_nulls(missing),
                Builder::Bool(b) => b.append_nulls(missing),
            }
            self.rows = rows;
        }
    }

    /// Takes a value in for a row; false where it is of another type, or the row has one.
    fn take(&mut self, row: usize, v: &AnyValue) -> bool {
        let fits = matches!(
            (&self.builder, v),
            (Builder::Text(_), AnyValue::String(_))
                | (Builder::Int(_), AnyValue::Int(_))
                | (Builder::Float(_), AnyValue::Double(_))
                | (Builder::Bool(_), AnyValue::Bool(_))
        );
        if !fits || self.rows > row {
            return false;
        }
        self.pad(row);
        match (&mut self.builder, v) {
            (Builder::Text(b), AnyValue::String(s)) => b.append_value(s),
            (Builder::Int(b), AnyValue::Int(i)) => b.append_value(*i),
            (Builder::Float(b), AnyValue::Double(d)) => b.append_value(*d),
            (Builder::Bool(b), AnyValue::Bool(x)) => b.append_value(*x),
            _ => return false,
        }
        self.rows += 1;
        true
    }

    fn finish(&mut self, rows: usize) -> ArrayRef {
        self.pad(rows);
        self.rows = 0;
        match &mut self.builder {
            Builder::Text(b) => Arc::new(b.finish()),
            Builder::Int(b) => Arc::new(b.finish()),
            Builder::Float(b) => Arc::new(b.finish()),
            Builder::Bool(b) => Arc::new(b.finish()),
        }
    }
}

/// Collects the attributes of rows.
pub(crate) struct Builders {
    by_key: HashMap<String, usize>,
    columns: Vec<Column>,
    rest: StringBuilder,
    order: StringBuilder,
    rows: usize,
    /// Of the row under way, the column of each pair; `None`: in the rest.
    places: Vec<Option<usize>>,
    /// Keys of pairs in the rest.
    others: BTreeSet<String>,
}

impl Builders {
    pub fn new(plan: &Plan) -> Self {
        Builders {
            by_key: plan.columns.iter().enumerate().map(|(i, c)| (c.key.clone(), i)).collect(),
            columns: plan.columns.iter().map(Column::new).collect(),
            rest: StringBuilder::new(),
            order: StringBuilder::new(),
            rows: 0,
            places: Vec::new(),
            others: BTreeSet::new(),
        }
    }

    pub fn push(&mut self, attributes: &Attributes) -> Result<()> {
        let row = self.rows;
        self.places.clear();
        // Columns stand in the order that pairs usually have.
        let mut after = 0;
        let mut others = 0;
        for (k, v) in attributes.iter() {
            let place = self.column_of(k, after);
            if let Some(i) = place {
                after = i + 1;
            }
            let took = place.filter(|i| self.columns.get_mut(*i).is_some_and(|c| c.take(row, v)));
            if took.is_none() {
                others += 1;
                if !self.others.contains(k) {
                    self.others.insert(k.to_owned());
                }
            }
            self.places.push(took);
        }
        // Columns ascending and then the rest: `None` sorts last here.
        let usual = self.places.is_sorted_by_key(|p| p.unwrap_or(usize::MAX));
        match usual {
            true => self.order.append_null(),
            false => self.order.append_value(write_order(&self.places)),
        }
        if others == 0 {
            self.rest.append_null();
        } else {
            let pairs = attributes.iter().zip(&self.places).filter(|(_, place)| place.is_none());
            self.rest.append_value(text::encode_pairs(pairs.map(|(pair, _)| pair))?);
        }
        self.rows += 1;
        Ok(())
    }

    /// Keys of all pairs so far, sorted: every column was chosen for pairs that are there.
    pub fn keys(&self) -> BTreeSet<String> {
        self.others.iter().chain(self.by_key.keys()).cloned().collect()
    }

    /// The column of a key, looked for from one on first.
    fn column_of(&self, key: &str, from: usize) -> Option<usize> {
        /// Columns that are looked at before the key is looked up.
        const NEAR: usize = 6;
        let near = self.columns.iter().enumerate().skip(from).take(NEAR).find(|(_, c)| c.key == key);
        near.map(|(i, _)| i).or_else(|| self.by_key.get(key).copied())
    }

    /// Arrays in the order of [`Plan::fields`], texts as they are ([`crate::file::writer::plain`]).
    pub fn finish(&mut self) -> Vec<ArrayRef> {
        let rows = std::mem::take(&mut self.rows);
        let mut out: Vec<ArrayRef> = self.columns.iter_mut().map(|c| c.finish(rows)).collect();
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
