//! The listeners themselves, over real sockets on the loopback.

use std::{net::SocketAddr, time::Duration};

use api::{Bound, Listener, Listeners};
use base::{MemoryBudget, Shutdown};
use proto::otlp::collector::{
    logs::logs_service_client::LogsServiceClient,
    metrics::{ExportMetricsServiceRequest, metrics_service_client::MetricsServiceClient},
    trace::{ExportTraceServiceRequest, trace_service_client::TraceServiceClient},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tonic::{Code, Request, codec::CompressionEncoding, transport::Channel};

use crate::node;

fn any_port() -> Option<Listener> {
    Some(SocketAddr::from(([127, 0, 0, 1], 0)).into())
}

async fn started(state: api::AppState, shutdown: &Shutdown) -> Bound {
    let listeners =
        Listeners { http: any_port(), otlp_grpc: any_port(), otlp_http: any_port(), ..Listeners::default() };
    api::serve(listeners, state, shutdown).await.expect("free ports on the loopback")
}

async fn exchange(addr: SocketAddr, text: &str) -> String {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

const HEALTHY: &str = "GET /-/healthy HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

#[tokio::test]
async fn each_listener_serves_its_routes_and_drains_at_shutdown() {
    let shutdown = Shutdown::new();
    let bound = started(node::state(), &shutdown).await;
    let (http, grpc, otlp) = (bound.http.unwrap(), bound.otlp_grpc.unwrap(), bound.otlp_http.unwrap());
    for addr in [http, grpc, otlp] {
        assert!(exchange(addr, HEALTHY).await.starts_with("HTTP/1.1 200"));
    }
    let post = "POST /v1/logs HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
    assert!(exchange(otlp, post).await.starts_with("HTTP/1.1 200"));
    assert!(exchange(http, post).await.starts_with("HTTP/1.1 200"));
    assert!(exchange(grpc, post).await.starts_with("HTTP/1.1 404"));

    // A request whose body is still coming when the node is told to stop is answered.
    let mut slow = TcpStream::connect(http).await.unwrap();
    let (head, last) = post.split_at(post.len() - 1);
    slow.write_all(head.as_bytes()).await.unwrap();
    // Answered on another connection, so the first one was accepted before the end.
    assert!(exchange(http, HEALTHY).await.starts_with("HTTP/1.1 200"));
    shutdown.start();
    slow.write_all(last.as_bytes()).await.unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(shutdown.finished(Duration::from_secs(10)).await, Ok(()));
    assert!(TcpStream::connect(http).await.is_err());
}

#[tokio::test]
async fn a_port_that_is_taken_names_its_configuration_key() {
    let shutdown = Shutdown::new();
    let bound = started(node::state(), &shutdown).await;
    let taken = Listeners {
        otlp_http: bound.otlp_http.map(Listener::from),
        http: any_port(),
        ..Listeners::default()
    };
    let err = api::serve(taken, node::state(), &shutdown).await.unwrap_err();
    assert!(err.to_string().starts_with("listen.otlp_http: cannot listen on 127.0.0.1:"), "{err}");
    shutdown.start();
}

#[tokio::test]
async fn a_peer_that_never_finishes_its_head_is_cut_off() {
    let shutdown = Shutdown::new();
    let state =
        node::state_with(MemoryBudget::unlimited(), |o| o.header_read_timeout = Duration::from_millis(100));
    let addr = started(state, &shutdown).await.http.unwrap();
    // Nothing; half a head; half an HTTP/2 preface; a whole preface and then nothing.
    for sent in ["", "GET / HTTP/1.1\r\nhost:", "PRI * HTTP/2.0\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        let cut = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut rest)).await;
        assert!(cut.is_ok(), "{sent:?} held its connection");
    }
    shutdown.start();
}

#[tokio::test]
async fn a_head_larger_than_the_cap_is_431_or_closed() {
    let shutdown = Shutdown::new();
    let addr = started(node::state(), &shutdown).await.http.unwrap();
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let _ = stream.write_all(format!("GET /?{} HTTP/1.1\r\nx: ", "a".repeat(200 << 10)).as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 431") || answer.starts_with("HTTP/1.1 414"),
        "{answer}"
    );
    assert!(exchange(addr, HEALTHY).await.starts_with("HTTP/1.1 200"));
    shutdown.start();
}

#[tokio::test]
async fn grpc_exports_work_on_both_ports_packed_or_not() {
    let shutdown = Shutdown::new();
    let bound = started(node::state(), &shutdown).await;
    for addr in [bound.otlp_grpc.unwrap(), bound.http.unwrap()] {
        let channel = Channel::from_shared(format!("http://{addr}")).unwrap().connect().await.unwrap();
        for packing in [None, Some(CompressionEncoding::Gzip), Some(CompressionEncoding::Zstd)] {
            let mut traces = TraceServiceClient::new(channel.clone());
            if let Some(p) = packing {
                traces = traces.send_compressed(p);
            }
            let answer = traces.export(ExportTraceServiceRequest::default()).await.unwrap().into_inner();
            assert!(answer.partial_success.is_none());
        }
        let mut metrics = MetricsServiceClient::new(channel.clone());
        let mut wrong = Request::new(ExportMetricsServiceRequest::default());
        wrong.metadata_mut().insert("x-scope-orgid", "a|b".parse().unwrap());
        let refused = metrics.export(wrong).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().contains("X-Scope-OrgID"), "{refused}");
        let mut logs = LogsServiceClient::new(channel.clone());
        logs.export(proto::otlp::collector::logs::ExportLogsServiceRequest::default()).await.unwrap();
    }
    shutdown.start();
}

#[tokio::test]
async fn a_starting_node_lives_and_says_so_until_it_serves() {
    let shutdown = Shutdown::new();
    let state = node::state();
    let listeners =
        Listeners { http: any_port(), otlp_grpc: any_port(), otlp_http: any_port(), ..Listeners::default() };
    let doors = api::open(listeners, &state.options, &shutdown).await.unwrap();
    let (http, grpc) = (doors.bound.http.unwrap(), doors.bound.otlp_grpc.unwrap());
    assert!(exchange(http, HEALTHY).await.starts_with("HTTP/1.1 200"));
    let ready = "GET /-/ready HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let push = "POST /api/v1/write HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 3\r\n\r\nabc";
    for request in [ready, push, "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"] {
        let answer = exchange(http, request).await;
        assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after: 5"), "{answer}");
        assert!(answer.contains("the node is starting"), "{answer}");
    }
    let channel = Channel::from_shared(format!("http://{grpc}")).unwrap().connect().await.unwrap();
    let mut traces = TraceServiceClient::new(channel);
    let refused = traces.export(ExportTraceServiceRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    doors.serve(state);
    assert!(exchange(http, ready).await.starts_with("HTTP/1.1 200"));
    // Also on a connection of before.
    traces.export(ExportTraceServiceRequest::default()).await.unwrap();
    shutdown.start();
    assert_eq!(shutdown.finished(Duration::from_secs(10)).await, Ok(()));
}

#[tokio::test]
async fn a_write_refused_by_its_head_reads_its_status_after_sending_all_of_its_body() {
    let shutdown = Shutdown::new();
    let bound = started(node::state(), &shutdown).await;
    let addr = bound.http.unwrap();
    let body = vec![b'x'; 8 << 20];
    let cases = [
        ("/api/v1/write", "content-type: text/html", "415"),
        ("/api/v1/write", "content-encoding: rot13", "415"),
        ("/api/v1/write", "x-scope-orgid: a|b", "400"),
        ("/loki/api/v1/push", "content-type: text/html", "415"),
        ("/loki/api/v1/push", "x-scope-orgid: a|b", "400"),
        ("/v1/logs", "content-type: text/html", "415"),
        ("/v1/metrics", "content-type: application/json\r\ncontent-encoding: rot13", "415"),
        ("/opentelemetry.proto.collector.trace.v1.TraceService/Export", "content-type: text/html", "415"),
    ];
    for (path, header, status) in cases {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{header}\r\ncontent-length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&body).await.unwrap_or_else(|e| panic!("{path} {header}: {e}"));
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap_or_else(|e| panic!("{path} {header}: {e}"));
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{path} {header}: {answer}");
    }
    shutdown.start();
}

#[tokio::test]
async fn syslog_is_stored_whichever_way_it_is_framed() {
    let shutdown = Shutdown::new();
    let state = node::state();
    let listeners = Listeners { syslog: any_port(), ..Listeners::default() };
    let bound = api::serve(listeners, state.clone(), &shutdown).await.unwrap();
    let mut connection = TcpStream::connect(bound.syslog.unwrap()).await.unwrap();
    let long = "x".repeat(3 << 20);
    let sent = format!(
        "<13>1 - h app - - - one\n32 <14>1 - h app - - - counted\n two{} {long}<13>Nov 14 22:13:19 h old: three\nno syslog",
        long.len()
    );
    connection.write_all(sent.as_bytes()).await.unwrap();
    connection.shutdown().await.unwrap();
    let router = api::router(state);
    let query =
        "/loki/api/v1/query_range?query=%7Bservice_name%3D~%22.%2B%22%7D&start=1699990000&end=1700000100";
    let answered = async {
        loop {
            let answer = node::get(&router, query).await.text();
            if answer.contains("no syslog") {
                return answer;
            }
            tokio::task::yield_now().await;
        }
    };
    let answer = tokio::time::timeout(std::time::Duration::from_secs(20), answered).await.unwrap();
    for line in
        ["one", "counted\\n two", "three", "no syslog", "\"facility\":\"user\"", "\"host_name\":\"h\""]
    {
        assert!(answer.contains(line), "{line}: {answer}");
    }
    assert!(!answer.contains("xxxx"));
    let metrics = node::get(&router, "/metrics").await.text();
    assert!(metrics.contains("orrery_ingest_malformed_items_total{protocol=\"syslog\"} 1"), "{metrics}");
    shutdown.start();
}
