use contract::{Append, AppendUnit, Scope, fake::Fake};
use model::{Batch, MetricBatch, TenantId, TimeRange};
use proptest::prelude::*;

use super::*;
use crate::fixtures::{run, scope, series_request};

const NAMES: [&str; 5] = ["__name__", "a", "cluster", "replica", "z"];
const VALUES: [&str; 4] = ["", "p", "q", "r"];

fn ours() -> Labels {
    Labels::from_pairs([("cluster", "p"), ("replica", "q")])
}

/// One sample of each label set, its time the place in the list.
fn batch(sets: &[Labels]) -> Batch {
    let mut b = MetricBatch::default();
    for (i, labels) in sets.iter().enumerate() {
        let s = b.push_series(labels.clone());
        b.samples.push(s, 1000 + i as i64, i as f64);
    }
    Batch::Metrics(b)
}

async fn holding(sets: &[Labels]) -> Fake {
    let fake = Fake::new();
    let unit = AppendUnit { batch_id: None, received_ns: 0, batches: vec![batch(sets)] };
    fake.append(&TenantId::default(), unit).await.unwrap();
    fake
}

fn set() -> impl Strategy<Value = Labels> {
    proptest::collection::vec(0..VALUES.len(), 4).prop_map(|picked| {
        let pairs =
            NAMES.iter().skip(1).zip(picked).map(|(n, v)| (*n, VALUES[v])).filter(|(_, v)| !v.is_empty());
        Labels::from_pairs(std::iter::once(("__name__", "up")).chain(pairs))
    })
}

fn matcher() -> impl Strategy<Value = Matcher> {
    let ops = [MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex];
    let patterns = ["", "p", "q", "p|r", ".+", ".*", "|p", "|q"];
    (1..NAMES.len(), 0..ops.len(), 0..patterns.len()).prop_map(move |(n, op, p)| {
        let value =
            if matches!(ops[op], MatchOp::Equal | MatchOp::NotEqual) { VALUES[p % 4] } else { patterns[p] };
        Matcher::new(NAMES[n], ops[op], value).unwrap()
    })
}

fn names_request(scope: Scope, selectors: Vec<Vec<Matcher>>) -> LabelNamesRequest {
    LabelNamesRequest { scope, signal: Signal::METRICS, selectors, limit: None }
}

fn values_request(name: &str, scope: Scope, selectors: Vec<Vec<Matcher>>) -> LabelValuesRequest {
    let field = NamedField::Label(name.to_owned());
    LabelValuesRequest { scope, signal: Signal::METRICS, field, selectors, limit: None }
}

/// A line of each stream, its time and text the place in the list.
async fn holding_lines(sets: &[Labels]) -> Fake {
    let fake = Fake::new();
    let stream = |labels: &Labels| model::LogStream { labels: labels.clone(), ..Default::default() };
    let record = |i: usize| model::LogRecord {
        stream: i as u32,
        timestamp_ns: 1_000_000_000 + i as i64,
        body: i.to_string().into(),
        ..Default::default()
    };
    let batch = LogBatch {
        streams: sets.iter().map(stream).collect(),
        records: (0..sets.len()).map(record).collect(),
    };
    let unit = AppendUnit { batch_id: None, received_ns: 0, batches: vec![Batch::Logs(batch)] };
    fake.append(&TenantId::default(), unit).await.unwrap();
    fake
}

async fn lines(s: &dyn Select, matchers: &[Matcher]) -> Vec<(Labels, i64)> {
    let request = LogsRequest {
        scope: scope(TimeRange::from_ms_inclusive(0, 10_000)),
        matchers: matchers.to_vec(),
        line_filters: Vec::new(),
        direction: contract::Direction::OldestFirst,
        limit: None,
        fields: Vec::new(),
        passing: None,
    };
    let batches = s.logs(request).await.unwrap().collect().await.unwrap().0;
    let of = |b: &LogBatch| -> Vec<(Labels, i64)> {
        let stream = |r: &model::LogRecord| b.streams[r.stream as usize].labels.clone();
        b.records.iter().map(|r| (stream(r), r.timestamp_ns)).collect()
    };
    batches.iter().flat_map(of).collect()
}

