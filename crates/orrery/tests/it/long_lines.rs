//! A line of ten megabytes over every door: refused or cut, told to its sender, counted, and nothing else harmed.

use std::{fs, io::Write, net::TcpStream, time::Duration};

use net::Request;
use serde_json::{Value, json};

use crate::{
    lifecycle::now_ns,
    limits::resident_mib,
    node::{Home, Node, eventually},
    peers::free_port,
};

const LONG: usize = 10 << 20;
/// `ingest.max_line` unless set.
const MAX: usize = 1 << 20;

/// Text whose pieces can be told apart.
fn long() -> String {
    let mut line: String = (0..LONG / 10).map(|n| format!("{n:09} ")).collect();
    line.truncate(LONG);
    line
}

async fn send(node: &Node, path: &str, content_type: &str, body: impl Into<Vec<u8>>) -> (u16, String) {
    let request =
        Request::post(format!("{}{path}", node.http), body.into()).header("content-type", content_type);
    let answer = node.client.send(Request { timeout: Duration::from_secs(120), ..request }).await.unwrap();
    (answer.status.as_u16(), String::from_utf8_lossy(&answer.body).into_owned())
}

async fn metric(node: &Node, name: &str, label: &str) -> f64 {
    let metrics = node.get("/metrics").await;
    let text = String::from_utf8_lossy(&metrics.body).into_owned();
    let of = |l: &&str| l.starts_with(name) && l.contains(label);
    text.lines().filter(of).filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

async fn refused(node: &Node, protocol: &str) -> f64 {
    metric(node, "orrery_ingest_refused_items_total", &format!("protocol=\"{protocol}\"")).await
}

async fn lines_of(node: &Node, selector: &str, expected: &[&str]) {
    let mut found = node.lines(selector).await;
    found.sort();
    assert_eq!(
        found.iter().map(|l| l.get(..l.len().min(40)).unwrap()).collect::<Vec<_>>(),
        expected,
        "{selector}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_of_ten_megabytes_is_told_to_whoever_sends_it_and_its_neighbours_are_kept() {
    let home = Home::new("memory: {limit: 512MiB}\n");
    let node = home.start();
    let (t, line) = (now_ns() - 1_000_000_000, long());
    let before = resident_mib(node.pid());

    // Loki, in both forms.
    let values =
        json!([[t.to_string(), "before"], [(t + 1).to_string(), line], [(t + 2).to_string(), "after"]]);
    let body = json!({"streams": [{"stream": {"app": "json"}, "values": values}]}).to_string();
    let (status, text) = send(&node, "/loki/api/v1/push", "application/json", body).await;
    assert!(status == 400 && text.starts_with("1 items refused, 2 stored"), "{status} {text}");
    assert!(
        text.contains("ingest.max_line is 1048576 (item 1 of the request)") && text.len() < 600,
        "{text}"
    );
    lines_of(&node, "{app=\"json\"}", &["after", "before"]).await;
    let values = json!([[t.to_string(), "short", {"field": line}], [(t + 1).to_string(), "neighbour"]]);
    let body = json!({"streams": [{"stream": {"app": "metadata"}, "values": values}]}).to_string();
    let (status, text) = send(&node, "/loki/api/v1/push", "application/json", body).await;
    assert!(status == 400 && text.contains("largest field"), "{status} {text}");
    lines_of(&node, "{app=\"metadata\"}", &["neighbour"]).await;
    assert_eq!(refused(&node, "loki").await, 2.0);

    // Elasticsearch, item by item.
    let documents = [
        json!({"message": "before"}),
        json!({"message": line}),
        json!({"field": line}),
        json!({"message": "after"}),
    ];
    let body: String =
        documents[..2].iter().chain(&documents[3..]).map(|d| format!("{{\"create\":{{}}}}\n{d}\n")).collect();
    let (_, text) = send(&node, "/es/long/_bulk", "application/x-ndjson", body).await;
    let said: Value = serde_json::from_str(&text).unwrap();
    let statuses = |said: &Value| -> Vec<i64> {
        said["items"].as_array().unwrap().iter().map(|i| i["create"]["status"].as_i64().unwrap()).collect()
    };
    assert_eq!(statuses(&said), [201, 413, 201]);
    assert!(
        said["items"][1]["create"]["error"]["reason"]
            .as_str()
            .unwrap()
            .contains("ingest.max_line is 1048576")
    );
    let body = format!(
        "{{\"create\":{{}}}}\n{}\n{{\"create\":{{}}}}\n{}\n",
        documents[2],
        json!({"message": "last"})
    );
    let (_, text) = send(&node, "/es/long/_bulk", "application/x-ndjson", body).await;
    assert_eq!(statuses(&serde_json::from_str(&text).unwrap()), [400, 201], "{text}");
    lines_of(&node, "{index=\"long\"}", &["after", "before", "last"]).await;
    assert_eq!(refused(&node, "elasticsearch").await, 2.0);

    // OTLP.
    let record =
        |n: i64, body: &str| json!({"timeUnixNano": (t + n).to_string(), "body": {"stringValue": body}});
    let records = [record(0, "before"), record(1, &line), record(2, "after")];
    let resource = json!({"attributes": [{"key": "service.name", "value": {"stringValue": "otlp"}}]});
    let body =
        json!({"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": records}]}]}).to_string();
    let (status, text) = send(&node, "/v1/logs", "application/json", body).await;
    let said: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, &said["partialSuccess"]["rejectedLogRecords"]), (200, &json!("1")), "{text}");
    lines_of(&node, "{service_name=\"otlp\"}", &["after", "before"]).await;
    assert_eq!(refused(&node, "otlp_http").await, 1.0);

    // A request beyond the largest body is refused as a whole and by its limit's name.
    let body = json!({"streams": [{"stream": {"app": "body"}, "values": [[t.to_string(), format!("{line}{line}")]]}]});
    let (status, text) = send(&node, "/loki/api/v1/push", "application/json", body.to_string()).await;
    assert!(status == 413 && text.contains("ingest.max_body"), "{status} {text}");
    let after = resident_mib(node.pid());
    println!("{before} MiB resident before, {after} MiB after ten long lines");
    assert!(after < before + 150, "{before} MiB before, {after} MiB after");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_syslog_message_of_ten_megabytes_is_passed_over_and_the_connection_goes_on() {
    let port = free_port();
    let mut home = Home::new("");
    home.listen = format!(", syslog: '127.0.0.1:{port}'");
    let node = home.start();
    let (before, line) = (resident_mib(node.pid()), long());
    let message = |text: &str| {
        format!("<11>1 2024-05-06T07:08:09Z host app - - - {text}").replace("2024-05-06T07:08:09Z", "-")
    };
    let sending = tokio::task::spawn_blocking(move || {
        let mut by_line = TcpStream::connect(("127.0.0.1", port)).unwrap();
        for text in ["line before", &line, "line after"] {
            by_line.write_all(format!("{}\n", message(text)).as_bytes()).unwrap();
        }
        let mut by_length = TcpStream::connect(("127.0.0.1", port)).unwrap();
        for text in ["length before", &line, "length after"] {
            let m = message(text);
            by_length.write_all(format!("{} {m}", m.len()).as_bytes()).unwrap();
        }
    });
    sending.await.unwrap();
    let expected = ["length after", "length before", "line after", "line before"];
    eventually("the neighbours", Duration::from_secs(60), async || {
        (node.lines("{service_name=\"app\"}").await.len() >= 4).then_some(())
    })
    .await;
    lines_of(&node, "{service_name=~\".+\"}", &expected).await;
    assert_eq!(refused(&node, "syslog").await, 2.0);
    assert_eq!(metric(&node, "orrery_ingest_malformed_items_total", "syslog").await, 0.0);
    let after = resident_mib(node.pid());
    println!("{before} MiB resident before, {after} MiB after");
    assert!(after < before + 100, "{before} MiB before, {after} MiB after");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_of_ten_megabytes_in_a_file_is_cut_into_pieces_that_hold_all_of_it() {
    let mut home = Home::with("");
    let at = home.dir.path().display();
    home.extra = format!(
        "collect:\n  host: {{enabled: false}}\n  traces: {{enabled: false}}\n  defaults: false\n  \
         files: {{paths: ['{at}/files/*.log'], start_at: beginning}}\n  pods: {{path: '{at}/pods', start_at: beginning}}\n"
    );
    let line = long();
    let now = chrono::Utc::now();
    fs::create_dir_all(home.dir.path().join("files")).unwrap();
    fs::write(home.dir.path().join("files/plain.log"), format!("before\n{line}\nafter\n")).unwrap();
    let pod = home.dir.path().join("pods/default_long_uid/app");
    fs::create_dir_all(&pod).unwrap();
    // As a runtime cuts it, into parts of 16 KiB.
    let at = |n: i64| (now + chrono::TimeDelta::nanoseconds(n)).format("%Y-%m-%dT%H:%M:%S%.9fZ").to_string();
    let mut text = format!("{} stdout F before\n", at(0));
    for (n, part) in line.as_bytes().chunks(16 << 10).enumerate() {
        let tag = if (n + 1) * (16 << 10) >= line.len() { "F" } else { "P" };
        text.push_str(&format!("{} stdout {tag} {}\n", at(1 + n as i64), String::from_utf8_lossy(part)));
    }
    text.push_str(&format!("{} stdout F after\n", at(10_000)));
    fs::write(pod.join("0.log"), text).unwrap();
    let node = home.start();
    for (selector, kind) in [("{job=\"files\"}", "plain"), ("{job=\"pods\"}", "container")] {
        let pieces = eventually(kind, Duration::from_secs(60), async || {
            let mut lines = node.lines(selector).await;
            lines.reverse();
            lines.iter().any(|l| l == "after").then_some(lines)
        })
        .await;
        assert_eq!(
            (pieces.first().unwrap().as_str(), pieces.last().unwrap().as_str()),
            ("before", "after"),
            "{kind}"
        );
        let inner = &pieces[1..pieces.len() - 1];
        assert!(inner.iter().all(|p| p.len() <= MAX + (16 << 10)), "{kind}");
        assert!(inner.concat() == line, "{kind}: {} pieces, {} bytes", inner.len(), inner.concat().len());
        println!("{kind}: {} pieces", inner.len());
    }
    let cut = metric(&node, "orrery_agent_problems_total", "reason=\"line_too_long\"").await;
    assert!(cut >= 18.0, "{cut}");
    let after = resident_mib(node.pid());
    println!("{after} MiB resident");
    assert!(after < 400, "{after} MiB");
}
