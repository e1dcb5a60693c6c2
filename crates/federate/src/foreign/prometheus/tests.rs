use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use contract::{CoverageState, fake::Fake};
use model::{Histogram, MatchOp, Matcher, TimeRange, stale_marker};
use proptest::prelude::*;
use wire::remote_read::{ReadForm, ReadSeries, decode, push_frames, push_series, response};

use super::*;
use crate::{
    fixtures::{append, series_request},
    foreign::{
        ForeignKind,
        tests::{
            metrics, opened,
            server::{Asked, Reply, serve},
            settings,
        },
    },
};

mod servers;

const T0: i64 = 1_700_000_000_000;

/// What the server of a test holds, and how it answers.
struct Theirs {
    series: Vec<SeriesData>,
    way: Way,
    /// Answers remote read in chunks.
    chunks: bool,
    external: Labels,
}

impl Theirs {
    /// Everything in the range, in no order, whatever the matchers.
    fn in_range(&self, first: i64, last: i64) -> impl Iterator<Item = SeriesData> + '_ {
        self.series.iter().rev().map(move |s| {
            let kept: Vec<usize> =
                (0..s.values.len()).filter(|i| (first..=last).contains(&s.timestamps_ms[*i])).collect();
            SeriesData {
                labels: s.labels.clone(),
                timestamps_ms: kept.iter().map(|i| s.timestamps_ms[*i]).collect(),
                values: kept.iter().map(|i| s.values[*i]).collect(),
                starts_ms: Vec::new(),
                histograms: s.histograms.iter().filter(|h| (first..=last).contains(&h.0)).cloned().collect(),
            }
        })
    }

    fn answer(&self, asked: &Asked) -> Reply {
        match (asked.path.as_str(), self.way) {
            ("/api/v1/read", Way::Read) => self.read(asked),
            ("/api/v1/export", Way::Export) => self.export(asked),
            ("/api/v1/query", Way::Query) => self.query(asked),
            ("/api/v1/status/config", Way::Read) => {
                let list: String = self.external.iter().map(|(n, v)| format!("    {n}: {v}\\n")).collect();
                Reply::json(format!(
                    r#"{{"status":"success","data":{{"yaml":"global:\n  external_labels:\n{list}"}}}}"#
                ))
            }
            ("/api/v1/labels", _) => {
                let names: std::collections::BTreeSet<&str> =
                    self.series.iter().flat_map(|s| s.labels.iter().map(|(n, _)| n)).collect();
                Reply::json(format!(
                    r#"{{"status":"success","data":{}}}"#,
                    serde_json::to_string(&names).unwrap()
                ))
            }
            ("/api/v1/label/job/values", _) => Reply::json(r#"{"status":"success","data":["b","a"]}"#),
            ("/api/v1/label/empty/values", _) => Reply::json(r#"{"status":"success","data":null}"#),
            ("/api/v1/series", _) => {
                let sets: Vec<BTreeMap<&str, &str>> =
                    self.series.iter().map(|s| s.labels.iter().collect()).collect();
                Reply::json(format!(
                    r#"{{"status":"success","data":{}}}"#,
                    serde_json::to_string(&sets).unwrap()
                ))
            }
            _ => Reply::none(),
        }
    }

    fn read(&self, asked: &Asked) -> Reply {
        let plain = snap::raw::Decoder::new().decompress_vec(&asked.body).unwrap();
        let request = decode(&plain).unwrap();
        let mut out = Vec::new();
        let mut frames = Vec::new();
        for q in &request.queries {
            // A server gives whole chunks, so more than was asked.
            let (first, last) = if self.chunks { (i64::MIN, i64::MAX) } else { (q.start_ms, q.end_ms) };
            for mut s in self.in_range(first, last) {
                for (n, v) in self.external.iter() {
                    if s.labels.get(n).is_none() {
                        s.labels = s.labels.with(n, v);
                    }
                }
                let series = ReadSeries {
                    labels: &s.labels,
                    timestamps_ms: &s.timestamps_ms,
                    values: &s.values,
                    histograms: &s.histograms,
                };
                push_series(&mut out, &series);
                push_frames(&mut frames, 0, &series, 300);
            }
        }
        assert_eq!(request.form().unwrap(), ReadForm::Chunks);
        if self.chunks {
            return Reply::new(
                200,
                "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse",
                frames,
            );
        }
        let packed = snap::raw::Encoder::new().compress_vec(&response(&[out])).unwrap();
        Reply::new(200, "application/x-protobuf", packed).with("Content-Encoding: snappy")
    }

    fn export(&self, asked: &Asked) -> Reply {
        let ms = |name: &str| (asked.get(name).parse::<f64>().unwrap_or(0.0) * 1000.0) as i64;
        let mut out = String::new();
        for s in self.in_range(ms("start"), ms("end")).filter(|s| !s.values.is_empty()) {
            let metric: BTreeMap<&str, &str> = s.labels.iter().collect();
            let values: Vec<String> = s
                .values
                .iter()
                .map(|v| match *v {
                    v if v.is_nan() => "null".to_owned(),
                    v if v.is_infinite() => format!("\"{}Infinity\"", if v < 0.0 { "-" } else { "" }),
                    v => v.to_string(),
                })
                .collect();
            let times: Vec<String> = s.timestamps_ms.iter().map(i64::to_string).collect();
            out.push_str(&format!(
                "{{\"metric\":{},\"values\":[{}],\"timestamps\":[{}]}}\n",
                serde_json::to_string(&metric).unwrap(),
                values.join(","),
                times.join(",")
            ));
        }
        Reply::new(200, "application/stream+json", out)
    }

    /// As Prometheus 2.x: both ends of a window are in it, and staleness markers are not.
    fn query(&self, asked: &Asked) -> Reply {
        let Some(range) = asked.get("query").rsplit_once('[').and_then(|(_, r)| r.strip_suffix("ms]")) else {
            return Reply::json(r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#);
        };
        let end = (asked.get("time").parse::<f64>().unwrap() * 1000.0).round() as i64;
        let start = end - range.parse::<i64>().unwrap();
        let mut elements = Vec::new();
        for s in self.in_range(start, end) {
            let values: Vec<(f64, String)> = s
                .timestamps_ms
                .iter()
                .zip(&s.values)
                .filter(|(_, v)| !model::is_stale_marker(**v))
                .map(|(t, v)| (*t as f64 / 1000.0, v.to_string().replace("inf", "Inf")))
                .collect();
            if !values.is_empty() {
                let metric: BTreeMap<&str, &str> = s.labels.iter().collect();
                elements.push(serde_json::json!({"metric": metric, "values": values}));
            }
        }
        let data = serde_json::json!({"resultType": "matrix", "result": elements});
        Reply::json(serde_json::json!({"status": "success", "data": data, "warnings": null}).to_string())
    }
}

async fn peer(theirs: Theirs) -> Arc<dyn Select> {
    opened(ForeignKind::Prometheus, &serve(move |asked| theirs.answer(&asked)).await)
}

async fn all(
    select: &Arc<dyn Select>,
    matchers: Vec<Matcher>,
    first: i64,
    last: i64,
) -> (Vec<SeriesData>, Coverage) {
    let request = series_request(matchers, TimeRange::from_ms_inclusive(first, last));
    select.series(request).await.unwrap().collect().await.unwrap()
}

fn series(labels: &[(&str, &str)], samples: &[(i64, f64)]) -> SeriesData {
    SeriesData {
        labels: Labels::from_pairs(labels.iter().copied()),
        timestamps_ms: samples.iter().map(|s| s.0).collect(),
        values: samples.iter().map(|s| s.1).collect(),
        ..SeriesData::default()
    }
}

/// Labels, floats by their bits, histograms.
type Bits = (Labels, Vec<(i64, u64)>, Vec<(i64, i64, Histogram)>);

fn bits(list: &[SeriesData]) -> Vec<Bits> {
    let floats =
        |s: &SeriesData| s.timestamps_ms.iter().copied().zip(s.values.iter().map(|v| v.to_bits())).collect();
    list.iter().map(|s| (s.labels.clone(), floats(s), s.histograms.clone())).collect()
}

const WAYS: [(Way, bool); 4] =
    [(Way::Read, true), (Way::Read, false), (Way::Export, false), (Way::Query, false)];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn every_way_gives_what_the_server_holds_with_our_labels_in_our_order(
        held in proptest::collection::btree_map(
            ("[ab]", "[xyz]?", "[pq]?"),
            proptest::collection::btree_map(0i64..300, -9i32..9, 1..20),
            0..8,
        ),
        (first, length) in (0i64..300, 0i64..300),
        picked in "[ab]",
        op in 0usize..4,
        way in 0usize..4,
    ) {
        let (way, chunks) = WAYS[way];
        let series: Vec<SeriesData> = held.iter().map(|((name, zone, dc), samples)| {
            let samples: Vec<(i64, f64)> = samples.iter().map(|(t, v)| (T0 + t * 7_001, match v {
                7 if way != Way::Query => stale_marker(),
                8 => f64::INFINITY,
                v => f64::from(*v) / 3.0,
            })).collect();
            super::tests::series(&[("__name__", name), ("zone", zone), ("dc", dc)], &samples)
        }).collect();
        let op = [MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex][op];
        let matchers = vec![
            Matcher::new("__name__", op, picked).unwrap(),
            Matcher::new("cluster", MatchOp::Regex, "leg.*").unwrap(),
        ];
        let (first, last) = (T0 + first * 7_001, T0 + (first + length) * 7_001 + 3);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (got, want) = runtime.block_on(async {
            let fake = Fake::new();
            let ours: Vec<_> = series.iter().map(|s| {
                let samples = s.timestamps_ms.iter().copied().zip(s.values.iter().copied()).collect();
                (s.labels.with("cluster", "legacy"), samples)
            }).collect();
            append(&fake, metrics(&ours)).await;
            let fake: Arc<dyn Select> = Arc::new(fake);
            let want = all(&fake, matchers.clone(), first, last).await.0;
            let theirs = Theirs { series, way, chunks, external: Labels::default() };
            (all(&peer(theirs).await, matchers, first, last).await.0, want)
        });
        prop_assert_eq!(bits(&got), bits(&want));
    }
}

#[tokio::test]
async fn external_labels_are_on_everything_and_a_series_keeps_its_own() {
    let theirs = Theirs {
        series: vec![
            series(&[("__name__", "up"), ("job", "a")], &[(T0, 1.0)]),
            series(&[("__name__", "up"), ("region", "us")], &[(T0, 2.0)]),
        ],
        way: Way::Read,
        chunks: true,
        external: Labels::from_pairs([("cluster", "theirs"), ("region", "eu")]),
    };
    let peer = peer(theirs).await;
    let up = Matcher::equal("__name__", "up");
    let (both, coverage) = all(&peer, vec![up.clone()], T0, T0).await;
    let regions: Vec<&str> = both.iter().map(|s| s.labels.value("region")).collect();
    assert_eq!(regions, ["eu", "us"]);
    assert!(both.iter().all(|s| s.labels.value("cluster") == "legacy") && coverage.is_complete());
    let (eu, _) = all(&peer, vec![up.clone(), Matcher::equal("region", "eu")], T0, T0).await;
    assert_eq!(eu.len(), 1);
    let (none, _) = all(&peer, vec![up, Matcher::equal("cluster", "theirs")], T0, T0).await;
    assert!(none.is_empty());
}

#[tokio::test]
async fn names_values_and_sets_carry_our_labels() {
    let theirs = Theirs {
        series: vec![
            series(&[("__name__", "up"), ("job", "a")], &[(T0, 1.0)]),
            series(&[("__name__", "x")], &[]),
        ],
        way: Way::Query,
        chunks: false,
        external: Labels::default(),
    };
    let peer = peer(theirs).await;
    let scope = series_request(Vec::new(), TimeRange::ALL).scope;
    let request = |selectors: Vec<Vec<Matcher>>| LabelNamesRequest {
        scope: scope.clone(),
        signal: Signal::METRICS,
        selectors,
        limit: None,
    };
    let names = peer.label_names(request(Vec::new())).await.unwrap().0;
    assert_eq!(names, ["__name__", "cluster", "job"]);
    let other = vec![vec![Matcher::equal("cluster", "other")]];
    assert!(peer.label_names(request(other)).await.unwrap().0.is_empty());
    let job = vec![vec![Matcher::equal("job", "a"), Matcher::equal("cluster", "legacy")]];
    let sets = peer.label_sets(request(job)).await.unwrap().0;
    assert_eq!(sets, [Labels::from_pairs([("__name__", "up"), ("cluster", "legacy"), ("job", "a")])]);
    let values = async |name: &str| {
        let field = contract::NamedField::Label(name.to_owned());
        let request = LabelValuesRequest {
            scope: scope.clone(),
            signal: Signal::METRICS,
            field,
            selectors: Vec::new(),
            limit: None,
        };
        peer.label_values(request).await.unwrap().0
    };
    assert_eq!(values("job").await, ["a", "b"]);
    assert_eq!(values("cluster").await, ["legacy"]);
    assert!(values("empty").await.is_empty());
}

#[tokio::test]
async fn metadata_and_exemplars_are_read_as_documented() {
    let url = serve(|asked| match asked.path.as_str() {
        "/prom/api/v1/metadata" => Reply::json(
            r#"{"status":"success","data":{"go_gc":[{"type":"summary","help":"GC.","unit":""}],"x":[{"type":"odd"}]}}"#,
        ),
        "/prom/api/v1/query" => Reply::json(r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#),
        "/prom/api/v1/query_exemplars" => {
            assert_eq!(asked.get("query"), "{__name__=\"test\"}");
            assert!(asked.headers.contains("x-scope-orgid: team-a"), "{}", asked.headers);
            Reply::json(
                r#"{"status":"success","data":[{"seriesLabels":{"__name__":"test","job":"p"},"exemplars":[
                {"labels":{"trace_id":"E"},"value":"6","timestamp":1600096945.479},
                {"labels":{"trace_id":"O"},"value":"19","timestamp":1600096955.479}]}]}"#,
            )
        }
        _ => Reply::none(),
    })
    .await;
    let peer_settings = ForeignSettings {
        tenant: Some("team-a".into()),
        ..settings(ForeignKind::Prometheus, &format!("{url}/prom/"))
    };
    let peer = Prometheus::new(peer_settings, Clock::system()).unwrap();
    let scope =
        series_request(Vec::new(), TimeRange::from_ms_inclusive(1_600_096_945_000, 1_600_096_950_000)).scope;
    let request = MetadataRequest { scope: scope.clone(), family: None, limit: Some(1) };
    let families = peer.metadata(request).await.unwrap().0;
    assert_eq!(
        (families.len(), families[0].kind, families[0].help.as_str()),
        (1, model::MetricKind::Summary, "GC.")
    );
    let selectors = vec![vec![Matcher::equal("__name__", "test"), Matcher::equal("cluster", "legacy")]];
    let found = peer.exemplars(ExemplarsRequest { scope, selectors }).await.unwrap().0;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0.value("cluster"), "legacy");
    let got: Vec<_> =
        found[0].1.iter().map(|e| (e.timestamp_ms, e.value, e.labels.value("trace_id"))).collect();
    assert_eq!(got, [(1_600_096_945_479, 6.0, "E")]);
}

