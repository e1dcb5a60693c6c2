//! The REST scenarios of two projects that speak Elasticsearch's API, against ours. Each step holds or is listed as an
//! exception with its reason; an exception that holds fails the test as a step does that does not.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use axum::{Router, body::Body};
use http::Request;
use serde_json::{Map, Value, json};

use crate::node;

/// Quickwit's steps, by file and number from 1.
const QUICKWIT: &[(&str, &str)] = &[
    (
        "0007-range_queries.yaml#16",
        "dates are kept to the nanosecond, so a range inside a millisecond is as narrow as it says",
    ),
    ("0007-range_queries.yaml#18", "without a mapping, texts are compared as they are and not in lower case"),
    ("0007-range_queries.yaml#20", "without a mapping, texts are compared as they are and not in lower case"),
    ("0007-range_queries.yaml#21", "formats of dates other than the usual are not read"),
    ("0015-terms-query.yaml#1", "without a mapping, a term that is the whole value finds it"),
    ("0025-msearch.yaml#6", "documents of one time come in no order of their own"),
    ("bulk/0006-partial-index-not-found.yaml#1", "an index is there from its first document on"),
];

/// OpenSearch's chapters, by file and number from 1.
const OPENSEARCH: &[(&str, &str)] = &[
    ("_core/search/aggregations/historgram.yaml#1", "formats of numbers are not served"),
    ("_core/search/aggregations/min_script.yaml#1", "scripts over documents are not served"),
    (
        "_core/search/aggregations/terms_aggregate_doc_count_error_upper_bound.yaml#1",
        "counts of terms are exact, so none shows an error",
    ),
    (
        "_core/search/aggregations/terms_aggregate_unsigned_long.yaml#2",
        "whole numbers above 2^63 become fractions",
    ),
    (
        "_core/search/aggregations/terms_aggregate_unsigned_long.yaml#3",
        "whole numbers above 2^63 become fractions",
    ),
    (
        "_core/search/aggregations/terms_aggregate_unsigned_long.yaml#4",
        "whole numbers above 2^63 become fractions",
    ),
    ("_core/search/aggregations/terms_doc_count.yaml#1", "a field within a field is declared by a mapping"),
    ("_core/search/aggregations/terms_doc_count.yaml#4", "a field within a field is declared by a mapping"),
    ("_core/search/aggregations/terms_partition.yaml#1", "partitions of terms are not served"),
    ("_core/search/aggregations/terms_partition.yaml#2", "partitions of terms are not served"),
    ("_core/search/aggregations/terms_partition.yaml#3", "partitions of terms are not served"),
    ("_core/search/aggregations/terms_partition.yaml#4", "partitions of terms are not served"),
    ("_core/search/aggregations/terms_partition.yaml#5", "partitions of terms are not served"),
    ("_core/search/aggregations/terms_partition.yaml#6", "partitions of terms are not served"),
    ("_core/search/knn/search/search_k.yaml#1", "there are no vectors"),
    ("_core/search/knn/search/search_max_distance.yaml#1", "there are no vectors"),
    ("_core/search/knn/search/search_min_score.yaml#1", "there are no vectors"),
    ("_core/search/knn/search/search_pipeline.yaml#1", "search templates are not served"),
    ("_core/search/query/geo_bounding_box.yaml#1", "there are no places"),
    ("_core/search/query/geo_distance.yaml#1", "there are no places"),
    ("_core/search/query/script.yaml#1", "scripts over documents are not served"),
    ("_core/search/query/terms/array_terms.yaml#1", "documents of one time come in no order of their own"),
    ("_core/search/query/terms/array_terms.yaml#2", "documents of one time come in no order of their own"),
    ("_core/search/query/terms/array_terms_with_boost.yaml#1", "scores are not computed"),
    ("_core/search/query/terms/terms_lookup.yaml#1", "terms of other documents are not looked up"),
    ("_core/search/query/xy_shape_point.yaml#1", "there are no shapes"),
    ("_core/search/query/xy_shape_shape.yaml#1", "there are no shapes"),
    ("_core/search/seq_no_primary_term.yaml#1", "documents are not numbered"),
    ("indices/resolve/index.yaml#1", "an index is there from its first document on"),
];

