//! Values folded into windows, without keeping them.
//!
//! The windows `(t - range, t]` of all steps cut time into pieces such that every window is a run of whole pieces:
//!
//! ```text
//! windows    (------------]
//!                   (------------]
//!                          (------------]
//! pieces     |  0   |  1  | 2 |  3 |  4  |
//! ```
//! A value goes into the accumulator of its piece, so it is touched once however much windows overlap. At the
//! end a window's pieces are merged; a queue of two stacks makes that one merge per piece and window.

use super::frame::Grid;
use crate::ast::RangeOp;

/// The pieces of a grid of windows.
pub(super) struct Pieces {
    /// Piece `i` is `(edges[i], edges[i + 1]]`.
    edges: Vec<i64>,
    /// For each step the first piece of its window and the one after its last.
    windows: Vec<(u32, u32)>,
    /// Pieces that lie in no window: there are gaps where the step is longer than the range.
    gaps: Vec<bool>,
}

impl Pieces {
    pub fn new(grid: Grid, range_ns: i64, offset_ns: i64) -> Self {
        let end = |k: usize| grid.at_ns(k).saturating_sub(offset_ns);
        let start = |k: usize| end(k).saturating_sub(range_ns);
        let mut edges: Vec<i64> = (0..grid.len).flat_map(|k| [start(k), end(k)]).collect();
        edges.sort_unstable();
        edges.dedup();
        let find = |t: i64| edges.partition_point(|e| *e < t) as u32;
        let windows: Vec<(u32, u32)> = (0..grid.len).map(|k| (find(start(k)), find(end(k)))).collect();
        let mut gaps = vec![true; edges.len()];
        let mut done = 0;
        for (from, to) in &windows {
            for i in (*from).max(done)..*to {
                gaps[i as usize] = false;
            }
            done = done.max(*to);
        }
        Pieces { edges, windows, gaps }
    }

    /// Piece `i` is `(edges[i], edges[i + 1]]`.
    pub fn edges(&self) -> &[i64] {
        &self.edges
    }

    /// First and last nanosecond any window holds, both included.
    pub fn bounds(&self) -> (i64, i64) {
        let first = self.edges.first().copied().unwrap_or(0);
        (first.saturating_add(1), self.edges.last().copied().unwrap_or(0))
    }

    /// The piece a time lies in, if any window holds it.
    pub fn of(&self, ts_ns: i64) -> Option<u32> {
        let i = self.edges.partition_point(|e| *e < ts_ns).checked_sub(1)?;
        (i + 1 < self.edges.len() && !self.gaps[i]).then_some(i as u32)
    }

    /// Evaluates every window over accumulators in order of their piece.
    pub fn finish(&self, how: &Finish, parts: &[(u32, Acc)]) -> Vec<Option<f64>> {
        self.each_window(parts, |queue, window| match how.op {
            RangeOp::QuantileOverTime => how.quantile(&parts[queue.low..queue.high]),
            _ => queue.total().map(|acc| how.value(&acc, window)),
        })
    }

    /// What is known of every window, without finishing it.
    pub fn accumulate(&self, parts: &[(u32, Acc)]) -> Vec<Option<Acc>> {
        self.each_window(parts, |queue, _| queue.total())
    }

    fn each_window<T>(
        &self,
        parts: &[(u32, Acc)],
        mut each: impl FnMut(&Queue<'_>, (i64, i64)) -> T,
    ) -> Vec<T> {
        let mut queue = Queue { parts, low: 0, middle: 0, high: 0, front: Vec::new(), back: None };
        self.windows
            .iter()
            .map(|(from, to)| {
                while parts.get(queue.high).is_some_and(|(p, _)| p < to) {
                    queue.push();
                }
                while queue.low < queue.high && parts[queue.low].0 < *from {
                    queue.pop();
                }
                each(&queue, (self.edges[*from as usize], self.edges[*to as usize]))
            })
            .collect()
    }
}

/// What is known of some values, in order of time.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Acc {
    /// Kahan-compensated.
    Sum {
        n: f64,
        sum: f64,
        lost: f64,
    },
    /// Welford's: mean and squared distance from it.
    Spread {
        n: f64,
        mean: f64,
        m2: f64,
    },
    Min(f64),
    Max(f64),
    First(f64),
    Last(f64),
    Counter {
        n: f64,
        first: (i64, f64),
        last: (i64, f64),
        resets: f64,
    },
    All(Vec<f64>),
}

