//! Counts by the values of fields, numbered anew in each batch: adding up looks at numbers only, and what they stand for is
//! put together once for each.

use std::collections::HashMap;

use arrow::datatypes::UInt8Type;
use model::LogRecord;

use super::{Counter, Look, Source, TooMany};
use crate::{
    Result,
    arrays::{Dictionary, at, primitive},
    attrs,
};

/// Distinct values, of all fields together, that are counted in a table; more are counted in a map.
const TABLE: usize = 1 << 12;
/// Numbers of values that are looked up in a table.
const SMALL: usize = 1 << 10;

/// The values of one field in a batch, numbered.
pub(super) struct Values {
    /// Of each row.
    numbers: Vec<u32>,
    /// A row that has it, for each number.
    rows: Vec<usize>,
}

impl Values {
    pub(super) fn of(look: &Look<'_>, source: &Source<'_>) -> Result<Self> {
        let (file, batch) = (&look.inner.file, look.batch);
        Ok(match source {
            Source::SeverityNumber => {
                let a = primitive::<UInt8Type>(file, batch, "severity_number")?;
                Self::number(a.len(), |row| at(a, row).map(u64::from))
            }
            Source::SeverityText => {
                let d = Dictionary::of(file, batch, "severity_text")?;
                Self::number(batch.num_rows(), |row| d.key(row).map(|k| k as u64))
            }
            Source::Attribute(c) => {
                let column = attrs::Read::of(file, batch, c)?;
                Self::number(batch.num_rows(), |row| column.bits(row))
            }
        })
    }

    fn number(rows: usize, value: impl Fn(usize) -> Option<u64>) -> Self {
        // Values that are small numbers, as those of dictionaries are, and others.
        let (mut small, mut large) = (vec![u32::MAX; SMALL], HashMap::new());
        let mut out = Values { numbers: Vec::with_capacity(rows), rows: Vec::new() };
        for row in 0..rows {
            let v = value(row);
            let place = v.map_or(0, |v| v.saturating_add(1));
            let next = out.rows.len() as u32;
            let number = match small.get_mut(place as usize) {
                Some(number) => number,
                None => large.entry(v).or_insert(u32::MAX),
            };
            if *number == u32::MAX {
                *number = next;
                out.rows.push(row);
            }
            out.numbers.push(*number);
        }
        out
    }
}

/// Counts of one stream and piece by the values of the fields, as one number.
pub(super) struct Tally {
    table: Vec<(u64, u64)>,
    /// Numbers in the table that are not zero.
    used: Vec<u64>,
    map: HashMap<u64, (u64, u64)>,
    /// What the counter calls a number, once it is known.
    looks: HashMap<u64, u32>,
}

impl Tally {
    pub(super) fn new(values: &[Values]) -> Self {
        let ways = values.iter().map(|v| v.rows.len().max(1)).fold(1usize, usize::saturating_mul);
        let table = if ways <= TABLE { vec![(0, 0); ways] } else { Vec::new() };
        Tally { table, used: Vec::new(), map: HashMap::new(), looks: HashMap::new() }
    }

    pub(super) fn add(&mut self, row: usize, values: &[Values], bytes: u64) {
        let mut number = 0u64;
        for v in values {
            let own = v.numbers.get(row).copied().unwrap_or(0);
            number = number.wrapping_mul(v.rows.len() as u64).wrapping_add(u64::from(own));
        }
        let slot = match self.table.get_mut(number as usize) {
            Some(slot) => {
                if slot.0 == 0 {
                    self.used.push(number);
                }
                slot
            }
            None => self.map.entry(number).or_default(),
        };
        slot.0 += 1;
        slot.1 += bytes;
    }

    pub(super) fn flush(
        &mut self,
        counter: &mut Counter,
        stream: u32,
        piece: u32,
        look: &Look<'_>,
        values: &[Values],
    ) -> std::result::Result<(), TooMany> {
        let known = &mut self.looks;
        let mut put = |number: u64, (count, bytes): (u64, u64)| {
            let seen = *known.entry(number).or_insert_with(|| counter.look(look.record(number, values)));
            counter.put(stream, seen, piece, count, bytes)
        };
        for number in self.used.drain(..) {
            if let Some(slot) = self.table.get_mut(number as usize) {
                put(number, std::mem::take(slot))?;
            }
        }
        self.map.drain().try_for_each(|(number, sum)| put(number, sum))
    }
}

impl Look<'_> {
    /// The record that a number of values stands for.
    fn record(&self, mut number: u64, values: &[Values]) -> LogRecord {
        let mut record = LogRecord::default();
        for (source, v) in self.sources.iter().zip(values).rev() {
            let ways = v.rows.len().max(1) as u64;
            if let Some(row) = v.rows.get((number % ways) as usize) {
                self.take(source, *row, &mut record);
            }
            number /= ways;
        }
        record.attributes.0.reverse();
        record
    }

    /// Gives a record the value that a field has in a row. Columns were found before.
    fn take(&self, source: &Source<'_>, row: usize, record: &mut LogRecord) {
        let (file, batch) = (&self.inner.file, self.batch);
        match source {
            Source::SeverityNumber => {
                let column = primitive::<UInt8Type>(file, batch, "severity_number");
                record.severity_number = column.ok().and_then(|a| at(a, row)).unwrap_or(0);
            }
            Source::SeverityText => {
                let column = Dictionary::of(file, batch, "severity_text");
                record.severity_text =
                    column.ok().and_then(|d| d.get(row)).map(str::to_owned).unwrap_or_default();
            }
            Source::Attribute(c) => {
                if let Some(v) = attrs::Read::of(file, batch, c).ok().and_then(|column| column.get(row)) {
                    record.attributes.push(c.key.as_str(), v);
                }
            }
        }
    }
}
