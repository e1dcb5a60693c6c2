//! Questions of every kind, and the test of an answer: within its time, honest about who is missing, and right
//! in what it says.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use model::{Labels, MetricBatch};
use serde_json::{Value, json};

use super::clusters::{Clusters, Line, Spanned, ask, now_s};
use crate::{
    node::{Node, encode},
    tail::Tail,
};

pub const TENANT: &str = "lab";
/// What the client grants an answer.
pub const TIMEOUT: Duration = Duration::from_secs(5);
/// What a busy machine may add to it before a test takes the answer for one that came too late.
const SLACK: Duration = Duration::from_secs(10);
const MINUTE_S: i64 = 60;

/// One kind of question: its name in the table, the path, and how rows are read out of the answer.
pub struct Question {
    pub name: &'static str,
    pub path: String,
    /// The same as a live tail, where that is what is put.
    tail: Option<String>,
    rows: fn(&Value) -> Rows,
}

/// What came of putting a question.
struct Said {
    /// `None` where it failed, and then why.
    body: Result<Value, String>,
    /// Where clients that know nothing of coverage look.
    header: String,
    warned: String,
}

/// What an answer says, as (cluster, text).
pub type Rows = BTreeSet<(String, String)>;

/// What became of a question.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub took: Duration,
    /// The clusters that are not complete, with what is said of them; `None` where the whole question failed.
    pub incomplete: Option<BTreeMap<String, String>>,
}

/// The same for each cluster, with the cluster's name in it: two counters, a stream of lines, and spans of traces
/// that all clusters share. It lies between 30 and 10 minutes back.
pub async fn fill(clusters: &Clusters) -> Vec<Question> {
    let base_s = (now_s() / MINUTE_S - 30) * MINUTE_S;
    let names: Vec<String> = clusters.homes.keys().cloned().collect();
    for (n, cluster) in names.iter().enumerate() {
        let mut batch = MetricBatch::default();
        for instance in ["0", "1"] {
            let instance = format!("{cluster}-{instance}");
            let series = batch.push_series(Labels::from_pairs([
                ("__name__", "requests_total"),
                ("cluster", cluster),
                ("instance", &instance),
            ]));
            for i in 0..80 {
                let at_ms = (base_s + i * 15) * 1000;
                batch.samples.push(series, at_ms, (i * (n as i64 + 1)) as f64);
            }
        }
        clusters.metrics(cluster, TENANT, &batch).await;
        let labels = BTreeMap::from([("app".to_owned(), "shop".to_owned())]);
        let lines: Vec<Line> = (0..40).map(|i| line(base_s, cluster, n, i)).collect();
        clusters.lines(cluster, TENANT, &labels, &lines).await;
        let spans: Vec<Spanned> = (0..20).map(|trace| span(base_s, cluster, n, trace)).collect();
        clusters.spans(cluster, TENANT, &spans).await;
    }
    questions(base_s)
}

fn line(base_s: i64, cluster: &str, n: usize, i: i64) -> Line {
    let at_ns = (base_s + i * 30) * 1_000_000_000 + n as i64 * 1_000_000;
    Line { at_ns, text: format!("order {i} of {cluster}"), attributes: BTreeMap::new() }
}

/// Each trace begins in the first cluster and has a span in every other.
fn span(base_s: i64, cluster: &str, n: usize, trace: u64) -> Spanned {
    let root = (trace + 1) << 8;
    Spanned {
        trace: u128::from(trace) + 1,
        id: root + n as u64,
        parent: if n == 0 { 0 } else { root },
        name: format!("step {n}"),
        service: "shop".to_owned(),
        start_ns: (base_s + trace as i64 * 60) * 1_000_000_000 + n as i64 * 1_000_000,
        duration_ns: 5_000_000,
        attributes: vec![("where".to_owned(), cluster.to_owned())],
        error: false,
    }
}

