//! What of a document is shown: its source, fields, and the words that were found, marked.

use model::{AnyValue, Attributes};
use serde_json::{Map, Value};
use wire::bulk::{MESSAGE, document};

use crate::{
    Error, Result,
    field::{self, Doc, Field, Scalar},
    pattern::Glob,
    token,
};

/// A value as JSON.
pub fn to_json(value: &AnyValue) -> Value {
    match value {
        AnyValue::Empty => Value::Null,
        AnyValue::String(s) => Value::from(s.as_str()),
        AnyValue::Bool(b) => Value::from(*b),
        AnyValue::Int(i) => Value::from(*i),
        AnyValue::Double(d) => Value::from(*d),
        AnyValue::Bytes(_) => Value::from(value.to_string()),
        AnyValue::Array(a) => a.iter().map(to_json).collect(),
        AnyValue::Map(m) => Value::Object(object(m)),
    }
}

fn object(all: &Attributes) -> Map<String, Value> {
    all.iter().map(|(k, v)| (k.to_owned(), to_json(v))).collect()
}

/// Which fields of the source are shown.
#[derive(Debug, Clone, Default)]
pub struct SourceFilter {
    pub hidden: bool,
    pub includes: Vec<Glob>,
    pub excludes: Vec<Glob>,
}

impl SourceFilter {
    /// Reads `_source`: a boolean, a name, a list of names, or an object of `includes` and `excludes`.
    pub fn parse(value: &Value) -> Result<Self> {
        let mut out = SourceFilter::default();
        match value {
            Value::Null | Value::Bool(true) => {}
            Value::Bool(false) => out.hidden = true,
            Value::Object(o) => {
                let list =
                    |keys: [&str; 2]| keys.iter().find_map(|k| o.get(*k)).map_or(Ok(Vec::new()), globs);
                out.includes = list(["includes", "include"])?;
                out.excludes = list(["excludes", "exclude"])?;
            }
            other => out.includes = globs(other)?,
        }
        Ok(out)
    }

    fn apply(&self, all: Map<String, Value>, prefix: &str) -> Map<String, Value> {
        let one = |(key, value): (String, Value)| {
            let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
            let below = format!("{path}.");
            if self.excludes.iter().any(|g| g.matches(&path)) {
                return None;
            }
            let named = self.includes.is_empty() || self.includes.iter().any(|g| names(g, &path));
            let leads =
                self.includes.iter().any(|g| g.as_str().starts_with(&below) || g.as_str().starts_with('*'));
            match value {
                Value::Object(inner) if named || leads => {
                    let empty = inner.is_empty();
                    let inner = self.apply(inner, &path);
                    (!inner.is_empty() || empty && named).then_some((key, Value::Object(inner)))
                }
                value if named => Some((key, value)),
                _ => None,
            }
        };
        all.into_iter().filter_map(one).collect()
    }
}

/// Whether a pattern names a path, or one above it.
fn names(glob: &Glob, path: &str) -> bool {
    glob.matches(path)
        || path.match_indices('.').any(|(at, _)| path.get(..at).is_some_and(|p| glob.matches(p)))
}

/// A name, a list of names, or names divided by commas.
pub fn globs(value: &Value) -> Result<Vec<Glob>> {
    let text = |v: &Value| v.as_str().map(str::to_owned);
    let names: Option<Vec<String>> = match value {
        Value::String(s) => Some(s.split(',').map(str::to_owned).collect()),
        Value::Array(all) => all.iter().map(text).collect(),
        _ => None,
    };
    let names =
        names.ok_or_else(|| Error::parsing("[_source] must be a boolean, a name or a list of names"))?;
    Ok(names.iter().filter(|n| !n.is_empty()).take(1024).map(|n| Glob::new(n)).collect())
}

/// The source of a document, as much of it as is asked for.
pub fn source(doc: &Doc<'_>, filter: &SourceFilter) -> Option<Value> {
    if filter.hidden {
        return None;
    }
    let all = object(&document::source(doc.stream, doc.record));
    Some(Value::Object(match filter.includes.is_empty() && filter.excludes.is_empty() {
        true => all,
        false => filter.apply(all, ""),
    }))
}

/// Reads `fields` and `docvalue_fields`: names, or objects with one each.
pub fn field_names(value: &Value) -> Result<Vec<Glob>> {
    let name = |v: &Value| {
        let name = v.as_str().or_else(|| v.get("field").and_then(Value::as_str));
        name.map(Glob::new).ok_or_else(|| Error::parsing(format!("[fields] takes names, not {v}")))
    };
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(all) => all.iter().take(1024).map(name).collect(),
        one => Ok(vec![name(one)?]),
    }
}

