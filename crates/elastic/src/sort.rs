//! Orders of documents, and places in them.

use std::cmp::Ordering;

use serde_json::Value;
use wire::dates;

use crate::{
    Error,
    field::{Doc, Field, Scalar},
};

/// More keys order nothing further.
const MAX_KEYS: usize = 16;
/// Longer texts are compared by their beginning.
const MAX_TEXT_CHARS: usize = 1024;

/// One key of an order.
#[derive(Debug, Clone)]
pub struct SortKey {
    by: By,
    pub descending: bool,
    missing_first: bool,
    /// Times are shown as text.
    dated: bool,
}

#[derive(Debug, Clone)]
enum By {
    /// All documents are alike.
    Score,
    /// As they come.
    Doc,
    Field(Field),
}

/// A document's place by one key; smaller comes first.
#[derive(Debug, Clone, PartialEq)]
pub struct Rank {
    value: Place,
    descending: bool,
    missing_first: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum Place {
    Missing,
    Int(i64),
    Double(f64),
    /// Milliseconds.
    Time(i64),
    Text(String),
}

impl SortKey {
    pub fn field(&self) -> Option<&Field> {
        match &self.by {
            By::Field(f) => Some(f),
            _ => None,
        }
    }

    fn new(name: &str, options: &Value) -> Result<Self, Error> {
        let by = match name {
            "_score" => By::Score,
            "_doc" | "_shard_doc" => By::Doc,
            name => By::Field(Field::parse(name)),
        };
        let order = options.as_str().or_else(|| options.get("order").and_then(Value::as_str));
        let descending = match order {
            None => matches!(by, By::Score),
            Some(o) if o.eq_ignore_ascii_case("asc") => false,
            Some(o) if o.eq_ignore_ascii_case("desc") => true,
            Some(other) => return Err(Error::illegal(format!("Unknown sort order [{other}] of [{name}]"))),
        };
        if name == "_script" || name == "_geo_distance" {
            return Err(Error::illegal(format!("sorting by [{name}] is not served")));
        }
        let missing_first = options.get("missing").is_some_and(|m| m == "_first");
        let format = options.get("format").and_then(Value::as_str).unwrap_or_default();
        let dated = format.contains("date");
        Ok(SortKey { by, descending, missing_first, dated })
    }
}

/// Reads `"a"`, `{"a": "desc"}`, `{"a": {"order": "desc"}}`, or a list of such.
pub fn parse(value: &Value) -> Result<Vec<SortKey>, Error> {
    let mut out = Vec::new();
    match value {
        Value::Null => {}
        Value::Array(all) => {
            for one in all.iter().take(MAX_KEYS) {
                out.extend(parse_one(one)?);
            }
        }
        one => out.extend(parse_one(one)?),
    }
    Ok(out)
}

fn parse_one(value: &Value) -> Result<Vec<SortKey>, Error> {
    match value {
        Value::String(name) => Ok(vec![SortKey::new(name, &Value::Null)?]),
        Value::Object(all) => all.iter().take(MAX_KEYS).map(|(k, v)| SortKey::new(k, v)).collect(),
        other => Err(Error::parsing(format!("malformed sort format: {other}"))),
    }
}

/// Reads `a:desc,b` as it stands in a query string.
pub fn parse_text(text: &str) -> Result<Vec<SortKey>, Error> {
    let keys = text.split(',').filter(|k| !k.is_empty()).take(MAX_KEYS);
    keys.map(|key| match key.rsplit_once(':') {
        Some((name, order @ ("asc" | "desc"))) => SortKey::new(name, &Value::from(order)),
        _ => SortKey::new(key, &Value::Null),
    })
    .collect()
}

/// A document's place in an order. Of several values the smallest counts, in a descending order the largest.
pub fn ranks(keys: &[SortKey], doc: &Doc<'_>) -> Vec<Rank> {
    keys.iter().map(|k| k.rank(place(k, doc))).collect()
}

fn place(key: &SortKey, doc: &Doc<'_>) -> Place {
    let By::Field(field) = &key.by else { return Place::Int(0) };
    let mut best: Option<Place> = None;
    field.any(doc, |v| {
        let p = match v {
            Scalar::Int(i) => Place::Int(*i),
            Scalar::Double(d) => Place::Double(*d),
            Scalar::Bool(b) => Place::Int(i64::from(*b)),
            Scalar::Time(ns) => Place::Time(ns.div_euclid(1_000_000)),
            Scalar::Text(t) => match v.time() {
                Some(ns) => Place::Time(ns.div_euclid(1_000_000)),
                None => Place::Text(t.chars().take(MAX_TEXT_CHARS).collect()),
            },
        };
        let better = best.as_ref().is_none_or(|b| match key.descending {
            true => p.order(b).is_gt(),
            false => p.order(b).is_lt(),
        });
        if better {
            best = Some(p);
        }
        false
    });
    best.unwrap_or(Place::Missing)
}

impl SortKey {
    fn rank(&self, value: Place) -> Rank {
        Rank { value, descending: self.descending, missing_first: self.missing_first }
    }

