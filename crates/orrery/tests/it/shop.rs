//! Three processes that call each other under OpenTelemetry's auto-instrumentation: the map of them, their rates, errors
//! and durations, and the way from each signal to the others.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    time::Duration,
};

use net::Request;
use serde_json::Value;

use crate::{
    node::{Home, Node, encode, eventually, root},
    peers,
};

const ARTICLES: usize = 42;

/// A service that ends when its input does.
struct Service {
    child: Child,
    input: Option<ChildStdin>,
    url: String,
}

impl Service {
    fn start(bin: &Path, node: &Node, name: &str, below: Option<&Service>) -> Self {
        let mut child = Command::new(bin.join("opentelemetry-instrument"))
            .arg(bin.join("python"))
            .arg(root().join("tests/peers/shop.py"))
            .arg(name)
            .args(below.map(|s| &s.url))
            .env("OTEL_SERVICE_NAME", name)
            .env("OTEL_RESOURCE_ATTRIBUTES", format!("k8s.namespace.name=shop,k8s.pod.name={name}-0"))
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", &node.otlp_grpc)
            .env("OTEL_EXPORTER_OTLP_INSECURE", "true")
            .env("OTEL_TRACES_EXPORTER", "otlp")
            .env("OTEL_METRICS_EXPORTER", "otlp")
            .env("OTEL_LOGS_EXPORTER", "otlp")
            .env("OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED", "true")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut port = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut port).unwrap();
        let input = child.stdin.take();
        Service { child, input, url: format!("http://127.0.0.1:{}", port.trim()) }
    }

    /// Waits until it has sent everything.
    fn end(mut self) {
        self.input = None;
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Counts of spans by (service, name, kind, whether it failed), and of calls by (client, server), over stored traces.
#[derive(Default)]
struct Counted {
    spans: BTreeMap<(String, String, String, bool), f64>,
    edges: BTreeMap<(String, String), f64>,
    traces: Vec<String>,
}

fn tag<'a>(span: &'a Value, key: &str) -> &'a Value {
    let tags = span["tags"].as_array().unwrap();
    tags.iter().find(|t| t["key"] == key).map_or(&Value::Null, |t| &t["value"])
}

async fn counted(node: &Node) -> Counted {
    let v = node.json("/jaeger/api/traces?service=web&limit=1500&lookback=1h").await;
    let mut counted = Counted::default();
    for trace in v["data"].as_array().unwrap() {
        let spans = trace["spans"].as_array().unwrap();
        let service = |s: &Value| {
            let process = s["processID"].as_str().unwrap();
            trace["processes"][process]["serviceName"].as_str().unwrap().to_owned()
        };
        counted.traces.push(trace["traceID"].as_str().unwrap().to_owned());
        for s in spans {
            let of = |v: &Value| v.as_str().unwrap_or("internal").to_owned();
            let failed = tag(s, "error") == &Value::Bool(true);
            let key = (service(s), of(&s["operationName"]), of(tag(s, "span.kind")), failed);
            *counted.spans.entry(key).or_default() += 1.0;
            let parent = s["references"][0]["spanID"].as_str();
            let parent = spans.iter().find(|p| parent.is_some() && p["spanID"].as_str() == parent);
            if let Some(parent) = parent.filter(|p| service(p) != service(s)) {
                *counted.edges.entry((service(parent), service(s))).or_default() += 1.0;
            }
        }
    }
    counted
}

/// The value of each series that an instant query gives, by the values of labels.
async fn by_labels(node: &Node, promql: &str, labels: &[&str]) -> BTreeMap<Vec<String>, f64> {
    let v = node.json(&format!("/api/v1/query?query={}", encode(promql))).await;
    let result = v["data"]["result"].as_array().unwrap_or_else(|| panic!("{promql}: {v}"));
    let key = |s: &Value| labels.iter().map(|l| s["metric"][l].as_str().unwrap_or("").to_owned()).collect();
    result.iter().map(|s| (key(s), s["value"][1].as_str().unwrap().parse().unwrap())).collect()
}

