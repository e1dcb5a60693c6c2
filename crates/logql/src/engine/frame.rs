//! Series whose points lie on one grid of steps.

use model::Labels;

use super::{fold::Acc, pieces::Made};
use crate::{Error, Result};

/// The points in time a query is evaluated at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Grid {
    pub start_ns: i64,
    pub step_ns: i64,
    /// At least one.
    pub len: usize,
}

impl Grid {
    pub fn at_ns(&self, step: usize) -> i64 {
        self.start_ns.saturating_add(self.step_ns.saturating_mul(step as i64))
    }

    pub fn at_ms(&self, step: usize) -> i64 {
        self.at_ns(step).div_euclid(1_000_000)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Series {
    pub labels: Labels,
    /// One per step; `None` where there is no sample.
    pub values: Vec<Option<f64>>,
}

/// What a sub-expression evaluates to.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Operand {
    Scalar(f64),
    Series(Vec<Series>),
}

/// Bytes a series holds, for accounting.
pub(super) fn series_bytes(labels: &Labels, steps: usize) -> usize {
    labels.packed_len() + std::mem::size_of::<Series>() + steps * std::mem::size_of::<Option<f64>>()
}

/// The same of what is not finished.
pub(super) fn made_bytes(labels: &Labels, steps: usize) -> usize {
    labels.packed_len() + std::mem::size_of::<Made>() + steps * std::mem::size_of::<Option<Acc>>()
}

/// Refuses two series with the same labels that have a sample at the same step, and joins those that do not.
pub(super) fn distinct(mut all: Vec<Series>) -> Result<Vec<Series>> {
    all.sort_by(|a, b| a.labels.cmp(&b.labels));
    let mut out: Vec<Series> = Vec::with_capacity(all.len());
    for s in all {
        match out.last_mut() {
            Some(last) if last.labels == s.labels => {
                for (mine, other) in last.values.iter_mut().zip(s.values) {
                    match (&mine, other) {
                        (Some(_), Some(_)) => {
                            let message =
                                format!("vector cannot contain metrics with the same labelset: {}", s.labels);
                            return Err(Error::invalid(message));
                        }
                        (None, Some(v)) => *mine = Some(v),
                        (_, None) => {}
                    }
                }
            }
            _ => out.push(s),
        }
    }
    Ok(out)
}
