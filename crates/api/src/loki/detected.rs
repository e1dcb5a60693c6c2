//! `detected_labels`, `detected_fields`, `detected_field/…/values`: what Logs Drilldown offers to filter by.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::Path;
use base::memory::Use;
use contract::{Coverage, Direction, LabelNamesRequest, QueryLimits, Scope};
use logql::{Expr, QueryContext, Value, detect};
use model::{Signal, TimeRange, TimestampNs};

use super::{
    Ask, Bare, LokiError,
    query::{HOUR_NS, SECOND_NS, time_range},
};
use crate::{Error, params::bad, prom::json::Writer};

/// Lines that are looked at, and fields or values that are told, where the client names no number, as in Loki.
const DEFAULT_LINES: usize = 1000;
const DEFAULT_LIMIT: usize = 1000;
/// Lines that are looked at at most.
const MAX_LINES: usize = 5000;

/// Labels that are offered whatever their values.
const ALWAYS: [&str; 5] = ["cluster", "namespace", "instance", "pod", "service_name"];

/// `{"detectedLabels":[{"label":"…","cardinality":…}, …]}`. A label of nothing but ids is none to choose by.
pub async fn labels(ask: Ask) -> Result<Bare, LokiError> {
    let (start, end) = time_range(&ask.params, ask.state.clock.now_ns(), HOUR_NS)?;
    let selectors = match ask.params.get("query") {
        None | Some("{}") => Vec::new(),
        Some(text) => vec![logql::parse_selector(text).map_err(logql::Error::from)?],
    };
    let (select, tenants) = (ask.reads.select.clone(), ask.tenants.clone());
    let run = |limits: QueryLimits| async move {
        let budget = limits.memory.clone();
        let range = TimeRange::new(TimestampNs(start), TimestampNs(end.saturating_add(1)));
        let scope = Scope { tenants, range, limits };
        let request = LabelNamesRequest { scope, signal: Signal::LOGS, selectors, limit: None };
        let (sets, coverage) = select.label_sets(request).await?;
        let expected = sets.iter().map(|l| 64 + l.packed_len() as u64).sum();
        let _held = budget.reserve(Use::Query, expected)?;
        let mut values: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (name, value) in sets.iter().flatten() {
            values.entry(name).or_default().insert(value);
        }
        let offered = |(name, values): &(&&str, &BTreeSet<&str>)| {
            ALWAYS.contains(name) || !values.iter().all(|v| is_id(v))
        };
        let mut w = Writer::default();
        w.raw("\"detectedLabels\":").list(values.iter().filter(offered), |w, (name, values)| {
            w.raw("{\"label\":").string(name).raw(&format!(",\"cardinality\":{}}}", values.len()));
        });
        Ok(Bare { fields: w.0, coverage, memory: None })
    };
    Ok(ask.run(run).await?)
}

/// A number or a UUID.
fn is_id(value: &str) -> bool {
    let uuid = value.len() == 36 && value.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    uuid || value.parse::<f64>().is_ok()
}

/// `{"fields":[{"label":"…","type":"…","cardinality":…,"parsers":[…],"jsonPath":[…]}, …],"limit":…}`. Fields that no
/// parser is needed for have `null` for parsers, which clients take for structured metadata.
pub async fn fields(ask: Ask) -> Result<Bare, LokiError> {
    let limit = field_limit(&ask)?;
    let write = move |w: &mut Writer, found: &BTreeMap<String, detect::Field>| {
        w.raw("\"fields\":").list(found, |w, (name, f)| {
            w.raw("{\"label\":").string(name).raw(",\"type\":").string(f.kind.as_str());
            w.raw(&format!(",\"cardinality\":{},\"parsers\":", f.values.len()));
            match f.parsers.is_empty() {
                true => w.raw("null"),
                false => w.strings(&f.parsers),
            };
            if !f.json_path.is_empty() {
                w.raw(",\"jsonPath\":").strings(&f.json_path);
            }
            w.raw("}");
        });
        w.raw(&format!(",\"limit\":{limit}"));
    };
    look(ask, limit, write).await
}

/// `{"values":["…", …],"limit":…}`
pub async fn values(Path(name): Path<String>, ask: Ask) -> Result<Bare, LokiError> {
    let limit = field_limit(&ask)?;
    let write = move |w: &mut Writer, found: &BTreeMap<String, detect::Field>| {
        let values = found.get(&name).map(|f| &f.values);
        w.raw("\"values\":").strings(values.into_iter().flatten().take(limit));
        w.raw(&format!(",\"limit\":{limit}"));
    };
    // Which field it is shows once all are known.
    look(ask, usize::MAX, write).await
}

/// Looks at the newest lines of a query.
async fn look(
    ask: Ask,
    limit: usize,
    write: impl FnOnce(&mut Writer, &BTreeMap<String, detect::Field>) + Send + 'static,
) -> Result<Bare, LokiError> {
    let query = ask.params.require("query")?.to_owned();
    if let Expr::Metric(_) = logql::parse(&query).map_err(logql::Error::from)? {
        return Err(bad("query", &query, "it must be a log query").into());
    }
    let (start, end) = time_range(&ask.params, ask.state.clock.now_ns(), HOUR_NS)?;
    let lines = count(&ask, "line_limit", DEFAULT_LINES)?.min(MAX_LINES);
    let (engine, tenants) = (ask.reads.logql.clone(), ask.tenants.clone());
    let run = |limits: QueryLimits| async move {
        let budget = limits.memory.clone();
        let context = QueryContext { tenants, limits };
        let direction = Direction::NewestFirst;
        let answer = engine.range(&query, start, end, SECOND_NS, lines, direction, &context).await?;
        let streams = match answer.value {
            Value::Streams(streams) => streams,
            _ => Vec::new(),
        };
        // Fields are made of lines, each value at most once for each.
        let of_labels = |e: &logql::Entry| e.structured.packed_len() + e.parsed.packed_len();
        let of_entry = |e: &logql::Entry| 128 + 3 * e.line.len() + 2 * of_labels(e);
        let bytes = |s: &logql::StreamEntries| s.entries.iter().map(of_entry).sum::<usize>();
        let memory = budget.reserve(Use::Query, streams.iter().map(bytes).sum::<usize>() as u64)?;
        let found = detect::fields(&streams, limit);
        drop(streams);
        let mut w = Writer::default();
        write(&mut w, &found);
        Ok(bare(w, answer.coverage, memory))
    };
    Ok(ask.run(run).await?)
}

fn bare(w: Writer, coverage: Coverage, memory: base::memory::Reservation) -> Bare {
    Bare { fields: w.0, coverage, memory: Some(memory) }
}

/// `limit`, or its older name.
fn field_limit(ask: &Ask) -> Result<usize, Error> {
    match ask.params.get("limit") {
        Some(_) => count(ask, "limit", DEFAULT_LIMIT),
        None => count(ask, "field_limit", DEFAULT_LIMIT),
    }
}

fn count(ask: &Ask, name: &str, default: usize) -> Result<usize, Error> {
    Ok(match ask.params.get(name) {
        None => default,
        Some(_) => ask.params.limit(name)?.unwrap_or(default),
    })
}
