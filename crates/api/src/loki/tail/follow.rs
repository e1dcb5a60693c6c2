//! What a tail reads next, and which of the lines that come are new.
//!
//! ```text
//!   history            late                near         ahead
//! ──┬──────────────────┬───────────────────┬──────┬─────────────┐
//!   start              now - 15 min        - 10 s now           now + 15 min
//! ```
//! - The newest lines since `start` come first, as many as the client wants.
//! - Then every reading begins a little before the end of the one before. Now and then one begins much earlier: senders
//!   are slow, and clocks of clusters differ. What was sent is remembered, so that each line is sent once.
//! - Of every source it is known since when its lines are lacking. When it is back, they are read from there.
//!
//! This knows no time, no network and no language: it says what to read and is told what came.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{BuildHasher, RandomState},
};

use contract::{Coverage, CoverageState, Direction, SourceCoverage};
use logql::{Entry, StreamEntries};
use model::{Labels, Signal, TimeRange, TimestampNs};

use super::remembered::Remembered;

const SECOND_NS: i64 = 1_000_000_000;
/// How far every reading reaches back behind the end of the one before. Longer: more is read in vain each time.
const OVERLAP_NS: i64 = 10 * SECOND_NS;
/// How far the ones that look for late lines reach back. A line that comes later than that is not sent.
const LATE_NS: i64 = 900 * SECOND_NS;
/// How far clocks of others may be ahead; their lines are sent when they come.
const AHEAD_NS: i64 = 900 * SECOND_NS;
/// How often late lines are looked for, and how many times longer than that took is waited at least.
const SWEEP_EVERY_NS: i64 = 15 * SECOND_NS;
const SWEEP_SHARE: i64 = 20;
/// Lines of one reading. Longer readings take more memory, shorter ones more turns.
pub(super) const PAGE: usize = 2000;
/// Lines that were sent and are remembered, about 50 bytes each. Fewer: late lines of busy streams are not noticed.
const REMEMBERED: usize = 100_000;

/// Stands for the lines of one time that are too many to be sent.
const CROWDED: u64 = u64::MAX;

/// A line with the labels of its stream.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub labels: Labels,
    pub entry: Entry,
}

/// What to read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Read {
    pub range: TimeRange,
    pub direction: Direction,
    pub limit: usize,
    /// Of one cluster only.
    pub cluster: Option<String>,
    what: What,
}

#[derive(Debug, Clone, PartialEq)]
enum What {
    History,
    /// What is new, and what came a little late.
    Near,
    /// What came late.
    Sweep,
    /// What sources that are back have had since they went, as far back as lines are remembered.
    Again,
    /// The same of one source, from before that.
    Lost(Key),
}

impl Read {
    /// A range by itself.
    pub fn of(range: TimeRange) -> Self {
        read(What::Near, range.start.0, range.end.0)
    }
}

/// What came of a reading.
#[derive(Debug, Default)]
pub(super) struct Fresh {
    /// What was not sent before, in order of time.
    pub rows: Vec<Row>,
    /// Where more lines are than can be sent, by what is known of their labels, and their time: more of one time than
    /// are read at once, or what a source has had that cannot be told from what was sent.
    pub left_out: Option<(Labels, i64)>,
}

/// Cluster and replica.
type Key = (String, Option<String>);

#[derive(Debug, Clone, Copy, Default)]
struct Source {
    /// It was whole up to here.
    upto_ns: Option<i64>,
    /// From here on its lines are lacking.
    lacks_ns: Option<i64>,
    /// It answered all of the last reading.
    is_whole: bool,
}

pub(super) struct Follow {
    start_ns: i64,
    delay_ns: i64,
    limit: usize,
    /// Nothing older is sent; known once the history was read.
    from_ns: Option<i64>,
    /// Everything up to here was read.
    position_ns: i64,
    /// The rest of a reading that has more than one page.
    rest: Option<Read>,
    remembered: Remembered,
    /// What was sent of a source's lost lines lately, for lines of one time on two pages.
    remembered_lost: Remembered,
    sources: BTreeMap<Key, Source>,
    coverage: Coverage,
    sweep_ns: i64,
    began_ns: i64,
    looks: RandomState,
}

