use proptest::prelude::*;

use super::*;
use crate::{
    Env, Meter, Notes, Value,
    window::{Arguments, apply},
};

const ALL: [WindowFunction; 17] = {
    use WindowFunction::*;
    [
        Rate, Increase, Delta, Irate, Idelta, Resets, Changes, Min, Max, Count, First, Last, Present,
        TsOfFirst, TsOfLast, Quantile, Sum,
    ]
};

/// The same by looking at each window by itself.
fn plainly(f: WindowFunction, s: &Samples, w: &Windows, q: f64) -> (Vec<Option<f64>>, Vec<usize>) {
    let (mut meter, mut notes) = (Meter::unlimited(), Notes::default());
    let mut env = Env { meter: &mut meter, notes: &mut notes, span: 0..0, delay_name_removal: false };
    let numbers = [q];
    let mut counts = Vec::new();
    let values = (0..w.grid.len())
        .map(|step| {
            let to = w.grid.at(step) - w.offset_ms;
            let window = s.between(to - w.range_ms, to);
            counts.push(window.values.len());
            let args = Arguments { numbers: &numbers, at_ms: w.grid.at(step), metric: "m" };
            match apply(f, &window, &args, &mut env).unwrap() {
                Some(Value::Float(v)) => Some(v),
                _ => None,
            }
        })
        .collect();
    (values, counts)
}

fn slid(f: WindowFunction, s: &Samples, w: &Windows, q: f64) -> (Vec<Option<f64>>, Vec<usize>) {
    let mut counts = vec![0; w.grid.len()];
    let column = slide(f, s, w, q, &mut |step, n| counts[step] = n);
    ((0..w.grid.len()).map(|i| column.float(i)).collect(), counts)
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        8 => (0u32..50).prop_map(f64::from),
        4 => -1e6..1e6,
        1 => Just(f64::NAN),
        1 => Just(0.0),
        1 => Just(f64::INFINITY),
        1 => -1e300..1e300,
    ]
}

fn series(value: impl Strategy<Value = f64>) -> impl Strategy<Value = Samples> {
    prop::collection::vec((1i64..40_000, value), 0..120).prop_map(|points| {
        let mut samples = Samples::default();
        let mut t = 0;
        for (gap, v) in points {
            t += gap;
            samples.timestamps_ms.push(t);
            samples.values.push(v);
        }
        samples
    })
}

fn windows() -> impl Strategy<Value = Windows> {
    (-100_000i64..600_000, 1i64..90_000, 1i64..60, 1i64..400_000, -50_000i64..50_000).prop_map(
        |(start, step, steps, range_ms, offset_ms)| {
            let grid = Grid::range(start, start + step * steps, step).unwrap();
            Windows { grid, offset_ms, range_ms }
        },
    )
}

proptest! {
    #[test]
    fn sliding_answers_bit_for_bit_what_each_window_does(
        s in series(value()),
        w in windows(),
        q in 0.0..=1.0f64,
        f in prop::sample::select(ALL.to_vec()),
    ) {
        prop_assume!(f != WindowFunction::Sum && can_slide(f, &s, Some(q)));
        let ((a, n), (b, m)) = (slid(f, &s, &w, q), plainly(f, &s, &w, q));
        prop_assert_eq!(n, m);
        // A zero's sign is lost where quantiles weigh it; everything else keeps its bits.
        let bits = |v: &Option<f64>| v.map(|v| if v.is_nan() { u64::MAX } else { (v + 0.0).to_bits() });
        prop_assert_eq!(a.iter().map(bits).collect::<Vec<_>>(), b.iter().map(bits).collect::<Vec<_>>());
    }

    #[test]
    fn sliding_sums_and_means_differ_by_no_more_than_the_last_digit(
        s in series(-1e9..1e9f64),
        w in windows(),
        mean in any::<bool>(),
    ) {
        let f = if mean { WindowFunction::Avg } else { WindowFunction::Sum };
        prop_assert!(can_slide(f, &s, None));
        let (a, b) = (slid(f, &s, &w, 0.0).0, plainly(f, &s, &w, 0.0).0);
        let size: f64 = s.values.iter().map(|v| v.abs()).fold(0.0, f64::max);
        for (x, y) in a.iter().zip(&b) {
            match (x, y) {
                // Beside the result itself, only what cancelled out inside the window bounds the error.
                (Some(x), Some(y)) => prop_assert!((x - y).abs() <= 1e-12 * y.abs() + 1e-25 * size, "{} {}", x, y),
                (x, y) => prop_assert_eq!(x, y),
            }
        }
    }

    #[test]
    fn sliding_sums_of_whole_numbers_are_exact(
        s in series((-1_000_000i32..1_000_000).prop_map(f64::from)),
        w in windows(),
    ) {
        let f = WindowFunction::Sum;
        prop_assert_eq!(slid(f, &s, &w, 0.0), plainly(f, &s, &w, 0.0));
    }
}

#[test]
fn sums_that_may_overflow_and_histograms_do_not_slide() {
    let mut s = Samples { timestamps_ms: vec![1, 2], values: vec![1e308, 1e308], ..Samples::default() };
    assert!(!can_slide(WindowFunction::Sum, &s, None));
    assert!(can_slide(WindowFunction::Max, &s, None));
    assert!(!can_slide(WindowFunction::Quantile, &s, Some(1.5)));
    assert!(!can_slide(WindowFunction::Deriv, &s, None));
    s.values[0] = f64::NAN;
    assert!(!can_slide(WindowFunction::Avg, &s, None));
}