#[tokio::test]
async fn errors_and_warnings_come_in_the_servers_words() {
    let url = serve(|asked| match asked.path.as_str() {
        "/api/v1/query" if asked.get("query").contains("bad") => Reply::new(
            422,
            "application/json",
            r#"{"status":"error","errorType":"execution","error":"query timed out in expression evaluation"}"#,
        ),
        "/api/v1/query" => Reply::json(
            r#"{"status":"success","data":{"resultType":"matrix","result":[]},"warnings":["store sidecar-1 is gone"]}"#,
        ),
        _ => Reply::none(),
    })
    .await;
    let peer = opened(ForeignKind::Prometheus, &url);
    let (_, coverage) = all(&peer, vec![Matcher::equal("__name__", "up")], T0, T0 + 1000).await;
    assert_eq!(coverage.sources()[0].state, CoverageState::Partial);
    assert_eq!(coverage.sources()[0].reason, "store sidecar-1 is gone");
    let request =
        series_request(vec![Matcher::equal("__name__", "bad")], TimeRange::from_ms_inclusive(T0, T0));
    let e = peer.series(request).await.err().unwrap();
    assert_eq!(e.to_string(), "legacy answered 422: execution: query timed out in expression evaluation");
    let e = opened(ForeignKind::Prometheus, "http://127.0.0.1:1");
    let request = series_request(vec![Matcher::equal("__name__", "up")], TimeRange::ALL);
    assert_eq!(e.series(request).await.err().unwrap().kind, base::Kind::Unavailable);
}

