//! Two builds of the program as replicas of one cluster: each is stopped, started as the other build on its own data,
//! and taken back, one after the other, while senders write to both and somebody asks all the time.
//!
//! `ORRERY_OTHER_VERSION` is the path of the other build. Without it the replicas are restarted as what they are, and
//! the test says so.
//!
//! What must hold: an answer that says it is whole has everything that both replicas had acknowledged before it was
//! asked for, and a question that fails is answered when it is put once more.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use model::{Labels, MetricBatch};
use net::{Answer, Client, Request};
use serde_json::{Value, json};

use crate::{
    federation::{certificates, tls},
    lifecycle::now_ns,
    node::{Home, Node, encode, eventually},
    peers::free_port,
};

/// Items are so far apart in the time they are stamped with, whenever they are sent.
const APART_MS: i64 = 1_000;
/// A sender ends here: more lines than this no log query gives.
const MOST: u64 = 4_500;
/// Between two items of a sender that has nothing to catch up with.
const PACE: Duration = Duration::from_millis(40);
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

#[derive(Clone, Copy, Debug)]
enum Kind {
    Metrics,
    Logs,
    Traces,
}

const KINDS: [Kind; 3] = [Kind::Metrics, Kind::Logs, Kind::Traces];

/// Item `n` of each kind: a sample of value n, a line that says n, a span numbered n + 1.
fn request(kind: Kind, http: &str, base_ms: i64, n: u64) -> Request {
    let at_ms = base_ms + n as i64 * APART_MS;
    let (path, media, body) = match kind {
        Kind::Metrics => {
            let mut batch = MetricBatch::default();
            let series = batch.push_series(Labels::from_pairs([("__name__", "counted"), ("job", "shop")]));
            batch.samples.push(series, at_ms, n as f64);
            let body = snap::raw::Encoder::new().compress_vec(&wire::remote_write::encode(&batch)).unwrap();
            ("/api/v1/write", "application/x-protobuf", body)
        }
        Kind::Logs => {
            let at = (at_ms * 1_000_000).to_string();
            let body = json!({"streams": [{"stream": {"app": "counted"}, "values": [[at, n.to_string()]]}]});
            ("/loki/api/v1/push", "application/json", body.to_string().into_bytes())
        }
        Kind::Traces => {
            let at = at_ms * 1_000_000;
            let body = json!({"resourceSpans": [{
                "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
                "scopeSpans": [{"spans": [{
                    "traceId": TRACE, "spanId": format!("{:016x}", n + 1), "name": "counted", "kind": 2,
                    "startTimeUnixNano": at.to_string(), "endTimeUnixNano": (at + 1_000).to_string(),
                }]}],
            }]});
            ("/v1/traces", "application/json", body.to_string().into_bytes())
        }
    };
    let request = Request::post(format!("{http}{path}"), body).header("content-type", media);
    let request = Request { timeout: Duration::from_secs(20), ..request };
    match kind {
        Kind::Metrics => request.header("content-encoding", "snappy"),
        _ => request,
    }
}

/// How many items from the first on each replica has acknowledged, by kind and replica.
type Acknowledged = Arc<[[AtomicU64; 2]; 3]>;

/// Sends one item after the other, each until it is acknowledged.
async fn send(
    kind: Kind,
    http: String,
    base_ms: i64,
    done: impl Fn(u64) + Send + 'static,
    stop: Arc<AtomicBool>,
) {
    let client = Client::new().unwrap();
    let mut pace = tokio::time::interval(PACE);
    // What was not sent while the replica was away is sent as fast as it takes it.
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
    for n in 0..MOST {
        loop {
            if stop.load(SeqCst) {
                return;
            }
            match client.send(request(kind, &http, base_ms, n)).await {
                Ok(answer) if answer.status.is_success() => break,
                Ok(answer) => {
                    assert!(answer.status.is_server_error(), "{kind:?} {n}: {}", answer.excerpt());
                }
                Err(_) => {}
            }
            tokio::time::sleep(PACE).await;
        }
        done(n + 1);
        pace.tick().await;
    }
    // There is enough; the questions go on.
    while !stop.load(SeqCst) {
        tokio::time::sleep(PACE).await;
    }
}

