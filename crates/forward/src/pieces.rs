//! From parts to requests: parts of one tenant become one batch, which is cut where a limit is reached. What comes out
//! depends on the parts and the limits alone.

use std::collections::HashMap;

use model::{Batch, Labels, LogBatch, MetricBatch, SpanBatch, TenantId, metric::HistogramSample};

use crate::{frame::Part, ladder::Thin, selection::retain_metrics};

/// Items of one request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Piece {
    pub(crate) tenant: TenantId,
    pub(crate) batch: Batch,
}

/// What is in a run of parts.
pub(crate) struct Read {
    /// Of each tenant one batch per signal.
    tenants: Vec<(TenantId, Vec<Batch>)>,
    /// Items that could not be read.
    pub(crate) unreadable: u64,
}

impl Read {
    pub(crate) fn batches(&self) -> impl Iterator<Item = &Batch> {
        self.tenants.iter().flat_map(|(_, batches)| batches)
    }

    /// The requests of the run, and the items left out of them.
    pub(crate) fn requests(self, thin: &Thin, max_items: usize, max_bytes: usize) -> (Vec<Piece>, u64) {
        let (mut out, mut left_out) = (Vec::new(), 0);
        for (tenant, batches) in self.tenants {
            for batch in batches {
                let items = batch.item_count();
                let batch = thin.apply(batch);
                left_out += (items - batch.item_count()) as u64;
                if batch.item_count() == 0 {
                    continue;
                }
                for batch in cut(batch, max_items, max_bytes) {
                    out.push(Piece { tenant: tenant.clone(), batch });
                }
            }
        }
        (out, left_out)
    }
}

/// Reads the parts of a run.
pub(crate) fn read(parts: &[Part]) -> Read {
    let mut unreadable = 0;
    let mut tenants: Vec<(TenantId, Vec<Batch>)> = Vec::new();
    for part in parts {
        let decoded = unit(part);
        let (tenant, batches) = match decoded {
            Ok((t, b)) if b.iter().map(|b| b.item_count() as u64).sum::<u64>() == u64::from(part.items) => {
                (t, b)
            }
            Ok(_) => {
                unreadable += u64::from(part.items);
                continue;
            }
            Err(e) => {
                tracing::error!(items = part.items, error = %e, "a part of the queue cannot be read");
                unreadable += u64::from(part.items);
                continue;
            }
        };
        match tenants.iter_mut().find(|(t, _)| *t == tenant) {
            Some((_, of)) => of.extend(batches),
            None => tenants.push((tenant, batches)),
        }
    }
    let tenants = tenants.into_iter().map(|(tenant, batches)| (tenant, merge(batches))).collect();
    Read { tenants, unreadable }
}

fn unit(part: &Part) -> Result<(TenantId, Vec<Batch>), String> {
    let bytes = part.unit().map_err(|e| e.to_string())?;
    let (tenant, _, _, batches) = wire::native::decode(&bytes).map_err(|e| e.to_string())?;
    Ok((tenant, batches))
}

/// One batch per signal, in order of the first of each.
fn merge(batches: Vec<Batch>) -> Vec<Batch> {
    let mut out: Vec<Batch> = Vec::new();
    let mut index: HashMap<Labels, u32> = HashMap::new();
    for batch in batches {
        let signal = batch.signal();
        let into = match out.iter_mut().find(|b| b.signal() == signal) {
            Some(into) => into,
            None => {
                let empty = match &batch {
                    Batch::Metrics(_) => Batch::Metrics(MetricBatch::default()),
                    Batch::Logs(_) => Batch::Logs(LogBatch::default()),
                    Batch::Spans(_) => Batch::Spans(SpanBatch::default()),
                    _ => continue,
                };
                out.push(empty);
                let Some(last) = out.last_mut() else { continue };
                last
            }
        };
        match (into, batch) {
            (Batch::Metrics(into), Batch::Metrics(from)) => add_metrics(into, from, &mut index),
            (Batch::Logs(into), Batch::Logs(mut from)) => {
                let first = into.streams.len() as u32;
                from.records.iter_mut().for_each(|r| r.stream += first);
                into.streams.append(&mut from.streams);
                into.records.append(&mut from.records);
            }
            (Batch::Spans(into), Batch::Spans(mut from)) => {
                let first = into.origins.len() as u32;
                from.spans.iter_mut().for_each(|s| s.origin += first);
                into.origins.append(&mut from.origins);
                into.spans.append(&mut from.spans);
            }
            _ => {}
        }
    }
    out
}

/// A series stands once in a batch, its samples in the order in which they came.
fn add_metrics(into: &mut MetricBatch, from: MetricBatch, index: &mut HashMap<Labels, u32>) {
    let moved: Vec<u32> = from
        .series
        .into_iter()
        .map(|labels| {
            *index.entry(labels).or_insert_with_key(|l| {
                into.series.push(l.clone());
                into.series.len() as u32 - 1
            })
        })
        .collect();
    let place = |series: u32| moved.get(series as usize).copied().unwrap_or(0);
    let s = &from.samples;
    for (i, (series, (t, v))) in s.series.iter().zip(s.timestamp_ms.iter().zip(&s.value)).enumerate() {
        into.samples.push_started(place(*series), *t, *v, s.start_of(i));
    }
    let moved = from.histograms.into_iter().map(|h| HistogramSample { series: place(h.series), ..h });
    into.histograms.extend(moved);
    into.exemplars.extend(from.exemplars.into_iter().map(|(s, e)| (place(s), e)));
    for m in from.metadata {
        if !into.metadata.contains(&m) {
            into.metadata.push(m);
        }
    }
}

