use contract::{CoverageState, fake::Fake};
use model::{Attributes, Batch, TimeRange, TimestampNs};
use proptest::prelude::*;

use super::*;
use crate::{
    fixtures::{append, series_request},
    foreign::{
        ForeignKind,
        tests::{
            opened,
            server::{Asked, Reply, serve},
        },
    },
};

const T0: i64 = 1_790_000_000_000_000_000;

/// A Loki that holds records (labels, time, line) and gives at most `most` at once.
#[derive(Clone)]
struct Theirs {
    records: Vec<(Labels, i64, String)>,
    most: usize,
    /// Days before [`T0`] of which it still gives anything, if it says so.
    reaches: Option<i64>,
}

/// Reads what [`query`] writes, of plain names and values.
fn parsed(query: &str) -> (Vec<Matcher>, Vec<String>) {
    let (selector, filters) = query.strip_prefix('{').unwrap().split_once('}').unwrap();
    let one = |text: &str| {
        let (op, sign) = [
            (MatchOp::Regex, "=~"),
            (MatchOp::NotRegex, "!~"),
            (MatchOp::NotEqual, "!="),
            (MatchOp::Equal, "="),
        ]
        .into_iter()
        .find(|(_, sign)| text.contains(&format!("{sign}\"")))
        .unwrap();
        let (name, value) = text.split_once(sign).unwrap();
        Matcher::new(name, op, value.trim_matches('"')).unwrap()
    };
    let contains = filters.split(" |= ").filter(|t| !t.is_empty()).map(|t| t.trim_matches('"').to_owned());
    (selector.split(',').filter(|t| !t.is_empty()).map(one).collect(), contains.collect())
}