#[tokio::test]
async fn services_under_auto_instrumentation_give_a_true_map_and_each_signal_leads_to_the_others() {
    let Some(bin) = peers::python() else { return };
    let home = Home::new("cluster: shop-01\notlp: {promote_resource_attributes: [k8s.pod.name]}\n");
    let node = home.start();
    let stock = Service::start(&bin, &node, "stock", None);
    let orders = Service::start(&bin, &node, "orders", Some(&stock));
    let web = Service::start(&bin, &node, "web", Some(&orders));
    for n in 0..ARTICLES {
        let answer = node.client.send(Request::get(format!("{}/articles/{n}", web.url))).await.unwrap();
        assert_eq!(answer.status.as_u16(), if n % 7 == 0 { 500 } else { 200 });
    }
    web.end();
    orders.end();
    stock.end();

    let counted = counted(&node).await;
    assert_eq!(counted.traces.len(), ARTICLES);
    let calls = ARTICLES as f64;
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(
        counted.edges,
        BTreeMap::from([(pair("orders", "stock"), calls), (pair("web", "orders"), calls)])
    );

    let red = "sum by (service, span_name, span_kind, status_code) (traces_spanmetrics_calls_total)";
    let labels = ["service", "span_name", "span_kind", "status_code"];
    let expected: BTreeMap<Vec<String>, f64> = counted
        .spans
        .iter()
        .map(|((service, name, kind, failed), n)| {
            let kind = format!("SPAN_KIND_{}", kind.to_uppercase());
            let status = if *failed { "STATUS_CODE_ERROR" } else { "STATUS_CODE_UNSET" };
            (vec![service.clone(), name.clone(), kind, status.to_owned()], *n)
        })
        .collect();
    eventually("RED equals what is stored", Duration::from_secs(60), async || {
        (by_labels(&node, red, &labels).await == expected).then_some(())
    })
    .await;
    let durations = "sum by (service) (traces_spanmetrics_latency_count)";
    let of_spans: f64 = expected.values().sum();
    assert_eq!(by_labels(&node, durations, &["service"]).await.values().sum::<f64>(), of_spans);

    let map = "sum by (client, server) (traces_service_graph_request_total{connection_type=\"\"})";
    let edges: BTreeMap<Vec<String>, f64> =
        counted.edges.iter().map(|((a, b), n)| (vec![a.clone(), b.clone()], *n)).collect();
    eventually("the map has both edges", Duration::from_secs(60), async || {
        (by_labels(&node, map, &["client", "server"]).await == edges).then_some(())
    })
    .await;
    let failed = "sum by (client, server) (traces_service_graph_request_failed_total{connection_type=\"\"})";
    let failures: f64 = by_labels(&node, failed, &["client", "server"]).await.values().sum();
    assert_eq!(failures, 2.0 * (ARTICLES / 7) as f64);

    // From each trace to its lines, one of each service at least.
    for id in &counted.traces {
        for service in ["web", "orders", "stock"] {
            let lines = node.lines(&format!("{{service_name=\"{service}\"}} | trace_id=\"{id}\"")).await;
            assert!(
                lines.iter().any(|l| l.starts_with(&format!("{service} is asked"))),
                "{id} {service}: {lines:?}"
            );
        }
    }
    // From a metric to a trace that is there.
    let query = encode("traces_spanmetrics_latency_bucket{service=\"orders\"}");
    let v = node.json(&format!("/api/v1/query_exemplars?query={query}")).await;
    let exemplars = v["data"].as_array().unwrap().iter().flat_map(|s| s["exemplars"].as_array().unwrap());
    let ids: Vec<&str> = exemplars.filter_map(|e| e["labels"]["trace_id"].as_str()).collect();
    assert!(!ids.is_empty(), "{v}");
    assert!(ids.iter().all(|id| counted.traces.iter().any(|t| t == id)), "{ids:?}");
    // From a pod that a trace went through to its metrics.
    let own = "count by (k8s_pod_name) ({__name__=~\"http_.+_count\", k8s_pod_name=~\".+-0\"})";
    assert_eq!(by_labels(&node, own, &["k8s_pod_name"]).await.len(), 3);
}
