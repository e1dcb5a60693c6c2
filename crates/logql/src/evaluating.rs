//! The answering side: [`Evaluating`] makes of a [`Select`] one that evaluates the queries it is sent, and looks
//! itself which records pass a pipeline.

use std::sync::Arc;

use async_trait::async_trait;
use contract::{
    Capabilities, Dialect, EvaluateRequest, Evaluated, EvaluatedSeries, Language, LogsRequest, Result,
    Select, Selection, SeriesData,
};
use model::{Labels, LogBatch};

use crate::{Engine, EngineOptions, Error, passing::Sieve};

/// LogQL as this engine understands it. Version 1 is the language of Loki 3 without `variants`, and of the pieces
/// that [`eval::Piece`] numbers those from 0 to 5.
pub const DIALECT: Dialect = Dialect { language: Language::LogQl, version: 1 };

/// Passes every question on, and evaluates queries over what the other selects.
///
/// A node puts this before what it shows to other nodes. Where that divides into parts, these are asked in their
/// turn, so a query goes down as far as somebody can evaluate it.
#[derive(Clone)]
pub struct Evaluating {
    engine: Engine,
    select: Arc<dyn Select>,
    options: EngineOptions,
    sifts: bool,
}

impl Evaluating {
    pub fn new(select: Arc<dyn Select>, options: EngineOptions) -> Self {
        let engine = Engine::new(select.clone(), options.clone());
        Evaluating { engine, select, options, sifts: false }
    }

    /// The same that leaves out records which do not pass what is asked for. Where records do not leave the node that
    /// would be done twice.
    pub fn sifting(self) -> Self {
        Evaluating { sifts: true, ..self }
    }
}

/// A row of an answer.
pub(crate) fn row(
    labels: Labels,
    piece: eval::Piece,
    values: &[Option<f64>],
    r: &EvaluateRequest,
) -> EvaluatedSeries {
    let mut data = SeriesData { labels, ..SeriesData::default() };
    for (t, v) in (0..).map(|k: i64| r.start_ms + k * r.step_ms).zip(values) {
        if let Some(v) = v {
            data.timestamps_ms.push(t);
            data.values.push(*v);
        }
    }
    EvaluatedSeries { data, drop_name: false, piece: piece.number() }
}

/// An error as somebody else is told it.
pub(crate) fn told(e: Error) -> contract::Error {
    match e {
        Error::Select(e) => e,
        Error::Limited { limit, message } => contract::Error::limited(limit, message),
        e => contract::Error::new(e.kind(), e.to_string()),
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

    async fn logs(&self, r: LogsRequest) -> Result<Selection<LogBatch>> {
        let sieve = if self.sifts { Sieve::of(&r, &self.options.clock) } else { None };
        let found = self.select.logs(r).await?;
        Ok(match sieve {
            Some(sieve) => sieve.over(found),
            None => found,
        })
    }

    contract::passed_on!(select: series, log_counts, spans, span_keys, span_values, label_names, label_values, label_sets, metadata, exemplars, patterns, parts);

    fn capabilities(&self) -> Capabilities {
        let mut all = self.select.capabilities();
        all.evaluates.retain(|d| d.language != DIALECT.language);
        all.evaluates.push(DIALECT);
        all
    }
}
