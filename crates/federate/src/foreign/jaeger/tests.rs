use ::model::{SpanKind, TimeRange};
use contract::CoverageState;

use super::*;
use crate::{
    fixtures::series_request,
    foreign::{
        ForeignKind,
        tests::{
            opened,
            server::{Asked, Reply, serve},
        },
    },
};

fn trace(id: &str, service: &str, kind: &str, start_us: i64) -> String {
    format!(
        r#"{{"traceID":"{id}","spans":[{{"traceID":"{id}","spanID":"1","operationName":"op","startTime":{start_us},"duration":9000,
        "tags":[{{"key":"span.kind","type":"string","value":"{kind}"}}],"logs":[],"processID":"p1"}}],
        "processes":{{"p1":{{"serviceName":"{service}","tags":[]}}}}}}"#
    )
}

fn list(data: &str) -> Reply {
    Reply::json(format!(r#"{{"data":[{data}],"total":0,"limit":0,"offset":0,"errors":null}}"#))
}

/// 2023-11-14, in microseconds.
const T0: i64 = 1_700_000_000_000_000;

fn answers(asked: &Asked) -> Reply {
    match (asked.path.as_str(), asked.get("service")) {
        ("/api/services", _) => list(r#""web","db""#),
        ("/api/operations", "web") if asked.get("spanKind") == "server" => {
            list(r#"{"name":"GET","spanKind":"server"}"#)
        }
        ("/api/services/web/operations", _) => list(r#""GET","POST""#),
        ("/api/services/db/operations", _) => Reply::json(r#"{"data":null}"#),
        ("/api/traces", "web") => {
            assert!(asked.get("tags").is_empty() || asked.get("tags") == r#"{"http.route":"/"}"#);
            list(&[trace("a1", "web", "server", T0), trace("a2", "web", "client", T0 + 5)].join(","))
        }
        ("/api/traces", "db") => list(&trace("a3", "db", "server", T0 + 2)),
        ("/api/traces/000000000000000000000000000000a1", _) => {
            assert_eq!(asked.get("raw"), "true");
            list(&trace("a1", "web", "server", T0))
        }
        ("/api/traces/000000000000000000000000000000a4", _) => {
            let data = trace("a4", "web", "server", T0);
            Reply::json(format!(
                r#"{{"data":[{data}],"errors":[{{"code":500,"msg":"one shard timed out","traceID":"a4"}}]}}"#
            ))
        }
        _ => Reply::new(
            404,
            "application/json",
            r#"{"data":null,"errors":[{"code":404,"msg":"trace not found"}]}"#,
        ),
    }
}

async fn peer() -> Arc<dyn Select> {
    let s = crate::foreign::tests::settings(ForeignKind::Jaeger, &serve(|asked| answers(&asked)).await);
    crate::foreign::open(s, Clock::manual(T0 * 1000 + 3_600_000_000_000)).unwrap()
}

fn request(filters: Vec<SpanFilter>, max_traces: Option<usize>) -> SpansRequest {
    SpansRequest {
        filters,
        max_traces,
        ..SpansRequest::new(series_request(Vec::new(), TimeRange::ALL).scope)
    }
}

async fn found(r: SpansRequest) -> Vec<u8> {
    let (pieces, coverage) = peer().await.spans(r).await.unwrap().collect().await.unwrap();
    assert!(coverage.is_complete());
    assert!(
        pieces
            .iter()
            .flat_map(|p| &p.origins)
            .all(|o| o.resource.attributes.get_str("cluster") == Some("legacy"))
    );
    pieces.iter().flat_map(|p| &p.spans).map(|s| s.trace_id[15]).collect()
}

#[tokio::test]
async fn errors_beside_data_make_the_answer_partial() {
    let mut id = [0; 16];
    id[15] = 0xa4;
    let r = SpansRequest { trace_ids: vec![id], ..request(Vec::new(), None) };
    let (pieces, coverage) = peer().await.spans(r).await.unwrap().collect().await.unwrap();
    assert_eq!(pieces.len(), 1);
    let source = &coverage.sources()[0];
    assert_eq!((source.state, source.reason.as_str()), (CoverageState::Partial, "a4: one shard timed out"));
}

#[tokio::test]
async fn a_search_goes_through_services_and_filters_what_jaeger_cannot() {
    assert_eq!(found(request(Vec::new(), Some(9))).await, [0xa2, 0xa3, 0xa1]);
    assert_eq!(found(request(Vec::new(), Some(2))).await, [0xa2, 0xa3]);
    assert_eq!(found(request(vec![SpanFilter::Service("web".into())], Some(9))).await, [0xa2, 0xa1]);
    assert_eq!(found(request(vec![SpanFilter::Kind(SpanKind::Server)], Some(9))).await, [0xa3, 0xa1]);
    let ours = |v: &str| vec![SpanFilter::Attribute("cluster".into(), v.into())];
    assert_eq!(found(request(ours("legacy"), Some(9))).await.len(), 3);
    let (none, _) = peer()
        .await
        .spans(request(
            vec![SpanFilter::Attribute("http.route".into(), "/".into()), SpanFilter::Service("web".into())],
            Some(9),
        ))
        .await
        .unwrap()
        .collect()
        .await
        .unwrap();
    assert!(none.is_empty(), "what came lacks the tag that was asked for");
}

#[tokio::test]
async fn a_trace_comes_by_its_id_and_one_that_is_not_there_is_none() {
    let id = |n: u8| {
        let mut id = [0; 16];
        id[15] = n;
        id
    };
    let by_id = |list: Vec<[u8; 16]>| SpansRequest { trace_ids: list, ..request(Vec::new(), None) };
    assert_eq!(found(by_id(vec![id(0xa1), id(0xff)])).await, [0xa1]);
    assert!(found(by_id(vec![id(0xff)])).await.is_empty());
}

#[tokio::test]
async fn services_and_operations_are_listed() {
    let peer = peer().await;
    let values = async |field: NamedField| {
        let scope = series_request(Vec::new(), TimeRange::ALL).scope;
        let r =
            LabelValuesRequest { scope, signal: Signal::TRACES, field, selectors: Vec::new(), limit: None };
        peer.label_values(r).await.unwrap().0
    };
    assert_eq!(values(NamedField::Service).await, ["db", "web"]);
    assert_eq!(values(NamedField::Operation { service: None, kind: None }).await, ["GET", "POST"]);
    let server = NamedField::Operation { service: Some("web".into()), kind: Some(SpanKind::Server) };
    assert_eq!(values(server).await, ["GET"]);
    assert_eq!(values(NamedField::Attribute("cluster".into())).await, ["legacy"]);
}

#[tokio::test]
async fn a_search_without_a_limit_says_when_there_may_be_more() {
    let url = serve(|asked| match asked.path.as_str() {
        "/api/services" => list(r#""web""#),
        _ => list(
            &(0..MOST_TRACES)
                .map(|i| trace(&format!("{:x}", i + 1), "web", "server", T0))
                .collect::<Vec<_>>()
                .join(","),
        ),
    })
    .await;
    let selection = opened(ForeignKind::Jaeger, &url).spans(request(Vec::new(), None)).await.unwrap();
    let (_, coverage) = selection.collect().await.unwrap();
    assert_eq!(coverage.sources()[0].state, CoverageState::Partial);
}
