//! Which fields lines have that no label names: what their structured metadata says, what a query's own stages took
//! out of them, and what they hold as JSON or logfmt. Loki calls them detected fields; clients offer them before
//! anybody has chosen a parser.

use std::collections::{BTreeMap, BTreeSet};

use model::Labels;

use crate::{
    StreamEntries,
    pipeline::{
        ERROR_DETAILS_LABEL, ERROR_LABEL, json,
        labels::{DUPLICATE_SUFFIX, sanitise},
        logfmt,
    },
    units::{parse_bytes, parse_duration},
};

/// One field and what was seen of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    pub kind: Kind,
    /// All values, as text.
    pub values: BTreeSet<String>,
    /// What takes it out of a line; none where it is structured metadata or a stage of the query made it.
    pub parsers: BTreeSet<&'static str>,
    /// The names that lead to it in a line of JSON.
    pub json_path: Vec<String>,
}

/// What all values of a field are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Int,
    Float,
    Boolean,
    Duration,
    Bytes,
    String,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Int => "int",
            Kind::Float => "float",
            Kind::Boolean => "boolean",
            Kind::Duration => "duration",
            Kind::Bytes => "bytes",
            Kind::String => "string",
        }
    }

    fn of(value: &str) -> Self {
        if value.parse::<i64>().is_ok() {
            Kind::Int
        } else if value.parse::<f64>().is_ok() {
            Kind::Float
        } else if matches!(value, "true" | "false" | "True" | "False" | "TRUE" | "FALSE") {
            Kind::Boolean
        } else if parse_duration(value).is_some() {
            Kind::Duration
        } else if parse_bytes(value).is_some() {
            Kind::Bytes
        } else {
            Kind::String
        }
    }

    fn and(self, other: Self) -> Self {
        match (self, other) {
            (a, b) if a == b => a,
            (Kind::Int, Kind::Float) | (Kind::Float, Kind::Int) => Kind::Float,
            _ => Kind::String,
        }
    }
}

/// The fields of lines by name, as many as `limit`; those that come after are left out.
pub fn fields(streams: &[StreamEntries], limit: usize) -> BTreeMap<String, Field> {
    let mut found = Found { fields: BTreeMap::new(), limit };
    for s in streams {
        for e in &s.entries {
            found.labels(&e.structured);
            let taken = |name: &str| s.labels.get(name).is_some() || e.structured.get(name).is_some();
            let by_line = found.line(&e.line, &taken);
            let own = e.parsed.iter().filter(|(n, _)| *n != ERROR_LABEL && *n != ERROR_DETAILS_LABEL);
            for (name, value) in own.filter(|(n, _)| !by_line.contains(*n)) {
                found.add(name, value);
            }
        }
    }
    found.fields
}

struct Found {
    fields: BTreeMap<String, Field>,
    limit: usize,
}

impl Found {
    fn labels(&mut self, labels: &Labels) {
        for (name, value) in labels {
            self.add(name, value);
        }
    }

    fn add(&mut self, name: &str, value: &str) -> Option<&mut Field> {
        if value.is_empty() || name.is_empty() {
            return None;
        }
        let kind = Kind::of(value);
        if !self.fields.contains_key(name) {
            if self.fields.len() >= self.limit {
                return None;
            }
            let field =
                Field { kind, values: BTreeSet::new(), parsers: BTreeSet::new(), json_path: Vec::new() };
            self.fields.insert(name.to_owned(), field);
        }
        let field = self.fields.get_mut(name)?;
        field.kind = field.kind.and(kind);
        if !field.values.contains(value) {
            field.values.insert(value.to_owned());
        }
        Some(field)
    }

    /// Fields of a line as the parser finds them that fits it, and their names.
    fn line(&mut self, line: &str, taken: &dyn Fn(&str) -> bool) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        let named = |name: &str| match taken(name) {
            true => format!("{name}{DUPLICATE_SUFFIX}"),
            false => name.to_owned(),
        };
        if line.trim_start().starts_with('{') {
            let mut all: Vec<(Vec<String>, String, String)> = Vec::new();
            let read = json::each_scalar(line, &mut |way, name, value| {
                all.push((way.to_vec(), named(name), value.to_owned()));
            });
            // What is no JSON to the end has no fields.
            for (way, name, value) in all.into_iter().filter(|_| read.is_ok()) {
                if let Some(field) = self.add(&name, &value) {
                    field.parsers.insert("json");
                    field.json_path = way;
                }
                names.insert(name);
            }
        } else if line.contains('=') {
            let mut pairs: Vec<(String, String)> = Vec::new();
            // What breaks the format is left out, as the parser does.
            let _ = logfmt::decode(line, false, &mut |key, value| {
                pairs.push((named(&sanitise(key)), value.to_owned()));
            });
            for (name, value) in pairs {
                if let Some(field) = self.add(&name, &value) {
                    field.parsers.insert("logfmt");
                    names.insert(name);
                }
            }
        }
        names
    }
}

#[cfg(test)]
mod tests;
