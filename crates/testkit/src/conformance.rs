//! What every implementation of the two seams must hold, run against each of them.
//!
//! [`append_rules`] checks the way in. [`same_answers`] asks a subject and an oracle (which is
//! [`contract::fake::Fake`] as a rule) everything the read seam offers and compares; [`units`] are known
//! units to fill both with.

mod counts;
mod spans;

use contract::{
    Append, AppendUnit, Direction, ExemplarsRequest, LabelNamesRequest, LabelValuesRequest, LineFilter,
    LogsRequest, MetadataRequest, NamedField, Scope, Select, SeriesData, SeriesHints, SeriesRequest, Tenants,
};
use model::{
    AnyValue, Attributes, Batch, BatchId, Exemplar, Histogram, Labels, LogBatch, LogRecord, LogStream,
    MatchOp, Matcher, MetricBatch, MetricKind, MetricMetadata, Signal, Span, SpanBatch, SpanKind, StatusCode,
    TenantId, TimeRange, TimestampNs,
    attributes::Resource,
    histogram::BucketSpan,
    metric::HistogramSample,
    span::{SpanEvent, SpanLink, SpanOrigin, SpanStatus},
};

/// The time at which a subject's clock must stand: items of [`units`] lie in the hours before it.
pub const NOW_NS: i64 = 1_790_000_000_000_000_000;
const NOW_MS: i64 = NOW_NS / 1_000_000;

fn tenant(name: &str) -> TenantId {
    TenantId::new(name).expect("a constant")
}

pub fn unit(batches: Vec<Batch>) -> AppendUnit {
    AppendUnit { batch_id: None, received_ns: NOW_NS, batches }
}

/// Tenants that [`units`] belong to.
pub fn tenants() -> [TenantId; 2] {
    [tenant("default"), tenant("team-b")]
}

/// Metrics with starts, stale markers and native histograms, logs and spans with every kind of field, for
/// two tenants, three hours long.
pub fn units() -> Vec<(TenantId, AppendUnit)> {
    let mut all = Vec::new();
    for (n, tenant) in tenants().into_iter().enumerate() {
        for step in 0..12i64 {
            let at_ms = NOW_MS - (11 - step) * 900_000 - n as i64;
            let batches = vec![
                Batch::Metrics(metrics(at_ms, step, n)),
                Batch::Logs(logs(at_ms * 1_000_000, step, n)),
                Batch::Spans(spans(at_ms * 1_000_000, step, n)),
            ];
            all.push((tenant.clone(), unit(batches)));
        }
    }
    all
}

fn metrics(at_ms: i64, step: i64, n: usize) -> MetricBatch {
    let mut b = MetricBatch::default();
    for (i, name) in ["up", "requests_total", "load"].into_iter().enumerate() {
        for instance in ["a", "b", "c"].iter().take(1 + i) {
            let labels =
                [("__name__", name), ("instance", instance), ("job", if n == 0 { "node" } else { "app" })];
            let s = b.push_series(Labels::from_pairs(labels));
            let value = match (name, step) {
                ("load", 7) => model::stale_marker(),
                ("load", _) => 0.1 * step as f64 + i as f64,
                _ => (step * 17 + i as i64) as f64,
            };
            let start = if name == "requests_total" { NOW_MS - 20_000_000 } else { 0 };
            b.samples.push_started(s, at_ms - 30_000, value, start);
            b.samples.push_started(s, at_ms, value + 1.0, start);
            if name == "requests_total" {
                let labels = Labels::from_pairs([("trace_id", format!("{step:x}"))]);
                b.exemplars.push((s, Exemplar { labels, value, timestamp_ms: at_ms }));
            }
        }
    }
    let series = b.push_series(Labels::from_pairs([("__name__", "latency"), ("instance", "a")]));
    let histogram = Histogram {
        schema: 3,
        count: 3.0 + step as f64,
        sum: 4.5,
        zero_threshold: 1e-9,
        positive_spans: vec![BucketSpan { offset: -2, length: 2 }],
        positive_buckets: vec![1.0, 2.0 + step as f64],
        is_integer: true,
        ..Histogram::default()
    };
    b.histograms.push(HistogramSample { series, timestamp_ms: at_ms, start_ms: 7, histogram });
    b.metadata.push(MetricMetadata {
        family: "requests".into(),
        kind: MetricKind::Counter,
        unit: String::new(),
        help: "Requests served.".into(),
    });
    b
}

