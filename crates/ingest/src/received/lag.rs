//! How old telemetry is at each stage of its way, by cluster and signal. The time of receipt is measured against; it is
//! never a label.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use base::{
    Metrics,
    metrics::{Pairs, Readings},
};
use model::Batch;
use parking_lot::Mutex;

use crate::stamp;

/// Clusters that metrics tell apart. What items call their cluster is the sender's word, and every word makes series.
const MAX_CLUSTERS: usize = 1000;
/// What metrics call the others.
const OTHERS: &str = "other";

/// The clusters that have series of their own.
#[derive(Clone, Default)]
pub(super) struct Clusters(Arc<Mutex<BTreeSet<String>>>);

impl Clusters {
    /// What metrics call a cluster.
    pub(super) fn name<'a>(&self, cluster: &'a str) -> &'a str {
        let mut known = self.0.lock();
        if known.contains(cluster) {
            return cluster;
        }
        if known.len() >= MAX_CLUSTERS {
            return OTHERS;
        }
        known.insert(cluster.to_owned());
        cluster
    }
}

/// A stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lag {
    /// Age of the oldest item that waits to be sent.
    Queued,
    /// Age of the newest item of a request when it was received.
    Received,
    /// The same when it was durable.
    Stored,
}

impl Lag {
    fn as_str(self) -> &'static str {
        match self {
            Lag::Queued => "queued",
            Lag::Received => "received",
            Lag::Stored => "stored",
        }
    }
}

/// The gauge, shared by both ends.
#[derive(Clone)]
pub struct PipelineLag {
    age: Readings,
    pub(super) clusters: Clusters,
}

impl PipelineLag {
    pub fn new(metrics: &Metrics) -> Self {
        let age = metrics.register_seconds(
            "pipeline_lag",
            "Age of telemetry between nodes by cluster, signal and stage: of the oldest item queued to be sent, and of the newest of the last request when it was received and when it was stored.",
            Readings::default(),
        );
        PipelineLag { age, clusters: Clusters::default() }
    }

    /// Clocks that disagree make an age negative; it is shown as it is.
    pub fn observe(&self, cluster: &str, signal: &str, stage: Lag, age_ns: i64) {
        let pairs: Pairs = vec![
            ("cluster", self.clusters.name(cluster).to_owned()),
            ("signal", signal.to_owned()),
            ("stage", stage.as_str().to_owned()),
        ];
        self.age.get_or_create(&pairs).set(age_ns as f64 / 1e9);
    }
}

/// By the cluster that items name: the time of the newest.
pub(super) fn newest(batch: &Batch) -> Vec<(String, i64)> {
    let mut all: BTreeMap<&str, i64> = BTreeMap::new();
    let mut see = |cluster, ns: i64| {
        if all.len() < MAX_CLUSTERS || all.contains_key(cluster) {
            let newest = all.entry(cluster).or_insert(i64::MIN);
            *newest = ns.max(*newest);
        }
    };
    match batch {
        Batch::Metrics(m) => {
            let clusters: Vec<&str> = m.series.iter().map(|l| l.value(stamp::LABEL)).collect();
            let of = |series: u32| clusters.get(series as usize).copied().unwrap_or_default();
            for (series, t) in m.samples.series.iter().zip(&m.samples.timestamp_ms) {
                see(of(*series), t.saturating_mul(1_000_000));
            }
            m.histograms.iter().for_each(|h| see(of(h.series), h.timestamp_ms.saturating_mul(1_000_000)));
        }
        Batch::Logs(l) => {
            // As it came: the label is made of the resource later.
            let clusters: Vec<&str> = l
                .streams
                .iter()
                .map(|s| match s.labels.value(stamp::LABEL) {
                    "" => stamp::named(&s.resource.attributes).unwrap_or_default(),
                    label => label,
                })
                .collect();
            let of = |stream: u32| clusters.get(stream as usize).copied().unwrap_or_default();
            l.records.iter().for_each(|r| see(of(r.stream), r.timestamp_ns));
        }
        Batch::Spans(s) => {
            let of = |origin: u32| {
                s.origins
                    .get(origin as usize)
                    .and_then(|o| stamp::named(&o.resource.attributes))
                    .unwrap_or("")
            };
            s.spans.iter().for_each(|span| see(of(span.origin), span.end_ns));
        }
        _ => {}
    }
    all.into_iter().map(|(cluster, ns)| (cluster.to_owned(), ns)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_that_names_a_new_cluster_each_time_makes_no_more_series_than_are_allowed() {
        let metrics = Metrics::default();
        let lag = PipelineLag::new(&metrics);
        for n in 0..3 * MAX_CLUSTERS {
            lag.observe(&format!("c{n}"), "logs", Lag::Stored, 1);
        }
        let text = metrics.encode();
        let series = text.lines().filter(|l| l.starts_with("orrery_pipeline_lag_seconds{"));
        assert_eq!(series.count(), MAX_CLUSTERS + 1);
        assert!(text.contains(r#"cluster="other""#) && text.contains(r#"cluster="c7""#));
    }
}
