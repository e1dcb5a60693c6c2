//! Against servers of others that run here.

use std::process::Command;

use model::{MetricBatch, histogram::BucketSpan};

use super::*;
use crate::foreign::tests::real::{Running, program};

/// Counters with a reset, staleness markers, infinities and odd values, six hours of them up to now.
fn written(end_ms: i64) -> Vec<SeriesData> {
    (0..5)
        .map(|s| {
            let samples: Vec<(i64, f64)> = (0..400i64)
                .map(|i| {
                    let v = match (s, i) {
                        (1, 300) => stale_marker(),
                        (2, 7) => f64::INFINITY,
                        (2, 8) => f64::NEG_INFINITY,
                        (3, i) => (i as f64).sin() * 1e-7,
                        (_, i) => (i % 150) as f64,
                    };
                    (end_ms - (400 - i) * 15_000 - s, v)
                })
                .collect();
            series(
                &[("__name__", "m"), ("s", &s.to_string()), ("zone", if s % 2 == 0 { "a" } else { "" })],
                &samples,
            )
        })
        .collect()
}

fn histograms(end_ms: i64) -> SeriesData {
    let one = |i: i64| {
        let h = Histogram {
            schema: 3,
            count: 3.0 + i as f64,
            sum: 1.5 * i as f64,
            zero_threshold: 1e-9,
            positive_spans: vec![BucketSpan { offset: -2, length: 2 }],
            positive_buckets: vec![1.0, 2.0 + i as f64],
            is_integer: true,
            ..Histogram::default()
        };
        (end_ms - (200 - i) * 15_000, 0, h)
    };
    SeriesData {
        labels: Labels::from_pairs([("__name__", "h")]),
        histograms: (0..200).map(one).collect(),
        ..SeriesData::default()
    }
}

fn batch(series: &[SeriesData]) -> MetricBatch {
    let mut b = MetricBatch::default();
    for s in series {
        let n = b.push_series(s.labels.clone());
        s.timestamps_ms.iter().zip(&s.values).for_each(|(t, v)| b.samples.push(n, *t, *v));
        b.histograms.extend(s.histograms.iter().map(|(t, start, h)| model::metric::HistogramSample {
            series: n,
            timestamp_ms: *t,
            start_ms: *start,
            histogram: h.clone(),
        }));
    }
    b
}

fn expected(series: &[SeriesData]) -> Vec<SeriesData> {
    let mut all: Vec<SeriesData> = series.to_vec();
    all.iter_mut().for_each(|s| s.labels = s.labels.with("cluster", "legacy"));
    all.sort_by(|a, b| a.labels.cmp(&b.labels));
    all
}

