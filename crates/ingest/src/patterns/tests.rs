use contract::{Scope, Select, Tenants, fake::Fake};
use model::{BatchId, LogStream};

use super::*;

const NOW_NS: i64 = 1_700_000_000_000_000_000;
const S: i64 = 1_000_000_000;

struct Rig {
    clock: Clock,
    patterns: Arc<Patterns>,
    mining: Mining,
    select: WithPatterns,
}

fn rig() -> Rig {
    let clock = Clock::manual(NOW_NS);
    let (fake, patterns) = (Arc::new(Fake::new()), Patterns::new(clock.clone(), "dev-01", None));
    let mining = Mining { append: fake.clone(), patterns: patterns.clone() };
    let select = WithPatterns { select: fake, patterns: patterns.clone() };
    Rig { clock, patterns, mining, select }
}

impl Rig {
    /// Lines of one stream, each with its seconds before now.
    async fn push(&self, app: &str, id: u128, lines: &[(i64, &str)]) {
        let labels = Labels::from_pairs([("app", app)]);
        let record = |(ago, line): &(i64, &str)| LogRecord {
            timestamp_ns: NOW_NS - ago * S,
            body: (*line).into(),
            ..LogRecord::default()
        };
        let batch = LogBatch {
            streams: vec![LogStream { labels, ..LogStream::default() }],
            records: lines.iter().map(record).collect(),
        };
        let unit = AppendUnit {
            batch_id: Some(BatchId::Content(id)),
            received_ns: NOW_NS,
            batches: vec![Batch::Logs(batch)],
        };
        self.mining.append(&TenantId::default(), unit).await.unwrap();
    }

    async fn found(
        &self,
        app: &str,
        first_ago: i64,
        step_ms: i64,
    ) -> (Vec<(String, Vec<(i64, f64)>)>, Coverage) {
        let range = TimeRange::new(TimestampNs(NOW_NS - first_ago * S), TimestampNs(NOW_NS + S));
        let scope = Scope::new(Tenants::one(TenantId::default()), range);
        let matchers = vec![Matcher::new("app", model::MatchOp::Regex, app).unwrap()];
        let (list, coverage) =
            self.select.patterns(PatternsRequest { scope, matchers, step_ms }).await.unwrap();
        let shown = list.into_iter().map(|s| {
            let ago = s.timestamps_ms.iter().map(|t| NOW_NS / S - t / 1000);
            (s.labels.value(PATTERN_LABEL).to_owned(), ago.zip(s.values.iter().copied()).collect())
        });
        (shown.collect(), coverage)
    }
}

#[tokio::test]
async fn lines_are_counted_by_pattern_and_time_over_the_streams_that_match() {
    let rig = rig();
    rig.push("a", 1, &[(25, "took 1 ms"), (24, "took 2 ms"), (3, "took 3 ms"), (3, "gone")]).await;
    rig.push("b", 2, &[(3, "took 4 ms")]).await;
    rig.push("c", 3, &[(3, "took 5 ms")]).await;
    let (all, _) = rig.found("a|b", 3600, 10_000).await;
    let want = [("gone".to_owned(), vec![(10, 1.0)]), ("took <_> ms".to_owned(), vec![(30, 2.0), (10, 2.0)])];
    assert_eq!(all, want);
    let (coarse, _) = rig.found("a|b", 3600, 100_000).await;
    assert_eq!(coarse[1].1, [(100, 4.0)]);
    let (late, _) = rig.found("a", 9, 10_000).await;
    assert_eq!(late.len(), 2, "what the stretch shares a second with");
}

#[tokio::test]
async fn a_unit_that_is_sent_again_counts_once() {
    let rig = rig();
    for _ in 0..2 {
        rig.push("a", 1, &[(3, "once 1")]).await;
    }
    assert_eq!(rig.found("a", 60, 10_000).await.0, [("once <_>".to_owned(), vec![(10, 1.0)])]);
}