proptest! {
    #[test]
    fn lines_are_found_as_if_they_had_been_kept_with_the_labels(
        sets in proptest::collection::vec(set(), 1..12),
        matchers in proptest::collection::vec(matcher(), 0..3),
    ) {
        run(async {
            let labelled = Labelled::new(Arc::new(holding_lines(&sets).await), &ours());
            let dressed: Vec<Labels> = sets.iter().map(|l| labelled.dressed(l)).collect();
            let reference = holding_lines(&dressed).await;
            prop_assert_eq!(lines(&labelled, &matchers).await, lines(&reference, &matchers).await);
            Ok(())
        })?;
    }

    #[test]
    fn what_is_found_is_what_would_be_found_had_everything_been_kept_with_the_labels(
        sets in proptest::collection::vec(set(), 0..12),
        mut matchers in proptest::collection::vec(matcher(), 0..3),
    ) {
        run(async {
            let labelled = Labelled::new(Arc::new(holding(&sets).await), &ours());
            let dressed: Vec<Labels> = sets.iter().map(|l| labelled.dressed(l)).collect();
            let reference = holding(&dressed).await;
            matchers.push(Matcher::equal("__name__", "up"));
            let range = TimeRange::from_ms_inclusive(0, 10_000);
            let ask = |s: Arc<dyn Select>| {
                let request = series_request(matchers.clone(), range);
                async move { s.series(request).await.unwrap().collect().await.unwrap().0 }
            };
            let (found, wanted) = (ask(Arc::new(labelled.clone())).await, ask(Arc::new(reference)).await);
            prop_assert_eq!(found, wanted);

            let reference = holding(&dressed).await;
            let request = || names_request(scope(range), vec![matchers.clone()]);
            prop_assert_eq!(labelled.label_sets(request()).await.unwrap().0, reference.label_sets(request()).await.unwrap().0);
            prop_assert_eq!(labelled.label_names(request()).await.unwrap().0, reference.label_names(request()).await.unwrap().0);
            for name in NAMES {
                let request = || values_request(name, scope(range), vec![matchers.clone()]);
                prop_assert_eq!(
                    labelled.label_values(request()).await.unwrap().0,
                    reference.label_values(request()).await.unwrap().0
                );
            }
            Ok(())
        })?;
    }

    #[test]
    fn values_of_an_added_label_are_its_own_and_ours_where_something_lacks_it(
        sets in proptest::collection::vec(set(), 1..12),
    ) {
        run(async {
            let labelled = Labelled::new(Arc::new(holding(&sets).await), &ours());
            let dressed: Vec<Labels> = sets.iter().map(|l| labelled.dressed(l)).collect();
            let reference = holding(&dressed).await;
            let range = TimeRange::from_ms_inclusive(0, 10_000);
            for name in NAMES {
                let request = || values_request(name, scope(range), Vec::new());
                prop_assert_eq!(
                    labelled.label_values(request()).await.unwrap().0,
                    reference.label_values(request()).await.unwrap().0
                );
            }
            let request = || names_request(scope(range), Vec::new());
            prop_assert_eq!(
                labelled.label_names(request()).await.unwrap().0,
                reference.label_names(request()).await.unwrap().0
            );
            Ok(())
        })?;
    }
}

#[test]
fn a_label_without_a_value_adds_nothing() {
    run(async {
        let sets = [Labels::from_pairs([("__name__", "up")])];
        let labelled = Labelled::new(Arc::new(holding(&sets).await), &Labels::from_pairs([("replica", "")]));
        let request = series_request(vec![Matcher::equal("__name__", "up")], TimeRange::ALL);
        let found = labelled.series(request).await.unwrap().collect().await.unwrap().0;
        assert_eq!(found[0].labels, sets[0]);
    });
}
