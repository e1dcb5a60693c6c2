//! LogQL, the query language of logs: parser, pipeline and engine.
//!
//! This crate exists because it is a language. It owns the grammar, what each pipeline stage does to a line,
//! and how metric queries are folded out of lines. It must never know HTTP, a storage format or who answers:
//! lines come from [`contract::Select`], time and limits from the caller.
//!
//! Start reading at [`ast`] (what a query is), then [`parse()`] (text to tree), [`pipeline`] (one line through
//! its stages) and [`engine`] (a query over a `Select`); [`evaluating`] is how a node answers others.

pub mod answer;
pub mod ast;
pub mod check;
pub mod detect;
pub mod engine;
pub mod error;
pub mod evaluating;
mod lex;
pub mod parse;
mod passing;
pub mod pipeline;
mod re2;
mod template;
pub mod units;

pub use answer::{Answer, Entry, PartRead, Stats, StreamEntries, Value, by_all_labels};
pub use ast::Expr;
pub use engine::{Engine, EngineOptions, QueryContext};
pub use error::{Error, ParseError};
pub use evaluating::Evaluating;
pub use parse::{parse, parse_selector};

pub type Result<T, E = Error> = std::result::Result<T, E>;
