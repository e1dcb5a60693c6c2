//! The way out.

use std::{sync::Arc, time::Instant};

use async_trait::async_trait;
use base::memory::MemoryBudget;
use futures::{StreamExt, stream::BoxStream};
use model::{
    Exemplar, Histogram, Labels, LogBatch, LogRecord, LogStream, Matcher, MetricMetadata, Signal, SpanBatch,
    SpanKind, TenantId, TimeRange,
};
use parking_lot::Mutex;

use crate::{
    Coverage, Dialect, Error, EvaluateRequest, Evaluated, Part, Result, SpanKeysRequest, SpanScope,
    SpanValue, SpanValuesRequest, SpansRequest, spans,
};

/// Gives telemetry out.
///
/// Implementations MUST:
/// - show everything acknowledged by their `Append` before the call began;
/// - return only what lies in the scope's range, tenants and matchers; hints never change the result;
/// - end the stream with `Err` when a limit of the scope is reached or the deadline passes, naming the limit;
/// - say in the coverage what they could not answer for. A source that is not there is coverage, not an
///   error, unless nothing at all could be answered;
/// - stop work soon after the stream is dropped.
///
/// Items belong to the caller. Coverage is final once the stream has ended.
#[async_trait]
pub trait Select: Send + Sync {
    /// Series in ascending order of labels, each exactly once, samples ascending in time without duplicates,
    /// staleness markers included. Where several tenants are asked, `__tenant_id__` is added to the labels.
    async fn series(&self, request: SeriesRequest) -> Result<Selection<SeriesData>>;

    /// Log records ordered by time in the asked direction (ties in a stable order), in pieces of any size; a
    /// piece's records are in order and no piece overlaps an earlier one. `limit` counts records.
    async fn logs(&self, request: LogsRequest) -> Result<Selection<LogBatch>>;

    /// Log records counted instead of returned; `None` where records have to be asked for, as those that leave this as
    /// it is say always. Whoever counts counts exactly what [`Select::logs`] would return.
    async fn log_counts(&self, request: LogCountsRequest) -> Result<Option<Selection<LogCounts>>> {
        let _ = request;
        Ok(None)
    }

    /// Spans, newest window first, in no promised order inside a piece. With `trace_ids` all spans of those
    /// traces in the range.
    async fn spans(&self, request: SpansRequest) -> Result<Selection<SpanBatch>>;

    /// Keys of attributes of spans by where they stand, sorted, distinct. Those that do not tell where leave this as it
    /// is and say `Any`.
    async fn span_keys(&self, r: SpanKeysRequest) -> Result<(Vec<(SpanScope, String)>, Coverage)> {
        spans::keys_by_name(self, r).await
    }

    /// Values of a field of spans, sorted, distinct. Those that know no types leave this as it is: everything is text
    /// then, conditions count for nothing, and fields other than names and attributes have no values.
    async fn span_values(&self, r: SpanValuesRequest) -> Result<(Vec<SpanValue>, Coverage)> {
        spans::values_by_text(self, r).await
    }

    /// Label names (metrics, logs: stream labels; traces: resource and span attribute keys), sorted, distinct.
    async fn label_names(&self, request: LabelNamesRequest) -> Result<(Vec<String>, Coverage)>;

    /// Values of one label or field, sorted, distinct.
    async fn label_values(&self, request: LabelValuesRequest) -> Result<(Vec<String>, Coverage)>;

    /// Label sets of series (metrics) or streams (logs) with at least one item in range, sorted, distinct.
    ///
    /// Here and for names and values an implementation MAY decide by what it stores together: a series with
    /// items before and after the range and none inside may appear. Over an unbounded range it is exact.
    async fn label_sets(&self, request: LabelNamesRequest) -> Result<(Vec<Labels>, Coverage)>;

    /// Metadata of metric families, sorted by family.
    async fn metadata(&self, request: MetadataRequest) -> Result<(Vec<MetricMetadata>, Coverage)>;

    /// Exemplars in the range by series, series in ascending order of labels and each once, exemplars ascending
    /// in time. Those that keep none leave this as it is.
    async fn exemplars(&self, request: ExemplarsRequest) -> Result<(Vec<(Labels, Vec<Exemplar>)>, Coverage)> {
        let _ = request;
        Ok((Vec::new(), Coverage::default()))
    }