#[tokio::test]
async fn quickwits_scenarios_hold() {
    let Some(root) = data("quickwit-rest/scenarii/es_compatibility") else { return };
    let mut seen = Seen::new(QUICKWIT);
    let router = node::router();
    let setup = |folder: &Path| steps(&folder.join("_setup.elasticsearch.yaml"), "");
    for step in setup(&root) {
        step.run(&router, &root, &Value::Null).await.ok();
    }
    for folder in [root.clone(), root.join("multi-indices"), root.join("bulk")] {
        let is_root = folder == root;
        if !is_root && folder.join("_setup.elasticsearch.yaml").exists() {
            for step in setup(&folder) {
                step.run(&router, &root, &Value::Null).await.ok();
            }
        }
        for file in files(&folder, false) {
            let name = file.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
            let endpoint = if folder.ends_with("bulk") { "_bulk" } else { "gharchive/_search" };
            let mut previous = Value::Null;
            for (number, step) in steps(&file, endpoint).into_iter().enumerate() {
                if !step.is_elasticsearchs() {
                    seen.skipped += 1;
                    continue;
                }
                let outcome = step.run(&router, &root, &previous).await;
                seen.outcome(
                    format!("{name}#{}", number + 1),
                    outcome.as_ref().map(|_| ()).map_err(Clone::clone),
                );
                previous = outcome.unwrap_or_default();
            }
        }
    }
    seen.report("quickwit");
}

#[tokio::test]
async fn opensearchs_stories_hold() {
    let Some(root) = data("opensearch-spec-tests") else { return };
    let mut seen = Seen::new(OPENSEARCH);
    for folder in ["_core/search", "indices"] {
        for file in files(&root.join(folder), true) {
            let name = file.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
            let wanted = ["_core/search", "indices/search.yaml", "indices/resolve"];
            if !wanted.iter().any(|w| name.starts_with(w)) || name.starts_with("_core/search/pipeline") {
                continue;
            }
            let Ok(story) = serde_saphyr::from_str::<Value>(&fs::read_to_string(&file).unwrap()) else {
                seen.skipped += 1;
                continue;
            };
            let router = node::router();
            for part in list(&story["prologues"]) {
                chapter(&router, part).await.ok();
            }
            for (number, part) in list(&story["chapters"]).iter().enumerate() {
                let outcome = chapter(&router, part).await;
                seen.outcome(format!("{name}#{}", number + 1), outcome);
            }
        }
    }
    seen.report("opensearch");
}

/// Public test data beside the checkout; a line and nothing where it is not there.
fn data(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("ORRERY_CHECKOUT")).join("../shared/data").join(name);
    if !path.exists() {
        println!("skipped: {name} is not there");
    }
    path.exists().then_some(path)
}

fn files(folder: &Path, deep: bool) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() && deep {
            out.extend(files(&path, true));
        } else if name.ends_with(".yaml") && !name.starts_with('_') || deep && name == "_source.yaml" {
            out.push(path);
        }
    }
    out.sort();
    out
}

fn list(v: &Value) -> &[Value] {
    v.as_array().map_or(&[], Vec::as_slice)
}

struct Seen {
    exceptions: BTreeMap<&'static str, &'static str>,
    held: usize,
    skipped: usize,
    failed: Vec<String>,
}

impl Seen {
    fn new(exceptions: &[(&'static str, &'static str)]) -> Self {
        Seen { exceptions: exceptions.iter().copied().collect(), held: 0, skipped: 0, failed: Vec::new() }
    }

    fn outcome(&mut self, name: String, outcome: Result<(), String>) {
        match (outcome, self.exceptions.get(name.as_str())) {
            (Ok(()), None) => self.held += 1,
            (Ok(()), Some(_)) => {
                self.failed.push(format!("{name} holds, though it is listed as an exception"))
            }
            (Err(_), Some(_)) => {}
            (Err(why), None) => self.failed.push(format!("{name}: {why}")),
        }
    }

    fn report(self, what: &str) {
        let Seen { exceptions, held, skipped, failed } = self;
        println!("{what}: {held} hold, {} exceptions, {skipped} are not Elasticsearch's", exceptions.len());
        assert!(failed.is_empty(), "{} do not hold:\n{}", failed.len(), failed.join("\n"));
    }
}

