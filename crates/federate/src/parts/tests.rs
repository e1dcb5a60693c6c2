use std::{sync::Arc, time::Duration};

use contract::{
    Capabilities, CoverageState, Dialect, Error, EvaluateRequest, Evaluated, EvaluatedSeries,
    LabelNamesRequest, LabelValuesRequest, Language, LogsRequest, MetadataRequest, Result, Select, Selection,
    SeriesData, SeriesRequest, SpansRequest, fake::Fake,
};
use model::{Labels, LogBatch, Matcher, MetricMetadata, SpanBatch, TimeRange};
use parking_lot::Mutex;

use super::*;
use crate::{
    Counts,
    fixtures::{append, member, refused, run, scope, series},
};

const PROMQL: Dialect = Dialect { language: Language::PromQl, version: 1 };

/// Answers every query with one row, or with an error; holds nothing itself.
struct Evaluator {
    outcome: Option<Error>,
    hangs: bool,
    asked: Mutex<Vec<String>>,
}

fn evaluator(outcome: Option<Error>) -> Arc<Evaluator> {
    Arc::new(Evaluator { outcome, hangs: false, asked: Mutex::default() })
}

fn nothing<T>() -> Result<T> {
    Err(Error::unavailable("only queries are evaluated here"))
}

#[async_trait::async_trait]
impl Select for Evaluator {
    async fn evaluate(&self, r: EvaluateRequest) -> Result<Evaluated> {
        self.asked.lock().push(r.query);
        if self.hangs {
            futures::future::pending::<()>().await;
        }
        match &self.outcome {
            Some(e) => Err(e.clone()),
            None => {
                let row = EvaluatedSeries { data: series("up", &[(0, 1.0)]), ..EvaluatedSeries::default() };
                Ok(Evaluated { series: vec![row], ..Evaluated::default() })
            }
        }
    }

    async fn series(&self, _: SeriesRequest) -> Result<Selection<SeriesData>> {
        nothing()
    }

    async fn logs(&self, _: LogsRequest) -> Result<Selection<LogBatch>> {
        nothing()
    }

    async fn spans(&self, _: SpansRequest) -> Result<Selection<SpanBatch>> {
        nothing()
    }

    async fn label_names(&self, _: LabelNamesRequest) -> Result<(Vec<String>, contract::Coverage)> {
        nothing()
    }

    async fn label_values(&self, _: LabelValuesRequest) -> Result<(Vec<String>, contract::Coverage)> {
        nothing()
    }

    async fn label_sets(&self, _: LabelNamesRequest) -> Result<(Vec<Labels>, contract::Coverage)> {
        nothing()
    }

    async fn metadata(&self, _: MetadataRequest) -> Result<(Vec<MetricMetadata>, contract::Coverage)> {
        nothing()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { evaluates: vec![PROMQL], ..Capabilities::default() }
    }
}

fn labelled(name: &str, replica: Option<&str>, labels: &[(&str, &str)], select: Arc<dyn Select>) -> Member {
    Member {
        replica: replica.map(str::to_owned),
        labels: Labels::from_pairs(labels.iter().copied()),
        ..member(name, select)
    }
}

fn of(members: Vec<Member>) -> Federation {
    Federation::new(members, Counts::register(&base::Metrics::default()))
}

fn empty() -> Arc<dyn Select> {
    Arc::new(Fake::new())
}

fn range() -> TimeRange {
    TimeRange::from_ms_inclusive(0, 1_000)
}

fn names(f: &Federation, selectors: &[Vec<Matcher>]) -> Option<Vec<String>> {
    f.parts(&Signal::METRICS, selectors, range()).map(|p| p.into_iter().map(|p| p.name).collect())
}

fn request() -> EvaluateRequest {
    EvaluateRequest {
        scope: scope(range()),
        dialect: PROMQL,
        query: "sum(up)".to_owned(),
        start_ms: 0,
        end_ms: 1_000,
        step_ms: 1_000,
        lookback_ms: 1_000,
        features: Vec::new(),
        pieces: false,
        per_step_stats: false,
    }
}

#[test]
fn members_that_a_label_tells_apart_are_parts() {
    let cluster = |c: &'static str| labelled(c, None, &[("cluster", c)], empty());
    let f = of(vec![cluster("a"), cluster("b"), cluster("c")]);
    assert_eq!(names(&f, &[]), Some(vec!["a".to_owned(), "b".to_owned(), "c".to_owned()]));
    let only = |c: &str| vec![Matcher::equal("cluster", c)];
    assert_eq!(names(&f, &[only("a"), only("c")]), Some(vec!["a".to_owned(), "c".to_owned()]));
    assert_eq!(names(&f, &[only("z")]), None);
    assert_eq!(names(&of(vec![cluster("a")]), &[]), Some(vec!["a".to_owned()]));
}

#[test]
fn members_that_may_share_series_are_one_part() {
    let f = of(vec![
        labelled("a", None, &[("cluster", "a")], empty()),
        labelled("b", None, &[("cluster", "b")], empty()),
        labelled("archive", None, &[("cluster", "b"), ("old", "yes")], empty()),
    ]);
    assert_eq!(names(&f, &[]), Some(vec!["a".to_owned(), "b + archive".to_owned()]));
    let without_labels = of(vec![
        labelled("a", None, &[("cluster", "a")], empty()),
        labelled("b", None, &[("cluster", "b")], empty()),
        labelled("anything", None, &[], empty()),
    ]);
    assert_eq!(names(&without_labels, &[]), None);
}

