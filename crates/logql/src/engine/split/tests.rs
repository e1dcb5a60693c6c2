use std::sync::Arc;

use contract::{Select, fake::Fake};
use model::Labels;

use super::*;
use crate::{EngineOptions, Evaluating, engine::plan::plan};

const SECOND: i64 = 1_000_000_000;
const EACH_MINUTE: Grid = Grid { start_ns: 3_600 * SECOND, step_ns: 60 * SECOND, len: 10 };

fn part(name: &str, labels: &[(&str, &str)], evaluates: bool) -> Part {
    let fake: Arc<dyn Select> = Arc::new(Fake::new());
    Part {
        name: name.to_owned(),
        sources: vec![(name.to_owned(), None)],
        labels: Labels::from_pairs(labels.iter().copied()),
        select: if evaluates { Arc::new(Evaluating::new(fake, EngineOptions::default())) } else { fake },
    }
}

fn clusters() -> Vec<Part> {
    let of = |name: &str| part(name, &[("cluster", name), ("region", "eu")], true);
    vec![of("a"), of("b")]
}

fn metric(q: &str) -> MetricExpr {
    match parse(q) {
        Ok(Expr::Metric(m)) => m,
        other => panic!("{q}: {other:?}"),
    }
}

/// What is pushed of a query, each as how and text.
fn pushed_to(parts: &[Part], q: &str, grid: Grid) -> Vec<(How, String)> {
    let metric = metric(q);
    let plan = plan(&metric, grid, parts, false).unwrap();
    plan.pushes.iter().map(|p| (p.how, p.text.clone())).collect()
}

fn pushed(q: &str) -> Vec<(How, String)> {
    pushed_to(&clusters(), q, EACH_MINUTE)
}

fn one(how: How, q: &str) -> Vec<(How, String)> {
    vec![(how, metric(q).to_string())]
}

#[test]
fn what_keeps_the_parts_apart_is_pushed_whole() {
    for q in [
        "rate({app=\"x\"}[5m])",
        "count_over_time({app=\"x\"} | json | level=\"error\" [5m])",
        "sum by (cluster) (rate({app=\"x\"}[5m]))",
        "topk by (cluster) (2, rate({app=\"x\"}[5m]))",
        "quantile_over_time(0.9, {app=\"x\"} | logfmt | unwrap v [5m]) by (cluster, app)",
        "first_over_time({app=\"x\"} | logfmt | unwrap v [5m])",
        "rate({app=\"x\"} | keep cluster [5m]) / on (cluster) rate({app=\"y\"} | keep cluster [5m]) > 2",
        "sort_desc(max without (level) (rate({app=\"x\"} | label_format app=level [5m])))",
        "label_replace(rate({app=\"x\"}[5m]), \"app\", \"$1\", \"cluster\", \"(.*)\")",
    ] {
        assert_eq!(pushed(q), one(How::Rows, q), "{q}");
    }
}

#[test]
fn aggregations_that_bring_parts_together_are_pushed_in_pieces() {
    for q in [
        "sum(count_over_time({app=\"x\"} | json [5m]))",
        "sum by (level) (rate({app=\"x\"} | logfmt | drop cluster [5m]))",
        "avg by (region) (rate({app=\"x\"}[5m]))",
        "stddev without (cluster) (rate({app=\"x\"}[5m]))",
        "max_over_time({app=\"x\"} | logfmt | unwrap v [5m]) by (level)",
        "avg_over_time({app=\"x\"} | logfmt | unwrap v [5m]) without (cluster)",
        "bytes_over_time({app=\"x\"} | label_format cluster=\"{{.app}}\" [5m])",
        "count_over_time({app=\"x\"} | keep cluster=\"a\" [5m])",
        "count_over_time({app=\"x\"} | label_format where=cluster [5m])",
        "count_over_time({app=\"x\"} | label_format cluster=app [5m])",
        "sum_over_time({app=\"x\"} | unwrap cluster [5m])",
    ] {
        assert_eq!(pushed(q), one(How::Pieces, q), "{q}");
    }
    assert_eq!(pushed("sum(rate({app=\"x\"}[5m])) / sum(rate({app=\"y\"}[5m]))").len(), 2);
    assert_eq!(pushed("max(rate({app=\"x\"} | drop cluster [5m]))").len(), 1);
}

