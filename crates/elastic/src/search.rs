//! A search as it is asked: the body of `_search`, and what its query string adds.

use serde_json::{Map, Value};

use crate::{
    Error, Query, Result,
    aggs::{self, Agg},
    field::Field,
    hit::{self, Highlight, SourceFilter},
    pattern::Glob,
    query::{self, Bool, Context},
    sort::{self, Rank, SortKey},
};

/// Hits one page may reach to, as Elasticsearch's `index.max_result_window`.
pub const MAX_WINDOW: usize = 10_000;
/// So many hits are counted where nothing is said.
const TRACKED: u64 = 10_000;
const DEFAULT_SIZE: usize = 10;

/// How exactly hits are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Track {
    Exactly,
    UpTo(u64),
    Not,
}

/// What is asked.
#[derive(Debug, Clone)]
pub struct Search {
    pub query: Query,
    /// Hits must pass it; aggregations need not.
    pub post_filter: Option<Query>,
    pub from: usize,
    pub size: usize,
    pub sort: Vec<SortKey>,
    /// Only what comes behind this place.
    pub after: Option<Vec<Rank>>,
    pub aggs: Vec<Agg>,
    pub source: SourceFilter,
    pub fields: Vec<Glob>,
    pub highlight: Option<Highlight>,
    pub track: Track,
    pub version: bool,
    pub seq_no: bool,
}

/// What stands in the query string of a search.
#[derive(Debug, Clone, Default)]
pub struct Extra<'a> {
    pub q: Option<&'a str>,
    pub df: Option<&'a str>,
    pub default_operator: Option<&'a str>,
    pub from: Option<&'a str>,
    pub size: Option<&'a str>,
    pub sort: Option<&'a str>,
    pub source: Option<&'a str>,
    pub source_includes: Option<&'a str>,
    pub source_excludes: Option<&'a str>,
    pub track_total_hits: Option<&'a str>,
}

/// What changes nothing here: there are no scores, versions or shards to tell of.
const WITHOUT_EFFECT: &[&str] = &[
    "timeout",
    "terminate_after",
    "stats",
    "track_scores",
    "explain",
    "profile",
    "indices_boost",
    "preference",
    "min_score",
    "stored_fields",
    "ext",
];
/// What would change the answer; only as far as it asks for nothing.
const NOT_SERVED: &[&str] = &[
    "script_fields",
    "runtime_mappings",
    "rescore",
    "collapse",
    "suggest",
    "knn",
    "pit",
    "slice",
    "rank",
    "retriever",
];

impl Search {
    /// Reads a search.
    pub fn parse(body: &Value, extra: &Extra<'_>, context: &Context) -> Result<Self> {
        let body = body.as_object().ok_or_else(|| Error::parsing("a search must be an object"))?;
        for (key, value) in body {
            check_key(key, value)?;
        }
        let get = |key: &str| body.get(key).filter(|v| !v.is_null());
        let mut out = Search {
            query: match get("query") {
                Some(q) => query::parse(q, context)?,
                None => Query::All,
            },
            post_filter: get("post_filter").map(|q| query::parse(q, context)).transpose()?,
            from: count(get("from"), "from", 0)?,
            size: count(get("size"), "size", DEFAULT_SIZE)?,
            sort: get("sort").map(sort::parse).transpose()?.unwrap_or_default(),
            after: None,
            aggs: match get("aggs").or(get("aggregations")) {
                Some(a) => aggs::parse(a, context)?,
                None => Vec::new(),
            },
            source: get("_source").map(SourceFilter::parse).transpose()?.unwrap_or_default(),
            fields: Vec::new(),
            highlight: get("highlight").map(Highlight::parse).transpose()?,
            track: get("track_total_hits").map(track).transpose()?.unwrap_or(Track::UpTo(TRACKED)),
            version: is_set(body, "version"),
            seq_no: is_set(body, "seq_no_primary_term"),
        };
        for key in ["fields", "docvalue_fields"] {
            out.fields.extend(get(key).map(hit::field_names).transpose()?.unwrap_or_default());
        }
        out.add(extra, context)?;
        if let Some(after) = get("search_after") {
            if out.from > 0 {
                return Err(Error::illegal("`from` parameter must be set to 0 when `search_after` is used."));
            }
            out.after = Some(sort::cursors(&out.sort, after)?);
        }
        let window = out.from.saturating_add(out.size);
        if window > MAX_WINDOW {
            return Err(Error::illegal(format!(
                "Result window is too large, from + size must be less than or equal to: [{MAX_WINDOW}] but was \
                 [{window}]. Use search_after or scroll to page further"
            )));
        }
        Ok(out)
    }