/// A step of Quickwit's.
struct Step(Map<String, Value>);

fn steps(file: &Path, endpoint: &str) -> Vec<Step> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let parts = text.split("\n---");
    let read = |part: &str| {
        // What stands behind the line is a comment.
        let (first, rest) = part.split_once('\n').unwrap_or((part, ""));
        let part = if first.trim().starts_with('#') || first.trim().is_empty() { rest } else { part };
        let mut step = serde_saphyr::from_str::<Value>(part).ok()?.as_object()?.clone();
        step.entry("endpoint").or_insert_with(|| json!(endpoint));
        Some(Step(step))
    };
    parts.filter_map(read).collect()
}

impl Step {
    fn is_elasticsearchs(&self) -> bool {
        let engines = self.0.get("engines").map(|e| list(e).iter().any(|e| e == "elasticsearch"));
        engines.unwrap_or(true)
    }

    async fn run(&self, router: &Router, root: &Path, previous: &Value) -> Result<Value, String> {
        let get = |key: &str| self.0.get(key).cloned().unwrap_or_default();
        let methods = match get("method") {
            Value::String(one) => vec![one],
            Value::Array(all) => all.iter().filter_map(|m| m.as_str().map(str::to_owned)).collect(),
            _ => vec!["GET".to_owned(), "POST".to_owned()],
        };
        let endpoint = get("endpoint").as_str().unwrap_or_default().to_owned();
        // Only a POST or PUT brings documents.
        let methods = if endpoint.ends_with("_bulk") && self.0.get("method").is_none() {
            vec!["POST".to_owned()]
        } else {
            methods
        };
        let params: Vec<(String, String)> =
            get("params").as_object().into_iter().flatten().map(|(k, v)| (k.clone(), text(v))).collect();
        let mut answer = Value::Null;
        for method in methods {
            let body = self.body(root, previous)?;
            let got = send(router, &method, &endpoint, &params, body, &get("headers")).await;
            let wanted = match self.0.get("status_code") {
                None => Some(200),
                Some(code) => code.as_u64(),
            };
            if let Some(code) = wanted
                && got.0 != code
            {
                return Err(format!(
                    "{method} {endpoint}: status {} instead of {code}: {}",
                    got.0,
                    short(&got.1)
                ));
            }
            differ(&get("expected"), &got.1, "$", true)
                .map_or(Ok(()), |why| Err(format!("{method} {endpoint}: {why} in {}", short(&got.1))))?;
            answer = got.1;
        }
        Ok(answer)
    }

    fn body(&self, root: &Path, previous: &Value) -> Result<Vec<u8>, String> {
        if let Some(name) = self.0.get("body_from_file").and_then(Value::as_str) {
            return fs::read(root.join(name)).map_err(|e| e.to_string());
        }
        if let Some(lines) = self.0.get("ndjson").and_then(Value::as_array) {
            return Ok(lines.iter().flat_map(|l| format!("{l}\n").into_bytes()).collect());
        }
        let Some(json) = self.0.get("json") else { return Ok(Vec::new()) };
        let mut json = json.clone();
        if let Some(id) = json.get_mut("scroll_id") {
            *id = previous["_scroll_id"].clone();
        }
        Ok(json.to_string().into_bytes())
    }
}

