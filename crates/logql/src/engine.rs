//! A query over a [`Select`].
//!
//! ```text
//! parse -> check -+- log query:    scan -> pipeline -> streams                       engine/logs.rs
//!                 '- metric query: what parts compute by themselves                  engine/{plan,split,gather}.rs
//!                                  per range aggregation that is left
//!                                  scan -> pipeline -> value -> fold into windows    engine/range.rs, fold.rs
//!                                  then operators over step-aligned series           engine/{aggregate,binary}.rs
//! ```
//! Lines are never held: a log query keeps up to its limit of entries, a metric query keeps accumulators. Both
//! charge what they keep to the query's memory budget.

use std::sync::Arc;

use base::{Clock, Kind};
use contract::{
    Coverage, Direction, EvaluateRequest, Evaluated, EvaluatedSeries, Part, QueryLimits, Select, Tenants,
};
use futures::future::{BoxFuture, FutureExt};
use model::{Signal, TimeRange, TimestampNs};

use crate::{
    Answer, Error, Result, Stats, Value,
    answer::PartRead,
    ast::{Expr, MetricExpr},
    check::check,
    evaluating::{DIALECT, row},
    parse::parse,
};

mod aggregate;
mod binary;
mod charge;
mod count;
mod fold;
mod frame;
mod gather;
mod logs;
mod metric;
mod pieces;
mod plan;
mod range;
mod scan;
mod split;

use frame::{Grid, Operand};
use pieces::{Made, Make};

/// What an engine is told once.
#[derive(Clone)]
pub struct EngineOptions {
    /// What the template function `now` answers with.
    pub clock: Clock,
    /// Points per series a range query may ask for.
    pub max_steps: usize,
}

impl Default for EngineOptions {
    fn default() -> Self {
        EngineOptions { clock: Clock::system(), max_steps: 11_000 }
    }
}

/// Whose data one query reads and what it may cost.
#[derive(Clone)]
pub struct QueryContext {
    pub tenants: Tenants,
    pub limits: QueryLimits,
}

/// Evaluates LogQL. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    select: Arc<dyn Select>,
    options: EngineOptions,
}

/// What the steps of one query share: limits in, coverage and cost out.
struct Run<'a> {
    engine: &'a Engine,
    ctx: &'a QueryContext,
    coverage: Coverage,
    stats: Stats,
    parts: Vec<PartRead>,
    memory: charge::Charge,
}

/// What a metric query came to.
enum Outcome {
    Operand(Operand),
    /// The outermost aggregation unfinished.
    Made(Vec<Made>),
}

/// Who computes, and how far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wanted {
    /// Leave the outermost aggregation unfinished.
    in_pieces: bool,
    /// Leave to the parts of what is asked what they can compute by themselves.
    split: bool,
}

impl Wanted {
    const ANSWER: Wanted = Wanted { in_pieces: false, split: true };
}

impl Engine {
    pub fn new(select: Arc<dyn Select>, options: EngineOptions) -> Self {
        Engine { select, options }
    }

    /// A metric query at one point in time. Log queries have no instant form and are `Kind::Invalid`, as in
    /// Loki. `limit` and `direction` are taken for symmetry with [`Engine::range`]: metric queries have neither.
    pub async fn instant(
        &self,
        query: &str,
        at_ns: i64,
        _limit: usize,
        _direction: Direction,
        ctx: &QueryContext,
    ) -> Result<Answer> {
        let expr = parse(query)?;
        check(&expr)?;
        let Expr::Metric(metric) = expr else {
            return Err(Error::invalid(
                "log queries are not supported as an instant query type, please change your query to a range \
                 query type",
            ));
        };
        let grid = Grid { start_ns: at_ns, step_ns: 1, len: 1 };
        let (run, outcome) = self.metric(&metric, grid, ctx, Wanted::ANSWER).await?;
        Ok(run.answer(metric::instant(&metric, outcome.operand()?, grid)))
    }

