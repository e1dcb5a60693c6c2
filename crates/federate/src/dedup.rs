//! One series out of what replicas of it hold: several nodes that observed the same target, each at times of its own.
//!
//! Samples are chosen, never changed, and what is asked for does not decide: a gauge and a counter, a graph and a
//! `rate` see the same series. How samples are chosen, and why so, stands in
//! `docs/decisions/0014-a-replica-counts-until-it-has-a-gap.md`:
//!
//! ```text
//! primary    o   o   o   .   .   .   o   o       the replica with the least time in gaps; of equals the first
//! another      x   x   x   x   x   x   x   x
//! answer     o   o   o     x   x     o   o       gaps wider than 1.5 intervals, half an interval off their edges
//! ```
//! Where one replica follows another, up to [`SPLICE`] samples are left out that would show a counter falling which
//! neither of the two saw falling. A marker of staleness counts where no other replica has the series alive.

use contract::SeriesData;
use model::{Histogram, is_stale_marker};

/// Time between samples where too few are there to tell.
const DEFAULT_INTERVAL_MS: i64 = 60_000;
/// Samples that may be left out on either side of a change of replica. More bridges larger differences between the
/// clocks of replicas; fewer keeps more of a gauge.
const SPLICE: usize = 2;

/// One sample of one replica.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Point {
    t: i64,
    /// The value, or the count of a histogram: what grows where it is a counter.
    value: f64,
    replica: usize,
    at: Place,
}

/// Where the sample stands in its replica's data.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    Float(usize),
    Histogram(usize),
}

/// A replica's samples in order of time, those that mark staleness apart.
#[derive(Debug, Default)]
struct Line {
    live: Vec<Point>,
    marks: Vec<Point>,
}

/// Series of replicas with equal labels, in the order in which they are preferred.
pub(crate) fn merge(mut parts: Vec<SeriesData>) -> SeriesData {
    if parts.len() < 2 {
        return parts.pop().unwrap_or_default();
    }
    let lines: Vec<Line> = parts.iter().enumerate().map(|(i, p)| Line::of(i, p)).collect();
    let interval = interval(&lines);
    let mut order: Vec<usize> =
        (0..lines.len()).filter(|i| lines.get(*i).is_some_and(|l| !l.live.is_empty())).collect();
    let missing = time_in_gaps(&lines, interval);
    let lost = |i: usize| missing.get(i).copied().unwrap_or(i64::MAX);
    let least = order.iter().map(|i| lost(*i)).min().unwrap_or(0);
    // An interval more or less is no reason to prefer a later one.
    order.sort_by_key(|i| (lost(*i) > least.saturating_add(interval), *i));
    let mut chosen: Vec<Point> = Vec::new();
    for line in order.iter().filter_map(|i| lines.get(*i)) {
        chosen = if chosen.is_empty() { line.live.clone() } else { fill(chosen, line, interval) };
    }
    for (i, line) in lines.iter().enumerate() {
        let others = || lines.iter().enumerate().filter(|(x, _)| *x != i).map(|(_, l)| l);
        let ended = |m: &&Point| !others().any(|l| l.is_alive(m.t, interval));
        chosen.extend(line.marks.iter().filter(ended).copied());
    }
    chosen.sort_by_key(|p| p.t);
    collect(parts, &chosen)
}

impl Line {
    fn of(replica: usize, s: &SeriesData) -> Self {
        let floats = s.timestamps_ms.iter().zip(&s.values).enumerate();
        let floats = floats.map(|(i, (t, v))| {
            (Point { t: *t, value: *v, replica, at: Place::Float(i) }, is_stale_marker(*v))
        });
        let histograms = s.histograms.iter().enumerate().map(|(i, (t, _, h))| {
            (Point { t: *t, value: h.count, replica, at: Place::Histogram(i) }, h.is_stale())
        });
        let mut line = Line::default();
        for (point, stale) in floats.chain(histograms) {
            if stale { line.marks.push(point) } else { line.live.push(point) }
        }
        line.live.sort_by_key(|p| p.t);
        line.marks.sort_by_key(|p| p.t);
        line
    }

    /// Whether the last that was seen up to then was a sample, and not too long ago.
    fn is_alive(&self, t: i64, interval: i64) -> bool {
        let last = |list: &[Point]| {
            list.partition_point(|p| p.t <= t).checked_sub(1).and_then(|i| list.get(i).map(|p| p.t))
        };
        let Some(live) = last(&self.live) else { return false };
        last(&self.marks).is_none_or(|mark| mark < live) && !is_gap(live, t, interval)
    }

