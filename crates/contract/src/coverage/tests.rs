use super::*;

fn source(cluster: &str, state: CoverageState, from: i64, to: i64, reason: &str) -> Coverage {
    Coverage::one(SourceCoverage {
        cluster: cluster.to_owned(),
        replica: None,
        signal: Signal::METRICS,
        state,
        covered: vec![TimeRange::new(TimestampNs(from), TimestampNs(to))],
        watermark: Some(TimestampNs(to)),
        reason: reason.to_owned(),
    })
}

fn merged(parts: &[&Coverage]) -> Coverage {
    let mut all = Coverage::default();
    for p in parts {
        all.merge((*p).clone());
    }
    all
}

#[test]
fn merging_does_not_depend_on_order_or_grouping() {
    let a = source("a", CoverageState::Complete, 0, 10, "");
    let b = source("a", CoverageState::Partial, 20, 30, "slow");
    let c = source("a", CoverageState::Partial, 10, 15, "cut");
    let d = source("b", CoverageState::Missing, 0, 0, "timeout");
    let want = merged(&[&a, &b, &c, &d]);
    assert_eq!(want, merged(&[&d, &c, &b, &a]));
    assert_eq!(want, merged(&[&merged(&[&a, &b]), &merged(&[&c, &d])]));
    assert_eq!(want, merged(&[&want, &want]));
    assert_eq!(want.sources()[0].reason, "cut, slow");
    assert_eq!(want.sources()[0].covered.len(), 2);
    assert_eq!(want.state(), CoverageState::Missing);
    assert!(!want.is_complete());
}

#[test]
fn a_summary_never_outgrows_its_limit_and_says_that_it_was_cut() {
    let mut all = Coverage::default();
    for i in 0..500 {
        all.merge(source(&format!("cluster-{i:03}"), CoverageState::Complete, 0, 1, ""));
    }
    all.merge(source("zz", CoverageState::Missing, 0, 0, "timeout"));
    let s = all.summary(2048);
    assert!(s.len() <= 2048);
    assert!(s.ends_with("missing"), "{s}");
}
