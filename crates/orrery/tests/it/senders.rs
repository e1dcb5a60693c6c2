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

/// A span as the two sides of a test see it: id, parent, name, kind and whether it failed.
type Seen = (String, String, String, String, bool);

#[tokio::test]
async fn exporters_for_zipkin_and_jaeger_send_spans_and_each_is_read_back() {
    let Some(bin) = peers::spans_python() else { return };
    let (zipkin, thrift, grpc) = (peers::free_port(), peers::free_port(), peers::free_port());
    let mut home = Home::new("");
    home.listen = format!(
        ", zipkin: '127.0.0.1:{zipkin}', jaeger_http: '127.0.0.1:{thrift}', jaeger_grpc: '127.0.0.1:{grpc}'"
    );
    let node = home.start();
    let main = node.http.trim_start_matches("http://");
    let ways = [
        ("zipkin-json", format!("http://127.0.0.1:{zipkin}/api/v2/spans")),
        ("zipkin-json", format!("{}/api/v2/spans", node.http)),
        ("zipkin-protobuf", format!("http://127.0.0.1:{zipkin}/api/v2/spans")),
        ("py-zipkin", format!("{}/api/v2/spans", node.http)),
        ("jaeger-thrift", format!("http://127.0.0.1:{thrift}/api/traces?format=jaeger.thrift")),
        ("jaeger-thrift", format!("{}/api/traces", node.http)),
        ("jaeger-grpc", format!("127.0.0.1:{grpc}")),
        ("jaeger-grpc", main.to_owned()),
    ];
    for (i, (door, endpoint)) in ways.iter().enumerate() {
        let truth = home.dir.path().join(format!("spans-{i}.json"));
        let run = tokio::process::Command::new(bin.join("python"))
            .arg(root().join("tests/peers/spans.py"))
            .args([*door, endpoint.as_str(), "30"])
            .arg(&truth)
            .output();
        let out = tokio::time::timeout(Duration::from_secs(60), run).await.unwrap().unwrap();
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.success(), "{door} to {endpoint}: {said}");
        let sent: Value = serde_json::from_slice(&std::fs::read(&truth).unwrap()).unwrap();
        let sent = sent.as_array().cloned().unwrap_or_default();
        assert!(sent.len() >= 60, "{door}: {} spans", sent.len());
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        // Zipkin has no word for what is inside of a service.
        let kind =
            |v: &Value| text(v).replace("internal", if door.contains("zipkin") { "" } else { "internal" });
        let want: BTreeSet<Seen> = sent
            .iter()
            .map(|s| {
                (text(&s["id"]), text(&s["parent"]), text(&s["name"]), kind(&s["kind"]), s["failed"] == true)
            })
            .collect();
        let mut got = BTreeSet::new();
        for id in sent.iter().map(|s| text(&s["trace"])).collect::<BTreeSet<_>>() {
            let trace = node.json(&format!("/jaeger/api/traces/{id}")).await;
            for span in trace["data"][0]["spans"].as_array().into_iter().flatten() {
                assert!(got.insert(seen(span)), "{door} to {endpoint}: a span came twice");
            }
        }
        assert_eq!(got, want, "{door} to {endpoint}: {said}");
    }
}

/// A span as Jaeger's API shows it.
fn seen(span: &Value) -> Seen {
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let each = |list: &str| span[list].as_array().cloned().unwrap_or_default();
    let tag = |key: &str| each("tags").into_iter().find(|t| t["key"] == key).map(|t| t["value"].clone());
    let parent = each("references").into_iter().find(|r| r["refType"] == "CHILD_OF");
    (
        text(&span["spanID"]),
        parent.map(|r| text(&r["spanID"])).unwrap_or_default(),
        text(&span["operationName"]),
        tag("span.kind").map(|v| text(&v)).unwrap_or_default(),
        tag("error") == Some(Value::Bool(true)),
    )
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
    // And what is found out of it besides.
    let asked = |path: &str| format!("/loki/api/v1/{path}?query={}", encode("{service_name=\"pusher\"}"));
    assert_eq!(node.json(&asked("index/stats")).await["entries"], count);
    let patterns = node.json(&asked("patterns")).await;
    assert_eq!(patterns["data"][0]["pattern"], "line <_> of <_>", "{patterns}");
}

