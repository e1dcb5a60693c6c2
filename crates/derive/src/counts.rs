//! What was counted since the last time it was collected, and in all.

use std::time::Duration;

use model::{Labels, MetricBatch, metric::HistogramSample};

use crate::{
    graph::Graph,
    histogram::Latencies,
    observe::{Count, Observed, Side},
    plan::Plan,
    red::Red,
    room::Room,
};

/// Exemplars kept between two collections, at most one for each bucket. More cost memory, fewer leave buckets without.
const MAX_EXAMPLES: usize = 20_000;

/// What became of spans and halves, for the node's own metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Spans counted under their own labels.
    pub spans: u64,
    /// Spans that ended too long ago.
    pub too_old: u64,
    /// Spans counted together, since the limit of series or of memory was reached.
    pub overflow: u64,
    /// Edges of which both halves came.
    pub paired: u64,
    /// Edges of which one half can never come: databases, and services that send no spans.
    pub one_sided: u64,
    /// Halves whose other half did not come.
    pub unpaired: u64,
    /// Halves for which there was no room.
    pub dropped: u64,
    /// Edges counted together, since the limit of series or of memory was reached.
    pub edges_overflow: u64,
}

/// Since when a series counts, and whether anything still counts for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Life {
    /// Where it begins with 0.
    pub(crate) born_ms: i64,
    /// No sample of it was stored yet.
    pub(crate) fresh: bool,
    /// Something was counted that is in no stored sample yet.
    pub(crate) owes: bool,
    pub(crate) touched_ns: i64,
}

impl Life {
    fn begun(born_ms: i64, now_ns: i64) -> Self {
        Life { born_ms, fresh: true, owes: true, touched_ns: now_ns }
    }

    pub(crate) fn touch(&mut self, now_ns: i64) {
        self.owes = true;
        self.touched_ns = now_ns;
    }

    /// What was counted is stored.
    pub(crate) fn settle(&mut self) {
        self.fresh = false;
        self.owes = false;
    }

    /// Nothing was counted for so long, and what was is stored.
    pub(crate) fn ended(&self, at_ms: i64, stale_after: Duration) -> bool {
        let idle_ns = at_ms.saturating_mul(1_000_000).saturating_sub(self.touched_ns);
        !self.owes && u128::try_from(idle_ns).is_ok_and(|ns| ns > stale_after.as_nanos())
    }
}

/// One exemplar of a bucket.
pub(crate) struct Example {
    pub(crate) of: Of,
    pub(crate) bucket: u8,
    pub(crate) trace_id: [u8; 16],
    pub(crate) span_id: [u8; 8],
    pub(crate) duration_ns: u64,
    pub(crate) end_ns: i64,
}

/// Whose bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Of {
    Red(u32),
    Edge(u32, Side),
}

/// What everything that counts needs at hand.
pub(crate) struct Book<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) room: &'a Room,
    pub(crate) now_ns: i64,
    pub(crate) born_ms: i64,
    pub(crate) tally: &'a mut Tally,
    pub(crate) examples: &'a mut Vec<Example>,
}

impl Book<'_> {
    /// Counts a latency, and keeps its span as the exemplar of its bucket where that has none.
    pub(crate) fn observe(&mut self, latencies: &mut Latencies, of: Of, span: &Measured) {
        let bounds = match of {
            Of::Red(_) => &self.plan.red_bounds,
            Of::Edge(..) => &self.plan.graph_bounds,
        };
        let Some(bucket) = latencies.observe(bounds, span.duration_ns) else { return };
        if self.examples.len() >= MAX_EXAMPLES {
            return;
        }
        latencies.exemplified(bucket);
        self.examples.push(Example {
            of,
            bucket,
            trace_id: span.trace_id,
            span_id: span.span_id,
            duration_ns: span.duration_ns,
            end_ns: span.end_ns,
        });
    }

    pub(crate) fn life(&self) -> Life {
        Life::begun(self.born_ms, self.now_ns)
    }
}

/// A span as an exemplar shows it.
#[derive(Clone, Copy)]
pub(crate) struct Measured {
    pub(crate) trace_id: [u8; 16],
    pub(crate) span_id: [u8; 8],
    pub(crate) duration_ns: u64,
    pub(crate) end_ns: i64,
}

/// Everything that one tenant's spans were counted as.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) red: Red,
    pub(crate) graph: Graph,
    pub(crate) examples: Vec<Example>,
    /// Spans came since the last collection that was stored, whether they were counted or not.
    pub(crate) met: bool,
}

impl Counts {
    /// Adds what was taken down, but for the spans at `refused`, which ascend.
    pub(crate) fn add(
        &mut self,
        plan: &Plan,
        room: &Room,
        born_ms: i64,
        observed: Observed,
        refused: &[u32],
    ) -> Tally {
        let mut tally = Tally::default();
        self.met |= observed.spans.len() > refused.len();
        let Counts { red, graph, examples, .. } = self;
        let now_ns = observed.received_ns;
        let mut book = Book { plan, room, now_ns, born_ms, tally: &mut tally, examples };
        let stored = |position: u32| refused.binary_search(&position).is_err();
        for (seen, position) in observed.spans.iter().zip(0u32..) {
            if !stored(position) {
                continue;
            }
            match seen.count {
                Count::Under(number) => red.count(number, seen, &mut book),
                Count::TooOld => book.tally.too_old += 1,
                Count::Not => {}
            }
            if let Some(Some(target)) = observed.targets.get(seen.target as usize) {
                red.describe(*target, &book);
            }
        }
        for half in observed.halves.into_iter().filter(|h| stored(h.position)) {
            graph.meet(half, &mut book);
        }
        tally.dropped += observed.links_left_out;
        tally
    }

    /// Ends the waiting of halves that waited long enough by then.
    pub(crate) fn expire(&mut self, plan: &Plan, room: &Room, born_ms: i64, now_ns: i64) -> Tally {
        let mut tally = Tally::default();
        let Counts { graph, examples, .. } = self;
        graph.expire(&mut Book { plan, room, now_ns, born_ms, tally: &mut tally, examples });
        tally
    }
}

/// A series as it is written: its value at a time, with a 0 before the first, or its end.
pub(crate) struct Writer<'a> {
    pub(crate) batch: &'a mut MetricBatch,
    pub(crate) at_ms: i64,
}

impl Writer<'_> {
    pub(crate) fn float(&mut self, labels: &Labels, life: &Life, value: Option<f64>) -> u32 {
        let series = self.batch.push_series(labels.clone());
        let samples = &mut self.batch.samples;
        if life.fresh {
            samples.push_started(series, life.born_ms, 0.0, life.born_ms);
        }
        samples.push_started(
            series,
            self.at_ms,
            value.unwrap_or_else(model::metric::stale_marker),
            life.born_ms,
        );
        series
    }

    pub(crate) fn histogram(&mut self, labels: &Labels, life: &Life, value: Option<model::Histogram>) -> u32 {
        let series = self.batch.push_series(labels.clone());
        let sample = |timestamp_ms, histogram| HistogramSample {
            series,
            timestamp_ms,
            start_ms: life.born_ms,
            histogram,
        };
        let ended = || model::Histogram { sum: model::metric::stale_marker(), ..Default::default() };
        if let (true, Some(h)) = (life.fresh, &value) {
            let nothing = model::Histogram {
                schema: h.schema,
                zero_threshold: h.zero_threshold,
                is_integer: true,
                ..Default::default()
            };
            self.batch.histograms.push(sample(life.born_ms, nothing));
        }
        self.batch.histograms.push(sample(self.at_ms, value.unwrap_or_else(ended)));
        series
    }
}
