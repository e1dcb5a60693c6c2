//! Writes a batch as OTLP. Names stay as they are: read back by [`super::from_message`] they come out equal,
//! as long as they follow Prometheus' own naming (no double underscores, no UTF-8 names). Parts of classic
//! histograms and summaries travel as the plain series they are. A histogram with custom buckets, or with
//! buckets too far apart to be written densely, becomes one with explicit bounds.

use std::collections::HashMap;

use model::{
    Histogram, Labels, MetricBatch, MetricKind, MetricMetadata, is_stale_marker, labels::METRIC_NAME,
};
use proto::otlp::{
    collector::metrics::ExportMetricsServiceRequest,
    common::{AnyValue, KeyValue, any_value::Value as Any},
    metrics::{
        AggregationTemporality, Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge,
        Histogram as PbHistogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics,
        Sum, exemplar, metric::Data, number_data_point::Value,
    },
    resource::Resource,
};

use super::histogram::dense;
use crate::series::BySeries;

/// Buckets a dense exponential histogram may have when written.
const MAX_DENSE: usize = 4096;
const STALE: u32 = 1;

/// One resource per (`job`, `instance`), one metric per series.
pub fn encode(batch: &MetricBatch) -> ExportMetricsServiceRequest {
    let n = batch.series.len();
    let samples = BySeries::new(n, batch.samples.series.iter().copied());
    let histograms = BySeries::new(n, batch.histograms.iter().map(|h| h.series));
    let exemplars = BySeries::new(n, batch.exemplars.iter().map(|(s, _)| *s));
    let about: HashMap<&str, &MetricMetadata> =
        batch.metadata.iter().map(|m| (m.family.as_str(), m)).collect();
    let mut groups: Vec<ResourceMetrics> = Vec::new();
    let mut by_identity: HashMap<(String, String), usize> = HashMap::new();
    for (i, labels) in batch.series.iter().enumerate() {
        let mut metrics = Vec::new();
        let m = about.get(labels.metric_name()).copied();
        let mut points: Vec<NumberDataPoint> = samples.of(i).map(|s| number(batch, labels, s)).collect();
        if let Some(first) = points.first_mut() {
            first.exemplars =
                exemplars.of(i).filter_map(|e| batch.exemplars.get(e)).map(|(_, e)| exemplar(e)).collect();
            metrics.push(metric(labels, m, numbers(points, m)));
        }
        for h in histograms.of(i).filter_map(|h| batch.histograms.get(h)) {
            metrics.push(metric(labels, m, histogram(labels, h.timestamp_ms, h.start_ms, &h.histogram)));
        }
        if metrics.is_empty() {
            continue;
        }
        let identity = (labels.value("job").to_owned(), labels.value("instance").to_owned());
        let at = *by_identity.entry(identity).or_insert_with(|| {
            groups.push(ResourceMetrics {
                resource: Some(resource(labels)),
                scope_metrics: vec![ScopeMetrics::default()],
                schema_url: String::new(),
            });
            groups.len() - 1
        });
        if let Some(scope) = groups.get_mut(at).and_then(|g| g.scope_metrics.first_mut()) {
            scope.metrics.append(&mut metrics);
        }
    }
    ExportMetricsServiceRequest { resource_metrics: groups }
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(Any::StringValue(value.to_owned())) };
    KeyValue { key: key.to_owned(), value: Some(value) }
}

/// The resource that gives `job` and `instance` back.
fn resource(labels: &Labels) -> Resource {
    let mut attributes = Vec::new();
    match labels.value("job").split_once('/') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() => {
            attributes.push(text("service.namespace", namespace));
            attributes.push(text("service.name", name));
        }
        _ if labels.value("job").is_empty() => {}
        _ => attributes.push(text("service.name", labels.value("job"))),
    }
    if !labels.value("instance").is_empty() {
        attributes.push(text("service.instance.id", labels.value("instance")));
    }
    Resource { attributes, dropped_attributes_count: 0 }
}

fn attributes(labels: &Labels) -> Vec<KeyValue> {
    let own = |n: &str| n != METRIC_NAME && n != "job" && n != "instance";
    labels.iter().filter(|(n, _)| own(n)).map(|(n, v)| text(n, v)).collect()
}

fn metric(labels: &Labels, about: Option<&MetricMetadata>, data: Data) -> Metric {
    Metric {
        name: labels.metric_name().to_owned(),
        description: about.map(|m| m.help.clone()).unwrap_or_default(),
        // The name carries its unit already; given again it could be appended twice.
        unit: String::new(),
        data: Some(data),
        metadata: Vec::new(),
    }
}

