//! What a query answers with.

use contract::Coverage;
use model::AnyValue;

/// What was read so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Inspected {
    /// Traces that were looked at as a whole.
    pub traces: u64,
    /// Spans that came from the `Select`.
    pub spans: u64,
    /// Bytes of them, as they lie in memory.
    pub bytes: u64,
}

/// What a search has found since it last told, newest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Progress {
    /// Traces not told before. One that was told may still give way to newer ones where there is a limit: the
    /// answer says which remain.
    pub traces: Vec<FoundTrace>,
    pub inspected: Inspected,
}

#[derive(Debug, Clone, Default)]
pub struct SearchAnswer {
    /// Newest first: in descending order of their start, then by id.
    pub traces: Vec<FoundTrace>,
    pub inspected: Inspected,
    pub coverage: Coverage,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct FoundTrace {
    pub trace_id: [u8; 16],
    /// Of the root span; `None` while it has not arrived.
    pub root_service: Option<String>,
    pub root_name: Option<String>,
    /// Start of its first span.
    pub start_ns: i64,
    /// From there to the end of the span that ends last.
    pub duration_ns: i64,
    /// One or more; several where the query groups by something.
    pub spansets: Vec<FoundSpanset>,
    /// Sorted by name.
    pub services: Vec<ServiceStats>,
}

/// Spans of a trace that the query found together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FoundSpanset {
    /// What `by` and aggregates made of it, under their text (`by(resource.service.name)`, `count()`).
    pub attributes: Vec<(String, AnyValue)>,
    /// How many spans it has, of which `spans` may list fewer.
    pub matched: u32,
    /// The first in time.
    pub spans: Vec<FoundSpan>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct FoundSpan {
    pub span_id: [u8; 8],
    pub name: String,
    pub start_ns: i64,
    pub duration_ns: i64,
    /// What the query tests or selects, under the name without scope (`http.status_code`, `status`). Absent values
    /// are left out, as are names, durations, ids and what is of the trace.
    pub attributes: Vec<(String, AnyValue)>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceStats {
    pub service: String,
    pub spans: u32,
    pub errors: u32,
}

#[derive(Debug, Clone, Default)]
pub struct MetricsAnswer {
    /// In order of their labels.
    pub series: Vec<MetricSeries>,
    pub inspected: Inspected,
    pub coverage: Coverage,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct MetricSeries {
    /// By the text of the field grouped by (`resource.service.name`), in the order of `by`; of a series without
    /// grouping `__name__`. Values keep their type; durations, status and kind are text, an absent value where every
    /// one is absent is the text `nil`.
    pub labels: Vec<(String, AnyValue)>,
    /// Milliseconds, ascending, and value. Never NaN.
    pub samples: Vec<(i64, f64)>,
    pub exemplars: Vec<MetricExemplar>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct MetricExemplar {
    /// `trace:id`, `span:id`, then what the query tests and groups by.
    pub labels: Vec<(String, AnyValue)>,
    /// NaN where the series counts spans.
    pub value: f64,
    pub timestamp_ms: i64,
}
