//! Deleted series are gone from every read, through merges, cleaning and restarts; what comes later stays.

use contract::{
    Append, AppendUnit, ExemplarsRequest, LabelNamesRequest, LabelValuesRequest, NamedField, Scope, Select,
    SeriesHints, SeriesRequest, Tenants,
};
use model::{Batch, Exemplar, Labels, Matcher, MetricBatch, Signal, TenantId, TimeRange};
use testkit::conformance::NOW_NS;

use crate::rig::Rig;

const NOW_MS: i64 = NOW_NS / 1_000_000;

/// One sample, with an exemplar, of each job at each of the times, which are seconds before now.
async fn write(rig: &Rig, jobs: &[&str], seconds: &[i64], value: f64) {
    let mut b = MetricBatch::default();
    for job in jobs {
        let s = b.push_series(Labels::from_pairs([("__name__", "up"), ("job", *job)]));
        for ago in seconds {
            let at = NOW_MS - ago * 1000;
            b.samples.push(s, at, value);
            let labels = Labels::from_pairs([("trace_id", "t")]);
            b.exemplars.push((s, Exemplar { labels, value, timestamp_ms: at }));
        }
    }
    let unit = AppendUnit { batch_id: None, received_ns: NOW_NS, batches: vec![Batch::Metrics(b)] };
    let receipt = rig.store().append(&TenantId::default(), unit).await.unwrap();
    assert!(receipt.refused.is_empty(), "{receipt:?}");
}

fn scope() -> Scope {
    Scope::new(Tenants::one(TenantId::default()), TimeRange::ALL)
}

/// Per job the seconds before now and the values of its samples.
async fn held(rig: &Rig) -> Vec<(String, Vec<(i64, f64)>)> {
    let matchers = vec![Matcher::equal("__name__", "up")];
    let request = SeriesRequest { scope: scope(), matchers, hints: SeriesHints::default() };
    let (series, _) = rig.store().series(request).await.unwrap().collect().await.unwrap();
    let shown = series.into_iter().map(|s| {
        let ago = s.timestamps_ms.iter().map(|t| (NOW_MS - t) / 1000);
        (s.labels.value("job").to_owned(), ago.zip(s.values).collect())
    });
    shown.collect()
}

async fn jobs(rig: &Rig) -> Vec<String> {
    let field = NamedField::Label("job".to_owned());
    let (signal, selectors) = (Signal::METRICS, Vec::new());
    let request = LabelValuesRequest { scope: scope(), signal, field, selectors, limit: None };
    rig.store().label_values(request).await.unwrap().0
}

async fn sets(rig: &Rig) -> usize {
    let (signal, selectors) = (Signal::METRICS, Vec::new());
    let request = LabelNamesRequest { scope: scope(), signal, selectors, limit: None };
    rig.store().label_sets(request).await.unwrap().0.len()
}

async fn exemplars(rig: &Rig) -> Vec<(String, usize)> {
    let request =
        ExemplarsRequest { scope: scope(), selectors: vec![vec![Matcher::equal("__name__", "up")]] };
    let found = rig.store().exemplars(request).await.unwrap().0;
    found.into_iter().map(|(l, e)| (l.value("job").to_owned(), e.len())).collect()
}

async fn delete(rig: &Rig, job: &str, range: TimeRange) {
    let selectors = [vec![Matcher::equal("__name__", "up"), Matcher::equal("job", job)]];
    rig.store().delete_series(&[TenantId::default()], &selectors, range).await.unwrap();
}

fn between(first_ago: i64, last_ago: i64) -> TimeRange {
    TimeRange::from_ms_inclusive(NOW_MS - first_ago * 1000, NOW_MS - last_ago * 1000)
}

fn one(job: &str, samples: &[(i64, f64)]) -> (String, Vec<(i64, f64)>) {
    (job.to_owned(), samples.to_vec())
}