fn logs(at_ns: i64, step: i64, n: usize) -> LogBatch {
    let mut b = LogBatch::default();
    for (i, service) in ["web", "db"].into_iter().enumerate() {
        b.streams.push(LogStream {
            labels: Labels::from_pairs([
                ("service_name", service),
                ("env", if n == 0 { "prod" } else { "dev" }),
            ]),
            resource: Resource {
                attributes: Attributes::from_iter([("service.name", service), ("host.name", "h1")]),
                ..Resource::default()
            },
            ..LogStream::default()
        });
        for k in 0..5i64 {
            b.records.push(LogRecord {
                stream: i as u32,
                timestamp_ns: at_ns - k * 1_000_003 - i as i64 * 501,
                observed_ns: at_ns,
                severity_number: 9 + (k as u8 % 2) * 8,
                severity_text: if k % 2 == 0 { "INFO" } else { "ERROR" }.to_owned(),
                body: match k {
                    3 => AnyValue::Map(Attributes::from_iter([("code", AnyValue::Int(step))])),
                    _ => format!("GET /items/{step}/{k} status={}", 200 + k).into(),
                },
                attributes: Attributes::from_iter([
                    ("http.status", AnyValue::Int(200 + k)),
                    ("ratio", AnyValue::Double(0.5)),
                    ("tags", AnyValue::Array(vec!["x".into(), AnyValue::Bool(true)])),
                ]),
                trace_id: [step as u8 + 1; 16],
                span_id: [k as u8; 8],
                event_name: if k == 4 { "device.app.lifecycle".to_owned() } else { String::new() },
                ..LogRecord::default()
            });
        }
    }
    b
}

fn spans(at_ns: i64, step: i64, n: usize) -> SpanBatch {
    let mut b = SpanBatch::default();
    let mut trace_id = [n as u8 + 1; 16];
    trace_id[0] = step as u8 + 1;
    for (i, service) in ["web", "db"].into_iter().enumerate() {
        b.origins.push(SpanOrigin {
            resource: Resource {
                attributes: Attributes::from_iter([("service.name", service)]),
                ..Resource::default()
            },
            scope: model::attributes::Scope {
                name: format!("lib.{service}"),
                attributes: Attributes::from_iter([("team", AnyValue::Int(i as i64))]),
                ..Default::default()
            },
        });
        let i = i as i64;
        b.spans.push(Span {
            origin: i as u32,
            trace_id,
            span_id: [1 + i as u8; 8],
            parent_span_id: [i as u8; 8],
            name: format!("{} {}", if i == 0 { "GET" } else { "SELECT" }, step % 3),
            kind: if i == 0 { SpanKind::Server } else { SpanKind::Client },
            start_ns: at_ns - 5_000_000 + i * 1_000,
            end_ns: at_ns - i * 1_000 + step * 1_000_000,
            attributes: Attributes::from_iter([
                ("http.route", AnyValue::from("/items")),
                ("n", AnyValue::Int(step)),
                ("ratio", AnyValue::Double(step as f64 / 8.0)),
                ("cached", AnyValue::Bool(step % 2 == 0)),
                ("tags", AnyValue::Array(vec!["x".into(), format!("t{}", step % 4).into()])),
            ]),
            links: (step % 5 == 0)
                .then(|| SpanLink {
                    trace_id: [9; 16],
                    attributes: Attributes::from_iter([("why", "retry")]),
                    ..SpanLink::default()
                })
                .into_iter()
                .collect(),
            events: vec![SpanEvent {
                timestamp_ns: at_ns,
                name: "exception".into(),
                attributes: Attributes::from_iter([("exception.type", "Timeout")]),
                dropped_attributes: 0,
            }],
            status: SpanStatus {
                code: if step % 4 == 0 { StatusCode::Error } else { StatusCode::Ok },
                message: "m".into(),
            },
            ..Span::default()
        });
    }
    b
}

