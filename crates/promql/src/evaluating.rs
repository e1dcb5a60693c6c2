//! The answering side: [`Evaluating`] makes of a [`Select`] one that evaluates the queries it is sent.

use std::sync::Arc;

use async_trait::async_trait;
use base::Kind;
use contract::{
    Annotation, Capabilities, Dialect, EvaluateRequest, Evaluated, EvaluatedSeries, Language, Result, Select,
    SeriesData,
};
use eval::{Cell, Column, Grid, Note, Piece, Series};
use futures::future::{BoxFuture, FutureExt};

use crate::{
    Engine, EngineOptions, Error, Experimental, ParserOptions, QueryContext, ValueType,
    engine::Question,
    exec::{Finished, Outcome, Wanted},
    parse,
};

/// PromQL as this engine understands it. Version 1 is Prometheus 3.x with all that is experimental there, and the
/// pieces that [`eval::Piece`] numbers 0 to 11.
pub const DIALECT: Dialect = Dialect { language: Language::PromQl, version: 1 };

const DELAYED_NAMES: &str = "delayed_name_removal";
const START_TIMESTAMPS: &str = "start_timestamps";
const TYPE_AND_UNIT: &str = "type_and_unit_labels";

/// Parentheses around a number below zero, which may stand in any depth that the query itself was allowed.
const MORE_DEPTH: usize = 2;

/// Options that change what a query means, by name.
pub(crate) fn features(o: &EngineOptions) -> Vec<String> {
    let named = [
        (DELAYED_NAMES, o.delayed_name_removal),
        (START_TIMESTAMPS, o.experimental.start_timestamps),
        (TYPE_AND_UNIT, o.experimental.type_and_unit_labels),
    ];
    named.into_iter().filter(|(_, on)| *on).map(|(name, _)| name.to_owned()).collect()
}

/// Whoever sent the query has made sure that its user may use what stands in it.
pub(crate) fn parser(max_depth: usize) -> ParserOptions {
    ParserOptions { experimental: Experimental::all(), max_depth: max_depth.saturating_add(MORE_DEPTH) }
}

/// The options that a request was written for.
fn options(own: &EngineOptions, features: &[String]) -> Result<EngineOptions, contract::Error> {
    let mut out = *own;
    out.delayed_name_removal = false;
    out.experimental =
        Experimental { start_timestamps: false, type_and_unit_labels: false, ..Experimental::all() };
    for name in features {
        match name.as_str() {
            DELAYED_NAMES => out.delayed_name_removal = true,
            START_TIMESTAMPS => out.experimental.start_timestamps = true,
            TYPE_AND_UNIT => out.experimental.type_and_unit_labels = true,
            other => {
                return Err(contract::Error::invalid(format!(
                    "the feature {other:?} of PromQL is not known here"
                )));
            }
        }
    }
    Ok(out)
}

impl Engine {
    /// Answers a request; where what it is evaluated over has parts, these are asked in their turn.
    pub async fn evaluated(&self, r: EvaluateRequest) -> Result<Evaluated, Error> {
        self.answered(r, true).await
    }

    /// Answers a request over what is selected, whatever that is made of.
    pub(crate) fn evaluated_whole(self, r: EvaluateRequest) -> BoxFuture<'static, Result<Evaluated, Error>> {
        // Boxed, as asking a part may come back to evaluating.
        async move { self.answered(r, false).await }.boxed()
    }

    async fn answered(&self, r: EvaluateRequest, split: bool) -> Result<Evaluated, Error> {
        if r.dialect.language != DIALECT.language || r.dialect.version > DIALECT.version {
            let message = format!("{:?} is not evaluated here", r.dialect);
            return Err(contract::Error::invalid(message).into());
        }
        let options = options(self.options(), &r.features)?;
        let expr = parse(&r.query, &parser(options.max_depth))?;
        if expr.value_type() != ValueType::Vector {
            return Err(Error::Parameter(
                "only a query for an instant vector is evaluated for others".to_owned(),
            ));
        }
        let grid = Grid::range(r.start_ms, r.end_ms, r.step_ms)
            .filter(|g| g.len() as u64 <= r.scope.limits.max_samples)
            .ok_or_else(|| {
                let (start, end, step) = (r.start_ms, r.end_ms, r.step_ms);
                Error::Parameter(format!("steps of {step} ms from {start} to {end} are not evaluated"))
            })?;
        let mut ctx = QueryContext::new(r.scope.tenants.clone());
        ctx.limits = r.scope.limits.clone();
        ctx.per_step_stats = r.per_step_stats;
        let wanted = if r.pieces { Wanted::Pieces } else { Wanted::Rows };
        let question = Question {
            text: &r.query,
            expr,
            grid,
            end_ms: r.end_ms,
            instant: false,
            lookback_ms: r.lookback_ms.max(1),
            options,
            wanted,
            split,
        };
        let computed = self.compute(question, &ctx, dress).await?;
        let mut out = computed.made;
        out.coverage = computed.coverage;
        (out.series_read, out.samples_read) = (computed.stats.series, computed.stats.samples);
        Ok(out)
    }
}

