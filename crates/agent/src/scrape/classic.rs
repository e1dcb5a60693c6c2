//! Turns classic histograms into native ones with custom buckets (`convert_classic_histograms_to_nhcb`).
//!
//! ```text
//! x_bucket{le="0.1"} 1 │
//! x_bucket{le="+Inf"} 3├─► x {custom bounds [0.1], buckets [1, 2], count 3, sum 7}
//! x_count 3, x_sum 7   │
//! ```

use std::collections::{HashMap, HashSet};

use model::{
    Histogram, Labels, MetricBatch, MetricKind,
    histogram::{BucketSpan, CUSTOM_BUCKETS_SCHEMA},
    labels::METRIC_NAME,
    metric::HistogramSample,
};
use wire::exposition::Exposition;

const LE: &str = "le";

/// The part of a classic histogram that a series is.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    Bucket(f64),
    Count,
    Sum,
}

/// What was found of one histogram at one time.
struct Collected {
    labels: Labels,
    timed: bool,
    at_ms: i64,
    start_ms: i64,
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: f64,
}

/// Converts what metadata calls a histogram and nothing native is there for. The classic series go, unless
/// `keep_classic`; those that make no valid histogram go too.
pub(super) fn to_custom_buckets(e: Exposition, keep_classic: bool) -> Exposition {
    let histogram = |m: &&model::MetricMetadata| m.kind == MetricKind::Histogram;
    let families: HashSet<&str> =
        e.batch.metadata.iter().filter(histogram).map(|m| m.family.as_str()).collect();
    let native: HashSet<&Labels> =
        e.batch.histograms.iter().filter_map(|h| e.batch.series.get(h.series as usize)).collect();
    let parts: Vec<Option<(Part, Labels)>> = e
        .batch
        .series
        .iter()
        .map(|labels| part_of(labels, &families).filter(|(_, base)| !native.contains(base)))
        .collect();
    if parts.iter().all(Option::is_none) {
        return e;
    }
    let collected = collect(&e, &parts);
    let mut out = keep(&e, |series| keep_classic || !matches!(parts.get(series as usize), Some(Some(_))));
    let mut places: HashMap<Labels, u32> = HashMap::new();
    for c in collected {
        let Some(histogram) = c.histogram() else { continue };
        let series = *places.entry(c.labels.clone()).or_insert_with(|| {
            out.timed.push(c.timed);
            out.batch.push_series(c.labels.clone())
        });
        let sample = HistogramSample { series, timestamp_ms: c.at_ms, start_ms: c.start_ms, histogram };
        out.batch.histograms.push(sample);
    }
    for (series, exemplar) in &e.batch.exemplars {
        if let Some(Some((_, base))) = parts.get(*series as usize)
            && let Some(place) = places.get(base)
        {
            out.batch.exemplars.push((*place, exemplar.clone()));
        }
    }
    out
}

/// Which part of which histogram a series is, if it is one of a known family.
fn part_of(labels: &Labels, families: &HashSet<&str>) -> Option<(Part, Labels)> {
    let name = labels.metric_name();
    let (family, part) = if let Some(family) = name.strip_suffix("_bucket") {
        let bound: f64 = labels.get(LE)?.parse().ok()?;
        (family, Part::Bucket(bound))
    } else if let Some(family) = name.strip_suffix("_count") {
        (family, Part::Count)
    } else {
        (name.strip_suffix("_sum")?, Part::Sum)
    };
    let is_bound = !matches!(part, Part::Bucket(b) if b.is_nan());
    (is_bound && families.contains(family)).then(|| (part, labels.without(&[LE]).with(METRIC_NAME, family)))
}

/// All histograms in the order their first parts were exposed.
fn collect(e: &Exposition, parts: &[Option<(Part, Labels)>]) -> Vec<Collected> {
    let mut all: Vec<Collected> = Vec::new();
    let mut index: HashMap<(&Labels, i64), usize> = HashMap::new();
    let samples = &e.batch.samples;
    for i in 0..samples.len() {
        let (Some(series), Some(at_ms), Some(value)) =
            (samples.series.get(i), samples.timestamp_ms.get(i), samples.value.get(i))
        else {
            continue;
        };
        let Some(Some((part, labels))) = parts.get(*series as usize) else { continue };
        let place = *index.entry((labels, *at_ms)).or_insert_with(|| {
            all.push(Collected {
                labels: labels.clone(),
                timed: e.timed.get(*series as usize).copied().unwrap_or(false),
                at_ms: *at_ms,
                start_ms: samples.start_of(i),
                buckets: Vec::new(),
                count: None,
                sum: 0.0,
            });
            all.len() - 1
        });
        let Some(c) = all.get_mut(place) else { continue };
        match part {
            Part::Bucket(bound) => c.buckets.push((*bound, *value)),
            Part::Count => c.count = Some(*value),
            Part::Sum => c.sum = *value,
        }
    }
    all
}

