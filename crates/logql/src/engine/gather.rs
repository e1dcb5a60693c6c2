//! Asking the parts for what was pushed to them, and reading what comes back.
//!
//! All parts are asked for everything at once. One that cannot evaluate a query is selected from instead, and the
//! query evaluated here, so that no answer depends on who can. One that does not answer is named in the coverage
//! while another does; a limit of the query that one part reaches, or all together, fails the query.

use std::collections::BTreeMap;

use base::Kind;
use contract::{EvaluateRequest, Evaluated, EvaluatedSeries, Part, Scope, nobody};
use eval::Piece;
use futures::{StreamExt, stream};
use model::{Labels, Signal};

use super::{
    Engine, QueryContext, Run,
    fold::Acc,
    frame::{Grid, Series, distinct, made_bytes, series_bytes},
    pieces::{Column, Made, Make, absorb},
    plan::{How, Push},
    range::absent_series,
};
use crate::{
    Error, Result,
    answer::PartRead,
    ast::MetricExpr,
    evaluating::{DIALECT, told},
};

/// Questions that wait for an answer at once. A larger federation than this waits for some before it asks others.
const MAX_WAITING: usize = 256;

/// What came of one push, over all parts.
pub(super) enum Came {
    Series(Vec<Series>),
    /// Of [`How::Pieces`].
    Made(Vec<Made>),
}

/// What one part answered.
struct Answer {
    here: bool,
    outcome: Result<Evaluated>,
}