impl Theirs {
    fn answer(&self, asked: &Asked) -> Reply {
        if let Some(refusal) = self.refusal(asked) {
            return Reply::new(400, "text/plain", refusal);
        }
        let list = |list: String| Reply::json(format!(r#"{{"status":"success","data":{list}}}"#));
        match asked.path.as_str() {
            "/loki/api/v1/labels" if self.records.is_empty() => Reply::json(r#"{"status":"success"}"#),
            "/loki/api/v1/labels" => {
                let names: BTreeSet<&str> =
                    self.records.iter().flat_map(|r| r.0.iter().map(|(n, _)| n)).collect();
                list(serde_json::to_string(&names).unwrap())
            }
            "/loki/api/v1/label/app/values" => list(r#"["b","a"]"#.to_owned()),
            "/loki/api/v1/series" => {
                let (matchers, _) = parsed(asked.get("match[]"));
                let sets: BTreeSet<&Labels> =
                    self.records.iter().map(|r| &r.0).filter(|l| all_match(&matchers, l)).collect();
                let sets: Vec<BTreeMap<&str, &str>> = sets.into_iter().map(|l| l.iter().collect()).collect();
                list(serde_json::to_string(&sets).unwrap())
            }
            "/loki/api/v1/query_range" => self.page(asked),
            _ => Reply::none(),
        }
    }

    /// Lists and records are refused alike.
    fn refusal(&self, asked: &Asked) -> Option<String> {
        let number = |name: &str| asked.get(name).parse::<i64>().unwrap();
        let start = self.reaches.map_or(i64::MIN, |days| T0 - days * DAY_NS).max(number("start"));
        if number("end") < start {
            return Some(
                "this data is no longer available, it is past now - max_query_lookback (3d)".to_owned(),
            );
        }
        (number("end") - start > 10 * DAY_NS)
            .then(|| "the query time range exceeds the limit (query length: 720h0m0s, limit: 10d)".to_owned())
    }

    fn page(&self, asked: &Asked) -> Reply {
        assert!(asked.headers.contains("x-loki-response-encoding-flags: categorize-labels"));
        let (matchers, contains) = parsed(asked.get("query"));
        if matchers.iter().all(Matcher::matches_empty) {
            return Reply::new(
                400,
                "text/plain",
                "parse error : queries require at least one regexp or equality matcher",
            );
        }
        let number = |name: &str| asked.get(name).parse::<i64>().unwrap();
        let (start, end, limit) = (number("start"), number("end"), number("limit") as usize);
        if limit > self.most {
            let text = format!(
                "max entries limit per query exceeded, limit > max_entries_limit_per_query ({limit} > {})",
                self.most
            );
            return Reply::new(400, "text/plain", text);
        }
        let mut found: Vec<_> = self
            .records
            .iter()
            .filter(|r| start <= r.1 && r.1 < end && all_match(&matchers, &r.0))
            .filter(|r| contains.iter().all(|c| r.2.contains(c)))
            .collect();
        found.sort_by_key(|r| r.1);
        if asked.get("direction") == "backward" {
            found.reverse();
        }
        let mut streams: BTreeMap<&Labels, Vec<serde_json::Value>> = BTreeMap::new();
        for (labels, at, line) in found.into_iter().take(limit) {
            let apart = serde_json::json!({"structuredMetadata": {"n": line}});
            streams.entry(labels).or_default().push(serde_json::json!([at.to_string(), line, apart]));
        }
        let result: Vec<_> = streams
            .into_iter()
            .map(|(l, values)| serde_json::json!({"stream": l.iter().collect::<BTreeMap<_, _>>(), "values": values}))
            .collect();
        Reply::json(
            serde_json::json!({"status": "success", "data": {"resultType": "streams", "result": result}})
                .to_string(),
        )
    }

    async fn open(self) -> Arc<dyn Select> {
        let url = serve(move |asked| self.answer(&asked)).await;
        let mut s = crate::foreign::tests::settings(ForeignKind::Loki, &url);
        s.url = url;
        crate::foreign::open(s, Clock::manual(T0 + DAY_NS)).unwrap()
    }
}

fn request(
    matchers: Vec<Matcher>,
    from: i64,
    to: i64,
    direction: Direction,
    limit: Option<usize>,
) -> LogsRequest {
    let range = TimeRange::new(TimestampNs(from), TimestampNs(to));
    let scope = series_request(Vec::new(), range).scope;
    LogsRequest {
        scope,
        matchers,
        line_filters: Vec::new(),
        direction,
        limit,
        fields: Vec::new(),
        passing: None,
    }
}

async fn lines(select: &Arc<dyn Select>, r: LogsRequest) -> (Vec<(i64, Labels, String)>, Coverage) {
    let (pieces, coverage) = select.logs(r).await.unwrap().collect().await.unwrap();
    let mut out = Vec::new();
    for p in pieces {
        for r in p.records {
            out.push((r.timestamp_ns, p.streams[r.stream as usize].labels.clone(), r.body.to_string()));
        }
    }
    (out, coverage)
}

fn app(name: &str) -> Labels {
    Labels::from_pairs([("app", name)])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn records_at_the_edges_of_pages_come_once_and_in_order(
        held in proptest::collection::vec((0i64..12, "[ab]?", "[xy]?", 0u8..3), 0..40),
        (from, length) in (0i64..12, 0i64..13),
        newest: bool,
        limit in proptest::option::of(0usize..20),
        most in 40usize..60,
        everything: bool,
    ) {
        let records: Vec<(Labels, i64, String)> = held.into_iter().enumerate().map(|(i, (t, app, env, _))| {
            let labels = Labels::from_pairs([("app", app.as_str()), ("env", env.as_str()), ("always", "1")]);
            (labels, T0 + t, format!("line {i}"))
        }).collect();
        let direction = if newest { Direction::NewestFirst } else { Direction::OldestFirst };
        let mut matchers = vec![Matcher::equal("cluster", "legacy")];
        if !everything {
            matchers.push(Matcher::new("app", MatchOp::NotEqual, "a").unwrap());
        }
        let asked = request(matchers, T0 + from, T0 + from + length, direction, limit);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (got, want) = runtime.block_on(async {
            let fake = Fake::new();
            let mut batch = LogBatch::default();
            for (i, (labels, at, line)) in records.iter().enumerate() {
                batch.streams.push(LogStream { labels: labels.with("cluster", "legacy"), ..LogStream::default() });
                let record = LogRecord { stream: i as u32, timestamp_ns: *at, body: line.clone().into(), ..LogRecord::default() };
                batch.records.push(record);
            }
            append(&fake, Batch::Logs(batch)).await;
            let fake: Arc<dyn Select> = Arc::new(fake);
            let theirs = Theirs { records, most, reaches: None }.open().await;
            (lines(&theirs, asked.clone()).await.0, lines(&fake, asked).await.0)
        });
        let times = |l: &[(i64, Labels, String)]| l.iter().map(|r| r.0).collect::<Vec<_>>();
        prop_assert_eq!(times(&got), times(&want));
        if limit.is_none() {
            let sorted = |mut l: Vec<(i64, Labels, String)>| { l.sort(); l };
            prop_assert_eq!(sorted(got), sorted(want));
        } else {
            let mut distinct: Vec<_> = got.iter().map(|r| &r.2).collect();
            distinct.sort();
            distinct.dedup();
            prop_assert_eq!(distinct.len(), got.len());
        }
    }
}

#[tokio::test]
async fn pages_of_a_loki_that_gives_few_meet_without_loss_or_repeats() {
    for direction in [Direction::NewestFirst, Direction::OldestFirst] {
        // Three of each time, so that every page of seven ends among records of one time.
        let records: Vec<_> =
            (0..90).map(|i| (app(if i % 2 == 0 { "a" } else { "b" }), T0 + i / 3, format!("{i}"))).collect();
        let theirs = Theirs { records, most: 7, reaches: None }.open().await;
        let (got, coverage) =
            lines(&theirs, request(vec![Matcher::equal("cluster", "legacy")], T0, T0 + 100, direction, None))
                .await;
        let mut numbers: Vec<i64> = got.iter().map(|r| r.2.parse().unwrap()).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..90).collect::<Vec<_>>(), "{direction:?}");
        assert!(coverage.is_complete());
    }
}

#[tokio::test]
async fn more_of_one_time_than_a_page_holds_is_said_and_passed() {
    let mut records: Vec<_> = (0..20).map(|i| (app("a"), T0 + 5, format!("crowd {i}"))).collect();
    records.push((app("a"), T0 + 1, "before".to_owned()));
    records.push((app("a"), T0 + 9, "after".to_owned()));
    let theirs = Theirs { records, most: 7, reaches: None }.open().await;
    let matchers = vec![Matcher::equal("app", "a")];
    let (got, coverage) = lines(&theirs, request(matchers, T0, T0 + 100, Direction::NewestFirst, None)).await;
    assert_eq!((got[0].2.as_str(), got.last().unwrap().2.as_str()), ("after", "before"));
    let source = &coverage.sources()[0];
    assert!(source.state == CoverageState::Partial && source.reason.contains("one page gives"), "{source:?}");
}

#[tokio::test]
async fn long_ranges_are_cut_into_windows_the_server_takes() {
    let records = vec![(app("a"), T0 - 100 * DAY_NS, "old".to_owned()), (app("a"), T0, "new".to_owned())];
    let theirs = Theirs { records, most: 5000, reaches: None }.open().await;
    for (direction, first) in [(Direction::NewestFirst, "new"), (Direction::OldestFirst, "old")] {
        let mut asked = request(vec![Matcher::equal("app", "a")], 0, 0, direction, None);
        asked.scope.range = TimeRange::ALL;
        let (got, _) = lines(&theirs, asked).await;
        assert_eq!(got.len(), 2);
        assert_eq!(got[0].2, first);
        // A selector of which nothing is left needs the names of all labels first.
        let here = vec![Matcher::equal("cluster", "legacy")];
        let asked = request(here, T0 - 120 * DAY_NS, T0 + 1, direction, None);
        assert_eq!(lines(&theirs, asked).await.0.len(), 2);
    }
}

#[tokio::test]
async fn what_lies_before_all_that_is_kept_is_passed_over() {
    let records = vec![(app("a"), T0 - 2 * DAY_NS, "old".to_owned()), (app("a"), T0, "new".to_owned())];
    let theirs = Theirs { records, most: 5000, reaches: Some(3) }.open().await;
    for direction in [Direction::NewestFirst, Direction::OldestFirst] {
        for label in ["app", "cluster"] {
            let any = Matcher::new(label, MatchOp::Regex, ".+").unwrap();
            let mut asked = request(vec![any], 0, 0, direction, None);
            asked.scope.range = TimeRange::ALL;
            let (got, coverage) = lines(&theirs, asked).await;
            assert!(got.len() == 2 && coverage.is_complete(), "{direction:?} {label}: {coverage:?}");
        }
    }
}

#[tokio::test]
async fn metadata_are_attributes_and_filters_are_sent() {
    let records = vec![(app("a"), T0, "GET x".to_owned()), (app("a"), T0 + 1, "POST x".to_owned())];
    let theirs = Theirs { records, most: 5000, reaches: None }.open().await;
    let mut asked = request(vec![Matcher::equal("app", "a")], T0, T0 + 9, Direction::NewestFirst, None);
    asked.line_filters = vec![LineFilter::Contains("GET".into())];
    let (pieces, _) = theirs.logs(asked).await.unwrap().collect().await.unwrap();
    assert_eq!(pieces.len(), 1);
    assert_eq!(pieces[0].records.len(), 1);
    assert_eq!(pieces[0].records[0].attributes, Attributes::from_iter([("n", "GET x")]));
    let all = [
        LineFilter::Contains("a\"b".into()),
        LineFilter::NotContains("c".into()),
        LineFilter::Regex("d.*".into()),
        LineFilter::NotRegex("e\\d".into()),
    ];
    let want = "{app=\"a\"} |= \"a\\\"b\" != \"c\" |~ \"d.*\" !~ \"e\\\\d\"";
    assert_eq!(query(&[Matcher::equal("app", "a")], &all), want);
}

#[tokio::test]
async fn names_values_and_streams_carry_our_labels() {
    let records =
        vec![(app("a"), T0, String::new()), (Labels::from_pairs([("env", "x")]), T0, String::new())];
    let theirs = Theirs { records, most: 5000, reaches: None }.open().await;
    let names = |selectors| LabelNamesRequest {
        scope: series_request(Vec::new(), TimeRange::ALL).scope,
        signal: Signal::LOGS,
        selectors,
        limit: None,
    };
    assert_eq!(theirs.label_names(names(Vec::new())).await.unwrap().0, ["app", "cluster", "env"]);
    let of_a = vec![vec![Matcher::equal("app", "a")]];
    assert_eq!(theirs.label_names(names(of_a.clone())).await.unwrap().0, ["app", "cluster"]);
    let here = vec![vec![Matcher::equal("cluster", "legacy")]];
    assert_eq!(theirs.label_sets(names(here)).await.unwrap().0.len(), 2);
    let elsewhere = vec![vec![Matcher::equal("cluster", "x")]];
    assert!(theirs.label_sets(names(elsewhere)).await.unwrap().0.is_empty());
    let values = async |name: &str, selectors| {
        let field = NamedField::Label(name.to_owned());
        let LabelNamesRequest { scope, signal, selectors, limit } = names(selectors);
        theirs.label_values(LabelValuesRequest { scope, signal, field, selectors, limit }).await.unwrap().0
    };
    assert_eq!(values("app", Vec::new()).await, ["a", "b"]);
    assert_eq!(values("app", of_a).await, ["a"]);
    assert_eq!(values("cluster", Vec::new()).await, ["legacy"]);
    let closed = opened(ForeignKind::Loki, "http://127.0.0.1:1");
    let asked = request(vec![Matcher::equal("app", "a")], T0, T0 + 1, Direction::NewestFirst, None);
    let e = closed.logs(asked).await.unwrap().collect().await.err().unwrap();
    assert_eq!(e.kind, base::Kind::Unavailable);
}
