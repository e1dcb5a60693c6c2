//! A `Select` that does no more than it must: line filters and limits are the caller's business.

use std::sync::Arc;

use async_trait::async_trait;
use contract::{
    Capabilities, Coverage, LabelNamesRequest, LabelValuesRequest, LogsRequest, MetadataRequest, Result,
    Select, Selection, SeriesData, SeriesRequest, SpansRequest, fake::Fake,
};
use futures::{StreamExt, stream};
use model::{Labels, LogBatch, MetricMetadata, SpanBatch};

/// Ignores line filters and limits, and answers in pieces of two records.
pub struct Plain(pub Arc<Fake>);

#[async_trait]
impl Select for Plain {
    async fn logs(&self, mut r: LogsRequest) -> Result<Selection<LogBatch>> {
        r.line_filters.clear();
        r.limit = None;
        let (batches, coverage) = self.0.logs(r).await?.collect().await?;
        let mut pieces = Vec::new();
        for batch in batches {
            for records in batch.records.chunks(2) {
                pieces.push(Ok(LogBatch { streams: batch.streams.clone(), records: records.to_vec() }));
            }
        }
        Ok(Selection::with_coverage(stream::iter(pieces).boxed(), coverage))
    }

    async fn series(&self, r: SeriesRequest) -> Result<Selection<SeriesData>> {
        self.0.series(r).await
    }

    async fn spans(&self, r: SpansRequest) -> Result<Selection<SpanBatch>> {
        self.0.spans(r).await
    }

    async fn label_names(&self, r: LabelNamesRequest) -> Result<(Vec<String>, Coverage)> {
        self.0.label_names(r).await
    }

    async fn label_values(&self, r: LabelValuesRequest) -> Result<(Vec<String>, Coverage)> {
        self.0.label_values(r).await
    }

    async fn label_sets(&self, r: LabelNamesRequest) -> Result<(Vec<Labels>, Coverage)> {
        self.0.label_sets(r).await
    }

    async fn metadata(&self, r: MetadataRequest) -> Result<(Vec<MetricMetadata>, Coverage)> {
        self.0.metadata(r).await
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { filters_lines: false, ..self.0.capabilities() }
    }
}
