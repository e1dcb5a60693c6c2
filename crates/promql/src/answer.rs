//! What a query answers.

use contract::Coverage;
use model::{Histogram, Labels};

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
}

/// What answering cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Samples read from storage.
    pub samples: u64,
    /// Series read from storage.
    pub series: u64,
    /// The most bytes held at once by samples and intermediate results.
    pub peak_bytes: u64,
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