    /// The last sample up to then.
    fn before(&self, t: i64) -> Option<Point> {
        self.live.partition_point(|p| p.t <= t).checked_sub(1).and_then(|i| self.live.get(i).copied())
    }

    /// Whether a value is smaller than the one before it, between two times.
    fn falls(&self, from: i64, to: i64) -> bool {
        let start = self.live.partition_point(|p| p.t < from);
        let end = self.live.partition_point(|p| p.t <= to);
        self.live.get(start..end).unwrap_or_default().windows(2).any(|w| w[1].value < w[0].value)
    }
}

fn is_gap(from: i64, to: i64, interval: i64) -> bool {
    to.saturating_sub(from) > interval.saturating_add(interval / 2)
}

/// The usual time between samples: of the replica that has them closest.
fn interval(lines: &[Line]) -> i64 {
    let median = |line: &Line| {
        let mut steps: Vec<i64> = line.live.windows(2).map(|w| w[1].t - w[0].t).filter(|d| *d > 0).collect();
        let middle = steps.len() / 2;
        (steps.len() >= 2).then(|| *steps.select_nth_unstable(middle).1)
    };
    lines.iter().filter_map(median).min().unwrap_or(DEFAULT_INTERVAL_MS)
}

/// How long each replica had nothing while it could have had, over the time that any of them covers.
fn time_in_gaps(lines: &[Line], interval: i64) -> Vec<i64> {
    let first = lines.iter().filter_map(|l| l.live.first()).map(|p| p.t).min();
    let last = lines.iter().filter_map(|l| l.live.last()).map(|p| p.t).max();
    let (Some(first), Some(last)) = (first, last) else { return vec![0; lines.len()] };
    let lost = |from: i64, to: i64| if is_gap(from, to, interval) { to - from - interval } else { 0 };
    let of = |line: &Line| {
        let (Some(a), Some(b)) = (line.live.first(), line.live.last()) else { return last - first };
        let inside: i64 = line.live.windows(2).map(|w| lost(w[0].t, w[1].t)).sum();
        inside + lost(first, a.t) + lost(b.t, last)
    };
    lines.iter().map(of).collect()
}

/// Puts samples of another replica into the gaps of what is chosen so far.
fn fill(base: Vec<Point>, other: &Line, interval: i64) -> Vec<Point> {
    // Two that were written to by one sender differ only in what they lost, and each loss is a gap.
    let copies = are_copies(&base, other);
    let margin = if copies { closest(&base, other) / 2 } else { interval / 2 };
    let mut out: Vec<Point> = Vec::with_capacity(base.len() + 16);
    for i in 0..=base.len() {
        let prev = i.checked_sub(1).and_then(|i| base.get(i)).copied();
        let next = base.get(i).copied();
        let from = prev.map_or(i64::MIN, |p| p.t.saturating_add(margin.max(1)));
        let to = next.map_or(i64::MAX, |n| n.t.saturating_sub(margin.max(1)));
        let start = other.live.partition_point(|p| p.t < from);
        let end = other.live.partition_point(|p| p.t <= to);
        let found = other.live.get(start..end).unwrap_or_default();
        let wide = match (prev, next, found.first(), found.last()) {
            (Some(p), Some(n), ..) => is_gap(p.t, n.t, interval),
            (Some(p), None, _, Some(last)) => is_gap(p.t, last.t, interval),
            (None, Some(n), Some(first), _) => is_gap(first.t, n.t, interval),
            _ => false,
        };
        if wide && !copies {
            out.extend(splice(&base, i, found, other, interval));
        } else if copies {
            out.extend(found);
        }
        out.extend(next);
    }
    out
}

/// Whether at least half of what the smaller has stands at the very same times in the other.
fn are_copies(base: &[Point], other: &Line) -> bool {
    let (Some(a), Some(b)) = (base.first(), base.last()) else { return false };
    let (Some(c), Some(d)) = (other.live.first(), other.live.last()) else { return false };
    let (from, to) = (a.t.max(c.t), b.t.min(d.t));
    let inside = |list: &[Point]| list.iter().filter(|p| from <= p.t && p.t <= to).count();
    let smaller = inside(base).min(inside(&other.live));
    let same = other.live.iter().filter(|p| base.binary_search_by_key(&p.t, |b| b.t).is_ok()).count();
    same > 0 && same * 2 >= smaller
}

/// The smallest time between two samples of either.
fn closest(base: &[Point], other: &Line) -> i64 {
    let steps = |list: &[Point]| list.windows(2).map(|w| w[1].t - w[0].t).filter(|d| *d > 0).min();
    [steps(base), steps(&other.live)].into_iter().flatten().min().unwrap_or(1)
}

