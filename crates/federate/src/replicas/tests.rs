use std::sync::Arc;

use base::Metrics;
use contract::{
    Dialect, Direction, LabelNamesRequest, LabelValuesRequest, Language, LogsRequest, NamedField, Passing,
    Select, fake::Fake,
};
use model::{Batch, LogBatch, LogRecord, LogStream, MatchOp, Matcher, MetricBatch, TimestampNs};
use proptest::prelude::*;

use super::*;
use crate::{
    Counts, Federation,
    fixtures::{Act, Script, append, member, refused, run, scope, series_request},
};

/// Replicas a, b, ... of one cluster.
fn replicas(of: Vec<Arc<dyn Select>>) -> Federation {
    let members = of.into_iter().zip(["a", "b", "c"]).map(|(select, replica)| {
        let mut m = member("prod-01", select);
        m.replica = Some(replica.to_owned());
        m
    });
    Federation::new(members.collect(), Counts::register(&Metrics::default()))
}

fn declared(signal: Signal, replication: Replication) -> Replicas {
    let mut r = Replicas::default();
    r.declare("prod-01", signal, replication);
    r
}

fn label_set(n: u8) -> Vec<(&'static str, &'static str)> {
    // Sets that begin one another, names around `replica`, no name at all, an own label of that name.
    let sets: [&[_]; 9] = [
        &[("__name__", "up")],
        &[("__name__", "up"), ("instance", "x")],
        &[("__name__", "up"), ("instance", "x"), ("zone", "z")],
        &[("__name__", "up"), ("zone", "z")],
        &[("__name__", "up"), ("replica", "own")],
        &[("__name__", "load"), ("instance", "x")],
        &[("instance", "x")],
        &[("zone", "z")],
        &[("A", "first"), ("zone", "z")],
    ];
    sets[n as usize % sets.len()].to_vec()
}

/// Series with their samples, stamped with the replica where they have no label of that name.
fn batch<'a>(samples: impl Iterator<Item = &'a (u8, i64)>, replica: Option<&str>) -> Option<Batch> {
    let mut b = MetricBatch::default();
    for (n, t) in samples {
        let mut labels = Labels::from_pairs(label_set(*n));
        if let Some(replica) = replica.filter(|_| labels.get("replica").is_none()) {
            labels = labels.with("replica", replica);
        }
        let at = b.series.iter().position(|l| *l == labels);
        let s = at.map_or_else(|| b.push_series(labels), |at| at as u32);
        b.samples.push(s, *t, *t as f64);
    }
    (!b.is_empty()).then_some(Batch::Metrics(b))
}

fn all() -> Vec<Matcher> {
    vec![Matcher::new("absent", MatchOp::Equal, "").unwrap()]
}

async fn answer(of: &impl Select) -> (Vec<SeriesData>, Coverage) {
    of.series(series_request(all(), TimeRange::ALL)).await.unwrap().collect().await.unwrap()
}

proptest! {
    #[test]
    fn replicas_without_their_label_are_what_one_that_never_had_it_answers(
        samples in prop::collection::btree_map((0u8..9, 0i64..30), 1u8..8, 0..60),
        sharded in any::<bool>(),
    ) {
        run(async {
            let whole = Fake::new();
            let everything: Vec<(u8, i64)> = samples.keys().copied().collect();
            append(&whole, batch(everything.iter(), None)).await;
            let mut of: Vec<Arc<dyn Select>> = Vec::new();
            for (i, replica) in ["a", "b", "c"].into_iter().enumerate() {
                let fake = Fake::new();
                // Mirrored, each has everything; sharded, each a part of it, or some of it twice.
                let mine = samples.iter().filter(|(_, to)| !sharded || *to & (1 << i) != 0).map(|(s, _)| s);
                append(&fake, batch(mine, Some(replica))).await;
                of.push(Arc::new(fake));
            }
            let kind = if sharded { Replication::Sharded } else { Replication::Mirrored };
            let federation = replicas(of).with_replicas(declared(Signal::METRICS, kind));
            let (got, coverage) = answer(&federation).await;
            prop_assert_eq!(got, answer(&whole).await.0);
            prop_assert!(coverage.is_complete() && coverage.sources().len() == 1);

            let names = LabelNamesRequest {
                scope: scope(TimeRange::ALL), signal: Signal::METRICS, selectors: vec![], limit: None,
            };
            for limit in [None, Some(2)] {
                let names = LabelNamesRequest { limit, ..names.clone() };
                let got = federation.label_names(names.clone()).await.unwrap().0;
                prop_assert_eq!(got, whole.label_names(names.clone()).await.unwrap().0);
                let got = federation.label_sets(names.clone()).await.unwrap().0;
                prop_assert_eq!(got, whole.label_sets(names.clone()).await.unwrap().0);
                for name in ["replica", "instance"] {
                    let LabelNamesRequest { scope, signal, selectors, .. } = names.clone();
                    let field = NamedField::Label(name.to_owned());
                    let values = LabelValuesRequest { scope, signal, field, selectors, limit };
                    let got = federation.label_values(values.clone()).await.unwrap().0;
                    prop_assert_eq!(got, whole.label_values(values).await.unwrap().0);
                }
            }
            Ok(())
        })?;
    }
}

