//! A shop of ten services with its faults, as the Nezha data set (IntelligentDDS/Nezha) recorded it: what spans, lines
//! and pods' metrics lead to each other by.
//!
//! The part of the set that is at hand has spans of an earlier hour than its lines, so no trace id is in both; lines
//! are found by the ids they carry, and from spans by pod.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::Read,
    path::PathBuf,
};

use flate2::read::GzDecoder;
use serde_json::{Value, json};

use crate::{
    lifecycle::now_ns,
    node::{Home, Node, encode, root},
};

/// Midnight before everything in the set, in seconds since 1970.
const DAY_S: i64 = 1_661_126_400;
const BATCH: usize = 5_000;

type Row = BTreeMap<String, String>;

fn files(kind: &str) -> Vec<PathBuf> {
    let dir = root().join("../shared/data/nezha/2022-08-22").join(kind);
    let mut files: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|f| f.unwrap().path()).collect();
    files.sort();
    files
}

fn rows(file: &PathBuf) -> Vec<Row> {
    let opened = File::open(file).unwrap();
    let bytes: Box<dyn Read> = if file.extension().is_some_and(|e| e == "gz") {
        Box::new(GzDecoder::new(opened))
    } else {
        Box::new(opened)
    };
    csv::Reader::from_reader(bytes).deserialize().map(Result::unwrap).collect()
}

fn of_all(kind: &str) -> Vec<Row> {
    files(kind).iter().flat_map(rows).collect()
}

/// `adservice` of `adservice-5f6585d649-fnmft`.
fn service(pod: &str) -> &str {
    pod.rsplitn(3, '-').last().unwrap()
}

/// `2022-08-22 03:51:19.607158889 +0000 UTC m=+0.11` in nanoseconds; the column beside it is wrong in places.
fn written(time: &str) -> i64 {
    let number = |from: usize, to: usize| time[from..to].parse::<i64>().unwrap();
    let seconds = ((number(8, 10) - 22) * 24 + number(11, 13)) * 3600 + number(14, 16) * 60 + number(17, 19);
    (DAY_S + seconds) * 1_000_000_000
}

fn attribute(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

fn resource(pod: &str) -> Value {
    json!({"attributes": [
        attribute("service.name", service(pod)),
        attribute("k8s.namespace.name", "hipster"),
        attribute("k8s.pod.name", pod),
    ]})
}

/// Rows of one pod each.
fn by_pod(rows: &[Row]) -> BTreeMap<&str, Vec<&Row>> {
    let mut pods: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        pods.entry(&row["PodName"]).or_default().push(row);
    }
    pods
}

/// Sends the rows of a signal as OTLP, moved in time.
struct Sender<'a> {
    node: &'a Node,
    shift_ns: i64,
}

impl Sender<'_> {
    fn moved(&self, ns: &str) -> String {
        (ns.parse::<i64>().unwrap() + self.shift_ns).to_string()
    }

    async fn post(&self, path: &str, body: Value) {
        let answer = self.node.post(path, "application/json", body.to_string()).await;
        assert!(answer.status.is_success(), "{path}: {}", answer.excerpt());
        let answer: Value = serde_json::from_slice(&answer.body).unwrap();
        assert!(answer["partialSuccess"].as_object().is_none_or(|p| p.is_empty()), "{path}: {answer}");
    }

    async fn traces(&self, rows: &[Row]) {
        for (pod, rows) in by_pod(rows) {
            for rows in rows.chunks(BATCH) {
                let spans: Vec<Value> = rows.iter().map(|r| self.span(r)).collect();
                let of_pod = json!({"resource": resource(pod), "scopeSpans": [{"spans": spans}]});
                self.post("/v1/traces", json!({"resourceSpans": [of_pod]})).await;
            }
        }
    }

    fn span(&self, r: &Row) -> Value {
        let parent = if r["ParentID"] == "root" { "" } else { &r["ParentID"] };
        json!({
            "traceId": r["TraceID"], "spanId": r["SpanID"], "parentSpanId": parent, "name": r["OperationName"],
            "startTimeUnixNano": self.moved(&r["StartTimeUnixNano"]),
            "endTimeUnixNano": self.moved(&r["EndTimeUnixNano"]),
        })
    }

    async fn logs(&self, rows: &[Row]) {
        for (pod, rows) in by_pod(rows) {
            for rows in rows.chunks(BATCH) {
                let records: Vec<Value> = rows.iter().map(|r| self.record(r)).collect();
                let of_pod = json!({"resource": resource(pod), "scopeLogs": [{"logRecords": records}]});
                self.post("/v1/logs", json!({"resourceLogs": [of_pod]})).await;
            }
        }
    }

    fn record(&self, r: &Row) -> Value {
        json!({
            "timeUnixNano": self.moved(&r["TimeUnixNano"]), "traceId": r["TraceID"], "spanId": r["SpanID"],
            "body": {"stringValue": r["Log"]},
        })
    }

    async fn metrics(&self, pod: &str, rows: &[Row]) {
        let points = |column: &str| -> Vec<Value> {
            let point = |r: &Row| {
                let at = written(&r["Time"]) + self.shift_ns;
                Some(json!({"timeUnixNano": at.to_string(), "asDouble": r[column].parse::<f64>().ok()?}))
            };
            rows.iter().filter_map(point).collect()
        };
        let gauge = |(name, column)| json!({"name": name, "gauge": {"dataPoints": points(column)}});
        let columns = [
            ("pod_cpu_usage_millicores", "CpuUsage(m)"),
            ("pod_server_latency_p95_seconds", "PodServerLatencyP95(s)"),
        ];
        let metrics: Vec<Value> = columns.into_iter().map(gauge).collect();
        let of_pod = json!({"resource": resource(pod), "scopeMetrics": [{"metrics": metrics}]});
        self.post("/v1/metrics", json!({"resourceMetrics": [of_pod]})).await;
    }
}

