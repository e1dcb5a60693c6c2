//! Log records as rows.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::{
    array::{ArrayRef, Int32Array, StringArray, TimestampNanosecondArray},
    datatypes::{DataType, Field},
};
use model::{LogBatch, LogRecord, LogStream};

use super::{Table, UTC, hex, maps, no_such, not_empty, number, said, text, time};
use crate::Error;

pub(super) fn fields() -> Vec<Field> {
    vec![
        time("timestamp", false),
        time("observed_timestamp", true),
        text("body"),
        number("severity_number", DataType::Int32),
        said("severity_text"),
        said("level"),
        said("service_name"),
        said("cluster"),
        said("trace_id"),
        said("span_id"),
        maps::field("labels", DataType::Utf8),
        maps::field("resource", DataType::Utf8),
        maps::field("attributes", DataType::Utf8),
        maps::field("attributes_number", DataType::Float64),
        maps::field("attributes_type", DataType::Utf8),
        said("scope_name"),
        said("event_name"),
    ]
}

pub(super) fn len(batch: &LogBatch) -> usize {
    batch.records.len()
}

pub(super) fn time_of(batch: &LogBatch, row: usize) -> Option<i64> {
    batch.records.get(row).map(|r| r.timestamp_ns)
}

pub(super) fn cost(batch: &LogBatch, row: usize) -> usize {
    batch.records.get(row).map_or(0, |r| {
        let stream = stream(batch, r);
        // Attributes may come three times: as texts, as numbers and as types.
        r.heap_bytes()
            + r.attributes.heap_bytes()
            + stream.labels.packed_len()
            + stream.resource.attributes.heap_bytes()
    })
}

/// The stream of a record; one without anything where the batch lacks it.
fn stream<'a>(batch: &'a LogBatch, record: &LogRecord) -> &'a LogStream {
    static NONE: LazyLock<LogStream> = LazyLock::new(LogStream::default);
    batch.streams.get(record.stream as usize).unwrap_or(&NONE)
}

pub(super) fn column(batch: &LogBatch, column: usize, rows: &[usize]) -> Result<ArrayRef, Error> {
    let records = || rows.iter().filter_map(|r| batch.records.get(*r));
    let streams = || records().map(|r| stream(batch, r));
    let attributes = || records().map(|r| &r.attributes);
    let texts = |all: &mut dyn Iterator<Item = Option<String>>| Arc::new(StringArray::from_iter(all));
    Ok(match column {
        0 => Arc::new(
            TimestampNanosecondArray::from_iter_values(records().map(|r| r.timestamp_ns)).with_timezone(UTC),
        ),
        1 => Arc::new(
            TimestampNanosecondArray::from_iter(
                records().map(|r| (r.observed_ns != 0).then_some(r.observed_ns)),
            )
            .with_timezone(UTC),
        ),
        2 => match records().all(|r| r.body.as_str().is_some()) {
            true => Arc::new(StringArray::from_iter_values(records().filter_map(|r| r.body.as_str()))),
            false => Arc::new(StringArray::from_iter_values(records().map(|r| r.body.to_string()))),
        },
        3 => Arc::new(Int32Array::from_iter(
            records().map(|r| (r.severity_number != 0).then_some(i32::from(r.severity_number))),
        )),
        4 => Arc::new(StringArray::from_iter(records().map(|r| not_empty(&r.severity_text)))),
        5 => Arc::new(StringArray::from_iter(records().map(level))),
        6 => Arc::new(StringArray::from_iter(streams().map(|s| s.labels.get("service_name")))),
        7 => Arc::new(StringArray::from_iter(streams().map(|s| s.labels.get("cluster")))),
        8 => texts(&mut records().map(|r| hex(&r.trace_id))),
        9 => texts(&mut records().map(|r| hex(&r.span_id))),
        10 => maps::labels(streams().map(|s| &s.labels), None)?,
        11 => maps::texts(streams().map(|s| &s.resource.attributes))?,
        12 => maps::texts(attributes())?,
        13 => maps::numbers(attributes())?,
        14 => maps::types(attributes())?,
        15 => Arc::new(StringArray::from_iter(streams().map(|s| not_empty(&s.scope.name)))),
        16 => Arc::new(StringArray::from_iter(records().map(|r| not_empty(&r.event_name)))),
        other => return Err(no_such(Table::Logs, other)),
    })
}

/// What was found out about the line when it came in, else Loki's name of the severity number.
fn level(record: &LogRecord) -> Option<&str> {
    record.attributes.get_str("detected_level").or(match record.severity_number {
        1..=4 => Some("trace"),
        5..=8 => Some("debug"),
        9..=12 => Some("info"),
        13..=16 => Some("warn"),
        17..=20 => Some("error"),
        21..=24 => Some("fatal"),
        _ => None,
    })
}