/// The questions, and which items an answer has.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Question {
    Instant,
    Range,
    Logs,
    Trace,
}

const ASKED: [Question; 4] = [Question::Instant, Question::Range, Question::Logs, Question::Trace];

impl Question {
    fn kind(self) -> Kind {
        match self {
            Question::Instant | Question::Range => Kind::Metrics,
            Question::Logs => Kind::Logs,
            Question::Trace => Kind::Traces,
        }
    }

    /// Over all that can have been sent so far.
    fn path(self, base_ms: i64, items: u64) -> String {
        let end_ms = base_ms + items as i64 * APART_MS;
        match self {
            Question::Instant => {
                let window = encode(&format!("counted[{}s]", items + 60));
                format!("/api/v1/query?query={window}&time={}", end_ms / 1000)
            }
            Question::Range => {
                let (start, end) = (base_ms / 1000, end_ms / 1000);
                format!("/api/v1/query_range?query=sum(counted)&start={start}&end={end}&step=1")
            }
            Question::Logs => {
                let query = encode("{app=\"counted\"}");
                let (start, end) = (base_ms * 1_000_000, (end_ms + 1) * 1_000_000);
                format!("/loki/api/v1/query_range?query={query}&limit=5000&start={start}&end={end}")
            }
            Question::Trace => format!("/jaeger/api/traces/{TRACE}"),
        }
    }

    fn items(self, v: &Value, base_ms: i64) -> BTreeSet<u64> {
        let list = |v: &Value| v.as_array().cloned().unwrap_or_default();
        match self {
            Question::Instant | Question::Range => {
                let values = list(&v["data"]["result"][0]["values"]);
                let item = |p: &Value| {
                    let n: f64 = p[1].as_str()?.parse().ok()?;
                    let at_ms = (p[0].as_f64()? * 1e3).round() as i64;
                    // A step shows the sample before it where its own is not there.
                    (at_ms == base_ms + n as i64 * APART_MS).then_some(n as u64)
                };
                values.iter().filter_map(item).collect()
            }
            Question::Logs => {
                let values = list(&v["data"]["result"]).into_iter().flat_map(|s| list(&s["values"]));
                values.filter_map(|e| e[1].as_str()?.parse().ok()).collect()
            }
            Question::Trace => {
                let spans = list(&v["data"][0]["spans"]);
                let id = |s: &Value| u64::from_str_radix(s["spanID"].as_str()?, 16).ok();
                spans.iter().filter_map(|s| id(s)?.checked_sub(1)).collect()
            }
        }
    }
}

/// What became of the questions of one kind.
#[derive(Default)]
struct Tally {
    whole: AtomicU64,
    partial: AtomicU64,
    retried: AtomicU64,
}

struct Asker {
    question: Question,
    hub: String,
    base_ms: i64,
    acknowledged: Acknowledged,
    tally: Arc<[Tally; 4]>,
    stop: Arc<AtomicBool>,
}

impl Asker {
    async fn run(self) {
        let client = Client::new().unwrap();
        while !self.stop.load(SeqCst) {
            self.ask(&client).await;
        }
    }

