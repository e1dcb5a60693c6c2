//! The labels of one line while it goes through the pipeline.
//!
//! There are three kinds, as in Loki: of the stream, structured metadata, and parsed. A name is looked up among
//! parsed labels first and stream labels last. Stream labels are shared by all lines of the stream, so what a
//! line changes is kept beside them.

use std::borrow::Cow;

use model::Labels;

use super::{ERROR_DETAILS_LABEL, ERROR_LABEL};

/// Labels one line may gather by parsing; more are ignored, so that a hostile line costs a bounded amount.
const MAX_PARSED: usize = 2_000;

/// What a parser's label is called when the stream or the record has that name already.
pub(crate) const DUPLICATE_SUFFIX: &str = "_extracted";

pub(crate) struct RowLabels<'a> {
    stream: &'a Labels,
    /// Stream labels this line no longer has.
    removed: Vec<String>,
    /// Stream labels under a new name.
    renamed: Vec<(String, String)>,
    structured: Cow<'a, [(String, String)]>,
    parsed: Vec<(String, String)>,
    error: Option<(&'static str, String)>,
}

impl<'a> RowLabels<'a> {
    pub fn new(stream: &'a Labels, structured: Cow<'a, [(String, String)]>) -> Self {
        RowLabels {
            stream,
            removed: Vec::new(),
            renamed: Vec::new(),
            structured,
            parsed: Vec::new(),
            error: None,
        }
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        match (name, &self.error) {
            (ERROR_LABEL, Some((e, _))) => return Some(e),
            (ERROR_DETAILS_LABEL, Some((_, d))) => return Some(d),
            (ERROR_LABEL | ERROR_DETAILS_LABEL, None) => return None,
            _ => {}
        }
        find(&self.parsed, name)
            .or_else(|| find(&self.structured, name))
            .or_else(|| find(&self.renamed, name))
            .or_else(|| self.stream_label(name))
    }

    fn stream_label(&self, name: &str) -> Option<&str> {
        if self.removed.iter().any(|r| r == name) { None } else { self.stream.get(name) }
    }

    /// All labels, each name once, with the value [`RowLabels::get`] finds. In no order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let error =
            self.error.iter().flat_map(|(e, d)| [(ERROR_LABEL, *e), (ERROR_DETAILS_LABEL, d.as_str())]);
        let parsed = pairs(&self.parsed);
        let structured = pairs(&self.structured).filter(|(n, _)| find(&self.parsed, n).is_none());
        let above = |n: &str| find(&self.parsed, n).is_some() || find(&self.structured, n).is_some();
        let renamed = pairs(&self.renamed).filter(move |(n, _)| !above(n));
        let stream = self.stream.iter().filter(move |(n, _)| {
            !above(n) && find(&self.renamed, n).is_none() && !self.removed.iter().any(|r| r == n)
        });
        error.chain(parsed).chain(structured).chain(renamed).chain(stream).filter(|(_, v)| !v.is_empty())
    }

    /// Adds what a parser found. The name is sanitised, and moved aside where the stream or the record has it.
    pub fn parsed(&mut self, name: &str, value: &str) {
        let mut name = sanitise(name);
        if name.is_empty() || self.parsed.len() >= MAX_PARSED {
            return;
        }
        if self.stream.get(&name).is_some() || find(&self.structured, &name).is_some() {
            name.push_str(DUPLICATE_SUFFIX);
        }
        put(&mut self.parsed, name, value.to_owned());
    }

    /// Sets a label whatever kind it had before.
    pub fn set(&mut self, name: &str, value: String) {
        self.remove(name);
        put(&mut self.parsed, name.to_owned(), value);
    }

    /// Gives `from`'s value to `to`; the kind stays. Nothing happens where `from` is not there.
    pub fn rename(&mut self, from: &str, to: &str) {
        if let Some(v) = find(&self.parsed, from).map(str::to_owned) {
            self.remove_parsed(from);
            put(&mut self.parsed, to.to_owned(), v);
        } else if let Some(v) = find(&self.structured, from).map(str::to_owned) {
            let all = self.structured.to_mut();
            all.retain(|(n, _)| n != from);
            put(all, to.to_owned(), v);
        } else if let Some(v) =
            find(&self.renamed, from).or_else(|| self.stream_label(from)).map(str::to_owned)
        {
            self.renamed.retain(|(n, _)| n != from);
            self.removed.push(from.to_owned());
            put(&mut self.renamed, to.to_owned(), v);
        }
    }

    pub fn remove(&mut self, name: &str) {
        if name == ERROR_LABEL {
            self.error = None;
        } else if name == ERROR_DETAILS_LABEL
            && let Some((_, details)) = &mut self.error
        {
            details.clear();
        }
        self.remove_parsed(name);
        if find(&self.structured, name).is_some() {
            self.structured.to_mut().retain(|(n, _)| n != name);
        }
        self.renamed.retain(|(n, _)| n != name);
        if self.stream_label(name).is_some() {
            self.removed.push(name.to_owned());
        }
    }

    fn remove_parsed(&mut self, name: &str) {
        self.parsed.retain(|(n, _)| n != name);
    }

    /// Marks the line. A later error replaces an earlier one, as in Loki.
    pub fn set_error(&mut self, name: &'static str, details: String) {
        self.error = Some((name, details));
    }

    pub fn error(&self) -> Option<&'static str> {
        self.error.as_ref().map(|(e, _)| *e)
    }

    /// Everything as one label set.
    pub fn all(&self) -> Labels {
        if self.is_untouched() && self.structured.is_empty() {
            return self.stream.clone();
        }
        Labels::from_pairs(self.iter())
    }

    /// The labels a grouping keeps, as one set.
    pub fn grouped(&self, without: bool, names: &[String]) -> Labels {
        Labels::from_pairs(self.iter().filter(|(n, _)| names.iter().any(|x| x == n) != without))
    }

    fn is_untouched(&self) -> bool {
        self.removed.is_empty() && self.renamed.is_empty() && self.parsed.is_empty() && self.error.is_none()
    }

    /// Stream labels, structured metadata and parsed labels, apart.
    pub fn split(&self) -> (Labels, Labels, Labels) {
        let parsed_error =
            self.error.iter().flat_map(|(e, d)| [(ERROR_LABEL, *e), (ERROR_DETAILS_LABEL, d.as_str())]);
        let stream = if self.is_untouched() {
            self.stream.clone()
        } else {
            let kept = self.stream.iter().filter(|(n, _)| !self.removed.iter().any(|r| r == n));
            Labels::from_pairs(kept.chain(pairs(&self.renamed)))
        };
        let parsed = Labels::from_pairs(pairs(&self.parsed).chain(parsed_error));
        (stream, Labels::from_pairs(pairs(&self.structured)), parsed)
    }
}

fn find<'p>(pairs: &'p [(String, String)], name: &str) -> Option<&'p str> {
    pairs.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
}

fn pairs(pairs: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> {
    pairs.iter().map(|(n, v)| (n.as_str(), v.as_str()))
}

fn put(pairs: &mut Vec<(String, String)>, name: String, value: String) {
    match pairs.iter_mut().find(|(n, _)| *n == name) {
        Some(pair) => pair.1 = value,
        None => pairs.push((name, value)),
    }
}

/// A name as a label may have it: everything but ASCII letters, digits and `_` becomes `_`, and a leading digit
/// gets one in front.
pub(crate) fn sanitise(name: &str) -> String {
    let name = name.trim();
    let mut out = String::with_capacity(name.len() + 1);
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        out.push('_');
    }
    out.extend(name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }));
    out
}
