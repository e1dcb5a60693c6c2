//! `traces`: what is derived from spans on their way in. Names and defaults are those of Tempo's metrics-generator
//! where it has them.

use std::time::Duration;

use derive::{
    Graph, Histograms, Latency, Options, Red, dimension_label,
    options::{MAX_BUCKETS, MAX_DIMENSIONS},
};
use model::ReplicaName;
use serde::Deserialize;

use crate::{check::Checker, scalar::Scalar, written::Field};

/// The section as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Written {
    pub metrics: WrittenMetrics,
    pub service_graph: WrittenGraph,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WrittenMetrics {
    pub enabled: Option<bool>,
    pub interval: Field<Scalar>,
    pub stale_after: Field<Scalar>,
    pub max_series: Field<Scalar>,
    pub max_age: Field<Scalar>,
    pub replicas: Field<String>,
    pub dimensions: Field<Vec<String>>,
    pub status_message: Option<bool>,
    pub target_info: Option<bool>,
    pub buckets: Field<Vec<f64>>,
    pub histograms: Field<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WrittenGraph {
    pub enabled: Option<bool>,
    pub wait: Field<Scalar>,
    pub max_items: Field<Scalar>,
    pub dimensions: Field<Vec<String>>,
    pub peer_attributes: Field<Vec<String>>,
    pub database_attributes: Field<Vec<String>>,
    pub buckets: Field<Vec<f64>>,
    pub histograms: Field<String>,
}

/// What is derived; `None` where nothing is.
pub(crate) fn check(w: &Written, replica: Option<&ReplicaName>, c: &mut Checker<'_>) -> Option<Options> {
    let (m, d) = (&w.metrics, Options::default());
    let max_age = c.duration("traces.metrics.max_age", &m.max_age, d.max_age.unwrap_or_default());
    let max_series = c.count("traces.metrics.max_series", &m.max_series, d.max_series as u64);
    let sharded = are_sharded(&m.replicas, c);
    let options = Options {
        interval: interval(&m.interval, d.interval, c),
        stale_after: some_time("traces.metrics.stale_after", &m.stale_after, d.stale_after, c),
        max_series: usize::try_from(max_series).unwrap_or(usize::MAX),
        max_age: (!max_age.is_zero()).then_some(max_age),
        instance: replica.filter(|_| sharded).map(|r| r.as_str().to_owned()),
        red: Some(red(m, c)).filter(|_| m.enabled.unwrap_or(true)),
        graph: Some(graph(&w.service_graph, c)).filter(|_| w.service_graph.enabled.unwrap_or(true)),
    };
    if let Some(f) = m.stale_after.as_ref().filter(|_| options.stale_after < options.interval) {
        c.problem(
            "traces.metrics.stale_after",
            f.referenced,
            "must not be less than traces.metrics.interval",
        );
    }
    (options.red.is_some() || options.graph.is_some()).then_some(options)
}

fn red(m: &WrittenMetrics, c: &mut Checker<'_>) -> Red {
    let d = Red::default();
    Red {
        dimensions: dimensions("traces.metrics.dimensions", &m.dimensions, d.dimensions, c),
        status_message: m.status_message.unwrap_or(d.status_message),
        target_info: m.target_info.unwrap_or(d.target_info),
        latency: latency("traces.metrics", (&m.buckets, &m.histograms), d.latency, c),
    }
}

fn graph(w: &WrittenGraph, c: &mut Checker<'_>) -> Graph {
    let d = Graph::default();
    let max_items = c.count("traces.service_graph.max_items", &w.max_items, d.max_items as u64);
    let at = |key: &str| format!("traces.service_graph.{key}");
    let databases = attributes(&at("database_attributes"), &w.database_attributes, d.database_attributes, c);
    Graph {
        wait: some_time("traces.service_graph.wait", &w.wait, d.wait, c),
        // Places are numbered in 32 bits, and a hundredth of those takes more memory than most nodes have.
        max_items: usize::try_from(max_items).unwrap_or(usize::MAX).min(40_000_000),
        dimensions: dimensions(&at("dimensions"), &w.dimensions, d.dimensions, c),
        peer_attributes: attributes(&at("peer_attributes"), &w.peer_attributes, d.peer_attributes, c),
        database_attributes: databases,
        latency: latency("traces.service_graph", (&w.buckets, &w.histograms), d.latency, c),
    }
}

fn interval(f: &Field<Scalar>, default: Duration, c: &mut Checker<'_>) -> Duration {
    let interval = c.duration("traces.metrics.interval", f, default);
    if let Some(f) = f.as_ref().filter(|_| interval < Duration::from_secs(1)) {
        c.problem("traces.metrics.interval", f.referenced, "must be 1s or more");
        return default;
    }
    interval
}

fn some_time(at: &str, f: &Field<Scalar>, default: Duration, c: &mut Checker<'_>) -> Duration {
    let time = c.duration(at, f, default);
    if let Some(f) = f.as_ref().filter(|_| time.is_zero()) {
        c.problem(at, f.referenced, "must be more than zero");
        return default;
    }
    time
}

/// Whether each replica of this node has a part of the spans.
fn are_sharded(f: &Field<String>, c: &mut Checker<'_>) -> bool {
    match f.as_ref().map(|s| (s.value.as_str(), s.referenced)) {
        None | Some(("sharded", _)) => true,
        Some(("mirrored", _)) => false,
        Some((other, at)) => {
            c.problem(
                "traces.metrics.replicas",
                at,
                format!("{other:?} is not known, use sharded or mirrored"),
            );
            true
        }
    }
}

fn latency(
    at: &str,
    (buckets, histograms): (&Field<Vec<f64>>, &Field<String>),
    default: Latency,
    c: &mut Checker<'_>,
) -> Latency {
    let kind = histograms.as_ref().map(|s| (Histograms::parse(&s.value), s));
    if let Some((None, s)) = &kind {
        let message = format!("{:?} is not known, use classic, native or both", s.value);
        c.problem(&format!("{at}.histograms"), s.referenced, message);
    }
    if let Some(s) = buckets {
        let bounds = &s.value;
        let ascend = bounds.is_sorted_by(|a, b| a < b) && bounds.iter().all(|b| b.is_finite() && *b > 0.0);
        let at = format!("{at}.buckets");
        if !ascend {
            c.problem(&at, s.referenced, "must be seconds that ascend, each more than zero");
        }
        if bounds.is_empty() || bounds.len() > MAX_BUCKETS {
            c.problem(
                &at,
                s.referenced,
                format!("takes 1 to {MAX_BUCKETS} bounds, {} are given", bounds.len()),
            );
        }
    }
    Latency {
        buckets: buckets.as_ref().map_or(default.buckets, |s| s.value.clone()),
        histograms: kind.and_then(|(kind, _)| kind).unwrap_or(default.histograms),
    }
}

/// Attributes that become labels: no two the same one.
fn dimensions(at: &str, f: &Field<Vec<String>>, default: Vec<String>, c: &mut Checker<'_>) -> Vec<String> {
    let keys = attributes(at, f, default, c);
    let Some(s) = f else { return keys };
    if keys.len() > MAX_DIMENSIONS {
        c.problem(at, s.referenced, format!("takes at most {MAX_DIMENSIONS}, {} are given", keys.len()));
    }
    let labels: Vec<String> = keys.iter().map(|k| dimension_label(k)).collect();
    for (i, label) in labels.iter().enumerate() {
        if let Some((first, second)) = labels
            .iter()
            .position(|l| l == label)
            .filter(|first| *first < i)
            .and_then(|f| keys.get(f).zip(keys.get(i)))
        {
            c.problem(at, s.referenced, format!("{first:?} and {second:?} are both the label {label:?}"));
        }
    }
    keys
}

/// A list of attribute keys, none empty.
fn attributes(at: &str, f: &Field<Vec<String>>, default: Vec<String>, c: &mut Checker<'_>) -> Vec<String> {
    let Some(s) = f else { return default };
    if s.value.iter().any(|k| k.trim().is_empty()) {
        c.problem(at, s.referenced, "has an empty attribute key");
    }
    s.value.clone()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn options(text: &str) -> Option<Options> {
        crate::parse(text, Path::new("o.yaml")).unwrap().derive
    }

    #[test]
    fn everything_is_derived_unless_switched_off() {
        assert_eq!(options(""), Some(Options::default()));
        assert_eq!(options("traces: {metrics: {enabled: false}, service_graph: {enabled: false}}"), None);
        let only_graph = options("traces: {metrics: {enabled: false, interval: 5s}}").unwrap();
        assert_eq!((only_graph.red, only_graph.interval), (None, Duration::from_secs(5)));
        assert!(only_graph.graph.is_some());
    }

    #[test]
    fn what_is_written_counts() {
        let text = "external_labels: {replica: a}\ntraces:\n  metrics: {max_age: 0, max_series: 1000, dimensions: [http.route], buckets: [0.1, 1], histograms: both, target_info: true}\n  service_graph: {wait: 30s, max_items: 5, peer_attributes: [x]}\n";
        let o = options(text).unwrap();
        assert_eq!((o.max_age, o.max_series, o.instance.as_deref()), (None, 1000, Some("a")));
        let red = o.red.unwrap();
        assert_eq!((red.dimensions, red.target_info), (vec!["http.route".to_owned()], true));
        assert_eq!(red.latency, Latency { buckets: vec![0.1, 1.0], histograms: Histograms::Both });
        let graph = o.graph.unwrap();
        assert_eq!(
            (graph.wait, graph.max_items, graph.peer_attributes),
            (Duration::from_secs(30), 5, vec!["x".to_owned()])
        );
        let mirrored = "external_labels: {replica: a}\ntraces: {metrics: {replicas: mirrored}}\n";
        assert_eq!(options(mirrored).unwrap().instance, None);
    }

    #[test]
    fn what_cannot_be_is_named_with_its_field() {
        for (text, field, says) in [
            ("traces: {metrics: {interval: 0}}", "traces.metrics.interval", "1s or more"),
            ("traces: {metrics: {stale_after: 1s}}", "traces.metrics.stale_after", "not be less"),
            ("traces: {metrics: {buckets: [1, 1]}}", "traces.metrics.buckets", "ascend"),
            ("traces: {metrics: {buckets: []}}", "traces.metrics.buckets", "1 to 60"),
            ("traces: {metrics: {histograms: nice}}", "traces.metrics.histograms", "classic, native or both"),
            ("traces: {metrics: {replicas: two}}", "traces.metrics.replicas", "sharded or mirrored"),
            (
                "traces: {metrics: {dimensions: [a.b, a_b]}}",
                "traces.metrics.dimensions",
                "both the label \"a_b\"",
            ),
            ("traces: {service_graph: {wait: 0}}", "traces.service_graph.wait", "more than zero"),
            (
                "traces: {service_graph: {peer_attributes: ['']}}",
                "traces.service_graph.peer_attributes",
                "empty",
            ),
        ] {
            let e = crate::parse(text, Path::new("o.yaml")).unwrap_err().to_string();
            assert!(e.contains(field) && e.contains(says), "{text}: {e}");
        }
    }
}
