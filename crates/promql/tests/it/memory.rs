//! Series in memory behind the `Select` seam, made for thousands of small queries.

use std::collections::BTreeMap;

use contract::{SeriesData, SeriesRequest, fake::SeriesOnly};
use eval::histogram::detect_reset;
use model::{Histogram, Labels, histogram::ResetHint, matcher::all_match};
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
    /// Clusters that series are dealt to by chance, each then named in a label.
    clusters: u64,
}

/// What a series that was dealt carries.
pub const CLUSTER: &str = "cluster";

impl Memory {
    pub fn dealt_to(clusters: u64) -> Self {
        Memory { clusters, ..Memory::default() }
    }

    pub fn clear(&self) {
        self.series.lock().clear();
    }

    /// A sample that stands already stays.
    pub fn put(&self, labels: &Labels, t_ms: i64, start_ms: i64, sample: Sample) {
        let labels = match self.clusters {
            0 => labels.clone(),
            n => labels.with(CLUSTER, &format!("c{}", labels.stable_hash() % n)),
        };
        let mut series = self.series.lock();
        series.entry(labels).or_default().entry(t_ms).or_insert((start_ms, sample));
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

impl SeriesOnly for Memory {
    fn find(&self, r: &SeriesRequest) -> Vec<SeriesData> {
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
                out.push(data);
            }
        }
        out
    }
}