fn text(v: &Value) -> String {
    match v {
        Value::String(s) => s.clone(),
        Value::Array(all) => all.iter().map(text).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

fn short(v: &Value) -> String {
    v.to_string().chars().take(600).collect()
}

async fn send(
    router: &Router,
    method: &str,
    endpoint: &str,
    params: &[(String, String)],
    body: Vec<u8>,
    headers: &Value,
) -> (u64, Value) {
    let mut query: Vec<String> = params.iter().map(|(k, v)| format!("{}={}", encode(k), encode(v))).collect();
    let (path, own) = endpoint.split_once('?').unwrap_or((endpoint, ""));
    query.extend((!own.is_empty()).then(|| own.to_owned()));
    let uri = format!("/es/{}?{}", path.trim_start_matches('/'), query.join("&"));
    let mut request = Request::builder().method(method).uri(uri).header("content-type", "application/json");
    if let Some(packed) = headers.get("content-encoding").and_then(Value::as_str) {
        request = request.header("content-encoding", packed);
    }
    let answer = node::ask(router, request.body(Body::from(body)).unwrap()).await;
    (u64::from(answer.status.as_u16()), answer.json())
}

fn encode(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~".contains(&b);
    text.bytes().map(|b| if plain(b) { (b as char).to_string() } else { format!("%{b:02X}") }).collect()
}

/// A chapter or prologue of OpenSearch's.
async fn chapter(router: &Router, part: &Value) -> Result<(), String> {
    let mut path = part["path"].as_str().unwrap_or_default().to_owned();
    let mut params = Vec::new();
    for (key, value) in part["parameters"].as_object().into_iter().flatten() {
        let named = format!("{{{key}}}");
        match path.contains(&named) {
            true => path = path.replace(&named, &text(value)),
            false => params.push((key.clone(), text(value))),
        }
    }
    let request = &part["request"];
    let body = match &request["payload"] {
        Value::Null => Vec::new(),
        Value::Array(lines) => lines.iter().flat_map(|l| format!("{l}\n").into_bytes()).collect(),
        one => one.to_string().into_bytes(),
    };
    let method = part["method"].as_str().unwrap_or("GET");
    let got = send(router, method, &path, &params, body, &Value::Null).await;
    let response = &part["response"];
    let wanted = response["status"].as_u64().unwrap_or(200);
    if got.0 != wanted {
        return Err(format!("{method} {path}: status {} instead of {wanted}: {}", got.0, short(&got.1)));
    }
    differ(&response["payload"], &got.1, "$", false)
        .map_or(Ok(()), |why| Err(format!("{method} {path}: {why} in {}", short(&got.1))))
}

/// Where `got` lacks what is wanted: objects may hold more, and lists unless they are compared whole.
fn differ(want: &Value, got: &Value, at: &str, whole: bool) -> Option<String> {
    match (want, got) {
        (Value::Null, _) => None,
        (Value::Object(w), g) => w.iter().find_map(|(k, v)| match (k.as_str(), g.get(k)) {
            ("$expect", _) => {
                holds(v.as_str().unwrap_or_default(), g).err().map(|why| format!("{at}: {why}"))
            }
            (_, Some(x)) => differ(v, x, &format!("{at}.{k}"), whole),
            _ => Some(format!("{at}.{k} is missing")),
        }),
        (Value::Array(w), Value::Array(g)) if w.len() == g.len() || !whole && w.len() < g.len() => {
            w.iter().zip(g).enumerate().find_map(|(i, (v, x))| differ(v, x, &format!("{at}[{i}]"), whole))
        }
        (w, g) if w == g || w.as_f64().is_some() && w.as_f64() == g.as_f64() => None,
        (w, g) => Some(format!("{at}: wanted {w}, got {g}")),
    }
}

/// The few expressions of Python that stand in the scenarios.
fn holds(expression: &str, val: &Value) -> Result<(), String> {
    let length = val
        .as_array()
        .map(Vec::len)
        .or_else(|| val.as_str().map(str::len))
        .or_else(|| val.as_object().map(Map::len));
    let number = |text: &str| text.trim().parse::<usize>().ok();
    let quoted = |text: &str| text.trim().trim_matches(['\'', '"']).to_owned();
    let truth = if let Some(n) = expression.strip_prefix("len(val) ==") {
        length == number(n)
    } else if let Some(n) = expression.strip_prefix("len(val) >") {
        length > number(n)
    } else if let Some(key) = expression.strip_prefix("not ").and_then(|e| e.strip_suffix(" in val")) {
        val.get(quoted(key)).is_none()
    } else if let Some(key) = expression.strip_suffix(" in val") {
        val.get(quoted(key)).is_some()
    } else if let Some(start) = expression.strip_prefix("val.startswith(").and_then(|e| e.strip_suffix(')')) {
        val.as_str().is_some_and(|v| v.starts_with(&quoted(start)))
    } else {
        return Err(format!("what is {expression:?}?"));
    };
    if truth { Ok(()) } else { Err(format!("{expression} does not hold")) }
}
