//! The series of a unit's metrics, apart from the unit (version 3 of it): a log that holds the same series many
//! times gives each a number once and names them by it from then on.
//!
//! ```text
//! table  := entry ... to its end: one for each series of the metrics batch, in order
//! entry  := varint (zigzag(number - previous - 1) << 2 | kind), then by kind
//!           0 REFERENCE   nothing: the series that the number was given to
//!           1 DEFINITION  series: from now on the number is its
//!           2 BARE        series: it has no number, and the one before stays "previous"
//! series := as in a metrics batch of version 2 (`metrics`), compared with the one written out before it in the
//!           table; strings become symbols of the table
//! ```
//! "previous" is -1 for the first. Numbers belong to a tenant, and last until [`SeriesByNumber::forget`].

use std::{collections::HashMap, hash::BuildHasherDefault};

use base::hash::AsIs;
use model::{Labels, TenantId, labels::BytesIter};

use super::{
    NativeError,
    metrics::{decode_series, encode_series},
    reader::Reader,
    writer::Writer,
};

const REFERENCE: u64 = 0;
const DEFINITION: u64 = 1;
const BARE: u64 = 2;

/// How a series stands in a table.
#[derive(Debug, Clone, Copy)]
pub enum Entry<'a> {
    /// Its number, given earlier.
    Reference(u32),
    /// From now on the number is its.
    Definition(u32, &'a Labels),
    /// It has no number.
    Bare(&'a Labels),
}

/// Writes the table of a metrics batch.
pub fn encode_table<'a>(entries: impl ExactSizeIterator<Item = Entry<'a>>) -> Vec<u8> {
    let mut w = Writer::with_capacity(entries.len() + 16);
    let mut before = BytesIter::default();
    let mut previous = -1i64;
    for entry in entries {
        let (number, kind, labels) = match entry {
            Entry::Reference(number) => (i64::from(number), REFERENCE, None),
            Entry::Definition(number, labels) => (i64::from(number), DEFINITION, Some(labels)),
            Entry::Bare(labels) => (previous + 1, BARE, Some(labels)),
        };
        let step = number - previous - 1;
        w.varint((((step << 1) ^ (step >> 63)) as u64) << 2 | kind);
        if let Some(labels) = labels {
            encode_series(&mut w, labels, before);
            before = labels.iter_bytes();
        }
        if kind != BARE {
            previous = number;
        }
    }
    w.finish()
}

/// The series that numbers were given to, by tenant.
#[derive(Debug, Default)]
pub struct SeriesByNumber(HashMap<TenantId, Numbered>);

type Numbered = HashMap<u32, Labels, BuildHasherDefault<AsIs>>;

impl SeriesByNumber {
    /// All numbers are free again.
    pub fn forget(&mut self) {
        self.0.clear();
    }
}

/// A unit, and whether all of its series are known.
#[derive(Debug)]
pub struct Apart {
    pub unit: super::Unit,
    /// A number that nothing before gave to a series; label sets of such series are empty. Metrics of the unit
    /// are of no use then.
    pub missing: Option<u32>,
}

/// The series of a table.
pub(super) struct Table {
    pub(super) series: Vec<Labels>,
    /// A number that was given to none. The label set of its series is empty.
    pub(super) missing: Option<u32>,
}

pub(super) fn decode_table(
    table: &[u8],
    tenant: &TenantId,
    known: &mut SeriesByNumber,
) -> Result<Table, NativeError> {
    let mut out = Table { series: Vec::new(), missing: None };
    if table.is_empty() {
        return Ok(out);
    }
    let known = known.0.entry(tenant.clone()).or_default();
    let mut r = Reader::new(table);
    let mut pairs = Vec::new();
    let mut previous = -1i64;
    while !r.is_empty() {
        let v = r.varint("series entry")?;
        let (kind, step) = (v & 3, (v >> 3) as i64 ^ -((v >> 2 & 1) as i64));
        let number = previous.checked_add(1).and_then(|n| n.checked_add(step));
        let number = number.and_then(|n| u32::try_from(n).ok());
        let number = number.ok_or_else(|| r.invalid("series number", "it does not fit 32 bits"))?;
        let labels = match kind {
            REFERENCE => known.get(&number).cloned().unwrap_or_else(|| {
                out.missing.get_or_insert(number);
                Labels::default()
            }),
            DEFINITION => {
                let labels = decode_series(&mut r, &mut pairs)?;
                known.insert(number, labels.clone());
                labels
            }
            BARE => decode_series(&mut r, &mut pairs)?,
            other => return Err(r.invalid("series entry", format!("kind {other} is not known"))),
        };
        out.series.push(labels);
        if kind != BARE {
            previous = i64::from(number);
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests;
