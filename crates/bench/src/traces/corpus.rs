//! Traces of an imagined shop, as instrumentation of OpenTelemetry writes them: a request at the gateway, services that
//! call each other over HTTP and gRPC, databases, a cache, a queue and its consumers. Ids, users, sizes and durations
//! differ in every trace; services, operations and the shape of a request repeat.

mod calls;

use model::{Span, SpanBatch, SpanEvent, SpanKind, SpanLink, SpanStatus, StatusCode, span::SpanOrigin};

use self::calls::{CALLS, Call, Way, origins};
use crate::random::Random;

/// One trace in so many of all is remembered, as long as there are fewer than this.
const NEEDLES: u64 = 40;
/// Requests that are made together: a trace's spans come from several senders.
const TOGETHER: usize = 4;
/// One trace in so many has a failure.
const FAILING: u64 = 40;

/// What is looked for later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Needle {
    pub trace_id: [u8; 16],
    /// An attribute that no other trace has.
    pub order: String,
    pub spans: usize,
    pub start_ns: i64,
}

/// Traces in order of time, evenly over a span.
pub(super) struct Corpus {
    origins: Vec<SpanOrigin>,
    random: Random,
    at_ns: f64,
    step_ns: f64,
    made: u64,
    needle_every: u64,
    pub(super) needles: Vec<Needle>,
    ready: Vec<SpanBatch>,
}

/// Spans of a trace on average: what the time between traces is made from.
const SPANS_OF_TRACE: f64 = 11.0;

impl Corpus {
    /// About `spans` spans over `span_ns`, the last trace at `end_ns`.
    pub(super) fn new(seed: u64, spans: u64, end_ns: i64, span_ns: i64) -> Self {
        let traces = (spans as f64 / SPANS_OF_TRACE).max(1.0);
        Corpus {
            origins: origins(),
            random: Random::split(seed, 0),
            at_ns: end_ns as f64 - span_ns as f64,
            step_ns: span_ns as f64 / traces,
            made: 0,
            needle_every: (traces as u64 / NEEDLES).max(1),
            needles: Vec::new(),
            ready: Vec::new(),
        }
    }

    /// The next request, of about so many spans.
    pub(super) fn next(&mut self, spans: usize) -> SpanBatch {
        loop {
            if let Some(batch) = self.ready.pop() {
                return batch;
            }
            self.make(spans.max(1));
        }
    }

    /// Whether traces were begun whose other spans come in further requests.
    pub(super) fn is_amid_traces(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Makes traces for several requests and deals them by who sends them.
    fn make(&mut self, spans: usize) {
        let mut all = Vec::with_capacity(spans * TOGETHER + 64);
        while all.len() < spans * TOGETHER {
            self.trace(&mut all);
        }
        all.sort_by_key(|s| (s.origin, s.end_ns));
        for part in all.chunks(spans) {
            let mut batch = SpanBatch::default();
            let mut last = None;
            for s in part {
                if last != Some(s.origin) {
                    batch.origins.extend(self.origins.get(s.origin as usize).cloned());
                    last = Some(s.origin);
                }
                let origin = batch.origins.len().saturating_sub(1) as u32;
                batch.spans.push(Span { origin, ..s.clone() });
            }
            self.ready.push(batch);
        }
    }

    fn trace(&mut self, out: &mut Vec<Span>) {
        self.at_ns += self.step_ns;
        let start_ns = self.at_ns as i64;
        let trace_id = (u128::from(self.random.next()) << 64 | u128::from(self.random.next())).to_be_bytes();
        let failing = self.random.below(FAILING) == 0;
        let mut making = Making {
            of: Request {
                user: format!("u-{:06}", self.random.below(200_000)),
                order: format!("{:016x}", self.random.next()),
                pods: self.random.next(),
            },
            random: &mut self.random,
            trace_id,
            failing,
            out: Vec::new(),
        };
        let root = making.random.below(100);
        let entry = match root {
            0..45 => 0,
            45..70 => 1,
            70..85 => 2,
            85..95 => 3,
            _ => 4,
        };
        making.call(entry, [0; 8], start_ns);
        let spans = making.out.len();
        let order = making.of.order.clone();
        let has_order = making.out.iter().any(|s| s.attributes.get_str("app.order.id") == Some(&order));
        out.append(&mut making.out);
        if has_order && self.made >= self.needle_every * self.needles.len() as u64 {
            self.needles.push(Needle { trace_id, order, spans, start_ns });
        }
        self.made += 1;
    }
}

/// What all calls of a request share.
struct Request {
    user: String,
    order: String,
    /// Picks the pod of each service.
    pods: u64,
}

struct Making<'a> {
    random: &'a mut Random,
    of: Request,
    trace_id: [u8; 16],
    failing: bool,
    out: Vec<Span>,
}

