//! The queries and traces of Jaeger's own storage tests, and queries made of every span of those traces: each finds
//! exactly what it should, however the traces came in and by whichever API they are asked for.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

use axum::Router;
use model::{SpanBatch, TimestampNs};
use proto::jaeger::{
    Duration, Timestamp,
    api_v3::{self, query_service_client::QueryServiceClient},
    storage::{self, any_value::Value as StorageValue, trace_reader_client::TraceReaderClient},
};
use serde_json::{Map, Value, json};

use super::{decode, encode, get, post, store};
use crate::node;

/// What the fixtures' dates are moved by: their day becomes the day before the test clock's.
const FIXTURE_DAY_NS: i64 = 1_485_388_800_000_000_000;
const SHIFTED_DAY_NS: i64 = 1_699_833_600_000_000_000;
const SHIFT_NS: i64 = SHIFTED_DAY_NS - FIXTURE_DAY_NS;

/// Queries that find nothing among traces loaded as Jaeger's JSON, and why.
const LOST_IN_JSON: [(&str, &str); 3] = [
    ("Link Attributes", "a reference of Jaeger's model has no tags"),
    ("made of sameplacelinkattribute", "a reference of Jaeger's model has no tags"),
    ("made of linkblob", "a reference of Jaeger's model has no tags"),
];

fn data(path: &str) -> Option<PathBuf> {
    let file: PathBuf = [env!("ORRERY_CHECKOUT"), "../shared/data/jaeger-fixtures", path].iter().collect();
    if !file.exists() {
        println!("jaeger-fixtures/{path} is not there, skipped");
        return None;
    }
    Some(file)
}

fn shifted(mut batch: SpanBatch) -> SpanBatch {
    for s in &mut batch.spans {
        s.start_ns += SHIFT_NS;
        s.end_ns += SHIFT_NS;
        s.events.iter_mut().for_each(|e| e.timestamp_ns += SHIFT_NS);
    }
    batch
}

/// Traces by the names of their files.
fn traces() -> Option<BTreeMap<String, SpanBatch>> {
    let files = fs::read_dir(data("traces")?).unwrap().map(|f| f.unwrap().path());
    let read = |path: &PathBuf| shifted(decode(&fs::read(path).unwrap()));
    Some(files.map(|p| (p.file_stem().unwrap().to_string_lossy().into_owned(), read(&p))).collect())
}

/// A query as all APIs can ask it.
#[derive(Debug, Clone, Default)]
struct Query {
    caption: String,
    service: String,
    operation: String,
    tags: Map<String, Value>,
    start_ns: i64,
    end_ns: i64,
    min_duration_ns: i64,
    max_duration_ns: i64,
    limit: i32,
    expected: BTreeSet<String>,
}

impl Query {
    fn read(case: &Value) -> Self {
        let q = &case["Query"];
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        let moved = |v: &Value| api::params::rfc3339_ns(v.as_str().unwrap()).unwrap() + SHIFT_NS;
        Query {
            caption: text(&case["Caption"]),
            service: text(&q["ServiceName"]),
            operation: text(&q["OperationName"]),
            tags: q["Tags"].as_object().cloned().unwrap_or_default(),
            start_ns: moved(&q["StartTimeMin"]),
            end_ns: moved(&q["StartTimeMax"]),
            min_duration_ns: q["DurationMin"].as_i64().unwrap(),
            max_duration_ns: q["DurationMax"].as_i64().unwrap(),
            limit: q["NumTraces"].as_i64().unwrap() as i32,
            expected: case["ExpectedFixtures"].as_array().unwrap().iter().map(text).collect(),
        }
    }

    fn texts(&self) -> impl Iterator<Item = (String, String)> {
        let text = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
        self.tags.iter().map(move |(k, v)| (k.clone(), text(v))).collect::<Vec<_>>().into_iter()
    }
}

/// One query for each attribute that a span has on any level, of its service and operation and as long as it is; what it
/// should find is computed by looking at every span.
fn made(traces: &BTreeMap<String, SpanBatch>) -> Vec<Query> {
    let levels = |batch: &SpanBatch, at: usize| {
        let span = &batch.spans[at];
        let origin = &batch.origins[span.origin as usize];
        let mut all: Vec<_> = vec![&span.attributes, &origin.resource.attributes, &origin.scope.attributes];
        all.extend(span.events.iter().map(|e| &e.attributes));
        all.extend(span.links.iter().map(|l| &l.attributes));
        let pairs = all.into_iter().flat_map(|a| a.iter().map(|(k, v)| (k.to_owned(), v.to_string())));
        pairs.collect::<BTreeSet<_>>()
    };
    let mut out = Vec::new();
    for batch in traces.values() {
        for (at, span) in batch.spans.iter().enumerate() {
            let service = batch.origins[span.origin as usize].service_name();
            for (key, value) in levels(batch, at).into_iter().filter(|(k, v)| k != "blob" && !v.contains('*'))
            {
                let is_found = |b: &SpanBatch| {
                    b.spans.iter().enumerate().any(|(i, s)| {
                        b.origins[s.origin as usize].service_name() == service
                            && s.name == span.name
                            && s.duration_ns() == span.duration_ns()
                            && levels(b, i).contains(&(key.clone(), value.clone()))
                    })
                };
                let found = traces.iter().filter(|(_, b)| is_found(b));
                out.push(Query {
                    caption: format!("made of {key}={value} of {service}"),
                    service: service.to_owned(),
                    operation: span.name.clone(),
                    tags: Map::from_iter([(key.clone(), Value::from(value.clone()))]),
                    start_ns: SHIFTED_DAY_NS - 86_400_000_000_000,
                    end_ns: SHIFTED_DAY_NS + 86_400_000_000_000,
                    min_duration_ns: span.duration_ns(),
                    max_duration_ns: span.duration_ns(),
                    limit: 1000,
                    expected: found.map(|(name, _)| name.clone()).collect(),
                });
            }
        }
    }
    out
}

