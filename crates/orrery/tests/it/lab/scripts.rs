//! Scripts over real processes: what they load is dealt at random over four clusters, and the hub must answer every
//! eval as the one node does that has everything. Expectations in the scripts are not read here; the suites of the
//! languages hold one node to them.

use std::{
    collections::BTreeMap,
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
};

use futures::{StreamExt, stream};
use model::{MetricBatch, SpanBatch, metric::HistogramSample};
use serde_json::Value;

use super::{
    HUB, PEERS,
    clusters::{Clusters, Line, ask},
    questions::entries,
};
use crate::node::{Node, encode, root};

mod memory {
    /// What the notation of series makes.
    #[derive(Debug, Clone)]
    pub enum Sample {
        Float(f64),
        Histogram(Box<model::Histogram>),
    }
}

#[path = "../../../../promql/tests/it/notation.rs"]
#[allow(dead_code)]
mod notation;

#[path = "../../../../traceql/tests/it/notation.rs"]
#[allow(dead_code)]
mod spans;

const NAMES: [&str; 4] = ["north", "east", "south", "west"];
/// Questions under way at once.
const TOGETHER: usize = 4;
/// Which cluster has something, fixed by the seed.
fn dealt(seed: u64, what: &impl Hash) -> &'static str {
    let mut hasher = DefaultHasher::new();
    (seed, what).hash(&mut hasher);
    NAMES[hasher.finish() as usize % NAMES.len()]
}

/// One question of a script, and whose data it asks.
struct Eval {
    script: String,
    tenant: String,
    path: String,
    query: String,
}

#[tokio::test]
async fn promql_scripts_dealt_over_four_clusters_answer_as_one_node_does() {
    let Some(folder) = shared("promqltest") else { return };
    let Some(clusters) = Clusters::start(21, &NAMES).await else { return };
    clusters.reach_back().await;
    let mut evals = Vec::new();
    for (name, text) in scripts(&folder) {
        evals.extend(load_promql(&clusters, &name, &text).await);
    }
    assert!(evals.len() > 1000, "{} evals", evals.len());
    compare_all(&clusters, &evals, promql_rows).await;
    for name in NAMES {
        let opened = clusters.lab.traffic(HUB, name).opened;
        assert_eq!(opened.get(&PEERS), Some(&1), "connections to {name}: {opened:?}");
    }
}

#[tokio::test]
async fn logql_scripts_dealt_over_four_clusters_answer_as_one_node_does() {
    let Some(clusters) = Clusters::start(22, &NAMES).await else { return };
    clusters.reach_back().await;
    let mut evals = Vec::new();
    for (name, text) in scripts(&root().join("crates/logql/tests/scripts")) {
        evals.extend(load_logql(&clusters, &name, &text).await);
    }
    assert!(evals.len() > 100, "{} evals", evals.len());
    compare_all(&clusters, &evals, logql_rows).await;
}

#[tokio::test]
async fn traceql_scripts_dealt_over_four_clusters_answer_as_one_node_does() {
    let Some(clusters) = Clusters::start(23, &NAMES).await else { return };
    clusters.reach_back().await;
    let mut evals = Vec::new();
    for (name, text) in scripts(&root().join("crates/traceql/tests/scripts")) {
        evals.extend(load_traceql(&clusters, &name, &text).await);
    }
    assert!(evals.len() > 100, "{} evals", evals.len());
    compare_all(&clusters, &evals, traceql_rows).await;
}

fn shared(folder: &str) -> Option<PathBuf> {
    let found = Path::new(&root()).join("../shared/data").join(folder);
    if !found.is_dir() {
        println!("skipped: {} is not there", found.display());
    }
    found.is_dir().then_some(found)
}

fn scripts(folder: &Path) -> Vec<(String, String)> {
    let files = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    let mut out: Vec<(String, String)> = files
        .filter(|p| p.extension().is_some_and(|e| e == "test"))
        .map(|p| (p.file_stem().unwrap().to_string_lossy().into_owned(), fs::read_to_string(&p).unwrap()))
        .collect();
    out.sort();
    out
}

/// How often an eval is put again that somebody did not answer in time.
const TRIES: usize = 5;

/// Puts every eval to both, and fails with all that differ.
async fn compare_all(clusters: &Clusters, evals: &[Eval], rows: fn(&Value) -> Vec<String>) {
    let found: Vec<Option<String>> = stream::iter(evals)
        .map(|e| async move {
            let (ours, theirs) =
                tokio::join!(answer(&clusters.hub, e, rows), answer(&clusters.whole, e, rows),);
            let differ = match (&ours, &theirs) {
                (Ok(ours), Ok(theirs)) => differ(ours, theirs),
                // Both refuse it; the words name a position or a member.
                (Err(_), Err(_)) => None,
                _ => Some(format!("hub {ours:?}, whole {theirs:?}")),
            };
            differ.map(|d| format!("{} [{}] {}\n    {d}", e.script, e.tenant, e.query))
        })
        .buffered(TOGETHER)
        .collect()
        .await;
    let wrong: Vec<&String> = found.iter().flatten().collect();
    println!("{} evals, {} differ", evals.len(), wrong.len());
    assert!(
        wrong.is_empty(),
        "{} of {} differ:\n{}",
        wrong.len(),
        evals.len(),
        wrong.iter().map(|w| w.as_str()).collect::<Vec<_>>().join("\n")
    );
}