#[test]
fn without_dedup_every_replica_is_seen_by_itself() {
    run(async {
        let mut of: Vec<Arc<dyn Select>> = Vec::new();
        for replica in ["a", "b"] {
            let fake = Fake::new();
            append(&fake, batch([(0, 1)].iter(), Some(replica))).await;
            of.push(Arc::new(fake));
        }
        let federation = replicas(of);
        let (found, coverage) = answer(&federation).await;
        assert_eq!((found.len(), found[0].labels.get("replica")), (1, None));
        assert_eq!(coverage.sources()[0].replica, None);
        let (found, coverage) = answer(&federation.without_dedup()).await;
        let seen: Vec<_> = found.iter().map(|s| s.labels.value("replica").to_owned()).collect();
        assert_eq!(seen, ["a", "b"]);
        assert_eq!(coverage.sources().len(), 2);
    });
}

#[test]
fn mirrors_are_complete_while_one_of_them_is_and_shards_only_together() {
    run(async {
        for (kind, state, complete) in [
            (Replication::Mirrored, CoverageState::Complete, true),
            (Replication::Sharded, CoverageState::Partial, false),
        ] {
            let gone = Script { first: vec![Act::Fail(refused())], ..Script::default() };
            let fake = Fake::new();
            append(&fake, batch([(0, 1)].iter(), Some("a"))).await;
            let federation = replicas(vec![Arc::new(fake), Arc::new(gone)]);
            let federation = federation.with_replicas(declared(Signal::METRICS, kind));
            let (found, coverage) = answer(&federation).await;
            let [source] = coverage.sources() else { panic!("{coverage:?}") };
            assert_eq!((found.len(), coverage.is_complete(), source.state), (1, complete, state));
            assert_eq!((source.cluster.as_str(), source.replica.as_deref()), ("prod-01", None));
            assert_eq!(source.reason, "replica b: connection refused");
        }
    });
}

#[test]
fn a_group_of_which_nobody_answers_is_missing() {
    run(async {
        let gone = || Arc::new(Script { first: vec![Act::Fail(refused())], ..Script::default() });
        let federation = replicas(vec![gone(), gone()]);
        let mut members: Vec<Member> = federation.members().iter().map(|m| (**m).clone()).collect();
        members.push(member("dev-01", Arc::new(Fake::new())));
        let federation = Federation::new(members, Counts::register(&Metrics::default()));
        let (_, coverage) = answer(&federation).await;
        let source = &coverage.sources()[1];
        assert_eq!((source.cluster.as_str(), source.state), ("prod-01", CoverageState::Missing));
        assert_eq!(source.reason, "replica a: connection refused, replica b: connection refused");
    });
}

#[test]
fn mirrors_that_miss_different_hours_miss_none_together() {
    let range = |a, b| TimeRange::new(TimestampNs(a), TimestampNs(b));
    let source = |replica: &str, state, covered: &[TimeRange], mark| SourceCoverage {
        cluster: "prod-01".into(),
        replica: Some(replica.into()),
        signal: Signal::METRICS,
        state,
        covered: covered.to_vec(),
        watermark: Some(TimestampNs(mark)),
        reason: if state == CoverageState::Complete { String::new() } else { "hole".into() },
    };
    let (partial, missing) = (CoverageState::Partial, CoverageState::Missing);
    let of = |kind, each: &[SourceCoverage]| together(kind, range(0, 10), each.to_vec()).sources()[0].clone();
    let holes =
        [source("a", partial, &[range(0, 3), range(5, 10)], 8), source("b", partial, &[range(0, 7)], 9)];
    let mirrored = of(Replication::Mirrored, &holes);
    assert_eq!((mirrored.state, mirrored.covered), (CoverageState::Complete, vec![range(0, 10)]));
    assert_eq!(mirrored.watermark, Some(TimestampNs(9)));
    let sharded = of(Replication::Sharded, &holes);
    assert_eq!((sharded.state, sharded.covered), (partial, vec![range(0, 3), range(5, 7)]));
    assert_eq!(sharded.watermark, Some(TimestampNs(8)));
    let same = [source("a", partial, &[range(0, 3)], 8), source("b", missing, &[], 9)];
    assert_eq!(of(Replication::Mirrored, &same).state, partial);
}

