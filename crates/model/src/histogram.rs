//! Native histograms with exponential (schema -4 to 8) or custom (schema -53) buckets, as Prometheus defines
//! them (`prometheus.io/docs/specs/native_histograms`). Buckets are sparse: spans say which bucket indexes
//! are populated, the bucket arrays hold absolute counts in that order.

/// Schema number that marks custom bucket boundaries.
pub const CUSTOM_BUCKETS_SCHEMA: i8 = -53;

/// What the producer said about resets, to be trusted only where stated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ResetHint {
    #[default]
    Unknown,
    Reset,
    NotReset,
    Gauge,
}

/// A run of `length` populated buckets that begins `offset` after the end of the previous run (for the first
/// run: at bucket index `offset`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BucketSpan {
    pub offset: i32,
    pub length: u32,
}

#[derive(Debug, Clone, Default)]
pub struct Histogram {
    pub reset_hint: ResetHint,
    pub schema: i8,
    pub zero_threshold: f64,
    pub zero_count: f64,
    pub count: f64,
    pub sum: f64,
    pub positive_spans: Vec<BucketSpan>,
    pub positive_buckets: Vec<f64>,
    pub negative_spans: Vec<BucketSpan>,
    pub negative_buckets: Vec<f64>,
    /// Upper bounds, ascending, only for schema -53.
    pub custom_values: Vec<f64>,
    /// Whether the producer counted in integers. Values are held as floats either way (exact below 2^53).
    pub is_integer: bool,
}

impl Histogram {
    pub fn uses_custom_buckets(&self) -> bool {
        self.schema == CUSTOM_BUCKETS_SCHEMA
    }

    /// Whether this sample ends its series (its sum is the stale marker).
    pub fn is_stale(&self) -> bool {
        crate::metric::is_stale_marker(self.sum)
    }

    /// Checks what must hold before a histogram is accepted: known schema, spans that agree with the bucket
    /// arrays, ascending custom bounds, no negative counts. The error names the part.
    pub fn validate(&self) -> Result<(), String> {
        if !(-4..=8).contains(&self.schema) && !self.uses_custom_buckets() {
            return Err(format!("schema {} is not supported", self.schema));
        }
        for (side, spans, buckets) in [
            ("positive", &self.positive_spans, &self.positive_buckets),
            ("negative", &self.negative_spans, &self.negative_buckets),
        ] {
            let spanned: u64 = spans.iter().map(|s| u64::from(s.length)).sum();
            if spanned != buckets.len() as u64 {
                return Err(format!("{side} spans cover {spanned} buckets but {} are given", buckets.len()));
            }
            if spans.iter().skip(1).any(|s| s.offset < 0) {
                return Err(format!("{side} span with a negative offset"));
            }
            if buckets.iter().any(|b| *b < 0.0) {
                return Err(format!("{side} bucket with a negative count"));
            }
        }
        if self.uses_custom_buckets() {
            if self.custom_values.windows(2).any(|w| w[0] >= w[1]) {
                return Err("custom bounds must ascend".to_owned());
            }
            if !self.negative_buckets.is_empty() || self.zero_count != 0.0 {
                return Err("custom buckets allow no negative buckets and no zero bucket".to_owned());
            }
        }
        if self.zero_count < 0.0 || self.count < 0.0 {
            return Err("negative count".to_owned());
        }
        Ok(())
    }

    /// Rough bytes held, for memory accounting.
    pub fn heap_bytes(&self) -> usize {
        8 * (self.positive_spans.len()
            + self.negative_spans.len()
            + self.positive_buckets.len()
            + self.negative_buckets.len()
            + self.custom_values.len())
            + std::mem::size_of::<Self>()
    }
}

impl PartialEq for Histogram {
    /// Bit equality of floats, so that a stale marker equals itself.
    fn eq(&self, o: &Self) -> bool {
        let bits = |a: &[f64], b: &[f64]| {
            a.len() == b.len() && a.iter().zip(b).all(|(x, y)| x.to_bits() == y.to_bits())
        };
        self.reset_hint == o.reset_hint
            && self.schema == o.schema
            && self.is_integer == o.is_integer
            && bits(
                &[self.zero_threshold, self.zero_count, self.count, self.sum],
                &[o.zero_threshold, o.zero_count, o.count, o.sum],
            )
            && self.positive_spans == o.positive_spans
            && self.negative_spans == o.negative_spans
            && bits(&self.positive_buckets, &o.positive_buckets)
            && bits(&self.negative_buckets, &o.negative_buckets)
            && bits(&self.custom_values, &o.custom_values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_must_agree_with_buckets() {
        let mut h = Histogram {
            positive_spans: vec![BucketSpan { offset: 0, length: 2 }],
            positive_buckets: vec![1.0, 2.0],
            count: 3.0,
            ..Default::default()
        };
        assert_eq!(h.validate(), Ok(()));
        h.positive_buckets.pop();
        assert!(h.validate().unwrap_err().contains("positive spans cover 2"));
        h.schema = 9;
        assert!(h.validate().unwrap_err().contains("schema 9"));
    }
}
