//! Spans and what is derived from them, over flushes, crashes and restarts.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use base::{MemoryBudget, Metrics};
use contract::{Append, AppendUnit, Scope, Select, SeriesHints, SeriesRequest, SpansRequest, Tenants};
use ingest::{Derive, Deriving};
use model::{Batch, Matcher, Span, SpanBatch, SpanKind, TenantId, TimeRange, span::SpanOrigin};
use proptest::prelude::*;
use testkit::conformance as suite;

use crate::rig::Rig;

/// What happens to the store and around it.
#[derive(Debug, Clone)]
enum Step {
    /// Spans by name; some of a time that is refused.
    Spans(Vec<(u8, bool)>),
    Collect,
    Flush,
    Crash(u64),
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let span = (0..3u8, proptest::bool::weighted(0.2));
    let step = prop_oneof![
        6 => proptest::collection::vec(span, 1..5).prop_map(Step::Spans),
        3 => Just(Step::Collect),
        2 => Just(Step::Flush),
        2 => any::<u64>().prop_map(Step::Crash),
        1 => Just(Step::Restart),
    ];
    proptest::collection::vec(step, 1..25)
}

struct Life {
    rig: Rig,
    derive: Arc<Derive>,
}

fn derive(rig: &Rig) -> Arc<Derive> {
    let options = derive::Options::default();
    Derive::new(options, MemoryBudget::unlimited(), &Metrics::default(), rig.clock.clone())
}

impl Life {
    async fn begin() -> Self {
        let mut first = None;
        let rig = Rig::with(|rig| {
            let derive = derive(rig);
            rig.options.witness = Some(derive.clone());
            first = Some(derive);
        });
        let rig = rig.await;
        Life { rig, derive: first.unwrap() }
    }

    async fn again(&mut self, how: &Step) {
        self.rig.clock.advance(Duration::from_secs(1));
        self.derive = derive(&self.rig);
        self.rig.options.witness = Some(self.derive.clone());
        match how {
            Step::Crash(seed) => self.rig.crash(*seed).await,
            _ => self.rig.restart().await,
        }
    }

    async fn send(&self, spans: &[(u8, bool)]) -> u64 {
        let now = self.rig.clock.now_ns();
        let spans = spans.iter().zip(1u64..).map(|((name, refused), n)| Span {
            trace_id: [1; 16],
            span_id: (now as u64 + n).to_le_bytes(),
            name: format!("op {name}"),
            kind: SpanKind::Internal,
            start_ns: if *refused { now + 3_600_000_000_000 } else { now },
            end_ns: now + 1,
            ..Span::default()
        });
        let batch = SpanBatch { origins: vec![SpanOrigin::default()], spans: spans.collect() };
        let unit = AppendUnit { received_ns: now, ..suite::unit(vec![Batch::Spans(batch)]) };
        let deriving = Deriving { append: self.rig.shared(), derive: self.derive.clone() };
        deriving.append(&TenantId::default(), unit).await.unwrap().accepted_items()
    }

    async fn collect(&self) {
        self.rig.clock.advance(Duration::from_secs(15));
        self.derive.collect(self.rig.store()).await;
    }

    fn scope() -> Scope {
        Scope::new(Tenants::one(TenantId::default()), TimeRange::ALL)
    }

    async fn stored(&self) -> BTreeMap<String, f64> {
        let request = SpansRequest { trace_ids: vec![[1; 16]], ..SpansRequest::new(Self::scope()) };
        let (pieces, _) = self.rig.store().spans(request).await.unwrap().collect().await.unwrap();
        let mut out = BTreeMap::new();
        for span in pieces.into_iter().flat_map(|p| p.spans) {
            *out.entry(span.name).or_default() += 1.0;
        }
        out
    }

    async fn counted(&self) -> BTreeMap<String, f64> {
        let request = SeriesRequest {
            scope: Self::scope(),
            matchers: vec![Matcher::equal("__name__", "traces_spanmetrics_calls_total")],
            hints: SeriesHints::default(),
        };
        let (series, _) = self.rig.store().series(request).await.unwrap().collect().await.unwrap();
        let rises =
            |v: &[f64]| v.windows(2).map(|w| if w[1] >= w[0] { w[1] - w[0] } else { w[1] }).sum::<f64>();
        series.iter().map(|s| (s.labels.value("span_name").to_owned(), rises(&s.values))).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Spans and what is derived from them live or die together: what `increase()` adds up over all lives is what is
    /// stored, wherever a crash comes.
    #[test]
    fn counts_are_those_of_stored_spans_over_flushes_crashes_and_restarts(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let mut life = Life::begin().await;
            for step in &steps {
                life.rig.clock.advance(Duration::from_millis(10));
                match step {
                    Step::Spans(spans) => {
                        let good = spans.iter().filter(|(_, refused)| !refused).count() as u64;
                        assert_eq!(life.send(spans).await, good);
                    }
                    Step::Collect => life.collect().await,
                    Step::Flush => life.rig.store().flush_all().await.unwrap(),
                    Step::Crash(_) | Step::Restart => life.again(step).await,
                }
            }
            life.collect().await;
            assert_eq!(life.counted().await, life.stored().await);
        });
    }
}
