//! The node's own metrics: one registry, OpenMetrics text out. Crates register what they count under the
//! prefix `orrery_` and keep the typed handle; what Prometheus counts too may keep Prometheus' name.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicU64},
};

use parking_lot::Mutex;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::{Family, MetricConstructor},
        gauge::Gauge,
        histogram::Histogram,
    },
    registry::{Metric, Registry, Unit},
};

/// Label pairs of a family; names are static, values are few.
pub type Pairs = Vec<(&'static str, String)>;
pub type Counters = Family<Pairs, Counter>;
pub type Gauges = Family<Pairs, Gauge>;
/// Gauges that are no whole numbers.
pub type Readings = Family<Pairs, Gauge<f64, AtomicU64>>;
/// A counter without labels.
pub type Single = Counter;

/// How OpenMetrics text ends.
const END: &str = "# EOF\n";

/// Cheap handle to the registry.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
    parts: Arc<Mutex<BTreeMap<&'static str, Metrics>>>,
    prefix: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics { registry: Arc::default(), parts: Arc::default(), prefix: "orrery" }
    }
}

impl Metrics {
    /// The same registry, where what is counted has a name that readers know from elsewhere.
    pub fn with_prefix(&self, prefix: &'static str) -> Self {
        Metrics { prefix, ..self.clone() }
    }

    /// An empty registry that is exposed with this one, in place of the one that had this name before: for what is closed
    /// and opened anew while the node runs, and counts on from what it has on the disk. Its names must be its own.
    pub fn part(&self, name: &'static str) -> Self {
        let part = Metrics { registry: Arc::default(), parts: Arc::default(), prefix: self.prefix };
        self.parts.lock().insert(name, part.clone());
        part
    }

    /// Registers `metric` as `<prefix>_<name>`; a name is registered once per registry.
    pub fn register<M: Metric + Clone>(&self, name: &str, help: &str, metric: M) -> M {
        let name = format!("{}_{name}", self.prefix);
        // The encoder ends every help text with a full stop of its own.
        self.registry.lock().register(name, help.trim_end_matches('.'), metric.clone());
        metric
    }

    pub fn register_seconds<M: Metric + Clone>(&self, name: &str, help: &str, metric: M) -> M {
        let name = format!("{}_{name}", self.prefix);
        let help = help.trim_end_matches('.');
        self.registry.lock().register_with_unit(name, help, Unit::Seconds, metric.clone());
        metric
    }

    pub fn counters(&self, name: &str, help: &str) -> Counters {
        self.register(name, help, Counters::default())
    }

    pub fn counter(&self, name: &str, help: &str) -> Counter {
        self.register(name, help, Counter::default())
    }

    pub fn gauges(&self, name: &str, help: &str) -> Gauges {
        self.register(name, help, Gauges::default())
    }

    pub fn gauge(&self, name: &str, help: &str) -> Gauge {
        self.register(name, help, Gauge::default())
    }

    /// A family of latency histograms from 0.5 ms to 16 s.
    pub fn latencies(&self, name: &str, help: &str) -> Latencies {
        self.register_seconds(name, help, Family::new_with_constructor(LatencyBuckets))
    }

    /// The whole registry with its parts as OpenMetrics 1.0 text.
    pub fn encode(&self) -> String {
        let mut out = String::new();
        let parts: Vec<Metrics> = self.parts.lock().values().cloned().collect();
        for registry in parts.iter().map(|p| &p.registry).chain([&self.registry]) {
            // Only what comes last ends the text.
            out.truncate(out.strip_suffix(END).map_or(out.len(), str::len));
            // Writing to a String cannot fail.
            let _ = prometheus_client::encoding::text::encode(&mut out, &registry.lock());
        }
        out
    }
}

pub type Latencies = Family<Pairs, Histogram, LatencyBuckets>;

#[derive(Clone)]
pub struct LatencyBuckets;

impl MetricConstructor<Histogram> for LatencyBuckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(prometheus_client::metrics::histogram::exponential_buckets(0.0005, 2.0, 16))
    }
}

/// Shorthand for one label pair.
pub fn pair(name: &'static str, value: impl Into<String>) -> Pairs {
    vec![(name, value.into())]
}

/// Keeps the derive macro of label sets reachable for crates that want typed labels.
pub use prometheus_client::encoding::EncodeLabelSet as LabelSet;
const _: fn() = || {
    fn is_label_set<T: EncodeLabelSet>() {}
    is_label_set::<Pairs>();
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_exposed_with_prefix_and_labels() {
        let m = Metrics::default();
        m.counters("refused_items", "Items refused.").get_or_create(&pair("reason", "too_old")).inc_by(3);
        let text = m.encode();
        assert!(text.contains("orrery_refused_items_total{reason=\"too_old\"} 3"), "{text}");
    }

    #[test]
    fn a_part_is_exposed_with_the_rest_until_another_takes_its_place() {
        let m = Metrics::default();
        m.counter("whole", "Of the node.").inc();
        for _ in 0..2 {
            m.with_prefix("other").part("queue").counter("queued", "Of a part.").inc_by(5);
            let text = m.encode();
            assert_eq!(text.matches("other_queued_total 5\n").count(), 1, "{text}");
            assert!(text.contains("orrery_whole_total 1"), "{text}");
            assert_eq!(text.matches("# EOF").count(), 1, "{text}");
            assert!(text.ends_with("# EOF\n"), "{text}");
        }
    }
}
