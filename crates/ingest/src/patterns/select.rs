//! The way out: a `Select` that knows patterns, over one that knows everything else.

use std::sync::Arc;

use async_trait::async_trait;
use contract::{
    Capabilities, Coverage, EvaluateRequest, Evaluated, ExemplarsRequest, LabelNamesRequest,
    LabelValuesRequest, LogCounts, LogCountsRequest, LogsRequest, MetadataRequest, Part, PatternsRequest,
    Result, Select, Selection, SeriesData, SeriesRequest, SpansRequest,
};
use model::{Exemplar, Labels, LogBatch, Matcher, MetricMetadata, Signal, SpanBatch, TimeRange};

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

    async fn series(&self, r: SeriesRequest) -> Result<Selection<SeriesData>> {
        self.select.series(r).await
    }

    async fn logs(&self, r: LogsRequest) -> Result<Selection<LogBatch>> {
        self.select.logs(r).await
    }

    async fn log_counts(&self, r: LogCountsRequest) -> Result<Option<Selection<LogCounts>>> {
        self.select.log_counts(r).await
    }

    async fn spans(&self, r: SpansRequest) -> Result<Selection<SpanBatch>> {
        self.select.spans(r).await
    }

    async fn label_names(&self, r: LabelNamesRequest) -> Result<(Vec<String>, Coverage)> {
        self.select.label_names(r).await
    }

    async fn label_values(&self, r: LabelValuesRequest) -> Result<(Vec<String>, Coverage)> {
        self.select.label_values(r).await
    }

    async fn label_sets(&self, r: LabelNamesRequest) -> Result<(Vec<Labels>, Coverage)> {
        self.select.label_sets(r).await
    }

    async fn metadata(&self, r: MetadataRequest) -> Result<(Vec<MetricMetadata>, Coverage)> {
        self.select.metadata(r).await
    }

    async fn exemplars(&self, r: ExemplarsRequest) -> Result<(Vec<(Labels, Vec<Exemplar>)>, Coverage)> {
        self.select.exemplars(r).await
    }

    async fn evaluate(&self, r: EvaluateRequest) -> Result<Evaluated> {
        self.select.evaluate(r).await
    }

    fn parts(&self, signal: &Signal, selectors: &[Vec<Matcher>], range: TimeRange) -> Option<Vec<Part>> {
        self.select.parts(signal, selectors, range)
    }

    fn capabilities(&self) -> Capabilities {
        self.select.capabilities()
    }
}
