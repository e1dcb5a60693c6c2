//! The two seams of Orrery: [`Append`] takes telemetry in, [`Select`] gives it out.
//!
//! This crate exists because it is a seam: `store` implements both, `federate` will implement both over other
//! nodes, and everything above (languages, API, agent) knows only these traits. It must never know an
//! implementation. What implementations MUST hold is said at each method and checked by one conformance
//! suite (`testkit::conformance`). Start reading at [`append`] and [`select`].

pub mod append;
pub mod coverage;
pub mod error;
pub mod evaluate;
pub mod fake;
pub mod pass;
pub mod select;
pub mod spans;
pub mod sql;

pub use append::{Append, AppendUnit, Receipt, Refusal, RefusalReason, Witness};
pub use coverage::{Coverage, CoverageState, SourceCoverage};
pub use error::Error;
pub use evaluate::{
    Annotation, Dialect, EvaluateRequest, Evaluated, EvaluatedSeries, Language, Part, nobody,
};
pub use select::{
    Capabilities, Direction, ExemplarsRequest, LabelNamesRequest, LabelValuesRequest, LineFilter, LogCounts,
    LogCountsRequest, LogGroup, LogsRequest, MetadataRequest, NamedField, Passing, PatternsRequest,
    QueryLimits, Scope, Select, Selection, SeriesData, SeriesHints, SeriesRequest, Tenants,
};
pub use spans::{
    Comparison, SpanCondition, SpanField, SpanFilter, SpanKeysRequest, SpanParts, SpanPattern, SpanScope,
    SpanTest, SpanValue, SpanValuesRequest, SpansRequest,
};
pub use sql::{Sql, SqlAnswer, SqlCaller, SqlColumn, SqlEnd, SqlFormat, SqlRead, SqlRequest};

/// For [`passed_on`].
#[doc(hidden)]
pub use model;

pub type Result<T, E = Error> = std::result::Result<T, E>;