    fn add(&mut self, extra: &Extra<'_>, context: &Context) -> Result<()> {
        if let Some(q) = extra.q {
            let fields = extra.df.map(|f| vec![Field::parse(f)]);
            let and = extra.default_operator.is_some_and(|o| o.eq_ignore_ascii_case("and"));
            let typed = query::parse_lucene(q, fields, and, context)?;
            self.query = match std::mem::replace(&mut self.query, Query::All) {
                Query::All => typed,
                other => Query::Bool(Bool { must: vec![other, typed], ..Bool::default() }),
            };
        }
        let number = |text: &str, name: &str| count(Some(&Value::from(text)), name, 0);
        if let Some(text) = extra.from {
            self.from = number(text, "from")?;
        }
        if let Some(text) = extra.size {
            self.size = number(text, "size")?;
        }
        if let Some(text) = extra.sort {
            self.sort = sort::parse_text(text)?;
        }
        match extra.source {
            Some("true") | None => {}
            Some("false") => self.source.hidden = true,
            Some(names) => self.source.includes = hit::globs(&Value::from(names))?,
        }
        if let Some(names) = extra.source_includes {
            self.source.includes = hit::globs(&Value::from(names))?;
        }
        if let Some(names) = extra.source_excludes {
            self.source.excludes = hit::globs(&Value::from(names))?;
        }
        if let Some(text) = extra.track_total_hits {
            let value = serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
            self.track = track(&value)?;
        }
        Ok(())
    }

    /// Hits come in the order of time: newest first, or with `false` oldest first.
    pub fn by_time(&self) -> Option<bool> {
        match self.sort.as_slice() {
            [] => Some(true),
            [first, ..] => {
                let time = first.field().and_then(Field::path) == Some(wire::bulk::TIMESTAMP);
                time.then_some(first.descending)
            }
        }
    }
}

fn check_key(key: &str, value: &Value) -> Result<()> {
    const SERVED: &[&str] = &[
        "query",
        "post_filter",
        "from",
        "size",
        "sort",
        "search_after",
        "aggs",
        "aggregations",
        "_source",
        "fields",
        "docvalue_fields",
        "highlight",
        "track_total_hits",
        "version",
        "seq_no_primary_term",
    ];
    if SERVED.contains(&key) || WITHOUT_EFFECT.contains(&key) {
        return Ok(());
    }
    let nothing = match value {
        Value::Object(o) => o.is_empty(),
        Value::Array(a) => a.is_empty(),
        other => other.is_null(),
    };
    match NOT_SERVED.contains(&key) {
        true if nothing => Ok(()),
        true => Err(Error::illegal(format!("[{key}] is not served"))),
        false => {
            let key: String = key.chars().take(100).collect();
            Err(Error::parsing(format!("unknown key [{key}] in a search")))
        }
    }
}

fn count(value: Option<&Value>, name: &str, default: usize) -> Result<usize> {
    let Some(value) = value else { return Ok(default) };
    let n = value.as_i64().or_else(|| value.as_str()?.parse().ok());
    match n.map(usize::try_from) {
        Some(Ok(n)) => Ok(n),
        _ => Err(Error::illegal(format!("[{name}] must be a number of 0 or more, not {value}"))),
    }
}

fn track(value: &Value) -> Result<Track> {
    match value {
        Value::Bool(true) => Ok(Track::Exactly),
        Value::Bool(false) => Ok(Track::Not),
        other => match other.as_u64().or_else(|| other.as_str()?.parse().ok()) {
            Some(n) => Ok(Track::UpTo(n)),
            None => {
                Err(Error::illegal(format!("[track_total_hits] takes a boolean or a number, not {other}")))
            }
        },
    }
}

fn is_set(body: &Map<String, Value>, key: &str) -> bool {
    body.get(key).and_then(Value::as_bool) == Some(true)
}