/// Appends units, each of which must be accepted whole.
pub async fn fill(subject: &impl Append, units: impl IntoIterator<Item = (TenantId, AppendUnit)>) {
    for (tenant, unit) in units {
        let receipt = subject.append(&tenant, unit).await.expect("a sound unit is accepted");
        assert!(receipt.refused.is_empty(), "{:?}", receipt.refused);
    }
}

/// A single sample at [`NOW_NS`], under a name of its own.
pub fn sample(name: &str, at_ms: i64, value: f64) -> Batch {
    let mut b = MetricBatch::default();
    let s = b.push_series(Labels::from_pairs([("__name__", name)]));
    b.samples.push(s, at_ms, value);
    Batch::Metrics(b)
}

/// What an `Append` must hold on its own.
pub async fn append_rules(subject: &(impl Append + Select)) {
    let t = tenant("rules");
    let id = BatchId::Numbered { source: 1, epoch: 2, sequence: 3 };
    let with_id = |name: &str| AppendUnit { batch_id: Some(id), ..unit(vec![sample(name, NOW_MS, 1.0)]) };

    let first = subject.append(&t, with_id("rule_one")).await.expect("accepted");
    assert_eq!((first.accepted_items(), first.duplicate), (1, false));
    assert_eq!(first.accepted, [(Signal::METRICS, 1)]);
    let again = subject.append(&t, with_id("rule_one")).await.expect("recognised");
    assert_eq!((again.accepted_items(), again.duplicate), (0, true), "a retry stores nothing");
    let other = subject.append(&tenant("rules-2"), with_id("rule_one")).await.expect("accepted");
    assert!(!other.duplicate, "ids belong to a tenant");

    let both = tokio::join!(
        subject.append(
            &t,
            AppendUnit { batch_id: Some(BatchId::Content(9)), ..unit(vec![sample("rule_two", NOW_MS, 1.0)]) }
        ),
        subject.append(
            &t,
            AppendUnit { batch_id: Some(BatchId::Content(9)), ..unit(vec![sample("rule_two", NOW_MS, 1.0)]) }
        ),
    );
    let duplicates = [both.0, both.1].into_iter().filter(|r| r.as_ref().is_ok_and(|r| r.duplicate)).count();
    assert_eq!(duplicates, 1, "of two at once exactly one is stored");

    let empty = subject.append(&t, unit(Vec::new())).await.expect("nothing is fine");
    assert_eq!((empty.accepted_items(), empty.refused_items()), (0, 0));

    let found = all_series(
        subject,
        &t,
        vec![Matcher::new("__name__", MatchOp::Regex, "rule_.*").expect("constant")],
        TimeRange::ALL,
    )
    .await;
    assert_eq!(found.len(), 2, "acknowledged means visible at once: {found:?}");
}

type Row = (Labels, Vec<i64>, Vec<u64>, Vec<i64>, Vec<(i64, i64, Histogram)>);

async fn all_series(
    s: &impl Select,
    tenant: &TenantId,
    matchers: Vec<Matcher>,
    range: TimeRange,
) -> Vec<Row> {
    let scope = Scope::new(Tenants::one(tenant.clone()), range);
    let request = SeriesRequest { scope, matchers, hints: SeriesHints::default() };
    let (found, _) = s.series(request).await.expect("series").collect().await.expect("series");
    let row = |d: SeriesData| {
        (d.labels, d.timestamps_ms, d.values.iter().map(|v| v.to_bits()).collect(), d.starts_ms, d.histograms)
    };
    found.into_iter().map(row).collect()
}

type Line = (i64, LogStream, LogRecord);

async fn all_logs(s: &impl Select, request: LogsRequest) -> Vec<Line> {
    let direction = request.direction;
    let (pieces, _) = s.logs(request).await.expect("logs").collect().await.expect("logs");
    let mut out: Vec<Line> = Vec::new();
    for piece in pieces {
        for mut r in piece.records {
            let stream = piece.streams[r.stream as usize].clone();
            r.stream = 0;
            out.push((r.timestamp_ns, stream, r));
        }
    }
    let in_order = out.windows(2).all(|w| match direction {
        Direction::NewestFirst => w[0].0 >= w[1].0,
        Direction::OldestFirst => w[0].0 <= w[1].0,
    });
    assert!(in_order, "records come in the asked order");
    // Ties are in any stable order.
    out.sort_by_cached_key(|(t, stream, r)| (*t, stream.labels.to_string(), format!("{r:?}")));
    out
}

