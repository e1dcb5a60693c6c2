//! What there is to search: indices, their fields, their documents, where they are kept.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use axum::{
    extract::Path,
    response::{IntoResponse, Response},
};
use contract::Coverage;
use elastic::{
    indices::{self, Expression, Reader},
    mapping::{self, Mapping},
    pattern::Glob,
    search::{Extra, Search},
};
use http::{StatusCode, header};
use serde_json::{Map, Value, json};

use super::{Ask, EsError, acknowledged, flag, no_such_index, reply, reply_covered, search, search::Ran};
use crate::{Error, ask::Covered};

impl Covered for Ran<Mapping> {
    fn covered(&self) -> Option<&Coverage> {
        self.0.as_ref().ok().map(|m| &m.coverage)
    }
}

/// Names of indices, and what finding them covered.
pub(super) struct Names {
    names: Vec<String>,
    coverage: Coverage,
}

impl Covered for Ran<Names> {
    fn covered(&self) -> Option<&Coverage> {
        self.0.as_ref().ok().map(|n| &n.coverage)
    }
}

async fn fields_of(ask: &Ask, index: &str) -> Result<Mapping, EsError> {
    let (select, tenants) = (ask.ask.reads.select.clone(), ask.ask.tenants.clone());
    let lenient = flag(&ask.ask.params, "ignore_unavailable");
    let expression = Expression::parse(index);
    let work = |limits| async move {
        let reader = Reader { select, tenants, limits };
        let found = async {
            let targets = indices::resolve(expression, &reader, lenient).await?;
            mapping::mapping(&targets, &reader).await
        };
        Ok(Ran(found.await))
    };
    ask.ask.run(work).await?.0.map_err(EsError::of)
}

/// The written names of an expression.
async fn names_of(ask: &Ask, index: &str) -> Result<Names, EsError> {
    let (select, tenants) = (ask.ask.reads.select.clone(), ask.ask.tenants.clone());
    let expression = Expression::parse(index);
    let work = |limits| async move {
        let reader = Reader { select, tenants, limits };
        let found = indices::resolve(expression, &reader, false).await;
        Ok(Ran(found.map(|t| Names { names: t.written.clone(), coverage: t.coverage.clone() })))
    };
    ask.ask.run(work).await?.0.map_err(EsError::of)
}

pub async fn mapping_all(ask: Ask) -> Result<Response, EsError> {
    mapping_of(&ask, "").await
}

pub async fn mapping_within(Path(index): Path<String>, ask: Ask) -> Result<Response, EsError> {
    mapping_of(&ask, &index).await
}

async fn mapping_of(ask: &Ask, index: &str) -> Result<Response, EsError> {
    let found = fields_of(ask, index).await?;
    let one = |fields: &BTreeMap<String, BTreeSet<&'static str>>| {
        let mut tree = Map::new();
        for (name, types) in fields {
            insert(&mut tree, name, types);
        }
        json!({"mappings": {"properties": tree}})
    };
    let body: Map<String, Value> = found.indices.iter().map(|(k, v)| (k.clone(), one(v))).collect();
    Ok(reply_covered(&ask.ask.params, Value::Object(body), &found.coverage, None))
}

