//! Latencies in buckets of 1.6 % width: 64 to each doubling, from a microsecond to five hours.

use std::time::Duration;

use serde::{Serialize, Serializer, ser::SerializeStruct};

const SUB_BITS: u32 = 6;
const SUB: u64 = 1 << SUB_BITS;
/// 2^34 µs are nearly five hours; longer ones count as that.
const MAX_BITS: u32 = 34;

/// A histogram of durations; merging is exact, percentiles are the upper end of their bucket.
#[derive(Debug, Clone, Default)]
pub struct Latencies {
    buckets: Vec<u64>,
    count: u64,
    sum_us: u128,
    max_us: u64,
}

fn bucket_of(us: u64) -> usize {
    let us = us.min((1 << MAX_BITS) - 1);
    if us < SUB {
        return us as usize;
    }
    let shift = us.ilog2() - SUB_BITS;
    (u64::from(shift) * SUB + (us >> shift)) as usize
}

/// The largest value that falls in a bucket.
fn upper_us(bucket: usize) -> u64 {
    let b = bucket as u64;
    if b < 2 * SUB {
        return b;
    }
    let shift = b / SUB - 1;
    ((b % SUB + SUB + 1) << shift) - 1
}

impl Latencies {
    pub fn record(&mut self, d: Duration) {
        let us = d.as_micros().min(u128::from(u64::MAX)) as u64;
        let at = bucket_of(us);
        if self.buckets.len() <= at {
            self.buckets.resize(at + 1, 0);
        }
        if let Some(n) = self.buckets.get_mut(at) {
            *n += 1;
        }
        self.count += 1;
        self.sum_us += u128::from(us);
        self.max_us = self.max_us.max(us);
    }

    pub fn merge(&mut self, other: &Latencies) {
        if self.buckets.len() < other.buckets.len() {
            self.buckets.resize(other.buckets.len(), 0);
        }
        for (a, b) in self.buckets.iter_mut().zip(&other.buckets) {
            *a += b;
        }
        self.count += other.count;
        self.sum_us += other.sum_us;
        self.max_us = self.max_us.max(other.max_us);
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    pub fn max(&self) -> Duration {
        Duration::from_micros(self.max_us)
    }

    pub fn mean(&self) -> Duration {
        Duration::from_micros((self.sum_us / u128::from(self.count.max(1))) as u64)
    }

    /// The value that `q` (0 to 1) of all durations do not exceed; zero when there are none.
    pub fn quantile(&self, q: f64) -> Duration {
        let rank = ((q.clamp(0.0, 1.0) * self.count as f64).ceil() as u64).max(1);
        let mut seen = 0;
        for (i, n) in self.buckets.iter().enumerate() {
            seen += n;
            if seen >= rank {
                return Duration::from_micros(upper_us(i).min(self.max_us));
            }
        }
        Duration::ZERO
    }

    /// `p50 1.2ms p90 …` for people.
    pub fn line(&self) -> String {
        let ms = |d: Duration| format!("{:.2}ms", d.as_secs_f64() * 1e3);
        let [p50, p90, p99] = [0.5, 0.9, 0.99].map(|q| ms(self.quantile(q)));
        format!("p50 {p50} p90 {p90} p99 {p99} max {}", ms(self.max()))
    }
}

impl Serialize for Latencies {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let ms = |d: Duration| d.as_secs_f64() * 1e3;
        let mut out = s.serialize_struct("Latencies", 6)?;
        out.serialize_field("count", &self.count)?;
        out.serialize_field("mean_ms", &ms(self.mean()))?;
        out.serialize_field("p50_ms", &ms(self.quantile(0.5)))?;
        out.serialize_field("p90_ms", &ms(self.quantile(0.9)))?;
        out.serialize_field("p99_ms", &ms(self.quantile(0.99)))?;
        out.serialize_field("max_ms", &ms(self.max()))?;
        out.end()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn quantiles_are_right_to_two_percent(mut us in proptest::collection::vec(0u64..10_000_000, 1..200), q in 0.0..1.0f64) {
            let mut l = Latencies::default();
            us.iter().for_each(|u| l.record(Duration::from_micros(*u)));
            us.sort_unstable();
            let rank = ((q * us.len() as f64).ceil() as usize).max(1);
            let exact = us[rank - 1] as f64;
            let got = l.quantile(q).as_micros() as f64;
            prop_assert!(got >= exact && got <= exact * 1.02 + 1.0, "{got} {exact}");
        }
    }

    #[test]
    fn buckets_join_without_gap_or_overlap() {
        for us in (0..5000).chain([1 << 20, (1 << 20) + 1, u64::MAX]) {
            let b = bucket_of(us);
            let us = us.min((1 << MAX_BITS) - 1);
            assert!(upper_us(b) >= us && (b == 0 || upper_us(b - 1) < us), "{us} {b}");
        }
    }
}