/// Ids without leading zeros.
fn short(id: &[u8]) -> String {
    let text: String = id.iter().map(|b| format!("{b:02x}")).collect();
    text.trim_start_matches('0').to_owned()
}

async fn by_v1(router: &Router, q: &Query) -> BTreeSet<String> {
    let mut path = format!("/jaeger/api/traces?service={}", encode(&q.service));
    if !q.operation.is_empty() {
        path.push_str(&format!("&operation={}", encode(&q.operation)));
    }
    // Half of them as JSON, half as pairs.
    for (i, (key, value)) in q.texts().enumerate() {
        match i % 2 {
            0 => path.push_str(&format!("&tags={}", encode(&json!({key: value}).to_string()))),
            _ => path.push_str(&format!("&tag={}", encode(&format!("{key}:{value}")))),
        }
    }
    for (name, ns) in [("minDuration", q.min_duration_ns), ("maxDuration", q.max_duration_ns)] {
        if ns > 0 {
            path.push_str(&format!("&{name}={ns}ns"));
        }
    }
    path.push_str(&format!("&start={}&end={}&limit={}", q.start_ns / 1000, q.end_ns / 1000, q.limit));
    let answer = get(router, &path).await;
    let json = answer.json();
    let found = json["data"].as_array().unwrap_or_else(|| panic!("{path}: {}", answer.text()));
    found.iter().map(|t| t["traceID"].as_str().unwrap().trim_start_matches('0').to_owned()).collect()
}

fn duration_text(ns: i64) -> String {
    format!("{ns}ns")
}

async fn by_v3_http(router: &Router, q: &Query) -> BTreeSet<String> {
    let tags: Map<String, Value> = q.texts().map(|(k, v)| (k, Value::from(v))).collect();
    let mut pairs = vec![
        ("query.serviceName", q.service.clone()),
        ("query.operation_name", q.operation.clone()),
        ("query.attributes", Value::Object(tags).to_string()),
        ("query.startTimeMin", api::params::format_rfc3339(q.start_ns)),
        ("query.start_time_max", api::params::format_rfc3339(q.end_ns)),
        ("query.searchDepth", q.limit.to_string()),
    ];
    if q.min_duration_ns > 0 {
        pairs.push(("query.durationMin", duration_text(q.min_duration_ns)));
    }
    if q.max_duration_ns > 0 {
        pairs.push(("query.durationMax", duration_text(q.max_duration_ns)));
    }
    let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let answer = get(router, &format!("/api/v3/traces?{form}")).await;
    if answer.status == 404 {
        return BTreeSet::new();
    }
    assert_eq!(answer.status, 200, "{form}: {}", answer.text());
    let spans = decode(answer.json()["result"].to_string().as_bytes()).spans;
    spans.iter().map(|s| short(&s.trace_id)).collect()
}

fn timestamp(ns: i64) -> Option<Timestamp> {
    let t = TimestampNs(ns).0;
    Some(Timestamp { seconds: t.div_euclid(1_000_000_000), nanos: t.rem_euclid(1_000_000_000) as i32 })
}

fn duration(ns: i64) -> Option<Duration> {
    Some(Duration { seconds: ns / 1_000_000_000, nanos: (ns % 1_000_000_000) as i32 })
}

async fn by_v3_grpc(router: &Router, q: &Query) -> BTreeSet<String> {
    let query = api_v3::TraceQueryParameters {
        service_name: q.service.clone(),
        operation_name: q.operation.clone(),
        attributes: q.texts().collect(),
        start_time_min: timestamp(q.start_ns),
        start_time_max: timestamp(q.end_ns),
        duration_min: duration(q.min_duration_ns),
        duration_max: duration(q.max_duration_ns),
        search_depth: q.limit,
        ..Default::default()
    };
    let mut client = QueryServiceClient::new(router.clone());
    let request = api_v3::FindTracesRequest { query: Some(query.clone()) };
    let found = super::storage::ids(client.find_traces(request).await.unwrap().into_inner()).await;
    let request = api_v3::FindTraceSummariesRequest { query: Some(query) };
    let mut summed = client.find_trace_summaries(request).await.unwrap().into_inner();
    let mut summaries = BTreeSet::new();
    while let Some(m) = summed.message().await.unwrap() {
        summaries.extend(m.summaries.into_iter().map(|s| s.trace_id.trim_start_matches('0').to_owned()));
    }
    assert_eq!(found, summaries, "{}", q.caption);
    found
}

