//! Collects the points of one reading: series with labels, and each family's metadata once.

use std::collections::BTreeSet;

use model::{LabelsBuilder, MetricBatch, MetricKind, MetricMetadata};

use super::Options;

/// A metric family under its Prometheus name.
pub struct Family {
    pub name: &'static str,
    pub kind: MetricKind,
    pub unit: &'static str,
    pub help: &'static str,
}

impl Family {
    pub const fn counter(name: &'static str, unit: &'static str, help: &'static str) -> Self {
        Family { name, kind: MetricKind::Counter, unit, help }
    }

    pub const fn gauge(name: &'static str, unit: &'static str, help: &'static str) -> Self {
        Family { name, kind: MetricKind::Gauge, unit, help }
    }
}

pub struct Points {
    now_ms: i64,
    common: LabelsBuilder,
    described: BTreeSet<&'static str>,
    batch: MetricBatch,
}

impl Points {
    pub fn new(now_ms: i64, options: &Options) -> Self {
        let mut common = LabelsBuilder::default();
        common.set("job", "host").set("instance", &options.host_name).set("host_name", &options.host_name);
        for (name, value) in &options.labels {
            common.set(name, value);
        }
        Points { now_ms, common, described: BTreeSet::new(), batch: MetricBatch::default() }
    }

    /// Adds one point with the labels that tell it from others of its family.
    pub fn push(&mut self, family: &Family, labels: &[(&str, &str)], value: f64) {
        if self.described.insert(family.name) {
            self.batch.metadata.push(MetricMetadata {
                family: family.name.to_owned(),
                kind: family.kind,
                unit: family.unit.to_owned(),
                help: family.help.to_owned(),
            });
        }
        let mut all = self.common.clone();
        all.set("__name__", family.name);
        for (name, value) in labels {
            all.set(*name, *value);
        }
        let series = self.batch.push_series(all.build());
        self.batch.samples.push(series, self.now_ms, value);
    }

    pub fn finish(self) -> MetricBatch {
        self.batch
    }
}
