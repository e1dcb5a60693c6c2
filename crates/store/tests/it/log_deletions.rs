//! Deleted log streams are gone from every read, through merges, cleaning and restarts; what comes later stays.

use contract::{
    Append, AppendUnit, Direction, LabelNamesRequest, LogCountsRequest, LogsRequest, Scope, Select, Tenants,
};
use model::{Batch, Labels, LogBatch, LogRecord, LogStream, Matcher, Signal, TenantId, TimeRange};
use testkit::conformance::NOW_NS;

use crate::rig::Rig;

const NOW_MS: i64 = NOW_NS / 1_000_000;

/// A line of each app at each of the times, which are seconds before now.
async fn write(rig: &Rig, apps: &[&str], seconds: &[i64]) {
    let mut b = LogBatch::default();
    for (stream, app) in apps.iter().enumerate() {
        let labels = Labels::from_pairs([("app", *app)]);
        b.streams.push(LogStream { labels, ..LogStream::default() });
        b.records.extend(seconds.iter().map(|ago| LogRecord {
            stream: stream as u32,
            timestamp_ns: NOW_NS - ago * 1_000_000_000,
            body: format!("{app} {ago}").into(),
            ..LogRecord::default()
        }));
    }
    let unit = AppendUnit { batch_id: None, received_ns: NOW_NS, batches: vec![Batch::Logs(b)] };
    let receipt = rig.store().append(&TenantId::default(), unit).await.unwrap();
    assert!(receipt.refused.is_empty(), "{receipt:?}");
}

fn scope() -> Scope {
    Scope::new(Tenants::one(TenantId::default()), TimeRange::ALL)
}

async fn lines(rig: &Rig, limit: Option<usize>) -> Vec<String> {
    let request = LogsRequest {
        scope: scope(),
        matchers: vec![Matcher::new("app", model::MatchOp::NotEqual, "").unwrap()],
        line_filters: Vec::new(),
        direction: Direction::NewestFirst,
        limit,
        fields: Vec::new(),
        passing: None,
    };
    let (found, _) = rig.store().logs(request).await.unwrap().collect().await.unwrap();
    found.into_iter().flat_map(|b| b.records).map(|r| r.body.to_string()).collect()
}

/// Lines as they are counted without being read; `None` where they have to be.
async fn counted(rig: &Rig) -> Option<u64> {
    let request = LogCountsRequest {
        scope: scope(),
        matchers: vec![Matcher::new("app", model::MatchOp::NotEqual, "").unwrap()],
        line_filters: Vec::new(),
        edges: [0, i64::MAX].into(),
        fields: Vec::new(),
        bytes: false,
    };
    let found = rig.store().log_counts(request).await.unwrap()?;
    let (counts, _) = found.collect().await.unwrap();
    Some(counts.iter().flat_map(|c| &c.groups).map(|g| g.count).sum())
}

async fn streams(rig: &Rig) -> usize {
    let request =
        LabelNamesRequest { scope: scope(), signal: Signal::LOGS, selectors: Vec::new(), limit: None };
    rig.store().label_sets(request).await.unwrap().0.len()
}

async fn delete(rig: &Rig, app: &str, range: TimeRange) {
    let selectors = [vec![Matcher::equal("app", app)]];
    rig.store().delete_logs(&[TenantId::default()], &selectors, range).await.unwrap();
}

#[tokio::test]
async fn a_deleted_stream_is_gone_and_stays_gone_over_a_restart_and_cleaning() {
    let mut rig = Rig::new().await;
    write(&rig, &["a", "b"], &[60, 40, 20]).await;
    delete(&rig, "a", TimeRange::ALL).await;
    let told = rig.store().log_deletions(&TenantId::default()).unwrap();
    assert_eq!((told.len(), told[0].made_ms), (1, NOW_MS));
    assert_eq!(told[0].matchers, [Matcher::equal("app", "a")]);
    for round in 0..3 {
        assert_eq!(lines(&rig, None).await, ["b 20", "b 40", "b 60"], "round {round}");
        // A limit counts what is left.
        assert_eq!(lines(&rig, Some(2)).await, ["b 20", "b 40"], "round {round}");
        assert_eq!(streams(&rig).await, 1, "round {round}");
        assert_eq!(counted(&rig).await, if round < 2 { None } else { Some(3) }, "round {round}");
        match round {
            0 => rig.restart().await,
            _ => rig.store().clean_deleted().await.unwrap(),
        }
    }
    assert!(rig.store().log_deletions(&TenantId::default()).unwrap().is_empty(), "it is done");
}

#[tokio::test]
async fn a_range_is_deleted_to_the_millisecond_and_what_comes_later_stays() {
    let rig = Rig::new().await;
    write(&rig, &["a"], &[60, 40, 20]).await;
    delete(&rig, "a", TimeRange::from_ms_inclusive(NOW_MS - 40_000, NOW_MS - 40_000)).await;
    assert_eq!(lines(&rig, None).await, ["a 20", "a 60"]);
    write(&rig, &["a"], &[40, 39]).await;
    let want = ["a 20", "a 39", "a 40", "a 60"];
    assert_eq!(lines(&rig, None).await, want);
    rig.store().flush_all().await.unwrap();
    rig.store().clean_deleted().await.unwrap();
    assert_eq!(lines(&rig, None).await, want);
    assert_eq!(streams(&rig).await, 1);
}

#[tokio::test]
async fn a_merge_leaves_out_what_was_deleted_before() {
    let rig = Rig::new().await;
    for n in 0..8 {
        write(&rig, &["a", "b"], &[80 - n]).await;
        rig.store().flush_all().await.unwrap();
    }
    delete(&rig, "a", TimeRange::ALL).await;
    for n in 0..8 {
        write(&rig, &["a"], &[40 - n]).await;
        rig.store().flush_all().await.unwrap();
    }
    let before = lines(&rig, None).await;
    assert_eq!(before.len(), 16);
    rig.store().maintain().await.unwrap();
    assert_eq!(lines(&rig, None).await, before);
}
