use std::{sync::Arc, time::Duration};

use base::{Kind, MemoryBudget, Metrics};
use contract::{
    Capabilities, Coverage, CoverageState, Direction, Error, ExemplarsRequest, LabelNamesRequest,
    LabelValuesRequest, LineFilter, LogsRequest, MetadataRequest, NamedField, QueryLimits, Select,
    SeriesData, SeriesHints, SeriesRequest, SourceCoverage, SpanFilter, SpansRequest, fake::Fake,
};
use futures::StreamExt;
use model::{
    AnyValue, Attributes, Batch, Exemplar, Histogram, Labels, LogBatch, LogRecord, LogStream, MatchOp,
    Matcher, MetricBatch, MetricKind, MetricMetadata, Span, SpanBatch, SpanKind, TimeRange,
    attributes::Resource, metric::HistogramSample, span::SpanOrigin,
};
use proptest::prelude::*;
use proto::peer as pb;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Endpoint;

use super::*;
use crate::{
    Counts, Federation,
    fixtures::{Act, Script, append, member, refused, scope, series, series_request},
};

mod evaluate_it;

/// A server on a port of its own, and a client of it.
async fn connected(select: Arc<dyn Select>, limits: QueryLimits) -> (Client, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let announce = |asker: &Asker| Announcement {
        cluster: "dev-01".into(),
        replica: Some("a".into()),
        labels: Labels::from_pairs([("cluster", "dev-01"), ("region", "eu")]),
        version: "0.1.0".into(),
        held: vec![Held { signal: Signal::LOGS, oldest: Some(TimestampNs(-5)), watermark: None }],
        // So that the test sees what was asked.
        beyond: vec![Beyond {
            cluster: asker.cluster.clone(),
            replica: asker.replica.clone(),
            hops: 2,
            ..Beyond::default()
        }],
        node: asker.node.clone(),
        ..Announcement::default()
    };
    let service = Server::new(select, announce, limits).into_service();
    let served = tokio::spawn(async move {
        let incoming = TcpListenerStream::new(listener);
        tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming).await.unwrap();
    });
    let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect_lazy();
    (Client::new(channel, Capabilities::default()), served)
}

fn run<F: Future>(test: F) -> F::Output {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(test)
}

fn metrics() -> MetricBatch {
    let mut b = MetricBatch::default();
    for (i, name) in ["up", "requests_total", "load"].into_iter().enumerate() {
        for instance in ["a", "b"] {
            let s = b.push_series(Labels::from_pairs([("__name__", name), ("instance", instance)]));
            for t in 0..20 {
                let value = if t == 7 { model::stale_marker() } else { 0.1 * t as f64 + i as f64 };
                b.samples.push_started(s, t * 15_000, value, if i == 1 { 3 } else { 0 });
            }
            let labels = Labels::from_pairs([("trace_id", "abc")]);
            b.exemplars.push((s, Exemplar { labels, value: 0.5, timestamp_ms: 30_000 }));
        }
    }
    // More than fits in one part.
    let s = b.push_series(Labels::from_pairs([("__name__", "long"), ("instance", "a")]));
    (0..150_000).for_each(|t| b.samples.push(s, t, t as f64 * 1.5));
    let s = b.push_series(Labels::from_pairs([("__name__", "latency"), ("instance", "a")]));
    for t in 0..3 {
        let histogram = Histogram { count: 3.0, sum: 4.5, zero_count: 3.0, ..Histogram::default() };
        b.histograms.push(HistogramSample { series: s, timestamp_ms: t * 1000, start_ms: 7, histogram });
    }
    b.metadata.push(MetricMetadata {
        family: "requests".into(),
        kind: MetricKind::Counter,
        unit: "s".into(),
        help: "Requests served.".into(),
    });
    b
}