fn questions(base_s: i64) -> Vec<Question> {
    let (start, end, at) = (base_s, base_s + 20 * MINUTE_S, base_s + 15 * MINUTE_S);
    let timeout = format!("timeout={}s", TIMEOUT.as_secs());
    let rate = encode("sum by (cluster) (rate(requests_total[5m]))");
    let all = encode("requests_total");
    let lines = encode("{app=\"shop\"}");
    let (start_ns, end_ns) = (start * 1_000_000_000, end * 1_000_000_000);
    let (start_us, end_us) = (start * 1_000_000, end * 1_000_000);
    vec![
        Question {
            name: "instant",
            path: format!("/api/v1/query?query={rate}&time={at}&{timeout}"),
            tail: None,
            rows: series,
        },
        Question {
            name: "range",
            path: format!("/api/v1/query_range?query={all}&start={start}&end={end}&step=60&{timeout}"),
            tail: None,
            rows: series,
        },
        Question {
            name: "labels",
            path: format!("/api/v1/label/instance/values?start={start}&end={end}&{timeout}"),
            tail: None,
            rows: instances,
        },
        Question {
            name: "logs",
            path: format!(
                "/loki/api/v1/query_range?query={lines}&start={start_ns}&end={end_ns}&limit=1000&{timeout}"
            ),
            tail: None,
            rows: entries,
        },
        Question {
            name: "tail",
            path: format!("/loki/api/v1/query_range?query={lines}&start={start_ns}&end={end_ns}&limit=1000"),
            tail: Some(format!("/loki/api/v1/tail?query={lines}&start={start_ns}&limit=1000&{timeout}")),
            rows: entries,
        },
        Question {
            name: "trace",
            path: format!("/jaeger/api/traces/{:032x}?{timeout}", 7),
            tail: None,
            rows: spans,
        },
        Question {
            name: "search",
            path: format!(
                "/jaeger/api/traces?service=shop&start={start_us}&end={end_us}&limit=100&{timeout}"
            ),
            tail: None,
            rows: spans,
        },
    ]
}

fn series(body: &Value) -> Rows {
    let found = body["data"]["result"].as_array().into_iter().flatten();
    found.map(|s| (text(&s["metric"]["cluster"]), s.to_string())).collect()
}

/// Names of instances begin with their cluster's.
fn instances(body: &Value) -> Rows {
    let found = body["data"].as_array().into_iter().flatten().map(text);
    found.map(|v| (v.split('-').next().unwrap_or_default().to_owned(), v)).collect()
}

/// Every line with all its labels, so that it does not matter how answers group them.
pub fn entries(body: &Value) -> Rows {
    let mut rows = Rows::new();
    for stream in body["data"]["result"].as_array().into_iter().flatten() {
        for entry in stream["values"].as_array().into_iter().flatten() {
            rows.insert((text(&stream["stream"]["cluster"]), format!("{} {entry}", stream["stream"])));
        }
    }
    rows
}

/// Every span with its tags and its resource.
pub fn spans(body: &Value) -> Rows {
    let mut rows = Rows::new();
    for trace in body["data"].as_array().into_iter().flatten() {
        for span in trace["spans"].as_array().into_iter().flatten() {
            let process = &trace["processes"][span["processID"].as_str().unwrap_or_default()];
            let tags = process["tags"].as_array().into_iter().flatten();
            let cluster = tags.filter(|t| t["key"] == "k8s.cluster.name").map(|t| text(&t["value"])).next();
            let mut shown = span.clone();
            // The number of a process within its trace depends on who else is in it.
            shown["processID"] = process["serviceName"].clone();
            // As do warnings, of a parent that did not come.
            shown.as_object_mut().and_then(|s| s.remove("warnings"));
            rows.insert((cluster.unwrap_or_default(), shown.to_string()));
        }
    }
    rows
}

fn text(v: &Value) -> String {
    v.as_str().unwrap_or_default().to_owned()
}

impl Question {
    /// What the node that has everything says.
    pub async fn truth(&self, whole: &Node) -> Rows {
        let answer = ask(whole, TENANT, &self.path).await;
        assert!(answer.status.is_success(), "{}: {}", self.name, answer.excerpt());
        let rows = (self.rows)(&serde_json::from_slice(&answer.body).unwrap());
        assert!(!rows.is_empty(), "{}: nothing to compare with", self.name);
        rows
    }

