//! Metric samples as struct of arrays, with what a later PromQL needs from the first day: start timestamps,
//! staleness markers, exemplars, metadata and native histograms.

use crate::{histogram::Histogram, labels::Labels};

/// The NaN with which Prometheus marks the end of a series (`model/value`, 0x7ff0000000000002).
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;

pub fn stale_marker() -> f64 {
    f64::from_bits(STALE_NAN_BITS)
}

/// Whether a value ends its series. Compares bits: other NaNs are ordinary values.
pub fn is_stale_marker(v: f64) -> bool {
    v.to_bits() == STALE_NAN_BITS
}

/// The type of a metric family, as OpenMetrics names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum MetricKind {
    #[default]
    Unknown,
    Counter,
    Gauge,
    Histogram,
    GaugeHistogram,
    Summary,
    Info,
    StateSet,
}

impl MetricKind {
    pub const ALL: [MetricKind; 8] = [
        MetricKind::Unknown,
        MetricKind::Counter,
        MetricKind::Gauge,
        MetricKind::Histogram,
        MetricKind::GaugeHistogram,
        MetricKind::Summary,
        MetricKind::Info,
        MetricKind::StateSet,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            MetricKind::Unknown => "unknown",
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram => "histogram",
            MetricKind::GaugeHistogram => "gaugehistogram",
            MetricKind::Summary => "summary",
            MetricKind::Info => "info",
            MetricKind::StateSet => "stateset",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct MetricMetadata {
    /// Family name, e.g. `http_requests_total` or `http_request_duration_seconds`.
    pub family: String,
    pub kind: MetricKind,
    pub unit: String,
    pub help: String,
}

/// One example of what a sample counted, usually carrying a `trace_id` label.
#[derive(Debug, Clone, PartialEq)]
pub struct Exemplar {
    pub labels: Labels,
    pub value: f64,
    pub timestamp_ms: i64,
}

/// Samples of many series. `samples` and `histograms` refer to `series` by index; a series may appear once
/// only, its samples in any order (ascending is fastest).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MetricBatch {
    pub series: Vec<Labels>,
    pub samples: Samples,
    pub histograms: Vec<HistogramSample>,
    pub exemplars: Vec<(u32, Exemplar)>,
    pub metadata: Vec<MetricMetadata>,
    /// What the decoder knows of the series beside their labels. Whoever changes `series` drops it.
    pub hints: Option<SeriesHints>,
}

/// Numbers by which a decoder that meets the same series again and again tells them apart. They save work and
/// decide nothing: who goes by one compares the labels, and those of one number share their memory.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesHints {
    /// Who gives the numbers. Those of two sources have nothing to do with each other.
    pub source: u64,
    /// Of each series of the batch. Dense: a source counts up from 0.
    pub numbers: Vec<u32>,
    /// The bounds that the labels of every series are known to keep, names not empty included.
    pub checked: Option<LabelBounds>,
}

/// The most labels of a series, and the most bytes of a name and of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LabelBounds {
    pub labels: usize,
    pub name_bytes: usize,
    pub value_bytes: usize,
}

/// Parallel arrays, one entry per float sample.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Samples {
    /// Index into [`MetricBatch::series`].
    pub series: Vec<u32>,
    pub timestamp_ms: Vec<i64>,
    pub value: Vec<f64>,
    /// When the counter behind the sample began, or 0 where unknown. Empty means unknown for all.
    pub start_ms: Vec<i64>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct HistogramSample {
    /// Index into [`MetricBatch::series`].
    pub series: u32,
    pub timestamp_ms: i64,
    /// When the histogram began counting, or 0 where unknown.
    pub start_ms: i64,
    pub histogram: Histogram,
}

impl Samples {
    pub fn len(&self) -> usize {
        self.value.len()
    }

    pub fn is_empty(&self) -> bool {
        self.value.is_empty()
    }

    /// Makes room for as many samples more, without starts.
    pub fn reserve(&mut self, samples: usize) {
        self.series.reserve(samples);
        self.timestamp_ms.reserve(samples);
        self.value.reserve(samples);
    }

    pub fn push(&mut self, series: u32, timestamp_ms: i64, value: f64) {
        self.series.push(series);
        self.timestamp_ms.push(timestamp_ms);
        self.value.push(value);
        if !self.start_ms.is_empty() {
            self.start_ms.push(0);
        }
    }

    /// Pushes a sample with a known start; earlier ones without get 0.
    pub fn push_started(&mut self, series: u32, timestamp_ms: i64, value: f64, start_ms: i64) {
        if start_ms != 0 && self.start_ms.is_empty() {
            self.start_ms.resize(self.value.len(), 0);
            self.start_ms.reserve(1);
        }
        let started = start_ms != 0 || !self.start_ms.is_empty();
        self.series.push(series);
        self.timestamp_ms.push(timestamp_ms);
        self.value.push(value);
        if started {
            self.start_ms.push(start_ms);
        }
    }

    /// Start of sample `i` in ms, 0 where unknown.
    pub fn start_of(&self, i: usize) -> i64 {
        self.start_ms.get(i).copied().unwrap_or(0)
    }
}

impl MetricBatch {
    /// Adds a series and returns its index.
    pub fn push_series(&mut self, labels: Labels) -> u32 {
        self.series.push(labels);
        (self.series.len() - 1) as u32
    }

    /// Float and histogram samples together.
    pub fn item_count(&self) -> usize {
        self.samples.len() + self.histograms.len()
    }

    pub fn is_empty(&self) -> bool {
        self.item_count() == 0 && self.metadata.is_empty() && self.exemplars.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_times_stay_aligned_when_they_come_late() {
        let mut s = Samples::default();
        s.push(0, 1, 1.0);
        s.push_started(0, 2, 2.0, 7);
        s.push(0, 3, 3.0);
        s.push_started(0, 4, 4.0, 0);
        assert_eq!(s.start_ms, [0, 7, 0, 0]);
        assert_eq!(s.len(), 4);
    }

    #[test]
    fn only_the_exact_bit_pattern_is_a_stale_marker() {
        assert!(is_stale_marker(stale_marker()));
        assert!(!is_stale_marker(f64::NAN));
        assert!(!is_stale_marker(f64::from_bits(0x7ff8_0000_0000_0001)));
    }
}