/// The rows of an answer that is whole, or the error's text.
async fn answer(node: &Node, e: &Eval, rows: fn(&Value) -> Vec<String>) -> Result<Vec<String>, String> {
    let mut answer = ask(node, &e.tenant, &e.path).await;
    for _ in 0..TRIES {
        // A slow machine is not what is asked about.
        if !String::from_utf8_lossy(&answer.body).contains("no answer within") {
            break;
        }
        answer = ask(node, &e.tenant, &e.path).await;
    }
    if !answer.status.is_success() {
        return Err(answer.excerpt());
    }
    let body: Value = serde_json::from_slice(&answer.body).map_err(|e| e.to_string())?;
    let mut sources = body["coverage"].as_array().into_iter().flatten();
    if let Some(bad) = sources.find(|s| s["state"] != "complete") {
        return Err(format!("not whole: {bad}"));
    }
    Ok(cut_off(rows(&body), &e.path))
}

/// Where a limit cuts among lines of one time, which of them are left follows from the order in which they came, and
/// over several clusters there is none: as many as the whole node has must be left, of that time.
fn cut_off(mut rows: Vec<String>, path: &str) -> Vec<String> {
    let limit = path.split_once("&limit=").and_then(|(_, rest)| rest.split('&').next()?.parse().ok());
    if limit != Some(rows.len()) {
        return rows;
    }
    let at = |row: &String| row.rsplit_once("} [\"")?.1.split('"').next()?.parse::<i64>().ok();
    let times = rows.iter().filter_map(at);
    let last = if path.contains("direction=forward") { times.max() } else { times.min() };
    rows.iter_mut().filter(|r| at(r) == last).for_each(|r| *r = format!("one of {last:?}"));
    rows.sort();
    rows
}

/// The first difference; numbers may differ as sums in another order do.
fn differ(ours: &[String], theirs: &[String]) -> Option<String> {
    if ours.len() != theirs.len() {
        return Some(format!(
            "{} rows, expected {}:\n    {ours:?}\n    {theirs:?}",
            ours.len(),
            theirs.len()
        ));
    }
    let at = ours.iter().zip(theirs).find(|(a, b)| !close(a, b))?;
    Some(format!("hub   {}\n    whole {}", at.0, at.1))
}

fn close(a: &str, b: &str) -> bool {
    let (mut a, mut b) = (a.split('"'), b.split('"'));
    loop {
        match (a.next(), b.next()) {
            (None, None) => return true,
            (Some(x), Some(y)) if x == y => {}
            (Some(x), Some(y)) => match (x.parse::<f64>(), y.parse::<f64>()) {
                (Ok(x), Ok(y)) if (x - y).abs() <= 1e-9 * x.abs().max(y.abs()) => {}
                _ => return false,
            },
            _ => return false,
        }
    }
}

/// Sorted, except where the query sorts: then in the order given.
fn promql_rows(body: &Value) -> Vec<String> {
    let Value::Array(result) = &body["data"]["result"] else { return vec![body["data"].to_string()] };
    let mut rows: Vec<String> = result.iter().map(Value::to_string).collect();
    if body["data"]["resultType"] != "scalar" && body["data"]["resultType"] != "string" {
        rows.sort();
    }
    rows
}

fn logql_rows(body: &Value) -> Vec<String> {
    match body["data"]["resultType"].as_str() {
        Some("streams") => entries(body).into_iter().map(|(_, row)| row).collect(),
        _ => promql_rows(body),
    }
}

/// Blocks of a script: the line that begins one, and the lines that belong to it.
fn blocks(text: &str, belongs: fn(&str) -> bool) -> Vec<(&str, Vec<&str>)> {
    let mut out: Vec<(&str, Vec<&str>)> = Vec::new();
    let mut open = false;
    for line in text.lines().filter(|l| !l.trim_start().starts_with('#')) {
        match out.last_mut() {
            Some((_, body)) if open && belongs(line) => body.push(line.trim()),
            _ if line.trim().is_empty() => open = false,
            _ => {
                out.push((line.trim(), Vec::new()));
                open = line.trim() != "clear";
            }
        }
    }
    out
}

