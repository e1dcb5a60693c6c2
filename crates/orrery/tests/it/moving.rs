//! Moving in and moving back: real blocks of a real Prometheus, backups of a running node, and `orrery compare` as
//! the judge of both.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use model::{
    Histogram, Labels, MetricBatch,
    histogram::{BucketSpan, ResetHint},
    metric::HistogramSample,
};
use net::{Client, Request};

use crate::{
    lifecycle::now_ns,
    node::{Home, Node, encode},
    peers::{program, receiving_prometheus},
};

pub fn orrery(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_orrery")).args(args).output().unwrap()
}

pub fn text(out: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr))
}

#[track_caller]
pub fn succeeds(args: &[&str]) -> String {
    let out = orrery(args);
    assert!(out.status.success(), "{args:?}: {}", text(&out));
    text(&out)
}

/// A value of any kind, the same for the same numbers.
pub fn value(series: u64, i: u64) -> f64 {
    let n = (series * 1_000_003 + i).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    match series % 5 {
        0 => 42.0,
        1 => i as f64 * 1000.0,
        2 => (n >> 11) as f64 / 1e6,
        3 => [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 1e308, 5e-324, 0.1][(n >> 32) as usize % 7],
        _ => f64::from_bits((n >> 12) | 0x3ff0_0000_0000_0000) - 1.5,
    }
}

/// September 2020: nobody's retention reaches so far unless it is for ever.
const OLD_MS: i64 = 1_600_000_000_000;

pub type Found = BTreeMap<(String, i64), u64>;

/// Every sample of a metric up to a time, by series label and time.
pub async fn stored(node: &Node, expr: &str, at_ms: i64) -> Found {
    let path = format!("/api/v1/query?query={}&time={}", encode(expr), at_ms as f64 / 1e3);
    let v = node.json(&path).await;
    assert_eq!(v["status"], "success", "{v}");
    let mut found = Found::new();
    for series in v["data"]["result"].as_array().unwrap() {
        for point in series["values"].as_array().unwrap() {
            let t = (point[0].as_f64().unwrap() * 1e3).round() as i64;
            let v: f64 = match point[1].as_str().unwrap() {
                "+Inf" => f64::INFINITY,
                "-Inf" => f64::NEG_INFINITY,
                v => v.parse().unwrap(),
            };
            // JSON has one NaN.
            let bits = if v.is_nan() { 0 } else { v.to_bits() };
            assert_eq!(found.insert((series["metric"]["s"].as_str().unwrap().to_owned(), t), bits), None);
        }
    }
    found
}

/// Blocks of 20 series with 600 old samples each, made by promtool, and what is in them.
pub fn blocks(promtool: &Path, dir: &Path) -> (PathBuf, Found) {
    let (mut sent, mut written) = (Found::new(), "# TYPE m gauge\n".to_owned());
    for s in 0..20u64 {
        for i in 0..600u64 {
            let (t, v) = (OLD_MS + i as i64 * 15_000 + s as i64, value(s, i));
            sent.insert((format!("{s:02}"), t), if v.is_nan() { 0 } else { v.to_bits() });
            let v = v.to_string().replace("inf", "Inf").replace("Inf", if v > 0.0 { "+Inf" } else { "Inf" });
            written.push_str(&format!("m{{s=\"{s:02}\"}} {v} {}.{:03}\n", t / 1000, t % 1000));
        }
    }
    (blocks_of(promtool, dir, &written), sent)
}

/// What promtool makes of samples written as OpenMetrics, without its last line.
fn blocks_of(promtool: &Path, dir: &Path, samples: &str) -> PathBuf {
    std::fs::write(dir.join("m.txt"), format!("{samples}# EOF\n")).unwrap();
    let blocks = dir.join("blocks");
    let made = Command::new(promtool)
        .args(["tsdb", "create-blocks-from", "openmetrics"])
        .args([&dir.join("m.txt"), &blocks])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", text(&made));
    blocks
}