#[tokio::test]
async fn a_slice_that_is_too_much_is_asked_in_smaller_ones() {
    let asked_for = Arc::new(AtomicUsize::new(0));
    let count = asked_for.clone();
    let url = serve(move |asked| {
        let query = asked.get("query").to_owned();
        let Some((_, range)) = query.rsplit_once('[') else { return Reply::none() };
        count.fetch_add(1, Relaxed);
        let width: i64 = range.trim_end_matches("ms]").parse().unwrap();
        if width > 1_000_000 {
            let error = r#"{"status":"error","errorType":"execution","error":"query processing would load too many samples into memory"}"#;
            return Reply::new(422, "application/json", error);
        }
        let end: f64 = asked.get("time").parse().unwrap();
        Reply::json(format!(
            r#"{{"status":"success","data":{{"resultType":"matrix","result":[{{"metric":{{"__name__":"up"}},"values":[[{end},"1"]]}}]}}}}"#
        ))
    })
    .await;
    let site = Site::new(&settings(ForeignKind::Prometheus, &url)).unwrap();
    let request = series_request(Vec::new(), TimeRange::from_ms_inclusive(T0, T0 + 3_599_999));
    let mut gather = Gather::new("legacy", &request, Added::default()).unwrap();
    query::series(&site, &[], (T0, T0 + 3_599_999), &mut gather).await.unwrap();
    let (got, _) = gather.finish(Coverage::default()).collect().await.unwrap();
    assert_eq!(got.len(), 1);
    assert_eq!(got[0].timestamps_ms.last(), Some(&(T0 + 3_599_999)));
    assert!(got[0].timestamps_ms.len() >= 4, "{:?}", got[0].timestamps_ms);
}