fn lines(mark: Option<&str>, times: &[i64]) -> Option<Batch> {
    let mut labels = Labels::from_pairs([("service_name", "web")]);
    if let Some(replica) = mark {
        labels = labels.with("replica", replica);
    }
    let record = |at: &i64| LogRecord {
        timestamp_ns: *at / 2,
        // When a replica saw it is its own affair.
        observed_ns: mark.map_or(0, |m| i64::from(m.as_bytes()[0])),
        body: format!("line {at}").into(),
        ..LogRecord::default()
    };
    let records: Vec<_> = times.iter().map(record).collect();
    let streams = vec![LogStream { labels, ..LogStream::default() }];
    (!records.is_empty()).then_some(Batch::Logs(LogBatch { streams, records }))
}

async fn texts(of: &impl Select, direction: Direction, limit: Option<usize>) -> Vec<(i64, String, String)> {
    let (matchers, line_filters) = (Vec::new(), Vec::new());
    let request = LogsRequest {
        scope: scope(TimeRange::ALL),
        matchers,
        line_filters,
        direction,
        limit,
        fields: Vec::new(),
        passing: None,
    };
    let (pieces, _) = of.logs(request).await.unwrap().collect().await.unwrap();
    let mut out = Vec::new();
    for piece in pieces {
        for r in piece.records {
            let labels = piece.streams[r.stream as usize].labels.to_string();
            out.push((r.timestamp_ns, r.body.to_string(), labels));
        }
    }
    out.sort();
    out
}

proptest! {
    #[test]
    fn lines_that_several_replicas_have_come_once(
        // Each line so often in each replica; two lines share a time.
        dealt in prop::collection::btree_map(0i64..40, (0usize..3, 0usize..3), 0..30),
        limit in prop::option::of(0usize..20),
    ) {
        run(async {
            let whole = Fake::new();
            let times = |n: &dyn Fn(&(usize, usize)) -> usize| -> Vec<i64> {
                dealt.iter().flat_map(|(t, d)| std::iter::repeat_n(*t, n(d))).collect()
            };
            append(&whole, lines(None, &times(&|d| d.0.max(d.1)))).await;
            let (a, b) = (Fake::new(), Fake::new());
            append(&a, lines(Some("a"), &times(&|d| d.0))).await;
            append(&b, lines(Some("b"), &times(&|d| d.1))).await;
            let federation = replicas(vec![Arc::new(a), Arc::new(b)]);
            for direction in [Direction::NewestFirst, Direction::OldestFirst] {
                prop_assert_eq!(texts(&federation, direction, None).await, texts(&whole, direction, None).await);
                let got = texts(&federation, direction, limit).await;
                let want = texts(&whole, direction, limit).await;
                // Which of those of one time come first is nobody's promise.
                let times = |l: &[(i64, String, String)]| l.iter().map(|x| x.0).collect::<Vec<_>>();
                prop_assert_eq!(times(&got), times(&want));
            }
            Ok(())
        })?;
    }
}

#[test]
fn a_replica_looks_at_what_passes_as_it_is_shown() {
    run(async {
        let members = [Some("a"), None].map(|replica| {
            let script = Arc::new(Script::default());
            let member = Member {
                replica: replica.map(str::to_owned),
                ..member("dev", script.clone() as Arc<dyn Select>)
            };
            (script, member)
        });
        let (scripts, members): (Vec<_>, Vec<_>) = members.into_iter().unzip();
        let f = Federation::new(members, Counts::register(&Metrics::default()));
        let passing = Passing {
            dialect: Dialect { language: Language::LogQl, version: 1 },
            query: "{app=\"x\"} | replica=\"\"".to_owned(),
            limit: Some(3),
            unmarked: Vec::new(),
        };
        let request = LogsRequest {
            scope: scope(TimeRange::ALL),
            matchers: Vec::new(),
            line_filters: Vec::new(),
            direction: Direction::NewestFirst,
            limit: None,
            fields: Vec::new(),
            passing: Some(passing.clone()),
        };
        f.logs(request.clone()).await.unwrap().collect().await.unwrap();
        let heard = |i: usize| scripts[i].passing.lock().take();
        let unmarked = vec![("replica".to_owned(), "a".to_owned())];
        assert_eq!(heard(0), Some(Passing { unmarked, ..passing.clone() }));
        assert_eq!(heard(1), Some(passing.clone()));
        f.without_dedup().logs(request).await.unwrap().collect().await.unwrap();
        assert_eq!(heard(0), Some(passing));
    });
}
