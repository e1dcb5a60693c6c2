//! Start, health, reload, stop.

use std::time::Duration;

use crate::{
    node::{Home, QUIET, eventually},
    peers::free_port,
};

#[tokio::test]
async fn a_node_is_healthy_ready_and_exposes_its_metrics() {
    let home = Home::new("");
    let node = home.start();
    assert_eq!(node.get("/-/healthy").await.status, 200);
    assert_eq!(node.get("/-/ready").await.status, 200);
    let metrics = node.get("/metrics").await;
    let text = String::from_utf8(metrics.body.to_vec()).unwrap();
    assert!(text.contains("orrery_memory_limit_bytes") && text.ends_with("# EOF\n"), "{text}");
    let info = node.json("/api/v1/status/buildinfo").await;
    assert_eq!(info["data"]["buildUser"], concat!("orrery ", env!("CARGO_PKG_VERSION")));
}

#[tokio::test]
async fn a_node_lives_on_when_nobody_reads_what_it_prints() {
    let home = Home::on_port(free_port(), "");
    home.write_config(QUIET);
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_orrery"))
        .args(["run", "--config"])
        .arg(home.config())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop((child.stdout.take(), child.stderr.take()));
    let url = |path: &str| format!("http://127.0.0.1:{}{path}", home.http_port());
    let client = net::Client::new().unwrap();
    eventually("it is ready", Duration::from_secs(60), async || {
        let answer = client.send(net::Request::get(url("/-/ready"))).await.ok()?;
        answer.status.is_success().then_some(())
    })
    .await;
    // A refused reload is told on stderr, too.
    home.write_config("memory: {limit: lots}\n");
    let refused = client.send(net::Request::post(url("/-/reload"), "")).await.unwrap();
    assert!(!refused.status.is_success());
    assert_eq!(client.send(net::Request::get(url("/-/healthy"))).await.unwrap().status, 200);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test]
async fn sigterm_flushes_and_exits_with_zero_within_ten_seconds() {
    let home = Home::new("");
    let node = home.start();
    let line =
        format!("{{\"streams\":[{{\"stream\":{{\"a\":\"b\"}},\"values\":[[\"{}\",\"kept\"]]}}]}}", now_ns());
    assert_eq!(node.post("/loki/api/v1/push", "application/json", line).await.status, 204);
    let (code, took) = node.terminate();
    assert_eq!(code, Some(0), "{}", home.log_text());
    assert!(took < Duration::from_secs(10), "{took:?}");
    let again = home.start();
    assert_eq!(again.lines("{a=\"b\"}").await, ["kept"]);
}

