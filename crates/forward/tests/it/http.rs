use std::time::Duration;

use forward::{
    Delivery, Destination, Outcome, Reasons,
    destination::{
        BATCH_HEADER,
        elastic::{Elastic, ElasticOptions},
        http::{HttpOptions, TenantHeader},
        loki::Loki,
        otlp::OtlpHttp,
        remote_write::{RemoteWrite, WriteVersion},
    },
};
use model::{Batch, TenantId};
use proto::{
    Message,
    otlp::collector::logs::{ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse},
};
use serde_json::{Value, json};

use crate::server::{Say, Server, clock, delivery, logs, metrics, status};

fn refused(reason: &str, n: u64) -> Reasons {
    Reasons::from([(reason.to_owned(), n)])
}

fn is_down(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Later { down: true, .. })
}

#[tokio::test]
async fn otlp_counts_what_a_partial_success_rejects_and_believes_no_garbage() {
    let partial = ExportLogsPartialSuccess { rejected_log_records: 2, error_message: "old".to_owned() };
    let partial = ExportLogsServiceResponse { partial_success: Some(partial) }.encode_to_vec();
    let json = br#"{"partialSuccess":{"rejectedLogRecords":"1"}}"#.to_vec();
    let server = Server::start([
        Say::Is(503, &[("retry-after", "7")], b"draining".to_vec()),
        Say::Is(200, &[("content-type", "text/html")], b"<html>welcome".to_vec()),
        Say::Is(200, &[], b"\xff\xff\xff".to_vec()),
        Say::Is(200, &[("content-type", "application/json")], b"[]".to_vec()),
        Say::Is(200, &[("content-type", "application/x-protobuf")], partial),
        Say::Is(200, &[("content-type", "application/json")], json),
        Say::Is(200, &[], Vec::new()),
        status(400),
        status(413),
        status(401),
        status(404),
        Say::Is(429, &[("retry-after", "3")], Vec::new()),
        status(200),
    ])
    .await;
    let options = HttpOptions { tenant: TenantHeader::Own, ..server.options() };
    let otlp = OtlpHttp::new("hub", options, clock()).unwrap();
    let sent = delivery(logs(&["a", "b", "c"]));
    let first = otlp.send(0, &sent).await;
    assert!(
        matches!(&first, Outcome::Later { after: Some(d), down: true, detail } if *d == Duration::from_secs(7) && detail.contains("draining")),
        "{first:?}"
    );
    for what in ["a web page", "bytes", "other JSON"] {
        assert!(is_down(&otlp.send(0, &sent).await), "{what}");
    }
    let answered = |n| Outcome::partly("partial_success", n, if n == 2 { "old" } else { "" });
    assert_eq!(otlp.send(0, &sent).await, answered(2));
    assert_eq!(otlp.send(0, &sent).await, answered(1));
    assert_eq!(otlp.send(0, &sent).await, answered(0));
    assert!(matches!(otlp.send(0, &sent).await, Outcome::Refused { reason, .. } if reason == "http_400"));
    assert!(matches!(otlp.send(0, &sent).await, Outcome::TooLarge { .. }));
    assert!(is_down(&otlp.send(0, &sent).await), "credentials can be put right");
    let nobody = otlp.send(0, &sent).await;
    assert!(matches!(nobody, Outcome::Later { down: false, .. }), "and so can a path: {nobody:?}");
    let slow = otlp.send(0, &sent).await;
    assert!(
        matches!(slow, Outcome::Later { after: Some(d), down: false, .. } if d == Duration::from_secs(3))
    );

    let of_nobody = Delivery { tenant: TenantId::default(), ..delivery(logs(&["a", "b", "c"])) };
    assert_eq!(otlp.send(0, &of_nobody).await, Outcome::acknowledged());

    let mut asked = server.asked.lock();
    let last = asked.pop().unwrap();
    assert!(!last.headers.contains_key("x-scope-orgid"), "no tenant is the tenant default");
    assert!(asked.iter().all(|a| a.path == "/v1/logs" && a.header(BATCH_HEADER) == "0000000000000007-3-9"));
    assert!(asked.iter().all(|a| a.body == asked[0].body), "the same bytes each time");
    assert_eq!(asked[0].header("x-scope-orgid"), "team-a");
    let request = ExportLogsServiceRequest::decode(&asked[0].plain()[..]).unwrap();
    let Batch::Logs(l) = &sent.batch else { panic!() };
    assert_eq!(request, wire::otlp::logs::encode(l));
}

#[tokio::test]
async fn who_stalls_or_is_not_there_is_down() {
    let server = Server::start([Say::Nothing]).await;
    let options = HttpOptions { timeout: Duration::from_millis(200), ..server.options() };
    let stalled = OtlpHttp::new("hub", options, clock()).unwrap();
    assert!(is_down(&stalled.send(0, &delivery(logs(&["a"]))).await));
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let absent = OtlpHttp::new("hub", HttpOptions::new([closed]), clock()).unwrap();
    assert!(is_down(&absent.send(0, &delivery(logs(&["a"]))).await));
}

