//! What differs between two answers to the same question.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use super::ask::{Answer, Point, Points};

/// Differences listed per question; the rest is counted.
const LISTED: usize = 20;

/// How far apart two values may lie and still be the same.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Tolerance {
    /// As a share of the larger of both.
    pub relative: f64,
    /// And beside that, for values around nothing.
    pub absolute: f64,
}

impl Default for Tolerance {
    fn default() -> Self {
        Tolerance { relative: 1e-9, absolute: 1e-12 }
    }
}

impl Tolerance {
    fn same(&self, a: f64, b: f64) -> bool {
        if a == b || a.is_nan() && b.is_nan() {
            return true;
        }
        let apart = (a - b).abs();
        apart.is_finite() && apart <= (a.abs().max(b.abs()) * self.relative).max(self.absolute)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Difference {
    /// One side answers and the other refuses, or they refuse for different reasons.
    Answer {
        a: String,
        b: String,
    },
    ResultType {
        a: String,
        b: String,
    },
    MissingInA {
        series: String,
    },
    MissingInB {
        series: String,
    },
    /// A step at which only one side has a value.
    PointMissingInA {
        series: String,
        at_ms: i64,
        b: String,
    },
    PointMissingInB {
        series: String,
        at_ms: i64,
        a: String,
    },
    Value {
        series: String,
        at_ms: i64,
        a: String,
        b: String,
    },
    /// Only one side warns, or they warn of different things.
    Warnings {
        a: Vec<String>,
        b: Vec<String>,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::Answer { a, b } => write!(f, "A answers {a}; B answers {b}"),
            Difference::ResultType { a, b } => write!(f, "A answers a {a}, B a {b}"),
            Difference::MissingInA { series } => write!(f, "missing in A: {series}"),
            Difference::MissingInB { series } => write!(f, "missing in B: {series}"),
            Difference::PointMissingInA { series, at_ms, b } => {
                write!(f, "missing in A: {series} at {at_ms} ms, B has {b}")
            }
            Difference::PointMissingInB { series, at_ms, a } => {
                write!(f, "missing in B: {series} at {at_ms} ms, A has {a}")
            }
            Difference::Value { series, at_ms, a, b } => {
                write!(f, "{series} at {at_ms} ms: A has {a}, B has {b}")
            }
            Difference::Warnings { a, b } => write!(f, "warnings of A {a:?}, of B {b:?}"),
        }
    }
}

/// The first differences, and how many there are.
#[derive(Debug, Clone, Default)]
pub(super) struct Found {
    pub(super) first: Vec<Difference>,
    pub(super) count: usize,
}

impl Found {
    pub(super) fn one(d: Difference) -> Self {
        Found { first: vec![d], count: 1 }
    }

