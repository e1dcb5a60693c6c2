//! Adding native histograms up.

use model::{
    Histogram,
    histogram::{buckets, pack},
};

/// Adds `delta` to `total`; `false` where they cannot be added, because their bounds are not of one kind. The result
/// has the coarser resolution and the wider zero bucket of the two.
pub(super) fn add(total: &mut Histogram, delta: &Histogram) -> bool {
    if total.uses_custom_buckets() != delta.uses_custom_buckets()
        || (total.uses_custom_buckets() && total.custom_values != delta.custom_values)
    {
        return false;
    }
    let schema = total.schema.min(delta.schema);
    total.reduce_resolution(schema);
    let reduced;
    let delta = if delta.schema == schema && delta.zero_threshold == total.zero_threshold {
        delta
    } else {
        let mut d = delta.clone();
        d.reduce_resolution(schema);
        widen(total, &mut d);
        reduced = d;
        &reduced
    };
    let (Some(positive), Some(negative)) = (
        pack(merged(
            buckets(&total.positive_spans, &total.positive_buckets),
            buckets(&delta.positive_spans, &delta.positive_buckets),
        )),
        pack(merged(
            buckets(&total.negative_spans, &total.negative_buckets),
            buckets(&delta.negative_spans, &delta.negative_buckets),
        )),
    ) else {
        return false;
    };
    (total.positive_spans, total.positive_buckets) = positive;
    (total.negative_spans, total.negative_buckets) = negative;
    total.zero_count += delta.zero_count;
    total.count += delta.count;
    total.sum += delta.sum;
    total.is_integer &= delta.is_integer;
    true
}

/// An empty histogram with the same bounds.
pub(super) fn nothing_like(h: &Histogram) -> Histogram {
    Histogram {
        schema: h.schema,
        zero_threshold: h.zero_threshold,
        custom_values: h.custom_values.clone(),
        is_integer: h.is_integer,
        ..Histogram::default()
    }
}

/// Gives both the wider of their zero buckets, widened to the edge of every populated bucket it would cut.
fn widen(a: &mut Histogram, b: &mut Histogram) {
    let mut threshold = a.zero_threshold.max(b.zero_threshold);
    loop {
        let wider = edge(a, threshold).max(edge(b, threshold));
        if wider <= threshold {
            break;
        }
        threshold = wider;
    }
    absorb(a, threshold);
    absorb(b, threshold);
}

/// The upper bound of an exponential bucket.
fn upper(schema: i8, index: i64) -> f64 {
    (index as f64 * 2f64.powi(-i32::from(schema))).exp2()
}

/// The upper bound of a populated bucket that `threshold` lies inside of, or `threshold`.
fn edge(h: &Histogram, threshold: f64) -> f64 {
    let cut = |index: i64| upper(h.schema, index - 1) < threshold && threshold < upper(h.schema, index);
    buckets(&h.positive_spans, &h.positive_buckets)
        .chain(buckets(&h.negative_spans, &h.negative_buckets))
        .filter(|(index, n)| *n > 0.0 && cut(*index))
        .map(|(index, _)| upper(h.schema, index))
        .fold(threshold, f64::max)
}

/// Moves the buckets that lie within `threshold` into the zero bucket.
fn absorb(h: &mut Histogram, threshold: f64) {
    if h.zero_threshold == threshold {
        return;
    }
    h.zero_threshold = threshold;
    let schema = h.schema;
    for (spans, values) in
        [(&mut h.positive_spans, &mut h.positive_buckets), (&mut h.negative_spans, &mut h.negative_buckets)]
    {
        let (inside, outside): (Vec<_>, Vec<_>) =
            buckets(spans, values).partition(|(index, _)| upper(schema, *index) <= threshold);
        h.zero_count += inside.iter().map(|(_, n)| n).sum::<f64>();
        // A part of what fitted fits.
        (*spans, *values) = pack(outside).unwrap_or_default();
    }
}

