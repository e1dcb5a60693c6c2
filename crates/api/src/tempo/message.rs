//! What queries answer with, as Tempo's messages.

use contract::{Coverage, CoverageState};
use model::AnyValue;
use proto::{otlp::common::KeyValue, tempo as pb};
use traceql::{FoundSpan, FoundSpanset, FoundTrace, Inspected, MetricSeries};

use crate::coverage::warnings;

/// Tempo's words where the root of a trace has not arrived.
const NO_ROOT: &str = "<root span not yet received>";

/// What was read, and of how many sources all that was asked for. Where none was asked the answer is one job.
pub(super) fn search_metrics(read: Inspected, coverage: &Coverage) -> pb::SearchMetrics {
    let (completed_jobs, total_jobs) = jobs(coverage);
    pb::SearchMetrics {
        inspected_traces: u32::try_from(read.traces).unwrap_or(u32::MAX),
        inspected_bytes: read.bytes,
        completed_jobs,
        total_jobs,
        ..pb::SearchMetrics::default()
    }
}

pub(super) fn metadata_metrics(inspected_bytes: u64, coverage: &Coverage) -> pb::MetadataMetrics {
    let (completed_jobs, total_jobs) = jobs(coverage);
    pb::MetadataMetrics { inspected_bytes, completed_jobs, total_jobs, ..pb::MetadataMetrics::default() }
}

fn jobs(coverage: &Coverage) -> (u32, u32) {
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let sources = coverage.sources();
    let complete = sources.iter().filter(|s| s.state == CoverageState::Complete).count();
    if sources.is_empty() { (1, 1) } else { (count(complete), count(sources.len())) }
}

/// `status` and `message` of an answer with this coverage.
pub(super) fn partial(coverage: &Coverage) -> (i32, String) {
    match coverage.is_complete() {
        true => (pb::PartialStatus::Complete as i32, String::new()),
        false => (pb::PartialStatus::Partial as i32, warnings(coverage).join("; ")),
    }
}

/// A trace of a search; without its spans where the search was for tags.
pub(super) fn trace(t: FoundTrace, with_spans: bool) -> pb::TraceSearchMetadata {
    let span_sets: Vec<pb::SpanSet> = match with_spans {
        true => t.spansets.into_iter().map(span_set).collect(),
        false => Vec::new(),
    };
    let stats = t
        .services
        .into_iter()
        .map(|s| (s.service, pb::ServiceStats { span_count: s.spans, error_count: s.errors }));
    pb::TraceSearchMetadata {
        trace_id: hex(&t.trace_id),
        root_service_name: t.root_service.unwrap_or_else(|| NO_ROOT.to_owned()),
        root_trace_name: t.root_name.unwrap_or_default(),
        start_time_unix_nano: unsigned(t.start_ns),
        duration_ms: u32::try_from(t.duration_ns / 1_000_000).unwrap_or(u32::MAX),
        span_set: span_sets.first().cloned(),
        span_sets,
        service_stats: stats.collect(),
    }
}

fn span_set(set: FoundSpanset) -> pb::SpanSet {
    pb::SpanSet {
        spans: set.spans.into_iter().map(span).collect(),
        matched: set.matched,
        attributes: key_values(&set.attributes),
    }
}

fn span(s: FoundSpan) -> pb::Span {
    pb::Span {
        span_id: hex(&s.span_id),
        name: s.name,
        start_time_unix_nano: unsigned(s.start_ns),
        duration_nanos: unsigned(s.duration_ns),
        attributes: key_values(&s.attributes),
    }
}

/// A series with its samples. Exemplars of series that count have no value; they stand on the sample of their step.
pub(super) fn series(s: MetricSeries, step_ms: i64) -> pb::TimeSeries {
    let on_sample = |at: i64| {
        let next = s.samples.partition_point(|(t, _)| *t < at);
        let near = s.samples.get(next).filter(|(t, _)| t.saturating_sub(at) < step_ms);
        near.or(s.samples.last()).map_or(0.0, |(_, v)| *v)
    };
    let exemplars = s.exemplars.iter().map(|e| pb::Exemplar {
        labels: key_values(&e.labels),
        value: if e.value.is_nan() { on_sample(e.timestamp_ms) } else { e.value },
        timestamp_ms: e.timestamp_ms,
    });
    pb::TimeSeries {
        labels: key_values(&s.labels),
        exemplars: exemplars.collect(),
        samples: s.samples.iter().map(|(t, v)| pb::Sample { value: *v, timestamp_ms: *t }).collect(),
    }
}

/// The one sample of a series of an instant query; `None` where it has none.
pub(super) fn instant(s: MetricSeries) -> Option<pb::InstantSeries> {
    let (_, value) = *s.samples.first()?;
    Some(pb::InstantSeries { labels: key_values(&s.labels), value })
}

fn key_values(pairs: &[(String, AnyValue)]) -> Vec<KeyValue> {
    pairs.iter().map(|(key, value)| wire::otlp::key_value(key, value)).collect()
}

/// Times before 1970 have no form in Tempo's messages.
fn unsigned(ns: i64) -> u64 {
    u64::try_from(ns).unwrap_or(0)
}

pub(super) fn hex(id: &[u8]) -> String {
    id.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use contract::SourceCoverage;
    use model::{Signal, TimeRange};

    use super::*;

    #[test]
    fn sources_that_were_asked_are_jobs_and_those_that_lack_something_make_it_partial() {
        let mut coverage = Coverage::one(SourceCoverage::complete("dev-01", Signal::TRACES, TimeRange::ALL));
        assert_eq!(partial(&coverage), (0, String::new()));
        coverage.merge(Coverage::one(SourceCoverage {
            state: CoverageState::Missing,
            reason: "timeout".into(),
            ..SourceCoverage::complete("prod-01", Signal::TRACES, TimeRange::ALL)
        }));
        let read = Inspected { traces: 7, spans: 70, bytes: 700 };
        let metrics = search_metrics(read, &coverage);
        assert_eq!((metrics.completed_jobs, metrics.total_jobs, metrics.inspected_traces), (1, 2, 7));
        let (status, message) = partial(&coverage);
        assert_eq!(status, pb::PartialStatus::Partial as i32);
        assert!(message.contains("prod-01") && message.contains("timeout"), "{message}");
    }

    #[test]
    fn an_exemplar_of_a_count_stands_on_the_sample_of_its_step() {
        let exemplar =
            |timestamp_ms, value| traceql::MetricExemplar { labels: Vec::new(), value, timestamp_ms };
        let s = MetricSeries {
            samples: vec![(1000, 1.0), (2000, 2.0), (4000, 4.0)],
            exemplars: vec![exemplar(1500, f64::NAN), exemplar(2000, f64::NAN), exemplar(2500, 9.0)],
            ..MetricSeries::default()
        };
        let values: Vec<f64> = series(s, 1000).exemplars.iter().map(|e| e.value).collect();
        assert_eq!(values, [2.0, 2.0, 9.0]);
    }

    #[test]
    fn a_trace_without_its_root_says_so() {
        let t = FoundTrace { trace_id: [1; 16], duration_ns: 2_999_999, ..FoundTrace::default() };
        let got = trace(t, true);
        assert_eq!((got.root_service_name.as_str(), got.duration_ms), (NO_ROOT, 2));
        assert_eq!(got.trace_id, "01".repeat(16));
    }
}
