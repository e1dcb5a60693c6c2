//! What a query answers with.

use std::collections::BTreeMap;

use contract::Coverage;
use model::Labels;

/// A value, how complete it is, and what it cost.
#[derive(Debug, Clone)]
pub struct Answer {
    pub value: Value,
    pub coverage: Coverage,
    pub warnings: Vec<String>,
    pub stats: Stats,
    /// What each part of what was asked computed by itself; empty where nothing was left to parts.
    pub parts: Vec<PartRead>,
}

/// What one part did for one piece of a metric query.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PartRead {
    pub part: String,
    /// What it was asked.
    pub query: String,
    /// Its records came, and the query was evaluated here.
    pub here: bool,
    /// Why nothing came.
    pub error: Option<String>,
    /// Series of its answer, and the bytes they came in.
    pub rows: u64,
    pub bytes: u64,
    /// Records it read.
    pub lines: u64,
}

/// What a query read and returned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Records that came from the `Select`, before the engine's own filters, or that parts read by themselves.
    pub lines: u64,
    /// Bytes of their lines.
    pub bytes: u64,
    /// Records that passed the whole pipeline.
    pub entries: u64,
    /// Series that range aggregations made of them.
    pub series: u64,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Log queries: streams in order of their labels, entries in the asked direction.
    Streams(Vec<StreamEntries>),
    /// Instant metric queries: labels, time in milliseconds, value. In order of labels, or of values where the
    /// outermost operation sorts.
    Vector(Vec<(Labels, i64, f64)>),
    /// Range metric queries: per series its points, time in milliseconds, ascending. In order of labels.
    Matrix(Vec<(Labels, Vec<(i64, f64)>)>),
    /// An instant query that is a number: time in milliseconds, value.
    Scalar(i64, f64),
}

/// Entries of one stream, as the pipeline left its labels.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StreamEntries {
    /// Stream labels only; what belongs to single entries stands there.
    pub labels: Labels,
    pub entries: Vec<Entry>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    pub ts_ns: i64,
    pub line: String,
    /// Structured metadata: attributes of the record, its severity and trace context.
    pub structured: Labels,
    /// What parsers and formatters of the pipeline added, `__error__` included.
    pub parsed: Labels,
}

/// Regroups entries by all their labels: stream labels, then structured metadata, then parsed labels, a later
/// one winning. This is how Loki encodes streams for clients that do not ask for categorised labels; the
/// entries' own labels are empty afterwards. Entries stay in the direction of time they were in.
pub fn by_all_labels(streams: Vec<StreamEntries>) -> Vec<StreamEntries> {
    let mut groups: BTreeMap<Labels, Vec<Entry>> = BTreeMap::new();
    let falls = |s: &StreamEntries| s.entries.windows(2).any(|w| w[0].ts_ns > w[1].ts_ns);
    let newest_first = streams.iter().any(falls);
    for stream in streams {
        for mut entry in stream.entries {
            let structured = std::mem::take(&mut entry.structured);
            let parsed = std::mem::take(&mut entry.parsed);
            let labels = if structured.is_empty() && parsed.is_empty() {
                stream.labels.clone()
            } else {
                let all = stream.labels.iter().chain(structured.iter()).chain(parsed.iter());
                Labels::from_pairs(all)
            };
            groups.entry(labels).or_default().push(entry);
        }
    }
    // Streams that differed only in what their entries replaced have become one.
    for entries in groups.values_mut() {
        match newest_first {
            true => entries.sort_by_key(|e| std::cmp::Reverse(e.ts_ns)),
            false => entries.sort_by_key(|e| e.ts_ns),
        }
    }
    groups.into_iter().map(|(labels, entries)| StreamEntries { labels, entries }).collect()
}
