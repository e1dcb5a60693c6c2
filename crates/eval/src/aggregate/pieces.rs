//! What an aggregate is made of, so that those over parts of the series can be put together to the one over all of
//! them.
//!
//! | operator | floats | histograms |
//! |---|---|---|
//! | `min`, `max`, `group`, `count` | `Whole` | |
//! | `sum` | `Sum`, `Compensation` | `Histograms`, `HistogramCompensation` |
//! | `avg` | `Sum` or `Mean`, `Compensation`, `Count` | the same or `HistogramMeans`, `HistogramCount` |
//! | `stddev`, `stdvar` | `Count`, `Mean`, `Spread` | |
//!
//! Where a part met floats and histograms at one step, or histograms that cannot be added, it says so instead of
//! leaving the step out: together with any other part there is no answer either.

use std::{collections::BTreeMap, sync::Arc};

use model::{Labels, histogram::ResetHint};

use super::{
    AggregateOp, HistogramAggregate,
    reduce::{Accumulator, Histograms, Simple},
};
use crate::{
    Column, Env,
    histogram::HistogramSum,
    math::{Kahan, Mean},
};

/// One piece; its number is how it is called outside of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Piece {
    /// A value that is complete, of an aggregate or of anything else.
    Whole = 0,
    /// The running sum of floats.
    Sum = 1,
    /// What [`Piece::Sum`] or [`Piece::Mean`] lost to rounding; nothing where that is nothing.
    Compensation = 2,
    /// How many floats.
    Count = 3,
    /// Their mean; of `avg` only where their sum would be infinite.
    Mean = 4,
    /// The sum of the squares of their distances from the mean.
    Spread = 5,
    /// The sum of histograms.
    Histograms = 6,
    /// Their mean, where their sum would be infinite.
    HistogramMeans = 7,
    /// How many histograms.
    HistogramCount = 8,
    /// There were histograms that cannot be added.
    Incompatible = 9,
    /// Hints of histograms that the one of their sum does not tell: 1 some counter was reset, 2 some was not.
    Hints = 10,
    /// What [`Piece::Histograms`] lost to rounding, number by number; nothing where that is nothing.
    HistogramCompensation = 11,
}

impl Piece {
    pub fn number(self) -> u8 {
        self as u8
    }

    pub fn from_number(number: u8) -> Option<Self> {
        use Piece::*;
        [
            Whole,
            Sum,
            Compensation,
            Count,
            Mean,
            Spread,
            Histograms,
            HistogramMeans,
            HistogramCount,
            Incompatible,
            Hints,
            HistogramCompensation,
        ]
        .into_iter()
        .find(|p| p.number() == number)
    }
}

/// All pieces of one group, each at most once.
#[derive(Debug, Clone, Default)]
pub struct Pieces {
    pub labels: Labels,
    pub drop_name: bool,
    pub columns: Vec<(Piece, Column)>,
}

impl Pieces {
    fn get(&self, piece: Piece) -> Option<&Column> {
        self.columns.iter().find(|(p, _)| *p == piece).map(|(_, c)| c)
    }

    /// Steps at which there is a float, and which.
    fn floats(&self, piece: Piece) -> impl Iterator<Item = (usize, f64)> + '_ {
        let column = self.get(piece);
        column.into_iter().flat_map(|c| c.steps().filter_map(|s| c.float(s).map(|v| (s, v))))
    }

    fn float(&self, piece: Piece, step: usize) -> Option<f64> {
        self.get(piece)?.float(step)
    }

    fn kahan(&self, step: usize, sum: f64) -> Kahan {
        Kahan { sum, c: self.float(Piece::Compensation, step).unwrap_or(0.0) }
    }
}

/// Columns as they come to be needed.
struct Columns {
    steps: usize,
    all: BTreeMap<Piece, Column>,
}

impl Columns {
    fn at(&mut self, piece: Piece) -> &mut Column {
        self.all.entry(piece).or_insert_with(|| Column::empty(self.steps))
    }

    fn kahan(&mut self, piece: Piece, step: usize, value: Kahan) {
        self.at(piece).set_float(step, value.sum);
        if value.c != 0.0 && value.sum.is_finite() {
            self.at(Piece::Compensation).set_float(step, value.c);
        }
    }
}