#[tokio::test]
async fn what_was_found_out_is_kept_until_a_request_fails() {
    let probes = Arc::new(AtomicUsize::new(0));
    let (count, turn) = (probes.clone(), AtomicUsize::new(0));
    let url = serve(move |asked| match asked.path.as_str() {
        "/api/v1/read" => {
            count.fetch_add(1, Relaxed);
            Reply::none()
        }
        "/api/v1/export" if asked.get("match[]").contains("orrery_probe") => {
            Reply::new(200, "application/stream+json", "")
        }
        "/api/v1/export" if turn.fetch_add(1, Relaxed) == 1 => Reply::new(503, "text/plain", "shutting down"),
        "/api/v1/export" => Reply::new(200, "application/stream+json", ""),
        _ => Reply::none(),
    })
    .await;
    let peer = opened(ForeignKind::Prometheus, &url);
    let request = || series_request(vec![Matcher::equal("__name__", "up")], TimeRange::ALL);
    assert!(peer.series(request()).await.is_ok());
    assert_eq!(peer.series(request()).await.err().unwrap().to_string(), "legacy answered 503: shutting down");
    assert_eq!(probes.load(Relaxed), 1);
    assert!(peer.series(request()).await.is_ok());
    assert!(peer.series(request()).await.is_ok());
    assert_eq!(probes.load(Relaxed), 2);
}
