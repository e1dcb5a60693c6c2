//! What of a span is counted, taken down before the spans are stored, so that afterwards only numbers are added.
//!
//! ```text
//! RED key     service · cluster · job · instance · span name · kind and status · status message · dimensions
//! node key    "0" · service · cluster · dimensions        a service that sends spans
//!             "1" · name                                  one that is only named by others
//! target key  job · instance · name · value · name · value ...
//! ```
//! Keys that are known cost one look-up each, under a lock that readers share. New ones are numbered at the end.

mod halves;
mod numbers;

use model::{AnyValue, Attributes, Span, SpanBatch, span::SpanOrigin};
use parking_lot::RwLock;

use crate::{
    intern::{END, Interner, OVERFLOW},
    labels::{cut, dimension_label},
    plan::{Found, Plan},
    room::Room,
    size::otlp_bytes,
};
use halves::side;
pub(crate) use numbers::{node_bytes, red_bytes};

/// Resource attributes that name a cluster, the first one first.
const CLUSTER: [&str; 2] = ["k8s.cluster.name", "cluster.id"];

/// Numbers of everything that has labels.
#[derive(Default)]
pub(crate) struct Names {
    pub(crate) red: Interner,
    pub(crate) nodes: Interner,
    pub(crate) targets: Interner,
}

/// Spans of one unit as they will be counted, in their order.
#[derive(Default)]
pub struct Observed {
    pub(crate) spans: Vec<Seen>,
    pub(crate) halves: Vec<Half>,
    /// By batch and origin, which spans refer to.
    pub(crate) targets: Vec<Option<u32>>,
    pub(crate) received_ns: i64,
    pub(crate) links_left_out: u64,
}

impl Observed {
    /// Spans of the unit.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }
}

/// One span for RED.
pub(crate) struct Seen {
    pub(crate) count: Count,
    /// Index into [`Observed::targets`].
    pub(crate) target: u32,
    pub(crate) bytes: u32,
    pub(crate) duration_ns: u64,
    pub(crate) end_ns: i64,
    pub(crate) trace_id: [u8; 16],
    pub(crate) span_id: [u8; 8],
}

/// Under which number a span is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Count {
    Under(u32),
    /// It ended too long ago.
    TooOld,
    /// RED is not wanted.
    Not,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub(crate) enum Side {
    Client,
    Server,
}

/// How half an edge becomes a whole one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Other {
    /// The other half comes, or else it is this node that sends no spans.
    Awaited(Option<u32>),
    /// There is no other half to come: the caller of a root span.
    Virtual(u32),
    /// A database, which the client's span names.
    Database(u32),
}

/// One side of a request.
#[derive(Clone, Debug)]
pub(crate) struct Half {
    /// Where its span stands in the unit.
    pub(crate) position: u32,
    pub(crate) side: Side,
    pub(crate) messaging: bool,
    pub(crate) failed: bool,
    pub(crate) other: Other,
    pub(crate) node: u32,
    pub(crate) trace_id: [u8; 16],
    /// The client's span.
    pub(crate) call: [u8; 8],
    pub(crate) span_id: [u8; 8],
    /// The trace it belongs to itself; a link may lead to another one.
    pub(crate) own_trace: [u8; 16],
    pub(crate) duration_ns: u64,
    pub(crate) end_ns: i64,
}

/// A key that had no number yet.
struct Missing {
    what: What,
    key: Vec<u8>,
}

enum What {
    Red(usize),
    Node(usize),
    Other(usize),
    Target(usize),
}

/// What the spans of one origin share.
struct Origin<'a> {
    red: Vec<u8>,
    node: Vec<u8>,
    found: Found<'a>,
    /// A dimension is not in the resource, so spans are asked for it.
    open: bool,
    /// Nothing of a span is in the key of its node.
    shares_node: bool,
    node_number: Option<u32>,
}

/// Takes down all batches of a unit.
pub(crate) fn observe<'b>(
    plan: &Plan,
    names: &RwLock<Names>,
    room: &Room,
    batches: impl Iterator<Item = &'b SpanBatch>,
    received_ns: i64,
) -> Observed {
    let known = names.read();
    let out = Observed { received_ns, ..Observed::default() };
    let mut observer = Observer { plan, names: &known, out, missing: Vec::new(), key: Vec::new() };
    for batch in batches {
        observer.batch(batch);
    }
    let Observer { mut out, missing, .. } = observer;
    drop(known);
    if !missing.is_empty() {
        numbers::give(plan, &mut names.write(), room, &mut out, missing);
    }
    out
}

struct Observer<'p> {
    plan: &'p Plan,
    names: &'p Names,
    out: Observed,
    missing: Vec<Missing>,
    key: Vec<u8>,
}

