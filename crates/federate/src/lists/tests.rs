use std::sync::Arc;

use contract::{CoverageState, Scope, fake::Fake};
use model::{Batch, MetricBatch, MetricKind, TimeRange};
use proptest::prelude::*;

use super::*;
use crate::fixtures::{Script, append, fakes, federation, run, scope};

type Dealt = (usize, u8, u8);

fn batch<'a>(series: impl Iterator<Item = &'a Dealt>) -> Option<Batch> {
    let mut b = MetricBatch::default();
    for (to, name, value) in series {
        let pairs = [("__name__", format!("n{name}")), ("instance", format!("i{value}"))];
        let s = b.push_series(Labels::from_pairs(pairs));
        b.samples.push(s, 5, 1.0);
        let at = i64::from(*name) * 1000 + i64::from(*value) * 10 + *to as i64 / 3;
        b.exemplars.push((s, Exemplar { labels: Labels::default(), value: 1.0, timestamp_ms: at }));
    }
    (!b.is_empty()).then_some(Batch::Metrics(b))
}

fn family(name: &str, help: &str) -> Batch {
    let (family, help) = (name.to_owned(), help.to_owned());
    let mut b = MetricBatch::default();
    b.metadata.push(MetricMetadata { family, kind: MetricKind::Gauge, unit: String::new(), help });
    Batch::Metrics(b)
}

fn names(selectors: Vec<Vec<Matcher>>, limit: Option<usize>) -> LabelNamesRequest {
    LabelNamesRequest { scope: all(), signal: Signal::METRICS, selectors, limit }
}

fn all() -> Scope {
    scope(TimeRange::ALL)
}

proptest! {
    #[test]
    fn lists_over_members_are_what_one_member_with_all_of_them_answers(
        dealt in prop::collection::btree_set((0usize..5, 0u8..4, 0u8..6), 0..30),
        n in 1usize..6,
        limit in prop::option::of(0usize..8),
    ) {
        run(async {
            let (members, federation, whole) = fakes(n);
            for (i, m) in members.iter().enumerate() {
                append(m, batch(dealt.iter().filter(|d| d.0 % n == i))).await;
                append(&whole, batch(dealt.iter().filter(|d| d.0 % n == i))).await;
            }
            let two = vec![vec![Matcher::equal("__name__", "n1")], vec![Matcher::equal("instance", "i2")]];
            for selectors in [vec![], two.clone()] {
                let r = names(selectors.clone(), limit);
                let got = federation.label_names(r.clone()).await.unwrap().0;
                prop_assert_eq!(got, whole.label_names(r.clone()).await.unwrap().0);
                let got = federation.label_sets(r.clone()).await.unwrap().0;
                prop_assert_eq!(got, whole.label_sets(r.clone()).await.unwrap().0);
                let field = NamedField::Label("instance".into());
                let r = LabelValuesRequest { scope: all(), signal: Signal::METRICS, field, selectors, limit };
                let got = federation.label_values(r.clone()).await.unwrap().0;
                prop_assert_eq!(got, whole.label_values(r).await.unwrap().0);
            }
            let r = ExemplarsRequest { scope: all(), selectors: two };
            let got = federation.exemplars(r.clone()).await.unwrap().0;
            let mut want = whole.exemplars(r).await.unwrap().0;
            // What several members have comes once.
            want.iter_mut().for_each(|(_, e)| e.dedup());
            prop_assert_eq!(got, want);
            Ok(())
        })?;
    }
}

#[test]
fn of_a_family_that_two_describe_the_earlier_member_counts() {
    run(async {
        let (members, federation, _) = fakes(2);
        append(&members[0], family("up", "first")).await;
        append(&members[1], family("up", "second")).await;
        append(&members[1], family("load", "only")).await;
        let request = |limit| MetadataRequest { scope: all(), family: None, limit };
        let found = federation.metadata(request(None)).await.unwrap().0;
        let told: Vec<_> = found.iter().map(|m| (m.family.as_str(), m.help.as_str())).collect();
        assert_eq!(told, [("load", "only"), ("up", "first")]);
        assert_eq!(federation.metadata(request(Some(1))).await.unwrap().0.len(), 1);
    });
}

#[test]
fn alternatives_that_cannot_match_are_not_asked() {
    run(async {
        let scripts: Vec<Arc<Script>> = (0..2).map(|_| Arc::new(Script::default())).collect();
        let members = scripts.iter().zip(["dev-01", "prod-01"]).map(|(s, name)| {
            let mut m = crate::fixtures::member(name, s.clone());
            m.labels = Labels::from_pairs([("cluster", name)]);
            m
        });
        let f = Federation::new(members.collect(), crate::Counts::register(&base::Metrics::default()));
        let of = |cluster: &str| vec![Matcher::equal("cluster", cluster)];
        f.label_names(names(vec![of("dev-01"), of("ops-01")], None)).await.unwrap();
        f.label_names(names(vec![of("ops-01")], None)).await.unwrap();
        // Attributes of spans are nobody's labels.
        let traces = LabelNamesRequest { signal: Signal::TRACES, ..names(vec![of("ops-01")], None) };
        f.label_names(traces).await.unwrap();
        let asked = scripts.iter().map(|s| s.asked.load(std::sync::atomic::Ordering::Relaxed));
        assert_eq!(asked.collect::<Vec<_>>(), [2, 1]);
    });
}

#[test]
fn a_list_out_of_order_is_used_and_known_not_to_be_whole() {
    run(async {
        let script = Script { names: vec!["b".into(), "a".into()], ..Script::default() };
        let f = federation([Arc::new(script) as Arc<dyn Select>, Arc::new(Fake::new())]);
        let (found, coverage) = f.label_names(names(vec![], None)).await.unwrap();
        assert_eq!(found, ["a", "b"]);
        assert_eq!(coverage.sources()[0].state, CoverageState::Partial);
    });
}

#[test]
fn label_sets_of_all_members_together_are_held_to_the_limit_of_series() {
    run(async {
        let (members, federation, _) = fakes(2);
        append(&members[0], batch([(0, 1, 1)].iter())).await;
        append(&members[1], batch([(0, 1, 2)].iter())).await;
        let mut r = names(vec![], None);
        r.scope.limits.max_series = 1;
        assert_eq!(federation.label_sets(r.clone()).await.unwrap_err().limit, Some("query.max_series"));
        r.limit = Some(1);
        assert_eq!(federation.label_sets(r).await.unwrap().0.len(), 1);
    });
}
