//! A peer as a `Select`: asked where it is worth asking.

use std::sync::Arc;

use async_trait::async_trait;
use contract::{
    Capabilities, Coverage, EvaluateRequest, Evaluated, ExemplarsRequest, LabelNamesRequest,
    LabelValuesRequest, LogsRequest, MetadataRequest, PatternsRequest, Result, Select, Selection, SeriesData,
    SeriesRequest, SpanKeysRequest, SpanScope, SpanValue, SpanValuesRequest, SpansRequest,
    spans::{keys_by_name, values_by_text},
};
use model::{Exemplar, Labels, LogBatch, MetricMetadata, SpanBatch};

use super::{Link, sift};

pub(super) struct Linked {
    pub(super) link: Arc<Link>,
    pub(super) inner: Arc<dyn Select>,
    /// Whether `inner` itself says what it can do, instead of announcements.
    pub(super) foreign: bool,
}

#[async_trait]
impl Select for Linked {
    async fn series(&self, r: SeriesRequest) -> Result<Selection<SeriesData>> {
        self.link.enter().await?;
        self.inner.series(r).await
    }

    async fn logs(&self, r: LogsRequest) -> Result<Selection<LogBatch>> {
        self.link.enter().await?;
        self.inner.logs(r).await
    }

    async fn spans(&self, r: SpansRequest) -> Result<Selection<SpanBatch>> {
        self.link.enter().await?;
        if self.foreign || self.capabilities().filters_spans {
            return self.inner.spans(r).await;
        }
        sift::spans(&self.inner, r).await
    }

    async fn span_keys(&self, r: SpanKeysRequest) -> Result<(Vec<(SpanScope, String)>, Coverage)> {
        self.link.enter().await?;
        if self.foreign || self.capabilities().filters_spans {
            return self.inner.span_keys(r).await;
        }
        keys_by_name(self.inner.as_ref(), r).await
    }

    async fn span_values(&self, r: SpanValuesRequest) -> Result<(Vec<SpanValue>, Coverage)> {
        self.link.enter().await?;
        if self.foreign || self.capabilities().filters_spans {
            return self.inner.span_values(r).await;
        }
        values_by_text(self.inner.as_ref(), r).await
    }

    async fn label_names(&self, r: LabelNamesRequest) -> Result<(Vec<String>, Coverage)> {
        self.link.enter().await?;
        self.inner.label_names(r).await
    }

    async fn label_values(&self, r: LabelValuesRequest) -> Result<(Vec<String>, Coverage)> {
        self.link.enter().await?;
        self.inner.label_values(r).await
    }

    async fn label_sets(&self, r: LabelNamesRequest) -> Result<(Vec<Labels>, Coverage)> {
        self.link.enter().await?;
        self.inner.label_sets(r).await
    }

    async fn metadata(&self, r: MetadataRequest) -> Result<(Vec<MetricMetadata>, Coverage)> {
        self.link.enter().await?;
        self.inner.metadata(r).await
    }

    async fn exemplars(&self, r: ExemplarsRequest) -> Result<(Vec<(Labels, Vec<Exemplar>)>, Coverage)> {
        self.link.enter().await?;
        self.inner.exemplars(r).await
    }

    async fn patterns(&self, r: PatternsRequest) -> Result<(Vec<SeriesData>, Coverage)> {
        self.link.enter().await?;
        self.inner.patterns(r).await
    }

    async fn evaluate(&self, r: EvaluateRequest) -> Result<Evaluated> {
        self.link.enter().await?;
        self.inner.evaluate(r).await
    }

    /// As announced last. One that was never heard of may have everything, so that it is asked and found missing.
    fn capabilities(&self) -> Capabilities {
        if self.foreign {
            return self.inner.capabilities();
        }
        self.link.known().map(|known| known.capabilities()).unwrap_or_default()
    }
}
