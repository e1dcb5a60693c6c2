//! kill -9 under mixed load with counting senders: what was acknowledged is stored once.
//!
//! A sender whose request died with the node sends the same body again to the next one, as real senders do; so
//! a request that was durable but never answered must be recognised. `ORRERY_CRASH_RUNS` sets the number of
//! kills (default 12).

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use model::{Labels, MetricBatch};
use net::{Client, Request};

use crate::{
    lifecycle::now_ns,
    node::{Home, Node, encode},
};

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Protocol {
    RemoteWrite,
    Loki,
    OtlpTraces,
}

impl Protocol {
    pub fn letter(self) -> char {
        match self {
            Protocol::RemoteWrite => 'm',
            Protocol::Loki => 'l',
            Protocol::OtlpTraces => 't',
        }
    }
}

pub struct Sender {
    pub protocol: Protocol,
    pub name: String,
    base_ns: i64,
    next: u64,
    pub acknowledged: Vec<u64>,
    /// Sent, but not answered: to be sent again as it was.
    pub pending: Option<(u64, Vec<u8>)>,
}

/// Items of one request; they live or die together.
const PER_REQUEST: u64 = 5;

impl Sender {
    pub fn new(protocol: Protocol, name: &str) -> Self {
        let base_ns = now_ns() / 1_000_000_000 * 1_000_000_000;
        Sender { protocol, name: name.to_owned(), base_ns, next: 0, acknowledged: Vec::new(), pending: None }
    }

    fn trace_id(&self) -> String {
        format!("{:0>32}", self.name.bytes().map(|b| format!("{b:02x}")).collect::<String>())
    }

    /// Item `n` has its own time: n milliseconds after the sender began.
    fn body(&self, first: u64) -> Vec<u8> {
        let numbers = first..first + PER_REQUEST;
        let ns = |n: u64| self.base_ns + n as i64 * 1_000_000;
        match self.protocol {
            Protocol::RemoteWrite => {
                let mut batch = MetricBatch::default();
                let series =
                    batch.push_series(Labels::from_pairs([("__name__", "counted"), ("sender", &self.name)]));
                for n in numbers {
                    batch.samples.push(series, ns(n) / 1_000_000, n as f64);
                }
                snap::raw::Encoder::new().compress_vec(&wire::remote_write::encode(&batch)).unwrap()
            }
            Protocol::Loki => {
                let values: Vec<String> = numbers.map(|n| format!("[\"{}\",\"{n}\"]", ns(n))).collect();
                let stream = format!(
                    "{{\"stream\":{{\"sender\":\"{}\"}},\"values\":[{}]}}",
                    self.name,
                    values.join(",")
                );
                format!("{{\"streams\":[{stream}]}}").into_bytes()
            }
            Protocol::OtlpTraces => {
                let spans: Vec<String> = numbers
                    .map(|n| {
                        format!(
                            "{{\"traceId\":\"{}\",\"spanId\":\"{:016x}\",\"name\":\"s\",\"startTimeUnixNano\":\"{}\",\"endTimeUnixNano\":\"{}\"}}",
                            self.trace_id(), n + 1, ns(n), ns(n) + 10
                        )
                    })
                    .collect();
                format!("{{\"resourceSpans\":[{{\"scopeSpans\":[{{\"spans\":[{}]}}]}}]}}", spans.join(","))
                    .into_bytes()
            }
        }
    }

    fn request(&self, http: &str, body: Vec<u8>) -> Request {
        let (path, content_type) = match self.protocol {
            Protocol::RemoteWrite => ("/api/v1/write", "application/x-protobuf"),
            Protocol::Loki => ("/loki/api/v1/push", "application/json"),
            Protocol::OtlpTraces => ("/v1/traces", "application/json"),
        };
        let request = Request::post(format!("{http}{path}"), body).header("content-type", content_type);
        match self.protocol {
            Protocol::RemoteWrite => request.header("content-encoding", "snappy"),
            _ => request,
        }
    }

    /// The time of the last item that was acknowledged, in nanoseconds; items may run ahead of the clock.
    pub fn latest_ns(&self) -> i64 {
        self.acknowledged.last().map_or(self.base_ns, |n| self.base_ns + *n as i64 * 1_000_000)
    }

    /// Sends until told to stop or until the node is gone.
    pub async fn send(mut self, http: String, stop: Arc<AtomicBool>) -> Self {
        let client = Client::new().unwrap();
        while !stop.load(Relaxed) {
            let (first, body) = self.pending.take().unwrap_or_else(|| (self.next, self.body(self.next)));
            self.next = self.next.max(first + PER_REQUEST);
            let request = Request { timeout: Duration::from_secs(20), ..self.request(&http, body.clone()) };
            match client.send(request).await {
                Ok(answer) if answer.status.is_success() => {
                    self.acknowledged.extend(first..first + PER_REQUEST);
                }
                Ok(answer) => {
                    assert!(
                        answer.status.is_server_error(),
                        "{:?}: {} {}",
                        self.protocol,
                        answer.status,
                        answer.excerpt()
                    );
                    self.pending = Some((first, body));
                }
                Err(_) => {
                    self.pending = Some((first, body));
                    break;
                }
            }
        }
        self
    }

