//! Traces of an imagined shop: a request comes in at the gateway and fans out over services, three to twelve
//! spans deep and wide, one in twenty failing.

use model::{
    AnyValue, Attributes, Span, SpanBatch, SpanEvent, SpanKind, SpanStatus, StatusCode,
    attributes::{Resource, Scope},
    span::SpanOrigin,
};

use crate::{options::WriteOptions, random::Random};

pub(super) struct Shop {
    origins: Vec<SpanOrigin>,
    random: Random,
}

const SERVICES: [&str; 6] = ["gateway", "cart", "catalog", "checkout", "payment", "database"];
const OPERATIONS: [&str; 6] =
    ["GET /cart", "list items", "find product", "place order", "charge card", "SELECT"];

impl Shop {
    pub(super) fn new(options: &WriteOptions, worker: usize) -> Self {
        let copies = options.targets.div_ceil(SERVICES.len()).max(1);
        let copy = worker % copies;
        let origins = SERVICES
            .iter()
            .map(|service| {
                let instance = format!("{service}-{copy}");
                let attributes = Attributes::from_iter([
                    ("service.name", *service),
                    ("service.namespace", "shop"),
                    ("service.instance.id", instance.as_str()),
                ]);
                let scope = Scope { name: "bench".to_owned(), ..Scope::default() };
                SpanOrigin { resource: Resource { attributes, ..Resource::default() }, scope }
            })
            .collect();
        Shop { origins, random: Random::split(options.seed, worker as u64) }
    }

    pub(super) fn next(&mut self, items: usize, now_ns: i64) -> SpanBatch {
        let mut batch = SpanBatch { origins: self.origins.clone(), spans: Vec::with_capacity(items + 12) };
        while batch.spans.len() < items {
            self.trace(&mut batch.spans, now_ns);
        }
        batch
    }

    fn trace(&mut self, spans: &mut Vec<Span>, now_ns: i64) {
        let r = &mut self.random;
        let trace_id = (u128::from(r.next()) << 64 | u128::from(r.next())).to_be_bytes();
        let count = 3 + r.below(10) as usize;
        let total = 1_000_000 + r.below(400_000_000) as i64;
        let failing = r.chance(0.05);
        let first = spans.len();
        for i in 0..count {
            // A parent is any earlier span of the trace; a child lies inside it.
            let parent =
                (i > 0).then(|| first + r.below(i as u64) as usize).and_then(|p| spans.get(p)).cloned();
            let (start_ns, end_ns) = match &parent {
                None => (now_ns - total, now_ns),
                Some(p) => {
                    let room = p.duration_ns().max(2) as u64;
                    let offset = r.below(room / 2) as i64;
                    (p.start_ns + offset, p.start_ns + offset + 1 + r.below(room / 2) as i64)
                }
            };
            let depth = parent.as_ref().map_or(0, |p| (p.origin as usize + 1).min(SERVICES.len() - 1));
            let failed = failing && i + 1 == count;
            spans.push(Span {
                origin: depth as u32,
                trace_id,
                span_id: (r.next() | 1).to_be_bytes(),
                parent_span_id: parent.map_or([0; 8], |p| p.span_id),
                name: OPERATIONS.get(depth).copied().unwrap_or("GET /").to_owned(),
                kind: if depth == 0 { SpanKind::Server } else { SpanKind::Client },
                start_ns,
                end_ns,
                attributes: attributes(r, depth, failed),
                events: if failed { vec![exception(end_ns)] } else { Vec::new() },
                status: if failed {
                    SpanStatus { code: StatusCode::Error, message: "no replica answered".to_owned() }
                } else {
                    SpanStatus::default()
                },
                ..Span::default()
            });
        }
    }
}

fn attributes(r: &mut Random, depth: usize, failed: bool) -> Attributes {
    let mut out = Attributes::default();
    if depth + 1 == SERVICES.len() {
        out.push("db.system", "postgresql");
        out.push("db.rows", r.below(500) as i64);
    } else {
        out.push("http.request.method", "GET");
        out.push("http.response.status_code", if failed { 503i64 } else { 200 });
        out.push("user.id", format!("u{}", r.below(50_000)));
    }
    out.push("cache.hit", r.chance(0.7));
    out
}

fn exception(at_ns: i64) -> SpanEvent {
    SpanEvent {
        timestamp_ns: at_ns,
        name: "exception".to_owned(),
        attributes: Attributes::from_iter([("exception.message", AnyValue::from("no replica answered"))]),
        dropped_attributes: 0,
    }
}
