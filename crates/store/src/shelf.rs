//! Everything of one (tenant, signal): the active head, frozen heads, and the live segments. What a reader
//! takes under the lock is consistent: each item is in exactly one of the three.

use std::{collections::BTreeMap, sync::Arc};

use base::memory::{MemoryBudget, OverLimit, Reservation, Use};
use disklog::Position;
use model::{Batch, Labels, Matcher, MetricMetadata, Signal, TenantId, TimeRange, TimestampMs};
use parking_lot::{Mutex, RwLock};

use crate::{
    Result,
    catalog::{Catalog, Commit, SegmentRef, State},
    dedup::Seen,
    head::{FrozenMetrics, LogsHead, MetricsHead, SpansHead},
};

/// Batch ids kept per head until they are flushed with it.
const MAX_IDS: usize = 200_000;
/// Frozen heads that may wait for a flush; beyond, the active head goes on filling until memory refuses.
pub(crate) const MAX_FROZEN: usize = 3;

pub(crate) struct Shelf {
    pub(crate) tenant: TenantId,
    pub(crate) signal: Signal,
    pub(crate) catalog: Catalog,
    /// Identity of this node's log, under which the catalog says what is covered.
    log_id: String,
    state: RwLock<Inner>,
    /// One flush of this shelf at a time.
    pub(crate) flushing: tokio::sync::Mutex<()>,
    /// One compaction of this shelf at a time.
    /// Beside that, paths of segments that a merge has made without their number falling.
    pub(crate) tending: tokio::sync::Mutex<std::collections::HashSet<String>>,
}

struct Inner {
    head: Head,
    /// Since the last freeze.
    since: Since,
    reservation: Option<Reservation>,
    frozen: Vec<Arc<Frozen>>,
    live: Arc<State>,
}

#[derive(Default)]
struct Since {
    /// The log up to here holds nothing of the head; `None` while the head is empty.
    first: Option<Position>,
    received_ns: i64,
    ids: Vec<Seen>,
}

pub(crate) enum Head {
    Metrics(Box<MetricsHead>),
    Logs(LogsHead),
    Spans(SpansHead),
}

pub(crate) enum FrozenData {
    Metrics(FrozenMetrics),
    Logs(LogsHead),
    Spans(SpansHead),
}

/// A head that is being flushed.
pub(crate) struct Frozen {
    pub(crate) data: FrozenData,
    pub(crate) first: Position,
    /// The log up to here holds nothing of this shelf that is not in this or an earlier head.
    pub(crate) upto: Position,
    pub(crate) ids: Vec<Seen>,
    pub(crate) bytes: u64,
    /// Made once and kept: a flush that is repeated after an unclear answer must be recognised.
    pub(crate) commit: Mutex<Option<Commit>>,
    _reservation: Option<Reservation>,
}

/// What a query works on.
pub(crate) struct View {
    pub(crate) live: Arc<State>,
    pub(crate) frozen: Vec<Arc<Frozen>>,
    /// The active head's part: copied series, or shared parts.
    pub(crate) head: FrozenData,
}

/// What a flush of a shelf would bring.
pub(crate) struct Load {
    /// Bytes that flushing the active head would free, and those of frozen heads.
    pub(crate) active: u64,
    pub(crate) frozen: u64,
    /// Bytes of the registry of series, and those of them that a freeze would free.
    pub(crate) registry: u64,
    pub(crate) idle: u64,
    /// When the oldest of what the active head has to flush was received.
    pub(crate) received_ns: Option<i64>,
    /// From where on the log is needed by the active head, and by the frozen ones.
    pub(crate) first: Option<Position>,
    pub(crate) first_frozen: Option<Position>,
    /// Fewer than [`MAX_FROZEN`] wait.
    pub(crate) can_freeze: bool,
}

