//! From text to answer: parse, plan, read, evaluate, dress.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use contract::{Coverage, Part, Select};
use eval::{Grid, Meter, Note, Notes};
use model::{Signal, TimeRange};

use crate::{
    Answer, EngineOptions, Error, Explain, Expr, InstantSample, QueryContext, RangeSeries, SampleValue,
    Stats, Timings, Value,
    ast::{NodeKind, ValueType},
    error::line_and_column,
    exec::{Asked, Evaluator, Finished, Outcome, Wanted},
    explain::explain,
    fetch::{self, Data, fetch},
    gather::gather,
    literal::MAX_DURATION_MS,
    parse,
    plan::{Context, Plan},
};

/// Evaluates PromQL over a [`Select`]. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    select: Arc<dyn Select>,
    options: EngineOptions,
}

impl Engine {
    pub fn new(select: Arc<dyn Select>, options: EngineOptions) -> Self {
        Engine { select, options }
    }

    pub fn options(&self) -> &EngineOptions {
        &self.options
    }

    /// Evaluates at one instant.
    ///
    /// Errors are `Invalid` for what can never work (with the position in the text where there is one), `Limited`
    /// and `Unavailable` with the limit's name, `Timeout`, or the kind the data source gave. Dropping the future
    /// stops reading, and an evaluation that has begun at its next look at the clock.
    pub async fn instant(&self, q: &str, at_ms: i64, ctx: &QueryContext) -> Result<Answer, Error> {
        let at_ms = checked_time("time", at_ms)?;
        self.run(q, Grid::instant(at_ms), at_ms, true, ctx).await
    }

    /// Evaluates at `start_ms`, `start_ms + step_ms`, … up to `end_ms`; the answer is always a matrix. Errors as
    /// for [`Engine::instant`].
    pub async fn range(
        &self,
        q: &str,
        start_ms: i64,
        end_ms: i64,
        step_ms: i64,
        ctx: &QueryContext,
    ) -> Result<Answer, Error> {
        let (start_ms, end_ms) = (checked_time("start", start_ms)?, checked_time("end", end_ms)?);
        if step_ms <= 0 {
            return Err(Error::Parameter(
                "zero or negative query resolution step widths are not accepted. Try a positive integer"
                    .to_owned(),
            ));
        }
        let grid = Grid::range(start_ms, end_ms, step_ms).ok_or_else(|| {
            Error::Parameter(format!("end timestamp {end_ms} must not be before start time {start_ms}"))
        })?;
        // As Prometheus counts: distances between points, not points.
        if grid.len() - 1 > self.options.max_points {
            return Err(Error::Parameter(format!(
                "exceeded maximum resolution of {} points per timeseries. Try decreasing the query resolution (?step=XX)",
                self.options.max_points
            )));
        }
        self.run(q, grid, end_ms, false, ctx).await
    }

    /// The same over something else.
    pub(crate) fn over(&self, select: Arc<dyn Select>) -> Self {
        Engine { select, options: self.options }
    }

    async fn run(
        &self,
        q: &str,
        grid: Grid,
        end_ms: i64,
        instant: bool,
        ctx: &QueryContext,
    ) -> Result<Answer, Error> {
        let expr = parse(q, &self.options.parser())?;
        let ty = expr.value_type();
        if !instant && !matches!(ty, ValueType::Scalar | ValueType::Vector) {
            return Err(Error::Parameter(format!(
                "invalid expression type {:?} for range query, must be Scalar or instant Vector",
                ty.documented()
            )));
        }
        let lookback_ms = ctx.lookback_ms.unwrap_or(self.options.lookback_ms).clamp(1, MAX_DURATION_MS);
        let (options, wanted) = (self.options, Wanted::Answer);
        let question =
            Question { text: q, expr, grid, end_ms, instant, lookback_ms, options, wanted, split: true };
        let Computed { made, coverage, stats } = self.compute(question, ctx, dressed).await?;
        let timings = Timings { sort: made.sorting, ..stats.timings };
        let (warnings, infos) =
            (texts(&made.notes.warnings, "warning", q), texts(&made.notes.infos, "info", q));
        let stats = Stats { timings, ..stats };
        Ok(Answer { value: made.value, warnings, infos, coverage, stats, explain: made.explain })
    }

