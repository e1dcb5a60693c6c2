//! What a query answers.

use std::time::Duration;

use contract::Coverage;
use model::{Histogram, Labels};

use crate::Explain;

/// A finished query.
#[derive(Debug, Clone)]
pub struct Answer {
    pub value: Value,
    /// Reasons to doubt the answer, with their place in the query text.
    pub warnings: Vec<String>,
    /// Hints that the query may not mean what its author thinks.
    pub infos: Vec<String>,
    pub coverage: Coverage,
    pub stats: Stats,
    /// Present where it was asked for ([`crate::QueryContext::explain`]).
    pub explain: Option<Explain>,
}

/// What answering cost.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Samples read from storage.
    pub samples: u64,
    /// Series read from storage.
    pub series: u64,
    /// The most bytes held at once by samples and intermediate results.
    pub peak_bytes: u64,
    /// Samples looked at, as Prometheus counts them: an instant selector looks at one at each step, a window
    /// function at its whole window.
    pub queryable_samples: u64,
    /// The same by time of the step; empty unless asked for ([`crate::QueryContext::per_step_stats`]).
    pub queryable_per_step: Vec<(i64, u64)>,
    pub timings: Timings,
}

impl Stats {
    /// The most samples held at once: as many as would take the bytes held at their most.
    pub fn peak_samples(&self) -> u64 {
        // A time and a value.
        self.peak_bytes / 16
    }
}

/// Where the time went, on the clock of the wall.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timings {
    /// Parsing, planning and reading.
    pub prepare: Duration,
    pub evaluate: Duration,
    /// Putting the answer in order.
    pub sort: Duration,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Scalar {
        t_ms: i64,
        v: f64,
    },
    String {
        t_ms: i64,
        s: String,
    },
    /// Sorted by labels, except after `sort*`, `topk` and `bottomk`, whose order is the answer.
    Vector(Vec<InstantSample>),
    /// Sorted by labels.
    Matrix(Vec<RangeSeries>),
}

#[derive(Debug, Clone, PartialEq)]
pub struct InstantSample {
    pub labels: Labels,
    pub t_ms: i64,
    pub value: SampleValue,
}

#[derive(Debug, Clone, PartialEq)]
pub enum SampleValue {
    Float(f64),
    Histogram(Box<Histogram>),
}

/// Floats and histograms, each ascending in time; no time is in both.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RangeSeries {
    pub labels: Labels,
    pub floats: Vec<(i64, f64)>,
    pub histograms: Vec<(i64, Histogram)>,
}

impl Value {
    /// `scalar`, `string`, `vector` or `matrix`, as the HTTP API calls it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Scalar { .. } => "scalar",
            Value::String { .. } => "string",
            Value::Vector(_) => "vector",
            Value::Matrix(_) => "matrix",
        }
    }
}

/// Prometheus' text of a sample value: shortest decimal that reads back the same, never an exponent
/// (Go's `strconv.FormatFloat(v, 'f', -1, 64)`), `+Inf`, `-Inf`, `NaN`.
pub fn format_float(v: f64) -> String {
    if v.is_nan() {
        "NaN".to_owned()
    } else if v.is_infinite() {
        if v > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() }
    } else {
        // Rust's Display is the shortest round-trip decimal without exponent, as 'f' with -1 is.
        format!("{v}")
    }
}
