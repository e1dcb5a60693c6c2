//! The same answers from the head, from segments, from both, and after restarts.

use contract::{
    Append, CoverageState, Direction, LabelNamesRequest, LogsRequest, Scope, Select, SeriesHints,
    SeriesRequest, Tenants, fake::Fake,
};
use model::{MatchOp, Matcher, Signal, TimeRange};
use testkit::conformance as suite;

use crate::rig::Rig;

async fn oracle() -> Fake {
    let fake = Fake::new();
    suite::fill(&fake, suite::units()).await;
    fake
}

async fn same(rig: &Rig, fake: &Fake) {
    suite::same_answers(rig.store(), fake, &suite::tenants(), &suite::ranges()).await;
}

#[tokio::test]
async fn both_implementations_of_append_keep_its_rules() {
    suite::append_rules(&Fake::new()).await;
    suite::append_rules(Rig::new().await.store()).await;
}

#[tokio::test]
async fn the_fake_agrees_with_itself() {
    suite::same_answers(&oracle().await, &oracle().await, &suite::tenants(), &suite::ranges()).await;
}

#[tokio::test]
async fn what_is_in_the_head_is_answered_as_the_oracle_does() {
    let rig = Rig::new().await;
    suite::fill(rig.store(), suite::units()).await;
    same(&rig, &oracle().await).await;
}

#[tokio::test]
async fn what_was_flushed_is_answered_as_the_oracle_does() {
    let rig = Rig::new().await;
    suite::fill(rig.store(), suite::units()).await;
    rig.store().flush_all().await.unwrap();
    let status = rig.store().status();
    assert!(status.signals.iter().all(|s| s.segments > 0), "{status:?}");
    same(&rig, &oracle().await).await;
}

#[tokio::test]
async fn head_and_segments_are_one_view() {
    let rig = Rig::new().await;
    for (i, unit) in suite::units().into_iter().enumerate() {
        suite::fill(rig.store(), [unit]).await;
        if i % 5 == 3 {
            rig.store().flush_all().await.unwrap();
        }
    }
    same(&rig, &oracle().await).await;
}

#[tokio::test]
async fn a_crash_without_any_flush_loses_nothing() {
    let mut rig = Rig::new().await;
    suite::fill(rig.store(), suite::units()).await;
    rig.crash(1).await;
    assert_eq!(rig.report.units, 24);
    same(&rig, &oracle().await).await;
}

#[tokio::test]
async fn a_crash_after_a_flush_replays_only_what_no_segment_covers() {
    let mut rig = Rig::new().await;
    let units = suite::units();
    suite::fill(rig.store(), units[..10].to_vec()).await;
    rig.store().flush_all().await.unwrap();
    suite::fill(rig.store(), units[10..].to_vec()).await;
    rig.crash(2).await;
    assert_eq!((rig.report.units, rig.report.segments > 0), (14, true), "{:?}", rig.report);
    same(&rig, &oracle().await).await;
}

#[tokio::test]
async fn an_orderly_stop_flushes_and_leaves_nothing_to_replay() {
    let mut rig = Rig::new().await;
    suite::fill(rig.store(), suite::units()).await;
    rig.restart().await;
    assert_eq!(rig.report.units, 0);
    same(&rig, &oracle().await).await;
}

#[tokio::test]
async fn merged_segments_answer_as_before_and_files_do_not_pile_up() {
    let rig = Rig::new().await;
    for unit in suite::units() {
        suite::fill(rig.store(), [unit]).await;
        rig.store().flush_all().await.unwrap();
    }
    let before: u64 = rig.store().status().signals.iter().map(|s| s.segments).sum();
    rig.store().maintain().await.unwrap();
    let after: u64 = rig.store().status().signals.iter().map(|s| s.segments).sum();
    assert!(after < before / 2, "{before} segments became {after}");
    same(&rig, &oracle().await).await;
}

#[tokio::test]
async fn several_tenants_are_told_apart_by_a_label() {
    let rig = Rig::new().await;
    suite::fill(rig.store(), suite::units()).await;
    let tenants = Tenants::several(suite::tenants().to_vec()).unwrap();
    let scope = Scope::new(tenants, TimeRange::ALL);
    let request = SeriesRequest {
        scope: scope.clone(),
        matchers: vec![Matcher::equal("__name__", "up")],
        hints: SeriesHints::default(),
    };
    let (found, _) = rig.store().series(request).await.unwrap().collect().await.unwrap();
    let whose: Vec<_> = found.iter().map(|s| s.labels.value("__tenant_id__").to_owned()).collect();
    assert_eq!(whose, ["default", "team-b"], "in order of all labels, the tenant's among them");
    let request = LabelNamesRequest { scope, signal: Signal::LOGS, selectors: Vec::new(), limit: None };
    let (names, _) = rig.store().label_names(request).await.unwrap();
    assert!(names.contains(&"__tenant_id__".to_owned()));
}