fn nanos(ms: i64) -> u64 {
    u64::try_from(ms).unwrap_or(0).saturating_mul(1_000_000)
}

fn number(batch: &MetricBatch, labels: &Labels, sample: usize) -> NumberDataPoint {
    let s = &batch.samples;
    let value = s.value.get(sample).copied().unwrap_or_default();
    let stale = is_stale_marker(value);
    NumberDataPoint {
        attributes: attributes(labels),
        start_time_unix_nano: nanos(s.start_of(sample)),
        time_unix_nano: nanos(s.timestamp_ms.get(sample).copied().unwrap_or_default()),
        value: (!stale).then_some(Value::AsDouble(value)),
        exemplars: Vec::new(),
        flags: if stale { STALE } else { 0 },
    }
}

fn numbers(data_points: Vec<NumberDataPoint>, about: Option<&MetricMetadata>) -> Data {
    match about {
        Some(m) if m.kind == MetricKind::Counter && m.family.ends_with("_total") => Data::Sum(Sum {
            data_points,
            aggregation_temporality: AggregationTemporality::Cumulative as i32,
            is_monotonic: true,
        }),
        _ => Data::Gauge(Gauge { data_points }),
    }
}

fn exemplar(e: &model::Exemplar) -> Exemplar {
    Exemplar {
        filtered_attributes: e.labels.iter().map(|(n, v)| text(n, v)).collect(),
        time_unix_nano: nanos(e.timestamp_ms),
        value: Some(exemplar::Value::AsDouble(e.value)),
        span_id: Vec::new(),
        trace_id: Vec::new(),
    }
}

fn histogram(labels: &Labels, at_ms: i64, start_ms: i64, h: &Histogram) -> Data {
    let temporality = AggregationTemporality::Cumulative as i32;
    let flags = if h.is_stale() { STALE } else { 0 };
    let sides = (
        dense(&h.positive_spans, &h.positive_buckets, MAX_DENSE),
        dense(&h.negative_spans, &h.negative_buckets, MAX_DENSE),
    );
    if let (false, (Some(positive), Some(negative))) = (h.uses_custom_buckets(), sides) {
        return Data::ExponentialHistogram(ExponentialHistogram {
            data_points: vec![ExponentialHistogramDataPoint {
                attributes: attributes(labels),
                start_time_unix_nano: nanos(start_ms),
                time_unix_nano: nanos(at_ms),
                count: h.count as u64,
                sum: (!h.is_stale()).then_some(h.sum),
                scale: i32::from(h.schema),
                zero_count: h.zero_count as u64,
                positive: Some(positive),
                negative: Some(negative),
                flags,
                exemplars: Vec::new(),
                min: None,
                max: None,
                zero_threshold: h.zero_threshold,
            }],
            aggregation_temporality: temporality,
        });
    }
    let (explicit_bounds, bucket_counts) = explicit(h);
    Data::Histogram(PbHistogram {
        data_points: vec![HistogramDataPoint {
            attributes: attributes(labels),
            start_time_unix_nano: nanos(start_ms),
            time_unix_nano: nanos(at_ms),
            count: h.count as u64,
            sum: (!h.is_stale()).then_some(h.sum),
            bucket_counts,
            explicit_bounds,
            exemplars: Vec::new(),
            flags,
            min: None,
            max: None,
        }],
        aggregation_temporality: temporality,
    })
}

/// Bounds and counts between them. For custom buckets their own; otherwise the upper bounds of the populated
/// positive buckets, everything at or below zero counted in the first.
fn explicit(h: &Histogram) -> (Vec<f64>, Vec<u64>) {
    let at = |index: i64| {
        if h.uses_custom_buckets() {
            usize::try_from(index).ok().and_then(|i| h.custom_values.get(i)).copied()
        } else {
            Some((2f64.powi(-i32::from(h.schema)) * index as f64).exp2()).filter(|b| b.is_finite())
        }
    };
    let below: f64 = h.zero_count + h.negative_buckets.iter().sum::<f64>();
    let (mut bounds, mut counts) = (Vec::new(), Vec::new());
    if below > 0.0 {
        bounds.push(h.zero_threshold);
        counts.push(below as u64);
    }
    let mut index = 0i64;
    let mut values = h.positive_buckets.iter();
    for s in &h.positive_spans {
        index += i64::from(s.offset);
        for _ in 0..s.length {
            let (Some(bound), Some(v)) = (at(index), values.next()) else { break };
            if bounds.last().is_none_or(|last| *last < bound) {
                bounds.push(bound);
                counts.push(*v as u64);
            }
            index += 1;
        }
    }
    let counted: u64 = counts.iter().sum();
    counts.push((h.count as u64).saturating_sub(counted));
    (bounds, counts)
}