fn logs() -> LogBatch {
    let stream = |v: &str| LogStream {
        labels: Labels::from_pairs([("service_name", v)]),
        resource: Resource {
            attributes: Attributes::from_iter([("host.name", "h1")]),
            ..Resource::default()
        },
        ..LogStream::default()
    };
    let record = |i: i64| LogRecord {
        stream: (i % 2) as u32,
        timestamp_ns: i,
        // Together more than one part.
        body: format!("line {i} {}", "x".repeat(2000)).into(),
        attributes: Attributes::from_iter([("code", AnyValue::Int(i))]),
        trace_id: [1; 16],
        ..LogRecord::default()
    };
    LogBatch { streams: vec![stream("web"), stream("db")], records: (0..1500).map(record).collect() }
}

fn spans() -> SpanBatch {
    let origin = |v: &str| SpanOrigin {
        resource: Resource {
            attributes: Attributes::from_iter([("service.name", v)]),
            ..Resource::default()
        },
        ..SpanOrigin::default()
    };
    let span = |i: i64| Span {
        origin: (i % 2) as u32,
        trace_id: [(i / 10) as u8 + 1; 16],
        span_id: i.to_be_bytes(),
        name: format!("op {}", i % 3),
        kind: if i % 2 == 0 { SpanKind::Server } else { SpanKind::Client },
        start_ns: i,
        end_ns: i + 10 * (i % 4),
        attributes: Attributes::from_iter([("n", AnyValue::Int(i % 5))]),
        ..Span::default()
    };
    SpanBatch { origins: vec![origin("web"), origin("db")], spans: (0..500).map(span).collect() }
}

async fn filled() -> Arc<Fake> {
    let fake = Fake::new();
    append(&fake, Batch::Metrics(metrics())).await;
    append(&fake, Batch::Logs(logs())).await;
    append(&fake, Batch::Spans(spans())).await;
    Arc::new(fake)
}

/// Compared by bits, so that a marker of staleness equals itself.
async fn all_series(of: &dyn Select, matchers: Vec<Matcher>, range: TimeRange) -> Vec<SeriesData> {
    let request = SeriesRequest {
        hints: SeriesHints {
            step_ms: 15,
            by: vec!["a".into()],
            function: Some("rate".into()),
            ..SeriesHints::default()
        },
        ..series_request(matchers, range)
    };
    let mut found = of.series(request).await.unwrap().collect().await.unwrap().0;
    for s in &mut found {
        s.values.iter_mut().for_each(|v| *v = if v.is_nan() { v.to_bits() as f64 } else { *v });
    }
    found
}

async fn all_logs(of: &dyn Select, request: &LogsRequest) -> Vec<(Labels, Resource, LogRecord)> {
    let mut out = Vec::new();
    for piece in of.logs(request.clone()).await.unwrap().collect().await.unwrap().0 {
        for mut r in piece.records {
            let stream = &piece.streams[r.stream as usize];
            r.stream = 0;
            out.push((stream.labels.clone(), stream.resource.clone(), r));
        }
    }
    out
}

async fn all_spans(of: &dyn Select, request: &SpansRequest) -> Vec<(Span, SpanOrigin)> {
    let mut out = Vec::new();
    for piece in of.spans(request.clone()).await.unwrap().collect().await.unwrap().0 {
        for mut s in piece.spans {
            let origin = piece.origins[s.origin as usize].clone();
            s.origin = 0;
            out.push((s, origin));
        }
    }
    out
}

#[test]
fn series_over_the_wire_are_what_is_held() {
    run(async {
        let held = filled().await;
        let (client, _served) = connected(held.clone(), QueryLimits::default()).await;
        let m = |name: &str, op, value: &str| Matcher::new(name, op, value).unwrap();
        for matchers in [
            vec![m("__name__", MatchOp::Regex, ".+")],
            vec![m("instance", MatchOp::NotEqual, "a"), m("__name__", MatchOp::NotRegex, "l.*")],
            vec![Matcher::equal("__name__", "nothing")],
        ] {
            for range in [TimeRange::ALL, TimeRange::from_ms_inclusive(15_000, 80_000)] {
                let want = all_series(&*held, matchers.clone(), range).await;
                assert_eq!(all_series(&client, matchers.clone(), range).await, want);
            }
        }
        let request = ExemplarsRequest {
            scope: scope(TimeRange::ALL),
            selectors: vec![vec![Matcher::equal("instance", "a")], vec![Matcher::equal("__name__", "up")]],
        };
        let want = held.exemplars(request.clone()).await.unwrap();
        assert_eq!(client.exemplars(request).await.unwrap(), want);
    });
}