/// What [`Shelf::numbers`] tells.
#[derive(Default)]
pub(crate) struct Numbers {
    pub(crate) items: u64,
    pub(crate) series: u64,
    pub(crate) head_bytes: u64,
    pub(crate) range: Option<TimeRange>,
    pub(crate) segments: u64,
    pub(crate) segment_bytes: u64,
}

impl Shelf {
    pub(crate) fn new(
        tenant: TenantId,
        signal: Signal,
        catalog: Catalog,
        live: Arc<State>,
        log_id: String,
    ) -> Self {
        let head = match signal.as_str() {
            "logs" => Head::Logs(LogsHead::default()),
            "traces" => Head::Spans(SpansHead::default()),
            _ => {
                let known = live.metadata.iter().map(MetricMetadata::from);
                let newest = live.segments.values().map(|s| s.newest().to_ms().0).max();
                Head::Metrics(Box::new(MetricsHead::new(known, newest)))
            }
        };
        let state = Inner { head, since: Since::default(), reservation: None, frozen: Vec::new(), live };
        Shelf {
            tenant,
            signal,
            catalog,
            log_id,
            state: RwLock::new(state),
            flushing: Default::default(),
            tending: Default::default(),
        }
    }

    /// The metrics head, for staging. `None` for other signals.
    pub(crate) fn with_metrics<T>(&self, f: impl FnOnce(&mut MetricsHead) -> T) -> Option<T> {
        match &mut self.state.write().head {
            Head::Metrics(h) => Some(f(h)),
            _ => None,
        }
    }

    /// Sets memory aside for what is about to be inserted.
    pub(crate) fn reserve(&self, budget: &MemoryBudget, bytes: u64) -> std::result::Result<(), OverLimit> {
        let reservation = &mut self.state.write().reservation;
        match reservation {
            Some(r) => r.grow(bytes),
            None => {
                *reservation = Some(budget.reserve(Use::Ingest, bytes)?);
                Ok(())
            }
        }
    }

    /// Makes the reservation what the head really takes. What cannot be reserved any more is held anyway.
    pub(crate) fn settle(&self) {
        let state = &mut *self.state.write();
        let bytes = state.head.bytes() as u64;
        if let Some(r) = &mut state.reservation {
            if r.bytes() >= bytes {
                r.shrink_to(bytes);
            } else {
                let _ = r.grow(bytes - r.bytes());
            }
        }
    }

    /// Makes batches of one unit visible together. `before` is a place in the log before the unit. All
    /// batches are of this shelf's signal; `slots` belong to the (only) metrics batch.
    pub(crate) fn insert(
        &self,
        batches: Vec<Batch>,
        slots: Option<&[u32]>,
        before: Position,
        seen: (Option<Seen>, i64),
    ) {
        let state = &mut *self.state.write();
        if state.since.first.is_none() {
            state.since.first = Some(before);
            state.since.received_ns = seen.1;
        }
        if state.since.ids.len() >= MAX_IDS {
            // Only retries of the last minutes matter then; the oldest ids go.
            state.since.ids.drain(..MAX_IDS / 2);
        }
        state.since.ids.extend(seen.0);
        for batch in batches {
            match (&mut state.head, batch) {
                (Head::Metrics(h), Batch::Metrics(b)) => h.insert(&b, slots),
                (Head::Logs(h), Batch::Logs(b)) => h.insert(b),
                (Head::Spans(h), Batch::Spans(b)) => h.insert(b),
                _ => {}
            }
        }
    }

