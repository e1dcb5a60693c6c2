use std::sync::Arc;

use contract::{Scope, Select};

use crate::{MetricsAnswer, Query, Result};

#[derive(Clone)]
pub struct MetricsRequest {
    /// Spans count where they start.
    pub scope: Scope,
    /// Distance of samples. An instant query has one sample for the whole range and does not look at it.
    pub step_ns: i64,
    /// Exemplars per series at most; 0 for none.
    pub exemplars: usize,
}

/// Samples at every multiple of the step from the one at or before the start of the range to the one at or after its
/// end; the sample at `t` is of spans that start in `(t - step, t]`. A query that is none of metrics is `Kind::Invalid`.
pub async fn metrics_range(select: &Arc<dyn Select>, query: &Query, request: MetricsRequest) -> Result<MetricsAnswer> {
    let _ = (select, query, request);
    Err(crate::Error::invalid("metrics are being built"))
}

/// One sample per series, at the end of the range, of all spans that start in the range.
pub async fn metrics_instant(select: &Arc<dyn Select>, query: &Query, request: MetricsRequest) -> Result<MetricsAnswer> {
    let _ = (select, query, request);
    Err(crate::Error::invalid("metrics are being built"))
}