#[test]
fn picks_are_made_among_those_of_each_part_and_absence_is_asked_of_each() {
    let q = "topk(2, rate({app=\"x\"}[5m]))";
    assert_eq!(pushed(q), one(How::Picks, q));
    let q = "absent_over_time({app=\"x\"}[5m])";
    assert_eq!(pushed(q), one(How::Absence, q));
    assert_eq!(pushed("bottomk(2, sum by (app) (rate({app=\"x\"}[5m])))")[0].0, How::Pieces);
}

#[test]
fn what_needs_lines_of_all_parts_in_order_is_read() {
    for q in [
        "quantile_over_time(0.9, {app=\"x\"} | logfmt | unwrap v [5m]) by (level)",
        "first_over_time({app=\"x\"} | logfmt | unwrap v [5m]) by (level)",
        "rate_counter({app=\"x\"} | logfmt | drop cluster | unwrap v [5m])",
        "vector(1)",
        "1 + 2",
    ] {
        assert_eq!(pushed(q), [], "{q}");
    }
}

#[test]
fn a_label_that_a_parser_may_put_another_in_place_of_tells_nothing_apart() {
    let parts = vec![
        part("a", &[("k", "1"), ("k_extracted", "a")], true),
        part("b", &[("k", "1"), ("k_extracted", "b")], true),
    ];
    let q = "first_over_time({app=\"x\"} | logfmt | unwrap v [5m])";
    assert_eq!(pushed_to(&parts, q, EACH_MINUTE), []);
}

#[test]
fn what_depends_on_who_looks_or_cannot_be_said_is_not_pushed() {
    assert_eq!(pushed("sum(rate({app=\"x\"} | line_format \"{{ now }}\" [5m]))"), []);
    assert_eq!(
        pushed(
            "sum(rate({app=\"x\"} | label_format a=\"{{ if .b }}{{ now | date \\\"2006\\\" }}{{ end }}\" [5m]))"
        ),
        []
    );
    let q = "sum(rate({app=\"x\"} | line_format \"now {{ .now }}\" [5m]))";
    assert_eq!(pushed(q), one(How::Pieces, q));
    let finer = Grid { start_ns: SECOND, step_ns: 1_500_000, len: 3 };
    assert_eq!(pushed_to(&clusters(), "sum(rate({app=\"x\"}[5m]))", finer), []);
}

#[test]
fn a_start_between_two_milliseconds_becomes_an_offset() {
    let grid = Grid { start_ns: 3_600 * SECOND + 1_000_007, ..EACH_MINUTE };
    let q = metric("sum(rate({app=\"x\"}[5m] offset 1s))");
    let parts = clusters();
    let plan = plan(&q, grid, &parts, false).unwrap();
    let push = &plan.pushes[0];
    assert_eq!(push.text, "sum(rate({app=\"x\"}[5m] offset 999ms999us993ns))");
    assert_eq!(push.grid_ms, (3_600_001, 3_600_001 + 9 * 60_000, 60_000));
    assert_eq!(push.range.start.0, 3_600 * SECOND + 1_000_007 - 301 * SECOND + 1);
    assert_eq!(push.range.end.0, grid.at_ns(9) - SECOND + 1);
}

#[test]
fn only_parts_that_may_hold_something_are_asked_and_only_if_one_of_them_can() {
    let q = metric("sum(rate({app=\"x\", cluster=\"b\"}[5m]))");
    let parts = clusters();
    assert_eq!(plan(&q, EACH_MINUTE, &parts, false).unwrap().pushes[0].parts, [1]);
    let unable = vec![part("a", &[("cluster", "a")], true), part("b", &[("cluster", "b")], false)];
    assert!(plan(&q, EACH_MINUTE, &unable, false).unwrap().pushes.is_empty());
    let both = metric("sum(rate({app=\"x\"}[5m]))");
    assert_eq!(plan(&both, EACH_MINUTE, &unable, false).unwrap().pushes[0].parts, [0, 1]);
}

#[test]
fn the_outermost_aggregation_is_left_in_pieces_where_that_is_wanted() {
    let parts = clusters();
    let q = metric("sum by (cluster) (rate({app=\"x\"}[5m]))");
    let plan = plan(&q, EACH_MINUTE, &parts, true).unwrap();
    assert_eq!(plan.pushes.iter().map(|p| p.how).collect::<Vec<_>>(), [How::Pieces]);
}