#[tokio::test]
async fn counts_are_kept_for_three_hours_and_lines_older_than_that_are_not_learnt() {
    let rig = rig();
    rig.push("a", 1, &[(4 * 3600, "old"), (-3600, "ahead"), (3, "now")]).await;
    assert_eq!(rig.found("a", 5 * 3600, 10_000).await.0, [("now".to_owned(), vec![(10, 1.0)])]);
    rig.clock.advance(Duration::from_secs(2 * 3600));
    rig.push("b", 2, &[(-7190, "later")]).await;
    assert_eq!(rig.found("a", 60, 10_000).await.0.len(), 1);
    rig.clock.advance(Duration::from_secs(2 * 3600));
    rig.push("b", 3, &[(-4 * 3600, "later")]).await;
    assert_eq!(rig.found("a", 60, 10_000).await.0, [], "nobody met it for long");
    assert_eq!(rig.patterns.kept.lock().streams.len(), 1);
}

#[tokio::test]
async fn an_answer_says_from_when_on_it_is_whole() {
    let rig = rig();
    let of = |c: Coverage| (c.sources()[0].cluster.clone(), c.state());
    assert_eq!(of(rig.found("a", 60, 1).await.1), ("dev-01".to_owned(), CoverageState::Partial));
    rig.clock.advance(Duration::from_secs(100));
    let range = TimeRange::new(TimestampNs(NOW_NS + S), TimestampNs(NOW_NS + 99 * S));
    assert!(rig.patterns.coverage(range).is_complete());
}

#[tokio::test]
async fn a_flood_is_counted_whole_and_looked_at_in_part() {
    let rig = rig();
    let lines: Vec<(i64, &str)> =
        (0..50_000).map(|n| (3, if n % 2 == 0 { "even 1" } else { "odd 1" })).collect();
    rig.push("a", 1, &lines).await;
    let (found, _) = rig.found("a", 60, 10_000).await;
    let sum: f64 = found.iter().flat_map(|(_, s)| s).map(|(_, n)| n).sum();
    assert_eq!(sum, 50_000.0);
    let kept = rig.patterns.kept.lock();
    assert!(kept.looked_at > LINES_PER_SECOND && kept.looked_at < 10_000, "{}", kept.looked_at);
}

#[tokio::test]
async fn lines_like_no_others_take_no_more_than_their_part_of_a_second() {
    let rig = rig();
    let word = |n: usize| ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta"][n % 7];
    let mut random = 1usize;
    let mut line = || {
        let words = (0..90).map(|_| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            word(random >> 33)
        });
        format!("like {}", words.collect::<Vec<_>>().join(" "))
    };
    let lines: Vec<String> = (0..4000).map(|_| line()).collect();
    let lines: Vec<(i64, &str)> = lines.iter().map(|l| (3, l.as_str())).collect();
    for (i, part) in lines.chunks(100).enumerate() {
        rig.push("a", i as u128, part).await;
    }
    let (found, _) = rig.found("a", 60, 10_000).await;
    let sum: f64 = found.iter().flat_map(|(_, s)| s).map(|(_, n)| n).sum();
    assert_eq!(sum, 4000.0);
    let kept = rig.patterns.kept.lock();
    assert_eq!(kept.effort, 0);
    assert!(kept.looked_at < 1000, "{}", kept.looked_at);
}

#[tokio::test]
async fn what_is_kept_stays_below_its_bounds() {
    let rig = rig();
    for n in 0..MAX_STREAMS + 50 {
        rig.push(&format!("s{n}"), n as u128, &[(3, "a line")]).await;
    }
    let kept = rig.patterns.kept.lock();
    assert!(kept.streams.len() <= MAX_STREAMS && kept.bytes <= MAX_BYTES);
    let counted = kept.bytes;
    drop(kept);
    rig.patterns.kept.lock().weigh();
    assert_eq!(rig.patterns.kept.lock().bytes, counted, "what it says it holds");
}

#[tokio::test]
async fn deleted_streams_are_forgotten() {
    let rig = rig();
    rig.push("a", 1, &[(3, "a")]).await;
    rig.push("b", 2, &[(3, "b")]).await;
    rig.patterns.forget(&[TenantId::default()], &[Matcher::equal("app", "a")]);
    assert_eq!(rig.found("a|b", 60, 10_000).await.0, [("b".to_owned(), vec![(10, 1.0)])]);
}
