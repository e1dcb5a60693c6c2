use std::sync::Arc;

use contract::{CoverageState, fake::Fake};
use futures::{StreamExt, stream::BoxStream};
use model::TimeRange;
use proptest::prelude::*;
use proto::thanos::{
    info::{
        InfoResponse, LabelSet, StoreInfo,
        info_server::{Info, InfoServer},
    },
    store_server::{Store, StoreServer},
};
use tonic::{
    Request, Response, Status,
    transport::{Server, server::TcpIncoming},
};

use super::*;
use crate::{
    fixtures::{append, series_request},
    foreign::{
        ForeignKind,
        tests::{metrics, opened, settings},
    },
    storeapi::{StoreApi, convert},
};

const T0: i64 = 1_700_000_000_000;

async fn serve<S: Store + Info + Clone>(store: S) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server =
        Server::builder().add_service(StoreServer::new(store.clone())).add_service(InfoServer::new(store));
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    address
}

async fn all(
    select: &Arc<dyn Select>,
    matchers: Vec<Matcher>,
    range: TimeRange,
) -> (Vec<SeriesData>, Coverage) {
    select.series(series_request(matchers, range)).await.unwrap().collect().await.unwrap()
}

/// A store that says what it is told, and checks what it is asked.
#[derive(Clone)]
struct Scripted {
    frames: Vec<Frame>,
    /// The names of matchers it must be asked with.
    names: Vec<&'static str>,
    range: (i64, i64),
}

#[tonic::async_trait]
impl Info for Scripted {
    async fn info(&self, _: Request<InfoRequest>) -> std::result::Result<Response<InfoResponse>, Status> {
        let labels = convert::labels(&Labels::from_pairs([("replica", "a"), ("region", "eu")]));
        let store = StoreInfo { min_time: self.range.0, max_time: self.range.1, ..Default::default() };
        Ok(Response::new(InfoResponse {
            label_sets: vec![LabelSet { labels }],
            component_type: "sidecar".into(),
            store: Some(store),
        }))
    }
}

#[tonic::async_trait]
impl Store for Scripted {
    type SeriesStream = BoxStream<'static, std::result::Result<pb::SeriesResponse, Status>>;

    async fn series(
        &self,
        r: Request<pb::SeriesRequest>,
    ) -> std::result::Result<Response<Self::SeriesStream>, Status> {
        let names: Vec<String> = r.get_ref().matchers.iter().map(|m| m.name.clone()).collect();
        if names != self.names {
            return Err(Status::invalid_argument(format!("asked with {names:?}")));
        }
        let frames = self.frames.clone().into_iter().map(|f| Ok(pb::SeriesResponse { result: Some(f) }));
        Ok(Response::new(futures::stream::iter(frames).boxed()))
    }

    async fn label_names(
        &self,
        _: Request<pb::LabelNamesRequest>,
    ) -> std::result::Result<Response<pb::LabelNamesResponse>, Status> {
        Ok(Response::new(pb::LabelNamesResponse {
            names: vec!["job".into()],
            warnings: vec!["one is gone".into()],
        }))
    }

    async fn label_values(
        &self,
        _: Request<pb::LabelValuesRequest>,
    ) -> std::result::Result<Response<pb::LabelValuesResponse>, Status> {
        Ok(Response::new(pb::LabelValuesResponse { values: vec!["v".into()], warnings: Vec::new() }))
    }
}