#[test]
fn logs_and_spans_over_the_wire_are_what_is_held() {
    run(async {
        let held = filled().await;
        let (client, _served) = connected(held.clone(), QueryLimits::default()).await;
        let mut request = LogsRequest {
            scope: scope(TimeRange::new(TimestampNs(10), TimestampNs(1400))),
            matchers: vec![],
            line_filters: vec![],
            direction: Direction::NewestFirst,
            limit: None,
            fields: Vec::new(),
            passing: None,
        };
        assert_eq!(all_logs(&client, &request).await, all_logs(&*held, &request).await);
        request.direction = Direction::OldestFirst;
        request.limit = Some(9);
        request.matchers = vec![Matcher::equal("service_name", "db")];
        request.line_filters =
            vec![LineFilter::Contains("1".into()), LineFilter::NotRegex("line 1[0-4]".into())];
        assert_eq!(all_logs(&client, &request).await, all_logs(&*held, &request).await);

        let filters = [
            vec![],
            vec![
                SpanFilter::Service("db".into()),
                SpanFilter::Kind(SpanKind::Client),
                SpanFilter::Error(false),
            ],
            vec![
                SpanFilter::Name("op 1".into()),
                SpanFilter::MinDurationNs(10),
                SpanFilter::MaxDurationNs(20),
            ],
            vec![SpanFilter::Attribute("n".into(), AnyValue::Int(3))],
            vec![SpanFilter::Attribute("service.name".into(), "web".into())],
        ];
        for filters in filters {
            for (max_traces, trace_ids) in [(None, vec![]), (Some(3), vec![]), (None, vec![[2; 16], [9; 16]])]
            {
                let scope = scope(TimeRange::ALL);
                let request = SpansRequest {
                    trace_ids,
                    filters: filters.clone(),
                    max_traces,
                    ..SpansRequest::new(scope)
                };
                assert_eq!(all_spans(&client, &request).await, all_spans(&*held, &request).await);
            }
        }
    });
}

#[test]
fn lists_over_the_wire_are_what_is_held() {
    run(async {
        let held = filled().await;
        let (client, _served) = connected(held.clone(), QueryLimits::default()).await;
        for (signal, selectors, limit) in [
            (Signal::METRICS, vec![], None),
            (Signal::METRICS, vec![vec![Matcher::equal("__name__", "up")]], Some(1)),
            (Signal::LOGS, vec![], None),
        ] {
            let request = LabelNamesRequest { scope: scope(TimeRange::ALL), signal, selectors, limit };
            let want = held.label_names(request.clone()).await.unwrap();
            assert_eq!(client.label_names(request.clone()).await.unwrap(), want);
            let want = held.label_sets(request.clone()).await.unwrap();
            assert_eq!(client.label_sets(request).await.unwrap(), want);
        }
        for field in [
            NamedField::Label("instance".into()),
            NamedField::Service,
            NamedField::Operation { service: Some("db".into()), kind: Some(SpanKind::Client) },
            NamedField::Operation { service: None, kind: None },
            NamedField::Attribute("n".into()),
        ] {
            let (scope, signal) = (scope(TimeRange::ALL), Signal::METRICS);
            let request = LabelValuesRequest { scope, signal, field, selectors: vec![], limit: None };
            let want = held.label_values(request.clone()).await.unwrap();
            assert_eq!(client.label_values(request).await.unwrap(), want);
        }
        for family in [None, Some("requests".to_owned()), Some("none".to_owned())] {
            let request = MetadataRequest { scope: scope(TimeRange::ALL), family, limit: None };
            let want = held.metadata(request.clone()).await.unwrap();
            assert_eq!(client.metadata(request).await.unwrap(), want);
        }
    });
}

