//! From counts to samples: what one collection writes, and what is settled once that is stored.
//!
//! ```text
//! traces_spanmetrics_calls_total · _size_total · _latency_{sum,count,bucket} or the native _latency
//!     service span_name span_kind status_code [status_message] [cluster] [job instance] dimensions
//! traces_service_graph_request_total · _request_failed_total · _request_{server,client}_seconds_{sum,count,bucket}
//!     client server [connection_type] [cluster] [server_cluster] client_… server_…
//! traces_service_graph_unpaired_spans_total · _dropped_spans_total        client or server
//! traces_target_info                                                      job instance attributes
//! ```
//! A collection may be written in several parts; which part a series belongs to follows from its labels alone.

use std::collections::HashMap;

use model::{Exemplar, Labels, MetricBatch};
use xxhash_rust::xxh3::xxh3_64;

use crate::{
    counts::{Counts, Example, Life, Of, Writer},
    graph::{EdgeKey, Loose, LooseKey, edge_bytes},
    histogram::{Bounds, Latencies},
    observe::{Names, Side, node_bytes, red_bytes},
    plan::Plan,
    room::Room,
    series,
};

/// Some of all series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) index: u32,
    pub(crate) of: u32,
}

impl Part {
    fn has(self, hash: impl FnOnce() -> u64) -> bool {
        self.of <= 1 || hash() % u64::from(self.of) == u64::from(self.index)
    }
}

/// What is to be forgotten.
enum Gone {
    Red(u32),
    Edge(u32),
    Loose(LooseKey),
    Target(u32),
}

/// One part of one collection of one tenant.
pub(crate) struct Emission<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) names: &'a Names,
    pub(crate) part: Part,
    pub(crate) at_ms: i64,
    /// When the collection before was.
    pub(crate) last_ms: i64,
}

/// What the histograms of one slot are written from.
struct Shown<'a> {
    latencies: &'a Latencies,
    life: &'a Life,
    ended: bool,
    examples: &'a [&'a Example],
}

