use std::sync::Arc;

use contract::{SeriesData, SeriesRequest, fake::SeriesOnly};
use model::Labels;

use super::*;
use crate::{EngineOptions, Evaluating, Experimental, parse};

struct Nothing;

impl SeriesOnly for Nothing {
    fn find(&self, _: &SeriesRequest) -> Vec<SeriesData> {
        Vec::new()
    }
}

fn part(name: &str, labels: &[(&str, &str)]) -> Part {
    Part {
        name: name.to_owned(),
        sources: vec![(name.to_owned(), None)],
        labels: Labels::from_pairs(labels.iter().copied()),
        select: Arc::new(Evaluating::new(Arc::new(Nothing), EngineOptions::default())),
    }
}

fn clusters() -> Vec<Part> {
    vec![part("a", &[("cluster", "a"), ("region", "eu")]), part("b", &[("cluster", "b"), ("region", "eu")])]
}

/// What is pushed of a query over an hour, each as how and text.
fn pushed_to(parts: &[Part], q: &str, grid: Grid) -> Vec<(How, String)> {
    let options = EngineOptions { experimental: Experimental::all(), ..Default::default() };
    let expr = parse(q, &options.parser()).unwrap();
    let cx = Context {
        text: q,
        options: &options,
        lookback_ms: 300_000,
        max_steps: 1_000_000,
        step_ms: grid.step_ms,
        end_ms: grid.last_ms(),
    };
    let mut plan = Plan::new(expr, grid, &cx).unwrap();
    plan.divide(parts, false, &cx);
    plan.split.pushes.iter().map(|p| (p.how, p.text.clone())).collect()
}

fn pushed(q: &str) -> Vec<(How, String)> {
    pushed_to(&clusters(), q, Grid::range(3_600_000, 7_200_000, 300_000).unwrap())
}

fn at_once(q: &str) -> Vec<(How, String)> {
    pushed_to(&clusters(), q, Grid::instant(3_600_000))
}

fn one(how: How, text: &str) -> Vec<(How, String)> {
    vec![(how, text.to_owned())]
}

#[test]
fn aggregates_over_what_is_local_are_pushed_in_pieces() {
    for q in [
        "sum(rate(x[5m]))",
        "avg by (job) (x)",
        "min without (cluster) (x > 5)",
        "count(x * 2)",
        "stddev by (job) (max_over_time(rate(x[5m])[30m:1m]))",
        "sum by (le) (rate(x_bucket[5m] offset -5m))",
        "sum(x @ 1.500)",
        "sum(x / on (cluster, job) group_left () y)",
        "sum(x and ignoring (job) y)",
        "group(label_replace(x, \"job\", \"$1\", \"cluster\", \"(.*)\"))",
    ] {
        assert_eq!(pushed(q), one(How::Pieces, q), "{q}");
    }
    assert_eq!(
        pushed("histogram_quantile(0.9, sum by (le) (rate(x[5m])))"),
        one(How::Pieces, "sum by (le) (rate(x[5m]))")
    );
    assert_eq!(pushed("sum(x) / sum(y)").len(), 2);
    assert_eq!(pushed("sum(x) / (sum(x) + 1)"), one(How::Pieces, "sum(x)"));
}

#[test]
fn what_keeps_the_parts_apart_is_pushed_whole() {
    for q in [
        "sum by (cluster) (rate(x[5m]))",
        "quantile by (cluster) (0.9, x)",
        "count_values without (job) (\"v\", x)",
        "limitk by (cluster, job) (2, x)",
        "topk by (cluster) (2, x)",
        "sum by (cluster) (x) / on (cluster) sum by (cluster, job) (y) > 4",
        "limit_ratio(0.5, x)",
    ] {
        assert_eq!(pushed(q), one(How::Rows, q), "{q}");
    }
    // Nothing is known to be told apart by a label that both have with one value.
    assert_eq!(pushed("sum by (region) (x)"), one(How::Pieces, "sum by (region) (x)"));
}

