use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use base::{Kind, Metrics};
use contract::{CoverageState, Error, fake::Fake};
use futures::StreamExt;
use model::{Batch, Matcher, MetricBatch, TimeRange};
use tokio::time::Instant;

use super::*;
use crate::fixtures::{Act, Script, append, federation, member, refused, run, series, series_request};

const S: Duration = Duration::from_secs(1);

fn all() -> SeriesRequest {
    series_request(vec![Matcher::new("__name__", model::MatchOp::Regex, ".+").unwrap()], TimeRange::ALL)
}

fn within(d: Duration) -> SeriesRequest {
    let mut r = all();
    r.scope.limits.deadline = Some((Instant::now() + d).into_std());
    r
}

async fn good() -> Arc<dyn Select> {
    let fake = Fake::new();
    let mut b = MetricBatch::default();
    let s = b.push_series(Labels::from_pairs([("__name__", "good")]));
    b.samples.push(s, 1, 1.0);
    append(&fake, Batch::Metrics(b)).await;
    Arc::new(fake)
}

fn item(name: &str) -> Act<SeriesData> {
    Act::Item(series(name, &[(1, 1.0)]))
}

fn script(series: Vec<Act<SeriesData>>) -> Arc<Script> {
    Arc::new(Script { series, ..Script::default() })
}

fn says(first: Act<()>) -> Arc<Script> {
    Arc::new(Script { first: vec![first], ..Script::default() })
}

/// Asks, and says what came, who was not complete and why, and how long it took.
async fn outcome(
    f: &Federation,
    r: SeriesRequest,
) -> (Vec<String>, Vec<(String, CoverageState, String)>, Duration) {
    let began = Instant::now();
    let (found, coverage) = f.series(r).await.unwrap().collect().await.unwrap();
    let names = found.iter().map(|s| s.labels.metric_name().to_owned()).collect();
    let others = coverage.sources().iter().filter(|s| s.state != CoverageState::Complete);
    let others = others.map(|s| (s.cluster.clone(), s.state, s.reason.clone()));
    (names, others.collect(), began.elapsed())
}

fn one(name: &str, state: CoverageState, reason: &str) -> Vec<(String, CoverageState, String)> {
    vec![(name.to_owned(), state, reason.to_owned())]
}

#[test]
fn a_member_that_never_answers_costs_its_timeout_and_is_missing() {
    run(async {
        let f = federation([good().await, says(Act::Hang)]);
        let (names, others, took) = outcome(&f, all()).await;
        assert_eq!(names, ["good"]);
        assert_eq!(others, one("m1", CoverageState::Missing, "no answer within 10 s"));
        assert!(took >= 10 * S && took < 11 * S, "{took:?}");
    });
}

#[test]
fn nine_tenths_of_the_time_that_is_left_are_waited_for() {
    run(async {
        let silent = says(Act::Hang);
        let f = federation([good().await, silent.clone()]);
        let (names, others, took) = outcome(&f, within(5 * S)).await;
        assert_eq!(names, ["good"]);
        assert_eq!(others, one("m1", CoverageState::Missing, "no answer within 4.5 s"));
        assert!(took < 5 * S, "{took:?}");
        let told = silent.told.lock().clone().unwrap().limits.deadline;
        assert!(
            told.is_some_and(|d| Instant::from_std(d) < Instant::now() + S),
            "the member was told its time"
        );
    });
}

#[test]
fn a_member_that_stops_in_the_middle_is_partial() {
    run(async {
        let f = federation([good().await, script(vec![item("a"), Act::Hang])]);
        let (names, others, _) = outcome(&f, all()).await;
        assert_eq!(names, ["a", "good"]);
        let reason = "stopped in the middle: the rest did not come within 10 s";
        assert_eq!(others, one("m1", CoverageState::Partial, reason));
    });
}

#[test]
fn a_slow_drip_costs_no_more_than_the_timeout_in_all() {
    run(async {
        let acts = (0..100).flat_map(|i| [Act::Wait(3 * S), item(&format!("n{i:03}"))]);
        let f = federation([good().await, script(acts.collect())]);
        let (names, others, took) = outcome(&f, all()).await;
        assert_eq!(names, ["good", "n000", "n001", "n002"]);
        assert_eq!(others[0].1, CoverageState::Partial);
        assert!(took < 11 * S, "{took:?}");
    });
}

