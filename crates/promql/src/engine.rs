//! From text to answer: parse, plan, read, evaluate, dress.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Instant,
};

use contract::Select;
use eval::{Grid, Meter, Note, Notes};

use crate::{
    Answer, EngineOptions, Error, Explain, InstantSample, QueryContext, RangeSeries, SampleValue, Stats,
    Timings, Value,
    ast::{NodeKind, ValueType},
    error::line_and_column,
    exec::{Asked, Evaluator, Finished, Outcome},
    explain::explain,
    fetch,
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

    async fn run(
        &self,
        q: &str,
        grid: Grid,
        end_ms: i64,
        instant: bool,
        ctx: &QueryContext,
    ) -> Result<Answer, Error> {
        let began = Instant::now();
        let expr = parse(q, &self.options.parser())?;
        let ty = expr.value_type();
        if !instant && !matches!(ty, ValueType::Scalar | ValueType::Vector) {
            return Err(Error::Parameter(format!(
                "invalid expression type {:?} for range query, must be Scalar or instant Vector",
                ty.documented()
            )));
        }
        let lookback_ms = ctx.lookback_ms.unwrap_or(self.options.lookback_ms).clamp(1, MAX_DURATION_MS);
        let context = Context {
            text: q,
            options: &self.options,
            lookback_ms,
            max_steps: ctx.limits.max_samples,
            step_ms: if instant { 0 } else { grid.step_ms },
            end_ms,
        };
        let plan = Plan::new(expr, grid, &context)?;
        let cancelled = CancelOnDrop::default();
        let meter = Meter::new(&ctx.limits.memory, ctx.limits.deadline)?.limited_to(ctx.limits.max_bytes);
        let mut meter = meter.cancelled_by(Arc::clone(&cancelled.0));
        let mut stats = Stats::default();
        let data = fetch::fetch(&self.select, &plan, ctx, &mut meter, &mut stats).await?;
        let coverage = data.coverage.clone();
        stats.timings.prepare = began.elapsed();
        let asked = Asked {
            options: self.options,
            lookback_ms,
            instant,
            max_samples: ctx.limits.max_samples,
            per_step: ctx.per_step_stats,
            profile: ctx.explain,
        };
        let evaluator = Evaluator { plan, data, meter, asked };
        // Evaluation computes without waiting, for seconds if the query is large.
        let done = tokio::task::spawn_blocking(move || evaluate(evaluator, grid))
            .await
            .map_err(|e| Error::Internal(e.to_string()))?;
        let Evaluated { value, notes, explain, stats: evaluated } = done?;
        let stats = Stats {
            samples: stats.samples,
            series: stats.series,
            timings: Timings { prepare: stats.timings.prepare, ..evaluated.timings },
            ..evaluated
        };
        let (warnings, infos) = (texts(&notes.warnings, "warning", q), texts(&notes.infos, "info", q));
        Ok(Answer { value, warnings, infos, coverage, stats, explain })
    }
}

/// What comes back from the thread that evaluates.
struct Evaluated {
    value: Value,
    notes: Notes,
    explain: Option<Explain>,
    /// What was counted after reading.
    stats: Stats,
}

/// Evaluates, and puts the answer in order: both take long for large ones.
fn evaluate(evaluator: Evaluator, grid: Grid) -> Result<Evaluated, Error> {
    let asked = evaluator.asked;
    let began = Instant::now();
    let Finished { outcome, ordered, notes, peak_bytes, tally, profile, plan, reads } = evaluator.run()?;
    let mut stats = Stats { peak_bytes, queryable_samples: tally.total, ..Stats::default() };
    stats.queryable_per_step = grid.times().zip(tally.per_step.iter().copied()).collect();
    stats.timings.evaluate = began.elapsed();
    let explain = asked.profile.then(|| explain(&plan, &profile, &reads));
    let began = Instant::now();
    let value = dress(outcome, ordered, grid, asked.instant);
    stats.timings.sort = began.elapsed();
    Ok(Evaluated { value, notes, explain, stats })
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
