//! Samples a query looks at, as Prometheus counts them: an instant selector one at each step, a window function
//! each window whole, however often a sample is in one.

use model::Histogram;

#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    pub total: u64,
    /// Empty unless asked for.
    pub per_step: Vec<u64>,
}

impl Tally {
    pub fn new(steps: Option<usize>) -> Self {
        Tally { total: 0, per_step: vec![0; steps.unwrap_or(0)] }
    }

    pub fn add(&mut self, step: usize, samples: u64) {
        self.total += samples;
        if let Some(n) = self.per_step.get_mut(step) {
            *n += samples;
        }
    }

    pub fn merge(&mut self, other: &Tally) {
        self.total += other.total;
        for (n, more) in self.per_step.iter_mut().zip(&other.per_step) {
            *n += more;
        }
    }

    /// The same for one that may have been counted over more steps than any here.
    pub fn join(&mut self, other: &Tally) {
        if self.per_step.len() < other.per_step.len() {
            self.per_step.resize(other.per_step.len(), 0);
        }
        self.merge(other);
    }

    /// Adds what one step came to, at each of `steps`.
    pub fn repeat(&mut self, one: &Tally, steps: usize) {
        for step in 0..steps {
            self.add(step, one.total);
        }
    }
}

/// A histogram counts as the floats that would take as much room beside their times.
pub(super) fn weight(h: &Histogram) -> u64 {
    /// What a histogram takes without its buckets, and the time beside it.
    const FIXED_BYTES: usize = 168 + 8;
    let spans = h.positive_spans.len() + h.negative_spans.len();
    let buckets = h.positive_buckets.len() + h.negative_buckets.len() + h.custom_values.len();
    ((FIXED_BYTES + 8 * (spans + buckets)) / 16) as u64
}