#[test]
fn members_that_fail_are_named_with_what_they_said() {
    run(async {
        let f = federation([good().await, says(Act::Fail(refused()))]);
        assert_eq!(outcome(&f, all()).await.1, one("m1", CoverageState::Missing, "connection refused"));
        let f = federation([good().await, script(vec![item("a"), Act::Fail(refused()), item("b")])]);
        let (names, others, _) = outcome(&f, all()).await;
        assert_eq!(names, ["a", "good"]);
        assert_eq!(others, one("m1", CoverageState::Partial, "connection refused"));
    });
}

#[test]
fn garbage_is_noticed_and_never_merged() {
    run(async {
        let mut short = series("b", &[(1, 1.0), (2, 2.0)]);
        short.values.pop();
        for (bad, reason) in [
            (item("a"), "sent series out of order: a after b"),
            (item("b"), "sent series out of order: b after b"),
            (Act::Item(series("c", &[(2, 1.0), (2, 2.0)])), "samples of c do not ascend in time"),
            (Act::Item(short), "out of order: b after b"),
            (Act::Item(SeriesData { starts_ms: vec![1], ..series("c", &[]) }), "1 starts in c"),
        ] {
            let f = federation([good().await, script(vec![item("b"), bad, item("z")])]);
            let (names, others, _) = outcome(&f, all()).await;
            assert_eq!(names, ["b", "good"]);
            assert_eq!(others[0].1, CoverageState::Partial);
            assert!(others[0].2.contains(reason), "{others:?}");
        }
        let late = Act::Item(series("a", &[(500, 1.0)]));
        let f = federation([good().await, script(vec![late])]);
        let r =
            SeriesRequest { scope: crate::fixtures::scope(TimeRange::from_ms_inclusive(0, 499)), ..all() };
        let (names, others, _) = outcome(&f, r).await;
        assert_eq!((names, others[0].1), (vec!["good".to_owned()], CoverageState::Missing));
    });
}

#[test]
fn a_limit_of_the_query_that_a_member_reached_fails_the_query() {
    run(async {
        let e =
            Error::limited("query.max_samples", "the query reads more than query.max_samples (1) samples");
        for bad in [says(Act::Fail(e.clone())), script(vec![item("a"), Act::Fail(e)])] {
            let f = federation([good().await, bad]);
            let failed = f.series(all()).await.unwrap().collect().await.unwrap_err();
            assert_eq!((failed.kind, failed.limit), (Kind::Limited, Some("query.max_samples")));
        }
    });
}

#[test]
fn a_deadline_that_passes_at_the_member_makes_only_the_member_late() {
    run(async {
        let e = Error { limit: Some("query.timeout"), ..Error::new(Kind::Timeout, "did not finish") };
        let f = federation([good().await, says(Act::Fail(e))]);
        let (names, others, _) = outcome(&f, within(5 * S)).await;
        assert_eq!(names, ["good"]);
        assert_eq!(others, one("m1", CoverageState::Missing, "no answer within 4.5 s"));
    });
}

#[test]
fn when_nobody_answers_the_error_names_everybody() {
    run(async {
        let f = federation([says(Act::Hang) as Arc<dyn Select>, says(Act::Fail(refused()))]);
        let e = f.series(all()).await.unwrap().collect().await.unwrap_err();
        let list = "none of the 2 members asked answered: m0: no answer within 10 s; m1: connection refused";
        assert_eq!((e.kind, e.message.as_str()), (Kind::Unavailable, list));
        let names = |signal| contract::LabelNamesRequest {
            scope: all().scope,
            signal,
            selectors: vec![],
            limit: None,
        };
        let e = f.label_names(names(Signal::LOGS)).await.unwrap_err();
        assert_eq!(e.message, list);
        let f = federation([says(Act::Fail(Error::invalid("no such thing"))) as Arc<dyn Select>]);
        let e = f.label_names(names(Signal::LOGS)).await.unwrap_err();
        assert_eq!((e.kind, e.message.as_str()), (Kind::Invalid, "m0: no such thing"));
    });
}

