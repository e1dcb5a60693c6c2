//! The way out: a `Select` that knows patterns, over one that knows everything else.

use std::sync::Arc;

use async_trait::async_trait;
use contract::{Coverage, PatternsRequest, Result, Select, SeriesData};

use super::Patterns;

/// Answers for patterns, and passes every other question on.
pub struct WithPatterns {
    pub select: Arc<dyn Select>,
    pub patterns: Arc<Patterns>,
}

#[async_trait]
impl Select for WithPatterns {
    async fn patterns(&self, r: PatternsRequest) -> Result<(Vec<SeriesData>, Coverage)> {
        r.scope.limits.check_deadline()?;
        Ok(self.patterns.answer(&r))
    }

    contract::passed_on!(
        select: series, logs, log_counts, spans, span_keys, span_values, label_names, label_values, label_sets,
        metadata, exemplars, evaluate, parts, capabilities,
    );
}
