//! The live tail over a real WebSocket, at a clock that the test moves.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use api::{AppState, Listeners};
use axum::body::Body;
use base::{MemoryBudget, Shutdown};
use futures::StreamExt;
use http::{Request, StatusCode};
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{
        Error, Message, client::IntoClientRequest, handshake::client::Request as Handshake,
        protocol::frame::coding::CloseCode,
    },
};

use crate::node::{self, ask, get};

struct Served {
    state: AppState,
    address: SocketAddr,
    listening: Shutdown,
}

impl Served {
    async fn new(state: AppState) -> Self {
        let listening = Shutdown::new();
        let http = Some(SocketAddr::from(([127, 0, 0, 1], 0)).into());
        let bound = api::serve(Listeners { http, ..Listeners::default() }, state.clone(), &listening).await;
        Served { state, address: bound.unwrap().http.unwrap(), listening }
    }

    /// Writes lines whose age is given in seconds, and structured metadata.
    async fn push(&self, labels: Value, lines: &[(i64, &str, Value)]) {
        let now = self.state.clock.now_ns();
        let values: Vec<Value> = lines
            .iter()
            .map(|(age_s, text, more)| json!([(now - age_s * 1_000_000_000).to_string(), text, more]))
            .collect();
        let body = json!({"streams": [{"stream": labels, "values": values}]}).to_string();
        let request = Request::post("/loki/api/v1/push").header("content-type", "application/json");
        let answer = ask(&api::router(self.state.clone()), request.body(Body::from(body)).unwrap()).await;
        assert!(answer.status.is_success(), "{}", answer.text());
    }

    async fn metrics(&self) -> String {
        get(&api::router(self.state.clone()), "/metrics").await.text()
    }

    fn request(&self, parameters: &str) -> Handshake {
        format!("ws://{}/loki/api/v1/tail?{parameters}", self.address).into_client_request().unwrap()
    }

    async fn open(&self, request: Handshake) -> Result<Tail, Error> {
        // Small, so that a client which does not read is noticed soon.
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(16 << 10).unwrap();
        let stream = socket.connect(self.address).await.unwrap();
        let (ws, _) = client_async(request, stream).await?;
        Ok(Tail { ws, state: self.state.clone() })
    }

    async fn tail(&self, parameters: &str) -> Tail {
        self.open(self.request(parameters)).await.unwrap()
    }

    /// Status and text of a refusal.
    async fn refused(&self, request: Handshake) -> (u16, String) {
        match self.open(request).await.err() {
            Some(Error::Http(answer)) => {
                let text = answer.body().as_deref().map(String::from_utf8_lossy).unwrap_or_default();
                (answer.status().as_u16(), text.into_owned())
            }
            other => panic!("this must be refused: {other:?}"),
        }
    }
}

struct Tail {
    ws: WebSocketStream<TcpStream>,
    state: AppState,
}

impl Tail {
    /// The next message that is not a ping, while time passes.
    async fn next(&mut self) -> Option<Message> {
        for _ in 0..2000 {
            self.state.clock.advance(Duration::from_millis(250));
            match tokio::time::timeout(Duration::from_millis(10), self.ws.next()).await {
                Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) | Err(_) => {}
                Ok(Some(Ok(message))) => return Some(message),
                Ok(_) => return None,
            }
        }
        panic!("no message came");
    }

    async fn message(&mut self) -> Value {
        match self.next().await {
            Some(Message::Text(text)) => serde_json::from_str(&text).unwrap(),
            other => panic!("not a message: {other:?}"),
        }
    }

    /// So many lines, as they come.
    async fn lines(&mut self, count: usize) -> Vec<String> {
        let mut all = Vec::new();
        while all.len() < count {
            all.extend(lines(&self.message().await));
        }
        all
    }
}