/// Cuts a batch in halves until each is within the limits, or a single item.
fn cut(batch: Batch, max_items: usize, max_bytes: usize) -> Vec<Batch> {
    let items = batch.item_count();
    if items <= 1 || (items <= max_items && batch.heap_bytes() <= max_bytes) {
        return vec![batch];
    }
    let (first, second) = halves(&batch);
    let mut out = cut(first, max_items, max_bytes);
    out.extend(cut(second, max_items, max_bytes));
    out
}

/// The first half of the items and the rest. Of metrics the float samples come before the histograms, exemplars go with
/// the first half that has their series.
pub(crate) fn halves(batch: &Batch) -> (Batch, Batch) {
    let middle = batch.item_count() / 2;
    let of = |first: bool| match batch {
        Batch::Metrics(m) => Batch::Metrics(half(m, middle, first)),
        Batch::Logs(l) => Batch::Logs(crate::selection::retain_logs(l, |i, _| (i < middle) == first)),
        Batch::Spans(s) => Batch::Spans(crate::selection::retain_spans(s, |i, _| (i < middle) == first)),
        other => other.clone(),
    };
    (of(true), of(false))
}

fn half(batch: &MetricBatch, middle: usize, first: bool) -> MetricBatch {
    let floats = batch.samples.len();
    // Whether the first half has an item of the series decides where its exemplars go, so they are sent once.
    let in_first = |series: u32| {
        let samples = batch.samples.series.iter().take(middle).any(|x| *x == series);
        samples || batch.histograms.iter().take(middle.saturating_sub(floats)).any(|h| h.series == series)
    };
    let mine = batch.exemplars.iter().filter(|(series, _)| in_first(*series) == first).cloned().collect();
    let source = MetricBatch { exemplars: mine, ..batch.clone() };
    retain_metrics(&source, |item| (item < middle) == first)
}

#[cfg(test)]
mod tests {
    use model::{LogRecord, LogStream};
    use proptest::prelude::*;

    use super::*;
    use crate::Class;

    fn pieces(parts: &[Part], max_items: usize, max_bytes: usize) -> (Vec<Piece>, u64) {
        let read = read(parts);
        let unreadable = read.unreadable;
        (read.requests(&Thin::default(), max_items, max_bytes).0, unreadable)
    }

    fn logs(lines: &[&str]) -> Batch {
        let record = |l: &&str| LogRecord { body: (*l).into(), ..LogRecord::default() };
        Batch::Logs(LogBatch {
            streams: vec![LogStream {
                labels: Labels::from_pairs([("app", lines[0])]),
                ..Default::default()
            }],
            records: lines.iter().map(record).collect(),
        })
    }

    fn metrics(values: &[(u8, i64)]) -> Batch {
        let mut m = MetricBatch::default();
        let mut known: HashMap<u8, u32> = HashMap::new();
        for (series, t) in values {
            let labels = Labels::from_pairs([("__name__", "m"), ("s", series.to_string().as_str())]);
            let n = *known.entry(*series).or_insert_with(|| m.push_series(labels));
            m.samples.push(n, *t, *t as f64);
        }
        Batch::Metrics(m)
    }

    fn part(tenant: &str, batch: &Batch) -> Part {
        let tenant = TenantId::new(tenant).unwrap();
        let bytes = wire::native::encode(&tenant, None, 1, std::slice::from_ref(batch)).unwrap();
        let items = batch.item_count() as u32;
        Part { received_ns: 1, unit: 0, class: Class::Logs, to: vec![], items, bytes: bytes.into() }
    }

    fn points(batch: &Batch) -> Vec<(String, i64)> {
        let Batch::Metrics(m) = batch else { panic!() };
        let of = |i: usize| (m.series[m.samples.series[i] as usize].to_string(), m.samples.timestamp_ms[i]);
        (0..m.samples.len()).map(of).collect()
    }

    #[test]
    fn parts_of_a_tenant_become_one_request_and_damaged_ones_are_counted() {
        let mut bad = part("a", &logs(&["x", "y", "z"]));
        bad.bytes = bad.bytes.slice(..bad.bytes.len() - 1);
        let parts = [part("a", &logs(&["1", "2"])), part("b", &logs(&["3"])), bad, part("a", &logs(&["4"]))];
        let (pieces, unreadable) = pieces(&parts, 100, 1 << 20);
        assert_eq!(unreadable, 3);
        let counts: Vec<_> = pieces.iter().map(|p| (p.tenant.as_str(), p.batch.item_count())).collect();
        assert_eq!(counts, [("a", 3), ("b", 1)]);
        let Batch::Logs(l) = &pieces[0].batch else { panic!() };
        assert_eq!(l.streams[l.records[2].stream as usize].labels.value("app"), "4");
    }

    proptest! {
        #[test]
        fn cutting_loses_nothing_doubles_nothing_and_keeps_the_order(
            batches in prop::collection::vec(prop::collection::vec((0u8..5, 0i64..1000), 1..30), 1..5),
            max_items in 1usize..20,
        ) {
            let parts: Vec<Part> = batches.iter().map(|b| part("a", &metrics(b))).collect();
            let expected: Vec<(String, i64)> = batches.iter().flat_map(|b| points(&metrics(b))).collect();
            let (pieces, _) = pieces(&parts, max_items, usize::MAX);
            prop_assert!(pieces.iter().all(|p| p.batch.item_count() <= max_items));
            let got: Vec<(String, i64)> = pieces.iter().flat_map(|p| points(&p.batch)).collect();
            prop_assert_eq!(got, expected);
        }
    }
}
