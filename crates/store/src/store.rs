//! The handle.

use std::sync::Arc;

use async_trait::async_trait;
use base::{Clock, MemoryBudget, Metrics, Shutdown};
use contract::{
    Append, AppendUnit, Capabilities, Coverage, LabelNamesRequest, LabelValuesRequest, LogsRequest,
    MetadataRequest, Receipt, Select, Selection, SeriesData, SeriesRequest, SpansRequest,
};
use model::{Labels, LogBatch, MetricMetadata, SpanBatch, TenantId};
use object_store::ObjectStore;

use crate::{Error, Options, Policy, RecoveryReport, Result, Status};

pub struct Store {}

fn absent<T>() -> contract::Result<T> {
    Err(Error::Internal("not there yet".to_owned()).into())
}

impl Store {
    /// Opens what `options.data_dir` and `objects` hold and replays the log.
    ///
    /// Refuses, with a message that says what to do, when data is damaged or of a newer version.
    pub async fn open(
        options: Options,
        objects: Arc<dyn ObjectStore>,
        disk: Arc<dyn disklog::Disk>,
        clock: Clock,
        budget: MemoryBudget,
        metrics: &Metrics,
    ) -> Result<(Arc<Store>, RecoveryReport)> {
        let _ = (options, objects, disk, clock, budget, metrics);
        Err(Error::Internal("not there yet".to_owned()))
    }

    /// Background work until shutdown: flush, retention, compaction, cleaning up. Spawns its tasks and returns.
    pub fn run(self: &Arc<Self>, shutdown: &Shutdown) {
        let _ = shutdown;
    }

    /// Makes segments of everything appended before the call.
    pub async fn flush_all(&self) -> Result<()> {
        Err(Error::Internal("not there yet".to_owned()))
    }

    /// Takes nothing more, flushes as far as the time allows and closes the log. What was not flushed is
    /// replayed at the next open.
    pub async fn close(&self, grace: std::time::Duration) -> Result<()> {
        let _ = grace;
        Err(Error::Internal("not there yet".to_owned()))
    }

    /// Replaces what may change at run time.
    pub fn set_policy(&self, policy: Policy) {
        let _ = policy;
    }

    pub fn status(&self) -> Status {
        Status::default()
    }
}

#[async_trait]
impl Append for Store {
    async fn append(&self, _tenant: &TenantId, _unit: AppendUnit) -> contract::Result<Receipt> {
        absent()
    }
}

#[async_trait]
impl Select for Store {
    async fn series(&self, _request: SeriesRequest) -> contract::Result<Selection<SeriesData>> {
        absent()
    }

    async fn logs(&self, _request: LogsRequest) -> contract::Result<Selection<LogBatch>> {
        absent()
    }

    async fn spans(&self, _request: SpansRequest) -> contract::Result<Selection<SpanBatch>> {
        absent()
    }

    async fn label_names(&self, _request: LabelNamesRequest) -> contract::Result<(Vec<String>, Coverage)> {
        absent()
    }

    async fn label_values(&self, _request: LabelValuesRequest) -> contract::Result<(Vec<String>, Coverage)> {
        absent()
    }

    async fn label_sets(&self, _request: LabelNamesRequest) -> contract::Result<(Vec<Labels>, Coverage)> {
        absent()
    }

    async fn metadata(&self, _request: MetadataRequest) -> contract::Result<(Vec<MetricMetadata>, Coverage)> {
        absent()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }
}
