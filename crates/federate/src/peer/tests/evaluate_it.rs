//! Queries that are evaluated at the peer.

use contract::{Annotation, Dialect, EvaluateRequest, Evaluated, EvaluatedSeries, Language, Passing};

use super::*;

/// Answers every query with the same, and remembers what was asked.
struct Answers(Evaluated, parking_lot::Mutex<Option<EvaluateRequest>>, Fake);

#[async_trait::async_trait]
impl Select for Answers {
    async fn series(&self, r: SeriesRequest) -> contract::Result<contract::Selection<SeriesData>> {
        self.2.series(r).await
    }

    async fn logs(&self, r: LogsRequest) -> contract::Result<contract::Selection<LogBatch>> {
        self.2.logs(r).await
    }

    async fn spans(&self, r: SpansRequest) -> contract::Result<contract::Selection<SpanBatch>> {
        self.2.spans(r).await
    }

    async fn label_names(&self, r: LabelNamesRequest) -> contract::Result<(Vec<String>, Coverage)> {
        self.2.label_names(r).await
    }

    async fn label_values(&self, r: LabelValuesRequest) -> contract::Result<(Vec<String>, Coverage)> {
        self.2.label_values(r).await
    }

    async fn label_sets(&self, r: LabelNamesRequest) -> contract::Result<(Vec<Labels>, Coverage)> {
        self.2.label_sets(r).await
    }

    async fn metadata(&self, r: MetadataRequest) -> contract::Result<(Vec<MetricMetadata>, Coverage)> {
        self.2.metadata(r).await
    }

    async fn evaluate(&self, r: EvaluateRequest) -> contract::Result<Evaluated> {
        *self.1.lock() = Some(r);
        Ok(self.0.clone())
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { evaluates: vec![PROMQL], ..self.2.capabilities() }
    }
}

const PROMQL: Dialect = Dialect { language: Language::PromQl, version: 3 };

fn query() -> EvaluateRequest {
    EvaluateRequest {
        scope: scope(TimeRange::from_ms_inclusive(0, 60_000)),
        dialect: PROMQL,
        query: "sum by (le) (rate(x[5m]))".into(),
        start_ms: 5,
        end_ms: 60_000,
        step_ms: 15,
        lookback_ms: 300_000,
        features: vec!["experimental".into()],
        pieces: true,
        per_step_stats: true,
    }
}

fn answer() -> Evaluated {
    let annotation = |m: &str| Annotation { message: m.into(), start: 3, end: 9, occurrences: 2 };
    let row = |i: usize| EvaluatedSeries {
        data: SeriesData {
            // More than fits in one part, and pieces of one group have the same labels.
            timestamps_ms: (0..4000).map(|t| t * 15).collect(),
            values: (0..4000).map(|t| f64::from(t) * 0.5 + i as f64).collect(),
            histograms: vec![(7, 1, Histogram { count: 2.0, ..Histogram::default() })],
            ..series("x", &[])
        },
        drop_name: i.is_multiple_of(2),
        piece: (i % 3) as u8,
    };
    Evaluated {
        series: (0..50).map(row).chain([EvaluatedSeries::default()]).collect(),
        warnings: vec![annotation("w")],
        infos: vec![annotation("i"), annotation("j")],
        coverage: Coverage::one(SourceCoverage::complete("dev-01", Signal::METRICS, TimeRange::ALL)),
        series_read: 1,
        samples_read: 2,
        bytes_read: 6,
        samples_seen: 3,
        seen_per_step: vec![4, 5],
        bytes_moved: 0,
    }
}

#[test]
fn a_query_is_evaluated_over_there_and_comes_back_row_by_row() {
    run(async {
        let want = answer();
        let select = Arc::new(Answers(want.clone(), Default::default(), Fake::new()));
        let (client, _served) = connected(select.clone(), QueryLimits::default()).await;
        let told = client.announce(&Asker::default()).await.unwrap();
        assert!(client.with(&told).capabilities().understands(PROMQL));
        let got = client.evaluate(query()).await.unwrap();
        assert_eq!(got.series, want.series);
        assert_eq!((&got.warnings, &got.infos, &got.coverage), (&want.warnings, &want.infos, &want.coverage));
        assert_eq!((got.series_read, got.samples_read, got.samples_seen), (1, 2, 3));
        assert_eq!(got.bytes_read, 6);
        assert!(got.seen_per_step == [4, 5] && got.bytes_moved > 1000);
        let asked = select.1.lock().take().unwrap();
        assert_eq!((asked.query, asked.dialect, asked.features), (query().query, PROMQL, query().features));
        assert_eq!((asked.start_ms, asked.end_ms, asked.step_ms), (5, 60_000, 15));
        assert_eq!((asked.lookback_ms, asked.scope.range), (300_000, query().scope.range));
        assert!(asked.pieces && asked.per_step_stats);
    });
}

#[test]
fn what_cannot_be_evaluated_or_is_too_much_is_refused_as_it_would_be_here() {
    run(async {
        let select = Arc::new(Answers(answer(), Default::default(), Fake::new()));
        let (client, _served) = connected(select, QueryLimits::default()).await;
        let mut small = query();
        small.scope.limits.max_samples = 10_000;
        let refused = client.evaluate(small).await.unwrap_err();
        assert_eq!(refused.limit, Some("query.max_samples"));
        let refused = client.evaluate(EvaluateRequest { step_ms: 0, ..query() }).await.unwrap_err();
        assert_eq!((refused.kind, refused.message.as_str()), (Kind::Invalid, "step_ms is 0, not above zero"));
        let (client, _served) = connected(filled().await, QueryLimits::default()).await;
        assert_eq!(client.evaluate(query()).await.unwrap_err().kind, Kind::Invalid);
    });
}

#[test]
fn what_must_pass_goes_with_its_dialect_or_not_at_all() {
    let passing = Passing {
        dialect: Dialect { language: Language::LogQl, version: 7 },
        query: "{app=\"x\"} | json | level=\"error\"".into(),
        limit: Some(100),
        unmarked: vec![("replica".into(), "a".into())],
    };
    let sent = evaluate::passing_to(passing.clone());
    assert_eq!(evaluate::passing_from(sent.clone()), Some(passing));
    let other = pb::Dialect { language: "logsql".into(), version: 1 };
    assert_eq!(evaluate::passing_from(pb::Passing { dialect: Some(other), ..sent.clone() }), None);
    assert_eq!(evaluate::passing_from(pb::Passing { dialect: None, ..sent.clone() }), None);
    let query = "x".repeat((1 << 20) + 1);
    assert_eq!(evaluate::passing_from(pb::Passing { query, ..sent }), None);
}

proptest! {
    #[test]
    fn any_bytes_are_rows_or_an_error(unit in prop::collection::vec(any::<u8>(), 0..300), pieces in prop::collection::vec(any::<u32>(), 0..4)) {
        let unit = [&[2, 0, 0, 0, 0, 1], unit.as_slice()].concat();
        let (drop_name, count) = (vec![true; pieces.len()], pieces.len());
        if let Ok(rows) = evaluate::read_rows(pb::Rows { unit, pieces, drop_name }) {
            prop_assert_eq!(rows.len(), count);
        }
    }
}