#[tokio::test]
async fn matchers_of_the_tenants_label_choose_among_several_tenants() {
    let rig = Rig::new().await;
    suite::fill(rig.store(), suite::units()).await;
    let tenants = Tenants::several(suite::tenants().to_vec()).unwrap();
    let scope = Scope::new(tenants, TimeRange::ALL);
    let only = |op, value| Matcher::new("__tenant_id__", op, value).unwrap();
    for flushed in [false, true] {
        if flushed {
            rig.store().flush_all().await.unwrap();
        }
        let series = async |matchers: Vec<Matcher>| {
            let hints = SeriesHints::default();
            let request = SeriesRequest { scope: scope.clone(), matchers, hints };
            let (found, _) = rig.store().series(request).await.unwrap().collect().await.unwrap();
            found.into_iter().map(|s| s.labels.value("__tenant_id__").to_owned()).collect::<Vec<_>>()
        };
        let up = Matcher::equal("__name__", "up");
        assert_eq!(series(vec![up.clone(), only(MatchOp::Equal, "team-b")]).await, ["team-b"]);
        assert_eq!(series(vec![up.clone(), only(MatchOp::NotRegex, "team.*")]).await, ["default"]);
        assert!(series(vec![up, only(MatchOp::Equal, "nobody")]).await.is_empty());
        let sets = async |signal: Signal, selectors: Vec<Vec<Matcher>>| {
            let request = LabelNamesRequest { scope: scope.clone(), signal, selectors, limit: None };
            rig.store().label_sets(request).await.unwrap().0
        };
        for signal in [Signal::METRICS, Signal::LOGS] {
            let all = sets(signal.clone(), vec![]).await;
            let some = sets(signal.clone(), vec![vec![only(MatchOp::Equal, "team-b")]]).await;
            let expected: Vec<_> =
                all.iter().filter(|l| l.value("__tenant_id__") == "team-b").cloned().collect();
            assert!(!expected.is_empty() && expected.len() < all.len());
            assert_eq!(some, expected, "{signal}");
            assert!(sets(signal, vec![vec![only(MatchOp::Equal, "nobody")]]).await.is_empty());
        }
        let logs = async |matchers: Vec<Matcher>| {
            let request = LogsRequest {
                scope: scope.clone(),
                matchers,
                line_filters: vec![],
                direction: Direction::NewestFirst,
                limit: None,
                fields: Vec::new(),
                passing: None,
            };
            let (found, _) = rig.store().logs(request).await.unwrap().collect().await.unwrap();
            found.iter().map(|b| b.records.len()).sum::<usize>()
        };
        let (all, b) = (logs(vec![]).await, logs(vec![only(MatchOp::Equal, "team-b")]).await);
        assert!(b > 0 && b + logs(vec![only(MatchOp::NotEqual, "team-b")]).await == all, "{b} of {all}");
    }
}

#[tokio::test]
async fn an_unreadable_segment_makes_the_answer_partial_and_is_named() {
    let rig = Rig::new().await;
    suite::fill(rig.store(), suite::units()).await;
    rig.store().flush_all().await.unwrap();
    let tenant = suite::tenants()[0].clone();
    rig.store()
        .append(&tenant, suite::unit(vec![suite::sample("fresh", suite::NOW_NS / 1_000_000, 1.0)]))
        .await
        .unwrap();
    rig.objects.make_unreadable("segments/default/metrics");
    let request = SeriesRequest {
        scope: Scope::new(Tenants::one(tenant), TimeRange::ALL),
        matchers: vec![],
        hints: SeriesHints::default(),
    };
    let (found, coverage) = rig.store().series(request).await.unwrap().collect().await.unwrap();
    assert_eq!(found.len(), 1, "the rest is answered");
    assert_eq!(coverage.state(), CoverageState::Partial);
    let source = &coverage.sources()[0];
    assert!(source.reason.contains(".parquet is unreadable"), "{}", source.reason);
    assert!(source.covered.len() >= 2, "{:?}", source.covered);
    assert!(rig.text().contains("orrery_store_segments_unreadable_total"), "{}", rig.text());
}