    /// Plans, reads and evaluates; `finish` puts what came out in shape, on the thread that evaluated. Where that
    /// shows that leaving pieces of the query to others decided something by chance, all of it is done here.
    pub(crate) async fn compute<T: Send + 'static>(
        &self,
        mut question: Question<'_>,
        ctx: &QueryContext,
        finish: fn(Finished, Grid) -> T,
    ) -> Result<Computed<T>, Error> {
        let began = Instant::now();
        loop {
            match self.attempt(&question, ctx, began, finish).await? {
                Some(computed) => return Ok(computed),
                None if question.split => question.split = false,
                None => return Err(Error::Internal("what was read whole did not decide".to_owned())),
            }
        }
    }

    async fn attempt<T: Send + 'static>(
        &self,
        question: &Question<'_>,
        ctx: &QueryContext,
        began: Instant,
        finish: fn(Finished, Grid) -> T,
    ) -> Result<Option<Computed<T>>, Error> {
        let (grid, lookback_ms) = (question.grid, question.lookback_ms);
        let context = Context {
            text: question.text,
            options: &question.options,
            lookback_ms,
            max_steps: ctx.limits.max_samples,
            step_ms: if question.instant { 0 } else { grid.step_ms },
            end_ms: question.end_ms,
        };
        let mut plan = Plan::new(question.expr.clone(), grid, &context)?;
        let parts = if question.split { self.parts_of(&plan) } else { Vec::new() };
        if !parts.is_empty() {
            plan.divide(&parts, question.wanted == Wanted::Pieces, &context);
        }
        let cancelled = CancelOnDrop::default();
        let meter = Meter::new(&ctx.limits.memory, ctx.limits.deadline)?.limited_to(ctx.limits.max_bytes);
        let mut meter = meter.cancelled_by(Arc::clone(&cancelled.0));
        let mut stats = Stats::default();
        let data = self.read(question, &plan, &parts, ctx, &mut meter, &mut stats).await?;
        let coverage = data.coverage.clone();
        stats.timings.prepare = began.elapsed();
        let asked = Asked {
            options: question.options,
            lookback_ms,
            instant: question.instant,
            max_samples: ctx.limits.max_samples,
            per_step: ctx.per_step_stats,
            profile: ctx.explain,
            wanted: question.wanted,
        };
        let evaluator = Evaluator { plan, data, meter, asked };
        // Evaluation computes without waiting, for seconds if the query is large.
        let done = tokio::task::spawn_blocking(move || evaluate(evaluator, grid, finish))
            .await
            .map_err(|e| Error::Internal(e.to_string()))?;
        Ok(done?.map(|Evaluated { made, stats: evaluated }| {
            let (prepare, samples, series) = (stats.timings.prepare, stats.samples, stats.series);
            let timings = Timings { prepare, ..evaluated.timings };
            Computed { made, coverage, stats: Stats { samples, series, timings, ..evaluated } }
        }))
    }

    /// The parts that what the query looks at divides into; none where it does not.
    fn parts_of(&self, plan: &Plan) -> Vec<Part> {
        let selectors: Vec<_> = plan.fetches.iter().map(|f| f.matchers.clone()).collect();
        let first = plan.fetches.iter().map(|f| f.first_ms).min();
        let last = plan.fetches.iter().map(|f| f.last_ms).max();
        let (Some(first), Some(last)) = (first, last) else { return Vec::new() };
        let range = TimeRange::from_ms_inclusive(first, last);
        self.select.parts(&Signal::METRICS, &selectors, range).unwrap_or_default()
    }

    /// Selects what is evaluated here, and asks the parts for the rest meanwhile.
    async fn read(
        &self,
        question: &Question<'_>,
        plan: &Plan,
        parts: &[Part],
        ctx: &QueryContext,
        meter: &mut Meter,
        stats: &mut Stats,
    ) -> Result<Data, Error> {
        if plan.split.pushes.is_empty() {
            return fetch(&self.select, plan, ctx, meter, stats).await;
        }
        let engine = Engine { select: self.select.clone(), options: question.options };
        let (mut fork, mut moved) = (meter.fork(), Stats::default());
        let gathered = gather(&engine, plan, parts, ctx, question.lookback_ms, &mut fork, &mut moved);
        let selected = fetch(&self.select, plan, ctx, meter, stats);
        let (mut data, gathered) = futures::future::try_join(selected, gathered).await?;
        stats.samples = stats.samples.saturating_add(moved.samples);
        stats.series = stats.series.saturating_add(moved.series);
        if stats.samples > ctx.limits.max_samples {
            return Err(fetch::too_many_samples(ctx.limits.max_samples));
        }
        data.coverage.merge(gathered.coverage);
        data.pushed = gathered.pushed;
        Ok(data)
    }
}

/// A parsed query, and how it is to be answered.
pub(crate) struct Question<'a> {
    pub text: &'a str,
    pub expr: Expr,
    pub grid: Grid,
    /// The end that was asked for, which may lie behind the last step.
    pub end_ms: i64,
    pub instant: bool,
    pub lookback_ms: i64,
    pub options: EngineOptions,
    pub wanted: Wanted,
    /// Leave to the parts of what is asked what they can compute by themselves.
    pub split: bool,
}

pub(crate) struct Computed<T> {
    pub made: T,
    pub coverage: Coverage,
    pub stats: Stats,
}

/// What comes back from the thread that evaluates.
struct Evaluated<T> {
    made: T,
    /// What was counted after reading.
    stats: Stats,
}