#[test]
fn a_peer_says_who_it_is_and_what_it_can_do() {
    run(async {
        let (client, _served) = connected(filled().await, QueryLimits::default()).await;
        let asker = Asker {
            cluster: "ops-01".into(),
            replica: Some("b".into()),
            node: "n1".into(),
            ..Asker::default()
        };
        let told = client.announce(&asker).await.unwrap();
        assert_eq!((told.cluster.as_str(), told.replica.as_deref()), ("dev-01", Some("a")));
        assert_eq!(told.labels, Labels::from_pairs([("cluster", "dev-01"), ("region", "eu")]));
        assert_eq!(told.held[0].oldest, Some(TimestampNs(-5)));
        let beyond = &told.beyond[0];
        assert_eq!(
            (beyond.cluster.as_str(), beyond.replica.as_deref(), beyond.hops),
            ("ops-01", Some("b"), 2)
        );
        assert_eq!(told.node, "n1");
        let can = client.with(&told).capabilities();
        let signals = Signal::KNOWN.to_vec();
        let want =
            Capabilities { signals, filters_lines: true, filters_spans: true, ..Capabilities::default() };
        assert_eq!(can, want);
    });
}

#[test]
fn errors_keep_their_kind_and_their_limit_and_what_came_before() {
    run(async {
        let e =
            Error::limited("query.max_series", "the selector matches more than query.max_series (1) series");
        let script = Script {
            series: vec![
                Act::Item(series("a", &[(1, 1.0)])),
                Act::Item(series("b", &[(1, 1.0)])),
                Act::Fail(e),
            ],
            ..Script::default()
        };
        let (client, _served) = connected(Arc::new(script), QueryLimits::default()).await;
        let ask = || series_request(vec![Matcher::equal("__name__", "a")], TimeRange::ALL);
        let mut selection = client.series(ask()).await.unwrap();
        assert!(selection.items.next().await.unwrap().is_ok());
        let failed = loop {
            match selection.items.next().await.unwrap() {
                Ok(_) => {}
                Err(e) => break e,
            }
        };
        assert_eq!((failed.kind, failed.limit), (Kind::Limited, Some("query.max_series")));
        let mut bad = ask();
        bad.scope.limits.max_samples = 10;
        let script = Script { first: vec![Act::Fail(refused())], ..Script::default() };
        let (client, _served) = connected(Arc::new(script), QueryLimits::default()).await;
        let failed = client.series(bad).await.unwrap().collect().await.unwrap_err();
        assert_eq!((failed.kind, failed.message.as_str()), (Kind::Unavailable, "connection refused"));
    });
}

#[test]
fn a_question_costs_no_more_than_the_answering_node_allows() {
    run(async {
        let script = Arc::new(Script::default());
        let memory = MemoryBudget::new(77);
        let own = QueryLimits { max_series: 5, memory, ..QueryLimits::default() };
        let (client, _served) = connected(script.clone(), own).await;
        let mut r =
            series_request(vec![Matcher::equal("__name__", "a")], TimeRange::from_ms_inclusive(-3, 9));
        r.scope.limits.max_samples = 123;
        r.scope.limits.elsewhere = vec!["prod-01/a".to_owned()].into();
        r.scope.limits.deadline = Some(std::time::Instant::now() + Duration::from_secs(60));
        client.series(r.clone()).await.unwrap().collect().await.unwrap();
        let told = script.told.lock().clone().unwrap();
        assert_eq!((told.limits.max_samples, told.limits.max_series), (123, 5));
        assert_eq!((told.limits.memory.limit_bytes(), told.range), (77, r.scope.range));
        assert_eq!(told.limits.elsewhere, r.scope.limits.elsewhere);
        let left = told.limits.deadline.unwrap().duration_since(std::time::Instant::now());
        assert!(left <= Duration::from_secs(60));
    });
}

