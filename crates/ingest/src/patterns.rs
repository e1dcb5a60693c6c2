//! Patterns of log lines, mined as the lines come in: which kinds of lines a stream has, and how many of each came
//! when.
//!
//! ```text
//! append ─► Mining ─┬─► the real append          lines that were accepted are learnt afterwards
//!                   └─► Patterns ─► one miner per tenant, stream and level
//! select ─► WithPatterns ─► Patterns             every other question passes
//! ```
//! Everything is in memory and bounded: patterns of a stream, streams, bytes, and the time that counts are kept.
//! A restart forgets, and an answer's coverage says from when on it is whole.
//!
//! Lines beyond what a node may look at in a second are not read, and count for the last line of their stream that
//! was: sums stay exact, and which pattern a line of a flood is counted for is an estimate.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use base::Clock;
use contract::{
    Append, AppendUnit, Coverage, CoverageState, PatternsRequest, Receipt, SeriesData, SourceCoverage,
};
use model::{
    AnyValue, Batch, Labels, LogBatch, LogRecord, Matcher, Signal, TenantId, TimeRange, TimestampNs,
    matcher::all_match,
};
use parking_lot::Mutex;

mod miner;
mod samples;
mod select;
mod words;

pub use select::WithPatterns;

use miner::Miner;
use samples::STRETCH_S;
use words::Words;

use crate::discover::DETECTED_LEVEL;

/// How long counts are kept, and how old a line may be to be learnt. Grafana asks for an hour or three.
const KEPT: Duration = Duration::from_secs(3 * 3600);
/// How far in the future a line may be.
const AHEAD: Duration = Duration::from_secs(600);
/// Streams, each level of one by itself. Past it those that were met least recently go.
const MAX_STREAMS: usize = 5000;
/// Bytes of all patterns and counts; past it those streams go that were met least recently.
const MAX_BYTES: usize = 32 << 20;
/// Lines a node looks at in a second, every one; of more only one in [`STRIDE`].
const LINES_PER_SECOND: u32 = 5000;
/// Words of lines and patterns a node looks at in a second, some ten milliseconds' work. Most lines cost their own
/// words; one that is like no other costs those of all patterns.
const EFFORT_PER_SECOND: u64 = 1_000_000;
const STRIDE: u32 = 16;
/// Patterns of one answer, those of the most lines.
const MAX_ANSWERED: usize = 1000;

/// The labels of an answer's series.
pub const PATTERN_LABEL: &str = "pattern";
pub const LEVEL_LABEL: &str = "level";

const STRETCH_NS: i64 = STRETCH_S as i64 * 1_000_000_000;

/// The patterns of one node.
pub struct Patterns {
    clock: Clock,
    /// What coverage calls this node.
    cluster: String,
    replica: Option<String>,
    /// What came before was not learnt.
    since_ns: i64,
    kept: Mutex<Kept>,
}

/// Whose lines a miner learns: tenant, stream and level.
type Key = (TenantId, Labels, String);

#[derive(Default)]
struct Kept {
    streams: HashMap<Key, Stream>,
    bytes: usize,
    words: Words,
    /// The second that lines are counted in, how many were looked at, and what may still be done for them.
    second: i64,
    looked_at: u32,
    effort: u64,
    /// Counts before this stretch were forgotten.
    forgotten: u32,
}

#[derive(Default)]
struct Stream {
    miner: Miner,
    met_ns: i64,
}

/// Lines of a unit that will be learnt if it is accepted.
struct Seen {
    streams: Vec<Labels>,
    lines: Vec<Line>,
}

struct Line {
    stream: usize,
    level: String,
    stretch: u32,
    text: String,
    /// How many lines it counts for.
    count: u32,
}

impl Patterns {
    /// `cluster` and `replica` as the store's coverage says them.
    pub fn new(clock: Clock, cluster: impl Into<String>, replica: Option<String>) -> Arc<Self> {
        let since_ns = clock.now_ns();
        Arc::new(Patterns { clock, cluster: cluster.into(), replica, since_ns, kept: Mutex::default() })
    }

