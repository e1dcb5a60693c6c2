//! Random histories against the oracle.

use std::time::Duration;

use contract::{Append, fake::Fake};
use model::{
    Batch, BatchId, LogBatch, LogRecord, LogStream, MetricBatch, Span, SpanBatch, TenantId, TimeRange,
    TimestampNs, span::SpanOrigin,
};
use proptest::prelude::*;
use testkit::{
    conformance::{self as suite, NOW_NS},
    objects::{Call, Failure},
};

use crate::rig::Rig;

/// One step of a history.
#[derive(Debug, Clone)]
enum Step {
    /// Tenant, and (series, seconds ago) of samples whose value follows from both.
    Metrics(usize, Vec<(u8, u16)>),
    Logs(usize, Vec<(u8, u16)>),
    Spans(usize, Vec<(u8, u16)>),
    /// The last unit comes once more.
    Again,
    Flush,
    Maintain,
    Restart,
    Crash(u64),
    /// A flush whose nth put fails this way; followed by a crash where the way says so.
    FlushFails(u64, Failure),
}

fn step() -> impl Strategy<Value = Step> {
    let items = || proptest::collection::vec((0u8..6, 0u16..20_000), 1..12);
    prop_oneof![
        5 => (0usize..2, items()).prop_map(|(t, i)| Step::Metrics(t, i)),
        4 => (0usize..2, items()).prop_map(|(t, i)| Step::Logs(t, i)),
        3 => (0usize..2, items()).prop_map(|(t, i)| Step::Spans(t, i)),
        2 => Just(Step::Again),
        3 => Just(Step::Flush),
        1 => Just(Step::Maintain),
        1 => Just(Step::Restart),
        2 => any::<u64>().prop_map(Step::Crash),
        2 => (0u64..8, failure()).prop_map(|(n, f)| Step::FlushFails(n, f)),
    ]
}

fn failure() -> impl Strategy<Value = Failure> {
    prop_oneof![
        Just(Failure::Before),
        Just(Failure::After),
        Just(Failure::CrashBefore),
        Just(Failure::CrashAfter)
    ]
}

fn metrics(items: &[(u8, u16)]) -> Batch {
    let mut b = MetricBatch::default();
    let names = ["up", "load", "requests_total"];
    for (series, ago) in items {
        let labels = model::Labels::from_pairs([
            ("__name__", names[usize::from(*series) % 3]),
            ("instance", if *series < 3 { "a" } else { "b" }),
        ]);
        let at = b.series.iter().position(|l| *l == labels).unwrap_or_else(|| b.push_series(labels) as usize);
        let t = NOW_NS / 1_000_000 - i64::from(*ago) * 1000;
        b.samples.push(at as u32, t, f64::from(*series) * 1e6 + f64::from(*ago) / 8.0);
    }
    Batch::Metrics(b)
}

/// Times of logs are made unique by `unit`, so that limits cut where the oracle cuts.
fn logs(items: &[(u8, u16)], unit: i64) -> Batch {
    let mut b = LogBatch::default();
    for (i, (stream, ago)) in items.iter().enumerate() {
        b.streams.push(LogStream {
            labels: model::Labels::from_pairs([(
                "service_name",
                ["web", "db", "x"][usize::from(*stream) % 3],
            )]),
            ..LogStream::default()
        });
        b.records.push(LogRecord {
            stream: i as u32,
            timestamp_ns: NOW_NS - i64::from(*ago) * 1_000_000_000 - unit * 100 - i as i64,
            body: format!("status={} n={unit}", 200 + stream).into(),
            ..LogRecord::default()
        });
    }
    Batch::Logs(b)
}

fn spans(items: &[(u8, u16)], unit: i64) -> Batch {
    let mut b = SpanBatch { origins: vec![SpanOrigin::default()], spans: Vec::new() };
    for (i, (trace, ago)) in items.iter().enumerate() {
        let start_ns = NOW_NS - i64::from(*ago) * 1_000_000_000 - unit * 100 - i as i64;
        b.spans.push(Span {
            trace_id: [*trace + 1; 16],
            span_id: (unit as u64 * 100 + i as u64 + 1).to_le_bytes(),
            name: format!("GET {}", trace % 3),
            start_ns,
            end_ns: start_ns + i64::from(*ago) * 1000,
            ..Span::default()
        });
    }
    Batch::Spans(b)
}

async fn run(steps: Vec<Step>) {
    let mut rig = Rig::new().await;
    let oracle = Fake::new();
    let tenants = [TenantId::default(), TenantId::new("b").unwrap()];
    let mut last = None;
    for (n, step) in steps.into_iter().enumerate() {
        let n = n as i64;
        let unit = match step {
            Step::Metrics(t, items) => Some((t, metrics(&items))),
            Step::Logs(t, items) => Some((t, logs(&items, n))),
            Step::Spans(t, items) => Some((t, spans(&items, n))),
            Step::Again => {
                if let Some((t, unit)) = last.clone() {
                    let t: usize = t;
                    assert!(rig.store().append(&tenants[t], unit).await.unwrap().duplicate);
                }
                None
            }
            Step::Flush => {
                rig.store().flush_all().await.unwrap();
                None
            }
            Step::Maintain => {
                rig.store().maintain().await.unwrap();
                None
            }
            Step::Restart => {
                rig.restart().await;
                None
            }
            Step::Crash(seed) => {
                rig.crash(seed).await;
                None
            }
            Step::FlushFails(put, failure) => {
                rig.objects.fail_in(Call::Put, put, failure);
                let _ = rig.store().flush_all().await;
                rig.objects.heal();
                if matches!(failure, Failure::CrashBefore | Failure::CrashAfter) {
                    rig.crash(put).await;
                }
                None
            }
        };
        if let Some((t, batch)) = unit {
            let id = BatchId::Numbered { source: 1, epoch: 1, sequence: n as u64 };
            let unit = contract::AppendUnit { batch_id: Some(id), ..suite::unit(vec![batch]) };
            let receipt = rig.store().append(&tenants[t], unit.clone()).await.unwrap();
            assert!(receipt.refused.is_empty(), "{receipt:?}");
            assert_eq!(receipt.accepted_items(), unit.batches[0].item_count() as u64);
            oracle.append(&tenants[t], unit.clone()).await.unwrap();
            last = Some((t, unit));
        }
    }
    let cut =
        TimeRange::new(TimestampNs(NOW_NS - 9_000_000_000_000), TimestampNs(NOW_NS - 3_000_000_000_000));
    suite::same_answers(rig.store(), &oracle, &tenants, &[TimeRange::ALL, cut]).await;
    let _ = rig.store().close(Duration::from_secs(10)).await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_history_is_answered_as_the_oracle_does(steps in proptest::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(run(steps));
    }
}