    /// Patterns of log lines: a series for each, with the labels `pattern` (as the pattern filter of LogQL takes it)
    /// and, where one is known, `level`, whose samples say how many lines came in the step that begins then. Series in
    /// ascending order of labels and each once. Estimates are allowed; patterns of few lines may be left out.
    ///
    /// Those that mine none leave this as it is: a source that has no patterns to tell must not count as one that had
    /// no lines.
    async fn patterns(&self, request: PatternsRequest) -> Result<(Vec<SeriesData>, Coverage)> {
        let _ = request;
        Err(Error::invalid("no patterns of log lines are kept here"))
    }

    /// Evaluates a query over what it holds, exactly as the caller would over [`Select::series`] or [`Select::logs`]
    /// of it. Those whose capabilities name no dialect leave this as it is.
    ///
    /// An error of kind `Invalid` says that it cannot: the caller then evaluates the query itself over what is
    /// selected here, and what is wrong with the query comes to light there. Limits are those of the scope, as for
    /// the other methods.
    async fn evaluate(&self, request: EvaluateRequest) -> Result<Evaluated> {
        let _ = request;
        Err(Error::invalid("queries are not evaluated here"))
    }

    /// Disjoint parts that together hold everything of a signal in the range that one of the selectors can match; no
    /// series or stream lies in two of them, and for every two there is a label that both carry with different
    /// values. `None` where it cannot be divided so, as spans never can. Asking the parts one by one costs, waits and
    /// reports as asking the whole does.
    fn parts(&self, signal: &Signal, selectors: &[Vec<Matcher>], range: TimeRange) -> Option<Vec<Part>> {
        let _ = (signal, selectors, range);
        None
    }

    fn capabilities(&self) -> Capabilities;
}

/// What an implementation can do beyond the least.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities {
    pub signals: Vec<Signal>,
    /// Line filters are applied before records are returned, not merely used as hints.
    pub filters_lines: bool,
    /// Conditions of [`SpansRequest::any_of`] are applied, and [`Select::span_keys`] and [`Select::span_values`] are
    /// answered by scope and type.
    pub filters_spans: bool,
    /// What [`Select::evaluate`] understands, each language at most once.
    pub evaluates: Vec<Dialect>,
}

impl Capabilities {
    /// Whether it understands what is written in a dialect.
    pub fn understands(&self, dialect: Dialect) -> bool {
        self.evaluates.iter().any(|d| d.language == dialect.language && d.version >= dialect.version)
    }
}

/// One tenant, or several where the caller may read them (`X-Scope-OrgID: a|b`). Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenants(Vec<TenantId>);

impl Tenants {
    pub fn one(tenant: TenantId) -> Self {
        Tenants(vec![tenant])
    }

    /// Sorted and without duplicates; `None` if empty.
    pub fn several(mut tenants: Vec<TenantId>) -> Option<Self> {
        tenants.sort_unstable();
        tenants.dedup();
        (!tenants.is_empty()).then_some(Tenants(tenants))
    }

    pub fn iter(&self) -> impl Iterator<Item = &TenantId> {
        self.0.iter()
    }

    pub fn is_single(&self) -> bool {
        self.0.len() == 1
    }
}

/// What every request has in common.
#[derive(Clone)]
pub struct Scope {
    pub tenants: Tenants,
    pub range: TimeRange,
    pub limits: QueryLimits,
}

/// What a query may cost. Errors name the limit by the field's configuration name, e.g. `query.max_samples`.
#[derive(Clone)]
pub struct QueryLimits {
    pub deadline: Option<Instant>,
    /// Samples one query may read (`query.max_samples`).
    pub max_samples: u64,
    /// Series one selector may match (`query.max_series`).
    pub max_series: u64,
    /// Bytes of log or span data one query may read (`query.max_bytes`).
    pub max_bytes: u64,
    /// Rows one answer in SQL may have (`query.max_rows`).
    pub max_rows: u64,
    pub memory: MemoryBudget,
    /// Who is not to be asked, since somebody else asks them for the same answer: names of sources (`cluster` or
    /// `cluster/replica`) and of nodes that the question has come through. Whoever finds itself here has nothing to
    /// say. It stands with the limits since it goes wherever they go. Empty where a question begins.
    pub elsewhere: Arc<[String]>,
}

