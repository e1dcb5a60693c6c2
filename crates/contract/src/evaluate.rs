//! Evaluating a query where the data is: what is asked, what comes back, and the parts a whole divides into.
//!
//! A query over a whole that divides into [`Part`]s is answered by asking each part for what it can compute of it by
//! itself and combining the answers. Which pieces of a query these are only the language can tell; see
//! `promql::split` and `logql::engine::split`.

use std::{fmt, sync::Arc};

use base::Kind;
use model::{Labels, Signal, TimeRange};

use crate::{Coverage, CoverageState, Error, Scope, Select, SeriesData, SourceCoverage};

/// What a query is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Language {
    PromQl,
    LogQl,
}

/// A language as somebody understands it. A version contains all before it; it grows when a query that was refused,
/// or a piece of an answer that was not known, becomes possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    pub language: Language,
    pub version: u32,
}

#[derive(Clone)]
pub struct EvaluateRequest {
    /// Its range is all the time the query looks at; coverage is said of it. Its limits hold for the evaluation.
    pub scope: Scope,
    pub dialect: Dialect,
    /// A query that comes to an instant vector, complete in itself: nothing in it depends on whoever answers.
    pub query: String,
    /// Evaluated at `start_ms`, `start_ms + step_ms`, … up to `end_ms`.
    pub start_ms: i64,
    pub end_ms: i64,
    /// Above zero, also where start and end are the same.
    pub step_ms: i64,
    /// How far back an instant selector looks for a sample; of no meaning to LogQL.
    pub lookback_ms: i64,
    /// What changes the meaning of the text, by the language's own names. One that is not known must be refused.
    pub features: Vec<String>,
    /// The outermost operator is an aggregation, and what is wanted are the pieces it is made of rather than its
    /// result, so that those of several parts can be put together.
    pub pieces: bool,
    /// Count the samples looked at by step.
    pub per_step_stats: bool,
}

/// One row of an answer: a value or nothing at each step, under the step's time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EvaluatedSeries {
    pub data: SeriesData,
    /// What names the metric is to be taken off its labels at the end of the whole query.
    pub drop_name: bool,
    /// Which piece of an aggregate it is, numbered by the language (`eval::Piece`); 0 is a value that is complete.
    /// The pieces of one group follow one another.
    pub piece: u8,
}

/// An answer whole. It is bounded by the limits of the scope it was asked with.
#[derive(Debug, Clone, Default)]
pub struct Evaluated {
    /// In the order of the language.
    pub series: Vec<EvaluatedSeries>,
    pub warnings: Vec<Annotation>,
    pub infos: Vec<Annotation>,
    pub coverage: Coverage,
    /// Read from storage, wherever that was: series and samples, or of logs the series made of them and records.
    pub series_read: u64,
    pub samples_read: u64,
    /// Of log records the bytes of their lines.
    pub bytes_read: u64,
    /// Looked at by the operators of the language, and the same by step where it was asked for; of log records those
    /// that passed all stages.
    pub samples_seen: u64,
    pub seen_per_step: Vec<u64>,
    /// Bytes in which it came from elsewhere; 0 where that is not known.
    pub bytes_moved: u64,
}

/// What is to be said with an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Annotation {
    pub message: String,
    /// The place in the request's text it is about, in bytes.
    pub start: u32,
    pub end: u32,
    /// How often it arose, where the reader is told; 0 where not.
    pub occurrences: u64,
}

/// A part of a whole; see [`Select::parts`].
#[derive(Clone)]
pub struct Part {
    /// For people: `dev-01`.
    pub name: String,
    /// Whom it answers for, each with its replica, as coverage calls them.
    pub sources: Vec<(String, Option<String>)>,
    /// Labels that everything it holds carries.
    pub labels: Labels,
    pub select: Arc<dyn Select>,
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part")
            .field("name", &self.name)
            .field("sources", &self.sources)
            .field("labels", &self.labels)
            .finish_non_exhaustive()
    }
}

impl Part {
    /// The coverage of a part that did not answer.
    pub fn missing(&self, signal: &Signal, range: TimeRange, error: &Error) -> Coverage {
        let text = error.to_string();
        let plain = text.strip_prefix(&format!("{}: ", self.name)).unwrap_or(&text);
        let mut all = Coverage::default();
        for (cluster, replica) in &self.sources {
            all.merge(Coverage::one(SourceCoverage {
                replica: replica.clone(),
                state: CoverageState::Missing,
                covered: Vec::new(),
                // A comma separates reasons.
                reason: plain.replace(',', ";"),
                ..SourceCoverage::complete(cluster.clone(), signal.clone(), range)
            }));
        }
        all
    }
}

/// The error of a question that none of the parts answered, each named with what it said.
pub fn nobody(mut failed: Vec<(String, Error)>) -> Error {
    if failed.len() == 1
        && let Some((_, e)) = failed.pop()
    {
        return e;
    }
    let kind = match failed.first() {
        Some((_, first)) if failed.iter().all(|(_, e)| e.kind == first.kind) => first.kind,
        _ => Kind::Unavailable,
    };
    let named = |(part, e): &(String, Error)| {
        let text = e.to_string();
        if text.starts_with(&format!("{part}: ")) { text } else { format!("{part}: {text}") }
    };
    let list: Vec<String> = failed.iter().map(named).collect();
    Error::new(kind, format!("none of the {} parts asked answered: {}", list.len(), list.join("; ")))
}