impl Follow {
    /// The last `limit` lines since `start_ns`, then everything, `delay_ns` after its time.
    pub fn new(start_ns: i64, limit: usize, delay_ns: i64) -> Self {
        Follow {
            start_ns,
            delay_ns,
            limit,
            from_ns: None,
            position_ns: start_ns,
            rest: None,
            remembered: Remembered::new(REMEMBERED.max(limit)),
            remembered_lost: Remembered::new(2 * PAGE),
            sources: BTreeMap::new(),
            coverage: Coverage::default(),
            sweep_ns: i64::MIN,
            began_ns: i64::MIN,
            looks: RandomState::new(),
        }
    }

    /// How completely everything that there is was sent.
    pub fn coverage(&self) -> &Coverage {
        &self.coverage
    }

    /// What it remembers takes about so many bytes.
    pub fn bytes(&self) -> u64 {
        self.remembered.bytes() + self.remembered_lost.bytes()
    }

    /// There is no memory for what it remembers: it makes do with half.
    pub fn forget_half(&mut self) {
        self.remembered.forget_half();
    }

    /// Whether there is something to read without waiting for it to be written.
    pub fn is_behind(&self) -> bool {
        self.rest.is_some() || self.returned().is_some()
    }

    pub fn next(&mut self, now_ns: i64) -> Read {
        if let Some(rest) = &self.rest {
            return rest.clone();
        }
        self.began_ns = now_ns;
        let end_ns = match self.delay_ns {
            0 => now_ns.saturating_add(AHEAD_NS),
            delay => now_ns.saturating_sub(delay),
        };
        let Some(from_ns) = self.from_ns else {
            return Read {
                direction: Direction::NewestFirst,
                limit: self.limit,
                ..read(What::History, self.start_ns, end_ns)
            };
        };
        let floor_ns = self.remembered.floor_ns();
        if let Some((key, source)) = self.returned() {
            let lacks_ns = source.lacks_ns.unwrap_or(from_ns).max(from_ns);
            if lacks_ns >= floor_ns {
                return read(What::Again, lacks_ns, end_ns);
            }
            // What was sent of it there is forgotten, so as much of it as was whole is left out.
            let lost_ns = source.upto_ns.map_or(lacks_ns, |u| lacks_ns.max(u.saturating_add(1)));
            if lost_ns >= floor_ns {
                self.note_lost(&key, floor_ns, true);
                return read(What::Again, floor_ns, end_ns);
            }
            let cluster = Some(key.0.clone());
            self.remembered_lost = Remembered::new(2 * PAGE);
            return Read { cluster, ..read(What::Lost(key), lost_ns, floor_ns) };
        }
        if now_ns >= self.sweep_ns {
            let late_ns = now_ns.saturating_sub(LATE_NS).min(self.position_ns.saturating_sub(OVERLAP_NS));
            return read(What::Sweep, late_ns.max(floor_ns.min(self.position_ns)).max(from_ns), end_ns);
        }
        let near_ns = self.position_ns.saturating_sub(OVERLAP_NS).max(floor_ns.min(self.position_ns));
        read(What::Near, near_ns.max(from_ns), end_ns)
    }

    /// A source that has answered and of which earlier lines are lacking.
    fn returned(&self) -> Option<(Key, Source)> {
        let found = self.sources.iter().find(|(_, s)| s.is_whole && s.lacks_ns.is_some());
        found.map(|(key, source)| (key.clone(), *source))
    }

