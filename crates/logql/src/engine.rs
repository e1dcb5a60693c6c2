//! A query over a [`Select`].
//!
//! ```text
//! parse -> check -+- log query:    scan -> pipeline -> streams                       engine/logs.rs
//!                 '- metric query: per range aggregation
//!                                  scan -> pipeline -> value -> fold into windows    engine/range.rs, fold.rs
//!                                  then operators over step-aligned series           engine/{aggregate,binary}.rs
//! ```
//! Lines are never held: a log query keeps up to its limit of entries, a metric query keeps accumulators. Both
//! charge what they keep to the query's memory budget.

use std::sync::Arc;

use base::Clock;
use contract::{Coverage, Direction, QueryLimits, Select, Tenants};

use crate::{Answer, Error, Result, Stats, Value, ast::Expr, check::check, parse::parse};

mod aggregate;
mod binary;
mod charge;
mod fold;
mod frame;
mod logs;
mod metric;
mod range;
mod scan;

use frame::Grid;

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

/// What parts of one query share: limits in, coverage and cost out.
struct Run<'a> {
    select: &'a dyn Select,
    clock: &'a Clock,
    ctx: &'a QueryContext,
    coverage: Coverage,
    stats: Stats,
    memory: charge::Charge,
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
        let mut run = self.run(ctx)?;
        let grid = Grid { start_ns: at_ns, step_ns: 1, len: 1 };
        let value = metric::instant(&mut run, &metric, grid).await?;
        Ok(run.answer(value))
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
        let mut run = self.run(ctx)?;
        let value = match &expr {
            Expr::Log(log) => {
                let range = model::TimeRange::new(model::TimestampNs(start_ns), model::TimestampNs(end_ns));
                Value::Streams(logs::run(&mut run, log, range, limit, direction).await?)
            }
            Expr::Metric(metric) => {
                let grid = self.grid(start_ns, end_ns, step_ns)?;
                metric::range(&mut run, metric, grid).await?
            }
        };
        Ok(run.answer(value))
    }

    fn run<'a>(&'a self, ctx: &'a QueryContext) -> Result<Run<'a>> {
        ctx.limits.check_deadline()?;
        Ok(Run {
            select: &*self.select,
            clock: &self.options.clock,
            ctx,
            coverage: Coverage::default(),
            stats: Stats::default(),
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
    fn answer(self, value: Value) -> Answer {
        Answer { value, coverage: self.coverage, warnings: Vec::new(), stats: self.stats }
    }
}
