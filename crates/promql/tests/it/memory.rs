//! Series in memory behind the `Select` seam, made for thousands of small queries.

use std::collections::BTreeMap;

use async_trait::async_trait;
use contract::{
    Capabilities, Coverage, Error, LabelNamesRequest, LabelValuesRequest, LogsRequest, MetadataRequest,
    Result, Select, Selection, SeriesData, SeriesRequest, SpansRequest,
};
use eval::histogram::detect_reset;
use futures::{StreamExt, stream};
use model::{
    Histogram, Labels, LogBatch, MetricMetadata, SpanBatch, histogram::ResetHint, matcher::all_match,
};
use parking_lot::Mutex;

#[derive(Debug, Clone)]
pub enum Sample {
    Float(f64),
    Histogram(Box<Histogram>),
}

/// By time: the start of the counter, and the sample.
type Samples = BTreeMap<i64, (i64, Sample)>;

#[derive(Default)]
pub struct Memory {
    series: Mutex<BTreeMap<Labels, Samples>>,
}

impl Memory {
    pub fn clear(&self) {
        self.series.lock().clear();
    }

    /// A sample that stands already stays.
    pub fn put(&self, labels: &Labels, t_ms: i64, start_ms: i64, sample: Sample) {
        let mut series = self.series.lock();
        series.entry(labels.clone()).or_default().entry(t_ms).or_insert((start_ms, sample));
    }
}

/// A store that has seen every sample knows whether a histogram was reset since the one before.
fn hint(previous: Option<&Histogram>, h: &Histogram) -> ResetHint {
    match (h.reset_hint, previous) {
        (hint @ (ResetHint::Gauge | ResetHint::Reset), _) => hint,
        (_, None) => ResetHint::Unknown,
        (_, Some(p)) if p.reset_hint == ResetHint::Gauge || p.is_stale() => ResetHint::Unknown,
        (_, Some(p)) => {
            let unknown = Histogram { reset_hint: ResetHint::Unknown, ..h.clone() };
            let other_layout = p.schema != h.schema
                || p.zero_threshold != h.zero_threshold
                || p.custom_values != h.custom_values;
            if !other_layout && detect_reset(&unknown, p) {
                ResetHint::Reset
            } else if other_layout {
                ResetHint::Unknown
            } else {
                ResetHint::NotReset
            }
        }
    }
}

fn not_here<T>() -> Result<T> {
    Err(Error::invalid("only series are kept here"))
}

#[async_trait]
impl Select for Memory {
    async fn series(&self, r: SeriesRequest) -> Result<Selection<SeriesData>> {
        let (first, last) = r.scope.range.to_ms_inclusive();
        let mut out = Vec::new();
        for (labels, samples) in self.series.lock().iter() {
            if !all_match(&r.matchers, labels) {
                continue;
            }
            let mut data = SeriesData { labels: labels.clone(), ..Default::default() };
            let mut previous: Option<&Histogram> = None;
            for (t, (start, sample)) in samples {
                let inside = first <= *t && *t <= last;
                match sample {
                    Sample::Float(v) => {
                        previous = None;
                        if inside {
                            data.timestamps_ms.push(*t);
                            data.values.push(*v);
                            data.starts_ms.push(*start);
                        }
                    }
                    Sample::Histogram(h) => {
                        if inside {
                            let hinted = Histogram { reset_hint: hint(previous, h), ..(**h).clone() };
                            data.histograms.push((*t, *start, hinted));
                        }
                        previous = Some(h);
                    }
                }
            }
            if data.sample_count() > 0 {
                out.push(Ok(data));
            }
        }
        Ok(Selection::with_coverage(stream::iter(out).boxed(), Coverage::default()))
    }

    async fn logs(&self, _: LogsRequest) -> Result<Selection<LogBatch>> {
        not_here()
    }

    async fn spans(&self, _: SpansRequest) -> Result<Selection<SpanBatch>> {
        not_here()
    }

    async fn label_names(&self, _: LabelNamesRequest) -> Result<(Vec<String>, Coverage)> {
        not_here()
    }

    async fn label_values(&self, _: LabelValuesRequest) -> Result<(Vec<String>, Coverage)> {
        not_here()
    }

    async fn label_sets(&self, _: LabelNamesRequest) -> Result<(Vec<Labels>, Coverage)> {
        not_here()
    }

    async fn metadata(&self, _: MetadataRequest) -> Result<(Vec<MetricMetadata>, Coverage)> {
        not_here()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }
}