#[tokio::test]
async fn a_real_prometheus_gives_back_what_was_written_to_it() {
    let Some(binary) = program("prometheus") else { return };
    let running = Running::start(
        |dir, port| {
            std::fs::write(dir.join("p.yml"), "global: {external_labels: {dc: eu-1}}\n").unwrap();
            let mut c = Command::new(binary);
            c.arg(format!("--config.file={}", dir.join("p.yml").display()))
                .arg(format!("--storage.tsdb.path={}", dir.join("p").display()))
                .arg(format!("--web.listen-address=127.0.0.1:{port}"))
                .args(["--web.enable-remote-write-receiver", "--enable-feature=native-histograms"]);
            c
        },
        "/-/ready",
    )
    .await;
    let end = Clock::system().now_ms();
    let mut held = written(end);
    held.push(histograms(end));
    running.write(&batch(&held)).await;
    let peer = opened(ForeignKind::Prometheus, &running.url);
    held.iter_mut().for_each(|s| s.labels = s.labels.with("dc", "eu-1"));
    let any = || vec![Matcher::new("__name__", MatchOp::Regex, ".+").unwrap()];
    let (mut got, coverage) = all(&peer, any(), end - 90_000_000, end).await;
    // What it says of resets holds beside the chunk before.
    got.iter_mut().flat_map(|s| &mut s.histograms).for_each(|h| h.2.reset_hint = Default::default());
    assert_eq!(bits(&got), bits(&expected(&held)));
    assert!(coverage.is_complete(), "{}", coverage.summary(500));
    let matchers =
        vec![Matcher::equal("__name__", "m"), Matcher::equal("zone", "a"), Matcher::equal("dc", "eu-1")];
    let (some, _) = all(&peer, matchers, end - 600_000, end - 300_000).await;
    assert_eq!(some.len(), 3);
    assert!(some.iter().all(|s| (19..=21).contains(&s.values.len())), "{}", some[0].values.len());

    // The same by the query API, which has no staleness markers and tells histograms by their bounds.
    let site = Site::new(&settings(ForeignKind::Prometheus, &running.url)).unwrap();
    let request = series_request(any(), TimeRange::from_ms_inclusive(end - 90_000_000, end));
    let added =
        Added::new(&Labels::from_pairs([("cluster", "legacy")]), &Labels::from_pairs([("dc", "eu-1")]));
    let mut gather = Gather::new("legacy", &request, added).unwrap();
    query::series(&site, &any(), (end - 90_000_000, end), &mut gather).await.unwrap();
    let (got, _) = gather.finish(Coverage::default()).collect().await.unwrap();
    let mut want = expected(&held);
    for s in &mut want {
        let keep: Vec<bool> = s.values.iter().map(|v| !model::is_stale_marker(*v)).collect();
        let mut kept = keep.iter();
        s.timestamps_ms.retain(|_| *kept.next().unwrap());
        s.values.retain(|v| !model::is_stale_marker(*v));
        // Of an empty zero bucket nothing is told.
        s.histograms.iter_mut().for_each(|h| (h.2.is_integer, h.2.zero_threshold) = (false, 2f64.powi(-128)));
    }
    assert_eq!(bits(&got), bits(&want));
    let names = LabelNamesRequest {
        scope: request.scope,
        signal: Signal::METRICS,
        selectors: vec![any()],
        limit: None,
    };
    assert_eq!(peer.label_names(names.clone()).await.unwrap().0, ["__name__", "cluster", "dc", "s", "zone"]);
    assert_eq!(peer.label_sets(names).await.unwrap().0.len(), 6);
}

#[tokio::test]
async fn a_real_victoriametrics_gives_back_what_was_written_to_it() {
    let Some(binary) = program("victoria-metrics") else { return };
    let running = Running::start(
        |dir, port| {
            let mut c = Command::new(binary);
            c.arg(format!("-storageDataPath={}", dir.join("v").display()))
                .arg(format!("-httpListenAddr=127.0.0.1:{port}"))
                .arg("-search.disableCache");
            c
        },
        "/health",
    )
    .await;
    let end = Clock::system().now_ms();
    let held = written(end);
    running.write(&batch(&held)).await;
    // What was written can be found once its buffers are flushed.
    let flush = net::Request::get(format!("{}/internal/force_flush", running.url));
    assert!(net::Client::default().send(flush).await.unwrap().status.is_success());
    let peer = opened(ForeignKind::Prometheus, &running.url);
    let any = || vec![Matcher::equal("__name__", "m")];
    let (mut got, _) = all(&peer, any(), end - 90_000_000, end).await;
    // It keeps about twelve decimal digits of values that have more.
    let mut want = expected(&held);
    let odd =
        |list: &mut Vec<SeriesData>| list.extract_if(.., |s| s.labels.value("s") == "3").next().unwrap();
    let (rounded, exact) = (odd(&mut got), odd(&mut want));
    assert_eq!(rounded.timestamps_ms, exact.timestamps_ms);
    let near = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-18;
    assert!(rounded.values.iter().zip(&exact.values).all(near), "{:?}", rounded.values);
    assert_eq!(bits(&got), bits(&want));
    let scope = series_request(Vec::new(), TimeRange::from_ms_inclusive(end - 90_000_000, end)).scope;
    let names = LabelNamesRequest { scope, signal: Signal::METRICS, selectors: vec![any()], limit: None };
    assert_eq!(peer.label_names(names.clone()).await.unwrap().0, ["__name__", "cluster", "s", "zone"]);
    assert_eq!(peer.label_sets(names).await.unwrap().0.len(), 5);
}
