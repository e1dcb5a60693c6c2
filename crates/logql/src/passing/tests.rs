use contract::{Direction, Language, Scope, Tenants};
use model::{LogRecord, TenantId, TimeRange};

use super::*;

fn request(query: &str, limit: Option<usize>, unmarked: &[(&str, &str)]) -> LogsRequest {
    let passing = Passing {
        dialect: DIALECT,
        query: query.to_owned(),
        limit,
        unmarked: unmarked.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
    };
    LogsRequest {
        scope: Scope::new(Tenants::one(TenantId::default()), TimeRange::ALL),
        matchers: Vec::new(),
        line_filters: Vec::new(),
        direction: Direction::OldestFirst,
        limit: None,
        fields: Vec::new(),
        passing: Some(passing),
    }
}

/// Lines of two streams, taking turns.
fn batch(lines: &[&str]) -> LogBatch {
    let stream = |app: &str| LogStream {
        labels: Labels::from_pairs([("app", app), ("replica", "r1")]),
        ..LogStream::default()
    };
    let record = |(i, line): (usize, &&str)| LogRecord {
        stream: (i % 2) as u32,
        timestamp_ns: i as i64,
        body: (*line).into(),
        ..LogRecord::default()
    };
    LogBatch {
        streams: vec![stream("x"), stream("y")],
        records: lines.iter().enumerate().map(record).collect(),
    }
}

fn sieve(r: &LogsRequest) -> Option<Sieve> {
    Sieve::of(r, &Clock::manual(0))
}

fn through(r: &LogsRequest, batches: Vec<LogBatch>) -> Vec<LogBatch> {
    let items = stream::iter(batches.into_iter().map(Ok)).boxed();
    let found = Selection::with_coverage(items, contract::Coverage::default());
    let all = sieve(r).unwrap().over(found).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(all).unwrap().0
}

fn lines(batches: &[LogBatch]) -> Vec<String> {
    let all = batches.iter().flat_map(|b| b.records.iter().map(|r| (&b.streams[r.stream as usize], r)));
    all.map(|(s, r)| format!("{} {}", s.labels.value("app"), r.body)).collect()
}

#[test]
fn what_passes_comes_as_it_is_up_to_the_limit() {
    let r = request("{app=~\".+\"} | logfmt | v > 1 | line_format \"gone\"", Some(3), &[]);
    let all = vec![batch(&["v=1", "v=2", "v=1"]), batch(&["v=0"]), batch(&["v=3", "v=4", "v=5"])];
    let got = through(&r, all);
    assert_eq!(lines(&got), ["y v=2", "x v=3", "y v=4"]);
    // Streams of which nothing is left are left out.
    assert_eq!(got.iter().map(|b| b.streams.len()).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(got[0].streams[0].labels.value("replica"), "r1");
}

#[test]
fn labels_that_will_be_taken_off_are_not_seen() {
    let has = |unmarked: &[(&str, &str)]| {
        let r = request("{app=\"x\"} | replica=\"\"", None, unmarked);
        lines(&through(&r, vec![batch(&["a"])])).len()
    };
    assert_eq!((has(&[]), has(&[("replica", "r1")]), has(&[("replica", "r2")])), (0, 1, 0));
}

#[test]
fn what_is_not_understood_is_ignored() {
    let good = request("{app=\"x\"} | logfmt | a=\"b\"", None, &[]);
    assert!(sieve(&good).is_some());
    assert!(sieve(&LogsRequest { passing: None, ..good.clone() }).is_none());
    for query in ["{app=\"x\"", "sum(rate({app=\"x\"}[1m]))", "{app=\"x\"} | line_format \"{{ now }}\"", ""] {
        assert!(sieve(&request(query, Some(1), &[])).is_none(), "{query}");
    }
    for dialect in [
        contract::Dialect { language: Language::PromQl, ..DIALECT },
        contract::Dialect { version: DIALECT.version + 1, ..DIALECT },
    ] {
        let mut r = good.clone();
        r.passing.as_mut().unwrap().dialect = dialect;
        assert!(sieve(&r).is_none(), "{dialect:?}");
    }
}

#[test]
fn stages_are_sent_where_a_text_says_the_same_anywhere() {
    let of = |q: &str| {
        let Ok(Expr::Log(log)) = parse(q) else { panic!("{q}") };
        passing(&log.matchers, &log.stages, Some(7))
    };
    let sent = of("{app=\"x\"} | json | level=\"error\"").unwrap();
    assert_eq!((sent.query.as_str(), sent.limit), ("{app=\"x\"} | json | level=\"error\"", Some(7)));
    assert!(of("{app=\"x\"}").is_none());
    assert!(of("{app=\"x\"} | line_format \"{{ now }}\" |= \"1970\"").is_none());
}