    /// A log query over `[start_ns, end_ns)` or a metric query at `start_ns, start_ns + step_ns, ... end_ns`.
    /// `limit` counts lines of a log query, `direction` says which end they are taken from.
    #[allow(clippy::too_many_arguments)]
    pub async fn range(
        &self,
        query: &str,
        start_ns: i64,
        end_ns: i64,
        step_ns: i64,
        limit: usize,
        direction: Direction,
        ctx: &QueryContext,
    ) -> Result<Answer> {
        let expr = parse(query)?;
        check(&expr)?;
        match &expr {
            Expr::Log(log) => {
                let mut run = self.run(ctx)?;
                let range = TimeRange::new(TimestampNs(start_ns), TimestampNs(end_ns));
                let streams = logs::run(&mut run, log, range, limit, direction).await?;
                Ok(run.answer(Value::Streams(streams)))
            }
            Expr::Metric(metric) => {
                let grid = self.grid(start_ns, end_ns, step_ns)?;
                let (run, outcome) = self.metric(metric, grid, ctx, Wanted::ANSWER).await?;
                Ok(run.answer(metric::range(outcome.operand()?, grid)))
            }
        }
    }

    /// Answers a request; where what it is evaluated over has parts, these are asked in their turn.
    pub(crate) async fn evaluated(&self, r: EvaluateRequest) -> Result<Evaluated> {
        self.answered(r, true).await
    }