impl Acc {
    pub fn one(op: RangeOp, ts_ns: i64, v: f64) -> Self {
        use RangeOp::*;
        match op {
            CountOverTime | Rate | BytesOverTime | BytesRate | SumOverTime | AvgOverTime | AbsentOverTime => {
                Acc::Sum { n: 1.0, sum: v, lost: 0.0 }
            }
            StddevOverTime | StdvarOverTime => Acc::Spread { n: 1.0, mean: v, m2: 0.0 },
            MinOverTime => Acc::Min(v),
            MaxOverTime => Acc::Max(v),
            FirstOverTime => Acc::First(v),
            LastOverTime => Acc::Last(v),
            RateCounter => Acc::Counter { n: 1.0, first: (ts_ns, v), last: (ts_ns, v), resets: 0.0 },
            QuantileOverTime => Acc::All(vec![v]),
        }
    }

    /// Adds what comes later in time.
    pub fn merge(&mut self, later: &Acc) {
        match (self, later) {
            (Acc::Sum { n, sum, lost }, Acc::Sum { n: n2, sum: s2, lost: l2 }) => {
                *n += n2;
                let total = *sum + s2;
                // The part of the smaller one that the addition rounded away.
                if total.is_finite() {
                    *lost += if sum.abs() >= s2.abs() { (*sum - total) + s2 } else { (s2 - total) + *sum };
                    *lost += l2;
                }
                *sum = total;
            }
            (Acc::Spread { n, mean, m2 }, Acc::Spread { n: nb, mean: mb, m2: sb }) => {
                let (total, delta) = (*n + nb, mb - *mean);
                *mean += delta * nb / total;
                *m2 += sb + delta * delta * *n * nb / total;
                *n = total;
            }
            (Acc::Min(a), Acc::Min(b)) if *b < *a || a.is_nan() => *a = *b,
            (Acc::Max(a), Acc::Max(b)) if *b > *a || a.is_nan() => *a = *b,
            (Acc::Last(a), Acc::Last(b)) => *a = *b,
            (
                Acc::Counter { n, last, resets, .. },
                Acc::Counter { n: nb, first: fb, last: lb, resets: rb },
            ) => {
                if fb.1 < last.1 {
                    *resets += last.1;
                }
                *resets += rb;
                *n += nb;
                *last = *lb;
            }
            (Acc::All(a), Acc::All(b)) => a.extend_from_slice(b),
            // `First`, and an extreme that stays one, keep what they have; operations of one fold are the same.
            _ => {}
        }
    }
}

/// How an accumulator becomes a value.
pub(super) struct Finish {
    pub op: RangeOp,
    pub range_ns: i64,
    pub parameter: f64,
}

impl Finish {
    pub fn value(&self, acc: &Acc, window: (i64, i64)) -> f64 {
        use RangeOp::*;
        let seconds = self.range_ns as f64 / 1e9;
        match (acc, self.op) {
            (Acc::Sum { .. }, AbsentOverTime) => 1.0,
            (Acc::Sum { sum, lost, .. }, Rate | BytesRate) => (sum + lost) / seconds,
            (Acc::Sum { n, sum, lost }, AvgOverTime) => (sum + lost) / n,
            (Acc::Sum { sum, lost, .. }, _) => sum + lost,
            (Acc::Spread { n, m2, .. }, StddevOverTime) => (m2 / n).sqrt(),
            (Acc::Spread { n, m2, .. }, _) => m2 / n,
            (Acc::Min(v) | Acc::Max(v) | Acc::First(v) | Acc::Last(v), _) => *v,
            (Acc::Counter { n, first, last, resets }, _) => {
                counter_rate(*n, *first, *last, *resets, window) / seconds
            }
            (Acc::All(_), _) => f64::NAN,
        }
    }

