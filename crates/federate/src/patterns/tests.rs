use std::sync::Arc;

use base::Metrics;
use contract::{CoverageState, Select, fake::Fake};
use model::TimeRange;

use super::*;
use crate::{
    Counts as Counted, Federation, Replicas, Replication,
    fixtures::{Act, Script, federation, member, refused, run, scope},
};

fn pattern(text: &str, samples: &[(i64, f64)]) -> SeriesData {
    SeriesData {
        labels: Labels::from_pairs([("pattern", text)]),
        timestamps_ms: samples.iter().map(|s| s.0).collect(),
        values: samples.iter().map(|s| s.1).collect(),
        ..SeriesData::default()
    }
}

fn knows(list: &[SeriesData]) -> Arc<Script> {
    Arc::new(Script { series: list.iter().cloned().map(Act::Item).collect(), ..Script::default() })
}

fn request() -> PatternsRequest {
    PatternsRequest { scope: scope(TimeRange::ALL), matchers: Vec::new(), step_ms: 10_000 }
}

#[test]
fn counts_of_equal_patterns_are_added_up_over_clusters() {
    run(async {
        let a = knows(&[pattern("a <_>", &[(0, 1.0), (10_000, 2.0)]), pattern("b", &[(0, 5.0)])]);
        let b = knows(&[pattern("a <_>", &[(10_000, 3.0)])]);
        let (found, coverage) = federation([a as Arc<dyn Select>, b]).patterns(request()).await.unwrap();
        assert_eq!(found, [pattern("a <_>", &[(0, 1.0), (10_000, 5.0)]), pattern("b", &[(0, 5.0)])]);
        assert!(coverage.is_complete());
    });
}

#[test]
fn who_has_no_patterns_or_is_not_there_is_missing_from_the_answer() {
    run(async {
        let a = knows(&[pattern("a", &[(0, 1.0)])]);
        let gone = Arc::new(Script { first: vec![Act::Fail(refused())], ..Script::default() });
        let all = federation([a as Arc<dyn Select>, Arc::new(Fake::new()), gone]);
        let (found, coverage) = all.patterns(request()).await.unwrap();
        assert_eq!(found, [pattern("a", &[(0, 1.0)])]);
        let states: Vec<_> = coverage.sources().iter().map(|s| s.state).collect();
        assert!(!coverage.is_complete() && states.contains(&CoverageState::Missing), "{coverage:?}");
        assert!(coverage.sources().iter().any(|s| s.reason.contains("no patterns")), "{coverage:?}");
    });
}

#[test]
fn replicas_that_mirror_each_other_saw_the_same_lines() {
    run(async {
        let of = |replica: &str, n: f64| {
            let mut m = member("prod", knows(&[pattern("a", &[(0, n)])]));
            m.replica = Some(replica.to_owned());
            m
        };
        let mut mirrored = Replicas::default();
        mirrored.declare("prod", Signal::LOGS, Replication::Mirrored);
        let members = || vec![of("a", 4.0), of("b", 3.0)];
        let sum = Federation::new(members(), Counted::register(&Metrics::default()));
        assert_eq!(sum.patterns(request()).await.unwrap().0, [pattern("a", &[(0, 7.0)])]);
        let one = Federation::new(members(), Counted::register(&Metrics::default())).with_replicas(mirrored);
        assert_eq!(one.patterns(request()).await.unwrap().0, [pattern("a", &[(0, 4.0)])]);
    });
}
