//! What an engine and a single query may be told from outside.

use contract::{QueryLimits, Tenants};

/// Parts of the language that Prometheus keeps behind feature flags. All off by default, as there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Experimental {
    /// Functions and aggregators marked experimental (`limitk`, `info`, `mad_over_time`, …).
    pub functions: bool,
    /// Arithmetic and `step()`, `range()`, `min`, `max` in durations.
    pub durations: bool,
    /// `anchored` and `smoothed`.
    pub extended_selectors: bool,
    /// `fill`, `fill_left`, `fill_right` on binary operators.
    pub fill: bool,
    /// `rate` and friends use the start timestamps of counters.
    pub start_timestamps: bool,
    /// Metric identity includes `__type__` and `__unit__`.
    pub type_and_unit_labels: bool,
}

impl Experimental {
    pub fn all() -> Self {
        Experimental {
            functions: true,
            durations: true,
            extended_selectors: true,
            fill: true,
            start_timestamps: true,
            type_and_unit_labels: true,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParserOptions {
    pub experimental: Experimental,
    /// How deep parentheses, calls and operators on the right may nest; more is a parse error.
    pub max_depth: usize,
}

/// Deeper than any query a person writes, shallow enough for the stack of any thread.
pub const DEFAULT_MAX_DEPTH: usize = 200;

impl Default for ParserOptions {
    fn default() -> Self {
        ParserOptions { experimental: Experimental::default(), max_depth: DEFAULT_MAX_DEPTH }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineOptions {
    /// How far back an instant selector looks for a sample.
    pub lookback_ms: i64,
    /// Steps a range query may have beside its first.
    pub max_points: usize,
    /// Step of a subquery that names none.
    pub no_step_subquery_interval_ms: i64,
    /// Drop `__name__` at the end of the query instead of at each function.
    pub delayed_name_removal: bool,
    pub experimental: Experimental,
    /// See [`ParserOptions::max_depth`].
    pub max_depth: usize,
}

impl Default for EngineOptions {
    fn default() -> Self {
        EngineOptions {
            lookback_ms: 300_000,
            max_points: 11_000,
            no_step_subquery_interval_ms: 60_000,
            delayed_name_removal: false,
            experimental: Experimental::default(),
            max_depth: DEFAULT_MAX_DEPTH,
        }
    }
}

impl EngineOptions {
    pub fn parser(&self) -> ParserOptions {
        ParserOptions { experimental: self.experimental, max_depth: self.max_depth }
    }
}

/// Who asks and what it may cost.
#[derive(Clone)]
pub struct QueryContext {
    pub tenants: Tenants,
    pub limits: QueryLimits,
    /// Overrides [`EngineOptions::lookback_ms`] where given.
    pub lookback_ms: Option<i64>,
    /// Count samples by step ([`crate::Stats::queryable_per_step`]).
    pub per_step_stats: bool,
    /// Say how the query was answered ([`crate::Answer::explain`]).
    pub explain: bool,
}

impl QueryContext {
    pub fn new(tenants: Tenants) -> Self {
        let limits = QueryLimits::default();
        QueryContext { tenants, limits, lookback_ms: None, per_step_stats: false, explain: false }
    }
}