/// Of several types the widest, which every value can be read as.
fn property(types: &BTreeSet<&'static str>) -> Value {
    let only = match types.first() {
        Some(t) if types.len() == 1 => *t,
        _ if types.iter().all(|t| ["long", "double"].contains(t)) => "double",
        _ => "text",
    };
    match only {
        "text" => json!({"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 32766}}}),
        other => json!({"type": other}),
    }
}

/// Puts a field with dots in its place; one that is a value here and an object there keeps its name with dots.
fn insert(tree: &mut Map<String, Value>, name: &str, types: &BTreeSet<&'static str>) {
    let Some((head, rest)) = name.split_once('.') else {
        tree.insert(name.to_owned(), property(types));
        return;
    };
    let below = tree.entry(head).or_insert_with(|| json!({"properties": {}}));
    match below.get_mut("properties").and_then(Value::as_object_mut) {
        Some(inner) => insert(inner, rest, types),
        None => {
            tree.insert(name.to_owned(), property(types));
        }
    }
}

pub async fn field_caps_all(ask: Ask) -> Result<Response, EsError> {
    field_caps(&ask, "").await
}

pub async fn field_caps_within(Path(index): Path<String>, ask: Ask) -> Result<Response, EsError> {
    field_caps(&ask, &index).await
}

async fn field_caps(ask: &Ask, index: &str) -> Result<Response, EsError> {
    let body = ask.json()?;
    let mut wanted: Vec<Glob> = match body.get("fields") {
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).map(Glob::new).collect(),
        Some(Value::String(one)) => one.split(',').map(Glob::new).collect(),
        _ => Vec::new(),
    };
    wanted.extend(ask.ask.params.all("fields").flat_map(|f| f.split(',')).map(Glob::new));
    if wanted.is_empty() {
        let why = "Validation Failed: 1: no fields specified;";
        return Err(Error::Incomplete(why.to_owned()).into());
    }
    let found = fields_of(ask, index).await?;
    let mut fields: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for known in found.indices.values() {
        for (name, types) in known {
            let mut add = |name: String, of: &'static str| {
                if wanted.iter().any(|g| g.matches(&name)) {
                    fields.entry(name).or_default().insert(of);
                }
            };
            for of in types {
                add(name.clone(), of);
                if *of == "text" {
                    add(format!("{name}.keyword"), "keyword");
                }
            }
        }
    }
    let caps = |types: &BTreeSet<&str>| -> Map<String, Value> {
        let one = |t: &&str| {
            let caps = json!({"type": t, "metadata_field": false, "searchable": true, "aggregatable": true});
            ((*t).to_owned(), caps)
        };
        types.iter().map(one).collect()
    };
    let fields: Map<String, Value> =
        fields.iter().map(|(name, types)| (name.clone(), Value::Object(caps(types)))).collect();
    let names: Vec<&String> = found.indices.keys().collect();
    let body = json!({"indices": names, "fields": fields});
    Ok(reply_covered(&ask.ask.params, body, &found.coverage, None))
}

/// Documents by index.
async fn counts(ask: &Ask, index: &str) -> Result<(BTreeMap<String, u64>, Coverage), EsError> {
    let body = json!({"size": 0, "track_total_hits": false,
        "aggs": {"i": {"terms": {"field": "_index", "size": 10_000, "order": {"_key": "asc"}}}}});
    let context = search::context(&ask.ask.state);
    let search = Search::parse(&body, &Extra::default(), &context).map_err(EsError::of)?;
    let found = search::run(ask, Expression::parse(index), Arc::new(search), false, None).await?;
    let mut out = BTreeMap::new();
    let aggs = found.aggregations.unwrap_or_default();
    for bucket in aggs["i"]["buckets"].as_array().into_iter().flatten() {
        let count = bucket["doc_count"].as_u64().unwrap_or(0);
        out.insert(bucket["key"].as_str().unwrap_or_default().to_owned(), count);
    }
    Ok((out, found.coverage))
}

pub async fn cat_all(ask: Ask) -> Result<Response, EsError> {
    cat(&ask, "").await
}

pub async fn cat_within(Path(index): Path<String>, ask: Ask) -> Result<Response, EsError> {
    cat(&ask, &index).await
}

const COLUMNS: &[&str] = &["health", "status", "index", "uuid", "pri", "rep", "docs.count", "docs.deleted"];

async fn cat(ask: &Ask, index: &str) -> Result<Response, EsError> {
    let p = &ask.ask.params;
    if let Some(unit) = p.get("bytes").or(p.get("b")) {
        let why = format!("sizes by index are not kept, so they cannot be shown in {unit:?}");
        return Err(Error::invalid(why.chars().take(200).collect::<String>()).into());
    }
    let (found, covered) = counts(ask, index).await?;
    let health = p.get("health").unwrap_or("green");
    let columns: Vec<&str> = match p.get("h") {
        Some(names) => {
            let full = |n: &str| match n {
                "h" => "health".to_owned(),
                "s" => "status".to_owned(),
                "i" => "index".to_owned(),
                "dc" | "docsCount" => "docs.count".to_owned(),
                other => other.to_owned(),
            };
            let names: Vec<String> = names.split(',').map(full).collect();
            COLUMNS.iter().copied().filter(|c| names.iter().any(|n| n == c)).collect()
        }
        None => COLUMNS.to_vec(),
    };
    let cell = |name: &str, count: u64, column: &str| match column {
        "health" => "green".to_owned(),
        "status" => "open".to_owned(),
        "index" => name.to_owned(),
        "uuid" => format!("orrery-{name}"),
        "pri" => "1".to_owned(),
        "rep" | "docs.deleted" => "0".to_owned(),
        _ => count.to_string(),
    };
    let rows = found.iter().filter(|_| health == "green");
    if p.get("format") == Some("json") {
        let row = |(name, count): (&String, &u64)| -> Map<String, Value> {
            columns.iter().map(|c| ((*c).to_owned(), Value::from(cell(name, *count, c)))).collect()
        };
        let body = Value::Array(rows.map(row).map(Value::Object).collect());
        return Ok(reply_covered(p, body, &covered, None));
    }
    let mut lines: Vec<Vec<String>> = Vec::new();
    if flag(p, "v") {
        lines.push(columns.iter().map(|c| (*c).to_owned()).collect());
    }
    lines.extend(rows.map(|(name, count)| columns.iter().map(|c| cell(name, *count, c)).collect()));
    let mut response = (StatusCode::OK, table(&lines)).into_response();
    let text = http::HeaderValue::from_static("text/plain; charset=UTF-8");
    response.headers_mut().insert(header::CONTENT_TYPE, text);
    crate::coverage::stamp(&mut response, &covered);
    Ok(response)
}