    /// Item number to how often it is stored.
    pub async fn stored(&self, node: &Node) -> BTreeMap<u64, usize> {
        let mut out = BTreeMap::new();
        match self.protocol {
            Protocol::RemoteWrite => {
                let query = encode(&format!("counted{{sender=\"{}\"}}[2h]", self.name));
                let v = node
                    .json(&format!("/api/v1/query?query={query}&time={}", now_ns() / 1_000_000_000 + 3000))
                    .await;
                for point in v["data"]["result"][0]["values"].as_array().into_iter().flatten() {
                    let n: f64 = point[1].as_str().unwrap().parse().unwrap();
                    *out.entry(n as u64).or_default() += 1;
                }
            }
            Protocol::Loki => {
                // A label of the stream, or an attribute of its resource where it came over OTLP.
                let query = encode(&format!("{{service_name=~\".+\"}} | sender=\"{}\"", self.name));
                let (mut from, to) = (self.base_ns, self.base_ns + 3_000_000_000_000);
                loop {
                    let v = node
                        .json(&format!("/loki/api/v1/query_range?query={query}&limit=1000&direction=forward&start={from}&end={to}"))
                        .await;
                    let values = v["data"]["result"][0]["values"].as_array().cloned().unwrap_or_default();
                    let Some(last) = values.last() else { break };
                    // Items of one time may straddle pages; times here are distinct unless doubled, and a
                    // doubled one shows as soon as it stands twice on a page.
                    from = last[0].as_str().unwrap().parse::<i64>().unwrap() + 1;
                    for value in &values {
                        *out.entry(value[1].as_str().unwrap().parse().unwrap()).or_default() += 1;
                    }
                }
            }
            Protocol::OtlpTraces => {
                let v = node.json(&format!("/jaeger/api/traces/{}", self.trace_id())).await;
                for span in v["data"][0]["spans"].as_array().into_iter().flatten() {
                    let id = u64::from_str_radix(span["spanID"].as_str().unwrap(), 16).unwrap();
                    *out.entry(id - 1).or_default() += 1;
                }
            }
        }
        out
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_and_nothing_is_doubled_by_kill_nine() {
    let runs: u64 = std::env::var("ORRERY_CRASH_RUNS").ok().and_then(|v| v.parse().ok()).unwrap_or(12);
    let home = Home::new("");
    let mut senders = vec![
        Sender::new(Protocol::RemoteWrite, "rw-a"),
        Sender::new(Protocol::RemoteWrite, "rw-b"),
        Sender::new(Protocol::Loki, "loki-a"),
        Sender::new(Protocol::Loki, "loki-b"),
        Sender::new(Protocol::OtlpTraces, "otlp-a"),
        Sender::new(Protocol::OtlpTraces, "otlp-b"),
    ];
    for run in 0..=runs {
        let node = home.start();
        let stop = Arc::new(AtomicBool::new(false));
        let tasks: Vec<_> =
            senders.drain(..).map(|s| tokio::spawn(s.send(node.http.clone(), stop.clone()))).collect();
        // Spread the moment of the kill over start, steady state and flush.
        tokio::time::sleep(Duration::from_millis(20 + run * 137 % 400)).await;
        let node = match run == runs {
            false => {
                node.kill();
                None
            }
            // The last node stays, takes what was pending and is then asked.
            true => {
                tokio::time::sleep(Duration::from_millis(500)).await;
                stop.store(true, Relaxed);
                Some(node)
            }
        };
        for task in tasks {
            senders.push(task.await.unwrap());
        }
        let Some(node) = node else { continue };
        for s in &senders {
            let stored = s.stored(&node).await;
            let lost: Vec<_> = s.acknowledged.iter().filter(|n| !stored.contains_key(n)).collect();
            let doubled: Vec<_> = stored.iter().filter(|(_, times)| **times > 1).collect();
            assert!(
                lost.is_empty(),
                "{}: lost {:?} of {}",
                s.name,
                &lost[..lost.len().min(10)],
                s.acknowledged.len()
            );
            assert!(doubled.is_empty(), "{}: doubled {:?}", s.name, &doubled[..doubled.len().min(10)]);
            assert!(s.pending.is_none(), "{} still waits for an answer", s.name);
            assert_eq!(stored.len(), s.acknowledged.len(), "{}: stored more than was acknowledged", s.name);
            println!(
                "{}: {} acknowledged, {} stored after {runs} kills",
                s.name,
                s.acknowledged.len(),
                stored.len()
            );
        }
    }
}