#[test]
fn what_joined_members_have_in_common_must_tell_them_from_others_too() {
    // The second is apart from the first by its cluster and the third by its region, but both together by neither.
    let f = of(vec![
        labelled("a", None, &[("cluster", "a"), ("region", "eu")], empty()),
        labelled("b", None, &[("cluster", "b")], empty()),
        labelled("us", None, &[("region", "us")], empty()),
        labelled("d", None, &[("cluster", "d"), ("region", "us")], empty()),
    ]);
    assert_eq!(names(&f, &[]), None);
}

#[test]
fn replicas_are_one_part_until_they_are_shown_one_by_one() {
    let replica =
        |r: &'static str| labelled("dev", Some(r), &[("cluster", "dev"), ("replica", r)], evaluator(None));
    let f =
        of(vec![replica("a"), labelled("prod", None, &[("cluster", "prod")], evaluator(None)), replica("b")]);
    let parts = f.parts(&Signal::METRICS, &[], range()).unwrap();
    let shown: Vec<_> =
        parts.iter().map(|p| (p.name.as_str(), p.select.capabilities().evaluates.len())).collect();
    assert_eq!(shown, [("prod", 1), ("dev", 0)]);
    assert_eq!(parts[1].labels, Labels::from_pairs([("cluster", "dev")]));
    assert_eq!(parts[1].sources, [("dev".to_owned(), None)]);

    let parts = f.without_dedup().parts(&Signal::METRICS, &[], range()).unwrap();
    let shown: Vec<_> =
        parts.iter().map(|p| (p.name.as_str(), p.select.capabilities().evaluates.len())).collect();
    assert_eq!(shown, [("dev/a", 1), ("prod", 1), ("dev/b", 1)]);
}

#[test]
fn a_part_answers_for_what_its_members_hold() {
    run(async {
        let (one, other) = (Fake::new(), Fake::new());
        for (fake, cluster) in [(&one, "a"), (&other, "b")] {
            let mut batch = model::MetricBatch::default();
            let at = batch.push_series(Labels::from_pairs([("__name__", "up"), ("cluster", cluster)]));
            batch.samples.push(at, 5, 1.0);
            append(fake, model::Batch::Metrics(batch)).await;
        }
        let f = of(vec![
            labelled("a", None, &[("cluster", "a")], Arc::new(one)),
            labelled("b", None, &[("cluster", "b")], Arc::new(other)),
        ]);
        for part in f.parts(&Signal::METRICS, &[], range()).unwrap() {
            let r = crate::fixtures::series_request(vec![Matcher::equal("__name__", "up")], range());
            let (found, coverage) = part.select.series(r).await.unwrap().collect().await.unwrap();
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].labels.get("cluster"), Some(part.name.as_str()));
            assert_eq!(coverage.sources()[0].cluster, part.name);
        }
    });
}

#[test]
fn a_query_is_passed_on_to_a_single_member() {
    run(async {
        let asked = evaluator(None);
        let f = of(vec![labelled("a", None, &[], asked.clone())]);
        assert!(f.capabilities().understands(PROMQL));
        let answer = f.evaluate(request()).await.unwrap();
        assert_eq!(
            (answer.series.len(), asked.asked.lock().as_slice()),
            (1, ["sum(up)".to_owned()].as_slice())
        );
        let source = &answer.coverage.sources()[0];
        assert_eq!((source.cluster.as_str(), source.state), ("a", CoverageState::Complete));

        let two =
            of(vec![labelled("a", None, &[], evaluator(None)), labelled("b", None, &[], evaluator(None))]);
        assert!(!two.capabilities().understands(PROMQL));
        assert_eq!(two.evaluate(request()).await.unwrap_err().kind(), Kind::Invalid);
        let replica = of(vec![labelled("a", Some("r"), &[], evaluator(None))]);
        assert_eq!(replica.evaluate(request()).await.unwrap_err().kind(), Kind::Invalid);
    });
}

#[test]
fn logs_divide_as_metrics_do_and_spans_do_not() {
    let f = of(vec![
        labelled("a", None, &[("cluster", "a")], evaluator(None)),
        labelled("b", None, &[("cluster", "b")], empty()),
    ]);
    let names = |signal: &Signal| {
        f.parts(signal, &[], range()).map(|parts| parts.into_iter().map(|p| p.name).collect::<Vec<_>>())
    };
    assert_eq!(names(&Signal::LOGS), Some(vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(names(&Signal::TRACES), None);
}

#[test]
fn a_query_over_logs_is_covered_as_logs() {
    run(async {
        let f = of(vec![labelled("a", None, &[], evaluator(None))]);
        let dialect = Dialect { language: Language::LogQl, version: 1 };
        let answer = f.evaluate(EvaluateRequest { dialect, ..request() }).await.unwrap();
        assert_eq!(answer.coverage.sources()[0].signal, Signal::LOGS);
    });
}

#[test]
fn a_member_that_cannot_evaluate_is_not_one_that_failed() {
    run(async {
        let told = |e: Error| async {
            of(vec![labelled("a", None, &[], evaluator(Some(e)))]).evaluate(request()).await.unwrap_err()
        };
        assert_eq!(told(Error::invalid("unknown function")).await.message, "unknown function");
        assert_eq!(told(refused()).await.message, "a: connection refused");
        let limited = told(Error::limited("query.max_samples", "too many")).await;
        assert_eq!(limited.limit, Some("query.max_samples"));
        let silent = Evaluator { outcome: None, hangs: true, asked: Mutex::default() };
        let mut slow = labelled("a", None, &[], Arc::new(silent));
        slow.timeout = Duration::from_secs(3);
        let e = of(vec![slow]).evaluate(request()).await.unwrap_err();
        assert_eq!((e.kind(), e.message.as_str()), (Kind::Timeout, "a: no answer within 3 s"));
    });
}