fn table(lines: &[Vec<String>]) -> String {
    let columns = lines.first().map_or(0, Vec::len);
    let width =
        |at: usize| lines.iter().filter_map(|l| l.get(at)).map(|c| c.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |cells: &Vec<String>| {
        let padded: Vec<String> = cells.iter().zip(&widths).map(|(c, w)| format!("{c:<w$}")).collect();
        format!("{}\n", padded.join(" ").trim_end())
    };
    lines.iter().map(line).collect()
}

pub async fn resolve(Path(index): Path<String>, ask: Ask) -> Result<Response, EsError> {
    let found = names_of(&ask, &index).await?;
    let one = |name: &String| json!({"name": name, "attributes": ["open"]});
    let body = json!({
        "indices": found.names.iter().map(one).collect::<Vec<_>>(), "aliases": [], "data_streams": [],
    });
    Ok(reply_covered(&ask.ask.params, body, &found.coverage, None))
}

/// Whether it is there; what there is to say of it.
pub async fn get(Path(index): Path<String>, ask: Ask) -> Result<Response, EsError> {
    let found = fields_of(&ask, &index).await?;
    if found.indices.is_empty() {
        return Err(no_such_index(&index));
    }
    let one = |name: &String| {
        let settings =
            json!({"index": {"number_of_shards": "1", "number_of_replicas": "0", "provided_name": name}});
        (name.clone(), json!({"aliases": {}, "mappings": {}, "settings": settings}))
    };
    let body: Map<String, Value> = found.indices.keys().map(one).collect();
    Ok(reply_covered(&ask.ask.params, Value::Object(body), &found.coverage, None))
}

/// An index is there from its first document on.
pub async fn put(Path(index): Path<String>, ask: Ask) -> Result<Response, EsError> {
    let mut body = acknowledged();
    if let Some(fields) = body.as_object_mut() {
        fields.insert("shards_acknowledged".to_owned(), Value::from(true));
        fields.insert("index".to_owned(), Value::from(index));
    }
    Ok(reply(&ask.ask.params, StatusCode::OK, body))
}

/// Fields are what documents hold; declaring them changes nothing.
pub async fn put_mapping(ask: Ask) -> Response {
    reply(&ask.ask.params, StatusCode::OK, acknowledged())
}

pub async fn delete(Path(index): Path<String>) -> EsError {
    let index: String = index.chars().take(200).collect();
    Error::invalid(format!("[{index}] is not deleted: documents go when the retention of logs has passed"))
        .into()
}

/// Where the documents of an index are, and when they go.
pub async fn explain(Path(index): Path<String>, ask: Ask) -> Result<Response, EsError> {
    let (found, covered) = counts(&ask, &index).await?;
    let retention = ask.ask.state.hooks.logs_retention();
    let one = |name: &String| {
        let mut body = json!({
            "index": name,
            "managed": true,
            "policy": "orrery-retention",
            "phase": "hot",
            "action": "complete",
            "step": "complete",
            "phase_execution": {"policy": "orrery-retention", "version": 1, "phase_definition": {
                "min_age": "0ms", "actions": {}}},
        });
        if let (Some(kept), Some(fields)) = (retention, body.as_object_mut()) {
            let kept = format!("{}s", kept.as_secs());
            fields.insert("next_phase".to_owned(), json!({"phase": "delete", "min_age": kept}));
        }
        (name.clone(), body)
    };
    let all: Map<String, Value> = found.keys().map(one).collect();
    Ok(reply_covered(&ask.ask.params, json!({"indices": all}), &covered, None))
}
