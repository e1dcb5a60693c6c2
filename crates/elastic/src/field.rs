//! Fields of a record: named with dots, found whether the document nests them or writes the dots, lists looked into.

use std::{borrow::Cow, cell::OnceCell};

use model::{AnyValue, Attributes, LogRecord, LogStream};
use wire::bulk::{self, document};

use crate::pattern::Glob;

/// A record as a document.
pub struct Doc<'a> {
    pub stream: &'a LogStream,
    pub record: &'a LogRecord,
    pub index: &'a str,
    id: OnceCell<String>,
}

impl<'a> Doc<'a> {
    pub fn new(stream: &'a LogStream, record: &'a LogRecord, index: &'a str) -> Self {
        Doc { stream, record, index, id: OnceCell::new() }
    }

    /// As given, or as made from the content.
    pub fn id(&self) -> &str {
        match self.record.attributes.get_str(bulk::ID) {
            Some(id) => id,
            None => self.id.get_or_init(|| document::id(self.index, self.record)),
        }
    }
}

/// One value of a field.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar<'a> {
    Text(Cow<'a, str>),
    Int(i64),
    Double(f64),
    Bool(bool),
    /// Nanoseconds since 1970.
    Time(i64),
}

impl Scalar<'_> {
    /// As aggregations and sorting count it: times in milliseconds, texts that are dates likewise.
    pub fn number(&self) -> Option<f64> {
        match self {
            Scalar::Int(i) => Some(*i as f64),
            Scalar::Double(d) => Some(*d),
            Scalar::Bool(b) => Some(f64::from(u8::from(*b))),
            Scalar::Time(ns) => Some(ns.div_euclid(1_000_000) as f64),
            Scalar::Text(t) => wire::dates::calendar_day(t).map(|ns| ns.div_euclid(1_000_000) as f64),
        }
    }

    /// As a time in nanoseconds: whole numbers are milliseconds.
    pub fn time(&self) -> Option<i64> {
        match self {
            Scalar::Time(ns) => Some(*ns),
            Scalar::Int(ms) => ms.checked_mul(1_000_000),
            Scalar::Double(ms) => (ms.abs() < 9.2e12).then_some((ms * 1e6) as i64),
            Scalar::Text(t) => wire::dates::calendar_day(t),
            Scalar::Bool(_) => None,
        }
    }

    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Scalar::Text(t) => Cow::Borrowed(t),
            Scalar::Int(i) => Cow::Owned(i.to_string()),
            Scalar::Double(d) => Cow::Owned(d.to_string()),
            Scalar::Bool(b) => Cow::Borrowed(if *b { "true" } else { "false" }),
            Scalar::Time(ns) => Cow::Owned(wire::dates::format(*ns)),
        }
    }
}

/// A field, or several, as a query names them.
#[derive(Debug, Clone)]
pub enum Field {
    /// `exact`: of texts the whole, as under the name with `.keyword`.
    Named {
        path: String,
        exact: bool,
    },
    /// Every field whose name fits.
    Fitting(Glob),
    Any,
}

impl Field {
    pub fn parse(name: &str) -> Self {
        // What boosts does not choose.
        let name = name.rsplit_once('^').map_or(name, |(n, _)| n);
        if name == "*" {
            Field::Any
        } else if name.contains('*') {
            Field::Fitting(Glob::new(name))
        } else {
            match name.strip_suffix(".keyword") {
                Some(path) => Field::Named { path: path.to_owned(), exact: true },
                None => Field::Named { path: name.to_owned(), exact: false },
            }
        }
    }

    pub fn is_exact(&self) -> bool {
        matches!(self, Field::Named { exact: true, .. })
    }

    /// The name, where it is one.
    pub fn path(&self) -> Option<&str> {
        match self {
            Field::Named { path, .. } => Some(path),
            _ => None,
        }
    }

    /// Whether `check` says yes to one of its values.
    pub fn any(&self, doc: &Doc<'_>, mut check: impl FnMut(&Scalar<'_>) -> bool) -> bool {
        self.visit(doc, &mut |v| check(&v))
    }

    /// All values.
    pub fn values<'d>(&self, doc: &'d Doc<'_>) -> Vec<Scalar<'d>> {
        let mut out = Vec::new();
        self.visit(doc, &mut |v| {
            out.push(v);
            false
        });
        out
    }

    /// The first value.
    pub fn first<'d>(&self, doc: &'d Doc<'_>) -> Option<Scalar<'d>> {
        let mut out = None;
        self.visit(doc, &mut |v| {
            out = Some(v);
            true
        });
        out
    }

    /// Whether it has a value, or as an object a field that has.
    pub fn is_there(&self, doc: &Doc<'_>) -> bool {
        let Some(path) = self.path() else { return self.any(doc, |_| true) };
        let below = |name: &str| name.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'));
        self.any(doc, |_| true) || leaves(doc, &mut |name, _| below(name))
    }

    fn visit<'d>(&self, doc: &'d Doc<'_>, f: &mut dyn FnMut(Scalar<'d>) -> bool) -> bool {
        match self {
            Field::Named { path, .. } => named(doc, path, f),
            Field::Fitting(glob) => leaves(doc, &mut |name, v| glob.matches(name) && f(v)),
            Field::Any => leaves(doc, &mut |_, v| f(v)),
        }
    }
}

