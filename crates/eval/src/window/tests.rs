use super::*;
use crate::{Meter, Notes};

fn samples(points: &[(i64, f64)]) -> Samples {
    Samples {
        timestamps_ms: points.iter().map(|p| p.0).collect(),
        values: points.iter().map(|p| p.1).collect(),
        ..Default::default()
    }
}

fn call(f: WindowFunction, s: &Samples, from: i64, to: i64, numbers: &[f64]) -> Option<f64> {
    let (mut meter, mut notes) = (Meter::unlimited(), Notes::default());
    let mut env = Env { meter: &mut meter, notes: &mut notes, span: 0..0, delay_name_removal: false };
    let args = Arguments { numbers, at_ms: to, metric: "m" };
    match apply(f, &s.between(from, to), &args, &mut env).unwrap() {
        Some(Value::Float(v)) => Some(v),
        _ => None,
    }
}

#[test]
fn a_range_is_open_on_the_left_and_closed_on_the_right() {
    let s = samples(&[(0, 1.0), (10, 2.0), (20, 3.0)]);
    let w = s.between(0, 20);
    assert_eq!(w.values, [2.0, 3.0]);
    assert!(s.between(20, 20).is_empty());
}

#[test]
fn rate_extrapolates_to_the_ends_of_the_range() {
    let s = samples(&[(10_000, 10.0), (20_000, 20.0), (30_000, 30.0)]);
    assert_eq!(call(WindowFunction::Increase, &s, 0, 30_000, &[]), Some(30.0));
    assert_eq!(call(WindowFunction::Rate, &s, 0, 30_000, &[]), Some(1.0));
    // Far from the start only half a distance is added.
    let late = samples(&[(70_000, 100.0), (80_000, 110.0), (90_000, 120.0)]);
    assert_eq!(call(WindowFunction::Increase, &late, 0, 90_000, &[]), Some(25.0));
    assert_eq!(call(WindowFunction::Rate, &samples(&[(1, 1.0)]), 0, 10, &[]), None);
}

#[test]
fn a_counter_that_falls_was_reset() {
    let s = samples(&[(0, 5.0), (10_000, 10.0), (20_000, 2.0), (30_000, 4.0)]);
    assert_eq!(call(WindowFunction::Resets, &s, -1, 30_000, &[]), Some(1.0));
    assert_eq!(call(WindowFunction::Changes, &s, -1, 30_000, &[]), Some(3.0));
    assert_eq!(call(WindowFunction::Irate, &s, -1, 20_000, &[]), Some(0.2));
    assert_eq!(call(WindowFunction::Idelta, &s, -1, 20_000, &[]), Some(-8.0));
}

#[test]
fn a_known_start_inside_the_range_counts_from_zero() {
    let s = Samples { starts_ms: vec![10_000], ..samples(&[(20_000, 5.0)]) };
    assert_eq!(call(WindowFunction::Increase, &s, 0, 20_000, &[]), Some(5.0));
}

#[test]
fn over_time_functions_look_at_all_samples_of_the_range() {
    let s = samples(&[(1, 2.0), (2, 4.0), (3, 9.0)]);
    let go = |f| call(f, &s, 0, 3, &[0.5]).unwrap();
    assert_eq!(go(WindowFunction::Sum), 15.0);
    assert_eq!(go(WindowFunction::Avg), 5.0);
    assert_eq!((go(WindowFunction::Min), go(WindowFunction::Max)), (2.0, 9.0));
    assert_eq!(go(WindowFunction::Count), 3.0);
    assert_eq!(go(WindowFunction::Quantile), 4.0);
    assert_eq!(go(WindowFunction::Mad), 2.0);
    assert_eq!((go(WindowFunction::First), go(WindowFunction::Last)), (2.0, 9.0));
    assert!((go(WindowFunction::Stdvar) - 26.0 / 3.0).abs() < 1e-12);
}

#[test]
fn lines_are_fitted_by_least_squares() {
    let s = samples(&[(0, 0.0), (10_000, 10.0), (20_000, 20.0)]);
    assert_eq!(call(WindowFunction::Deriv, &s, -1, 20_000, &[]), Some(1.0));
    assert_eq!(call(WindowFunction::PredictLinear, &s, -1, 20_000, &[100.0]), Some(120.0));
}

#[test]
fn an_anchored_increase_takes_the_sample_before_the_range() {
    let s = samples(&[(0, 1.0), (10, 3.0), (20, 7.0)]);
    let mut w = s.between(-100, 20);
    (w.from_ms, w.edges) = (5, Edges::Anchored);
    let (mut meter, mut notes) = (Meter::unlimited(), Notes::default());
    let mut env = Env { meter: &mut meter, notes: &mut notes, span: 0..0, delay_name_removal: false };
    let args = Arguments { numbers: &[], at_ms: 20, metric: "m" };
    let v = apply(WindowFunction::Increase, &w, &args, &mut env).unwrap();
    assert!(matches!(v, Some(Value::Float(6.0))), "{v:?}");
    (w.edges, w.to_ms) = (Edges::Smoothed, 15);
    let v = apply(WindowFunction::Increase, &w, &args, &mut env).unwrap();
    assert!(matches!(v, Some(Value::Float(3.0))), "{v:?}");
}
