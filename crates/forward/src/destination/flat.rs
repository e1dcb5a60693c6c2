//! Metrics for receivers that know floats only: a native histogram becomes what a classic one would have been, its count,
//! its sum and its buckets; what is no number is left out and counted.

use std::collections::HashMap;

use model::{
    Histogram, Labels, MetricBatch, MetricKind,
    histogram::buckets,
    metric::{HistogramSample, is_stale_marker},
};

use crate::ledger::Reasons;

/// The end of a series, which these receivers do not know.
pub(crate) const STALE: &str = "stale_marker";
/// NaN and infinities, which JSON does not have.
pub(crate) const NOT_FINITE: &str = "not_finite";

/// One number of one item.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Point {
    /// Which item of the batch it is of.
    pub(crate) item: u32,
    /// The name of the metric among them.
    pub(crate) labels: Labels,
    pub(crate) timestamp_ms: i64,
    /// When its counter began, 0 where unknown.
    pub(crate) start_ms: i64,
    pub(crate) value: f64,
    pub(crate) is_counter: bool,
}

/// All points, those of an item together, and the items that have none by reason.
pub(crate) fn points(batch: &MetricBatch) -> (Vec<Point>, Reasons) {
    let kinds = kinds(batch);
    let (mut out, mut left) = (Vec::with_capacity(batch.item_count()), Reasons::new());
    let s = &batch.samples;
    let no_labels = Labels::default();
    let labels = |series: u32| batch.series.get(series as usize).unwrap_or(&no_labels);
    for (i, (series, (t, v))) in s.series.iter().zip(s.timestamp_ms.iter().zip(&s.value)).enumerate() {
        if let Some(reason) = unsendable(*v) {
            *left.entry(reason.to_owned()).or_default() += 1;
            continue;
        }
        let labels = labels(*series);
        out.push(Point {
            item: i as u32,
            labels: labels.clone(),
            timestamp_ms: *t,
            start_ms: s.start_of(i),
            value: *v,
            is_counter: is_counter(labels.metric_name(), &kinds),
        });
    }
    for (i, h) in batch.histograms.iter().enumerate() {
        match unsendable(h.histogram.sum).or_else(|| unsendable(h.histogram.count)) {
            Some(reason) => *left.entry(reason.to_owned()).or_default() += 1,
            None => explode(&mut out, (s.len() + i) as u32, labels(h.series), h),
        }
    }
    (out, left)
}

fn unsendable(v: f64) -> Option<&'static str> {
    match v {
        v if is_stale_marker(v) => Some(STALE),
        v if !v.is_finite() => Some(NOT_FINITE),
        _ => None,
    }
}

fn kinds(batch: &MetricBatch) -> HashMap<&str, MetricKind> {
    batch.metadata.iter().map(|m| (m.family.as_str(), m.kind)).collect()
}

/// By the description of the family, or else by the ending that counters have by convention.
fn is_counter(name: &str, kinds: &HashMap<&str, MetricKind>) -> bool {
    if let Some(kind) = kinds.get(name).filter(|k| **k != MetricKind::Unknown) {
        return *kind == MetricKind::Counter;
    }
    let of = |suffix: &str| name.strip_suffix(suffix).and_then(|family| kinds.get(family));
    let parts = ["_bucket", "_count", "_sum"];
    if let Some(kind) = parts.into_iter().find_map(of) {
        return !matches!(kind, MetricKind::GaugeHistogram | MetricKind::Gauge);
    }
    parts.iter().chain(&["_total"]).any(|suffix| name.ends_with(suffix))
}

fn explode(out: &mut Vec<Point>, item: u32, labels: &Labels, h: &HistogramSample) {
    let name = labels.metric_name();
    let is_counter = h.histogram.reset_hint != model::histogram::ResetHint::Gauge;
    let mut push = |suffix: &str, le: Option<f64>, value: f64| {
        let mut labels = labels.with("__name__", &format!("{name}{suffix}"));
        if let Some(le) = le {
            labels = labels.with("le", &bound(le));
        }
        out.push(Point {
            item,
            labels,
            timestamp_ms: h.timestamp_ms,
            start_ms: h.start_ms,
            value,
            is_counter,
        });
    };
    push("_count", None, h.histogram.count);
    push("_sum", None, h.histogram.sum);
    let mut total = 0.0;
    for (le, count) in classic(&h.histogram) {
        total += count;
        push("_bucket", Some(le), total);
    }
    push("_bucket", Some(f64::INFINITY), h.histogram.count);
}

