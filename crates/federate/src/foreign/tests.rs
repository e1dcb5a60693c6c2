use model::{Batch, Matcher, TimeRange};

use super::*;

pub(crate) mod real;
pub(crate) mod server;

/// Settings of a peer called `legacy`, whose label is `cluster="legacy"`.
pub(crate) fn settings(kind: ForeignKind, url: &str) -> ForeignSettings {
    ForeignSettings {
        name: "legacy".to_owned(),
        kind,
        url: url.to_owned(),
        labels: Labels::from_pairs([("cluster", "legacy")]),
        http: net::Settings::default(),
        tenant: None,
        replica_labels: Vec::new(),
        owner: TenantId::default(),
        timeout: Duration::from_secs(10),
    }
}

pub(crate) fn opened(kind: ForeignKind, url: &str) -> Arc<dyn Select> {
    open(settings(kind, url), Clock::system()).unwrap()
}

/// A metrics batch of series with their samples.
pub(crate) fn metrics(series: &[(Labels, Vec<(i64, f64)>)]) -> Batch {
    let mut batch = model::MetricBatch::default();
    for (labels, samples) in series {
        let s = batch.push_series(labels.clone());
        samples.iter().for_each(|(t, v)| batch.samples.push(s, *t, *v));
    }
    Batch::Metrics(batch)
}

#[test]
fn a_setting_that_can_never_work_is_named() {
    let refused = |change: fn(&mut ForeignSettings)| {
        let mut s = settings(ForeignKind::Prometheus, "http://h:1/prom/");
        change(&mut s);
        open(s, Clock::system()).err().map(|e| e.to_string())
    };
    assert_eq!(refused(|_| ()), None);
    for url in ["h:1", "ftp://h/", "http://h/?a=b", ""] {
        let mut s = settings(ForeignKind::Prometheus, url);
        s.name = "x".to_owned();
        let e = open(s, Clock::system()).err().unwrap();
        assert!(e.to_string().starts_with(&format!("url is {url:?}")), "{e}");
        assert_eq!(e.kind(), base::Kind::Invalid);
    }
    assert!(refused(|s| s.name.clear()).unwrap().starts_with("name is"));
    assert!(ForeignKind::ALL.iter().all(|k| ForeignKind::parse(k.as_str()) == Some(*k)));
    assert_eq!(ForeignKind::parse("graphite"), None);
}

#[test]
fn nobody_but_its_owner_sees_a_peer_and_among_several_it_carries_the_name() {
    let owner = TenantId::new("a").unwrap();
    let scope = |names: &[&str]| {
        let tenants = names.iter().map(|n| TenantId::new(n).unwrap()).collect();
        Scope::new(contract::Tenants::several(tenants).unwrap(), TimeRange::ALL)
    };
    assert_eq!(visible(&scope(&["b"]), &owner), None);
    assert_eq!(visible(&scope(&["a"]), &owner), Some(Labels::default()));
    let tagged = visible(&scope(&["a", "b"]), &owner).unwrap();
    assert!(Matcher::equal(TENANT_LABEL, "a").matches_labels(&tagged));
}
