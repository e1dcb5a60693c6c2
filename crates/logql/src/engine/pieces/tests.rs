use proptest::prelude::*;

use super::*;

const MAKES: [Make; 6] = [Make::Sum, Make::Mean, Make::Count, Make::Spread, Make::Min, Make::Max];

fn acc(make: Make, values: &[f64]) -> Option<Acc> {
    let mut all: Option<Acc> = None;
    for v in values {
        match &mut all {
            Some(all) => all.merge(&make.one(*v)),
            None => all = Some(make.one(*v)),
        }
    }
    all
}

fn through(make: Make, accs: Vec<Option<Acc>>) -> Vec<Option<Acc>> {
    let columns: BTreeMap<Piece, Column> = make.columns(&accs).into_iter().collect();
    make.accs(&columns, accs.len()).unwrap()
}

fn ops(make: Make) -> &'static [VectorOp] {
    match make {
        Make::Sum => &[VectorOp::Sum],
        Make::Mean => &[VectorOp::Avg],
        Make::Count => &[VectorOp::Count],
        Make::Spread => &[VectorOp::Stddev, VectorOp::Stdvar],
        Make::Min => &[VectorOp::Min],
        Make::Max => &[VectorOp::Max],
    }
}

proptest! {
    #[test]
    fn pieces_of_parts_come_to_what_the_whole_comes_to(
        parts in prop::collection::vec(prop::collection::vec(-1e6..1e6f64, 0..8), 1..5),
        make in prop::sample::select(&MAKES[..])
    ) {
        let all: Vec<f64> = parts.iter().flatten().copied().collect();
        let mut together = vec![None];
        for part in &parts {
            absorb(&mut together, through(make, vec![acc(make, part)]));
        }
        for op in ops(make) {
            let want = acc(make, &all).map(|a| value(*op, &a));
            let got = together[0].as_ref().map(|a| value(*op, a));
            match (want, got) {
                (Some(w), Some(g)) => prop_assert!((w - g).abs() <= 1e-9 * w.abs().max(1e-3), "{op:?}: {w} {g}"),
                (w, g) => prop_assert_eq!(w, g),
            }
        }
    }

    #[test]
    fn any_columns_are_pieces_or_an_error(
        columns in prop::collection::btree_map(0..11u8, prop::collection::vec(prop::option::of(any::<f64>()), 0..4), 0..5),
        make in prop::sample::select(&MAKES[..]), steps in 0..5usize
    ) {
        let columns = columns.into_iter().filter_map(|(p, c)| Some((Piece::from_number(p)?, c))).collect();
        if let Ok(accs) = make.accs(&columns, steps) {
            prop_assert_eq!(accs.len(), steps);
        }
    }
}

#[test]
fn what_rounding_lost_goes_with_the_sum() {
    let sum = acc(Make::Sum, &[1e16, 1.0]);
    let mut all = through(Make::Sum, vec![sum]);
    absorb(&mut all, through(Make::Sum, vec![acc(Make::Sum, &[-1e16])]));
    assert_eq!(all[0].as_ref().map(|a| value(VectorOp::Sum, a)), Some(1.0));
}

#[test]
fn what_is_not_a_number_is_the_least_choice_of_extremes() {
    for (make, op) in [(Make::Min, VectorOp::Min), (Make::Max, VectorOp::Max)] {
        let mut all = through(make, vec![acc(make, &[f64::NAN]), acc(make, &[f64::NAN])]);
        absorb(&mut all, through(make, vec![acc(make, &[3.0]), None]));
        assert_eq!(all[0].as_ref().map(|a| value(op, a)), Some(3.0));
        assert!(all[1].as_ref().is_some_and(|a| value(op, a).is_nan()));
    }
}

#[test]
fn pieces_that_do_not_belong_together_are_refused() {
    let column = |p: Piece, v: f64| (p, vec![Some(v)]);
    let refused =
        |make: Make, columns: Vec<(Piece, Column)>| make.accs(&columns.into_iter().collect(), 1).unwrap_err();
    assert_eq!(refused(Make::Sum, vec![column(Piece::Mean, 1.0)]), "Mean of what is made as Sum");
    assert!(refused(Make::Mean, vec![column(Piece::Sum, 1.0)]).contains("without its count"));
    assert!(refused(Make::Spread, vec![column(Piece::Count, 1.0)]).contains("missing"));
    assert!(refused(Make::Count, vec![column(Piece::Count, -1.0)]).contains("a count of -1"));
    assert!(refused(Make::Sum, vec![column(Piece::Compensation, 1.0)]).contains("without the sum"));
}