#[tokio::test]
async fn a_changed_file_is_applied_by_signal_and_by_http_and_a_broken_one_is_refused_whole() {
    let home = Home::new("");
    let node = home.start();
    home.write_config(&format!("{QUIET}memory: {{limit: 700MiB}}\n"));
    assert_eq!(node.post("/-/reload", "text/plain", "").await.status, 200);
    let limit = |text: &str| {
        let line = text.lines().find(|l| l.starts_with("orrery_memory_limit_bytes ")).map(str::to_owned);
        line.and_then(|l| l.rsplit(' ').next()?.parse::<f64>().ok())
    };
    // The gauge follows within a moment of the reload.
    crate::node::eventually("the new limit", Duration::from_secs(5), async || {
        let text = String::from_utf8(node.get("/metrics").await.body.to_vec()).ok()?;
        (limit(&text)? as u64 == 700 << 20).then_some(())
    })
    .await;

    home.write_config(&format!("{QUIET}memory: {{limit: lots}}\n"));
    let refused = node.post("/-/reload", "text/plain", "").await;
    assert!(refused.status.is_client_error() || refused.status.is_server_error());
    assert!(refused.excerpt().contains("memory.limit"), "{}", refused.excerpt());
    let info = node.json("/api/v1/status/runtimeinfo").await;
    assert_eq!(info["data"]["reloadConfigSuccess"], false);
    assert_ne!(info["data"]["lastConfigTime"], info["data"]["startTime"]);
    assert!(info["data"]["storageRetention"].as_str().unwrap().starts_with("30d or "), "{info}");
    let flags = node.json("/api/v1/status/flags").await;
    assert_eq!(flags["data"]["query.timeout"], "2m");

    home.write_config(&format!("{QUIET}memory: {{limit: 800MiB}}\n"));
    node.signal("-HUP");
    crate::node::eventually("the limit by SIGHUP", Duration::from_secs(5), async || {
        let text = String::from_utf8(node.get("/metrics").await.body.to_vec()).ok()?;
        (limit(&text)? as u64 == 800 << 20).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_node_told_to_stop_while_it_starts_answers_until_then_and_ends_promptly() {
    let home = Home::new("");
    let node = home.start();
    for i in 0..40 {
        let at = now_ns();
        let lines: Vec<String> = (0..2000).map(|n| format!("[\"{}\",\"line {i} {n}\"]", at + n)).collect();
        let body =
            format!("{{\"streams\":[{{\"stream\":{{\"a\":\"b\"}},\"values\":[{}]}}]}}", lines.join(","));
        assert_eq!(node.post("/loki/api/v1/push", "application/json", body).await.status, 204);
    }
    // What was not flushed is read back at the next start.
    node.kill();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let listen = format!("listen: {{http: '{address}', otlp_grpc: off, otlp_http: off}}\n");
    std::fs::write(home.config(), format!("data_dir: data\n{listen}{QUIET}")).unwrap();
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_orrery"))
        .args(["run", "--config"])
        .arg(home.config())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let client = net::Client::new().unwrap();
    crate::node::eventually("a healthy node", Duration::from_secs(60), async || {
        let asked = client.send(net::Request::get(format!("http://{address}/-/healthy"))).await;
        asked.ok().filter(|a| a.status == 200).map(drop)
    })
    .await;
    let began = std::time::Instant::now();
    let killed = std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    assert!(killed.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[tokio::test]
async fn series_are_deleted_and_snapshots_taken_where_the_configuration_allows_it() {
    let home = Home::new("http: {enable_admin: true}\n");
    let node = home.start();
    let at = now_ns() / 1_000_000;
    let metric = |name: &str| {
        let point = format!("{{\"timeUnixNano\":\"{}000000\",\"asDouble\":7}}", at);
        format!("{{\"name\":\"{name}\",\"gauge\":{{\"dataPoints\":[{point}]}}}}")
    };
    let metrics = format!("{},{}", metric("gone"), metric("stays"));
    let body = format!("{{\"resourceMetrics\":[{{\"scopeMetrics\":[{{\"metrics\":[{metrics}]}}]}}]}}");
    let sent = node.post("/v1/metrics", "application/json", body).await;
    assert_eq!(sent.status, 200, "{}", sent.excerpt());
    assert_eq!((node.value("gone").await, node.value("stays").await), (7.0, 7.0));
    let form = "application/x-www-form-urlencoded";
    let snapshot = node.post("/api/v1/admin/tsdb/snapshot", form, "").await;
    assert_eq!(snapshot.status, 200, "{}", snapshot.excerpt());
    let deleted = node.post("/api/v1/admin/tsdb/delete_series", form, "match[]=gone").await;
    assert_eq!(deleted.status, 204, "{}", deleted.excerpt());
    assert!(node.value("gone").await.is_nan());
    assert_eq!(node.post("/api/v1/admin/tsdb/clean_tombstones", form, "").await.status, 204);
    assert!(node.value("gone").await.is_nan());
    assert_eq!(node.value("stays").await, 7.0);
    // A node over the snapshot still has it.
    let answer: serde_json::Value = serde_json::from_slice(&snapshot.body).unwrap();
    let taken = home.data().join("snapshots").join(answer["data"]["name"].as_str().unwrap());
    let other = Home::new("");
    std::fs::rename(&taken, other.data()).unwrap();
    let copy = other.start();
    assert_eq!((copy.value("gone").await, copy.value("stays").await), (7.0, 7.0));
}

#[tokio::test]
async fn a_taken_port_is_an_error_that_names_the_key() {
    let home = Home::new("");
    let node = home.start();
    let port = node.http.rsplit(':').next().unwrap().to_owned();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("o.yaml");
    std::fs::write(&file, format!("listen: {{http: '127.0.0.1:{port}', otlp_grpc: off, otlp_http: off}}\n"))
        .unwrap();
    let out = std::process::Command::new(env!("CARGO_BIN_EXE_orrery"))
        .args(["run", "--config"])
        .arg(&file)
        .output()
        .unwrap();
    assert!(!out.status.success());
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(text.contains("listen.http") && text.contains(&port), "{text}");
}

#[test]
fn check_config_names_line_and_field_and_exits_with_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("o.yaml");
    std::fs::write(&file, "retention:\n  logs: soon\n").unwrap();
    let check = || {
        std::process::Command::new(env!("CARGO_BIN_EXE_orrery"))
            .args(["check", "config"])
            .arg(&file)
            .output()
            .unwrap()
    };
    let out = check();
    assert!(!out.status.success());
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(text.contains("o.yaml:2:") && text.contains("retention.logs"), "{text}");
    // A file of another program, which is read for what it does not do.
    let other = dir.path().join("prometheus.yml");
    let rules = "[{source_labels: [__name__], regex: up, action: keep}, {source_labels: [__name__], regex: 'kube_.*', action: keep}]";
    let remote =
        format!("remote_write: [{{url: 'http://hub/api/v1/write', write_relabel_configs: {rules}}}]\n");
    std::fs::write(&other, remote).unwrap();
    let out = std::process::Command::new(env!("CARGO_BIN_EXE_orrery"))
        .args(["check", "config", "--json"])
        .arg(&other)
        .output()
        .unwrap();
    assert_eq!(out.status.code(), Some(1));
    let report: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(report[0]["findings"][0]["rule"], "keep-rules-exclude", "{report}");
    std::fs::write(&file, "retention:\n  logs: 1d\n").unwrap();
    assert!(check().status.success());
}

pub fn now_ns() -> i64 {
    base::Clock::system().now_ns()
}
