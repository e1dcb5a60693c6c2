//! Elasticsearch's search over log records: query DSL, Lucene's syntax, sorting, paging, aggregations.
//!
//! This crate exists because it has a reader of its own, whoever knows Elasticsearch's language. It must never know HTTP
//! nor how records are stored: it reads from [`contract::Select`]. Start at [`engine`], which a search passes through;
//! then [`query`], what a document must be like, and [`field`], how a record is a document.

pub mod aggs;
pub mod datemath;
pub mod engine;
pub mod error;
pub mod field;
pub mod hit;
pub mod indices;
pub mod mapping;
pub mod page;
pub mod pattern;
pub mod query;
pub mod search;
pub mod sort;
pub mod token;

pub use error::Error;
pub use query::Query;

pub type Result<T, E = Error> = std::result::Result<T, E>;
