use model::{AnyValue, Attributes, Span, SpanKind, TimeRange, attributes::Resource, span::SpanOrigin};

use super::{query::traceql, *};
use crate::{
    fixtures::series_request,
    foreign::{
        ForeignKind,
        tests::server::{Asked, Reply, serve},
    },
};

const T0: i64 = 1_700_000_000_000_000_000;

fn batch(n: u8) -> SpanBatch {
    let mut trace_id = [0; 16];
    trace_id[15] = n;
    let span = |i: u8, start_ns| Span {
        trace_id,
        span_id: [i; 8],
        name: format!("op {i}"),
        start_ns,
        end_ns: start_ns + 5_000_000,
        ..Span::default()
    };
    let resource =
        Resource { attributes: Attributes::from_iter([("service.name", "web")]), ..Resource::default() };
    SpanBatch {
        origins: vec![SpanOrigin { resource, ..SpanOrigin::default() }],
        spans: vec![span(1, T0 + i64::from(n)), span(2, T0 + i64::from(n) + 100)],
    }
}

/// Answers the first trace as 2.6 does and the second as versions before.
fn answers(asked: &Asked) -> Reply {
    let protobuf = |enveloped: bool, n: u8, more: &[u8]| {
        let trace = wire::otlp::traces::encode_bytes(&batch(n));
        let mut body = Vec::new();
        if enveloped {
            body.push(0x0a);
            let mut length = trace.len();
            while length >= 0x80 {
                body.push(length as u8 | 0x80);
                length >>= 7;
            }
            body.push(length as u8);
        }
        body.extend(trace);
        body.extend(more);
        Reply::new(200, "application/protobuf", body)
    };
    match asked.path.as_str() {
        "/api/v2/traces/00000000000000000000000000000001" => protobuf(true, 1, b""),
        "/api/traces/00000000000000000000000000000002" => protobuf(false, 2, b""),
        // As 2.7 and later say it of a trace that is larger than they give out: `status` (3) is PARTIAL (1).
        "/api/v2/traces/00000000000000000000000000000003" => {
            protobuf(true, 3, b"\x18\x01\x22\x13trace exceeds limit")
        }
        "/api/search" => {
            assert!(asked.get("q").starts_with('{') && asked.get("start") < asked.get("end"));
            Reply::json(
                r#"{"traces":[{"traceID":"1","rootServiceName":"web"},{"traceID":"2"}],"metrics":{}}"#,
            )
        }
        "/api/v2/search/tags" => Reply::json(
            r#"{"scopes":[{"name":"span","tags":["http.route"]},{"name":"intrinsic","tags":["duration"]},{"name":"resource","tags":["service.name"]}]}"#,
        ),
        "/api/v2/search/tag/resource.service.name/values" => {
            Reply::json(r#"{"tagValues":[{"type":"string","value":"web"},{"type":"string","value":"db"}]}"#)
        }
        "/api/v2/search/tag/name/values" => {
            assert_eq!(asked.get("q"), "{resource.service.name = \"web\"}");
            Reply::json(r#"{"tagValues":[{"type":"string","value":"GET"}]}"#)
        }
        _ => Reply::none(),
    }
}

async fn peer() -> Arc<dyn Select> {
    let s = crate::foreign::tests::settings(ForeignKind::Tempo, &serve(|asked| answers(&asked)).await);
    crate::foreign::open(s, Clock::manual(T0 + 3_600_000_000_000)).unwrap()
}

fn request(filters: Vec<SpanFilter>) -> SpansRequest {
    SpansRequest { filters, ..SpansRequest::new(series_request(Vec::new(), TimeRange::ALL).scope) }
}

async fn found(r: SpansRequest) -> Vec<(u8, String)> {
    let (pieces, coverage) = peer().await.spans(r).await.unwrap().collect().await.unwrap();
    assert!(coverage.is_complete());
    assert!(
        pieces
            .iter()
            .flat_map(|p| &p.origins)
            .all(|o| o.resource.attributes.get_str("cluster") == Some("legacy"))
    );
    pieces.iter().flat_map(|p| &p.spans).map(|s| (s.trace_id[15], s.name.clone())).collect()
}

#[tokio::test]
async fn a_search_finds_traces_of_both_versions_and_gives_the_spans_that_pass() {
    let all = found(request(Vec::new())).await;
    assert_eq!(all.iter().map(|s| s.0).collect::<Vec<_>>(), [2, 1, 2, 1]);
    let some = found(request(vec![SpanFilter::Name("op 2".into())])).await;
    assert_eq!(some, [(2, "op 2".to_owned()), (1, "op 2".to_owned())]);
    let mut one = [0; 16];
    one[15] = 2;
    let by_id = SpansRequest { trace_ids: vec![one, [0xee; 16]], ..request(Vec::new()) };
    assert_eq!(found(by_id).await.len(), 2);
}

#[tokio::test]
async fn a_trace_that_is_not_whole_there_is_partial_here() {
    let mut three = [0; 16];
    three[15] = 3;
    let r = SpansRequest { trace_ids: vec![three], ..request(Vec::new()) };
    let (pieces, coverage) = peer().await.spans(r).await.unwrap().collect().await.unwrap();
    assert_eq!(pieces.iter().map(|p| p.spans.len()).sum::<usize>(), 2);
    let source = &coverage.sources()[0];
    assert_eq!(source.state, contract::CoverageState::Partial);
    assert!(source.reason.ends_with("3 is not whole: trace exceeds limit"), "{}", source.reason);
}

#[tokio::test]
async fn tags_and_their_values_are_listed() {
    let peer = peer().await;
    let scope = series_request(Vec::new(), TimeRange::ALL).scope;
    let names = LabelNamesRequest {
        scope: scope.clone(),
        signal: Signal::TRACES,
        selectors: Vec::new(),
        limit: None,
    };
    assert_eq!(peer.label_names(names).await.unwrap().0, ["cluster", "http.route", "service.name"]);
    let values = async |field: NamedField| {
        let r = LabelValuesRequest {
            scope: scope.clone(),
            signal: Signal::TRACES,
            field,
            selectors: Vec::new(),
            limit: None,
        };
        peer.label_values(r).await.unwrap().0
    };
    assert_eq!(values(NamedField::Service).await, ["db", "web"]);
    assert_eq!(values(NamedField::Operation { service: Some("web".into()), kind: None }).await, ["GET"]);
    assert_eq!(values(NamedField::Attribute("cluster".into())).await, ["legacy"]);
}

/// A Tempo that searches no more than a week, each day one trace with the day's number.
fn by_week(asked: &Asked) -> Reply {
    const DAY: i64 = 86_400;
    let second = |name: &str| asked.get(name).parse::<i64>().unwrap();
    if asked.path.starts_with("/api/search") || asked.path.starts_with("/api/v2/search") {
        let (start, end) = (second("start"), second("end"));
        if end - start > 7 * DAY {
            let said = format!(
                "range specified by start and end exceeds 168h0m0s. received start={start} end={end}"
            );
            return Reply::new(400, "text/plain", said);
        }
        if asked.path != "/api/search" {
            return Reply::json(format!(
                r#"{{"tagValues":[{{"type":"string","value":"week {}"}}]}}"#,
                start / DAY / 7
            ));
        }
        let first_day = T0 / 1_000_000_000 / DAY;
        let days = (1..=20).filter(|n| (start..=end).contains(&((first_day - n) * DAY)));
        let found: Vec<String> = days.map(|n| format!(r#"{{"traceID":"{n:x}"}}"#)).collect();
        return Reply::json(format!(r#"{{"traces":[{}]}}"#, found.join(",")));
    }
    match asked.path.strip_prefix("/api/traces/").and_then(|i| u8::from_str_radix(i.get(30..)?, 16).ok()) {
        Some(n) => Reply::new(200, "application/protobuf", wire::otlp::traces::encode_bytes(&batch(n))),
        None => Reply::none(),
    }
}

#[tokio::test]
async fn what_is_too_long_for_one_search_is_searched_week_by_week() {
    let s = crate::foreign::tests::settings(ForeignKind::Tempo, &serve(|asked| by_week(&asked)).await);
    let peer = crate::foreign::open(s, Clock::manual(T0)).unwrap();
    let ids = async |max_traces| {
        let r = SpansRequest { max_traces, ..request(Vec::new()) };
        let (pieces, coverage) = peer.spans(r).await.unwrap().collect().await.unwrap();
        assert!(coverage.is_complete());
        pieces.iter().flat_map(|p| &p.spans).map(|s| s.trace_id[15]).collect::<HashSet<_>>()
    };
    assert_eq!(ids(None).await, (1..=20).collect());
    assert_eq!(ids(Some(3)).await, (3..=5).collect(), "the newest week has enough");
    let r = LabelValuesRequest {
        scope: request(Vec::new()).scope,
        signal: Signal::TRACES,
        field: NamedField::Service,
        selectors: Vec::new(),
        limit: None,
    };
    assert_eq!(peer.label_values(r).await.unwrap().0.len(), LIST_WINDOWS);
}

#[test]
fn the_window_that_is_allowed_is_read_from_the_refusal() {
    let e = |text: &str| Error::invalid(format!("tempo answered 400: {text}"));
    let refusal = "range specified by start and end exceeds 24h30m0s. received start=1 end=2";
    assert_eq!(shorter(&e(refusal), 1_000_000), Some(88_200));
    assert_eq!(shorter(&e(&refusal.replace("24h30m0s.", "a while.")), 1000), Some(250));
    assert_eq!(shorter(&e(refusal), LEAST_WINDOW_S), None);
    assert_eq!(shorter(&e("invalid TraceQL query"), 1000), None);
}

proptest::proptest! {
    #[test]
    fn no_text_is_too_strange_for_a_duration(text in "[0-9hmsé.]{0,30}") {
        let _ = go_seconds(&text);
    }
}

#[test]
fn filters_are_written_as_traceql() {
    let filters = [
        SpanFilter::Service("a\"b".into()),
        SpanFilter::Kind(SpanKind::Server),
        SpanFilter::MinDurationNs(1_000_000),
        SpanFilter::Error(true),
        SpanFilter::Attribute("http.code".into(), AnyValue::Int(5)),
        SpanFilter::Attribute("n".into(), "6".into()),
        SpanFilter::Attribute("a b".into(), "x".into()),
    ];
    let want = "{resource.service.name = \"a\\\"b\" && kind = server && duration >= 1000000ns && status = error && \
                .http.code = 5 && (.n = \"6\" || .n = 6) && .\"a b\" = \"x\"}";
    assert_eq!(traceql(&filters, &[]), want);
    assert_eq!(traceql(&[], &[]), "{}");
}

#[test]
fn conditions_are_written_as_far_as_every_version_knows_them() {
    use contract::{Comparison, SpanPattern, SpanScope, SpanTest, SpanValue};
    let attribute = |scope, key: &str| SpanField::Attribute(scope, key.to_owned());
    let is = |how, value| SpanTest::Is(how, value);
    let condition = SpanCondition::new;
    let slow = condition(SpanField::Duration, is(Comparison::Greater, SpanValue::Int(5)));
    let code = condition(attribute(SpanScope::Any, "code"), is(Comparison::NotEqual, SpanValue::Int(200)));
    let named = condition(SpanField::Name, SpanTest::Matches(SpanPattern::new("GET .*").unwrap()));
    let event = condition(SpanField::EventName, SpanTest::Exists);
    let ask = |any_of: &[Vec<SpanCondition>]| traceql(&[SpanFilter::Error(true)], any_of);
    assert_eq!(ask(&[vec![slow.clone(), event.clone()]]), "{status = error && duration > 5ns}");
    assert_eq!(
        ask(&[vec![code, named], vec![slow.clone()]]),
        "{status = error && (((span.code != 200 || resource.code != 200) && name =~ \"^(?:GET .*)$\") || (duration > 5ns))}"
    );
    assert_eq!(ask(&[vec![slow], vec![event]]), "{status = error}", "what cannot be said may be anything");
}