    async fn ask(&self, client: &Client) {
        let q = self.question;
        let tally = &self.tally[ASKED.iter().position(|a| *a == q).unwrap()];
        let both = || {
            let [a, b] = &self.acknowledged[q.kind() as usize];
            a.load(SeqCst).min(b.load(SeqCst))
        };
        if both() == 0 {
            // There is no trace yet, which is no answer but an error.
            tokio::time::sleep(PACE).await;
            return;
        }
        let mut expected = both();
        let mut answer = self.get(client, expected).await;
        if !is_answer(&answer) {
            tally.retried.fetch_add(1, SeqCst);
            let first = answer.map_or_else(|e| e.to_string(), |a| format!("{} {}", a.status, a.excerpt()));
            expected = both();
            answer = self.get(client, expected).await;
            let second =
                answer.as_ref().map_or_else(ToString::to_string, |a| format!("{} {}", a.status, a.excerpt()));
            assert!(is_answer(&answer), "{q:?} failed twice: {first}; {second}");
        }
        let answer = answer.unwrap();
        let said = answer.header("x-orrery-coverage").to_owned();
        let whole =
            said.contains("prod-01") && !["missing", "partial", "late"].iter().any(|s| said.contains(s));
        if !whole {
            assert!(!said.is_empty(), "{q:?}: an answer without coverage");
            tally.partial.fetch_add(1, SeqCst);
            return;
        }
        tally.whole.fetch_add(1, SeqCst);
        let v: Value = serde_json::from_slice(&answer.body).unwrap();
        let found = q.items(&v, self.base_ms);
        let lacking: Vec<u64> = (0..expected).filter(|n| !found.contains(n)).collect();
        assert!(
            lacking.is_empty(),
            "{q:?} says {said:?} and lacks {} of {expected} that both replicas have: {:?}…; it has {} from {:?} to {:?}",
            lacking.len(),
            &lacking[..lacking.len().min(10)],
            found.len(),
            found.first(),
            found.last()
        );
    }

    async fn get(&self, client: &Client, items: u64) -> Result<Answer, net::Error> {
        let url = format!("{}{}", self.hub, self.question.path(self.base_ms, items));
        client.send(Request { timeout: Duration::from_secs(60), ..Request::get(url) }).await
    }
}

fn is_answer(answer: &Result<Answer, net::Error>) -> bool {
    answer.as_ref().is_ok_and(|a| a.status.is_success())
}

/// The other build, or the same.
fn other() -> PathBuf {
    match std::env::var_os("ORRERY_OTHER_VERSION") {
        Some(path) => PathBuf::from(path),
        None => {
            println!("ORRERY_OTHER_VERSION names no other build: replicas are restarted as what they are");
            PathBuf::from(env!("CARGO_BIN_EXE_orrery"))
        }
    }
}

struct Pair {
    hub: Node,
    homes: [Home; 2],
    running: [Option<Node>; 2],
    acknowledged: Acknowledged,
    tally: Arc<[Tally; 4]>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
    stop: Arc<AtomicBool>,
}

impl Pair {
    /// Fails with what a sender or an asker found wrong, as soon as it has.
    async fn check(&mut self) {
        for task in &mut self.tasks {
            if task.is_finished() {
                task.await.unwrap();
                panic!("a sender or an asker has ended before its time");
            }
        }
    }

    /// Until each question was answered so often from now on.
    async fn asked(&mut self, times: u64) {
        let count = |t: &Tally| t.whole.load(SeqCst) + t.partial.load(SeqCst);
        let before: Vec<u64> = self.tally.iter().map(count).collect();
        let tally = self.tally.clone();
        eventually("every question is answered", Duration::from_secs(120), async || {
            self.check().await;
            tally.iter().zip(&before).all(|(t, b)| count(t) >= b + times).then_some(())
        })
        .await;
    }

    /// Until a replica has what the other had when this began.
    async fn caught_up(&mut self, replica: usize) {
        let acknowledged = self.acknowledged.clone();
        let wanted: Vec<u64> = acknowledged.iter().map(|k| k[1 - replica].load(SeqCst)).collect();
        eventually("the replica has caught up", Duration::from_secs(120), async || {
            self.check().await;
            acknowledged.iter().zip(&wanted).all(|(k, w)| k[replica].load(SeqCst) >= *w).then_some(())
        })
        .await;
    }

    /// Until the hub has heard of a replica again: who exchanges the other before has none that is asked.
    async fn heard(&mut self, replica: usize) {
        let began = Instant::now();
        eventually("the hub hears of the replica", Duration::from_secs(60), async || {
            self.check().await;
            let v = self.hub.json("/api/v1/orrery/federation").await;
            (v["peers"][replica]["state"] == "up").then_some(())
        })
        .await;
        println!("replica {replica} is asked again {:?} after it had caught up", began.elapsed());
    }

