//! Asking the parts for what was pushed to them, and reading what comes back.
//!
//! All parts are asked for everything at once. One that cannot evaluate a query is selected from instead, and the
//! query evaluated here, so that no answer depends on who can. One that does not answer is named in the coverage
//! while another does; a limit of the query that one part reaches fails the query.

use std::time::{Duration, Instant};

use base::Kind;
use contract::{Coverage, EvaluateRequest, Evaluated, EvaluatedSeries, Part, Scope, nobody};
use eval::{Column, Grid, Meter, Note, Notes, Piece, Pieces, Series, Span};
use futures::{StreamExt, stream};
use model::{Signal, TimeRange};

use crate::{
    Engine, Error, QueryContext, Stats,
    ast::{Expr, NodeId, NodeKind},
    evaluating::{DIALECT, features, told},
    exec::Tally,
    fetch::too_many_samples,
    parse,
    plan::Plan,
    split::{How, Push},
};

/// Questions that wait for an answer at once. A larger federation than this waits for some before it asks others.
const MAX_WAITING: usize = 256;

/// What was pushed, as it came back.
#[derive(Default)]
pub(crate) struct Pushed {
    /// Of [`How::Rows`] and [`How::Picks`], in label order.
    pub rows: Vec<Series>,
    /// Of [`How::Pieces`], part by part.
    pub pieces: Vec<Pieces>,
    pub notes: Notes,
    pub tally: Tally,
    pub moved: Vec<Moved>,
}

/// What one part did for one push.
#[derive(Debug, Clone, Default)]
pub(crate) struct Moved {
    pub part: String,
    /// It was selected from, and the query evaluated here.
    pub here: bool,
    /// Why nothing came.
    pub error: Option<String>,
    pub rows: u64,
    pub bytes: u64,
    pub series_read: u64,
    pub samples_read: u64,
    pub time: Duration,
}

pub(crate) struct Gathered {
    pub pushed: Vec<Pushed>,
    pub coverage: Coverage,
}

/// What one part answered.
struct Answer {
    here: bool,
    time: Duration,
    outcome: Result<Evaluated, Error>,
}

pub(crate) async fn gather(
    engine: &Engine,
    plan: &Plan,
    parts: &[Part],
    ctx: &QueryContext,
    lookback_ms: i64,
    meter: &mut Meter,
    stats: &mut Stats,
) -> Result<Gathered, Error> {
    let pushes = &plan.split.pushes;
    let mut all = Gathered {
        pushed: pushes.iter().map(|_| Pushed::default()).collect(),
        coverage: Coverage::default(),
    };
    let mut states: Vec<State> = pushes.iter().map(State::new).collect();
    let questions = pushes.iter().enumerate().flat_map(|(i, push)| {
        let asked = push.parts.iter().filter_map(|p| parts.get(*p));
        asked.map(move |part| (i, part, request(push, ctx, engine, lookback_ms)))
    });
    let asked =
        questions.map(|(i, part, request)| async move { (i, part, ask(engine, part, request).await) });
    // Built before it is polled: a stream over a borrowing iterator could not be sent to another thread.
    let waiting: Vec<_> = asked.collect();
    let mut answers = stream::iter(waiting).buffered(MAX_WAITING);
    while let Some((i, part, answer)) = answers.next().await {
        let (Some(push), Some(pushed), Some(state)) =
            (pushes.get(i), all.pushed.get_mut(i), states.get_mut(i))
        else {
            continue;
        };
        let mut moved =
            Moved { part: part.name.clone(), here: answer.here, time: answer.time, ..Moved::default() };
        let taken = match answer.outcome {
            Ok(evaluated) => {
                all.coverage.merge(evaluated.coverage.clone());
                count(&evaluated, stats, state, ctx)?;
                take(evaluated, push, state, pushed, &mut moved, meter)?
            }
            Err(e) => Err(e),
        };
        if let Err(e) = taken {
            if is_of_query(&e, answer.here) {
                return Err(e);
            }
            let range = TimeRange::from_ms_inclusive(push.first_ms, push.last_ms);
            let e = told(e);
            all.coverage.merge(part.missing(&Signal::METRICS, range, &e));
            moved.error = Some(e.to_string());
            state.failed.push((part.name.clone(), e));
        }
        pushed.moved.push(moved);
    }
    drop(answers);
    for ((push, pushed), state) in pushes.iter().zip(&mut all.pushed).zip(states) {
        if state.failed.len() == push.parts.len() {
            return Err(Error::Select(nobody(state.failed)));
        }
        pushed.pieces.retain(|p| !p.columns.is_empty());
        // One part keeps its order: it is that of the answer.
        if push.parts.len() > 1 {
            pushed.rows.sort_by(|a, b| a.labels.cmp(&b.labels));
        }
    }
    Ok(all)
}

