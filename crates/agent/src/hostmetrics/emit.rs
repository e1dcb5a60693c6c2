//! From OpenTelemetry names and attributes to series, samples and metadata.

use std::collections::BTreeSet;

use model::{Labels, MetricBatch, MetricKind, MetricMetadata, labels::METRIC_NAME};
use wire::names::{NameKind, label_name, metric_name};

/// A metric as the semantic conventions define it.
pub(super) struct Metric {
    pub(super) name: &'static str,
    pub(super) unit: &'static str,
    pub(super) kind: MetricKind,
    pub(super) help: &'static str,
}

impl Metric {
    pub(super) const fn counter(name: &'static str, unit: &'static str, help: &'static str) -> Self {
        Metric { name, unit, kind: MetricKind::Counter, help }
    }

    pub(super) const fn gauge(name: &'static str, unit: &'static str, help: &'static str) -> Self {
        Metric { name, unit, kind: MetricKind::Gauge, help }
    }
}

/// Collects one reading.
pub(super) struct Emit {
    now_ms: i64,
    common: Vec<(String, String)>,
    families: BTreeSet<&'static str>,
    series: BTreeSet<Labels>,
    batch: MetricBatch,
}

impl Emit {
    pub(super) fn new(now_ms: i64, common: &[(&str, &str)]) -> Self {
        let common = common.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        Emit {
            now_ms,
            common,
            families: BTreeSet::new(),
            series: BTreeSet::new(),
            batch: MetricBatch::default(),
        }
    }

    /// One sample. A second one of the same series is left out: devices can be listed twice.
    pub(super) fn push(&mut self, m: &Metric, attributes: &[(&str, &str)], value: f64) {
        let kind = match m.kind {
            MetricKind::Counter => NameKind::Counter,
            _ => NameKind::Gauge,
        };
        let name = metric_name(m.name, m.unit, kind);
        let own = attributes.iter().map(|(k, v)| (label_name(k).into_owned(), (*v).to_owned()));
        let name_pair = (METRIC_NAME.to_owned(), name.clone());
        let labels = Labels::from_pairs(self.common.iter().cloned().chain(own).chain([name_pair]));
        if !self.series.insert(labels.clone()) {
            return;
        }
        let series = self.batch.push_series(labels);
        self.batch.samples.push(series, self.now_ms, value);
        if self.families.insert(m.name) {
            self.batch.metadata.push(MetricMetadata {
                family: name,
                kind: m.kind,
                unit: unit_word(m.unit),
                help: m.help.to_owned(),
            });
        }
    }

    pub(super) fn finish(self) -> MetricBatch {
        self.batch
    }
}

fn unit_word(unit: &str) -> String {
    match unit {
        "1" => "ratio".to_owned(),
        other => wire::names::unit_words(other).0,
    }
}