/// Ranges of interest over [`units`]: everything, two cuts, one instant, nothing.
pub fn ranges() -> Vec<TimeRange> {
    let r = |a: i64, b: i64| TimeRange::new(TimestampNs(NOW_NS + a), TimestampNs(NOW_NS + b));
    const HOUR: i64 = 3_600_000_000_000;
    vec![TimeRange::ALL, r(-HOUR, 1), r(-2 * HOUR - 77, -HOUR), r(0, 1_000_000), r(HOUR, 2 * HOUR)]
}

/// Asks both everything for each tenant and range, and compares.
pub async fn same_answers(
    subject: &impl Select,
    oracle: &impl Select,
    tenants: &[TenantId],
    ranges: &[TimeRange],
) {
    for tenant in tenants {
        for range in ranges {
            same_series(subject, oracle, tenant, *range).await;
            same_logs(subject, oracle, tenant, *range).await;
            counts::same_counts(subject, oracle, tenant, *range).await;
            spans::same_spans(subject, oracle, tenant, *range).await;
            spans::same_fields(subject, oracle, tenant, *range).await;
            same_names(subject, oracle, tenant, *range).await;
            same_exemplars(subject, oracle, tenant, *range).await;
        }
    }
}

fn matcher(name: &str, op: MatchOp, value: &str) -> Matcher {
    Matcher::new(name, op, value).expect("a constant")
}

async fn same_series(subject: &impl Select, oracle: &impl Select, tenant: &TenantId, range: TimeRange) {
    let selectors = [
        vec![],
        vec![Matcher::equal("__name__", "up")],
        vec![Matcher::equal("instance", "a"), matcher("__name__", MatchOp::NotEqual, "load")],
        vec![
            matcher("__name__", MatchOp::Regex, "lat.*|requests_total"),
            matcher("job", MatchOp::NotRegex, "x.+"),
        ],
        vec![matcher("absent", MatchOp::Equal, ""), matcher("instance", MatchOp::Regex, "[bc]")],
        vec![Matcher::equal("__name__", "nothing")],
    ];
    for matchers in selectors {
        let want = all_series(oracle, tenant, matchers.clone(), range).await;
        let got = all_series(subject, tenant, matchers.clone(), range).await;
        assert!(got.windows(2).all(|w| w[0].0 < w[1].0), "series ascend strictly");
        assert_eq!(got, want, "series {matchers:?} of {tenant} in {range:?}");
    }
}

async fn same_exemplars(subject: &impl Select, oracle: &impl Select, tenant: &TenantId, range: TimeRange) {
    let all = vec![matcher("__name__", MatchOp::Regex, ".+")];
    let (a, b) = (vec![Matcher::equal("instance", "a")], vec![Matcher::equal("instance", "b")]);
    for selectors in [vec![all], vec![a.clone(), b], vec![a, vec![Matcher::equal("__name__", "up")]]] {
        let scope = Scope::new(Tenants::one(tenant.clone()), range);
        let request = ExemplarsRequest { scope, selectors: selectors.clone() };
        let want = oracle.exemplars(request.clone()).await.expect("exemplars").0;
        let got = subject.exemplars(request).await.expect("exemplars").0;
        assert_eq!(got, want, "exemplars {selectors:?} of {tenant} in {range:?}");
    }
}

