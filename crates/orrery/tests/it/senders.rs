//! Real senders, unmodified: what they sent is read back and counted exactly.

use std::{collections::BTreeSet, path::Path, process::Command, time::Duration};

use serde_json::Value;

use crate::{
    node::{Home, Node, encode, eventually, root},
    peers::{self, Peer},
};

#[tokio::test]
async fn prometheus_remote_writes_and_every_sample_it_holds_is_read_back() {
    let Some(prometheus) = peers::program("prometheus") else { return };
    let home = Home::new("");
    let node = home.start();
    let dir = tempfile::tempdir().unwrap();
    let port = peers::free_port();
    let config = format!(
        "global: {{scrape_interval: 1s, external_labels: {{origin: peer}}}}\n\
         scrape_configs:\n- job_name: self\n  static_configs: [{{targets: ['127.0.0.1:{port}']}}]\n\
         - job_name: gone\n  static_configs: [{{targets: ['127.0.0.1:1']}}]\n\
         remote_write:\n- url: {}/api/v1/write\n  queue_config: {{batch_send_deadline: 500ms}}\n",
        node.http
    );
    std::fs::write(dir.path().join("prometheus.yml"), config).unwrap();
    let _peer = Peer::start(
        Command::new(prometheus)
            .arg(format!("--config.file={}", dir.path().join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", dir.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}")),
    );
    let peer = format!("http://127.0.0.1:{port}");
    eventually("ten samples of up", Duration::from_secs(60), async || {
        (node.value("count_over_time(up{job=\"self\"}[5m])").await >= 10.0).then_some(())
    })
    .await;
    // A window that has closed on both sides, seen with the same eyes.
    let end = base::Clock::system().now_ms() / 1000 - 4;
    for query in
        ["up", "prometheus_tsdb_head_samples_appended_total", "scrape_duration_seconds", "go_goroutines"]
    {
        let path = format!("/api/v1/query?query={}&time={end}", encode(&format!("{query}[8s]")));
        let theirs = matrix(&fetch(&node, &format!("{peer}{path}")).await);
        let ours = eventually("the same samples", Duration::from_secs(20), async || {
            let ours = matrix(&node.json(&path).await);
            (ours.len() == theirs.len()).then_some(ours)
        })
        .await;
        assert!(!theirs.is_empty(), "{query}");
        assert_eq!(ours, theirs, "{query}");
    }
    assert_eq!(node.value("up{job=\"gone\"}").await, 0.0);
}

/// (labels without the external one, time, value) of every sample.
fn matrix(answer: &Value) -> BTreeSet<(String, String, String)> {
    let mut out = BTreeSet::new();
    for series in answer["data"]["result"].as_array().into_iter().flatten() {
        let mut labels = series["metric"].as_object().cloned().unwrap_or_default();
        labels.remove("origin");
        let mut sorted: Vec<_> = labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
        sorted.sort();
        for point in series["values"].as_array().into_iter().flatten() {
            out.insert((sorted.join(","), point[0].to_string(), point[1].to_string()));
        }
    }
    out
}

async fn fetch(node: &Node, url: &str) -> Value {
    let answer = node.client.send(net::Request::get(url)).await.unwrap();
    serde_json::from_slice(&answer.body).unwrap()
}

#[tokio::test]
async fn the_python_sdk_sends_three_signals_over_grpc_and_each_is_read_back() {
    let home = Home::new("");
    let node = home.start();
    python_sdk(&node, home.dir.path(), "grpc", &node.otlp_grpc.clone()).await;
}

#[tokio::test]
async fn the_python_sdk_sends_three_signals_over_http_and_each_is_read_back() {
    let home = Home::new("");
    let node = home.start();
    python_sdk(&node, home.dir.path(), "http/protobuf", &node.otlp_http.clone()).await;
}

/// Runs the instrumented service and compares what it says it sent with what the node answers.
async fn python_sdk(node: &Node, dir: &Path, protocol: &str, endpoint: &str) {
    let Some(bin) = peers::python() else { return };
    let (count, truth_file) = (40, dir.join("truth.json"));
    let run = tokio::process::Command::new(bin.join("opentelemetry-instrument"))
        .arg(bin.join("python"))
        .arg(root().join("tests/peers/otel_app.py"))
        .arg(count.to_string())
        .arg(&truth_file)
        .env("OTEL_SERVICE_NAME", "orders")
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        .env("OTEL_EXPORTER_OTLP_INSECURE", "true")
        .env("OTEL_TRACES_EXPORTER", "otlp")
        .env("OTEL_METRICS_EXPORTER", "otlp")
        .env("OTEL_LOGS_EXPORTER", "otlp")
        .env("OTEL_PYTHON_LOG_LEVEL", "info")
        .env("OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED", "true")
        .output();
    let out = tokio::time::timeout(Duration::from_secs(120), run).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success() && truth_file.exists(), "{said}");
    let truth: Value = serde_json::from_slice(&std::fs::read(&truth_file).unwrap()).unwrap();

    let mut spans = BTreeSet::new();
    for id in strings(&truth["trace_ids"]) {
        let trace = node.json(&format!("/jaeger/api/traces/{id}")).await;
        for span in trace["data"][0]["spans"].as_array().into_iter().flatten() {
            assert!(
                spans.insert(span["spanID"].as_str().unwrap_or_default().to_owned()),
                "a span came twice"
            );
        }
    }
    assert_eq!(spans, strings(&truth["spans"]).into_iter().collect(), "{said}");

    let mut lines = node.lines("{service_name=\"orders\"} |= \"order \" |= \" placed\"").await;
    lines.sort();
    let mut sent = strings(&truth["logs"]);
    sent.sort();
    assert_eq!(lines, sent);

    for kind in ["even", "odd"] {
        let got = node.value(&format!("orders_placed_total{{kind=\"{kind}\"}}")).await;
        assert_eq!(Some(got), truth["counter"][kind].as_f64(), "{kind}");
    }
    assert_eq!(Some(node.value("orders_size_bytes_count").await), truth["histogram_count"].as_f64());
    assert_eq!(Some(node.value("orders_size_bytes_sum").await), truth["histogram_sum"].as_f64());
}

#[tokio::test]
async fn a_loki_client_pushes_and_every_line_is_read_back_in_order() {
    let Some(bin) = peers::python() else { return };
    let home = Home::new("");
    let node = home.start();
    let count = 100;
    let out = tokio::process::Command::new(bin.join("python"))
        .arg(root().join("tests/peers/loki_push.py"))
        .arg(format!("{}/loki/api/v1/push", node.http))
        .arg(count.to_string())
        .output()
        .await
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let mut lines = node.lines("{app=\"pusher\", severity=\"info\"}").await;
    lines.reverse();
    let sent: Vec<String> = (0..count).map(|n| format!("line {n} of {count}")).collect();
    assert_eq!(lines, sent);
    let counted = node
        .json(&format!("/loki/api/v1/query?query={}", encode("sum(count_over_time({app=\"pusher\"}[1h]))")))
        .await;
    assert_eq!(counted["data"]["result"][0]["value"][1], count.to_string());
}

fn strings(v: &Value) -> Vec<String> {
    v.as_array().into_iter().flatten().filter_map(|s| s.as_str().map(str::to_owned)).collect()
}
