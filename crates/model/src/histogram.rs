//! Native histograms with exponential (schema -4 to 8) or custom (schema -53) buckets, as Prometheus defines
//! them (`prometheus.io/docs/specs/native_histograms`). Buckets are sparse: spans say which bucket indexes
//! are populated, the bucket arrays hold absolute counts in that order.

/// Schema number that marks custom bucket boundaries.
pub const CUSTOM_BUCKETS_SCHEMA: i8 = -53;
/// The coarsest exponential schema.
pub const MIN_SCHEMA: i8 = -4;
/// The finest exponential schema that is kept.
pub const MAX_SCHEMA: i8 = 8;
/// The finest schema that may be sent; what is finer than [`MAX_SCHEMA`] is merged.
pub const MAX_SENT_SCHEMA: i8 = 52;
/// A run of this many empty buckets is cheaper written out than as a new span.
const MAX_EMPTY_RUN: i64 = 2;

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
    /// arrays, ascending custom bounds that the spans fit, no negative counts, integer buckets that add up to
    /// the count. The error names the part.
    pub fn validate(&self) -> Result<(), String> {
        if !(MIN_SCHEMA..=MAX_SCHEMA).contains(&self.schema) && !self.uses_custom_buckets() {
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
            self.validate_custom()?;
        } else if !self.custom_values.is_empty() {
            return Err(format!("custom bounds in a histogram of schema {}", self.schema));
        }
        if self.zero_count < 0.0 || self.count < 0.0 {
            return Err("negative count".to_owned());
        }
        self.validate_count()
    }

    fn validate_custom(&self) -> Result<(), String> {
        if !self.custom_values.is_sorted_by(|a, b| a < b) || self.custom_values.iter().any(|b| b.is_nan()) {
            return Err("custom bounds must ascend".to_owned());
        }
        if self.custom_values.last() == Some(&f64::INFINITY) {
            return Err("the custom bound +Inf is implied and may not be given".to_owned());
        }
        if !self.negative_buckets.is_empty() || !self.negative_spans.is_empty() || self.zero_count != 0.0 {
            return Err("custom buckets allow no negative buckets and no zero bucket".to_owned());
        }
        if self.positive_spans.first().is_some_and(|s| s.offset < 0) {
            return Err("custom buckets begin at index 0".to_owned());
        }
        let spanned: u64 = self
            .positive_spans
            .iter()
            .map(|s| u64::from(s.offset.unsigned_abs()) + u64::from(s.length))
            .sum();
        if spanned > self.custom_values.len() as u64 + 1 {
            return Err(format!("{} custom bounds for {spanned} buckets", self.custom_values.len()));
        }
        Ok(())
    }

    /// Integer counts are exact; a sum of NaN means observations of NaN, which no bucket counts.
    fn validate_count(&self) -> Result<(), String> {
        if !self.is_integer {
            return Ok(());
        }
        let counted: f64 =
            self.zero_count + self.positive_buckets.iter().chain(&self.negative_buckets).sum::<f64>();
        let agrees = if self.sum.is_nan() { counted <= self.count } else { counted == self.count };
        if agrees { Ok(()) } else { Err(format!("the buckets count {counted}, the count is {}", self.count)) }
    }

    /// Merges neighbouring buckets until the schema is at most `schema`; without effect where it is already, or
    /// where buckets are custom. Bucket `i` of a schema lies in bucket `ceil(i / 2)` of the next coarser one.
    pub fn reduce_resolution(&mut self, schema: i8) {
        if self.uses_custom_buckets() || self.schema <= schema {
            return;
        }
        let shift = u32::from(self.schema.abs_diff(schema)).min(31);
        (self.positive_spans, self.positive_buckets) =
            coarser(&self.positive_spans, &self.positive_buckets, shift);
        (self.negative_spans, self.negative_buckets) =
            coarser(&self.negative_spans, &self.negative_buckets, shift);
        self.schema = schema;
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

/// Populated buckets by index. Spans that reach past the 32-bit index or past `values` end there.
pub fn buckets<'a>(spans: &'a [BucketSpan], values: &'a [f64]) -> impl Iterator<Item = (i64, f64)> + 'a {
    let mut next = 0i64;
    let mut values = values.iter();
    spans
        .iter()
        .flat_map(move |s| {
            let start = next + i64::from(s.offset);
            next = start + i64::from(s.length);
            start..next
        })
        .map_while(move |index| values.next().map(|v| (index, *v)))
}

/// Packs buckets of ascending index into spans; short runs of absent buckets are written out as zeros.
/// `None` where an index does not fit 32 bits.
pub fn pack(buckets: impl IntoIterator<Item = (i64, f64)>) -> Option<(Vec<BucketSpan>, Vec<f64>)> {
    let (mut spans, mut values) = (Vec::<BucketSpan>::new(), Vec::new());
    let mut next = 0i64;
    for (index, v) in buckets {
        i32::try_from(index).ok()?;
        let gap = index - next;
        match spans.last_mut() {
            Some(span) if (0..=MAX_EMPTY_RUN).contains(&gap) => {
                span.length += gap as u32 + 1;
                values.extend((0..gap).map(|_| 0.0));
            }
            _ => spans.push(BucketSpan { offset: i32::try_from(gap).ok()?, length: 1 }),
        }
        values.push(v);
        next = index + 1;
    }
    Some((spans, values))
}

/// The same buckets, `shift` resolutions coarser.
fn coarser(spans: &[BucketSpan], values: &[f64], shift: u32) -> (Vec<BucketSpan>, Vec<f64>) {
    let mut merged: Vec<(i64, f64)> = Vec::with_capacity(values.len());
    for (index, v) in buckets(spans, values) {
        let index = ((index - 1) >> shift) + 1;
        match merged.last_mut() {
            Some((last, sum)) if *last == index => *sum += v,
            _ => merged.push((index, v)),
        }
    }
    // Indexes only come closer to zero, so they fit where the finer ones did.
    pack(merged).unwrap_or_default()
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

    fn custom(bounds: &[f64], offset: i32, counts: &[f64]) -> Histogram {
        Histogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            custom_values: bounds.to_vec(),
            positive_spans: vec![BucketSpan { offset, length: counts.len() as u32 }],
            positive_buckets: counts.to_vec(),
            count: counts.iter().sum(),
            is_integer: true,
            ..Default::default()
        }
    }

    #[test]
    fn integer_buckets_must_add_up_to_the_count_unless_nan_was_observed() {
        let mut h = custom(&[1.0, 2.0], 0, &[1.0, 2.0, 3.0]);
        assert_eq!(h.validate(), Ok(()));
        h.count = 7.0;
        assert_eq!(h.validate().unwrap_err(), "the buckets count 6, the count is 7");
        h.sum = f64::NAN;
        assert_eq!(h.validate(), Ok(()));
        h.count = 5.0;
        assert!(h.validate().is_err());
        h.is_integer = false;
        assert_eq!(h.validate(), Ok(()));
    }

    #[test]
    fn custom_bounds_must_ascend_end_before_infinity_and_cover_the_spans() {
        for (bounds, offset, counts, part) in [
            (&[1.0, 1.0][..], 0, &[1.0][..], "ascend"),
            (&[f64::NAN], 0, &[1.0], "ascend"),
            (&[1.0, f64::INFINITY], 0, &[1.0], "+Inf"),
            (&[1.0], 0, &[1.0, 1.0, 1.0], "1 custom bounds for 3 buckets"),
            (&[1.0], 2, &[1.0], "1 custom bounds for 3 buckets"),
            (&[1.0], -1, &[1.0], "begin at index 0"),
        ] {
            let err = custom(bounds, offset, counts).validate().unwrap_err();
            assert!(err.contains(part), "{err}");
        }
    }

    #[test]
    fn reducing_the_resolution_merges_neighbours_and_keeps_the_count() {
        let mut h = Histogram {
            schema: 2,
            positive_spans: vec![BucketSpan { offset: -3, length: 4 }, BucketSpan { offset: 4, length: 2 }],
            positive_buckets: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
            count: 21.0,
            is_integer: true,
            ..Default::default()
        };
        h.reduce_resolution(1);
        // -3 -2 | -1 0 | 5 6 become -1, 0 and 3.
        assert_eq!(h.schema, 1);
        assert_eq!(
            buckets(&h.positive_spans, &h.positive_buckets).collect::<Vec<_>>(),
            [(-1, 3.0), (0, 7.0), (1, 0.0), (2, 0.0), (3, 11.0)]
        );
        assert_eq!(h.validate(), Ok(()));
        h.reduce_resolution(8);
        assert_eq!(h.schema, 1);
    }

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