#[tokio::test]
async fn remote_write_1_sends_what_its_receivers_read() {
    let server =
        Server::start([Say::Is(429, &[("retry-after", "1")], Vec::new()), status(204), status(400)]).await;
    let rw = RemoteWrite::new("prom", server.options(), WriteVersion::V1, clock()).unwrap();
    let sent = delivery(metrics(&[1.0, 2.0]));
    assert!(matches!(rw.send(0, &sent).await, Outcome::Later { down: false, .. }));
    assert_eq!(rw.send(0, &sent).await, Outcome::acknowledged());
    assert!(matches!(rw.send(0, &sent).await, Outcome::Refused { reason, .. } if reason == "http_400"));
    let asked = server.asked.lock();
    assert_eq!(asked[0].path, "/api/v1/write");
    assert_eq!(asked[0].header("x-prometheus-remote-write-version"), "0.1.0");
    let decoded = wire::remote_write::decode_v1(&asked[0].plain(), &wire::Limits::default()).unwrap();
    assert_eq!(decoded.batch.samples.value, [1.0, 2.0]);
}

#[tokio::test]
async fn remote_write_2_believes_only_what_was_written_and_falls_back() {
    let written = |code, n| Say::Is(code, n, Vec::new());
    let server = Server::start([
        written(204, &[("x-prometheus-remote-write-samples-written", "2")]),
        written(204, &[]),
        written(400, &[("x-prometheus-remote-write-samples-written", "1")]),
        status(400),
        status(415),
        status(204),
    ])
    .await;
    let rw = RemoteWrite::new("prom", server.options(), WriteVersion::V2, clock()).unwrap();
    let sent = delivery(metrics(&[1.0, 2.0]));
    let of = |o: Outcome| match o {
        Outcome::Answered { refused, again, .. } if again.is_empty() => refused,
        other => panic!("{other:?}"),
    };
    assert_eq!(of(rw.send(0, &sent).await), Reasons::new());
    assert_eq!(of(rw.send(0, &sent).await), refused("unconfirmed", 2));
    assert_eq!(of(rw.send(0, &sent).await), refused("http_400", 1));
    assert!(matches!(rw.send(0, &sent).await, Outcome::Refused { .. }));
    assert_eq!(of(rw.send(0, &sent).await), Reasons::new(), "415, then 1.0");
    let asked = server.asked.lock();
    let versions: Vec<&str> = asked.iter().map(|a| a.header("x-prometheus-remote-write-version")).collect();
    assert_eq!(versions, ["2.0.0", "2.0.0", "2.0.0", "2.0.0", "2.0.0", "0.1.0"]);
    let decoded = wire::remote_write::v2::decode(&asked[0].plain(), &wire::Limits::default()).unwrap();
    assert_eq!(decoded.batch.samples.value, [1.0, 2.0]);
}

#[tokio::test]
async fn loki_gets_its_streams() {
    let server = Server::start([status(500), status(204)]).await;
    let loki = Loki::new("loki", server.options(), clock()).unwrap();
    let sent = delivery(logs(&["a", "b"]));
    assert!(is_down(&loki.send(0, &sent).await));
    assert_eq!(loki.send(0, &sent).await, Outcome::acknowledged());
    let asked = server.asked.lock();
    assert_eq!(asked[1].path, "/loki/api/v1/push");
    let decoded = wire::loki::decode_protobuf(&asked[1].plain(), &wire::Limits::default()).unwrap().batch;
    let lines: Vec<String> = decoded.records.iter().map(|r| r.body.to_string()).collect();
    assert_eq!(
        (lines, decoded.streams[0].labels.value("service_name")),
        (vec!["a".into(), "b".into()], "shop")
    );
}

#[tokio::test]
async fn bulk_answers_item_by_item_and_ids_stay_the_same() {
    let item = |status: u16| json!({"create": {"status": status, "error": {"type": "t", "reason": "r"}}});
    let answer = json!({"errors": true, "items": [item(201), item(400), item(429), item(409)]}).to_string();
    let server = Server::start([
        Say::Is(200, &[("content-type", "application/json")], answer.into_bytes()),
        Say::Is(200, &[], b"fine".to_vec()),
        Say::Is(200, &[], br#"{"errors":false}"#.to_vec()),
    ])
    .await;
    let elastic = Elastic::new("es", server.options(), ElasticOptions::default(), clock()).unwrap();
    let sent = delivery(logs(&["a", "b", "c", "d"]));
    let Outcome::Answered { refused: by_reason, again, detail } = elastic.send(0, &sent).await else {
        panic!()
    };
    assert_eq!((by_reason, again), (refused("bulk_400", 1), vec![2]));
    assert!(detail.contains("\"reason\":\"r\""), "{detail}");
    assert!(is_down(&elastic.send(0, &sent).await), "no answer of _bulk");
    let mut rest = delivery(logs(&["c"]));
    rest.positions = vec![2];
    assert_eq!(elastic.send(0, &rest).await, Outcome::acknowledged());

    let asked = server.asked.lock();
    assert_eq!((asked[0].path.as_str(), asked[0].header("content-type")), ("/_bulk", "application/x-ndjson"));
    let lines = |i: usize| -> Vec<Value> {
        let text = String::from_utf8(asked[i].plain()).unwrap();
        text.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
    };
    let (whole, part) = (lines(0), lines(2));
    assert_eq!(whole[0]["create"]["_index"], "logs-generic-default");
    assert_eq!((whole[5]["message"].as_str(), whole[5]["service_name"].as_str()), (Some("c"), Some("shop")));
    assert_eq!(whole[4]["create"]["_id"], part[0]["create"]["_id"], "the same document under the same id");
    assert_ne!(whole[2]["create"]["_id"], whole[4]["create"]["_id"]);
}