#[tokio::test]
async fn blocks_made_by_promtool_arrive_bit_for_bit_and_answer_like_fresh_samples() {
    let Some(promtool) = program("promtool") else { return };
    let home = Home::new("retention: {metrics: 0}\n");
    let dir = home.dir.path();
    let (blocks, sent) = blocks(&promtool, dir);
    let node = home.start();
    // The series are in use already: what is imported lies years before their newest sample.
    let now_ms = now_ns() / 1_000_000;
    let mut fresh = MetricBatch::default();
    for s in 0..20 {
        let i =
            fresh.push_series(Labels::from_pairs([("__name__", "m".to_owned()), ("s", format!("{s:02}"))]));
        fresh.samples.push(i, now_ms, 1.0);
    }
    assert_eq!(write(&node.client, &node.http, &fresh).await, 204);
    let import = ["import", "prometheus", blocks.to_str().unwrap(), "--to", &node.http, "--batch", "700"];
    let told = succeeds(&import);
    assert!(told.contains("12000 samples") && told.contains("2 block(s)"), "{told}");
    assert!(succeeds(&import).contains("2 block(s) had arrived before"));

    let end_ms = OLD_MS + 10_000_000;
    assert_eq!(stored(&node, "m[4h]", end_ms).await, sent);
    // Without the journal everything is sent again, and nothing is doubled: also after a restart.
    std::fs::remove_file(blocks.join("orrery-import.json")).unwrap();
    succeeds(&import);
    assert_eq!(node.terminate().0, Some(0));
    let node = home.start();
    assert_eq!(stored(&node, "m[4h]", end_ms).await, sent);
    assert_eq!(node.value("count(m)").await, 20.0);
    let v = node.json("/api/v1/query?query=count(m)&time=1600001000").await;
    assert_eq!(v["data"]["result"][0]["value"][1], "20", "{v}");
}

#[tokio::test]
async fn an_import_that_retention_does_not_reach_is_refused_with_that_reason() {
    let Some(promtool) = program("promtool") else { return };
    let home = Home::new("");
    let dir = home.dir.path();
    let blocks = blocks_of(&promtool, dir, "# TYPE m gauge\nm 1 1600000000\n");
    let node = home.start();
    let out = orrery(&["import", "prometheus", blocks.to_str().unwrap(), "--to", &node.http]);
    assert!(!out.status.success() && text(&out).contains("older than the retention"), "{}", text(&out));
}

pub async fn write(client: &Client, to: &str, batch: &MetricBatch) -> u16 {
    let body = snap::raw::Encoder::new().compress_vec(&wire::remote_write::encode(batch)).unwrap();
    let request = Request::post(format!("{to}/api/v1/write"), body)
        .header("content-type", "application/x-protobuf")
        .header("content-encoding", "snappy");
    client.send(request).await.unwrap().status.as_u16()
}

/// Counter and gauge histograms, of integers and of floats, that gain buckets, reset and go stale.
fn histograms(from_ms: i64, with_gauges: bool) -> MetricBatch {
    let mut batch = MetricBatch::default();
    let kinds = [("hi", true, false), ("hf", false, false), ("hg", true, true)];
    for (name, is_integer, gauge) in kinds.into_iter().filter(|k| with_gauges || !k.2) {
        let series = batch.push_series(Labels::from_pairs([("__name__", name), ("job", "x")]));
        for i in 0..300u32 {
            let n = f64::from(i % 120) + 1.0;
            let step = if is_integer { n } else { n * 1.37 };
            let buckets = 2 + (i / 50) as usize;
            let positive: Vec<f64> = (0..buckets).map(|b| step * (b + 1) as f64).collect();
            let negative = vec![step, step * 3.0];
            let mut histogram = Histogram {
                reset_hint: if gauge { ResetHint::Gauge } else { ResetHint::Unknown },
                schema: 2,
                zero_threshold: 1e-3,
                zero_count: step,
                count: positive.iter().chain(&negative).sum::<f64>() + step,
                sum: step * 17.3,
                positive_spans: vec![BucketSpan { offset: -3, length: buckets as u32 }],
                positive_buckets: positive,
                negative_spans: vec![
                    BucketSpan { offset: 0, length: 1 },
                    BucketSpan { offset: 4, length: 1 },
                ],
                negative_buckets: negative,
                custom_values: Vec::new(),
                is_integer,
            };
            if i == 200 {
                histogram =
                    Histogram { sum: model::metric::stale_marker(), is_integer, ..Histogram::default() };
            }
            let timestamp_ms = from_ms + i64::from(i) * 15_000;
            batch.histograms.push(HistogramSample { series, timestamp_ms, start_ms: 0, histogram });
        }
    }
    for s in 0..30u64 {
        let labels = [("__name__", "f".to_owned()), ("s", s.to_string())];
        let series = batch.push_series(Labels::from_pairs(labels));
        for i in 0..300u64 {
            batch.samples.push(series, from_ms + i as i64 * 15_000, value(s, i));
        }
    }
    batch
}

