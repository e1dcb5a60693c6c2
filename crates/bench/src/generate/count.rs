//! Numbered items: each carries its number in a place that a query gives back.
//!
//! ```text
//! metrics   orrery_bench_item{run, worker, item="i"}: the i-th sample of a batch, its value is the number;
//!           one time per batch and worker
//! logs      {service_name="orrery-bench", service_namespace=run, k8s_pod_name=worker}: "... n=<number> ...";
//!           one time per record and worker
//! traces    one trace per batch, its id made of run, worker and first number; attribute bench.n per span
//! ```
//! Lines and spans are filled up with words, to as many bytes as are wanted.

use model::{
    AnyValue, Attributes, Batch, Labels, LogBatch, LogRecord, LogStream, MetricBatch, Span, SpanBatch,
    SpanKind, attributes::Resource, span::SpanOrigin,
};

use super::Numbered;
use crate::{Signal, options::WriteOptions, random::Random};

pub const COUNT_METRIC: &str = "orrery_bench_item";
pub const COUNT_SERVICE: &str = "orrery-bench";

/// What fills items up; it packs about as well as lines of programs do.
const WORDS: [&str; 32] = [
    "accepted",
    "address",
    "backend",
    "bytes",
    "cache",
    "client",
    "closed",
    "commit",
    "connection",
    "deadline",
    "duration",
    "error",
    "expired",
    "failed",
    "handler",
    "header",
    "index",
    "latency",
    "lease",
    "listener",
    "missing",
    "order",
    "partition",
    "payload",
    "queue",
    "replica",
    "request",
    "retry",
    "session",
    "stale",
    "timeout",
    "upstream",
];

/// The trace that holds the batch of `worker` that begins with number `first`.
pub fn trace_id(run: &str, worker: usize, first: u64) -> [u8; 16] {
    let seed = run.bytes().fold(0u64, |h, b| Random::new(h ^ u64::from(b)).next());
    let high = Random::split(seed, worker as u64).next();
    let low = Random::split(high, first).next() | 1;
    (u128::from(high) << 64 | u128::from(low)).to_be_bytes()
}

pub(super) struct Counter {
    signal: Signal,
    run: String,
    worker: usize,
    item_bytes: usize,
    next: u64,
    last: i64,
    labels: Vec<Labels>,
}

impl Counter {
    pub(super) fn new(options: &WriteOptions, run: &str, worker: usize) -> Self {
        let WriteOptions { signal, item_bytes, .. } = *options;
        Counter {
            signal,
            run: run.to_owned(),
            worker,
            item_bytes,
            next: 0,
            last: i64::MIN,
            labels: Vec::new(),
        }
    }

    /// What fills an item up that has so many bytes already.
    fn filler(&self, number: u64, taken: usize) -> String {
        let wanted = self.item_bytes.saturating_sub(taken);
        let mut random = Random::split(self.worker as u64, number);
        let mut out = String::with_capacity(wanted + 16);
        while out.len() < wanted {
            out.push(' ');
            out.push_str(random.pick(&WORDS).unwrap_or_default());
        }
        out.truncate(wanted);
        out
    }

    pub(super) fn next(&mut self, items: usize, now_ns: i64) -> Numbered {
        let first = self.next;
        self.next += items as u64;
        match self.signal {
            Signal::Metrics => self.metrics(items, first, now_ns),
            Signal::Logs => self.logs(items, first, now_ns),
            Signal::Traces => self.traces(items, first, now_ns),
        }
    }

    fn metrics(&mut self, items: usize, first: u64, now_ns: i64) -> Numbered {
        for i in self.labels.len()..items {
            let (worker, item) = (format!("w{}", self.worker), i.to_string());
            self.labels.push(Labels::from_pairs([
                ("__name__", COUNT_METRIC),
                ("run", self.run.as_str()),
                ("worker", worker.as_str()),
                ("item", item.as_str()),
            ]));
        }
        let at_ms = now_ns.div_euclid(1_000_000).max(self.last.saturating_add(1));
        self.last = at_ms;
        let mut batch =
            MetricBatch { series: self.labels.iter().take(items).cloned().collect(), ..Default::default() };
        for i in 0..items {
            batch.samples.push(i as u32, at_ms, (first + i as u64) as f64);
        }
        let at_ns = at_ms.saturating_mul(1_000_000);
        Numbered { batch: Batch::Metrics(batch), items: items as u64, first, from_ns: at_ns, to_ns: at_ns }
    }

    fn resource(&self) -> Resource {
        let pod = format!("w{}", self.worker);
        let attributes = Attributes::from_iter([
            ("service.name", COUNT_SERVICE),
            ("service.namespace", self.run.as_str()),
            ("k8s.pod.name", pod.as_str()),
        ]);
        Resource { attributes, ..Resource::default() }
    }

    fn logs(&mut self, items: usize, first: u64, now_ns: i64) -> Numbered {
        let resource = self.resource();
        let pairs = resource.attributes.iter().map(|(k, v)| (k.replace('.', "_"), v.to_string()));
        let labels = Labels::from_pairs(pairs);
        let from_ns = now_ns.max(self.last.saturating_add(1));
        let line = |number: u64| {
            let line = format!("counted line n={number} of run {}", self.run);
            let filler = self.filler(number, line.len());
            line + &filler
        };
        let records = (0..items as u64).map(|i| LogRecord {
            timestamp_ns: from_ns + i as i64,
            severity_number: 9,
            severity_text: "info".to_owned(),
            body: AnyValue::String(line(first + i)),
            ..LogRecord::default()
        });
        let batch = LogBatch {
            records: records.collect(),
            streams: vec![LogStream { labels, resource, ..LogStream::default() }],
        };
        let to_ns = from_ns + items as i64 - 1;
        self.last = to_ns;
        Numbered { batch: Batch::Logs(batch), items: items as u64, first, from_ns, to_ns }
    }

    fn traces(&mut self, items: usize, first: u64, now_ns: i64) -> Numbered {
        let trace_id = trace_id(&self.run, self.worker, first);
        let root = (first + 1).to_be_bytes();
        let attributes = |number: u64| {
            let mut all = Attributes::from_iter([("bench.n", number as i64)]);
            let filler = self.filler(number, 0);
            if !filler.is_empty() {
                all.push("bench.filler", filler);
            }
            all
        };
        let spans = (0..items as u64).map(|i| Span {
            trace_id,
            span_id: (first + i + 1).to_be_bytes(),
            parent_span_id: if i == 0 { [0; 8] } else { root },
            name: "counted".to_owned(),
            kind: SpanKind::Internal,
            start_ns: now_ns - 1_000_000,
            end_ns: now_ns,
            attributes: attributes(first + i),
            ..Span::default()
        });
        let batch = SpanBatch {
            spans: spans.collect(),
            origins: vec![SpanOrigin { resource: self.resource(), ..SpanOrigin::default() }],
        };
        Numbered { batch: Batch::Spans(batch), items: items as u64, first, from_ns: now_ns, to_ns: now_ns }
    }
}