    /// Freezes the head if it holds anything. `upto`: everything of the log before it has been inserted.
    pub(crate) fn freeze(&self, upto: Position) {
        let state = &mut *self.state.write();
        let bytes = match &state.head {
            Head::Metrics(h) => h.sample_bytes(),
            other => other.bytes(),
        };
        let data = match &mut state.head {
            Head::Metrics(h) => h.freeze().map(FrozenData::Metrics),
            Head::Logs(h) => h.freeze().map(FrozenData::Logs),
            Head::Spans(h) => h.freeze().map(FrozenData::Spans),
        };
        let since = std::mem::take(&mut state.since);
        let Some(data) = data else {
            // What came changed nothing, so the log need not keep it.
            let bytes = state.head.bytes() as u64;
            if let Some(r) = &mut state.reservation
                && r.bytes() > bytes
            {
                r.shrink_to(bytes);
            }
            return;
        };
        let reservation = state.reservation.take();
        state.frozen.push(Arc::new(Frozen {
            data,
            first: since.first.unwrap_or(upto),
            upto,
            ids: since.ids,
            bytes: bytes as u64,
            commit: Mutex::new(None),
            _reservation: reservation,
        }));
    }

    /// Reserves again for what stays in a head after a freeze: the registry of series.
    pub(crate) fn reserve_registry(&self, budget: &MemoryBudget) {
        let state = &mut *self.state.write();
        let bytes = state.head.bytes() as u64;
        if state.reservation.is_none() && bytes > 0 {
            state.reservation = budget.reserve(Use::Ingest, bytes).ok();
        }
    }

    pub(crate) fn oldest_frozen(&self) -> Option<Arc<Frozen>> {
        self.state.read().frozen.first().cloned()
    }

    /// Publishes a change and swaps it in: in one moment the live segments change and every frozen head that
    /// they cover is gone, whoever's commit brought the news.
    pub(crate) async fn publish(&self, commit: &Commit) -> Result<()> {
        let done = self.catalog.commit(commit).await;
        // Also a commit that lost may have learned what others published.
        let live = match &done {
            Ok(live) => live.clone(),
            Err(_) => self.catalog.known().await,
        };
        let state = &mut *self.state.write();
        // A flush and a compaction may overtake each other between commit and here.
        if live.version > state.live.version {
            let covered = live.covered_upto(&self.log_id);
            state.frozen.retain(|f| f.upto > covered);
            state.live = live;
        }
        done.map(drop)
    }

    pub(crate) fn live(&self) -> Arc<State> {
        self.state.read().live.clone()
    }

    /// A place in the log before everything that is not in segments yet.
    pub(crate) fn needs_from(&self) -> Option<Position> {
        let state = self.state.read();
        state.frozen.iter().map(|f| f.first).chain(state.since.first).min()
    }

    pub(crate) fn load(&self) -> Load {
        let state = self.state.read();
        let (active, registry, idle, content) = match &state.head {
            Head::Metrics(h) => (h.sample_bytes(), h.registry_bytes(), h.idle_bytes(), h.has_content()),
            other => (other.bytes(), 0, 0, other.bytes() > 0),
        };
        Load {
            active: active as u64,
            registry: registry as u64,
            frozen: state.frozen.iter().map(|f| f.bytes).sum(),
            idle,
            received_ns: state.since.first.filter(|_| content).map(|_| state.since.received_ns),
            first: state.since.first,
            first_frozen: state.frozen.iter().map(|f| f.first).min(),
            can_freeze: state.frozen.len() < MAX_FROZEN,
        }
    }

    pub(crate) fn frozen_count(&self) -> usize {
        self.state.read().frozen.len()
    }

    /// A consistent view: series of the metrics head that match, or all parts of a log or span head.
    /// At most one series more than `max_series` is copied.
    pub(crate) fn view(&self, matchers: &[Matcher], range: TimeRange, max_series: u64) -> View {
        let state = self.state.read();
        let head = match &state.head {
            Head::Metrics(h) => FrozenData::Metrics(FrozenMetrics {
                series: h.select(matchers, range, max_series),
                bounds_ms: h.bounds_ms(),
                ..FrozenMetrics::default()
            }),
            Head::Logs(h) => FrozenData::Logs(h.clone()),
            Head::Spans(h) => FrozenData::Spans(h.clone()),
        };
        View { live: state.live.clone(), frozen: state.frozen.clone(), head }
    }

