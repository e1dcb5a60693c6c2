use contract::fake::Fake;
use futures::TryStreamExt;
use model::{MatchOp, histogram::BucketSpan};
use proptest::prelude::*;
use proto::thanos::series_response::Result as Frame;

use super::*;
use crate::{
    fixtures::{Act, Script, append, member, run, series},
    foreign::tests::metrics,
};

const T0: i64 = 1_700_000_000_000;

fn api(select: Arc<dyn Select>, external: &[(&str, &str)]) -> StoreApi {
    StoreApi {
        select,
        tenant: TenantId::default(),
        external: Labels::from_pairs(external.iter().copied()),
        label_sets: Vec::new(),
        held: Arc::new(|| (T0, i64::MAX)),
        limits: QueryLimits::default(),
        timeout: Duration::from_secs(10),
        overridden: Default::default(),
    }
}

fn request(matchers: &[Matcher]) -> pb::SeriesRequest {
    pb::SeriesRequest {
        min_time: i64::MIN,
        max_time: i64::MAX,
        matchers: convert::from_matchers(matchers),
        ..Default::default()
    }
}

async fn frames(api: &StoreApi, r: pb::SeriesRequest) -> Result<Vec<Frame>, Status> {
    let answer = Store::series(api, Request::new(r)).await?.into_inner();
    Ok(answer.try_collect::<Vec<_>>().await?.into_iter().filter_map(|f| f.result).collect())
}

