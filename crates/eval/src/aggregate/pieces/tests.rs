use model::Histogram;
use model::histogram::{BucketSpan, CUSTOM_BUCKETS_SCHEMA};
use proptest::prelude::*;

use super::*;
use crate::{Grouping, Meter, Notes, Parameter, Reducer, Series, Value, aggregate};

const OPS: [AggregateOp; 8] = [
    AggregateOp::Sum,
    AggregateOp::Avg,
    AggregateOp::Min,
    AggregateOp::Max,
    AggregateOp::Count,
    AggregateOp::Group,
    AggregateOp::Stddev,
    AggregateOp::Stdvar,
];

const STEPS: usize = 3;

fn env<R>(f: impl FnOnce(&mut Env<'_>) -> R) -> (R, Notes) {
    let (mut meter, mut notes) = (Meter::unlimited(), Notes::default());
    let mut env = Env { meter: &mut meter, notes: &mut notes, span: 0..0, delay_name_removal: false };
    let out = f(&mut env);
    (out, notes)
}

fn in_pieces(op: AggregateOp, by: &Grouping, rows: &[Series]) -> Vec<Pieces> {
    let made = env(|env| {
        let mut reducer = Reducer::new(op, by, rows.iter().map(|r| &r.labels), STEPS).in_pieces();
        for (i, row) in rows.iter().enumerate() {
            reducer.take(i, Some(row), env).unwrap();
        }
        reducer.finish_pieces(env).unwrap()
    });
    made.0
}

fn together(op: AggregateOp, by: &Grouping, parts: &[Pieces]) -> (Vec<Series>, Notes) {
    env(|env| {
        let mut reducer = Reducer::new(op, by, parts.iter().map(|p| &p.labels), STEPS);
        for (i, p) in parts.iter().enumerate() {
            reducer.absorb(i, p, env).unwrap();
        }
        reducer.finish(env).unwrap()
    })
}

/// The same once more as pieces, as a node between two others passes them on.
fn passed_on(op: AggregateOp, by: &Grouping, parts: &[Pieces]) -> Vec<Pieces> {
    let made = env(|env| {
        let mut reducer = Reducer::new(op, by, parts.iter().map(|p| &p.labels), STEPS).in_pieces();
        for (i, p) in parts.iter().enumerate() {
            reducer.absorb(i, p, env).unwrap();
        }
        reducer.finish_pieces(env).unwrap()
    });
    made.0
}

fn histogram(schema: i8, buckets: &[u8], hint: ResetHint) -> Histogram {
    let counts: Vec<f64> = buckets.iter().map(|b| f64::from(*b)).collect();
    let custom = schema == CUSTOM_BUCKETS_SCHEMA;
    Histogram {
        schema,
        reset_hint: hint,
        count: counts.iter().sum(),
        sum: counts.iter().sum::<f64>() * 1.5,
        zero_threshold: if custom { 0.0 } else { 1e-9 },
        positive_spans: vec![BucketSpan { offset: 0, length: counts.len() as u32 }],
        custom_values: if custom { (1..counts.len()).map(|i| i as f64).collect() } else { Vec::new() },
        positive_buckets: counts,
        ..Histogram::default()
    }
}

fn value() -> impl Strategy<Value = Option<Value>> {
    let float = prop_oneof![
        6 => (-1_000i32..1_000).prop_map(f64::from),
        3 => -1e9..1e9f64,
        1 => prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0]),
    ];
    let hint = prop::sample::select(vec![
        ResetHint::Unknown,
        ResetHint::Reset,
        ResetHint::NotReset,
        ResetHint::Gauge,
    ]);
    let schema = prop::sample::select(vec![0i8, 1, 0, 2, CUSTOM_BUCKETS_SCHEMA]);
    // Large ones cancel, and leave what was lost beside them.
    let huge = prop::sample::select(vec![0.0, 0.0, 1e100, -1e100]);
    let histogram =
        (schema, prop::collection::vec(1u8..9, 3), hint, huge).prop_map(|(schema, buckets, hint, huge)| {
            let h = histogram(schema, &buckets, hint);
            Value::from(Histogram { sum: h.sum + huge, ..h })
        });
    prop_oneof![
        2 => Just(None),
        8 => float.prop_map(|v| Some(Value::Float(v))),
        2 => histogram.prop_map(Some),
    ]
}

/// Rows, and the part each lies in.
fn rows() -> impl Strategy<Value = Vec<(usize, Series)>> {
    let row = (0usize..4, 0u8..2, prop::collection::vec(value(), STEPS));
    prop::collection::vec(row, 0..12).prop_map(|rows| {
        let made = rows.into_iter().enumerate().map(|(i, (part, group, values))| {
            let mut column = Column::empty(STEPS);
            for (step, v) in values.into_iter().enumerate() {
                if let Some(v) = v {
                    column.put(step, v);
                }
            }
            let labels = Labels::from_pairs([("g", group.to_string()), ("i", i.to_string())]);
            (part, Series::new(labels, column))
        });
        made.filter(|(_, s)| !s.column.is_empty()).collect()
    })
}