    fn add(&mut self, make: impl FnOnce() -> Difference) {
        self.count += 1;
        if self.first.len() < LISTED {
            self.first.push(make());
        }
    }
}

type Series = BTreeMap<BTreeMap<String, String>, Points>;

pub(super) fn answers(a: &Answer, b: &Answer, tolerance: &Tolerance, ignore: &[String]) -> Found {
    let mut found = Found::default();
    if a.kind != b.kind {
        found.add(|| Difference::ResultType { a: a.kind.clone(), b: b.kind.clone() });
        return found;
    }
    let (x, y) = (without(&a.series, ignore), without(&b.series, ignore));
    for (labels, points) in &x {
        match y.get(labels) {
            None => found.add(|| Difference::MissingInB { series: shown(labels) }),
            Some(others) => compare_points(labels, points, others, tolerance, &mut found),
        }
    }
    for labels in y.keys().filter(|l| !x.contains_key(*l)) {
        found.add(|| Difference::MissingInA { series: shown(labels) });
    }
    let warned = |w: &[String]| {
        let mut w: Vec<String> = w.iter().map(|w| unplaced(w)).collect();
        w.sort();
        w.dedup();
        w
    };
    if warned(&a.warnings) != warned(&b.warnings) {
        found.add(|| Difference::Warnings { a: a.warnings.clone(), b: b.warnings.clone() });
    }
    found
}

/// A warning without the position in brackets that newer servers add.
fn unplaced(w: &str) -> String {
    match w.rfind(" (") {
        Some(at) if w.ends_with(')') && w.get(at..).is_some_and(|t| t.contains(':')) => {
            w.get(..at).unwrap_or(w).to_owned()
        }
        _ => w.to_owned(),
    }
}

fn without(series: &Series, ignore: &[String]) -> Series {
    series
        .iter()
        .map(|(l, p)| {
            let kept = l.iter().filter(|(n, _)| !ignore.contains(n)).map(|(n, v)| (n.clone(), v.clone()));
            (kept.collect(), p.clone())
        })
        .collect()
}

fn compare_points(
    labels: &BTreeMap<String, String>,
    a: &Points,
    b: &Points,
    tolerance: &Tolerance,
    found: &mut Found,
) {
    for (at_ms, x) in a {
        match b.get(at_ms) {
            None => {
                found.add(|| Difference::PointMissingInB {
                    series: shown(labels),
                    at_ms: *at_ms,
                    a: value(x),
                });
            }
            Some(y) if !same(x, y, tolerance) => {
                let (a, b) = (value(x), value(y));
                found.add(|| Difference::Value { series: shown(labels), at_ms: *at_ms, a, b });
            }
            Some(_) => {}
        }
    }
    for (at_ms, y) in b.iter().filter(|(t, _)| !a.contains_key(*t)) {
        found.add(|| Difference::PointMissingInA { series: shown(labels), at_ms: *at_ms, b: value(y) });
    }
}

fn same(a: &Point, b: &Point, tolerance: &Tolerance) -> bool {
    match (a, b) {
        (Point::Float(x), Point::Float(y)) => tolerance.same(*x, *y),
        (Point::Text(x), Point::Text(y)) => x == y,
        (
            Point::Histogram { count, sum, buckets },
            Point::Histogram { count: count_b, sum: sum_b, buckets: buckets_b },
        ) => {
            tolerance.same(*count, *count_b)
                && tolerance.same(*sum, *sum_b)
                && buckets.len() == buckets_b.len()
                && buckets.iter().zip(buckets_b).all(|((rule, x), (rule_b, y))| {
                    rule == rule_b && x.iter().zip(y).all(|(x, y)| tolerance.same(*x, *y))
                })
        }
        _ => false,
    }
}

fn value(p: &Point) -> String {
    match p {
        Point::Float(v) => v.to_string(),
        Point::Text(t) => format!("{t:?}"),
        Point::Histogram { count, sum, buckets } => {
            format!("{{count {count}, sum {sum}, {} buckets}}", buckets.len())
        }
    }
}

fn shown(labels: &BTreeMap<String, String>) -> String {
    let name = labels.get("__name__").map_or("", String::as_str);
    let rest: Vec<String> =
        labels.iter().filter(|(n, _)| *n != "__name__").map(|(n, v)| format!("{n}={v:?}")).collect();
    format!("{name}{{{}}}", rest.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(series: &[(&str, &[(i64, f64)])]) -> Answer {
        Answer {
            kind: "matrix".to_owned(),
            series: series
                .iter()
                .map(|(l, p)| {
                    let labels = BTreeMap::from([("l".to_owned(), (*l).to_owned())]);
                    (labels, p.iter().map(|(t, v)| (*t, Point::Float(*v))).collect())
                })
                .collect(),
            warnings: Vec::new(),
        }
    }

    #[test]
    fn values_are_the_same_within_the_tolerance_and_nan_is_nan() {
        let t = Tolerance { relative: 1e-6, absolute: 0.0 };
        assert!(
            t.same(1.0, 1.0 + 1e-7) && t.same(f64::NAN, f64::NAN) && t.same(f64::INFINITY, f64::INFINITY)
        );
        assert!(!t.same(1.0, 1.0 + 1e-5) && !t.same(f64::NAN, 1.0) && !t.same(f64::INFINITY, 1e308));
    }

    #[test]
    fn every_kind_of_difference_is_found() {
        let a = answer(&[("x", &[(0, 1.0), (1, 2.0)]), ("only a", &[(0, 1.0)])]);
        let mut b = answer(&[("x", &[(0, 1.5), (2, 2.0)]), ("only b", &[(0, 1.0)])]);
        b.warnings.push("PromQL info: metric might not be a counter (1:6)".to_owned());
        let found = answers(&a, &b, &Tolerance::default(), &[]);
        assert_eq!(found.count, 6, "{:#?}", found.first);
        b.warnings.clear();
        assert_eq!(answers(&b, &b, &Tolerance::default(), &[]).count, 0);
        let mut c = a.clone();
        c.kind = "vector".to_owned();
        assert!(matches!(
            answers(&a, &c, &Tolerance::default(), &[]).first[0],
            Difference::ResultType { .. }
        ));
    }

    #[test]
    fn ignored_labels_and_places_in_warnings_make_no_difference() {
        let (mut a, mut b) = (answer(&[("x", &[(0, 1.0)])]), answer(&[("y", &[(0, 1.0)])]));
        a.warnings.push("w (1:2)".to_owned());
        b.warnings.push("w".to_owned());
        assert_eq!(answers(&a, &b, &Tolerance::default(), &["l".to_owned()]).count, 0);
    }
}
