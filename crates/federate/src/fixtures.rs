//! Members for tests: fakes that hold what they are given, and scripted ones that misbehave.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use base::Metrics;
use contract::{
    Append, AppendUnit, Capabilities, Coverage, CoverageState, Error, LabelNamesRequest, LabelValuesRequest,
    LogsRequest, MetadataRequest, Passing, PatternsRequest, Result, Scope, Select, Selection, SeriesData,
    SeriesHints, SeriesRequest, SourceCoverage, SpansRequest, Tenants, fake::Fake,
};
use futures::{StreamExt, stream};
use model::{Batch, Labels, LogBatch, Matcher, MetricMetadata, Signal, SpanBatch, TenantId, TimeRange};
use parking_lot::Mutex;

use crate::{Counts, Federation, Member};

/// Runs a test in which time passes only where everybody waits.
pub(crate) fn run<F: Future>(test: F) -> F::Output {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().unwrap().block_on(test)
}

pub(crate) fn member(name: &str, select: Arc<dyn Select>) -> Member {
    Member::new(name, select)
}

/// A federation of members that are called after their place: m0, m1, ...
pub(crate) fn federation(of: impl IntoIterator<Item = Arc<dyn Select>>) -> Federation {
    let members = of.into_iter().enumerate().map(|(i, s)| member(&format!("m{i}"), s));
    Federation::new(members.collect(), Counts::register(&Metrics::default()))
}

pub(crate) async fn append(to: &Fake, batch: impl Into<Option<Batch>>) {
    let Some(batch) = batch.into() else { return };
    let unit = AppendUnit { batch_id: None, received_ns: 0, batches: vec![batch] };
    to.append(&TenantId::default(), unit).await.unwrap();
}

/// So many fakes, and one more that is to hold what all of them hold.
pub(crate) fn fakes(n: usize) -> (Vec<Arc<Fake>>, Federation, Fake) {
    let all: Vec<Arc<Fake>> = (0..n).map(|_| Arc::new(Fake::new())).collect();
    let federation = federation(all.iter().map(|f| f.clone() as Arc<dyn Select>));
    (all, federation, Fake::new())
}

pub(crate) fn scope(range: TimeRange) -> Scope {
    Scope::new(Tenants::one(TenantId::default()), range)
}

pub(crate) fn series_request(matchers: Vec<Matcher>, range: TimeRange) -> SeriesRequest {
    SeriesRequest { scope: scope(range), matchers, hints: SeriesHints::default() }
}

pub(crate) fn series(name: &str, samples: &[(i64, f64)]) -> SeriesData {
    SeriesData {
        labels: Labels::from_pairs([("__name__", name)]),
        timestamps_ms: samples.iter().map(|s| s.0).collect(),
        values: samples.iter().map(|s| s.1).collect(),
        ..SeriesData::default()
    }
}

/// What a scripted stream does next; at its end it ends.
#[derive(Clone)]
pub(crate) enum Act<T> {
    Item(T),
    Wait(Duration),
    Hang,
    Fail(Error),
}

/// Does what it is told, and counts how often it was asked.
#[derive(Default)]
pub(crate) struct Script {
    /// What happens to every question before it is answered: `Hang`, `Wait` or `Fail`.
    pub(crate) first: Vec<Act<()>>,
    pub(crate) series: Vec<Act<SeriesData>>,
    pub(crate) logs: Vec<Act<LogBatch>>,
    pub(crate) spans: Vec<Act<SpanBatch>>,
    pub(crate) names: Vec<String>,
    pub(crate) signals: Vec<Signal>,
    pub(crate) asked: AtomicUsize,
    /// Lives as long as some stream of it does.
    pub(crate) open: Arc<()>,
    pub(crate) given: Arc<AtomicUsize>,
    pub(crate) told: Mutex<Option<Scope>>,
    /// What the last question for logs said of what passes.
    pub(crate) passing: Mutex<Option<Passing>>,
    /// Says from the beginning that it is not whole.
    pub(crate) partial: bool,
}