    /// Asks the hub, and says what is wrong with the answer, if something is.
    pub async fn put(&self, hub: &Node, truth: &Rows) -> Result<Outcome, String> {
        let began = Instant::now();
        let said = match &self.tail {
            None => self.answer(hub).await?,
            Some(path) => self.follow(hub, path, truth).await,
        };
        let took = began.elapsed();
        let at = |e: String| format!("{}: {e} (after {took:?})", self.name);
        if took > TIMEOUT + SLACK {
            return Err(at("the answer came too late".to_owned()));
        }
        match &said.body {
            Err(_) => Ok(Outcome { took, incomplete: None }),
            Ok(body) => {
                let incomplete = self.judge(body, &said, truth).map_err(at)?;
                Ok(Outcome { took, incomplete: Some(incomplete) })
            }
        }
    }

    async fn answer(&self, hub: &Node) -> Result<Said, String> {
        let answer = ask(hub, TENANT, &self.path).await;
        let header = answer.header("x-orrery-coverage").to_owned();
        if !answer.status.is_success() {
            return Ok(Said { body: Err(answer.excerpt()), header, warned: String::new() });
        }
        let body: Value =
            serde_json::from_slice(&answer.body).map_err(|e| format!("{}: not JSON: {e}", self.name))?;
        let warned = format!("{}{}", body["warnings"], body["errors"]);
        Ok(Said { body: Ok(body), header, warned })
    }

    /// Reads a live tail until it has everything or has said who is missing, as long as an answer may take. Its lines
    /// and what it said last are shown as one answer.
    async fn follow(&self, hub: &Node, path: &str, truth: &Rows) -> Said {
        let mut body = json!({"data": {"result": []}});
        let reading = async {
            let mut tail = Tail::open(hub, Some(TENANT), path).await?;
            loop {
                let mut message = tail.next().await.map_err(|code| format!("closed: {code:?}"))?;
                if let (Some(all), Some(more)) =
                    (body["data"]["result"].as_array_mut(), message["streams"].as_array_mut())
                {
                    all.append(more);
                }
                if !message["coverage"].is_null() {
                    body["coverage"] = message["coverage"].take();
                }
                let is_whole = incomplete(&body).map(|i| i.is_empty());
                if is_whole == Ok(false) || is_whole == Ok(true) && truth.is_subset(&(self.rows)(&body)) {
                    return Ok::<_, String>(());
                }
            }
        };
        let ended = tokio::time::timeout(TIMEOUT, reading).await;
        let said = body["coverage"].to_string();
        let body = if let Ok(Err(e)) = ended { Err(e) } else { Ok(body) };
        Said { body, header: said.clone(), warned: said }
    }

    fn judge(
        &self,
        body: &Value,
        Said { header, warned, .. }: &Said,
        truth: &Rows,
    ) -> Result<BTreeMap<String, String>, String> {
        let incomplete = incomplete(body)?;
        for (cluster, said) in &incomplete {
            if !header.contains(cluster.as_str()) || !warned.contains(cluster.as_str()) {
                return Err(format!("{cluster} ({said}) is not in header and warnings: {header} / {warned}"));
            }
            if said.split_once(": ").is_none_or(|(_, reason)| reason.is_empty()) {
                return Err(format!("no reason is given for {cluster}: {said}"));
            }
        }
        let rows = (self.rows)(body);
        if let Some(invented) = rows.difference(truth).next() {
            return Err(format!("the answer has what nobody has: {invented:?}"));
        }
        match truth.difference(&rows).find(|(cluster, _)| !incomplete.contains_key(cluster)) {
            Some(lost) => Err(format!("presented as whole without {lost:?}; coverage {}", body["coverage"])),
            None => Ok(incomplete),
        }
    }
}

/// Each cluster that is not complete, as `state: reason`.
fn incomplete(body: &Value) -> Result<BTreeMap<String, String>, String> {
    let sources = body["coverage"].as_array().ok_or("the answer has no coverage")?;
    let bad = sources.iter().filter(|s| s["state"] != "complete");
    Ok(bad.map(|s| (text(&s["cluster"]), format!("{}: {}", text(&s["state"]), text(&s["reason"])))).collect())
}

/// Puts all questions at once.
pub async fn put_all(hub: &Node, questions: &[Question], truths: &[Rows]) -> Vec<Result<Outcome, String>> {
    let asked = questions.iter().zip(truths).map(|(q, truth)| q.put(hub, truth));
    futures::future::join_all(asked).await
}
