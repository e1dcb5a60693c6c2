//! Numbers summarised: percentiles and distinct counts in bounded memory.

use std::collections::{BTreeMap, HashSet};

/// Percentiles: exact for few values, then within 1 % of the value.
#[derive(Debug, Default)]
pub(super) struct Percentiles {
    few: Vec<f64>,
    /// By the logarithm of the size, of numbers above and below zero.
    above: BTreeMap<i32, u64>,
    below: BTreeMap<i32, u64>,
    zeros: u64,
    count: u64,
    min: f64,
    max: f64,
}

/// So many values are kept as they are.
const FEW: usize = 4096;
/// Bins grow by this factor; a value is at most half of it, in per cent, away from its bin's middle.
const GROWTH: f64 = 1.02;

impl Percentiles {
    pub(super) fn add(&mut self, v: f64) {
        if !v.is_finite() {
            return;
        }
        (self.min, self.max) = if self.count == 0 { (v, v) } else { (self.min.min(v), self.max.max(v)) };
        self.count += 1;
        if self.count as usize <= FEW {
            self.few.push(v);
            return;
        }
        for v in std::mem::take(&mut self.few) {
            self.bin(v);
        }
        self.bin(v);
    }

    fn bin(&mut self, v: f64) {
        // Everything smaller than this is nothing; it bounds the number of bins.
        if v.abs() < 1e-12 {
            self.zeros += 1;
            return;
        }
        let bin = (v.abs().ln() / GROWTH.ln()).floor() as i32;
        let side = if v > 0.0 { &mut self.above } else { &mut self.below };
        *side.entry(bin).or_default() += 1;
    }

    /// The value below which `percent` of all lie.
    pub(super) fn at(&mut self, percent: f64) -> Option<f64> {
        let rank = (percent / 100.0).clamp(0.0, 1.0) * self.count.saturating_sub(1) as f64;
        if !self.few.is_empty() {
            self.few.sort_unstable_by(f64::total_cmp);
            let low = *self.few.get(rank.floor() as usize)?;
            let high = *self.few.get(rank.ceil() as usize)?;
            return Some(low + (high - low) * rank.fract());
        }
        let middle = |bin: i32| GROWTH.powi(bin) * (1.0 + GROWTH) / 2.0;
        let below = self.below.iter().rev().map(|(b, n)| (-middle(*b), *n));
        let above = self.above.iter().map(|(b, n)| (middle(*b), *n));
        let mut seen = 0;
        for (value, n) in below.chain([(0.0, self.zeros)]).chain(above) {
            seen += n;
            if seen as f64 > rank {
                return Some(value.clamp(self.min, self.max));
            }
        }
        (self.count > 0).then_some(self.max)
    }
}

/// Distinct values: exact for few, then within about 1 %.
#[derive(Debug, Default)]
pub(super) struct Distinct {
    few: HashSet<u64>,
    /// The longest run of zeros seen per register, where there are many.
    registers: Vec<u8>,
}

/// So many hashes are kept as they are.
const EXACT: usize = 8192;
const BITS: u32 = 14;

impl Distinct {
    pub(super) fn add(&mut self, hash: u64) {
        if self.registers.is_empty() {
            self.few.insert(hash);
            if self.few.len() <= EXACT {
                return;
            }
            self.registers = vec![0; 1 << BITS];
            for hash in std::mem::take(&mut self.few) {
                self.register(hash);
            }
            return;
        }
        self.register(hash);
    }

    fn register(&mut self, hash: u64) {
        let run = (hash << BITS).leading_zeros().min(64 - BITS) as u8 + 1;
        if let Some(r) = self.registers.get_mut((hash >> (64 - BITS)) as usize) {
            *r = (*r).max(run);
        }
    }

    pub(super) fn count(&self) -> u64 {
        if self.registers.is_empty() {
            return self.few.len() as u64;
        }
        let m = self.registers.len() as f64;
        let sum: f64 = self.registers.iter().map(|r| 0.5f64.powi(i32::from(*r))).sum();
        let raw = 0.7213 / (1.0 + 1.079 / m) * m * m / sum;
        let empty = self.registers.iter().filter(|r| **r == 0).count();
        let linear = raw <= 2.5 * m && empty > 0;
        (if linear { m * (m / empty as f64).ln() } else { raw }).round() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_many_values_are_near_and_of_few_exact() {
        let mut p = Percentiles::default();
        (1..=5).for_each(|v| p.add(f64::from(v)));
        assert_eq!((p.at(0.0), p.at(50.0), p.at(100.0)), (Some(1.0), Some(3.0), Some(5.0)));
        assert_eq!(p.at(90.0), Some(4.6));
        let mut p = Percentiles::default();
        (-50_000..50_000).for_each(|v| p.add(f64::from(v)));
        for (percent, value) in [(1.0, -49_000.0), (75.0, 25_000.0), (99.0, 49_000.0)] {
            let got: f64 = p.at(percent).unwrap();
            assert!((got - value).abs() < 600.0, "{percent}: {got}");
        }
        assert_eq!(Percentiles::default().at(50.0), None);
    }

    #[test]
    fn distinct_values_are_counted_within_two_per_cent() {
        let mut d = Distinct::default();
        let hash = |i: u64| xxhash_rust::xxh3::xxh3_64(&i.to_le_bytes());
        (0..5000).for_each(|i| d.add(hash(i % 1000)));
        assert_eq!(d.count(), 1000);
        (0..200_000).for_each(|i| d.add(hash(i)));
        assert!((196_000..204_000).contains(&d.count()), "{}", d.count());
    }
}
