use std::sync::Arc;

use contract::{Scope, Select};

use crate::{Progress, Query, Result, SearchAnswer};

#[derive(Clone)]
pub struct SearchRequest {
    /// Traces are found by spans that start in the range.
    pub scope: Scope,
    /// Traces of the answer: those whose found spans are the newest.
    pub limit: usize,
    /// Spans listed of each spanset.
    pub spans_per_spanset: usize,
}

/// Searches traces. A metrics query is `Kind::Invalid`.
pub async fn search(
    select: &Arc<dyn Select>,
    query: &Query,
    request: SearchRequest,
    progress: impl FnMut(Progress) + Send,
) -> Result<SearchAnswer> {
    let _ = (select, query, request, progress);
    Err(crate::Error::invalid("search is being built"))
}
