//! Spans as rows.

use std::sync::{Arc, LazyLock};

use contract::SpanParts;
use datafusion::arrow::{
    array::{ArrayRef, Int64Array, StringArray, TimestampNanosecondArray},
    datatypes::{DataType, Field},
};
use model::{Span, SpanBatch, StatusCode, span::SpanOrigin};

use super::{Table, UTC, hex, maps, no_such, not_empty, said, text, time};
use crate::Error;

pub(super) fn fields() -> Vec<Field> {
    vec![
        time("timestamp", false),
        Field::new("duration_ns", DataType::Int64, false),
        said("trace_id"),
        said("span_id"),
        said("parent_span_id"),
        text("name"),
        text("kind"),
        text("status_code"),
        said("status_message"),
        text("service_name"),
        maps::field("resource", DataType::Utf8),
        maps::field("attributes", DataType::Utf8),
        maps::field("attributes_number", DataType::Float64),
        maps::field("attributes_type", DataType::Utf8),
        said("scope_name"),
    ]
}

pub(super) fn len(batch: &SpanBatch) -> usize {
    batch.spans.len()
}

pub(super) fn time_of(batch: &SpanBatch, row: usize) -> Option<i64> {
    batch.spans.get(row).map(|s| s.start_ns)
}

pub(super) fn cost(batch: &SpanBatch, row: usize) -> usize {
    batch.spans.get(row).map_or(0, |s| {
        s.heap_bytes() + s.attributes.heap_bytes() + origin(batch, s).resource.attributes.heap_bytes()
    })
}

/// Where a span is from; nowhere where the batch lacks it.
fn origin<'a>(batch: &'a SpanBatch, span: &Span) -> &'a SpanOrigin {
    static NONE: LazyLock<SpanOrigin> = LazyLock::new(SpanOrigin::default);
    batch.origins.get(span.origin as usize).unwrap_or(&NONE)
}

/// What the columns are made of: no column has events or links.
pub(crate) fn parts(columns: &[usize]) -> SpanParts {
    if columns.iter().any(|c| (11..=13).contains(c)) {
        return SpanParts { attributes: None, ..SpanParts::least() };
    }
    SpanParts::least()
}

pub(super) fn column(batch: &SpanBatch, column: usize, rows: &[usize]) -> Result<ArrayRef, Error> {
    let spans = || rows.iter().filter_map(|r| batch.spans.get(*r));
    let origins = || spans().map(|s| origin(batch, s));
    let attributes = || spans().map(|s| &s.attributes);
    let texts = |all: &mut dyn Iterator<Item = Option<String>>| Arc::new(StringArray::from_iter(all));
    Ok(match column {
        0 => Arc::new(
            TimestampNanosecondArray::from_iter_values(spans().map(|s| s.start_ns)).with_timezone(UTC),
        ),
        1 => Arc::new(Int64Array::from_iter_values(spans().map(Span::duration_ns))),
        2 => texts(&mut spans().map(|s| hex(&s.trace_id))),
        3 => texts(&mut spans().map(|s| hex(&s.span_id))),
        4 => texts(&mut spans().map(|s| hex(&s.parent_span_id))),
        5 => Arc::new(StringArray::from_iter_values(spans().map(|s| s.name.as_str()))),
        6 => Arc::new(StringArray::from_iter_values(spans().map(|s| s.kind.as_str()))),
        7 => Arc::new(StringArray::from_iter_values(spans().map(|s| status(s.status.code)))),
        8 => Arc::new(StringArray::from_iter(spans().map(|s| not_empty(&s.status.message)))),
        9 => Arc::new(StringArray::from_iter_values(origins().map(|o| o.service_name()))),
        10 => maps::texts(origins().map(|o| &o.resource.attributes))?,
        11 => maps::texts(attributes())?,
        12 => maps::numbers(attributes())?,
        13 => maps::types(attributes())?,
        14 => Arc::new(StringArray::from_iter(origins().map(|o| not_empty(&o.scope.name)))),
        other => return Err(no_such(Table::Spans, other)),
    })
}

fn status(code: StatusCode) -> &'static str {
    match code {
        StatusCode::Unset => "unset",
        StatusCode::Ok => "ok",
        StatusCode::Error => "error",
    }
}
