//! TraceQL, the query language of traces: parser, search and metrics.
//!
//! This crate exists because it is a language. It owns the grammar, what an expression makes of a span and of a whole
//! trace, how traces are searched and how spans become series. It must never know HTTP, a storage format or who
//! answers: spans come from [`contract::Select`], time and limits from the caller.
//!
//! Start reading at [`ast`] (what a query is), then [`parse()`] (text to tree), `eval` (a trace through a pipeline),
//! [`mod@search`] and [`metrics`] (a query over a `Select`); [`mod@lenient`] and [`test`] are for those who complete
//! queries.

pub mod answer;
pub mod ast;
mod check;
mod conditions;
pub mod error;
mod eval;
pub mod field;
pub mod lenient;
mod lex;
pub mod metrics;
mod parse;
pub mod search;
pub mod test;
mod trace;
pub mod units;
pub mod value;

pub use answer::{
    FoundSpan, FoundSpanset, FoundTrace, Inspected, MetricExemplar, MetricSeries, MetricsAnswer, Progress,
    SearchAnswer, ServiceStats,
};
pub use ast::Query;
pub use error::{Error, ParseError};
pub use field::{Field, Intrinsic, Scope};
pub use lenient::lenient;
pub use metrics::{MetricsRequest, metrics_instant, metrics_range};
pub use parse::parse;
pub use search::{SearchRequest, search};
pub use test::SpanTest;
pub use value::Value;

pub type Result<T, E = Error> = std::result::Result<T, E>;