async fn load_promql(clusters: &Clusters, script: &str, text: &str) -> Vec<Eval> {
    let (mut evals, mut section) = (Vec::new(), 0);
    for (head, body) in blocks(text, |l| !l.trim().is_empty()) {
        let tenant = format!("{script}-{section}");
        if head == "clear" {
            section += 1;
        } else if head.starts_with("load") {
            let step = head.split_whitespace().nth(1).and_then(|s| promql::literal::parse_duration(s).ok());
            load_series(clusters, &tenant, step.unwrap(), &body).await;
        } else if let Some((path, query)) = promql_path(head) {
            evals.push(Eval { script: script.to_owned(), tenant, path, query });
        }
    }
    evals
}

/// One batch for each cluster.
async fn load_series(clusters: &Clusters, tenant: &str, step_ms: i64, body: &[&str]) {
    let mut batches: BTreeMap<&str, MetricBatch> = BTreeMap::new();
    for line in body.iter().filter(|l| !l.split_whitespace().next().is_some_and(|w| w.ends_with("@st"))) {
        let (labels, values) = notation::metric(line).unwrap();
        let cluster = dealt(21, &labels.to_string());
        let labels = labels.with("cluster", cluster);
        let batch = batches.entry(cluster).or_default();
        let series = batch.push_series(labels);
        for (i, item) in notation::values(values).unwrap().into_iter().enumerate() {
            let timestamp_ms = i as i64 * step_ms;
            match item.sample {
                Some(memory::Sample::Float(v)) => batch.samples.push(series, timestamp_ms, v),
                Some(memory::Sample::Histogram(h)) => {
                    batch.histograms.push(HistogramSample {
                        series,
                        timestamp_ms,
                        start_ms: 0,
                        histogram: *h,
                    });
                }
                None => {}
            }
        }
    }
    for (cluster, batch) in batches {
        clusters.metrics(cluster, tenant, &batch).await;
    }
}

/// The path and the query of an `eval`.
fn promql_path(head: &str) -> Option<(String, String)> {
    let (_, rest) = head.split_once(char::is_whitespace)?;
    let words: Vec<&str> = rest.split_whitespace().collect();
    let seconds = |s: &str| promql::literal::parse_duration(s).ok().map(|ms| ms as f64 / 1e3);
    let query = |n: usize| {
        let mut rest = rest.trim_start();
        for _ in 0..n {
            rest = rest.split_once(char::is_whitespace).map_or("", |(_, r)| r.trim_start());
        }
        rest.to_owned()
    };
    match words.as_slice() {
        ["instant", "at", at, _, ..] => {
            let query = query(3);
            Some((format!("/api/v1/query?query={}&time={}", encode(&query), seconds(at)?), query))
        }
        ["range", "from", from, "to", to, "step", step, _, ..] => {
            let query = query(7);
            let (from, to, step) = (seconds(from)?, seconds(to)?, seconds(step)?);
            let path =
                format!("/api/v1/query_range?query={}&start={from}&end={to}&step={step}", encode(&query));
            Some((path, query))
        }
        _ => None,
    }
}

async fn load_logql(clusters: &Clusters, script: &str, text: &str) -> Vec<Eval> {
    let (mut evals, mut section) = (Vec::new(), 0);
    for (head, body) in blocks(text, |l| l.starts_with(' ')) {
        let tenant = format!("{script}-{section}");
        if head == "clear" {
            section += 1;
        } else if let Some(stream) = head.strip_prefix("load ") {
            load_stream(clusters, &tenant, stream, &body).await;
        } else if let Some((path, query)) = head.strip_prefix("eval ").and_then(logql_path) {
            evals.push(Eval { script: script.to_owned(), tenant, path, query });
        }
    }
    evals
}

/// Lines of one stream. Severity numbers and bodies that are no text have no place in a push, and stay out of it.
async fn load_stream(clusters: &Clusters, tenant: &str, stream: &str, body: &[&str]) {
    let labels: BTreeMap<String, String> = equal(stream);
    let mut lines = Vec::new();
    for line in body {
        let (time, mut rest) = line.split_once(' ').unwrap_or((line, ""));
        if let Some((_, after)) = rest.strip_prefix('%').and_then(|r| r.split_once(' ')) {
            rest = after;
        }
        let mut attributes = BTreeMap::new();
        if let Some((set, after)) = rest.strip_prefix('@').and_then(|r| r.split_once("} ")) {
            attributes = equal(&format!("{set}}}"));
            rest = after;
        }
        let text = rest.replace("\\e", "\u{1b}").replace("\\n", "\n");
        lines.push(Line { at_ns: logql::units::parse_duration(time).unwrap(), text, attributes });
    }
    clusters.lines(dealt(22, &stream), tenant, &labels, &lines).await;
}

fn equal(selector: &str) -> BTreeMap<String, String> {
    let matchers = logql::parse_selector(selector).unwrap();
    matchers.into_iter().map(|m| (m.name, m.value)).collect()
}

