use model::Labels;

use super::*;
use crate::{Meter, Notes};

fn run<T>(f: impl FnOnce(&mut Env<'_>) -> T) -> T {
    let (mut meter, mut notes) = (Meter::unlimited(), Notes::default());
    f(&mut Env { meter: &mut meter, notes: &mut notes, span: 0..0, delay_name_removal: false })
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

fn shown(rows: &[Series]) -> Vec<(String, Vec<Option<f64>>)> {
    let mut out: Vec<_> = rows
        .iter()
        .map(|r| (r.labels.to_string(), (0..r.column.len()).map(|i| r.column.float(i)).collect()))
        .collect();
    out.sort_by(|a: &(String, _), b| a.0.cmp(&b.0));
    out
}

#[test]
fn one_to_one_drops_the_name_and_needs_both_sides_at_a_step() {
    let l = vec![row(&[("__name__", "a"), ("x", "1")], &[Some(1.0), Some(2.0), None])];
    let r = vec![row(&[("__name__", "b"), ("x", "1")], &[Some(10.0), None, Some(30.0)])];
    let out = run(|e| binary(BinaryOp::Add, false, &Matching::default(), l, r, e)).unwrap();
    assert_eq!(shown(&out), [("{x=\"1\"}".to_owned(), vec![Some(11.0), None, None])]);
}

#[test]
fn a_second_match_is_an_error_only_where_both_are_there() {
    let m = Matching { on: true, ..Default::default() };
    let apart = vec![row(&[("x", "1")], &[Some(1.0), None]), row(&[("x", "2")], &[None, Some(2.0)])];
    let r = vec![row(&[], &[Some(1.0), Some(1.0)])];
    let out = run(|e| binary(BinaryOp::Mul, false, &m, apart, r.clone(), e)).unwrap();
    assert_eq!(shown(&out), [("{}".to_owned(), vec![Some(1.0), Some(2.0)])]);
    let both = vec![row(&[("x", "1")], &[Some(1.0)]), row(&[("x", "2")], &[Some(2.0)])];
    let r = vec![row(&[], &[Some(1.0)])];
    let e = run(|e| binary(BinaryOp::Mul, false, &m, both.clone(), r.clone(), e)).unwrap_err();
    assert!(e.to_string().contains("many-to-one matching must be explicit"));
    let e = run(|e| binary(BinaryOp::Mul, false, &m, r, both, e)).unwrap_err();
    assert!(e.to_string().starts_with("found duplicate series for the match group {} on the right"));
}

#[test]
fn group_left_copies_the_included_labels() {
    let m = Matching {
        cardinality: Cardinality::ManyToOne,
        on: true,
        labels: vec!["x".into()],
        include: vec!["y".into()],
        ..Default::default()
    };
    let l = vec![row(&[("x", "1"), ("i", "a")], &[Some(1.0)]), row(&[("x", "1"), ("i", "b")], &[Some(2.0)])];
    let r = vec![row(&[("x", "1"), ("y", "z")], &[Some(10.0)])];
    let out = run(|e| binary(BinaryOp::Mul, false, &m, l, r, e)).unwrap();
    assert_eq!(
        shown(&out),
        [
            ("{i=\"a\", x=\"1\", y=\"z\"}".to_owned(), vec![Some(10.0)]),
            ("{i=\"b\", x=\"1\", y=\"z\"}".to_owned(), vec![Some(20.0)])
        ]
    );
}

#[test]
fn a_comparison_filters_and_keeps_the_vectors_value_on_either_side() {
    let v = || vec![row(&[("__name__", "a")], &[Some(1.0), Some(5.0)])];
    let two = Column::constant(2.0, 2);
    let out = run(|e| binary_scalar(BinaryOp::Greater, false, v(), &two, Side::Right, e)).unwrap();
    assert_eq!(shown(&out), [("a".to_owned(), vec![None, Some(5.0)])]);
    let out = run(|e| binary_scalar(BinaryOp::Greater, false, v(), &two, Side::Left, e)).unwrap();
    assert_eq!(shown(&out), [("a".to_owned(), vec![Some(1.0), None])]);
    let out = run(|e| binary_scalar(BinaryOp::Greater, true, v(), &two, Side::Right, e)).unwrap();
    assert_eq!(shown(&out), [("{}".to_owned(), vec![Some(0.0), Some(1.0)])]);
}

#[test]
fn set_operators_look_at_presence_step_by_step() {
    let l = || vec![row(&[("x", "1")], &[Some(1.0), Some(2.0), None])];
    let r = || {
        vec![row(&[("x", "1")], &[Some(7.0), None, Some(9.0)]), row(&[("x", "2")], &[None, Some(8.0), None])]
    };
    let m = Matching { cardinality: Cardinality::ManyToMany, ..Default::default() };
    let go = |op| shown(&run(|e| binary(op, false, &m, l(), r(), e)).unwrap());
    assert_eq!(go(BinaryOp::And), [("{x=\"1\"}".to_owned(), vec![Some(1.0), None, None])]);
    assert_eq!(go(BinaryOp::Unless), [("{x=\"1\"}".to_owned(), vec![None, Some(2.0), None])]);
    assert_eq!(
        go(BinaryOp::Or),
        [
            ("{x=\"1\"}".to_owned(), vec![Some(1.0), Some(2.0), Some(9.0)]),
            ("{x=\"2\"}".to_owned(), vec![None, Some(8.0), None])
        ]
    );
}

#[test]
fn fill_values_stand_for_missing_sides() {
    let m = Matching { fill_left: Some(0.0), fill_right: Some(100.0), ..Default::default() };
    let l = vec![row(&[("x", "1")], &[Some(1.0)])];
    let r = vec![row(&[("x", "2")], &[Some(2.0)])];
    let out = run(|e| binary(BinaryOp::Add, false, &m, l, r, e)).unwrap();
    assert_eq!(
        shown(&out),
        [("{x=\"1\"}".to_owned(), vec![Some(101.0)]), ("{x=\"2\"}".to_owned(), vec![Some(2.0)])]
    );
}