impl Emission<'_> {
    /// The samples of the part.
    pub(crate) fn write(&self, counts: &mut Counts) -> MetricBatch {
        let mut batch = MetricBatch::default();
        let mut examples: HashMap<Of, Vec<&Example>> = HashMap::new();
        for e in &counts.examples {
            examples.entry(e.of).or_default().push(e);
        }
        let of = |of: Of| examples.get(&of).map(Vec::as_slice).unwrap_or_default();
        for (number, slot) in counts.red.slots_mut().filter(|(n, _)| self.has_red(*n)) {
            if slot.labels.is_empty() {
                slot.labels = series::red(self.plan, self.names.red.key(number));
            }
            let ended = self.ended(&slot.life);
            let mut labels = slot.labels.iter();
            self.counters(&mut batch, &mut labels, [slot.calls, slot.bytes], (&slot.life, ended));
            let examples = of(Of::Red(number));
            let shown = Shown { latencies: &slot.latencies, life: &slot.life, ended, examples };
            self.latencies(&mut batch, &mut labels, &self.plan.red_bounds, &shown);
        }
        for (number, edge) in counts.graph.edges_mut().filter(|(_, e)| self.has_edge(e.key)) {
            if edge.labels.is_empty() {
                edge.labels = series::edge(self.plan, self.names, edge.key);
            }
            let ended = self.ended(&edge.life);
            let mut labels = edge.labels.iter();
            self.counters(&mut batch, &mut labels, [edge.total, edge.failed], (&edge.life, ended));
            for (side, latencies) in [(Side::Server, &edge.server), (Side::Client, &edge.client)] {
                let shown =
                    Shown { latencies, life: &edge.life, ended, examples: of(Of::Edge(number, side)) };
                self.latencies(&mut batch, &mut labels, &self.plan.graph_bounds, &shown);
            }
        }
        self.loose(&mut batch, counts);
        self.targets(&mut batch, counts);
        batch
    }

    fn loose(&self, batch: &mut MetricBatch, counts: &mut Counts) {
        for (key, loose) in counts.graph.loose.iter_mut().filter(|(k, _)| self.has_loose(k)) {
            if loose.labels.is_empty() {
                loose.labels = series::loose(self.plan, self.names, *key);
            }
            let ended = self.ended(&loose.life);
            let Loose { life, unpaired, dropped, labels } = loose;
            self.counters(batch, &mut labels.iter(), [*unpaired, *dropped], (life, ended));
        }
    }

    fn targets(&self, batch: &mut MetricBatch, counts: &mut Counts) {
        for (number, target) in counts.red.targets.iter_mut().filter(|(n, _)| self.has_target(**n)) {
            let Some(key) = self.names.targets.key(*number) else { continue };
            let labels = target.labels.get_or_insert_with(|| series::target(self.plan, key));
            // It is no counter, and begins with no 0.
            let life = Life { fresh: false, ..target.life };
            let value = (!self.ended(&life)).then_some(1.0);
            Writer { batch, at_ms: self.at_ms }.float(labels, &life, value);
        }
    }

    fn counters<'l>(
        &self,
        batch: &mut MetricBatch,
        labels: &mut impl Iterator<Item = &'l Labels>,
        values: [u64; 2],
        (life, ended): (&Life, bool),
    ) {
        let mut w = Writer { batch, at_ms: self.at_ms };
        for value in values {
            let Some(labels) = labels.next() else { return };
            w.float(labels, life, (!ended).then_some(value as f64));
        }
    }

    /// Writes one histogram in the order of [`series::histogram`], each exemplar with its bucket.
    fn latencies<'l>(
        &self,
        batch: &mut MetricBatch,
        labels: &mut impl Iterator<Item = &'l Labels>,
        bounds: &Bounds,
        shown: &Shown<'_>,
    ) {
        let Shown { latencies, life, ended, examples } = *shown;
        let value = |v: f64| (!ended).then_some(v);
        if bounds.classic {
            let mut w = Writer { batch, at_ms: self.at_ms };
            for total in [latencies.sum_seconds(), latencies.count() as f64] {
                let Some(labels) = labels.next() else { return };
                w.float(labels, life, value(total));
            }
            let mut below = 0;
            for (n, bucket) in latencies.buckets.iter().zip(0u8..) {
                let Some(labels) = labels.next() else { return };
                below += n;
                let series = w.float(labels, life, value(below as f64));
                let example = examples.iter().find(|e| e.bucket == bucket);
                w.batch.exemplars.extend(example.map(|e| (series, self.exemplar(e))));
            }
        }
        if bounds.native
            && let Some(labels) = labels.next()
        {
            let native = latencies.native().filter(|_| !ended);
            let series = Writer { batch, at_ms: self.at_ms }.histogram(labels, life, native);
            // Where there are buckets, these have them.
            let own = examples.iter().filter(|_| !bounds.classic);
            batch.exemplars.extend(own.map(|e| (series, self.exemplar(e))));
        }
    }

    fn exemplar(&self, e: &Example) -> Exemplar {
        let at_ms = e.end_ns.div_euclid(1_000_000);
        Exemplar {
            labels: Labels::from_pairs([("trace_id", hex(&e.trace_id)), ("span_id", hex(&e.span_id))]),
            value: e.duration_ns as f64 / 1e9,
            // A late span is shown where it is counted.
            timestamp_ms: at_ms.clamp((self.last_ms + 1).min(self.at_ms), self.at_ms),
        }
    }

    /// The part is stored: what is in it begins a new interval, and what ended is forgotten.
    pub(crate) fn settle(&self, counts: &mut Counts) -> Forgotten {
        self.forget_examples(counts);
        let mut gone = Vec::new();
        for (number, slot) in counts.red.slots_mut().filter(|(n, _)| self.has_red(*n)) {
            gone.extend(self.ended(&slot.life).then_some(Gone::Red(number)));
            slot.life.settle();
            slot.latencies.want_exemplars();
        }
        for (number, edge) in counts.graph.edges_mut().filter(|(_, e)| self.has_edge(e.key)) {
            gone.extend(self.ended(&edge.life).then_some(Gone::Edge(number)));
            edge.life.settle();
            edge.server.want_exemplars();
            edge.client.want_exemplars();
        }
        for (key, loose) in counts.graph.loose.iter_mut().filter(|(k, _)| self.has_loose(k)) {
            gone.extend(self.ended(&loose.life).then_some(Gone::Loose(*key)));
            loose.life.settle();
        }
        for (number, target) in counts.red.targets.iter_mut().filter(|(n, _)| self.has_target(**n)) {
            gone.extend(self.ended(&target.life).then_some(Gone::Target(*number)));
            target.life.settle();
        }
        Forgotten(gone)
    }

    /// Everything of the part, for counts that were stored before.
    pub(crate) fn all(&self, counts: &mut Counts) -> Forgotten {
        self.forget_examples(counts);
        let mut gone: Vec<Gone> =
            counts.red.slots_mut().map(|(n, _)| n).filter(|n| self.has_red(*n)).map(Gone::Red).collect();
        let edges = counts.graph.edges_mut().filter(|(_, e)| self.has_edge(e.key));
        gone.extend(edges.map(|(n, _)| Gone::Edge(n)));
        gone.extend(counts.graph.loose.keys().filter(|k| self.has_loose(k)).map(|k| Gone::Loose(*k)));
        gone.extend(counts.red.targets.keys().filter(|n| self.has_target(**n)).map(|n| Gone::Target(*n)));
        Forgotten(gone)
    }

    fn forget_examples(&self, counts: &mut Counts) {
        let Counts { graph, examples, .. } = counts;
        examples.retain(|e| match e.of {
            Of::Red(number) => !self.has_red(number),
            Of::Edge(number, _) => graph.edge(number).is_some_and(|e| !self.has_edge(e.key)),
        });
    }

    fn ended(&self, life: &Life) -> bool {
        life.ended(self.at_ms, self.plan.options.stale_after)
    }

    fn has_red(&self, number: u32) -> bool {
        self.part.has(|| hash(self.names.red.key(number)))
    }

    fn has_target(&self, number: u32) -> bool {
        self.part.has(|| hash(self.names.targets.key(number)))
    }

    fn has_edge(&self, key: Option<EdgeKey>) -> bool {
        let node = |n: u32| hash(self.names.nodes.key(n));
        self.part
            .has(|| key.map_or(0, |k| node(k.client).rotate_left(1) ^ node(k.server) ^ k.connection as u64))
    }

    fn has_loose(&self, key: &LooseKey) -> bool {
        self.part.has(|| hash(self.names.nodes.key(key.node)))
    }
}