pub(crate) fn refused() -> Error {
    Error::unavailable("connection refused")
}

impl Script {
    async fn begin(&self, scope: &Scope) -> Result<()> {
        self.asked.fetch_add(1, Relaxed);
        *self.told.lock() = Some(scope.clone());
        for act in &self.first {
            play(act.clone()).await?;
        }
        Ok(())
    }

    fn selection<T: Clone + Send + Sync + 'static>(
        &self,
        acts: &[Act<T>],
        scope: &Scope,
        signal: Signal,
    ) -> Selection<T> {
        let (open, given) = (self.open.clone(), self.given.clone());
        let items = stream::iter(acts.to_vec()).then(play).filter_map(move |outcome| {
            let _ = &open;
            given.fetch_add(1, Relaxed);
            futures::future::ready(outcome.transpose())
        });
        let mut coverage = complete(scope, signal);
        if self.partial {
            let mut source = coverage.sources()[0].clone();
            (source.state, source.reason) = (CoverageState::Partial, "a segment is unreadable".to_owned());
            coverage = Coverage::one(source);
        }
        Selection::with_coverage(items.boxed(), coverage)
    }
}

fn complete(scope: &Scope, signal: Signal) -> Coverage {
    Coverage::one(SourceCoverage::complete("local", signal, scope.range))
}

async fn play<T>(act: Act<T>) -> Result<Option<T>> {
    match act {
        Act::Item(item) => return Ok(Some(item)),
        Act::Wait(d) => tokio::time::sleep(d).await,
        Act::Hang => futures::future::pending().await,
        Act::Fail(e) => return Err(e),
    }
    Ok(None)
}

#[async_trait]
impl Select for Script {
    async fn series(&self, r: SeriesRequest) -> Result<Selection<SeriesData>> {
        self.begin(&r.scope).await?;
        Ok(self.selection(&self.series, &r.scope, Signal::METRICS))
    }

    async fn logs(&self, r: LogsRequest) -> Result<Selection<LogBatch>> {
        *self.passing.lock() = r.passing.clone();
        self.begin(&r.scope).await?;
        Ok(self.selection(&self.logs, &r.scope, Signal::LOGS))
    }

    async fn spans(&self, r: SpansRequest) -> Result<Selection<SpanBatch>> {
        self.begin(&r.scope).await?;
        Ok(self.selection(&self.spans, &r.scope, Signal::TRACES))
    }

    async fn label_names(&self, r: LabelNamesRequest) -> Result<(Vec<String>, Coverage)> {
        self.begin(&r.scope).await?;
        Ok((self.names.clone(), complete(&r.scope, r.signal)))
    }

    async fn label_values(&self, r: LabelValuesRequest) -> Result<(Vec<String>, Coverage)> {
        self.begin(&r.scope).await?;
        Ok((self.names.clone(), complete(&r.scope, r.signal)))
    }

    async fn label_sets(&self, r: LabelNamesRequest) -> Result<(Vec<Labels>, Coverage)> {
        self.begin(&r.scope).await?;
        let sets = self.names.iter().map(|n| Labels::from_pairs([("__name__", n.as_str())]));
        Ok((sets.collect(), complete(&r.scope, r.signal)))
    }

    async fn metadata(&self, r: MetadataRequest) -> Result<(Vec<MetricMetadata>, Coverage)> {
        self.begin(&r.scope).await?;
        Ok((Vec::new(), complete(&r.scope, Signal::METRICS)))
    }

    /// Those of the scripted series.
    async fn patterns(&self, r: PatternsRequest) -> Result<(Vec<SeriesData>, Coverage)> {
        self.begin(&r.scope).await?;
        self.selection(&self.series, &r.scope, Signal::LOGS).collect().await
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { signals: self.signals.clone(), filters_lines: false, ..Capabilities::default() }
    }
}