/// Lines of one message, by time.
fn lines(message: &Value) -> Vec<String> {
    let streams = message["streams"].as_array().unwrap().iter();
    let values = streams.flat_map(|s| s["values"].as_array().unwrap());
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for v in values {
        all.entry(v[0].as_str().unwrap().to_owned()).or_default().push(v[1].as_str().unwrap().to_owned());
    }
    all.into_values().flatten().collect()
}

fn nothing() -> Value {
    json!({})
}

#[tokio::test]
async fn history_comes_first_and_then_each_line_once_in_order_however_late() {
    let served = Served::new(node::state()).await;
    let app = || json!({"app": "shop"});
    served.push(app(), &[(30, "a", nothing()), (20, "b", nothing()), (10, "c", nothing())]).await;
    served.push(app(), &[(4000, "older than an hour", nothing())]).await;
    let mut tail = served.tail("query=%7Bapp%3D%22shop%22%7D&limit=2").await;
    let first = tail.message().await;
    assert_eq!(lines(&first), ["b", "c"], "{first}");
    assert_eq!(
        (&first["coverage"][0]["state"], &first["coverage"][0]["signal"]),
        (&json!("complete"), &json!("logs"))
    );
    served.push(app(), &[(2, "d", nothing()), (1, "e", nothing())]).await;
    let more = tail.message().await;
    assert_eq!(lines(&more), ["d", "e"]);
    assert_eq!(more["streams"][0]["stream"], app());
    assert!(more.get("coverage").is_none() && more.get("dropped_entries").is_none(), "{more}");
    // Older than what was sent, and one line twice.
    served.push(app(), &[(5, "late", nothing()), (5, "late", nothing())]).await;
    assert_eq!(tail.lines(2).await, ["late", "late"]);
    // Nothing is sent that is older than a history which was cut; one that was not has everything.
    let mut all = served.tail("query=%7Bapp%3D%22shop%22%7D&limit=100").await;
    assert_eq!(all.lines(7).await.len(), 7);
    served.push(app(), &[(200, "very late", nothing()), (0, "now", nothing())]).await;
    let mut last = all.lines(2).await;
    last.sort();
    assert_eq!(last, ["now", "very late"]);
    assert_eq!(tail.lines(1).await, ["now"]);
}