/// Calls `f` with each value of a field until it says stop.
fn named<'d>(doc: &'d Doc<'_>, path: &str, f: &mut dyn FnMut(Scalar<'d>) -> bool) -> bool {
    let record = doc.record;
    match path {
        bulk::TIMESTAMP => return f(Scalar::Time(record.timestamp_ns)),
        bulk::ID => return f(Scalar::Text(Cow::Borrowed(doc.id()))),
        "_index" => return f(Scalar::Text(Cow::Borrowed(doc.index))),
        bulk::MESSAGE if record.body != AnyValue::Empty => return scalar(&record.body, f),
        _ => {}
    }
    if into(&record.attributes, path, f) {
        return true;
    }
    if document::is_document(doc.stream) {
        return false;
    }
    if let Some(v) = own(doc, path) {
        return f(v);
    }
    if into(&doc.stream.resource.attributes, path, f) {
        return true;
    }
    doc.stream.labels.get(path).is_some_and(|v| f(Scalar::Text(Cow::Borrowed(v))))
}

/// What records have a place of their own for, where they did not come as documents.
fn own<'d>(doc: &'d Doc<'_>, path: &str) -> Option<Scalar<'d>> {
    let r = doc.record;
    let hex = |id: &[u8]| {
        let there = id.iter().any(|b| *b != 0);
        there.then(|| Scalar::Text(Cow::Owned(id.iter().map(|b| format!("{b:02x}")).collect())))
    };
    let text = |s: &'d str| (!s.is_empty()).then_some(Scalar::Text(Cow::Borrowed(s)));
    match path {
        "severity_number" => (r.severity_number != 0).then_some(Scalar::Int(i64::from(r.severity_number))),
        "severity_text" => text(&r.severity_text),
        "trace_id" => hex(&r.trace_id),
        "span_id" => hex(&r.span_id),
        "event_name" => text(&r.event_name),
        _ => None,
    }
}

/// The value at a path, through lists and objects.
fn into<'d>(all: &'d Attributes, path: &str, f: &mut dyn FnMut(Scalar<'d>) -> bool) -> bool {
    for (key, value) in &all.0 {
        let Some(rest) = path.strip_prefix(key.as_str()) else { continue };
        let stop = if rest.is_empty() {
            scalar(value, f)
        } else if let Some(rest) = rest.strip_prefix('.') {
            below(value, rest, f)
        } else {
            false
        };
        if stop {
            return true;
        }
    }
    false
}

fn below<'d>(value: &'d AnyValue, path: &str, f: &mut dyn FnMut(Scalar<'d>) -> bool) -> bool {
    match value {
        AnyValue::Map(m) => into(m, path, f),
        AnyValue::Array(a) => a.iter().any(|v| below(v, path, f)),
        _ => false,
    }
}

fn scalar<'d>(value: &'d AnyValue, f: &mut dyn FnMut(Scalar<'d>) -> bool) -> bool {
    match value {
        AnyValue::Empty => false,
        AnyValue::String(s) => f(Scalar::Text(Cow::Borrowed(s))),
        AnyValue::Bool(b) => f(Scalar::Bool(*b)),
        AnyValue::Int(i) => f(Scalar::Int(*i)),
        AnyValue::Double(d) => f(Scalar::Double(*d)),
        AnyValue::Bytes(_) => f(Scalar::Text(Cow::Owned(value.to_string()))),
        AnyValue::Array(a) => a.iter().any(|v| scalar(v, f)),
        // Values are in its fields.
        AnyValue::Map(_) => false,
    }
}

/// Calls `f` with the name and value of everything in the document until it says stop.
pub fn leaves<'d>(doc: &'d Doc<'_>, f: &mut dyn FnMut(&str, Scalar<'d>) -> bool) -> bool {
    let record = doc.record;
    if f(bulk::TIMESTAMP, Scalar::Time(record.timestamp_ns))
        || scalar(&record.body, &mut |v| f(bulk::MESSAGE, v))
        || walk(&record.attributes, "", f)
    {
        return true;
    }
    if document::is_document(doc.stream) {
        return false;
    }
    const OWN: [&str; 5] = ["severity_number", "severity_text", "trace_id", "span_id", "event_name"];
    OWN.iter().any(|name| own(doc, name).is_some_and(|v| f(name, v)))
        || walk(&doc.stream.resource.attributes, "", f)
        || doc.stream.labels.iter().any(|(k, v)| f(k, Scalar::Text(Cow::Borrowed(v))))
}

fn walk<'d>(all: &'d Attributes, prefix: &str, f: &mut dyn FnMut(&str, Scalar<'d>) -> bool) -> bool {
    all.0.iter().any(|(key, value)| {
        if prefix.is_empty() && key == bulk::ID || key == bulk::TIMESTAMP {
            return false;
        }
        match prefix.is_empty() {
            true => walk_value(value, key, f),
            false => walk_value(value, &format!("{prefix}.{key}"), f),
        }
    })
}

fn walk_value<'d>(value: &'d AnyValue, name: &str, f: &mut dyn FnMut(&str, Scalar<'d>) -> bool) -> bool {
    match value {
        AnyValue::Map(m) => walk(m, name, f),
        AnyValue::Array(a) => a.iter().any(|v| walk_value(v, name, f)),
        other => scalar(other, &mut |v| f(name, v)),
    }
}
