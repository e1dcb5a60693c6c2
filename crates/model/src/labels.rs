//! A label set: name/value pairs sorted by name, packed into one buffer.
//!
//! ```text
//! | varint name length | name | varint value length | value | ... next pair, names strictly ascending
//! ```
//! Packing makes a clone one reference count, equality one `memcmp` and hashing one pass. The bytes are an
//! in-memory form only; whoever writes labels to disk or wire chooses a layout of its own.

use std::{cmp::Ordering, fmt, hash, sync::Arc};

/// Name of the metric label.
pub const METRIC_NAME: &str = "__name__";

/// An immutable, sorted label set without duplicates and without empty values: an empty value means the
/// label is absent, as in Prometheus.
#[derive(Clone, PartialEq, Eq)]
pub struct Labels(Arc<[u8]>);

impl Default for Labels {
    fn default() -> Self {
        Labels(Arc::from(&[][..]))
    }
}

impl Labels {
    /// Builds from pairs in any order. Of pairs with the same name the last one counts; empty values go.
    pub fn from_pairs<N: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut b = LabelsBuilder::default();
        for (n, v) in pairs {
            b.set(n, v);
        }
        b.build()
    }

    /// Builds from pairs already sorted by name, without duplicates; returns `None` when they are not.
    pub fn from_sorted<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Option<Self> {
        let mut buf = Vec::with_capacity(128);
        let mut last: Option<&str> = None;
        for (n, v) in pairs {
            if last.is_some_and(|l| l >= n) {
                return None;
            }
            last = Some(n);
            if !v.is_empty() {
                push_str(&mut buf, n);
                push_str(&mut buf, v);
            }
        }
        Some(Labels(Arc::from(buf)))
    }

    pub fn iter(&self) -> Iter<'_> {
        Iter(&self.0)
    }

    /// Pairs as bytes, in the same order: for comparing and measuring, which need not know again that they
    /// are text.
    pub fn iter_bytes(&self) -> BytesIter<'_> {
        BytesIter(&self.0)
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        for (n, v) in self.iter_bytes() {
            match n.cmp(name.as_bytes()) {
                Ordering::Less => {}
                Ordering::Equal => return std::str::from_utf8(v).ok(),
                Ordering::Greater => return None,
            }
        }
        None
    }

    /// The value, or the empty string where the label is absent, which is how matchers see it.
    pub fn value(&self, name: &str) -> &str {
        self.get(name).unwrap_or("")
    }

    /// The `__name__` label, empty if there is none.
    pub fn metric_name(&self) -> &str {
        self.value(METRIC_NAME)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        self.iter_bytes().count()
    }

    /// Bytes held by the packed form, for memory accounting.
    pub fn packed_len(&self) -> usize {
        self.0.len()
    }

    /// A 64-bit hash, stable across processes and versions (XXH3 over the packed form).
    pub fn stable_hash(&self) -> u64 {
        xxhash_rust::xxh3::xxh3_64(&self.0)
    }

    /// Keeps only the labels named.
    pub fn only(&self, names: &[impl AsRef<str>]) -> Self {
        self.filter(|n| names.iter().any(|k| k.as_ref() == n))
    }

    /// Drops the labels named.
    pub fn without(&self, names: &[impl AsRef<str>]) -> Self {
        self.filter(|n| !names.iter().any(|k| k.as_ref() == n))
    }

    pub fn without_name(&self) -> Self {
        self.filter(|n| n != METRIC_NAME)
    }

    pub fn filter(&self, mut keep: impl FnMut(&str) -> bool) -> Self {
        let mut buf = Vec::with_capacity(self.0.len());
        for (n, v) in self.iter().filter(|(n, _)| keep(n)) {
            push_str(&mut buf, n);
            push_str(&mut buf, v);
        }
        Labels(Arc::from(buf))
    }

    /// The same set with `name` set to `value`; an empty value removes it.
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut b = self.to_builder();
        b.set(name, value);
        b.build()
    }

    pub fn to_builder(&self) -> LabelsBuilder {
        LabelsBuilder { pairs: self.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect() }
    }
}

fn push_str(buf: &mut Vec<u8>, s: &str) {
    let mut n = s.len();
    while n >= 0x80 {
        buf.push(n as u8 | 0x80);
        n >>= 7;
    }
    buf.push(n as u8);
    buf.extend_from_slice(s.as_bytes());
}