#[test]
fn when_nobody_is_to_be_asked_the_answer_is_empty_and_complete() {
    run(async {
        let f = federation([]);
        let (found, coverage) = f.series(all()).await.unwrap().collect().await.unwrap();
        assert!(found.is_empty() && coverage.is_complete());
        let request = contract::MetadataRequest { scope: all().scope, family: None, limit: None };
        assert!(f.metadata(request).await.unwrap().0.is_empty());
    });
}

#[test]
fn a_query_whose_time_is_up_asks_nobody() {
    run(async {
        let asked = script(vec![]);
        let f = federation([asked.clone() as Arc<dyn Select>]);
        let e = f.series(within(Duration::ZERO)).await.err().unwrap();
        assert_eq!((e.limit, asked.asked.load(Relaxed)), (Some("query.timeout"), 0));
    });
}

#[test]
fn the_others_are_read_while_a_slow_member_is_waited_for_and_no_further_than_fits() {
    run(async {
        let many = script((0..10_000).map(|i| item(&format!("n{i:05}"))).collect());
        let slow = says(Act::Wait(5 * S));
        let f = federation([slow as Arc<dyn Select>, many.clone()]);
        let mut selection = f.series(all()).await.unwrap();
        let began = Instant::now();
        tokio::time::timeout(S, selection.items.next()).await.unwrap_err();
        let ahead = many.given.load(Relaxed);
        assert!((32..3000).contains(&ahead), "{ahead} of 10000 were read ahead");
        let found = selection.items.by_ref().count().await;
        assert_eq!(found, 10_000);
        assert!(began.elapsed() < 6 * S && selection.coverage().is_complete());
    });
}