/// What is no longer counted for.
pub(crate) struct Forgotten(Vec<Gone>);

impl Forgotten {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Gives numbers and room back.
    pub(crate) fn free(self, plan: &Plan, room: &Room, names: &mut Names, counts: &mut Counts) {
        for gone in self.0 {
            match gone {
                Gone::Red(number) => {
                    counts.red.remove(number);
                    let bytes = names.red.key(number).map(|key| red_bytes(plan, key));
                    if let Some(bytes) = bytes {
                        room.give_back(plan.red_series(), bytes);
                        names.red.remove(number);
                    }
                }
                Gone::Edge(number) => {
                    if counts.graph.remove(number) {
                        room.give_back(plan.edge_series(), edge_bytes(plan));
                    }
                }
                Gone::Loose(key) => {
                    counts.graph.loose.remove(&key);
                }
                Gone::Target(number) => {
                    counts.red.targets.remove(&number);
                    let bytes = names.targets.key(number).map(node_bytes);
                    if let Some(bytes) = bytes {
                        room.give_back(1, bytes);
                        names.targets.remove(number);
                    }
                }
            }
        }
    }
}

/// Of a key, the same in every process.
fn hash(key: Option<&[u8]>) -> u64 {
    key.map_or(0, xxh3_64)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|b| [b >> 4, b & 15]).filter_map(|n| char::from_digit(n.into(), 16)).collect()
}