async fn by_storage(router: &Router, q: &Query) -> BTreeSet<String> {
    let value = |v: &Value| match v {
        Value::Bool(b) => StorageValue::BoolValue(*b),
        Value::Number(n) if n.is_i64() => StorageValue::IntValue(n.as_i64().unwrap()),
        Value::Number(n) => StorageValue::DoubleValue(n.as_f64().unwrap()),
        v => StorageValue::StringValue(v.as_str().unwrap().to_owned()),
    };
    let attribute = |(k, v): (&String, &Value)| storage::KeyValue {
        key: k.clone(),
        value: Some(storage::AnyValue { value: Some(value(v)) }),
    };
    let query = Some(storage::TraceQueryParameters {
        service_name: q.service.clone(),
        operation_name: q.operation.clone(),
        attributes: q.tags.iter().map(attribute).collect(),
        start_time_min: timestamp(q.start_ns),
        start_time_max: timestamp(q.end_ns),
        duration_min: duration(q.min_duration_ns),
        duration_max: duration(q.max_duration_ns),
        search_depth: q.limit,
        filter: None,
    });
    let mut client = TraceReaderClient::new(router.clone());
    let request = storage::FindTracesRequest { query: query.clone() };
    let found = super::storage::ids(client.find_traces(request).await.unwrap().into_inner()).await;
    let request = storage::FindTraceIDsRequest { query };
    let ids = client.find_trace_i_ds(request).await.unwrap().into_inner().trace_ids;
    assert_eq!(found, ids.iter().map(|t| short(&t.trace_id)).collect(), "{}", q.caption);
    found
}

async fn asked(way: &str, router: &Router, q: &Query) -> BTreeSet<String> {
    match way {
        "version 1" => by_v1(router, q).await,
        "version 3 over HTTP" => by_v3_http(router, q).await,
        "version 3 over gRPC" => by_v3_grpc(router, q).await,
        _ => by_storage(router, q).await,
    }
}

const WAYS: [&str; 4] = ["version 1", "version 3 over HTTP", "version 3 over gRPC", "remote storage"];

/// A node with all traces, sent as OTLP or as what Jaeger's UI saves.
async fn loaded(traces: &BTreeMap<String, SpanBatch>, as_jaeger: bool) -> Router {
    let router = node::router();
    for batch in traces.values() {
        if !as_jaeger {
            store(&router, batch).await;
            continue;
        }
        let otlp = wire::otlp::traces::encode_json(batch);
        let saved = post(&router, "/jaeger/api/transform", otlp).await;
        assert_eq!(saved.status, 200, "{}", saved.text());
        let answer = post(&router, "/jaeger/api/traces", saved.body).await;
        assert_eq!((answer.status.as_u16(), answer.json()["errors"].clone()), (200, Value::Null));
        assert_eq!(answer.json()["total"], batch.spans.len());
    }
    router
}

#[tokio::test]
async fn every_query_of_jaegers_storage_tests_finds_its_traces_and_no_others() {
    let Some(traces) = traces() else { return };
    let mut queries = Vec::new();
    for file in ["queries.json", "queries_es.json"] {
        let Some(path) = data(file) else { return };
        let cases: Vec<Value> = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        queries.extend(cases.iter().map(Query::read));
    }
    let given = queries.len();
    queries.extend(made(&traces));
    let ids = |names: &BTreeSet<String>| -> BTreeSet<String> {
        let spans = names.iter().filter_map(|n| traces.get(n)).flat_map(|b| &b.spans);
        spans.map(|s| short(&s.trace_id)).collect()
    };
    let mut wrong = Vec::new();
    for as_jaeger in [false, true] {
        let router = loaded(&traces, as_jaeger).await;
        let form = if as_jaeger { "Jaeger's JSON" } else { "OTLP" };
        for way in WAYS {
            let (mut good, mut lost) = (0, 0);
            for q in &queries {
                let found = asked(way, &router, q).await;
                let is_lost = as_jaeger && LOST_IN_JSON.iter().any(|(c, _)| q.caption.starts_with(c));
                let want = if is_lost { BTreeSet::new() } else { ids(&q.expected) };
                match found == want {
                    true if is_lost => lost += 1,
                    true => good += 1,
                    false => {
                        wrong.push(format!("{form}, {way}, {}: want {want:?}, found {found:?}", q.caption))
                    }
                }
            }
            println!(
                "jaeger-fixtures: {} traces as {form}, {way}: {good} of {} queries ({given} given) find what they \
                 should, {lost} ask for what that form does not hold",
                traces.len(),
                queries.len(),
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