    /// Takes what came of a reading.
    pub fn took(
        &mut self,
        read: &Read,
        streams: Vec<StreamEntries>,
        coverage: &Coverage,
        now_ns: i64,
    ) -> Fresh {
        let rows = in_order(streams);
        let is_full = rows.len() >= read.limit;
        let (first_ns, last_ns) =
            (rows.first().map(|r| r.entry.ts_ns), rows.last().map(|r| r.entry.ts_ns).filter(|_| is_full));
        let mut fresh = Fresh::default();
        let (mut range, mut rest) = (read.range, None);
        match (&read.what, last_ns) {
            (What::History, _) => {
                // A cut history begins with its oldest line; what lies before was not wanted.
                let from = first_ns.filter(|_| is_full).unwrap_or(read.range.start.0);
                self.from_ns = Some(from);
                range.start = TimestampNs(from);
            }
            (_, None) => {}
            (_, Some(last_ns)) => {
                let mut next_ns = last_ns;
                if last_ns <= read.range.start.0 {
                    // Told once, however often that time is read.
                    let is_news = self.remembered.is_new(last_ns, CROWDED, 1);
                    fresh.left_out = is_news.then(|| (Labels::default(), last_ns));
                    next_ns = last_ns.saturating_add(1);
                }
                range.end = TimestampNs(next_ns);
                rest = Some(Read { range: TimeRange::new(range.end, read.range.end), ..read.clone() });
            }
        }
        self.rest = rest.filter(|r| !r.range.is_empty());
        if let What::Lost(key) = &read.what
            && !coverage.sources().iter().any(|s| is(s, key))
        {
            // Under this name it has no lines, so none of them can be found.
            self.note_lost(key, read.range.end.0, true);
            fresh.left_out = Some((Labels::from_pairs([("cluster", key.0.clone())]), read.range.start.0));
        }
        self.note(&read.what, range, coverage, now_ns);
        fresh.rows = self.not_sent(&read.what, rows);
        if self.rest.is_none() {
            self.finish(read, now_ns);
        }
        fresh
    }

    /// The reading did not come about, and `reason` says why; `own` names the source where none is known.
    pub fn failed(&mut self, read: &Read, own: &str, reason: &str) {
        self.rest = None;
        if self.sources.is_empty() {
            self.coverage = Coverage::one(missing(own, None, reason));
            return;
        }
        let lacks_ns = read.range.start.0.max(self.from_ns.unwrap_or(self.start_ns));
        let mut all = Coverage::default();
        for ((cluster, replica), source) in &mut self.sources {
            source.is_whole = false;
            source.lacks_from(lacks_ns);
            all.merge(Coverage::one(missing(cluster, replica.clone(), reason)));
        }
        self.coverage = all;
    }

    /// Late lines reach too far back for what a query may cost: they are looked for later, nearer lines now.
    pub fn leaves_late(&mut self, read: &Read, now_ns: i64) -> bool {
        let is_sweep = read.what == What::Sweep;
        if is_sweep {
            self.rest = None;
            self.sweep_ns = now_ns.saturating_add(SWEEP_SHARE * SWEEP_EVERY_NS);
        }
        is_sweep
    }

    /// Takes down what sources lack of a range.
    fn note(&mut self, what: &What, range: TimeRange, coverage: &Coverage, now_ns: i64) {
        let first_ns = self.from_ns.unwrap_or(self.start_ns);
        let upto_ns = range.end.0.min(now_ns);
        for s in coverage.sources() {
            let key = (s.cluster.clone(), s.replica.clone());
            if let What::Lost(of) = what {
                if *of == key {
                    self.note_lost(&key, range.end.0, s.state == CoverageState::Complete);
                }
                continue;
            }
            let source = self.sources.entry(key).or_default();
            source.is_whole = s.state == CoverageState::Complete;
            if !source.is_whole {
                source.lacks_from(uncovered(range, s).max(first_ns));
                continue;
            }
            match source.lacks_ns {
                Some(lacks_ns) if lacks_ns < range.start.0 => {}
                Some(_) if self.rest.is_some() => source.lacks_ns = Some(range.end.0),
                _ => {
                    source.lacks_ns = None;
                    source.upto_ns = source.upto_ns.max(Some(upto_ns));
                }
            }
        }
        if matches!(what, What::Lost(_)) {
            return;
        }
        self.sources.retain(|key, _| coverage.sources().iter().any(|s| is(s, key)));
        self.coverage = self.said(coverage);
    }

    fn note_lost(&mut self, key: &Key, upto_ns: i64, is_whole: bool) {
        let Some(source) = self.sources.get_mut(key) else { return };
        source.is_whole = is_whole;
        if is_whole {
            source.lacks_ns = Some(upto_ns);
        } else {
            self.rest = None;
        }
    }