fn close(a: f64, b: f64) -> bool {
    a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
}

fn same_histogram(a: &Histogram, b: &Histogram) -> bool {
    let lists = |x: &[f64], y: &[f64]| x.len() == y.len() && x.iter().zip(y).all(|(p, q)| close(*p, *q));
    let plain = |h: &Histogram| Histogram {
        count: 0.0,
        sum: 0.0,
        zero_count: 0.0,
        positive_buckets: Vec::new(),
        negative_buckets: Vec::new(),
        ..h.clone()
    };
    plain(a) == plain(b)
        && close(a.count, b.count)
        && close(a.sum, b.sum)
        && close(a.zero_count, b.zero_count)
        && lists(&a.positive_buckets, &b.positive_buckets)
        && lists(&a.negative_buckets, &b.negative_buckets)
}

fn agree(a: &Series, b: &Series) -> bool {
    a.labels == b.labels
        && (0..STEPS).all(|s| match (a.column.get(s), b.column.get(s)) {
            (None, None) => true,
            (Some(crate::Cell::Float(x)), Some(crate::Cell::Float(y))) => close(x, y),
            (Some(crate::Cell::Histogram(x)), Some(crate::Cell::Histogram(y))) => same_histogram(x, y),
            _ => false,
        })
}

proptest! {
    #[test]
    fn parts_come_to_what_the_whole_comes_to(rows in rows(), op in prop::sample::select(OPS.to_vec()), all in any::<bool>()) {
        let by = Grouping::By(if all { vec![] } else { vec!["g".to_owned()] });
        let whole: Vec<Series> = rows.iter().map(|(_, r)| r.clone()).collect();
        let (mut want, want_notes) = env(|env| aggregate(op, &by, Parameter::None, whole, env).unwrap());
        let part = |n: usize| -> Vec<Series> {
            rows.iter().filter(|(p, _)| *p == n).map(|(_, r)| r.clone()).collect()
        };
        let mut parts: Vec<Pieces> = (0..2).flat_map(|n| in_pieces(op, &by, &part(n))).collect();
        let behind: Vec<Pieces> = (2..4).flat_map(|n| in_pieces(op, &by, &part(n))).collect();
        parts.extend(passed_on(op, &by, &behind));
        let (mut got, notes) = together(op, &by, &parts);
        want.sort_by(|a, b| a.labels.cmp(&b.labels));
        got.sort_by(|a, b| a.labels.cmp(&b.labels));
        prop_assert!(
            want.len() == got.len() && want.iter().zip(&got).all(|(a, b)| agree(a, b)),
            "{op:?}: {want:?} of all, {got:?} of the parts {parts:?}"
        );
        let warned = |n: &Notes, what: &str| n.warnings.iter().any(|w| w.message.contains(what));
        for what in ["mix of histograms and floats", "conflicting counter resets"] {
            prop_assert_eq!(warned(&want_notes, what), warned(&notes, what), "{}: {:?}", what, notes);
        }
    }
}

#[test]
fn a_sum_keeps_what_rounding_loses_on_the_way() {
    let one = |v: f64| Series::new(Labels::default(), Column::constant(v, STEPS));
    let by = Grouping::By(Vec::new());
    let mut parts = in_pieces(AggregateOp::Sum, &by, &[one(1e100), one(1.0)]);
    parts.extend(in_pieces(AggregateOp::Sum, &by, &[one(-1e100), one(1.0)]));
    let (got, _) = together(AggregateOp::Sum, &by, &parts);
    assert_eq!(got[0].column.float(0), Some(2.0));
}

#[test]
fn a_mean_whose_sum_is_no_number_is_put_together_from_means() {
    let one = |v: f64| Series::new(Labels::default(), Column::constant(v, STEPS));
    let by = Grouping::By(Vec::new());
    let large = [one(f64::MAX), one(f64::MAX)];
    let mut parts = in_pieces(AggregateOp::Avg, &by, &large);
    assert!(parts[0].get(Piece::Mean).is_some());
    parts.extend(in_pieces(AggregateOp::Avg, &by, &[one(f64::MAX / 2.0)]));
    parts.extend(in_pieces(AggregateOp::Avg, &by, &[one(f64::MAX / 2.0), one(f64::MAX / 4.0)]));
    let (got, _) = together(AggregateOp::Avg, &by, &parts);
    let mean = got[0].column.float(0).unwrap();
    assert!((mean / f64::MAX - 0.65).abs() < 1e-12, "{mean}");
}

#[test]
fn pieces_are_called_by_the_numbers_they_always_had() {
    let numbers: Vec<Option<Piece>> = (0..13).map(Piece::from_number).collect();
    assert_eq!(numbers.iter().flatten().map(|p| p.number()).collect::<Vec<_>>(), (0..12).collect::<Vec<_>>());
    assert_eq!(Piece::Histograms.number(), 6);
    assert_eq!(Piece::from_number(12), None);
}
