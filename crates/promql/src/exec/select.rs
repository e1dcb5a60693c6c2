//! Instant selectors: the newest sample within the lookback at each step.

use eval::{
    Column, Grid, Series, Span, Value,
    window::{Arguments, Edges, Samples, interpolated},
};

use super::{
    Result, Run, Tally,
    job::{Job, Make, Worker},
    tally::weight,
};
use crate::{
    Error,
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

    fn weight(&self) -> u64 {
        match self {
            Found::Float { .. } => 1,
            Found::Histogram(p) => weight(&p.histogram),
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

    pub(super) fn selector_job(&mut self, id: NodeId) -> Result<Job<'a>> {
        let NodeKind::Selector(s) = self.kind(id) else {
            return Err(Error::Internal("a selector was expected".to_owned()));
        };
        let (grid, list, lookback) = (self.grid(id), self.fetched(id), self.lookback_ms);
        // An instant has no edge to anchor, so `anchored` changes nothing here.
        if s.extent == Extent::Smoothed {
            let span = self.span(id);
            let make = move |i: usize, worker: &mut Worker| {
                Ok(list.get(i).map(|series| smoothed(series, s, grid, lookback, span, worker)))
            };
            return Ok(job(id, list, grid, Box::new(make)));
        }
        let as_it_is = |found: Found<'_>| match found {
            Found::Float { v, .. } => Some(Value::Float(v)),
            Found::Histogram(p) => Some(Value::Histogram(p.histogram.clone())),
        };
        let make = move |i: usize, worker: &mut Worker| {
            let Some(series) = list.get(i) else { return Ok(None) };
            if series.samples.histograms.is_empty() && s.modifiers.at.is_none() {
                let offset = s.modifiers.offset.millis();
                return Ok(Some(newest(series, grid, offset, lookback, &mut worker.tally)));
            }
            Ok(Some(picked(series, s, grid, lookback, as_it_is, &mut worker.tally)))
        };
        Ok(job(id, list, grid, Box::new(make)))
    }

    /// One row per series with what `pick` makes of the sample found at each step.
    pub(super) fn found(
        &mut self,
        id: NodeId,
        s: &'a Selector,
        grid: Grid,
        pick: impl Fn(Found<'_>) -> Option<Value> + Copy + Sync + 'a,
    ) -> Result<Vec<Series>> {
        let (list, lookback) = (self.fetched(id), self.lookback_ms);
        let make = move |i: usize, worker: &mut Worker| {
            Ok(list.get(i).map(|f| picked(f, s, grid, lookback, pick, &mut worker.tally)))
        };
        self.collect(job(id, list, grid, Box::new(make)))
    }
}

fn job<'a>(id: NodeId, list: &'a [Fetched], grid: Grid, make: Make<'a>) -> Job<'a> {
    let samples: usize = list.iter().map(|f| f.samples.values.len()).sum();
    let labels = list.iter().map(|f| (f.labels.clone(), false)).collect();
    Job { id, labels, steps: grid.len(), cells: samples + list.len() * grid.len(), make, held: 0 }
}

/// The newest float at each step; what [`Cursor`] finds, without asking for histograms and `@`.
fn newest(series: &Fetched, grid: Grid, offset_ms: i64, lookback_ms: i64, tally: &mut Tally) -> Column {
    let s = &series.samples;
    let mut column = Column::empty(grid.len());
    let mut next = s.timestamps_ms.partition_point(|t| *t <= grid.start_ms.saturating_sub(offset_ms));
    for step in 0..grid.len() {
        let at = grid.at(step).saturating_sub(offset_ms);
        while s.timestamps_ms.get(next).is_some_and(|t| *t <= at) {
            next += 1;
        }
        let Some(i) = next.checked_sub(1) else { continue };
        let (t, v) = (s.timestamps_ms[i], s.values[i]);
        if t <= at.saturating_sub(lookback_ms) || (series.has_stale && model::is_stale_marker(v)) {
            continue;
        }
        tally.add(step, 1);
        column.set_float(step, v);
    }
    column
}

fn picked(
    series: &Fetched,
    s: &Selector,
    grid: Grid,
    lookback_ms: i64,
    pick: impl Fn(Found<'_>) -> Option<Value>,
    tally: &mut Tally,
) -> Column {
    let mut column = Column::empty(grid.len());
    let mut cursor = Cursor::new(&series.samples, lookback_ms);
    for (step, t) in grid.times().enumerate() {
        let Some(found) = cursor.find(reference(&s.modifiers, t)) else { continue };
        tally.add(step, found.weight());
        if let Some(value) = pick(found) {
            column.put(step, value);
        }
    }
    column
}

fn smoothed(
    series: &Fetched,
    s: &Selector,
    grid: Grid,
    lookback_ms: i64,
    span: &Span,
    worker: &mut Worker,
) -> Column {
    let clean = without_stale(&series.samples);
    let mut column = Column::empty(grid.len());
    for (step, t) in grid.times().enumerate() {
        let at = reference(&s.modifiers, t);
        let mut w = clean.between(at.saturating_sub(lookback_ms), at.saturating_add(lookback_ms));
        w.edges = Edges::Smoothed;
        let args = Arguments { numbers: &[], at_ms: at, metric: series.labels.metric_name() };
        if let Some(v) = interpolated(&w, at, &args, &mut worker.env(span)) {
            column.put(step, v);
        }
    }
    column
}
