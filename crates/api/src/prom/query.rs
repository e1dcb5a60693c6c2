//! `query`, `query_range` and what is asked about a query's text.

use std::time::Instant;

use base::{MemoryBudget, memory::Use};
use contract::{QueryLimits, Tenants};
use promql::{Answer, QueryContext, SampleValue, Value};

use super::{Answered, Ask, PromError, TRUNCATED, json::Writer, stats, tree};
use crate::{
    Error,
    params::{Params, bad},
};

/// Steps one series may have in an answer, as in Prometheus.
const MAX_POINTS: i64 = 11_000;

pub async fn instant(ask: Ask) -> Result<Answered, PromError> {
    let p = &ask.params;
    let query = p.require("query")?.to_owned();
    let at = p.time_ms("time")?.unwrap_or_else(|| ask.state.clock.now_ms());
    let shape = Shape::read(p)?;
    let lookback_ms = Some(lookback_ms(&ask)?);
    let (engine, tenants) = (ask.reads.promql.clone(), ask.tenants.clone());
    let asked = Instant::now();
    let run = |limits| async move {
        let began = Instant::now();
        let context = shape.context(tenants, limits, lookback_ms);
        let answer = engine.instant(&query, at, &context).await?;
        shape.write(answer, asked, began, &context.limits.memory)
    };
    Ok(ask.run(run).await?)
}

pub async fn range(ask: Ask) -> Result<Answered, PromError> {
    let p = &ask.params;
    let query = p.require("query")?.to_owned();
    let start = p.time_ms("start")?.ok_or_else(|| bad("start", "", "it must be given"))?;
    let end = p.time_ms("end")?.ok_or_else(|| bad("end", "", "it must be given"))?;
    if end < start {
        return Err(bad(
            "end",
            p.get("end").unwrap_or_default(),
            "end timestamp must not be before start time",
        )
        .into());
    }
    let step = step_ms(p, start, end)?;
    let shape = Shape::read(p)?;
    let lookback_ms = Some(lookback_ms(&ask)?);
    let (engine, tenants) = (ask.reads.promql.clone(), ask.tenants.clone());
    let asked = Instant::now();
    let run = |limits| async move {
        let began = Instant::now();
        let context = shape.context(tenants, limits, lookback_ms);
        let answer = engine.range(&query, start, end, step, &context).await?;
        shape.write(answer, asked, began, &context.limits.memory)
    };
    Ok(ask.run(run).await?)
}

fn step_ms(p: &Params, start: i64, end: i64) -> Result<i64, Error> {
    let text = p.get("step").ok_or_else(|| bad("step", "", "it must be given"))?;
    // Negative numbers are no durations, so they are told apart before the general message.
    if text.starts_with('-') {
        return Err(not_positive(text));
    }
    let step = p.duration("step")?.unwrap_or_default().as_millis().min(i64::MAX as u128) as i64;
    if step <= 0 {
        return Err(not_positive(text));
    }
    if (end - start) / step > MAX_POINTS {
        return Err(Error::invalid(
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
        ));
    }
    Ok(step)
}

fn not_positive(text: &str) -> Error {
    bad(
        "step",
        text,
        "zero or negative query resolution step widths are not accepted. Try a positive integer",
    )
}

/// The client's `lookback_delta`, else the node's.
fn lookback_ms(ask: &Ask) -> Result<i64, Error> {
    match ask.params.duration("lookback_delta")? {
        Some(d) if d.is_zero() => Err(bad("lookback_delta", "0", "it must be positive")),
        asked => Ok(asked.unwrap_or(ask.state.options.lookback_delta).as_millis() as i64),
    }
}

/// What the client wants of the answer's form.
#[derive(Clone, Copy)]
struct Shape {
    limit: Option<usize>,
    stats: bool,
    /// `stats=all` counts by step too.
    per_step: bool,
    explain: bool,
}

impl Shape {
    fn read(p: &Params) -> Result<Self, Error> {
        let stats = p.get("stats");
        Ok(Shape {
            limit: p.limit("limit")?,
            stats: stats.is_some(),
            per_step: stats == Some("all"),
            explain: p.get("explain").is_some_and(|v| v != "false"),
        })
    }

    fn context(self, tenants: Tenants, limits: QueryLimits, lookback_ms: Option<i64>) -> QueryContext {
        QueryContext { tenants, limits, lookback_ms, per_step_stats: self.per_step, explain: self.explain }
    }

    fn write(
        self,
        mut answer: Answer,
        asked: Instant,
        began: Instant,
        budget: &MemoryBudget,
    ) -> Result<Answered, Error> {
        let truncated = self.limit.is_some_and(|n| truncate(&mut answer.value, n));
        let mut memory = budget.reserve(Use::Query, expected_bytes(&answer.value))?;
        let mut w = Writer::default();
        w.raw("{").result(&answer.value);
        if self.stats {
            stats::write(&mut w, &answer.stats, began.duration_since(asked), asked.elapsed());
        }
        if let Some(explain) = &answer.explain {
            stats::write_explain(&mut w, explain);
        }
        w.raw("}");
        let mut warnings = answer.warnings;
        if truncated {
            warnings.push(TRUNCATED.to_owned());
        }
        drop(answer.value);
        memory.shrink_to(w.0.capacity() as u64);
        let coverage = Some(answer.coverage);
        Ok(Answered { data: w.0, warnings, infos: answer.infos, coverage, memory: Some(memory) })
    }
}

/// What a result and its text take at most while both exist, roughly: the engine gave its own reservation
/// back when it returned.
fn expected_bytes(value: &Value) -> u64 {
    const POINT: usize = 16 + 40;
    const HISTOGRAM_BUCKET: usize = 64;
    let labels = |l: &model::Labels| 64 + 3 * l.packed_len();
    let histogram = |h: &model::Histogram| h.heap_bytes() + HISTOGRAM_BUCKET * h.positive_buckets.len();
    let sum: usize = match value {
        Value::Scalar { .. } => POINT,
        Value::String { s, .. } => 3 * s.len(),
        Value::Vector(v) => v
            .iter()
            .map(|s| {
                labels(&s.labels)
                    + match &s.value {
                        SampleValue::Float(_) => POINT,
                        SampleValue::Histogram(h) => histogram(h),
                    }
            })
            .sum(),
        Value::Matrix(m) => m
            .iter()
            .map(|s| {
                let histograms: usize = s.histograms.iter().map(|(_, h)| histogram(h)).sum();
                labels(&s.labels) + POINT * s.floats.len() + histograms
            })
            .sum(),
    };
    sum as u64
}

fn truncate(value: &mut Value, limit: usize) -> bool {
    match value {
        Value::Vector(v) if v.len() > limit => v.truncate(limit),
        Value::Matrix(m) if m.len() > limit => m.truncate(limit),
        _ => return false,
    }
    true
}

pub async fn format(ask: Ask) -> Result<Answered, PromError> {
    Ok(Answered::of(&parsed(&ask)?.pretty())?)
}

pub async fn parse(ask: Ask) -> Result<Answered, PromError> {
    Ok(Answered::of(&tree::to_json(&parsed(&ask)?, ask.params.require("query")?)?)?)
}

pub(super) fn parsed(ask: &Ask) -> Result<promql::Expr, Error> {
    let query = ask.params.require("query")?;
    let expr = promql::parse(query, &ask.reads.promql.options().parser());
    expr.map_err(|e| promql::Error::from(e).into())
}