/// What is kept of a push while answers come in.
struct State {
    failed: Vec<(String, contract::Error)>,
    places: Places,
    series: u64,
}

impl State {
    fn new(push: &Push) -> Self {
        State { failed: Vec::new(), places: Places::new(push), series: 0 }
    }
}

fn request(push: &Push, ctx: &QueryContext, engine: &Engine, lookback_ms: i64) -> EvaluateRequest {
    let range = TimeRange::from_ms_inclusive(push.first_ms, push.last_ms);
    let mut scope = Scope::new(ctx.tenants.clone(), range);
    scope.limits = ctx.limits.clone();
    EvaluateRequest {
        scope,
        dialect: DIALECT,
        query: push.text.clone(),
        start_ms: push.grid.start_ms,
        end_ms: push.grid.last_ms(),
        step_ms: push.grid.step_ms,
        lookback_ms,
        features: features(engine.options()),
        pieces: push.how == How::Pieces,
        per_step_stats: ctx.per_step_stats,
    }
}

async fn ask(engine: &Engine, part: &Part, request: EvaluateRequest) -> Answer {
    let began = Instant::now();
    if part.select.capabilities().understands(request.dialect) {
        match part.select.evaluate(request.clone()).await {
            // It says that it cannot.
            Err(e) if e.kind() == Kind::Invalid => {}
            outcome => {
                let outcome = outcome.map_err(Error::Select);
                return Answer { here: false, time: began.elapsed(), outcome };
            }
        }
    }
    let outcome = engine.over(part.select.clone()).evaluated_whole(request).await;
    Answer { here: true, time: began.elapsed(), outcome }
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

/// What an answer read counts against the limits of the query, as if it had been read here.
fn count(e: &Evaluated, stats: &mut Stats, state: &mut State, ctx: &QueryContext) -> Result<(), Error> {
    stats.samples = stats.samples.saturating_add(e.samples_read);
    stats.series = stats.series.saturating_add(e.series_read);
    state.series = state.series.saturating_add(e.series_read);
    let (max_samples, max_series) = (ctx.limits.max_samples, ctx.limits.max_series);
    if stats.samples > max_samples {
        return Err(too_many_samples(max_samples));
    }
    if state.places.single && state.series > max_series {
        let message = format!("query.max_series of {max_series} is reached: a selector matches more series");
        return Err(Error::Limit(message, "query.max_series"));
    }
    Ok(())
}

/// Takes in an answer whole, or nothing of it. The inner error is the part's, the outer the query's.
fn take(
    e: Evaluated,
    push: &Push,
    state: &State,
    pushed: &mut Pushed,
    moved: &mut Moved,
    meter: &mut Meter,
) -> Result<Result<(), Error>, Error> {
    let estimate: u64 = e.series.iter().map(bytes_of).sum();
    moved.bytes = if e.bytes_moved > 0 { e.bytes_moved } else { estimate };
    (moved.rows, moved.series_read, moved.samples_read) =
        (e.series.len() as u64, e.series_read, e.samples_read);
    let mut rows: Vec<(Piece, Series)> = Vec::with_capacity(e.series.len());
    for row in e.series {
        meter.work(push.grid.len())?;
        let read = match read(row, push) {
            Ok(read) => read,
            Err(detail) => {
                let message = format!("answered {:?} with what cannot be: {detail}", push.text);
                return Ok(Err(Error::Select(contract::Error::new(Kind::Corrupt, message))));
            }
        };
        meter.charge(read.1.heap_bytes())?;
        rows.push(read);
    }
    if push.how == How::Pieces {
        for (piece, row) in rows {
            put(&mut pushed.pieces, piece, row);
        }
        // The next part's pieces are not those of this one, whatever their labels.
        pushed.pieces.push(Pieces::default());
    } else {
        pushed.rows.extend(rows.into_iter().map(|(_, row)| row));
    }
    let notes = |list: Vec<contract::Annotation>| -> Vec<Note> {
        list.into_iter()
            .map(|n| Note {
                span: state.places.of(n.start, n.end),
                message: n.message,
                occurrences: n.occurrences,
            })
            .collect()
    };
    pushed.notes.merge(Notes { warnings: notes(e.warnings), infos: notes(e.infos) });
    pushed.tally.join(&Tally { total: e.samples_seen, per_step: e.seen_per_step });
    Ok(Ok(()))
}

/// Pieces of one group come one after the other.
fn put(all: &mut Vec<Pieces>, piece: Piece, row: Series) {
    match all.last_mut() {
        Some(last)
            if last.labels == row.labels
                && last.drop_name == row.drop_name
                && !last.columns.is_empty()
                && last.columns.iter().all(|(p, _)| *p != piece) =>
        {
            last.columns.push((piece, row.column));
        }
        _ => all.push(Pieces {
            labels: row.labels,
            drop_name: row.drop_name,
            columns: vec![(piece, row.column)],
        }),
    }
}

fn bytes_of(s: &EvaluatedSeries) -> u64 {
    let histograms: usize = s.data.histograms.iter().map(|(_, _, h)| h.heap_bytes() + 16).sum();
    (s.data.labels.packed_len() + s.data.values.len() * 16 + histograms) as u64
}

/// A row over the steps; an error where it has values elsewhere.
fn read(row: EvaluatedSeries, push: &Push) -> Result<(Piece, Series), String> {
    let piece = Piece::from_number(row.piece).ok_or_else(|| format!("a piece numbered {}", row.piece))?;
    if push.how != How::Pieces && piece != Piece::Whole {
        return Err(format!("{piece:?} of something that has no pieces"));
    }
    let data = row.data;
    if data.timestamps_ms.len() != data.values.len() {
        return Err(format!("{} times and {} values", data.timestamps_ms.len(), data.values.len()));
    }
    let mut column = Column::empty(push.grid.len());
    for (t, v) in data.timestamps_ms.iter().zip(&data.values) {
        column.set_float(step(push.grid, *t)?, *v);
    }
    for (t, _, h) in data.histograms {
        let step = step(push.grid, t)?;
        if column.is_present(step) {
            return Err(format!("two values at {t}"));
        }
        column.put(step, h.into());
    }
    Ok((piece, Series { labels: data.labels, column, drop_name: row.drop_name }))
}

fn step(grid: Grid, t_ms: i64) -> Result<usize, String> {
    let none = || format!("a value at {t_ms}, where there is no step");
    let from = t_ms.checked_sub(grid.start_ms).filter(|d| *d >= 0).ok_or_else(none)?;
    let step = usize::try_from(from / grid.step_ms.max(1)).map_err(|_| none())?;
    if step < grid.len() && grid.at(step) == t_ms { Ok(step) } else { Err(none()) }
}

/// Where in the user's text the places of a pushed text lie.
struct Places {
    /// In the pushed text, and in the user's.
    known: Vec<(Span, Span)>,
    /// What stands for all others.
    whole: Span,
    single: bool,
}

impl Places {
    /// Reads the text as whoever answers it does; its tree is the pushed one, whose nodes know where they came from.
    fn new(push: &Push) -> Self {
        let whole = push.expr.span(push.expr.root()).clone();
        let mut known = Vec::new();
        if let Ok(parsed) = parse(&push.text, &crate::evaluating::parser(crate::options::DEFAULT_MAX_DEPTH)) {
            let mut waiting = vec![(parsed.root(), push.expr.root())];
            while let Some((theirs, ours)) = waiting.pop() {
                known.push((parsed.span(theirs).clone(), push.expr.span(ours).clone()));
                let (theirs, ours) = (aligned(&parsed, theirs, &push.expr, ours), ours);
                let (below, own) = (parsed.children(theirs), push.expr.children(ours));
                if below.len() == own.len() {
                    waiting.extend(below.into_iter().zip(own));
                }
            }
        }
        Places { known, whole, single: push.single }
    }

    fn of(&self, start: u32, end: u32) -> Span {
        let span = start as usize..end as usize;
        self.known.iter().find(|(theirs, _)| *theirs == span).map_or(&self.whole, |(_, ours)| ours).clone()
    }
}

/// Numbers below zero are printed in parentheses that the tree does not have.
fn aligned(parsed: &Expr, theirs: NodeId, expr: &Expr, ours: NodeId) -> NodeId {
    match expr.kind(ours) {
        NodeKind::Paren(_) => theirs,
        _ => parsed.unwrap_parens(theirs),
    }
}
