use std::{
    collections::{BTreeMap, HashSet},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

use base::cap::Encoding;
use contract::{RefusalReason, Scope, Select, SeriesHints, SeriesRequest, Tenants, fake::Fake};
use model::{Matcher, Span, SpanKind, TimeRange, span::SpanOrigin};
use tokio::sync::{Notify, Semaphore};

use super::*;
use crate::{Ingest, Options, Otlp, OtlpFormat, OtlpSignal, OtlpTransport, Sender};

const NOW_NS: i64 = 1_790_000_000_000_000_000;

/// A store that keeps its log, refuses spans called "refused", and can be told to fail or to wait.
struct Log {
    fake: Fake,
    units: Mutex<Vec<(TenantId, AppendUnit)>>,
    known: Mutex<HashSet<BatchId>>,
    fails: AtomicBool,
    /// A unit with spans takes one to go on.
    passes: Semaphore,
    reached: Notify,
}

impl Default for Log {
    fn default() -> Self {
        Log {
            fake: Fake::new(),
            units: Mutex::default(),
            known: Mutex::default(),
            fails: AtomicBool::new(false),
            passes: Semaphore::new(Semaphore::MAX_PERMITS),
            reached: Notify::new(),
        }
    }
}

#[async_trait]
impl Append for Log {
    async fn append(&self, tenant: &TenantId, mut unit: AppendUnit) -> contract::Result<Receipt> {
        if spans(&unit.batches).next().is_some() {
            self.reached.notify_one();
            self.passes.acquire().await.unwrap().forget();
        }
        if self.fails.load(Relaxed) {
            return Err(contract::Error::unavailable("the disk reserve is reached"));
        }
        if unit.batch_id.is_some_and(|id| self.known.lock().contains(&id)) {
            return Ok(Receipt { duplicate: true, ..Receipt::default() });
        }
        let mut refused = Receipt::default();
        for batch in &mut unit.batches {
            let Batch::Spans(s) = batch else { continue };
            let mut position = 0;
            s.spans.retain(|span| {
                position += 1;
                let keep = span.name != "refused";
                if !keep {
                    refused.refuse_span(position - 1, RefusalReason::InvalidItem, || "as asked".to_owned());
                }
                keep
            });
        }
        if refused.refused.is_empty() {
            self.known.lock().extend(unit.batch_id);
        }
        self.units.lock().push((tenant.clone(), unit.clone()));
        let mut receipt = self.fake.append(tenant, AppendUnit { batch_id: None, ..unit }).await?;
        receipt.merge(refused);
        Ok(receipt)
    }
}

struct Rig {
    log: Arc<Log>,
    derive: Arc<Derive>,
    deriving: Arc<Deriving>,
    metrics: Metrics,
    clock: Clock,
}

fn rig() -> Rig {
    let clock = Clock::manual(NOW_NS);
    around(Arc::new(Log::default()), clock)
}

fn around(log: Arc<Log>, clock: Clock) -> Rig {
    let metrics = Metrics::default();
    let options = derive::Options::default();
    let derive = Derive::new(options, MemoryBudget::unlimited(), &metrics, clock.clone());
    let deriving = Arc::new(Deriving { append: log.clone(), derive: derive.clone() });
    Rig { log, derive, deriving, metrics, clock }
}

fn span(name: &str, kind: SpanKind) -> Span {
    Span {
        trace_id: [1; 16],
        span_id: [2; 8],
        name: name.to_owned(),
        kind,
        start_ns: NOW_NS - 5_000_000,
        end_ns: NOW_NS,
        ..Span::default()
    }
}

fn batch(service: &str, spans: Vec<Span>) -> SpanBatch {
    let mut origin = SpanOrigin::default();
    origin.resource.attributes.push("service.name", service);
    SpanBatch { origins: vec![origin], spans }
}

fn unit(number: u64, names: &[&str]) -> AppendUnit {
    let spans = names.iter().map(|n| span(n, SpanKind::Internal)).collect();
    AppendUnit {
        batch_id: Some(BatchId::Numbered { source: 1, epoch: 1, sequence: number }),
        received_ns: NOW_NS,
        batches: vec![Batch::Spans(batch("shop", spans))],
    }
}

impl Rig {
    async fn send(&self, unit: AppendUnit) -> contract::Result<Receipt> {
        self.deriving.append(&TenantId::default(), unit).await
    }

    async fn collect(&self) {
        self.clock.advance(Duration::from_secs(15));
        self.derive.collect(&*self.log).await;
    }

    /// What `increase()` sums up over everything stored of the metric, by span name.
    async fn increases(&self, metric: &str) -> BTreeMap<String, f64> {
        let request = SeriesRequest {
            scope: Scope::new(Tenants::one(TenantId::default()), TimeRange::ALL),
            matchers: vec![Matcher::equal("__name__", metric)],
            hints: SeriesHints::default(),
        };
        let (series, _) = self.log.fake.series(request).await.unwrap().collect().await.unwrap();
        let mut out = BTreeMap::new();
        for s in series {
            let rises = s.values.windows(2).map(|w| if w[1] >= w[0] { w[1] - w[0] } else { w[1] });
            *out.entry(s.labels.value("span_name").to_owned()).or_default() += rises.sum::<f64>();
        }
        out
    }

    fn shows(&self, line: &str) -> bool {
        self.metrics.encode().lines().any(|l| l == line)
    }
}

fn sums<const N: usize>(of: [(&str, f64); N]) -> BTreeMap<String, f64> {
    of.into_iter().map(|(name, n)| (name.to_owned(), n)).collect()
}

const CALLS: &str = "traces_spanmetrics_calls_total";

#[tokio::test]
async fn what_is_stored_counts_once_and_nothing_else_does() {
    let r = rig();
    r.send(unit(1, &["a", "refused", "b"])).await.unwrap();
    r.send(unit(2, &["a", "a"])).await.unwrap();
    assert!(r.send(unit(2, &["a", "a"])).await.unwrap().duplicate);
    r.log.fails.store(true, Relaxed);
    r.send(unit(3, &["a"])).await.unwrap_err();
    r.collect().await;
    assert!(r.shows("orrery_derive_collections_total{outcome=\"failed\"} 1"));
    assert_eq!(r.increases(CALLS).await, sums([]));
    r.log.fails.store(false, Relaxed);
    r.send(unit(3, &["a"])).await.unwrap();
    r.collect().await;
    assert_eq!(r.increases(CALLS).await, sums([("a", 4.0), ("b", 1.0)]));
    assert!(r.shows("orrery_derive_spans_total{outcome=\"counted\"} 5"));
    r.collect().await;
    assert_eq!(r.increases(CALLS).await, sums([("a", 4.0), ("b", 1.0)]));
}

#[tokio::test]
async fn where_nobody_says_which_spans_were_refused_none_is_counted_and_that_is_told() {
    struct Silent(Log);
    #[async_trait]
    impl Append for Silent {
        async fn append(&self, tenant: &TenantId, unit: AppendUnit) -> contract::Result<Receipt> {
            let mut receipt = self.0.append(tenant, unit).await?;
            receipt.refused.iter_mut().for_each(|r| r.positions.clear());
            Ok(receipt)
        }
    }
    let r = rig();
    let deriving = Deriving { append: Arc::new(Silent(Log::default())), derive: r.derive.clone() };
    deriving.append(&TenantId::default(), unit(1, &["a", "refused"])).await.unwrap();
    assert!(r.shows("orrery_derive_spans_total{outcome=\"unknown\"} 2"), "{}", r.metrics.encode());
    assert!(r.shows("orrery_derive_spans_total{outcome=\"counted\"} 0"));
}

#[tokio::test]
async fn spans_over_otlp_are_counted_once_whatever_is_sent_again() {
    let r = rig();
    let ingest = Ingest::new(
        r.deriving.clone(),
        MemoryBudget::unlimited(),
        &r.metrics,
        r.clock.clone(),
        Options { cluster: Some(model::ClusterName::new("dev-01").unwrap()), ..Options::default() },
    );
    let names = (0..1500).map(|i| ["a", "b", "refused"][i % 3]);
    let spans = names.map(|n| span(n, SpanKind::Server)).collect();
    let body = wire::otlp::traces::encode_bytes(&batch("shop", spans));
    let what =
        Otlp { transport: OtlpTransport::Http, signal: OtlpSignal::Traces, format: OtlpFormat::Protobuf };
    let whole = wire::otlp::traces::encode_bytes(&batch("shop", vec![span("a", SpanKind::Server)]));
    for (body, accepted) in [(body, 1000), (whole.clone(), 1), (whole, 0)] {
        let (tenant, sender) = (TenantId::default(), Sender::default());
        let receipt = ingest.otlp(&tenant, &sender, what, Encoding::Identity, body.into()).await.unwrap();
        assert_eq!(receipt.accepted_items(), accepted);
    }
    r.collect().await;
    assert_eq!(r.increases(CALLS).await, sums([("a", 501.0), ("b", 500.0)]));
    let (tenant, unit) = r.log.units.lock().last().cloned().unwrap();
    let Some(Batch::Metrics(m)) = unit.batches.first() else { panic!("{unit:?}") };
    assert_eq!(tenant, TenantId::default());
    assert!(m.series.iter().all(|l| l.value("cluster") == "dev-01"), "{:?}", m.series);
    assert_eq!((m.exemplars.len(), m.metadata.is_empty()), (4, false));
    let edges = "traces_service_graph_request_total";
    assert_eq!(r.increases(edges).await.into_values().sum::<f64>(), 1001.0, "somebody asked each of them");
}

#[tokio::test]
async fn a_sender_that_goes_away_leaves_nothing_stored_and_not_counted() {
    let r = rig();
    r.log.passes.forget_permits(Semaphore::MAX_PERMITS);
    let deriving = r.deriving.clone();
    let sender = tokio::spawn(async move { deriving.append(&TenantId::default(), unit(1, &["a"])).await });
    r.log.reached.notified().await;
    sender.abort();
    assert!(sender.await.unwrap_err().is_cancelled());
    r.log.passes.add_permits(1);
    // The collection waits for what is under way.
    r.collect().await;
    assert_eq!(r.increases(CALLS).await, sums([("a", 1.0)]));
}

#[tokio::test]
async fn a_collection_stands_in_the_log_behind_exactly_what_it_counts() {
    let r = rig();
    r.log.passes.forget_permits(Semaphore::MAX_PERMITS);
    let deriving = r.deriving.clone();
    let sender = tokio::spawn(async move { deriving.append(&TenantId::default(), unit(1, &["a"])).await });
    r.log.reached.notified().await;
    let (derive, log) = (r.derive.clone(), r.log.clone());
    let collecting = tokio::spawn(async move { derive.collect(&*log).await });
    tokio::task::yield_now().await;
    assert!(r.log.units.lock().is_empty());
    r.log.passes.add_permits(1);
    collecting.await.unwrap();
    sender.await.unwrap().unwrap();
    let kinds: Vec<bool> =
        r.log.units.lock().iter().map(|(_, u)| spans(&u.batches).next().is_some()).collect();
    assert_eq!(kinds, [true, false]);
    assert_eq!(r.increases(CALLS).await, sums([("a", 1.0)]));
}

#[tokio::test]
async fn after_a_crash_the_log_says_what_was_not_collected() {
    let mut r = rig();
    for life in 0..4u64 {
        r.send(unit(10 * life, &["a", "b"])).await.unwrap();
        r.collect().await;
        r.send(unit(10 * life + 1, &["a", "refused"])).await.unwrap();
        if life % 2 == 0 {
            r.collect().await;
            r.send(unit(10 * life + 2, &["c"])).await.unwrap();
        }
        r.clock.advance(Duration::from_secs(2));
        r = around(r.log.clone(), r.clock.clone());
        for (tenant, unit) in r.log.units.lock().iter() {
            r.derive.replayed(tenant, unit.batch_id, unit.received_ns, &unit.batches);
        }
    }
    r.collect().await;
    assert_eq!(r.increases(CALLS).await, sums([("a", 8.0), ("b", 4.0), ("c", 2.0)]));
}

#[tokio::test]
async fn tenants_that_count_nothing_any_more_are_forgotten() {
    let r = rig();
    r.send(unit(1, &["a"])).await.unwrap();
    r.collect().await;
    assert_eq!(r.derive.tenants.lock().len(), 1);
    r.clock.advance(Duration::from_secs(3600));
    r.collect().await;
    assert_eq!(r.derive.tenants.lock().len(), 0);
    r.log.fails.store(true, Relaxed);
    r.send(unit(2, &["a"])).await.unwrap_err();
    r.collect().await;
    assert_eq!(r.derive.tenants.lock().len(), 0, "nothing was stored of it");
}