fn is_seen(seen: &[u64], step: usize) -> bool {
    seen.get(step / 64).is_some_and(|w| w >> (step % 64) & 1 == 1)
}

fn see(seen: &mut [u64], step: usize) {
    if let Some(w) = seen.get_mut(step / 64) {
        *w |= 1 << (step % 64);
    }
}

impl Accumulator {
    /// What it has come to, in pieces.
    pub(super) fn pieces(self, op: AggregateOp, steps: usize) -> Vec<(Piece, Column)> {
        let mut out = Columns { steps, all: BTreeMap::new() };
        match self {
            Accumulator::Sum { sums, seen, histograms } => {
                for (step, sum) in sums.iter().enumerate().filter(|(s, _)| is_seen(&seen, *s)) {
                    out.kahan(Piece::Sum, step, *sum);
                }
                histogram_pieces(histograms, &mut out);
            }
            Accumulator::Mean { means, seen, histograms } => {
                for (step, mean) in means.iter().enumerate().filter(|(s, _)| is_seen(&seen, *s)) {
                    let (value, count, is_mean) = mean.parts();
                    out.kahan(if is_mean { Piece::Mean } else { Piece::Sum }, step, value);
                    out.at(Piece::Count).set_float(step, count);
                }
                histogram_pieces(histograms, &mut out);
            }
            Accumulator::Simple(simple) if matches!(op, AggregateOp::Stddev | AggregateOp::Stdvar) => {
                let values = simple.count.iter().zip(&simple.mean).zip(&simple.value).enumerate();
                for (step, ((count, mean), spread)) in values.filter(|(_, ((n, _), _))| **n > 0.0) {
                    out.at(Piece::Count).set_float(step, *count);
                    out.at(Piece::Mean).set_float(step, *mean);
                    out.at(Piece::Spread).set_float(step, *spread);
                }
            }
            Accumulator::Simple(simple) => {
                out.all.insert(Piece::Whole, simple.finish(op));
            }
        }
        out.all.into_iter().filter(|(_, c)| !c.is_empty()).collect()
    }

    /// Adds what another has come to.
    pub(super) fn absorb(&mut self, op: AggregateOp, pieces: &Pieces, env: &mut Env<'_>) {
        match self {
            Accumulator::Sum { sums, seen, histograms } => {
                for (step, v) in pieces.floats(Piece::Sum) {
                    let (value, fresh) = (pieces.kahan(step, v), !is_seen(seen, step));
                    if let Some(sum) = sums.get_mut(step) {
                        if fresh {
                            *sum = value
                        } else {
                            sum.absorb(value)
                        }
                        see(seen, step);
                    }
                }
                absorb_histograms(pieces, false, histograms, env);
            }
            Accumulator::Mean { means, seen, histograms } => {
                for (piece, is_mean) in [(Piece::Sum, false), (Piece::Mean, true)] {
                    for (step, v) in pieces.floats(piece) {
                        let count = pieces.float(Piece::Count, step).filter(|n| *n > 0.0);
                        if let (Some(mean), Some(count)) = (means.get_mut(step), count) {
                            mean.absorb(Mean::from_parts(pieces.kahan(step, v), count, is_mean));
                            see(seen, step);
                        }
                    }
                }
                absorb_histograms(pieces, true, histograms, env);
            }
            Accumulator::Simple(simple) if matches!(op, AggregateOp::Stddev | AggregateOp::Stdvar) => {
                for (step, mean) in pieces.floats(Piece::Mean) {
                    let count = pieces.float(Piece::Count, step).filter(|n| *n > 0.0);
                    if let (Some(n), Some(spread)) = (count, pieces.float(Piece::Spread, step)) {
                        simple.absorb_spread(step, n, mean, spread);
                    }
                }
            }
            Accumulator::Simple(simple) => {
                if let Some(column) = pieces.get(Piece::Whole) {
                    simple.absorb_whole(op, column, env);
                }
            }
        }
    }
}

impl Simple {
    fn absorb_whole(&mut self, op: AggregateOp, column: &Column, env: &mut Env<'_>) {
        if op != AggregateOp::Count {
            return self.add(op, column, env);
        }
        for step in column.steps() {
            if let (Some(n), Some(v)) = (self.count.get_mut(step), column.float(step)) {
                *n += v;
            }
        }
    }

