use model::Labels;

use super::*;
use crate::{Meter, Notes};

/// Labels as text, and the float at each step.
type Shown = Vec<(String, Vec<Option<f64>>)>;

fn run(op: AggregateOp, by: &[&str], p: Parameter<'_>, rows: Vec<Series>) -> (Shown, Notes) {
    let (mut meter, mut notes) = (Meter::unlimited(), Notes::default());
    let mut env = Env { meter: &mut meter, notes: &mut notes, span: 0..0, delay_name_removal: false };
    let by = Grouping::By(by.iter().map(|s| s.to_string()).collect());
    let out = aggregate(op, &by, p, rows, &mut env).unwrap();
    let shown = out
        .iter()
        .map(|r| (r.labels.to_string(), (0..r.column.len()).map(|i| r.column.float(i)).collect()))
        .collect();
    (shown, notes)
}

fn row(labels: &[(&str, &str)], values: &[Option<f64>]) -> Series {
    let mut column = Column::empty(values.len());
    for (i, v) in values.iter().enumerate() {
        if let Some(v) = v {
            column.set_float(i, *v);
        }
    }
    Series::new(Labels::from_pairs(labels.iter().copied()), column)
}

fn three() -> Vec<Series> {
    vec![
        row(&[("g", "x"), ("i", "1")], &[Some(1.0), Some(4.0)]),
        row(&[("g", "x"), ("i", "2")], &[Some(3.0), None]),
        row(&[("g", "y"), ("i", "3")], &[Some(5.0), Some(f64::NAN)]),
    ]
}

#[test]
fn one_value_per_group_and_step() {
    let by_g = |op| run(op, &["g"], Parameter::None, three()).0;
    assert_eq!(by_g(AggregateOp::Sum)[0], ("{g=\"x\"}".to_owned(), vec![Some(4.0), Some(4.0)]));
    assert_eq!(by_g(AggregateOp::Avg)[0].1, [Some(2.0), Some(4.0)]);
    assert_eq!(by_g(AggregateOp::Count)[0].1, [Some(2.0), Some(1.0)]);
    assert_eq!(by_g(AggregateOp::Stdvar)[0].1, [Some(1.0), Some(0.0)]);
    assert_eq!(by_g(AggregateOp::Group)[1].1, [Some(1.0), Some(1.0)]);
    let all = |op| run(op, &[], Parameter::None, three()).0;
    assert_eq!(all(AggregateOp::Max), [("{}".to_owned(), vec![Some(5.0), Some(4.0)])]);
    assert_eq!(all(AggregateOp::Min)[0].1, [Some(1.0), Some(4.0)]);
}

#[test]
fn topk_keeps_labels_and_answers_best_first_at_one_step() {
    let one = || {
        three().into_iter().map(|s| row(&s.labels.iter().collect::<Vec<_>>(), &[s.column.float(0)])).collect()
    };
    let k = Column::constant(2.0, 1);
    let names = |op| -> Vec<String> {
        run(op, &[], Parameter::Numbers(&k), one()).0.into_iter().map(|r| r.0).collect()
    };
    assert_eq!(names(AggregateOp::Topk), ["{g=\"y\", i=\"3\"}", "{g=\"x\", i=\"2\"}"]);
    assert_eq!(names(AggregateOp::Bottomk), ["{g=\"x\", i=\"1\"}", "{g=\"x\", i=\"2\"}"]);
    let k = Column::constant(1.0, 2);
    let (out, _) = run(AggregateOp::Topk, &[], Parameter::Numbers(&k), three());
    assert_eq!(out.len(), 2, "a different best at each step");
}

#[test]
fn limit_ratios_complement_each_other() {
    let rows =
        || (0..200).map(|i| row(&[("i", &i.to_string())], &[Some(1.0), Some(1.0)])).collect::<Vec<_>>();
    let count = |r: f64| {
        run(AggregateOp::LimitRatio, &[], Parameter::Numbers(&Column::constant(r, 2)), rows()).0.len()
    };
    let part = count(0.3);
    assert!(part > 20 && part < 120);
    assert_eq!(part + count(-0.7), 200);
    assert_eq!((count(0.0), count(1.0), count(-1.0)), (0, 200, 200));
}

#[test]
fn count_values_makes_the_value_a_label() {
    let rows = vec![
        row(&[("i", "1")], &[Some(1.5)]),
        row(&[("i", "2")], &[Some(1.5)]),
        row(&[("i", "3")], &[Some(2.0)]),
    ];
    let (out, _) = run(AggregateOp::CountValues, &[], Parameter::Label("v"), rows);
    assert_eq!(out, [("{v=\"1.5\"}".to_owned(), vec![Some(2.0)]), ("{v=\"2\"}".to_owned(), vec![Some(1.0)])]);
}

#[test]
fn quantiles_are_taken_per_group() {
    let q = Column::constant(0.5, 2);
    let (out, _) = run(AggregateOp::Quantile, &["g"], Parameter::Numbers(&q), three());
    assert_eq!(out[0].1, [Some(2.0), Some(4.0)]);
}