/// Spans of a trace by id, by pod.
async fn spans_by_pod(node: &Node, trace: &str) -> BTreeMap<String, usize> {
    let v = node.json(&format!("/jaeger/api/traces/{trace}")).await;
    let found = &v["data"][0];
    let mut pods = BTreeMap::new();
    for span in found["spans"].as_array().unwrap_or_else(|| panic!("{trace}: {v}")) {
        let process = &found["processes"][span["processID"].as_str().unwrap()];
        let tag = process["tags"].as_array().unwrap().iter().find(|t| t["key"] == "k8s.pod.name").unwrap();
        *pods.entry(tag["value"].as_str().unwrap().to_owned()).or_insert(0) += 1;
    }
    pods
}

/// Lines between two times, whatever stream they are of.
async fn lines(node: &Node, logql: &str, from_ns: i64, to_ns: i64) -> Vec<String> {
    let query = encode(logql);
    let v = node
        .json(&format!("/loki/api/v1/query_range?query={query}&start={from_ns}&end={to_ns}&limit=5000"))
        .await;
    assert_eq!(v["status"], "success", "{logql}: {v}");
    let streams = v["data"]["result"].as_array().unwrap().clone();
    let entries = streams.iter().flat_map(|s| s["values"].as_array().unwrap().clone());
    entries.map(|e| e[1].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn spans_lines_and_metrics_of_a_shop_lead_to_each_other() {
    let (spans, records) = (of_all("trace"), of_all("log"));
    let pods: BTreeSet<&str> = spans.iter().map(|r| r["PodName"].as_str()).collect();
    let metrics: BTreeMap<String, Vec<Row>> = files("metric")
        .iter()
        .filter_map(|f| {
            let pod = f.file_name()?.to_str()?.strip_suffix("_metric.csv")?.to_owned();
            Some((pod, rows(f)))
        })
        .collect();
    assert!(spans.len() > 10_000 && records.len() > 1_000 && metrics.len() == pods.len());

    let home = Home::new("cluster: shop-01\notlp: {promote_resource_attributes: [k8s.pod.name]}\n");
    let node = home.start();
    let last = metrics.values().flatten().map(|r| written(&r["Time"])).max().unwrap();
    let sender = Sender { node: &node, shift_ns: now_ns() - 60_000_000_000 - last };
    sender.traces(&spans).await;
    sender.logs(&records).await;
    for (pod, rows) in &metrics {
        sender.metrics(pod, rows).await;
    }

    // From a trace to its pods' metrics at that time, and to what the pods logged.
    let mut by_trace: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    for r in &spans {
        by_trace.entry(&r["TraceID"]).or_default().push(r);
    }
    for (trace, rows) in by_trace.iter().step_by(by_trace.len() / 8) {
        let mut expected: BTreeMap<String, usize> = BTreeMap::new();
        for r in rows {
            *expected.entry(r["PodName"].clone()).or_default() += 1;
        }
        assert_eq!(spans_by_pod(&node, trace).await, expected, "{trace}");
        let at_s = sender.moved(&rows[0]["StartTimeUnixNano"]).parse::<i64>().unwrap() / 1_000_000_000;
        for pod in expected.keys() {
            let query = format!("max by (k8s_pod_name) (pod_cpu_usage_millicores{{k8s_pod_name=\"{pod}\"}})");
            let v = node.json(&format!("/api/v1/query?query={}&time={at_s}", encode(&query))).await;
            assert_eq!(
                v["data"]["result"][0]["metric"]["k8s_pod_name"],
                pod.as_str(),
                "{query} at {at_s}: {v}"
            );
        }
    }
    let (from, to) = (now_ns() - 86_400_000_000_000, now_ns());
    for pod in &pods {
        let found = lines(&node, &format!("{{k8s_pod_name=\"{pod}\"}}"), from, to).await;
        let all = records.iter().filter(|r| r["PodName"] == *pod).count();
        assert_eq!(found.len(), all.min(5000), "{pod}");
    }

    // From the id that a line carries to every line of that trace, in whichever pod, and from each to its pod's metrics.
    let mut by_id: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    for r in &records {
        by_id.entry(&r["TraceID"]).or_default().push(r);
    }
    for (id, rows) in by_id.iter().step_by(by_id.len() / 8) {
        let mut found =
            lines(&node, &format!("{{service_name=~\".+\"}} | trace_id=\"{id}\""), from, to).await;
        let mut expected: Vec<String> = rows.iter().map(|r| r["Log"].clone()).collect();
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "{id}");
    }

    // From a pod's metrics to the traces that went through it.
    let pod = pods.iter().find(|p| p.starts_with("paymentservice")).unwrap();
    let tags = encode(&json!({"k8s.pod.name": pod}).to_string());
    let (start, end) = (from / 1000, to / 1000);
    let path =
        format!("/jaeger/api/traces?service=paymentservice&tags={tags}&start={start}&end={end}&limit=1500");
    let v = node.json(&path).await;
    let found: BTreeSet<&str> =
        v["data"].as_array().unwrap().iter().map(|t| t["traceID"].as_str().unwrap()).collect();
    let expected: BTreeSet<&str> =
        spans.iter().filter(|r| r["PodName"] == *pod).map(|r| r["TraceID"].as_str()).collect();
    assert_eq!(found, expected);
}
