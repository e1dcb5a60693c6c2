//! Aggregations: what is counted over all documents found, in buckets within buckets.
//!
//! ```text
//! parse -> Agg (a tree) -> collect: one document at a time into State -> answer: JSON, pipelines last
//! ```
//! Buckets are held in memory, which is charged to the search, and bounded: [`MAX_TERMS`] while documents are read,
//! [`MAX_BUCKETS`] in an answer.

mod answer;
mod collect;
mod interval;
mod metric;
mod parse;
mod pipeline;
mod script;
mod sketch;

use std::collections::{BTreeMap, HashMap, HashSet};

use regex::Regex;
use serde_json::Value;

use crate::{Query, field::Field};

pub use collect::Collector;
pub use parse::parse;

use interval::Interval;
use metric::{Metric, Numbers, Top};
use pipeline::Pipeline;

/// Buckets of one answer, as Elasticsearch's `search.max_buckets`.
pub const MAX_BUCKETS: usize = 65_536;
/// Buckets held while documents are read, some 200 bytes each and more with aggregations inside.
pub const MAX_TERMS: usize = 1_000_000;

/// One aggregation by name, and those inside its buckets.
#[derive(Debug, Clone)]
pub struct Agg {
    name: String,
    kind: Kind,
    subs: Vec<Agg>,
    meta: Option<Value>,
}

#[derive(Debug, Clone)]
enum Kind {
    Terms(Terms),
    DateHistogram(DateHistogram),
    Histogram(Histogram),
    /// Buckets by condition, each with its name where they have names.
    Filters {
        filters: Vec<(Option<String>, Query)>,
        other: Option<String>,
    },
    /// A single bucket.
    Filter(Query),
    Ranges {
        field: Field,
        ranges: Vec<RangeBucket>,
        keyed: bool,
        dates: bool,
    },
    Missing(Field),
    Metric(Metric),
    Pipeline(Pipeline),
}

#[derive(Debug, Clone)]
struct Terms {
    /// Several make keys of several parts.
    fields: Vec<Field>,
    size: usize,
    min_doc_count: u64,
    missing: Option<Key>,
    order: Vec<(Order, bool)>,
    include: Option<Chosen>,
    exclude: Option<Chosen>,
    multi: bool,
}

/// What buckets are ordered by; beside it whether descending.
#[derive(Debug, Clone, PartialEq)]
enum Order {
    Count,
    Key,
    /// A value of an aggregation inside.
    Metric(String),
}

#[derive(Debug, Clone)]
enum Chosen {
    Values(HashSet<String>),
    Matching(Regex),
}

impl Chosen {
    fn has(&self, text: &str) -> bool {
        match self {
            Chosen::Values(all) => all.contains(text),
            Chosen::Matching(r) => r.is_match(text),
        }
    }
}

#[derive(Debug, Clone)]
struct DateHistogram {
    field: Field,
    interval: Interval,
    min_doc_count: u64,
    /// Milliseconds; buckets reach at least from and to here.
    bounds: Option<(i64, i64)>,
    missing: Option<i64>,
    format: Option<String>,
    keyed: bool,
    descending: bool,
}

#[derive(Debug, Clone)]
struct Histogram {
    field: Field,
    interval: f64,
    offset: f64,
    min_doc_count: u64,
    bounds: Option<(f64, f64)>,
    missing: Option<f64>,
    keyed: bool,
}

#[derive(Debug, Clone)]
struct RangeBucket {
    key: Option<String>,
    from: Option<f64>,
    to: Option<f64>,
}

/// What names a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Key {
    Bool(bool),
    Int(i64),
    /// Bits that order as the numbers do.
    Double(u64),
    Text(String),
    Several(Vec<Key>),
}

/// What an aggregation knows so far.
#[derive(Debug)]
enum State {
    Terms(HashMap<Key, Bucket>),
    /// By key in milliseconds, or by number of the interval.
    Steps(BTreeMap<i64, Bucket>),
    Fixed(Vec<Bucket>),
    Numbers(Box<Numbers>),
    Top(Top),
    /// Pipelines look at what others came to.
    Nothing,
}

#[derive(Debug, Default)]
struct Bucket {
    count: u64,
    subs: Vec<State>,
}

#[cfg(test)]
mod tests;