#[tokio::test]
async fn a_deleted_series_is_gone_from_every_read_and_stays_gone_over_a_restart_and_cleaning() {
    let mut rig = Rig::new().await;
    write(&rig, &["a", "b"], &[60, 40, 20], 1.0).await;
    assert_eq!(exemplars(&rig).await, [("a".to_owned(), 3), ("b".to_owned(), 3)]);
    delete(&rig, "a", TimeRange::ALL).await;
    let left = vec![one("b", &[(60, 1.0), (40, 1.0), (20, 1.0)])];
    for round in 0..3 {
        assert_eq!(held(&rig).await, left, "round {round}");
        assert_eq!((jobs(&rig).await, sets(&rig).await), (vec!["b".to_owned()], 1), "round {round}");
        assert_eq!(exemplars(&rig).await, [("b".to_owned(), 3)], "round {round}");
        match round {
            0 => rig.restart().await,
            _ => rig.store().clean_deleted().await.unwrap(),
        }
    }
}

#[tokio::test]
async fn a_range_is_deleted_to_the_millisecond_and_the_rest_stays() {
    let rig = Rig::new().await;
    write(&rig, &["a"], &[60, 40, 20], 1.0).await;
    delete(&rig, "a", between(40, 40)).await;
    assert_eq!(held(&rig).await, [one("a", &[(60, 1.0), (20, 1.0)])]);
    rig.store().clean_deleted().await.unwrap();
    assert_eq!(held(&rig).await, [one("a", &[(60, 1.0), (20, 1.0)])]);
    assert_eq!(jobs(&rig).await, ["a"]);
}

#[tokio::test]
async fn what_is_appended_after_a_deletion_stays_whatever_its_time() {
    let mut rig = Rig::new().await;
    write(&rig, &["a"], &[60, 40], 1.0).await;
    delete(&rig, "a", TimeRange::ALL).await;
    write(&rig, &["a"], &[50, 30], 2.0).await;
    let want = [one("a", &[(50, 2.0), (30, 2.0)])];
    assert_eq!(held(&rig).await, want);
    rig.store().flush_all().await.unwrap();
    assert_eq!(held(&rig).await, want);
    rig.store().clean_deleted().await.unwrap();
    assert_eq!(held(&rig).await, want);
    rig.restart().await;
    assert_eq!(held(&rig).await, want);
}

#[tokio::test]
async fn a_merge_of_segments_before_and_after_a_deletion_applies_it_to_those_before() {
    let rig = Rig::new().await;
    for n in 0..8 {
        write(&rig, &["a", "b"], &[80 - n], 1.0).await;
        rig.store().flush_all().await.unwrap();
    }
    delete(&rig, "a", between(78, 0)).await;
    for n in 0..8 {
        write(&rig, &["a", "b"], &[40 - n], 2.0).await;
        rig.store().flush_all().await.unwrap();
    }
    let before = held(&rig).await;
    let a: Vec<i64> = before[0].1.iter().map(|(ago, _)| *ago).collect();
    assert_eq!(a, [80, 79, 40, 39, 38, 37, 36, 35, 34, 33]);
    let segments = |rig: &Rig| rig.store().status().signals.iter().map(|s| s.segments).sum::<u64>();
    let many = segments(&rig);
    rig.store().maintain().await.unwrap();
    assert!(segments(&rig) < many, "nothing was merged");
    assert_eq!(held(&rig).await, before);
    rig.store().clean_deleted().await.unwrap();
    assert_eq!(held(&rig).await, before);
}

#[tokio::test]
async fn a_deletion_survives_a_crash_right_after_it_was_answered() {
    let mut rig = Rig::new().await;
    write(&rig, &["a", "b"], &[60], 1.0).await;
    delete(&rig, "a", TimeRange::ALL).await;
    rig.crash(3).await;
    assert_eq!(held(&rig).await, [one("b", &[(60, 1.0)])]);
}
