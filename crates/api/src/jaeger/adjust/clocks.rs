//! Clocks of two machines differ. A span that begins before its parent of another machine shows by how much: it is
//! moved to the middle of the parent, as if the way there took as long as the way back, and with it what it called on
//! its own machine.
//!
//! Jaeger also moves spans that end after their parent. Here those stay: work that outlives its caller is no error of
//! a clock.

use std::collections::{HashMap, VecDeque};

use model::{Span, SpanBatch, span::SpanOrigin};

use crate::jaeger::{tags::warn, trace::hex};

/// Clocks that differ by more are not corrected but said to differ. Larger: a wrong time that a client made up moves
/// half the trace.
const MAX_SKEW_NS: i64 = 1_000_000_000;

/// How the clock of a machine differs from its caller's, and which machine that is.
#[derive(Clone)]
struct Skew {
    delta_ns: i64,
    machine: usize,
}

pub(super) fn correct(batch: &mut SpanBatch) {
    let machines = machines(&batch.origins);
    let machine_of = |s: &Span| machines.get(s.origin as usize).copied().unwrap_or(usize::MAX);
    let mut by_id: HashMap<[u8; 8], usize> = HashMap::new();
    for (at, span) in batch.spans.iter_mut().enumerate() {
        if *by_id.entry(span.span_id).or_insert(at) != at {
            warn(span, "duplicate span IDs; skipping clock skew adjustment".to_owned());
        }
    }
    let mut children: HashMap<usize, Vec<usize>> = HashMap::new();
    let mut next = VecDeque::new();
    for (at, span) in batch.spans.iter_mut().enumerate() {
        if by_id.get(&span.span_id) != Some(&at) {
            continue;
        }
        match by_id.get(&span.parent_span_id) {
            Some(parent) => children.entry(*parent).or_default().push(at),
            None => {
                if span.parent_span_id != [0; 8] {
                    let parent = hex(&span.parent_span_id);
                    let why = "is not in the trace; skipping clock skew adjustment";
                    warn(span, format!("parent span ID={parent} {why}"));
                }
                next.push_back((at, Skew { delta_ns: 0, machine: machine_of(span) }));
            }
        }
    }
    // Parents first: what a child is compared with stands already. A circle has no beginning and is left alone.
    while let Some((at, skew)) = next.pop_front() {
        let Some(span) = batch.spans.get_mut(at) else { continue };
        shift(span, skew.delta_ns);
        let (start, end) = (span.start_ns, span.end_ns);
        for child in children.remove(&at).unwrap_or_default() {
            let Some(span) = batch.spans.get(child) else { continue };
            let machine = machine_of(span);
            let of_child = match machine == skew.machine {
                true => skew.clone(),
                false => Skew { delta_ns: delta(span, start, end), machine },
            };
            next.push_back((child, of_child));
        }
    }
}

/// By how much a child has to move.
fn delta(child: &Span, parent_start: i64, parent_end: i64) -> i64 {
    if child.start_ns >= parent_start {
        return 0;
    }
    let latency = (parent_end.saturating_sub(parent_start)).saturating_sub(child.duration_ns()) / 2;
    parent_start.saturating_add(latency.max(0)).saturating_sub(child.start_ns)
}

fn shift(span: &mut Span, delta_ns: i64) {
    if delta_ns == 0 {
        return;
    }
    if delta_ns.saturating_abs() > MAX_SKEW_NS {
        let (max, by) = (shown(MAX_SKEW_NS), shown(delta_ns));
        warn(
            span,
            format!(
                "max clock skew adjustment delta of {max} exceeded; not applying calculated delta of {by}"
            ),
        );
        return;
    }
    span.start_ns = span.start_ns.saturating_add(delta_ns);
    span.end_ns = span.end_ns.saturating_add(delta_ns);
    for event in &mut span.events {
        event.timestamp_ns = event.timestamp_ns.saturating_add(delta_ns);
    }
    warn(span, format!("This span's timestamps were adjusted by {}", shown(delta_ns)));
}

fn shown(ns: i64) -> String {
    let sign = if ns < 0 { "-" } else { "" };
    format!("{sign}{:?}", std::time::Duration::from_nanos(ns.unsigned_abs()))
}

/// A number for each machine that origins name by its id, address or name. Where they name none, equal resources are
/// one machine: nothing says otherwise.
fn machines(origins: &[SpanOrigin]) -> Vec<usize> {
    let mut known: HashMap<String, usize> = HashMap::new();
    let mut number = |key: String| {
        let new = known.len();
        *known.entry(key).or_insert(new)
    };
    origins
        .iter()
        .map(|o| {
            let attributes = &o.resource.attributes;
            let named = ["host.id", "host.ip", "host.name"].into_iter().find_map(|k| attributes.get(k));
            let of_resource = || attributes.iter().map(|(k, v)| format!("{k:?}={v}\n")).collect();
            number(named.map_or_else(of_resource, ToString::to_string))
        })
        .collect()
}
