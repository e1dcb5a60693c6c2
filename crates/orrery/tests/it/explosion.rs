//! More fields than anybody has use for: what they cost is bounded and counted, and others do not feel it.
//!
//! One record with too many is refused alone. Many records with few each are stored, whatever their fields are called:
//! a field that few records have costs no column, and what lists fields stops at its limit.

use std::time::Duration;

use net::{Answer, Request};
use serde_json::{Value, json};

use crate::{
    lifecycle::now_ns,
    limits::{resident_mib, size_of},
    node::{Home, Node, encode},
};

const FIELDS: usize = 100_000;

async fn send(node: &Node, path: &str, tenant: &str, content_type: &str, body: String) -> Answer {
    let request = Request::post(format!("{}{path}", node.http), body.into_bytes())
        .header("content-type", content_type)
        .header("x-scope-orgid", tenant);
    node.client.send(Request { timeout: Duration::from_secs(120), ..request }).await.unwrap()
}

/// `{"<name>0": "v", …}`
fn fields(name: &str, from: usize, count: usize) -> Value {
    Value::Object((from..from + count).map(|n| (format!("{name}{n}"), json!(format!("v{n}")))).collect())
}

/// The same as OTLP has them.
fn attributes(name: &str, from: usize, count: usize) -> Value {
    let one = |n: usize| json!({"key": format!("{name}{n}"), "value": {"stringValue": format!("v{n}")}});
    Value::Array((from..from + count).map(one).collect())
}

fn loki(labels: &Value, entries: &[(i64, &str, Value)]) -> Value {
    let values: Vec<Value> =
        entries.iter().map(|(ns, line, fields)| json!([ns.to_string(), line, fields])).collect();
    json!({"stream": labels, "values": values})
}

fn bulk(index: &str, documents: &[Value]) -> String {
    documents.iter().map(|d| format!("{{\"create\":{{\"_index\":\"{index}\"}}}}\n{d}\n")).collect()
}

fn otlp(service: &str, more: &Value, records: &[(i64, &str, Value)]) -> Value {
    let mut resource = vec![json!({"key": "service.name", "value": {"stringValue": service}})];
    resource.extend(more.as_array().into_iter().flatten().cloned());
    let records: Vec<Value> = records
        .iter()
        .map(|(ns, line, attributes)| {
            json!({"timeUnixNano": ns.to_string(), "body": {"stringValue": line}, "attributes": attributes})
        })
        .collect();
    json!({"resource": {"attributes": resource}, "scopeLogs": [{"logRecords": records}]})
}

async fn push(node: &Node, tenant: &str, streams: Vec<Value>) -> Answer {
    let body = json!({"streams": streams}).to_string();
    send(node, "/loki/api/v1/push", tenant, "application/json", body).await
}