fn logql_path(eval: &str) -> Option<(String, String)> {
    let words: Vec<&str> = eval.split(' ').collect();
    let ns = |s: &str| logql::units::parse_duration(s);
    let rest = |n: usize| eval.splitn(n + 1, ' ').nth(n).unwrap_or_default().to_owned();
    match words.as_slice() {
        ["instant", at, ..] => {
            let query = rest(2);
            Some((format!("/loki/api/v1/query?query={}&time={}", encode(&query), ns(at)?), query))
        }
        ["range", from, to, step, ..] => {
            let query = rest(4);
            let (from, to, step) = (ns(from)?, ns(to)?, ns(step)? as f64 / 1e9);
            let path = format!(
                "/loki/api/v1/query_range?query={}&start={from}&end={to}&step={step}",
                encode(&query)
            );
            Some((path, query))
        }
        ["log", from, to, ..] => {
            let (from, to, mut query) = (ns(from)?, ns(to)?, rest(3));
            let mut more = String::new();
            if let Some(after) = query.strip_prefix("limit ") {
                let (limit, after) = after.split_once(' ')?;
                more += &format!("&limit={limit}");
                query = after.to_owned();
            }
            if let Some(after) = query.strip_prefix("forward ") {
                more += "&direction=forward";
                query = after.to_owned();
            }
            let path =
                format!("/loki/api/v1/query_range?query={}&start={from}&end={to}{more}", encode(&query));
            Some((path, query))
        }
        _ => None,
    }
}

/// In the API 0 stands for a time that is not given.
const LATER_S: i64 = 3000;

async fn load_traceql(clusters: &Clusters, script: &str, text: &str) -> Vec<Eval> {
    let (mut evals, mut section) = (Vec::new(), 0);
    for line in spans::read(text) {
        let tenant = format!("{script}-{section}");
        match line {
            spans::Line::Clear => section += 1,
            spans::Line::Load(batch) => load_spans(clusters, &tenant, batch).await,
            spans::Line::Eval { ask, .. } => {
                let (path, query) = (traceql_path(&ask), ask.query);
                evals.push(Eval { script: script.to_owned(), tenant, path, query });
            }
        }
    }
    evals
}

/// Each span is dealt by itself, so that traces lie in several clusters.
async fn load_spans(clusters: &Clusters, tenant: &str, batch: SpanBatch) {
    let mut batches: BTreeMap<&str, SpanBatch> = BTreeMap::new();
    for mut span in batch.spans {
        let cluster = dealt(23, &(span.trace_id, span.span_id));
        let mut origin = batch.origins[span.origin as usize].clone();
        // What a node adds to the resource; written here, the whole node has it too.
        origin.resource.attributes.push("k8s.cluster.name", cluster);
        let dealt = batches.entry(cluster).or_default();
        (span.origin, span.start_ns) = (dealt.origins.len() as u32, span.start_ns + LATER_S * 1_000_000_000);
        span.end_ns += LATER_S * 1_000_000_000;
        span.events.iter_mut().for_each(|e| e.timestamp_ns += LATER_S * 1_000_000_000);
        dealt.origins.push(origin);
        dealt.spans.push(span);
    }
    for (cluster, batch) in batches {
        clusters.span_batch(cluster, tenant, &batch).await;
    }
}

fn traceql_path(ask: &spans::Ask) -> String {
    let second = |ns: i64| ns / 1_000_000_000 + LATER_S;
    let common =
        format!("q={}&start={}&end={}", encode(&ask.query), second(ask.start_ns), second(ask.end_ns));
    match ask.what {
        spans::What::Search { limit } | spans::What::Spans { limit } | spans::What::Traces { limit } => {
            format!("/api/search?{common}&limit={limit}&spss=100")
        }
        spans::What::Range { step_ns } => {
            format!("/api/metrics/query_range?{common}&step={}s", step_ns / 1_000_000_000)
        }
        spans::What::Instant => format!("/api/metrics/query?{common}"),
    }
}

/// Traces in the order given, newest first; series in any.
fn traceql_rows(body: &Value) -> Vec<String> {
    let mut series: Vec<String> =
        body["series"].as_array().into_iter().flatten().map(|s| sorted(s).to_string()).collect();
    series.sort();
    let traces = body["traces"].as_array().into_iter().flatten().map(|t| sorted(t).to_string());
    traces.chain(series).collect()
}

/// Lists of objects without an order of their own, such as attributes, in one.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(items) => {
            let mut items: Vec<Value> = items.iter().map(sorted).collect();
            items.sort_by_key(Value::to_string);
            Value::Array(items)
        }
        Value::Object(map) => {
            map.iter().map(|(k, v)| (k.clone(), sorted(v))).collect::<serde_json::Map<_, _>>().into()
        }
        other => other.clone(),
    }
}