    /// Label sets of the metrics head, with the rest of a view without series.
    pub(crate) fn label_view(&self, selectors: &[Vec<Matcher>], range: TimeRange) -> (Vec<Labels>, View) {
        let state = self.state.read();
        let (labels, head) = match &state.head {
            Head::Metrics(h) => {
                (h.label_sets(selectors, range), FrozenData::Metrics(FrozenMetrics::default()))
            }
            Head::Logs(h) => (Vec::new(), FrozenData::Logs(h.clone())),
            Head::Spans(h) => (Vec::new(), FrozenData::Spans(h.clone())),
        };
        (labels, View { live: state.live.clone(), frozen: state.frozen.clone(), head })
    }

    pub(crate) fn metadata(&self) -> BTreeMap<String, MetricMetadata> {
        match &self.state.read().head {
            Head::Metrics(h) => h.metadata().map(|m| (m.family.clone(), m.clone())).collect(),
            _ => BTreeMap::new(),
        }
    }

    /// The time of the newest item anywhere.
    pub(crate) fn newest_ns(&self) -> Option<i64> {
        self.numbers().range.map(|r| r.end.0.saturating_sub(1))
    }

    pub(crate) fn numbers(&self) -> Numbers {
        let state = self.state.read();
        let mut n = Numbers { head_bytes: state.head.bytes() as u64, ..Numbers::default() };
        let (items, series, range) = match &state.head {
            Head::Metrics(h) => (h.samples(), h.series_count() as u64, h.bounds_ms().map(range_of_ms)),
            Head::Logs(h) => (h.records, 0, h.range()),
            Head::Spans(h) => (h.spans, 0, h.range()),
        };
        n.items = items;
        n.series = series;
        let mut ranges: Vec<TimeRange> = range.into_iter().collect();
        for f in &state.frozen {
            n.head_bytes += f.bytes;
            n.items += f.data.items();
            ranges.extend(f.data.range());
        }
        for s in state.live.segments.values() {
            n.items += s.info.items;
            n.segments += 1;
            n.segment_bytes += s.info.bytes;
            ranges.push(s.range());
        }
        n.range = ranges.into_iter().filter(|r| !r.is_empty()).reduce(TimeRange::hull);
        n
    }
}

pub(crate) fn range_of_ms((first, last): (i64, i64)) -> TimeRange {
    TimeRange::new(TimestampMs(first).to_ns(), TimestampMs(last.saturating_add(1)).to_ns())
}

impl Head {
    fn bytes(&self) -> usize {
        match self {
            Head::Metrics(h) => h.bytes(),
            Head::Logs(h) => h.bytes,
            Head::Spans(h) => h.bytes,
        }
    }
}

impl FrozenData {
    pub(crate) fn range(&self) -> Option<TimeRange> {
        match self {
            FrozenData::Metrics(m) => m.bounds_ms.map(range_of_ms),
            FrozenData::Logs(l) => l.range(),
            FrozenData::Spans(s) => s.range(),
        }
    }

    pub(crate) fn items(&self) -> u64 {
        match self {
            FrozenData::Metrics(m) => m.samples,
            FrozenData::Logs(l) => l.records,
            FrozenData::Spans(s) => s.spans,
        }
    }
}

impl View {
    /// Live segments that can hold something in the range, oldest commit first.
    pub(crate) fn segments(&self, range: TimeRange) -> Vec<Arc<SegmentRef>> {
        let mut found: Vec<_> =
            self.live.segments.values().filter(|s| s.info.overlaps(range)).cloned().collect();
        found.sort_by(|a, b| (a.sequence, &a.path).cmp(&(b.sequence, &b.path)));
        found
    }

    /// Frozen heads and the active one, oldest first.
    pub(crate) fn heads(&self) -> impl Iterator<Item = &FrozenData> {
        self.frozen.iter().map(|f| &f.data).chain([&self.head])
    }
}