impl Making<'_> {
    /// A call and what it calls; when it ended, and whether it failed.
    fn call(&mut self, number: usize, parent: [u8; 8], start_ns: i64) -> (i64, bool) {
        let Some(call) = CALLS.get(number) else { return (start_ns, false) };
        let span_id = (self.random.next() | 1).to_be_bytes();
        let at = self.out.len();
        self.out.push(Span {
            origin: call.origin(self.of.pods),
            trace_id: self.trace_id,
            span_id,
            parent_span_id: parent,
            name: call.name.to_owned(),
            kind: call.way.kind(),
            start_ns,
            flags: 257,
            ..Span::default()
        });
        let own = self.own_ns(call);
        let (mut now, mut failed) = (start_ns + own / 3, false);
        for next in call.calls {
            let times = next.times.0 + self.random.below(next.times.1 - next.times.0 + 1);
            for _ in 0..times {
                let (end, bad) = self.call(next.number, span_id, now);
                failed |= bad;
                if call.way != Way::Consumer {
                    now = now.max(end) + own / 20;
                }
            }
        }
        failed |= call.calls.is_empty() && self.failing && self.random.chance(0.35);
        let end_ns = now + own / 2;
        let attributes = call.attributes(self.random, (&self.of.user, &self.of.order), failed);
        let link = (call.way == Way::Consumer && self.random.chance(0.2)).then(|| SpanLink {
            trace_id: (u128::from(self.random.next()) << 64 | u128::from(self.random.next())).to_be_bytes(),
            span_id: (self.random.next() | 1).to_be_bytes(),
            ..SpanLink::default()
        });
        let events = self.events(call, (start_ns, end_ns), failed);
        if let Some(span) = self.out.get_mut(at) {
            span.end_ns = end_ns;
            span.attributes = attributes;
            span.links.extend(link);
            span.events = events;
            if failed {
                span.status = SpanStatus { code: StatusCode::Error, message: call.trouble().to_owned() };
            }
        }
        (end_ns, failed)
    }

    /// Time that a call takes itself: mostly around its usual, rarely many times that.
    fn own_ns(&mut self, call: &Call) -> i64 {
        let spread =
            0.4 + self.random.unit() + if self.random.chance(0.01) { 20.0 * self.random.unit() } else { 0.0 };
        (call.usual_us as f64 * 1000.0 * spread) as i64 + self.random.below(1000) as i64
    }

    fn events(&mut self, call: &Call, (start_ns, end_ns): (i64, i64), failed: bool) -> Vec<SpanEvent> {
        let mut events = Vec::new();
        if call.way == Way::Rpc && self.random.chance(0.5) {
            for (name, at) in [("message.sent", start_ns), ("message.received", end_ns)] {
                let attributes = calls::message(self.random);
                events.push(SpanEvent {
                    timestamp_ns: at,
                    name: name.to_owned(),
                    attributes,
                    dropped_attributes: 0,
                });
            }
        }
        if failed && call.calls.is_empty() {
            let attributes = calls::exception(self.random, call.trouble());
            events.push(SpanEvent {
                timestamp_ns: end_ns,
                name: "exception".to_owned(),
                attributes,
                dropped_attributes: 0,
            });
        }
        events
    }
}

impl Way {
    fn kind(self) -> SpanKind {
        match self {
            Way::Http | Way::RpcServer => SpanKind::Server,
            Way::HttpClient | Way::Rpc | Way::Sql | Way::Cache => SpanKind::Client,
            Way::Producer => SpanKind::Producer,
            Way::Consumer => SpanKind::Consumer,
            Way::Inside => SpanKind::Internal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{HashMap, HashSet};

    #[test]
    fn the_same_seed_makes_the_same_traces_and_every_parent_is_there() {
        let run = || {
            let mut corpus = Corpus::new(7, 20_000, 1_700_000_000_000_000_000, 3_600_000_000_000);
            let mut batches: Vec<SpanBatch> = Vec::new();
            while batches.len() < 21 || corpus.is_amid_traces() {
                batches.push(corpus.next(900));
            }
            (batches, corpus.needles)
        };
        let (batches, needles) = run();
        assert_eq!((batches.clone(), needles.clone()), run());
        let spans: Vec<&Span> = batches.iter().flat_map(|b| &b.spans).collect();
        let known: HashSet<_> = spans.iter().map(|s| (s.trace_id, s.span_id)).collect();
        assert_eq!(known.len(), spans.len(), "ids are distinct");
        let mut of_trace: HashMap<_, usize> = HashMap::new();
        spans.iter().for_each(|s| *of_trace.entry(s.trace_id).or_default() += 1);
        let whole = spans.iter().filter(|s| s.parent_span_id != [0; 8]);
        let orphans = whole.filter(|s| !known.contains(&(s.trace_id, s.parent_span_id))).count();
        assert_eq!(orphans, 0);
        assert!(!needles.is_empty() && needles.iter().all(|n| of_trace.get(&n.trace_id) == Some(&n.spans)));
        let mean = spans.len() as f64 / of_trace.len() as f64;
        assert!((mean - SPANS_OF_TRACE).abs() < 1.0, "{mean} spans of a trace");
        let errors = spans.iter().filter(|s| s.status.code == StatusCode::Error).count();
        assert!(errors > 20 && errors < spans.len() / 20, "{errors}");
    }
}