#[test]
fn picks_are_made_among_one_more_of_each_part() {
    assert_eq!(at_once("topk(2, rate(x[5m]))"), one(How::Picks, "topk(3, rate(x[5m]))"));
    assert_eq!(pushed("bottomk by (job) (1, x)"), one(How::Picks, "bottomk by (job) (2, x)"));
    // In the answer groups stand in the order of all their series.
    assert_eq!(at_once("topk by (job) (2, x)"), []);
    assert_eq!(pushed("topk(scalar(y), x)"), []);
    assert_eq!(pushed("topk(3, sum by (job) (x))"), one(How::Pieces, "sum by (job) (x)"));
}

#[test]
fn what_needs_all_parts_at_once_stays() {
    for q in [
        "absent(x)",
        "absent_over_time(x[5m])",
        "scalar(x)",
        "sort(x)",
        "quantile(0.5, x)",
        "count_values(\"v\", x)",
        "limitk(2, sum by (job) (x))",
        "vector(1)",
        "hour()",
        "x + on (job) y",
        "x or vector(0)",
        "x unless on (job) y",
        "label_replace(x, \"cluster\", \"z\", \"\", \"\")",
        "sum(label_replace(x, \"cluster\", \"z\", \"\", \"\"))",
        "x + on (cluster) fill (0) y",
        "count_values by (cluster) (\"cluster\", x)",
        "x",
        "info(x)",
    ] {
        assert_eq!(pushed(q), [], "{q}");
    }
    assert_eq!(pushed("absent(sum(x))"), one(How::Pieces, "sum(x)"));
    assert_eq!(
        pushed("sum(x * on (job) group_left () sum by (job) (y))"),
        one(How::Pieces, "sum by (job) (y)")
    );
}

#[test]
fn rows_are_pushed_where_they_are_fewer_than_samples() {
    assert_eq!(at_once("rate(x[5m])"), one(How::Rows, "rate(x[5m])"));
    let dense = |q: &str, step| pushed_to(&clusters(), q, Grid::range(3_600_000, 7_200_000, step).unwrap());
    assert_eq!(dense("rate(x[5m])", 60_000), one(How::Rows, "rate(x[5m])"));
    assert_eq!(dense("rate(x[5m])", 15_000), []);
    assert_eq!(at_once("x > 5"), one(How::Rows, "x > 5"));
}

#[test]
fn a_pushed_text_depends_on_nothing_around_it() {
    assert_eq!(
        pushed("sum(max_over_time((x - start() + (2 - 5) ^ 2)[10m:] @ end()))"),
        one(How::Pieces, "sum(max_over_time((x - 3600 + 9)[10m:1m] @ 7200.000))")
    );
    assert_eq!(pushed("sum(x * (2 - 5) ^ y)"), one(How::Pieces, "sum(x * ((-3)) ^ y)"));
    assert_eq!(pushed("sum((2 - 5) ^ x)"), one(How::Pieces, "sum(((-3)) ^ x)"));
}

#[test]
fn only_parts_that_may_hold_something_are_asked() {
    let options = EngineOptions::default();
    let q = "sum(x{cluster=\"b\"}) + sum(y)";
    let grid = Grid::instant(3_600_000);
    let cx = Context {
        text: q,
        options: &options,
        lookback_ms: 300_000,
        max_steps: 1_000,
        step_ms: 0,
        end_ms: 3_600_000,
    };
    let mut plan = Plan::new(parse(q, &options.parser()).unwrap(), grid, &cx).unwrap();
    plan.divide(&clusters(), false, &cx);
    let asked: Vec<_> = plan.split.pushes.iter().map(|p| p.parts.clone()).collect();
    assert_eq!(asked, [vec![1], vec![0, 1]]);
    assert!(plan.fetches.is_empty(), "what is pushed is not read");
}

#[test]
fn several_labels_may_tell_apart_together() {
    let parts = vec![
        part("a", &[("cluster", "a"), ("zone", "1")]),
        part("b", &[("cluster", "a"), ("zone", "2")]),
        part("c", &[("cluster", "b"), ("zone", "2")]),
    ];
    let grid = Grid::instant(0);
    let how = |q| pushed_to(&parts, q, grid).first().map(|p| p.0);
    assert_eq!(how("sum by (cluster, zone) (x)"), Some(How::Rows));
    assert_eq!(how("sum by (cluster) (x)"), Some(How::Pieces));
    assert_eq!(how("sum by (zone) (x)"), Some(How::Pieces));
}
