//! The Prometheus HTTP API (`prometheus.io/docs/prometheus/latest/querying/api`), as Prometheus, Thanos Query, Mimir
//! and VictoriaMetrics speak it. Series are asked in one of three ways, the first that the server has:
//!
//! ```text
//! way      who                       request                        keeps
//! read     Prometheus, Mimir         POST /api/v1/read              every sample, staleness markers, histograms
//! export   VictoriaMetrics           POST /api/v1/export            every sample, staleness markers
//! query    Thanos Query, others      POST /api/v1/query sel[range]  every sample, histograms; no staleness markers
//! ```
//! Which one is found out once and kept until a request fails. Everything else is the same path for all of them.

mod export;
mod json;
mod lists;
mod probe;
mod query;
mod read;

use std::sync::Arc;

use async_trait::async_trait;
use base::Clock;
use contract::{
    Capabilities, Coverage, ExemplarsRequest, LabelNamesRequest, LabelValuesRequest, LogsRequest,
    MetadataRequest, Result, Scope, Select, Selection, SeriesData, SeriesRequest, SpansRequest,
};
use model::{Exemplar, Labels, LogBatch, MetricMetadata, Signal, SpanBatch, TenantId};

use self::probe::{Held, Known, Way};
use super::{
    ForeignSettings, coverage, error::not_held, gather::Gather, labels::Added, nothing,
    selector::conditioned, site::Site, visible,
};

/// The label every series has.
const ANY: &str = model::labels::METRIC_NAME;
/// Later than any sample: a day for clocks that are ahead.
const AHEAD_MS: i64 = 86_400_000;

pub(super) struct Prometheus {
    site: Arc<Site>,
    labels: Labels,
    owner: TenantId,
    clock: Clock,
    known: tokio::sync::Mutex<Option<Arc<Known>>>,
    held: Held,
}

impl Prometheus {
    pub(super) fn new(settings: ForeignSettings, clock: Clock) -> crate::Result<Self> {
        let site = Arc::new(Site::new(&settings)?);
        let ForeignSettings { labels, owner, .. } = settings;
        Ok(Prometheus { site, labels, owner, clock, known: Default::default(), held: Held::default() })
    }

    /// What goes on everything for this scope; `None` where the scope may see nothing.
    fn added(&self, scope: &Scope, known: &Known) -> Option<Added> {
        let more = visible(scope, &self.owner)?;
        Some(Added::new(&self.labels, &known.external).and(&more))
    }

    fn coverage(&self, scope: &Scope, warnings: &[String]) -> Coverage {
        let all = coverage(&self.site.name, Signal::METRICS, scope, warnings);
        let mut told = Coverage::default();
        for source in all.sources() {
            let source = contract::SourceCoverage { watermark: self.held.newest(), ..source.clone() };
            told.merge(Coverage::one(source));
        }
        told
    }

    /// The asked milliseconds, both ends included, within what a server can be asked: not before 1970, not long
    /// after now.
    fn bounded(&self, (first, last): (i64, i64)) -> (i64, i64) {
        (first.max(0), last.min(self.clock.now_ms().saturating_add(AHEAD_MS)))
    }

    async fn gathered(
        &self,
        known: &Known,
        r: &SeriesRequest,
        added: Added,
    ) -> Result<Selection<SeriesData>> {
        let Some(sent) = added.sent(&r.matchers) else {
            return Ok(nothing(&self.site.name, Signal::METRICS, &r.scope));
        };
        let mut gather = Gather::new(&self.site.name, r, added)?;
        let range = self.bounded(gather.range_ms());
        if range.0 > range.1 {
            return Ok(nothing(&self.site.name, Signal::METRICS, &r.scope));
        }
        let sent = conditioned(sent, ANY);
        let warnings = match known.way {
            Way::Read => read::series(&self.site, sent, range, &mut gather).await.map(|()| Vec::new())?,
            Way::Export => {
                export::series(&self.site, &sent, range, &mut gather).await.map(|()| Vec::new())?
            }
            Way::Query => query::series(&self.site, &sent, range, &mut gather).await?,
        };
        Ok(gather.finish(self.coverage(&r.scope, &warnings)))
    }
}

#[async_trait]
impl Select for Prometheus {
    async fn series(&self, r: SeriesRequest) -> Result<Selection<SeriesData>> {
        let known = self.known(&r.scope.limits).await?;
        let Some(added) = self.added(&r.scope, &known) else {
            return Ok(nothing(&self.site.name, Signal::METRICS, &r.scope));
        };
        self.held.refresh(&self.site);
        let answer = self.gathered(&known, &r, added).await;
        if let Err(e) = &answer
            && e.limit.is_none()
        {
            self.forget(&known).await;
        }
        answer
    }

    async fn logs(&self, _: LogsRequest) -> Result<Selection<LogBatch>> {
        not_held(&self.site.name, "logs")
    }

    async fn spans(&self, _: SpansRequest) -> Result<Selection<SpanBatch>> {
        not_held(&self.site.name, "traces")
    }

    async fn label_names(&self, r: LabelNamesRequest) -> Result<(Vec<String>, Coverage)> {
        self.names(&r).await
    }

    async fn label_values(&self, r: LabelValuesRequest) -> Result<(Vec<String>, Coverage)> {
        self.values(&r).await
    }

    async fn label_sets(&self, r: LabelNamesRequest) -> Result<(Vec<Labels>, Coverage)> {
        self.sets(&r).await
    }

    async fn metadata(&self, r: MetadataRequest) -> Result<(Vec<MetricMetadata>, Coverage)> {
        self.families(&r).await
    }

    async fn exemplars(&self, r: ExemplarsRequest) -> Result<(Vec<(Labels, Vec<Exemplar>)>, Coverage)> {
        self.exemplars_of(&r).await
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { signals: vec![Signal::METRICS], filters_lines: false, ..Capabilities::default() }
    }
}

#[cfg(test)]
mod tests;
