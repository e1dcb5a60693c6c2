//! Sums and means of native histograms.

use model::{Histogram, histogram::ResetHint};

use crate::{
    Env,
    histogram::{Added, HistogramSum, IncompatibleSchemas},
};

/// Sum or mean of histograms with what is to be said about it; shared with `sum_over_time` and `avg_over_time`.
pub(crate) struct HistogramAggregate {
    pub(super) mean: bool,
    pub(super) sum: Option<HistogramSum>,
    pub(super) count: f64,
    /// The sum left the range of floats: means are averaged from then on.
    pub(super) incremental: bool,
    pub(super) incompatible: bool,
    pub(super) reset_seen: bool,
    pub(super) not_reset_seen: bool,
}

impl HistogramAggregate {
    pub(crate) fn new(mean: bool) -> Self {
        HistogramAggregate {
            mean,
            sum: None,
            count: 0.0,
            incremental: false,
            incompatible: false,
            reset_seen: false,
            not_reset_seen: false,
        }
    }

    pub(crate) fn add(&mut self, h: &Histogram, name: &str, env: &mut Env<'_>) {
        if self.incompatible {
            return;
        }
        self.reset_seen |= h.reset_hint == ResetHint::Reset;
        self.not_reset_seen |= h.reset_hint == ResetHint::NotReset;
        self.count += 1.0;
        let Some(sum) = &mut self.sum else {
            self.sum = Some(HistogramSum::new(h));
            return;
        };
        if !self.mean {
            let added = sum.add(h);
            return self.note_added(added, name, env);
        }
        let mut next = sum.clone();
        let mut added = if self.incremental {
            next.scale((self.count - 1.0) / self.count);
            next.add(&scaled(h, 1.0 / self.count))
        } else {
            next.add(h)
        };
        if !self.incremental && added.is_ok() && next.has_overflow() {
            self.incremental = true;
            next = sum.clone();
            next.scale(1.0 / (self.count - 1.0));
            next.scale((self.count - 1.0) / self.count);
            added = next.add(&scaled(h, 1.0 / self.count));
        }
        if added.is_ok() {
            *sum = next;
        }
        self.note_added(added, name, env);
    }

    /// Adds what another has come to: the sum of `count` histograms, or their mean.
    pub(super) fn absorb(&mut self, h: &Histogram, count: f64, is_mean: bool, env: &mut Env<'_>) {
        if self.incompatible {
            return;
        }
        self.reset_seen |= h.reset_hint == ResetHint::Reset;
        self.not_reset_seen |= h.reset_hint == ResetHint::NotReset;
        let (before, all) = (self.count, self.count + count);
        let Some(sum) = &mut self.sum else {
            (self.sum, self.count, self.incremental) = (Some(HistogramSum::new(h)), count, is_mean);
            return;
        };
        let mut next = sum.clone();
        let mut added = next.add(h);
        let sums = !self.incremental && !is_mean;
        if self.mean && added.is_ok() && (!sums || next.has_overflow()) {
            next = sum.clone();
            next.scale(if self.incremental { before / all } else { 1.0 / all });
            added = next.add(&scaled(h, if is_mean { count / all } else { 1.0 / all }));
            self.incremental = true;
        }
        self.count = all;
        if added.is_ok() {
            *sum = next;
        }
        self.note_added(added, "", env);
    }

    /// Adds what a sum that was absorbed had lost to rounding. Means are taken only of sums that no float can hold.
    pub(super) fn absorb_lost(&mut self, lost: &Histogram) {
        if self.incompatible || self.incremental {
            return;
        }
        if let Some(sum) = &mut self.sum {
            // In the layout of the one absorbed before, so it can be added, and nothing is to be said of it again.
            let _ = sum.add(lost);
        }
    }

    fn note_added(&mut self, added: Result<Added, IncompatibleSchemas>, name: &str, env: &mut Env<'_>) {
        match added {
            Ok(a) => {
                if a.reconciled {
                    env.notes.info(
                        &env.span,
                        "PromQL info: mismatched custom buckets were reconciled during aggregation",
                    );
                }
            }
            Err(_) => {
                self.incompatible = true;
                env.notes.warn(
                    &env.span,
                    format!(
                        "PromQL warning: vector contains a mix of histograms with exponential and custom buckets schemas for metric name {name:?}"
                    ),
                );
            }
        }
    }

    pub(crate) fn finish(self, env: &mut Env<'_>) -> Option<Histogram> {
        if self.incompatible {
            return None;
        }
        if self.reset_seen && self.not_reset_seen {
            env.notes
                .warn(&env.span, "PromQL warning: conflicting counter resets during histogram aggregation");
        }
        let mut sum = self.sum?;
        if self.mean && !self.incremental {
            sum.scale(1.0 / self.count);
        }
        Some(sum.finish())
    }
}

fn scaled(h: &Histogram, factor: f64) -> Histogram {
    let mut s = HistogramSum::new(h);
    s.scale(factor);
    s.finish()
}