async fn same_logs(subject: &impl Select, oracle: &impl Select, tenant: &TenantId, range: TimeRange) {
    let base = |direction, limit| LogsRequest {
        scope: Scope::new(Tenants::one(tenant.clone()), range),
        matchers: Vec::new(),
        line_filters: Vec::new(),
        direction,
        limit,
        fields: Vec::new(),
        passing: None,
    };
    let mut requests = vec![
        base(Direction::NewestFirst, None),
        base(Direction::OldestFirst, None),
        base(Direction::NewestFirst, Some(7)),
        base(Direction::OldestFirst, Some(23)),
    ];
    let mut matched = base(Direction::NewestFirst, Some(11));
    matched.matchers = vec![Matcher::equal("service_name", "db")];
    requests.push(matched.clone());
    matched.line_filters =
        vec![LineFilter::Contains("status=20".into()), LineFilter::NotRegex("/[13]$|=201".into())];
    requests.push(matched);
    let mut nested = base(Direction::OldestFirst, None);
    nested.line_filters =
        vec![LineFilter::Regex("\"code\":[0-5]".into()), LineFilter::NotContains("nothing".into())];
    requests.push(nested);
    for request in requests {
        let want = all_logs(oracle, request.clone()).await;
        let got = all_logs(subject, request.clone()).await;
        let asked = (&request.matchers, &request.line_filters, request.direction, request.limit);
        assert_eq!(got.len(), want.len(), "logs {asked:?} of {tenant} in {range:?}");
        for (g, w) in got.iter().zip(&want) {
            assert_eq!(g, w, "logs {asked:?} of {tenant} in {range:?}");
        }
    }
}

/// Equal over everything; inside a range the subject may name more, see `Select::label_sets`.
pub(crate) fn holds<T: Ord + std::fmt::Debug>(got: &[T], want: &[T], range: TimeRange, what: &str) {
    assert!(got.windows(2).all(|w| w[0] < w[1]), "{what}: sorted and distinct: {got:?}");
    if range == TimeRange::ALL {
        assert_eq!(got, want, "{what}");
    } else {
        assert!(want.iter().all(|w| got.contains(w)), "{what}: {got:?} must hold {want:?}");
    }
}

async fn same_names(subject: &impl Select, oracle: &impl Select, tenant: &TenantId, range: TimeRange) {
    let scope = Scope::new(Tenants::one(tenant.clone()), range);
    for signal in [Signal::METRICS, Signal::LOGS] {
        let selectors = [
            vec![],
            vec![vec![Matcher::equal("instance", "b")], vec![Matcher::equal("service_name", "db")]],
            vec![vec![Matcher::equal("__name__", "up"), Matcher::equal("env", "")]],
        ];
        for selectors in selectors {
            let request = LabelNamesRequest {
                scope: scope.clone(),
                signal: signal.clone(),
                selectors: selectors.clone(),
                limit: None,
            };
            let what = format!("{selectors:?} of {tenant} in {range:?}");
            let want = oracle.label_names(request.clone()).await.expect("names").0;
            let got = subject.label_names(request.clone()).await.expect("names").0;
            holds(&got, &want, range, &format!("label names {what}"));
            let want = oracle.label_sets(request.clone()).await.expect("sets").0;
            let got = subject.label_sets(request).await.expect("sets").0;
            holds(&got, &want, range, &format!("label sets {what}"));
            for name in ["__name__", "instance", "service_name", "absent"] {
                let request = LabelValuesRequest {
                    scope: scope.clone(),
                    signal: signal.clone(),
                    field: NamedField::Label(name.into()),
                    selectors: selectors.clone(),
                    limit: (range == TimeRange::ALL).then_some(2),
                };
                let want = oracle.label_values(request.clone()).await.expect("values").0;
                let got = subject.label_values(request).await.expect("values").0;
                holds(&got, &want, range, &format!("values of {name} {what}"));
            }
        }
    }
    // By what a segment holds, not by the range: compared over everything only.
    if range == TimeRange::ALL {
        let fields = [
            NamedField::Service,
            NamedField::Operation { service: None, kind: None },
            NamedField::Operation { service: Some("db".into()), kind: Some(SpanKind::Client) },
            NamedField::Attribute("n".into()),
        ];
        for field in fields {
            let request = LabelValuesRequest {
                scope: scope.clone(),
                signal: Signal::TRACES,
                field: field.clone(),
                selectors: Vec::new(),
                limit: None,
            };
            let want = oracle.label_values(request.clone()).await.expect("values").0;
            let got = subject.label_values(request).await.expect("values").0;
            assert_eq!(got, want, "values of {field:?} of {tenant}");
        }
        let request = MetadataRequest { scope, family: None, limit: None };
        let want = oracle.metadata(request.clone()).await.expect("metadata").0;
        assert_eq!(subject.metadata(request).await.expect("metadata").0, want);
    }
}