    fn quantile(&self, parts: &[(u32, Acc)]) -> Option<f64> {
        let mut all: Vec<f64> = Vec::new();
        for (_, acc) in parts {
            if let Acc::All(v) = acc {
                all.extend_from_slice(v);
            }
        }
        if all.is_empty() {
            return None;
        }
        let q = self.parameter;
        if q.is_nan() || q < 0.0 {
            return Some(if q.is_nan() { f64::NAN } else { f64::NEG_INFINITY });
        }
        if q > 1.0 {
            return Some(f64::INFINITY);
        }
        all.sort_unstable_by(f64::total_cmp);
        let rank = q * (all.len() - 1) as f64;
        let low = rank.floor() as usize;
        let high = (low + 1).min(all.len() - 1);
        let weight = rank - rank.floor();
        Some(all[low] * (1.0 - weight) + all[high] * weight)
    }
}

/// The increase of a counter over a window, extrapolated to its ends as Prometheus' `rate` does; 0 where there
/// are fewer than two samples, as in Loki.
fn counter_rate(n: f64, first: (i64, f64), last: (i64, f64), resets: f64, window: (i64, i64)) -> f64 {
    if n < 2.0 || last.0 == first.0 {
        return 0.0;
    }
    let seconds = |from: i64, to: i64| to.saturating_sub(from) as f64 / 1e9;
    let increase = last.1 - first.1 + resets;
    let sampled = seconds(first.0, last.0);
    let average = sampled / (n - 1.0);
    let mut to_start = seconds(window.0, first.0);
    let to_end = seconds(last.0, window.1);
    if increase > 0.0 && first.1 >= 0.0 {
        // A counter was never below zero, so it cannot have begun before it would have been there.
        to_start = to_start.min(sampled * (first.1 / increase));
    }
    let threshold = average * 1.1;
    let reach = |d: f64| if d < threshold { d } else { average / 2.0 };
    increase * (sampled + reach(to_start) + reach(to_end)) / sampled
}

/// A sliding run `parts[low..high]` whose total is always at hand.
struct Queue<'a> {
    parts: &'a [(u32, Acc)],
    low: usize,
    /// `front` covers `low..middle`, its last element all of it; `back` covers `middle..high`.
    middle: usize,
    high: usize,
    front: Vec<Acc>,
    back: Option<Acc>,
}

impl Queue<'_> {
    fn push(&mut self) {
        let next = &self.parts[self.high].1;
        self.high += 1;
        // Values kept one by one are merged by who needs them.
        if let Acc::All(_) = next {
            return;
        }
        match &mut self.back {
            Some(b) => b.merge(next),
            None => self.back = Some(next.clone()),
        }
    }

    fn pop(&mut self) {
        if matches!(self.parts[self.low].1, Acc::All(_)) {
            self.low += 1;
            return;
        }
        if self.low == self.middle {
            self.back = None;
            self.middle = self.high;
            self.front.clear();
            for (_, acc) in self.parts[self.low..self.high].iter().rev() {
                let mut total = acc.clone();
                if let Some(after) = self.front.last() {
                    total.merge(after);
                }
                self.front.push(total);
            }
        }
        self.front.pop();
        self.low += 1;
    }

    fn total(&self) -> Option<Acc> {
        match (self.front.last(), &self.back) {
            (Some(f), Some(b)) => {
                let mut total = f.clone();
                total.merge(b);
                Some(total)
            }
            (f, b) => f.cloned().or_else(|| b.clone()),
        }
    }
}

#[cfg(test)]
mod tests;