/// The values of fields, each as a list.
pub fn fields(doc: &Doc<'_>, wanted: &[Glob]) -> Value {
    let mut out = Map::new();
    let shown = |v: Scalar<'_>| match v {
        Scalar::Int(i) => Value::from(i),
        Scalar::Double(d) => Value::from(d),
        Scalar::Bool(b) => Value::from(b),
        other => Value::from(other.text().into_owned()),
    };
    field::leaves(doc, &mut |name, v| {
        if wanted.iter().any(|g| g.matches(name)) {
            let list = out.entry(name).or_insert_with(|| Value::Array(Vec::new()));
            if let Some(list) = list.as_array_mut() {
                list.push(shown(v));
            }
        }
        false
    });
    Value::Object(out)
}

/// Which fields' words are marked, and how.
#[derive(Debug, Clone)]
pub struct Highlight {
    fields: Vec<Glob>,
    before: String,
    after: String,
}

/// Tags longer than this mark nothing sensible.
const MAX_TAG_BYTES: usize = 256;

impl Highlight {
    pub fn parse(value: &Value) -> Result<Self> {
        let fields = match value.get("fields") {
            Some(Value::Object(all)) => all.keys().take(256).map(|k| Glob::new(k)).collect(),
            Some(Value::Array(all)) => {
                let names = all.iter().filter_map(Value::as_object).flat_map(|o| o.keys());
                names.take(256).map(|k| Glob::new(k)).collect()
            }
            _ => return Err(Error::parsing("[highlight] needs fields")),
        };
        let tag = |key: &str, default: &str| {
            let tag = value.get(key).and_then(|t| t.as_str().or_else(|| t.get(0)?.as_str()));
            tag.filter(|t| t.len() <= MAX_TAG_BYTES).unwrap_or(default).to_owned()
        };
        Ok(Highlight { fields, before: tag("pre_tags", "<em>"), after: tag("post_tags", "</em>") })
    }

    /// The texts that hold one of the words, whole and marked.
    pub fn apply(&self, doc: &Doc<'_>, words: &[(Field, String, bool)]) -> Option<Value> {
        let mut out = Map::new();
        field::leaves(doc, &mut |name, v| {
            let Scalar::Text(text) = v else { return false };
            let meant = |f: &Field| match f {
                Field::Any => true,
                Field::Fitting(g) => g.matches(name),
                Field::Named { path, .. } => path == name,
            };
            let of: Vec<&(Field, String, bool)> = words.iter().filter(|(f, _, _)| meant(f)).collect();
            let shown = self.fields.iter().any(|g| g.matches(name) || name == MESSAGE && g.as_str() == "*");
            if !shown || of.is_empty() {
                return false;
            }
            if let Some(marked) = self.mark(&text, &of) {
                let list = out.entry(name).or_insert_with(|| Value::Array(Vec::new()));
                if let Some(list) = list.as_array_mut() {
                    list.push(Value::from(marked));
                }
            }
            false
        });
        (!out.is_empty()).then_some(Value::Object(out))
    }

    fn mark(&self, text: &str, words: &[&(Field, String, bool)]) -> Option<String> {
        let mut out = String::new();
        let mut done = 0;
        for (from, to) in token::spans(text) {
            let word = text.get(from..to).unwrap_or_default();
            let found =
                |w: &&(Field, String, bool)| token::is(word, &w.1) || w.2 && token::begins(word, &w.1);
            if words.iter().any(found) {
                out.push_str(text.get(done..from).unwrap_or_default());
                out.push_str(&self.before);
                out.push_str(word);
                out.push_str(&self.after);
                done = to;
            }
        }
        if done == 0 {
            return None;
        }
        out.push_str(text.get(done..).unwrap_or_default());
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_source_is_shown_in_part() {
        let all = json!({"actor": {"id": 1, "login": "x"}, "a.b": 2, "type": "t", "o": {}});
        let shown = |filter: Value| {
            let f = SourceFilter::parse(&filter).unwrap();
            Value::Object(f.apply(all.as_object().unwrap().clone(), ""))
        };
        assert_eq!(shown(json!(["actor"])), json!({"actor": {"id": 1, "login": "x"}}));
        assert_eq!(shown(json!("actor.id")), json!({"actor": {"id": 1}}));
        assert_eq!(shown(json!({"excludes": ["actor.*", "type"]})), json!({"a.b": 2, "o": {}}));
        assert_eq!(shown(json!(["*.login"])), json!({"actor": {"login": "x"}}));
        assert!(SourceFilter::parse(&json!(false)).unwrap().hidden);
    }
}