#[tokio::test]
async fn lines_pass_filters_and_parsers_and_labels_come_as_the_client_asks() {
    let served = Served::new(node::state()).await;
    let mut flat = served.tail("query=%7Bapp%3D%22shop%22%7D%20%7C%3D%20%22level%22%20%7C%20logfmt").await;
    assert_eq!(flat.message().await["streams"], json!([]), "how complete nothing is");
    let mut request =
        served.request("query=%7Bapp%3D%22shop%22%7D%20%7C%20logfmt%20%7C%20level%3D%22error%22");
    request.headers_mut().insert("x-loki-response-encoding-flags", "categorize-labels".parse().unwrap());
    let mut apart = served.open(request).await.unwrap();
    apart.message().await;
    let trace = json!({"trace": "t1"});
    served.push(json!({"app": "shop"}), &[(1, "level=error x", trace), (0, "no label", nothing())]).await;
    served.push(json!({"app": "other"}), &[(0, "level=error y", nothing())]).await;
    let m = flat.message().await;
    assert_eq!(m["streams"][0]["stream"], json!({"app": "shop", "level": "error", "trace": "t1"}), "{m}");
    assert_eq!(lines(&m), ["level=error x"]);
    let m = apart.message().await;
    assert_eq!(m["streams"][0]["stream"], json!({"app": "shop"}), "{m}");
    assert_eq!(m["streams"][0]["values"][0][2]["structuredMetadata"], json!({"trace": "t1"}));
    assert_eq!(m["encodingFlags"], json!(["categorize-labels"]));
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said_before_it_becomes_a_websocket() {
    let served =
        Served::new(node::state_with(MemoryBudget::unlimited(), |o| o.max_tails_per_tenant = 1)).await;
    let good = "query=%7Bapp%3D%22shop%22%7D";
    for (parameters, named) in [
        ("", "query"),
        ("query=%7Bapp%3D", "parse error"),
        ("query=rate(%7Bapp%3D%22x%22%7D%5B1m%5D)", "metric query"),
        ("query=%7Bapp%3D%22x%22%7D%20%7C%20line_format%20%22%7B%7B%20nope%20%7D%7D%22", "nope"),
        (&format!("{good}&limit=5001"), "limit"),
        (&format!("{good}&delay_for=6"), "delay_for"),
        (&format!("{good}&start=soon"), "start"),
    ] {
        let (status, text) = served.refused(served.request(parameters)).await;
        assert!(status == 400 && text.contains(named), "{parameters}: {status} {text}");
    }
    let mut foreign = served.request(good);
    foreign.headers_mut().insert("origin", "https://evil.example".parse().unwrap());
    assert_eq!(served.refused(foreign).await.0, 403);
    let plain = get(&api::router(served.state.clone()), &format!("/loki/api/v1/tail?{good}")).await;
    assert!(plain.status.is_client_error() && plain.status != StatusCode::NOT_FOUND, "{}", plain.text());

    let open = served.tail(good).await;
    let (status, text) = served.refused(served.request(good)).await;
    assert!(status == 400 && text.contains("query.max_tails_per_tenant 1"), "{status} {text}");
    let mut other = served.request(good);
    other.headers_mut().insert("x-scope-orgid", "other".parse().unwrap());
    let mut other = served.open(other).await.unwrap();
    served.push(json!({"app": "shop"}), &[(0, "of the default tenant", nothing())]).await;
    assert_eq!(other.message().await["streams"], json!([]));
    assert!(
        served.metrics().await.contains("orrery_tails{protocol=\"loki\"} 2"),
        "{}",
        served.metrics().await
    );
    // A client that goes away leaves its place.
    drop((open, other));
    while !served.metrics().await.contains("orrery_tails{protocol=\"loki\"} 0") {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_node_that_stops_tells_its_tails_to_come_back() {
    let served = Served::new(node::state()).await;
    let mut tail = served.tail("query=%7Bapp%3D%22shop%22%7D").await;
    tail.message().await;
    served.state.shutdown.start();
    let Some(Message::Close(Some(frame))) = tail.next().await else { panic!("no close frame") };
    assert_eq!((frame.code, frame.reason.as_str()), (CloseCode::Away, "this node is shutting down"));
    drop(tail);
    assert_eq!(served.state.shutdown.finished(Duration::from_secs(10)).await, Ok(()));
    served.listening.start();
}

#[tokio::test]
async fn a_reader_that_does_not_read_is_told_what_it_missed() {
    let served = Served::new(node::state()).await;
    let mut tail = served.tail("query=%7Bapp%3D%22shop%22%7D").await;
    tail.message().await;
    let text = "x".repeat(100_000);
    let counted = "orrery_tail_dropped_lines_total{reason=\"slow_reader\"}";
    let mut pushed = 0;
    while !served.metrics().await.contains(counted) {
        if pushed < 400 {
            let lines: Vec<_> = (0..20).map(|_| (0, text.as_str(), nothing())).collect();
            served.push(json!({"app": "shop"}), &lines).await;
            pushed += 20;
        }
        served.state.clock.advance(Duration::from_millis(250));
        tokio::task::yield_now().await;
    }
    let (mut got, mut dropped) = (0, 0);
    while dropped == 0 {
        let m = tail.message().await;
        got += lines(&m).len();
        dropped += m["dropped_entries"].as_array().map_or(0, Vec::len);
        if let Some(first) = m["dropped_entries"].get(0) {
            assert_eq!(first["labels"], json!({"app": "shop"}));
            assert!(first["timestamp"].as_str().unwrap().parse::<i64>().is_ok(), "{first}");
        }
    }
    assert!(got < pushed, "{got} of {pushed}");
}