fn dress(finished: Finished, grid: Grid) -> Evaluated {
    let mut series = Vec::new();
    match finished.outcome {
        Outcome::Rows(rows) => series.extend(rows.into_iter().map(|r| row(r, Piece::Whole, grid))),
        Outcome::Pieces(groups) => {
            for group in groups {
                let (labels, drop_name) = (group.labels, group.drop_name);
                series.extend(group.columns.into_iter().map(|(piece, column)| {
                    row(Series { labels: labels.clone(), column, drop_name }, piece, grid)
                }));
            }
        }
        _ => {}
    }
    let notes = |list: Vec<Note>| -> Vec<Annotation> {
        let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        list.into_iter()
            .map(|n| Annotation {
                start: place(n.span.start),
                end: place(n.span.end),
                message: n.message,
                occurrences: n.occurrences,
            })
            .collect()
    };
    Evaluated {
        series,
        warnings: notes(finished.notes.warnings),
        infos: notes(finished.notes.infos),
        samples_seen: finished.tally.total,
        seen_per_step: finished.tally.per_step,
        ..Evaluated::default()
    }
}

fn row(s: Series, piece: Piece, grid: Grid) -> EvaluatedSeries {
    let mut data = SeriesData { labels: s.labels, ..SeriesData::default() };
    fill(&mut data, &s.column, grid);
    EvaluatedSeries { data, drop_name: s.drop_name, piece: piece.number() }
}

fn fill(data: &mut SeriesData, column: &Column, grid: Grid) {
    for step in column.steps() {
        match column.get(step) {
            Some(Cell::Float(v)) => {
                data.timestamps_ms.push(grid.at(step));
                data.values.push(v);
            }
            Some(Cell::Histogram(h)) => data.histograms.push((grid.at(step), 0, (**h).clone())),
            None => {}
        }
    }
}

/// Passes every question on, and evaluates queries over what the other selects.
///
/// A node puts this before what it shows to other nodes. Where that divides into parts, these are asked in their
/// turn, so a query goes down as far as somebody can evaluate it.
#[derive(Clone)]
pub struct Evaluating {
    engine: Engine,
    select: Arc<dyn Select>,
}

impl Evaluating {
    /// Options of the requests come before those given here.
    pub fn new(select: Arc<dyn Select>, options: EngineOptions) -> Self {
        Evaluating { engine: Engine::new(select.clone(), options), select }
    }
}

#[async_trait]
impl Select for Evaluating {
    async fn evaluate(&self, request: EvaluateRequest) -> Result<Evaluated> {
        if request.dialect.language != DIALECT.language {
            return self.select.evaluate(request).await;
        }
        self.engine.evaluated(request).await.map_err(told)
    }

    contract::passed_on!(select: series, logs, log_counts, spans, span_keys, span_values, label_names, label_values, label_sets, metadata, exemplars, patterns, parts);

    fn capabilities(&self) -> Capabilities {
        let mut all = self.select.capabilities();
        all.evaluates.retain(|d| d.language != DIALECT.language);
        all.evaluates.push(DIALECT);
        all
    }
}

/// An error as somebody else is told it.
pub(crate) fn told(e: Error) -> contract::Error {
    match e {
        Error::Select(e) => e,
        // What this node lacks is not what is wrong with the query.
        e if e.limit() == Some("memory.limit") => {
            contract::Error { kind: Kind::Unavailable, message: e.to_string(), limit: e.limit() }
        }
        e => contract::Error { kind: e.kind(), message: e.to_string(), limit: e.limit() },
    }
}
