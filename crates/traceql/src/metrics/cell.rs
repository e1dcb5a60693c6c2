//! What is kept of the spans of one series, per step.

use crate::value::Value;

/// A measured value: what floats are summed of stays exact as long as it can.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Measure {
    Int(i64),
    /// Nanoseconds; shown as seconds.
    Duration(i64),
    Float(f64),
}

impl Measure {
    pub fn of(v: &Value<'_>) -> Option<Measure> {
        match v {
            Value::Int(i) => Some(Measure::Int(*i)),
            Value::Duration(d) => Some(Measure::Duration(*d)),
            Value::Float(f) if !f.is_nan() => Some(Measure::Float(*f)),
            _ => None,
        }
    }

    pub fn number(self) -> f64 {
        match self {
            Measure::Int(i) => i as f64,
            Measure::Duration(ns) => ns as f64 / 1e9,
            Measure::Float(f) => f,
        }
    }

    /// The power of two that is the least at or above it, in the unit it is shown in; 0 for 0. Negative numbers have
    /// none.
    pub fn bucket(self) -> Option<f64> {
        match self {
            Measure::Int(i) => whole_bucket(i),
            Measure::Duration(ns) => whole_bucket(ns).map(|b| b / 1e9),
            Measure::Float(f) if f > 0.0 && f.is_finite() => Some(f.log2().ceil().exp2()),
            Measure::Float(f) => (f == 0.0).then_some(0.0),
        }
    }
}

fn whole_bucket(v: i64) -> Option<f64> {
    match u64::try_from(v).ok()? {
        0 => Some(0.0),
        v => Some(v.next_power_of_two() as f64),
    }
}

/// A sum that does not depend on the order of what is whole, and hardly on that of floats (Neumaier).
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sum {
    count: u64,
    ints: i128,
    durations_ns: i128,
    float: f64,
    lost: f64,
}

impl Sum {
    pub fn add(&mut self, m: Measure) {
        self.count += 1;
        match m {
            Measure::Int(i) => self.ints += i128::from(i),
            Measure::Duration(ns) => self.durations_ns += i128::from(ns),
            Measure::Float(f) => {
                let sum = self.float + f;
                let (large, small) =
                    if self.float.abs() >= f.abs() { (self.float, f) } else { (f, self.float) };
                if sum.is_finite() {
                    self.lost += (large - sum) + small;
                }
                self.float = sum;
            }
        }
    }

    pub fn sum(&self) -> f64 {
        match self.count {
            0 => f64::NAN,
            _ => self.ints as f64 + self.durations_ns as f64 / 1e9 + (self.float + self.lost),
        }
    }

    pub fn avg(&self) -> f64 {
        self.sum() / self.count as f64
    }
}

/// One value per step.
#[derive(Debug, Clone)]
pub(super) enum Cells {
    Count(Vec<u64>),
    Min(Vec<f64>),
    Max(Vec<f64>),
    Sum(Vec<Sum>),
}

impl Cells {
    pub fn bytes(&self) -> u64 {
        (match self {
            Cells::Count(v) => v.len() * size_of::<u64>(),
            Cells::Min(v) | Cells::Max(v) => v.len() * size_of::<f64>(),
            Cells::Sum(v) => v.len() * size_of::<Sum>(),
        }) as u64
    }

    /// Counts a span, or takes what is measured of it.
    pub fn add(&mut self, step: usize, measure: Option<Measure>) {
        match (self, measure) {
            (Cells::Count(v), _) => v[step] += 1,
            (Cells::Min(v), Some(m)) => v[step] = v[step].min(m.number()),
            (Cells::Max(v), Some(m)) => v[step] = v[step].max(m.number()),
            (Cells::Sum(v), Some(m)) => v[step].add(m),
            (_, None) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_powers_of_two() {
        for (v, bucket) in [(0, 0.0), (1, 1.0), (2, 2.0), (3, 4.0), (1024, 1024.0), (1025, 2048.0)] {
            assert_eq!(Measure::Int(v).bucket(), Some(bucket), "{v}");
            assert_eq!(Measure::Float(v as f64).bucket(), Some(bucket), "{v}");
        }
        assert_eq!(Measure::Duration(1_000_000_000).bucket(), Some(1.073741824));
        assert_eq!(Measure::Float(0.3).bucket(), Some(0.5));
        assert_eq!((Measure::Int(-1).bucket(), Measure::Float(-0.5).bucket()), (None, None));
    }

    #[test]
    fn sums_do_not_depend_on_order() {
        let all = [Measure::Float(1e16), Measure::Float(1.0), Measure::Float(-1e16), Measure::Duration(1)];
        let sum = |order: &[usize]| {
            let mut s = Sum::default();
            order.iter().for_each(|i| s.add(all[*i]));
            s.sum()
        };
        assert_eq!(sum(&[0, 1, 2, 3]), 1.000000001);
        assert_eq!(sum(&[0, 1, 2, 3]), sum(&[2, 3, 1, 0]));
        assert!(Sum::default().sum().is_nan());
    }
}