/// Two runs of buckets as one, those of one index added.
fn merged(
    a: impl Iterator<Item = (i64, f64)>,
    b: impl Iterator<Item = (i64, f64)>,
) -> impl Iterator<Item = (i64, f64)> {
    let (mut a, mut b) = (a.peekable(), b.peekable());
    std::iter::from_fn(move || match (a.peek().copied(), b.peek().copied()) {
        (Some((i, x)), Some((j, y))) if i == j => {
            a.next();
            b.next();
            Some((i, x + y))
        }
        (Some((i, _)), Some((j, _))) => {
            if i < j {
                a.next()
            } else {
                b.next()
            }
        }
        (Some(_), None) => a.next(),
        (None, _) => b.next(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn histogram(schema: i8, threshold: f64, zero: f64, counts: &[(i64, f64)]) -> Histogram {
        let (positive_spans, positive_buckets) = pack(counts.iter().copied()).unwrap();
        Histogram {
            schema,
            zero_threshold: threshold,
            zero_count: zero,
            count: zero + counts.iter().map(|(_, n)| n).sum::<f64>(),
            sum: 1.0,
            positive_spans,
            positive_buckets,
            is_integer: true,
            ..Histogram::default()
        }
    }

    fn populated(h: &Histogram) -> Vec<(i64, f64)> {
        buckets(&h.positive_spans, &h.positive_buckets).filter(|(_, n)| *n > 0.0).collect()
    }

    #[test]
    fn buckets_of_one_index_are_added_and_others_kept() {
        let mut total = histogram(2, 0.001, 1.0, &[(-5, 1.0), (0, 2.0), (9, 3.0)]);
        assert!(add(&mut total, &histogram(2, 0.001, 2.0, &[(-4, 1.0), (0, 4.0), (90, 1.0)])));
        assert_eq!(populated(&total), [(-5, 1.0), (-4, 1.0), (0, 6.0), (9, 3.0), (90, 1.0)]);
        assert_eq!((total.zero_count, total.count, total.sum), (3.0, 15.0, 2.0));
        assert_eq!(total.validate(), Ok(()));
    }

    #[test]
    fn the_coarser_resolution_and_the_wider_zero_bucket_win() {
        let mut total = histogram(1, 0.0, 0.0, &[(-4, 1.0), (0, 2.0), (3, 1.0)]);
        // Bucket -4 of schema 1 ends at 0.25; 0.2 lies inside of it, so all of it becomes zero.
        assert!(add(&mut total, &histogram(0, 0.2, 5.0, &[(0, 1.0), (2, 1.0)])));
        assert_eq!((total.schema, total.zero_threshold, total.zero_count), (0, 0.25, 6.0));
        assert_eq!(populated(&total), [(0, 3.0), (2, 2.0)]);
        assert_eq!(total.validate(), Ok(()));
    }

    #[test]
    fn other_custom_bounds_cannot_be_added() {
        let custom = |bounds: &[f64]| Histogram {
            schema: model::histogram::CUSTOM_BUCKETS_SCHEMA,
            custom_values: bounds.to_vec(),
            ..Histogram::default()
        };
        let mut total = custom(&[1.0, 2.0]);
        assert!(add(&mut total, &custom(&[1.0, 2.0])));
        assert!(!add(&mut total, &custom(&[1.0, 3.0])));
        assert!(!add(&mut total, &histogram(0, 0.0, 0.0, &[])));
    }

    fn any_histogram() -> impl Strategy<Value = Histogram> {
        let counts = proptest::collection::btree_map(-40..40i64, 1..9u32, 0..12);
        (counts, -2..5i8, 0..4usize, 0..5u32).prop_map(|(counts, schema, threshold, zero)| {
            let counts: Vec<_> = counts.into_iter().map(|(i, n)| (i, f64::from(n))).collect();
            histogram(schema, [0.0, 1e-128, 0.01, 0.7][threshold], f64::from(zero), &counts)
        })
    }

    proptest! {
        #[test]
        fn sums_are_valid_and_count_everything(list in proptest::collection::vec(any_histogram(), 1..6)) {
            let mut total = nothing_like(&list[0]);
            for h in &list {
                prop_assert!(add(&mut total, h));
            }
            prop_assert_eq!(total.count, list.iter().map(|h| h.count).sum::<f64>());
            prop_assert_eq!(total.validate(), Ok(()));
        }
    }
}