impl Collected {
    /// None where the parts contradict each other.
    fn histogram(&self) -> Option<Histogram> {
        let mut buckets = self.buckets.clone();
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        buckets.dedup_by(|b, a| a.0 == b.0);
        let count = self.count.or_else(|| buckets.last().map(|b| b.1)).unwrap_or(0.0);
        if buckets.last().is_none_or(|b| b.0 != f64::INFINITY) {
            buckets.push((f64::INFINITY, count));
        }
        let ascends = buckets.is_sorted_by(|a, b| a.1 <= b.1);
        let all_valid = buckets.iter().all(|b| b.1 >= 0.0) && count >= 0.0;
        if !ascends || !all_valid || buckets.last().is_none_or(|b| b.1 != count) {
            return None;
        }
        let is_integer = buckets.iter().all(|b| b.1.fract() == 0.0) && count.fract() == 0.0;
        let mut before = 0.0;
        let counts: Vec<f64> = buckets.iter().map(|b| b.1 - std::mem::replace(&mut before, b.1)).collect();
        let histogram = Histogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            count,
            sum: self.sum,
            positive_spans: vec![BucketSpan { offset: 0, length: counts.len() as u32 }],
            positive_buckets: counts,
            custom_values: buckets.iter().map(|b| b.0).filter(|b| b.is_finite()).collect(),
            is_integer,
            ..Histogram::default()
        };
        histogram.validate().is_ok().then_some(histogram)
    }
}

/// The exposition with some of its series only. Exemplars of the others are left to the caller.
fn keep(e: &Exposition, wanted: impl Fn(u32) -> bool) -> Exposition {
    let mut out = Exposition {
        batch: MetricBatch { metadata: e.batch.metadata.clone(), ..MetricBatch::default() },
        ..Exposition::default()
    };
    let mut places: Vec<Option<u32>> = Vec::with_capacity(e.batch.series.len());
    for (i, labels) in (0u32..).zip(&e.batch.series) {
        places.push(wanted(i).then(|| out.batch.push_series(labels.clone())));
        if wanted(i) {
            out.timed.push(e.timed.get(i as usize).copied().unwrap_or(false));
        }
    }
    let place = |series: u32| places.get(series as usize).copied().flatten();
    let samples = &e.batch.samples;
    for i in 0..samples.len() {
        if let (Some(series), Some(at), Some(value)) =
            (samples.series.get(i), samples.timestamp_ms.get(i), samples.value.get(i))
            && let Some(series) = place(*series)
        {
            out.batch.samples.push_started(series, *at, *value, samples.start_of(i));
        }
    }
    let moved = |h: &HistogramSample| Some(HistogramSample { series: place(h.series)?, ..h.clone() });
    out.batch.histograms = e.batch.histograms.iter().filter_map(moved).collect();
    out.batch.exemplars =
        e.batch.exemplars.iter().filter_map(|(s, x)| Some((place(*s)?, x.clone()))).collect();
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# TYPE x histogram\nx_bucket{a=\"1\",le=\"1\"} 2\nx_bucket{a=\"1\",le=\"0.5\"} 1\n\
        x_bucket{a=\"1\",le=\"+Inf\"} 5\nx_count{a=\"1\"} 5\nx_sum{a=\"1\"} 7.5\n\
        # TYPE y gauge\ny_count 1\n";

    fn read(text: &str) -> Exposition {
        let limits = wire::Limits::default();
        let options = wire::exposition::ScrapeOptions::new(1000, &limits);
        wire::exposition::parse("text/plain", text.as_bytes(), &options).unwrap()
    }

    #[test]
    fn a_classic_histogram_becomes_one_with_custom_buckets() {
        let e = to_custom_buckets(read(TEXT), false);
        assert_eq!(e.batch.series.len(), 2);
        let [h] = e.batch.histograms.as_slice() else { panic!("{:?}", e.batch.histograms) };
        assert_eq!(e.batch.series[h.series as usize].to_string(), "x{a=\"1\"}");
        let h = &h.histogram;
        assert_eq!((h.count, h.sum, h.is_integer), (5.0, 7.5, true));
        assert_eq!(
            (h.custom_values.as_slice(), h.positive_buckets.as_slice()),
            (&[0.5, 1.0][..], &[1.0, 1.0, 3.0][..])
        );
        assert_eq!(e.batch.samples.len(), 1, "what is no histogram stays");
        assert_eq!(e.timed.len(), e.batch.series.len());
    }

    #[test]
    fn classic_series_stay_where_wanted_and_contradictions_make_no_histogram() {
        let e = to_custom_buckets(read(TEXT), true);
        assert_eq!((e.batch.samples.len(), e.batch.histograms.len()), (6, 1));
        let e = to_custom_buckets(read(&TEXT.replace("x_count{a=\"1\"} 5", "x_count{a=\"1\"} 6")), false);
        assert_eq!((e.batch.samples.len(), e.batch.histograms.len()), (1, 0));
        let plain = read("a 1\n");
        assert_eq!(to_custom_buckets(plain.clone(), false), plain);
    }
}