/// As Prometheus writes bounds.
fn bound(le: f64) -> String {
    if le == f64::INFINITY { "+Inf".to_owned() } else { le.to_string() }
}

/// Upper bound and count of each populated bucket below infinity, ascending.
fn classic(h: &Histogram) -> Vec<(f64, f64)> {
    let positive = buckets(&h.positive_spans, &h.positive_buckets);
    if h.uses_custom_buckets() {
        let bounded = |(i, n): (i64, f64)| {
            let le = usize::try_from(i).ok().and_then(|i| h.custom_values.get(i))?;
            le.is_finite().then_some((*le, n))
        };
        return positive.filter_map(bounded).collect();
    }
    let upper = |index: i64| (index as f64 * (-f64::from(h.schema)).exp2()).exp2();
    let negative = buckets(&h.negative_spans, &h.negative_buckets);
    let mut out: Vec<(f64, f64)> = negative.map(|(i, n)| (-upper(i - 1), n)).collect();
    out.reverse();
    if h.zero_count > 0.0 {
        out.push((h.zero_threshold, h.zero_count));
    }
    out.extend(positive.map(|(i, n)| (upper(i), n)));
    out.retain(|(le, _)| le.is_finite());
    out
}

#[cfg(test)]
mod tests {
    use model::{MetricMetadata, histogram::BucketSpan, stale_marker};

    use super::*;

    fn shown(batch: &MetricBatch) -> Vec<String> {
        let show = |p: Point| format!("{} {} {} {}", p.item, p.labels, p.value, p.is_counter);
        points(batch).0.into_iter().map(show).collect()
    }

    #[test]
    fn a_native_histogram_becomes_a_classic_one() {
        let mut m = MetricBatch::default();
        let series = m.push_series(Labels::from_pairs([("__name__", "latency"), ("job", "api")]));
        let histogram = Histogram {
            schema: 0,
            zero_threshold: 0.001,
            zero_count: 1.0,
            count: 8.0,
            sum: 9.5,
            positive_spans: vec![BucketSpan { offset: 1, length: 2 }],
            positive_buckets: vec![2.0, 3.0],
            negative_spans: vec![BucketSpan { offset: 1, length: 1 }],
            negative_buckets: vec![2.0],
            ..Histogram::default()
        };
        m.histograms.push(HistogramSample { series, timestamp_ms: 5, start_ms: 1, histogram });
        let of = |suffix: &str, le: &str, v: &str| {
            let le = if le.is_empty() { String::new() } else { format!(", le=\"{le}\"") };
            format!("0 latency{suffix}{{job=\"api\"{le}}} {v} true")
        };
        let expected = [
            of("_count", "", "8"),
            of("_sum", "", "9.5"),
            of("_bucket", "-1", "2"),
            of("_bucket", "0.001", "3"),
            of("_bucket", "2", "5"),
            of("_bucket", "4", "8"),
            of("_bucket", "+Inf", "8"),
        ];
        assert_eq!(shown(&m), expected);
    }

    #[test]
    fn what_is_no_number_is_counted_and_counters_are_known_by_description_then_by_name() {
        let mut m = MetricBatch::default();
        for (i, name) in ["a", "b_total", "c_count", "d_bucket", "e"].into_iter().enumerate() {
            let series = m.push_series(Labels::from_pairs([("__name__", name)]));
            m.samples.push(series, 1, i as f64);
        }
        m.samples.push(0, 2, f64::NAN);
        m.samples.push(0, 3, stale_marker());
        m.samples.push(0, 4, f64::INFINITY);
        let family = |family: &str, kind| MetricMetadata {
            family: family.to_owned(),
            kind,
            ..MetricMetadata::default()
        };
        m.metadata = vec![
            family("a", MetricKind::Counter),
            family("b_total", MetricKind::Gauge),
            family("d", MetricKind::GaugeHistogram),
        ];
        let (points, left) = points(&m);
        let counters: Vec<bool> = points.iter().map(|p| p.is_counter).collect();
        assert_eq!(counters, [true, false, true, false, false]);
        assert_eq!(left, Reasons::from([(NOT_FINITE.to_owned(), 2), (STALE.to_owned(), 1)]));
    }
}