    /// Stretches that lines may be of now.
    fn stretches(&self) -> (i64, i64) {
        let now = self.clock.now_ns();
        let ns = |d: Duration| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX);
        let (first, last) = (now.saturating_sub(ns(KEPT)), now.saturating_add(ns(AHEAD)));
        (first.div_euclid(STRETCH_NS).max(0), last.div_euclid(STRETCH_NS))
    }

    /// What of a batch is worth learning.
    fn look(&self, batch: &LogBatch) -> Seen {
        let (first, last) = self.stretches();
        let mut seen =
            Seen { streams: batch.streams.iter().map(|s| s.labels.clone()).collect(), lines: Vec::new() };
        // Of each stream the line that those passed over count for, and how many of these are left.
        let mut passing: Vec<(usize, u32)> = vec![(0, 0); batch.streams.len()];
        for r in &batch.records {
            let stretch = r.timestamp_ns.div_euclid(STRETCH_NS);
            let (Some(stream), AnyValue::String(text)) = (passing.get_mut(r.stream as usize), &r.body) else {
                continue;
            };
            if stretch < first || stretch > last {
                continue;
            }
            if stream.1 > 0
                && let Some(line) = seen.lines.get_mut(stream.0)
            {
                stream.1 -= 1;
                line.count = line.count.saturating_add(1);
                continue;
            }
            *stream = (seen.lines.len(), self.stride() - 1);
            seen.lines.push(Line {
                stream: r.stream as usize,
                level: level(r),
                stretch: u32::try_from(stretch).unwrap_or(u32::MAX),
                text: text.clone(),
                count: 1,
            });
        }
        seen
    }

    /// Of how many lines the next one is looked at.
    fn stride(&self) -> u32 {
        let second = self.clock.now_ns().div_euclid(1_000_000_000);
        let mut kept = self.kept.lock();
        if kept.second != second {
            (kept.second, kept.looked_at, kept.effort) = (second, 0, EFFORT_PER_SECOND);
        }
        kept.looked_at = kept.looked_at.saturating_add(1);
        if kept.looked_at > LINES_PER_SECOND || kept.effort == 0 { STRIDE } else { 1 }
    }

    fn learn(&self, tenant: &TenantId, seen: Seen) {
        let now = self.clock.now_ns();
        let mut kept = self.kept.lock();
        kept.forget_before(u32::try_from(self.stretches().0).unwrap_or(0));
        for line in seen.lines {
            if let Some(labels) = seen.streams.get(line.stream) {
                let key = (tenant.clone(), labels.clone(), line.level);
                kept.learn(key, &line.text, line.stretch, line.count, now);
            }
        }
        kept.make_room();
    }

    /// Forgets the streams that match, whatever the time of their lines.
    pub fn forget(&self, tenants: &[TenantId], matchers: &[Matcher]) {
        let mut kept = self.kept.lock();
        kept.streams
            .retain(|(tenant, labels, _), _| !tenants.contains(tenant) || !all_match(matchers, labels));
        kept.weigh();
    }

    /// Series with the labels `pattern` and, where one is known, `level`: how many lines came in each step.
    fn answer(&self, r: &PatternsRequest) -> (Vec<SeriesData>, Coverage) {
        let step_ms = r.step_ms.max(i64::from(STRETCH_S) * 1000);
        let mut found: BTreeMap<Labels, BTreeMap<i64, u64>> = BTreeMap::new();
        let kept = self.kept.lock();
        let wanted = |(tenant, labels, _): &Key| {
            r.scope.tenants.iter().any(|t| t == tenant) && all_match(&r.matchers, labels)
        };
        for ((_, _, level), stream) in kept.streams.iter().filter(|(key, _)| wanted(key)) {
            for p in stream.miner.patterns() {
                let mut steps: BTreeMap<i64, u64> = BTreeMap::new();
                for (stretch, lines) in p.samples.iter() {
                    let at_ns = i64::from(stretch) * STRETCH_NS;
                    if at_ns + STRETCH_NS > r.scope.range.start.0 && at_ns < r.scope.range.end.0 {
                        let at_ms = at_ns / 1_000_000;
                        *steps.entry(at_ms - at_ms.rem_euclid(step_ms)).or_default() += u64::from(lines);
                    }
                }
                if steps.is_empty() {
                    continue;
                }
                let labels = Labels::from_pairs([(PATTERN_LABEL, p.text().as_str()), (LEVEL_LABEL, level)]);
                let all = found.entry(labels).or_default();
                steps.into_iter().for_each(|(at, n)| *all.entry(at).or_default() += n);
            }
        }
        drop(kept);
        (most(found), self.coverage(r.scope.range))
    }

    fn coverage(&self, range: TimeRange) -> Coverage {
        let whole = SourceCoverage {
            replica: self.replica.clone(),
            ..SourceCoverage::complete(self.cluster.clone(), Signal::LOGS, range)
        };
        let kept_from = self.stretches().0.saturating_mul(STRETCH_NS).max(self.since_ns);
        if range.start.0 >= kept_from || range.is_empty() {
            return Coverage::one(whole);
        }
        let hours = KEPT.as_secs() / 3600;
        let covered = range.intersect(TimeRange::new(TimestampNs(kept_from), TimestampNs(i64::MAX)));
        Coverage::one(SourceCoverage {
            state: CoverageState::Partial,
            covered: vec![covered],
            reason: format!("patterns are kept for {hours} h and not over a restart of the node"),
            ..whole
        })
    }
}

