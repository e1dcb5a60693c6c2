//! How many spans one core counts in a second: RED and service graph, taken down, counted and collected.
//!
//!     cargo run --release -p derive --example rate
//!
//! Spans are those of requests that pass three of twenty services and end at a database, twelve attributes each, in
//! units of 512.

use std::time::Instant;

use base::MemoryBudget;
use derive::{Derived, Options};
use model::{Span, SpanBatch, SpanKind, span::SpanOrigin};

const SERVICES: u64 = 20;
const OPERATIONS: u64 = 25;
const UNITS: u64 = 4000;
const SPANS: usize = 512;
const NOW_NS: i64 = 1_790_000_000_000_000_000;

fn origins() -> Vec<SpanOrigin> {
    let named = |i: u64| {
        let mut origin = SpanOrigin::default();
        let attributes = &mut origin.resource.attributes;
        attributes.push("service.name", format!("service-{i}"));
        attributes.push("k8s.cluster.name", "dev-01");
        attributes.push("k8s.namespace.name", format!("team-{}", i % 4));
        attributes.push("k8s.pod.name", format!("service-{i}-5d9c7b6f4-x{}", i % 3));
        origin
    };
    (0..SERVICES).map(named).collect()
}

/// Client, server, client, server, client of a database; then the next request.
fn unit(number: u64) -> SpanBatch {
    let mut batch = SpanBatch { origins: origins(), spans: Vec::with_capacity(SPANS) };
    let mut random = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    while batch.spans.len() < SPANS {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let request = random;
        for step in 0..5u64 {
            let service = (request >> 33).wrapping_add(step.div_ceil(2)) % SERVICES;
            let mut span = Span {
                origin: service as u32,
                name: format!("GET /api/v1/resource/{}", (request >> 40).wrapping_add(step) % OPERATIONS),
                kind: if step % 2 == 0 { SpanKind::Client } else { SpanKind::Server },
                start_ns: NOW_NS - ((request >> 20) % 900_000_000) as i64,
                end_ns: NOW_NS,
                ..Span::default()
            };
            span.trace_id[..8].copy_from_slice(&request.to_le_bytes());
            span.trace_id[8..].copy_from_slice(&number.to_le_bytes());
            span.span_id = (request ^ step.wrapping_add(1)).to_le_bytes();
            span.parent_span_id = if step == 0 { [0; 8] } else { (request ^ step).to_le_bytes() };
            for i in 0..11 {
                span.attributes.push(format!("http.request.header.x-{i}"), "a value of some length");
            }
            match step {
                4 => span.attributes.push("db.system", "postgresql"),
                _ => span.attributes.push("http.response.status_code", 200i64),
            }
            batch.spans.push(span);
        }
    }
    batch
}

fn main() {
    let units: Vec<SpanBatch> = (0..64).map(unit).collect();
    let derived = Derived::new(Options::default(), MemoryBudget::unlimited(), NOW_NS);
    let (mut spans, mut edges) = (0u64, 0u64);
    let begun = Instant::now();
    for number in 0..UNITS {
        let Some(unit) = units.get(number as usize % units.len()) else { break };
        let observed = derived.observe([unit].into_iter(), NOW_NS);
        let tally = derived.apply(observed, &[]);
        spans += tally.spans;
        edges += tally.paired + tally.one_sided;
    }
    let counted = begun.elapsed();
    let begun = Instant::now();
    let collection = derived.begin(NOW_NS / 1_000_000 + 15_000);
    let mut samples = 0;
    for part in 0..collection.parts {
        samples += derived.write(&collection, part).item_count();
        derived.settle(&collection, part);
    }
    let per_span = counted.as_nanos() as f64 / spans as f64;
    println!("{spans} spans, {edges} edges in {counted:?}: {per_span:.0} ns a span");
    println!("{} series, {samples} samples written in {:?}", derived.series(), begun.elapsed());
}