#[tokio::test]
async fn two_elasticsearch_clients_write_in_bulk_and_read_everything_back() {
    let Some(bin) = peers::python() else { return };
    let home = Home::new("");
    let node = home.start();
    let count = 500;
    let out = tokio::process::Command::new(bin.join("python"))
        .arg(root().join("tests/peers/elastic.py"))
        .arg(format!("{}/es", node.http))
        .arg(count.to_string())
        .output()
        .await
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let seen: Value = serde_json::from_slice(&out.stdout).unwrap();
    for client in ["elasticsearch", "opensearch"] {
        let want = serde_json::json!({
            "stored": count, "errors": [400], "again": 0, "conflicts": [400, 409], "conflict_count": count + 1,
            "read": count, "wrong": [], "even": count / 2, "sum": 62250.0, "count": count,
        });
        assert_eq!(seen[client], want, "{client}");
    }
    let lines = node.lines("{index=\"py-elastic\"} |= \"line 7 of\"").await;
    assert_eq!(lines, ["line 7 of 500"]);
}

#[tokio::test]
async fn rsyslog_sends_a_file_as_documents_and_as_syslog_and_every_line_arrives_once() {
    let Some(rsyslogd) = peers::program("rsyslogd") else { return };
    let (elastic, syslog, count) = (peers::free_port(), peers::free_port(), 2000);
    let mut home = Home::new("");
    home.listen = format!(", elasticsearch: '127.0.0.1:{elastic}', syslog: '127.0.0.1:{syslog}'");
    let node = home.start();
    let dir = home.dir.path().to_owned();
    let lines: String = (0..count).map(|n| format!("line {n} of {count}\n")).collect();
    std::fs::write(dir.join("in.log"), lines).unwrap();
    let field = |name: &str, property: &str, format: &str| {
        format!("property(outname=\"{name}\" name=\"{property}\" {format} format=\"jsonf\")")
    };
    let template = [
        field("@timestamp", "timereported", "dateFormat=\"rfc3339\""),
        field("host", "hostname", ""),
        field("message", "msg", ""),
    ];
    let at = dir.display();
    let config = format!(
        "global(workDirectory=\"{at}\")\nmodule(load=\"imfile\")\nmodule(load=\"omelasticsearch\")\n\
         template(name=\"doc\" type=\"list\" option.jsonf=\"on\") {{ {} }}\n\
         input(type=\"imfile\" File=\"{at}/in.log\" Tag=\"app:\" Severity=\"error\" Facility=\"local3\")\n\
         action(type=\"omelasticsearch\" server=\"127.0.0.1\" serverport=\"{elastic}\" template=\"doc\" \
         searchIndex=\"rsyslog\" bulkmode=\"on\" errorfile=\"{at}/refused\" action.resumeretrycount=\"-1\")\n\
         action(type=\"omfwd\" target=\"127.0.0.1\" port=\"{syslog}\" protocol=\"tcp\" \
         TCP_Framing=\"octet-counted\" template=\"RSYSLOG_SyslogProtocol23Format\")\n",
        template.join(" ")
    );
    std::fs::write(dir.join("rsyslog.conf"), config).unwrap();
    let _peer = Peer::start(
        Command::new(rsyslogd)
            .args(["-n", "-f"])
            .arg(dir.join("rsyslog.conf"))
            .arg("-i")
            .arg(dir.join("rsyslog.pid")),
    );
    let want: BTreeSet<String> = (0..count).map(|n| format!("line {n} of {count}")).collect();
    let selectors = ["{index=\"rsyslog\"}", "{service_name=\"app\", facility=\"local3\"}"];
    for selector in selectors {
        let path =
            format!("/loki/api/v1/query?query={}", encode(&format!("sum(count_over_time({selector}[1h]))")));
        eventually("every line", Duration::from_secs(60), async || {
            let counted = node.json(&path).await;
            {
                let value = counted["data"]["result"][0]["value"][1].as_str();
                (value == Some(count.to_string().as_str())).then_some(())
            }
        })
        .await;
    }
    let search = format!("/es/rsyslog/_search?size={count}&_source=message");
    let found = node.json(&search).await;
    let hits = found["hits"]["hits"].as_array().cloned().unwrap_or_default();
    let read = |h: &Value| h["_source"]["message"].as_str().map(str::to_owned);
    assert_eq!(hits.iter().filter_map(read).collect::<BTreeSet<_>>(), want);
    assert!(!dir.join("refused").exists());
}

fn strings(v: &Value) -> Vec<String> {
    v.as_array().into_iter().flatten().filter_map(|s| s.as_str().map(str::to_owned)).collect()
}