/// What of `found` goes between sample `i - 1` and sample `i` of the base: all of it but for samples at the edges that
/// would show a fall that nobody saw.
fn splice<'a>(base: &[Point], i: usize, found: &'a [Point], other: &Line, interval: i64) -> &'a [Point] {
    let prev = i.checked_sub(1).and_then(|i| base.get(i)).copied();
    let next = base.get(i).copied();
    let mut found = found;
    if let Some(prev) = prev {
        let height = fell_from(base.get(..i).unwrap_or_default(), interval);
        for _ in 0..SPLICE {
            let Some((first, rest)) = found.split_first() else { break };
            if !lags(prev, height, next, *first, other, interval) {
                break;
            }
            found = rest;
        }
    }
    if let Some(next) = next {
        found = trim_end(found, prev, next);
    }
    found
}

/// The sample before the last fall, if that was within two intervals of the end.
fn fell_from(base: &[Point], interval: i64) -> Option<Point> {
    let end = base.last()?.t;
    let recent = |p: &Point| end.saturating_sub(p.t) <= interval.saturating_mul(2);
    base.windows(2).rev().take_while(|w| recent(&w[1])).find(|w| w[1].value < w[0].value).map(|w| w[0])
}

/// Whether the other replica, after `prev` of the base, is still where the base no longer is: it shows less without
/// having fallen, or the height from which the base has just fallen.
fn lags(
    prev: Point,
    height: Option<Point>,
    next: Option<Point>,
    first: Point,
    other: &Line,
    interval: i64,
) -> bool {
    if first.value < prev.value {
        return match other.before(prev.t) {
            Some(before) => before.value <= first.value && !other.falls(before.t, first.t),
            // It began in the gap: then the base says whether there was a fall.
            None => next.is_some_and(|n| n.value >= prev.value),
        };
    }
    let Some(old) = height else { return false };
    let near_old = (first.value - old.value).abs() < (first.value - prev.value).abs();
    near_old && !other.falls(old.t.saturating_sub(interval), first.t)
}

/// Leaves out what comes last before the base goes on at `next`: what stands above it although the fall is already
/// behind or never came, and what has fallen where the base has not yet.
fn trim_end(found: &[Point], prev: Option<Point>, next: Point) -> &[Point] {
    let start: Vec<f64> = prev.iter().map(|p| p.value).chain(found.iter().map(|p| p.value)).collect();
    let falls_inside = start.windows(2).any(|w| w[1] < w[0]);
    let base_falls = prev.is_some_and(|p| p.value > next.value);
    let mut kept = found;
    for _ in 0..SPLICE {
        let Some((last, rest)) = kept.split_last() else { break };
        if last.value <= next.value || (base_falls && !falls_inside) {
            break;
        }
        kept = rest;
    }
    // A fall among the last few that the base has not come to.
    let tail = kept.len().saturating_sub(SPLICE);
    for at in tail..kept.len() {
        let old = at.checked_sub(1).and_then(|i| kept.get(i)).or(prev.as_ref().filter(|_| at == 0));
        let (Some(old), Some(new)) = (old, kept.get(at)) else { continue };
        let near_old = (next.value - old.value).abs() < (next.value - new.value).abs();
        if new.value < old.value && !base_falls && prev.is_some() && next.value >= old.value && near_old {
            return kept.get(..at).unwrap_or_default();
        }
    }
    kept
}

/// The chosen samples as one series.
fn collect(mut parts: Vec<SeriesData>, chosen: &[Point]) -> SeriesData {
    let started = parts.iter().any(|p| !p.starts_ms.is_empty());
    let labels = parts.first().map(|p| p.labels.clone()).unwrap_or_default();
    let mut out = SeriesData { labels, ..SeriesData::default() };
    for point in chosen {
        let Some(part) = parts.get_mut(point.replica) else { continue };
        match point.at {
            Place::Float(i) if out.timestamps_ms.last() != Some(&point.t) => {
                let Some(v) = part.values.get(i) else { continue };
                out.timestamps_ms.push(point.t);
                out.values.push(*v);
                if started {
                    out.starts_ms.push(part.starts_ms.get(i).copied().unwrap_or(0));
                }
            }
            Place::Histogram(i) if out.histograms.last().map(|h| h.0) != Some(point.t) => {
                let Some((t, start, h)) = part.histograms.get_mut(i) else { continue };
                out.histograms.push((*t, *start, take(h)));
            }
            _ => {}
        }
    }
    out
}

/// A histogram is chosen once, so it need not be copied.
fn take(h: &mut Histogram) -> Histogram {
    std::mem::take(h)
}

#[cfg(test)]
mod tests;
