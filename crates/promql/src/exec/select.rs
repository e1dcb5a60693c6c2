//! Instant selectors: the newest sample within the lookback at each step.

use eval::{
    Column, Grid, Series, Value,
    window::{Arguments, Edges, Samples, interpolated},
};

use super::{Result, Run};
use crate::{
    ast::{Extent, NodeId, NodeKind, Selector},
    fetch::{Fetched, without_stale},
    plan::reference,
};

/// A sample found for a step.
pub(super) enum Found<'a> {
    Float { t: i64, start: i64, v: f64 },
    Histogram(&'a eval::window::HistogramPoint),
}

impl Found<'_> {
    pub fn t(&self) -> i64 {
        match self {
            Found::Float { t, .. } => *t,
            Found::Histogram(p) => p.t_ms,
        }
    }

    pub fn start(&self) -> i64 {
        match self {
            Found::Float { start, .. } => *start,
            Found::Histogram(p) => p.start_ms,
        }
    }
}

/// Finds samples for instants; instants that ascend make the search continue where it stopped.
pub(super) struct Cursor<'a> {
    samples: &'a Samples,
    lookback_ms: i64,
    floats: usize,
    histograms: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(samples: &'a Samples, lookback_ms: i64) -> Self {
        Cursor { samples, lookback_ms, floats: 0, histograms: 0 }
    }

    /// The newest sample at or before `at` that is younger than the lookback and does not end the series.
    pub fn find(&mut self, at: i64) -> Option<Found<'a>> {
        let s = self.samples;
        self.floats = advance(&s.timestamps_ms, self.floats, at, |t| *t);
        self.histograms = advance(&s.histograms, self.histograms, at, |p| p.t_ms);
        let float = self.floats.checked_sub(1).and_then(|i| {
            let start = s.starts_ms.get(i).copied().unwrap_or(0);
            Some(Found::Float { t: *s.timestamps_ms.get(i)?, start, v: *s.values.get(i)? })
        });
        let histogram =
            self.histograms.checked_sub(1).and_then(|i| s.histograms.get(i)).map(Found::Histogram);
        let newest = match (float, histogram) {
            (Some(f), Some(h)) if h.t() >= f.t() => h,
            (Some(f), _) => f,
            (None, h) => h?,
        };
        if newest.t() <= at.saturating_sub(self.lookback_ms) {
            return None;
        }
        match &newest {
            Found::Float { v, .. } if model::is_stale_marker(*v) => None,
            Found::Histogram(p) if p.histogram.is_stale() => None,
            _ => Some(newest),
        }
    }
}

/// Number of items at or before `at`, looked for from `from` on.
fn advance<T>(items: &[T], from: usize, at: i64, time: impl Fn(&T) -> i64) -> usize {
    let mut n = from;
    while items.get(n).is_some_and(|x| time(x) <= at) {
        n += 1;
    }
    // Instants need not ascend (`@` may point anywhere); then the search begins anew.
    if n > 0 && items.get(n - 1).is_some_and(|x| time(x) > at) {
        n = items.partition_point(|x| time(x) <= at);
    }
    n
}

impl<'a> Run<'a> {
    /// What was read for a selector or `info` call.
    pub(super) fn fetched(&self, id: NodeId) -> &'a [Fetched] {
        let at = self.plan.fetch_of(id);
        at.and_then(|i| self.data.series.get(i)).map(Vec::as_slice).unwrap_or_default()
    }

    pub(super) fn selector(&mut self, id: NodeId) -> Result<Vec<Series>> {
        let NodeKind::Selector(s) = self.kind(id) else { return Ok(Vec::new()) };
        let grid = self.grid(id);
        // An instant has no edge to anchor, so `anchored` changes nothing here.
        if s.extent == Extent::Smoothed {
            return self.smoothed(id, s, grid);
        }
        self.select_with(id, s, grid, |found| match found {
            Found::Float { v, .. } => Some(Value::Float(v)),
            Found::Histogram(p) => Some(Value::Histogram(p.histogram.clone())),
        })
    }

    /// One row per series with what `pick` makes of the sample found at each step.
    pub(super) fn select_with(
        &mut self,
        id: NodeId,
        s: &Selector,
        grid: Grid,
        pick: impl Fn(Found<'_>) -> Option<Value>,
    ) -> Result<Vec<Series>> {
        let mut rows = Vec::new();
        for series in self.fetched(id) {
            self.meter.work(grid.len() + series.samples.values.len())?;
            let mut column: Option<Column> = None;
            let mut cursor = Cursor::new(&series.samples, self.lookback_ms);
            for (step, t) in grid.times().enumerate() {
                if let Some(value) = cursor.find(reference(&s.modifiers, t)).and_then(&pick) {
                    column.get_or_insert_with(|| Column::empty(grid.len())).put(step, value);
                }
            }
            if let Some(column) = column {
                let row = Series::new(series.labels.clone(), column);
                self.meter.charge(row.heap_bytes())?;
                rows.push(row);
            }
        }
        self.check_points(&rows)?;
        Ok(rows)
    }

    fn smoothed(&mut self, id: NodeId, s: &Selector, grid: Grid) -> Result<Vec<Series>> {
        let span = self.span(id);
        let lookback = self.lookback_ms;
        let mut rows = Vec::new();
        for series in self.fetched(id) {
            self.meter.work(grid.len() + series.samples.values.len())?;
            let clean = without_stale(&series.samples);
            let mut column = Column::empty(grid.len());
            for (step, t) in grid.times().enumerate() {
                let at = reference(&s.modifiers, t);
                let mut w = clean.between(at.saturating_sub(lookback), at.saturating_add(lookback));
                w.edges = Edges::Smoothed;
                let metric = series.labels.metric_name();
                let args = Arguments { numbers: &[], at_ms: at, metric };
                if let Some(v) = interpolated(&w, at, &args, &mut self.env(span)) {
                    column.put(step, v);
                }
            }
            if !column.is_empty() {
                let row = Series::new(series.labels.clone(), column);
                self.meter.charge(row.heap_bytes())?;
                rows.push(row);
            }
        }
        Ok(rows)
    }
}