impl Default for QueryLimits {
    fn default() -> Self {
        QueryLimits {
            deadline: None,
            max_samples: 50_000_000,
            max_series: 1_000_000,
            max_bytes: 8 << 30,
            max_rows: 10_000_000,
            memory: MemoryBudget::unlimited(),
            elsewhere: Arc::default(),
        }
    }
}

impl QueryLimits {
    /// An error once the deadline has passed.
    pub fn check_deadline(&self) -> Result<()> {
        match self.deadline {
            Some(d) if Instant::now() >= d => Err(Error {
                kind: base::Kind::Timeout,
                message: "the query did not finish within its timeout".to_owned(),
                limit: Some("query.timeout"),
            }),
            _ => Ok(()),
        }
    }
}

impl Scope {
    pub fn new(tenants: Tenants, range: TimeRange) -> Self {
        Scope { tenants, range, limits: QueryLimits::default() }
    }
}

#[derive(Clone)]
pub struct SeriesRequest {
    pub scope: Scope,
    /// All must match. At least one, and one of them must not match the empty string.
    pub matchers: Vec<Matcher>,
    pub hints: SeriesHints,
}

/// What the caller will do with the series; an implementation may use it to read less.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeriesHints {
    pub step_ms: i64,
    /// Width of the range selector, 0 for an instant selector.
    pub window_ms: i64,
    /// Innermost function applied, e.g. `rate`.
    pub function: Option<String>,
    pub by: Vec<String>,
    pub without: bool,
}

/// One series with decoded samples inside the asked range.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SeriesData {
    pub labels: Labels,
    /// Float samples: parallel arrays, ascending in time.
    pub timestamps_ms: Vec<i64>,
    pub values: Vec<f64>,
    /// Start of each float sample's counter, 0 where unknown; empty means unknown for all.
    pub starts_ms: Vec<i64>,
    /// Native histogram samples, ascending in time: (timestamp, start or 0, histogram).
    pub histograms: Vec<(i64, i64, Histogram)>,
}

impl SeriesData {
    pub fn sample_count(&self) -> usize {
        self.values.len() + self.histograms.len()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    #[default]
    NewestFirst,
    OldestFirst,
}

/// A condition on the text of a record's body, applied in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineFilter {
    Contains(String),
    NotContains(String),
    /// Unanchored, RE2 syntax.
    Regex(String),
    NotRegex(String),
}

#[derive(Clone)]
pub struct LogsRequest {
    pub scope: Scope,
    /// On stream labels; all must match.
    pub matchers: Vec<Matcher>,
    /// Implementations whose capabilities say `filters_lines` return only lines that pass all of these;
    /// others may ignore them, so callers that need certainty filter again.
    pub line_filters: Vec<LineFilter>,
    /// Of use are only records that have these values under these names, as text, in whatever LogQL finds under a name: a
    /// label of the stream, an attribute, an id. Implementations MAY leave out others, or ignore it.
    pub fields: Vec<(String, String)>,
    pub direction: Direction,
    pub limit: Option<usize>,
    /// Of use are only records that pass this. Implementations MAY leave out others, or ignore it; callers look at
    /// every record again.
    pub passing: Option<Passing>,
}

/// Which log records are to be counted, and how apart.
#[derive(Clone)]
pub struct LogCountsRequest {
    pub scope: Scope,
    /// On stream labels; all must match.
    pub matchers: Vec<Matcher>,
    /// All must pass.
    pub line_filters: Vec<LineFilter>,
    /// Nanoseconds, ascending. Records are counted by piece of time: the `i`th is `(edges[i], edges[i + 1]]`, and what
    /// lies outside all of them is not counted.
    pub edges: Arc<[i64]>,
    /// Records are counted by these fields: labels of streams, attributes of resources, scopes and records (every character of their names but ASCII letters,
    /// digits and `_` read as `_`), or `severity_number`, `severity_text`, `detected_level`, `trace_id`, `span_id`,
    /// `flags`, `event_name`, `scope_name`, `scope_version`.
    pub fields: Vec<String>,
    /// Whether bytes of text are to be summed.
    pub bytes: bool,
}