    /// Answers a request over what is selected, whatever that is made of.
    fn evaluated_whole(self, r: EvaluateRequest) -> BoxFuture<'static, Result<Evaluated>> {
        // Boxed, as asking a part may come back to evaluating.
        async move { self.answered(r, false).await }.boxed()
    }

    /// The same engine over something else.
    fn over(&self, select: Arc<dyn Select>) -> Self {
        Engine { select, options: self.options.clone() }
    }

    async fn answered(&self, r: EvaluateRequest, split: bool) -> Result<Evaluated> {
        if r.dialect.language != DIALECT.language || r.dialect.version > DIALECT.version {
            return Err(Error::invalid(format!("{:?} is not evaluated here", r.dialect)));
        }
        if let Some(feature) = r.features.first() {
            return Err(Error::invalid(format!("the feature {feature:?} of LogQL is not known here")));
        }
        let expr = parse(&r.query)?;
        check(&expr)?;
        let Expr::Metric(metric) = expr else {
            return Err(Error::invalid("only a metric query is evaluated for others"));
        };
        let ns = |name: &str, ms: i64| {
            let far = || Error::invalid(format!("{name} of {ms} ms is out of range"));
            ms.checked_mul(1_000_000).ok_or_else(far)
        };
        let (start, end) = (ns("the start", r.start_ms)?, ns("the end", r.end_ms)?);
        let grid = self.grid(start, end, ns("the step", r.step_ms)?)?;
        let ctx = QueryContext { tenants: r.scope.tenants.clone(), limits: r.scope.limits.clone() };
        let (run, outcome) = self.metric(&metric, grid, &ctx, Wanted { in_pieces: r.pieces, split }).await?;
        let mut series: Vec<EvaluatedSeries> = Vec::new();
        match (outcome, Make::of(&metric)) {
            (Outcome::Operand(Operand::Series(all)), _) => {
                series.extend(all.into_iter().map(|s| row(s.labels, eval::Piece::Whole, &s.values, &r)));
            }
            (Outcome::Made(all), Some(make)) => {
                for m in all {
                    let columns = make.columns(&m.accs).into_iter();
                    series.extend(columns.map(|(piece, values)| row(m.labels.clone(), piece, &values, &r)));
                }
            }
            _ => return Err(Error::invalid("only a query for a vector is evaluated for others")),
        }
        Ok(Evaluated {
            series,
            coverage: run.coverage,
            series_read: run.stats.series,
            samples_read: run.stats.lines,
            bytes_read: run.stats.bytes,
            samples_seen: run.stats.entries,
            ..Evaluated::default()
        })
    }

    async fn metric<'a>(
        &'a self,
        expr: &MetricExpr,
        grid: Grid,
        ctx: &'a QueryContext,
        wanted: Wanted,
    ) -> Result<(Run<'a>, Outcome)> {
        let parts = if wanted.split { self.parts_of(expr, grid) } else { Vec::new() };
        if !parts.is_empty() {
            match self.outcome(expr, grid, ctx, &parts, wanted.in_pieces).await {
                // Which line or series an error names follows from the order of all of them.
                Err(e) if e.kind() == Kind::Invalid => {}
                answered => return answered,
            }
        }
        self.outcome(expr, grid, ctx, &[], wanted.in_pieces).await
    }

    async fn outcome<'a>(
        &'a self,
        expr: &MetricExpr,
        grid: Grid,
        ctx: &'a QueryContext,
        parts: &[Part],
        in_pieces: bool,
    ) -> Result<(Run<'a>, Outcome)> {
        let mut run = self.run(ctx)?;
        let outcome = match in_pieces {
            true => Outcome::Made(metric::made(&mut run, expr, grid, parts).await?),
            false => Outcome::Operand(metric::operand(&mut run, expr, grid, parts).await?),
        };
        Ok((run, outcome))
    }

    /// The parts that what the query looks at divides into; none where it does not.
    fn parts_of(&self, expr: &MetricExpr, grid: Grid) -> Vec<Part> {
        let mut selectors = Vec::new();
        let (mut first, mut last) = (i64::MAX, i64::MIN);
        expr.each_range(&mut |r| {
            let r = &r.range;
            selectors.push(r.log.matchers.clone());
            let (from, to) = (grid.at_ns(0), grid.at_ns(grid.len.saturating_sub(1)));
            first = first.min(from.saturating_sub(r.offset_ns).saturating_sub(r.range_ns).saturating_add(1));
            last = last.max(to.saturating_sub(r.offset_ns).saturating_add(1));
        });
        if selectors.is_empty() {
            return Vec::new();
        }
        let range = TimeRange::new(TimestampNs(first), TimestampNs(last));
        self.select.parts(&Signal::LOGS, &selectors, range).unwrap_or_default()
    }

    fn run<'a>(&'a self, ctx: &'a QueryContext) -> Result<Run<'a>> {
        ctx.limits.check_deadline()?;
        Ok(Run {
            engine: self,
            ctx,
            coverage: Coverage::default(),
            stats: Stats::default(),
            parts: Vec::new(),
            memory: charge::Charge::new(&ctx.limits)?,
        })
    }

    fn grid(&self, start_ns: i64, end_ns: i64, step_ns: i64) -> Result<Grid> {
        if step_ns <= 0 {
            return Err(Error::invalid(format!("step must be positive, not {step_ns} ns")));
        }
        if end_ns < start_ns {
            return Err(Error::invalid("end timestamp must not be before start time"));
        }
        let steps = (i128::from(end_ns) - i128::from(start_ns)) / i128::from(step_ns) + 1;
        match usize::try_from(steps) {
            Ok(len) if len <= self.options.max_steps.saturating_add(1) => Ok(Grid { start_ns, step_ns, len }),
            _ => Err(Error::invalid(format!(
                "exceeded maximum resolution of {} points per time series. Try increasing the value of the step \
                 parameter",
                self.options.max_steps
            ))),
        }
    }
}

impl Run<'_> {
    fn select(&self) -> &dyn Select {
        &*self.engine.select
    }

    fn clock(&self) -> &Clock {
        &self.engine.options.clock
    }

    fn answer(self, value: Value) -> Answer {
        let Run { coverage, stats, parts, .. } = self;
        Answer { value, coverage, warnings: Vec::new(), stats, parts }
    }
}

impl Outcome {
    fn operand(self) -> Result<Operand> {
        match self {
            Outcome::Operand(operand) => Ok(operand),
            Outcome::Made(_) => Err(contract::Error::internal("an answer came in pieces").into()),
        }
    }
}