/// Label sets of all series frames, with the samples of their chunks.
fn read(frames: &[Frame]) -> Vec<(Labels, Vec<(i64, u64)>)> {
    let mut out = Vec::new();
    let mut one = |s: &pb::Series| {
        let mut samples = Vec::new();
        for c in &s.chunks {
            let raw = c.raw.as_ref().unwrap();
            let points = tsdb::chunk::decode(raw.r#type as u8 + 1, &raw.data).unwrap();
            assert!(points.len() <= 120);
            let times: Vec<i64> = points.floats.iter().map(|p| p.timestamp_ms).collect();
            assert_eq!((times.first(), times.last()), (Some(&c.min_time), Some(&c.max_time)));
            samples.extend(points.floats.iter().map(|p| (p.timestamp_ms, p.value.to_bits())));
        }
        out.push((convert::from_labels(s.labels.clone()), samples));
    };
    for f in frames {
        match f {
            Frame::Series(s) => one(s),
            Frame::Batch(b) => b.series.iter().for_each(&mut one),
            _ => {}
        }
    }
    out
}

fn samples(n: i64) -> Vec<(i64, f64)> {
    (0..n).map(|i| (T0 + i * 15_000, i as f64 / 3.0)).collect()
}

async fn holding(list: &[(&[(&str, &str)], i64)]) -> Arc<dyn Select> {
    let fake = Fake::new();
    let all: Vec<_> =
        list.iter().map(|(l, n)| (Labels::from_pairs(l.iter().copied()), samples(*n))).collect();
    append(&fake, metrics(&all)).await;
    Arc::new(fake)
}

#[test]
fn series_come_sorted_by_their_whole_labels_in_chunks_of_120() {
    run(async {
        let held = holding(&[(&[("__name__", "a"), ("b", "1")], 500), (&[("__name__", "a")], 3)]).await;
        let api = api(held, &[("dc", "eu")]);
        let got = read(&frames(&api, request(&[Matcher::equal("__name__", "a")])).await.unwrap());
        assert!(got.windows(2).all(|w| w[0].0 < w[1].0), "{got:?}");
        assert_eq!(got.iter().map(|s| s.1.len()).collect::<Vec<_>>(), [500, 3]);
        assert!(got.iter().all(|s| s.0.value("dc") == "eu"));
    });
}

#[test]
fn matchers_on_external_labels_prune_and_are_met_by_them() {
    run(async {
        let held = holding(&[(&[("__name__", "a")], 3)]).await;
        let api = api(held, &[("dc", "eu")]);
        let count = async |m: &[Matcher]| frames(&api, request(m)).await.unwrap().len();
        assert_eq!(count(&[Matcher::equal("dc", "eu")]).await, 1);
        assert_eq!(count(&[Matcher::equal("dc", "us")]).await, 0);
        assert_eq!(count(&[Matcher::new("dc", MatchOp::NotRegex, "e.*").unwrap()]).await, 0);
        let e = frames(&api, request(&[])).await.unwrap_err();
        assert_eq!(e.code(), tonic::Code::InvalidArgument);
        let bad = pb::LabelMatcher { r#type: 2, name: "a".into(), value: "(".into() };
        let e = frames(&api, pb::SeriesRequest { matchers: vec![bad], ..request(&[]) }).await.unwrap_err();
        assert!(e.message().contains('('), "{e}");
    });
}

#[test]
fn an_external_label_that_series_carry_themselves_is_not_announced_and_theirs_are_found() {
    run(async {
        let held = holding(&[
            (&[("__name__", "up"), ("job", "a")], 3),
            (&[("__name__", "up"), ("dc", "us"), ("job", "b")], 3),
        ])
        .await;
        let api = api(held, &[("dc", "eu"), ("replica", "1")]);
        let info = Info::info(&api, Request::new(InfoRequest {})).await.unwrap().into_inner();
        let sets: Vec<Labels> = info.label_sets.into_iter().map(|s| convert::from_labels(s.labels)).collect();
        assert_eq!(sets, [Labels::from_pairs([("replica", "1")])]);
        let jobs = async |dc: &str| {
            let got = read(&frames(&api, request(&[Matcher::equal("dc", dc)])).await.unwrap());
            got.iter().map(|s| s.0.value("job").to_owned()).collect::<Vec<_>>()
        };
        assert_eq!((jobs("eu").await, jobs("us").await), (vec!["a".to_owned()], vec!["b".to_owned()]));
        assert!(jobs("ap").await.is_empty());
    });
}

#[test]
fn the_value_of_an_external_label_is_there_where_series_are() {
    run(async {
        let held = holding(&[(&[("__name__", "up"), ("job", "a")], 3)]).await;
        let api = api(held, &[("dc", "eu")]);
        let values = async |label: &str, matchers: &[Matcher]| {
            let r = pb::LabelValuesRequest {
                label: label.into(),
                end: i64::MAX,
                matchers: convert::from_matchers(matchers),
                ..Default::default()
            };
            Store::label_values(&api, Request::new(r)).await.map(|r| r.into_inner().values)
        };
        assert_eq!(values("dc", &[]).await.unwrap(), ["eu"]);
        assert_eq!(values("dc", &[Matcher::equal("job", "a")]).await.unwrap(), ["eu"]);
        assert!(values("dc", &[Matcher::equal("job", "b")]).await.unwrap().is_empty());
        let any = Matcher::new("dc", MatchOp::Regex, ".*").unwrap();
        assert_eq!(values("dc", &[Matcher::equal("__name__", "up"), any]).await.unwrap(), ["eu"]);
        assert_eq!(values("", &[]).await.unwrap_err().message(), "label name parameter cannot be empty");
    });
}

#[test]
fn replica_labels_go_before_sorting_and_replicas_become_one_series() {
    run(async {
        let held = holding(&[
            (&[("__name__", "a"), ("replica", "1"), ("x", "2")], 3),
            (&[("__name__", "a"), ("replica", "2"), ("x", "1")], 3),
            (&[("__name__", "a"), ("replica", "2"), ("x", "2")], 3),
        ])
        .await;
        let api = api(held, &[]);
        let any = [Matcher::equal("__name__", "a")];
        let r = pb::SeriesRequest { without_replica_labels: vec!["replica".into()], ..request(&any) };
        let got = read(&frames(&api, r).await.unwrap());
        assert_eq!(got.iter().map(|s| s.0.value("x")).collect::<Vec<_>>(), ["1", "2"]);
        assert!(got.iter().all(|s| s.0.get("replica").is_none()));
        let r = pb::LabelNamesRequest {
            without_replica_labels: vec!["replica".into()],
            end: i64::MAX,
            ..Default::default()
        };
        let names = Store::label_names(&api, Request::new(r)).await.unwrap().into_inner().names;
        assert_eq!(names, ["__name__", "x"]);
    });
}

#[test]
fn labels_alone_limits_and_batches_are_as_asked_for() {
    run(async {
        let held =
            holding(&[(&[("__name__", "a")], 3), (&[("__name__", "b")], 3), (&[("__name__", "c")], 3)]).await;
        let api = api(held, &[]);
        let any = [Matcher::new("__name__", MatchOp::Regex, ".+").unwrap()];
        let labels = pb::SeriesRequest { skip_chunks: true, ..request(&any) };
        let got = read(&frames(&api, labels).await.unwrap());
        assert!(got.len() == 3 && got.iter().all(|s| s.1.is_empty()));
        let two = pb::SeriesRequest { limit: 2, ..request(&any) };
        assert_eq!(read(&frames(&api, two).await.unwrap()).len(), 2);
        let batched =
            frames(&api, pb::SeriesRequest { response_batch_size: 8, ..request(&any) }).await.unwrap();
        assert!(batched.iter().all(|f| matches!(f, Frame::Batch(_))) && read(&batched).len() == 3);
        let nothing = pb::SeriesRequest { min_time: 5, max_time: 4, ..request(&any) };
        assert!(frames(&api, nothing).await.unwrap().is_empty());
        let r = pb::LabelValuesRequest {
            label: "__name__".into(),
            end: i64::MAX,
            limit: 2,
            ..Default::default()
        };
        let values = Store::label_values(&api, Request::new(r)).await.unwrap().into_inner().values;
        assert_eq!(values, ["a", "b"]);
    });
}

#[test]
fn what_is_missing_is_a_warning_or_an_error_as_the_caller_wants() {
    run(async {
        let script = Script {
            series: vec![Act::Item(series("a", &[(T0, 1.0)]))],
            partial: true,
            names: vec!["a".into()],
            ..Script::default()
        };
        let api = api(Arc::new(script), &[]);
        let any = [Matcher::equal("__name__", "a")];
        let got = frames(&api, request(&any)).await.unwrap();
        assert_eq!(read(&got).len(), 1);
        let warned = got
            .iter()
            .any(|f| matches!(f, Frame::Warning(w) if w == "local partial: a segment is unreadable"));
        assert!(warned, "{got:?}");
        let strict = pb::SeriesRequest { partial_response_strategy: 1, ..request(&any) };
        assert_eq!(frames(&api, strict).await.unwrap_err().code(), tonic::Code::Aborted);
    });
}

#[test]
fn a_store_that_fails_is_an_error_with_its_code() {
    run(async {
        let script = Script { series: vec![Act::Fail(crate::fixtures::refused())], ..Script::default() };
        for external in [&[][..], &[("dc", "eu")]] {
            let script = Script { series: script.series.clone(), ..Script::default() };
            let api = api(Arc::new(script), external);
            let e = frames(&api, request(&[Matcher::equal("__name__", "a")])).await.unwrap_err();
            assert_eq!((e.code(), e.message()), (tonic::Code::Unavailable, "connection refused"));
        }
    });
}

#[test]
fn info_tells_labels_and_times() {
    run(async {
        let api = api(Arc::new(Fake::new()), &[("dc", "eu")]);
        let info = Info::info(&api, Request::new(InfoRequest {})).await.unwrap().into_inner();
        assert_eq!(info.label_sets.len(), 1);
        let store = info.store.unwrap();
        assert_eq!(
            (store.min_time, store.max_time, store.supports_without_replica_labels),
            (T0, i64::MAX, true)
        );
    });
}

#[test]
fn a_histogram_goes_through_as_it_is() {
    let h = model::Histogram {
        schema: 3,
        count: 3.0,
        sum: 1.5,
        positive_spans: vec![BucketSpan { offset: -2, length: 2 }],
        positive_buckets: vec![1.0, 2.0],
        ..model::Histogram::default()
    };
    let mut s = series("h", &[]);
    s.histograms = vec![(T0, 0, h.clone())];
    run(async {
        let api = api(Arc::new(Script { series: vec![Act::Item(s)], ..Script::default() }), &[]);
        let got = frames(&api, request(&[Matcher::equal("__name__", "h")])).await.unwrap();
        let Some(Frame::Series(s)) = got.first() else { panic!("{got:?}") };
        let raw = s.chunks[0].raw.as_ref().unwrap();
        assert_eq!(raw.r#type, 2);
        let points = tsdb::chunk::decode(3, &raw.data).unwrap();
        assert_eq!(points.histograms[0].histogram.positive_buckets, h.positive_buckets);
    });
}

proptest! {
    #[test]
    fn any_series_come_back_sample_for_sample(
        held in proptest::collection::btree_map(("[ab]", "[xyz]?", "[pq]?"), proptest::collection::btree_map(0i64..1000, any::<f64>(), 1..200), 0..5),
        external in "[e]?",
    ) {
        run(async {
            let all: Vec<(Labels, Vec<(i64, f64)>)> = held.iter().map(|((n, z, d), s)| {
                let labels = Labels::from_pairs([("__name__", n), ("zone", z), ("dc", d)]);
                (labels, s.iter().map(|(t, v)| (T0 + t * 997, *v)).collect())
            }).collect();
            let fake = Fake::new();
            append(&fake, metrics(&all)).await;
            let api = api(Arc::new(fake), &[("ext", external.as_str())]);
            let any = [Matcher::new("__name__", MatchOp::Regex, ".+").unwrap()];
            let got = read(&frames(&api, request(&any)).await.unwrap());
            let mut want: Vec<_> = all.iter().map(|(l, s)| {
                (l.with("ext", &external), s.iter().map(|(t, v)| (*t, v.to_bits())).collect::<Vec<_>>())
            }).collect();
            want.sort();
            assert_eq!(got, want);
        });
    }
}

#[test]
fn a_federation_is_served_with_the_labels_of_its_members() {
    run(async {
        let a = holding(&[(&[("__name__", "a"), ("cluster", "a")], 3)]).await;
        let b = holding(&[(&[("__name__", "a"), ("cluster", "b")], 3)]).await;
        let counts = crate::Counts::register(&base::Metrics::default());
        let federation = crate::Federation::new(vec![member("a", a), member("b", b)], counts);
        let sets = ["a", "b"].map(|c| Labels::from_pairs([("cluster", c)])).to_vec();
        let api = StoreApi { label_sets: sets, ..api(Arc::new(federation), &[]) };
        let count = async |m: Matcher| read(&frames(&api, request(&[m])).await.unwrap()).len();
        assert_eq!(count(Matcher::equal("__name__", "a")).await, 2);
        assert_eq!(count(Matcher::equal("cluster", "b")).await, 1);
        assert_eq!(count(Matcher::equal("cluster", "c")).await, 0);
    });
}
