//! Record batches to log records.

use arrow::{
    array::{Array, AsArray, RecordBatch},
    datatypes::{TimestampNanosecondType, UInt8Type, UInt32Type},
};
use model::{AnyValue, LogRecord};

use super::{
    Layout,
    cut::{bodies::Bodies, cutter::Cut, sieve::Sieve, template::Table},
};
use crate::{
    Result,
    arrays::{Dictionary, at, column, primitive},
    attrs,
    file::File,
};

/// Columns a record is put together from.
pub(super) fn record_columns(layout: &Layout) -> Vec<String> {
    let own = [
        "ts",
        "observed",
        "stream",
        "severity_number",
        "severity_text",
        "trace_id",
        "span_id",
        "flags",
        "dropped",
        "event_name",
    ];
    let own = own.iter().chain(super::cut::bodies::columns(layout.cut));
    own.map(|name| (*name).to_owned()).chain(layout.attributes.names()).collect()
}

/// Which rows of a batch have a body that passes.
pub(super) fn passing(
    file: &File,
    templates: &Table,
    batch: &RecordBatch,
    line: &mut Sieve,
) -> Result<Vec<bool>> {
    line.passing(&Bodies::of(file, templates, batch)?)
}

/// The records of a batch, bodies that are cut left as they are beside the records.
pub(super) fn carried(
    file: &File,
    layout: &Layout,
    templates: &Table,
    batch: &RecordBatch,
) -> Result<Vec<(LogRecord, Option<Cut>)>> {
    let bodies = Bodies::of(file, templates, batch)?;
    let cuts = (0..batch.num_rows()).map(|row| bodies.cut(row));
    let records = put_together(file, layout, batch, &|row| bodies.uncut(row))?;
    Ok(records.into_iter().zip(cuts).collect())
}

/// The records of a batch; `stream` is the number in the segment's table.
pub(super) fn records(
    file: &File,
    layout: &Layout,
    templates: &Table,
    batch: &RecordBatch,
) -> Result<Vec<LogRecord>> {
    let bodies = Bodies::of(file, templates, batch)?;
    put_together(file, layout, batch, &|row| bodies.value(row))
}

fn put_together(
    file: &File,
    layout: &Layout,
    batch: &RecordBatch,
    body: &dyn Fn(usize) -> Result<AnyValue>,
) -> Result<Vec<LogRecord>> {
    let ts = primitive::<TimestampNanosecondType>(file, batch, "ts")?;
    let observed = primitive::<TimestampNanosecondType>(file, batch, "observed")?;
    let stream = primitive::<UInt32Type>(file, batch, "stream")?;
    let severity_number = primitive::<UInt8Type>(file, batch, "severity_number")?;
    let severity_text = Dictionary::of(file, batch, "severity_text")?;
    let trace_id = Ids::<16>::of(file, batch, "trace_id")?;
    let span_id = Ids::<8>::of(file, batch, "span_id")?;
    let flags = primitive::<UInt32Type>(file, batch, "flags")?;
    let dropped = primitive::<UInt32Type>(file, batch, "dropped")?;
    let event_name = Dictionary::of(file, batch, "event_name")?;
    let attributes = attrs::decode(file, &layout.attributes, batch)?;
    let text = |d: &Dictionary<'_>, row| d.get(row).unwrap_or_default().to_owned();
    attributes
        .into_iter()
        .enumerate()
        .map(|(row, attributes)| {
            Ok(LogRecord {
                stream: at(stream, row).ok_or_else(|| file.corrupt("a stream for each record"))?,
                timestamp_ns: at(ts, row).ok_or_else(|| file.corrupt("a time for each record"))?,
                observed_ns: at(observed, row).unwrap_or(0),
                severity_number: at(severity_number, row).unwrap_or(0),
                severity_text: text(&severity_text, row),
                body: body(row)?,
                attributes,
                dropped_attributes: at(dropped, row).unwrap_or(0),
                flags: at(flags, row).unwrap_or(0),
                trace_id: trace_id.get(row),
                span_id: span_id.get(row),
                event_name: text(&event_name, row),
            })
        })
        .collect()
}

/// A column of ids; null is all zero.
pub(crate) struct Ids<'a, const N: usize>(&'a arrow::array::FixedSizeBinaryArray);

impl<'a, const N: usize> Ids<'a, N> {
    pub fn of(file: &File, batch: &'a RecordBatch, name: &str) -> Result<Self> {
        let a = column(file, batch, name)?.as_fixed_size_binary_opt();
        a.map(Ids).ok_or_else(|| file.corrupt(format!("column {name} to hold ids of {N} bytes")))
    }

    pub fn get(&self, row: usize) -> [u8; N] {
        let some = row < self.0.len() && self.0.is_valid(row);
        some.then(|| self.0.value(row).try_into().ok()).flatten().unwrap_or([0; N])
    }
}
