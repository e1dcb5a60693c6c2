//! Live tails of a node that keeps nothing, while clusters come and go.

use std::time::Duration;

use futures::StreamExt;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest, protocol::frame::coding::CloseCode},
};

use crate::{
    federation,
    lifecycle::now_ns,
    node::{Node, encode},
};

/// A client of the live tail.
pub struct Tail(WebSocketStream<TcpStream>);

impl Tail {
    /// `path` has the query and the other parameters.
    pub async fn open(node: &Node, tenant: Option<&str>, path: &str) -> Result<Self, String> {
        let host = node.http.trim_start_matches("http://");
        let mut request =
            format!("ws://{host}{path}").into_client_request().map_err(|e| format!("{path}: {e}"))?;
        if let Some(tenant) = tenant {
            request.headers_mut().insert("x-scope-orgid", tenant.parse().unwrap());
        }
        let stream = TcpStream::connect(host).await.map_err(|e| e.to_string())?;
        let (ws, _) = client_async(request, stream).await.map_err(|e| format!("{path}: {e}"))?;
        Ok(Tail(ws))
    }

    /// The next message; the code of the close frame where there is no more.
    pub async fn next(&mut self) -> Result<Value, Option<CloseCode>> {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(frame))) => return Err(frame.map(|f| f.code)),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(None),
            }
        }
    }

    /// Reads until `enough`, and fails when that does not happen in a minute.
    async fn until(&mut self, seen: &mut Seen, what: &str, enough: impl Fn(&Seen) -> bool) {
        let reading = async {
            while !enough(seen) {
                let message = self.next().await.unwrap_or_else(|code| panic!("{what}: closed {code:?}"));
                seen.add(&message);
            }
        };
        if tokio::time::timeout(Duration::from_secs(60), reading).await.is_err() {
            panic!("{what} did not happen; seen: {seen:?}");
        }
    }
}

/// Everything a tail has said so far.
#[derive(Debug, Default)]
struct Seen {
    lines: Vec<String>,
    /// The latest, as `cluster state`.
    coverage: Vec<String>,
    dropped: usize,
}

impl Seen {
    fn add(&mut self, message: &Value) {
        for stream in message["streams"].as_array().unwrap() {
            let values = stream["values"].as_array().unwrap();
            self.lines.extend(values.iter().map(|v| v[1].as_str().unwrap().to_owned()));
        }
        if message.get("coverage").is_some() {
            self.coverage = federation::states(message);
        }
        self.dropped += message["dropped_entries"].as_array().map_or(0, Vec::len);
    }

    fn has(&self, line: &str) -> bool {
        self.lines.iter().any(|l| l == line)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_over_clusters_says_at_once_who_is_missing_and_gives_what_they_have_had_when_they_are_back() {
    let mut fleet = federation::start();
    let path = format!("/loki/api/v1/tail?query={}&limit=100", encode("{app=\"shop\"} |= \"line\""));
    federation::log(&fleet.dev, now_ns() - 2_000_000_000, "first line of dev").await;
    federation::log(fleet.prod(0), now_ns() - 1_000_000_000, "first line of prod").await;
    federation::log(fleet.prod(0), now_ns(), "nothing of interest").await;
    let mut tail = Tail::open(&fleet.ops, None, &path).await.unwrap();
    let mut seen = Seen::default();
    tail.until(&mut seen, "history", |s| s.lines.len() == 2 && !s.coverage.is_empty()).await;
    assert_eq!(seen.coverage, ["dev-01 complete", "prod-01 complete"]);
    assert_eq!(seen.lines, ["first line of dev", "first line of prod"]);

    federation::log(fleet.prod(1), now_ns(), "second line of prod").await;
    tail.until(&mut seen, "a new line", |s| s.has("second line of prod")).await;

    // The hub cannot reach prod any more; what is written there before it can is sent later.
    fleet.kill_prod(0);
    fleet.kill_prod(1);
    tail.until(&mut seen, "prod-01 is missing", |s| s.coverage == ["dev-01 complete", "prod-01 missing"])
        .await;
    federation::log(&fleet.dev, now_ns(), "line of dev meanwhile").await;
    tail.until(&mut seen, "others go on", |s| s.has("line of dev meanwhile")).await;
    let meanwhile = now_ns() - 1_000_000_000;
    fleet.start_prod(0);
    federation::log(fleet.prod(0), meanwhile, "line of prod meanwhile").await;
    fleet.start_prod(1);
    let is_whole = |s: &Seen| s.coverage == ["dev-01 complete", "prod-01 complete"];
    tail.until(&mut seen, "prod-01 is whole again", |s| is_whole(s) && s.has("line of prod meanwhile")).await;

    // Each line once, and nothing left out.
    federation::log(&fleet.dev, now_ns(), "last line").await;
    tail.until(&mut seen, "the last line", |s| s.has("last line")).await;
    let mut once = seen.lines.clone();
    once.sort();
    once.dedup();
    assert_eq!((once.len(), seen.lines.len(), seen.dropped), (6, 6, 0), "{:?}", seen.lines);

    let metrics = fleet.ops.get("/metrics").await;
    let open = "orrery_tails{protocol=\"loki\"} 1";
    assert!(String::from_utf8_lossy(&metrics.body).contains(open), "{}", metrics.excerpt());
    fleet.ops.signal("-TERM");
    let closed = async {
        loop {
            if let Err(code) = tail.next().await {
                return code;
            }
        }
    };
    let closed = tokio::time::timeout(Duration::from_secs(30), closed).await;
    assert_eq!(closed.ok().flatten(), Some(CloseCode::Away));
}
