//! Metrics as series v2:
//!
//! ```text
//! {"series": [{"metric", "type": 1 count | 3 gauge, "interval": s, "points": [{"timestamp": s, "value"}],
//!              "tags": ["name:value"], "resources": [{"type": "host", "name"}]}]}
//! ```
//! A series has one point a second: of a gauge the last, of a counter all that was added.

use std::collections::BTreeMap;

use model::{Labels, MetricBatch};
use serde_json::{Map, Value, json};

use super::{
    DatadogOptions,
    deltas::{Deltas, Seen},
};
use crate::{
    destination::flat::{self, Point},
    ledger::Reasons,
};

const COUNT: u8 = 1;
const GAUGE: u8 = 3;

pub(super) struct Made {
    pub(super) body: Vec<u8>,
    pub(super) series: usize,
    /// Last points of counters, once this is taken.
    pub(super) seen: Seen,
    /// Items of which there is nothing in the body.
    pub(super) left: Reasons,
}

impl Made {
    pub(super) fn is_empty(&self) -> bool {
        self.series == 0
    }
}

/// Points of one series by second.
struct Line {
    kind: u8,
    interval_s: i64,
    points: BTreeMap<i64, f64>,
}

pub(super) fn body(batch: &MetricBatch, o: &DatadogOptions, deltas: &Deltas) -> Made {
    let (points, mut left) = flat::points(batch);
    let mut seen = Seen::default();
    // In order of the labels, so that the same batch is the same body.
    let mut lines: BTreeMap<Labels, Line> = BTreeMap::new();
    let mut at = points.iter().peekable();
    while let Some(first) = at.peek().copied() {
        let (mut is_sent, mut why) = (false, None);
        while let Some(p) = at.next_if(|p| p.item == first.item) {
            match put(&mut lines, p, deltas, &mut seen) {
                Ok(()) => is_sent = true,
                Err(reason) => why = Some(reason),
            }
        }
        if let (false, Some(reason)) = (is_sent, why) {
            *left.entry(reason.to_owned()).or_default() += 1;
        }
    }
    let series: Vec<Value> = lines.iter().map(|(labels, line)| written(labels, line, o)).collect();
    let count = series.len();
    let body = serde_json::to_vec(&json!({"series": series})).unwrap_or_default();
    Made { body, series: count, seen, left }
}

fn put(
    lines: &mut BTreeMap<Labels, Line>,
    p: &Point,
    deltas: &Deltas,
    seen: &mut Seen,
) -> Result<(), &'static str> {
    let second = p.timestamp_ms.div_euclid(1000);
    if !p.is_counter {
        let line = lines.entry(p.labels.clone()).or_insert_with(|| Line::new(GAUGE));
        line.points.insert(second, p.value);
        return Ok(());
    }
    let delta = deltas.delta(seen, p)?;
    let line = lines.entry(p.labels.clone()).or_insert_with(|| Line::new(COUNT));
    *line.points.entry(second).or_default() += delta.value;
    line.interval_s = line.interval_s.max(delta.interval_ms / 1000).max(1);
    Ok(())
}

impl Line {
    fn new(kind: u8) -> Self {
        Line { kind, interval_s: 0, points: BTreeMap::new() }
    }
}

fn written(labels: &Labels, line: &Line, o: &DatadogOptions) -> Value {
    let points = line.points.iter().map(|(t, v)| json!({"timestamp": t, "value": v}));
    let host = o.host_labels.iter().find_map(|name| labels.get(name).map(|host| (name, host)));
    let is_host = |name: &str| host.is_some_and(|(host, _)| host == name);
    let own = labels.iter().filter(|(name, _)| *name != "__name__" && !is_host(name));
    let tags: Vec<String> = own.map(|(n, v)| format!("{n}:{v}")).chain(o.tags.iter().cloned()).collect();
    let mut map = Map::new();
    map.insert("metric".to_owned(), json!(labels.metric_name()));
    map.insert("type".to_owned(), json!(line.kind));
    if line.kind == COUNT {
        map.insert("interval".to_owned(), json!(line.interval_s));
    }
    map.insert("points".to_owned(), Value::Array(points.collect()));
    map.insert("tags".to_owned(), json!(tags));
    if let Some((_, host)) = host {
        map.insert("resources".to_owned(), json!([{"type": "host", "name": host}]));
    }
    Value::Object(map)
}