#[tokio::test]
async fn a_snapshot_of_a_prometheus_with_histograms_and_deletions_answers_the_same() {
    let Some(binary) = program("prometheus") else { return };
    let home = Home::new("retention: {metrics: 0}\n");
    let features = ["--enable-feature=native-histograms"];
    let (_peer, url) = receiving_prometheus(&binary, home.dir.path(), &features).await;
    let client = Client::new().unwrap();
    let end_ms = now_ns() / 1_000_000_000_000 * 1_000_000;
    // Without gauges: this Prometheus takes a gauge that falls for a reset when it writes a block.
    assert_eq!(write(&client, &url, &histograms(end_ms - 4_500_000 + 7_001, false)).await, 204);
    let at = |ms: i64| format!("{}", ms / 1000);
    let (from, to) = (at(end_ms - 3_000_000), at(end_ms - 2_000_000));
    let gone = format!("/api/v1/admin/tsdb/delete_series?match[]=f{{s=~\"1.\"}}&start={from}&end={to}");
    for path in [gone.as_str(), "/api/v1/admin/tsdb/snapshot"] {
        let answer = client.send(Request::post(format!("{url}{path}"), "")).await.unwrap();
        assert!(answer.status.is_success(), "{path}: {}", answer.excerpt());
    }
    let snapshots = home.dir.path().join("p/snapshots");
    let snapshot = std::fs::read_dir(&snapshots).unwrap().next().unwrap().unwrap().path();
    let node = home.start();
    let told = succeeds(&["import", "prometheus", snapshot.to_str().unwrap(), "--to", &node.http]);
    assert!(told.contains(" samples in ") && !told.contains("refused"), "{told}");
    // What answers the same in Prometheus 2 and 3: no sample lies on the edge of a window, and neither
    // interpolation nor extrapolation of histograms is asked for.
    let queries = [
        "hi",
        "hf",
        "f",
        "histogram_count(hi)",
        "histogram_sum(hf)",
        "count_over_time(f[5m])",
        "sum by (job) (hf)",
        "present_over_time(hi[1m])",
    ];
    let end = at(end_ms);
    let mut args = vec!["compare", &url, &node.http, "--range", "90m:15s", "--end", &end, "--json"];
    queries.iter().for_each(|q| args.extend(["--query", q]));
    let out = orrery(&args);
    let report: serde_json::Value =
        serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("{e}: {}", text(&out)));
    assert_eq!(out.status.code(), Some(0), "{report:#}");
    assert_eq!(report["same"], queries.len(), "{report:#}");
}

#[tokio::test]
async fn a_backup_of_a_running_node_is_proven_restored_and_compared() {
    let home = Home::new("");
    let node = home.start();
    let end_ms = now_ns() / 1_000_000_000_000 * 1_000_000;
    assert_eq!(write(&node.client, &node.http, &histograms(end_ms - 4_500_000, true)).await, 204);
    let kept = home.dir.path().join("kept");
    let (kept, data) = (kept.to_str().unwrap(), home.data());
    let data = data.to_str().unwrap();
    assert!(succeeds(&["backup", "--data-dir", data, kept]).contains("are new in"));
    assert!(succeeds(&["backup", "verify", kept]).contains("1 backup(s)"));
    let back = Home::new("");
    let restored = back.data();
    succeeds(&["restore", kept, "--data-dir", restored.to_str().unwrap()]);
    let other = back.start();
    let end = (end_ms / 1000).to_string();
    let compare = |queries: &[&str]| {
        let mut args = vec!["compare", &node.http, &other.http, "--range", "90m:15s", "--end", &end];
        queries.iter().for_each(|q| args.extend(["--query", q]));
        orrery(&args)
    };
    let out = compare(&["hi", "hf", "hg", "f", "rate(hi[5m])"]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out));
    assert!(text(&out).contains("5 compared: 5 the same"), "{}", text(&out));
    // What only one of them has is told, and the exit code says so.
    let mut more = MetricBatch::default();
    let s = more.push_series(Labels::from_pairs([("__name__", "only_here")]));
    // Well before the last step, which may lie up to a step before the end.
    more.samples.push(s, end_ms - 60_000, 7.0);
    assert_eq!(write(&node.client, &node.http, &more).await, 204);
    let out = compare(&["only_here"]);
    assert_eq!(out.status.code(), Some(1), "{}", text(&out));
    assert!(text(&out).contains("missing in B: only_here{}"), "{}", text(&out));
    let out = orrery(&["compare", &node.http, "http://127.0.0.1:1", "--query", "up"]);
    assert_eq!(out.status.code(), Some(2), "{}", text(&out));
    // A damaged piece is found, and named.
    let blobs = Path::new(kept).join("blobs");
    let piece = std::fs::read_dir(&blobs).unwrap().next().unwrap().unwrap().path();
    let piece = std::fs::read_dir(piece).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&piece).unwrap();
    bytes[0] ^= 1;
    std::fs::write(&piece, bytes).unwrap();
    let out = orrery(&["backup", "verify", kept]);
    assert!(!out.status.success() && text(&out).contains("has other contents"), "{}", text(&out));
    let name = piece.file_name().unwrap().to_str().unwrap();
    assert!(text(&out).contains(name), "{}", text(&out));
}