    /// A place as clients give it back. A text is the number or date it says where values are numbers or dates.
    fn cursor(&self, value: &Value) -> Result<Rank, Error> {
        let place = match value {
            Value::Null => Place::Missing,
            Value::Bool(b) => Place::Int(i64::from(*b)),
            Value::Number(n) => match n.as_i64() {
                Some(i) => Place::Int(i),
                None => Place::Double(n.as_f64().unwrap_or_default()),
            },
            Value::String(s) => match s.parse::<i64>() {
                Ok(i) => Place::Int(i),
                Err(_) => match dates::calendar_day(s) {
                    Some(ns) => Place::Time(ns.div_euclid(1_000_000)),
                    None => Place::Text(s.chars().take(MAX_TEXT_CHARS).collect()),
                },
            },
            other => return Err(Error::parsing(format!("search_after takes no {other}"))),
        };
        Ok(self.rank(place))
    }
}

/// Reads `search_after`.
pub fn cursors(keys: &[SortKey], value: &Value) -> Result<Vec<Rank>, Error> {
    let values = value.as_array().ok_or_else(|| Error::parsing("[search_after] must be a list"))?;
    if values.len() != keys.len() {
        return Err(Error::illegal(format!(
            "search_after has {} value(s) but sort has {}.",
            values.len(),
            keys.len()
        )));
    }
    keys.iter().zip(values).map(|(k, v)| k.cursor(v)).collect()
}

/// The `sort` of a hit.
pub fn shown(keys: &[SortKey], ranks: &[Rank]) -> Vec<Value> {
    let one = |(key, rank): (&SortKey, &Rank)| match &rank.value {
        Place::Missing => Value::Null,
        Place::Int(_) if matches!(key.by, By::Score) => Value::from(1.0),
        Place::Int(i) => Value::from(*i),
        Place::Double(d) => Value::from(*d),
        Place::Time(ms) if key.dated => Value::from(dates::format(ms.saturating_mul(1_000_000))),
        Place::Time(ms) => Value::from(*ms),
        Place::Text(t) => Value::from(t.as_str()),
    };
    keys.iter().zip(ranks).map(one).collect()
}

impl Rank {
    /// The time it stands for, in milliseconds.
    pub fn millis(&self) -> Option<i64> {
        match self.value {
            Place::Int(ms) | Place::Time(ms) => Some(ms),
            _ => None,
        }
    }

    pub fn heap_bytes(&self) -> usize {
        std::mem::size_of::<Self>() + if let Place::Text(t) = &self.value { t.len() } else { 0 }
    }
}

impl Place {
    fn order(&self, other: &Place) -> Ordering {
        use Place::*;
        match (self, other) {
            (Text(a), Text(b)) => a.cmp(b),
            (Int(a) | Time(a), Int(b) | Time(b)) => a.cmp(b),
            (Double(a), Double(b)) => a.total_cmp(b),
            (Double(a), Int(b) | Time(b)) => a.total_cmp(&(*b as f64)),
            (Int(a) | Time(a), Double(b)) => (*a as f64).total_cmp(b),
            // Numbers come before texts.
            (Text(_), _) => Ordering::Greater,
            (_, Text(_)) => Ordering::Less,
            (Missing, _) | (_, Missing) => Ordering::Equal,
        }
    }
}

impl Ord for Rank {
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.value, &other.value) {
            (Place::Missing, Place::Missing) => Ordering::Equal,
            (Place::Missing, _) => {
                if self.missing_first {
                    Ordering::Less
                } else {
                    Ordering::Greater
                }
            }
            (_, Place::Missing) => {
                if self.missing_first {
                    Ordering::Greater
                } else {
                    Ordering::Less
                }
            }
            (a, b) if self.descending => b.order(a),
            (a, b) => a.order(b),
        }
    }
}

impl PartialOrd for Rank {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Eq for Rank {}