    /// A source that is back is not whole until what is lacking was sent.
    fn said(&self, coverage: &Coverage) -> Coverage {
        let mut all = Coverage::default();
        for s in coverage.sources() {
            let mut s = s.clone();
            let known = self.sources.get(&(s.cluster.clone(), s.replica.clone()));
            if s.state == CoverageState::Complete && known.is_some_and(|k| k.lacks_ns.is_some()) {
                s.state = CoverageState::Partial;
                s.reason = "it is back: what it has had meanwhile is being read".to_owned();
            }
            all.merge(Coverage::one(s));
        }
        all
    }

    fn not_sent(&mut self, what: &What, rows: Vec<Row>) -> Vec<Row> {
        let remembered = match what {
            What::Lost(_) => &mut self.remembered_lost,
            _ => &mut self.remembered,
        };
        let mut alike: HashMap<u64, u32> = HashMap::new();
        let mut at_ns = None;
        let mut fresh = rows;
        fresh.retain(|row| {
            let e = &row.entry;
            if at_ns != Some(e.ts_ns) {
                at_ns = Some(e.ts_ns);
                alike.clear();
            }
            let labels = [&row.labels, &e.structured, &e.parsed].map(Labels::stable_hash);
            let looks = self.looks.hash_one((labels, e.line.as_str()));
            let nth = alike.entry(looks).or_default();
            *nth += 1;
            remembered.is_new(e.ts_ns, looks, *nth)
        });
        fresh
    }

    /// A reading has come to its end.
    fn finish(&mut self, read: &Read, now_ns: i64) {
        if matches!(read.what, What::Lost(_)) {
            return;
        }
        self.position_ns = self.position_ns.max(read.range.end.0.min(self.began_ns));
        if matches!(read.what, What::Sweep | What::History) {
            let took_ns = now_ns.saturating_sub(self.began_ns).max(0);
            self.sweep_ns = now_ns.saturating_add(took_ns.saturating_mul(SWEEP_SHARE).max(SWEEP_EVERY_NS));
        }
        let lacking = self.sources.values().filter_map(|s| s.lacks_ns).min();
        let late_ns = now_ns.saturating_sub(LATE_NS).min(self.position_ns.saturating_sub(OVERLAP_NS));
        self.remembered.forget_before(lacking.map_or(late_ns, |l| l.min(late_ns)));
    }
}

impl Source {
    /// Its lines are lacking from there on, unless it was whole for longer.
    fn lacks_from(&mut self, at_ns: i64) {
        // What came late while it was away lies before the time up to which it was whole.
        let at_ns = self.upto_ns.map_or(at_ns, |u| at_ns.max(u.saturating_sub(LATE_NS)));
        self.lacks_ns = Some(self.lacks_ns.map_or(at_ns, |l| l.min(at_ns)));
    }
}

fn is(source: &SourceCoverage, key: &Key) -> bool {
    source.cluster == key.0 && source.replica == key.1
}

fn read(what: What, start_ns: i64, end_ns: i64) -> Read {
    let range = TimeRange::new(TimestampNs(start_ns), TimestampNs(end_ns));
    Read { range, direction: Direction::OldestFirst, limit: PAGE, cluster: None, what }
}

fn missing(cluster: &str, replica: Option<String>, reason: &str) -> SourceCoverage {
    SourceCoverage {
        replica,
        state: CoverageState::Missing,
        covered: Vec::new(),
        reason: reason.replace(", ", "; "),
        ..SourceCoverage::complete(cluster, Signal::LOGS, TimeRange::ALL)
    }
}

/// From when on a source that is not whole may lack lines of a range.
fn uncovered(range: TimeRange, source: &SourceCoverage) -> i64 {
    match source.covered.first() {
        Some(c) if c.start <= range.start && c.end < range.end => c.end.0.max(range.start.0),
        // Who says that it lacks something and does not say where may lack it anywhere.
        _ => range.start.0,
    }
}

/// Lines of all streams, oldest first.
fn in_order(streams: Vec<StreamEntries>) -> Vec<Row> {
    let mut rows = Vec::with_capacity(streams.iter().map(|s| s.entries.len()).sum());
    for s in streams {
        rows.extend(s.entries.into_iter().map(|entry| Row { labels: s.labels.clone(), entry }));
    }
    rows.sort_by_key(|r| r.entry.ts_ns);
    rows
}

#[cfg(test)]
mod tests;