/// The patterns of lines by themselves, in the order they are met.
pub fn mined<'l>(lines: impl IntoIterator<Item = &'l str>) -> Vec<String> {
    let (mut miner, mut words) = (Miner::default(), Words::default());
    let mut effort = u64::MAX;
    for line in lines {
        words.cut(line);
        miner.learn(&words, &mut effort);
    }
    miner.patterns().iter().map(|p| p.text()).collect()
}

/// Those of the most lines, in order of their labels.
fn most(found: BTreeMap<Labels, BTreeMap<i64, u64>>) -> Vec<SeriesData> {
    let mut all: Vec<(u64, Labels, BTreeMap<i64, u64>)> =
        found.into_iter().map(|(labels, steps)| (steps.values().sum(), labels, steps)).collect();
    all.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    all.truncate(MAX_ANSWERED);
    all.sort_by(|a, b| a.1.cmp(&b.1));
    let series = |(_, labels, steps): (u64, Labels, BTreeMap<i64, u64>)| SeriesData {
        labels,
        timestamps_ms: steps.keys().copied().collect(),
        values: steps.values().map(|n| *n as f64).collect(),
        ..SeriesData::default()
    };
    all.into_iter().map(series).collect()
}

/// As the record says it, by whoever found it out.
fn level(r: &LogRecord) -> String {
    match r.attributes.get_str(DETECTED_LEVEL) {
        Some(level) => level.to_owned(),
        None => r.severity_text.to_ascii_lowercase(),
    }
}

impl Kept {
    fn learn(&mut self, key: Key, line: &str, stretch: u32, count: u32, now_ns: i64) {
        let Kept { streams, bytes, words, effort, .. } = self;
        let held = key.1.packed_len() + std::mem::size_of::<Stream>() + 128;
        let stream = streams.entry(key).or_insert_with(|| {
            *bytes += held;
            Stream::default()
        });
        stream.met_ns = now_ns;
        let before = stream.miner.bytes();
        words.cut(line);
        if let Some(at) = stream.miner.learn(words, effort) {
            stream.miner.count(at, stretch, count);
        }
        *bytes = (*bytes + stream.miner.bytes()).saturating_sub(before);
    }

    /// Once for every stretch of time that passes.
    fn forget_before(&mut self, stretch: u32) {
        if stretch <= self.forgotten {
            return;
        }
        self.forgotten = stretch;
        let oldest_ns = i64::from(stretch) * STRETCH_NS;
        self.streams.retain(|_, s| s.met_ns >= oldest_ns);
        self.streams.values_mut().for_each(|s| s.miner.forget_before(stretch));
        self.weigh();
    }

    fn make_room(&mut self) {
        while self.streams.len() > MAX_STREAMS || self.bytes > MAX_BYTES && !self.streams.is_empty() {
            let mut met: Vec<i64> = self.streams.values().map(|s| s.met_ns).collect();
            met.sort_unstable();
            // An eighth at once, so that this is seldom done.
            let until = met.get(met.len() / 8).copied().unwrap_or(i64::MAX);
            let mut left = met.len() / 8 + 1;
            self.streams.retain(|_, s| {
                let goes = left > 0 && s.met_ns <= until;
                left -= usize::from(goes);
                !goes
            });
            self.weigh();
        }
    }

    fn weigh(&mut self) {
        let held = |(key, s): (&Key, &Stream)| {
            key.1.packed_len() + std::mem::size_of::<Stream>() + 128 + s.miner.bytes()
        };
        self.bytes = self.streams.iter().map(held).sum();
    }
}

/// Passes units on, and learns the lines of those that were accepted.
pub struct Mining {
    pub append: Arc<dyn Append>,
    pub patterns: Arc<Patterns>,
}

#[async_trait::async_trait]
impl Append for Mining {
    async fn append(&self, tenant: &TenantId, unit: AppendUnit) -> contract::Result<Receipt> {
        let logs = unit.batches.iter().filter_map(|b| if let Batch::Logs(l) = b { Some(l) } else { None });
        let seen: Vec<Seen> = logs.map(|l| self.patterns.look(l)).filter(|s| !s.lines.is_empty()).collect();
        let receipt = self.append.append(tenant, unit).await?;
        let accepted = receipt.accepted.iter().any(|(signal, n)| *signal == Signal::LOGS && *n > 0);
        if accepted && !receipt.duplicate {
            seen.into_iter().for_each(|s| self.patterns.learn(tenant, s));
        }
        Ok(receipt)
    }
}

#[cfg(test)]
mod tests;