impl Observer<'_> {
    fn batch(&mut self, batch: &SpanBatch) {
        let first_target = self.out.targets.len() as u32;
        let mut origins: Vec<Origin<'_>> = batch.origins.iter().map(|o| self.origin(o)).collect();
        self.out.spans.reserve(batch.spans.len());
        let mut found = Found::new();
        for span in &batch.spans {
            let position = self.out.spans.len() as u32;
            // A span without an origin is refused by whoever stores it.
            let Some(origin) = origins.get_mut(span.origin as usize) else {
                self.out.spans.push(seen(span, Count::Not, first_target));
                continue;
            };
            let too_old = self.plan.options.max_age.is_some_and(|age| {
                let age_ns = self.out.received_ns.saturating_sub(span.end_ns.max(span.start_ns));
                u128::try_from(age_ns).is_ok_and(|ns| ns > age.as_nanos())
            });
            if too_old {
                self.out.spans.push(seen(span, Count::TooOld, first_target));
                continue;
            }
            let is_half = side(span.kind).is_some() && self.plan.options.graph.is_some();
            if is_half || origin.open {
                self.plan.find(&span.attributes, &mut found);
            }
            let count = self.red(span, origin, &found, position);
            self.out.spans.push(seen(span, count, first_target + span.origin));
            if is_half {
                self.half(span, origin, &found, position);
            }
        }
    }

    fn origin<'a>(&mut self, origin: &'a SpanOrigin) -> Origin<'a> {
        let attributes = &origin.resource.attributes;
        let service = service(origin);
        let cluster = CLUSTER.iter().find_map(|name| attributes.get_str(name)).unwrap_or_default();
        let mut found = Found::new();
        self.plan.find(attributes, &mut found);
        let has = |numbers: &[usize]| numbers.iter().all(|i| found.get(*i).is_some_and(Option::is_some));
        let (has_red, has_graph) = (has(&self.plan.red), has(&self.plan.graph));
        let mut red = Vec::new();
        put(&mut red, service);
        put(&mut red, cluster);
        let (job, instance) = self.job(attributes, service);
        put(&mut red, &job);
        put(&mut red, &instance);
        let mut node = vec![b'0', END];
        put(&mut node, service);
        put(&mut node, cluster);
        let target = self.target(attributes, &job, &instance);
        self.out.targets.push(target);
        Origin {
            red,
            node,
            open: !(self.plan.wants_nothing() || has_red && has_graph),
            shares_node: has_graph,
            found,
            node_number: None,
        }
    }

    /// `job` and `instance`, where resources are described apart.
    fn job(&self, attributes: &Attributes, service: &str) -> (String, String) {
        if !self.plan.options.red.as_ref().is_some_and(|r| r.target_info) {
            return Default::default();
        }
        let text = |name: &str| attributes.get(name).map(ToString::to_string).unwrap_or_default();
        let namespace = text("service.namespace");
        let job = if namespace.is_empty() { service.to_owned() } else { format!("{namespace}/{service}") };
        (job, text("service.instance.id"))
    }

    /// The number of what describes a resource, if that is wanted.
    fn target(&mut self, attributes: &Attributes, job: &str, instance: &str) -> Option<u32> {
        if job.is_empty() {
            return None;
        }
        let mut key = Vec::new();
        put(&mut key, job);
        put(&mut key, instance);
        let mut described = false;
        for (name, value) in attributes.iter() {
            let identifies = ["service.name", "service.namespace", "service.instance.id"].contains(&name);
            if !identifies && !name.is_empty() {
                put(&mut key, &dimension_label(name));
                put_value(&mut key, Some(value));
                described = true;
            }
        }
        if !described {
            return None;
        }
        let number = self.names.targets.get(&key);
        if number.is_none() {
            self.missing.push(Missing { what: What::Target(self.out.targets.len()), key });
        }
        Some(number.unwrap_or(OVERFLOW))
    }

    fn red(&mut self, span: &Span, origin: &Origin<'_>, found: &Found<'_>, position: u32) -> Count {
        let Some(options) = &self.plan.options.red else { return Count::Not };
        let mut key = std::mem::take(&mut self.key);
        key.clear();
        key.extend_from_slice(&origin.red);
        put(&mut key, &span.name);
        key.extend_from_slice(&[b'0' + span.kind as u8, b'0' + span.status.code as u8, END]);
        put(&mut key, if options.status_message { &span.status.message } else { "" });
        for number in &self.plan.red {
            put_value(&mut key, value(origin, found, *number));
        }
        let number = self.names.red.get(&key);
        if number.is_none() {
            self.missing.push(Missing { what: What::Red(position as usize), key: key.clone() });
        }
        self.key = key;
        Count::Under(number.unwrap_or(OVERFLOW))
    }
}

fn seen(span: &Span, count: Count, target: u32) -> Seen {
    let counted = matches!(count, Count::Under(_));
    Seen {
        count,
        target,
        bytes: if counted { u32::try_from(otlp_bytes(span)).unwrap_or(u32::MAX) } else { 0 },
        duration_ns: span.duration_ns() as u64,
        end_ns: span.end_ns,
        trace_id: span.trace_id,
        span_id: span.span_id,
    }
}

/// As spans are listed by service everywhere else.
fn service(origin: &SpanOrigin) -> &str {
    match origin.service_name() {
        "" => "unknown_service",
        name => name,
    }
}

/// The resource's value, else the span's.
fn value<'a>(origin: &Origin<'a>, found: &Found<'a>, number: usize) -> Option<&'a AnyValue> {
    let of = |found: &Found<'a>| found.get(number).copied().flatten();
    of(&origin.found).or_else(|| of(found))
}

fn put(key: &mut Vec<u8>, part: &str) {
    key.extend_from_slice(cut(part).as_bytes());
    key.push(END);
}

fn put_value(key: &mut Vec<u8>, value: Option<&AnyValue>) {
    match value {
        None => key.push(END),
        Some(AnyValue::String(s)) => put(key, s),
        Some(other) => put(key, &other.to_string()),
    }
}