    /// Chan's way of joining two of Welford's.
    fn absorb_spread(&mut self, step: usize, n: f64, mean: f64, spread: f64) {
        let (Some(count), Some(own_mean), Some(own_spread)) =
            (self.count.get_mut(step), self.mean.get_mut(step), self.value.get_mut(step))
        else {
            return;
        };
        if *count == 0.0 {
            (*count, *own_mean, *own_spread) = (n, mean, spread);
            return;
        }
        let (all, delta) = (*count + n, mean - *own_mean);
        *own_spread += spread + delta * delta * (*count / all) * n;
        *own_mean += delta * (n / all);
        *count = all;
    }
}

fn histogram_pieces(histograms: Histograms, out: &mut Columns) {
    for (step, aggregate) in histograms {
        if let Some((reset, not_reset)) = aggregate.untold_hints() {
            let hints = f64::from(u8::from(reset)) + 2.0 * f64::from(u8::from(not_reset));
            out.at(Piece::Hints).set_float(step, hints);
        }
        let (sum, count, is_mean, incompatible) = aggregate.parts();
        if incompatible {
            out.at(Piece::Incompatible).set_float(step, 1.0);
        } else if let Some(sum) = sum {
            if is_mean {
                out.at(Piece::HistogramMeans).set_histogram(step, Arc::new(sum.finish()));
            } else {
                let (sum, lost) = sum.parts();
                out.at(Piece::Histograms).set_histogram(step, Arc::new(sum));
                if let Some(lost) = lost {
                    out.at(Piece::HistogramCompensation).set_histogram(step, Arc::new(lost));
                }
            }
            if let Some(count) = count {
                out.at(Piece::HistogramCount).set_float(step, count);
            }
        }
    }
}

fn absorb_histograms(pieces: &Pieces, mean: bool, all: &mut Histograms, env: &mut Env<'_>) {
    let fresh = || HistogramAggregate::new(mean);
    for (piece, is_mean) in [(Piece::Histograms, false), (Piece::HistogramMeans, true)] {
        let Some(column) = pieces.get(piece) else { continue };
        for step in column.steps() {
            let count = pieces.float(Piece::HistogramCount, step).filter(|n| *n > 0.0);
            let (Some(h), true) = (column.histogram(step), !mean || count.is_some()) else { continue };
            let aggregate = all.entry(step).or_insert_with(fresh);
            aggregate.absorb(h, count.unwrap_or(1.0), is_mean, env);
            let lost = pieces.get(Piece::HistogramCompensation).and_then(|c| c.histogram(step));
            if let Some(lost) = lost.filter(|_| !is_mean) {
                aggregate.absorb_lost(lost);
            }
        }
    }
    for (step, _) in pieces.floats(Piece::Incompatible) {
        all.entry(step).or_insert_with(fresh).give_up();
    }
    for (step, hints) in pieces.floats(Piece::Hints) {
        all.entry(step).or_insert_with(fresh).hint(hints == 1.0 || hints == 3.0, hints >= 2.0);
    }
}

impl HistogramAggregate {
    /// Whether counters were seen that were reset, and such that were not, where the sum's own hint does not say it.
    fn untold_hints(&self) -> Option<(bool, bool)> {
        let told = self.sum.as_ref().map(HistogramSum::hint);
        let untold = self.reset_seen && told != Some(ResetHint::Reset)
            || self.not_reset_seen && told != Some(ResetHint::NotReset);
        untold.then_some((self.reset_seen, self.not_reset_seen))
    }

    /// Sum or mean, count where it is a mean's, whether it is a mean, whether there is none.
    fn parts(self) -> (Option<HistogramSum>, Option<f64>, bool, bool) {
        (self.sum, self.mean.then_some(self.count), self.incremental, self.incompatible)
    }

    fn give_up(&mut self) {
        self.incompatible = true;
    }

    fn hint(&mut self, reset: bool, not_reset: bool) {
        self.reset_seen |= reset;
        self.not_reset_seen |= not_reset;
    }
}

#[cfg(test)]
mod tests;