#[test]
fn a_slow_reader_makes_no_member_look_slow() {
    run(async {
        let many = script((0..5_000).map(|i| item(&format!("n{i:05}"))).collect());
        let f = federation([many as Arc<dyn Select>]);
        let mut selection = f.series(all()).await.unwrap();
        let mut found = 0;
        while let Some(s) = selection.items.next().await {
            s.unwrap();
            found += 1;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(found == 5_000 && selection.coverage().is_complete());
    });
}

#[test]
fn dropping_the_answer_stops_every_member() {
    run(async {
        let scripts = [script(vec![item("a"), Act::Hang]), script(vec![Act::Hang])];
        let f = federation(scripts.iter().map(|s| s.clone() as Arc<dyn Select>));
        let mut selection = f.series(all()).await.unwrap();
        tokio::time::timeout(S, selection.items.next()).await.unwrap_err();
        assert!(scripts.iter().all(|s| Arc::strong_count(&s.open) == 2));
        drop(selection);
        tokio::time::sleep(S).await;
        assert!(scripts.iter().all(|s| Arc::strong_count(&s.open) == 1));
    });
}

#[test]
fn what_a_member_says_of_others_is_kept() {
    run(async {
        let counts = || Counts::register(&Metrics::default());
        let inner = vec![member("dev-01", good().await), member("dev-02", says(Act::Fail(refused())))];
        let inner: Arc<dyn Select> = Arc::new(Federation::new(inner, counts()));
        let outer = vec![member("local", good().await), member("hub", inner)];
        let outer = Federation::new(outer, counts());
        let (_, coverage) = outer.series(all()).await.unwrap().collect().await.unwrap();
        let states: Vec<_> = coverage.sources().iter().map(|s| (s.cluster.as_str(), s.state)).collect();
        let (complete, missing) = (CoverageState::Complete, CoverageState::Missing);
        assert_eq!(states, [("dev-01", complete), ("dev-02", missing), ("local", complete)]);
    });
}

#[test]
fn everybody_a_member_spoke_for_is_doubted_when_it_breaks_off() {
    run(async {
        let hub = Script { series: vec![item("a"), Act::Fail(refused())], ..Script::default() };
        let f = Federation::new(
            vec![member("local", good().await), member("hub", Arc::new(hub))],
            Counts::register(&Metrics::default()),
        );
        let (_, coverage) = f.series(all()).await.unwrap().collect().await.unwrap();
        let states: Vec<_> =
            coverage.sources().iter().map(|s| (s.cluster.as_str(), s.covered.len())).collect();
        assert_eq!((states, coverage.state()), (vec![("hub", 0), ("local", 1)], CoverageState::Partial));
    });
}

#[test]
fn members_without_the_signal_are_not_asked_and_the_whole_can_do_what_all_can() {
    run(async {
        let metrics_only = Arc::new(Script { signals: vec![Signal::METRICS], ..Script::default() });
        let f = federation([good().await, metrics_only.clone()]);
        let can = f.capabilities();
        assert!(can.filters_lines && Signal::KNOWN.iter().all(|s| can.signals.contains(s)));
        let unknown = federation([good().await, script(vec![])]);
        assert!(!unknown.capabilities().filters_lines);
        let request = LogsRequest {
            scope: all().scope,
            matchers: vec![],
            line_filters: vec![],
            direction: contract::Direction::NewestFirst,
            limit: None,
            fields: Vec::new(),
            passing: None,
        };
        f.logs(request).await.unwrap().collect().await.unwrap();
        assert_eq!(metrics_only.asked.load(Relaxed), 0);
    });
}

#[test]
fn what_became_of_each_member_is_counted() {
    run(async {
        let metrics = Metrics::default();
        let members = vec![
            member("dev-01", good().await),
            member("prod-01", says(Act::Fail(refused()))),
            member("ops-01", script(vec![item("a"), Act::Hang])),
        ];
        let f = Federation::new(members, Counts::register(&metrics));
        outcome(&f, all()).await;
        let text = metrics.encode();
        for line in [
            "orrery_federation_asked_total{member=\"dev-01\",signal=\"metrics\"} 1",
            "orrery_federation_answered_total{member=\"dev-01\",signal=\"metrics\"} 1",
            "orrery_federation_missing_total{member=\"prod-01\",signal=\"metrics\",reason=\"unavailable\"} 1",
            "orrery_federation_partial_total{member=\"ops-01\",signal=\"metrics\",reason=\"stopped\"} 1",
            "orrery_federation_member_duration_seconds_count{member=\"ops-01\",signal=\"metrics\"} 1",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    });
}

/// Says that it can count, and nothing else.
struct Counting;

#[async_trait]
impl Select for Counting {
    async fn log_counts(&self, _: LogCountsRequest) -> Result<Option<Selection<LogCounts>>> {
        Ok(Some(Selection::with_coverage(futures::stream::empty().boxed(), Coverage::default())))
    }

    async fn series(&self, _: SeriesRequest) -> Result<Selection<SeriesData>> {
        Err(Error::invalid("no series"))
    }

    async fn logs(&self, _: LogsRequest) -> Result<Selection<LogBatch>> {
        Err(Error::invalid("no logs"))
    }

    async fn spans(&self, _: SpansRequest) -> Result<Selection<SpanBatch>> {
        Err(Error::invalid("no spans"))
    }

    async fn label_names(&self, _: LabelNamesRequest) -> Result<(Vec<String>, Coverage)> {
        Err(Error::invalid("no names"))
    }

    async fn label_values(&self, _: LabelValuesRequest) -> Result<(Vec<String>, Coverage)> {
        Err(Error::invalid("no values"))
    }

    async fn label_sets(&self, _: LabelNamesRequest) -> Result<(Vec<Labels>, Coverage)> {
        Err(Error::invalid("no labels"))
    }

    async fn metadata(&self, _: MetadataRequest) -> Result<(Vec<MetricMetadata>, Coverage)> {
        Err(Error::invalid("no metadata"))
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }
}

#[test]
fn lines_are_counted_where_they_are_only_by_whom_is_asked_for_them() {
    run(async {
        let one = || Arc::new(Counting) as Arc<dyn Select>;
        let request = |elsewhere: &[&str]| {
            let mut scope = crate::fixtures::scope(TimeRange::ALL);
            scope.limits.elsewhere = elsewhere.iter().map(|e| (*e).to_owned()).collect();
            let (matchers, line_filters, fields) = Default::default();
            LogCountsRequest { scope, matchers, line_filters, edges: Arc::new([0, 1]), fields, bytes: false }
        };
        let alone = federation(vec![one()]);
        assert!(alone.log_counts(request(&[])).await.unwrap().is_some());
        assert!(alone.log_counts(request(&["m1"])).await.unwrap().is_some());
        // Somebody else asks it: what it has is in another's answer.
        assert!(alone.log_counts(request(&["m0"])).await.unwrap().is_none());
        assert!(federation(vec![one(), one()]).log_counts(request(&[])).await.unwrap().is_none());
    });
}