/// Asks for all pushes of a plan; their order is kept.
pub(super) async fn gather(
    run: &mut Run<'_>,
    pushes: &[Push<'_>],
    parts: &[Part],
    grid: Grid,
) -> Result<Vec<Came>> {
    let (engine, ctx) = (run.engine, run.ctx);
    let mut states: Vec<State<'_, '_>> = pushes.iter().map(|push| State::new(push, grid)).collect();
    let questions = pushes.iter().enumerate().flat_map(|(i, push)| {
        let asked = push.parts.iter().filter_map(|p| parts.get(*p));
        asked.map(move |part| (i, part, request(push, ctx)))
    });
    let asked =
        questions.map(|(i, part, request)| async move { (i, part, ask(engine, part, request).await) });
    // Built before it is polled: a stream over a borrowing iterator could not be sent to another thread.
    let waiting: Vec<_> = asked.collect();
    let mut answers = stream::iter(waiting).buffered(MAX_WAITING);
    while let Some((i, part, answer)) = answers.next().await {
        let Some(state) = states.get_mut(i) else { continue };
        let query = state.push.text.clone();
        let mut read = PartRead { part: part.name.clone(), query, here: answer.here, ..PartRead::default() };
        let taken = match answer.outcome {
            Ok(evaluated) => {
                run.coverage.merge(evaluated.coverage.clone());
                state.count(run, &evaluated)?;
                state.take(run, evaluated, &mut read)?
            }
            Err(e) => Err(e),
        };
        if let Err(e) = taken {
            if is_of_query(&e, answer.here) {
                return Err(named(e));
            }
            let e = told(e);
            run.coverage.merge(part.missing(&Signal::LOGS, state.push.range, &e));
            read.error = Some(e.to_string());
            state.failed.push((part.name.clone(), e));
        }
        run.parts.push(read);
    }
    drop(answers);
    states.into_iter().map(|state| state.came(run)).collect()
}

fn request(push: &Push<'_>, ctx: &QueryContext) -> EvaluateRequest {
    let mut scope = Scope::new(ctx.tenants.clone(), push.range);
    scope.limits = ctx.limits.clone();
    let (start_ms, end_ms, step_ms) = push.grid_ms;
    EvaluateRequest {
        scope,
        dialect: DIALECT,
        query: push.text.clone(),
        start_ms,
        end_ms,
        step_ms,
        lookback_ms: 0,
        features: Vec::new(),
        pieces: push.how == How::Pieces,
        per_step_stats: false,
    }
}

async fn ask(engine: &Engine, part: &Part, request: EvaluateRequest) -> Answer {
    if part.select.capabilities().understands(request.dialect) {
        match part.select.evaluate(request.clone()).await {
            // It says that it cannot, or that the answer is larger than it may be while it travels.
            Err(e) if e.kind() == Kind::Invalid || e.limit == Some("query.max_samples") => {}
            outcome => return Answer { here: false, outcome: outcome.map_err(Error::Select) },
        }
    }
    let outcome = engine.over(part.select.clone()).evaluated_whole(request).await;
    Answer { here: true, outcome }
}

/// Whether an error is the query's own fault, or this node's, rather than that of one part.
fn is_of_query(e: &Error, here: bool) -> bool {
    match e {
        Error::Select(told) => {
            here && told.kind() == Kind::Invalid
                || told.limit.is_some_and(|l| l.starts_with("query.") && l != "query.timeout")
        }
        // Evaluating took this node's own time and memory.
        _ => here,
    }
}

/// A limit that was reached elsewhere, said as if it had been reached here.
fn named(e: Error) -> Error {
    match e {
        Error::Select(contract::Error { message, limit: Some(limit), kind: Kind::Limited }) => {
            Error::Limited { limit, message }
        }
        e => e,
    }
}

/// What is kept of a push while answers come in.
struct State<'p, 'q> {
    push: &'p Push<'q>,
    grid: Grid,
    failed: Vec<(String, contract::Error)>,
    rows: Vec<Series>,
    made: BTreeMap<Labels, Vec<Option<Acc>>>,
    /// Where some part has a line.
    present: Vec<bool>,
    series_read: u64,
}

impl<'p, 'q> State<'p, 'q> {
    fn new(push: &'p Push<'q>, grid: Grid) -> Self {
        State {
            push,
            grid,
            failed: Vec::new(),
            rows: Vec::new(),
            made: BTreeMap::new(),
            present: vec![false; grid.len],
            series_read: 0,
        }
    }

    /// What an answer read counts against the limits of the query, as if it had been read here.
    fn count(&mut self, run: &mut Run<'_>, e: &Evaluated) -> Result<()> {
        let (stats, limits) = (&mut run.stats, &run.ctx.limits);
        stats.lines = stats.lines.saturating_add(e.samples_read);
        stats.bytes = stats.bytes.saturating_add(e.bytes_read);
        stats.entries = stats.entries.saturating_add(e.samples_seen);
        stats.series = stats.series.saturating_add(e.series_read);
        self.series_read = self.series_read.saturating_add(e.series_read);
        if stats.bytes > limits.max_bytes {
            return Err(Error::too_many_bytes(limits.max_bytes));
        }
        let mut ranges = 0;
        self.push.expr.each_range(&mut |_| ranges += 1);
        if ranges == 1 && !self.is_grouped_as_read() && self.series_read > limits.max_series {
            return Err(Error::too_many_series(limits.max_series));
        }
        Ok(())
    }

    /// Takes in an answer whole, or nothing of it. The inner error is the part's, the outer the query's.
    fn take(&mut self, run: &mut Run<'_>, e: Evaluated, read: &mut PartRead) -> Result<Result<()>> {
        let estimate: usize =
            e.series.iter().map(|s| s.data.labels.packed_len() + s.data.values.len() * 16).sum();
        read.bytes = if e.bytes_moved > 0 { e.bytes_moved } else { estimate as u64 };
        (read.rows, read.lines) = (e.series.len() as u64, e.samples_read);
        let steps = self.grid.len;
        for s in &e.series {
            run.ctx.limits.check_deadline()?;
            run.memory.add(series_bytes(&s.data.labels, steps))?;
        }
        let taken = match self.push.how {
            How::Pieces => self.take_pieces(run, e.series)?,
            how => self.take_rows(e.series, how),
        };
        Ok(taken.map_err(|detail| {
            let message = format!("answered {:?} with what cannot be: {detail}", self.push.text);
            Error::Select(contract::Error::new(Kind::Corrupt, message))
        }))
    }

    fn take_rows(&mut self, rows: Vec<EvaluatedSeries>, how: How) -> Result<(), String> {
        let mut all = Vec::with_capacity(rows.len());
        for row in rows {
            match self.column(row)? {
                (labels, Piece::Whole, values) => all.push(Series { labels, values }),
                (_, piece, _) => return Err(format!("{piece:?} of something that has no pieces")),
            }
        }
        if how == How::Absence {
            let absent = |k: usize| all.iter().any(|s| s.values.get(k).is_some_and(Option::is_some));
            (0..).zip(&mut self.present).for_each(|(k, present)| *present |= !absent(k));
        } else {
            self.rows.append(&mut all);
        }
        Ok(())
    }

    fn take_pieces(&mut self, run: &mut Run<'_>, rows: Vec<EvaluatedSeries>) -> Result<Result<(), String>> {
        let Some(make) = Make::of(self.push.expr) else {
            return Ok(Err("pieces of something that has none".to_owned()));
        };
        let mut groups: BTreeMap<Labels, BTreeMap<Piece, Column>> = BTreeMap::new();
        for row in rows {
            let (labels, piece, values) = match self.column(row) {
                Ok(read) => read,
                Err(e) => return Ok(Err(e)),
            };
            if groups.entry(labels).or_default().insert(piece, values).is_some() {
                return Ok(Err(format!("{piece:?} of one group twice")));
            }
        }
        let mut all = Vec::with_capacity(groups.len());
        for (labels, columns) in groups {
            match make.accs(&columns, self.grid.len) {
                Ok(accs) => all.push((labels, accs)),
                Err(e) => return Ok(Err(e)),
            }
        }
        for (labels, accs) in all {
            match self.made.get_mut(&labels) {
                Some(mine) => absorb(mine, accs),
                None => {
                    run.memory.add(made_bytes(&labels, self.grid.len))?;
                    self.made.insert(labels, accs);
                }
            }
        }
        if self.is_grouped_as_read() && self.made.len() as u64 > run.ctx.limits.max_series {
            return Err(Error::too_many_series(run.ctx.limits.max_series));
        }
        Ok(Ok(()))
    }

    /// Whether parts may have in common what they made series of. Otherwise their series are those of the whole.
    fn is_grouped_as_read(&self) -> bool {
        let read = self.push.summed().is_some() || matches!(self.push.expr, MetricExpr::Range(_));
        read && self.push.how == How::Pieces
    }

    /// A row over the steps; an error where it has values elsewhere.
    fn column(&self, row: EvaluatedSeries) -> Result<(Labels, Piece, Column), String> {
        let piece = Piece::from_number(row.piece).ok_or_else(|| format!("a piece numbered {}", row.piece))?;
        let data = row.data;
        if data.timestamps_ms.len() != data.values.len() || !data.histograms.is_empty() {
            let (times, values, histograms) =
                (data.timestamps_ms.len(), data.values.len(), data.histograms.len());
            return Err(format!("{times} times, {values} values and {histograms} histograms"));
        }
        let mut values: Column = vec![None; self.grid.len];
        for (t, v) in data.timestamps_ms.iter().zip(&data.values) {
            let at = self.step(*t).and_then(|step| values.get_mut(step));
            *at.ok_or_else(|| format!("a value at {t}, where there is no step"))? = Some(*v);
        }
        Ok((data.labels, piece, values))
    }

    fn step(&self, t_ms: i64) -> Option<usize> {
        let (start, _, step) = self.push.grid_ms;
        let from = t_ms.checked_sub(start).filter(|d| *d >= 0 && d % step.max(1) == 0)?;
        usize::try_from(from / step.max(1)).ok()
    }

    fn came(self, run: &mut Run<'_>) -> Result<Came> {
        if self.failed.len() == self.push.parts.len() {
            return Err(Error::Select(nobody(self.failed)));
        }
        Ok(match (self.push.how, self.push.expr) {
            (How::Pieces, _) => {
                Came::Made(self.made.into_iter().map(|(labels, accs)| Made { labels, accs }).collect())
            }
            (How::Absence, MetricExpr::Range(r)) => {
                let present = |k: usize| self.present.get(k).copied().unwrap_or_default();
                let series = absent_series(&r.range.log.matchers, self.grid, present);
                run.memory.add(series_bytes(&series.labels, self.grid.len))?;
                Came::Series(vec![series])
            }
            _ => Came::Series(distinct(self.rows)?),
        })
    }
}