    /// Stops a replica and starts it again as that build, with questions before, meanwhile and after.
    async fn exchange(&mut self, replica: usize, binary: &Path) {
        let (code, took) = self.running[replica].take().unwrap().terminate();
        assert_eq!(code, Some(0), "replica {replica} was to end in order; it took {took:?}");
        self.asked(3).await;
        self.running[replica] = Some(self.homes[replica].start_as(binary));
        self.caught_up(replica).await;
        self.heard(replica).await;
        self.asked(3).await;
    }
}

async fn start(certs: &Path, binary: &Path) -> (Pair, Home) {
    let ports = [0, 1].map(|_| (free_port(), free_port()));
    let homes = [("a", ports[0]), ("b", ports[1])].map(|(name, (http, peers))| {
        let labels = format!("cluster: prod-01\nexternal_labels: {{replica: {name}}}\n");
        Home::lasting(http, peers, &format!("{labels}{}", tls(certs, "prod-01")))
    });
    let mirrored = "replication: {metrics: mirrored, logs: mirrored, traces: mirrored}";
    let hub = Home::new(&format!(
        "cluster: ops-01\nroles: [query]\n{}peers:\n  - {{name: prod-01, replica: a, address: 'localhost:{}', {mirrored}}}\n  - {{name: prod-01, replica: b, address: 'localhost:{}', {mirrored}}}\n",
        tls(certs, "ops-01"),
        ports[0].1,
        ports[1].1,
    ));
    let running = homes.each_ref().map(|h| Some(h.start_as(binary)));
    let node = hub.start();
    let address = node.http.clone();
    let base_ms = (now_ns() / 1_000_000_000 - 2 * MOST as i64) * 1000;
    let (acknowledged, tally) = (Acknowledged::default(), Arc::<[Tally; 4]>::default());
    let stop = Arc::new(AtomicBool::new(false));
    let mut tasks = Vec::new();
    for kind in KINDS {
        for (replica, node) in running.iter().enumerate() {
            let http = node.as_ref().unwrap().http.clone();
            let all = acknowledged.clone();
            let done = move |n| all[kind as usize][replica].store(n, SeqCst);
            tasks.push(tokio::spawn(send(kind, http, base_ms, done, stop.clone())));
        }
    }
    for question in ASKED {
        let asker = Asker {
            question,
            hub: address.clone(),
            base_ms,
            acknowledged: acknowledged.clone(),
            tally: tally.clone(),
            stop: stop.clone(),
        };
        tasks.push(tokio::spawn(asker.run()));
    }
    (Pair { hub: node, homes, running, acknowledged, tally, tasks, stop }, hub)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_are_exchanged_for_another_build_and_back_under_load_and_nothing_is_missed() {
    let certs = tempfile::tempdir().unwrap();
    certificates(certs.path(), &["prod-01", "ops-01"]);
    let (this, other) = (PathBuf::from(env!("CARGO_BIN_EXE_orrery")), other());
    let (mut pair, _home) = start(certs.path(), &other).await;
    pair.asked(3).await;
    for (replica, binary) in [(0, &this), (1, &this), (0, &other), (1, &other)] {
        pair.exchange(replica, binary).await;
    }
    pair.stop.store(true, SeqCst);
    for task in pair.tasks {
        task.await.unwrap();
    }
    let sent: Vec<_> = pair.acknowledged.iter().map(|k| [k[0].load(SeqCst), k[1].load(SeqCst)]).collect();
    println!("acknowledged by each replica: {:?} {sent:?}", KINDS);
    for (question, t) in ASKED.iter().zip(pair.tally.iter()) {
        let [whole, partial, retried] = [&t.whole, &t.partial, &t.retried].map(|n| n.load(SeqCst));
        println!("{question:?}: {whole} whole, {partial} not, {retried} asked once more");
        assert!(whole > 0, "{question:?} was never answered whole");
    }
}