fn framed(labels: &[(&str, &str)], samples: &[(i64, f64)]) -> pb::Series {
    let labels = Labels::from_pairs(labels.iter().copied());
    let (times, values): (Vec<i64>, Vec<f64>) = samples.iter().copied().unzip();
    let read = wire::remote_read::ReadSeries {
        labels: &labels,
        timestamps_ms: &times,
        values: &values,
        histograms: &[],
    };
    let chunks = wire::remote_read::chunks(&read)
        .map(|c| pb::AggrChunk {
            min_time: c.min_ms,
            max_time: c.max_ms,
            raw: Some(pb::Chunk { r#type: c.encoding as i32 - 1, data: c.data }),
        })
        .collect();
    pb::Series { labels: convert::labels(&labels), chunks }
}

#[tokio::test]
async fn batches_hints_warnings_and_series_in_pieces_are_understood() {
    let frames = vec![
        Frame::Hints(vec![1, 2, 3]),
        Frame::Batch(pb::SeriesBatch {
            series: vec![
                framed(&[("__name__", "b")], &[(T0, 1.0)]),
                framed(&[("__name__", "a")], &[(T0, 2.0)]),
            ],
        }),
        Frame::Series(framed(&[("__name__", "a")], &[(T0, 2.0), (T0 + 5, 3.0), (T0 + 50, 4.0)])),
        Frame::Warning("fetching block 01H: timed out".into()),
    ];
    let store = Scripted { frames, names: vec!["region", "__name__"], range: (T0, i64::MAX) };
    let peer = opened(ForeignKind::Thanos, &serve(store).await);
    let matchers = vec![Matcher::equal("cluster", "legacy"), Matcher::equal("region", "eu")];
    let range = TimeRange::from_ms_inclusive(T0, T0 + 10);
    // The scripted series lack the label that is asked for, so that only a matcher they meet shows them.
    let (none, coverage) = all(&peer, matchers, range).await;
    assert!(none.is_empty());
    assert_eq!(coverage.sources()[0].state, CoverageState::Partial);
    assert_eq!(coverage.sources()[0].reason, "fetching block 01H: timed out");
}

#[tokio::test]
async fn a_store_is_asked_only_where_its_labels_and_times_can_match() {
    let frames = vec![
        Frame::Series(framed(&[("__name__", "b"), ("region", "eu")], &[(T0, 1.0)])),
        Frame::Series(framed(&[("__name__", "a"), ("region", "eu")], &[(T0 + 1, 2.0), (T0 + 90, 3.0)])),
    ];
    let store = Scripted { frames, names: vec!["region", "__name__"], range: (T0, T0 + 1000) };
    let peer = opened(ForeignKind::Thanos, &serve(store).await);
    let at = |a: i64, b: i64| TimeRange::from_ms_inclusive(T0 + a, T0 + b);
    let (both, coverage) = all(&peer, vec![Matcher::equal("region", "eu")], at(0, 10)).await;
    let got: Vec<_> = both
        .iter()
        .map(|s| (s.labels.metric_name(), s.labels.value("cluster"), s.timestamps_ms.len()))
        .collect();
    assert_eq!(got, [("a", "legacy", 1), ("b", "legacy", 1)]);
    assert!(coverage.is_complete());
    // Asked with any of these it would refuse the names of the matchers.
    for (name, value, range) in
        [("region", "us", at(0, 10)), ("cluster", "x", at(0, 10)), ("job", "a", at(2000, 3000))]
    {
        let (none, coverage) = all(&peer, vec![Matcher::equal(name, value)], range).await;
        assert!(none.is_empty() && coverage.is_complete(), "{name}");
    }
    let refused = series_request(vec![Matcher::equal("job", "a")], at(0, 10));
    let e = peer.series(refused).await.err().unwrap();
    assert_eq!(e.to_string(), "legacy answered InvalidArgument: asked with [\"job\"]");
    let names = LabelNamesRequest {
        scope: series_request(Vec::new(), at(0, 10)).scope,
        signal: Signal::METRICS,
        selectors: Vec::new(),
        limit: None,
    };
    let (names, coverage) = peer.label_names(names).await.unwrap();
    assert_eq!(names, ["cluster", "job"]);
    assert_eq!(coverage.sources()[0].reason, "one is gone");
}

#[tokio::test]
async fn settings_that_grpc_cannot_follow_are_refused_and_a_dead_store_is_named() {
    let refused = |change: fn(&mut ForeignSettings)| {
        let mut s = settings(ForeignKind::Thanos, "store:10901");
        change(&mut s);
        crate::foreign::open(s, base::Clock::system()).err().map(|e| e.to_string())
    };
    assert_eq!(refused(|_| ()), None);
    assert!(refused(|s| s.url = "https://store:10901".into()).unwrap().starts_with("tls is"));
    assert!(refused(|s| s.url = "store".into()).unwrap().starts_with("url is"));
    assert!(refused(|s| s.http.tls.insecure_skip_verify = true).is_some());
    let dead = opened(ForeignKind::Thanos, "127.0.0.1:1");
    let e = dead.series(series_request(vec![Matcher::equal("a", "b")], TimeRange::ALL)).await.err().unwrap();
    assert_eq!(e.kind, base::Kind::Unavailable);
    let said = e.to_string();
    assert!(said.starts_with("legacy is not reached: ") && said.contains("refused"), "{said}");
}

#[tokio::test]
async fn a_store_that_takes_a_connection_and_says_nothing_is_out_of_time() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut s = settings(ForeignKind::Thanos, &silent.local_addr().unwrap().to_string());
    s.timeout = Duration::from_millis(50);
    let peer = crate::foreign::open(s, base::Clock::system()).unwrap();
    let e = peer.series(series_request(vec![Matcher::equal("a", "b")], TimeRange::ALL)).await.err().unwrap();
    assert_eq!((e.kind, e.to_string().as_str()), (base::Kind::Timeout, "legacy did not answer within 50ms"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn what_one_node_serves_another_reads_sample_for_sample(
        held in proptest::collection::btree_map(
            ("[ab]", "[xyz]?"),
            proptest::collection::btree_map(0i64..600, any::<f64>(), 1..200),
            0..6,
        ),
        (first, length) in (0i64..600, 0i64..600),
        picked in "[ab]",
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (got, want) = runtime.block_on(async {
            let (theirs, ours) = (Fake::new(), Fake::new());
            let series: Vec<(Labels, Vec<(i64, f64)>)> = held.iter().map(|((n, z), s)| {
                let labels = Labels::from_pairs([("__name__", n), ("zone", z)]);
                (labels, s.iter().map(|(t, v)| (T0 + t * 997, *v)).collect())
            }).collect();
            append(&theirs, metrics(&series)).await;
            let dressed: Vec<_> = series.into_iter().map(|(l, s)| (l.with("dc", "eu").with("cluster", "legacy"), s)).collect();
            append(&ours, metrics(&dressed)).await;
            let api = StoreApi {
                select: Arc::new(theirs),
                tenant: TenantId::default(),
                external: Labels::from_pairs([("dc", "eu")]),
                label_sets: Vec::new(),
                held: Arc::new(|| (i64::MIN, i64::MAX)),
                limits: QueryLimits::default(),
                timeout: Duration::from_secs(10),
        overridden: Default::default(),
            };
            let matchers = vec![Matcher::equal("__name__", picked), Matcher::equal("dc", "eu"), Matcher::equal("cluster", "legacy")];
            let range = TimeRange::from_ms_inclusive(T0 + first * 997, T0 + (first + length) * 997);
            let peer = opened(ForeignKind::Thanos, &serve(api).await);
            let ours: Arc<dyn Select> = Arc::new(ours);
            (all(&peer, matchers.clone(), range).await.0, all(&ours, matchers, range).await.0)
        });
        let bits = |list: &[SeriesData]| list.iter().map(|s| {
            let values: Vec<u64> = s.values.iter().map(|v| v.to_bits()).collect();
            (s.labels.clone(), s.timestamps_ms.clone(), values)
        }).collect::<Vec<_>>();
        prop_assert_eq!(bits(&got), bits(&want));
    }
}