/// Counts of records. A group may come several times, its counts add up then.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LogCounts {
    pub streams: Vec<LogStream>,
    pub groups: Vec<LogGroup>,
}

/// Records that look the same in what they are counted by.
#[derive(Debug, Clone, PartialEq)]
pub struct LogGroup {
    /// Stands for them: a stream that is like theirs in the fields asked for, a time in their piece, and those of its
    /// own fields that are asked for; nothing else is set.
    pub record: LogRecord,
    pub count: u64,
    /// Of their text; 0 where it was not asked for.
    pub bytes: u64,
}

/// What a record must pass to be of use, beyond what every implementation can decide.
///
/// What passes comes as it is: stages that change lines and labels do so for whoever looks at it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passing {
    /// Whoever does not understand it ignores the whole.
    pub dialect: Dialect,
    /// A log query, whose stages say what passes. Its selector is that of the request.
    pub query: String,
    /// No more records that pass are of use, from the asked end on. Unlike the request's own limit it means nothing
    /// to whoever ignores the stages.
    pub limit: Option<usize>,
    /// Labels that the caller takes off, each where it has this value and is not the only one, before stages see
    /// them.
    pub unmarked: Vec<(String, String)>,
}

#[derive(Clone)]
pub struct LabelNamesRequest {
    pub scope: Scope,
    pub signal: Signal,
    /// Alternatives, each a list of matchers that must all hold; empty means everything.
    pub selectors: Vec<Vec<Matcher>>,
    pub limit: Option<usize>,
}

#[derive(Clone)]
pub struct LabelValuesRequest {
    pub scope: Scope,
    pub signal: Signal,
    pub field: NamedField,
    pub selectors: Vec<Vec<Matcher>>,
    pub limit: Option<usize>,
}

/// Which values are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamedField {
    /// A label of series or log streams.
    Label(String),
    /// `service.name` of spans.
    Service,
    /// Span names, of one service or of all.
    Operation { service: Option<String>, kind: Option<SpanKind> },
    /// A resource or span attribute.
    Attribute(String),
}

#[derive(Clone)]
pub struct MetadataRequest {
    pub scope: Scope,
    pub family: Option<String>,
    pub limit: Option<usize>,
}

#[derive(Clone)]
pub struct ExemplarsRequest {
    pub scope: Scope,
    /// Alternatives, each a list of matchers that must all hold; at least one.
    pub selectors: Vec<Vec<Matcher>>,
}

#[derive(Clone)]
pub struct PatternsRequest {
    pub scope: Scope,
    /// On stream labels; all must match.
    pub matchers: Vec<Matcher>,
    /// What counts are added up by; sources may know coarser steps only.
    pub step_ms: i64,
}

/// A stream of items and what it covers.
pub struct Selection<T> {
    pub items: BoxStream<'static, Result<T>>,
    coverage: Arc<Mutex<Coverage>>,
}

impl<T: Send + 'static> Selection<T> {
    /// `coverage` may be written to until the stream ends.
    pub fn new(items: BoxStream<'static, Result<T>>, coverage: Arc<Mutex<Coverage>>) -> Self {
        Selection { items, coverage }
    }

    /// A selection whose coverage is known beforehand.
    pub fn with_coverage(items: BoxStream<'static, Result<T>>, coverage: Coverage) -> Self {
        Selection { items, coverage: Arc::new(Mutex::new(coverage)) }
    }

    /// Other items with the same coverage: what these became on the way.
    pub fn with_items<U>(self, items: BoxStream<'static, Result<U>>) -> Selection<U> {
        Selection { items, coverage: self.coverage }
    }

    /// The coverage as known so far; final once `items` has ended.
    pub fn coverage(&self) -> Coverage {
        self.coverage.lock().clone()
    }

    /// Reads to the end.
    pub async fn collect(mut self) -> Result<(Vec<T>, Coverage)> {
        let mut out = Vec::new();
        while let Some(item) = self.items.next().await {
            out.push(item?);
        }
        let coverage = self.coverage();
        Ok((out, coverage))
    }
}