/// Evaluates, and puts the answer in shape: both take long for large ones. Nothing where chance decided.
fn evaluate<T>(
    evaluator: Evaluator,
    grid: Grid,
    finish: fn(Finished, Grid) -> T,
) -> Result<Option<Evaluated<T>>, Error> {
    let began = Instant::now();
    let Some(finished) = evaluator.run()? else { return Ok(None) };
    let (peak_bytes, tally) = (finished.peak_bytes, &finished.tally);
    let mut stats = Stats { peak_bytes, queryable_samples: tally.total, ..Stats::default() };
    stats.queryable_per_step = grid.times().zip(tally.per_step.iter().copied()).collect();
    stats.timings.evaluate = began.elapsed();
    Ok(Some(Evaluated { made: finish(finished, grid), stats }))
}

/// An answer in order.
struct Dressed {
    value: Value,
    notes: Notes,
    explain: Option<Explain>,
    sorting: Duration,
}

fn dressed(f: Finished, grid: Grid) -> Dressed {
    let explain = f.asked.profile.then(|| explain(&f.plan, &f.profile, &f.reads, &f.moved));
    let began = Instant::now();
    let value = dress(f.outcome, f.ordered, grid, f.asked.instant);
    Dressed { value, notes: f.notes, explain, sorting: began.elapsed() }
}

/// Tells an evaluation on another thread that nobody waits for it any more.
#[derive(Default)]
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// Times further out could overflow sums of times; they are some 290,000 years away.
fn checked_time(name: &str, ms: i64) -> Result<i64, Error> {
    if ms.unsigned_abs() > (i64::MAX / 1000) as u64 {
        return Err(Error::Parameter(format!("{name} of {ms} ms is out of range")));
    }
    Ok(ms)
}

/// Notes of one sort that an answer shows; of the rest it says how many they are.
const MAX_SHOWN_NOTES: usize = 10;

fn texts(notes: &[Note], sort: &str, q: &str) -> Vec<String> {
    let text = |n: &Note| {
        let (line, column) = line_and_column(q, n.span.start);
        match n.occurrences {
            0 | 1 => format!("{} ({line}:{column})", n.message),
            times => format!("{} ({times} occurrences) ({line}:{column})", n.message),
        }
    };
    let mut out: Vec<String> = notes.iter().take(MAX_SHOWN_NOTES).map(text).collect();
    if notes.len() > MAX_SHOWN_NOTES {
        out.push(format!("{} more {sort} annotations omitted", notes.len() - MAX_SHOWN_NOTES));
    }
    out
}

fn dress(outcome: Outcome, ordered: bool, grid: Grid, instant: bool) -> Value {
    match outcome {
        // Only asked for by other nodes, which dress it themselves.
        Outcome::Pieces(_) => Value::Vector(Vec::new()),
        Outcome::String(s) => Value::String { t_ms: grid.start_ms, s },
        Outcome::Scalar(c) if instant => {
            Value::Scalar { t_ms: grid.start_ms, v: c.float(0).unwrap_or(f64::NAN) }
        }
        Outcome::Scalar(c) => {
            let floats = grid.times().enumerate().filter_map(|(i, t)| c.float(i).map(|v| (t, v))).collect();
            Value::Matrix(vec![RangeSeries { floats, ..Default::default() }])
        }
        Outcome::Rows(rows) if instant => {
            let samples = rows.into_iter().filter_map(|r| {
                let value = match r.column.get(0)? {
                    eval::Cell::Float(v) => SampleValue::Float(v),
                    eval::Cell::Histogram(h) => SampleValue::Histogram(Box::new((**h).clone())),
                };
                Some(InstantSample { labels: r.labels, t_ms: grid.start_ms, value })
            });
            let mut samples: Vec<InstantSample> = samples.collect();
            if !ordered {
                samples.sort_by(|a, b| a.labels.cmp(&b.labels));
            }
            Value::Vector(samples)
        }
        Outcome::Rows(rows) => {
            let mut list: Vec<RangeSeries> = rows.into_iter().map(|r| range_series(r, grid)).collect();
            list.sort_by(|a, b| a.labels.cmp(&b.labels));
            Value::Matrix(list)
        }
        Outcome::Raw(mut list) => {
            list.sort_by(|a, b| a.labels.cmp(&b.labels));
            Value::Matrix(list)
        }
    }
}

fn range_series(r: eval::Series, grid: Grid) -> RangeSeries {
    let mut out = RangeSeries { labels: r.labels, ..Default::default() };
    for step in r.column.steps() {
        match r.column.get(step) {
            Some(eval::Cell::Float(v)) => out.floats.push((grid.at(step), v)),
            Some(eval::Cell::Histogram(h)) => out.histograms.push((grid.at(step), (**h).clone())),
            None => {}
        }
    }
    out
}

/// Whether the order of an instant answer is part of it.
pub(crate) fn is_ordered(expr: &crate::Expr) -> bool {
    use crate::functions::FunctionId::*;
    match expr.kind(expr.unwrap_parens(expr.root())) {
        NodeKind::Call(c) => matches!(c.function.id, Sort | SortDesc | SortByLabel | SortByLabelDesc),
        NodeKind::Aggregate(a) => matches!(a.op, eval::AggregateOp::Topk | eval::AggregateOp::Bottomk),
        _ => false,
    }
}
