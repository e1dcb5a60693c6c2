//! The arithmetic of queries over time series, shared by PromQL and by the metric queries of LogQL.
//!
//! This crate exists because two languages compute the same way: the step grid, columns of one series over all
//! steps, window functions over raw samples, vector matching, aggregation, native-histogram arithmetic and the
//! notes (warnings and infos) that come with an answer. It must never know a query language, storage or I/O;
//! everything here is synchronous and pure. Memory is charged to a [`Meter`].
//!
//! Start reading at [`column`] (what a series over all steps is), then [`binary`], [`aggregate`] and [`window`].

pub mod aggregate;
mod apart;
pub mod binary;
mod by_labels;
pub mod column;
pub mod error;
pub mod grid;
pub mod histogram;
pub mod math;
pub mod meter;
pub mod notes;
pub mod parallel;
pub mod rows;
pub mod window;

pub use aggregate::{AggregateOp, Grouping, Parameter, Piece, Pieces, Reducer, aggregate};
pub use apart::{Apart, Kept};
pub use binary::{BinaryOp, Cardinality, Matching, Side, binary, binary_scalar, scalar_op, with_scalar};
pub use by_labels::{ByLabels, LabelSet, LabelsState};
pub use column::{Cell, Column, Series, Value};
pub use error::Error;
pub use grid::Grid;
pub use meter::Meter;
pub use notes::{Note, Notes, Span};
pub use rows::{drop_metadata, drop_names, merge_same};

/// What every operator needs beside its operands.
pub struct Env<'a> {
    pub meter: &'a mut Meter,
    pub notes: &'a mut Notes,
    /// Where in the query text the operator stands; notes carry it. `0..0` where there is no text.
    pub span: Span,
    /// Keep `__name__` and set [`Series::drop_name`] instead, to be applied at the end of the query
    /// (PromQL's delayed name removal). LogQL series have no name, either value will do.
    pub delay_name_removal: bool,
}

pub type Result<T, E = Error> = std::result::Result<T, E>;
