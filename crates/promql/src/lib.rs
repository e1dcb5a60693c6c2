//! PromQL: lexer, parser, printer, planner and evaluator (Prometheus 3.x language).
//!
//! This crate exists because a language has a reader of its own. It owns everything between a query's text and
//! its answer; arithmetic over columns of samples lies in `eval`. It must never know HTTP, JSON, Parquet or where
//! series are stored: it reads through [`contract::Select`] only.
//!
//! Start reading at [`ast`], then [`mod@parse`], [`engine`].

pub mod answer;
pub mod ast;
pub mod engine;
pub mod error;
pub mod evaluating;
mod exec;
pub mod explain;
mod fetch;
pub mod functions;
mod gather;
mod lex;
pub mod literal;
pub mod options;
pub mod parse;
mod plan;
mod print;
mod split;

pub use answer::{Answer, InstantSample, RangeSeries, SampleValue, Stats, Timings, Value, format_float};
pub use ast::{Expr, NodeId, NodeKind, Selector, ValueType};
pub use engine::Engine;
pub use error::{Error, ParseError};
pub use eval::Span;
pub use evaluating::Evaluating;
pub use explain::{Explain, ExplainNode, ReadStats};
pub use options::{EngineOptions, Experimental, ParserOptions, QueryContext};
pub use parse::{parse, parse_selector};
