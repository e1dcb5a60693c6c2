//! Makes native histograms coarser until they are within a job's limits. Merging two neighbouring buckets into
//! one halves the resolution and loses no count: bucket `i` of a schema is bucket `ceil(i / 2)` of the next
//! coarser one.

use model::{Histogram, histogram::BucketSpan};

use super::Histograms;

const FINEST: i8 = 8;
const COARSEST: i8 = -4;

/// What histograms of a job are brought to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Reduction {
    max_buckets: Option<usize>,
    max_schema: i8,
}

impl Reduction {
    pub(super) fn of(h: &Histograms) -> Self {
        Reduction {
            max_buckets: usize::try_from(h.bucket_limit).ok().filter(|n| *n > 0),
            max_schema: schema_of(h.min_bucket_factor),
        }
    }

    /// Brings a histogram within the limits; false where no resolution is coarse enough.
    pub(super) fn apply(&self, h: &mut Histogram) -> bool {
        let exponential = (COARSEST..=FINEST).contains(&h.schema);
        while exponential && h.schema > self.max_schema {
            coarser(h);
        }
        let Some(limit) = self.max_buckets else { return true };
        while h.positive_buckets.len() + h.negative_buckets.len() > limit {
            if !exponential || h.schema <= COARSEST {
                return false;
            }
            coarser(h);
        }
        true
    }
}

/// The finest schema whose buckets grow by at least `factor` each.
fn schema_of(factor: f64) -> i8 {
    if factor <= 1.0 || !factor.is_finite() {
        return FINEST;
    }
    (-factor.log2().log2()).floor().clamp(f64::from(COARSEST), f64::from(FINEST)) as i8
}

fn coarser(h: &mut Histogram) {
    (h.positive_spans, h.positive_buckets) = merge(&h.positive_spans, &h.positive_buckets);
    (h.negative_spans, h.negative_buckets) = merge(&h.negative_spans, &h.negative_buckets);
    h.schema -= 1;
}

fn merge(spans: &[BucketSpan], buckets: &[f64]) -> (Vec<BucketSpan>, Vec<f64>) {
    let (mut out_spans, mut out): (Vec<BucketSpan>, Vec<f64>) = (Vec::new(), Vec::new());
    // Index of the bucket that comes next, and the last index written.
    let (mut index, mut last) = (0i64, None::<i64>);
    let mut counts = buckets.iter();
    for span in spans {
        index += i64::from(span.offset);
        for _ in 0..span.length {
            let Some(count) = counts.next() else { return (out_spans, out) };
            let to = (index + 1).div_euclid(2);
            index += 1;
            match (last, out.last_mut(), out_spans.last_mut()) {
                (Some(l), Some(bucket), _) if l == to => *bucket += count,
                (Some(l), Some(_), Some(s)) if l + 1 == to => {
                    s.length += 1;
                    out.push(*count);
                }
                _ => {
                    let offset = to - last.map_or(0, |l| l + 1);
                    out_spans.push(BucketSpan { offset: offset as i32, length: 1 });
                    out.push(*count);
                }
            }
            last = Some(to);
        }
    }
    (out_spans, out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(schema: i8, spans: &[(i32, u32)], buckets: &[f64]) -> Histogram {
        Histogram {
            schema,
            positive_spans: spans
                .iter()
                .map(|(offset, length)| BucketSpan { offset: *offset, length: *length })
                .collect(),
            positive_buckets: buckets.to_vec(),
            count: buckets.iter().sum(),
            ..Default::default()
        }
    }

    #[test]
    fn neighbours_are_merged_until_the_limit_holds() {
        let limit = |bucket_limit| Reduction::of(&Histograms { bucket_limit, ..Default::default() });
        // Buckets -1, 0, 1, 2 and 5 become 0 (both), 1 (both) and 3.
        let mut h = histogram(3, &[(-1, 4), (2, 1)], &[1.0, 2.0, 3.0, 4.0, 5.0]);
        assert!(limit(3).apply(&mut h));
        assert_eq!(h.schema, 2);
        assert_eq!(h.positive_buckets, [3.0, 7.0, 5.0]);
        assert_eq!(
            h.positive_spans,
            [BucketSpan { offset: 0, length: 2 }, BucketSpan { offset: 1, length: 1 }]
        );
        assert_eq!(h.validate(), Ok(()));
        let mut custom = histogram(model::histogram::CUSTOM_BUCKETS_SCHEMA, &[(0, 3)], &[1.0, 2.0, 3.0]);
        assert!(!limit(2).apply(&mut custom));
        let mut far = histogram(-4, &[(0, 1), (50, 1)], &[1.0, 2.0]);
        assert!(!limit(1).apply(&mut far));
    }

    #[test]
    fn the_smallest_growth_chooses_the_schema() {
        for (factor, schema) in [(0.0, 8), (1.0, 8), (1.0001, 8), (1.1, 2), (2.0, 0), (4.0, -1), (1e300, -4)]
        {
            assert_eq!(schema_of(factor), schema, "{factor}");
        }
    }
}