async fn counted(node: &Node, name: &str, labels: &[&str]) -> f64 {
    let metrics = node.get("/metrics").await;
    let text = String::from_utf8_lossy(&metrics.body).into_owned();
    let of = |l: &&str| l.starts_with(name) && labels.iter().all(|w| l.contains(w));
    text.lines().filter(of).filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

#[tokio::test]
async fn a_record_of_a_hundred_thousand_fields_is_refused_by_each_door_and_its_neighbours_are_kept() {
    let home = Home::new("");
    let node = home.start();
    let (t, none) = (now_ns() - 1_000_000_000, json!({}));
    let entries =
        [(t, "before", none.clone()), (t + 1, "bad", fields("k", 0, FIELDS)), (t + 2, "after", none.clone())];
    let answer = push(&node, "default", vec![loki(&json!({"app": "metadata"}), &entries)]).await;
    assert_eq!(answer.status, 400);
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    assert!(text.starts_with("1 items refused, 2 stored"), "{text}");
    assert!(text.contains("log record with 100000 attributes, at most 1024 are kept (item 1"), "{text}");

    let good = loki(&json!({"app": "labels"}), &[(t, "good", none.clone())]);
    let bad = loki(&fields("l", 0, FIELDS), &[(t, "bad", none.clone())]);
    let answer = push(&node, "default", vec![bad, good]).await;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    assert!(text.starts_with("1 items refused, 1 stored"), "{text}");
    assert!(text.contains("100000 labels, ingest.max_labels is 128"), "{text}");

    let mut wide = fields("k", 0, FIELDS);
    wide["message"] = json!("bad");
    let deep = json!({"message": "bad", "inner": fields("k", 0, FIELDS)});
    let documents = [json!({"message": "before"}), wide, deep, json!({"message": "after"})];
    let answer = send(&node, "/es/_bulk", "default", "application/x-ndjson", bulk("wide", &documents)).await;
    let said: Value = serde_json::from_slice(&answer.body).unwrap();
    let statuses: Vec<i64> =
        said["items"].as_array().unwrap().iter().map(|i| i["create"]["status"].as_i64().unwrap()).collect();
    assert_eq!(statuses, [201, 400, 400, 201], "{said}");
    let why =
        |n: usize| said["items"][n]["create"]["error"]["reason"].as_str().unwrap_or_default().to_owned();
    assert!(why(1).contains("document with 100000 attributes, at most 1024"), "{}", why(1));
    assert!(why(2).contains("largest inner"), "{}", why(2));

    let records =
        [(t, "before", json!([])), (t + 1, "bad", attributes("k", 0, FIELDS)), (t + 2, "after", json!([]))];
    let resource =
        otlp("of-resource", &attributes("r", 0, FIELDS), &[(t, "bad", json!([])), (t, "bad", json!([]))]);
    let body = json!({"resourceLogs": [otlp("otlp", &json!([]), &records), resource]}).to_string();
    let answer = send(&node, "/v1/logs", "default", "application/json", body).await;
    assert_eq!(answer.status, 200, "{}", answer.excerpt());
    let said: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(said["partialSuccess"]["rejectedLogRecords"], "3", "{said}");
    let why = said["partialSuccess"]["errorMessage"].as_str().unwrap_or_default();
    assert!(why.contains("with 100000 attributes, at most 1024 are kept"), "{why}");

    for (protocol, refused) in [("loki", 2.0), ("elasticsearch", 2.0), ("otlp_http", 3.0)] {
        let protocol = format!("protocol=\"{protocol}\"");
        let labels = [protocol.as_str(), "signal=\"logs\""];
        assert_eq!(counted(&node, "orrery_ingest_refused_items_total", &labels).await, refused, "{protocol}");
    }
    for (selector, lines) in [
        ("{app=\"metadata\"}", vec!["after", "before"]),
        ("{app=\"labels\"}", vec!["good"]),
        ("{index=\"wide\"}", vec!["after", "before"]),
        ("{service_name=\"otlp\"}", vec!["after", "before"]),
        ("{service_name=\"of-resource\"}", vec![]),
    ] {
        let mut found = node.lines(selector).await;
        found.sort();
        assert_eq!(found, lines, "{selector}");
    }
}

/// 200 records of 500 fields each over every door, and 1000 streams of 100 labels.
async fn explode(node: &Node, t: i64) -> usize {
    let mut sent = 0;
    let (records, each) = (200, 500);
    let entries: Vec<(i64, &str, Value)> =
        (0..records).map(|n| (t + n as i64, "metadata", fields("m_", n * each, each))).collect();
    let body = json!({"streams": [loki(&json!({"app": "boom"}), &entries)]}).to_string();
    sent += body.len();
    let answer = send(node, "/loki/api/v1/push", "default", "application/json", body).await;
    assert_eq!(answer.status, 204, "{}", answer.excerpt());

    let document = |n: usize| {
        let mut d = fields("d_", n * each, each);
        d["message"] = json!("document");
        d
    };
    let body = bulk("boom", &(0..records).map(document).collect::<Vec<_>>());
    sent += body.len();
    let answer = send(node, "/es/_bulk", "default", "application/x-ndjson", body).await;
    let said: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(said["errors"], false, "{said}");

    let entries: Vec<(i64, &str, Value)> =
        (0..records).map(|n| (t + n as i64, "attributes", attributes("o.", n * each, each))).collect();
    let body = json!({"resourceLogs": [otlp("boom-otlp", &json!([]), &entries)]}).to_string();
    sent += body.len();
    let answer = send(node, "/v1/logs", "default", "application/json", body).await;
    assert_eq!(
        (answer.status.as_u16(), answer.excerpt().contains("rejected")),
        (200, false),
        "{}",
        answer.excerpt()
    );

    let (streams, labels) = (1000, 100);
    let stream = |n: usize| loki(&fields("l_", n * labels, labels), &[(t + n as i64, "labels", json!({}))]);
    let body = json!({"streams": (0..streams).map(stream).collect::<Vec<_>>()}).to_string();
    sent += body.len();
    let answer = send(node, "/loki/api/v1/push", "default", "application/json", body).await;
    assert_eq!(answer.status, 204, "{}", answer.excerpt());
    sent
}

/// What others see of their own, and how long it took.
async fn undisturbed(node: &Node) -> Duration {
    let began = std::time::Instant::now();
    let ask = async |tenant: &str, query: &str| {
        let url = format!("{}/loki/api/v1/query_range?query={}&limit=1000", node.http, encode(query));
        let answer = node.client.send(Request::get(url).header("x-scope-orgid", tenant)).await.unwrap();
        let v: Value = serde_json::from_slice(&answer.body).unwrap();
        let streams = v["data"]["result"].as_array().cloned().unwrap_or_default();
        streams.iter().map(|s| s["values"].as_array().map_or(0, Vec::len)).sum::<usize>()
    };
    assert_eq!(ask("default", "{app=\"steady\"}").await, 500);
    assert_eq!(ask("default", "{app=\"steady\"} | user=\"u7\"").await, 50);
    assert_eq!(ask("other", "{app=\"other\"} |= \"line\"").await, 500);
    assert_eq!(ask("other", "{app=~\".+\"} | m_5=\"v5\"").await, 0);
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_fields_over_many_records_are_kept_within_bounds_and_harm_no_other() {
    let home = Home::new("");
    let node = home.start();
    let t = now_ns() - 10_000_000_000;
    for tenant in ["default", "other"] {
        let app = if tenant == "default" { "steady" } else { "other" };
        let user = |n: i64| json!({"user": format!("u{}", n % 10), "status": "200"});
        let entries: Vec<(i64, &str, Value)> = (0..500).map(|n| (t + n, "a line of many", user(n))).collect();
        let answer = push(&node, tenant, vec![loki(&json!({"app": app}), &entries)]).await;
        assert_eq!(answer.status, 204, "{}", answer.excerpt());
    }
    let (before, alone) = (resident_mib(node.pid()), undisturbed(&node).await);
    let sent = explode(&node, t).await;
    let beside = undisturbed(&node).await;
    listings(&node).await;
    let after = resident_mib(node.pid());
    // Flushed with everything in one segment.
    node.terminate();
    let node = home.start();
    let of_segment = undisturbed(&node).await;
    listings(&node).await;
    let (disk, reopened) = (size_of(&home.data()), resident_mib(node.pid()));
    println!(
        "{} fields in {sent} bytes sent: {disk} bytes on disk, {before} MiB resident before, {after} after, {reopened} \
         with segments; others' queries took {alone:?} alone, {beside:?} beside it, {of_segment:?} from segments",
        4 * FIELDS
    );
    assert!(disk < sent as u64, "{disk} bytes on disk for {sent} sent");
    assert!(after < before + 500 && reopened < before + 500, "{before}, {after}, {reopened} MiB resident");
    // Each is found by any of its fields.
    for (query, line) in [
        ("{app=\"boom\"} | m_77123=\"v77123\"", "metadata"),
        ("{index=\"boom\"} | d_99999=\"v99999\"", "document"),
        ("{service_name=\"boom-otlp\"} | o_500=\"v500\"", "attributes"),
        ("{l_4242=\"v4242\"}", "labels"),
    ] {
        assert_eq!(node.lines(query).await, [line], "{query}");
    }
}

/// What lists fields stops at its limit, and what lists labels says all of them.
async fn listings(node: &Node) {
    let labels = node.json("/loki/api/v1/labels").await;
    let labels = labels["data"].as_array().map_or(0, Vec::len);
    assert!(labels >= FIELDS, "{labels}");
    let asked = |path: &str, query: &str| format!("/loki/api/v1/{path}?query={}", encode(query));
    let fields = node.json(&asked("detected_fields", "{app=\"boom\"}")).await;
    assert_eq!(fields["fields"].as_array().map_or(0, Vec::len), 1000, "{}", fields["limit"]);
    let known = node.json("/es/boom/_field_caps?fields=*").await;
    let known = known["fields"].as_object().map_or(0, serde_json::Map::len);
    assert!((1000..=25_000).contains(&known), "{known} fields of the index");
    let mapping = node.json("/es/boom/_mapping").await;
    let shown = mapping.to_string().matches("\"type\"").count();
    assert!(shown <= 25_000, "{shown} fields in the mapping");
}

#[tokio::test]
async fn one_key_is_a_number_a_text_and_an_object_in_three_services() {
    let home = Home::new("");
    let mut node = home.start();
    let document = |service: &str, status: Value| json!({"service": {"name": service}, "message": service, "status": status});
    let documents: Vec<Value> = (0..10)
        .flat_map(|n| {
            [
                document("numbers", json!(200 + n)),
                document("texts", json!(format!("state {n}"))),
                document("objects", json!({"code": n, "text": format!("deep {n}")})),
            ]
        })
        .collect();
    let answer = send(&node, "/es/_bulk", "default", "application/x-ndjson", bulk("mixed", &documents)).await;
    let said: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(said["errors"], false, "{said}");
    for place in ["the head", "a segment"] {
        let found = async |query: &str| node.lines(query).await.len();
        assert_eq!(
            found("{index=\"mixed\"} | status >= 205 | status < 300 | __error__=\"\"").await,
            5,
            "{place}"
        );
        assert_eq!(found("{service_name=\"texts\"} | status=\"state 3\"").await, 1, "{place}");
        assert_eq!(found("{index=\"mixed\"} | status=~\".*deep 7.*\"").await, 1, "{place}");
        let hits = async |query: Value| {
            let body = json!({"query": query, "track_total_hits": true}).to_string();
            let answer = send(&node, "/es/mixed/_search", "default", "application/json", body).await;
            let v: Value = serde_json::from_slice(&answer.body).unwrap();
            v["hits"]["total"]["value"].as_i64().unwrap_or(-1)
        };
        assert_eq!(hits(json!({"range": {"status": {"gte": 205, "lt": 300}}})).await, 5, "{place}");
        assert_eq!(hits(json!({"term": {"status": "state 3"}})).await, 1, "{place}");
        assert_eq!(hits(json!({"range": {"status.code": {"gte": 8}}})).await, 2, "{place}");
        assert_eq!(hits(json!({"match_phrase": {"status.text": "deep 7"}})).await, 1, "{place}");
        let caps = node.json("/es/mixed/_field_caps?fields=status*").await;
        let kinds: Vec<&String> =
            caps["fields"]["status"].as_object().map(|o| o.keys().collect()).unwrap_or_default();
        println!("{place}: status is {kinds:?}");
        assert!(kinds.len() >= 2, "{caps}");
        if place == "the head" {
            node.terminate();
            node = home.start();
        }
    }
}