#[test]
fn nobody_listening_and_a_server_that_goes_away_are_told_apart_from_an_answer() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect_lazy();
        let client = Client::new(channel, Capabilities::default());
        let ask = || series_request(vec![Matcher::equal("__name__", "a")], TimeRange::ALL);
        let failed = client.series(ask()).await.err().unwrap();
        assert_eq!(failed.kind, Kind::Unavailable);
        assert!(failed.message.to_lowercase().contains("connection refused"), "{failed}");

        let hanging = || Script {
            series: vec![Act::Item(series("a", &[(1, 1.0)])), Act::Item(series("b", &[(1, 1.0)])), Act::Hang],
            ..Script::default()
        };
        let elsewhere =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let connecting = connected(Arc::new(hanging()), QueryLimits::default());
        let (client, _served) = elsewhere.spawn(connecting).await.unwrap();
        let mut selection = client.series(ask()).await.unwrap();
        assert!(selection.items.next().await.unwrap().is_ok());
        elsewhere.shutdown_background();
        // What waited for its rest, and then that there is no more.
        assert!(selection.items.next().await.unwrap().is_ok());
        let failed = selection.items.next().await.unwrap().unwrap_err();
        assert_eq!(failed.kind, Kind::Unavailable, "{failed}");

        let script = hanging();
        let open = script.open.clone();
        let (client, _served) = connected(Arc::new(script), QueryLimits::default()).await;
        let mut selection = client.series(ask()).await.unwrap();
        assert!(selection.items.next().await.unwrap().is_ok());
        assert_eq!(Arc::strong_count(&open), 3);
        drop(selection);
        while Arc::strong_count(&open) > 2 {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn a_federation_over_peers_answers_and_covers_as_over_members_of_its_own() {
    run(async {
        let (good, _one) = connected(filled().await, QueryLimits::default()).await;
        let script = Script {
            series: vec![Act::Item(series("a", &[(1, 1.0)])), Act::Fail(refused())],
            ..Script::default()
        };
        let (broken, _two) = connected(Arc::new(script), QueryLimits::default()).await;
        let members = vec![member("dev-01", Arc::new(good)), member("prod-01", Arc::new(broken))];
        let federation = Federation::new(members, Counts::register(&Metrics::default()));
        let ask =
            series_request(vec![Matcher::new("__name__", MatchOp::Regex, ".+").unwrap()], TimeRange::ALL);
        let (found, coverage) = federation.series(ask).await.unwrap().collect().await.unwrap();
        assert_eq!(found.len(), 9);
        let states: Vec<_> =
            coverage.sources().iter().map(|s| (s.cluster.as_str(), s.state, s.reason.as_str())).collect();
        let (complete, partial) = (CoverageState::Complete, CoverageState::Partial);
        assert_eq!(states, [("dev-01", complete, ""), ("prod-01", partial, "connection refused")]);
    });
}

#[test]
fn coverage_is_the_same_on_the_other_side() {
    let source = |replica: Option<&str>, state, reason: &str| SourceCoverage {
        cluster: "dev-01".into(),
        replica: replica.map(str::to_owned),
        signal: Signal::TRACES,
        state,
        covered: vec![
            TimeRange::new(TimestampNs(-3), TimestampNs(8)),
            TimeRange::new(TimestampNs(9), TimestampNs(10)),
        ],
        watermark: Some(TimestampNs(-1)),
        reason: reason.into(),
    };
    let mut all = Coverage::default();
    all.merge(Coverage::one(source(None, CoverageState::Complete, "")));
    all.merge(Coverage::one(source(Some("a"), CoverageState::Late, "behind")));
    all.merge(Coverage::one(source(Some("b"), CoverageState::Missing, "gone, far")));
    assert_eq!(convert::coverage_from(convert::coverage_to(&all)).unwrap(), all);
    let unknown = pb::Source { state: 99, ..pb::Source::default() };
    let read = convert::coverage_from(pb::Coverage { sources: vec![unknown] }).unwrap();
    assert_eq!(read.state(), CoverageState::Partial);
}

#[test]
fn requests_that_cannot_be_are_refused_by_name() {
    let own = QueryLimits::default();
    let says = |scope: Option<pb::Scope>| convert::scope_from(scope, &own).err().unwrap().message;
    assert_eq!(says(None), "the request has no scope");
    assert_eq!(says(Some(pb::Scope::default())), "scope.tenants is empty");
    let bad = pb::Scope { tenants: vec!["a/b".into()], ..pb::Scope::default() };
    assert!(says(Some(bad)).starts_with("scope.tenants: tenant \"a/b\" is not valid"));
    let matcher = pb::Matcher { name: "a".into(), op: 9, value: String::new() };
    let e = convert::matchers_from(vec![matcher]).err().unwrap();
    assert_eq!(e.message, "matcher of \"a\" has unknown operator 9");
    let value = AnyValue::Array(vec![]);
    let e = convert::span_filter_to(&SpanFilter::Attribute("k".into(), value)).err().unwrap();
    assert_eq!(e.message, "peers cannot be asked for attribute \"k\" with a value of type array");
}

fn some_series() -> impl Strategy<Value = Vec<SeriesData>> {
    let one = (0usize..300, 0usize..4, any::<bool>(), any::<u64>());
    prop::collection::vec(one, 0..6).prop_map(|list| {
        let series =
            |(i, (floats, histograms, started, bits)): (usize, (usize, usize, bool, u64))| SeriesData {
                labels: Labels::from_pairs([("__name__".to_owned(), format!("m{i}"))]),
                timestamps_ms: (0..floats as i64).map(|t| t * 7 - 900).collect(),
                values: (0..floats as u64).map(|v| f64::from_bits(bits.wrapping_mul(v))).collect(),
                starts_ms: if started { (0..floats as i64).map(|t| t / 2 + 1).collect() } else { Vec::new() },
                histograms: (0..histograms as i64)
                    .map(|t| {
                        (
                            t,
                            -t,
                            Histogram {
                                count: t as f64,
                                sum: 0.5,
                                zero_count: t as f64,
                                ..Histogram::default()
                            },
                        )
                    })
                    .collect(),
            };
        list.into_iter().enumerate().map(series).collect()
    })
}

proptest! {
    #[test]
    fn series_that_are_packed_are_unpacked_the_same(list in some_series()) {
        let (mut pack, mut parts) = (pack::PackSeries::default(), pack::Parts::new());
        for s in list.clone() {
            pack::Pack::push(&mut pack, s, &mut parts).unwrap();
            // As where nothing more is there just now.
            pack::Pack::flush(&mut pack, &mut parts).unwrap();
        }
        let mut unpack = unpack::UnpackSeries::new(&QueryLimits::default());
        let mut items = std::collections::VecDeque::new();
        for part in parts {
            let Some(pb::part::Part::Unit(unit)) = part.part else { panic!("a part that is no unit") };
            unpack::Unpack::push(&mut unpack, &unit, &mut items).unwrap();
        }
        unpack::Unpack::flush(&mut unpack, &mut items);
        let bits = |s: &SeriesData| s.values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        prop_assert_eq!(items.len(), list.len());
        for (got, want) in items.iter().zip(&list) {
            prop_assert_eq!(bits(got), bits(want));
            prop_assert_eq!((&got.labels, &got.timestamps_ms), (&want.labels, &want.timestamps_ms));
            prop_assert_eq!((&got.starts_ms, &got.histograms), (&want.starts_ms, &want.histograms));
        }
    }

    #[test]
    fn any_bytes_are_items_or_an_error(mut bytes in prop::collection::vec(any::<u8>(), 0..300), valid in any::<bool>()) {
        if valid {
            bytes.splice(0..0, [2, 0, 0, 0, 0, 1]);
        }
        // A unit holds no more than its bytes can name.
        prop_assert!(unpacked(&bytes) <= 100 * (1 + bytes.len()));
    }

    #[test]
    fn a_unit_with_bytes_changed_is_items_or_an_error(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut small = metrics();
        small.samples = Default::default();
        for batch in [Batch::Metrics(small), Batch::Spans(spans())] {
            let mut unit = wire::native::encode(&model::TenantId::default(), None, 0, &[batch]).unwrap();
            for (at, to) in &changes {
                let at = at.index(unit.len());
                unit[at] = *to;
            }
            unpacked(&unit);
            unit.truncate(cut.index(unit.len()));
            unpacked(&unit);
        }
    }
}