#[inline]
fn take_bytes<'a>(buf: &mut &'a [u8]) -> Option<&'a [u8]> {
    let mut n = 0usize;
    let mut shift = 0;
    loop {
        let (&b, rest) = buf.split_first()?;
        *buf = rest;
        n |= usize::from(b & 0x7f) << shift;
        if b < 0x80 {
            break;
        }
        shift += 7;
    }
    let (s, rest) = buf.split_at_checked(n)?;
    *buf = rest;
    Some(s)
}

fn take_str<'a>(buf: &mut &'a [u8]) -> Option<&'a str> {
    std::str::from_utf8(take_bytes(buf)?).ok()
}

/// Pairs in order of name.
#[derive(Clone)]
pub struct Iter<'a>(&'a [u8]);

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let name = take_str(&mut self.0)?;
        let value = take_str(&mut self.0)?;
        Some((name, value))
    }
}

/// See [`Labels::iter_bytes`]; the default one is at its end.
#[derive(Clone, Default)]
pub struct BytesIter<'a>(&'a [u8]);

impl<'a> Iterator for BytesIter<'a> {
    type Item = (&'a [u8], &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let name = take_bytes(&mut self.0)?;
        let value = take_bytes(&mut self.0)?;
        Some((name, value))
    }
}

impl<'a> IntoIterator for &'a Labels {
    type Item = (&'a str, &'a str);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl Ord for Labels {
    /// Pair by pair, by name and then value; a prefix sorts first. The order Prometheus answers in.
    fn cmp(&self, other: &Self) -> Ordering {
        // Text is ordered as its bytes are.
        self.iter_bytes().cmp(other.iter_bytes())
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl hash::Hash for Labels {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Display for Labels {
    /// `name{a="b"}` as Prometheus prints it; names that are not classic identifiers are quoted.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.metric_name();
        let classic = is_classic_metric_name(name);
        if classic {
            f.write_str(name)?;
        }
        let rest = self.iter().filter(|(n, _)| *n != METRIC_NAME);
        if classic && rest.clone().next().is_none() {
            return Ok(());
        }
        f.write_str("{")?;
        let mut sep = "";
        if !classic && !name.is_empty() {
            write!(f, "{name:?}")?;
            sep = ", ";
        }
        for (n, v) in rest {
            if is_classic_label_name(n) {
                write!(f, "{sep}{n}={v:?}")?;
            } else {
                write!(f, "{sep}{n:?}={v:?}")?;
            }
            sep = ", ";
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `[a-zA-Z_:][a-zA-Z0-9_:]*`
pub fn is_classic_metric_name(s: &str) -> bool {
    !s.is_empty()
        && s.bytes()
            .enumerate()
            .all(|(i, b)| b.is_ascii_alphabetic() || b == b'_' || b == b':' || (i > 0 && b.is_ascii_digit()))
}

/// `[a-zA-Z_][a-zA-Z0-9_]*`
pub fn is_classic_label_name(s: &str) -> bool {
    is_classic_metric_name(s) && !s.contains(':')
}

/// Collects pairs in any order; of equal names the last one set counts.
#[derive(Debug, Clone, Default)]
pub struct LabelsBuilder {
    pairs: Vec<(String, String)>,
}

impl LabelsBuilder {
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) -> &mut Self {
        let (name, value) = (name.into(), value.into());
        match self.pairs.iter_mut().find(|(n, _)| *n == name) {
            Some(pair) => pair.1 = value,
            None => self.pairs.push((name, value)),
        }
        self
    }

    pub fn remove(&mut self, name: &str) -> &mut Self {
        self.pairs.retain(|(n, _)| n != name);
        self
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(n, v)| n == name && !v.is_empty()).map(|(_, v)| v.as_str())
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }

    pub fn build(mut self) -> Labels {
        self.pairs.retain(|(_, v)| !v.is_empty());
        self.pairs.sort_unstable();
        let mut buf = Vec::with_capacity(self.pairs.iter().map(|(n, v)| n.len() + v.len() + 4).sum());
        for (n, v) in &self.pairs {
            push_str(&mut buf, n);
            push_str(&mut buf, v);
        }
        Labels(Arc::from(buf))
    }
}

#[cfg(test)]
mod tests;
